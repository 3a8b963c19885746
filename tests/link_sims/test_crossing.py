"""Where curves cross a level, and how far apart two of them do."""

import math
import types

import numpy as np
import pytest

from link_sims import intervals
from link_sims.errors import UserError
from link_sims.experiment import Experiment
from link_sims.results import Results


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
