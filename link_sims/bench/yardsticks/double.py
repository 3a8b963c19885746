"""Two surfaces: channel draws against the random-number ceiling, ADMM against power iteration."""

from ...runs.timing import milliseconds
from .channel import _ceiling, _fastest

_BATCH, _SIZE, _SCATTERERS = 64, 64, 10


def double_surface():
    """Quintuples of links a second, and the time of a phase design by two solvers."""
    import tensorflow as tf

    import sionna_irs as irs

    irs.random.install()
    channel = irs.DoubleSurfaceChannel(num_elements=_SIZE, num_scatterers=_SCATTERERS)

    def draw():
        links = channel.draw(_BATCH)
        return [tf.reduce_sum(tf.abs(hop)) for hop in links.values()]

    ends = sum(hop.num_rx_ant + hop.num_tx_ant for hop in channel.hops.values())
    spent = _fastest(draw)
    found = {
        f"draws of five links, N = {_SIZE}, S = {_SCATTERERS}": (1e3 * _BATCH / spent, "1/s"),
        "of the random-number ceiling": (
            _ceiling(2 * _BATCH * _SCATTERERS * ends) / spent, "share",
        ),
    }  # fmt: skip
    links = channel.draw(_BATCH)
    start = irs.RandomPhases()(links)
    times = {}
    for name, solver in (
        ("ADMM, 100 iterations", irs.ADMM()), ("power iteration, 60", irs.PowerIteration()),
    ):  # fmt: skip
        design = irs.SumPathGain(solver, start=lambda _: start)
        times[name] = min(
            milliseconds(tf.function(lambda d=design: d(links), jit_compile=jit, autograph=False))
            for jit in (False, True)
        )
        found[f"alternating optimisation, 5 rounds: {name}"] = (times[name] / _BATCH, "ms")
    slow, fast = times.values()
    found["ADMM over power iteration"] = (slow / fast, "times")
    return found
