"""Implicit CSI, coded links and tuned surfaces: smoke runs of what stands on the precoders."""

import math

import pytest

from link_sims import runner
from link_sims.errors import UserError
from link_sims.papers.precoding import coded, common, implicit, surface


def run(experiment, out, **changes):
    config = experiment.resolve("smoke", changes)
    return runner.run(experiment, config, "smoke", out, execution="graph", quiet=True)


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(coded.coded, id="coded"),
        pytest.param(surface.surface, id="surface", marks=pytest.mark.slow),
    ],
)
def test_smoke_profile_runs(experiment, tmp_path):
    results, folder = run(experiment, tmp_path)
    assert (folder / "figure.png").stat().st_size > 1000
    for metric, curve in results.curves():
        for x in results.points(metric, curve):
            assert math.isfinite(results.value(metric, curve, x)), (metric, curve, x)


def test_shipped_implicit_csi(tmp_path):
    results, _ = run(implicit.implicit, tmp_path)

    def share(curve):
        return results.value(common.SHARE, curve, -10)

    assert share(implicit.BLOCKS) < share(implicit.JOINT) < share(implicit.REFIT) < 1


def test_training_of_implicit_csi(tmp_path):
    """A few steps of both trainings, weights and cards written."""
    small = {"mapping_filters": [8], "estimator_filters": [4], "num_ant": 8, "num_users": 2}
    _, folder = run(
        implicit.implicit, tmp_path, **small, retrain=True, num_steps=3, training_batch=4
    )
    names = {path.name for path in (folder / "weights").iterdir()}
    assert {"precoding-implicit-joint.json", "precoding-implicit-blocks.safetensors"} <= names


@pytest.mark.parametrize(
    "experiment, changes",
    [
        (implicit.implicit, {"num_ant": 64}),
        (coded.coded, {"num_coded_bits": 258}),
        (surface.surface, {"batch_size": 5}),
    ],
)
def test_wrong_values_are_refused(experiment, changes):
    with pytest.raises(UserError, match=next(iter(changes))):
        experiment.resolve("smoke", changes)
