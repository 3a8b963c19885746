"""The four networks of the paper's table: sizes, and errors after equal training."""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured
from link_sims.training import training as trainer

from ...results.plotting import COLORS, error_bar, shown_value
from ..cascade import closed_forms_over_snr, nmse_step, references, scene
from .common import (
    HELD_OUT,
    TRAINING_METRICS,
    TrainedConfig,
    at_the_end,
    fixed_snr_training,
    new_denoiser,
    parameter_count,
)

EVERY = 200
# Cells, nodes, operations (as a multiset: the paper's figure is lost) that give the published
# counts at 48 filters; published count, exact count, published NMSE at 0 dB.
NETWORKS = {
    "B": (2, 1, {"sep": 2, "conv": 2}, 0.88e5, 87_552, -9.39),
    "C": (5, 1, {"sep": 9, "conv": 1}, 1.0e5, 100_944, -9.66),
    "A": (3, 2, {"skip": 13, "conv": 2}, 0.96e5, 95_904, -9.91),
    "D": (3, 3, {"sep": 9, "dil": 9, "skip": 3, "conv": 6}, 2.4e5, 239_424, -10.04),
}
PARAMETERS = "parameters"


def cells_of(name):
    """The operations spread over the edges, the first ones first, one of each kind in turn."""
    num_cells, num_nodes, operations, *_ = NETWORKS[name]
    left, order = dict(operations), []
    while left:
        for operation in list(left):
            order.append(operation)
            left[operation] -= 1
            if not left[operation]:
                del left[operation]
    edges = iter(order)
    return [
        [[next(edges) for _ in range(2 + j)] for j in range(num_nodes)] for _ in range(num_cells)
    ]


class Config(TrainedConfig):
    """The cascade at one SNR, and the training."""

    snr_db: float = 0.0
    points: Annotated[list[Annotated[float, Field(ge=-150, le=150)]], Field(min_length=1)] = [0.0]
    num_filters: link_sims.PositiveInt = 24
    num_steps: Annotated[int, Field(gt=0, multiple_of=EVERY)] = 2000
    held_out: link_sims.PositiveInt = 512


networks = link_sims.Experiment(
    "cenas/networks",
    title="Networks of the table, 0 dB",
    answers=["CENAS Table I"],
    config=Config,
    profiles={
        "smoke": {"batch_size": 16, "max_units": 10, "num_steps": 200, "held_out": 16},
        "cpu": {},
        "paper": {"num_filters": 48, "num_steps": 130_000, "training_batch": 64,
                  "max_units": 1000},
    },
    metrics={
        **TRAINING_METRICS, PARAMETERS: link_sims.Metric("trainable numbers", scale="log"),
    },
    x_label="SNR [dB] or training step",
)  # fmt: skip


def curve_of(name):
    """Name of a network with its cells and nodes."""
    num_cells, num_nodes, *_ = NETWORKS[name]
    return f"{name} ({num_cells}, {num_nodes})"


def weights_of(name):
    """Name of the shipped weights."""
    return f"cenas-table-{name.lower()}"


def build(cfg, name):
    """The network as published: batch normalisation, the estimate itself as output."""
    statistics = scene(cfg)[0].statistics
    return new_denoiser(
        statistics, cells_of(name), snr_input=False, output="direct", num_filters=cfg.num_filters
    )


def declare(name):
    """Training and shipping of one network."""

    @networks.recursion(name, length="training_steps", seeds=3, record_every=EVERY)
    def train(cfg, seed):
        return fixed_snr_training(cfg, build(cfg, name), curve_of(name), EVERY)

    @networks.ship(weights_of(name))
    def shipped(cfg, trained):
        """The first seed's, not the best one's."""
        return trainer.assign(build(cfg, name), trained[name][0])


for _name in NETWORKS:
    declare(_name)


@networks.sweep(x="points")
def curves(cfg, trained):
    """Errors of the four networks and of the references on the same pilots."""
    channel, pilots = scene(cfg)
    estimators = references(pilots, channel.statistics)
    for name in NETWORKS:
        if cfg.retrain:
            denoiser = networks.shipped[weights_of(name)](cfg, trained)
        else:
            denoiser = irs.weights.load(weights_of(name), precision=cfg.precision)
        estimators[curve_of(name)] = irs.LearnedEstimator(pilots, denoiser)

    return nmse_step(channel, pilots, estimators)


@networks.table
def sizes(cfg):
    """Trainable numbers at the published width and at this one; exact errors."""
    channel, _ = scene(cfg)
    rows = closed_forms_over_snr(cfg, cfg.points)
    for name in NETWORKS:
        for filters in sorted({48, cfg.num_filters}):
            count = parameter_count(
                new_denoiser(
                    channel.statistics, cells_of(name), snr_input=False, num_filters=filters
                )
            )
            rows.append(
                link_sims.row(PARAMETERS, f"{curve_of(name)}, {filters} filters", None, count)
            )
    return rows


networks.published(
    "CENAS Table I, at the one reading of the width that fits all four",
    {
        f"network {name} has {count:.2g} trainable numbers (exactly {exact})": measured.at(
            PARAMETERS, f"{curve_of(name)}, 48 filters", None
        ).within(exact, 0.5)
        for name, (*_, count, exact, _) in NETWORKS.items()
    },
)
networks.published(
    "CENAS Table I (48 filters, 70 epochs; here the width and steps of the profile)",
    {
        f"network {name} reaches {error_db} dB at 0 dB": measured.at(
            "nmse", curve_of(name), 0
        ).within_db(error_db, 0.05)
        for name, (*_, error_db) in NETWORKS.items()
    },
    expect="open",
)
networks.published(
    "CENAS Table I",
    {
        f"network {better} has a smaller error than network {worse}, over three seeds": (
            measured.by(at_the_end, HELD_OUT, curve_of(better), curve_of(worse)).less()
        )
        for worse, better in (("B", "C"), ("C", "A"), ("A", "D"))
    },
    expect="open",
)
networks.theory(
    "CENAS Table I against sionna_irs.lmmse_nmse, full LMMSE: -9.760 dB",
    {
        "networks B and C are worse than the best linear estimator, at the published errors": (
            measured.at("nmse", "LMMSE, exact", 0).less(10**-0.966)
        )
    },
)


@networks.figure
def draw(results, figure):
    """Error against size: trained here, published, and what no network can pass."""
    cfg, kind = results.config, results.experiment.metric("nmse")
    figure.set_size_inches(3.8, 4.6)
    above, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    for index, name in enumerate(NETWORKS):
        *_, exact, published = NETWORKS[name]
        curve, color = curve_of(name), COLORS[index]
        axes.plot(exact, published, "*", color=color, label=f"{curve}, published")
        size = results.value(PARAMETERS, f"{curve}, {cfg.num_filters} filters", None)
        for x in cfg.points[:1]:
            value, (low, high) = results.value("nmse", curve, x), results.interval("nmse", curve, x)
            bars = [[error_bar(kind, value, low)], [error_bar(kind, value, high)]]
            axes.errorbar(
                size, shown_value(kind, value), yerr=bars, fmt="o", color=color, capsize=2,
                label=f"{curve}, {cfg.num_filters} filters",
            )  # fmt: skip
    for name, style, part in (
        ("LS", "-.", above),
        ("scalar LMMSE", ":", above),
        ("LMMSE", "--", axes),
        ("Bayes", "-", axes),
    ):
        value = shown_value(kind, results.value("nmse", f"{name}, exact", cfg.points[0]))
        part.axhline(value, color="k", linestyle=style, linewidth=0.9)
        part.annotate(name, (0.5, value), (0, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", fontsize=6.5)  # fmt: skip
    above.set(title=results.experiment.title, ylim=(-5.4, -2.4))
    axes.set(xscale="log", ylim=(-10.15, None))
    axes.set_xticks([3e4, 1e5, 3e5], ["30,000", "100,000", "300,000"])
    axes.minorticks_off()
    axes.set_xlabel("trainable numbers")
    figure.supylabel("NMSE [dB]", fontsize=8)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2, frameon=False)
