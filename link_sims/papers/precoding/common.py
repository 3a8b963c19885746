"""What the precoding experiments share: groups of users, the reference, training, curves."""

from typing import Literal

import link_sims
import sionna_irs as irs
from link_sims import tf
from link_sims.training import training as trainer

REFERENCE = "WMMSE*"
SHARE = "share"
RATE = "rate"
METRICS = {
    RATE: link_sims.Metric("sum rate [bit/s/Hz]"),
    SHARE: link_sims.Metric("share of the rate of WMMSE*", range=None),
}
TRAINING_RATE = "training rate"
TRAINING_METRICS = {TRAINING_RATE: link_sims.Metric("sum rate [bit/s/Hz]")}

# Sources of claims: Ma et al., Learn to communicate with neural calibration, and what is ours.
PAPER = "Neural Calibration"
OURS = "this package; set from the cpu profile, 2026-11"
AIM = "this package; set as an aim, 2026-11"


class PrecodingConfig(link_sims.Config):
    """The room and its noise; every ``stride``-th point of the grid along both axes."""

    noise_power_dbm: float = -85.0
    source: Literal["images", "ray_traced"] = "images"
    stride: link_sims.PositiveInt = 1
    batch_size: link_sims.PositiveInt = 100
    max_units: link_sims.PositiveInt = 4


class TrainedConfig(PrecodingConfig):
    """The room and the training of a precoder."""

    retrain: bool = False
    num_steps: link_sims.PositiveInt
    training_batch: link_sims.PositiveInt
    peak_rate: link_sims.LearningRate

    @property
    def training_steps(self):
        """Shipped weights need no training."""
        return self.num_steps if self.retrain else 0


def groups(cfg, num_ant, num_users, split="test"):
    """Downlink channels of users drawn without replacement, power and noise 1.

    Returns
    -------
    callable
        ``draw(batch_size, power_dbm) -> h`` [batch_size, K, M]; the power [dBm] is a number or
        a tensor [batch_size].
    """
    channel = irs.RoomChannel(
        num_users,
        num_ant,
        split=split,
        source=cfg.source,
        stride=cfg.stride,
        precision=cfg.precision,
    )

    def draw(batch_size, power_dbm):
        return at_power(cfg, channel(batch_size)[1], power_dbm)

    return draw


def at_power(cfg, h, power_dbm):
    """Channels in units in which the power of every group [dBm] and the noise are 1."""
    from sionna_irs.layer import to_dtype

    snr_db = to_dtype(power_dbm, h.dtype.real_dtype) - cfg.noise_power_dbm
    amplitude = tf.math.rsqrt(irs.snr_db_to_no(snr_db))
    return to_dtype(amplitude, h.dtype)[..., None, None] * h


def rates(h, precoder):
    """Sum rate [batch_size] of a precoder ``(h, no) -> v`` at unit noise."""
    return irs.metrics.sum_rate(h, precoder(h, 1.0), 1.0)


def wmmse(cfg, num_iter, start="mrt"):
    """Weighted MMSE precoder in its reduced form."""
    return irs.WMMSE(num_iter, "closed_form", start=start, precision=cfg.precision)


def reference(cfg, h):
    """Rate of WMMSE* [batch_size]: 300 iterations from two starts, the better one."""
    starts = ("mrt", "zf_water_filling")
    return tf.reduce_max([rates(h, wmmse(cfg, 300, start)) for start in starts], 0)


def classical(cfg):
    """Precoders without any learning, by curve."""
    same = {"precision": cfg.precision}
    return {
        "MRT": irs.MRTPrecoder(**same),
        "ZF": irs.ZFPrecoder(**same),
        "RZF": irs.RZFPrecoder(**same),
        "ZF-eq": irs.ZFPrecoder("per_user", **same),
        "ZF-WF": irs.ZFPrecoder("water_filling", **same),
        "WMMSE-20": wmmse(cfg, 20),
        "WMMSE-100": wmmse(cfg, 100),
    }


def new_calibrated(cfg, num_ant, hidden):
    """Zero forcing behind fresh weights; untrained it is ZF-dir."""
    same = {"precision": cfg.precision}
    return irs.Calibrated(irs.ZFPrecoder(**same), irs.RowNet(num_ant, hidden, **same))


def compare(cfg, h, precoders):
    """Sums of a sweep on the same groups: rate and share of WMMSE* for every curve."""
    best = reference(cfg, h)
    found = {REFERENCE: best, **{name: rates(h, p) for name, p in precoders.items()}}
    sums = {}
    for name, values in found.items():
        sums[RATE, name] = tf.reduce_sum(values), h.shape[0]
        sums[SHARE, name] = tf.reduce_sum(values), tf.reduce_sum(best)
    return sums


def rate_training(cfg, precoder, draws, name="network"):
    """(start, advance) of a recursion that trains a precoder on fresh groups.

    The loss is minus the mean logarithm of the sum rate: a percent counts the same at every
    power and size.

    Parameters
    ----------
    cfg : TrainedConfig
    precoder : LinkLayer
        ``(h, no) -> v``.
    draws : list of callable
        ``() -> h`` at unit noise, one for every size; all are drawn in every step.
    name : str
        Curve of the rate over the steps.
    """

    def loss(call, t):
        drawn = [draw() for draw in draws]
        reached = [irs.metrics.sum_rate(h, call(h, 1.0), 1.0) for h in drawn]
        value = -tf.add_n([tf.reduce_mean(tf.math.log(r)) for r in reached]) / len(draws)
        total = tf.add_n([tf.reduce_sum(r) for r in reached])
        return value, {(TRAINING_RATE, name): (total, sum(h.shape[0] for h in drawn))}

    return trainer.training(precoder, trainer.cosine_adam(cfg.peak_rate, cfg.num_steps), loss)
