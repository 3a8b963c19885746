"""Impulse responses: paths of hops, their composition through surfaces."""
