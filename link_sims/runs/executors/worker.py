"""What runs where units are computed: in this process, in one of a pool, in an actor of Ray.

A worker gets no live objects: it finds the experiment by its name, and is sent its configuration
and the trained states as arrays.
"""

import contextlib
import os
import pickle
import signal
import threading
import time
import traceback
from typing import NamedTuple

import numpy as np

from ...errors import UserError, explained

__all__ = ["Job", "Outcome", "Units", "Worker", "answer", "pack", "prepare"]


class Outcome(NamedTuple):
    """A finished group."""

    curves: list  # (metric, curve) names
    values: np.ndarray  # [count, num_curves, 2]
    seconds: float
    fresh: bool  # whether the call compiled: its time says nothing about a unit's
    mode: str
    device: str | None


class Units:
    """Computes groups of units; compiles a step once, or once for a point of a static sweep."""

    def __init__(self, experiment, config, mode, trained):
        self._sweep, self._config, self._mode = experiment.sweep_run, config, mode
        self._trained, self._executor, self._x, self._device = trained, None, None, None

    def __call__(self, x, first, count):
        """:class:`Outcome` of the units first, ..., first + count - 1 at x."""
        from sionna_irs.linalg import plain_graphs

        from .. import backend

        with plain_graphs(self._mode == "graph"):
            fresh = self._prepare(x)
            start = time.perf_counter()
            values = self._executor(x, first, count)
            seconds = time.perf_counter() - start
        if self._device is None:
            self._device = backend.device()
        curves = self._executor.curves
        return Outcome(curves, values, seconds, fresh, self._mode, self._device)

    def _prepare(self, x):
        """Have the step of a point at hand; whether it is a new one."""
        from sionna.phy import config as sionna_config

        from ..sweep import UnitExecutor

        static = self._sweep.static
        if self._executor is not None and (not static or self._x == x):
            return False
        # What a builder draws must not depend on what was computed before it in this process.
        sionna_config.seed = self._config.seed
        number = (int(x) if float(x).is_integer() else x) if static else None
        arguments = (self._config, self._trained, *([number] if static else []))
        step = self._sweep.builder(*arguments)
        self._executor = UnitExecutor(step, self._config, self._mode, x=number)
        self._x = x
        return True


class Job(NamedTuple):
    """What a worker must know; plain data, read without TensorFlow."""

    name: str  # of a registered experiment, or file.py:object
    config: dict
    execution: str
    trained: bytes


def pack(name, config, execution, trained):
    """The :class:`Job` of a sweep.

    Raises
    ------
    UserError
        When the trained states are of types that no other process knows.
    """
    if trained:
        import tensorflow as tf

        trained = tf.nest.map_structure(np.asarray, trained)
    try:
        # Bytes, because the types within may be those of the user's file: it is loaded first.
        states = pickle.dumps(trained)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"workers: the trained states cannot be sent to other processes ({error}); "
            "use dictionaries, lists and tuples of tensors, or one worker"
        ) from None
    return Job(name, config.model_dump(), execution, states)


class Worker:
    """One worker: starts TensorFlow and finds the experiment when the first group comes.

    Parameters
    ----------
    job : Job
    environment : dict
        Variables that TensorFlow reads when it starts.
    """

    def __init__(self, job, environment):
        from .. import compile_cache

        os.environ.update(environment)
        compile_cache.adopt()
        self._job, self._units = job, None

    def answer(self, x, first, count):
        """:class:`Outcome` of a group, or the exception that it raised."""
        try:
            if self._units is None:
                self._units = self._load()
            return self._units(x, first, count)
        except Exception as error:
            return _portable(error)

    def _load(self):
        from ...registry import find
        from .. import backend

        experiment = find(self._job.name)
        config = experiment.resolve("cpu", self._job.config)
        backend.start(config)
        import tensorflow as tf

        mode = backend.choose_execution(self._job.execution, experiment)
        trained = tf.nest.map_structure(tf.constant, pickle.loads(self._job.trained))
        return Units(experiment, config, mode, trained)


def _portable(error):
    """An exception that another process can read, with the place where it was raised as a note."""
    line = explained(error)
    if line is not None:
        return UserError(line)
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a worker:\n{text}")
    return error


_worker = None


def prepare(job, environment, driver):
    """First call in a new process of a pool.

    Parameters
    ----------
    job : Job
    environment : dict
    driver : multiprocessing.connection.Connection
        It closes when the worker is to end, and when the driver died.
    """
    global _worker
    # Ctrl-C is the driver's. A group of its own also ends with the worker's children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setpgrp()
    threading.Thread(target=_end_with, args=(driver,), daemon=True).start()
    _worker = Worker(job, environment)


def _end_with(driver):
    with contextlib.suppress(EOFError, OSError):
        driver.recv()
    os.killpg(os.getpgrp(), signal.SIGKILL)


def answer(x, first, count):
    """:meth:`Worker.answer` of this process."""
    return _worker.answer(x, first, count)
