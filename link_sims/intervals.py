"""Confidence intervals from per-unit sums: binomial, ratio (delta method), paired."""

import math

import numpy as np

__all__ = ["LEVEL", "binomial", "difference", "log_ratio", "ratio", "total"]

LEVEL = 0.95


def total(units):
    """(numerator, denominator) summed in unit order in float64: the same on every resume."""
    sums = [0.0, 0.0]
    for numerator, denominator in units:
        sums[0] += numerator
        sums[1] += denominator
    return sums[0], sums[1]


def binomial(errors, trials, level=LEVEL):
    """Clopper-Pearson interval of a share of independent trials.

    Parameters
    ----------
    errors, trials : float
        Whole numbers, 0 <= errors <= trials.
    level : float

    Returns
    -------
    (low, high) : float
        With no errors the lower end is 0 and the upper end a bound.
    """
    from scipy.special import betaincinv

    alpha = (1 - level) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, trials - errors + 1, alpha))
    high = 1.0 if errors == trials else float(betaincinv(errors + 1, trials - errors, 1 - alpha))
    return low, high


def _student(degrees, level):
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))


def ratio(units, level=LEVEL):
    """Interval of sum(num)/sum(den) over independent units, by the delta method.

    Parameters
    ----------
    units : sequence of (num, den)
    level : float

    Returns
    -------
    (low, high) : float
        NaN with fewer than two units.
    """
    units = np.asarray(units, float)
    numerator, denominator = total(units)
    if len(units) < 2 or denominator == 0:
        return math.nan, math.nan
    value = numerator / denominator
    residual = units[:, 0] - value * units[:, 1]
    n = len(units)
    error = math.sqrt(float(residual @ residual) * n / (n - 1)) / abs(denominator)
    half = _student(n - 1, level) * error
    return value - half, value + half


def difference(a, b, level=LEVEL):
    """(value, low, high) of ratio(a) - ratio(b), paired unit by unit (common random numbers)."""
    value, influence = _paired(a, b)
    half = _half_width(influence[0] - influence[1], level)
    gap = value[0] - value[1]
    return gap, gap - half, gap + half


def log_ratio(a, b, level=LEVEL):
    """(value, low, high) of ln(ratio(a)/ratio(b)), paired unit by unit.

    NaN unless both ratios are positive.
    """
    value, influence = _paired(a, b)
    if min(value) <= 0:
        return math.nan, math.nan, math.nan
    half = _half_width(influence[0] / value[0] - influence[1] / value[1], level)
    gap = math.log(value[0] / value[1])
    return gap, gap - half, gap + half


def _paired(a, b):
    """Values of two ratios and their influence functions over the units that both have."""
    n = min(len(a), len(b))
    values, influences = [], []
    for units in (np.asarray(a, float)[:n], np.asarray(b, float)[:n]):
        numerator, denominator = total(units)
        value = numerator / denominator
        values.append(value)
        influences.append((units[:, 0] - value * units[:, 1]) * n / denominator)
    return values, influences


def _half_width(influence, level):
    n = len(influence)
    if n < 2:
        return math.nan
    return _student(n - 1, level) * math.sqrt(float(influence @ influence) / (n - 1) / n)
