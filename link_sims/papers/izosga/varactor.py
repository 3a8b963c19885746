"""Capacitances as controls: a varactor surface against the ideal one."""

from typing import Annotated

from pydantic import Field

import link_sims

from . import common


class Config(common.ScenarioConfig):
    """Both surfaces tuned in the same scenario."""

    num_steps: link_sims.PositiveInt = 2500
    num_iter: Annotated[
        list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1, max_length=20)
    ] = [1, 5, 20]


def curves_of(cfg, kind):
    """Every oracle, tuned and with random controls."""
    return {
        f"{kind}, {state}, I={i}": common.fixed(i, ("s1",) if state == "tuned" else ())
        for state in ("tuned", "random")
        for i in cfg.num_iter
    }


def make(name, answers, title, **changes):
    """The experiment of one panel."""
    published = {**common.PUBLISHED, "num_iter": common.ORACLES}
    experiment = link_sims.Experiment(
        name,
        title=title,
        answers=answers,
        config=Config,
        profiles={
            "smoke": {**changes, "num_replicas": 4, "num_steps": 20, "num_iter": [1, 5]},
            "cpu": changes,
            "published": {**changes, **published},
            "paper": {**changes, **published},
        },
        metrics=common.RATE,
        x_label="iteration (channel realisation)",
        execution_cpu="xla",
    )

    @experiment.recursion("varactors", length="num_steps", record_every=250)
    def varactors(cfg, seed):
        """Capacitances."""
        return common.tune(cfg, *common.scenario(cfg, "varactor"), curves_of(cfg, "varactor"))

    @experiment.recursion("ideal", length="num_steps", record_every=250)
    def ideal(cfg, seed):
        """Phases and amplitudes, with the same lines of sight."""
        return common.tune(cfg, *common.scenario(cfg, "disc"), curves_of(cfg, "ideal"))

    @experiment.figure
    def draw(results, figure):
        """Varactors beside ideal elements."""
        figure.set_size_inches(7.2, 3.8)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, kind in zip(panels, ("varactor", "ideal"), strict=True):
            for state, style in (("tuned", "-"), ("random", "--")):
                names = [f"{kind}, {state}, I={i}" for i in results.config.num_iter]
                common.draw_bands(axes, results, names, style)
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
        figure.suptitle(results.experiment.title, fontsize=8)

    experiment.claim(
        "the order of the oracles is that of the ideal surface: 5 over 1",
        source="iZoSGA Fig. 6",
        expect="holds",
        check=lambda r: common.gain(
            r, "varactor, tuned, I=5", "varactor, tuned, I=1", 2000, 2500
        ).greater(0),
    )
    return experiment


varactor = make(
    "izosga/varactor", ["iZoSGA Fig. 6"], "4 x 10 varactors, tuned by their capacitances"
)
large = make(
    "izosga/varactor-400", [], "20 x 20 varactors, tuned by their capacitances",
    panel=[20, 20], num_replicas=24,
)  # fmt: skip
for _i, _gain in {1: 0.18, 5: 0.21, 20: 0.215}.items():
    varactor.claim(
        f"gain over random capacitances by iterations 2000-2500, I = {_i}: {_gain:+}",
        source="reference values of a prototype, 60 replicas",
        expect="holds",
        check=lambda r, i=_i, v=_gain: common.gain(
            r, f"varactor, tuned, I={i}", f"varactor, random, I={i}", 2000, 2500
        ).within(v, 0.03),
    )
varactor.claim(
    "below the ideal surface after as many iterations, by about 0.065, I = 20",
    source="iZoSGA Fig. 6 (lower); prototype",
    expect="holds",
    check=lambda r: common.gain(
        r, "ideal, tuned, I=20", "varactor, tuned, I=20", 2000, 2500
    ).within(0.065, 0.04),
)
large.claim(
    "20 x 20 varactors stay within 0.1 bit/s/Hz of the ideal surface, too, I = 20",
    source="iZoSGA Fig. 6, for 40 elements",
    expect="does-not-hold",
    check=lambda r: common.gain(r, "ideal, tuned, I=20", "varactor, tuned, I=20", 2000, 2500).less(
        0.1
    ),
)
large.claim(
    "20 x 20 varactors gain over 1.5 bit/s/Hz on random capacitances, I = 5",
    source="this package: ten times the elements of Fig. 6",
    expect="holds",
    check=lambda r: common.gain(
        r, "varactor, tuned, I=5", "varactor, random, I=5", 2000, 2500
    ).greater(1.5),
)
