"""Implicit CSI, coded links and tuned surfaces: smoke runs of what stands on the precoders."""

import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from link_sims.errors import UserError
from link_sims.papers.precoding import coded, common, implicit, implicit_training, surface
from link_sims.results.results import Results
from link_sims.runs import runner
from sionna_irs.precoding.black_box import CNNPrecoder, PilotCNNPrecoder


def run(experiment, out, **changes):
    config = experiment.resolve("smoke", changes)
    return runner.run(experiment, config, "smoke", out, execution="graph", quiet=True)


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(coded.coded, id="coded"),
        pytest.param(surface.surface, id="surface", marks=pytest.mark.slow),
        pytest.param(implicit_training.training, id="training", marks=pytest.mark.slow),
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
    assert share(implicit.BLACK_BOX) < share(implicit.JOINT)


def test_training_of_implicit_csi(tmp_path):
    """A few steps of all trainings, weights and cards written."""
    small = {"mapping_filters": [8], "estimator_filters": [4], "num_ant": 8, "num_users": 2,
             "cnn_width": 4}  # fmt: skip
    _, folder = run(
        implicit.implicit, tmp_path, **small, retrain=True, num_steps=3, training_batch=4
    )
    names = {path.name for path in (folder / "weights").iterdir()}
    assert names == {f"{w}.{s}" for w in implicit.WEIGHTS.values() for s in ("json", "safetensors")}


def test_black_box_from_pilots():
    """The network of a black box on channels, behind pilots that learn."""
    same = {"filters": [4, 3], "width": 5, "precision": "double"}
    pilots = irs.UserPilots(3, 3, trainable=True, precision="double")
    system, image = PilotCNNPrecoder(pilots, 3, **same), CNNPrecoder(3, 3, **same)
    for layer, other in zip(
        [*system.convolutions, *system.dense], [*image.convolutions, *image.dense], strict=True
    ):
        other.set_weights(layer.get_weights())
    h = irs.random.complex_normal([4, 3, 3], tf.complex128)
    irs.random.reset(7)
    with tf.GradientTape() as tape:
        v, rows = system(h, 0.1, sounding=True)
        loss = tf.reduce_sum(tf.square(tf.abs(v[:, 0])))
    irs.random.reset(7)
    y = pilots(h, 0.1)
    for found in (system(y, 0.1), image(y, 0.1), tf.linalg.adjoint(rows)):
        np.testing.assert_allclose(found, v, atol=1e-12)
    np.testing.assert_allclose(np.sum(np.abs(v) ** 2, (1, 2)), 1, rtol=1e-12)
    assert np.any(tape.gradient(loss, pilots.trainable_variables)[0])
    with pytest.raises(ValueError, match="num_ant = 0"):
        PilotCNNPrecoder(pilots, 0)


def test_claims_on_trainings():
    """Seed by seed at the end, and the end against four fifths of the steps."""
    shares = {
        implicit.JOINT: (0.4, 0.5),
        implicit.BLOCKS: (0.3, 0.3),
        implicit.BLACK_BOX: (0.5, 0.4),
    }
    records = [
        {"kind": "steps", "name": curve, "seed": seed, "first": last - 50, "last": last,
         "curves": [[common.SHARE, curve]], "values": [[10 * (share + 0.001 * seed), 10.0]]}
        for curve, ends in shares.items()
        for last, share in zip((50, 100), ends, strict=True)
        for seed in (1, 2, 3)
    ]  # fmt: skip
    experiment = implicit_training.training
    config = experiment.resolve("smoke", {"num_steps": 100})
    results = Results(experiment, config, records)
    found = {c.text: runner.judge(c, results).holds for c in experiment.claims}
    assert [found[f"learned as one ends above {w} with every seed"] for w in (
        implicit.BLOCKS, implicit.BLACK_BOX)] == [True, True]  # fmt: skip
    rising = [h for text, h in found.items() if "still rises" in text]
    assert rising == [True, None, False]


@pytest.mark.parametrize(
    "experiment, changes",
    [
        (implicit.implicit, {"num_ant": 64}),
        (implicit.implicit, {"cnn_width": 64}),
        (implicit_training.training, {"num_steps": 75}),
        (coded.coded, {"num_coded_bits": 258}),
        (surface.surface, {"batch_size": 5}),
    ],
)
def test_wrong_values_are_refused(experiment, changes):
    with pytest.raises(UserError, match=next(iter(changes))):
        experiment.resolve("smoke", changes)
