"""Learned links over two surfaces: smoke runs, training, shipped weights."""

import numpy as np
import pytest
import tensorflow as tf

import link_sims
import sionna_irs as irs
from link_sims.papers.double import ser, ser_training
from link_sims.runs.runner import judge
from link_sims.training import training as trainer

pytestmark = pytest.mark.filterwarnings("ignore:surface_input = 'received")


def smoke(experiment, tmp_path, **changes):
    config = experiment.resolve("smoke", changes)
    return link_sims.run(experiment, config, "smoke", tmp_path, quiet=True)


def test_smoke_profile_runs_nothing_contradicts_and_the_leak_is_found(tmp_path):
    results, folder = smoke(ser.ser, tmp_path)
    assert (folder / "figure.png").stat().st_size > 5_000
    for claim in ser.ser.claims:
        assert not judge(claim, results).contradicts(claim.expect), claim.text
    report = ser.guarded(results, ser.APPARENT, ser.PUBLISHED, 15, ser.ABLATION)
    assert report.leaks and "below the ML bound" in report.reason
    assert "without the received signal" in report.reason
    assert not ser.guarded(results, ser.metric(16), ser.CSI, 15).leaks


def test_training_lowers_the_loss_and_weights_survive_their_file(tmp_path):
    cfg = ser.ser.resolve(
        "smoke",
        {"retrain": True, "num_steps": 60, "pool_size": 200, "training_batch": 256,
         "peak_rate": 1e-2, "num_filters": 8, "num_surface_filters": 8},
    )  # fmt: skip
    link = ser.LINKS[16, ser.CSI]
    irs.random.install()
    irs.random.reset(irs.random.stream_key(1))
    start, advance = ser.block_training(cfg, link, "csi")
    state, losses = start(), []
    step = tf.function(advance, autograph=False)
    for t in range(60):
        irs.random.reset(irs.random.stream_key(1, t))
        state, sums = step(state, tf.constant(t, tf.int64))
        losses.append(float(sums[ser.WORD, "csi"][0]))
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.05
    trained = ser.ser.shipped[link.weights](cfg, {"csi": [state]})
    irs.weights.save(trained, tmp_path, "link", {})
    loaded = irs.weights.load("link", tmp_path)
    for new, old in zip(loaded.weights, trainer.assign(trained, state).weights, strict=True):
        np.testing.assert_array_equal(new, old)
    assert loaded.gains["s1"].numpy() < 1e-3  # calibrated: a path gain


def test_static_link_starts_from_the_statistical_phases():
    cfg = ser.ser.resolve("smoke")
    link = ser.build(cfg, ser.LINKS[16, ser.LEARNED])
    wanted = irs.StatisticalPhases(link.channel).phases
    for name, surface in link.channel.surfaces.items():
        np.testing.assert_allclose(surface.control, wanted[name], atol=1e-5)
        assert surface.control.trainable


def test_block_lengths_fold_the_same_channels():
    cfg = ser_training.blocks.resolve("smoke")
    trained = {}
    for curve in ser_training.TRAININGS:
        start, _ = ser_training.blocks.recursions[curve].builder(cfg, 1)
        trained[curve] = [start()]
    step = ser_training.blocks.sweep_run.builder(cfg, trained)
    sums = step(cfg.batch_size, tf.constant(15.0))
    assert len(sums) == len(ser_training.TRAININGS) + 1
    for errors, count in sums.values():
        assert count == cfg.batch_size and int(errors) > 0.7 * count  # untrained


@pytest.mark.slow
def test_smoke_profile_of_the_trainings_runs(tmp_path):
    results, _ = smoke(ser_training.blocks, tmp_path)
    for claim in ser_training.blocks.claims:
        assert not judge(claim, results).contradicts(claim.expect), claim.text


@pytest.mark.parametrize("changes", [{"num_elements": 9}, {"num_tx_ant": 2}])
def test_shipped_weights_refuse_another_channel(changes):
    with pytest.raises(link_sims.UserError, match="retrain = true"):
        ser.ser.resolve("smoke", changes)
