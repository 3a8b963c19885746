"""Hybrid beamforming over the number of users: trained once for four, and the published reading.

Users share the weights of the unfolded system, so that one training serves any number of them; the
black box is trained for each. All schemes take the same number of steps and channels: a third for
analog phases and precoder with known channels, the rest for the estimator ("separate") or for
estimator and precoder together ("joint"); the black box takes all at once.
"""

import math
from typing import Annotated

from pydantic import AfterValidator

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.claims import Value

from ...results.plotting import COLORS, draw_lines
from . import common
from .common import AWARE, BLACK_BOX, JOINT, RATE, RLS_SCA, SCA, SEPARATE

READING = "rate in the published reading"
LONG = "RLS-80, SCA-40"
KNOWN_WEIGHTS = "hybrid-full-known"
MOST = 4  # users of the training
COUNTS = (1, 2, 3, MOST)
SMALL = "16 x 8 antennas"
SHOWN = (SCA, JOINT, SEPARATE, AWARE, RLS_SCA, BLACK_BOX)
# Users -> nat/s/Hz of RLS and SCA; shares of it of the learned schemes.
PUBLISHED = {1: 10.18, 2: 19.55, 3: 24.78, 4: 29.64}
SHARES = {
    JOINT: {1: 1.0353, 2: 1.0232, 3: 1.0031, 4: 1.0007},
    SEPARATE: {1: 0.9833, 2: 0.9723, 3: 0.9706, 4: 0.9677},
    BLACK_BOX: {1: 0.8695, 2: 0.8565},
}
UNREACHED = {BLACK_BOX: {3: 0.8501, 4: 0.8399}}


def sizes_of(*trained):
    """Type of a grid of sizes, of those for which there is a training."""

    def check(grid):
        for size in grid:
            if size not in trained:
                raise ValueError(f"there is no training at {size}, but at {list(trained)}")
        return grid

    return Annotated[link_sims.IntGrid, AfterValidator(check)]


class SizesConfig(common.TrainedConfig):
    """Trainings for every size take few steps; without `retrain` the starts are compared."""

    retrain: bool = True
    num_steps: link_sims.PositiveInt = 400
    max_units: link_sims.PositiveInt = 6

    @property
    def later_steps(self):
        """Steps after the analog stage."""
        return 2 * self.stage_steps


class Config(SizesConfig):
    """Grids of users; the reading has slots, iterations and pilot gain of its own."""

    user_grid: sizes_of(*COUNTS) = list(COUNTS)
    reading_slots: link_sims.PositiveInt = 80
    reading_iterations: link_sims.PositiveInt = 40
    reading_gain_db: float = 10.0


users = link_sims.Experiment(
    "hybrid/rate-vs-users",
    title="Hybrid beamforming with estimated channels over users, 10 dB",
    answers=["Unfolding Table I"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "retrain": False, "user_grid": [1], "reading_slots": 3,
                  "reading_iterations": 2},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000, "max_units": 40},
    },
    metrics={**common.METRICS, READING: link_sims.Metric("sum rate [nat/s/Hz]")},
    x_label="users K",
)  # fmt: skip


def at(cfg, field, value):
    """The configuration of one size."""
    return cfg.model_copy(update={field: int(value)})


def of_size(curve, value):
    """Name of the training of one size."""
    return f"{curve}, {int(value)}"


def declare_sizes(experiment, field, sizes, curves=("analog", SEPARATE, JOINT, BLACK_BOX)):
    """Trainings of schemes for every size, with the same number of steps."""
    for value in sizes:
        analog = of_size("analog", value)
        for curve, kind, length, after in (
            ("analog", "analog", "stage_steps", None),
            (SEPARATE, "estimator", "later_steps", analog),
            (JOINT, "joint", "later_steps", analog),
            (BLACK_BOX, "all", "total_steps", None),
        ):
            if curve not in curves:
                continue

            @experiment.recursion(of_size(curve, value), length, 1, 100, after)
            def training(cfg, seed, initial=None, v=value, c=curve, kind=kind, length=length):
                here = at(cfg, field, v)
                layer = common.new_black_box(here) if c == BLACK_BOX else None
                return common.stage(
                    here, kind, of_size(c, v), initial, layer, num_steps=getattr(cfg, length)
                )


def learned_at(cfg, trained, value):
    """Systems of one size that were trained for it, by curve."""
    names = {curve: of_size(curve, value) for curve in ("analog", SEPARATE, JOINT, BLACK_BOX)}
    return common.learned(cfg, {c: trained[name] for c, name in names.items() if name in trained})


def compare_sizes(cfg, learned):
    """``step(batch_size) -> sums`` of one size, at the SNR of the training."""
    classical = common.classical(cfg, learned[common.KNOWN].front)
    systems = {curve: classical[curve] for curve in (SCA, AWARE, RLS_SCA)} | learned
    step = common.compare(cfg, systems)
    return lambda batch_size: step(batch_size, cfg.training_snr_high_db)


declare_sizes(users, "num_users", [MOST], ["analog", SEPARATE, JOINT])
declare_sizes(users, "num_users", COUNTS, [BLACK_BOX])


def first_users(cfg, system):
    """The system with the front end of the first users."""
    front = common.new_front(cfg)
    front.tx_phases.assign(system.front.tx_phases)
    front.rx_phases.assign(system.front.rx_phases[: cfg.num_users])
    return irs.HybridSystem(front, system.precoder, system.estimator)


def reading(cfg):
    """``step(h) -> rates`` [nat/s/Hz]: the published size, RLS with Gaussian pilots, SCA."""
    same = {"precision": cfg.precision}
    irs.random.reset(irs.random.stream_key(cfg.seed, cfg.num_users))  # the same in resumed runs
    initial = irs.random.complex_normal([cfg.num_tx_chains, cfg.reading_slots], "complex128")
    pilots = common.new_pilots(cfg, cfg.reading_slots, initial=initial)
    system = irs.HybridSystem(
        first_users(cfg, irs.weights.load(KNOWN_WEIGHTS, **same)).front,
        irs.SCA(cfg.num_streams, cfg.reading_iterations, **same),
        irs.RLSEstimator(pilots, loading=0.01),
    )
    no = irs.snr_db_to_no(cfg.training_snr_high_db)
    pilot_no = irs.snr_db_to_no(cfg.training_snr_high_db + cfg.reading_gain_db)
    return lambda h: math.log(2) * system(h, no, pilot_no)["rate"]


@users.sweep(x="user_grid", static=True)
def curves(cfg, trained, value):
    """All schemes on the same channels; the reading on its own, up to four users."""
    here = at(cfg, "num_users", value)
    learned = {
        curve: first_users(here, system)
        for curve, system in learned_at(at(cfg, "num_users", MOST), trained, MOST).items()
        if curve != BLACK_BOX
    }
    step = compare_sizes(here, learned | learned_at(here, trained, value))
    full = at(cfg.model_copy(update=common.FULL), "num_users", value)
    read, channel = reading(full), common.new_channel(full)

    def both(batch_size, _):
        few = max(batch_size // 2, 1)
        return step(batch_size) | {(READING, LONG): (tf.reduce_sum(read(channel(few))), few)}

    return both


@users.figure
def draw(results, figure):
    """Trained schemes on the left, the published reading on the right."""
    figure.set_size_inches(7.0, 3.8)
    left, right = figure.subplots(1, 2)
    draw_lines(left, results, RATE, {c: c for c in SHOWN})
    left.set(xlabel="users K", ylabel="sum rate [bit/s/Hz]", title=f"{SMALL}, 8 pilots")
    left.legend(frameon=False)
    draw_lines(right, results, READING, {LONG: "measured"})
    right.plot(*zip(*PUBLISHED.items(), strict=True), "x", color=COLORS[1], label="published")
    right.set(xlabel="users K", ylabel="sum rate [nat/s/Hz]", title=f"64 x 32 antennas, {LONG}")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set_xticks(results.points(READING, LONG))


def apart(first, second) -> Value:
    """Difference of two values, on different draws."""
    return Value(first.value - second.value, first.low - second.high, first.high - second.low)


PAPER = "mixed-timescale paper, Table I"
SET_AFTER = "expectation set after measuring"
WITH = "with {:g} users"
for _expect, _shares in {"holds": SHARES, "does-not-hold": UNREACHED}.items():
    users.published(
        f"{PAPER}; all with 8 pilots here; {SET_AFTER}",
        {
            f"{curve} has at least {share:.1%} of {RLS_SCA} with {x} users": (
                measured.paired(RATE, curve, RLS_SCA, x=x).ratio_between(share, math.inf)
            )
            for curve, shares in _shares.items()
            for x, share in shares.items()
        },
        _expect,
    )
users.published(
    f"{PAPER}; {SET_AFTER}",
    {
        **common.above(JOINT, SEPARATE, 1, 4, at=WITH),
        **common.above(SEPARATE, BLACK_BOX, 2, 4, at=WITH),
    },
)
users.published(
    f"{PAPER}; {SET_AFTER}", common.above(SEPARATE, BLACK_BOX, 1, at=WITH), "does-not-hold"
)
users.ours(
    f"{common.BEYOND}; {common.SET}",
    common.above(JOINT, AWARE, 1, 4, at=WITH),
    "open",
)
for _expect, _counts in {"holds": (1, 3, 4), "does-not-hold": (2,)}.items():
    users.published(
        f"{PAPER}; read with pilots of 20 dB and the natural logarithm; {SET_AFTER}",
        {
            f"{LONG} with {x} users: {PUBLISHED[x]} nat/s/Hz within 5 %": (
                measured.at(READING, LONG, x).within(PUBLISHED[x], 0.05 * PUBLISHED[x])
            )
            for x in _counts
        },
        _expect,
    )
