"""What the method costs: zeroth order, first order, and the model-based two-timescale design."""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from . import common

RANDOM, DISC, CIRCLE = "random", "zeroth order, disc", "zeroth order, circle"
PROBES, FIRST = "zeroth order, circle, 4 probes", "first order, circle"
TTS, PUBLISHED = "TTS-SSCA", "TTS-SSCA, as published"


class Config(common.ScenarioConfig):
    """All methods on the same channels, with one oracle."""

    num_steps: link_sims.PositiveInt = 2500
    num_iter: Annotated[int, Field(ge=1, le=1000)] = 20
    num_updates: link_sims.PositiveInt = 201
    num_samples: link_sims.PositiveInt = 10


def tuning(cfg, seed):
    """Every method with its own controls; the same channels and starts."""
    oracle = common.new_oracle(cfg)
    channel, step_sizes = common.scenario(cfg, "circle")
    disc, disc_steps = common.scenario(cfg, "disc")
    tuners = {
        DISC: irs.ZerothOrder(oracle, disc.surfaces, disc_steps),
        CIRCLE: irs.ZerothOrder(oracle, channel.surfaces, step_sizes),
        PROBES: irs.ZerothOrder(oracle, channel.surfaces, step_sizes, num_probes=4),
        FIRST: irs.FirstOrder(oracle, channel.surfaces, step_sizes),
    }
    designs = {
        TTS: irs.TwoTimescaleSSCA(oracle, cfg.num_samples),
        PUBLISHED: irs.TwoTimescaleSSCA(oracle, cfg.num_samples, convention="as_published"),
    }

    def start():
        phases = common.first_controls(cfg, channel)
        theta = channel.reflect(phases)
        state = {name: phases for name in (RANDOM, CIRCLE, PROBES, FIRST)}
        state[DISC] = common.first_controls(cfg, disc)
        return {**state, **{name: design.start(theta) for name, design in designs.items()}}

    def sample():
        links = channel.draw(cfg.num_replicas)
        return lambda theta: channel.compose(links, theta)

    def advance(state, t):
        links = channel.draw(cfg.num_replicas)
        coefficients = {RANDOM: channel.reflect(state[RANDOM])}
        for name, design in designs.items():
            coefficients[name] = design.reflection(state[name])
        h = tf.stack([channel.compose(links, theta) for theta in coefficients.values()])
        rates = oracle(h, 1.0, num_iter=cfg.num_iter, return_state=True)[1]["rate"]
        found = {name: rates[i] for i, name in enumerate(coefficients)}
        state = dict(state)
        for name, tuner in tuners.items():
            observe = (disc if name == DISC else channel).observation(links)
            state[name], record = tuner.step(state[name], t, observe, num_iter=cfg.num_iter)
            found[name] = record["rate"]
        for name, design in designs.items():
            state[name] = tf.cond(
                t < cfg.num_updates,
                lambda d=design, s=state[name]: d.step(s, t, sample, num_iter=cfg.num_iter),
                lambda s=state[name]: s,
            )
        return state, {("rate", name): (rate, 1.0) for name, rate in found.items()}

    return start, advance


def make(name, title, **changes):
    """The experiment of one panel."""
    experiment = link_sims.Experiment(
        name,
        title=title,
        config=Config,
        profiles={
            "smoke": {**changes, "num_replicas": 4, "num_steps": 10, "num_iter": 2,
                      "num_updates": 5},
            "cpu": changes,
            "paper": {**changes, "num_steps": 60_000},
        },
        metrics=common.RATE,
        x_label="iteration (channel realisation)",
        execution_cpu="xla",
    )  # fmt: skip
    experiment.recursion("tuning", length="num_steps", record_every=250)(tuning)

    @experiment.figure
    def draw(results, figure):
        """Rates over intervals; the model-based design has seen ten samples in each."""
        names = [RANDOM, PUBLISHED, TTS, DISC, CIRCLE, PROBES, FIRST]
        common.draw_curves(figure, results, names)

    experiment.ours(
        "this package; set from the cpu profile, 2026-11",
        {
            "the exact gradient is faster than probes: what being model-free costs": (
                measured.difference("rate", FIRST, CIRCLE, (0, 500)).greater(0)
            ),
            "four pairs of probes in an interval are faster than one": (
                measured.difference("rate", PROBES, CIRCLE, (0, 500)).greater(0)
            ),
        },
    )
    return experiment


methods = make("izosga/methods", "Surface tuning with and without a model, 4 x 10 elements, I=20")
large = make(
    "izosga/methods-400", "Surface tuning with and without a model, 20 x 20 elements, I=20",
    panel=[20, 20], num_replicas=24,
)  # fmt: skip
AUTHORS = "Hashmi, Pougkakiotis and Kalogerias 2024 (iZoSGA's [46]), figure of its public code"
LAST = 2000, 2500
methods.published(
    f"{AUTHORS}, at 60,000 intervals",
    {
        "the method without a model beats the model-based one within 2500 intervals": (
            measured.difference("rate", CIRCLE, TTS, LAST).greater(0)
        )
    },
    expect="does-not-hold",
)
methods.published(
    AUTHORS,
    {
        "it beats the model-based one as published, whose gradient is of another precoder": (
            measured.difference("rate", CIRCLE, PUBLISHED, LAST).greater(0)
        )
    },
)
methods.ours(
    "this package; set from an earlier implementation, 60 replicas, 2026-11",
    {
        f"{name} gains {gain:+} over the random surface after its updates": (
            measured.difference("rate", name, RANDOM, (500, 2500)).within(gain, 0.04)
        )
        for name, gain in ((TTS, 0.359), (PUBLISHED, 0.208))
    },
)
large.published(
    f"{AUTHORS}, at 60,000 intervals, for 4 x 10 elements",
    {
        "20 x 20 elements: the method without a model beats the model-based one within 2500"
        " intervals": measured.difference("rate", CIRCLE, TTS, LAST).greater(0),
        "20 x 20 elements: it beats the model-based one as published": (
            measured.difference("rate", CIRCLE, PUBLISHED, LAST).greater(0)
        ),
    },
    expect="does-not-hold",
)
