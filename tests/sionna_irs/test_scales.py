"""Zeros, channels of any size and the highest signal-to-noise ratios, in single precision."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import metrics
from sionna_irs.channel.impulse.pruning import paths_for, prune_paths
from sionna_irs.estimation.wiener import wiener
from sionna_irs.transceiver.model_based import svd_symbol_error_rate
from sionna_irs.transceiver.symbol_networks import normalize_energy

RNG = np.random.default_rng(11)
PILOTS = irs.SurfacePilots(3, 4)
USERS = irs.UserPilots(2, 3)
FEW = irs.UserPilots(3, 2)
STATISTICS = irs.CascadedChannel(4, 3).statistics
DELAY = irs.exponential_delay_covariance(3e-7, [0.0, 1e6, 2e6])
NETWORK = irs.CellNetwork(irs.Genotype([[["skip", "conv"]]]), 2, num_channels=3, norm=False)


def cplx(*shape):
    x = RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)
    return (x / math.sqrt(2)).astype("complex64")


def scaled(statistics, factor):
    """Of channels times `factor`."""
    powers = {"rho_g": statistics.rho_g * factor**2, "rho_d": statistics.rho_d * factor**2}
    return dataclasses.replace(statistics, **powers)


COVARIANCES = np.stack([np.eye(4), 2 * np.eye(4) + np.ones([4, 4])])
# Estimator of channels times a factor, and observations of channels of power 1.
ESTIMATORS = {
    "LS": (lambda f: irs.LSEstimator(PILOTS), cplx(5, 4, 4)),
    "ScalarLMMSE": (
        lambda f: irs.ScalarLMMSEEstimator(PILOTS, scaled(STATISTICS, f)), cplx(5, 4, 4)
    ),
    "LMMSE": (lambda f: irs.LMMSEEstimator(PILOTS, scaled(STATISTICS, f)), cplx(5, 4, 4)),
    "SampleLMMSE": (lambda f: irs.SampleLMMSEEstimator(PILOTS, f**2 * COVARIANCES), cplx(5, 4, 4)),
    "Bayes": (lambda f: irs.BayesEstimator(PILOTS, scaled(STATISTICS, f)), cplx(5, 4, 4)),
    "RankOne": (lambda f: irs.RankOneEstimator(PILOTS), cplx(5, 4, 4)),
    "OFDM": (
        lambda f: irs.OFDMLMMSEEstimator(PILOTS, (f**2 * DELAY, f**2 * DELAY), None, [0, 2]),
        cplx(5, 2, 4, 4),
    ),
    "Learned": (lambda f: irs.LearnedEstimator(PILOTS, DENOISER), cplx(5, 4, 4)),
    "UserLS": (lambda f: irs.UserLSEstimator(USERS), cplx(5, 4, 3)),
    "UserScaledLS": (
        lambda f: irs.UserScaledLSEstimator(USERS, [f**2, 0.1 * f**2]), cplx(5, 4, 3)
    ),
    "UserLMMSE": (lambda f: irs.UserLMMSEEstimator(USERS, [f**2, 0.1 * f**2]), cplx(5, 4, 3)),
    "UserLMMSE of few": (
        lambda f: irs.UserLMMSEEstimator(FEW, [f**2, 0.1 * f**2, f**2]), cplx(5, 4, 2)
    ),
}  # fmt: skip
DENOISER = irs.Denoiser(NETWORK)


def gradient(estimator, y, no):
    y = tf.constant(y)
    with tf.GradientTape() as tape:
        tape.watch(y)
        h_hat, err_var = estimator(y, no)
        # In units of the observation, whose own square may be out of range, here as well.
        unit = tf.stop_gradient(tf.reduce_max(tf.abs(y))) + 1e-30
        loss = tf.reduce_sum(tf.abs(h_hat) / unit)
    return h_hat, err_var, tape.gradient(loss, y)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_follow_the_scale(name):
    """Of f H in noise of f^2 N_0 the estimate is f times that of H in noise of N_0."""
    make, y = ESTIMATORS[name]
    base, base_var = make(1.0)(y, 0.1)
    for factor in (1e-15, 1e15):
        found, var = make(factor)((factor * y).astype("complex64"), 0.1 * factor**2)
        np.testing.assert_allclose(found / np.float32(factor), base, rtol=0, atol=1e-5)
        np.testing.assert_allclose(var / np.float32(factor**2), base_var, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_of_any_channel_are_finite(name):
    """Their squares are beyond single precision; so are statistics as powers."""
    make, y = ESTIMATORS[name]
    for factor, no in (
        (1e-30, 0.0),
        (1e-30, 0.1),
        (1e30, 0.0),
        (1e30, 0.1),
        (0.0, 0.0),
        (0.0, 0.1),
    ):
        estimator = make(factor or 1.0)
        found, var, slope = gradient(estimator, (factor * y).astype("complex64"), no)
        assert np.isfinite(found).all() and np.isfinite(slope).all(), (factor, no)
        assert np.isfinite(var).all() or factor > 1, (factor, no)
        if factor == 0 and name != "Learned":  # a network may answer zeros with anything
            np.testing.assert_allclose(found, 0, atol=1e-6)
        elif factor and (no < 0.01 or factor > 1):  # nothing but the channel is left
            exact = make(1.0)(y, 0.0)[0]
            np.testing.assert_allclose(found / np.float32(factor), exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_at_the_highest_snr(name):
    """At 150 dB the estimate is that without noise, its variance in the order of the noise."""
    make, y = ESTIMATORS[name]
    exact = make(1.0)(y, 0.0)[0]
    found, var, slope = gradient(make(1.0), y, 1e-15)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-4)
    assert np.isfinite(slope).all() and np.isfinite(var).all() and np.min(var) >= -1e-6


def test_recursive_least_squares_without_noise():
    """Digits are left where the loading falls below rounding; observations of any size."""
    pilots = irs.ChainPilots(4, 6)
    h = cplx(5, 2, 3, 4)
    y = h @ pilots.matrix.numpy()
    for estimator in (irs.RLSEstimator(pilots), irs.UnfoldedRLS(pilots, num_rx_chains=3)):
        for factor in (1e-30, 1.0, 1e30):
            found = estimator((factor * y).astype("complex64"), 1e-15) / np.float32(factor)
            assert np.linalg.norm(found - h) < 0.02 * np.linalg.norm(h)
    eye = np.broadcast_to(np.eye(4), [2, 4, 4]).astype("complex64")
    r_w = np.broadcast_to(np.eye(3), [2, 3, 3]).astype("complex64")
    h_hat, error = irs.EquivalentLMMSEEstimator(pilots)(y, 1e-15, eye, r_w)
    assert np.linalg.norm(h_hat - h) < 1e-4 * np.linalg.norm(h)
    assert np.abs(error).max() < 1e-4
    h_hat, error = irs.EquivalentLMMSEEstimator(pilots)(y, 1e-15, 0 * eye, r_w)
    assert not np.any(h_hat) and not np.any(error)


def test_sample_covariances_without_noise():
    """A singular covariance is a projection then: V V^H."""
    v = cplx(4, 2).astype(complex)
    covariance = v @ v.conj().T
    pilots = irs.SurfacePilots(3, 4, precision="double")
    estimator = irs.SampleLMMSEEstimator(pilots, np.stack([covariance, covariance]))
    y = cplx(5, 4, 4).astype(complex)
    u_ls = irs.LSEstimator(pilots)(y, 0.0)[0].numpy()
    projection = v @ np.linalg.pinv(v)
    np.testing.assert_allclose(estimator(y, 0.0)[0], projection @ u_ls, atol=1e-6)
    gain = covariance @ np.linalg.inv(covariance + 0.025 * np.eye(4))
    found, var = estimator(y, 0.1)
    np.testing.assert_allclose(found, gain @ u_ls, atol=1e-10)
    np.testing.assert_allclose(var[:, 0], 0.025 * np.diag(gain).real, atol=1e-12)


def test_wiener():
    a, v = np.array([0.0, 0.0, 1e-30, 1e30, 2.0, 1e-3]), np.array([0.0, 1.0, 0.0, 1.0, 4.0, 1.0])
    gain, rest = wiener(tf.constant(a, tf.float32), tf.constant(v, tf.float32))
    np.testing.assert_allclose(gain, [0, 0, 1, 1, 0.5, 1e-6 / (1 + 1e-6)], rtol=1e-6)
    np.testing.assert_allclose(rest, [1, 1, 0, 0, 0.5, 1 / (1 + 1e-6)], rtol=1e-6, atol=1e-30)


def test_metrics_of_any_channel():
    h, v = cplx(5, 3, 4), cplx(5, 4, 3)
    w = v.swapaxes(-1, -2)
    calls = {
        "sinr": lambda h, no: metrics.sinr(h, v, no),
        "receive": lambda h, no: metrics.receive_sinr(w, tf.transpose(h, [0, 2, 1]), no),
        "rate": lambda h, no: metrics.sum_rate(h, v, no),
        "equal": metrics.equal_power_rate,
        "stream": lambda h, no: metrics.stream_rate(
            h[:, :, None, :], w[..., None], tf.ones([5, 3, 1, 1], tf.complex64), no),
    }  # fmt: skip
    for name, call in calls.items():
        base = call(tf.constant(h), 3.0)
        for factor in (1e-15, 1e15):
            same = call(tf.constant((factor * h).astype("complex64")), 3.0 * factor**2)
            np.testing.assert_allclose(same, base, rtol=1e-4, err_msg=name)
        for factor, no in ((1e-30, 0.1), (1e30, 0.1), (0.0, 0.1), (1.0, 1e-15)):
            x = tf.constant((factor * h).astype("complex64"))
            with tf.GradientTape() as tape:
                tape.watch(x)
                found = call(x, no)
            slope = tape.gradient(found, x)
            assert np.isfinite(found).all() and np.isfinite(slope).all(), (name, factor, no)
            if factor < 1:
                np.testing.assert_allclose(found, 0, atol=1e-12, err_msg=name)


def test_errors_per_sample_of_any_channel():
    h = cplx(4, 3, 2)
    base = [float(x) for x in metrics.nmse_per_sample(tf.constant(1.5 * h), tf.constant(h))]
    assert base == pytest.approx([1.0, 4.0])
    for factor in (1e-30, 1e30):
        x = tf.constant((factor * h).astype("complex64"))
        found = [float(x) for x in metrics.nmse_per_sample(1.5 * x, x)]
        assert found == pytest.approx(base, rel=1e-5)
    h[0] = 0
    x = tf.constant(h)
    assert float(metrics.nmse_per_sample(1.5 * x, x)[0]) == pytest.approx(0.75)
    assert np.isinf(float(metrics.nmse_per_sample(x + 0.1, x)[0]))


def test_weak_paths_are_still_told_apart():
    gains = np.array([3.0, 0.1, 4.0]).reshape(1, 1, 1, 1, 1, 3, 1)
    for factor in (1e-30, 1.0, 1e30):
        a = tf.constant((factor * gains).astype("complex64"))
        cir = irs.CIR(a, tf.constant([[[[1e-7, 2e-7, 3e-7]]]]))
        kept, loss = prune_paths(cir, 1)
        assert float(tf.abs(kept.a)[0, 0, 0, 0, 0, 0, 0]) == pytest.approx(4 * factor, rel=1e-6)
        assert float(loss[0]) == pytest.approx(9.01 / 25.01, rel=1e-5)
        assert paths_for(cir, 0.1) == 2
        assert irs.delay_range(cir.a, cir.tau) == pytest.approx((1e-7, 3e-7))


def test_a_hop_of_tiny_gain():
    """The power is below single precision, the amplitude is not."""
    h = irs.RayleighHop(irs.ULA(1), irs.ULA(4), path_gain=1e-60)(2000).numpy().astype(complex)
    assert np.mean(np.abs(1e30 * h) ** 2) == pytest.approx(1.0, rel=0.1)


def test_symbol_error_rates_of_any_channel():
    h = cplx(5, 3, 2)
    h[0], h[1, :, 1] = 0, h[1, :, 0]
    for streams, worst in ((1, 0.75), (2, 1 - 0.25**2)):
        for factor in (0.0, 1e-30, 1.0, 1e30):
            x = tf.constant((factor * h).astype("complex64"))
            with tf.GradientTape() as tape:
                tape.watch(x)
                found = svd_symbol_error_rate(x, 10.0, 4**streams, streams)
            slope = tape.gradient(found, x)
            assert np.isfinite(found).all() and np.isfinite(slope).all(), (streams, factor)
            assert float(found[0]) == pytest.approx(worst, rel=1e-5)


def test_signals_without_energy():
    v = tf.zeros([2, 3, 4])
    with tf.GradientTape() as tape:
        tape.watch(v)
        x = normalize_energy(v, "symbol")
    assert not np.any(x) and np.isfinite(tape.gradient(x, v)).all()


def test_rows_of_any_size():
    """An untrained network gives back the direction of every row."""
    net, x = irs.RowNet(4, [8]), cplx(3, 2, 4)
    direction = x / np.linalg.norm(x, axis=-1, keepdims=True)
    for factor in (1e-30, 1e30, 0.0):
        y = tf.constant((factor * x).astype("complex64"))
        with tf.GradientTape() as tape:
            tape.watch(y)
            found = net(y)
        np.testing.assert_allclose(found, direction if factor else 0 * x, atol=1e-6)
        assert np.isfinite(tape.gradient(found, y)).all()


def test_budgets_keep_their_digits():
    """Python numbers go through no single precision on the way to double."""
    for x in (2.0, 0.1, -7.3, 3, np.float64(11.7)):
        no = irs.snr_db_to_no(x, precision="double")
        assert no.dtype == tf.float64 and float(no) == pytest.approx(10 ** (-x / 10), rel=1e-15)
        assert irs.db_to_linear(x) == 10 ** (x / 10)
        for rate in (1.0, 1 / 3):
            found = irs.ebno_db_to_no(x, 2, rate, precision="double")
            assert float(found) == pytest.approx(1 / (10 ** (x / 10) * rate * 2), rel=1e-15)
        values = tf.constant([x, x / 3], tf.float64)
        np.testing.assert_allclose(irs.snr_db_to_no(values), 10 ** (-values / 10), rtol=1e-15)
    assert irs.snr_db_to_no(2.0).dtype == tf.float32  # Sionna's precision
    old = irs.random.config.precision
    try:
        irs.random.config.precision = "double"
        assert float(irs.snr_db_to_no(2.0)) == pytest.approx(10**-0.2, rel=1e-15)
        assert float(irs.ebno_db_to_no(2.0, 2, 1 / 3)) == pytest.approx(1.5 / 10**0.2, rel=1e-15)
        assert float(metrics.siso_capacity(0.1)) == pytest.approx(math.log2(1.1), rel=1e-15)
    finally:
        irs.random.config.precision = old
    steering = irs.ULA(5).response(0.3, dtype=tf.complex128).numpy()
    wanted = np.exp(1j * np.pi * np.arange(5) * np.sin(0.3))
    np.testing.assert_allclose(steering, wanted, rtol=0, atol=3e-15)
    h, v = cplx(3, 4).astype(complex), cplx(4, 3).astype(complex)
    power = np.abs(h @ v) ** 2
    exact = np.diag(power) / (power.sum(-1) - np.diag(power) + 0.1)
    np.testing.assert_allclose(metrics.sinr(h, v, 0.1), exact, rtol=1e-14)
