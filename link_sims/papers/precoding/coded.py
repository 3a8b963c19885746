"""Coded error rates of the precoders over the same channels of the room."""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured
from link_sims.results.plotting import panel

from ..coded_downlink import check_symbols, coded_downlink
from . import common

SHOWN = ("MRT", "ZF", "RZF", "ZF-eq", "ZF-WF", "WMMSE-20")
STRUCTURED = "structured"


class Config(common.PrecodingConfig):
    """A loaded cell at low power, where precoders differ."""

    num_ant: link_sims.PositiveInt = 32
    num_users: Annotated[int, Field(ge=2, le=64)] = 12
    tx_power_dbm: link_sims.Grid = [-32, -30, -28, -26, -24, -22, -20]
    num_bits_per_symbol: link_sims.EvenBits = 4
    num_info_bits: link_sims.PositiveInt = 256
    num_coded_bits: link_sims.PositiveInt = 512
    batch_size: link_sims.PositiveInt = 50
    max_units: link_sims.PositiveInt = 12

    def check(self):
        """Whole symbols."""
        check_symbols(self.num_coded_bits, self.num_bits_per_symbol)


coded = link_sims.Experiment(
    "precoding/coded-bler",
    title="16-QAM with a code of rate 1/2 to 12 users, 32 antennas, the room",
    execution_cpu="xla",
    config=Config,
    profiles={
        "smoke": {"tx_power_dbm": [-20], "num_users": 4, "batch_size": 4, "max_units": 2,
                  "stride": 10},
        "cpu": {},
        "paper": {"max_units": 400},
    },
    # Users of one channel fail together: units, not blocks, are independent.
    metrics={
        "bler": link_sims.Metric(
            "block error rate", scale="log", interval="binomial", independent="units",
            range=(0.0, 1.0), errors=True,
        )
    },
    x_label="transmit power [dBm]",
)  # fmt: skip


@coded.sweep(x="tx_power_dbm")
def curves(cfg, trained):
    """The same users, bits and noise for every precoder."""
    draw = common.groups(cfg, cfg.num_ant, cfg.num_users)
    precoders = {name: p for name, p in common.classical(cfg).items() if name in SHOWN}
    precoders[STRUCTURED] = irs.StructuredPrecoder.from_pretrained(
        "precoding-structured", precision=cfg.precision
    )
    send = coded_downlink(
        cfg.num_users, cfg.num_info_bits, cfg.num_coded_bits, cfg.num_bits_per_symbol
    )

    def step(batch_size, tx_power_dbm):
        h = draw(batch_size, tx_power_dbm)
        return send(1.0, {name: (h, p(h, 1.0)) for name, p in precoders.items()})

    return step


@coded.figure
def draw_errors(results, figure):
    """Bit and block error rates."""
    figure.set_size_inches(7.2, 3.8)
    for axes, metric in zip(figure.subplots(1, 2), ("ber", "bler"), strict=True):
        panel(axes, results, metric)
    figure.suptitle(results.experiment.title, fontsize=8)


for _worse, _margin, _expect in (
    ("ZF", 3.0, "holds"), ("RZF", 0.5, "holds"), ("ZF-WF", 0.0, "open"),
):  # fmt: skip
    coded.ours(
        common.OURS,
        {
            f"at BLER 0.5 {_worse} needs over {_margin:g} dB more power than the structured "
            "precoder": measured.shift("bler", _worse, STRUCTURED, 0.5).greater(_margin),
        },
        _expect,
    )
coded.ours(
    f"{common.OURS}: one code rate for all users",
    {
        "at -20 dBm RZF has fewer block errors: the largest sum rate leaves weak users behind": (
            measured.paired("bler", "RZF", STRUCTURED, x=-20).less()
        ),
    },
)
