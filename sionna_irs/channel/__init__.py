"""Channels: random hops, their composition through surfaces, the cascaded channel."""
