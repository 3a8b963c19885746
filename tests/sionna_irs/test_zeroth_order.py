"""Tuning of surfaces from observed channels against its twin, and what it promises."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import zeroth_order_twin as twins
from test_varactor import twin as gamma

import sionna_irs as irs
from link_sims.yardsticks import zeroth_order_numpy as baseline
from sionna_irs import random

RNG = np.random.default_rng(1)
DOUBLE = {"precision": "double"}
USERS, ANTENNAS, PANEL = 4, 6, (4, 10)
SURFACES = {
    "disc": irs.AdjustableAmplitude,
    "circle": irs.IdealPhases,
    "varactor": irs.Varactor,
}
# The published step of the varactors takes half of the slope.
STEPS = {"disc": [[0.4], [0.01]], "circle": 0.4, "varactor": 0.005}
TWINS = {
    "disc": (twins.disc, twins.disc_change, twins.disc_update),
    "circle": (lambda p: np.exp(1j * p), twins.circle_change, twins.circle_update),
    "varactor": (
        gamma,
        functools.partial(twins.varactor_change, gamma=gamma),
        twins.varactor_update,
    ),
}


def cplx(*shape, rng=RNG):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def draw(batch, rng=RNG, names=("s1",)):
    """Links of the reference scenario, noise 1; further surfaces see links like the first's."""
    size = np.prod(PANEL)

    def arrays():
        shapes = {"tx>s1": (size, ANTENNAS), "s1>rx": (USERS, size), "tx>rx": (USERS, ANTENNAS)}
        return {name: cplx(batch, *shape, rng=rng) for name, shape in shapes.items()}

    links = {}
    for name in names[::-1]:
        part = twins.scenario_links(arrays(), arrays(), panel=PANEL)
        links.update({hop.replace("s1", name): h for hop, h in part.items()})
    return links


def controls(kind, batch, rng=RNG, inner=False):
    """Random controls; unless `inner`, some on the boundary."""
    size = np.prod(PANEL)
    phase = rng.uniform(-3, 3, (batch, size))
    if kind == "circle":
        return phase
    edge = (rng.uniform(size=(batch, size)) < 0.3) & (not inner)
    if kind == "disc":
        return np.stack([phase, np.where(edge, 1, rng.uniform(0.5, 0.95, (batch, size)))], 1)
    ends = np.where(phase > 0, 0.5, 0.1)
    return np.where(edge, ends, rng.uniform(0.12, 0.48, (batch, size)))


def channel(kind, precision="double", names=("s1",)):
    """A channel whose hops only say the sizes: the tests compose links of their own."""
    args = {"precision": precision}
    bs, panel, users = irs.ULA(ANTENNAS), irs.UPA(*PANEL), irs.ULA(USERS)
    hops = {"tx>rx": irs.RayleighHop(bs, users, **args)}
    for name in names:
        hops[f"tx>{name}"] = irs.RayleighHop(bs, panel, **args)
        hops[f"{name}>rx"] = irs.RayleighHop(panel, users, **args)
    surfaces = {name: SURFACES[kind](panel, **args) for name in names}
    return irs.SurfaceChannel(hops=hops, surfaces=surfaces, **args)


def observation(chan, links):
    return chan.observation({name: tf.constant(h, chan.cdtype) for name, h in links.items()})


def oracle(num_iter=3, precision="double", weights=None):
    return irs.WMMSE(num_iter, num_steps=12, weights=weights, precision=precision, method="tensors")


def tuner(kind, chan, weights=None, num_iter=3, **kwargs):
    design = oracle(num_iter, chan.precision, weights)
    steps = dict.fromkeys(chan.surfaces, STEPS[kind])
    return irs.ZerothOrder(design, chan.surfaces, steps, weights=weights, **kwargs)


def twin_step(kind, links, control, direction, t, radius, weights=None, num_iter=3):
    """One replica: (next control, rate before)."""
    reflect, change, update = TWINS[kind]
    h = twins.compose(links, {"s1": reflect(control)})
    v, _ = twins.wmmse(h, 1.0, num_iter, twins.start(h, 1.0, "ones"), weights)
    moved = change(control, direction, radius)
    moved = links["s1>rx"] @ np.diag(moved) @ links["tx>s1"]
    s = twins.directional(h, v, 1.0, moved, weights)
    return update(control, s, direction, t), twins.sum_rate(h, v, 1.0, weights)


def replica(links, index):
    return {name: h[index] for name, h in links.items()}


def wrapped(kind, control):
    """Controls up to whole turns of the phases."""
    return control if kind == "varactor" else TWINS[kind][0](control)


@pytest.mark.parametrize("weights", [None, [1.0, 0.2, 2.0, 0.7]], ids=["equal", "weighted"])
def test_slope_is_the_derivative_of_the_rate(weights):
    """s of a change of H against central differences of the rate with V held fixed."""
    h, v, change, eps = cplx(5, 4, 6), cplx(5, 6, 4) / 5, cplx(5, 4, 6), 1e-5

    class Observed:
        def __call__(self, _):
            return tf.constant(h)

        def change(self, *_):
            return tf.constant(change)

    chan = channel("circle")
    ones = {"s1": tf.ones([5, 40], tf.float64)}
    layer = tuner("circle", chan, weights, no=0.3)
    found = layer.gradient(ones, Observed(), tf.constant(h), tf.constant(v), [ones])["s1"].numpy()
    for n in range(5):
        rates = [
            twins.sum_rate(h[n] + sign * eps * change[n], v[n], 0.3, weights) for sign in (1, -1)
        ]
        expected = twins.directional(h[n], v[n], 0.3, change[n], weights)
        assert expected == pytest.approx((rates[0] - rates[1]) / (2 * eps), rel=1e-7, abs=1e-8)
        np.testing.assert_allclose(found[n], expected, rtol=1e-12)


@pytest.mark.parametrize("kind", SURFACES)
def test_changes_of_the_surfaces(kind):
    """Difference quotients without cancellation, and their limits, boundaries included."""
    surface = SURFACES[kind](irs.UPA(*PANEL), **DOUBLE)
    control = controls(kind, 5)
    direction = RNG.standard_normal(control.shape)
    change = TWINS[kind][1]
    limit = np.array([change(c, u, radius=0) for c, u in zip(control, direction, strict=True)])
    np.testing.assert_allclose(surface.tangent(control, direction), limit, atol=1e-9, rtol=1e-10)
    for radius, error in ((1e-2, 1e-10), (1e-6, 1e-8)):
        ends = [surface.project(control + r * direction) for r in (radius, -radius)]
        found = surface.difference(*ends) / (2 * radius)
        expected = [change(c, u, radius=radius) for c, u in zip(control, direction, strict=True)]
        np.testing.assert_allclose(found, expected, atol=error, rtol=error)
    # The quotient of the smallest radius is that limit, up to its rounding and curvature.
    np.testing.assert_allclose(found, limit, atol=1e-2 if kind == "varactor" else 1e-5)


def test_half_of_the_directions_on_a_boundary():
    panel, u = irs.ULA(3), np.array([1.0, -2.0, 0.5])
    surface = irs.Varactor(panel, **DOUBLE)
    c = np.array([0.1, 0.5, 0.3])
    halved = surface.derivative(c) * (u * [0.5, 0.5, 1])
    np.testing.assert_allclose(surface.tangent(c, u), halved, rtol=1e-12)
    surface, still = irs.AdjustableAmplitude(panel, **DOUBLE), np.zeros(3)
    found = surface.tangent([still, [1.0, 0.999, 0.0]], [still, u])
    np.testing.assert_allclose(found, u * [0.5, 1, 1], rtol=1e-12)
    turned = surface.tangent([still, [1.0, 0.5, 0.0]], [u, still])
    np.testing.assert_allclose(turned, 1j * u * [1.0, 0.5, 0.0], rtol=1e-12)


def test_a_negative_amplitude_is_a_turn():
    surface = irs.AdjustableAmplitude(irs.ULA(4), **DOUBLE)
    control = np.array([[0.3, -0.3, 3.0, 1.0], [-0.2, -1.7, 0.4, 1.3]])
    inside = surface.project(control).numpy()
    np.testing.assert_allclose(inside[1], [0.2, 1, 0.4, 1], rtol=1e-12)
    assert np.all(np.abs(inside[0]) <= np.pi + 1e-12)
    expected = [0.2 * np.exp(1j * (0.3 + np.pi)), np.exp(1j * (-0.3 + np.pi))]
    expected += [0.4 * np.exp(3j), np.exp(1j)]
    np.testing.assert_allclose(surface(inside), expected, atol=1e-12)
    # Probes around 0 are points of the disc, too.
    minus = surface.project(np.stack([np.zeros(4), np.full(4, -1e-3)]))
    plus = surface.project(np.stack([np.zeros(4), np.full(4, 1e-3)]))
    np.testing.assert_allclose(surface.difference(plus, minus), 2e-3, rtol=1e-12)


@pytest.mark.parametrize("kind", SURFACES)
@pytest.mark.parametrize("radius", [0, 1e-2])
def test_a_step_against_the_twin(kind, radius):
    weights = [1.0, 0.2, 2.0, 0.7]
    chan, links, control = channel(kind), draw(3), controls(kind, 3)
    if kind == "disc":
        control[:, 1, :5] = 1e-4  # some turn negative
    direction = RNG.standard_normal(control.shape)
    layer = tuner(kind, chan, weights, smoothing_radius=radius)
    for t in (0, 7, 2000):
        state, record = layer.step(
            layer.start({"s1": tf.constant(control)}),
            t,
            observation(chan, links),
            [{"s1": tf.constant(direction)}],
        )
        for n in range(3):
            expected, rate = twin_step(
                kind, replica(links, n), control[n], direction[n], t, radius, weights
            )
            found = wrapped(kind, state["s1"][n].numpy())
            np.testing.assert_allclose(found, wrapped(kind, expected), atol=1e-10)
            assert float(record["rate"][n]) == pytest.approx(rate, rel=1e-10)
    assert record["h"].shape == (3, USERS, ANTENNAS) and record["v"].shape == (3, ANTENNAS, USERS)


@pytest.mark.parametrize("kind", SURFACES)
def test_a_black_box_gives_the_same_step(kind):
    """Any callable controls -> H: the two probes are subtracted."""
    chan, links, control = channel(kind), draw(3), controls(kind, 3)
    direction = [{"s1": tf.constant(RNG.standard_normal(control.shape))}]
    layer, observe = tuner(kind, chan, smoothing_radius=1e-3), observation(chan, links)
    state = {"s1": tf.constant(control)}
    expected, _ = layer.step(state, 3, observe, direction)
    found, _ = layer.step(state, 3, lambda c: observe(c), direction)
    np.testing.assert_allclose(
        wrapped(kind, found["s1"].numpy()), wrapped(kind, expected["s1"].numpy()), atol=1e-9
    )


def test_two_surfaces_of_which_one_moves():
    names = ("s1", "s2")
    chan, links = channel("circle", names=names), draw(3, names=names)
    start = {name: controls("circle", 3) for name in names}
    direction = {name: RNG.standard_normal(c.shape) for name, c in start.items()}
    layer = irs.ZerothOrder(oracle(), chan.surfaces, {"s1": 0.4, "s2": 0.0})
    state, _ = layer.step(
        layer.start({k: tf.constant(c) for k, c in start.items()}),
        0,
        observation(chan, links),
        [{k: tf.constant(u) for k, u in direction.items()}],
    )
    np.testing.assert_allclose(state["s2"], start["s2"], atol=1e-12)
    for n in range(3):
        part = replica(links, n)
        theta = {name: np.exp(1j * c[n]) for name, c in start.items()}
        h = twins.compose(part, theta)
        v, _ = twins.wmmse(h, 1.0, 3, twins.start(h, 1.0, "ones"))
        moved = {name: 1j * direction[name][n] * theta[name] for name in names}
        s = twins.directional(h, v, 1.0, twins.compose({**part, "tx>rx": 0}, moved))
        expected = twins.circle_update(start["s1"][n], s, direction["s1"][n], 0)
        found = wrapped("circle", state["s1"][n].numpy())
        np.testing.assert_allclose(found, np.exp(1j * expected), atol=1e-10)


def test_probes_are_averaged():
    chan, links = channel("circle"), draw(2)
    start = {"s1": tf.constant(controls("circle", 2))}
    layer, observe = tuner("circle", chan), observation(chan, links)
    probes = layer.draw_directions(start) + layer.draw_directions(start)
    h = observe(start)
    v = oracle()(h, 1.0)
    one, two = (layer.gradient(start, observe, h, v, [u])["s1"] for u in probes)
    both = layer.gradient(start, observe, h, v, probes)["s1"]
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-12)
    assert len(tuner("circle", chan, num_probes=3).draw_directions(start)) == 3


def test_the_estimate_has_the_mean_of_the_gradient():
    """20000 draws of s U around one point; 4.9 standard errors for each of 40 elements."""
    random.reset(random.stream_key(3))
    num = 20000
    chan, links, control = channel("circle"), draw(1), controls("circle", 1)
    layer, observe = tuner("circle", chan), observation(chan, links)
    point = {"s1": tf.constant(control)}
    h = observe(point)
    v = oracle()(h, 1.0)
    exact = irs.FirstOrder(oracle(), chan.surfaces, 0.4).gradient(point, observe, h, v, None)
    many = {"s1": tf.tile(point["s1"], [num, 1])}
    found = layer.gradient(many, observe, h, v, layer.draw_directions(many))["s1"].numpy()
    error = 4.9 * found.std(0, ddof=1) / np.sqrt(num)
    assert np.all(np.abs(found.mean(0) - exact["s1"][0]) < error)


def test_first_order_gradient_against_the_cogradient():
    weights = [1.0, 0.2, 2.0, 0.7]
    chan, links, control = channel("circle"), draw(3), controls("circle", 3)
    layer = irs.FirstOrder(oracle(weights=weights), chan.surfaces, 0.1, weights=weights)
    state, record = layer.step({"s1": tf.constant(control)}, 0, observation(chan, links))
    for n in range(3):
        part, h, v = replica(links, n), record["h"][n].numpy(), record["v"][n].numpy()
        j = twins.cogradient(h, v, 1.0, weights)
        gradient = [
            2
            * np.real(
                1j * np.exp(1j * control[n, s]) * (part["s1>rx"][:, s] @ j @ part["tx>s1"][s])
            )
            for s in range(40)
        ]
        expected = np.exp(1j * (control[n] + 0.1 * np.array(gradient)))
        np.testing.assert_allclose(np.exp(1j * state["s1"][n].numpy()), expected, atol=1e-10)


def slopes(layer, chan, control, direction, observe, h, v):
    """s [batch], from the gradient estimate s U."""
    point, along = ({"s1": tf.constant(x, chan.rdtype)} for x in (control, direction))
    h, v = (tf.cast(x, chan.cdtype) for x in (h, v))
    found = layer.gradient(point, observe, h, v, [along])["s1"].numpy().astype(float)
    axes = tuple(range(1, direction.ndim))
    return np.sum(found * direction, axes) / np.sum(direction**2, axes)


@functools.cache
def slope_error(kind, batch):
    """(precision, radius, black box) -> RMS relative error of s, inside the boundaries."""
    rng = np.random.default_rng(4)
    links, control = draw(batch, rng), controls(kind, batch, rng, inner=True)
    direction = rng.standard_normal(control.shape)
    exact = channel(kind)
    h = observation(exact, links)({"s1": tf.constant(control)})
    v = oracle(10)(h, 1.0)

    def found(chan, radius, black_box):
        observe = observation(chan, links)
        seen = (lambda c: observe(c)) if black_box else observe
        layer = tuner(kind, chan, smoothing_radius=radius)
        return slopes(layer, chan, control, direction, seen, h, v)

    reference = found(exact, 0.0, False)

    def error(precision, radius, black_box):
        off = found(channel(kind, precision), radius, black_box) - reference
        return np.sqrt(np.mean(off**2) / np.mean(reference**2))

    return error


@pytest.mark.parametrize(
    "precision, radius, expected",
    [
        ("double", 1e-12, 2.2e-4),
        ("double", 1e-9, 2.1e-7),
        ("double", 1e-6, 2.2e-10),
        ("double", 1e-5, 1e-10),
        ("double", 1e-4, 1e-8),
        ("double", 1e-3, 1e-6),
        ("double", 1e-2, 1e-4),
        ("single", 1e-6, 0.12),
        ("single", 1e-5, 1.3e-2),
        ("single", 1e-4, 1.3e-3),
        ("single", 1e-3, 1.3e-4),
        ("single", 3e-3, 4.7e-5),
        ("single", 1e-2, 9.7e-5),
        ("single", 3e-2, 1.1e-2),
        ("single", 1e-1, 9e-2),
    ],
)
def test_published_errors_of_the_radius(precision, radius, expected):
    """Rounding below, curvature above, and from 1e-2 on the largest amplitude."""
    found = slope_error("disc", 200)(precision, radius, True)
    assert expected / 3 < found < 3 * expected


@pytest.mark.parametrize("kind", SURFACES)
def test_fifty_steps_in_single_precision(kind):
    rng = np.random.default_rng(6)
    control = controls(kind, 4, rng)
    draws = [(draw(4, rng), rng.standard_normal(control.shape)) for _ in range(50)]
    final = []
    for precision in ("single", "double"):
        chan = channel(kind, precision)
        layer = tuner(kind, chan)
        step = tf.function(
            lambda state, t, links, u, layer=layer, chan=chan: layer.step(
                state, t, chan.observation(links), [u]
            )[0],
            autograph=False,
        )
        state = layer.start({"s1": tf.constant(control, chan.rdtype)})
        for t, (links, u) in enumerate(draws):
            links = {name: tf.constant(h, chan.cdtype) for name, h in links.items()}
            state = step(state, tf.constant(t), links, {"s1": tf.constant(u, chan.rdtype)})
        final.append(wrapped(kind, state["s1"].numpy().astype(float)))
    np.testing.assert_allclose(*final, atol=1e-5)
    assert np.abs(final[0] - wrapped(kind, control)).max() > 1e-2


@pytest.mark.parametrize("kind", SURFACES)
def test_changes_in_single_precision(kind):
    """The limit is as good as the numbers; of a finite radius the rounded controls remain."""
    error = slope_error(kind, 20)
    assert error("single", 0.0, False) < 2e-6
    for radius in (1e-6, 1e-5, 1e-4):
        assert error("single", radius, False) < 0.8 * error("single", radius, True)


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_modes_agree(xla):
    chan, links = channel("disc", "single"), draw(2)
    layer = tuner("disc", chan, num_iter=2)
    control = controls("disc", 2)
    direction = [{"s1": tf.constant(RNG.standard_normal(control.shape), tf.float32)}]
    links = {name: tf.constant(h, tf.complex64) for name, h in links.items()}
    state = layer.start({"s1": tf.constant(control, tf.float32)})
    traces = []

    def step(state, t, links, num_iter):
        traces.append(t)
        observe = chan.observation(links)
        return layer.step(state, t, observe, direction, num_iter=num_iter)

    compiled = tf.function(step, jit_compile=xla, autograph=False)
    for t, num_iter in ((0, 1), (900, 2)):
        eager, expected = layer.step(
            state, t, chan.observation(links), direction, num_iter=num_iter
        )
        found, record = compiled(state, tf.constant(t), links, tf.constant(num_iter))
        np.testing.assert_allclose(record["rate"], expected["rate"], rtol=1e-5)
        np.testing.assert_allclose(
            wrapped("disc", found["s1"].numpy()), wrapped("disc", eager["s1"].numpy()), atol=1e-5
        )
    assert len(traces) == 1


@pytest.mark.parametrize("convention", ["consistent", "as_published"])
def test_two_timescale_against_the_twin(convention):
    weights, samples = [1.0, 0.2, 2.0, 0.7], 2
    chan, phases = channel("circle"), controls("circle", 2)
    draws = [draw(2) for _ in range(3 * samples)]
    layer = irs.TwoTimescaleSSCA(
        oracle(weights=weights), samples, convention=convention, weights=weights
    )
    state = layer.start({"s1": tf.constant(np.exp(1j * phases))})
    left = iter(draws)

    def sample():
        links = {name: tf.constant(h) for name, h in next(left).items()}
        return lambda theta: chan.compose(links, theta)

    for t in range(3):
        state = layer.step(state, t, sample)
    for n in range(2):
        theta, average = np.exp(1j * phases[n]), np.zeros(40)
        for t in range(3):
            gradients = []
            for links in draws[t * samples : (t + 1) * samples]:
                links = replica(links, n)
                h = twins.compose(links, {"s1": theta})
                v, _ = twins.wmmse(h, 1.0, 3, twins.start(h, 1.0, "ones"), weights)
                gradients.append(
                    twins.surrogate_gradient(links, theta, v, 1.0, convention, weights)
                )
            theta, average = twins.two_timescale_update(theta, average, gradients, t + 1)
        np.testing.assert_allclose(state["theta"]["s1"][n], theta, atol=1e-10)
        reflected = layer.reflection(state)["s1"][n]
        np.testing.assert_allclose(reflected, theta / np.abs(theta), atol=1e-10)


def test_the_consistent_gradient_is_that_of_the_rate():
    """Against central differences of the twin's rate in a phase."""
    links, phase, eps = replica(draw(1), 0), controls("circle", 1)[0], 1e-5
    theta = np.exp(1j * phase)
    h = twins.compose(links, {"s1": theta})
    v, _ = twins.wmmse(h, 1.0, 3, twins.start(h, 1.0, "ones"))
    gradient = twins.surrogate_gradient(links, theta, v, 1.0)
    slope = 2 * np.real(np.conj(gradient) * 1j * theta)
    for s in range(0, 40, 7):
        rates = []
        for sign in (1, -1):
            turned = theta * np.exp(1j * sign * eps * (np.arange(40) == s))
            rates.append(twins.sum_rate(twins.compose(links, {"s1": turned}), v, 1.0))
        assert slope[s] == pytest.approx((rates[0] - rates[1]) / (2 * eps), abs=1e-8)


@pytest.mark.parametrize("noise_dbm", [-80.0, -100.0])
def test_plain_numpy_baseline(noise_dbm):
    """The yardstick's baseline reaches the twin's rates and moves as it does."""
    rng, place = np.random.default_rng(9), baseline.scenario(noise_dbm=noise_dbm)

    def arrays():
        shapes = {"tx>s1": (40, ANTENNAS), "s1>rx": (USERS, 40), "tx>rx": (USERS, ANTENNAS)}
        return {name: cplx(*shape, rng=rng) for name, shape in shapes.items()}

    los, state = arrays(), baseline.start(rng.uniform(-np.pi, np.pi, 40))
    for t in range(8):
        normals, direction = arrays(), rng.standard_normal((2, 40))
        control = np.stack([state.phase, state.amplitude])
        links = twins.scenario_links(los, normals, noise_dbm=noise_dbm)
        expected, rate = twin_step("disc", links, control, direction, t, 1e-6, num_iter=20)
        state, found = baseline.step(place, los, state, normals, direction)
        assert found == pytest.approx(rate, abs=1e-6)
        moved = np.stack([state.phase, state.amplitude])
        np.testing.assert_allclose(twins.disc(moved), twins.disc(expected), atol=1e-6)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"smoothing_radius": -1.0}, "smoothing_radius = -1.0; a finite number of at least 0"),
        ({"smoothing_radius": float("nan")}, "smoothing_radius = nan; a finite number"),
        ({"num_probes": 0}, "num_probes = 0; an integer of at least 1"),
        ({"decay": 0.0}, r"decay = 0.0; a number in \(0, 1\]"),
        ({"decay_steps": -1}, "decay_steps = -1; an integer of at least 0"),
        ({"step_size": {"s2": 0.4}}, r"step_size is given for \['s2'\]; the surfaces are \['s1'\]"),
    ],
)
def test_bad_arguments(settings, message):
    surfaces = channel("circle").surfaces
    with pytest.raises(ValueError, match=message):
        irs.ZerothOrder(oracle(), surfaces, **{"step_size": 0.4, **settings})


def test_a_plain_callable_needs_a_radius():
    chan, links = channel("circle"), draw(2)
    layer, observe = tuner("circle", chan), observation(chan, links)
    with pytest.raises(ValueError, match="smoothing_radius = 0: observe has no method `change`"):
        layer.step({"s1": tf.constant(controls("circle", 2))}, 0, lambda c: observe(c))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_samples": 0}, "num_samples = 0; an integer of at least 1"),
        ({"tau": 0.0}, "tau = 0.0; a positive number"),
        ({"convention": "other"}, "convention = 'other'; one of .*consistent"),
    ],
)
def test_bad_arguments_of_two_timescales(settings, message):
    with pytest.raises(ValueError, match=message):
        irs.TwoTimescaleSSCA(oracle(), **settings)
