"""Random numbers and channel draws against the random-number ceiling."""

import math

from ...runs.timing import milliseconds


def _fastest(function):
    import tensorflow as tf

    return min(
        milliseconds(tf.function(function, jit_compile=jit, autograph=False))
        for jit in (False, True)
    )


def _ceiling(num_normals):
    """Time [ms] of Philox words and Box-Muller with both outputs used, nothing else."""
    import tensorflow as tf

    from sionna_irs.generator import unit_circle

    generator = tf.random.Generator.from_seed(1)
    half = num_normals // 2

    def draw():
        words = generator.uniform_full_int([2, half], tf.uint32)
        words = tf.bitcast(tf.bitwise.right_shift(words, tf.constant(8, tf.uint32)), tf.int32)
        u = tf.cast(words, tf.float32) * 2.0**-24
        radius = tf.sqrt(-2 * tf.math.log(1 - u[0]))
        cos, sin = unit_circle(u[1])
        return tf.reduce_sum(radius * cos), tf.reduce_sum(radius * sin)

    return _fastest(draw)


def random_numbers():
    """Share of the ceiling that our generator reaches, 1e6 single-precision normals."""
    import tensorflow as tf

    import sionna_irs as irs

    irs.random.install()
    size = 1_000_000
    ours = _fastest(lambda: tf.reduce_sum(irs.random.normal([size])))
    ceiling = _ceiling(size)
    return {
        "random-number ceiling": (size / ceiling * 1e3, "normals/s"),
        "our generator of the ceiling": (ceiling / ours, "share"),
    }


def channel_draws():
    """Share of the ceiling that draw and composition of the cascaded channel reach."""
    import tensorflow as tf

    import sionna_irs as irs

    irs.random.install()
    channel = irs.CascadedChannel(num_rx_ant=16, num_elements=64)
    surface = channel.surfaces["s1"]
    results = {}
    for batch_size in (64, 256, 1024):

        def compose(batch_size=batch_size):
            links = channel.draw(batch_size)
            phases = 2 * math.pi * irs.random.uniform([batch_size, surface.num_elements])
            return tf.reduce_sum(channel.compose(links, channel.reflect({"s1": phases})))

        num_normals = 2 * batch_size * (16 * 64 + 64 + 16)
        share = _ceiling(num_normals) / _fastest(compose)
        results[f"channel draw and composition of the ceiling, batch {batch_size}"] = (
            share,
            "share",
        )
    return results
