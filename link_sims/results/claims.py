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


def _more_units(low, value, high, bottom, top):
    """How many times the units would decide, by the square root law."""
    half = max(high - value, value - low)
    gap = min(abs(value - end) for end in (bottom, top))
    if not 0 < half < math.inf or not 0 < gap < math.inf:
        return ""
    factor = (half / gap) ** 2
    number = "more than 1000" if factor > 1000 else f"about {max(2, factor):.0f}"
    return f"; {number} times the units would decide"


def _db(value):
    return 10 * math.log10(value) if value > 0 else -math.inf


def _judged(low, value, high, bottom, top, few, unit="", what=""):
    """The verdict on a value whose interval should lie between two ends."""
    holds = _inside(low, high, bottom, top)
    more = _more_units(low, value, high, bottom, top) if holds is None else ""
    return Verdict(holds, what + _text(value, low, high, unit) + few + more)


@dataclasses.dataclass(frozen=True)
class Value:
    """A value with its interval; ``differing``: units that differ, where few make it rough."""

    value: float
    low: float
    high: float
    differing: int | None = None

    def within(self, value, tolerance) -> Verdict:
        """Within ``tolerance`` of ``value``."""
        return self.between(value - tolerance, value + tolerance)

    def between(self, bottom, top) -> Verdict:
        """Between ``bottom`` and ``top``."""
        return _judged(self.low, self.value, self.high, bottom, top, _few(self.differing))

    def within_db(self, value_db, tolerance_db) -> Verdict:
        """10 log10 of it within ``tolerance_db`` of ``value_db``."""
        low, value, high = (
            math.nan if math.isnan(v) else _db(v) for v in (self.low, self.value, self.high)
        )
        ends = value_db - tolerance_db, value_db + tolerance_db
        return _judged(low, value, high, *ends, _few(self.differing), "dB")

    def less(self, bound) -> Verdict:
        """Below ``bound``."""
        return self.between(-math.inf, bound)

    def greater(self, bound) -> Verdict:
        """Above ``bound``."""
        return self.between(bound, math.inf)


@dataclasses.dataclass(frozen=True)
class Paired:
    """Two curves at one point, unit by unit on the same draws."""

    a: list
    b: list

    def _judge(self, found, bottom, top, what, unit=""):
        """Of (value, low, high)."""
        value, low, high = found
        few = _few(intervals.differing_pairs(self.a, self.b))
        return _judged(low, value, high, bottom, top, few, unit, what)

    def less(self) -> Verdict:
        """The first is smaller."""
        found = intervals.difference(self.a, self.b)
        verdict = self._judge(found, -math.inf, 0.0, "difference ")
        # Curves that do not differ are neither: an interval that ends at zero decides nothing.
        return dataclasses.replace(verdict, holds=None) if 0.0 in found[1:] else verdict

    def greater(self) -> Verdict:
        """The first is larger."""
        return Paired(self.b, self.a).less()

    def within_db(self, tolerance_db) -> Verdict:
        """The ratio of both is within ``tolerance_db`` of 0 dB."""
        return self.db_between(-tolerance_db, tolerance_db)

    def db_between(self, low_db, high_db) -> Verdict:
        """First over second lies between ``low_db`` and ``high_db``."""
        found = (10 / math.log(10) * v for v in intervals.log_ratio(self.a, self.b))
        return self._judge(found, low_db, high_db, "gap ", "dB")

    def ratio_between(self, low, high) -> Verdict:
        """First over second lies between ``low`` and ``high``."""
        found = (math.exp(v) for v in intervals.log_ratio(self.a, self.b))
        return self._judge(found, low, high, "ratio ")


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
