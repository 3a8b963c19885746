"""Rates over SNR: one system, trained with SNRs drawn for every step, serves all of them."""

import link_sims
from link_sims.fields import check_shipped

from . import common
from .common import AWARE, BLACK_BOX, JOINT, KNOWN, RLS_SCA, RLS_ZF, SCA, SEPARATE, SHRUNK_SCA

WEIGHTS = {
    JOINT: "hybrid-joint", SEPARATE: "hybrid-separate", BLACK_BOX: "hybrid-black-box",
    KNOWN: "hybrid-known",
}  # fmt: skip


class Config(common.TrainedConfig):
    """Shipped weights, or a training from -5 to 20 dB."""

    snr_db: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    training_snr_low_db: float = -5.0
    training_snr_high_db: float = 20.0
    num_steps: link_sims.PositiveInt = 2500

    def check(self):
        """Shipped weights fit one size."""
        super().check()
        check_shipped(
            self, num_tx_ant=16, num_tx_chains=8, num_rx_ant=8, num_rx_chains=2, num_users=2,
            num_streams=2, num_symbols=8, num_layers=4, width=256,
        )  # fmt: skip


rates = link_sims.Experiment(
    "hybrid/rate-vs-snr",
    title="Hybrid beamforming with estimated channels, 16 and 8 antennas, 2 users",
    answers=["Unfolding Fig. 10"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "num_symbols": 8, "num_layers": 4, "width": 256, "snr_db": [10]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000, "retrain": True},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)
common.declare(rates)
common.declare_whole(rates, [BLACK_BOX])
common.ship(rates, WEIGHTS)


@rates.sweep(x="snr_db")
def curves(cfg, trained):
    """Learned and classical schemes on the same channels."""
    learned = common.learned_or_shipped(cfg, trained, WEIGHTS)
    return common.compare(cfg, {**common.classical(cfg, learned[KNOWN].front), **learned})


@rates.figure
def draw(results, figure):
    """Known channels above, estimated channels below."""
    shown = (JOINT, SEPARATE, AWARE, SHRUNK_SCA, RLS_SCA, BLACK_BOX, RLS_ZF)
    common.draw_rates(results, figure, shown, {SCA: SCA, KNOWN: KNOWN}, size=(4.6, 4.8))


PAPER = "mixed-timescale paper, Fig. 10; expectations by SNR set from the first run"
BEYOND = f"{common.BEYOND}; {common.SET}"
for _expect, _checks in {
    "holds": {
        **common.above(JOINT, SEPARATE, -5, 5, 20),
        **common.above(JOINT, RLS_SCA, -5, 15),
        **common.above(SEPARATE, BLACK_BOX, 10, 20),
        **common.above(RLS_SCA, BLACK_BOX, 10, 20),
    },
    "does-not-hold": {
        **common.above(JOINT, RLS_SCA, 20),
        **common.above(SEPARATE, BLACK_BOX, -5, 0),
        **common.above(RLS_SCA, BLACK_BOX, -5, 0, 5),
    },
    "open": {**common.above(JOINT, SEPARATE, 0), **common.above(SEPARATE, BLACK_BOX, 5)},
}.items():
    rates.published(PAPER, _checks, _expect)
rates.ours(BEYOND, common.above(JOINT, AWARE, -5, 10), "open")
rates.ours(BEYOND, common.above(JOINT, AWARE, 15, 20), "does-not-hold")
