"""Coded downlinks: one code word per user, over one channel or over several streams."""

import sionna_irs as irs
from link_sims import tf


def coded_downlink(num_users, num_info_bits, num_coded_bits, num_bits_per_symbol):
    """``send(no, {curve: (h, v)}) -> sums``: block and bit errors of precoders.

    All curves carry the same bits and noise; ``h`` is [B, K, M], ``v`` [B, M, K]. Every user has
    one antenna, knows its own effective gain and treats interference as noise.
    """
    send_streams = coded_streams(num_users, 1, num_info_bits, num_coded_bits, num_bits_per_symbol)

    def receive(h, v, no):
        field = tf.linalg.matmul(h, v)
        gain = tf.linalg.diag_part(field)[..., None]
        sinr = irs.metrics.sinr(h, v, no)[..., None]
        return field[..., None, :], tf.ones([*field.shape[:-1], 1, 1], field.dtype), gain, sinr

    def send(no, precoded):
        return send_streams(no, {curve: receive(*pair, no) for curve, pair in precoded.items()})

    return send


def coded_streams(num_users, num_streams, num_info_bits, num_coded_bits, num_bits_per_symbol):
    """``send(no, {curve: (field, w, gain, sinr)}) -> sums``: block and bit errors of receivers.

    A code word takes turns on the streams of its user. ``field`` [B, K, Ns, K Ns] leads from all
    streams, user by user, to those behind the combiners; ``w`` [B, K, rx, Ns] combines the white
    noise of the antennas. ``gain`` and ``sinr`` [B, K, Ns] are what a user believes about its
    streams. All curves carry the same bits and noise.
    """
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.mapping import BinarySource, Demapper, Mapper

    source, mapper = BinarySource(), Mapper("qam", num_bits_per_symbol)
    demapper = Demapper("app", "qam", num_bits_per_symbol)
    encoder = LDPC5GEncoder(num_info_bits, num_coded_bits)
    # Sionna's min-sum decoder works in single precision only.
    decoder = LDPC5GDecoder(
        encoder, num_iter=20, hard_out=True, cn_update="offset-minsum", precision="single"
    )
    num_slots = num_coded_bits // (num_bits_per_symbol * num_streams)

    def send(no, receptions):
        batch_size, _, num_rx_ant = next(iter(receptions.values()))[1].shape[:3]
        bits = source([batch_size, num_users, num_info_bits])
        x = mapper(encoder(bits))
        x = tf.reshape(x, [batch_size, num_users, num_slots, num_streams])
        x = tf.reshape(tf.linalg.matrix_transpose(x), [batch_size, 1, -1, num_slots])
        shape = [batch_size, num_users, num_rx_ant, num_slots]
        noise = irs.random.complex_normal(shape, x.dtype, no)
        sums = {}
        for curve, (field, w, gain, sinr) in receptions.items():
            received = tf.linalg.matmul(field, x) + tf.linalg.matmul(w, noise, adjoint_a=True)
            # A stream without power hears noise alone; its blocks count.
            size = tf.maximum(tf.square(tf.abs(gain)), 1e-12)
            x_hat = received * (tf.math.conj(gain) / tf.cast(size, x.dtype))[..., None]
            no_eff = tf.broadcast_to(1 / tf.maximum(sinr, 1e-12)[..., None], x_hat.shape)
            x_hat, no_eff = (
                tf.reshape(tf.linalg.matrix_transpose(t), [batch_size, num_users, -1])
                for t in (x_hat, no_eff)
            )
            llr = demapper(x_hat, no_eff)
            wrong = tf.not_equal(bits, tf.cast(decoder(tf.cast(llr, tf.float32)), bits.dtype))
            blocks = tf.reduce_any(wrong, -1)
            sums["bler", curve] = (_count(blocks), blocks.shape.num_elements())
            sums["ber", curve] = (_count(wrong), wrong.shape.num_elements())
        return sums

    return send


def _count(mask):
    return tf.reduce_sum(tf.cast(mask, tf.float32))


def check_symbols(num_coded_bits, num_bits_per_symbol):
    """ValueError unless the bits fill whole symbols."""
    if num_coded_bits % num_bits_per_symbol:
        raise ValueError(
            f"num_coded_bits = {num_coded_bits}: a multiple of {num_bits_per_symbol} is needed"
        )
