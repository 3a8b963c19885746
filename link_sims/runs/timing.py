"""How long a call takes."""

import statistics
import time


def milliseconds(function, repeats=7):
    """Median time of one call [ms], after a warm-up call, results copied to the host."""
    import tensorflow as tf

    def run():
        start = time.perf_counter()
        for value in tf.nest.flatten(function()):
            value.numpy()
        return 1e3 * (time.perf_counter() - start)

    run()
    return statistics.median(run() for _ in range(repeats))
