"""The 5G uplink channel (PUSCH) through a surface that knows the channel's statistics alone.

A user sends one slot of 16 resource blocks over the surface to a base station with four antennas;
Sionna's standard transmitter and receiver, 3GPP's clustered hops: CDL-A into the panel, CDL-D out
of it. The angles of these models are the same in every draw, so one set of phases, designed from
the covariance of the path pairs, serves all of them. It is compared with random phases, each with
perfect channel knowledge at the receiver and with LS estimates from the demodulation reference
signals, on the same channels, noise and bits.

The SNR is 1/N0 for hops of unit mean power per pair of antennas. There is no curve without the
surface: on this axis the product of the two hops' path gains is 1, and the gain of a direct path
relative to a product of two others depends on distances, which the quickstart has and this
experiment has not.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ..ofdm.hops import cdl

SUBCARRIER_SPACING_KHZ = 30
CYCLIC_PREFIX_S = 144 / 2048 / (1e3 * SUBCARRIER_SPACING_KHZ)
# The last paths of CDL-A and CDL-D, in delay spreads.
LAST_DELAYS = 9.6586 + 12.525


class Config(link_sims.Config):
    """The slot, the arrays and the channel."""

    snr_db: link_sims.Grid = [-36, -34, -32, -30, -28, -24, -20, -18, -16]
    num_resource_blocks: Annotated[int, Field(ge=1, le=275)] = 16
    mcs_index: Annotated[int, Field(ge=0, le=28)] = 9
    num_rx_ant: link_sims.PositiveInt = 4
    num_rows: link_sims.PositiveInt = 8
    num_cols: link_sims.PositiveInt = 8
    delay_spread_s: link_sims.PositiveFloat = 30e-9
    carrier_frequency_hz: link_sims.PositiveFloat = 3.5e9
    num_design_draws: link_sims.PositiveInt = 200
    batch_size: link_sims.PositiveInt = 50
    max_units: Annotated[int, Field(ge=2, le=10**6)] = 20

    def check(self):
        """The channel acts on subcarriers, where later paths than the prefix do no harm."""
        last = LAST_DELAYS * self.delay_spread_s
        if last > CYCLIC_PREFIX_S:
            raise ValueError(
                f"delay_spread_s = {self.delay_spread_s}: the last paths arrive {last:.3g} s after "
                f"the first; at most {CYCLIC_PREFIX_S / LAST_DELAYS:.3g}, for the cyclic prefix "
                f"of {CYCLIC_PREFIX_S:.3g} s, is permitted"
            )


pusch = link_sims.Experiment(
    "nr/pusch-bler",
    title="5G NR uplink (PUSCH) through a surface: CDL-A and CDL-D hops",
    config=Config,
    profiles={
        "smoke": {
            "snr_db": [-36, -28, -16], "num_resource_blocks": 4, "batch_size": 10, "max_units": 4,
        },
        "cpu": {},
        "paper": {"snr_db": list(range(-42, -7, 2)), "batch_size": 200, "max_units": 100},
    },
    metrics={"gain": link_sims.Metric("mean power gain [dB]", db=True, listed=False)},
    execution_cpu="xla",
    x_label="SNR at unit hop gains [dB]",
)  # fmt: skip

RANDOM, STATISTICAL = "random phases", "statistical phases"
PERFECT, LS = "perfect CSI", "LS"


def build_channel(cfg):
    """The two hops and the panel."""
    user, panel, base = (1, 1), (cfg.num_rows, cfg.num_cols), (1, cfg.num_rx_ant)
    scene = cfg.delay_spread_s, cfg.carrier_frequency_hz
    return irs.SurfaceCIR(
        hops={"tx>s1": cdl("A", *scene, user, panel), "s1>rx": cdl("D", *scene, panel, base)},
        surfaces={"s1": irs.IdealPhases(irs.UPA(*panel))},
    )


def build_link(cfg):
    """(transmitter, {name: receiver}): one extra position of reference signals, one user."""
    from sionna.phy import nr

    config = nr.PUSCHConfig(
        carrier_config=nr.CarrierConfig(
            n_size_grid=cfg.num_resource_blocks, subcarrier_spacing=SUBCARRIER_SPACING_KHZ
        ),
        pusch_dmrs_config=nr.PUSCHDMRSConfig(additional_position=1),
        tb_config=nr.TBConfig(channel_type="PUSCH", mcs_table=1, mcs_index=cfg.mcs_index),
    )
    transmitter = nr.PUSCHTransmitter(config)
    return transmitter, {
        PERFECT: nr.PUSCHReceiver(transmitter, channel_estimator="perfect"),
        LS: nr.PUSCHReceiver(transmitter),
    }


def design(cfg, channel):
    """Statistical phases [N], and their mean power over that of random phases."""
    # Draws of their own: the same design whenever, and in whatever order, points are simulated.
    irs.random.reset(irs.random.stream_key(cfg.seed, 0))
    cirs = channel.draw(cfg.num_design_draws)
    arriving = covariance(cirs["tx>s1"].a.numpy()[:, 0, :, 0, 0, :, 0], "bnp,bmp->nm")
    leaving = covariance(cirs["s1>rx"].a.numpy()[:, 0, :, 0, :, :, 0], "binq,bimq->nm")
    # Independent hops: the expectation of the products is the product of the expectations.
    cascade = arriving * leaving
    phases = irs.dominant_phases(cascade).numpy()
    theta = np.exp(1j * phases)
    return phases, np.real(theta @ cascade @ theta.conj() / np.trace(cascade))


def covariance(gains, subscripts):
    """Sum of g g^H over everything but the elements, in double precision."""
    gains = gains.astype(complex)
    return np.einsum(subscripts, gains, gains.conj())


@pusch.table
def gain(cfg):
    """What the design promises."""
    return [link_sims.row("gain", STATISTICAL, None, design(cfg, build_channel(cfg))[1])]


@pusch.sweep(x="snr_db")
def curves(cfg, trained):
    """Block errors of every scheme on the same draws."""
    from sionna.phy.channel import ApplyOFDMChannel, subcarrier_frequencies

    channel = build_channel(cfg)
    transmitter, receivers = build_link(cfg)
    grid = transmitter.resource_grid
    frequencies = subcarrier_frequencies(grid.fft_size, grid.subcarrier_spacing)
    apply, random_phases = ApplyOFDMChannel(), irs.RandomPhases()
    statistical = {"s1": channel.real(design(cfg, channel)[0])}

    def step(batch_size, snr_db):
        no = irs.snr_db_to_no(snr_db)
        cirs = channel.draw(batch_size)
        phases = {RANDOM: random_phases(channel.links(cirs)), STATISTICAL: statistical}
        h = tf.concat([channel.response(cirs, frequencies, p) for p in phases.values()], 0)
        h = tf.repeat(h, grid.num_ofdm_symbols, axis=-2)  # nothing moves
        x, b = transmitter(batch_size)
        noise = irs.random.complex_normal(
            [batch_size, 1, cfg.num_rx_ant, *x.shape[-2:]], x.dtype, no
        )
        x, b, noise = (tf.concat([v] * len(phases), 0) for v in (x, b, noise))
        y = apply(x, h) + noise
        counts = {}
        for csi, receiver in receivers.items():
            b_hat = receiver(y, no, h) if csi == PERFECT else receiver(y, no)
            failed = tf.reduce_any(tf.not_equal(b, b_hat), [1, 2])
            for name, blocks in zip(phases, tf.split(failed, len(phases)), strict=True):
                counts["bler", f"{name}, {csi}"] = tf.math.count_nonzero(blocks), batch_size
        return counts

    return step


pusch.ours(
    "this package; set from the cpu profile, 2026-11",
    {
        "statistical phases raise the mean power by 13.5 dB over random phases": (
            measured.at("gain", STATISTICAL, None).within_db(13.5, 0.3)
        ),
        **{
            f"statistical phases save 13 dB at a block error rate of 0.5, {csi}": (
                measured.shift("bler", f"{RANDOM}, {csi}", f"{STATISTICAL}, {csi}", 0.5).within(
                    13, 1.5
                )
            )
            for csi in (PERFECT, LS)
        },
        **{
            f"LS estimates cost blocks against perfect CSI, {name} at {x} dB": (
                measured.paired("bler", f"{name}, {LS}", f"{name}, {PERFECT}", x=x).greater()
            )
            for name, x in ((RANDOM, -16), (STATISTICAL, -28))
        },
    },
)
