"""Tuning with WMMSE oracles: against plain NumPy, and where the time goes, on one core."""

import contextlib
import os
import statistics
import time

from ...runs.timing import milliseconds

_REPLICAS, _NUM_ITER, _STEPS, _PLAIN_STEPS = 256, 20, 20, 100


@contextlib.contextmanager
def _one_core():
    """Keep every thread of the process on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _plain_step():
    """(median milliseconds, largest rate difference to our oracle) of the plain implementation."""
    import numpy as np

    import sionna_irs as irs

    from ...papers.precoding.wmmse_numpy import wmmse
    from . import zeroth_order_numpy as plain

    def normals(*shape):
        return irs.random.complex_normal(shape, "complex128").numpy()

    def links():
        return {"tx>s1": normals(40, 6), "s1>rx": normals(4, 40), "tx>rx": normals(4, 6)}

    place, los = plain.scenario(), links()
    state = plain.start(irs.random.uniform([40], "float64", -np.pi, np.pi).numpy())
    times = []
    for _ in range(_PLAIN_STEPS):
        fading, directions = links(), irs.random.normal([2, 40], "float64").numpy()
        begin = time.perf_counter()
        state, _ = plain.step(place, los, state, fading, directions, _NUM_ITER)
        times.append(1e3 * (time.perf_counter() - begin))
    h = np.stack([normals(4, 6) * np.sqrt(2) for _ in range(20)])
    oracle = irs.WMMSE(_NUM_ITER, "newton", 12, start="ones", precision="double")
    ours = oracle(h, 1.0, return_state=True)[1]["rate"].numpy()
    rates = [plain.sum_rate(x, wmmse(x, _NUM_ITER, plain.equal_entries(x))) for x in h]
    return statistics.median(times), float(np.max(np.abs(ours - rates)))


def zeroth_order():
    """Time of a replica's iteration: 6 antennas, 4 users, 40 elements, I = 20, 256 replicas."""
    import tensorflow as tf

    import sionna_irs as irs
    from link_sims.papers.izosga import common
    from link_sims.papers.izosga.fixed_oracles import small
    from link_sims.runs.recursion import Advance

    irs.random.install()
    cfg = small.resolve("cpu", {"num_replicas": _REPLICAS})
    channel, step_sizes = common.scenario(cfg)
    start, advance = common.tune(cfg, channel, step_sizes, {"tuned": common.fixed(_NUM_ITER)})
    state = start()
    num_normals = 2 * (40 * 6 + 4 * 40 + 4 * 6) + 80

    def compiled(function):
        return tf.function(function, jit_compile=True, autograph=False)

    def repeated(function):
        """Steps in one compiled loop, as the runner does it: no time for calls and copies."""

        def body(i, total):
            return i + 1, total + sum(tf.reduce_sum(tf.abs(x)) for x in tf.nest.flatten(function()))

        loop = compiled(
            lambda: tf.while_loop(lambda i, _: i < _STEPS, body, (tf.constant(0), 0.0))[1]
        )
        return 1e3 * milliseconds(loop) / _STEPS / _REPLICAS

    h = channel(_REPLICAS, policy=lambda links: common.first_controls(cfg, channel))
    oracle = compiled(lambda: common.new_oracle(cfg)(h, 1.0, num_iter=_NUM_ITER))
    with _one_core():
        plain, difference = _plain_step()
        window = Advance(advance, "yardstick", cfg.seed, state, "xla")
        total = 1e3 * milliseconds(lambda: window(state, 0, _STEPS)[1]) / _STEPS / _REPLICAS
        parts = {
            "random numbers alone": repeated(lambda: irs.random.normal([_REPLICAS * num_normals])),
            "channel draws": repeated(lambda: channel.draw(_REPLICAS)),
            "oracle, 20 iterations": 1e3 * milliseconds(oracle) / _REPLICAS,
        }
    found = {
        "plain NumPy (its module states how), a step": (1e3 * plain, "us"),
        "largest rate difference of both oracles": (difference, "bit/s/Hz"),
        "a replica's iteration, compiled, single precision": (total, "us"),
        "plain NumPy over compiled": (1e3 * plain / total, "times"),
    }
    for name, value in parts.items():
        found[f"of which: {name}"] = (value, "us")
    found["over the random-number floor"] = (total / parts["random numbers alone"], "times")
    return found
