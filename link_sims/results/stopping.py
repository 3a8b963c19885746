"""When a point of a sweep has enough units: judged in unit order, whatever was computed."""

import numpy as np

__all__ = ["Stopping", "stop"]

# Below this number the estimated variance is too rough to stop on.
_MIN_UNITS_FOR_PRECISION = 8


class Stopping:
    """Judges units group by group, from running sums.

    Parameters
    ----------
    config : Config
    error_curves : sequence of bool, [num_curves]
        Which curves count errors.
    """

    def __init__(self, config, error_curves):
        self.count = 0
        self._config, self._errors = config, np.asarray(error_curves, bool)
        self._sums = np.zeros([1, len(self._errors), 5])

    def add(self, units):
        """The number of units that count, and why, after these as well.

        Parameters
        ----------
        units : array, [num_units, num_curves, 2]
            (numerator, denominator) per unit and curve.

        Returns
        -------
        (count, status)
            status "target", "precision" or "limit"; (None, "partial") when more are needed.
        """
        if len(units) == 0:
            return None, "partial"
        numerator, denominator = np.moveaxis(np.asarray(units, float), -1, 0)
        new = np.stack(
            [numerator, denominator, numerator**2, numerator * denominator, denominator**2], -1
        )
        sums = np.cumsum(np.concatenate([self._sums, new]), axis=0)[1:]
        n = self.count + np.arange(1, len(new) + 1)
        self.count, self._sums = self.count + len(new), sums[-1:]
        first = {name: int(n[np.argmax(r)]) for name, r in self._reached(n, sums) if r.any()}
        if not first:
            return None, "partial"
        status = min(first, key=first.get)
        return first[status], status

    def _reached(self, n, sums):
        """(status, whether it is reached with so many units)."""
        config, enough = self._config, n >= self._config.min_units
        if config.target_errors is not None and self._errors.any():
            yield "target", enough & (sums[:, self._errors, 0] >= config.target_errors).all(1)
        if config.rel_precision is not None:
            yield "precision", enough & _precise(n[:, None], sums, config.rel_precision)
        yield "limit", n >= config.max_units


def stop(units, config, error_curves):
    """The number of units that count, and why: :meth:`Stopping.add` of all at once."""
    return Stopping(config, error_curves).add(units)


def _precise(n, sums, precision):
    """For every number of units: all relative half widths (delta method, 95 %) within bounds."""
    from scipy.special import stdtrit

    numerator, denominator, squares, products, weights = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = numerator / denominator
        square = squares - 2 * value * products + value**2 * weights
        error = np.sqrt(np.maximum(square, 0) * n / np.maximum(n - 1, 1)) / np.abs(denominator)
        half = stdtrit(np.maximum(n - 1, 1), 0.975) * error
        fine = half <= precision * np.abs(value)
    return (n[:, 0] >= _MIN_UNITS_FOR_PRECISION) & (fine & (value != 0)).all(1)
