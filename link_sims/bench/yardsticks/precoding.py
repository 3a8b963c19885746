"""Precoders of the room at 32 antennas and 8 users: against plain NumPy, on one core."""

from ...runs.timing import milliseconds
from .zeroth_order import _one_core

_SIZE, _BATCH, _PLAIN_GROUPS = (32, 8), 1000, 5


def precoding():
    """Times of a group; WMMSE takes 100 iterations from MRT."""
    import numpy as np

    import sionna_irs as irs
    from link_sims.papers.precoding import common
    from link_sims.papers.precoding import run_times as table

    from ...papers.precoding.wmmse_numpy import wmmse

    irs.random.install()
    cfg = table.run_times.resolve("cpu")
    draw = common.groups(cfg, *_SIZE)
    with _one_core():
        few = draw(_PLAIN_GROUPS, cfg.power_dbm).numpy().astype(complex)
        plain = table.plain_milliseconds(few)
        times = {}
        for name, precoder in table.compiled(cfg, *_SIZE).items():
            for batch in (1, _BATCH):
                h = draw(batch, cfg.power_dbm)
                times[name, batch] = milliseconds(lambda f=precoder, h=h: f(h)) / batch
    oracle = irs.WMMSE(100, "bisection", start="mrt", precision="double")
    ours = oracle(few, 1.0, return_state=True)[1]["rate"].numpy()
    rates = [float(irs.metrics.sum_rate(h, wmmse(h), 1.0)) for h in few]
    structured = times[table.STRUCTURED, _BATCH]
    found = {
        "plain NumPy (its module states how), a group": (plain, "ms"),
        "largest rate difference to our WMMSE": (float(np.max(np.abs(ours - rates))), "bit/s/Hz"),
        "plain NumPy over structured in a batch": (plain / structured, "times"),
        "reduced WMMSE over structured in a batch": (
            times[table.REDUCED, _BATCH] / structured,
            "times",
        ),
        "plain NumPy over reduced WMMSE, a group alone": (
            plain / times[table.REDUCED, 1],
            "times",
        ),
    }
    for (name, batch), value in times.items():
        found[f"{name}, in a batch of {batch}"] = (1e3 * value, "us")
    return found
