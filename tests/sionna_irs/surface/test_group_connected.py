"""Beyond-diagonal surfaces: their circuit, compositions with operators, designs and their laws."""

import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs.surface.operators import BlockOperator, matrix, stacked, times, transpose

RNG = np.random.default_rng(3)
DOUBLE = {"precision": "double"}
MODES = {
    "eager": lambda f: f,
    "graph": lambda f: tf.function(f, autograph=False),
    "xla": lambda f: tf.function(f, autograph=False, jit_compile=True),
}


def cplx(*shape, rng=RNG):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def gap(a, b):
    return np.max(np.abs(np.asarray(a) - np.asarray(b)))


@pytest.mark.parametrize("reciprocal", [True, False])
@pytest.mark.parametrize("size", [1, 2, 8])
def test_circuit(size, reciprocal):
    """(I + jB)^-1 (I - jB), unitary and, where reciprocal, symmetric; B comes back."""
    surface = irs.GroupConnected(irs.ULA(8), size, reciprocal, **DOUBLE)
    control = RNG.standard_normal([3, surface.num_controls])
    assert surface.num_controls == 8 // size * (size * (size + 1) // 2 if reciprocal else size**2)
    b = surface.susceptances(tf.constant(control)).numpy()
    assert gap(b, b.conj().swapaxes(-1, -2)) == 0
    rows, columns = np.triu_indices(size)
    np.testing.assert_array_equal(  # row by row
        b.real[..., rows, columns], control.reshape(3, 8 // size, -1)[..., : len(rows)]
    )
    theta = surface(control)
    eye = np.eye(size)
    np.testing.assert_allclose(
        theta.blocks, np.linalg.solve(eye + 1j * b, eye - 1j * b), atol=1e-13
    )
    assert gap(tf.linalg.adjoint(theta.blocks) @ theta.blocks, eye + 0 * b) < 1e-13
    if reciprocal:
        assert gap(theta.blocks, tf.linalg.matrix_transpose(theta.blocks)) < 1e-13
    np.testing.assert_allclose(surface.realize(theta), control, rtol=1e-6, atol=1e-8)


def test_groups_of_one_are_ideal_phases():
    one, ideal = irs.GroupConnected(irs.ULA(5), 1, **DOUBLE), irs.IdealPhases(irs.ULA(5), **DOUBLE)
    b = RNG.standard_normal([2, 5])
    np.testing.assert_allclose(one(b).blocks[..., 0, 0], ideal(-2 * np.arctan(b)), atol=1e-13)
    wanted = RNG.uniform(-3, 3, [2, 5])
    np.testing.assert_allclose(matrix(one.respond(wanted)), tf.linalg.diag(ideal(wanted)))
    np.testing.assert_allclose(one(one.realize(wanted)).blocks[..., 0, 0], ideal(wanted), atol=1e-9)


@pytest.mark.parametrize("reciprocal", [True, False])
def test_changes(reciprocal):
    surface = irs.GroupConnected(irs.ULA(6), 3, reciprocal, **DOUBLE)
    c, u = RNG.standard_normal([2, 2, surface.num_controls])
    exact = (surface(c + 1e-5 * u) - surface(c - 1e-5 * u)) / 2e-5
    np.testing.assert_allclose(surface.tangent(c, u).blocks, exact.blocks, atol=1e-8)
    found = surface.difference(c + 1e-5 * u, c - 1e-5 * u) / 2e-5
    np.testing.assert_allclose(found.blocks, exact.blocks, atol=1e-8)


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
@pytest.mark.parametrize("mode", MODES)
def test_compositions_are_those_of_the_matrix(mode, order):
    """From either side, with users, one design for all or one for each example."""
    rx, tx = order
    surface = irs.GroupConnected(irs.ULA(6), 3, reciprocal=False)
    hops = {"tx>s1": cplx(6, tx), "s1>rx": cplx(rx, 6), "tx>rx": cplx(rx, tx)}
    channel = irs.SurfaceChannel(hops, {"s1": surface})
    for shape in ((surface.num_controls,), (4, surface.num_controls)):
        theta = surface(RNG.standard_normal(shape).astype(np.float32))
        links = channel.draw(4)
        compose = MODES[mode](channel.compose)
        full = matrix(theta).numpy()
        expected = hops["tx>rx"] + hops["s1>rx"] @ full @ hops["tx>s1"]
        assert gap(compose(links, {"s1": theta}), expected) < 3e-6
    users = irs.Links({**links, "s1>rx": tf.constant(cplx(4, 2, rx, 6), tf.complex64)})
    expected = hops["tx>rx"] + users["s1>rx"].numpy() @ full[:, None] @ hops["tx>s1"]
    assert gap(compose(users, {"s1": theta}), expected) < 3e-6


def test_operators_by_themselves():
    theta = BlockOperator(tf.constant(cplx(2, 3, 2, 2)))
    field = cplx(2, 6, 4)
    np.testing.assert_allclose(times(theta, field), matrix(theta).numpy() @ field)
    np.testing.assert_allclose(matrix(transpose(theta)), matrix(theta).numpy().swapaxes(-1, -2))
    twice = matrix(stacked(theta)).numpy()
    np.testing.assert_allclose(twice[:, 6:, 6:], twice[:, :6, :6])
    assert gap(twice[:, 6:, :6], 0) == 0
    half = (theta + theta - theta) * 2 / 4
    np.testing.assert_allclose(half.blocks, theta.blocks / 2)
    assert matrix(tf.constant(cplx(3))).shape == (3, 3)


@pytest.mark.parametrize("far", [False, True])
def test_impulse_responses(far):
    """Paths through a connected panel, by antennas or by waves, are those of the matrix."""
    panel = irs.UPA(2, 2)
    surface = irs.GroupConnected(panel, 2, **DOUBLE)
    wave = RNG.standard_normal([1, 1, 1, 3, 3])
    wave /= np.linalg.norm(wave, axis=-1, keepdims=True)
    tau = np.abs(RNG.standard_normal([1, 1, 1, 3])) * 1e-8
    if far:
        gains = cplx(1, 1, 1, 1, 1, 3, 1), cplx(1, 1, 2, 1, 1, 3, 1)
        hops = {"tx>s1": (gains[0], tau, wave, None), "s1>rx": (gains[1], tau, None, wave)}
    else:
        hops = {"tx>s1": (cplx(1, 1, 4, 1, 1, 3, 1), tau),
                "s1>rx": (cplx(1, 1, 2, 1, 4, 3, 1), tau)}  # fmt: skip
    cir = irs.SurfaceCIR(hops, {"s1": surface}, **DOUBLE)
    cirs, control = cir.draw(1, 1, 1e6), RNG.standard_normal([1, surface.num_controls])
    theta = cir.reflect({"s1": control})
    a, tau = cir.compose(cirs, theta)
    frequencies = np.array([-1e7, 0.0, 3e7])
    turn = np.exp(-2j * np.pi * frequencies[:, None] * tau.numpy()[0, 0, 0])
    summed = np.einsum("mp,fp->fm", a.numpy()[0, 0, :, 0, 0, :, 0], turn)
    exact = cir.response(cirs, frequencies, {"s1": control}).numpy()[0, 0, :, 0, 0, 0].T
    np.testing.assert_allclose(summed, exact, atol=1e-10)
    links = cir.links(cirs, frequencies)
    by_hand = links["s1>rx"].numpy() @ matrix(theta["s1"]).numpy()[:, None] @ links["tx>s1"].numpy()
    np.testing.assert_allclose(exact, by_hand[0, ..., 0], atol=1e-10)


GAINS = [  # start, after 1, 5 and 399 steps
    (irs.IdealPhases, {}, (154.882592, 341.8239, 550.1266, 619.8707)),
    (irs.GroupConnected, {"group_size": 2}, (154.882592, 399.8295, 586.0821, 669.1533)),
    (irs.GroupConnected, {"group_size": 4}, (154.882592, 430.1559, 707.4716, 761.3491)),
    (irs.GroupConnected, {"group_size": 16}, (154.882592, 633.4229, 836.3291, 963.3345)),
    (irs.GroupConnected, {"group_size": 16, "reciprocal": False},
     (154.882592, 686.6549, 872.3005, 999.1274)),
]  # fmt: skip


@pytest.mark.parametrize("kind, arguments, expected", GAINS)
def test_ascent_of_the_gain(kind, arguments, expected):
    """Independent reference values; the gain never falls."""
    rng = np.random.default_rng(21)
    e, j, f0 = (cplx(*s, rng=rng) for s in ((4, 16), (16, 4), (4, 4)))
    links = {"tx>s1": tf.constant(j[None]), "s1>rx": tf.constant(e[None]),
             "tx>rx": tf.constant(f0[None])}  # fmt: skip
    surfaces = {"s1": kind(irs.ULA(16), **arguments, **DOUBLE)}

    def start(_):
        return {"s1": tf.zeros([1, 16], tf.float64)}

    policy = irs.SumPathGain(num_iter=399, start=start, surfaces=surfaces, **DOUBLE)
    design, h = tf.function(lambda: policy(links, trace=True), autograph=False)()
    gain = np.sum(np.abs(h.numpy()[:, 0]) ** 2, (1, 2))
    np.testing.assert_allclose(gain[[0, 1, 5, 399]], expected, atol=6e-5)
    assert np.all(np.diff(gain) > -1e-9)
    channel = irs.SurfaceChannel({"tx>s1": j, "s1>rx": e, "tx>rx": f0}, surfaces, **DOUBLE)
    again = channel.compose(links, channel.reflect(design))
    np.testing.assert_allclose(again, h[-1], rtol=1e-9)


ALIGNED = {1: 4.045230781747, 2: 6.320274214115, 4: 6.405859541287, 8: 6.743939667590}


@pytest.mark.parametrize("size", ALIGNED)
@pytest.mark.parametrize("mode", MODES)
def test_aligned_responses(size, mode):
    """|d| + sum of |a_g| |b_g|, and no other than the surface gives for its own controls."""
    rng = np.random.default_rng(7)
    a, b, d = (cplx(n, rng=rng) for n in (8, 8, 1))
    hops = {"tx>s1": b[:, None], "s1>rx": a[None], "tx>rx": d[None]}
    for precision, tolerance in (("double", 1e-10), ("single", 3e-5)):
        surface = irs.GroupConnected(irs.ULA(8), size, precision=precision)
        channel = irs.SurfaceChannel(hops, {"s1": surface}, precision=precision)
        policy, links = irs.AlignedResponse(surface), channel.draw(2)
        theta = MODES[mode](lambda x, c=channel, p=policy: c.reflect(p(x)))(links)
        h = channel.compose(links, theta)
        np.testing.assert_allclose(np.abs(h).ravel(), ALIGNED[size], rtol=tolerance)
        blocks = theta["s1"].blocks.numpy()
        assert gap(blocks, blocks.swapaxes(-1, -2)) < tolerance
        assert gap(blocks.conj().swapaxes(-1, -2) @ blocks, np.eye(size) + 0 * blocks) < tolerance
    groups = (8 // size, size)
    norms = (np.linalg.norm(x.reshape(groups), axis=1) for x in (a, b))
    assert ALIGNED[size] == pytest.approx(abs(d[0]) + np.dot(*norms), rel=1e-10)


def law(groups, size):
    """Mean gain of Rayleigh hops of one antenna each side without a direct path."""
    ratio = math.exp(math.lgamma(size + 0.5) - math.lgamma(size))
    return groups * size**2 + groups * (groups - 1) * ratio**4


def test_the_law_of_the_mean_gain():
    """164.04, 206.88, 233.49 and 256 for 16 elements; nothing in line of sight."""
    panel, user, draws = irs.UPA(4, 4), irs.ULA(1), 2000
    hops = {"tx>s1": irs.RayleighHop(user, panel), "s1>rx": irs.RayleighHop(panel, user)}
    links = irs.SurfaceChannel(hops, {"s1": irs.IdealPhases(panel)}).draw(draws)
    for size, expected in ((1, 164.044), (2, 206.877), (4, 233.494), (16, 256.0)):
        surface = irs.GroupConnected(panel, size)
        channel = irs.SurfaceChannel(hops, {"s1": surface})
        h = channel.compose(links, channel.reflect(irs.AlignedResponse(surface)(links)))
        gain = np.abs(h.numpy().ravel()) ** 2
        assert law(16 // size, size) == pytest.approx(expected, abs=1e-3)
        assert abs(gain.mean() - expected) < 4 * gain.std() / math.sqrt(draws)
    line = {"tx>s1": np.exp(1j * np.arange(16))[:, None], "s1>rx": np.exp(2j * np.arange(16))[None]}
    for size in (1, 4, 16):
        surface = irs.GroupConnected(panel, size)
        channel = irs.SurfaceChannel(line, {"s1": surface})
        h = channel(1, policy=irs.AlignedResponse(surface))
        assert float(tf.abs(h)[0, 0, 0]) == pytest.approx(16, rel=1e-5)


def test_policies_of_phases_are_diagonal_designs():
    """A cascade holds these alone; they are feasible, and realised exactly."""
    panel, surface = irs.ULA(6), irs.GroupConnected(irs.ULA(6), 3)
    ideal = irs.IdealPhases(panel)
    hops = {
        "tx>s1": irs.RayleighHop(irs.ULA(1), panel),
        "s1>rx": irs.RayleighHop(panel, irs.ULA(2)),
    }
    connected, plain = (irs.SurfaceChannel(hops, {"s1": s}) for s in (surface, ideal))
    links = plain.draw(3)
    for policy in (irs.RandomPhases(), irs.AlignedPhases()):
        design = policy(links)
        found = connected.compose(links, connected.reflect(design))
        np.testing.assert_allclose(found, plain.compose(links, plain.reflect(design)), atol=1e-5)


def test_controls_are_trained_and_tuned():
    """Ascent of the susceptances reaches the bound; probes and the exact slope agree."""
    rng = np.random.default_rng(5)
    a, b = cplx(16, rng=rng), cplx(16, rng=rng)
    surface = irs.GroupConnected(irs.ULA(16), 16, trainable=True)
    channel = irs.SurfaceChannel({"tx>s1": b[:, None], "s1>rx": a[None]}, {"s1": surface})
    links, optimizer = channel.draw(1), tf.keras.optimizers.Adam(0.03)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            gain = tf.square(tf.abs(channel.compose(links, channel.reflect())[0, 0, 0]))
        slope = tape.gradient(gain, surface.control.value)
        return gain, slope

    for _ in range(100):
        gain, slope = step()
        optimizer.apply_gradients([(-slope, surface.control)])
    bound = (np.linalg.norm(a) * np.linalg.norm(b)) ** 2
    assert float(step()[0]) > 0.99 * bound
    observe, control = (
        channel.observation(links),
        tf.constant(RNG.standard_normal([1, 136]), tf.float32),
    )
    direction = tf.constant(RNG.standard_normal([1, 136]), tf.float32)
    exact = observe.change({"s1": control}, {"s1": direction}, 0)
    probe = observe.change({"s1": control}, {"s1": direction}, 1e-3)
    np.testing.assert_allclose(probe, exact, atol=1e-3 * float(tf.abs(exact)[0, 0, 0]) + 1e-4)


def test_wrong_arguments():
    panel = irs.ULA(6)
    with pytest.raises(ValueError, match="group_size = 4; a divisor of the 6 elements"):
        irs.GroupConnected(panel, 4)
    with pytest.raises(ValueError, match="num_bits = 2; None is needed with surfaces"):
        irs.SumPathGain(num_bits=2, surfaces={"s1": irs.IdealPhases(panel)})
    with pytest.raises(ValueError, match="None is needed with surfaces"):
        irs.SumPathGain(irs.PowerIteration(), surfaces={"s1": irs.IdealPhases(panel)})
    cascade = irs.Links.from_cascaded(tf.constant(cplx(2, 3, 7), tf.complex64))
    surface = irs.GroupConnected(panel, 3)
    with pytest.raises(ValueError, match="the design has shape"):
        surface.respond(np.zeros([2, 5]))
    assert irs.AlignedPhases()(cascade)["s1"].shape == (2, 6)


def test_learned_links_say_that_they_need_diagonal_surfaces():
    panel, base = irs.ULA(4), irs.ULA(2)
    hops = {"tx>s1": irs.RayleighHop(base, panel), "s1>rx": irs.RayleighHop(panel, base)}
    channel = irs.SurfaceChannel(hops, {"s1": irs.GroupConnected(panel, 2)})
    with pytest.raises(ValueError, match="channel has the GroupConnected 's1'"):
        irs.SurfaceAutoencoder(channel, 4)
