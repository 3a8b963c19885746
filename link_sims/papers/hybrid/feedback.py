"""FDD: users estimate their equivalent channels and send them to the base station in bits.

"joint FDD" trains everything through the bits in the end; "separate FDD" stops before, when the
unfolded networks are trained without feedback and the autoencoder on the channel's error alone.
"""

import math
from typing import Literal

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...training import training as trainer
from . import common
from .common import RATE, RLS_SCA

JOINT, SEPARATE, CODE = "joint FDD", "separate FDD", "code alone"
PATHS, TRANSFORM, LMMSE_TRANSFORM = "true paths, SCA", "RLS, KLT, SCA", "LMMSE, KLT, SCA"
BITS = (8, 16, 32)  # of the learned schemes
# Bits of a user -> ((angle at the user, angle at the base station), part of a gain) of each of
# the eight paths: the split of least error of the channel. 8 bits leave nothing for the gains.
PATH_BITS = {16: ((0, 0), 1), 32: ((1, 1), 1), 64: ((3, 3), 1), 128: ((6, 6), 2)}


class Config(common.HybridConfig):
    """One SNR, several numbers of bits; two stages of training for each of BITS among them."""

    feedback_bits: list[Literal[8, 16, 32, 64, 128]] = [8, 16, 32, 64, 128]
    snr_db: float = 10.0
    num_steps: link_sims.PositiveInt = 600

    def steps_of(self, num_bits):
        """No training for bits that are not asked for."""
        return self.num_steps if num_bits in self.feedback_bits else 0

    steps_8 = property(lambda self: self.steps_of(8))
    steps_16 = property(lambda self: self.steps_of(16))
    steps_32 = property(lambda self: self.steps_of(32))


feedback = link_sims.Experiment(
    "hybrid/feedback",
    title="FDD with limited feedback, 16 and 8 antennas, 2 users, 10 dB",
    answers=["Unfolding Fig. 19"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "feedback_bits": [16]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000},
    },
    metrics=common.METRICS,
    x_label="feedback bits per user",
)
common.declare(feedback, {"analog": ("analog", None), "estimator": ("estimator", "analog")})


def new_system(cfg, num_bits):
    """The unfolded system with an autoencoder between the users and the base station."""
    base = common.new_system(cfg)
    code = irs.FeedbackAutoencoder(
        cfg.num_rx_chains, cfg.num_tx_chains, num_bits,
        entry_power=common.new_channel(cfg).path_power, precision=cfg.precision,
    )  # fmt: skip
    return irs.HybridSystem(base.front, base.precoder, base.estimator, code)


def stage(cfg, layer, name, initial=None):
    """(start, advance): the bits alone, on the error of what arrives, or everything on the rate."""
    channel, alone = common.new_channel(cfg), name.startswith(CODE)
    parts = [layer.feedback] if alone else [layer.estimator, layer.precoder, layer.feedback]

    def loss(call, t):
        found = call(channel(cfg.training_batch), *common.noise(cfg, cfg.snr_db))
        error, power = irs.metrics.nmse(found["h_hat"], found["h_eq"])
        rate = tf.reduce_sum(found["rate"])
        value = error / power if alone else -tf.math.log(rate)
        return value, {(common.TRAINING_RATE, name): (rate, cfg.training_batch)}

    optimizer = trainer.cosine_adam(cfg.peak_rate, cfg.num_steps)
    variables = [v for part in parts for v in part.trainable_variables]
    return trainer.training(layer, optimizer, loss, variables=variables, initial=initial)


def of_bits(name, num_bits):
    """Name of the training for a number of bits."""
    return f"{name}, {num_bits} bits"


def declare_stages(num_bits):
    """The code of a number of bits, then everything together."""
    code, joint = of_bits(CODE, num_bits), of_bits(JOINT, num_bits)

    @feedback.recursion(code, f"steps_{num_bits}", record_every=100, after="estimator")
    def train_code(cfg, seed, initial):
        layer, base = new_system(cfg, num_bits), common.new_system(cfg)
        trainer.assign(base, initial)
        for part in ("front", "precoder", "estimator"):
            getattr(layer, part).set_weights(getattr(base, part).get_weights())
        return stage(cfg, layer, code)

    @feedback.recursion(joint, f"steps_{num_bits}", record_every=100, after=code)
    def train_jointly(cfg, seed, initial):
        return stage(cfg, new_system(cfg, num_bits), joint, initial)


for _bits in BITS:
    declare_stages(_bits)


@feedback.sweep(x="feedback_bits", static=True)
def curves(cfg, trained, num_bits):
    """All schemes on the same channels; paths are quantised as they are, not as estimated."""
    front = trainer.assign(common.new_system(cfg), trained["estimator"][0]).front
    channel, classical = common.new_channel(cfg), common.classical(cfg, front)
    sca, same = classical[RLS_SCA].precoder, {"precision": cfg.precision}
    covariance = irs.vector_covariance(channel.moments(), front.f_rf, front.w_rf)
    code = irs.TransformFeedback(covariance, num_bits, **same)
    prior, lmmse = classical[common.SHRUNK_SCA].estimator, classical[common.LMMSE_SCA].estimator
    systems = {
        RLS_SCA: classical[RLS_SCA],
        TRANSFORM: irs.HybridSystem(front, sca, prior, code),
        LMMSE_TRANSFORM: irs.HybridSystem(front, sca, lmmse, code, channel),
    }
    if num_bits in BITS:
        for curve, name in ((JOINT, JOINT), (SEPARATE, CODE)):
            state = trained[of_bits(name, num_bits)][0]
            systems[curve] = trainer.assign(new_system(cfg, num_bits), state)
    no = common.noise(cfg, cfg.snr_db)[0]

    def step(batch_size, _):
        angles, gains = channel.draw_angles([batch_size]), channel.draw_gains(batch_size)
        h = channel.assemble(angles, gains)
        sums = common.measure(cfg, systems, h, cfg.snr_db)
        if num_bits in PATH_BITS:
            rebuilt = irs.PathFeedback(channel, *PATH_BITS[num_bits])(angles, gains)
            h_eq, r_w, gram = front(h)
            h_hat = front(rebuilt)[0]
            rate = irs.metrics.stream_rate(h_eq, *sca(h_hat, r_w, gram, no), no, r_w)
            sums[RATE, PATHS] = tf.reduce_sum(rate), batch_size
            sums[common.ERROR, PATHS] = irs.metrics.nmse(h_hat, h_eq)
        return sums

    return step


@feedback.figure
def draw(results, figure):
    """Rates above the bits."""
    shown = (JOINT, SEPARATE, LMMSE_TRANSFORM, TRANSFORM, PATHS)
    axes = common.draw_rates(results, figure, shown, {RLS_SCA: "RLS, SCA, unlimited feedback"})
    axes.set_xscale("log", base=2)
    axes.set_xticks(results.points(RATE, RLS_SCA), results.points(RATE, RLS_SCA))


def fewer(few, other, many):
    """Check that joint training with a few bits is above another scheme with many."""
    return measured.difference(RATE, JOINT, other, x=few, b_x=many).greater(0)


PAPER = "mixed-timescale paper, Fig. 19"
WITH = "with {:g} bits"
feedback.published(PAPER, common.above(JOINT, SEPARATE, *BITS, at=WITH))
# 48 and 112 bits of 128 numbers are 12 and 28 of the 32 numbers here.
feedback.published(
    f"{PAPER}: 0.375 bits a number do what 0.875 do; here 0.25 and 1",
    {f"{JOINT} with 8 bits above {PATHS} with 32": fewer(8, PATHS, 32)},
)
feedback.ours(
    f"this package; {common.SET}",
    {
        f"{JOINT} with 8 bits above {PATHS} with 64": fewer(8, PATHS, 64),
        "joint FDD with 32 bits has at least 95 % of RLS, SCA with unlimited feedback": (
            measured.paired(RATE, JOINT, RLS_SCA, x=32).ratio_between(0.95, math.inf)
        ),
    },
)
feedback.ours(
    f"this package: equal within its interval; {common.SET}",
    {f"{JOINT} with 16 bits above {TRANSFORM} with 32": fewer(16, TRANSFORM, 32)},
    "open",
)
LEARNED = f"this package: bits without learning; {common.SET}"
feedback.ours(LEARNED, common.above(JOINT, LMMSE_TRANSFORM, 8, 32, at=WITH))
feedback.ours(LEARNED, common.above(SEPARATE, LMMSE_TRANSFORM, 8, 32, at=WITH), "does-not-hold")
