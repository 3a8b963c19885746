"""Precoders and receivers of users, classical and learned."""
