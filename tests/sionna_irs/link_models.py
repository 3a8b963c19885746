"""Links that the tests build, save, and load in another process."""

import tensorflow as tf
from sionna.phy.channel import AWGN, ChannelModel, OFDMChannel
from sionna.phy.mapping import BinarySource, Demapper, Mapper
from sionna.phy.ofdm import ResourceGrid

import sionna_irs as irs


class FlatCIR(irs.LinkLayer):
    """A surface channel as a Sionna channel model: one path of delay zero."""

    def __init__(self, num_elements, **kwargs):
        super().__init__(**kwargs)
        antenna, panel = irs.ULA(1), irs.ULA(num_elements)
        hop = {"k_factor": float("inf"), "path_gain": 1 / num_elements}
        self.surface_channel = irs.SurfaceChannel(
            hops={
                "tx>s1": irs.RicianHop(antenna, panel, **hop),
                "s1>rx": irs.RicianHop(panel, antenna, **hop),
            },
            surfaces={"s1": irs.IdealPhases(panel, trainable=True, initial="random")},
            precision=self.precision,
        )

    def call(self, batch_size, num_time_steps, sampling_frequency=None):
        h = self.surface_channel(batch_size)
        a = tf.reshape(h, [batch_size, 1, 1, 1, 1, 1, 1])
        a = tf.tile(a, [1, 1, 1, 1, 1, 1, num_time_steps])
        return a, tf.zeros([batch_size, 1, 1, 1], self.rdtype)


ChannelModel.register(FlatCIR)


class OFDMLink(irs.Link):
    """Uncoded QPSK over OFDM, the surface channel inside Sionna's OFDMChannel."""

    def __init__(self, num_elements=8, **kwargs):
        super().__init__(**kwargs)
        self.grid = ResourceGrid(num_ofdm_symbols=2, fft_size=16, subcarrier_spacing=30e3)
        self.channel = OFDMChannel(
            FlatCIR(num_elements), self.grid, normalize_channel=False, return_channel=True
        )
        self.source = BinarySource()
        self.mapper = Mapper("qam", 2)
        self.demapper = Demapper("app", "qam", 2)

    def call(self, batch_size, ebno_db):
        no = irs.ebno_db_to_no(ebno_db, num_bits_per_symbol=2)
        no = tf.broadcast_to(no, [batch_size])
        b = self.source([batch_size, 1, 1, 2, 32])
        y, h = self.channel(self.mapper(b), no)
        h = tf.reshape(h, tf.shape(y))
        no_eff = tf.reshape(no, [-1, 1, 1, 1, 1]) / tf.square(tf.abs(h))
        return b, self.demapper(y / h, no_eff)


class QPSKLink(irs.Link):
    """Uncoded QPSK over AWGN, made of Sionna's blocks alone."""

    def __init__(self, num_bits=64, **kwargs):
        super().__init__(**kwargs)
        self.num_bits = num_bits
        self.source, self.awgn = BinarySource(), AWGN()
        self.mapper, self.demapper = Mapper("qam", 2), Demapper("app", "qam", 2)

    def call(self, batch_size, ebno_db):
        no = irs.ebno_db_to_no(ebno_db, num_bits_per_symbol=2)
        b = self.source([batch_size, self.num_bits])
        return b, self.demapper(self.awgn(self.mapper(b), no), no)
