"""Precoding experiments: rates, run times, training of learned precoders."""
