"""Verdicts: True inside, False outside, undecided in between."""

import math

import pytest

from link_sims.claims import Paired, Value, agreement


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


def test_paired_orderings():
    small = [(1.0 + 0.01 * i, 10.0) for i in range(10)]
    large = [(2.0 + 0.012 * i, 10.0) for i in range(10)]
    assert Paired(small, large).less().holds is True
    assert Paired(small, large).greater().holds is False
    assert Paired(small, small).less().holds is None
    assert Paired(large, small).ratio_between(1.8, 2.1).holds is True
    assert Paired(large, small).within_db(2.5).holds is False
    assert Paired(small, small).within_db(0.1).holds is True


def point(x, exact, value, half, wide):
    return x, exact, value, (value - half, value + half), (value - wide, value + wide)


def test_agreement():
    good, rough = point(1, 0.1, 0.1, 0.01, 0.03), point(2, 1e-6, 2e-6, 2e-6, 5e-6)
    assert agreement([good], 0.25).holds is True
    assert agreement([good, rough], 0.25).holds is None
    assert agreement([good, rough], 0.25, floor=1e-4).holds is True
    assert agreement([good, point(2, 1e-6, 2e-2, 1e-3, 2e-3)], 0.25, floor=1e-4).holds is False
    assert agreement([], 0.25).holds is None
    assert agreement([point(1, 0.1, math.nan, 1, 1)], 0.25).holds is None
    assert agreement([point(1, 1e-9, 0.0, 1e-3, 1e-3)], 0.25).holds is None


def test_only_a_contradiction_fails():
    true, false, open_ = (Value(1, v, v).less(2) for v in (1, 3, math.nan))
    assert false.contradicts("holds") and true.contradicts("does-not-hold")
    assert not any(v.contradicts("open") for v in (true, false, open_))
    assert not open_.contradicts("holds") and not false.contradicts("does-not-hold")
