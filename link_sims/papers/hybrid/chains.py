"""Hybrid beamforming over the number of chains of the base station, with as many pilots."""

import link_sims
from link_sims import measured
from link_sims.results.claims import Value

from . import common
from .common import AWARE, BLACK_BOX, JOINT, RATE, RLS_SCA, SCA, SEPARATE
from .users import (
    SizesConfig,
    apart,
    at,
    compare_sizes,
    declare_sizes,
    learned_at,
    sizes_of,
)

TRAINED_AT = (4, 8, 12, 16)


class Config(SizesConfig):
    """Two users of two streams; the number of pilots stays."""

    chain_grid: sizes_of(*TRAINED_AT) = list(TRAINED_AT)


chains = link_sims.Experiment(
    "hybrid/rate-vs-chains",
    title="Hybrid beamforming with 8 pilots over chains, 16 and 8 antennas, 2 users, 10 dB",
    answers=["Unfolding Fig. 11"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "retrain": False, "chain_grid": [4]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000, "num_users": 2},
    },
    metrics=common.METRICS,
    x_label="chains of the base station n",
)
declare_sizes(chains, "num_tx_chains", TRAINED_AT)


@chains.sweep(x="chain_grid", static=True)
def curves(cfg, trained, value):
    """All schemes on the same channels."""
    here = at(cfg, "num_tx_chains", value)
    step = compare_sizes(here, learned_at(here, trained, value))
    return lambda batch_size, _: step(batch_size)


@chains.figure
def draw(results, figure):
    """Known channels dashed."""
    shown = (JOINT, SEPARATE, AWARE, RLS_SCA, BLACK_BOX)
    common.draw_rates(results, figure, shown, {SCA: SCA})


def lead_of_16(results) -> Value:
    """What joint has more than separate with 16 chains, minus that with 4 [bit/s/Hz]."""
    most, least = (results.difference(RATE, JOINT, SEPARATE, TRAINED_AT[i]) for i in (-1, 0))
    return apart(most, least)


PAPER = "mixed-timescale paper, Fig. 11; expectations set from the first run"
WITH = "with {:g} chains"
chains.published(
    PAPER,
    {
        **common.above(JOINT, SEPARATE, 4, 16, at=WITH),
        **common.above(JOINT, RLS_SCA, 4, 16, at=WITH),
        **common.above(SEPARATE, BLACK_BOX, 4, 16, at=WITH),
        "joint leads separate by more with 16 chains than with 4": (
            measured.by(lead_of_16).greater(0)
        ),
    },
)
chains.ours(
    f"{common.BEYOND}, 2026-11",
    common.above(JOINT, AWARE, 8, at=WITH),
    "open",
)
