"""When a point of a sweep has enough units: judged in unit order, whatever was computed."""

import numpy as np

__all__ = ["stop"]

# Below this number the estimated variance is too rough to stop on.
_MIN_UNITS_FOR_PRECISION = 8


def stop(units, config, error_curves):
    """The number of units that count, and why.

    Parameters
    ----------
    units : array, [num_units, num_curves, 2]
        (numerator, denominator) per unit and curve.
    config : Config
    error_curves : sequence of bool, [num_curves]
        Which curves count errors.

    Returns
    -------
    (count, status)
        status "target", "precision" or "limit"; (None, "partial") when more units are needed.
    """
    n = len(units)
    if n == 0:
        return None, "partial"
    sums = np.cumsum(units, axis=0)
    enough = np.arange(1, n + 1) >= config.min_units
    reached = {}
    if config.target_errors is not None and any(error_curves):
        errors = sums[:, np.asarray(error_curves), 0]
        reached["target"] = enough & (errors >= config.target_errors).all(1)
    if config.rel_precision is not None:
        reached["precision"] = enough & _precise(units, sums, config.rel_precision)
    reached["limit"] = np.arange(1, n + 1) >= config.max_units
    first = {name: int(np.argmax(r)) + 1 for name, r in reached.items() if r.any()}
    if not first:
        return None, "partial"
    status = min(first, key=first.get)
    return first[status], status


def _precise(units, sums, precision):
    """For every number of units: all relative half widths (delta method, 95 %) within bounds."""
    from scipy.special import stdtrit

    n = np.arange(1, len(units) + 1)[:, None]
    numerator, denominator = sums[..., 0], sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = numerator / denominator
        square = np.cumsum(units[..., 0] ** 2, 0)
        square = square - 2 * value * np.cumsum(units[..., 0] * units[..., 1], 0)
        square = square + value**2 * np.cumsum(units[..., 1] ** 2, 0)
        error = np.sqrt(np.maximum(square, 0) * n / np.maximum(n - 1, 1)) / np.abs(denominator)
        half = stdtrit(np.maximum(n - 1, 1), 0.975) * error
        fine = half <= precision * np.abs(value)
    return (n[:, 0] >= _MIN_UNITS_FOR_PRECISION) & (fine & (value != 0)).all(1)
