"""Oracles whose quality changes while the surface is tuned."""

import link_sims
from link_sims import measured, tf
from link_sims.results import intervals
from link_sims.results.claims import Value
from link_sims.results.plotting import COLORS

from . import common

SCHEDULES = {"A: I=20,10,7,6,5": (20, 10, 7, 6, 5), "B: I=20,5,4,3,2": (20, 5, 4, 3, 2)}
FIXED = "fixed: I=20"


class Config(common.ScenarioConfig):
    """Five stages of equal length."""

    num_steps: link_sims.PositiveInt = 2500

    def check(self):
        """Stages are whole blocks of the figure."""
        if self.num_steps % 5:
            raise ValueError(f"num_steps = {self.num_steps}: a multiple of 5 is needed")


def make(name, answers=(), **changes):
    """The experiment for one panel."""
    rows, cols = changes.get("panel", [4, 10])
    experiment = link_sims.Experiment(
        name,
        title=f"{rows} x {cols} elements, oracles that get worse in five stages",
        answers=answers,
        config=Config,
        profiles={
            "smoke": {**changes, "num_replicas": 4, "num_steps": 20},
            "cpu": changes,
            "published": {**changes, **common.PUBLISHED},
            "paper": {**changes, **common.PUBLISHED},
        },
        metrics=common.RATE,
        x_label="iteration (channel realisation)",
        execution_cpu="xla",
    )

    @experiment.recursion("tuning", length="num_steps", record_every=100)
    def tuning(cfg, seed):
        """Both schedules and the fixed oracle, tuned and random."""

        def staged(values):
            return lambda t: tf.gather(
                tf.constant(values), tf.minimum(t // (cfg.num_steps // 5), 4)
            )

        curves = {FIXED: common.fixed(20)}
        for name, values in SCHEDULES.items():
            curves[name] = common.Curve(staged(values))
            curves[f"random, {name}"] = common.Curve(staged(values), ())
        return common.tune(cfg, *common.scenario(cfg), curves)

    @experiment.figure
    def draw(results, figure):
        """Rates, and what the schedules lose to the fixed oracle."""
        figure.set_size_inches(7.2, 3.6)
        left, right = figure.subplots(1, 2)
        common.draw_bands(left, results, [FIXED, *SCHEDULES])
        common.draw_bands(left, results, [f"random, {n}" for n in SCHEDULES], "--", 1)
        for index, name in enumerate(SCHEDULES, 1):
            points = results.points("rate", name)
            gaps = [
                results.value("rate", name, x) - results.value("rate", FIXED, x) for x in points
            ]
            right.plot(points, gaps, color=COLORS[index], label=name)
        right.set(xlabel=experiment.x_label, ylabel="rate minus that of fixed I=20 [bit/s/Hz]")
        for axes in (left, right):
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
        figure.suptitle(experiment.title, fontsize=8)

    return experiment


def stage_gap(results, curve, stage) -> Value:
    """Curve minus the fixed oracle in one of the five stages, paired by replica."""
    length = results.config.num_steps // 5
    return results.difference("rate", curve, FIXED, (stage * length, (stage + 1) * length))


def further_drop(results, curve) -> Value:
    """Gap of the last stage minus that of the one before it, paired by replica."""
    length, gaps = results.config.num_steps // 5, []
    for stage in (4, 3):
        ends = stage * length, (stage + 1) * length
        pairs = zip(*(results.over("rate", c, ends) for c in (curve, FIXED)), strict=True)
        gaps.append([a / n - b / m for (a, n), (b, m) in pairs])
    units = [(last - before, 1.0) for last, before in zip(*gaps, strict=True)]
    return Value(sum(u for u, _ in units) / len(units), *intervals.ratio(units))


def descent(results, curve) -> Value:
    """Second half of the last stage minus its first half, paired by replica."""
    end = results.config.num_steps
    middle, begin = end - end // 10, end - end // 5
    return results.difference("rate", curve, curve, (middle, end), (begin, middle))


small = make("izosga/scheduled-oracles", ["iZoSGA Fig. 4"])
large = make("izosga/scheduled-oracles-400", panel=[20, 20], num_replicas=60)
A, B = SCHEDULES
for _experiment in (small, large):
    _experiment.published(
        "iZoSGA Fig. 4",
        {
            **{
                f"schedule A has no visible break in stage {stage + 1}: within 1.5 % of fixed"
                " I = 20": measured.by(stage_gap, A, stage).within(0, 0.015 * 3.7)
                for stage in range(1, 5)
            },
            "schedule B drops with I = 3 and more with I = 2": (
                measured.by(further_drop, B).less(0)
            ),
        },
    )
    _experiment.published(
        "iZoSGA Fig. 4",
        {
            "schedule B descends within its last stage, I = 2": measured.by(descent, B).less(0),
        },
        expect="does-not-hold",
    )
