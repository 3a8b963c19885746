"""The runner's overhead over a bare compiled loop."""

import tempfile
import time


def _bare_seconds(step, batch_size, units):
    """The step alone in one compiled loop: no keys, no log, no stopping rule."""
    import tensorflow as tf

    def loop(x, count):
        def body(i, total):
            return i + 1, total + step(batch_size, x)["power", "z"][0]

        start = (tf.constant(0), tf.zeros([]))
        return tf.while_loop(lambda i, _: i < count, body, start)[1]

    loop = tf.function(loop, autograph=False)
    x = tf.constant(0.0)
    loop(x, tf.constant(1)).numpy()
    start = time.perf_counter()
    loop(x, tf.constant(units)).numpy()
    return time.perf_counter() - start


def runner_overhead():
    """Time of a run of 50 ms units over the time of the same units in a bare loop, less one."""
    import numpy as np
    import tensorflow as tf

    import link_sims
    from link_sims.runs import backend, store, sweep
    from link_sims.runs.executors.serial import Serial
    from link_sims.runs.progress import Progress
    from link_sims.runs.runner import identity_of

    class Config(link_sims.Config):
        x: link_sims.Grid = [0.0]

    experiment = link_sims.Experiment("bench/overhead", config=Config)

    @experiment.sweep(x="x")
    def builder(cfg, trained):
        import sionna_irs as irs

        def step(batch_size, x):
            z = irs.random.normal([batch_size, 100])
            return {("power", "z"): (tf.reduce_sum(z * z) + x, batch_size)}

        return step

    def config_of(batch_size, units):
        return experiment.resolve("cpu", {"batch_size": batch_size, "max_units": units})

    def serial(config):
        return Serial(experiment, config, "graph", {})

    backend.start(config_of(10, 2))
    step = builder(None, None)

    size = 20_000
    for _ in range(2):  # a first guess, then 50 ms
        size = int(size * 0.05 / (_bare_seconds(step, size, 10) / 10))
    ratios, units = [], 100
    for _ in range(3):
        bare = _bare_seconds(step, size, units)
        config = config_of(size, units)
        with tempfile.TemporaryDirectory() as folder:
            with store.RunFolder(folder, identity_of(experiment, "cpu", config)) as run:
                sweep.run_sweep(experiment, config, run, serial(config), Progress(quiet=True))
                run.records.clear()
            with store.RunFolder(folder + "/again", {}) as run:
                start = time.perf_counter()
                sweep.run_sweep(experiment, config, run, serial(config), Progress(quiet=True))
                ratios.append((time.perf_counter() - start) / bare)
    return {
        "unit of the overhead measurement": (1e3 * bare / units, "ms"),
        "runner overhead over a bare loop": (float(np.median(ratios)) - 1, "share"),
    }
