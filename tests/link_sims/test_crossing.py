"""Where curves cross a level, and how far apart two of them do."""

import math
import types

import numpy as np
import pytest
import scipy.stats

from link_sims.errors import UserError
from link_sims.experiment import Experiment
from link_sims.results import intervals
from link_sims.results.results import Results


def nearly(values):
    """{x: three units} of a curve almost without noise."""
    return {x: [(v * s, 1.0) for s in (1 - 1e-9, 1, 1 + 1e-9)] for x, v in values.items()}


def test_straight_lines():
    line = nearly({0.0: 0.9, 2.0: 0.7, 4.0: 0.3, 6.0: 0.1})
    assert intervals.crossing(line, 0.5) == pytest.approx((3.0, 3.0, 3.0))
    decades = nearly({0.0: 1.0, 10.0: 1e-2, 20.0: 1e-4})
    assert intervals.crossing(decades, 1e-3, log=True) == pytest.approx((15.0, 15.0, 15.0))
    later = {x + 1.5: units for x, units in decades.items()}
    assert intervals.shift(later, decades, 1e-3, log=True) == pytest.approx((1.5, 1.5, 1.5))
    rising = nearly({0.0: 0.0, 1.0: 1.0})
    assert intervals.crossing(rising, 0.25)[0] == pytest.approx(0.25)


@pytest.mark.parametrize(
    "values, log",
    [({0.0: 0.9, 1.0: 0.8}, True), ({0.0: 0.5}, False), ({0.0: 0.9, 1.0: 0.0}, True), ({}, False)],
)
def test_without_a_crossing(values, log):
    """Level not reached, one point, a logarithm of zero, nothing simulated."""
    assert all(math.isnan(v) for v in intervals.crossing(nearly(values), 0.5, log))
    found = intervals.shift(nearly(values), nearly({0.0: 0.9, 1.0: 0.1}), 0.5, log)
    assert all(math.isnan(v) for v in found)


@pytest.mark.parametrize("units", [1, 3])
def test_without_spread_there_is_no_interval(units):
    curve = {0.0: [(0.8, 1.0)] * units, 1.0: [(0.2, 1.0)] * units}
    value, low, high = intervals.crossing(curve, 0.5)
    assert value == pytest.approx(0.5) and math.isnan(low) and math.isnan(high)
    value, low, high = intervals.shift(curve, curve, 0.5)
    assert value == 0 and math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("level", [0.9, 0.99])
def test_intervals_by_the_derivatives_of_the_line(log, level):
    """Every point's value moved by a little, its standard error from its units, Student's t."""
    rng = np.random.default_rng(7)
    sizes = {0.0: 30, 2.0: 12, 5.0: 9, 7.0: 40}
    means = {0.0: 0.9, 2.0: 0.6, 5.0: 0.05, 7.0: 0.01}
    points = {x: np.stack([rng.gamma(9, means[x] / 9, n), rng.gamma(9, 1 / 9, n)], 1)
              for x, n in sizes.items()}  # fmt: skip

    def at(values):
        scale = math.log if log else float
        v, w, t = scale(values[0]), scale(values[1]), scale(0.2)
        return 2 + 3 * (t - v) / (w - v)

    values = [float(points[x][:, 0].sum() / points[x][:, 1].sum()) for x in (2.0, 5.0)]
    variance = 0.0
    for i, x in enumerate((2.0, 5.0)):
        num, den = points[x].T
        error = np.std(num - values[i] * den, ddof=1) / den.mean() / math.sqrt(len(num))
        step = np.eye(2)[i] * 1e-6 * values[i]
        slope = (at(values + step) - at(values - step)) / (2e-6 * values[i])
        variance += (slope * error) ** 2
    half = scipy.stats.t.ppf((1 + level) / 2, 9 - 1) * math.sqrt(variance)
    found = intervals.crossing(points, 0.2, log, level)
    assert found == pytest.approx((at(values), at(values) - half, at(values) + half), rel=1e-7)
    # A curve of its own draws: the variances of the same points are those of the difference.
    later = {x + 100: units for x, units in points.items()}
    gap = intervals.shift(later, points, 0.2, log, level)
    wide = math.sqrt(2) * half
    assert gap == pytest.approx((100, 100 - wide, 100 + wide), rel=1e-7)
    assert intervals.differing(intervals.where_crossed(points, 0.2, log)[1]) == 9


def test_units_that_differ_around_a_crossing():
    """All-or-nothing units: those unlike most others, at the poorer of the two points."""
    lost = [(100.0, 100.0)] * 3 + [(0.0, 100.0)] * 17
    won = [(100.0, 100.0)] * 12 + [(0.0, 100.0)] * 8
    curve = {0.0: won, 1.0: lost}
    experiment = Experiment("tests/crossing")
    results = Results(experiment, types.SimpleNamespace(), [])
    results.units["bler", "a"] = curve
    results.units["bler", "b"] = {x: [(k / 2, m) for k, m in units] for x, units in curve.items()}
    assert results.crossing("bler", "a", 0.3).less(9).measured.endswith("; only 3 units differ")
    assert results.shift("bler", "a", "b", 0.2).less(9).measured.endswith("units differ")
    assert "differ" not in results.crossing("bler", "a", 0.01).less(9).measured


def draw(rng, offset=0.0, units=20, trials=100):
    """Two curves of error counts on the same draws, ``offset`` apart, with the same slope."""
    curves = {}, {}
    for x in range(-4, 5):
        level = rng.logistic(size=(units, trials))
        for curve, moved in zip(curves, (0.0, offset), strict=True):
            wrong = (level > x - moved).sum(1)
            curve[float(x)] = [(float(n), float(trials)) for n in wrong]
    return curves


def test_intervals_cover_and_pairing_narrows_them():
    rng = np.random.default_rng(1)
    runs, covered, widths = 400, [0, 0], []
    for _ in range(runs):
        first, second = draw(rng, offset=0.3)
        _, low, high = intervals.crossing(first, 0.5)
        covered[0] += low <= 0.0 <= high
        gap, low, high = intervals.shift(second, first, 0.5)
        covered[1] += low <= 0.3 <= high
        alone = intervals.crossing(second, 0.5)
        widths.append((high - low) / (alone[2] - alone[1]))
        assert gap == pytest.approx(alone[0] - intervals.crossing(first, 0.5)[0])
    # 95 % by construction; five standard errors of 400 runs and 2 % for the delta method.
    assert all(c / runs > 0.95 - 0.02 - 5 * math.sqrt(0.95 * 0.05 / runs) for c in covered)
    # Two crossings of independent draws would be wider by the square root of two.
    assert np.mean(widths) < 1.2


def test_of_results():
    """Rates cross over their logarithm; an unknown curve is named."""
    experiment = Experiment("tests/crossing")
    config = types.SimpleNamespace(max_units=3, min_units=2, target_errors=None, rel_precision=None)
    records = [
        {"kind": "units", "x": x, "first": 0, "curves": [["bler", "a"], ["bler", "b"]],
         "values": [[[a + e, 100.0], [b + e, 100.0]] for e in (-1e-9, 0, 1e-9)]}
        for x, a, b in ((0.0, 100.0, 100.0), (10.0, 1.0, 10.0), (20.0, 0.0, 1.0))
    ]  # fmt: skip
    found = Results(experiment, config, records)
    assert found.crossing("bler", "a", 0.1).value == pytest.approx(5.0)
    assert found.shift("bler", "b", "a", 0.1).within(5.0, 1e-6).holds is True
    assert found.crossing("bler", "a", 1e-3).less(100).holds is None
    with pytest.raises(UserError, match="no result for bler/c"):
        found.crossing("bler", "c", 0.1)
