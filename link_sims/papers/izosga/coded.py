"""Coded error rates of a downlink over random and tuned surfaces."""

from typing import Annotated, Literal

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured
from link_sims.results.plotting import panel

from ..coded_downlink import check_symbols, coded_downlink
from . import common

BITS_PER_SYMBOL = 2
PRECODERS = ("WMMSE, I=20", "RZF")


class Config(common.ScenarioConfig):
    """Tuning at ``tx_power_dbm``; then blocks, one channel each, at several powers."""

    surface: Literal["circle"] = "circle"
    num_steps: link_sims.PositiveInt = 2500
    num_iter: link_sims.PositiveInt = 20
    link_power_dbm: link_sims.Grid = [2, 5, 8, 11, 14, 17, 20]
    num_info_bits: link_sims.PositiveInt = 128
    num_coded_bits: link_sims.PositiveInt = 256
    batch_size: Annotated[int, Field(ge=2, le=10_000)] = 60
    max_units: Annotated[int, Field(ge=2, le=10**6)] = 40

    def check(self):
        """A block for every replica; whole symbols."""
        common.check_batch(self)
        check_symbols(self.num_coded_bits, BITS_PER_SYMBOL)


coded = link_sims.Experiment(
    "izosga/coded-bler",
    title="QPSK with a code of rate 1/2 to 4 users, random and tuned surface",
    config=Config,
    profiles={
        "smoke": {"num_replicas": 4, "batch_size": 4, "num_steps": 10, "num_iter": 2,
                  "link_power_dbm": [10], "max_units": 2},
        "cpu": {},
        "paper": {"num_steps": 40_000, "max_units": 1000},
    },
    # Users of one channel fail together: units, not blocks, are independent.
    metrics={
        "bler": link_sims.Metric(
            "block error rate", scale="log", interval="binomial", independent="units",
            range=(0.0, 1.0), errors=True,
        )
    },
    x_label="transmit power [dBm]",
    execution_cpu="xla",
)  # fmt: skip


@coded.recursion("tuning", length="num_steps", record_every=250)
def tuning(cfg, seed):
    """The tuned surface, and the random one that stays."""
    return common.tuned_and_random(cfg)


@coded.sweep(x="link_power_dbm")
def curves(cfg, trained):
    """Bit and block errors of all users, the same channels, bits and noise for every curve."""
    channel, _ = common.scenario(cfg)
    send = coded_downlink(cfg.num_users, cfg.num_info_bits, cfg.num_coded_bits, BITS_PER_SYMBOL)
    wmmse = irs.WMMSE(20, multiplier="newton", num_steps=4, start="ones")
    precoders = dict(zip(PRECODERS, (wmmse, irs.RZFPrecoder()), strict=True))

    def step(batch_size, power_dbm):
        no = irs.snr_db_to_no(power_dbm - cfg.tx_power_dbm)
        links = channel.draw(batch_size)
        precoded = {}
        for surface, h in common.channels_of(channel, links, trained).items():
            for name, precoder in precoders.items():
                precoded[f"{surface}, {name}"] = h, precoder(h, no)
        return send(no, precoded)

    return step


@coded.figure
def draw(results, figure):
    """Bit and block error rates."""
    figure.set_size_inches(7.2, 3.8)
    for axes, metric in zip(figure.subplots(1, 2), ("ber", "bler"), strict=True):
        panel(axes, results, metric)
    figure.suptitle(results.experiment.title, fontsize=8)


coded.ours(
    "this package; set from the cpu profile, 2026-11; intervals over draws, given the 60 replicas",
    {
        f"the tuned surface has fewer block errors at 11 dBm, {name}": (
            measured.paired("bler", f"tuned, {name}", f"random, {name}", x=11).less()
        )
        for name in PRECODERS
    },
)
