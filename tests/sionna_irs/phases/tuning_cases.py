"""Scenario, surfaces and twins that the tests of tuners share."""

import functools

import numpy as np
import tensorflow as tf
import zeroth_order_twin as twins
from varactor_twin import twin as gamma

import sionna_irs as irs

RNG = np.random.default_rng(1)
DOUBLE = {"precision": "double"}
USERS, ANTENNAS, PANEL = 4, 6, (4, 10)
SURFACES = {
    "disc": irs.AdjustableAmplitude,
    "circle": irs.IdealPhases,
    "varactor": irs.Varactor,
}
# The published step of the varactors takes half of the slope.
STEPS = {"disc": np.repeat([0.4, 0.01], np.prod(PANEL)), "circle": 0.4, "varactor": 0.005}
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
        amplitude = np.where(edge, 1, rng.uniform(0.5, 0.95, (batch, size)))
        return np.concatenate([phase, amplitude], 1)
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
    named = {"multiplier": "newton", "num_steps": 12, "start": "ones"}
    return irs.WMMSE(num_iter, weights=weights, precision=precision, method="tensors", **named)


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
