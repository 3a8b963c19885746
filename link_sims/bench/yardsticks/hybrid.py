"""Hybrid beamforming at the published size, unfolded and by RLS and SCA."""

from .zeroth_order import _one_core

__all__ = ["hybrid"]


def hybrid():
    """Times of a channel, 64 and 32 antennas, 16 and 4 chains, 4 users of 4 streams."""
    import sionna_irs as irs
    from link_sims.papers.hybrid import run_times as table

    irs.random.install()
    cfg = table.run_times.resolve("cpu")
    with _one_core():
        times = table.times(cfg)
    many = max(cfg.batches)
    found = {}
    for fast in (table.UNFOLDED, table.COLLAPSED):
        for slow in (table.SCA_50, table.SCA_10):
            for batch in cfg.batches:
                ratio = times[slow, batch] / times[fast, batch]
                found[f"{slow} over {fast}, in a batch of {batch}"] = (ratio, "times")
    ratio = times[table.PLAIN, 1] / times[table.SCA_50, 1]
    found[f"plain NumPy over {table.SCA_50}, a channel alone"] = (ratio, "times")
    ratio = times[table.PLAIN, 1] / times[table.COLLAPSED, many]
    found[f"plain NumPy over {table.COLLAPSED} in a batch of {many}"] = (ratio, "times")
    for (name, batch), value in times.items():
        found[f"{name}, in a batch of {batch}"] = (1e3 * value, "us")
    return found
