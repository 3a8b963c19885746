"""Units computed in this process, one group at a time."""

from .worker import Units

__all__ = ["Serial"]


class Serial:
    """Computes a group when it is submitted."""

    capacity = 1

    def __init__(self, experiment, config, mode, trained):
        self._units = Units(experiment, config, mode, trained)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._finished = None

    def submit(self, x, first, count):
        """Compute the units first, ..., first + count - 1 at x."""
        self._finished = (x, first, count), self._units(x, first, count)

    def collect(self):
        """((x, first, count), Outcome) of the group submitted last."""
        return self._finished
