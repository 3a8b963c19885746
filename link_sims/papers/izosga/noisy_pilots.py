"""Observations from pilots: errors of the observed channels against the smoothing radius."""

from typing import Annotated, Literal

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from . import common

EXACT, RANDOM = "exact observations", "random"


class Config(common.ScenarioConfig):
    """Phases alone; every observation costs ``num_pilots`` symbols at full power an antenna."""

    surface: Literal["circle"] = "circle"
    num_pilots: Annotated[list[link_sims.PositiveInt], Field(min_length=1, max_length=8)] = [
        10, 100, 1000,
    ]  # fmt: skip
    radii: Annotated[list[link_sims.PositiveFloat], Field(min_length=1, max_length=8)] = [
        0.03, 0.1, 0.3, 1.0,
    ]  # fmt: skip
    num_iter: link_sims.PositiveInt = 20
    num_steps: link_sims.PositiveInt = 2500


pilots = link_sims.Experiment(
    "izosga/noisy-pilots",
    title="Tuning from noisy observations, 4 x 10 elements, I=20",
    config=Config,
    profiles={
        "smoke": {"num_replicas": 4, "num_steps": 10, "num_iter": 2, "num_pilots": [100],
                  "radii": [0.1]},
        "cpu": {},
        "paper": {"num_steps": 40_000},
    },
    metrics=common.RATE,
    x_label="iteration (channel realisation)",
    execution_cpu="xla",
)  # fmt: skip


class NoisyObservation:
    """An observation whose three channels carry errors of their own, CN(0, error^2) an entry.

    With unit noise and power, L pilot symbols for every antenna leave least squares with
    error = 1 / sqrt(L).
    """

    def __init__(self, observe, surfaces, error, radius):
        self.observe, self.surfaces = observe, surfaces
        self.error, self.radius = error, radius

    def __call__(self, controls):
        h = self.observe(controls)
        return h + tf.cast(self.error, h.dtype) * irs.random.complex_normal(tf.shape(h), h.dtype)

    def change(self, controls, direction, _):
        """The two-point estimate from noisy probes."""
        plus, minus = (
            self({n: self.surfaces[n].project(c + r * direction[n]) for n, c in controls.items()})
            for r in (self.radius, -self.radius)
        )
        return (plus - minus) / tf.cast(2 * self.radius, plus.dtype)


def curve_name(count, radius):
    """Name of a curve."""
    return f"L={count}, radius {radius:g}"


def settings_of(cfg):
    """Curve -> (error, radius, whether the surface moves)."""
    found = {RANDOM: (0.0, 0.01, 0.0), EXACT: (0.0, 0.01, 1.0)}
    for count in cfg.num_pilots:
        for radius in cfg.radii:
            found[curve_name(count, radius)] = (count**-0.5, radius, 1.0)
    return found


@pilots.recursion("tuning", length="num_steps", record_every=250)
def tuning(cfg, seed):
    """All settings on the same channels, starts and directions; rates are those of the truth."""
    channel, step_sizes = common.scenario(cfg)
    tuner = irs.ZerothOrder(common.new_oracle(cfg), channel.surfaces, step_sizes)
    settings = settings_of(cfg)
    table = channel.real(list(settings.values()))

    def start():
        first = common.first_controls(cfg, channel)
        return tf.nest.map_structure(lambda c: tf.stack([c] * len(settings)), first)

    def advance(state, t):
        truth = channel.observation(channel.draw(cfg.num_replicas))
        directions = tuner.draw_directions({name: c[0] for name, c in state.items()})

        def one(arguments):
            controls, setting = arguments
            error, radius, moving = tf.unstack(setting)
            observe = NoisyObservation(truth, channel.surfaces, error, radius)
            moved, record = tuner.step(controls, t, observe, directions, num_iter=cfg.num_iter)
            kept = {n: tf.where(moving > 0, moved[n], c) for n, c in controls.items()}
            return kept, irs.metrics.sum_rate(truth(controls), record["v"], 1.0)

        rates = tf.TensorSpec([cfg.num_replicas], channel.rdtype)
        state, found = common.each(one, state, (table,), rates)
        return state, {("rate", name): (found[i], 1.0) for i, name in enumerate(settings)}

    return start, advance


@pilots.figure
def draw(results, figure):
    """Rates over iterations, a panel for every number of pilots."""
    cfg = results.config
    figure.set_size_inches(2.6 * len(cfg.num_pilots) + 0.6, 3.6)
    panels = figure.subplots(1, len(cfg.num_pilots), sharey=True, squeeze=False)[0]
    for axes, count in zip(panels, cfg.num_pilots, strict=True):
        names = [curve_name(count, radius) for radius in cfg.radii]
        common.draw_bands(axes, results, [RANDOM, EXACT, *names])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


pilots.ours(
    "this package; set from the cpu profile, 2026-11: errors enter the slope as error / radius",
    {
        "with 100 pilots a radius of 0.3 tunes better than one of 0.03": (
            measured.difference(
                "rate", curve_name(100, 0.3), curve_name(100, 0.03), (2000, 2500)
            ).greater(0)
        ),
        "with 100 pilots and a radius of 0.3 the surface gains over the random one": (
            measured.difference("rate", curve_name(100, 0.3), RANDOM, (2000, 2500)).greater(0)
        ),
    },
)
