"""Intervals and stopping against independent formulas, brute force and simulation."""

import math
import types

import numpy as np
import pytest
import scipy.stats

from link_sims import intervals
from link_sims.stopping import stop


@pytest.mark.parametrize("errors, trials", [(0, 50), (1, 50), (17, 50), (50, 50), (3, 10**7)])
def test_binomial_is_clopper_pearson(errors, trials):
    expected = scipy.stats.binomtest(errors, trials).proportion_ci(0.95, method="exact")
    low, high = intervals.binomial(errors, trials)
    # SciPy's own root search is good to about six digits.
    assert low == pytest.approx(expected.low, abs=1e-15, rel=2e-5)
    assert high == pytest.approx(expected.high, rel=2e-5)


def test_ratio_with_equal_denominators_is_the_t_interval():
    values = np.random.default_rng(1).normal(3, 1, 20)
    low, high = intervals.ratio([(v, 1.0) for v in values])
    expected = scipy.stats.t.interval(0.95, 19, values.mean(), scipy.stats.sem(values))
    assert (low, high) == pytest.approx(expected, rel=1e-12)
    assert all(math.isnan(v) for v in intervals.ratio([(1.0, 1.0)]))


def test_coverage_of_the_ratio_interval():
    rng = np.random.default_rng(2)
    covered, runs = 0, 2000
    for _ in range(runs):
        den = rng.gamma(20, 1, 30)
        num = 0.3 * den + rng.normal(0, 1, 30)
        low, high = intervals.ratio(np.stack([num, den], 1))
        covered += low <= 0.3 <= high
    # The delta method is approximate: 95 % up to 2 % beyond sampling error.
    assert abs(covered / runs - 0.95) < 0.02 + 5 * math.sqrt(0.95 * 0.05 / runs)


def test_paired_difference_uses_the_correlation():
    rng = np.random.default_rng(3)
    common = rng.normal(10, 3, 40)
    a = [(c + 0.1, 1.0) for c in common]
    b = [(c, 1.0) for c in common]
    gap, low, high = intervals.difference(a, b)
    assert gap == pytest.approx(0.1) and high - low < 1e-9
    noisy = common + rng.normal(0, 0.2, 40)
    gap, low, high = intervals.difference([(v, 1.0) for v in noisy], b)
    expected = scipy.stats.t.interval(
        0.95, 39, np.mean(noisy - common), scipy.stats.sem(noisy - common)
    )
    assert (low, high) == pytest.approx(expected, rel=1e-9)


def test_log_ratio_of_scaled_curves():
    rng = np.random.default_rng(4)
    b = rng.gamma(5, 1, [30, 2])
    a = b * [2.0, 1.0]
    gap, low, high = intervals.log_ratio(a, b)
    assert gap == pytest.approx(math.log(2)) and high - low < 1e-12
    assert math.isnan(intervals.log_ratio([(0, 1), (0, 1)], b)[0])


def config(**changes):
    base = {"min_units": 2, "max_units": 50, "target_errors": None, "rel_precision": None}
    return types.SimpleNamespace(**{**base, **changes})


def brute_force(units, cfg, errors):
    """The rule, unit by unit."""
    for n in range(1, len(units) + 1):
        part = units[:n]
        if n >= cfg.min_units and cfg.target_errors is not None and any(errors):
            if all(part[:, c, 0].sum() >= cfg.target_errors for c in np.flatnonzero(errors)):
                return n
        if n >= max(8, cfg.min_units) and cfg.rel_precision is not None:
            fine = []
            for c in range(units.shape[1]):
                low, high = intervals.ratio(part[:, c])
                value = part[:, c, 0].sum() / part[:, c, 1].sum()
                fine.append((high - low) / 2 <= cfg.rel_precision * value)
            if all(fine):
                return n
        if n >= cfg.max_units:
            return n
    return None


@pytest.mark.parametrize(
    "changes",
    [{}, {"target_errors": 40}, {"rel_precision": 0.1}, {"target_errors": 60, "min_units": 9},
     {"max_units": 7}, {"target_errors": 10**6}],
)  # fmt: skip
def test_stopping_judges_in_unit_order(changes):
    rng = np.random.default_rng(5)
    units = np.stack([rng.poisson([[3, 8]], [60, 2]) + 0.0, np.full([60, 2], 20.0)], -1)
    cfg, errors = config(**changes), [True, False]
    expected = brute_force(units, cfg, errors)
    count, status = stop(units, cfg, errors)
    assert count == expected and (status == "partial") == (expected is None)
    if count is not None:  # more units than needed change nothing
        assert stop(units[:count], cfg, errors)[0] == count
        assert stop(units[: count - 1], cfg, errors)[0] is None
