"""What the parts of the networks are worth: equal width, steps, draws and seeds.

The channels have fewer elements than elsewhere; columns and noise are the same (the columns are
independent), and so is the smallest error, but for the weight of the direct column.
"""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured

from ...results.plotting import COLORS, error_bar, shown_value
from ..cascade import CascadeConfig, scene
from .common import (
    EXCESS,
    FORM_X,
    HELD_OUT,
    TRAINING_METRICS,
    at_the_end,
    fixed_snr_training,
    new_denoiser,
    parameter_count,
)

EVERY, PARAMETERS = 400, "parameters"
BASE = "form X"
PLAIN = [[["skip", "conv"], ["zero", "conv", "conv"]]] * 2
SEARCHED, RANDOM, CONV = "searched cells", "random cells", "all-convolution cells"
PARTS = {
    BASE: {},
    "no antenna context": {"cells": PLAIN, "context": False},
    "residual output": {"output": "residual"},
    "direct output": {"output": "direct"},
    "batch normalisation": {"norm": True},
}
# Cells alone: no context in the decoder.
CELLS = (SEARCHED, RANDOM, CONV)


class Config(CascadeConfig):
    """A cascade of few elements at one SNR, and the training."""

    num_elements: link_sims.PositiveInt = 16
    snr_db: float = 0.0
    num_filters: link_sims.PositiveInt = 16
    num_steps: Annotated[int, Field(gt=0, multiple_of=EVERY)] = 4000
    training_batch: link_sims.PositiveInt = 16
    peak_rate: link_sims.LearningRate = 4e-3
    held_out: link_sims.PositiveInt = 1024


ablation = link_sims.Experiment(
    "cenas/ablation",
    title="Parts of the networks, equal training, three seeds",
    config=Config,
    profiles={
        "smoke": {"num_elements": 3, "num_steps": 400, "num_filters": 2, "held_out": 16,
                  "training_batch": 2, "num_rx_ant": 4, "num_patterns": 4},
        "cpu": {},
        "paper": {"num_elements": 64, "num_filters": 48, "num_steps": 100_000,
                  "training_batch": 64},
    },
    metrics={**TRAINING_METRICS, PARAMETERS: link_sims.Metric("trainable numbers")},
    x_label="training step",
)  # fmt: skip


def cells_of(name, seed):
    """Cells of a variant, all of one shape; random ones are others for each seed."""
    from sionna_irs.search.genotype import EXTENDED

    searched = irs.Genotype.from_json(irs.weights.text("cenas-genotype.json"))
    if name == SEARCHED:
        return searched.cells
    if name == CONV:
        return [[["conv"] * len(node) for node in cell] for cell in searched.cells]
    return irs.random_genotype(searched.num_cells, searched.num_nodes, EXTENDED, seed).cells


def build(cfg, name, seed):
    """A variant with fresh weights."""
    style = {"cells": FORM_X, "norm": False, "context": True, **PARTS.get(name, {})}
    if name in CELLS:
        style |= {"cells": cells_of(name, seed), "context": False}
    statistics = scene(cfg)[0].statistics
    return new_denoiser(statistics, snr_input=False, num_filters=cfg.num_filters, **style)


def declare(name):
    """Training of one variant."""

    @ablation.recursion(name, length="num_steps", seeds=3, record_every=EVERY)
    def train(cfg, seed):
        return fixed_snr_training(cfg, build(cfg, name, seed), name, EVERY)


VARIANTS = (*PARTS, *CELLS)
for _name in VARIANTS:
    declare(_name)


@ablation.table
def sizes(cfg):
    """Trainable numbers, random cells by the mean over the seeds."""
    rows = []
    for name in VARIANTS:
        counts = [parameter_count(build(cfg, name, cfg.seed + i)) for i in range(3)]
        rows.append(link_sims.row(PARAMETERS, name, None, sum(counts) / 3))
    return rows


@ablation.figure
def draw(results, figure):
    """Final gap to the optimum with intervals over seeds, and the way there."""
    kind, last = results.experiment.metric(EXCESS), results.config.num_steps
    figure.set_size_inches(7.2, 3.2)
    bars, course = figure.subplots(1, 2, width_ratios=(1.3, 1))
    for row, name in enumerate(reversed(VARIANTS)):
        color = COLORS[VARIANTS.index(name) % len(COLORS)]
        value, (low, high) = results.value(EXCESS, name, last), results.interval(EXCESS, name, last)
        ends = [[error_bar(kind, value, low)], [error_bar(kind, value, high)]]
        size = results.value(PARAMETERS, name, None)
        bars.errorbar(shown_value(kind, value), row, xerr=ends, fmt="o", color=color, capsize=2)
        bars.text(
            shown_value(kind, value),
            row + 0.22,
            f"{size:.0f}",
            color=color,
            ha="center",
            fontsize=6,
        )
        points = results.points(EXCESS, name)
        course.plot(
            points, [shown_value(kind, results.value(EXCESS, name, x)) for x in points],
            color=color, label=name,
        )  # fmt: skip
    bars.set_yticks(range(len(VARIANTS)), list(reversed(VARIANTS)))
    bars.set_xlabel("NMSE over that of Bayes [dB]; numbers: trainable weights")
    bars.set(xscale="log", ylim=(-0.6, len(VARIANTS) - 0.3))
    bars.set_xticks([0.03, 0.1, 0.3], ["0.03", "0.1", "0.3"])
    bars.minorticks_off()
    course.set_xlabel("training step")
    course.set_ylabel("NMSE over that of Bayes [dB]")
    course.set_yscale("log")
    figure.suptitle(results.experiment.title, fontsize=8)


ablation.ours(
    "this package: three seeds of the cpu profile, 2026-11",
    {
        text: measured.by(at_the_end, HELD_OUT, better, worse).less()
        for text, better, worse in (
            ("the antenna context lowers the error", BASE, "no antenna context"),
            ("the Wiener form lowers the error against the residual form", BASE, "residual output"),
            ("the residual form lowers the error against the direct one", "residual output",
             "direct output"),
            ("batch normalisation raises the error", BASE, "batch normalisation"),
            ("searched cells have a smaller error than random ones", SEARCHED, RANDOM),
            ("searched cells have a smaller error than convolutions everywhere", SEARCHED, CONV),
        )
    },
    expect="open",
)  # fmt: skip
