"""Every step and advance function of an experiment, to be compiled and timed one by one."""

from collections.abc import Callable
from typing import NamedTuple

from link_sims.runs.executors.worker import Units
from link_sims.runs.recursion import Advance, begin

__all__ = ["Program", "programs"]


class Program(NamedTuple):
    """A function that a run compiles.

    Parameters
    ----------
    name : str
        Of the recursion, or "sweep".
    run : callable
        ``run(count)`` computes so many steps or units in one call, and returns their values when
        they are there. The first call compiles.
    total : int
        Steps or units of a whole run, at most.
    compilations : int
        How often a run compiles it.
    """

    name: str
    run: Callable
    total: int
    compilations: int


def programs(experiment, config, mode):
    """The functions that a run would compile, without running it.

    A recursion stands at its start, and the sweep gets the start of every recursion as if it had
    been trained; its point is the last one.

    Parameters
    ----------
    experiment : Experiment
    config : Config
    mode : "graph" or "xla"

    Yields
    ------
    Program
    """
    trained = {}
    for name, recursion in experiment.recursions.items():
        before = [] if recursion.after is None else [trained[recursion.after][0]]
        state, advance = begin(config, recursion, config.seed, before)
        trained[name] = [state] * recursion.seeds
        total = recursion.seeds * getattr(config, recursion.length)
        if total:  # shipped weights need no training
            run = _window(Advance(advance, name, config.seed, state, mode), state)
            yield Program(name, run, total, recursion.seeds)
    if experiment.sweep_run is not None:
        points = getattr(config, experiment.sweep_run.x)
        run = _units(Units(experiment, config, mode, trained), points[-1])
        compilations = len(points) if experiment.sweep_run.static else 1
        yield Program("sweep", run, len(points) * config.max_units, compilations)


def _window(advance, state):
    import numpy as np

    return lambda count: np.asarray(advance(state, 0, count)[1])


def _units(units, x):
    return lambda count: units(x, 0, count).values
