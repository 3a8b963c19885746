"""Yardsticks of speed, and exported programs."""
