"""Surfaces in ray-traced scenes: coverage, placement, size."""
