"""What a run has found: values, intervals, comparisons, from the log alone."""

import csv
import io
import math

import numpy as np

from ..errors import UserError
from . import intervals, shares
from .claims import Paired, Value, Verdict, agreement
from .shares import Trials
from .stopping import stop

__all__ = ["Results"]

COLUMNS = (
    "metric", "curve", "x", "value", "ci_low", "ci_high", "numerator", "denominator", "units",
    "status",
)  # fmt: skip


class Results:
    """Curves of one run.

    Parameters
    ----------
    experiment : Experiment
    config : Config
    records : list of dict
        From the run folder's log.
    """

    def __init__(self, experiment, config, records):
        self.experiment, self.config = experiment, config
        self.exact = {}  # (metric, curve) -> {x: value}
        self.units = {}  # (metric, curve) -> {x: [(num, den), ...]} that count
        self.status = {}  # x -> status of a swept point
        self._over_seeds = set()  # curves over which the units are seeds
        self._dispersions = {}  # (metric, curve) -> Dispersion, where it was asked for
        self._read_tables(records)
        self._read_units(records)
        self._read_steps(records)

    def _read_tables(self, records):
        for record in records:
            if record["kind"] == "table":
                for entry in record["rows"]:
                    curve = self.exact.setdefault((entry["metric"], entry["curve"]), {})
                    curve[entry["x"]] = entry["value"]

    def _read_units(self, records):
        found = gather_units(records)
        swept = self.experiment.sweep_run
        # Workers finish points in any order; the order of the curves is that of the axis.
        points = [x for x in getattr(self.config, swept.x) if x in found] if swept else []
        for x in dict.fromkeys([*points, *found]):
            curves, values = found[x]
            errors = [self.experiment.metric(metric).errors for metric, _ in curves]
            count, self.status[x] = stop(values, self.config, errors)
            for index, curve in enumerate(curves):
                pairs = values[:count, index].tolist()
                self.units.setdefault(tuple(curve), {})[x] = [tuple(pair) for pair in pairs]
        for record in records:
            if record["kind"] == "failed":
                self.status[record["x"]] = f"nonfinite: {record['what']}"

    def _read_steps(self, records):
        for record in gather_steps(records).values():
            for curve, pair in zip(record["curves"], record["values"], strict=True):
                curve = tuple(curve)
                self._over_seeds.add(curve)
                # Numbers, or one of each for every replica.
                pairs = np.reshape(pair, [2, -1]).T
                if np.any(pairs[:, 1]):  # else the curve has nothing to say in this window
                    points = self.units.setdefault(curve, {})
                    units = points.setdefault(record["last"], [])
                    units.extend(tuple(pair) for pair in pairs.tolist())

    def curves(self, metric=None):
        """(metric, curve) names, simulated ones first."""
        names = [*self.units, *(c for c in self.exact if c not in self.units)]
        return [c for c in names if metric is None or c[0] == metric]

    def metrics(self):
        """Names of the metrics, in the order of their curves."""
        return list(dict.fromkeys(metric for metric, _ in self.curves()))

    def points(self, metric, curve):
        """The x of a curve in ascending order."""
        points = {**self.exact.get((metric, curve), {}), **self.units.get((metric, curve), {})}
        return sorted(points, key=lambda x: -math.inf if x is None else x)

    def _find(self, metric, curve, x):
        for table in (self.units, self.exact):
            points = table.get((metric, curve), {})
            if x in points:
                return points[x]
        known = ", ".join(f"{m}/{c}" for m, c in self.curves(metric)) or "none"
        raise UserError(f"no result for {metric}/{curve} at x = {x}; the curves are: {known}")

    def value(self, metric, curve, x):
        """Numerator over denominator, or the exact value; NaN when nothing was simulated."""
        found = self._find(metric, curve, x)
        if not isinstance(found, list):
            return found
        numerator, denominator = intervals.total(found)
        return numerator / denominator if denominator else math.nan

    def interval(self, metric, curve, x, level=intervals.LEVEL):
        """(low, high) at a confidence level; an exact value is its own interval."""
        units = self._find(metric, curve, x)
        if not isinstance(units, list):
            return units, units
        kind = self.experiment.metric(metric)
        if self.is_share(metric, curve):
            return shares.interval(units, self.trials(metric, curve, x, level).n_eff, level)
        none = kind.errors and intervals.total(units)[0] == 0
        if none and (metric, curve) not in self._over_seeds:
            return 0.0, intervals.binomial(0, self._bound(kind, curve, x, units), level)[1]
        low, high = intervals.ratio(units, level)
        if kind.range is not None and not math.isnan(low):
            low, high = max(low, kind.range[0]), min(high, kind.range[1])
        return low, high

    def is_share(self, metric, curve):
        """Whether a curve was counted, errors over trials; over seeds it shows their spread."""
        counted = (metric, curve) in self.units and (metric, curve) not in self._over_seeds
        return counted and self.experiment.metric(metric).interval == "binomial"

    def _dispersion(self, metric, curve):
        key = metric, curve
        if key not in self._dispersions:
            self._dispersions[key] = shares.dispersion(self.units[key].values())
        return self._dispersions[key]

    def depends(self, metric, curve):
        """Whether the units of a share are more dispersed than independent trials, and count so."""
        independent = self.experiment.metric(metric).independent
        return independent != "blocks" and self._dispersion(metric, curve).significant

    def _clustered(self, metric, curve):
        """Whether the trials of a unit count as dependent."""
        units = self.experiment.metric(metric).independent == "units"
        return units or self.depends(metric, curve)

    def _bound(self, kind, curve, x, units):
        """What trials count as at most where few units hold an error."""
        inner = kind.trials, curve
        found = self.units.get(inner, {}).get(x)
        if found is None or (self.is_share(*inner) and self._clustered(*inner)):
            return len(units)
        return intervals.total(found)[1]

    def trials(self, metric, curve, x, level=intervals.LEVEL):
        """What the trials of a share count as, for an interval at a confidence level.

        Returns
        -------
        Trials
            ``n`` counted, ``n_eff`` independent ones that they weigh as much as, the dispersion
            ``phi`` of the units along the curve, the correlation ``rho`` of trials of a unit.

        Raises
        ------
        UserError
            When there is no such result, or it is no share of trials.
        """
        units = self._find(metric, curve, x)
        if not isinstance(units, list) or not self.is_share(metric, curve):
            raise UserError(f"{metric}/{curve} at x = {x}: no share of simulated trials")
        n, spread = intervals.total(units)[1], self._dispersion(metric, curve)
        n_eff = n
        if n and self._clustered(metric, curve):
            bound = self._bound(self.experiment.metric(metric), curve, x, units)
            n_eff = shares.effective(units, spread, level, bound)
        return Trials(n, n_eff, spread.phi, spread.rho)

    def at(self, metric, curve, x) -> Value:
        """A value with its interval, to be judged: ``.within(value, tolerance)`` and the like.

        ``x`` is a point, or (first, last): the mean over the points first < x <= last, such as
        the iterations of a recursion.
        """
        if not isinstance(x, tuple):
            return Value(self.value(metric, curve, x), *self.interval(metric, curve, x))
        units = self.over(metric, curve, x)
        total, count = intervals.total(units)
        return Value(total / count, *intervals.ratio(units))

    def over(self, metric, curve, x):
        """(numerator, denominator) of every unit at ``x``, or summed from first to last."""
        if not isinstance(x, tuple):
            return self._find(metric, curve, x)
        first, last = x
        points = [point for point in self.points(metric, curve) if first < point <= last]
        if not points:
            raise UserError(f"no result for {metric}/{curve} from {first:g} to {last:g}")
        units = zip(*(self._find(metric, curve, point) for point in points), strict=True)
        return [tuple(map(sum, zip(*unit, strict=True))) for unit in units]

    def paired(self, metric, a, b, x) -> Paired:
        """Two curves on the same draws, to be compared: ``.less()``, ``.within_db(0.1)``."""
        return Paired(*(self.over(metric, curve, x) for curve in (a, b)))

    def difference(self, metric, a, b, x, b_x=None) -> Value:
        """The first curve minus the second on the same draws (there at ``b_x``), to be judged."""
        units = self.over(metric, a, x), self.over(metric, b, x if b_x is None else b_x)
        if not any(isinstance(value, list) for value in units):
            return Value(*[units[0] - units[1]] * 3)
        return Value(*intervals.difference(*units), intervals.differing_pairs(*units))

    def ratio(self, metric, a, b, x) -> Value:
        """The first curve over the second on the same draws, to be judged."""
        units = self.over(metric, a, x), self.over(metric, b, x)
        if not any(isinstance(value, list) for value in units):
            return Value(*[units[0] / units[1]] * 3)
        found = (math.exp(value) for value in intervals.log_ratio(*units))
        return Value(*found, intervals.differing_pairs(*units))

    def crossing(self, metric, curve, target) -> Value:
        """The x at which a simulated curve crosses ``target``, to be judged like :meth:`at`."""
        units, log = self._simulated(metric, curve), self._log(metric)
        return _crossed(*intervals.where_crossed(units, target, log))

    def shift(self, metric, a, b, target) -> Value:
        """How much larger the crossing of the first curve is, on the same draws."""
        curves = (self._simulated(metric, curve) for curve in (a, b))
        return _crossed(*intervals.gap_of_crossings(*curves, target, self._log(metric)))

    def _simulated(self, metric, curve):
        return self.units.get((metric, curve)) or self._find(metric, curve, "any")

    def _log(self, metric):
        """Whether a metric is drawn over a logarithm."""
        kind = self.experiment.metric(metric)
        return kind.db or kind.scale == "log"

    def agrees(self, metric, simulated, theory, rel=0.25, floor=0.0) -> Verdict:
        """Whether a simulated curve covers an exact one at every point they share.

        The intervals hold together at the level 1 - 1e-4; undecided while a 95 % interval is
        wider than ``rel`` times the exact value on one side. Points without any error, and exact
        values below ``floor``, are asked to be covered but not to be that precise.
        """
        points = [x for x in self.points(metric, simulated) if x in
                  self.exact.get((metric, theory), {})]  # fmt: skip
        return agreement(
            [
                (
                    x,
                    self.value(metric, theory, x),
                    self.value(metric, simulated, x),
                    self.interval(metric, simulated, x),
                    self.interval(metric, simulated, x, 1 - 1e-4 / len(points)),
                )
                for x in points
            ],
            rel,
            floor,
        )

    def rows(self):
        """One dictionary per (metric, curve, x): the columns of ``results.csv``."""
        rows = []
        swept = self.experiment.sweep_run
        wanted = getattr(self.config, swept.x) if swept else []
        for metric, curve in self.curves():
            units = self.units.get((metric, curve), {})
            exact = self.exact.get((metric, curve), {})
            extra = wanted if units and (metric, curve) not in self._over_seeds else []
            for x in sorted({*units, *exact, *extra}, key=lambda x: -math.inf if x is None else x):
                rows.append(self._row(metric, curve, x, units, exact))
        return rows

    def _row(self, metric, curve, x, units, exact):
        row = dict.fromkeys(COLUMNS, math.nan)
        row.update(metric=metric, curve=curve, x=math.nan if x is None else x, units=0)
        if x in units:
            low, high = self.interval(metric, curve, x)
            numerator, denominator = intervals.total(units[x])
            row.update(
                value=self.value(metric, curve, x), ci_low=low, ci_high=high,
                numerator=numerator, denominator=denominator, units=len(units[x]),
                status="done" if (metric, curve) in self._over_seeds else self.status[x],
            )  # fmt: skip
        elif x in exact:
            row.update(value=exact[x], status="exact")
        else:
            row.update(status=self.status.get(x, "not simulated"))
        return row

    def csv(self):
        """The text of ``results.csv``."""
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in self.rows():
            for key in ("numerator", "denominator"):
                if not math.isnan(row[key]) and float(row[key]).is_integer():
                    row[key] = int(row[key])
            writer.writerow(row)
        return out.getvalue()


def _crossed(value, influences):
    return Value(*intervals.interval_of(value, influences), intervals.differing(influences))


def gather_units(records):
    """{x: (curves, values [units, curves, 2])} of a log, in unit order, without gaps.

    Raises
    ------
    UserError
        When the groups of one point name different curves.
    """
    groups = {}
    for record in records:
        if record["kind"] == "units":
            groups.setdefault(record["x"], {}).setdefault(record["first"], record)
    found = {}
    for x, by_first in groups.items():
        values, curves = [], None
        for first in sorted(by_first):
            record = by_first[first]
            if first > len(values):
                break  # a gap: nothing beyond it counts
            if curves is not None:
                same_curves(curves, record["curves"], x)
            values.extend(record["values"][len(values) - first :])
            curves = record["curves"]
        found[x] = curves, np.asarray(values, float)
    return found


def same_curves(logged, new, x):
    """Refuse to add units to those of other curves: values are matched by position.

    The configuration does not tell: an edited step has the same one.
    """
    logged, new = (["/".join(curve) for curve in curves] for curves in (logged, new))
    if logged != new:
        raise UserError(
            f"x = {x:g}: the log holds the curves {', '.join(logged)}, the experiment now gives "
            f"{', '.join(new)}; its code has changed: give another --out"
        )


def gather_steps(records):
    """{(name, seed, first): record} of the recursions; the first record of a window wins."""
    found = {}
    for record in records:
        if record["kind"] == "steps":
            found.setdefault((record["name"], record["seed"], record["first"]), record)
    return dict(sorted(found.items()))


def window_ends(records, name, seed):
    """Steps at which the logged windows of a recursion end, from 0 on without gaps; 0 included."""
    windows = {
        record["first"]: record["last"]
        for record in records
        if record["kind"] == "steps" and (record["name"], record["seed"]) == (name, seed)
    }
    ends = [0]
    while ends[-1] in windows:
        ends.append(windows[ends[-1]])
    return ends
