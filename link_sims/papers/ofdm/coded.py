"""A coded OFDM link over given frequency responses: one stream, one code word on the grid."""

import link_sims
import sionna_irs as irs
from link_sims import tf


class CodedConfig(link_sims.Config):
    """The grid and the code."""

    bandwidth_hz: link_sims.PositiveFloat = 100e6
    num_subcarriers: link_sims.PositiveInt = 76
    num_ofdm_symbols: link_sims.PositiveInt = 4
    num_bits_per_symbol: link_sims.EvenBits = 2
    code_rate: link_sims.PositiveFloat = 0.5

    @property
    def num_coded_bits(self):
        """Bits on the grid, one code word."""
        return self.num_subcarriers * self.num_ofdm_symbols * self.num_bits_per_symbol

    @property
    def num_info_bits(self):
        """Bits before coding."""
        return round(self.code_rate * self.num_coded_bits)

    def check(self):
        """What the 5G LDPC code can do."""
        if not 0.2 <= self.code_rate <= 0.92:
            raise ValueError(f"code_rate = {self.code_rate}: 0.2 to 0.92 is permitted")
        if not 12 <= self.num_info_bits <= 8448:
            raise ValueError(
                f"num_subcarriers = {self.num_subcarriers}, num_ofdm_symbols = "
                f"{self.num_ofdm_symbols}: {self.num_info_bits} information bits; at least 12 and "
                "at most 8448 are permitted"
            )


def coded_link(cfg):
    """``send(h, no)``: which bits are wrong [S, B, k], the same bits and noise through S channels.

    ``h`` is [S, B, F, M, 1].
    """
    from sionna.phy.channel import ApplyOFDMChannel
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.mapping import BinarySource, Demapper, Mapper
    from sionna.phy.mimo import StreamManagement
    from sionna.phy.ofdm import LMMSEEqualizer, ResourceGrid, ResourceGridMapper

    spacing = cfg.bandwidth_hz / cfg.num_subcarriers
    grid = ResourceGrid(cfg.num_ofdm_symbols, cfg.num_subcarriers, spacing)
    source, to_grid, apply_channel = BinarySource(), ResourceGridMapper(grid), ApplyOFDMChannel()
    encoder = LDPC5GEncoder(cfg.num_info_bits, cfg.num_coded_bits)
    # Sionna's min-sum decoder works in single precision only.
    decoder = LDPC5GDecoder(encoder, cn_update="offset-minsum", num_iter=12, precision="single")
    mapper = Mapper("qam", cfg.num_bits_per_symbol)
    demapper = Demapper("app", "qam", cfg.num_bits_per_symbol)
    equalizer = LMMSEEqualizer(grid, StreamManagement([[1]], 1))

    def send(h, no):
        num_schemes, batch_size, num_subcarriers, num_rx_ant, _ = h.shape
        b = source([batch_size, 1, 1, cfg.num_info_bits])
        x = to_grid(mapper(encoder(b)))
        shape = [batch_size, 1, num_rx_ant, cfg.num_ofdm_symbols, num_subcarriers]
        noise = irs.random.complex_normal(shape, x.dtype, no)
        x, noise = (tf.tile(v, [num_schemes, 1, 1, 1, 1]) for v in (x, noise))
        h = tf.reshape(tf.transpose(h, [0, 1, 3, 4, 2]), [-1, 1, num_rx_ant, 1, 1, 1, shape[-1]])
        h = tf.repeat(h, cfg.num_ofdm_symbols, 5)
        y = apply_channel(x, h) + noise
        b_hat = decoder(demapper(*equalizer(y, h, tf.zeros_like(no), no)))
        b_hat = tf.reshape(b_hat, [num_schemes, batch_size, cfg.num_info_bits])
        return tf.not_equal(b[:, 0, 0] > 0.5, b_hat > 0.5)

    return send
