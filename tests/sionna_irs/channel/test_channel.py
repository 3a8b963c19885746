"""Surfaces and channels against explicit matrices and closed-form moments."""

import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import random

RNG = np.random.default_rng(1)


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def diag(theta):
    return theta[..., None] * np.eye(theta.shape[-1])


def channel_of(hops, **sizes):
    surfaces = {k: irs.IdealPhases(irs.ULA(n), precision="double") for k, n in sizes.items()}
    return irs.SurfaceChannel(hops, surfaces, precision="double")


B = 4
LINKS = {
    "tx>rx": cplx(B, 2, 3), "tx>s1": cplx(B, 4, 3), "s1>rx": cplx(B, 2, 4),
    "tx>s2": cplx(B, 5, 3), "s2>rx": cplx(B, 2, 5), "s1>s2": cplx(B, 5, 4), "s2>s1": cplx(B, 4, 5),
}  # fmt: skip
THETA = {"s1": np.exp(1j * RNG.standard_normal([B, 4])), "s2": np.exp(1j * cplx(B, 5).real)}
D = {k: diag(v) for k, v in THETA.items()}


def single(x):
    return x["tx>rx"] + x["s1>rx"] @ D["s1"] @ x["tx>s1"]


def parallel(x):
    return single(x) + x["s2>rx"] @ D["s2"] @ x["tx>s2"]


def double(x):
    return parallel(x) + x["s2>rx"] @ D["s2"] @ x["s1>s2"] @ D["s1"] @ x["tx>s1"]


def reverse(x):
    return double(x) + x["s1>rx"] @ D["s1"] @ x["s2>s1"] @ D["s2"] @ x["tx>s2"]


@pytest.mark.parametrize("turned", [False, True], ids=["from tx", "from rx"])
@pytest.mark.parametrize(
    "twin, names",
    [
        (single, ["tx>rx", "tx>s1", "s1>rx"]),
        (parallel, ["tx>rx", "tx>s1", "s1>rx", "tx>s2", "s2>rx"]),
        (double, ["tx>rx", "tx>s1", "s1>rx", "tx>s2", "s2>rx", "s1>s2"]),
        (reverse, list(LINKS)),
    ],
)
def test_compose_is_the_sum_over_paths(twin, names, turned):
    links = {k: LINKS[k] for k in names}
    expected = twin(links)
    if turned:  # the other end has fewer antennas: the transposed channel, sides exchanged
        swap = {"tx": "rx", "rx": "tx"}
        links = {
            ">".join(swap.get(n, n) for n in reversed(k.split(">"))): v.swapaxes(-1, -2)
            for k, v in links.items()
        }
        expected = expected.swapaxes(-1, -2)
    sizes = {"s1": 4, "s2": 5} if any("s2" in k for k in names) else {"s1": 4}
    channel = channel_of({k: v[0] for k, v in links.items()}, **sizes)
    theta = {k: tf.constant(THETA[k]) for k in sizes}
    found = channel.compose({k: tf.constant(v) for k, v in links.items()}, theta)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_three_surfaces_reflect_once_each_on_every_path():
    nodes = {"s1": 2, "s2": 3, "s3": 2}
    hops = {f"tx>{a}": cplx(n, 1) for a, n in nodes.items()}
    hops |= {f"{a}>rx": cplx(2, n) for a, n in nodes.items()}
    hops |= {f"{a}>{b}": cplx(m, n) for a, n in nodes.items() for b, m in nodes.items() if a != b}
    theta = {a: np.exp(1j * RNG.standard_normal(n)) for a, n in nodes.items()}

    def walk(node, field, seen):
        total = hops[f"{node}>rx"] @ (theta[node][:, None] * field)
        for other in set(nodes) - seen:
            step = hops[f"{node}>{other}"] @ (theta[node][:, None] * field)
            total = total + walk(other, step, seen | {other})
        return total

    expected = sum(walk(a, hops[f"tx>{a}"], {a}) for a in nodes)
    channel = channel_of(hops, **nodes)
    links = channel.draw(1)
    found = channel.compose(links, {k: tf.constant(v) for k, v in theta.items()})
    np.testing.assert_allclose(found[0], expected, atol=1e-10)


def test_users_and_shared_hops():
    channel = irs.CascadedChannel(4, 6, num_users=3, precision="double")
    links = channel.draw(5)
    phases = RNG.uniform(0, 6, [5, 6])
    h = channel.compose(links, channel.reflect({"s1": tf.constant(phases)})).numpy()
    g = links["s1>rx"].numpy()
    assert g.shape == (5, 4, 6)  # one surface-to-rx hop, shared by the users
    for k in range(3):
        expected = g @ diag(np.exp(1j * phases)) @ links["tx>s1"].numpy()[:, k]
        np.testing.assert_allclose(h[:, k], expected + links["tx>rx"].numpy()[:, k], atol=1e-12)
    u = links.cascaded().numpy()
    one = np.concatenate([np.exp(1j * phases), np.ones([5, 1])], -1)
    np.testing.assert_allclose(np.einsum("bkmn,bn->bkm", u, one), h[..., 0], atol=1e-12)
    np.testing.assert_allclose(irs.stack_users(tf.constant(h)), h[..., 0].swapaxes(1, 2))
    again = irs.Links.from_cascaded(tf.constant(u))
    np.testing.assert_allclose(again.cascaded(), u)
    user_phases = RNG.uniform(0, 6, [5, 3, 6])
    h = channel.compose(again, channel.reflect({"s1": tf.constant(user_phases)}))
    one = np.concatenate([np.exp(1j * user_phases), np.ones([5, 3, 1])], -1)
    np.testing.assert_allclose(h[..., 0], np.einsum("bkmn,bkn->bkm", u, one), atol=1e-12)


@pytest.mark.parametrize("k_factor", [0.0, 3.0, math.inf])
def test_rician_moments(k_factor):
    random.reset(random.stream_key(1))
    los = np.exp(2j * np.pi * RNG.uniform(size=[3, 2]))
    hop = irs.RicianHop(
        irs.ULA(2), irs.ULA(3), k_factor, path_gain=0.5, los=los, precision="double"
    )
    samples = 20_000
    h = hop(samples).numpy()
    share = 1.0 if math.isinf(k_factor) else k_factor / (k_factor + 1)
    spread = math.sqrt(0.5 * (1 - share) / samples)
    # Six entries, real and imaginary part: 5.5 sigma leaves 5e-7.
    np.testing.assert_allclose(h.mean(0), math.sqrt(0.5 * share) * los, atol=5.5 * spread + 1e-15)
    power = (np.abs(h) ** 2).mean()
    deviation = 0.5 * math.sqrt((1 - share**2) / h.size)
    assert abs(power - 0.5) <= 5.5 * deviation + 1e-12


def test_correlated_hop_has_the_kronecker_covariance():
    random.reset(random.stream_key(2))
    rx, tx = irs.UPA(2, 2), irs.ULA(2)
    r_rx, r_tx = irs.exponential_correlation(rx, 0.6), irs.exponential_correlation(tx, 0.4j)
    one = np.array([[1, 0.6], [0.6, 1]])
    np.testing.assert_allclose(r_rx, np.kron(one, one))
    hop = irs.RayleighHop(tx, rx, rx_correlation=r_rx, tx_correlation=r_tx, precision="double")
    samples = 40_000
    h = hop(samples).numpy()
    found = np.einsum("sij,skl->ijkl", h, h.conj()) / samples
    expected = np.einsum("ik,jl->ijkl", r_rx, r_tx)
    # Each entry is a mean of products of unit variables: deviation at most 1/sqrt(samples).
    assert np.abs(found - expected).max() < 6 / math.sqrt(samples)


def test_los_matrix_follows_the_responses():
    tx, rx = irs.ULA(3), irs.UPA(2, 2)
    h = irs.los_matrix(tx, rx, (0.3, 1.2), (-0.4, 1.9))
    a_rx = rx.response(-0.4, 1.9, tf.complex128).numpy()
    a_tx = tx.response(0.3, 1.2, tf.complex128).numpy()
    np.testing.assert_allclose(h, a_rx[:, None] * a_tx[None, :])


def test_cascade_statistics_of_both_normalisations():
    statistics = irs.CascadedChannel().statistics
    assert statistics.rho_h == pytest.approx(0.976715, abs=5e-7)
    assert statistics.rho_c == pytest.approx(0.0309087, abs=5e-8)
    physical = irs.CascadedChannel(normalization="physical", noise_power=1e-9).statistics
    assert irs.linear_to_db(physical.rho_h) == pytest.approx(-36.95, abs=0.005)
    assert irs.linear_to_db(physical.rho_g * 1e-9) == pytest.approx(-19.08, abs=0.005)
    assert irs.linear_to_db(physical.rho_d * 1e-9) == pytest.approx(-51.0, abs=0.005)
    random.reset(random.stream_key(3))
    u = irs.CascadedChannel(4, 8, precision="double").draw(20_000).cascaded().numpy()
    total = (np.abs(u) ** 2).sum((1, 2))
    expected = irs.CascadedChannel(4, 8).statistics.total_power
    assert abs(total.mean() - expected) < 5.5 * total.std() / math.sqrt(len(total))


def test_gradient_reaches_the_controls_through_every_surface():
    channel = channel_of({k: LINKS[k][0] for k in LINKS}, s1=4, s2=5)
    links = channel.draw(2)
    phases = {"s1": tf.constant(RNG.standard_normal(4)), "s2": tf.constant(RNG.standard_normal(5))}

    def power(phases):
        h = channel.compose(links, channel.reflect(phases))
        return tf.reduce_sum(tf.square(tf.abs(h)))

    with tf.GradientTape() as tape:
        tape.watch(phases)
        value = power(phases)
    gradients = tape.gradient(value, phases)
    for name, start in phases.items():
        step = 1e-6 * RNG.standard_normal(start.shape)
        ends = [float(power({**phases, name: start + s * step})) for s in (1, -1)]
        expected = float(tf.reduce_sum(gradients[name] * step))
        assert (ends[0] - ends[1]) / 2 == pytest.approx(expected, rel=1e-5)


def test_own_control_and_policy():
    panel = irs.ULA(4)
    surface = irs.IdealPhases(panel, trainable=True, initial=np.arange(4.0))
    channel = irs.SurfaceChannel({"tx>s1": cplx(4, 1), "s1>rx": cplx(1, 4)}, {"s1": surface})
    links = channel.draw(3)
    own = channel(3)
    given = channel.compose(links, channel.reflect({"s1": tf.range(4.0)}))
    np.testing.assert_allclose(own, given, rtol=1e-5)
    aligned = channel(3, policy=irs.AlignedPhases())
    assert abs(aligned[0, 0, 0]) > abs(own[0, 0, 0])
    assert len(channel.trainable_variables) == 1
    with pytest.raises(ValueError, match="the surfaces are \\['s1'\\]"):
        channel.reflect({"s2": tf.zeros([4])})


def test_surfaces_against_formulas():
    panel, control = irs.ULA(5), RNG.uniform(-4, 4, [3, 5])
    theta = irs.IdealPhases(panel, precision="double")(control)
    np.testing.assert_allclose(theta, np.exp(1j * control), atol=1e-12)
    for bits in (1, 2, 3):
        grid = 2 * np.pi * np.arange(2**bits) / 2**bits
        nearest = np.abs(np.exp(1j * control)[..., None] - np.exp(1j * grid)).argmin(-1)
        theta = irs.DiscretePhases(panel, bits, precision="double")(control)
        np.testing.assert_allclose(theta, np.exp(1j * grid[nearest]), atol=1e-12)
    surface = irs.CoupledAmplitude(panel, 0.3, 1.4, 0.2, precision="double")
    beta = 0.7 * ((np.sin(control - 0.2) + 1) / 2) ** 1.4 + 0.3
    np.testing.assert_allclose(surface(control), beta * np.exp(1j * control), atol=1e-10)


def test_straight_through_gradient():
    surface = irs.DiscretePhases(irs.ULA(3), 2)
    phase = tf.constant([0.2, 1.4, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(phase)
        value = tf.reduce_sum(tf.math.imag(surface(phase)))
    rounded = np.round(phase.numpy() / (np.pi / 2)) * np.pi / 2
    np.testing.assert_allclose(tape.gradient(value, phase), np.cos(rounded), atol=1e-6)


PANEL, USER, BASE = irs.ULA(4), irs.ULA(1), irs.ULA(2)
IDEAL = irs.IdealPhases(PANEL)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: irs.SurfaceChannel({"tx-s1": np.ones([4, 1])}, {"s1": IDEAL}), "'from>to'"),
        (lambda: irs.SurfaceChannel({"tx>s2": np.ones([4, 1])}, {"s1": IDEAL}), "must lead from"),
        (lambda: irs.SurfaceChannel({"rx>s1": np.ones([4, 1])}, {"s1": IDEAL}), "must lead from"),
        (lambda: irs.SurfaceChannel({"tx>s1": np.ones([5, 1])}, {"s1": IDEAL}), "5 antennas"),
        (lambda: irs.SurfaceChannel({"tx>s1": np.ones([4, 1])}, {"s1": IDEAL}), "no path leads"),
        (lambda: irs.SurfaceChannel({"tx>rx": np.ones(3)}, {}), r"\[rx, tx\] is needed"),
        (lambda: irs.RicianHop(USER, PANEL, -1.0), "k_factor = -1"),
        (lambda: irs.RicianHop(USER, PANEL, 1.0, path_gain=math.inf), "path_gain = inf"),
        (lambda: irs.RicianHop(USER, PANEL, 1.0, los=np.ones([1, 4])), r"\(4, 1\) is needed"),
        (lambda: irs.RicianHop(USER, PANEL, 1.0, los="flat"), "los = 'flat'"),
        (lambda: irs.RicianHop(USER, PANEL, 1.0, num_users=0), "num_users = 0"),
        (lambda: irs.RayleighHop(USER, BASE, rx_correlation=[[1, 2], [2, 1]]), "eigenvalue"),
        (lambda: irs.RayleighHop(USER, BASE, rx_correlation=[[1, 2], [3, 1]]), "Hermitian"),
        (lambda: irs.exponential_correlation(BASE, 1.1), "at most 1"),
        (lambda: irs.CascadedChannel(normalization="none"), "normalization = 'none'"),
        (lambda: irs.CascadedChannel(noise_power=1.0), "belongs to"),
        (lambda: irs.DiscretePhases(PANEL, 0), "num_bits = 0"),
        (lambda: irs.CoupledAmplitude(PANEL, beta_min=2.0), "beta_min = 2"),
        (lambda: irs.IdealPhases(PANEL, initial="ones"), "initial = 'ones'"),
        (lambda: irs.Links({"tx>rx": tf.ones([1, 2, 1])}).cascaded(), "one surface"),
        (lambda: irs.stack_users(tf.ones([2, 2])), "is needed"),
    ],
)
def test_wrong_channels(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_noise_of_apply():
    random.reset(random.stream_key(4))
    h, x = tf.ones([50_000, 1, 1], tf.complex128), tf.ones([50_000, 1], tf.complex128)
    noise = irs.apply(h, x, 0.3).numpy() - 1
    power = np.abs(noise) ** 2
    assert abs(power.mean() - 0.3) < 5.5 * 0.3 / math.sqrt(power.size)
    per_example = irs.apply(h, x, tf.linspace(0.0, 1.0, 50_000)).numpy()
    assert per_example[0, 0] == 1
