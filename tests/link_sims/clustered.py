"""Results made of given units, their intervals by independent formulas, and simulated units."""

import types

import numpy as np
import scipy.stats

from link_sims.experiment import Experiment, Metric
from link_sims.results.results import Results

RHO = (0.0, 0.05, 0.2, 0.5, 1.0, 1.0)  # the correlation that grows along a curve
POINTS = (0.9, 0.5, 0.1, 0.03, 0.01, 0.001)


def results_of(units, independent="auto", **changes):
    """Results of {metric: {x: [(errors, trials), ...]}}, curve "c"; bler as told."""
    bler = Metric("-", interval="binomial", independent=independent, errors=True)
    config = types.SimpleNamespace(
        min_units=2, max_units=10**6, target_errors=None, rel_precision=None
    )
    experiment = Experiment("tests/clustered", metrics={"bler": bler, **changes})
    first = next(iter(units.values()))
    records = [
        {"kind": "units", "x": x, "first": 0, "curves": [[metric, "c"] for metric in units],
         "values": np.stack([np.asarray(points[x], float) for points in units.values()], 1)}
        for x in first
    ]  # fmt: skip
    return Results(experiment, config, records)


def of_size(size, *errors):
    """Units of the same size."""
    return [(k, size) for k in errors]


def pearson(units):
    """The dispersion statistic from the residuals, one by one."""
    k, m = np.array(units, float).T
    p = k.sum() / m.sum()
    return sum((a - p * b) ** 2 / (b * p * (1 - p)) for a, b in zip(k, m, strict=True))


def twin(points, x, mode, level=0.95, blocks=None):
    """(p, low, high, n*) by SciPy's distributions, from the formulas."""
    used = [u for u in points.values() if len(u) > 1 and
            5 <= sum(k for k, _ in u) <= sum(m for _, m in u) - 5]  # fmt: skip
    statistic, nu = sum(map(pearson, used)), sum(len(u) - 1 for u in used)
    k, n = (sum(values) for values in zip(*points[x], strict=True))
    count, p = len(points[x]), k / n
    z = scipy.stats.norm.ppf((1 + level) / 2)

    def shrink(phi, degrees):
        return n / max(1, phi) * (z / scipy.stats.t.ppf((1 + level) / 2, degrees)) ** 2

    clustered = mode == "units" or (
        mode == "auto" and nu > 0 and scipy.stats.chi2.sf(statistic, nu) < 0.05
    )
    size = n
    if clustered:
        if nu:
            size = min(size, shrink(statistic / nu, nu))
        if 0 < p < 1 and count > 1:
            size = min(size, shrink(pearson(points[x]) / (count - 1), count - 1))
        if min(sum(k > 0 for k, _ in points[x]), sum(k < m for k, m in points[x])) < 8:
            size = min(size, count if blocks is None else blocks)
    tail, q = (1 - level) / 2, p * size
    low = scipy.stats.beta.ppf(tail, q, size - q + 1) if p > 0 else 0.0
    high = scipy.stats.beta.isf(tail, q + 1, size - q) if p < 1 else 1.0
    return p, low, high, size


def draw(rng, p, rho, units, size):
    """Errors of beta-binomial units with the correlation ``rho`` within a unit."""
    if rho == 0:
        return rng.binomial(size, p, units)
    if rho == 1:
        return size * rng.binomial(1, p, units)
    total = 1 / rho - 1
    return rng.binomial(size, rng.beta(p * total, (1 - p) * total, units))


def coverage(rng, runs, rho, size, units, independent, errors=None):
    """Least share, over the six points, of intervals that hold the truth.

    ``units`` at every point; or, with ``errors``, from 10 to ``units`` until so many are found.
    """
    rho = rho if isinstance(rho, tuple) else (rho,) * len(POINTS)
    covered = np.zeros(len(POINTS))
    for _ in range(runs):
        curve = {}
        for p, r in zip(POINTS, rho, strict=True):
            found = draw(rng, p, r, units, size)
            if errors is not None:
                reached = np.cumsum(found)[9:] >= errors
                found = found[: 10 + int(np.argmax(reached))] if reached.any() else found
            curve[p] = of_size(size, *found)
        results = _bare(curve, independent)
        for i, p in enumerate(POINTS):
            low, high = results.interval("bler", "c", p)
            covered[i] += low <= p <= high
    return covered.min() / runs


def _bare(curve, independent):
    """Results without the way over records."""
    metric = Metric("-", interval="binomial", independent=independent, errors=True)
    results = Results(Experiment("tests/coverage", metrics={"bler": metric}), None, [])
    results.units["bler", "c"] = curve
    return results
