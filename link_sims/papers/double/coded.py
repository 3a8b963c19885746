"""Block errors of a coded OFDM link over two surfaces: what the phase policies are worth.

One stream on the strongest mode at the carrier, for every policy's own channel; the receiver knows
the channel. The ways over the surfaces have the delays of their lengths, the scattered parts of all
hops an excess delay. The policies see the links at the carrier, or on all subcarriers.
"""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ..ofdm.coded import CodedConfig, coded_link
from . import common

RANDOM, EQUAL, STATISTICAL = "random phases", "equal phases", "statistical phases"
GAIN, WIDE, MODE = "largest gain at the carrier", "largest gain, wideband", "strongest mode"
APART = "largest gain, no double reflection"


class Config(common.DoubleConfig, CodedConfig):
    """16 paths; the transmit power is that of one subcarrier."""

    tx_power_dbm: link_sims.Grid = [0, 1, 2, 3, 4, 12, 14, 16, 18, 20]
    num_elements: link_sims.PositiveInt = 64
    k_factor: Annotated[float, Field(ge=0)] = 1.0
    carrier_frequency_hz: link_sims.PositiveFloat = 3.5e9
    mean_excess_delay_s: link_sims.PositiveFloat = 20e-9
    bandwidth_hz: link_sims.PositiveFloat = 20e6
    num_subcarriers: link_sims.PositiveInt = 24
    num_ofdm_symbols: link_sims.PositiveInt = 14
    batch_size: link_sims.PositiveInt = 25
    min_units: link_sims.PositiveInt = 4
    max_units: link_sims.PositiveInt = 10


coded = link_sims.Experiment(
    "double/coded-bler",
    title="Coded OFDM over two surfaces, N = 64, K = 1, QPSK, rate 1/2",
    config=Config,
    profiles={
        "smoke": {
            "tx_power_dbm": [0, 20], "num_elements": 9, "num_subcarriers": 8, "batch_size": 4,
            "max_units": 4,
        },
        "cpu": {},
        "paper": {"max_units": 400},
    },
    x_label="transmit power per subcarrier [dBm]",
)  # fmt: skip


@coded.sweep(x="tx_power_dbm")
def curves(cfg, trained):
    """All policies on the same draws, bits and noise."""
    from ..ofdm.hops import subcarriers

    channel = common.new_channel(
        cfg, cfg.num_elements, cfg.k_factor, carrier_frequency=cfg.carrier_frequency_hz
    )
    cir = irs.DoubleSurfaceCIR(channel, cfg.mean_excess_delay_s, frequencies=subcarriers(cfg))
    gain, mode, statistical = irs.SumPathGain(), irs.DominantMode(), irs.StatisticalPhases(channel)
    send, random = coded_link(cfg), irs.RandomPhases()

    def step(batch_size, tx_power_dbm):
        wide = cir.links(cir.draw(batch_size, 1, cfg.bandwidth_hz))
        links = {name: hop[:, cfg.num_subcarriers // 2] for name, hop in wide.items()}
        drawn = random(links)
        controls = {
            RANDOM: drawn,
            EQUAL: {name: tf.zeros_like(c) for name, c in drawn.items()},
            STATISTICAL: statistical(links),
            GAIN: gain(links),
            APART: gain(common.without(links, "s1>s2")),
            WIDE: gain(wide),
            MODE: mode(links),
        }
        no = tf.pow(10.0, 3 - tf.cast(tx_power_dbm, channel.rdtype) / 10)
        h = tf.stack([common.channel_of(wide, c) for c in controls.values()])
        _, _, v = irs.linalg.dominant_singular_vectors(h[:, :, cfg.num_subcarriers // 2])
        wrong = tf.unstack(send(tf.matmul(h, v[:, :, None, :, None]), no))
        counts = {}
        for name, bits in zip(controls, wrong, strict=True):
            counts["bler", name] = tf.math.count_nonzero(tf.reduce_any(bits, -1)), batch_size
            counts["ber", name] = tf.math.count_nonzero(bits), tf.size(bits)
        return counts

    return step


coded.ours(
    "this package; set from the capacities of double/capacity-vs-elements, 2026-11",
    {
        **{
            f"at BLER 0.5 {better} needs at least 6 dB less than {worse}": (
                measured.shift("bler", worse, better, 0.5).greater(6.0)
            )
            for better, worse in ((GAIN, RANDOM), (STATISTICAL, RANDOM), (GAIN, EQUAL))
        },
        "at BLER 0.5 phases from statistics cost less than 2 dB": (
            measured.shift("bler", STATISTICAL, GAIN, 0.5).less(2.0)
        ),
    },
)
coded.ours(
    "this package; open since 2026-11: one phase for all subcarriers, a gain of all modes",
    {
        "at BLER 0.5 the wideband design needs less than the design at the carrier": (
            measured.shift("bler", GAIN, WIDE, 0.5).greater(0.0)
        ),
        "at BLER 0.5 the strongest mode beats the largest gain: one stream is sent": (
            measured.shift("bler", GAIN, MODE, 0.5).greater(0.0)
        ),
    },
    expect="open",
)
