"""Training of convolutional networks against the matrix-product rate."""

from ...runs.timing import milliseconds

_SIZE = 1024


def _forward_operations(layer, *inputs):
    """Floating-point operations of one forward pass, as TensorFlow counts them."""
    import tensorflow as tf

    graph = tf.function(layer).get_concrete_function(*inputs).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


def _matrix_rate():
    """Operations per millisecond of a single-precision matrix product."""
    import tensorflow as tf

    a = tf.ones([_SIZE, _SIZE])
    return 2 * _SIZE**3 / milliseconds(tf.function(lambda: a @ a))


def training_throughput():
    """Share of the matrix-product rate that a training step reaches, batch 16, 16 x 65 maps."""
    import tensorflow as tf

    import sionna_irs as irs
    from link_sims.papers.cascade import CascadeConfig, scene
    from link_sims.papers.cenas import common, networks
    from link_sims.training.training import cosine_adam, training

    irs.random.install()
    channel, _ = scene(CascadeConfig())
    statistics, rate, batch_size = channel.statistics, _matrix_rate(), 16
    found = {"single-precision matrix product, 1024": (rate * 1e3, "operations/s")}
    cases = {
        "one network for all SNRs, 16 filters": common.new_denoiser(
            statistics, norm=False, context=True, num_filters=16
        ),
        "reduced CDRN, 24 filters": irs.Denoiser(irs.CDRN(1, 8, 24), "direct", statistics.rho_c),
    }
    for filters in (24, 48):
        cases[f"network D of the table, {filters} filters"] = common.new_denoiser(
            statistics, networks.cells_of("D"), snr_input=False, num_filters=filters
        )
    for name, denoiser in cases.items():
        loss = common.denoising_loss(channel, batch_size, common.uniform_snr_db, 65)
        start, advance = training(denoiser, cosine_adam(1e-3, 100), loss)
        step = tf.function(advance, autograph=False)
        state = start()
        time = milliseconds(lambda step=step, state=state: step(state, tf.constant(0, tf.int64)))
        maps = tf.ones([batch_size, 16, 65, denoiser.network.num_channels])
        # Backward through a convolution: one product for the input, one for the kernel.
        operations = 3 * _forward_operations(denoiser.network, maps)
        found[f"training step, {name}"] = (time, "ms")
        found[f"of the matrix-product rate, {name}"] = (operations / time / rate, "share")
    return found
