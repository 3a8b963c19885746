"""Trained for one number of users, SNR, number of pilots and path power, used with others."""

import link_sims
import sionna_irs as irs
from link_sims import measured

from ...results.plotting import draw_lines
from ...training import training as trainer
from . import common
from .common import AWARE

LARGEST = "4 users, 10 dB"
# What is trained: changes of the configuration. The first knows one SNR, the others all.
TRAININGS = {
    LARGEST: {"num_users": 4, "training_snr_low_db": 10.0, "training_snr_high_db": 10.0},
    "3 users": {"num_users": 3},
    "2 users": {"num_users": 2},
    "fewer pilots": {"num_users": 2, "num_symbols": 6, "path_power": 0.08},
}
# What is tested -> which training is used there instead of the matched one.
TESTS = {"3 users": LARGEST, "2 users": LARGEST, "fewer pilots": "2 users"}
MATCHED, MISMATCHED = "matched", "mismatched"


class Config(common.HybridConfig):
    """Everything is trained at once; users share their weights, so that any number will do."""

    snr_db: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    training_snr_low_db: float = -5.0
    training_snr_high_db: float = 20.0
    num_steps: link_sims.PositiveInt = 1200
    path_power: link_sims.PositiveFloat = 0.1


def of(cfg, name):
    """The configuration of a training or test; in a smoke run there are fewer pilots still."""
    changed = cfg.model_copy(update=TRAININGS[name])
    short = min(changed.num_symbols, cfg.num_symbols)
    return changed.model_copy(update={"num_symbols": short})


mismatch = link_sims.Experiment(
    "hybrid/mismatch",
    title="Hybrid beamforming trained for one case and used in another",
    answers=["Unfolding Fig. 14a, 14b"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10]},
        "cpu": {},
        "paper": {"num_steps": 40_000, "max_units": 32},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)


def declare(name):
    """The training of one case."""

    @mismatch.recursion(name, "num_steps", record_every=100)
    def training(cfg, seed):
        own = of(cfg, name)
        channel = channel_of(own)
        return common.stage(own, "all", name, draw=lambda: channel(own.training_batch))


for _name in TRAININGS:
    declare(_name)


def channel_of(cfg):
    """The channel of a case."""
    return common.new_channel(cfg, path_power=cfg.path_power)


def first_of(cfg, system):
    """The system of a case from a larger one: its first users, its first pilots and layers."""
    smaller = common.new_system(cfg)
    pairs = zip(smaller.trainable_variables, system.trainable_variables, strict=True)
    for variable, value in pairs:
        variable.assign(value.value[tuple(slice(size) for size in variable.shape)])
    return smaller


@mismatch.sweep(x="snr_db")
def curves(cfg, trained):
    """Matched and mismatched systems on the same channels, with a classical one in their midst."""
    systems = {
        name: trainer.assign(common.new_system(of(cfg, name)), trained[name][0])
        for name in TRAININGS
    }
    cases = {}
    for name, used in TESTS.items():
        own = of(cfg, name)
        channel, small = channel_of(own), first_of(own, systems[used])
        classical = common.classical(own, small.front)[AWARE]
        informed = irs.HybridSystem(
            small.front, classical.precoder, classical.estimator, channel=channel, error_aware=True
        )
        found = {MATCHED: systems[name], MISMATCHED: small, AWARE: informed}
        cases[name] = own, channel, {curve_of(name, curve): s for curve, s in found.items()}

    def step(batch_size, snr_db):
        sums = {}
        for own, channel, found in cases.values():
            sums |= common.measure(own, found, channel(batch_size), snr_db)
        return sums

    return step


def curve_of(test, curve):
    """Name of a curve of a test."""
    return f"{test}, {curve}"


@mismatch.figure
def draw(results, figure):
    """A panel for every test."""
    figure.set_size_inches(7.2, 3.2)
    panels = figure.subplots(1, len(TESTS), sharey=True)
    titles = {"3 users": "3 users", "2 users": "2 users", "fewer pilots": "6 pilots, power 0.08"}
    for axes, (test, used) in zip(panels, TESTS.items(), strict=True):
        labels = {curve_of(test, c): c for c in (MATCHED, MISMATCHED, AWARE)}
        draw_lines(axes, results, common.RATE, labels)
        trained = used if test != "fewer pilots" else "8 pilots, 0.1"
        axes.set(xlabel="SNR [dB]")
        axes.set_title(f"{titles[test]}\nmismatched: trained with {trained}", fontsize=7)
    panels[0].set_ylabel("sum rate [bit/s/Hz]")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)


def rates(test, other=MATCHED, x=10):
    """The mismatched system and another on the same channels."""
    return measured.paired(common.RATE, curve_of(test, MISMATCHED), curve_of(test, other), x=x)


PAPER = "mixed-timescale paper, Fig. 14"
mismatch.published(
    f"{PAPER}a: a small gap; here, in the users alone",
    {
        f"{test}: {MISMATCHED} is 0.9 to 1.05 times {MATCHED} at 10 dB": (
            rates(test).ratio_between(0.9, 1.05)
        )
        for test in ("3 users", "2 users")
    },
)
mismatch.published(
    f"{PAPER}a: a small gap, also at another SNR; set after seeing it",
    {
        f"{test}: {MISMATCHED} is 0.9 to 1.05 times {MATCHED} at 5 dB": (
            rates(test, x=5).ratio_between(0.9, 1.05)
        )
        for test in ("3 users", "2 users")
    },
    "does-not-hold",
)
mismatch.published(
    f"{PAPER}b: a small gap; its size was set after seeing it",
    {
        f"fewer pilots: {MISMATCHED} is 0.85 to 1 times {MATCHED} at 10 dB": (
            rates("fewer pilots").ratio_between(0.85, 1.0)
        )
    },
)
mismatch.ours(
    "this package: above the best classical scheme all the same, 2026-11",
    {
        f"{test}: {MISMATCHED} is 1 to 1.2 times {AWARE} at 10 dB": (
            rates(test, AWARE).ratio_between(1.0, 1.2)
        )
        for test in TESTS
    },
)
