"""Precoders on the effective channels of a surface that was tuned without a model."""

from typing import Annotated, Literal

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.plotting import draw_lines

from ..izosga import common as tuning_of
from . import common

SURFACES, STRUCTURED = (tuning_of.TUNED, tuning_of.RANDOM), "structured"
SHOWN = ("MRT", "ZF", "RZF", "ZF-eq", "ZF-WF", "WMMSE-20", "WMMSE-100")


class Config(tuning_of.ScenarioConfig):
    """Tuning at ``tx_power_dbm``; then draws at several powers."""

    surface: Literal["circle"] = "circle"
    panel: Annotated[list[link_sims.PositiveInt], Field(min_length=2, max_length=2)] = [10, 10]
    num_steps: link_sims.PositiveInt = 2500
    num_iter: link_sims.PositiveInt = 10
    link_power_dbm: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    batch_size: Annotated[int, Field(ge=2, le=10_000)] = 60
    max_units: Annotated[int, Field(ge=2, le=10**6)] = 20

    def check(self):
        """A draw for every replica."""
        tuning_of.check_batch(self)


surface = link_sims.Experiment(
    "precoding/surface",
    title="Precoders over a tuned surface of 10 x 10 elements, 6 antennas, 4 users",
    config=Config,
    profiles={
        "smoke": {"num_replicas": 4, "batch_size": 4, "panel": [2, 3], "num_steps": 10,
                  "num_iter": 2, "link_power_dbm": [5], "max_units": 2},
        "cpu": {},
        "paper": {"num_steps": 40_000, "max_units": 1000},
    },
    metrics={**common.METRICS, **tuning_of.RATE},
    x_label="transmit power [dBm]",
    execution_cpu="xla",
)  # fmt: skip


@surface.recursion("tuning", length="num_steps", record_every=250)
def tuning(cfg, seed):
    """The tuned surface, and the random one that stays."""
    return tuning_of.tuned_and_random(cfg)


@surface.sweep(x="link_power_dbm")
def curves(cfg, trained):
    """Rates and shares of WMMSE* on the same links for both surfaces."""
    channel, _ = tuning_of.scenario(cfg)
    precoders = {name: p for name, p in common.classical(cfg).items() if name in SHOWN}
    precoders[STRUCTURED] = irs.StructuredPrecoder.from_pretrained(
        "precoding-structured", precision=cfg.precision
    )

    def step(batch_size, power_dbm):
        links = channel.draw(batch_size)
        no = irs.snr_db_to_no(power_dbm - cfg.tx_power_dbm)
        sums = {}
        for name, h in tuning_of.channels_of(channel, links, trained).items():
            found = common.compare(cfg, h / tf.cast(tf.sqrt(no), h.dtype), precoders)
            sums |= {(metric, f"{name}, {curve}"): s for (metric, curve), s in found.items()}
        return sums

    return step


@surface.figure
def draw(results, figure):
    """Rates, and shares of WMMSE* over the tuned surface."""
    figure.set_size_inches(7.2, 4.0)
    left, right = figure.subplots(1, 2)
    shown = (common.REFERENCE, "ZF", "RZF", STRUCTURED)
    for name, style in zip(SURFACES, ("-", "--"), strict=True):
        labels = {f"{name}, {c}": f"{name}, {c}" for c in shown}
        draw_lines(left, results, common.RATE, labels, style)
    labels = {f"tuned, {c}": c for c in (*SHOWN[1:], STRUCTURED)}
    draw_lines(right, results, common.SHARE, labels)
    for axes, text in ((left, "sum rate [bit/s/Hz]"), (right, "share of WMMSE*, tuned surface")):
        axes.set(xlabel=results.experiment.x_label, ylabel=text)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


surface.ours(
    f"{common.OURS}: what {common.PAPER} leaves to future work",
    {
        f"{x} dBm: the tuned surface raises the rate of the structured precoder": (
            measured.paired(
                common.RATE, f"tuned, {STRUCTURED}", f"random, {STRUCTURED}", x=x
            ).greater()
        )
        for x in (-5, 20)
    },
)
surface.ours(
    f"{common.AIM}: six correlated antennas for four users, never trained on",
    {
        f"{x} dBm: trained in the room, the structured precoder has 97 % of WMMSE* here": (
            measured.at(common.SHARE, f"tuned, {STRUCTURED}", x).greater(0.97)
        )
        for x in (5, 20)
    },
    expect="open",
)
