"""Signalling bits of a superframe, and multiplications: closed forms."""

import link_sims
from link_sims import measured

from . import common
from . import cost as hybrid_cost

BITS, PRODUCTS = "signalling bits", "multiplications"
SINGLE, OFFLINE, ONLINE = "one timescale", "two, phases off line", "two, phases on line"
SCA_50, UNFOLDED = "RLS-80, SCA-50", "unfolded RLS-16, unfolded SCA-5"


class Config(common.HybridConfig):
    """What the paper leaves open (slots of a frame, samples, bits) fits all its statements."""

    num_frames: link_sims.IntGrid = [2, 4, 6, 8, 10, 12, 14, 16]
    num_slots: link_sims.PositiveInt = 10
    num_samples: link_sims.PositiveInt = 20
    bits_per_number: link_sims.PositiveInt = 8
    chain_grid: link_sims.IntGrid = [8, 16, 32, 64]


overhead = link_sims.Experiment(
    "hybrid/overhead",
    title="Signalling of hybrid beamforming over one and two timescales",
    answers=["Unfolding Fig. 9"],
    config=Config,
    profiles={"smoke": common.FULL, "cpu": common.FULL, "paper": common.FULL},
    metrics={
        BITS: link_sims.Metric("signalling bits of a superframe", "log"),
        PRODUCTS: link_sims.Metric("complex multiplications of a channel", "log"),
    },
    x_label="frames in a superframe",
)


@overhead.table
def rows(cfg):
    """Bits over the number of frames, multiplications over the number of chains."""
    found = []
    for frames in cfg.num_frames:
        bits = hybrid_cost.signalling_bits(
            cfg.num_tx_ant, cfg.num_tx_chains, cfg.num_rx_ant, cfg.num_rx_chains, cfg.num_symbols,
            cfg.bits_per_number, cfg.num_slots, int(frames), cfg.num_samples,
        )  # fmt: skip
        for curve, name in ((SINGLE, "single"), (OFFLINE, "offline"), (ONLINE, "online")):
            found.append(link_sims.row(BITS, curve, frames, bits[name]))
    for chains in map(int, cfg.chain_grid):
        for curve, slots, iterations, exponent in (
            (SCA_50, 80, 50, 3), (UNFOLDED, cfg.num_symbols, cfg.num_layers, 2.37),
        ):  # fmt: skip
            products = hybrid_cost.rls_complexity(slots, cfg.num_users, chains)
            products += hybrid_cost.sca_complexity(
                iterations, cfg.num_users, cfg.num_streams, cfg.num_rx_chains, chains, exponent
            )
            found.append(link_sims.row(PRODUCTS, curve, chains, products))
    return found


@overhead.figure
def draw(results, figure):
    """Bits on the left, multiplications on the right."""
    figure.set_size_inches(7.2, 3.6)
    panels = figure.subplots(1, 2)
    labels = {BITS: "frames in a superframe", PRODUCTS: "chains of the base station"}
    for axes, (metric, label) in zip(panels, labels.items(), strict=True):
        curves = [c for m, c in results.curves(metric)]
        for curve, style in common.styles(curves):
            axes.plot(*common.line(results, metric, curve), **style)
        axes.set(xlabel=label, ylabel=results.experiment.metric(metric).label, yscale="log")
        axes.legend(frameon=False, fontsize=7)
    figure.suptitle(results.experiment.title, fontsize=8)


PAPER = "mixed-timescale paper"
overhead.published(
    f"{PAPER}, Fig. 9; slots, samples and bits chosen to fit it",
    {
        "off line costs the most at two frames": (
            measured.ratio(BITS, OFFLINE, SINGLE, x=2).between(1, 10)
        ),
        "on and off line cost nearly the same at 16 frames": (
            measured.ratio(BITS, ONLINE, OFFLINE, x=16).between(0.8, 1.2)
        ),
        "one timescale costs far more at 16 frames": (
            measured.ratio(BITS, SINGLE, OFFLINE, x=16).between(2, 100)
        ),
    },
)
overhead.theory(
    f"{PAPER}, (34)-(38): 10 are the iterations saved, the exponent 2.37 adds little",
    {
        "unfolding saves a factor of 10 to 13 in multiplications, with 16 chains": (
            measured.ratio(PRODUCTS, SCA_50, UNFOLDED, x=16).between(10, 13)
        )
    },
)
