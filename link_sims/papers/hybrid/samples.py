"""Training on fixed sets of channels: how many the unfolded system and a black box need."""

import math

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.claims import Value

from . import common
from .common import BLACK_BOX, JOINT, RATE, RLS_SCA
from .users import SizesConfig, apart, sizes_of

UNFOLDED_AT, BLACK_BOX_AT = (200, 500, 1000), (2000, 5000, 10_000)


class Config(SizesConfig):
    """Every training takes the same number of steps, whatever the size of its set."""

    sample_grid: sizes_of(*UNFOLDED_AT, *BLACK_BOX_AT) = [*UNFOLDED_AT, *BLACK_BOX_AT]
    num_steps: link_sims.PositiveInt = 500


samples = link_sims.Experiment(
    "hybrid/samples",
    title="Hybrid beamforming trained on fixed sets of channels, 10 dB",
    answers=["Unfolding Table II"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "retrain": False, "sample_grid": [200, 2000]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000},
    },
    metrics=common.METRICS,
    x_label="channels of the training",
    x_scale="log",
)


def of_set(curve, count):
    """Name of the training with `count` channels."""
    return f"{curve}, {int(count)} channels"


def drawn_from(cfg, count):
    """``draw() -> h``: batches from a set of `count` channels."""
    pool = common.new_channel(cfg)(count)
    return lambda: tf.gather(pool, irs.random.integers([cfg.training_batch], count))


def declare(count, recursions):
    """Trainings on a set, the same channels in all stages of a scheme."""
    for curve, kind, length, after in recursions:
        before = None if after is None else of_set(after, count)

        @samples.recursion(of_set(curve, count), length, 1, 100, before)
        def training(cfg, seed, initial=None, c=curve, kind=kind, length=length):
            irs.random.reset(irs.random.stream_key(seed, count))
            layer = common.new_black_box(cfg) if c == BLACK_BOX else None
            return common.stage(
                cfg, kind, of_set(c, count), initial, layer, drawn_from(cfg, count),
                getattr(cfg, length),
            )  # fmt: skip


for _count in UNFOLDED_AT:
    declare(
        _count,
        [("analog", "analog", "stage_steps", None), (JOINT, "joint", "later_steps", "analog")],
    )
for _count in BLACK_BOX_AT:
    declare(_count, [(BLACK_BOX, "all", "total_steps", None)])


@samples.sweep(x="sample_grid", static=True)
def curves(cfg, trained, value):
    """A trained scheme and RLS with SCA, behind the phases of the largest set, on new channels."""
    names = {curve: of_set(curve, value) for curve in ("analog", JOINT, BLACK_BOX)}
    states = {curve: trained[name] for curve, name in names.items() if name in trained}
    learned = common.learned(cfg, states)
    largest = {"analog": trained[of_set("analog", UNFOLDED_AT[-1])]}
    front = common.learned(cfg, largest)[common.KNOWN].front
    systems = {c: s for c, s in learned.items() if c in (JOINT, BLACK_BOX)}
    systems[RLS_SCA] = common.classical(cfg, front)[RLS_SCA]
    step = common.compare(cfg, systems)
    return lambda batch_size, _: step(batch_size, cfg.training_snr_high_db)


@samples.figure
def draw(results, figure):
    """Shares of RLS and SCA."""
    figure.set_size_inches(4.6, 3.8)
    axes = figure.subplots()
    for curve, style in common.styles((JOINT, BLACK_BOX)):
        xs = results.points(RATE, curve)
        axes.plot(xs, [share(results, curve, x) for x in xs], **style)
        axes.plot(*zip(*PUBLISHED[curve].items(), strict=True), ":", color=style["color"],
                  marker="x", label=f"{curve}, published")  # fmt: skip
    axes.set(xlabel=results.experiment.x_label, ylabel=f"share of {RLS_SCA} [%]", xscale="log")
    axes.set_title(results.experiment.title, fontsize=8)
    axes.legend(frameon=False)


def share(results, curve, x):
    """Rate over that of RLS and SCA on the same channels [%]."""
    return 100 * results.value(RATE, curve, x) / results.value(RATE, RLS_SCA, x)


PAPER = "mixed-timescale paper, Table II"
# Channels -> % of RLS and SCA, with many more pilots than the others have.
PUBLISHED = {
    JOINT: dict(zip(range(200, 1001, 100),
                    (90.14, 94.41, 96.25, 98.09, 99.44, 100.11, 101.30, 101.31, 101.31),
                    strict=True)),
    BLACK_BOX: dict(zip(range(2000, 10_001, 1000),
                        (76.77, 77.59, 78.90, 80.52, 82.27, 83.22, 84.62, 85.44, 85.57),
                        strict=True)),
}  # fmt: skip
for _expect, _places in {
    "holds": {JOINT: UNFOLDED_AT, BLACK_BOX: BLACK_BOX_AT[:-1]},
    "open": {BLACK_BOX: BLACK_BOX_AT[-1:]},
}.items():
    samples.published(
        f"{PAPER}; all with 8 pilots here; expectation set after measuring",
        {
            f"{curve} has at least {PUBLISHED[curve][x] / 100:.1%} of {RLS_SCA}, trained with {x} "
            "channels": (
                measured.paired(RATE, curve, RLS_SCA, x=x).ratio_between(
                    PUBLISHED[curve][x] / 100, math.inf
                )
            )
            for curve, counts in _places.items()
            for x in counts
        },
        _expect,
    )


def lead_of_few(results) -> Value:
    """Joint's share of RLS and SCA with 200 channels minus the black box's with 10,000."""
    few, many = UNFOLDED_AT[0], BLACK_BOX_AT[-1]
    shares = (results.ratio(RATE, c, RLS_SCA, x) for c, x in ((JOINT, few), (BLACK_BOX, many)))
    return apart(*shares)


samples.published(
    f"{PAPER}: 90.1 % against 85.6 %; expectation set after measuring",
    {
        f"{JOINT} of {UNFOLDED_AT[0]} channels above the black box of {BLACK_BOX_AT[-1]}": (
            measured.by(lead_of_few).greater(0)
        )
    },
)
