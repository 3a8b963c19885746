"""Estimation on the OFDM grid against dense float64 twins and closed forms."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import random
from sionna_irs.estimation.ofdm import (
    OFDMLMMSEEstimator,
    delay_covariance,
    exponential_delay_covariance,
    ofdm_lmmse_nmse,
    ofdm_ls_nmse,
)

RNG = np.random.default_rng(6)
DOUBLE = {"precision": "double"}


def cplx(*shape):
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)) / math.sqrt(2)


def to_db(value):
    return 10 * math.log10(value)


def covariance(n, rank=None, power=1.0):
    """A random Hermitian covariance, singular if rank < n."""
    factor = cplx(n, rank or n)
    return power * factor @ factor.conj().T / (rank or n)


def root(c):
    powers, vectors = np.linalg.eigh(c)
    return vectors * np.sqrt(np.maximum(powers, 0))


def draw(batch, num_rx_ant, frequency, element):
    """Gaussian channels [batch, F, M, N+1] with exactly these covariances."""
    f, n = len(frequency[0]), len(element)
    white = cplx(batch, f, num_rx_ant, n)
    u = np.einsum("fg,bgmk,nk->bfmn", root(frequency[0]), white, root(element), optimize=True)
    if frequency[1] is None:
        return u
    direct = np.einsum("fg,bgm->bfm", root(frequency[1]), cplx(batch, f, num_rx_ant))
    return np.concatenate([u, direct[..., None]], -1)


# The reference set-up: 16 elements, 48 subcarriers, 17 patterns, three paths in every hop with
# powers falling by e, four in the direct path, delays drawn once.
F, N, P = 48, 16, 17
FREQUENCIES = 120e3 * (np.arange(F) - F // 2)
DELAYS = {"in": RNG.exponential(30e-9, 3), "out": RNG.exponential(30e-9, 3)}
DELAYS["direct"] = RNG.exponential(60e-9, 4)
POWERS = {
    k: np.exp(-np.arange(len(v))) / np.exp(-np.arange(len(v))).sum() for k, v in DELAYS.items()
}
HOPS = {k: delay_covariance(DELAYS[k], POWERS[k], FREQUENCIES) for k in DELAYS}
FREQUENCY = (HOPS["in"] * HOPS["out"], HOPS["direct"])
SECTOR = 0.5  # sines of the angles are uniform in [-SECTOR, SECTOR]
LAG = np.arange(N)[:, None] - np.arange(N)
ELEMENT = np.sinc(SECTOR * LAG) ** 2
COMB = np.arange(0, F, 4)
REFERENCE_LS = {-10: -2.37, 0: -12.37, 10: -22.37, 20: -32.37}


def paths(batch, num_rx_ant, hop, num_elements):
    """[batch, F, num_rx_ant, num_elements]: paths with fixed powers, random phases and angles."""
    shape = (batch, 1, num_rx_ant, 1, len(DELAYS[hop]))
    sine = RNG.uniform(-SECTOR, SECTOR, (batch, 1, 1, 1, len(DELAYS[hop])))
    gain = np.sqrt(POWERS[hop]) * np.exp(2j * np.pi * RNG.uniform(size=shape))
    response = np.exp(1j * np.pi * np.arange(num_elements)[:, None] * sine)
    delay = np.exp(-2j * np.pi * FREQUENCIES[:, None, None, None] * DELAYS[hop])
    return np.einsum("bfmnp,fmnp->bfmn", gain * response, delay)


def path_channel(batch, num_rx_ant=2):
    cascade = paths(batch, num_rx_ant, "out", N) * paths(batch, 1, "in", N)
    return np.concatenate([cascade, paths(batch, num_rx_ant, "direct", 1)], -1)


def observe(u, no, pilots, chosen=None):
    random.reset(random.stream_key(3))
    y = pilots(tf.constant(u), no)
    return y if chosen is None else tf.gather(y, chosen, axis=-3)


def test_delay_covariances():
    f = np.array([0.0, 2e5, 5e5])
    delays, powers = np.array([1e-7, 4e-7]), np.array([0.7, 0.2])
    response = np.exp(-2j * np.pi * np.outer(f, delays))
    expected = sum(p * np.outer(r, r.conj()) for p, r in zip(powers, response.T, strict=True))
    np.testing.assert_allclose(delay_covariance(delays, powers, f), expected, atol=1e-14)
    # A fine grid of an exponential profile, and independence of the carrier.
    tau, spread = np.arange(0, 4e-6, 1e-10) + 5e-11, 1e-7
    profile = np.exp(-tau / spread) / spread * 1e-10
    closed = exponential_delay_covariance(spread, f, power=2.0)
    np.testing.assert_allclose(closed, 2 * delay_covariance(tau, profile, f + 3e9), atol=1e-5)


def test_cascade_has_the_product_of_the_covariances():
    u = path_channel(20_000, 1)[:, ::12]
    for columns, expected in ((0, FREQUENCY[0]), (N, FREQUENCY[1])):
        measured = np.einsum("bf,bg->fg", u[..., 0, columns], u[..., 0, columns].conj()) / len(u)
        assert np.abs(measured - expected[::12, ::12]).max() < 5.5 * 1.5 / math.sqrt(len(u))
    across = np.einsum("bn,bm->nm", u[:, 0, 0, :N], u[:, 0, 0, :N].conj()) / len(u)
    assert np.abs(across - ELEMENT).max() < 5.5 * 1.5 / math.sqrt(len(u))


@pytest.mark.parametrize("snr_db", REFERENCE_LS)
def test_reference_setup(snr_db):
    """LS and LMMSE, measured on paths that are not Gaussian: equal to their closed forms.

    Errors are over the mean power, which is 1: that of 1500 draws varies by about 0.07 dB.
    """
    no = 10 ** (-snr_db / 10)
    pilots = irs.SurfacePilots(N, P, **DOUBLE)
    variance = float(pilots.error_variance(no))
    u = path_channel(1500)
    y = observe(u, no, pilots)
    ls = to_db(ofdm_ls_nmse(FREQUENCY, N, variance, ELEMENT))
    measured = np.mean(np.abs(irs.LSEstimator(pilots)(y, no)[0] - u) ** 2)
    assert to_db(measured) == pytest.approx(ls, abs=0.05)
    assert ls == pytest.approx(REFERENCE_LS[snr_db], abs=0.1)
    for element in (None, ELEMENT):
        estimator = OFDMLMMSEEstimator(pilots, FREQUENCY, element)
        measured = np.mean(np.abs(estimator(y, no)[0] - u) ** 2)
        expected = ofdm_lmmse_nmse(FREQUENCY, N, variance, element)
        assert to_db(measured) == pytest.approx(to_db(expected), abs=0.1)
        assert to_db(expected) < ls - 8


@pytest.mark.parametrize("chosen", [None, COMB], ids=["all", "comb of 4"])
@pytest.mark.parametrize("snr_db", [-10, 20])
def test_gaussian_channels_reach_the_closed_form(chosen, snr_db):
    hop = exponential_delay_covariance(30e-9, FREQUENCIES)
    frequency = (hop * hop, exponential_delay_covariance(60e-9, FREQUENCIES))
    no = 10 ** (-snr_db / 10)
    pilots = irs.SurfacePilots(N, P, **DOUBLE)
    u = draw(1500, 2, frequency, ELEMENT)
    y = observe(u, no, pilots, chosen)
    variance = float(pilots.error_variance(no))
    for element in (None, ELEMENT):
        estimator = OFDMLMMSEEstimator(pilots, frequency, element, chosen)
        u_hat, err_var = estimator(y, no)
        square = np.abs(u_hat - u) ** 2
        expected = ofdm_lmmse_nmse(frequency, N, variance, element, chosen)
        assert to_db(square.mean()) == pytest.approx(to_db(expected), abs=0.1)
        err_var = np.broadcast_to(err_var, u.shape)
        assert err_var.mean() == pytest.approx(expected, rel=1e-10)
        # Column by column and subcarrier by subcarrier; errors along one axis are correlated.
        np.testing.assert_allclose(square.mean((0, 1, 2)), err_var[0].mean((0, 1)), rtol=0.1)
        np.testing.assert_allclose(square.mean((0, 2, 3)), err_var[0].mean((1, 2)), rtol=0.1)


def dense_twin(u_ls, frequency, element, chosen, variance):
    """One example [S, N+1]: the joint covariance of all N F entries, inverted. (u, error)."""
    f, n = len(frequency[0]), len(element)
    parts = []
    for x, c in ((u_ls[:, :n], np.kron(frequency[0], element)), (u_ls[:, n:], frequency[1])):
        if c is None:
            continue
        columns = x.shape[-1]
        s = (np.asarray(chosen)[:, None] * columns + np.arange(columns)).ravel()
        gain = c[:, s] @ np.linalg.inv(c[np.ix_(s, s)] + variance * np.eye(len(s)))
        error = np.diag(c - gain @ c[s]).real
        parts.append([v.reshape(f, columns) for v in (gain @ x.ravel(), error)])
    return [np.concatenate(v, -1) for v in zip(*parts, strict=True)]


@pytest.mark.parametrize("chosen", [None, [0, 2, 4], [3, 1]])
@pytest.mark.parametrize("element", ["none", "full", "singular"])
@pytest.mark.parametrize("direct", [True, False])
def test_against_the_joint_solution(chosen, element, direct):
    frequency = (covariance(5, power=2.0), covariance(5, 2) if direct else None)
    pilots = irs.SurfacePilots(3, 6, pilot_len=2, direct=direct, **DOUBLE)
    matrix = {"none": None, "full": covariance(3), "singular": covariance(3, 2)}[element]
    estimator = OFDMLMMSEEstimator(pilots, frequency, matrix, chosen)
    matrix = np.eye(3) if matrix is None else matrix
    chosen = range(5) if chosen is None else chosen
    y, no = cplx(4, len(chosen), 2, 6), 0.7
    u_hat, err_var = estimator(y, no)
    assert u_hat.shape == (4, 5, 2, 3 + direct)
    err_var = np.broadcast_to(err_var, u_hat.shape)
    u_ls = y @ pilots.patterns.numpy().conj().T / 6
    for b in range(4):
        for m in range(2):
            twin, error = dense_twin(u_ls[b, :, m], frequency, matrix, chosen, no / 12)
            np.testing.assert_allclose(u_hat[b, :, m], twin, atol=1e-10)
            np.testing.assert_allclose(err_var[b, :, m], error, atol=1e-10)
    nmse = ofdm_lmmse_nmse(frequency, 3, no / 12, matrix, chosen)
    total = sum(
        np.trace(c).real * w
        for c, w in zip(frequency, (np.trace(matrix).real, 1), strict=True)
        if c is not None
    )
    assert nmse == pytest.approx(error.sum() / total, rel=1e-10)


def test_white_channel_is_shrunk_entry_by_entry():
    """Identity covariances: the scalar filter; LS has the closed form of white noise."""
    pilots = irs.SurfacePilots(3, 4, **DOUBLE)
    y = cplx(2, 5, 2, 4)
    u_hat, err_var = OFDMLMMSEEstimator(pilots, (np.eye(5), 2 * np.eye(5)))(y, 0.8)
    gain = np.array([1 / 1.2] * 3 + [2 / 2.2])
    np.testing.assert_allclose(u_hat, irs.LSEstimator(pilots)(y, 0.8)[0] * gain, atol=1e-12)
    np.testing.assert_allclose(np.broadcast_to(err_var, u_hat.shape)[0, 0, 0], 0.2 * gain)
    assert ofdm_ls_nmse((np.eye(5), 2 * np.eye(5)), 3, 0.2) == pytest.approx(0.2 * 4 / 5)
    assert ofdm_ls_nmse((np.eye(5), None), 3, 0.2, 2 * np.eye(3)) == pytest.approx(0.1)


def test_without_noise():
    """All pilots: the channel itself. Comb: exact where the paths are fewer than the pilots."""
    pilots = irs.SurfacePilots(N, P, **DOUBLE)
    u = path_channel(3)
    u_hat, err_var = OFDMLMMSEEstimator(pilots, FREQUENCY)(observe(u, 0.0, pilots), 0.0)
    np.testing.assert_allclose(u_hat, u, atol=1e-5)
    assert np.all(err_var.numpy() >= 0) and err_var.numpy().max() < 1e-10
    estimator = OFDMLMMSEEstimator(pilots, FREQUENCY, pilot_subcarriers=COMB)
    np.testing.assert_allclose(estimator(observe(u, 0.0, pilots, COMB), 0.0)[0], u, atol=1e-4)
    nothing = OFDMLMMSEEstimator(pilots, (FREQUENCY[0], 0 * FREQUENCY[1]), 0 * ELEMENT)
    for value in nothing(observe(u, 0.0, pilots), 0.0):
        np.testing.assert_array_equal(value, 0 * value)


def test_noise_variances_of_a_batch():
    """One for each example, as the pilots take it; not one for each subcarrier."""
    pilots = irs.SurfacePilots(3, 4, **DOUBLE)
    estimator = OFDMLMMSEEstimator(pilots, (covariance(5), covariance(5)), covariance(3), [0, 3])
    y, no = cplx(3, 2, 2, 4), np.array([[0.1], [0.5], [2.0]])
    assert pilots(tf.constant(cplx(3, 2, 2, 4)), no).shape == y.shape
    u_hat, err_var = estimator(y, no)
    for b in range(3):
        alone, alone_var = estimator(y[b], no[b, 0])
        np.testing.assert_allclose(u_hat[b], alone, atol=1e-12)
        np.testing.assert_allclose(err_var[b], alone_var, atol=1e-12)
    with pytest.raises(ValueError, match=r"no has shape \(3, 2\); .* the batch \(3, 1\) of y"):
        estimator(y, np.ones([3, 2]))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_estimator_in_a_graph(jit_compile):
    """Both precisions, at a high SNR; single precision keeps the error variance too."""
    exact = None
    for precision, dtype, tolerance in (
        ("double", tf.complex128, 1e-10),
        ("single", tf.complex64, 2e-5),
    ):
        pilots = irs.SurfacePilots(N, P, precision=precision)
        estimator = OFDMLMMSEEstimator(pilots, FREQUENCY, ELEMENT, COMB)
        call = tf.function(
            estimator,
            input_signature=[
                tf.TensorSpec([4 if jit_compile else None, len(COMB), 2, P], dtype),
                tf.TensorSpec([], estimator.rdtype),
            ],
            jit_compile=jit_compile,
            autograph=False,
        )
        if exact is None:
            y = path_channel(4)[:, ::4] @ pilots.patterns.numpy()
        y, no = tf.cast(y, dtype), tf.constant(1e-3, estimator.rdtype)
        eager = estimator(y, no)
        exact = eager if exact is None else exact
        for found, plain, truth in zip(call(y, no), eager, exact, strict=True):
            assert found.dtype == plain.dtype and found.dtype.size == dtype.size / (
                1 if found.dtype.is_complex else 2
            )
            scale = np.abs(plain).max()
            np.testing.assert_allclose(found, plain, atol=tolerance * scale)
            np.testing.assert_allclose(plain, truth, atol=2e-5 * scale)


def test_saved_settings():
    """A tuple with None, a range, complex matrices: JSON gives the same numbers."""
    pilots = irs.SurfacePilots(3, 4, direct=False)
    layer = OFDMLMMSEEstimator(
        pilots, (covariance(6).astype(np.complex64), None), covariance(3), range(0, 6, 2)
    )
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    y = tf.constant(cplx(2, 3, 2, 4), tf.complex64)
    for a, b in zip(layer(y, 0.1), copy(y, 0.1), strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_arguments():
    pilots = irs.SurfacePilots(3, 4, **DOUBLE)
    c, e = covariance(5), covariance(3)
    skewed, negative = c.copy(), np.diag([1.0, 1, 1, 1, -1])
    skewed[0, 1] += 1
    for frequency, element, chosen, match in (
        ((c, None), None, None, "holds 1 matrices; 2 for pilots with direct = True"),
        ((c, c, c), None, None, r"holds 3 matrices; \(C_cascade, C_direct\)"),
        ((c, c[:, :4]), None, None, r"covariance\[1\] has shape \(5, 4\); a square"),
        ((c, c[:4, :4]), None, None, r"has shapes \(5, 5\) and \(4, 4\)"),
        ((skewed, c), None, None, r"covariance\[0\] differs from its adjoint by"),
        ((c, negative), None, None, r"covariance\[1\] has the eigenvalue -1; none may be"),
        ((c, np.nan * c), None, None, r"covariance\[1\] holds NaN or infinity"),
        ((c, c), c, None, r"element_covariance has shape \(5, 5\); \[3, 3\] is needed"),
        ((c, c), e, [0, 5], r"pilot_subcarriers = \[0, 5\]; different integers in 0..4"),
        ((c, c), e, [-1], "different integers in 0..4"),
        ((c, c), e, [1, 1], "different integers in 0..4"),
        ((c, c), e, [0.5], "different integers in 0..4"),
        ((c, c), e, [], "different integers in 0..4"),
    ):
        with pytest.raises(ValueError, match=match):
            OFDMLMMSEEstimator(pilots, frequency, element, chosen)
    with pytest.raises(ValueError, match="holds 2 matrices; 1 for pilots with direct = False"):
        OFDMLMMSEEstimator(irs.SurfacePilots(3, 4, direct=False), (c, c))
    estimator = OFDMLMMSEEstimator(pilots, (c, c), e, [0, 2])
    with pytest.raises(ValueError, match="no = -0.1; a real number of at least 0"):
        estimator(cplx(2, 2, 2, 4), -0.1)
    with pytest.raises(ValueError, match="must be num_pilot_subcarriers = 2"):
        estimator(cplx(2, 5, 2, 4), 0.1)
    with pytest.raises(ValueError, match="must be num_patterns = 4"):
        estimator(cplx(2, 2, 2, 5), 0.1)
    with pytest.raises(ValueError, match="variance = 0.0; a real number above 0"):
        ofdm_lmmse_nmse((c, c), 3, 0.0)
    with pytest.raises(ValueError, match="2 delays and 1 powers"):
        delay_covariance([0.0, 1.0], [1.0], [0.0])
    with pytest.raises(ValueError, match="powers = .*finite numbers >= 0.0"):
        delay_covariance([0.0], [-1.0], [0.0])
    with pytest.raises(ValueError, match="delay_spread = -1; a finite number of at least 0"):
        exponential_delay_covariance(-1, [0.0])


def test_patterns_change_from_symbol_to_symbol_in_a_channel():
    """The OFDM channel of a surface that shows one pattern a symbol is what the pilots say."""
    panel, band = irs.UPA(2, 2), 1e6 * np.arange(-2.0, 3.0)
    hops = {
        name: (cplx(1, 1, rx, 1, tx, 3, 1), RNG.uniform(0, 1e-6, (1, 1, 1, 3)))
        for name, rx, tx in (("tx>s1", 4, 1), ("s1>rx", 2, 4), ("tx>rx", 2, 1))
    }
    channel = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(panel, **DOUBLE)}, **DOUBLE)
    pilots = irs.SurfacePilots(num_elements=4, num_patterns=6, **DOUBLE)
    cirs = channel.draw(1)
    shown = np.angle(pilots.patterns.numpy()[:4].T)[None]  # [1, num_ofdm_symbols, N]
    h = channel.response(cirs, band, {"s1": shown}).numpy()[:, 0, :, 0, 0]  # [B, M, P, F]
    u = channel.links(cirs, band).cascaded()
    y = pilots(u, 0.0).numpy()  # [B, F, M, P]
    np.testing.assert_allclose(h.transpose(0, 3, 1, 2), y, atol=1e-12)
    u_hat, _ = irs.LSEstimator(pilots)(tf.constant(h.transpose(0, 3, 1, 2)), 0.0)
    np.testing.assert_allclose(u_hat, u, atol=1e-12)
    # The same through (a, tau), as Sionna's OFDM channel sees it.
    a, tau = channel.compose(cirs, channel.reflect({"s1": shown}))
    delay = np.exp(-2j * np.pi * band[:, None] * tau.numpy()[0, 0, 0])
    np.testing.assert_allclose(np.einsum("ipt,fp->itf", a.numpy()[0, 0, :, 0, 0], delay),
                               h[0], atol=1e-9)  # fmt: skip
