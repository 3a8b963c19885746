"""Small complex systems against NumPy."""

from ...runs.timing import milliseconds


def small_systems():
    """Hermitian solves of 1024 8x8 systems: ours (graph, XLA) and NumPy."""
    import time

    import numpy as np
    import tensorflow as tf

    from sionna_irs import linalg

    rng = np.random.default_rng(1)
    h = rng.standard_normal([1024, 8, 12, 2]) @ [1, 1j]
    a = (h @ h.conj().swapaxes(-1, -2)).astype(np.complex64)
    b = h[..., :4].astype(np.complex64)
    ta, tb = tf.constant(a), tf.constant(b)
    results = {}
    for name, jit in (("graph", False), ("XLA", True)):
        function = tf.function(linalg.hpd_solve, jit_compile=jit, autograph=False)
        elapsed = milliseconds(lambda function=function: function(ta, tb))
        results[f"hpd_solve, 1024 x 8x8, 4 right-hand sides, {name}"] = (elapsed, "ms")
    times = []
    for _ in range(7):
        start = time.perf_counter()
        np.linalg.solve(a, b)
        times.append(1e3 * (time.perf_counter() - start))
    results["the same by numpy.linalg.solve"] = (sorted(times)[3], "ms")
    return results
