"""Learned and classical hybrid beamforming from pilots, in three seeds.

Every learned scheme takes three stages of the same number of steps and channels. "joint" and
"separate" share two: analog phases and precoder with known channels, then the estimator; "joint"
spends the last on the rate, "separate" on the estimator again.
"""

import link_sims

from . import common
from .common import AWARE, BLACK_BOX, JOINT, RLS_SCA, RLS_ZF, SEPARATE

SEEDS = 3


class Config(common.HybridConfig):
    """The SNR of the training, or others."""

    snr_db: link_sims.Grid = [10]


schemes = link_sims.Experiment(
    "hybrid/schemes",
    title="Hybrid beamforming with estimated channels, three seeds",
    config=Config,
    profiles={
        "smoke": common.SMOKE,
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)
common.declare(schemes, seeds=SEEDS)
common.declare_whole(schemes, [BLACK_BOX], seeds=SEEDS)


def of_seed(curve, index):
    """Name of the curve of one seed."""
    return f"{curve}, seed {index + 1}"


def seeded(cfg, trained):
    """Systems of all seeds, with classical schemes behind the phases of each."""
    systems = {}
    for index in range(SEEDS):
        learned = common.learned(cfg, trained, index)
        found = {**common.classical(cfg, learned[common.KNOWN].front), **learned}
        systems |= {of_seed(curve, index): system for curve, system in found.items()}
    return systems


@schemes.sweep(x="snr_db")
def curves(cfg, trained):
    """All seeds on the same channels."""
    return common.compare(cfg, seeded(cfg, trained))


def draw_seeds(results, figure, shown):
    """Mean over the seeds, and the seeds as points."""
    from ...plotting import COLORS, MARKERS

    figure.set_size_inches(4.6, 4.4)
    axes = figure.subplots()
    for color, marker, curve in zip(COLORS, MARKERS, shown, strict=False):
        xs = results.points(common.RATE, of_seed(curve, 0))
        values = [
            [results.value(common.RATE, of_seed(curve, i), x) for i in range(SEEDS)] for x in xs
        ]
        means = [sum(v) / SEEDS for v in values]
        axes.plot(xs, means, color=color, marker=marker, markerfacecolor="none", label=curve)
        for i in range(SEEDS):
            axes.plot(xs, [v[i] for v in values], ".", color=color, markersize=3)
    axes.set(xlabel=results.experiment.x_label, ylabel="sum rate [bit/s/Hz]")
    axes.set_title(results.experiment.title, fontsize=8)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)


@schemes.figure
def draw(results, figure):
    """Mean over the seeds, and the seeds as points."""
    draw_seeds(results, figure, (JOINT, SEPARATE, AWARE, RLS_SCA, BLACK_BOX, RLS_ZF))


def ordering(experiment, better, worse, source, x, metric=common.RATE):
    """A claim for every seed, on the same channels."""
    for index in range(SEEDS):
        experiment.claim(
            f"{metric}: {better} above {worse} at {x:g} dB, seed {index + 1}",
            source=source,
            expect="holds",
            check=lambda r, i=index: r.paired(
                metric, of_seed(better, i), of_seed(worse, i), x=x
            ).greater(),
        )


PAPER = "mixed-timescale paper, Fig. 10"
ordering(schemes, JOINT, SEPARATE, PAPER, x=10)
ordering(schemes, SEPARATE, BLACK_BOX, PAPER, x=10)
ordering(schemes, BLACK_BOX, RLS_ZF, PAPER, x=10)
ordering(schemes, JOINT, RLS_SCA, PAPER, x=10)
ordering(schemes, JOINT, AWARE, "specification 12.7: above the best classical scheme", x=10)
ordering(
    schemes, JOINT, SEPARATE, "specification 12.7: beams without estimating the channel", x=10,
    metric=common.ERROR,
)  # fmt: skip
