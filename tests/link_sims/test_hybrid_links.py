"""Feedback, coded streams, 3GPP channels and a surface behind hybrid beamforming."""

import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from link_sims.errors import UserError
from link_sims.papers.coded_downlink import coded_downlink, coded_streams
from link_sims.papers.hybrid import cdl, coded, common, feedback, surface
from link_sims.runs import runner


def reset(seed=1):
    irs.random.install()
    irs.random.reset(irs.random.stream_key(seed))


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(e, id=e.name)
        for e in (feedback.feedback, coded.coded, cdl.cdl, surface.surface)
    ],
)
def test_smoke_profile_runs(experiment, tmp_path):
    config = experiment.resolve("smoke", {})
    results, folder = runner.run(
        experiment, config, "smoke", tmp_path, execution="graph", quiet=True
    )
    assert (folder / "figure.png").stat().st_size > 1000
    for metric, curve in results.curves():
        for x in results.points(metric, curve):
            assert math.isfinite(results.value(metric, curve, x)), (metric, curve, x)


def test_bits_of_paths_are_those_of_the_experiment():
    channel = common.new_channel(feedback.feedback.resolve("cpu"))
    for num_bits, split in feedback.PATH_BITS.items():
        assert irs.PathFeedback(channel, *split).num_bits == num_bits


def test_learned_bits_are_trained_where_they_are_asked_for():
    config = feedback.feedback.resolve("smoke", {"feedback_bits": [16, 64]})
    assert [getattr(config, f"steps_{b}") for b in feedback.BITS] == [0, config.num_steps, 0]
    reset()
    system = feedback.new_system(config, 16)
    assert system.feedback.num_bits == 16


def test_a_single_stream_is_a_single_antenna():
    """The same bits, noise and errors, whichever way the channel is written."""
    reset()
    h = irs.random.complex_normal([6, 3, 4])
    v = irs.ZFPrecoder()(h, 0.1)
    sums = []
    reset(2)
    sums.append(coded_downlink(3, 20, 40, 2)(0.3, {"zf": (h, v)}))
    reset(2)
    field = tf.linalg.matmul(h, v)
    seen = {
        "zf": (
            field[..., None, :],
            tf.ones([6, 3, 1, 1], h.dtype),
            tf.linalg.diag_part(field)[..., None],
            irs.metrics.sinr(h, v, 0.3)[..., None],
        )
    }
    sums.append(coded_streams(3, 1, 20, 40, 2)(0.3, seen))
    assert 0 < float(sums[0]["ber", "zf"][0])
    for key, (errors, trials) in sums[0].items():
        assert (float(errors), trials) == (float(sums[1][key][0]), sums[1][key][1])


def streams(no, turn=0.0):
    """(field, w, gain, sinr) of two users with two streams, the second of each switched off."""
    reset(3)
    gains = tf.constant([[1.5, 0.0], [0.7, 0.0]], tf.complex64) * tf.ones([8, 1, 1], tf.complex64)
    field = tf.reshape(tf.linalg.diag(tf.reshape(gains, [8, 4])), [8, 2, 2, 4])
    w = tf.eye(2, batch_shape=[8, 2], dtype=tf.complex64)
    sinr = tf.square(tf.abs(gains)) / no
    return field, w, gains * tf.cast(tf.complex(math.cos(turn), math.sin(turn)), gains.dtype), sinr


def test_code_words_survive_a_stream_without_power():
    """Rate 1/4 on QPSK: one stream alone carries the word; a wrong belief loses it."""
    send = coded_streams(2, 2, 24, 96, 2)
    sums = send(0.01, {"known": streams(0.01), "turned": streams(0.01, turn=1.5)})
    assert float(sums["bler", "known"][0]) == 0
    assert float(sums["bler", "turned"][0]) == sums["bler", "turned"][1] == 16


def test_reception_of_a_design():
    """Gains are the diagonal of the field; powers of the field give the SINR."""
    config = coded.coded.resolve("smoke")
    reset()
    front, channel = common.new_front(config), common.new_channel(config)
    found = irs.HybridSystem(front, irs.SCA(2, 3))(channel(5), 0.1)
    field, w, gain, sinr = coded.reception(front, found, found["h_eq"], 0.1)
    own = np.reshape(field, [5, 4, 4])[:, range(4), range(4)]
    np.testing.assert_allclose(own, np.reshape(gain, [5, 4]), atol=1e-5)
    power = np.abs(np.reshape(field, [5, 4, 4])) ** 2
    noise = 0.1 * np.sum(np.abs(w) ** 2, -2).reshape(5, 4)
    expected = np.abs(own) ** 2 / (power.sum(-1) - np.abs(own) ** 2 + noise)
    np.testing.assert_allclose(np.reshape(sinr, [5, 4]), expected, rtol=1e-3, atol=1e-5)


def test_cdl_of_all_users():
    """The power of the training's channel on average, other channels for other users."""
    config = cdl.cdl.resolve("smoke")
    reset()
    h = cdl.new_channel(config, "A")(100).numpy()
    assert h.shape == (100, 2, 8, 16)
    # 0.1 of the mean over users, antennas and 100 draws of about ten paths each.
    assert abs(np.mean(np.abs(h) ** 2) / 0.1 - 1) < 0.2
    covariance = cdl.Statistics(tf.constant(h)).equivalent_covariance(
        tf.eye(16, dtype=tf.complex64), tf.eye(8, batch_shape=[2], dtype=tf.complex64)
    )
    expected = np.einsum("bkri,bkrj->kij", h.conj(), h) / 800
    np.testing.assert_allclose(covariance, expected, atol=1e-6)


def test_aligned_surface_serves_every_user():
    config = surface.surface.resolve("cpu")
    first, last = surface.lines_of_sight(config)
    total = np.abs(last[:, 0] @ (np.exp(1j * surface.aligned(config)) * first[:, 0]))
    # A sum of K random phasors leaves each user about 1/K of all elements or more.
    assert np.all(total > config.num_elements / config.num_users)


@pytest.mark.parametrize(
    "experiment, changes",
    [
        (coded.coded, {"num_coded_bits": 772}),
        (coded.coded, {"num_streams": 3}),
        (feedback.feedback, {"feedback_bits": [12]}),
    ],
)
def test_wrong_values_are_refused(experiment, changes):
    with pytest.raises(UserError, match=next(iter(changes))):
        experiment.resolve("smoke", changes)
