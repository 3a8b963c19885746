"""From plane waves at random angles to 3GPP clusters: nothing is trained again.

Every user has a CDL channel of its own, turned by its own angle, narrow-band and with the mean
power per entry of the channel of the training. The front end is the one trained there.
"""

import math
from typing import Literal

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...results.plotting import draw_lines
from . import common
from .common import AWARE, JOINT, KNOWN, RATE, RLS_SCA, SCA

# Error-aware SCA behind LMMSE that knows one or the other covariance.
SAMPLED, TAUGHT = "LMMSE, sample covariance", "LMMSE, covariance of the training"
LEARNED = {
    "analog": ("analog", None),
    "estimator": ("estimator", "analog"),
    JOINT: ("joint", "estimator"),
}


class Config(common.HybridConfig):
    """The training covers the SNRs of the test."""

    models: list[Literal["A", "B", "C", "D", "E"]] = ["A", "D"]  # D, E: with a line of sight
    snr_db: link_sims.Grid = [0, 5, 10, 15, 20]
    training_snr_low_db: float = 0.0
    training_snr_high_db: float = 20.0
    num_steps: link_sims.PositiveInt = 600
    num_samples: link_sims.PositiveInt = 200
    delay_spread_s: link_sims.PositiveFloat = 100e-9
    carrier_frequency_hz: link_sims.PositiveFloat = 28e9
    batch_size: link_sims.PositiveInt = 32


cdl = link_sims.Experiment(
    "hybrid/cdl",
    title="Trained with clustered paths, used with 3GPP CDL channels",
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10], "num_samples": 8, "models": ["A"]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000, "max_units": 50},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)
common.declare(cdl, LEARNED)


def new_channel(cfg, model):
    """``batch_size -> h`` [B, K, Nr, Nt] of users who see the base station from K directions."""
    from sionna.phy.channel.tr38901 import CDL, PanelArray

    def array(num_ant):
        return PanelArray(1, num_ant, "single", "V", "omni", cfg.carrier_frequency_hz)

    def yaw(angle):
        return tf.constant([angle, 0.0, 0.0], cfg.rdtype)

    def user(index):
        # The clusters of CDL are those of one cell: users differ by the turn of both ends.
        turn = math.pi / 3 * (2 * (index + 0.5) / cfg.num_users - 1)
        sionna_cdl = CDL(
            model, cfg.delay_spread_s, cfg.carrier_frequency_hz, array(cfg.num_rx_ant),
            array(cfg.num_tx_ant), "downlink", ut_orientation=yaw(math.pi + turn),
            bs_orientation=yaw(turn),
        )  # fmt: skip
        hop = irs.CIRHop(sionna_cdl, path_gain=common.new_channel(cfg).path_power)
        return irs.SurfaceCIR({"tx>rx": hop}, {}, precision=cfg.precision)

    users = [user(index) for index in range(cfg.num_users)]

    def draw(batch_size):
        links = [channel.links(channel.draw(batch_size)) for channel in users]
        return tf.stack([x["tx>rx"] for x in links], 1)

    return draw


class Statistics:
    """In the place of a channel for LMMSE: the covariance of a few known channels."""

    def __init__(self, h):
        self.h = h

    def equivalent_covariance(self, f_rf, w_rf):
        """[K, n, n]: the mean over samples and rows of the equivalent channels."""
        heard = tf.linalg.matmul(w_rf, self.h, adjoint_a=True)
        h_eq = tf.linalg.matmul(heard, f_rf)
        covariance = tf.reduce_mean(tf.linalg.matmul(h_eq, h_eq, adjoint_a=True), 0)
        return covariance / h_eq.shape[-2]


@cdl.sweep(x="snr_db")
def curves(cfg, trained):
    """All schemes on the same channels of both models."""
    learned = common.learned(cfg, trained)
    front = learned[KNOWN].front
    classical = common.classical(cfg, front)
    sca, lmmse = classical[SCA].precoder, classical[AWARE].estimator
    shown = {
        SCA: classical[SCA],
        JOINT: learned[JOINT],
        RLS_SCA: classical[RLS_SCA],
        TAUGHT: classical[AWARE],
    }
    channels, systems = {}, {}
    irs.random.reset(irs.random.stream_key(cfg.seed))  # of the samples: the same on every resume
    for model in cfg.models:
        draw = channels[model] = new_channel(cfg, model)
        statistics = Statistics(draw(cfg.num_samples))
        sampled = irs.HybridSystem(front, sca, lmmse, channel=statistics, error_aware=True)
        systems[model] = {**shown, SAMPLED: sampled}

    def step(batch_size, snr_db):
        sums = {}
        for model, draw in channels.items():
            found = common.measure(cfg, systems[model], draw(batch_size), snr_db)
            sums |= {(metric, on(curve, model)): v for (metric, curve), v in found.items()}
        return sums

    return step


def on(curve, model):
    """Name of a curve on a model."""
    return f"{curve}, CDL-{model}"


@cdl.figure
def draw_models(results, figure):
    """A panel for every model."""
    figure.set_size_inches(7.2, 4.2)
    models = results.config.models
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    shown = (SCA, JOINT, SAMPLED, TAUGHT, RLS_SCA)
    for axes, model in zip(panels, models, strict=True):
        draw_lines(axes, results, RATE, {on(c, model): c for c in shown})
        axes.set(title=f"CDL-{model}", xlabel="SNR [dB]")
    panels[0].set_ylabel("sum rate [bit/s/Hz]")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


for _expect, _others in {"holds": [RLS_SCA], "does-not-hold": [TAUGHT, SAMPLED]}.items():
    cdl.ours(
        f"this package: other statistics than those of the training; {common.SET}",
        {
            f"without training for it, joint is above {other} at 10 dB on CDL-{model}": (
                measured.paired(RATE, on(JOINT, model), on(other, model), x=10).greater()
            )
            for model in ("A", "D")
            for other in _others
        },
        _expect,
    )
