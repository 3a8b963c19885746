"""Uncoded QAM counting against Sionna's mapper and APP-demapper chain."""

from ...runs.timing import milliseconds


def qam_counting():
    """Symbols per second of both chains, the faster of graph and XLA for each."""
    import tensorflow as tf
    from sionna.phy.channel import AWGN
    from sionna.phy.mapping import BinarySource, Demapper, Mapper

    import sionna_irs as irs

    irs.random.install()
    num_symbols, bits, no = 200_000, 4, 0.1
    qam = irs.QAM(bits)
    source, mapper, awgn = BinarySource(), Mapper("qam", bits), AWGN()
    demapper = Demapper("app", "qam", bits, hard_out=True)

    def ours():
        labels = qam.draw([num_symbols])
        x = qam.modulate(labels)
        y = x + irs.random.complex_normal([num_symbols], x.dtype, no)
        return qam.count_errors(labels, qam.decide(y))

    def sionna():
        b = source([num_symbols * bits])
        wrong = tf.not_equal(b, demapper(awgn(mapper(b), no), no))
        symbols = tf.reduce_any(tf.reshape(wrong, [num_symbols, bits]), -1)
        return tf.math.count_nonzero(wrong), tf.math.count_nonzero(symbols)

    times = {
        name: min(
            milliseconds(tf.function(chain, jit_compile=jit, autograph=False))
            for jit in (False, True)
        )
        for name, chain in (("ours", ours), ("sionna", sionna))
    }
    return {
        "uncoded QAM counting": (num_symbols / times["ours"] * 1e3, "symbols/s"),
        "uncoded QAM counting, Sionna's chain": (num_symbols / times["sionna"] * 1e3, "symbols/s"),
        "uncoded QAM counting over Sionna's chain": (times["sionna"] / times["ours"], "ratio"),
    }
