"""Intervals and stopping against independent formulas, brute force and simulation."""

import math
import types

import numpy as np
import pytest
import scipy.stats

from link_sims.results import intervals
from link_sims.results.stopping import Stopping, stop


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


def by_residuals(units, level=0.95):
    """(value, half width) of a ratio of sums by the delta method, written out."""
    num, den = np.array(units, float).T
    value, n = num.sum() / den.sum(), len(num)
    spread = np.sqrt(np.sum((num - value * den) ** 2) / (n - 1) / n) / abs(den.mean())
    return value, scipy.stats.t.ppf((1 + level) / 2, n - 1) * spread


@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_ratio_of_correlated_sums_at_any_level(n, level):
    rng = np.random.default_rng(n)
    den = rng.gamma(3, 1, n)
    units = np.stack([0.3 * den + rng.gamma(1, 0.2, n), den], 1)
    value, half = by_residuals(units, level)
    expected = value - half, value + half
    assert intervals.ratio(units, level) == pytest.approx(expected, rel=1e-12)
    assert intervals.ratio(-units, level) == pytest.approx(expected, rel=1e-12)


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


@pytest.mark.parametrize("n, level", [(12, 0.9), (12, 0.99), (2, 0.95)])
def test_paired_intervals_with_denominators_of_their_own(n, level):
    """Gap and logarithm of the quotient of two ratios, by the influence of every unit."""
    rng = np.random.default_rng(6)
    a, b = rng.gamma(4, 1, [2, n, 2])
    p, q = (u[:, 0].sum() / u[:, 1].sum() for u in (a, b))
    wide = scipy.stats.t.ppf((1 + level) / 2, n - 1) / math.sqrt(n)
    first = (a[:, 0] - p * a[:, 1]) / a[:, 1].mean()
    second = (b[:, 0] - q * b[:, 1]) / b[:, 1].mean()
    for compare, gap, influence in (
        (intervals.difference, p - q, first - second),
        (intervals.log_ratio, math.log(p / q), first / p - second / q),
    ):
        half = wide * np.std(influence, ddof=1)
        assert compare(a, b, level) == pytest.approx((gap, gap - half, gap + half), rel=1e-9)
        # Units that one curve lacks do not count.
        assert compare(a, [*b, (9.0, 1.0)], level) == compare(a, b, level)
    assert intervals.differing_pairs(a, [*a[:-1], (9.0, 1.0), (9.0, 1.0)]) == 1


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
    """(units that count, why) by the rule, unit by unit; the intervals by their definition."""
    for n in range(1, len(units) + 1):
        part = units[:n]
        if n >= cfg.min_units and cfg.target_errors is not None and any(errors):
            if all(part[:, c, 0].sum() >= cfg.target_errors for c in np.flatnonzero(errors)):
                return n, "target"
        if n >= max(8, cfg.min_units) and cfg.rel_precision is not None:
            found = [by_residuals(part[:, c]) for c in range(units.shape[1])]
            if all(half <= cfg.rel_precision * abs(value) > 0 for value, half in found):
                return n, "precision"
        if n >= cfg.max_units:
            return n, "limit"
    return None, "partial"


def check_order(units, cfg, errors):
    """The rule holds, and more units than needed change nothing; the units that count."""
    count, status = stop(units, cfg, errors)
    assert (count, status) == brute_force(units, cfg, errors)
    for size in (1, 7):  # group by group, as they come
        stopping = Stopping(cfg, errors)
        groups = (stopping.add(units[i : i + size]) for i in range(0, len(units), size))
        found = next((verdict for verdict in groups if verdict[0] is not None), (None, "partial"))
        assert found == (count, status)
    if count is not None:
        assert stop(units[:count], cfg, errors) == (count, status)
        assert stop(units[: count - 1], cfg, errors) == (None, "partial")
    return count, status


@pytest.mark.parametrize(
    "changes, expected",
    [({}, (50, "limit")), ({"target_errors": 40}, None),
     ({"rel_precision": 0.1}, (50, "limit")), ({"rel_precision": 0.3}, None),
     ({"target_errors": 60, "min_units": 9}, None), ({"max_units": 7}, (7, "limit")),
     ({"target_errors": 40, "min_units": 30}, (30, "target")),
     ({"rel_precision": 0.9}, (8, "precision")),
     ({"rel_precision": 0.9, "min_units": 12}, (12, "precision")),
     ({"rel_precision": 0.9, "target_errors": 3}, None),
     ({"target_errors": 10**6}, (50, "limit"))],
)  # fmt: skip
def test_stopping_judges_in_unit_order(changes, expected):
    rng = np.random.default_rng(5)
    units = np.stack([rng.poisson([[3, 8]], [60, 2]) + 0.0, np.full([60, 2], 20.0)], -1)
    found = check_order(units, config(**changes), [True, False])
    assert expected is None or found == expected


@pytest.mark.parametrize("seed", range(20))
def test_stopping_on_relative_precision(seed):
    """Sums with denominators of their own that vary together, some of them negative."""
    rng = np.random.default_rng(seed)
    den = rng.gamma(2, 1, [80, 2])
    num = den * [0.5, -2.0] + rng.normal(0, 0.15, [80, 2])
    units = np.stack([num, den], -1)
    for precision in (0.005, 0.05, 0.1, 0.3):
        cfg = config(rel_precision=precision, max_units=70, min_units=2 + seed)
        count, status = check_order(units, cfg, [False, False])
        assert status == ("limit" if precision == 0.005 else "precision")
        assert count >= max(8, 2 + seed)


def test_precision_is_asked_of_every_curve_and_of_no_zero():
    """Exact widths: units 1 + d and 1 - d in turn have the half width t d / sqrt(n - 1)."""
    n, d = 8, 0.1
    turns = 1 + d * np.array([1.0, -1.0] * 10)
    width = scipy.stats.t.ppf(0.975, n - 1) * d / math.sqrt(n - 1)

    def stopped(*curves, precision):
        units = np.stack([np.stack([c, np.ones(20)], -1) for c in curves], 1)
        return stop(units, config(rel_precision=precision, max_units=20), [False] * len(curves))

    assert stopped(turns, precision=width * (1 + 1e-9)) == (8, "precision")
    assert stopped(turns, precision=width * (1 - 1e-9))[0] > 8
    assert stopped(turns, 5 * turns, precision=width * (1 + 1e-9)) == (8, "precision")
    assert stopped(turns, 1 + 3 * (turns - 1), precision=width * (1 + 1e-9)) == (20, "limit")
    assert stopped(turns, np.zeros(20), precision=0.5) == (20, "limit")
    # A curve of errors that are all or nothing is as wide as its units tell, not its blocks.
    lost = np.zeros([20, 1, 2]) + [0.0, 100.0]
    lost[::3, 0, 0] = 100
    assert stop(lost, config(rel_precision=0.3, max_units=20), [True]) == (20, "limit")
