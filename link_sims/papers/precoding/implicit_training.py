"""Precoding from uplink pilots: what every step of a training brings, over three seeds."""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured
from link_sims.results.claims import Paired, Verdict
from link_sims.results.plotting import panel

from . import common, implicit

EVERY = 50
HELD_OUT_KEY = -8  # first word of the key: no training step has it


class Config(implicit.SystemConfig):
    """The three trainings and the groups that judge them."""

    num_steps: Annotated[int, Field(gt=0, multiple_of=EVERY)] = 800
    held_out: link_sims.PositiveInt = 256
    retrain: bool = True


training = link_sims.Experiment(
    "precoding/implicit-training",
    title="Precoding from uplink pilots, 32 antennas, 4 users, -10 dBm",
    config=Config,
    profiles={
        "smoke": {"stride": 10, "num_ant": 8, "num_users": 2, "mapping_filters": [8],
                  "estimator_filters": [4], "cnn_width": 4, "num_steps": EVERY,
                  "training_batch": 4, "held_out": 4},
        "cpu": {},
        "paper": {"num_ant": 128, "num_users": 8, "mapping_filters": [512, 2048, 2048],
                  "estimator_filters": [128, 512, 512], "cnn_width": 1024,
                  "num_steps": 40_000, "training_batch": 1024, "held_out": 4000},
    },
    metrics={**common.METRICS, **common.TRAINING_METRICS},
    x_label="training step",
)  # fmt: skip


def held_out(cfg, curve):
    """``call -> sums``: rate and share at positions of the validation part, always the same."""
    _, draw = implicit.bands(cfg, "validation")

    def evaluate(call):
        irs.random.reset(irs.random.stream_key(HELD_OUT_KEY))
        h_ul, h_dl = draw(cfg.held_out, cfg.training_ul_power_dbm)
        v, _ = call(h_ul, 1.0, sounding=True)
        return common.compare(cfg, h_dl, {curve: lambda h, no: v})

    return evaluate


def declare(curve):
    """Training of one system."""

    @training.recursion(curve, length="num_steps", seeds=3, record_every=EVERY)
    def train(cfg, seed):
        return implicit.training_of(
            cfg, curve, curve, curves=[(common.RATE, curve), (common.SHARE, curve)],
            evaluate=held_out(cfg, curve), every=EVERY,
        )  # fmt: skip


for _curve in implicit.WEIGHTS:
    declare(_curve)


@training.figure
def draw(results, figure):
    """Shares of the reference over the steps, intervals over the seeds; where the goal changes."""
    cfg = results.config
    figure.set_size_inches(3.8, 4.0)
    axes = figure.subplots()
    panel(axes, results, common.SHARE)
    axes.axvline(cfg.pretraining_share * cfg.num_steps, color="k", linestyle=":", linewidth=0.9)
    axes.set_ylim(bottom=0)
    axes.set_title(results.experiment.title)


def at_the_end(results, better, worse) -> Verdict:
    """The first curve is above the second with every seed."""
    pairs = results.paired(common.SHARE, better, worse, x=results.config.num_steps)
    gaps = [a / total - b / other for (a, total), (b, other) in zip(pairs.a, pairs.b, strict=True)]
    return Verdict(min(gaps) > 0, f"smallest difference of {len(gaps)} seeds {min(gaps):.4g}")


def still_rising(results, curve) -> Verdict:
    """The end is above the value after four fifths of the steps, seed by seed."""
    last = results.config.num_steps
    steps = last, EVERY * int(0.8 * last / EVERY)
    return Paired(*(results.over(common.SHARE, curve, x) for x in steps)).greater()


training.published(
    f"{common.PAPER} Fig. 9a and 10",
    {
        f"learned as one ends above {worse} with every seed": (
            measured.by(at_the_end, implicit.JOINT, worse)
        )
        for worse in (implicit.BLOCKS, implicit.BLACK_BOX)
    },
)
training.ours(
    f"{common.OURS}: thousands of steps would help",
    {
        f"the rate still rises over the last fifth of the steps: {curve}": (
            measured.by(still_rising, curve)
        )
        for curve in implicit.WEIGHTS
    },
)
