"""Hybrid beamforming over the number of chains of the base station, with as many pilots."""

import link_sims
from link_sims.results import intervals

from ...results.plotting import draw_lines
from . import common
from .common import AWARE, BLACK_BOX, JOINT, RATE, RLS_SCA, SCA, SEPARATE
from .users import (
    SizesConfig,
    apart,
    at,
    compare_sizes,
    declare_sizes,
    learned_at,
    orderings,
    ratio_claim,
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
    figure.set_size_inches(4.6, 4.2)
    axes = figure.subplots()
    shown = (JOINT, SEPARATE, AWARE, RLS_SCA, BLACK_BOX)
    draw_lines(axes, results, RATE, {c: c for c in shown})
    draw_lines(axes, results, RATE, {SCA: SCA}, "--", len(shown))
    axes.set(xlabel=results.experiment.x_label, ylabel="sum rate [bit/s/Hz]")
    axes.set_title(results.experiment.title, fontsize=8)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)


PAPER = "mixed-timescale paper, Fig. 11; expectations set from the first run"
orderings(
    chains,
    [
        (JOINT, SEPARATE, {"else": "holds"}),
        (JOINT, RLS_SCA, {"else": "holds"}),
        (SEPARATE, BLACK_BOX, {"else": "holds"}),
    ],
    PAPER,
    TRAINED_AT,
    "chains",
)
ratio_claim(
    chains, f"{JOINT} above {AWARE} with 8 chains", "beyond the paper: the strongest classical one",
    "open", (JOINT, AWARE), 8, 1.0,
)  # fmt: skip


def lead(results, x):
    """Joint minus separate [bit/s/Hz], with its interval."""
    return intervals.difference(*(results.units[RATE, c][x] for c in (JOINT, SEPARATE)))


chains.claim(
    "joint leads separate by more with 16 chains than with 4",
    source=PAPER,
    expect="holds",
    check=lambda r: apart(lead(r, TRAINED_AT[-1]), lead(r, TRAINED_AT[0])).greater(0),
)
