"""Surfaces: real controls to reflection coefficients."""
