"""Sweeps: keyed units, several at a time in one compiled loop, stopped in unit order."""

import math
import time

import numpy as np

from .results import gather_units, same_curves
from .stopping import stop

__all__ = ["UnitExecutor", "run_sweep"]

_SECONDS_PER_GROUP = 1.0
_MAX_FOLD = 64


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

        self.config, self.mode, self.static_x = config, mode, x
        self.curves, self._foldable = None, True
        self.fold = min(_MAX_FOLD, config.max_units)
        dtype = tf.float64 if config.precision == "double" else tf.float32
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

            buffer = tf.zeros([self.fold, len(self.curves), 2], tf.float64)
            return tf.while_loop(
                lambda i, _: i < count, body, (tf.constant(0), buffer),
                maximum_iterations=self.fold,
            )[1]  # fmt: skip

        self._group = tf.function(group, autograph=False, jit_compile=mode == "xla")
        self._single = tf.function(unit, autograph=False, jit_compile=True)

    def __call__(self, x, first, count):
        """Values [count, num_curves, 2] of the units first, ..., first + count - 1 at x."""
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


def run_sweep(experiment, config, folder, mode, trained, progress):
    """Simulate every point that the log does not yet settle.

    Returns
    -------
    float
        Seconds spent in units.
    """
    declared = experiment.sweep_run
    shared = None if declared.static else declared.builder(config, trained)
    executor, seconds = None, 0.0
    for x in getattr(config, declared.x):
        if any(r["kind"] == "failed" and r["x"] == x for r in folder.records):
            progress.point(x, config.max_units, config.max_units)
            continue
        curves, values = gather_units(folder.records).get(x, (None, np.zeros([0, 1, 2])))
        count, _ = _stop(experiment, config, curves, values)
        if count is None and declared.static:
            number = int(x) if float(x).is_integer() else x
            executor = UnitExecutor(
                declared.builder(config, trained, number), config, mode, x=number
            )
        elif count is None and executor is None:
            executor = UnitExecutor(shared, config, mode)
        seconds += _run_point(experiment, config, folder, executor, x, values, progress)
    return seconds


def _stop(experiment, config, curves, values):
    if curves is None:
        return None, "partial"
    return stop(values, config, [experiment.metric(metric).errors for metric, _ in curves])


def _run_point(experiment, config, folder, executor, x, values, progress):
    """Add groups of units to one point until it stops."""
    curves = gather_units(folder.records)[x][0] if len(values) else None
    seconds, fold = 0.0, 1
    progress.point(x, len(values), config.max_units)
    while True:
        if len(values) and _stop(experiment, config, curves, values)[0] is not None:
            progress.point(x, config.max_units, config.max_units)
            return seconds
        count = min(fold, config.max_units - len(values))
        start = time.perf_counter()
        new = executor(x, len(values), count)
        elapsed = time.perf_counter() - start
        seconds += elapsed
        if len(values):
            same_curves(curves, executor.curves, x)
        curves = executor.curves
        bad = np.argwhere(~np.isfinite(new))
        if len(bad):
            new = new[: bad[0][0]]
        if len(new):
            folder.append(
                {"kind": "units", "x": x, "first": len(values), "curves": curves,
                 "mode": executor.mode, "values": new.tolist()}
            )  # fmt: skip
        values = np.concatenate([values.reshape(-1, len(curves), 2), new])
        if len(bad):
            what = "/".join(curves[bad[0][1]])
            folder.append({"kind": "failed", "x": x, "unit": len(values), "what": what})
            progress.note(f"x = {x:g}: {what} is not finite in unit {len(values)}; point stopped")
            return seconds
        progress.point(x, len(values), config.max_units)
        # The first call of an executor compiles; its time says nothing about a unit's.
        per_unit = elapsed / count
        if count == 1 and elapsed > _SECONDS_PER_GROUP:
            fold = 2
        else:
            fold = max(1, min(executor.fold, 2 * fold, math.ceil(_SECONDS_PER_GROUP / per_unit)))
