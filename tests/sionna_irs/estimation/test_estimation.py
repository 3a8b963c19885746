"""Estimators against float64 twins, brute force, and the reference table."""

import math

import numpy as np
import pytest

import sionna_irs as irs
from sionna_irs import random

RNG = np.random.default_rng(1)
CHANNEL = irs.CascadedChannel(4, 6, precision="double")
STATISTICS = CHANNEL.statistics
PILOTS = irs.SurfacePilots(6, 9, pilot_len=2, precision="double")
NO = 0.4
VARIANCE = NO / (9 * 2)


def observation(batch=5):
    random.reset(random.stream_key(1))
    links = CHANNEL.draw(batch)
    return links.cascaded().numpy(), PILOTS(links, NO).numpy()


def to_db(value):
    return 10 * math.log10(value)


@pytest.mark.parametrize("num_patterns, direct", [(7, True), (9, True), (6, False), (8, False)])
def test_patterns_are_orthogonal_with_ones_on_the_direct_row(num_patterns, direct):
    r = irs.SurfacePilots(6, num_patterns, direct=direct, precision="double").patterns.numpy()
    np.testing.assert_allclose(r @ r.conj().T, num_patterns * np.eye(len(r)), atol=1e-12)
    np.testing.assert_allclose(np.abs(r), 1, atol=1e-12)
    if direct:
        np.testing.assert_allclose(r[-1], 1)


def test_ls_is_exact_without_noise_and_equals_the_shortcut_in_distribution():
    u, _ = observation(2000)
    clean = PILOTS(u, 0.0)
    np.testing.assert_allclose(irs.LSEstimator(PILOTS)(clean, 0.0)[0], u, atol=1e-12)
    u_hat, err_var = irs.LSEstimator(PILOTS)(PILOTS(u, NO), NO)
    error = u_hat.numpy() - u
    assert float(np.squeeze(err_var)) == pytest.approx(VARIANCE)
    power = np.abs(error) ** 2
    assert abs(power.mean() - VARIANCE) < 5.5 * VARIANCE / math.sqrt(power.size)
    covariance = np.einsum("bmn,bkl->mnkl", error, error.conj()).reshape(28, 28) / len(u)
    spread = VARIANCE / math.sqrt(len(u))
    assert np.abs(covariance - VARIANCE * np.eye(28)).max() < 6.5 * spread


def twin_ls(y):
    r = np.exp(2j * np.pi * np.outer([1, 2, 3, 4, 5, 6, 0], np.arange(9)) / 9)
    return y @ r.conj().T / 9


def twin_lmmse(y):
    """Per column with the full covariance, inverted by NumPy."""
    ls = twin_ls(y)
    m = STATISTICS.num_rx_ant
    a2, s2, h = STATISTICS.a**2, STATISTICS.s**2, STATISTICS.rho_h
    covariance = h * (a2 * np.ones([m, m]) + s2 * np.eye(m))
    gain = covariance @ np.linalg.inv(covariance + VARIANCE * np.eye(m))
    result = np.einsum("mk,bkn->bmn", gain, ls)
    result[..., -1] = ls[..., -1] * STATISTICS.rho_d / (STATISTICS.rho_d + VARIANCE)
    error = np.diag(covariance - gain @ covariance).real
    return result, error


def test_linear_estimators_against_matrices():
    _, y = observation()
    np.testing.assert_allclose(irs.LSEstimator(PILOTS)(y, NO)[0], twin_ls(y), atol=1e-12)
    expected, error = twin_lmmse(y)
    u_hat, err_var = irs.LMMSEEstimator(PILOTS, STATISTICS)(y, NO)
    np.testing.assert_allclose(u_hat, expected, atol=1e-12)
    err_var = np.broadcast_to(err_var, u_hat.shape)
    np.testing.assert_allclose(err_var[0, :, 0], error, rtol=1e-10)
    m = STATISTICS.num_rx_ant
    covariance = STATISTICS.rho_h * (
        STATISTICS.a**2 * np.ones([m, m]) + STATISTICS.s**2 * np.eye(m)
    )
    both = np.stack([covariance, STATISTICS.rho_d * np.eye(m)])
    sample = irs.SampleLMMSEEstimator(PILOTS, both)
    u_hat, err_var = sample(y, NO)
    np.testing.assert_allclose(u_hat, expected, atol=1e-10)
    np.testing.assert_allclose(np.broadcast_to(err_var, u_hat.shape)[0, :, 0], error, rtol=1e-9)
    scalar, err_var = irs.ScalarLMMSEEstimator(PILOTS, STATISTICS)(y, NO)
    gains = np.array([STATISTICS.rho_c] * 6 + [STATISTICS.rho_d])
    gains = gains / (gains + VARIANCE)
    np.testing.assert_allclose(scalar, twin_ls(y) * gains, atol=1e-12)


def test_sample_covariances_converge_to_the_model():
    random.reset(random.stream_key(2))
    samples = CHANNEL.draw(20_000).cascaded()
    _, y = observation()
    expected, _ = twin_lmmse(y)
    for per_column in (False, True):
        estimator = irs.SampleLMMSEEstimator.from_samples(PILOTS, samples, per_column)
        found = estimator(y, NO)[0].numpy()
        assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)


def twin_bayes(y_column, variance):
    """Posterior mean by brute force: a sum over a fine polar grid of the complex coefficient f."""
    m, rho_h = STATISTICS.num_rx_ant, STATISTICS.rho_h
    a, s2 = STATISTICS.a, STATISTICS.s**2
    nodes, weights = np.polynomial.legendre.leggauss(400)
    r = (nodes + 1) / 2 * 6 * math.sqrt(rho_h)
    phi = 2 * np.pi * np.arange(512) / 512
    f = r[:, None] * np.exp(1j * phi)
    v = s2 * r[:, None] ** 2 + variance
    distance = (np.abs(y_column[:, None, None] - a * f) ** 2).sum(0)
    log_weight = np.log(weights * r)[:, None] - r[:, None] ** 2 / rho_h - m * np.log(v)
    log_weight = log_weight - distance / v
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    g = s2 * r[:, None] ** 2 / v
    mean = g * y_column[:, None, None] + (1 - g) * a * f
    posterior = (weight * mean).sum((1, 2))
    power = (weight * ((np.abs(mean) ** 2).sum(0) + m * g * variance)).sum()
    return posterior, power - (np.abs(posterior) ** 2).sum()


def test_bayes_against_brute_force_integration():
    _, y = observation(2)
    ls = twin_ls(y)
    u_hat, err_var = irs.BayesEstimator(PILOTS, STATISTICS, num_nodes=600)(y, NO)
    for b in range(2):
        for n in range(3):
            mean, error = twin_bayes(ls[b, :, n], VARIANCE)
            np.testing.assert_allclose(u_hat[b, :, n], mean, rtol=1e-6, atol=1e-9)
            assert float(err_var[b, 0, n]) == pytest.approx(error / 4, rel=1e-5)


@pytest.mark.parametrize("no", [0.01, 1.0, 30.0])
def test_bayes_in_single_precision_follows_double(no):
    channel = irs.CascadedChannel(16, 8)
    pilots = irs.SurfacePilots(8, 9)
    random.reset(random.stream_key(5))
    y = pilots(channel.draw(50), no)
    single = irs.BayesEstimator(pilots, channel.statistics)(y, no)[0]
    double = irs.BayesEstimator(pilots, channel.statistics, num_nodes=600, precision="double")
    np.testing.assert_allclose(single, double(y, no)[0], atol=2e-5)


@pytest.mark.parametrize("name", ["LMMSEEstimator", "BayesEstimator", "ScalarLMMSEEstimator"])
def test_the_error_variance_is_the_mean_squared_error(name):
    u, y = observation(4000)
    u_hat, err_var = getattr(irs, name)(PILOTS, STATISTICS)(y, NO)
    error = (np.abs(u_hat.numpy() - u) ** 2).mean((1, 2))
    claimed = np.broadcast_to(err_var, u.shape).mean((1, 2))
    gap = error - claimed
    assert abs(gap.mean()) < 5.5 * gap.std() / math.sqrt(len(gap))


def test_bayes_limits():
    rayleigh = irs.CascadeStatistics(4, 6, 1.0, 0.5, 0.2, k_factor=0.0)
    y = np.zeros([2, 4, 9], complex)
    u_hat, err_var = irs.BayesEstimator(PILOTS, rayleigh)(y, NO)
    assert np.abs(u_hat).max() == 0 and np.isfinite(err_var).all()
    one = irs.CascadeStatistics(1, 6, 1.0, 0.5, 0.2, 1.0)
    with pytest.raises(ValueError, match="num_rx_ant = 1"):
        irs.BayesEstimator(PILOTS, one)


SNR_DB = (-15, -10, -5, 0, 5, 10, 15, 20)
TABLE = {
    "ls": (11.971, 6.971, 1.971, -3.029, -8.029, -13.029, -18.029, -23.029),
    "scalar": (-0.267, -0.795, -2.136, -4.783, -8.664, -13.240, -18.097, -23.050),
    "full": (-2.483, -4.899, -7.542, -9.760, -11.879, -14.752, -18.666, -23.242),
    "bayes": (-2.485, -4.912, -7.624, -10.070, -12.540, -15.563, -19.305, -23.617),
}
# (M, N, P): LS, scalar, full, Bayes at 5 dB.
SIZES = {
    (8, 8, 9): (0.566, -2.736, -6.310, -6.373),
    (8, 16, 17): (-2.200, -4.248, -8.164, -8.328),
    (8, 32, 33): (-5.083, -6.257, -9.876, -10.216),
    (8, 64, 65): (-8.029, -8.664, -11.505, -12.054),
    (4, 64, 65): (-8.029, -8.664, -10.870, -11.257),
    (32, 64, 65): (-8.029, -8.664, -12.084, -12.811),
    (64, 64, 65): (-8.029, -8.664, -12.192, -12.955),
    (16, 32, 33): (-5.083, -6.257, -10.482, -10.917),
    (16, 32, 40): (-5.919, -6.909, -10.841, -11.336),
    (16, 32, 48): (-6.711, -7.550, -11.191, -11.742),
    (16, 32, 64): (-7.960, -8.604, -11.774, -12.408),
    (16, 32, 96): (-9.721, -10.161, -12.680, -13.408),
    (16, 32, 128): (-10.970, -11.305, -13.396, -14.168),
}  # fmt: skip
FORMS = (irs.ls_nmse, irs.scalar_lmmse_nmse, irs.lmmse_nmse, irs.bayes_nmse)


def test_reference_table_of_all_bounds():
    statistics = irs.CascadedChannel(16, 64).statistics
    for index, snr_db in enumerate(SNR_DB):
        variance = 10 ** (-snr_db / 10) / 65
        found = [to_db(form(statistics, variance)) for form in FORMS]
        assert found == pytest.approx([row[index] for row in TABLE.values()], abs=1.001e-3)


@pytest.mark.parametrize("size", SIZES)
def test_reference_table_over_sizes(size):
    m, n, p = size
    variance = 10**-0.5 / p
    statistics = irs.CascadedChannel(m, n).statistics
    found = [to_db(form(statistics, variance)) for form in FORMS]
    assert found == pytest.approx(SIZES[size], abs=1.001e-3)


def test_bound_converges():
    statistics = irs.CascadedChannel(16, 64).statistics
    coarse = irs.bayes_nmse(statistics, 1 / 65)
    fine = irs.bayes_nmse(statistics, 1 / 65, num_nodes=160, num_radii=400)
    assert coarse == pytest.approx(fine, rel=1e-6)
    with pytest.raises(ValueError, match="num_nodes"):
        irs.bayes_nmse(statistics, 1 / 65, num_nodes=8)
    with pytest.raises(ValueError, match="variance = 0"):
        irs.bayes_nmse(statistics, 0.0)


def test_wrong_pilots_and_statistics():
    with pytest.raises(ValueError, match="num_patterns = 6"):
        irs.SurfacePilots(6, 6)
    with pytest.raises(ValueError, match="pilot_len = 0"):
        irs.SurfacePilots(6, 7, pilot_len=0)
    with pytest.raises(ValueError, match="must be num_columns = 7"):
        PILOTS(np.ones([2, 4, 6], complex), NO)
    with pytest.raises(ValueError, match="statistics are for 8 elements"):
        irs.LMMSEEstimator(PILOTS, irs.CascadedChannel(4, 8).statistics)
    with pytest.raises(ValueError, match="covariances have shape"):
        irs.SampleLMMSEEstimator(PILOTS, np.ones([3, 4, 4]))
