"""Verdicts: True inside, False outside, undecided in between."""

import math

import numpy as np
import pytest

import link_sims
from link_sims import measured
from link_sims.errors import UserError
from link_sims.results import intervals
from link_sims.results.claims import Paired, Value, agreement
from link_sims.results.results import Results


@pytest.mark.parametrize(
    "value, low, high, expected",
    [(1.0, 0.9, 1.1, True), (2.0, 1.9, 2.1, False), (1.2, 1.0, 1.4, None),
     (1.0, math.nan, math.nan, None)],
)  # fmt: skip
def test_values_against_a_range(value, low, high, expected):
    assert Value(value, low, high).within(1.0, 0.3).holds is expected
    assert Value(value, low, high).less(1.3).holds is expected
    if not math.isnan(low):
        assert Value(10**value, 10**low, 10**high).within_db(10.0, 3.0).holds is expected


def test_decibels():
    verdict = Value(2.0, 1.0, 4.0).within_db(3, 3.1)
    assert verdict.holds is True and verdict.measured == "3.01 dB [0, 6.021]"
    assert Value(2.0, 1.0, 4.0).within_db(3, 3).holds is None
    assert Value(1.0, 0.0, 4.0).within_db(3, 5).measured == "0 dB [-inf, 6.021]"


def test_undecided_says_what_would_decide():
    """Intervals shrink with the root of the number of units."""
    assert Value(1.0, 0.7, 1.3).less(1.1).measured == (
        "1 [0.7, 1.3]; about 9 times the units would decide"
    )
    assert "more than 1000 times" in Value(1.0, 0.0, 2.0).greater(0.99).measured
    assert (
        Value(1.0, 0.7, 1.3)
        .within(0.5, 0.4)
        .measured.endswith("about 9 times the units would decide")
    )
    a = [(2.0 + i, 1.0) for i in range(9)]
    b = [(2.1 + 8 - i, 1.0) for i in range(9)]
    assert "more than 1000 times" in Paired(a, b).less().measured
    for decided in (Value(1.0, 0.9, 1.05).less(1.1), Value(1.0, 0.9, 1.1).greater(2)):
        assert "would decide" not in decided.measured
    for silent in (Value(1.0, math.nan, math.nan).less(2), Value(1.0, 0.5, math.inf).less(2)):
        assert silent.holds is None and "would decide" not in silent.measured


def test_ranges_hold_their_ends():
    assert Value(1.5, 1.0, 2.0).within(1.5, 0.5).holds is True
    assert Value(1.5, 1.0, 2.0).less(2.0).holds is True
    assert Value(1.5, 1.0, 2.0).greater(1.0).holds is True
    assert Value(2.5, 2.0, 3.0).within(1.5, 0.5).holds is None  # its end is in the range
    assert Value(0.5, 0.0, 1.0).within(1.5, 0.5).holds is None


def test_paired_orderings():
    small = [(1.0 + 0.01 * i, 10.0) for i in range(10)]
    large = [(2.0 + 0.012 * i, 10.0) for i in range(10)]
    assert Paired(small, large).less().holds is True
    assert Paired(small, large).greater().holds is False
    assert Paired(small, small).less().holds is None
    assert Paired(large, small).ratio_between(1.8, 2.1).holds is True
    assert Paired(large, small).within_db(2.5).holds is False
    assert Paired(small, small).within_db(0.1).holds is True


def test_an_ordering_needs_its_whole_interval():
    """Whichever is larger in the mean: undecided while zero lies within."""
    rng = np.random.default_rng(1)
    for shift in (-0.2, 0.2):
        a = [(float(v), 1.0) for v in 3 + shift + rng.normal(0, 1, 20)]
        b = [(float(v), 1.0) for v in 3 + rng.normal(0, 1, 20)]
        _, low, high = intervals.difference(a, b)
        assert low < 0 < high
        assert Paired(a, b).less().holds is None and Paired(a, b).greater().holds is None
    far = [(v + 9, m) for v, m in b]
    assert Paired(far, b).less().holds is False and Paired(far, b).greater().holds is True
    # One unit: no interval, no verdict.
    assert Paired([(1.0, 1.0)], [(2.0, 1.0)]).less().holds is None


def test_few_units_that_differ_are_told():
    """Ties say nothing of the spread: 100 units of which 3 differ are 3 pairs."""
    a = [(1.0, 10.0)] * 97 + [(3.0, 10.0)] * 3
    b = [(1.0, 10.0)] * 100
    verdict = Paired(a, b).greater()
    assert "; only 3 units differ; about 2 times the units" in verdict.measured
    assert Paired(a, b).within_db(3).measured.endswith("; only 3 units differ")
    assert Paired(a, b).ratio_between(0.5, 2).measured.endswith("; only 3 units differ")
    many = [(1.0 + i, 10.0) for i in range(8)]
    assert "units differ" not in Paired(many, [(0.5, 10.0)] * 8).greater().measured
    assert "only 7 units differ" in Paired(many[1:], [(0.5, 10.0)] * 7).greater().measured
    assert Value(1.0, 0.9, 1.1, 7).less(2).measured == "1 [0.9, 1.1]; only 7 units differ"
    assert Value(1.0, 0.9, 1.1, 7).within_db(0, 1).measured.endswith("]; only 7 units differ")
    assert Value(1.0, 0.9, 1.1, 8).less(2).measured == "1 [0.9, 1.1]"


def point(x, exact, value, half, wide):
    return x, exact, value, (value - half, value + half), (value - wide, value + wide)


def test_agreement():
    good, rough = point(1, 0.1, 0.1, 0.01, 0.03), point(2, 1e-6, 2e-6, 2e-6, 5e-6)
    assert agreement([good], 0.25).holds is True
    assert agreement([good, rough], 0.25).holds is None
    assert agreement([good, rough], 0.25, floor=1e-4).holds is True
    assert agreement([good, point(2, 1e-6, 2e-2, 1e-3, 2e-3)], 0.25, floor=1e-4).holds is False
    assert agreement([], 0.25).holds is None
    for exact in (0.25, 0.75):  # the ends of the interval
        assert agreement([(1, exact, 0.5, (0.4, 0.6), (0.25, 0.75))], 1.0).holds is True
    assert agreement([point(1, 0.1, math.nan, 1, 1)], 0.25).holds is None
    assert agreement([point(1, 1e-9, 0.0, 1e-3, 1e-3)], 0.25).holds is None


def test_agreement_names_the_widest_interval_and_the_first_miss():
    good, wide = point(1, 0.1, 0.1, 0.01, 0.03), point(3, 0.2, 0.2, 0.04, 0.1)
    said = "2 points agree; widest interval +-20.0% at x = 3"
    for points in ([good, wide], [wide, good]):
        assert agreement(points, 0.25).measured == said
    # The width is that of the interval of one point, not of the family-wise one.
    other = point(2, 0.1, 0.1, 0.01, 0.09)
    assert agreement([other, wide], 0.25).measured == said
    assert agreement([good, wide], 0.21).holds is True
    assert agreement([good, wide], 0.19).holds is None
    first, second = point(4, 0.5, 0.1, 0.1, 0.2), point(5, 0.9, 0.1, 0.1, 0.2)
    verdict = agreement([good, first, second], 0.25)
    assert verdict.holds is False
    assert verdict.measured == "at x = 4: 0.1 [-0.1, 0.3], exact 0.5"
    # What is below the floor is the exact value; what was not counted, whatever its interval, says
    # nothing; a width is one of the exact value's size.
    assert agreement([good, point(2, 1e-6, 2e-2, 0.1, 0.3)], 0.25, floor=1e-4).holds is True
    assert agreement([point(1, 0.1, 0.0, 1e-3, 0.2)], 0.25).measured.startswith("nothing was")
    assert agreement([point(1, -0.1, 0.05, 0.25, 0.9)], 0.25).holds is None
    assert agreement([point(1, 0.5, math.nan, 1, 1), first], 0.25).measured.startswith("too few")
    assert Value(0.5, 0.5, 0.5).less(1).measured == "0.5"


def test_only_a_contradiction_fails():
    true, false, open_ = (Value(1, v, v).less(2) for v in (1, 3, math.nan))
    assert false.contradicts("holds") and true.contradicts("does-not-hold")
    assert not any(v.contradicts("open") for v in (true, false, open_))
    assert not open_.contradicts("holds") and not false.contradicts("does-not-hold")


def results_of_windows():
    """Two curves of four replicas over three windows of a recursion, on the same draws."""
    experiment = link_sims.Experiment("tests/windows")
    records = [
        {"kind": "steps", "name": "walk", "seed": 1, "first": first, "last": first + 10,
         "curves": [["rate", "a"], ["rate", "b"]],
         "values": [[[first + r + 2.0 for r in range(4)], [2.0] * 4],
                    [[1.0 + r for r in range(4)], [2.0] * 4]]}
        for first in (0, 10, 20)
    ]  # fmt: skip
    return Results(experiment, link_sims.Config(), records)


def test_means_over_windows():
    """First < x <= last, unit by unit; a difference keeps the pairs."""
    results = results_of_windows()
    assert results.over("rate", "a", (10, 30)) == [(34.0 + 2 * r, 4.0) for r in range(4)]
    assert results.at("rate", "a", (10, 30)).value == pytest.approx(37 / 4)
    gap = results.difference("rate", "a", "b", (10, 30))
    assert (gap.value, gap.low, gap.high) == pytest.approx((8, 8, 8))
    late = results.difference("rate", "a", "a", 30, 20)
    assert (late.value, late.low, late.high) == pytest.approx((5, 5, 5))
    units = results.over("rate", "a", 30), results.over("rate", "b", 30)
    assert results.ratio("rate", "a", "b", 30).value == pytest.approx(23.5 / 2.5)
    logs = intervals.log_ratio(*units)
    assert results.ratio("rate", "a", "b", 30).low == pytest.approx(math.exp(logs[1]))
    assert results.paired("rate", "a", "b", (0, 30)).greater().holds is True
    with pytest.raises(UserError, match="no result for rate/a from 30 to 40"):
        results.at("rate", "a", (30, 40))
    results.exact["time", "a"], results.exact["time", "b"] = {1: 6.0}, {1: 3.0}
    assert results.ratio("time", "a", "b", 1) == Value(2.0, 2.0, 2.0)
    assert results.difference("time", "a", "b", 1) == Value(3.0, 3.0, 3.0)


def test_measured_stands_for_results_to_come():
    results = results_of_windows()
    check = measured.difference("rate", "a", "b", (10, 30)).within(8, 1)
    assert check.is_verdict and check(results) == Value(8.0, 8.0, 8.0, 4).within(8, 1)

    def doubled(results, curve) -> Value:
        return Value(*[2 * results.value("rate", curve, 30)] * 3)

    assert measured.by(doubled, "a").less(50)(results).holds is True
    plain = measured.by(lambda results: results.paired("rate", "b", "a", 30))
    assert plain.less()(results).holds is True
    for wrong in (
        lambda: measured.at("rate", "a"),  # no x
        lambda: measured.by(doubled),
        lambda: measured.at("rate", "a", 1).within(1),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError, match="pared"):
        measured.pared("rate", "a", "b", 1)
    with pytest.raises(AttributeError, match="lesser"):
        measured.at("rate", "a", 1).lesser(2)


def test_kinds_of_claims():
    experiment = link_sims.Experiment("tests/kinds")
    check = measured.at("rate", "a", 1).less(2)
    experiment.published("A paper, Fig. 1", {"one": check, "two": check}, expect="open")
    experiment.theory("A book", {"three": check})
    experiment.ours("2026-12-01, cpu profile", {"four": check})
    experiment.claim("five", source="-", check=lambda r: r.at("rate", "a", 1).less(2))
    assert [(c.text, c.kind, c.expect) for c in experiment.claims] == [
        ("one", "published", "open"), ("two", "published", "open"), ("three", "theory", "holds"),
        ("four", "ours", "holds"), ("five", "ours", "holds"),
    ]  # fmt: skip
    for wrong, text in (
        ({"expect": "maybe"}, "expect = 'maybe'; one of holds, does-not-hold, open"),
        ({"kind": "hearsay"}, "kind = 'hearsay'; one of published, theory, ours"),
        ({"source": ""}, "a source that a reader can open"),
        ({"check": measured.at("rate", "a", 1)}, "its check ends in no verdict"),
    ):
        with pytest.raises(ValueError, match=text):
            experiment.claim("x", **{"source": "-", "check": check, **wrong})
