"""A coded downlink to single-antenna users: one code word per user over one channel."""


def coded_downlink(num_users, num_info_bits, num_coded_bits, num_bits_per_symbol):
    """``send(no, {curve: (h, v)}) -> sums``: block and bit errors of precoders.

    All curves carry the same bits and noise; ``h`` is [B, K, M], ``v`` [B, M, K]. Every user knows
    its own effective gain and treats interference as noise.
    """
    import tensorflow as tf
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.mapping import BinarySource, Demapper, Mapper

    import sionna_irs as irs

    source, mapper = BinarySource(), Mapper("qam", num_bits_per_symbol)
    demapper = Demapper("app", "qam", num_bits_per_symbol)
    encoder = LDPC5GEncoder(num_info_bits, num_coded_bits)
    # Sionna's min-sum decoder works in single precision only.
    decoder = LDPC5GDecoder(
        encoder, num_iter=20, hard_out=True, cn_update="offset-minsum", precision="single"
    )

    def send(no, precoded):
        batch_size = next(iter(precoded.values()))[0].shape[0]
        bits = source([batch_size, num_users, num_info_bits])
        x = mapper(encoder(bits))
        noise = irs.random.complex_normal(tf.shape(x), x.dtype, no)
        sums = {}
        for curve, (h, v) in precoded.items():
            field = tf.linalg.matmul(h, v)
            gain = tf.linalg.diag_part(field)[..., None]
            # A user without power hears noise alone; its blocks count.
            size = tf.maximum(tf.square(tf.abs(gain)), 1e-12)
            received = tf.linalg.matmul(field, x) + noise
            x_hat = received * tf.math.conj(gain) / tf.cast(size, x.dtype)
            no_eff = 1 / tf.maximum(irs.metrics.sinr(h, v, no), 1e-12)
            llr = demapper(x_hat, tf.broadcast_to(no_eff[..., None], x.shape))
            wrong = tf.not_equal(bits, tf.cast(decoder(tf.cast(llr, tf.float32)), bits.dtype))
            blocks = tf.reduce_any(wrong, -1)
            sums["bler", curve] = (_count(blocks), blocks.shape.num_elements())
            sums["ber", curve] = (_count(wrong), wrong.shape.num_elements())
        return sums

    return send


def _count(mask):
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(mask, tf.float32))


def check_code(num_info_bits, num_coded_bits, num_bits_per_symbol):
    """ValueError unless the 5G LDPC code of these sizes exists and fills whole symbols."""
    rate = num_info_bits / num_coded_bits
    if not 0.2 <= rate <= 0.948 or num_coded_bits % num_bits_per_symbol:
        raise ValueError(
            f"num_coded_bits = {num_coded_bits}: a multiple of {num_bits_per_symbol} with a code "
            f"rate in [0.2, 0.948] is needed, not {rate:.3g}"
        )
