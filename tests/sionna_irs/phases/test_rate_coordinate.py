"""Element-wise ascent of the rate: NumPy twin, monotone, no single element helps at the end."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs

RNG = np.random.default_rng(8)
DOUBLE = {"precision": "double"}
F, M, N = 6, 2, 5


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def zero_start(links):
    return {"s1": tf.zeros([links["tx>s1"].shape[0], N], tf.float64)}


def rate(u, phases, snr):
    """[B], u [B, F, M, N or N+1]."""
    field = np.einsum("bfmn,bn->bfm", u[..., :N], np.exp(1j * phases)) + u[..., N:].sum(-1)
    return np.log2(1 + snr * np.sum(np.abs(field) ** 2, -1)).sum(-1)


def twin(u, snr, num_bits, sweeps):
    """One example [F, M, N or N+1], by the definition."""
    phases = np.zeros(N)
    for n in list(range(N)) * sweeps:
        b = np.sqrt(snr) * u[..., n]
        g = np.sqrt(snr) * (u[..., :N] @ np.exp(1j * phases) + u[..., N:].sum(-1))
        a = g - b * np.exp(1j * phases[n])
        p = np.sum(np.abs(g) ** 2, -1, keepdims=True)
        tried = [
            -np.angle(np.sum(np.conj(a / (1 + p)) * b)),
            -np.angle(np.sum(np.conj(g - p / (1 + p) * a) * b)),
        ]
        if num_bits is not None:
            tried = 2 * np.pi * np.arange(2**num_bits) / 2**num_bits
        values = [
            np.sum(np.log(1 + np.sum(np.abs(a + b * np.exp(1j * t)) ** 2, -1))) for t in tried
        ]
        phases[n] = tried[int(np.argmax(values))]
    return phases


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("num_bits", [None, 1, 2])
def test_against_numpy_and_monotone(num_bits, direct):
    u, snr = cplx(3, F, M, N + direct), 0.7
    links = irs.Links.from_cascaded(tf.constant(u), direct)
    before = rate(u, np.zeros([3, N]), snr)
    for sweeps in (1, 2, 6):
        design = irs.RateCoordinateAscent(snr, num_bits, sweeps, zero_start, **DOUBLE)
        phases = design(links)["s1"].numpy()
        for b in range(3):
            expected = np.exp(1j * twin(u[b], snr, num_bits, sweeps))
            np.testing.assert_allclose(np.exp(1j * phases[b]), expected, atol=1e-9)
        after = rate(u, phases, snr)
        assert (after >= before - 1e-12).all()
        before = after


@pytest.mark.parametrize("num_bits", [None, 2])
def test_no_single_element_helps_at_the_end(num_bits):
    u, snr = cplx(2, F, 1, N + 1), 0.1
    links = irs.Links.from_cascaded(tf.constant(u))
    phases = irs.RateCoordinateAscent(snr, num_bits, 300, **DOUBLE)(links)["s1"].numpy()
    end = rate(u, phases, snr)
    steps = [1e-3, -1e-3] if num_bits is None else 2 * np.pi * np.arange(1, 4) / 4
    for n in range(N):
        for step in steps:
            moved = phases.copy()
            moved[:, n] += step
            assert (rate(u, moved, snr) <= end + 1e-9).all()


def test_beats_its_start_and_one_subcarrier_is_aligned():
    u, snr = cplx(20, 16, 1, N + 1), 1.0
    links = irs.Links.from_cascaded(tf.constant(u))
    start = irs.CoordinateAscent(**DOUBLE)(links)["s1"].numpy()
    phases = irs.RateCoordinateAscent(snr, **DOUBLE)(links)["s1"].numpy()
    assert (rate(u, phases, snr) >= rate(u, start, snr) - 1e-12).all()
    assert rate(u, phases, snr).mean() > rate(u, start, snr).mean() + 0.01
    one = u[:, :1]
    phases = irs.RateCoordinateAscent(snr, num_iter=60, start=zero_start, **DOUBLE)(
        irs.Links.from_cascaded(tf.constant(one))
    )["s1"].numpy()
    bound = np.log2(1 + snr * np.sum(np.abs(one), -1)[:, 0, 0] ** 2)
    np.testing.assert_allclose(rate(one, phases, snr), bound, rtol=1e-6)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"snr": 0.0}, "snr = 0.0; a positive"),
        ({"snr": 1.0, "num_bits": 0}, "num_bits = 0"),
        ({"snr": 1.0, "num_iter": 0}, "num_iter = 0"),
        ({"snr": 1.0, "start": 3}, "start = 3"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        irs.RateCoordinateAscent(**arguments)


def test_bad_links():
    flat = irs.Links.from_cascaded(tf.ones([3, 2, 5], tf.complex64))
    with pytest.raises(ValueError, match=r"\[batch_size, F, M, N\+1\]"):
        irs.RateCoordinateAscent(1.0)(flat)
    wide = irs.Links.from_cascaded(tf.ones([3, 4, 2, N + 2], tf.complex128))
    with pytest.raises(ValueError, match=f"start gives {N} phases; {N + 1} are needed"):
        irs.RateCoordinateAscent(1.0, start=zero_start, **DOUBLE)(wide)
