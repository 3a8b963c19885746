"""Learned and classical hybrid beamforming from pilots, in three seeds.

Every learned scheme takes three stages of the same number of steps and channels. "joint" and
"separate" share two: analog phases and precoder with known channels, then the estimator; "joint"
spends the last on the rate, "separate" on the estimator again.
"""

import link_sims
from link_sims import measured

from ...results.plotting import COLORS, MARKERS
from . import common
from .common import AWARE, BLACK_BOX, JOINT, KNOWN, RLS_SCA, RLS_ZF, SCA, SEPARATE

SEEDS = 3
SHOWN = (SCA, KNOWN, JOINT, AWARE, SEPARATE, RLS_SCA, BLACK_BOX, RLS_ZF)


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


@schemes.figure
def draw(results, figure):
    """A row for every scheme, at the first SNR: the seeds as points with their intervals."""
    figure.set_size_inches(5.0, 3.2)
    axes = figure.subplots()
    snr_db = results.config.snr_db[0]
    for index in range(SEEDS):
        for row, curve in enumerate(reversed(SHOWN)):
            value = results.value(common.RATE, of_seed(curve, index), snr_db)
            low, high = results.interval(common.RATE, of_seed(curve, index), snr_db)
            axes.errorbar(
                value, row + 0.2 * (index - 1), xerr=[[value - low], [high - value]],
                color=COLORS[index], marker=MARKERS[index], markerfacecolor="none", capsize=2,
                label=f"seed {index + 1}" if row == 0 else None,
            )  # fmt: skip
    axes.set_yticks(range(len(SHOWN)), reversed(SHOWN))
    axes.set(xlabel=f"sum rate at {snr_db:g} dB [bit/s/Hz]")
    axes.set_title(results.experiment.title, fontsize=8)
    axes.legend(frameon=False)


def above(better, worse, metric=common.RATE):
    """Checks {text: check}, for every seed, of one scheme above another at 10 dB."""
    return {
        f"{metric}: {better} above {worse} at 10 dB, seed {i + 1}": (
            measured.paired(metric, of_seed(better, i), of_seed(worse, i), x=10).greater()
        )
        for i in range(SEEDS)
    }


schemes.published(
    "mixed-timescale paper, Fig. 10",
    {
        **above(JOINT, SEPARATE),
        **above(SEPARATE, BLACK_BOX),
        **above(BLACK_BOX, RLS_ZF),
        **above(JOINT, RLS_SCA),
    },
)
schemes.ours("this package: above the best classical scheme, 2026-11", above(JOINT, AWARE))
schemes.ours(
    "this package: beams without estimating the channel, 2026-11",
    above(JOINT, SEPARATE, common.ERROR),
)
