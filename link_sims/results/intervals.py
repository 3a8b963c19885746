"""Confidence intervals from per-unit sums: binomial, ratio (delta method), paired, crossings."""

import math

import numpy as np

__all__ = [
    "LEVEL",
    "binomial",
    "crossing",
    "difference",
    "differing",
    "differing_pairs",
    "gap_of_crossings",
    "interval_of",
    "log_ratio",
    "ratio",
    "shift",
    "total",
    "where_crossed",
]

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
        0 <= errors <= trials; not whole where trials that depend on each other count as fewer.
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
    return zip(_influence(a[:n]), _influence(b[:n]), strict=True)


def _influence(units):
    """(sum(num)/sum(den), its influence function over the units)."""
    units = np.asarray(units, float)
    numerator, denominator = total(units)
    value = numerator / denominator
    return value, (units[:, 0] - value * units[:, 1]) * len(units) / denominator


def _half_width(influence, level):
    n = len(influence)
    if n < 2:
        return math.nan
    return _student(n - 1, level) * math.sqrt(_variance(influence))


def _variance(influence):
    """Of the mean of an influence function."""
    n = len(influence)
    return float(influence @ influence) / (n - 1) / n


def crossing(points, target, log=False, level=LEVEL):
    """Interval of the x at which a curve first crosses ``target``.

    Between the two points around it the curve is a straight line.

    Parameters
    ----------
    points : dict
        x -> units, (num, den) each.
    target : float
    log : bool
        Whether the line is straight over the logarithm of the values.
    level : float

    Returns
    -------
    (value, low, high) : float
        NaN when the curve does not cross, or a logarithm has no value; NaN ends when units are
        too few or all the same.
    """
    return interval_of(*where_crossed(points, target, log), level)


def shift(a, b, target, log=False, level=LEVEL):
    """(value, low, high) of crossing(a) - crossing(b), paired unit by unit at common points."""
    return interval_of(*gap_of_crossings(a, b, target, log), level)


def gap_of_crossings(a, b, target, log):
    """(crossing(a) - crossing(b), {point: influence of its units on it})."""
    (x_a, influence), (x_b, other) = (where_crossed(points, target, log) for points in (a, b))
    for x, values in other.items():
        n = min(len(values), len(influence.get(x, values)))
        influence[x] = influence.get(x, np.zeros(n))[:n] - values[:n]
    return x_a - x_b, influence


def where_crossed(points, target, log):
    """(x, {point: influence of its units on x}); (NaN, {}) without a crossing."""

    def scale(value):
        return math.log(value) if log else value

    found = [(x, *_influence(points[x])) for x in sorted(points)]
    for (x, value, influence), (x1, value1, influence1) in zip(found, found[1:], strict=False):
        if (value - target) * (value1 - target) > 0 or value == value1:
            continue
        if log and min(value, value1, target) <= 0:
            break
        rise = scale(value1) - scale(value)
        share = (scale(target) - scale(value)) / rise
        slopes = [w * (x1 - x) / rise / (v if log else 1) for w, v in
                  ((share - 1, value), (-share, value1))]  # fmt: skip
        return x + share * (x1 - x), {x: slopes[0] * influence, x1: slopes[1] * influence1}
    return math.nan, {}


def differing(influences):
    """The least number of units, over the points, that are unlike most others of their point.

    None without points.
    """
    counts = []
    for influence in influences.values():
        same = np.unique(influence, return_counts=True)[1].max()
        counts.append(len(influence) - (same if same > 1 else 0))
    return min(counts, default=None)


def differing_pairs(a, b):
    """The number of units in which two curves differ."""
    n = min(len(a), len(b))
    return int(np.any(np.asarray(a[:n], float) != np.asarray(b[:n], float), -1).sum())


def interval_of(value, influences, level=LEVEL):
    """The value with its interval; the points are independent, so their variances add."""
    counts = [len(influence) for influence in influences.values()]
    if math.isnan(value) or min(counts) < 2:
        return value, math.nan, math.nan
    variance = sum(_variance(influence) for influence in influences.values())
    half = _student(min(counts) - 1, level) * math.sqrt(variance)
    if half < 1e-12 * max(1.0, abs(value)):  # equal units, up to rounding: their spread is unknown
        return value, math.nan, math.nan
    return value, value - half, value + half
