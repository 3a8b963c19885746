"""Two timescales trained in stages, or everything at once, in three seeds."""

import link_sims

from . import common
from .common import AWARE, JOINT, ONE_STAGE, RLS_SCA
from .schemes import SEEDS, above, of_seed, seeded


class Config(common.HybridConfig):
    """Trained at one SNR, tested around it; both schedules take the same number of steps."""

    snr_db: link_sims.Grid = [0, 5, 10, 15]
    num_steps: link_sims.PositiveInt = 600


schedules = link_sims.Experiment(
    "hybrid/schedules",
    title="Hybrid beamforming with estimated channels: two stages or one",
    answers=["Unfolding Fig. 13"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)
common.declare(
    schedules,
    {
        "analog": ("analog", None),
        "estimator": ("estimator", "analog"),
        JOINT: ("joint", "estimator"),
    },
    seeds=SEEDS,
)
common.declare_whole(schedules, [ONE_STAGE], seeds=SEEDS)


@schedules.sweep(x="snr_db")
def curves(cfg, trained):
    """All seeds on the same channels; classical schemes behind the phases of the first stage."""
    return common.compare(cfg, seeded(cfg, trained))


@schedules.figure
def draw(results, figure):
    """Mean over the seeds, and the seeds as points."""
    figure.set_size_inches(4.6, 4.2)
    axes = figure.subplots()
    for curve, style in common.styles((JOINT, ONE_STAGE, AWARE, RLS_SCA)):
        xs = results.points(common.RATE, of_seed(curve, 0))
        values = [
            [results.value(common.RATE, of_seed(curve, i), x) for i in range(SEEDS)] for x in xs
        ]
        means = [sum(v) / SEEDS for v in values]
        axes.plot(xs, means, **style)
        for i in range(SEEDS):
            axes.plot(xs, [v[i] for v in values], ".", color=style["color"], markersize=3)
    axes.set(xlabel=results.experiment.x_label, ylabel="sum rate [bit/s/Hz]")
    axes.set_title(results.experiment.title, fontsize=8)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)


PAPER = "mixed-timescale paper, Fig. 13"
schedules.published(
    f"{PAPER}: two stages are better; set from the first run",
    above(JOINT, ONE_STAGE),
    "does-not-hold",
)
schedules.published(PAPER, above(ONE_STAGE, RLS_SCA))
schedules.ours(
    f"{common.BEYOND}; {common.SET}",
    above(ONE_STAGE, AWARE),
)
