"""Links that also travel as modules, here by TensorFlow itself: samples per second."""

from ...runs.timing import timed
from .executions import MODES

_FACTORS = (1, 8)


def links():
    """Samples per second of the exported cases, in graphs and in XLA, two batch sizes each."""
    from link_sims.bench.export.cases import CASES
    from link_sims.registry import find
    from sionna_irs.linalg import plain_graphs

    found = {}
    for name, case in CASES.items():
        experiment = find(case.experiment)
        for size in (factor * case.batch_size for factor in _FACTORS):
            samples, what = (1, "steps") if case.recursion else (size, case.what)
            for mode, word in MODES.items():
                with plain_graphs(mode == "graph"):
                    _, seconds = timed(_program(experiment, case, size, mode))
                found[f"{name}, batch {size}, {word}"] = samples / seconds, f"{what}/s"
    return found


def _program(experiment, case, size, mode):
    """``run(count)`` computes so many units, or steps of the training."""
    from link_sims.runs import backend
    from link_sims.runs.recursion import Advance, begin
    from link_sims.runs.sweep import UnitExecutor

    config = case.config(experiment, size)
    backend.start(config)
    if not case.recursion:
        executor = UnitExecutor(case.unit_step(experiment, config), config, mode)
        return lambda count: executor(case.x, 0, count)
    state, advance = begin(config, experiment.recursions[case.recursion], config.seed, [])
    stepper = Advance(advance, case.recursion, config.seed, state, mode)
    return lambda count: stepper(state, 0, count)[1].numpy()
