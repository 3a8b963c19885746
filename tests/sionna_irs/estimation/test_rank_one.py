"""The peak of the periodogram: float64 twin, the count of its error, and the ends of its range."""

import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import random
from sionna_irs.estimation.rank_one import RankOneEstimator

RNG = np.random.default_rng(7)
M, N, P = 6, 9, 10


def pilots_of(direct=False, precision="double", n=N, p=P):
    return irs.SurfacePilots(n, p, direct=direct, precision=precision)


def waves(batch, m=M, n=N):
    """Plane waves over both arrays, of any size and phase."""
    f, g = RNG.uniform(-0.5, 0.5, [2, batch, 1, 1])
    gain = np.exp(RNG.normal(size=[batch, 1, 1]) + 2j * np.pi * RNG.uniform(size=[batch, 1, 1]))
    return gain * np.exp(2j * np.pi * (f * np.arange(m)[:, None] + g * np.arange(n)))


def twin(y, direct=False, steps=6):
    """Element by element in float64, from the formula."""
    q = np.arange(1, N + 1) if direct else np.arange(N)
    u = y @ np.exp(-2j * np.pi * np.outer(q, np.arange(P)) / P).T / P
    places = np.meshgrid(np.arange(M) - (M - 1) / 2, np.arange(N) - (N - 1) / 2, indexing="ij")

    def wave(f, g):
        return np.exp(2j * np.pi * (f * places[0] + g * places[1]))

    grid = [(f / 16, g / 32) for f in range(16) for g in range(32)]
    found = []
    for sample in u:
        f, g = max(grid, key=lambda fg: abs(np.vdot(wave(*fg), sample)))
        for _ in range(steps):
            w = wave(f, g)
            moves = [
                np.real(np.vdot(2j * np.pi * place * w, sample) / np.vdot(w, sample))
                / (4 * np.pi**2 * np.mean(place**2))
                for place in places
            ]
            f, g = f + moves[0], g + moves[1]
        w = wave(f, g)
        found.append(np.vdot(w, sample) / (M * N) * w)
    return np.array(found)


@pytest.mark.parametrize("direct", [False, True])
def test_against_the_twin(direct):
    pilots = pilots_of(direct)
    u = waves(4)
    if direct:
        u = np.concatenate([u, RNG.normal(size=[4, M, 1]) + 0j], -1)
    random.reset(random.stream_key(11))
    y = pilots(u, 0.5).numpy()
    u_hat, err_var = RankOneEstimator(pilots)(y, 0.5)
    np.testing.assert_allclose(u_hat[..., :N], twin(y, direct), atol=1e-10)
    if direct:
        ls, variance = irs.LSEstimator(pilots)(y, 0.5)
        np.testing.assert_allclose(u_hat[..., N:], ls[..., N:], atol=1e-12)
        np.testing.assert_allclose(err_var[..., N:], np.broadcast_to(variance, [M, 1]))


def test_it_is_the_least_squares_fit():
    """No plane wave near the estimate leaves a smaller residual."""
    pilots = pilots_of()
    random.reset(random.stream_key(12))
    y = pilots(waves(1), 1.0).numpy()
    u = irs.LSEstimator(pilots)(y, 1.0)[0].numpy()[0]
    u_hat = RankOneEstimator(pilots, num_steps=40)(y, 1.0)[0].numpy()[0]
    rows, columns = np.arange(M)[:, None] - (M - 1) / 2, np.arange(N) - (N - 1) / 2
    for place in (rows, columns):
        for step in (1e-4, -1e-4):
            other = u_hat * np.exp(2j * np.pi * step * place)
            other *= np.vdot(other, u) / np.vdot(other, other)
            assert np.linalg.norm(u - u_hat) < np.linalg.norm(u - other)
            slope = np.vdot(u_hat * place, u - u_hat).imag
            assert abs(slope) < 1e-10 * np.vdot(u_hat, u_hat).real


def test_four_numbers_leave_twice_the_variance_of_an_entry():
    """Error over sigma^2 is half of a chi-square of 4 degrees: mean 2, variance 2."""
    pilots, no, batch = pilots_of(), 1e-4, 4000
    u = waves(batch)
    u /= np.abs(u)
    random.reset(random.stream_key(13))
    u_hat, err_var = RankOneEstimator(pilots)(pilots(u, no), no)
    error = np.abs(u_hat.numpy() - u) ** 2 / (no / P)
    total = error.sum((1, 2))
    assert abs(total.mean() - 2) < 5.5 * math.sqrt(2 / batch)
    assert abs(total.var() - 2) < 0.4
    # An entry's error is a weighted sum of chi-squares, at most as spread as exponential.
    share = np.broadcast_to(err_var, u.shape)[0] / (no / P)
    assert share.sum() == pytest.approx(2)
    assert np.all(np.abs(error.mean(0) - share) < 6.5 * share * math.sqrt(2 / batch))


@pytest.mark.parametrize("m, n, count", [(1, 9, 1.5), (6, 1, 1.5), (1, 1, 1.0)])
def test_an_array_of_one_has_no_frequency(m, n, count):
    pilots = pilots_of(n=n, p=n)
    u = waves(20, m, n)
    u_hat, _ = RankOneEstimator(pilots)(pilots(u, 0.0), 0.0)
    np.testing.assert_allclose(u_hat, u, atol=1e-10 * np.abs(u).max())
    err_var = RankOneEstimator(pilots)(pilots(u, 0.0), 1.0)[1]
    assert np.sum(np.broadcast_to(err_var, [m, n])) == pytest.approx(count / n)


def test_modes_and_precisions_agree():
    u = waves(8)
    results = []
    for precision in ("double", "single"):
        pilots = pilots_of(precision=precision)
        random.reset(random.stream_key(14))
        y = irs.SurfacePilots(N, P, direct=False, precision="double")(u, 0.1)
        y = tf.cast(y, pilots.cdtype)
        estimator = RankOneEstimator(pilots)
        eager = estimator(y, 0.1)[0].numpy()
        for compiled in (False, True):
            other = tf.function(estimator, autograph=False, jit_compile=compiled)(y, 0.1)[0].numpy()
            np.testing.assert_allclose(other, eager, atol=1e-11 if precision == "double" else 2e-5)
        results.append(eager)
    np.testing.assert_allclose(*results, atol=1e-4)


def test_ends_of_the_range():
    pilots = pilots_of()
    edge = np.exp(1j * np.pi * (np.arange(M)[:, None] - np.arange(N)))[None]
    u_hat = RankOneEstimator(pilots)(pilots(edge, 0.0), 0.0)[0]
    np.testing.assert_allclose(u_hat, edge, atol=1e-10)
    zero = np.zeros([2, M, P], complex)
    assert np.abs(RankOneEstimator(pilots)(zero, 1.0)[0]).max() == 0
    with pytest.raises(ValueError, match="num_steps = -1"):
        RankOneEstimator(pilots, num_steps=-1)
