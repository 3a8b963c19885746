"""What the experiments on learned estimators share: networks, their training, the curves."""

import numpy as np

import link_sims
import sionna_irs as irs
from link_sims import tf
from link_sims.training import training as trainer

from ...results.claims import Paired
from ..cascade import CascadeConfig, references, scene

__all__ = [
    "ALL_SNR",
    "CDRN",
    "CDRN_SMALL",
    "EXCESS",
    "FORM_X",
    "HELD_OUT",
    "LEARNED",
    "OURS",
    "SNR_DB",
    "TRAINING_METRICS",
    "TrainedConfig",
    "all_estimators",
    "at_the_end",
    "band",
    "calibrate",
    "denoising_loss",
    "fixed_snr_training",
    "new_denoiser",
    "parameter_count",
    "uniform_snr_db",
]

SNR_DB = [-15, -10, -5, 0, 5, 10, 15, 20]
OURS = "this package; set from the cpu profile, 2026-11"
# The curves of the network for all SNRs and of the baseline, and the names of their weights.
LEARNED, CDRN = "CENAS", "CDRN, reduced"
ALL_SNR, CDRN_SMALL = "cenas-all-snr", "cenas-cdrn-small"
HELD_OUT, EXCESS = "held-out NMSE", "excess"
TRAINING_METRICS = {
    "training error": link_sims.Metric("training error over that of scalar LMMSE", listed=False),
    HELD_OUT: link_sims.Metric("held-out NMSE [dB]", db=True),
    EXCESS: link_sims.Metric("error over that of Bayes [dB]", db=True),
}
# First word of the keys: no training step or unit of a sweep has it.
CALIBRATION, HELD_OUT_KEY = -7, -8
# Two equal cells; node 1 = skip(s0) + conv(s1), node 2 = ctx(s1) + conv(node 1).
FORM_X = [[["skip", "conv"], ["zero", "ctx", "conv"]]] * 2


class TrainedConfig(CascadeConfig):
    """The cascade, the training of a network, and the sweep."""

    retrain: bool = False
    num_steps: link_sims.PositiveInt
    training_batch: link_sims.PositiveInt = 16
    peak_rate: link_sims.LearningRate = 4e-3
    batch_size: link_sims.PositiveInt = 64
    min_units: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 20

    @property
    def training_steps(self):
        """Shipped weights need no training."""
        return self.num_steps if self.retrain else 0


def at_the_end(results, metric, a, b) -> Paired:
    """Two trainings or searches after their last step, on the same draws."""
    return results.paired(metric, a, b, x=results.config.num_steps)


def band(axes, results, metric, curve, alpha=0.2, **style):
    """Draw a curve with its intervals as a band."""
    points = results.points(metric, curve)
    ends = zip(*(results.interval(metric, curve, x) for x in points), strict=True)
    axes.plot(points, [results.value(metric, curve, x) for x in points], **style)
    axes.fill_between(points, *ends, color=style["color"], alpha=alpha, linewidth=0)


def all_estimators(pilots, statistics):
    """The references, and the shipped network for all SNRs."""
    learned = irs.LearnedEstimator.from_pretrained(
        ALL_SNR, pilots, "trained", precision=pilots.precision
    )
    return {**references(pilots, statistics), LEARNED: learned}


def new_denoiser(statistics, cells=FORM_X, snr_input=True, output="wiener", **style):
    """A denoiser around a network of cells, with fresh weights."""
    network = irs.CellNetwork(irs.Genotype(cells), num_channels=2 + snr_input, **style)
    return irs.Denoiser(network, output, entry_power=statistics.rho_c)


def calibrate(denoiser, channel, seed, num_samples=256):
    """Measure the error of a trained denoiser on channels of their own stream."""
    irs.random.reset(irs.random.stream_key(seed, CALIBRATION))
    u = channel.draw(num_samples).cascaded()
    denoiser.calibrate(u, irs.random.complex_normal(tf.shape(u), u.dtype))


def parameter_count(layer):
    """Trainable numbers."""
    return int(sum(np.prod(v.shape) for v in layer.trainable_weights))


def uniform_snr_db(batch_size):
    """SNRs for training, uniform over the sweep [dB]."""
    return irs.random.uniform([batch_size], low=float(SNR_DB[0]), high=float(SNR_DB[-1]))


def denoising_loss(channel, batch_size, draw_snr_db, num_patterns, name="network"):
    """Loss on fresh draws, for a training: error over that of scalar LMMSE.

    The weight makes all SNRs count alike. Least-squares estimates are drawn as U + E, which has
    the distribution of the pilots' path at a fraction of its cost.
    """
    rho = channel.statistics.rho_c

    def loss(call, t):
        u = channel.draw(batch_size).cascaded()
        no = irs.snr_db_to_no(tf.cast(draw_snr_db(batch_size), u.dtype.real_dtype))
        variance = no / num_patterns
        spread = tf.cast(tf.sqrt(variance), u.dtype)[:, None, None]
        u_ls = u + spread * irs.random.complex_normal(tf.shape(u), u.dtype)
        error = call(u_ls, variance) - u
        power = tf.square(tf.math.real(error)) + tf.square(tf.math.imag(error))
        share = tf.reduce_mean(power, [-2, -1]) * (rho + variance) / (rho * variance)
        value = tf.reduce_mean(share)
        return value, {("training error", name): (tf.reduce_sum(share), batch_size)}

    return loss


def fixed_snr_training(cfg, denoiser, name, every):
    """(start, advance): train at ``cfg.snr_db`` for ``cfg.num_steps``, with held-out errors.

    The held-out draws have a key of their own, the same for every network and seed, so that
    networks are compared on the same channels; nothing is selected by them.
    """
    channel, pilots = scene(cfg)
    least_squares = irs.LSEstimator(pilots)
    bayes = irs.BayesEstimator(pilots, channel.statistics)
    no = irs.snr_db_to_no(cfg.snr_db)

    def evaluate(call):
        irs.random.reset(irs.random.stream_key(HELD_OUT_KEY))
        u = channel.draw(cfg.held_out).cascaded()
        y = pilots(u, no)
        u_ls, variance = least_squares(y, no)
        error, power = irs.metrics.nmse(call(u_ls, tf.squeeze(variance)), u)
        smallest, _ = irs.metrics.nmse(bayes(y, no)[0], u)
        return {(HELD_OUT, name): (error, power), (EXCESS, name): (error, smallest)}

    return trainer.training(
        denoiser,
        trainer.cosine_adam(cfg.peak_rate, cfg.num_steps),
        denoising_loss(
            channel, cfg.training_batch, lambda n: tf.fill([n], cfg.snr_db), cfg.num_patterns, name
        ),
        [(HELD_OUT, name), (EXCESS, name)],
        evaluate,
        every,
    )
