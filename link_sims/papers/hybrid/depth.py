"""Rates over iterations and layers: SCA, unfolded SCA, and the slots of RLS and unfolded RLS.

Iterations of SCA are counted at the published size with random phases, everything else in the
small setting. The trainings of one to several slots go on from the same analog phases.
"""

import math

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...training import training as trainer
from . import common
from .common import JOINT, KNOWN, RLS_SCA
from .users import SizesConfig, sizes_of

ITERATIONS, LAYERS, SLOTS = "rate over iterations", "rate over layers", "rate over slots"
MATCHED, RANDOM, REFERENCE = "SCA, matched start", "SCA, random start", "reference"
LAYERS_AT, SLOTS_AT = (2, 3, 4, 5, 6), (4, 6, 8, 10)
ITERATIONS_AT, LONG_AT = (5, 10, 20, 30, 40, 50, 80), (20, 30, 40, 50)
BASE = 4  # layers in front of which slots are counted


COMPUTED_AT = sorted({*LAYERS_AT, *SLOTS_AT, *ITERATIONS_AT, *LONG_AT})


class Config(SizesConfig):
    """`depth` joins the axes of all panels; a reference takes the iterations and slots below."""

    depth: sizes_of(*COMPUTED_AT) = COMPUTED_AT
    num_steps: link_sims.PositiveInt = 700
    reference_iterations: link_sims.PositiveInt = 120
    reference_slots: link_sims.PositiveInt = 50


depth = link_sims.Experiment(
    "hybrid/depth",
    title="Hybrid beamforming over iterations, layers and slots, 10 dB",
    answers=["Unfolding Table III, IV"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "retrain": False, "depth": [4, 20], "reference_iterations": 3,
                  "reference_slots": 3},
        "cpu": {},
        "paper": {"num_steps": 20_000, "max_units": 40},
    },
    metrics={
        **common.METRICS,
        **{m: link_sims.Metric("sum rate [bit/s/Hz]") for m in (ITERATIONS, LAYERS, SLOTS)},
    },
    x_label="iterations, layers or slots",
)  # fmt: skip


def of_layers(cfg, value):
    """The configuration with that many layers."""
    return cfg.model_copy(update={"num_layers": int(value)})


def sounded(cfg, state, slots):
    """An estimator of `slots` pilots, not trained, between parts of the analog stage."""
    first = trainer.assign(common.new_system(of_layers(cfg, BASE)), state)
    layer = common.new_system(of_layers(cfg, BASE), slots)
    for part in ("front", "precoder"):
        getattr(layer, part).set_weights(getattr(first, part).get_weights())
    return layer


for _count in LAYERS_AT:

    @depth.recursion(f"{_count} layers", "stage_steps", record_every=100)
    def of_depth(cfg, seed, count=_count):
        """Analog phases and precoder with known channels."""
        return common.stage(of_layers(cfg, count), "analog", f"{count} layers")


for _count in SLOTS_AT:

    @depth.recursion(f"{_count} slots", "stage_steps", record_every=100, after=f"{BASE} layers")
    def of_slots(cfg, seed, initial, count=_count):
        """Estimator and precoder together."""
        layer = sounded(cfg, initial, count)
        return common.stage(of_layers(cfg, BASE), "joint", f"{count} slots", layer=layer)


def iterated(cfg, value):
    """``step(batch_size) -> sums``: SCA at the published size, from two starts."""
    cfg = cfg.model_copy(update=common.FULL)
    front, channel = common.new_front(cfg), common.new_channel(cfg)

    def anywhere(h_eq, no):
        shape = [*h_eq.shape[:-2], h_eq.shape[-1], cfg.num_streams]
        return irs.random.complex_normal(shape, h_eq.dtype)

    same = {"precision": cfg.precision}
    designs = {
        MATCHED: irs.SCA(cfg.num_streams, int(value), **same),
        RANDOM: irs.SCA(cfg.num_streams, int(value), start=anywhere, **same),
        REFERENCE: irs.SCA(cfg.num_streams, cfg.reference_iterations, **same),
    }

    def step(batch_size):
        h, no = channel(batch_size), common.noise(cfg, cfg.training_snr_high_db)[0]
        phases = [
            irs.random.uniform(p.shape, front.rdtype, -math.pi, math.pi) for p in front.weights
        ]
        h_eq, r_w, gram = front(h, *phases)
        sums = {}
        for curve, design in designs.items():
            rates = irs.metrics.stream_rate(h_eq, *design(h_eq, r_w, gram, no), no, r_w)
            sums[ITERATIONS, curve] = tf.reduce_sum(rates), batch_size
        return sums

    return step


def layered(cfg, trained, value):
    """{curve: system}: unfolded SCA, and SCA behind the same phases."""
    state = trained[f"{value} layers"][0]
    system = common.learned(of_layers(cfg, value), {"analog": [state]})[KNOWN]
    return {KNOWN: system, REFERENCE: common.classical(cfg, system.front)[common.SCA]}


def slotted(cfg, trained, value):
    """{curve: system}: systems of that many slots, and RLS of many behind the same phases."""
    first = sounded(cfg, trained[f"{BASE} layers"][0], 1)
    systems = {
        REFERENCE: common.classical(cfg, first.front, cfg.reference_slots)[RLS_SCA],
        RLS_SCA: common.classical(cfg, first.front, value)[RLS_SCA],
    }
    if value in SLOTS_AT:
        layer = common.new_system(of_layers(cfg, BASE), value)
        systems[JOINT] = trainer.assign(layer, trained[f"{value} slots"][0])
    return systems


@depth.sweep(x="depth", static=True)
def curves(cfg, trained, value):
    """Every panel on channels of its own, and its reference with it."""
    panels = {}
    if value in LAYERS_AT:
        panels[LAYERS] = common.compare(cfg, layered(cfg, trained, value))
    if value in (*SLOTS_AT, *LONG_AT):
        panels[SLOTS] = common.compare(cfg, slotted(cfg, trained, value))
    count = iterated(cfg, value) if value in ITERATIONS_AT else None

    def step(batch_size, _):
        sums = {} if count is None else count(max(batch_size // 4, 1))
        for metric, compare in panels.items():
            found = compare(batch_size, cfg.training_snr_high_db)
            sums |= {(metric, c): pair for (m, c), pair in found.items() if m == common.RATE}
        return sums

    return step


@depth.figure
def draw(results, figure):
    """One panel for each metric, as shares of its reference."""
    figure.set_size_inches(8.4, 3.2)
    panels = figure.subplots(1, len(PANELS))
    for axes, (metric, (label, curves)) in zip(panels, PANELS.items(), strict=True):
        for curve, style in common.styles(curves):
            xs = results.points(metric, curve)
            axes.plot(xs, [share(results, metric, curve, x) for x in xs], **style)
            axes.plot(curves[curve].keys(), curves[curve].values(), "x", color=style["color"])
        axes.plot([], [], "kx", label="published")
        axes.set(xlabel=label, ylabel="share of the reference [%]")
        axes.legend(frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


def share(results, metric, curve, x):
    """Rate over that of the reference on the same channels [%]."""
    return 100 * results.value(metric, curve, x) / results.value(metric, REFERENCE, x)


# Axis and, for every curve, published shares [%], over RLS of 90 slots and SCA of 70 iterations.
# There 16 chains have 40 to 100 slots of RLS and 8 to 20 of unfolded RLS; our 8 have half.
PANELS = {
    ITERATIONS: ("iterations", {MATCHED: {}, RANDOM: {30: 84.84, 40: 92.43, 50: 98.86}}),
    LAYERS: ("layers of unfolded SCA", {KNOWN: {3: 85.14, 4: 92.65, 5: 101.25, 6: 101.79}}),
    SLOTS: (
        "pilots",
        {
            JOINT: {4: 92.18, 6: 98.15, 8: 101.25, 10: 101.5},
            RLS_SCA: {20: 79.64, 30: 91.85, 40: 100.0, 50: 100.0},
        },
    ),
}


def shares(metric, curve, points):
    """{x: published share} of a curve."""
    return {x: PANELS[metric][1][curve][x] / 100 for x in points}


def near(metric, curve, *points):
    """Checks {text: check} that published shares come out."""
    return {
        f"{curve}: {share:.1%} within 3.5 %, at {x}": (
            measured.paired(metric, curve, REFERENCE, x=x).ratio_between(
                share - 0.035, share + 0.035
            )
        )
        for x, share in shares(metric, curve, points).items()
    }


def reached(metric, curve, *points):
    """Checks {text: check} that published shares are reached."""
    return {
        f"{curve}: at least {share:.1%}, at {x}": (
            measured.paired(metric, curve, REFERENCE, x=x).ratio_between(share, math.inf)
        )
        for x, share in shares(metric, curve, points).items()
    }


TABLE_III, TABLE_IV = (
    f"mixed-timescale paper, Table {table}; expectation set after measuring"
    for table in ("III", "IV")
)
depth.published(TABLE_III, {**near(ITERATIONS, RANDOM, 50), **reached(LAYERS, KNOWN, 3, 4)})
depth.published(
    TABLE_III,
    {**near(ITERATIONS, RANDOM, 30, 40), **reached(LAYERS, KNOWN, 5, 6)},
    "does-not-hold",
)
depth.published(TABLE_IV, near(SLOTS, RLS_SCA, 20))
depth.published(
    TABLE_IV,
    {**near(SLOTS, RLS_SCA, 30, 40), **reached(SLOTS, JOINT, *SLOTS_AT)},
    "does-not-hold",
)
# Iterations -> share of 120 iterations, published size, known channels.
SHARES = {MATCHED: {5: 0.924, 10: 0.972, 20: 0.987}, RANDOM: {5: 0.837, 20: 0.965}}
depth.ours(
    "this package; set from 32 channels of the published size, 2026-11",
    {
        f"{curve}: {share:.1%} of 120 iterations within 1.5 %, after {x}": (
            measured.paired(ITERATIONS, curve, REFERENCE, x=x).ratio_between(
                share - 0.015, share + 0.015
            )
        )
        for curve, found in SHARES.items()
        for x, share in found.items()
    },
)
depth.ours(
    "this package: at equal pilots, 2026-11",
    {
        f"{JOINT} above {RLS_SCA} with {x} pilots each": (
            measured.paired(SLOTS, JOINT, RLS_SCA, x=x).greater()
        )
        for x in (SLOTS_AT[0], SLOTS_AT[-1])
    },
)
