"""What the training of the autoencoder depends on: block length and transmit power.

Kernels of size 1 give the networks no memory, so the block length can only change the number of
symbols per step, which is the same here for all: no coding gain can come from it.
"""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.training import training as trainer

from . import common, ser

MEMORY = "kernel 3, L = 16"
REFERENCE, FAINT = "L = 16", "L = 16, trained at -15 dBm"
DRAWN = "L = 16, trained at 0 to 25 dBm"
# Curve -> block length, range of the training power [dBm], changes of the arguments.
TRAININGS = {
    "L = 4": (4, (15.0, 15.0), {}),
    REFERENCE: (16, (15.0, 15.0), {}),
    "L = 64": (64, (15.0, 15.0), {}),
    MEMORY: (16, (15.0, 15.0), {"kernel_size": 3}),
    "L = 16, trained at 5 dBm": (16, (5.0, 5.0), {}),
    FAINT: (16, (-15.0, -15.0), {}),
    DRAWN: (16, (0.0, 25.0), {}),
}
OTHER = ", tested with L = 64"


class Config(ser.Config):
    """Trainings too short to be shipped."""

    num_steps: link_sims.PositiveInt = 600
    retrain: bool = True
    batch_size: link_sims.PositiveInt = 2048
    max_units: link_sims.PositiveInt = 12

    def check(self):
        """Blocks of 64 fill a unit."""
        if self.batch_size % 64:
            raise ValueError(f"batch_size = {self.batch_size}: a multiple of 64 is needed")


blocks = link_sims.Experiment(
    "double/ser-training",
    title="Autoencoder with local CSI, M = 16: block length and power of its training",
    answers=["Double RIS Fig. 9a"],
    config=Config,
    profiles={
        "smoke": {"power_dbm": [15], "batch_size": 128, "max_units": 2, "num_steps": 4,
                  "pool_size": 100, "training_batch": 64},
        "cpu": {},
        "paper": {"max_units": 500, "num_steps": 20_000, "num_filters": 256,
                  "num_surface_filters": 512},
    },
    metrics=ser.METRICS,
    x_label="transmit power [dBm]",
)  # fmt: skip


def link_of(curve):
    """The published normalisation, per block, which alone couples the uses."""
    _, powers_dbm, changes = TRAININGS[curve]
    return ser.Learned("", {"norm": "block", **changes}, powers_dbm=powers_dbm)


def declare(curve):
    """Training of one curve."""

    @blocks.recursion(curve, length="training_steps", record_every=100)
    def training(cfg, seed):
        return ser.block_training(cfg, link_of(curve), curve, TRAININGS[curve][0])


for _curve in TRAININGS:
    declare(_curve)


@blocks.sweep(x="power_dbm")
def curves(cfg, trained):
    """Every link on the same channels, in blocks of its length; one also in longer ones."""
    channel = common.new_channel(cfg, cfg.num_elements, cfg.k_factor)
    tested = {}
    for curve, (length, *_) in TRAININGS.items():
        link = trainer.assign(ser.build(cfg, link_of(curve)), trained[curve][0])
        tested[curve] = link, length
    tested[REFERENCE + OTHER] = tested[REFERENCE][0], 64

    def step(batch_size, power_dbm):
        power = ser.watt(power_dbm)
        links = channel.draw(batch_size)
        sums = {}
        for curve, (link, length) in tested.items():
            shape = [batch_size // length, length]
            folded = {k: tf.reshape(v, [*shape, *v.shape[1:]]) for k, v in links.items()}
            messages = irs.random.integers(shape, 16)
            logits = link(irs.Links(folded), messages, power)
            wrong = tf.argmax(logits, -1, tf.int32) != messages
            sums[ser.metric(16), curve] = tf.math.count_nonzero(wrong), batch_size
        return sums

    return step


PAPER = "Double RIS Fig. 9a"
blocks.published(
    f"{PAPER}: the weights are shared along the block; no learning at the lowest training SNR",
    {
        "trained with 16 uses, tested with 64: within 10 % at 15 dBm": (
            measured.paired(ser.metric(16), REFERENCE + OTHER, REFERENCE, x=15).ratio_between(
                0.9, 1.1
            )
        ),
        "training at a far too low power fails: above 0.8 at 15 dBm": (
            measured.at(ser.metric(16), FAINT, 15).greater(0.8)
        ),
    },
)
blocks.published(
    f"{PAPER}, Sec. IV-B: longer blocks gain, consecutive symbols are correlated",
    {
        "blocks of 64 uses have less than half the error rate of blocks of 4 at 15 dBm": (
            measured.paired(ser.metric(16), "L = 64", "L = 4", x=15).ratio_between(0, 0.5)
        ),
        "kernels of size 3 gain more than 10 % at 15 dBm": (
            measured.paired(ser.metric(16), MEMORY, REFERENCE, x=15).ratio_between(0, 0.9)
        ),
    },
    expect="does-not-hold",
)
blocks.ours(
    "this package; set from an earlier implementation, 2026-11: kernels of size 1 have no memory",
    {
        "the block length changes the error rate by less than 15 % at 15 dBm": (
            measured.paired(ser.metric(16), "L = 64", "L = 4", x=15).ratio_between(0.85, 1.15)
        )
    },
)
blocks.ours(
    "this package, beyond Double RIS; open since 2026-11",
    {
        f"a training power drawn from 0 to 25 dBm for every step gains at {x} dBm": (
            measured.paired(ser.metric(16), DRAWN, REFERENCE, x=x).less()
        )
        for x in (15, 25)
    },
    expect="open",
)
