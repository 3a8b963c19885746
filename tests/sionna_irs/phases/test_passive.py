"""Passive beamforming of any acyclic channel against float64 twins, check values and optima."""

import numpy as np
import passive_twin as twin
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import random
from sionna_irs.phases.capacity_ascent import CapacityAscent
from sionna_irs.phases.dominant_mode import DominantMode
from sionna_irs.phases.riemannian_ascent import RiemannianAscent
from sionna_irs.phases.sum_path_gain import SumPathGain, gain_quadratic
from sionna_irs.phases.surface_factors import end_to_end, surface_factors, surface_order
from sionna_irs.phases.unit_modulus import ADMM, ElementWise, PowerIteration
from sionna_irs.precoding.svd_transceiver import capacity, svd_water_filling

RNG = np.random.default_rng(9)
DOUBLE = {"precision": "double"}
SHAPES = {
    "single": ["tx>s1", "s1>rx"],
    "single and direct": ["tx>s1", "s1>rx", "tx>rx"],
    "parallel": ["tx>s1", "tx>s2", "s1>rx", "s2>rx"],
    "double": ["tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx"],
    "reverse": ["tx>s1", "tx>s2", "s2>s1", "s1>rx", "s2>rx", "tx>rx"],
    "chain": ["tx>s1", "s1>s2", "s2>s3", "s1>s3", "s3>rx"],
}
SIZES = {"tx": 3, "rx": 4, "s1": 6, "s2": 5, "s3": 2}
CHECK = twin.check_links()
START = {"s1": 0.5 * np.arange(6), "s2": -0.8 * np.arange(5)}
CHECK_THETA = {name: np.exp(1j * phases) for name, phases in START.items()}


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def random_links(shape, batch=3, scale=1.0, dtype=None, **sizes):
    sizes = SIZES | sizes
    nodes = {name: name.split(">") for name in SHAPES[shape]}
    return {
        name: tf.constant(scale * cplx(batch, sizes[b], sizes[a]), dtype)
        for name, (a, b) in nodes.items()
    }


def random_theta(links):
    return {
        name: np.exp(2j * np.pi * RNG.uniform(size=(3, SIZES[name])))
        for name in surface_order(links)
    }


def example(nest, b):
    return {name: np.asarray(x)[b] for name, x in nest.items()}


def batched(links, dtype="complex128"):
    return {name: tf.constant(x[None], dtype) for name, x in links.items()}


def fixed(phases):
    return lambda links: {name: tf.constant(x[None]) for name, x in phases.items()}


def phasor(phases):
    return np.exp(1j * np.asarray(phases, float))


def graph(design):
    """links -> controls and channels, as a graph: loops of small steps are slow in eager mode."""
    return tf.function(lambda x: design(x, trace=True), autograph=False)


def traced(design, links):
    return graph(design)(links)


def gain(h):
    return np.sum(np.abs(np.asarray(h, complex)) ** 2, (-2, -1))


def top(h):
    return np.linalg.svd(np.asarray(h))[1][..., 0]


# --- the channel as a function of one surface ---


@pytest.mark.parametrize("shape", SHAPES)
def test_factors(shape):
    """E, J, F0 give the sum over all paths, in every coefficient, and do not use their own."""
    links = random_links(shape)
    theta = random_theta(links)
    h = end_to_end(links, theta).numpy()
    for b in range(3):
        np.testing.assert_allclose(
            h[b], twin.compose(example(links, b), example(theta, b)), atol=1e-11
        )
    for name in theta:
        others = {k: v for k, v in theta.items() if k != name}
        e, j, f0 = (x.numpy() for x in surface_factors(links, others, name))
        for b in range(3):
            want0, want = twin.affine(example(links, b), example(theta, b), name)
            np.testing.assert_allclose(f0[b], want0, atol=1e-11)
            np.testing.assert_allclose(
                e[b].T[:, :, None] * j[b][:, None, :], np.array(want), atol=1e-11
            )


def test_order():
    assert surface_order(SHAPES["double"]) == ["s1", "s2"]
    assert surface_order(SHAPES["reverse"]) == ["s2", "s1"]
    assert surface_order(SHAPES["chain"][::-1]) == ["s1", "s2", "s3"]


def test_users_share_the_surface():
    """A user axis is the same as more receive antennas; hops may lack it."""
    links = random_links("double", rx=4)
    users = dict(links)
    for name in ("s1>rx", "s2>rx"):
        users[name] = tf.reshape(links[name], [3, 2, 2, -1])
    design = SumPathGain(start=lambda _: {"s1": tf.zeros([3, 6]), "s2": tf.ones([3, 5])}, **DOUBLE)
    one, (many, h) = design(links), traced(design, users)
    for name in one:
        np.testing.assert_allclose(phasor(one[name]), phasor(many[name]), atol=1e-9)
    assert h.shape == [6, 3, 2, 2, 3]


# --- check values ---


def test_check_values_of_the_start():
    links, theta = batched(CHECK), batched(CHECK_THETA)
    h = end_to_end(links, theta)
    assert gain(h)[0] == pytest.approx(29.8553719644, rel=1e-10)
    assert h.numpy()[0, 0, 0] == pytest.approx(-2.53062570 + 1.74712309j, rel=1e-8)
    c, _, _, powers, s = (x.numpy()[0] for x in svd_water_filling(h, no=1 / 2))
    assert c == pytest.approx(8.00084917, rel=1e-8)
    np.testing.assert_allclose(s, [4.14622585, 3.25260897, 1.44385528], rtol=1e-8)
    np.testing.assert_allclose(powers, [0.40964421, 0.3914675, 0.19888829], rtol=1e-7)
    np.testing.assert_allclose(powers + 1 / (2 * s**2), 0.43872887, rtol=1e-7)
    e, j, f0 = surface_factors(links, theta, "s1")
    assert gain(f0)[0] == pytest.approx(15.05283158, rel=1e-8)
    t, c = (x.numpy()[0] for x in gain_quadratic(e, j, f0))
    scale = 4.0 ** sum(np.floor(np.log2(np.abs(x).max())) for x in (e, j))  # powers of two
    assert scale * t[0, 1] == pytest.approx(0.38349359 + 0.02303092j, rel=1e-7)
    assert scale * np.trace(t) == pytest.approx(17.42167009, rel=1e-8)
    assert scale * c[0] == pytest.approx(0.47726933 - 0.67155669j, rel=1e-7)


SOLVERS = {
    "admm": (
        ADMM(300, exact=True, **DOUBLE),
        {1: 41.2501511, 2: 47.3268493, 5: 56.1195207, 20: 60.7284055, 100: 63.3984936},
    ),
    "admm, estimates": (ADMM(300, **DOUBLE), {1: 40.737, 2: 46.660}),
    "element-wise": (
        ElementWise(50, **DOUBLE),
        {1: 57.5607226, 2: 62.7025255, 5: 63.3989006},
    ),
    "power": (
        PowerIteration(100, **DOUBLE),
        {1: 46.9876381, 2: 51.548564, 5: 57.3661018, 20: 63.3946385},
    ),
    "riemannian": (RiemannianAscent(100, **DOUBLE), {}),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_check_values_of_the_solvers(name):
    """The objective after single iterations; all end at the same point, at any scale."""
    solver, values = SOLVERS[name]
    t, c = twin.quadratic(CHECK, CHECK_THETA, "s1")
    phi, trace = solver(1e-30 * t, 1e-30 * c, CHECK_THETA["s1"], trace=True)
    trace = 1e30 * trace.numpy() + 15.05283158
    for iteration, value in (values | {solver.num_iter: 63.4023661}).items():
        rel = 1e-8 if iteration > 2 or "estimates" not in name else 2e-5
        assert trace[iteration - 1] == pytest.approx(value, rel=rel)
    assert twin.objective(t, c, phi.numpy()) + 15.05283158 == pytest.approx(trace[-1], rel=1e-9)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_check_values_of_the_designs(dtype):
    """Gains and capacities after rounds 1, 2, 5; the gain's phases do not depend on the scale."""
    single = dtype == "complex64"
    rel, precision = (1e-5, {"precision": "single"}) if single else (1e-7, DOUBLE)
    links, start = batched(CHECK, dtype), fixed(START)
    tiny = {name: 1e-8 * hop for name, hop in links.items() if name != "s1>s2"}
    tiny["s1>s2"] = links["s1>s2"]
    power = graph(SumPathGain(PowerIteration(100, **precision), 5, start, **precision))
    controls, h = power(links)
    np.testing.assert_allclose(gain(h)[[1, 2, 5], 0], [73.129772, 74.631111, 75.527231], rtol=rel)
    assert float(capacity(h[-1], no=1 / 2)[0]) == pytest.approx(10.412560, rel=rel)
    for name, phases in power(tiny)[0].items():
        np.testing.assert_allclose(
            phasor(phases), phasor(controls[name]), atol=1e-2 if single else 1e-8
        )
    _, h = traced(CapacityAscent(2.0, 5, start, **precision), links)
    np.testing.assert_allclose(
        capacity(h, no=1 / 2).numpy()[[1, 2, 5], 0], [11.499121, 11.833465, 11.94388], rtol=rel
    )


def test_check_values_of_admm_in_turn():
    solver = ADMM(100, exact=True, **DOUBLE)
    _, h = traced(SumPathGain(solver, 5, fixed(START), **DOUBLE), batched(CHECK))
    np.testing.assert_allclose(gain(h)[[1, 2, 5], 0], [73.083749, 74.632137, 75.137327], rtol=1e-7)


def test_check_value_of_many_starts():
    """The best of 200 random starts, as 200 examples of the same channel."""
    random.reset(random.stream_key(1))
    links = {name: np.repeat(x[None], 200, 0).astype(np.complex64) for name, x in CHECK.items()}
    _, h = traced(SumPathGain(PowerIteration(50), 15), links)
    assert gain(h)[-1].max() == pytest.approx(103.44, rel=1e-4)


# --- twins ---


@pytest.mark.parametrize("num_bits", [None, 2])
def test_solvers_against_twins(num_bits):
    links = random_links("double")
    theta = random_theta(links)
    for name in ("s1", "s2"):
        problems = [twin.quadratic(example(links, b), example(theta, b), name) for b in range(3)]
        t, c = (np.array(x) for x in zip(*problems, strict=True))
        solvers = {"element_wise": ElementWise(3, num_bits, **DOUBLE)}
        if num_bits is None:
            solvers["power_iteration"] = PowerIteration(3, **DOUBLE)
            solvers["admm"] = ADMM(3, exact=True, **DOUBLE)
        for kind, solver in solvers.items():
            phi = solver(t, c, theta[name]).numpy()
            bits = (num_bits,) if kind == "element_wise" else ()
            for b in range(3):
                want = getattr(twin, kind)(t[b], c[b], theta[name][b], 3, *bits)
                np.testing.assert_allclose(phi[b], want, atol=1e-10)


@pytest.mark.parametrize("snr", [0.05, 20.0])
def test_capacity_ascent_against_its_twin(snr):
    """At low SNR some streams have no power."""
    links = random_links("double")
    theta = random_theta(links)
    start = {name: tf.constant(np.angle(z)) for name, z in theta.items()}
    controls, h = traced(CapacityAscent(snr, 2, lambda _: start, **DOUBLE), links)
    for b in range(3):
        want = twin.capacity_ascent(example(links, b), example(theta, b), snr, 2)
        for name in want:
            np.testing.assert_allclose(phasor(controls[name][b]), want[name], atol=1e-8)
        value = twin.input_covariance(twin.compose(example(links, b), want), snr)[1]
        assert float(capacity(h[-1], no=1 / snr)[b]) == pytest.approx(value, rel=1e-10)


# --- properties ---


DESIGNS = {
    "power": (SumPathGain(**DOUBLE), gain),
    "admm": (SumPathGain(ADMM(5, **DOUBLE), **DOUBLE), gain),
    "riemannian": (SumPathGain(RiemannianAscent(20, **DOUBLE), **DOUBLE), gain),
    "one bit": (SumPathGain(num_bits=1, **DOUBLE), gain),
    "capacity": (CapacityAscent(3.0, **DOUBLE), lambda h: capacity(h, no=1 / 3).numpy()),
    "capacity, two bits": (
        CapacityAscent(3.0, num_bits=2, **DOUBLE),
        lambda h: capacity(h, no=1 / 3).numpy(),
    ),
    "mode": (DominantMode(**DOUBLE), top),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_never_falls(name):
    design, value = DESIGNS[name]
    links = random_links("reverse", batch=20)
    controls, h = traced(design, links)
    values = value(h)
    assert (np.diff(values, axis=0) >= -1e-10 * values[:-1]).all()
    assert values[-1].mean() > values[0].mean()
    for phases in controls.values():
        if design.num_bits is not None:
            steps = phases.numpy() * 2**design.num_bits / (2 * np.pi)
            np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    theta = {k: tf.exp(1j * tf.cast(v, tf.complex128)) for k, v in controls.items()}
    np.testing.assert_allclose(end_to_end(links, theta), h[-1], atol=1e-10)


@pytest.mark.parametrize(
    "design",
    [
        SumPathGain(PowerIteration(500)),
        SumPathGain(ElementWise(60)),
        SumPathGain(ADMM(500)),
        CapacityAscent(1.0, num_iter=60),
        DominantMode(2),
    ],
    ids=lambda d: type(d).__name__,
)
def test_one_antenna_is_the_aligned_optimum(design):
    u = 1e-8 * cplx(5, 1, 13)
    links = irs.Links.from_cascaded(tf.constant(u, tf.complex64))
    for policy in (tf.function(design, autograph=False), irs.AlignedPhases()):
        theta = phasor(policy(links)["s1"])
        h = (u[:, 0, :12] * theta).sum(-1) + u[:, 0, 12]
        np.testing.assert_allclose(np.abs(h), np.abs(u).sum((1, 2)), rtol=1e-4)


@pytest.mark.parametrize("kind", ["gain", "capacity"])
def test_more_bits_are_better(kind):
    """The phases of b bits are among those of b + 1: from there on no example falls."""
    links = random_links("double", batch=10)
    start = {name: p[0] for name, p in random_phases(10, 1).items()}
    last = 0
    for bits in (2, None) if kind == "capacity" else (1, 2, None):
        if kind == "gain":
            design = SumPathGain(ElementWise(5, bits, **DOUBLE), 2, lambda _: start, **DOUBLE)  # noqa: B023
        else:
            design = CapacityAscent(0.3, 2, lambda _: start, bits, **DOUBLE)  # noqa: B023
        start, h = traced(design, links)
        value = gain(h[-1]) if kind == "gain" else capacity(h[-1], no=1 / 0.3).numpy()
        assert (value >= last * (1 - 1e-10)).all() and value.mean() > np.mean(last)
        last = value


def test_designs_prefer_their_own_aim():
    """On average each design is the best of the three in what it maximises."""
    links = random_links("double", batch=30)
    start = {name: p[0] for name, p in random_phases(30, 1).items()}
    spg = traced(SumPathGain(start=lambda _: start, **DOUBLE), links)
    designs = (
        CapacityAscent(30.0, starts=lambda _: spg[0], **DOUBLE),
        DominantMode(start=lambda _: spg[0], **DOUBLE),
    )
    ends = [spg[1][-1], *(traced(design, links)[1][-1] for design in designs)]
    for k, aim in ((1, lambda h: capacity(h, no=1 / 30).numpy()), (2, top)):
        means = [aim(h).mean() for h in ends]
        assert np.argmax(means) == k


def test_best_start_of_every_example():
    links = random_links("double", batch=8)
    starts = [{n: p[k] for n, p in random_phases(8, 3).items()} for k in range(3)]
    policies = tuple(lambda _, start=start: start for start in starts)
    # Every start alone: three batches in one.
    thrice = {name: tf.tile(hop, [3, 1, 1]) for name, hop in links.items()}
    joined = {name: tf.concat([start[name] for start in starts], 0) for name in starts[0]}
    each = gain(traced(SumPathGain(start=lambda _: joined, **DOUBLE), thrice)[1])
    each = each.reshape(-1, 3, 8).swapaxes(0, 1)
    _, h = traced(SumPathGain(start=policies, **DOUBLE), links)
    best = np.argmax(each[:, -1], 0)
    np.testing.assert_allclose(gain(h), each[best, :, np.arange(8)].T, rtol=1e-9)


def random_phases(batch, count):
    return {
        name: tf.constant(RNG.uniform(0, 2 * np.pi, (count, batch, SIZES[name])))
        for name in ("s1", "s2")
    }


@pytest.mark.parametrize(
    "solver",
    [PowerIteration(3), ElementWise(), ADMM(3), ADMM(3, exact=True), RiemannianAscent(3)],
)
def test_nothing_to_gain_keeps_the_phases(solver):
    phi = tf.constant(np.exp(1j * np.arange(4)), tf.complex64)
    zeros = tf.zeros([4], tf.complex64)
    found, state = solver(tf.zeros([4, 4], tf.complex64), zeros, phi, return_state=True)
    np.testing.assert_allclose(found, phi, rtol=1e-6)
    assert float(state["residual"]) < 1e-6 and bool(state["converged"])


@pytest.mark.parametrize(
    "solver, few, enough",
    [(ADMM, 5, 1000), (PowerIteration, 3, 500), (ElementWise, 1, 300), (RiemannianAscent, 3, 300)],
)
def test_solvers_tell_whether_they_have_converged(solver, few, enough):
    """The residual is |u - x| of the iteration written out for ADMM, and falls to the tolerance."""
    t, c = twin.quadratic(CHECK, CHECK_THETA, "s1")
    start, settings = CHECK_THETA["s1"], {"exact": True} if solver is ADMM else {}
    short, long = (solver(n, **settings, **DOUBLE) for n in (few, enough))
    phi, trace, state = short(t, c, start, trace=True, return_state=True)
    assert trace.shape == [few] and phi.shape == start.shape
    assert float(state["residual"]) > 1e-3 and not bool(state["converged"])
    if solver is ADMM:
        assert float(state["residual"]) == pytest.approx(admm_residual(t, c, start, few), rel=1e-8)
    else:
        change = solver(few + 1, **DOUBLE)(t, c, start) - phi
        assert float(state["residual"]) == pytest.approx(np.abs(change).max(), rel=1e-6)
    phi, state = long(t, c, start, return_state=True)
    assert bool(state["converged"]) and float(state["residual"]) <= long.tolerance == 1e-8
    loose = solver(few, tolerance=10.0, **settings, **DOUBLE)
    assert bool(loose(t, c, start, return_state=True)[1]["converged"])


def admm_residual(t, c, phi, num_iter):
    """The largest |u - x| after the iterations of the docstring, with tr T scaled to N."""
    scale = np.trace(t).real / len(c)
    t, c, n = t / scale, c / scale, len(c) + 1
    q = np.block([[t, c[:, None]], [c.conj()[None], np.zeros([1, 1])]])
    w = np.linalg.eigvalsh(q)
    shifted, rho = w[-1] * np.eye(n) - q, np.sqrt(2) * 1.05 * (w[-1] - w[0])
    x = np.append(phi, 1)
    nu = shifted @ x
    for _ in range(num_iter):
        u = np.exp(1j * np.angle(rho * x - nu))
        x = np.linalg.solve(shifted + rho * np.eye(n), nu + rho * u)
        nu = nu + rho * (u - x)
    return np.abs(u - x).max()


def test_xla_is_eager():
    links = random_links("double", dtype=tf.complex64)
    start = {name: tf.cast(p[0], tf.float32) for name, p in random_phases(3, 1).items()}
    design = SumPathGain(ADMM(20), 2, lambda _: start)
    compiled = tf.function(design, jit_compile=True, autograph=False)(links)
    for name, phases in design(links).items():
        np.testing.assert_allclose(phasor(compiled[name]), phasor(phases), atol=1e-3)


# --- the transceiver ---


@pytest.mark.parametrize("shape", [(4, 3), (2, 5), (1, 1)])
def test_svd_transceiver(shape):
    """Parallel channels, total power 1, and the capacity of the twin."""
    h = cplx(6, *shape)
    snr = np.geomspace(0.01, 100, 6)
    c, f, w, powers, s = (x.numpy() for x in svd_water_filling(h, no=tf.constant(1 / snr)))
    np.testing.assert_allclose(np.sum(np.abs(f) ** 2, (1, 2)), 1, rtol=1e-12)
    through = np.conj(w.swapaxes(1, 2)) @ h @ f
    want = np.eye(min(shape)) * (s * np.sqrt(powers))[:, None]
    np.testing.assert_allclose(through, want, atol=1e-12)
    np.testing.assert_allclose(
        c, [twin.input_covariance(*pair)[1] for pair in zip(h, snr, strict=True)], rtol=1e-12
    )
    tiny = capacity(tf.constant(1e-12 * h, tf.complex64), no=tf.constant(1e-24 / snr, tf.float32))
    np.testing.assert_allclose(tiny, c, rtol=1e-5)


def test_capacity_of_poor_channels_and_its_gradient():
    assert np.all(np.isfinite(svd_water_filling(np.zeros([3, 2], complex), no=1 / 2)[1]))
    assert float(capacity(np.zeros([3, 2], complex), no=1 / 2)) == 0
    rank_one = cplx(4, 1) @ cplx(1, 3)
    assert float(capacity(rank_one, no=1 / 2)) == pytest.approx(np.log2(1 + 2 * gain(rank_one)))
    h, direction = tf.constant(cplx(4, 3)), cplx(4, 3)
    with tf.GradientTape() as tape:
        tape.watch(h)
        value = capacity(h, no=1 / 0.2)
    slope = np.sum(np.real(np.conj(tape.gradient(value, h)) * direction))
    ends = [float(capacity(h + sign * 1e-6 * direction, no=1 / 0.2)) for sign in (1, -1)]
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(
    "function", [capacity, lambda h, *a, **k: svd_water_filling(h, *a, **k)[0]]
)
def test_the_noise_of_the_capacity_is_given_by_name(function):
    """What was the SNR is refused, not taken for its reciprocal; its old name still means it."""
    h = tf.constant([[2.0, 0], [0, 1]], tf.complex128)
    # Water level (1 + 1/(4 x) + 1/x) / 2 with x = 4: powers 0.59375 and 0.40625.
    want = np.log2((1 + 0.59375 * 16) * (1 + 0.40625 * 4))
    assert float(function(h, no=0.25)) == pytest.approx(want, rel=1e-12)
    with pytest.warns(DeprecationWarning, match="no=1 / snr is needed"):
        assert float(function(h, snr=4.0)) == pytest.approx(want, rel=1e-12)
    for arguments, text in (
        (([0.25], {}), r"\(h, no=1 / snr\) is needed"),
        (([], {}), "no = None, snr = None"),
        (([], {"no": 1.0, "snr": 1.0}), "no = 1.0, snr = 1.0"),
        (([], {"no": True}), "no = True; a positive"),
    ):
        with pytest.raises(TypeError, match=text):
            function(h, *arguments[0], **arguments[1])


# --- refusals ---


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: surface_order(["tx>s1", "s1>s2", "s2>s1", "s2>rx"]), "circle, s1 > s2 > s1"),
        (lambda: surface_order(["tx-s1"]), "'from>to' is needed"),
        (lambda: surface_order(["rx>s1"]), "'from>to' is needed"),
        (lambda: end_to_end(random_links("double"), {"s1": np.ones(6)}), r"lacks \['s2'\]"),
        (lambda: surface_factors(random_links("single"), {}, "s2"), "name = 's2'; one of"),
        (lambda: SumPathGain(num_bits=0), "num_bits = 0"),
        (lambda: SumPathGain(num_iter=0), "num_iter = 0"),
        (lambda: SumPathGain(start="random"), "start = 'random'; policies"),
        (lambda: SumPathGain(solver="admm"), "solver = 'admm'"),
        (lambda: SumPathGain(PowerIteration(), num_bits=2), "num_bits = 2; None is needed"),
        (lambda: CapacityAscent(-1.0), "snr = -1.0; a positive"),
        (lambda: CapacityAscent(1.0, starts=()), "policies"),
        (lambda: svd_water_filling(np.eye(2), no=0), "no = 0; a positive"),
        (lambda: ADMM(penalty=0), "penalty = 0"),
        (lambda: ADMM(tolerance=0), "tolerance = 0"),
        (lambda: ElementWise(num_bits=17), "num_bits = 17"),
    ],
)
def test_refusals(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize(
    "phases, text",
    [
        ({"s1": np.zeros([3, 6])}, "'s2' is missing"),
        ({"s1": np.zeros([3, 6]), "s2": np.zeros([3, 4])}, r"\[batch_size, 5\] is needed"),
    ],
)
def test_starts_must_fit(phases, text):
    with pytest.raises(ValueError, match=text):
        SumPathGain(start=lambda _: phases, **DOUBLE)(random_links("double"))


def test_dead_ends_and_users_are_refused():
    links = random_links("single and direct")
    del links["s1>rx"]
    with pytest.raises(ValueError, match="no path from 'tx' to 'rx' meets 's1'"):
        surface_factors(links, {}, "s1")
    with pytest.raises(ValueError, match="no path leads"):
        end_to_end({"tx>s1": links["tx>s1"]}, {"s1": np.ones([3, 6], complex)})
    users = {name: hop[:, None] for name, hop in random_links("single").items()}
    with pytest.raises(ValueError, match=r"4 axes; CapacityAscent is for \[batch_size, rx, tx\]"):
        CapacityAscent(1.0, starts=irs.RandomPhases(**DOUBLE), **DOUBLE)(users)
