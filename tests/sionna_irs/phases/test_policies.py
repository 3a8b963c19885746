"""Phase designs against NumPy, exhaustive search, optima in closed form and reference rates."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import metrics, random

RNG = np.random.default_rng(3)
DOUBLE = {"precision": "double"}


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def links_of(u, direct=True):
    return irs.Links.from_cascaded(tf.constant(u), direct)


def fields(u, phases):
    """U [..., M, N or N+1] times the reflections of phases [..., N], the direct column by 1."""
    n = phases.shape[-1]
    reflected = np.einsum("...mn,...n->...m", u[..., :n], np.exp(1j * np.asarray(phases)))
    return reflected + u[..., n:].sum(-1)


def power(u, phases):
    return np.sum(np.abs(fields(u, phases)) ** 2, -1)


def ascent_twin(u, num_bits, num_iter):
    """One matrix: the phase of every element in turn, by its definition."""
    phases = np.zeros(u.shape[-1] - 1)
    for _, n in itertools.product(range(num_iter), range(len(phases))):
        rest = fields(u, phases) - u[:, n] * np.exp(1j * phases[n])
        if num_bits is None:
            phases[n] = np.angle(u[:, n].conj() @ rest)
            continue
        grid = 2 * np.pi * np.arange(2**num_bits) / 2**num_bits
        powers = [np.linalg.norm(rest + u[:, n] * np.exp(1j * p)) for p in grid]
        phases[n] = grid[np.argmax(powers)]
    return phases


@pytest.mark.parametrize("num_bits", [None, 1, 3])
def test_ascent_against_numpy(num_bits):
    u = cplx(4, 3, 7)
    phases = irs.CoordinateAscent(num_bits, num_iter=3, **DOUBLE)(links_of(u))["s1"].numpy()
    expected = [ascent_twin(matrix, num_bits, 3) for matrix in u]
    np.testing.assert_allclose(np.exp(1j * phases), np.exp(1j * np.array(expected)), atol=1e-10)


@pytest.mark.parametrize("num_bits", [None, 1, 2])
def test_ascent_never_descends(num_bits):
    u = cplx(20, 4, 9)
    last = power(u, np.zeros([20, 8]))
    for num_iter in (1, 2, 3, 6):
        layer = irs.CoordinateAscent(num_bits, num_iter=num_iter, **DOUBLE)
        now = power(u, layer(links_of(u))["s1"].numpy())
        assert np.all(now >= last * (1 - 1e-12))
        last = now


@pytest.mark.parametrize("direct", [True, False])
def test_one_antenna_reaches_the_optimum(direct):
    """All paths in phase; a strong direct path lets the ascent converge fast."""
    u = cplx(20, 1, 6)
    u[..., -1] *= 4
    u = u if direct else u[..., :-1]
    optimum = np.sum(np.abs(u), (-2, -1)) ** 2
    for layer in (irs.AlignedPhases(**DOUBLE), irs.CoordinateAscent(num_iter=60, **DOUBLE)):
        found = power(u, layer(links_of(u, direct))["s1"].numpy())
        np.testing.assert_allclose(found, optimum, rtol=1e-10)


def test_discrete_ascent_against_exhaustive_search():
    """A local optimum always (no single element can do better), the global one mostly."""
    u = cplx(40, 2, 5)
    phases = irs.CoordinateAscent(num_bits=1, num_iter=8, **DOUBLE)(links_of(u))["s1"].numpy()
    found = power(u, phases)
    every = np.array(list(itertools.product([0, np.pi], repeat=4)))
    best = np.max([power(u, np.tile(p, (40, 1))) for p in every], 0)
    for n in range(4):
        flipped = phases.copy()
        flipped[:, n] += np.pi
        assert np.all(power(u, flipped) <= found * (1 + 1e-12))
    assert np.all(found <= best * (1 + 1e-12))
    assert np.mean(found >= best * (1 - 1e-12)) > 0.5


@pytest.mark.parametrize("num_bits", [None, 2])
def test_users_share_the_surface(num_bits):
    """Users count as further antennas, in any order."""
    u = cplx(5, 3, 2, 5)
    layer = irs.CoordinateAscent(num_bits, num_iter=2, **DOUBLE)
    shared = layer(links_of(u))["s1"].numpy()
    assert shared.shape == (5, 4)
    for other in (u.reshape(5, 6, 5), u[:, [2, 0, 1]]):
        turned = np.exp(1j * (layer(links_of(other))["s1"].numpy() - shared))
        np.testing.assert_allclose(turned, 1, atol=1e-10)


def test_aligned_against_numpy():
    u = cplx(6, 3, 5)
    phases = irs.AlignedPhases(num_iter=300, **DOUBLE)(links_of(u))["s1"].numpy()
    for matrix, found in zip(u, phases, strict=True):
        seen = np.linalg.svd(matrix[:, :-1])[0][:, 0].conj() @ matrix
        expected = np.angle(seen[-1]) - np.angle(seen[:-1])
        np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * expected), atol=1e-10)


def test_aligned_is_optimal_for_a_line_of_sight():
    """With a cascade of rank one and the direct path along it, nothing can do better."""
    u = cplx(8, 4, 1) * cplx(8, 1, 7)
    found = power(u, irs.AlignedPhases(**DOUBLE)(links_of(u))["s1"].numpy())
    np.testing.assert_allclose(found, np.linalg.norm(u, axis=-2).sum(-1) ** 2, rtol=1e-10)


def test_aligned_serves_every_user_alone():
    u = cplx(5, 3, 2, 5)
    layer = irs.AlignedPhases(**DOUBLE)
    phases = layer(links_of(u))["s1"].numpy()
    assert phases.shape == (5, 3, 4)
    alone = layer(links_of(u[:, 1]))["s1"].numpy()
    np.testing.assert_allclose(np.exp(1j * phases[:, 1]), np.exp(1j * alone), atol=1e-12)


@pytest.mark.parametrize("policy", [irs.AlignedPhases, irs.CoordinateAscent])
def test_designs_see_only_the_cascade(policy):
    """Hops, or their estimated product with a unit first hop: the same phases."""
    links = irs.CascadedChannel(num_rx_ant=3, num_elements=5, **DOUBLE).draw(4)
    again = irs.Links.from_cascaded(links.cascaded())
    layer = policy(**DOUBLE)
    np.testing.assert_allclose(layer(links)["s1"], layer(again)["s1"], atol=1e-10)


@pytest.mark.parametrize("policy", [irs.AlignedPhases, irs.CoordinateAscent])
def test_tiny_path_gains_in_single_precision(policy):
    u = cplx(4, 2, 6)
    double, single = policy(**DOUBLE), policy()
    tiny = links_of((u * 1e-10).astype(np.complex64))  # a product of paths of -200 dB
    found = power(u, single(tiny)["s1"].numpy())
    np.testing.assert_allclose(found, power(u, double(links_of(u))["s1"].numpy()), rtol=1e-3)


def test_random_phases_are_uniform():
    """First two circular moments of 20000 phases; 4.9 standard deviations of a mean."""
    random.reset(random.stream_key(5))
    links = irs.CascadedChannel(num_rx_ant=1, num_elements=20, num_users=2).draw(1000)
    phases = irs.RandomPhases()(links)["s1"].numpy()
    assert phases.shape == (1000, 20) and phases.dtype == np.float32
    assert phases.min() >= 0 and phases.max() < 2 * np.pi + 1e-6
    for order in (1, 2):
        assert abs(np.mean(np.exp(1j * order * phases))) < 4.9 / np.sqrt(phases.size)


def test_random_phases_of_two_surfaces():
    links = {"tx>s1": cplx(3, 4, 1), "s1>s2": cplx(3, 5, 4), "s2>rx": cplx(3, 2, 5)}
    controls = irs.RandomPhases()({k: tf.constant(v, tf.complex64) for k, v in links.items()})
    assert {k: tuple(v.shape) for k, v in controls.items()} == {"s1": (3, 4), "s2": (3, 5)}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_policies_in_a_graph(jit_compile):
    """With users, and phases that do not jump with rounding: the same field in every mode."""
    u = cplx(3, 2, 2, 5)
    for layer in (irs.AlignedPhases(), irs.CoordinateAscent(), irs.CoordinateAscent(num_bits=2)):
        call = tf.function(layer, jit_compile=jit_compile, autograph=False)
        links = irs.Links.from_cascaded(tf.constant(u, tf.complex64))
        turned = np.exp(1j * (call(links)["s1"].numpy() - layer(links)["s1"].numpy()))
        np.testing.assert_allclose(turned, 1, atol=1e-4)


def test_open_batch_in_a_graph():
    spec = tf.TensorSpec([None, 2, 5], tf.complex128)
    for layer in (irs.AlignedPhases(**DOUBLE), irs.CoordinateAscent(**DOUBLE)):
        design = tf.function(
            lambda u, layer=layer: layer(irs.Links.from_cascaded(u))["s1"],
            input_signature=[spec],
            autograph=False,
        )
        u = cplx(3, 2, 5)
        turned = np.exp(1j * (design(u).numpy() - layer(links_of(u))["s1"].numpy()))
        np.testing.assert_allclose(turned, 1, atol=1e-8)


def sum_rates(num_users, num_drops, design):
    """(sum rates [drops] with perfect and with LS knowledge), transmit SNR 5 dB, MRT."""
    channel = irs.CascadedChannel(num_users=num_users)
    pilots = irs.SurfacePilots(64, 65)
    estimator, precoder = irs.LSEstimator(pilots), irs.MRTPrecoder(power="per_user")

    def rate(links, known, no):
        theta = channel.reflect(design(known))
        # Uplink columns; the downlink of the reference uses h^H.
        h, seen = (
            tf.linalg.adjoint(irs.stack_users(channel.compose(x, theta))) for x in (links, known)
        )
        return metrics.sum_rate(h, precoder(seen, no), no)

    @tf.function(autograph=False)
    def draw(no):
        links = channel.draw(num_drops)
        u_hat, _ = estimator(pilots(links, no), no)
        return rate(links, links, no), rate(links, irs.Links.from_cascaded(u_hat), no)

    random.reset(random.stream_key(7, num_users))
    return [x.numpy() for x in draw(tf.constant(10**-0.5))]


@pytest.mark.parametrize(
    "num_users, num_drops, design, reference, error",
    [
        (6, 1500, irs.RandomPhases, (2.459, 2.252), 0.006),
        (1, 6000, irs.RandomPhases, (6.156, 5.801), 0.011),
        (6, 600, irs.CoordinateAscent, (1.685, 1.665), 0.012),
        (1, 3000, irs.CoordinateAscent, (12.173, 12.153), 0.008),
    ],
)
def test_reference_sum_rates(num_users, num_drops, design, reference, error):
    """Within 4.9 standard errors, those of the reference values included."""
    for found, expected in zip(sum_rates(num_users, num_drops, design()), reference, strict=True):
        tolerance = 4.9 * np.hypot(np.std(found, ddof=1) / np.sqrt(num_drops), error)
        assert np.mean(found) == pytest.approx(expected, abs=tolerance)


def test_bad_arguments():
    for bits in (0, 17, 1.5):
        with pytest.raises(ValueError, match=f"num_bits = {bits}; None or an integer in 1..16"):
            irs.CoordinateAscent(num_bits=bits)
    for cls in (irs.CoordinateAscent, irs.AlignedPhases):
        with pytest.raises(ValueError, match="num_iter = 0; an integer of at least 1"):
            cls(num_iter=0)
        two = {"tx>s1": cplx(3, 4, 1), "s1>s2": cplx(3, 5, 4), "s2>rx": cplx(3, 2, 5)}
        with pytest.raises(ValueError, match="one surface 's1' is needed"):
            cls()(two)
        with pytest.raises(ValueError, match="one transmit antenna is needed"):
            cls()({"tx>s1": cplx(3, 4, 2), "s1>rx": cplx(3, 2, 4)})
    with pytest.raises(ValueError, match=r"the cascade has shape \(2, 5\); \[batch"):
        irs.CoordinateAscent(**DOUBLE)(links_of(cplx(2, 5)))
