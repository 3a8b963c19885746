"""Tuning of surfaces from observed channels against its twin, and what it promises."""

import numpy as np
import pytest
import tensorflow as tf
import zeroth_order_twin as twins
from tuning_cases import (
    ANTENNAS,
    DOUBLE,
    PANEL,
    RNG,
    SURFACES,
    TWINS,
    USERS,
    channel,
    controls,
    cplx,
    draw,
    observation,
    oracle,
    replica,
    tuner,
    twin_step,
    wrapped,
)

import sionna_irs as irs
from sionna_irs import random


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
    found = surface.tangent([*still, 1.0, 0.999, 0.0], [*still, *u])
    np.testing.assert_allclose(found, u * [0.5, 1, 1], rtol=1e-12)
    turned = surface.tangent([*still, 1.0, 0.5, 0.0], [*u, *still])
    np.testing.assert_allclose(turned, 1j * u * [1.0, 0.5, 0.0], rtol=1e-12)


def test_a_negative_amplitude_is_a_turn():
    surface = irs.AdjustableAmplitude(irs.ULA(4), **DOUBLE)
    control = np.array([0.3, -0.3, 3.0, 1.0, -0.2, -1.7, 0.4, 1.3])
    inside = surface.project(control).numpy()
    np.testing.assert_allclose(inside[4:], [0.2, 1, 0.4, 1], rtol=1e-12)
    assert np.all(np.abs(inside[:4]) <= np.pi + 1e-12)
    expected = [0.2 * np.exp(1j * (0.3 + np.pi)), np.exp(1j * (-0.3 + np.pi))]
    expected += [0.4 * np.exp(3j), np.exp(1j)]
    np.testing.assert_allclose(surface(inside), expected, atol=1e-12)
    # Probes around 0 are points of the disc, too.
    minus, plus = (surface.project(np.repeat([0, end], 4)) for end in (-1e-3, 1e-3))
    np.testing.assert_allclose(surface.difference(plus, minus), 2e-3, rtol=1e-12)


@pytest.mark.parametrize("kind", SURFACES)
@pytest.mark.parametrize("radius", [0, 1e-2])
def test_a_step_against_the_twin(kind, radius):
    weights = [1.0, 0.2, 2.0, 0.7]
    chan, links, control = channel(kind), draw(3), controls(kind, 3)
    if kind == "disc":
        control[:, 40:45] = 1e-4  # some turn negative
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
