"""Every step and advance function of the registry compiles under XLA, backward too."""

import numpy as np
import pytest
from programs import programs

from link_sims.registry import all_experiments
from link_sims.runs import backend

# Without an entry here a function must compile. "NAME: PART" -> what its error says.
EXCEPTIONS = {}
# Those of the usual run: a sweep, a decoder, a tuning, a training; the others are slow.
USUAL = {
    "izosga/noisy-pilots",
    "precoding/calibrated-training",
    "quickstart",
    "theory/surface-gain",
}

EXPERIMENTS = {
    name: experiment
    for name, experiment in all_experiments().items()
    if experiment.sweep_run or experiment.recursions
}


@pytest.mark.parametrize(
    "name",
    [n if n in USUAL else pytest.param(n, marks=pytest.mark.slow) for n in EXPERIMENTS],
)
def test_compiles(name):
    experiment = EXPERIMENTS[name]
    changes = {"retrain": True} if "retrain" in experiment.config.model_fields else {}
    config = experiment.resolve("smoke", changes)
    backend.start(config)
    for program in programs(experiment, config, "xla"):
        reason = EXCEPTIONS.get(f"{name}: {program.name}")
        if reason is None:
            assert np.isfinite(program.run(1)).all(), program.name
        else:  # an exception that is none any more should go
            with pytest.raises(Exception, match=reason):
                program.run(1)


def test_lists_are_of_the_registry():
    assert USUAL <= set(EXPERIMENTS)
    assert {key.split(":")[0] for key in EXCEPTIONS} <= set(EXPERIMENTS)
