"""The structured precoder: one training for all sizes and powers, and for other channels too."""

from typing import Literal

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.training import training as trainer

from . import common

WEIGHTS = "precoding-structured"
REFINED = 3
NUM_ANT = (16, 32)  # of the training
POWERS_DBM = (-25.0, 10.0)
# (M, K) at which it is tested, all with the same weights.
EASY = [(32, 8), (64, 8), (32, 12), (128, 8)]
LOADED = [(32, 16), (64, 24)]
HARD = [(16, 12), (16, 16)]
SIZES = [*EASY, *LOADED, *HARD]


class Config(common.TrainedConfig):
    """``training_batch`` groups of every size in a step."""

    power_dbm: link_sims.Grid = [-20, -10, 0]
    num_sizes: link_sims.PositiveInt = len(SIZES)
    training_users: list[link_sims.PositiveInt] = [4, 8, 12, 16]
    num_steps: link_sims.PositiveInt = 8000
    training_batch: link_sims.PositiveInt = 16
    peak_rate: link_sims.LearningRate = 2e-3
    batch_size: link_sims.PositiveInt = 50
    max_units: link_sims.PositiveInt = 4


structured = link_sims.Experiment(
    "precoding/structured-training",
    title="Structured precoder: one training for all sizes and powers",
    execution_cpu="xla",
    config=Config,
    profiles={
        "smoke": {"power_dbm": [-10], "stride": 10, "batch_size": 3, "max_units": 2,
                  "num_sizes": 1, "training_users": [4], "num_steps": 2, "training_batch": 2},
        "cpu": {},
        "paper": {"num_steps": 50_000, "training_batch": 64, "batch_size": 100, "max_units": 10},
    },
    metrics={**common.METRICS, **common.TRAINING_METRICS},
    x_label="transmit power [dBm]",
)  # fmt: skip


def curve(size, num_refine=0):
    """Name of the curve of (M, K)."""
    return "M = {}, K = {}".format(*size) + (f", {num_refine} WMMSE steps" if num_refine else "")


def precoder_of(cfg, num_refine=0):
    """The shipped precoder, or one to be trained."""
    if not cfg.retrain:
        return irs.StructuredPrecoder.from_pretrained(WEIGHTS, num_refine, precision=cfg.precision)
    return irs.StructuredPrecoder(num_refine=num_refine, precision=cfg.precision)


def training_groups(cfg, num_users):
    """``() -> h`` of K users for every number of antennas, zeros for those that are missing.

    The precoder sees Gram matrices, in which such antennas leave no trace.
    """
    draws = [common.groups(cfg, num_ant, num_users, "train") for num_ant in NUM_ANT]
    low, high = POWERS_DBM

    def draw():
        drawn = []
        for num_ant, draw in zip(NUM_ANT, draws, strict=True):
            power_dbm = irs.random.uniform([cfg.training_batch], low=low, high=high)
            h = draw(cfg.training_batch, power_dbm)
            drawn.append(tf.pad(h, [[0, 0], [0, 0], [0, max(NUM_ANT) - num_ant]]))
        return tf.concat(drawn, 0)

    return draw


@structured.recursion("training", length="training_steps", record_every=50)
def training(cfg, seed):
    """Fresh groups of every size at powers uniform in dB."""
    draws = [training_groups(cfg, num_users) for num_users in cfg.training_users]
    return common.rate_training(cfg, precoder_of(cfg), draws)


@structured.ship(WEIGHTS)
def trained_network(cfg, trained):
    """The network with its final weights."""
    return trained_precoder(cfg, trained).network


def trained_precoder(cfg, trained, num_refine=0):
    """The precoder with its final weights, with or without WMMSE steps behind it."""
    precoder = precoder_of(cfg, num_refine)
    return trainer.assign(precoder, trained["training"][0]) if cfg.retrain else precoder


@structured.sweep(x="power_dbm")
def curves(cfg, trained):
    """Share of WMMSE* at every size, all with the same weights, at positions never trained on."""
    precoders = {n: trained_precoder(cfg, trained, n) for n in (0, REFINED)}
    sizes = {size: common.groups(cfg, *size) for size in SIZES[: cfg.num_sizes]}

    def step(batch_size, power_dbm):
        sums = {}
        for size, draw in sizes.items():
            h = draw(batch_size, power_dbm)
            best = tf.reduce_sum(common.reference(cfg, h))
            for num_refine, precoder in precoders.items():
                if not num_refine or size in HARD:
                    reached = tf.reduce_sum(common.rates(h, precoder))
                    sums[common.SHARE, curve(size, num_refine)] = reached, best
        return sums

    return step


# (M, K), power [dBm], WMMSE steps behind it -> at least this share of WMMSE*.
AIMS = {
    **{(size, -10, 0): 0.997 for size in ((32, 8), (32, 12), (128, 8))},
    **{(size, -10, 0): 0.99 for size in LOADED},
    ((16, 12), -20, 0): 0.958,
    ((16, 12), -20, REFINED): 0.98,
    ((16, 16), -10, 0): 0.91,
    ((16, 16), -10, REFINED): 0.98,
}
structured.ours(
    common.AIM,
    {
        f"at least {100 * bound:g} % of WMMSE* at {size}, {power_dbm} dBm"
        + (f" with {steps} WMMSE steps" if steps else ""): (
            measured.at(common.SHARE, curve(size, steps), power_dbm).greater(bound)
        )
        for (size, power_dbm, steps), bound in AIMS.items()
    },
)


SOURCES = {"images": "images", "ray_traced": "ray traced"}
NAME = "structured"


class TransferConfig(common.PrecodingConfig):
    """The room by images, where the weights come from, and the same users by the ray tracer."""

    source: Literal["ray_traced"] = "ray_traced"
    num_ant: link_sims.PositiveInt = 32
    num_users: link_sims.PositiveInt = 8
    power_dbm: link_sims.Grid = [-20, -10]


transfer = link_sims.Experiment(
    "precoding/ray-traced",
    title="32 antennas, 8 users: by images of the walls and by the ray tracer",
    execution_cpu="xla",
    config=TransferConfig,
    profiles={
        "smoke": {"power_dbm": [-10], "stride": 20, "batch_size": 4, "max_units": 2},
        "cpu": {"stride": 2},
        "paper": {"max_units": 20},
    },
    metrics=common.METRICS,
    x_label="transmit power [dBm]",
)


@transfer.sweep(x="power_dbm")
def transferred(cfg, trained):
    """Shipped weights, trained on images alone; the same users in both rooms."""
    rooms = {
        label: irs.RoomChannel(
            cfg.num_users, cfg.num_ant, split="test", source=source, stride=cfg.stride,
            precision=cfg.precision,
        )
        for source, label in SOURCES.items()
    }  # fmt: skip
    num_positions = min(len(room.indices) for room in rooms.values())
    precoders = {
        **common.classical(cfg),
        NAME: irs.StructuredPrecoder.from_pretrained(WEIGHTS, precision=cfg.precision),
    }

    def step(batch_size, power_dbm):
        rows = irs.random.distinct(batch_size, cfg.num_users, num_positions)
        sums = {}
        for label, room in rooms.items():
            h = common.at_power(cfg, room.compose(rows)[1], power_dbm)
            for (metric, curve), pair in common.compare(cfg, h, precoders).items():
                sums[metric, f"{curve}, {label}"] = pair
        return sums

    return step


transfer.ours(
    f"{common.AIM}: weights that never saw the ray tracer",
    {
        f"at least 99.5 % of WMMSE*, {label}, {power_dbm} dBm": (
            measured.at(common.SHARE, f"{NAME}, {label}", power_dbm).greater(0.995)
        )
        for power_dbm in (-20, -10)
        for label in SOURCES.values()
    },
)
