"""Analog and digital together, with the estimation behind the front end."""
