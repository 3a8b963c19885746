"""Receivers against NumPy formulas; their outputs are unbiased with the variance they state."""

import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.mimo import lmmse_equalizer, mf_equalizer, zf_equalizer

import sionna_irs as irs
from sionna_irs import random

RNG = np.random.default_rng(2)
RECEIVERS = [irs.MRCReceiver, irs.ZFReceiver, irs.LMMSEReceiver]
EQUALIZERS = [mf_equalizer, zf_equalizer, lmmse_equalizer]


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def covariance(*batch, m):
    a = cplx(*batch, m, m)
    return a @ a.conj().swapaxes(-1, -2) / m


def twin(cls, y, h, s):
    """One vector at a time: filter W, gains diag(W H), and the variance of the rest."""
    if cls is irs.MRCReceiver:
        w = h.conj().T
    elif cls is irs.ZFReceiver:
        w = np.linalg.pinv(h)
    else:
        w = h.conj().T @ np.linalg.inv(h @ h.conj().T + s)
    w = w / np.diag(w @ h)[:, None]
    rest = w @ h - np.eye(h.shape[1])
    error = rest @ rest.conj().T + w @ s @ w.conj().T
    return w @ y, np.diag(error).real


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("cls", RECEIVERS)
@pytest.mark.parametrize("m, k", [(1, 1), (4, 1), (3, 3), (5, 3)])
def test_against_numpy(cls, m, k, coloured):
    y, h, no = cplx(6, m), cplx(6, m, k), RNG.uniform(0.1, 2, 6)
    extra = covariance(6, m=m) if coloured else np.zeros([6, m, m])
    s = no[:, None, None] * np.eye(m) + extra
    expected = [twin(cls, *row) for row in zip(y, h, s, strict=True)]
    arguments = {"s": extra} if coloured else {}
    x_hat, no_eff = cls(precision="double")(y, h, no, **arguments)
    np.testing.assert_allclose(x_hat, [x for x, _ in expected], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(no_eff, [v for _, v in expected], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cls", RECEIVERS)
def test_broadcast(cls):
    """One channel for many symbols, one noise variance for all."""
    y, h = cplx(2, 5, 4), cplx(2, 1, 4, 2)
    x_hat, no_eff = cls(precision="double")(y, h, 0.3)
    assert x_hat.shape == no_eff.shape == (2, 5, 2)
    full, variance = cls(precision="double")(y, h.repeat(5, 1), np.full((2, 5), 0.3))
    np.testing.assert_allclose(x_hat, full, atol=1e-12)
    np.testing.assert_allclose(no_eff, variance, atol=1e-12)


@pytest.mark.parametrize("cls, sionnas", zip(RECEIVERS, EQUALIZERS, strict=True))
def test_equal_to_sionnas(cls, sionnas):
    y, h = cplx(6, 4), cplx(6, 4, 3)
    s = tf.eye(4, batch_shape=[6], dtype=tf.complex128) * 0.3
    expected = sionnas(tf.constant(y), tf.constant(h), s, precision="double")
    for a, b in zip(cls(precision="double")(y, h, 0.3), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


def test_without_noise():
    """Every receiver that can returns the symbols."""
    h, x = cplx(5, 4, 3), cplx(5, 3)
    for cls in (irs.ZFReceiver, irs.LMMSEReceiver):
        x_hat, no_eff = cls(precision="double")(np.einsum("bmk,bk->bm", h, x), h, 0.0)
        np.testing.assert_allclose(x_hat, x, atol=1e-10)
        np.testing.assert_allclose(no_eff, 0, atol=1e-10)


@pytest.mark.parametrize("cls", RECEIVERS)
def test_streams_commute(cls):
    y, h, order = cplx(5, 4), cplx(5, 4, 3), [2, 0, 1]
    layer = cls(precision="double")
    for found, base in zip(layer(y, h[..., order], 0.2), layer(y, h, 0.2), strict=True):
        np.testing.assert_allclose(found, base.numpy()[..., order], atol=1e-12)


@pytest.mark.parametrize("cls", RECEIVERS)
def test_unbiased_with_the_stated_variance(cls):
    """The error does not depend on the symbol, and has the variance no_eff.

    Bounds of 4.9 standard deviations of the sample mean: a false alarm in a million.
    """
    random.reset(random.stream_key(11))
    n, no, h = 20_000, 0.4, tf.constant(cplx(1, 3, 2))
    x = random.complex_normal([n, 2], tf.complex128)
    y = irs.apply(h, x, no)
    x_hat, no_eff = cls(precision="double")(y, h, no)
    error, variance = (x_hat - x).numpy(), no_eff.numpy()[0]
    bound = 4.9 / np.sqrt(n)
    leaked = np.abs(np.mean(error * x.numpy().conj(), 0))
    np.testing.assert_array_less(leaked, bound * np.sqrt(variance))
    np.testing.assert_allclose(np.mean(np.abs(error) ** 2, 0), variance, rtol=bound)


def test_the_best_receiver_is_lmmse():
    y, h = cplx(50, 4), cplx(50, 4, 3)
    no_eff = {cls: cls(precision="double")(y, h, 0.5)[1].numpy() for cls in RECEIVERS}
    best = no_eff.pop(irs.LMMSEReceiver)
    assert all(np.all(best <= other + 1e-12) for other in no_eff.values())


def test_one_stream_in_white_noise_needs_no_choice():
    y, h = cplx(5, 4), cplx(5, 4, 1)
    mrc, *others = (cls(precision="double")(y, h, 0.5) for cls in RECEIVERS)
    for other in others:
        for a, b in zip(mrc, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("cls", RECEIVERS)
def test_open_batch_and_covariance_in_a_graph(cls, jit_compile):
    layer, y, h, s = cls(), cplx(3, 4), cplx(3, 4, 2), covariance(3, m=4)
    call = tf.function(layer, jit_compile=jit_compile, autograph=False)
    spec = [tf.TensorSpec([None, *x.shape[1:]], tf.complex64) for x in (y, h)]
    no, extra = tf.TensorSpec([], tf.float32), tf.TensorSpec([None, 4, 4], tf.complex64)
    concrete = call.get_concrete_function(*spec, no, extra)
    arguments = [tf.constant(v, tf.complex64) for v in (y, h)]
    found = concrete(*arguments, tf.constant(0.3), tf.constant(s, tf.complex64))
    for a, b in zip(found, layer(y, h, 0.3, s), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_own_receiver():
    class First(irs.Receiver):
        def equalize(self, y, h, s):
            gain = h[..., 0, :1]
            return y[..., :1] / gain, tf.math.real(s[..., 0, :1]) / tf.abs(gain) ** 2

    y, h = cplx(3, 4), cplx(3, 4, 1)
    x_hat, no_eff = First()(y, h, 0.25)
    np.testing.assert_allclose(x_hat, y[:, :1] / h[:, 0], rtol=1e-5)
    np.testing.assert_allclose(no_eff, 0.25 / np.abs(h[:, 0]) ** 2, rtol=1e-5)
    with pytest.raises(TypeError, match="Receiver must define equalize"):
        irs.Receiver()(cplx(3, 4), cplx(3, 4, 1), 0.25)


def test_bad_arguments():
    y, h = cplx(3, 4), cplx(3, 4, 2)
    with pytest.raises(ValueError, match="zero forcing needs at most as many streams"):
        irs.ZFReceiver()(y, cplx(3, 4, 5), 0.1)
    with pytest.raises(ValueError, match=r"h has shape \(3, 5, 2\).*num_rx_ant = 4"):
        irs.MRCReceiver()(y, cplx(3, 5, 2), 0.1)
    with pytest.raises(ValueError, match=r"s has shape \(3, 4, 3\).*must be num_rx_ant = 4"):
        irs.LMMSEReceiver()(y, h, 0.1, cplx(3, 4, 3))
    with pytest.raises(TypeError, match="s has dtype float"):
        irs.LMMSEReceiver()(y, h, 0.1, np.ones([3, 4, 4]))
    with pytest.raises(ValueError, match="no = -0.5; a real number of at least 0"):
        irs.LMMSEReceiver()(y, h, -0.5)
