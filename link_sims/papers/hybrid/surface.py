"""A surface between base station and users: its phases are analog phases like any other.

Both stay as they are while channels fade about fixed lines of sight. They are trained together on
the rate of the unfolded precoder, with known channels, and used with SCA.
"""

import math

import numpy as np

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...results.plotting import draw_lines
from ...training import training as trainer
from . import common
from .common import RATE

TRAINED, RANDOM, ALIGNED = "trained surface", "random surface", "aligned surface"
DIRECT = "no surface"
CURVES = (TRAINED, ALIGNED, RANDOM, DIRECT)


class Config(common.HybridConfig):
    """Users behind an obstacle: the direct path lacks a line of sight and is weak.

    Gains are mean powers of an entry, those of the hops over the surface for all of its elements
    together with random phases.
    """

    num_elements: link_sims.PositiveInt = 64
    k_factor: link_sims.PositiveFloat = 10.0
    direct_gain: link_sims.PositiveFloat = 0.02
    surface_gain: link_sims.PositiveFloat = 0.02
    snr_db: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    training_snr_low_db: float = -5.0
    training_snr_high_db: float = 20.0
    num_steps: link_sims.PositiveInt = 600
    peak_rate: link_sims.LearningRate = 1e-2


surface = link_sims.Experiment(
    "hybrid/surface",
    title="Front end and 64-element surface for all channels of 2 users, K = 10",
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10], "num_elements": 4},
        "cpu": {},
        "paper": {**common.FULL, "num_elements": 256, "num_steps": 20_000},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)


def lines_of_sight(cfg):
    """(base station to surface [N, Nt], surface to users [K, Nr, N]), entries of modulus one."""
    base, panel, user = (irs.ULA(n) for n in (cfg.num_tx_ant, cfg.num_elements, cfg.num_rx_ant))
    level = math.pi / 2  # zenith: everything is at the same height
    first = irs.los_matrix(base, panel, (0.3, level), (-0.5, level))
    angles = np.pi / 3 * (2 * (np.arange(cfg.num_users) + 0.5) / cfg.num_users - 1)
    last = [irs.los_matrix(panel, user, (angle, level), (-angle, level)) for angle in angles]
    return first, np.stack(last)


def aligned(cfg):
    """Phases [N] that add up the lines of sight to all users at the panel, [radian]."""
    first, last = lines_of_sight(cfg)
    return -np.angle(np.sum(last[:, 0] * first[:, 0], 0))


def new_channel(cfg, initial):
    """Direct path and surface, with the phases at the start: an array, or "random"."""
    base, panel, user = (irs.ULA(n) for n in (cfg.num_tx_ant, cfg.num_elements, cfg.num_rx_ant))
    same, users = {"precision": cfg.precision}, {"num_users": cfg.num_users}
    first, last = lines_of_sight(cfg)
    gain = math.sqrt(cfg.surface_gain / cfg.num_elements)  # of each of two hops
    hops = {
        "tx>s1": irs.RicianHop(base, panel, cfg.k_factor, gain, first, **same),
        "s1>rx": irs.RicianHop(panel, user, cfg.k_factor, gain, last, **users, **same),
        "tx>rx": irs.RayleighHop(base, user, cfg.direct_gain, **users, **same),
    }
    elements = irs.IdealPhases(panel, trainable=True, initial=initial, **same)
    return irs.SurfaceChannel(hops, {"s1": elements}, **same)


def new_downlink(cfg, curve):
    """Surface, front end and unfolded precoder as one layer ``(links, no) -> dict``."""

    class Downlink(irs.LinkLayer):
        """A hybrid system that sees the channel over the surface."""

        def __init__(self, channel, system, **kwargs):
            super().__init__(**kwargs)
            self.channel, self.system = channel, system

        def call(self, links, no, training=False):
            h = links["tx>rx"]
            if curve != DIRECT:
                h = self.channel.compose(links, self.channel.reflect())
            return self.system(h, no, training=training)

    same = {"precision": cfg.precision}
    precoder = irs.UnfoldedSCA(
        cfg.num_layers, cfg.num_streams, cfg.num_tx_chains, cfg.num_rx_chains, **same
    )
    initial = aligned(cfg) if curve == ALIGNED else "random"
    system = irs.HybridSystem(common.new_front(cfg), precoder)
    return Downlink(new_channel(cfg, initial), system, **same)


def declare(curve):
    """The training of a front end, with its surface or for it."""

    @surface.recursion(curve, "stage_steps", record_every=100)
    def train(cfg, seed):
        layer = new_downlink(cfg, curve)
        low, high = cfg.training_snr_low_db, cfg.training_snr_high_db

        def loss(call, t):
            snr_db = low + (high - low) * irs.random.uniform([], layer.rdtype)
            links = layer.channel.draw(cfg.training_batch)
            rate = tf.reduce_mean(call(links, common.noise(cfg, snr_db)[0])["rate"])
            return -tf.math.log(rate), {(common.TRAINING_RATE, curve): (rate, 1)}

        optimizer = trainer.cosine_adam(cfg.peak_rate, cfg.num_steps)
        variables = (layer if curve == TRAINED else layer.system).trainable_variables
        return trainer.training(layer, optimizer, loss, variables=variables)


for _curve in CURVES:
    declare(_curve)


@surface.sweep(x="snr_db")
def curves(cfg, trained):
    """SCA behind every front end and surface on the same hops."""
    layers = {c: trainer.assign(new_downlink(cfg, c), trained[c][0]) for c in CURVES}
    sca = irs.SCA(cfg.num_streams, cfg.num_iter, precision=cfg.precision)
    channel = layers[TRAINED].channel

    def step(batch_size, snr_db):
        links, sums = channel.draw(batch_size), {}
        no = common.noise(cfg, snr_db)[0]
        for curve, layer in layers.items():
            found = layer(links, no)
            seen = found["h_eq"], found["r_w"], found["gram"], no
            f, w = sca(*seen)
            rate = irs.metrics.stream_rate(found["h_eq"], f, w, no, found["r_w"])
            sums[RATE, curve] = tf.reduce_sum(rate), batch_size
            sums[RATE, unfolded(curve)] = tf.reduce_sum(found["rate"]), batch_size
        return sums

    return step


def unfolded(curve):
    """Name of a curve with the precoder of the training."""
    return f"{curve}, unfolded"


@surface.figure
def draw_rates(results, figure):
    """SCA as lines, the unfolded precoder dotted."""
    figure.set_size_inches(4.6, 4.2)
    axes = figure.subplots()
    draw_lines(axes, results, RATE, {c: c for c in CURVES})
    draw_lines(axes, results, RATE, {unfolded(c): None for c in CURVES}, ":")
    axes.set(xlabel="SNR [dB]", ylabel="sum rate [bit/s/Hz]")
    axes.set_title(f"{results.experiment.title}; dotted: unfolded", fontsize=8)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)


surface.ours(
    f"this package: an outlook of the mixed-timescale paper; {common.SET}",
    {
        text: check
        for worse in (ALIGNED, RANDOM, DIRECT)
        for text, check in common.above(TRAINED, worse, -5, 20).items()
    },
)
surface.ours(
    f"this package: SCA is slow to switch off streams beside a line of sight; {common.SET}",
    {
        "at 0 dB four unfolded layers are above 20 iterations of SCA behind the trained surface": (
            measured.paired(RATE, unfolded(TRAINED), TRAINED, x=0).greater()
        )
    },
)
