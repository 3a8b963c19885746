"""The baseline network: a reduced CDRN, trained over all SNRs without being told which."""

import link_sims
import sionna_irs as irs
from link_sims import measured
from link_sims.training import training as trainer

from ..cascade import nmse_step, references, scene
from .common import (
    CDRN,
    CDRN_SMALL,
    SNR_DB,
    TRAINING_METRICS,
    TrainedConfig,
    denoising_loss,
    uniform_snr_db,
)


class Config(TrainedConfig):
    """The cascade, its pilots, and the training."""

    snr_db: link_sims.Grid = SNR_DB
    num_blocks: link_sims.PositiveInt = 1
    num_layers: link_sims.PositiveInt = 8
    num_filters: link_sims.PositiveInt = 24
    num_steps: link_sims.PositiveInt = 8000
    peak_rate: link_sims.LearningRate = 3e-3


cdrn = link_sims.Experiment(
    "cenas/cdrn",
    title="A reduced CDRN on the cascaded channel",
    config=Config,
    profiles={
        "smoke": {"snr_db": [0], "batch_size": 16, "max_units": 10, "num_steps": 10},
        "cpu": {},
        "paper": {"num_blocks": 3, "num_layers": 15, "num_filters": 64, "num_steps": 375_000,
                  "training_batch": 64, "peak_rate": 1e-3, "max_units": 1000},
    },
    metrics=TRAINING_METRICS,
    x_label="SNR [dB]",
)  # fmt: skip


def denoiser_of(cfg):
    """The shipped denoiser, or one to be trained."""
    if not cfg.retrain:
        return irs.weights.load(CDRN_SMALL, precision=cfg.precision)
    network = irs.CDRN(cfg.num_blocks, cfg.num_layers, cfg.num_filters)
    return irs.Denoiser(network, "direct", scene(cfg)[0].statistics.rho_c)


@cdrn.recursion("training", length="training_steps", record_every=100)
def training(cfg, seed):
    """Train on fresh draws at SNRs uniform over the sweep."""
    return trainer.training(
        denoiser_of(cfg),
        trainer.cosine_adam(cfg.peak_rate, cfg.num_steps),
        denoising_loss(scene(cfg)[0], cfg.training_batch, uniform_snr_db, cfg.num_patterns),
    )


@cdrn.ship(CDRN_SMALL)
def shipped(cfg, trained):
    """The denoiser with its final weights."""
    denoiser = denoiser_of(cfg)
    return trainer.assign(denoiser, trained["training"][0]) if cfg.retrain else denoiser


@cdrn.sweep(x="snr_db")
def curves(cfg, trained):
    """Squared errors on the same pilots."""
    channel, pilots = scene(cfg)
    estimators = references(pilots, channel.statistics)
    estimators[CDRN] = irs.LearnedEstimator(pilots, shipped(cfg, trained))

    return nmse_step(channel, pilots, estimators)


cdrn.published(
    "CENAS Fig. 7a; the bound is 1.28 dB under LS there",
    {
        "CDRN crosses the conventional methods near 15 dB: there it is no better than LS": (
            measured.paired("nmse", "LS", CDRN, x=15).less()
        )
    },
    expect="open",
)
