"""Verdicts on claims: True, False, or undecided, from intervals."""

import dataclasses
import math

from . import intervals

__all__ = ["Paired", "Value", "Verdict", "agreement"]

# Below this number of units that differ, an interval by the delta method is rough.
_MIN_DIFFERING = 8

WORDS = {True: "holds", False: "does not hold", None: "undecided"}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """``holds``: True, False or None (undecided); ``measured``: the evidence in words."""

    holds: bool | None
    measured: str

    @property
    def word(self):
        """The verdict in words."""
        return WORDS[self.holds]

    def contradicts(self, expect):
        """Whether it contradicts what a claim expects; undecided never does."""
        return (expect, self.holds) in {("holds", False), ("does-not-hold", True)}


def _inside(low, high, bottom, top):
    """True when [low, high] lies in [bottom, top], False when outside, None in between."""
    if math.isnan(low) or math.isnan(high):
        return None
    if bottom <= low and high <= top:
        return True
    if high < bottom or low > top:
        return False
    return None


def _text(value, low, high, unit=""):
    unit = f" {unit}" if unit else ""
    if low == high == value:
        return f"{value:.6g}{unit}"
    return f"{value:.4g}{unit} [{low:.4g}, {high:.4g}]"


def _few(units):
    """What to say of an interval that rests on few units that differ."""
    return "" if units is None or units >= _MIN_DIFFERING else f"; only {units} units differ"


def _db(value):
    return 10 * math.log10(value) if value > 0 else -math.inf


@dataclasses.dataclass(frozen=True)
class Value:
    """A value with its interval; ``differing``: units that differ, where few make it rough."""

    value: float
    low: float
    high: float
    differing: int | None = None

    def _judge(self, bottom, top):
        return Verdict(
            _inside(self.low, self.high, bottom, top),
            _text(self.value, self.low, self.high) + _few(self.differing),
        )

    def within(self, value, tolerance):
        """Within ``tolerance`` of ``value``."""
        return self._judge(value - tolerance, value + tolerance)

    def within_db(self, value_db, tolerance_db):
        """10 log10 of it within ``tolerance_db`` of ``value_db``."""
        value, low, high = map(_db, (self.value, self.low, self.high))
        holds = None if math.isnan(self.low) else _inside(
            low, high, value_db - tolerance_db, value_db + tolerance_db
        )  # fmt: skip
        return Verdict(holds, _text(value, low, high, "dB") + _few(self.differing))

    def less(self, bound):
        """Below ``bound``."""
        return self._judge(-math.inf, bound)

    def greater(self, bound):
        """Above ``bound``."""
        return self._judge(bound, math.inf)


@dataclasses.dataclass(frozen=True)
class Paired:
    """Two curves at one point, unit by unit on the same draws."""

    a: list
    b: list

    def _verdict(self, holds, text):
        return Verdict(holds, text + _few(intervals.differing_pairs(self.a, self.b)))

    def less(self):
        """The first is smaller."""
        gap, low, high = intervals.difference(self.a, self.b)
        holds = True if high < 0 else False if low > 0 else None
        return self._verdict(holds, "difference " + _text(gap, low, high))

    def greater(self):
        """The first is larger."""
        return Paired(self.b, self.a).less()

    def _log_inside(self, bottom, top, scale, unit):
        gap, low, high = (scale * v for v in intervals.log_ratio(self.a, self.b))
        return self._verdict(_inside(low, high, bottom, top), "gap " + _text(gap, low, high, unit))

    def within_db(self, tolerance_db):
        """The ratio of both is within ``tolerance_db`` of 0 dB."""
        return self.db_between(-tolerance_db, tolerance_db)

    def db_between(self, low_db, high_db):
        """First over second lies between ``low_db`` and ``high_db``."""
        return self._log_inside(low_db, high_db, 10 / math.log(10), "dB")

    def ratio_between(self, low, high):
        """First over second lies between ``low`` and ``high``."""
        gap, bottom, top = (math.exp(v) for v in intervals.log_ratio(self.a, self.b))
        return self._verdict(_inside(bottom, top, low, high), "ratio " + _text(gap, bottom, top))


def agreement(points, rel, floor=0.0):
    """Verdict on (x, exact, simulated, interval, family-wise interval) at every point."""
    if not points:
        return Verdict(None, "no common points")
    missed = [p for p in points if not p[4][0] <= p[1] <= p[4][1]]
    if any(math.isnan(p[4][0]) for p in points):
        return Verdict(None, "too few units for an interval")
    if missed:
        x, exact, value, _, (low, high) = missed[0]
        return Verdict(False, f"at x = {x:g}: {_text(value, low, high)}, exact {exact:.6g}")
    counted = [p for p in points if p[2] > 0 and p[1] >= floor]
    if not counted:
        return Verdict(None, "nothing was counted at any point")
    width, x = max(((p[3][1] - p[3][0]) / 2 / abs(p[1]), p[0]) for p in counted)
    text = f"{len(points)} points agree; widest interval +-{width:.1%} at x = {x:g}"
    return Verdict(True if width <= rel else None, text)
