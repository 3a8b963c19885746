"""New statistics: a trained system goes on being used, learns on, or is trained anew."""

import math

import link_sims
import sionna_irs as irs
from link_sims import measured

from ...results.plotting import COLORS, draw_lines
from ...training import training as trainer
from . import common
from .common import AWARE

NEW = {"num_clusters": 3, "num_rays": 3, "max_angle": math.pi / 2}
MATCHED, MISMATCHED = "no mismatch", "mismatch"
TRANSFER, SCRATCH = "transfer, a tenth of the steps", "from scratch, a tenth of the steps"
BEFORE, AFTER = "before the jump", "after the jump"


class Config(common.HybridConfig):
    """Four clusters of two rays within 60 degrees become three of three within 90."""

    snr_db: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    training_snr_low_db: float = -5.0
    training_snr_high_db: float = 20.0
    num_steps: link_sims.PositiveInt = 1200

    @property
    def few_steps(self):
        """A tenth of the steps."""
        return max(1, self.num_steps // 10)


transfer = link_sims.Experiment(
    "hybrid/transfer",
    title="Hybrid beamforming when the statistics of the angles change",
    answers=["Unfolding Fig. 15", "Unfolding Fig. 16"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 40_000},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)


def learning(cfg, curve, statistics, num_steps, initial=None):
    """(start, advance): everything is trained at once, over all SNRs."""
    channel = common.new_channel(cfg, **statistics)
    return common.stage(
        cfg, "all", curve, initial, draw=lambda: channel(cfg.training_batch), num_steps=num_steps
    )


@transfer.recursion(BEFORE, "num_steps", record_every=20)
def before(cfg, seed):
    """The old statistics."""
    return learning(cfg, BEFORE, {}, cfg.num_steps)


@transfer.recursion(AFTER, "num_steps", record_every=20, after=BEFORE)
def after(cfg, seed, initial):
    """The same training goes on with the new ones, its rate raised again."""
    return learning(cfg, AFTER, NEW, cfg.num_steps, initial)


@transfer.recursion(TRANSFER, "few_steps", record_every=20, after=BEFORE)
def short(cfg, seed, initial):
    """From the old weights."""
    return learning(cfg, TRANSFER, NEW, cfg.few_steps, initial)


@transfer.recursion(SCRATCH, "few_steps", record_every=20)
def scratch(cfg, seed):
    """What as short a training reaches without them."""
    return learning(cfg, SCRATCH, NEW, cfg.few_steps)


@transfer.recursion(MATCHED, "num_steps", record_every=100)
def matched(cfg, seed):
    """The new statistics from the beginning."""
    return learning(cfg, MATCHED, NEW, cfg.num_steps)


@transfer.sweep(x="snr_db")
def curves(cfg, trained):
    """All on the new channels; the first training on the old ones, too."""
    systems = {
        curve: trainer.assign(common.new_system(cfg), trained[name][0])
        for curve, name in {
            MATCHED: MATCHED, MISMATCHED: BEFORE, TRANSFER: TRANSFER, SCRATCH: SCRATCH, AFTER: AFTER
        }.items()
    }  # fmt: skip
    old, new = common.new_channel(cfg), common.new_channel(cfg, **NEW)
    front = systems[MISMATCHED].front
    classical = common.classical(cfg, front)[AWARE]
    informed = irs.HybridSystem(
        front, classical.precoder, classical.estimator, channel=new, error_aware=True
    )
    before_it = {BEFORE: systems[MISMATCHED]}

    def step(batch_size, snr_db):
        found = common.measure(cfg, {**systems, AWARE: informed}, new(batch_size), snr_db)
        return {**found, **common.measure(cfg, before_it, old(batch_size), snr_db)}

    return step


@transfer.figure
def draw(results, figure):
    """Rates over SNR; training over the jump."""
    figure.set_size_inches(7.2, 3.4)
    left, right = figure.subplots(1, 2)
    shown = (MATCHED, TRANSFER, MISMATCHED, SCRATCH, AWARE, AFTER)
    labels = {AFTER: "transfer, all steps"}
    draw_lines(left, results, common.RATE, {c: labels.get(c, c) for c in shown})
    left.set(xlabel="SNR [dB]", ylabel="sum rate [bit/s/Hz]")
    for curve, shift in ((BEFORE, 0), (AFTER, results.config.num_steps)):
        xs, rates = common.line(results, common.TRAINING_RATE, curve)
        right.plot([x + shift for x in xs], rates, color=COLORS[0], alpha=0.25)
        # Means of five windows: the SNRs of a window differ much.
        means = [sum(rates[i : i + 5]) / 5 for i in range(0, len(rates) - 4, 5)]
        right.plot([x + shift for x in xs[2::5]][: len(means)], means, ".-", color=COLORS[0])
    right.axvline(results.config.num_steps, color="0.6", linestyle=":")
    right.set(xlabel="training batches", ylabel="rate of a batch, SNR from -5 to 20 dB")
    figure.suptitle(results.experiment.title, fontsize=8)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False)  # fmt: skip


PAPER = "mixed-timescale paper, Fig."
transfer.published(
    f"{PAPER} 15",
    {**common.above(MATCHED, MISMATCHED, 10), **common.above(TRANSFER, MISMATCHED, 10)},
)
transfer.published(
    f"{PAPER} 15: transfer nearly closes the gap; set after seeing it",
    {
        f"{TRANSFER}: within 5 % of {MATCHED} at 10 dB": (
            measured.paired(common.RATE, TRANSFER, MATCHED, x=10).ratio_between(0.95, 1.05)
        )
    },
    "does-not-hold",
)
transfer.published(f"{PAPER} 16: the rate dips at the jump", common.above(BEFORE, MISMATCHED, 10))
transfer.published(
    f"{PAPER} 16: and recovers; its extent is ours",
    {
        f"{AFTER}: within 5 % of {MATCHED} at 10 dB": (
            measured.paired(common.RATE, AFTER, MATCHED, x=10).ratio_between(0.95, 1.05)
        )
    },
)
transfer.ours(
    f"this package: old phases hinder more than they help; {common.SET}",
    common.above(SCRATCH, TRANSFER, 10),
)
