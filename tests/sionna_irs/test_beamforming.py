"""Precoders, receivers and phase designs against NumPy and reference values."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import metrics, random

RNG = np.random.default_rng(1)


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def reference_channel(seed, users, antennas):
    rng = np.random.default_rng(seed)
    real = rng.standard_normal([users, antennas])
    return (real + 1j * rng.standard_normal([users, antennas])) / math.sqrt(2)


# Sum rates [bit/s/Hz] at total power 10, noise 1: independent reference values.
REFERENCE = {
    (1, 4, 8): {"MRT": 6.23852331, "ZF": 10.93217493, "RZF": 11.84159756, "ZF-eq": 11.94925508},
    (2, 8, 8): {"MRT": 10.03644927, "ZF": 4.72035801, "RZF": 16.26183941, "ZF-eq": 7.8869288},
}
PRECODERS = {
    "MRT": lambda: irs.MRTPrecoder(precision="double"),
    "ZF": lambda: irs.ZFPrecoder(precision="double"),
    "RZF": lambda: irs.RZFPrecoder(precision="double"),
    "ZF-eq": lambda: irs.ZFPrecoder(power="per_user", precision="double"),
}


@pytest.mark.parametrize("case", REFERENCE)
@pytest.mark.parametrize("name", PRECODERS)
def test_reference_sum_rates(case, name):
    h, no = tf.constant(reference_channel(*case)), tf.constant(0.1, tf.float64)
    v = PRECODERS[name]()(h, no)
    assert float(tf.reduce_sum(tf.square(tf.abs(v)))) == pytest.approx(1)
    # The reference is printed to eight decimals.
    rate = float(metrics.sum_rate(h, v, no))
    assert rate == pytest.approx(REFERENCE[case][name], abs=1e-6)


def test_zero_forcing_nulls_and_limits_of_the_regularisation():
    h = cplx(3, 2, 4)
    seen = h @ PRECODERS["ZF"]()(h, 0.1).numpy()
    np.testing.assert_allclose(seen, seen[:, :1, :1] * np.eye(2), atol=1e-12)
    v = irs.RZFPrecoder(0.0, precision="double")(h, 0.1)
    np.testing.assert_allclose(v, PRECODERS["ZF"]()(h, 0.1), atol=1e-10)
    v = irs.RZFPrecoder(1e9, precision="double")(h, 0.1)
    np.testing.assert_allclose(v, PRECODERS["MRT"]()(h, 0.1), atol=1e-8)
    columns = np.linalg.norm(irs.MRTPrecoder(power="per_user")(h, 0.1), axis=-2)
    np.testing.assert_allclose(columns, math.sqrt(0.5), rtol=1e-5)
    with pytest.raises(ValueError, match="at most as many users"):
        irs.ZFPrecoder()(cplx(4, 2), 0.1)
    with pytest.raises(ValueError, match="power = 'each'"):
        irs.MRTPrecoder(power="each")
    with pytest.raises(ValueError, match="regularization = -1"):
        irs.RZFPrecoder(-1.0)


def receiver_twin(name, y, h, no):
    if name == "MRCReceiver":
        w = h.conj().swapaxes(-1, -2)
    elif name == "ZFReceiver":
        w = np.linalg.pinv(h)
    else:
        m = h.shape[-2]
        hh = h.conj().swapaxes(-1, -2)
        w = hh @ np.linalg.inv(h @ hh + no * np.eye(m))
    gain = w @ h
    scale = np.einsum("bkk->bk", gain)
    x_hat = np.einsum("bkm,bm->bk", w, y) / scale
    interference = (np.abs(gain) ** 2).sum(-1) - np.abs(scale) ** 2
    noise = no * (np.abs(w) ** 2).sum(-1)
    return x_hat, (interference + noise) / np.abs(scale) ** 2


@pytest.mark.parametrize("name", ["MRCReceiver", "ZFReceiver", "LMMSEReceiver"])
def test_receivers_against_numpy(name):
    y, h = cplx(6, 4), cplx(6, 4, 3)
    x_hat, no_eff = getattr(irs, name)(precision="double")(y, h, 0.3)
    expected = receiver_twin(name, y, h, 0.3)
    np.testing.assert_allclose(x_hat, expected[0], rtol=1e-9)
    np.testing.assert_allclose(no_eff, expected[1], rtol=1e-9)
    if name == "ZFReceiver":
        with pytest.raises(ValueError, match="at most as many streams"):
            irs.ZFReceiver()(y, cplx(6, 4, 5), 0.3)


def links_of(u):
    return irs.Links.from_cascaded(tf.constant(u))


def power_of(u, phases):
    """Received power of cascaded channels [..., M, N+1] for phases [..., N]."""
    one = np.concatenate([np.exp(1j * phases), np.ones([*phases.shape[:-1], 1])], -1)
    return (np.abs(np.einsum("...mn,...n->...m", u, one)) ** 2).sum(-1)


def test_aligned_phases_are_optimal_for_one_antenna():
    u = cplx(20, 1, 9)
    phases = irs.AlignedPhases(precision="double")(links_of(u))["s1"].numpy()
    np.testing.assert_allclose(power_of(u, phases), np.abs(u).sum((1, 2)) ** 2, rtol=1e-10)
    # The ascent converges to the same optimum, geometrically.
    ascent = irs.CoordinateAscent(num_iter=200, precision="double")(links_of(u))["s1"].numpy()
    np.testing.assert_allclose(power_of(u, ascent), power_of(u, phases), rtol=1e-3)


def test_aligned_phases_survive_path_gains_of_single_precision():
    u = 1e-9 * cplx(5, 4, 9)
    phases = irs.AlignedPhases()(links_of(u.astype(np.complex64)))["s1"].numpy()
    large = irs.AlignedPhases(precision="double")(links_of(1e9 * u))["s1"].numpy()
    np.testing.assert_allclose(np.exp(1j * phases), np.exp(1j * large), atol=1e-3)


def ascent_twin(u, num_bits, num_iter):
    """Element after element, with explicit search over a fine or the discrete grid."""
    phases = np.zeros(u.shape[-1] - 1)
    for _ in range(num_iter):
        for n in range(len(phases)):
            trial = phases.copy()
            trial[n] = 0
            one = np.append(np.exp(1j * trial), 1)
            one[n] = 0
            rest = u @ one
            best = np.angle(np.vdot(u[:, n], rest))
            if num_bits is not None:
                grid = 2 * np.pi * np.arange(2**num_bits) / 2**num_bits
                gains = [np.linalg.norm(rest + u[:, n] * np.exp(1j * g)) for g in grid]
                best = grid[int(np.argmax(gains))]
            phases[n] = best
    return phases


@pytest.mark.parametrize("num_bits", [None, 1, 2])
def test_coordinate_ascent_against_its_twin_and_monotone(num_bits):
    u = cplx(4, 3, 6)
    before = power_of(u, np.zeros([4, 5]))
    for num_iter in (1, 2, 5):
        policy = irs.CoordinateAscent(num_bits, num_iter, precision="double")
        phases = policy(links_of(u))["s1"].numpy()
        expected = np.array([ascent_twin(x, num_bits, num_iter) for x in u])
        np.testing.assert_allclose(np.exp(1j * phases), np.exp(1j * expected), atol=1e-8)
        after = power_of(u, phases)
        assert (after >= before - 1e-9).all()
        before = after


def test_one_bit_ascent_ends_where_no_single_flip_helps():
    u = cplx(6, 2, 5)
    phases = irs.CoordinateAscent(1, 20, precision="double")(links_of(u))["s1"].numpy()
    found = power_of(u, phases)
    best = np.max([power_of(u, np.broadcast_to(c, [6, 4])) for c in
                   itertools.product([0, np.pi], repeat=4)], 0)  # fmt: skip
    assert (found <= best + 1e-9).all() and (found > 0.5 * best).all()
    for n in range(4):
        flipped = phases.copy()
        flipped[:, n] += np.pi
        assert (power_of(u, flipped) <= found + 1e-9).all()


def test_users_share_the_surface():
    u = cplx(3, 2, 4, 6)
    phases = irs.CoordinateAscent(precision="double")(links_of(u))["s1"].numpy()
    assert phases.shape == (3, 5)
    together = irs.CoordinateAscent(precision="double")(links_of(u.reshape(3, 8, 6)))["s1"]
    np.testing.assert_allclose(phases, together)


def test_random_phases_are_uniform():
    random.reset(random.stream_key(1))
    phases = irs.RandomPhases(precision="double")(links_of(cplx(500, 2, 65)))["s1"].numpy()
    assert phases.shape == (500, 64) and phases.min() >= 0 and phases.max() < 2 * np.pi + 1e-5
    assert abs(np.exp(1j * phases).mean()) < 5 / math.sqrt(phases.size)


# Spectral efficiency at 5 dB, MRT with equal power, perfect CSI (mean, standard error).
RATES = {
    (6, "random"): (2.459, 0.006), (1, "random"): (6.156, 0.010),
    (6, "aligned"): (1.685, 0.012), (1, "aligned"): (12.173, 0.008),
}  # fmt: skip


@pytest.mark.parametrize("case", RATES)
def test_reference_spectral_efficiency(case):
    users, design = case
    random.reset(random.stream_key(6))
    channel = irs.CascadedChannel(num_users=users)
    policy = irs.RandomPhases() if design == "random" else irs.CoordinateAscent()
    drops = 600
    h = irs.stack_users(channel(drops, policy=policy))
    h = tf.linalg.matrix_transpose(h)  # downlink: row k is user k
    no = tf.constant(10**-0.5)
    rate = metrics.sum_rate(h, irs.MRTPrecoder(power="per_user")(h, no), no).numpy()
    value, error = RATES[case]
    spread = math.hypot(error, rate.std() / math.sqrt(drops))
    assert abs(rate.mean() - value) < 5 * spread


def test_wrong_policies():
    for arguments in ({"num_bits": 0}, {"num_iter": 0}, {"num_bits": 1.5}):
        with pytest.raises(ValueError, match="is needed"):
            irs.CoordinateAscent(**arguments)
    with pytest.raises(ValueError, match="num_iter"):
        irs.AlignedPhases(num_iter=0)
    with pytest.raises(ValueError, match="one transmit antenna"):
        irs.AlignedPhases()({"tx>s1": cplx(2, 4, 2), "s1>rx": cplx(2, 3, 4)})
