"""Surfaces of b-bit phases under the zeroth-order method: tuned as they are, or rounded after."""

import math
from typing import Annotated, Literal

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from . import common

RANDOM, CONTINUOUS = "random", "continuous"
TUNINGS = PASSED, PROBED, ROUNDED = "slope passed through", "probed", "rounded after tuning"


class Config(common.ScenarioConfig):
    """The tuned quantity is a continuous phase; the surface shows the nearest of 2^b."""

    surface: Literal["circle"] = "circle"
    num_bits: Annotated[
        list[Annotated[int, Field(ge=1, le=8)]], Field(min_length=1, max_length=8)
    ] = [1, 2]
    num_steps: link_sims.PositiveInt = 2500
    num_iter: Annotated[int, Field(ge=1, le=1000)] = 5
    radius_steps: link_sims.PositiveFloat = 0.5


discrete = link_sims.Experiment(
    "izosga/discrete-phases",
    title="Tuning b-bit phases, 4 x 10 elements, I=5",
    config=Config,
    profiles={
        "smoke": {"num_replicas": 4, "num_steps": 10, "num_iter": 2, "num_bits": [1]},
        "cpu": {},
        "paper": {"num_steps": 40_000, "num_bits": [1, 2, 3]},
    },
    metrics=common.RATE,
    x_label="iteration (channel realisation)",
    execution_cpu="xla",
)


def curve_name(tuning, num_bits):
    """Name of a curve."""
    return f"{num_bits} bit, {tuning}"


class SideBySide:
    """Observations of several surfaces on the same links as one: controls [curves, replicas, N]."""

    def __init__(self, observations, radii):
        self.observations, self.radii = observations, radii

    def __call__(self, controls):
        pairs = zip(self.observations, tf.unstack(controls["s1"]), strict=True)
        return tf.stack([observe({"s1": c}) for observe, c in pairs])

    def change(self, controls, direction, radius):
        """Every surface is probed at a distance of its own."""
        rows = zip(self.observations, tf.unstack(controls["s1"]), self.radii, strict=True)
        u = {"s1": direction["s1"][0]}  # common to all curves
        return tf.stack([observe.change({"s1": c}, u, mu) for observe, c, mu in rows])


@discrete.recursion("tuning", length="num_steps", record_every=250)
def tuning(cfg, seed):
    """All curves in one batch: same channels, starts and directions."""
    channel, step_sizes = common.scenario(cfg)
    panel = channel.surfaces["s1"].panel
    rows = [(RANDOM, channel, 0.0), (CONTINUOUS, channel, 0.0)]
    for bits in cfg.num_bits:
        quantised = irs.SurfaceChannel(channel.hops, {"s1": irs.DiscretePhases(panel, bits)})
        radius = cfg.radius_steps * 2 * math.pi / 2**bits
        for kind, mu in zip(TUNINGS, (0.0, radius, 0.0), strict=True):
            rows.append((curve_name(kind, bits), quantised, mu))
    names, channels, radii = zip(*rows, strict=True)
    tuner = irs.ZerothOrder(common.new_oracle(cfg), channel.surfaces, step_sizes)

    def start():
        first = common.first_controls(cfg, channel)["s1"]
        return {"s1": tf.stack([first] * len(names))}

    def advance(state, t):
        links = channel.draw(cfg.num_replicas)
        observe = SideBySide([c.observation(links) for c in channels], radii)
        u = irs.random.normal(tf.shape(state["s1"])[1:], channel.rdtype)
        directions = [{"s1": tf.broadcast_to(u, tf.shape(state["s1"]))}]
        moved, record = tuner.step(state, t, observe, directions, num_iter=cfg.num_iter)
        follow = [names.index(CONTINUOUS) if ROUNDED in n else i for i, n in enumerate(names)]
        controls = tf.gather(moved["s1"], follow)
        controls = tf.concat([state["s1"][:1], controls[1:]], 0)
        return {"s1": controls}, {
            ("rate", name): (record["rate"][i], 1.0) for i, name in enumerate(names)
        }

    return start, advance


@discrete.figure
def draw(results, figure):
    """Rates over iterations."""
    bits = results.config.num_bits
    solid = [RANDOM, CONTINUOUS, *(curve_name(PASSED, b) for b in bits)]
    others = [curve_name(kind, b) for kind in (PROBED, ROUNDED) for b in bits]
    common.draw_curves(figure, results, solid + others)


# The last 500 iterations of the cpu profile, paired by replica.
LAST = 2000, 2500
SOURCE = "this package, beyond iZoSGA: quantised phases; set from a first run, cpu profile, 2026-11"
for _bits, _expect in ((1, "does-not-hold"), (2, "holds")):
    discrete.ours(
        SOURCE,
        {
            f"{_bits} bit: the slope passed through the rounding gains on random phases": (
                measured.difference("rate", curve_name(PASSED, _bits), RANDOM, LAST).greater(0)
            )
        },
        expect=_expect,
    )
discrete.ours(
    SOURCE,
    {
        **{
            f"{b} bit: probing the rounded surface, half a step apart, gains on random phases": (
                measured.difference("rate", curve_name(PROBED, b), RANDOM, LAST).greater(0)
            )
            for b in (1, 2)
        },
        **{
            f"{b} bit: rounding a surface tuned with continuous phases is better still": (
                measured.difference(
                    "rate", curve_name(ROUNDED, b), curve_name(PROBED, b), LAST
                ).greater(0)
            )
            for b in (1, 2)
        },
        "2 bit, tuned, lose less than 0.1 bit/s/Hz to continuous phases": (
            measured.difference("rate", CONTINUOUS, curve_name(PASSED, 2), LAST).less(0.1)
        ),
    },
)
