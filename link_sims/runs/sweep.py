"""Sweeps: keyed units, several at a time in one compiled loop, stopped in unit order."""

import math
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from ..results.results import gather_units, same_curves
from ..results.stopping import Stopping

__all__ = ["Swept", "UnitExecutor", "run_sweep"]

_SECONDS_PER_GROUP = 1.0
_MAX_FOLD = 64
# Groups of a point, in units of the executor's capacity, that may lie beyond its first missing one.
_AHEAD = 4


class UnitExecutor:
    """Computes units of a point, given by their keys; the one place where a step is compiled.

    Parameters
    ----------
    step : callable
        ``step(batch_size, x) -> {(metric, curve): (numerator, denominator)}``.
    config : Config
    mode : "graph", "xla" or "eager"
    x : float or None
        A number makes x a constant of the step; with None it is a tensor argument.
    """

    def __init__(self, step, config, mode, x=None):
        import tensorflow as tf

        from sionna_irs import random
        from sionna_irs.layer import to_dtype

        self._step, self.config, self.mode, self.static_x = step, config, mode, x
        self.curves, self._foldable = None, True
        dtype = config.rdtype
        self._x_dtype = dtype

        def unit(seed, point, index, x):
            random.reset(random.stream_key(seed, point, index))
            x = self.static_x if self.static_x is not None else x
            outcome = step(config.batch_size, x)
            self.curves = [tuple(curve) for curve in outcome]
            pairs = [[to_dtype(v, tf.float64) for v in pair] for pair in outcome.values()]
            return tf.stack([tf.stack(pair) for pair in pairs])

        self._unit = unit
        if mode == "eager":
            return
        words = [tf.TensorSpec([], tf.int64)] * 3
        traced = tf.function(unit, autograph=False).get_concrete_function(
            *words, tf.TensorSpec([], dtype)
        )

        def group(seed, point, first, count, x):
            def body(i, buffer):
                values = traced(seed, point, first + tf.cast(i, tf.int64), x)
                return i + 1, tf.tensor_scatter_nd_update(buffer, [[i]], [values])

            buffer = tf.zeros([_MAX_FOLD, len(self.curves), 2], tf.float64)
            return tf.while_loop(
                lambda i, _: i < count, body, (tf.constant(0), buffer),
                maximum_iterations=_MAX_FOLD,
            )[1]  # fmt: skip

        self._group = tf.function(group, autograph=False, jit_compile=mode == "xla")
        self._single = tf.function(unit, autograph=False, jit_compile=True)

    def __call__(self, x, first, count):
        """Values [count, num_curves, 2] of the units first, ..., first + count - 1 at x.

        Raises
        ------
        UserError
            When a unit does not fit into memory; the text names a size that does.
        """
        import tensorflow as tf

        try:
            return self._compute(x, first, count)
        except tf.errors.ResourceExhaustedError:
            size = self._fitting(x)
        hint = f"batch_size = {size} does" if size else "nor does batch_size = 1"
        raise UserError(
            f"batch_size = {self.config.batch_size}: a unit does not fit into memory; {hint}"
        )

    def _fitting(self, x):
        """The batch size, halved as often as it takes, of which a unit fits; 0 if none does."""
        import tensorflow as tf

        size = self.config.batch_size // 2
        while size:
            config = self.config.model_copy(update={"batch_size": size})
            try:
                UnitExecutor(self._step, config, self.mode, self.static_x)._compute(x, 0, 1)
                break
            except tf.errors.ResourceExhaustedError:
                size //= 2
        return size

    def _compute(self, x, first, count):
        import tensorflow as tf

        # The value, not the index, names the point: points added later leave old ones unchanged.
        words = [tf.constant(w, tf.int64) for w in (self.config.seed, point_word(x), first)]
        x = tf.constant(0.0 if self.static_x is not None else x, self._x_dtype)
        if self.mode == "eager":
            return self._one_by_one(self._unit, words, count, x)
        if not self._foldable:
            return self._one_by_one(self._single, words, count, x)
        try:
            return self._group(*words, tf.constant(count), x).numpy()[:count]
        except tf.errors.InvalidArgumentError:
            if self.mode != "xla":
                raise
            # XLA loses sight of constants that Sionna's LDPC decoder needs at compile time when
            # its loop lies within ours; on its own the unit compiles.
            self._foldable = False
            return self._one_by_one(self._single, words, count, x)

    @staticmethod
    def _one_by_one(unit, words, count, x):
        values = [unit(words[0], words[1], words[2] + i, x) for i in range(count)]
        return np.stack([v.numpy() for v in values])


def point_word(x):
    """The integer that names a point in the keys: thousandths."""
    return round(1000 * x)


class Swept(NamedTuple):
    """What a sweep took: seconds spent in units, summed over workers; how and where they ran."""

    seconds: float = 0.0
    mode: str | None = None
    device: str | None = None


def run_sweep(experiment, config, folder, executor, progress):
    """Simulate every point that the log does not yet settle.

    Up to ``executor.capacity`` groups are in flight, at several points. Groups may finish in any
    order: the log takes them in unit order, and what lies beyond a stop is dropped.

    Returns
    -------
    Swept
    """
    points = _open_points(experiment, config, folder, progress)
    swept, flying = Swept(), 0
    while any(point.open for point in points.values()):
        while flying < executor.capacity:
            point = _choose(points.values(), executor.capacity)
            if point is None:
                break
            executor.submit(*point.claim())
            flying += 1
        (x, first, _), outcome = executor.collect()
        flying -= 1
        swept = Swept(swept.seconds + outcome.seconds, outcome.mode, outcome.device)
        points[x].take(first, outcome)
    return swept


def _open_points(experiment, config, folder, progress):
    """{x: point} of those that need more units."""
    logged = gather_units(folder.records)
    failed = {r["x"] for r in folder.records if r["kind"] == "failed"}
    points = {}
    for x in getattr(config, experiment.sweep_run.x):
        curves, values = logged.get(x, (None, np.zeros([0, 1, 2])))
        point = _Point(experiment, config, folder, progress, x, curves, values)
        if x in failed:
            point.settle()
        if point.open:
            points[x] = point
    return points


def _choose(points, capacity):
    """The point that is to get a group: the one with the fewest in flight, else the first.

    So workers spread over the points, which compiles little and computes little beyond a stop,
    and gather at the last ones.
    """
    able = [point for point in points if point.can_take(capacity)]
    return min(able, key=lambda point: point.flying, default=None)


class _Point:
    """One point of a sweep: units in order, and groups that came before their turn."""

    def __init__(self, experiment, config, folder, progress, x, curves, values):
        self._experiment, self._config = experiment, config
        self._folder, self._progress = folder, progress
        self.x, self._curves, self._stopping = x, None, None
        self.open, self.flying = True, 0
        self._next, self._fold, self._early = len(values), 1, {}
        if len(values):
            self._judge(curves, values)

    @property
    def _count(self):
        """Units that are logged."""
        return 0 if self._stopping is None else self._stopping.count

    def can_take(self, capacity):
        """Whether units are left to be computed, and not too many wait for those before them."""
        waiting = self.flying + len(self._early)
        return self.open and self._next < self._config.max_units and waiting < _AHEAD * capacity

    def claim(self):
        """(x, first, count) of the next group."""
        first = self._next
        self._show()
        self._next = min(first + self._fold, self._config.max_units)
        self.flying += 1
        return self.x, first, self._next - first

    def take(self, first, outcome):
        """Add a finished group, and the groups that waited for it."""
        self.flying -= 1
        if not self.open:
            return
        self._early[first] = outcome
        self._adapt(outcome)
        while self.open and self._count in self._early:
            self._append(self._early.pop(self._count))
        if self.open:
            self._show()

    def settle(self):
        """Nothing more is needed."""
        self.open, self._early = False, {}
        self._progress.point(self.x, self._config.max_units, self._config.max_units)

    def _show(self):
        self._progress.point(self.x, self._count, self._config.max_units)

    def _append(self, outcome):
        """Log a group; judge the point; a value that is not finite ends it."""
        new, curves, first = outcome.values, outcome.curves, self._count
        if first:
            same_curves(self._curves, curves, self.x)
        bad = np.argwhere(~np.isfinite(new))
        if len(bad):
            new = new[: bad[0][0]]
        if len(new):
            self._folder.append(
                {"kind": "units", "x": self.x, "first": first, "curves": curves,
                 "mode": outcome.mode, "values": new.tolist()}
            )  # fmt: skip
            self._judge(curves, new)
        if len(bad) and self.open:
            self._fail("/".join(curves[bad[0][1]]))

    def _judge(self, curves, units):
        """Settle the point if its units suffice with these."""
        if self._stopping is None:
            errors = [self._experiment.metric(metric).errors for metric, _ in curves]
            self._curves, self._stopping = curves, Stopping(self._config, errors)
        if self._stopping.add(units)[0] is not None:
            self.settle()

    def _fail(self, what):
        unit = self._count
        self._folder.append({"kind": "failed", "x": self.x, "unit": unit, "what": what})
        self._progress.note(f"x = {self.x:g}: {what} is not finite in unit {unit}; point stopped")
        self.settle()

    def _adapt(self, outcome):
        """The number of units of the next groups: about a second's worth."""
        count, wanted = len(outcome.values), max(2, self._fold)
        if not outcome.fresh:
            wanted = math.ceil(_SECONDS_PER_GROUP * count / outcome.seconds)
        # A small group that came late says nothing against the larger ones after it.
        self._fold = max(1, min(_MAX_FOLD, max(self._fold, 2 * count), wanted))
