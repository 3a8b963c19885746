"""The two kinds of program that travel: independent units of a sweep, windows of a training."""

import numpy as np
import tensorflow as tf

from ...runs import backend
from ...runs.recursion import Advance, begin
from ...runs.sweep import UnitExecutor, point_word
from .hook import lower, portable_tracing

__all__ = ["Training", "Units"]


class Units:
    """``(seed, point, unit, x, variables...) -> [outputs, 2]``: one unit per call.

    Parameters
    ----------
    experiment : Experiment
    case : Case
    size : int
        Batch size.

    Attributes
    ----------
    module : Module
    config : dict
        Of the experiment.
    entry : dict
        What the runner has to know.
    arrays : dict
        Name -> list of arrays that it needs, beside the variables.
    """

    def __init__(self, experiment, case, size):
        config = case.config(experiment, size)
        backend.start(config)
        executor = UnitExecutor(case.unit_step(experiment, config), config, "eager")
        self._function = tf.function(executor._unit, autograph=False, jit_compile=True)
        self._x = tf.constant(case.x, config.rdtype)
        self._words = config.seed, point_word(case.x)
        self.module = lower(self._function, self._arguments(0))
        self.config, self.arrays = config.model_dump(), {}
        self.entry = {
            "seed": config.seed, "point": self._words[1],
            "outputs": [[m, c, experiment.metric(m).errors] for m, c in executor.curves],
        }  # fmt: skip

    def _arguments(self, index):
        return [*(tf.constant(w, tf.int64) for w in (*self._words, index)), self._x]

    def expected(self, units):
        """TensorFlow's results [units, outputs, 2] of the first units."""
        return np.stack([self._function(*self._arguments(i)).numpy() for i in range(units)])


class Training:
    """``(first, count, state..., variables...) -> (state..., sums)``: steps per call.

    Parameters and attributes are those of :class:`Units`; the batch is the training's.
    """

    def __init__(self, experiment, case, size):
        config = case.config(experiment, size)
        backend.start(config)
        self._state, advance = begin(config, experiment.recursions[case.recursion], config.seed, [])
        with portable_tracing():
            stepper = Advance(advance, case.recursion, config.seed, self._state, "xla")
        self._function = stepper._window
        self.module = lower(self._function, self._arguments(1))
        self.config = config.model_dump()
        self.arrays = {"start": [v.numpy() for v in tf.nest.flatten(self._state)]}
        self.entry = {"outputs": [[m, c, False] for m, c in stepper.curves]}

    def _arguments(self, count):
        return [tf.constant(0, tf.int64), tf.constant(count, tf.int64), self._state]

    def expected(self, steps):
        """TensorFlow's sums [outputs, 2] over the first steps."""
        return self._function(*self._arguments(steps))[1].numpy()
