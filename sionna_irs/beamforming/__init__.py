"""Precoders, receivers, and phase designs."""
