"""Phases of few bits, mismatch, transfer, online adaptation; SSCA of analog phases."""

import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from link_sims.papers.hybrid import common, mismatch, online, phases, transfer
from link_sims.runs import runner
from sionna_irs.hybrid.analog_ssca import AnalogSSCA

EXPERIMENTS = [
    phases.steered,
    *(
        pytest.param(experiment, marks=pytest.mark.slow)  # many trainings to trace
        for experiment in (phases.phase_bits, mismatch.mismatch, transfer.transfer, online.online)
    ),
]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_smoke_profile_runs_and_draws(experiment, tmp_path):
    config = experiment.resolve("smoke")
    results, folder = runner.run(
        experiment, config, "smoke", tmp_path, execution="graph", quiet=True
    )
    assert (folder / "figure.png").stat().st_size > 1000
    for metric, curve in results.curves():
        for x in results.points(metric, curve):
            assert math.isfinite(results.value(metric, curve, x)), (metric, curve, x)
    for claim in experiment.claims:  # none of them may fail on what was not simulated
        assert runner.judge(claim, results).holds in (True, False, None)


def design(num_iter):
    irs.random.reset(irs.random.stream_key(1))
    front = irs.HybridFrontEnd(8, 4, 4, 2, num_users=2, precision="double")
    return AnalogSSCA(front, irs.SCA(2, num_iter, precision="double"))


def beams(psi):
    return np.exp(1j * psi) / np.sqrt(psi.shape[-2])


def mean_rate(h, no, tx, rx, f, w):
    """From the formula; precoders scaled to the power that these phases let them have."""
    f_rf, w_rf, total = beams(tx), beams(rx), 0.0
    for channels, precoders, combiners in zip(h, f, w, strict=True):
        wide = [f_rf @ x for x in precoders]
        wide = [x * np.sqrt(x.shape[1]) / np.linalg.norm(x) for x in wide]
        for k, channel in enumerate(channels):
            looks = w_rf[k] @ combiners[k]
            gains = [np.abs(looks.conj().T @ channel @ x) ** 2 for x in wide]
            for stream in range(looks.shape[1]):
                wanted = gains[k][stream, stream]
                rest = sum(g[stream].sum() for g in gains) - wanted
                noise = no * np.linalg.norm(looks[:, stream]) ** 2
                total += math.log2(1 + wanted / (rest + noise))
    return total / len(h)


def slope(rate, tx, rx, towards, step=1e-5):
    ends = [rate(*(x + s * d for x, d in zip((tx, rx), towards, strict=True)))
            for s in (step, -step)]  # fmt: skip
    return (ends[0] - ends[1]) / (2 * step)


@pytest.fixture
def problem():
    r = np.random.default_rng(1)
    h = r.normal(size=(3, 2, 4, 8)) + 1j * r.normal(size=(3, 2, 4, 8))
    return h / 4, [r.normal(size=(8, 4)), r.normal(size=(2, 4, 2))]


def test_two_updates_are_those_of_the_formulas(problem):
    h, towards = problem
    ssca = design(5)
    states = [ssca.start()]
    for t in range(2):
        states.append(ssca.step(states[-1], t, h, 0.1))
    means = []
    for state in states[:2]:
        psi = [x.numpy() for x in state["phases"]]
        f, w = (x.numpy() for x in ssca.precoder(*ssca.front(h, *state["phases"]), 0.1))

        def rate(tx, rx, f=f, w=w):
            return mean_rate(h, 0.1, tx, rx, f, w)

        means.append(slope(rate, *psi, towards))
    first, second = means[0], means[0] + 2**-0.6 * (means[1] - means[0])
    for state, mean in zip(states[1:], (first, second), strict=True):
        found = sum(np.sum(g * d) for g, d in zip(state["gradient"], towards, strict=True))
        np.testing.assert_allclose(found, mean, rtol=1e-6)
    for old, new, gamma in zip(states, states[1:], (1, 2**-0.7), strict=False):
        for x, y, g in zip(old["phases"], new["phases"], new["gradient"], strict=True):
            np.testing.assert_allclose(y, x + 2.0 * gamma * g, rtol=1e-12)


def test_gradient_is_the_whole_where_the_digital_part_has_converged(problem):
    h, towards = problem
    ssca = design(400)
    state = ssca.start()
    _, gradient = ssca.ascent(state["phases"], h, 0.1)
    found = sum(np.sum(g * d) for g, d in zip(gradient, towards, strict=True))

    def rate(tx, rx):
        return float(ssca.ascent([tf.constant(tx), tf.constant(rx)], h, 0.1)[0])

    whole = slope(rate, *(x.numpy() for x in state["phases"]), towards, step=1e-4)
    np.testing.assert_allclose(found, whole, rtol=0.02)


def test_step_of_ssca_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="step_size = 0"):
        AnalogSSCA(None, None, step_size=0)


def test_smaller_system_is_the_larger_one_cut_short():
    cfg = mismatch.mismatch.resolve("smoke", {"num_symbols": 8})
    large = common.new_system(cfg)
    for variable in large.trainable_variables:
        variable.assign_add(0.05 * tf.cos(tf.reshape(tf.range(tf.size(variable), dtype=tf.float32),
                                                     variable.shape)))  # fmt: skip
    short = mismatch.of(cfg, "fewer pilots")
    small = mismatch.first_of(short, large)
    y = irs.random.complex_normal([3, 2, 2, 6])
    np.testing.assert_allclose(small.estimator(y, 0.1), large.estimator(y, 0.1), atol=1e-5)
    one = mismatch.first_of(cfg.model_copy(update={"num_users": 1}), large)
    np.testing.assert_array_equal(one.front.rx_phases, large.front.rx_phases[:1])


def test_samples_of_a_frame_come_again_and_angles_turn():
    still, turning = (
        online.Superframe(online.online.resolve("smoke", {"drift_deg": d}), 1) for d in (0.0, 2.0)
    )
    np.testing.assert_array_equal(still.samples(3), still.samples(3))
    np.testing.assert_array_equal(still.angles_in(3), still.angles)
    np.testing.assert_array_equal(turning.angles, still.angles)
    turned = np.asarray(turning.angles_in(3) - turning.angles)
    assert 0.5 < np.sqrt(np.mean(turned**2)) / math.radians(6) < 1.5
