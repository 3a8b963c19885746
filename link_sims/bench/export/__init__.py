"""Links and trainings as portable modules that run under JAX, without TensorFlow."""

from .write import export

__all__ = ["export"]
