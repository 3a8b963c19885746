"""Links that also travel as modules, here by TensorFlow itself: samples per second."""

import time

_FACTORS = (1, 8)
_MODES = {"graph": "graph", "xla": "XLA"}
_MAX_COUNT = 64


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
            for mode, word in _MODES.items():
                with plain_graphs(mode == "graph"):
                    seconds = _warm(_program(experiment, case, size, mode))
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


def _warm(run):
    """Seconds of a unit of ``run(count)`` after the first call, which compiles."""
    run(1)
    count = 1
    while True:
        start = time.perf_counter()
        run(count)
        seconds = time.perf_counter() - start
        if seconds > 0.5 or count == _MAX_COUNT:
            return seconds / count
        count = min(_MAX_COUNT, 4 * count)
