"""How a yardstick is timed."""

import statistics
import time

_MAX_COUNT = 64


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


def timed(run):
    """(seconds of the first call, which compiles; seconds of a unit after it) of ``run(count)``."""
    start = time.perf_counter()
    run(1)
    first, count = time.perf_counter() - start, 1
    while True:
        start = time.perf_counter()
        run(count)
        seconds = time.perf_counter() - start
        if seconds > 0.5 or count == _MAX_COUNT:
            return first, seconds / count
        count = min(_MAX_COUNT, 4 * count)
