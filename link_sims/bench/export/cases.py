"""What travels: one experiment's step or training per case, at several batch sizes."""

import dataclasses

__all__ = ["CASES", "Case"]


@dataclasses.dataclass(frozen=True)
class Case:
    """A program of the registry and its sizes.

    Parameters
    ----------
    experiment : str
        Its name in the registry.
    what : str
        What a batch consists of.
    batch_size : int
        Of the check.
    factors : tuple of int
        Larger batches, in check sizes; those in ``checked`` come with results to compare, too.
    changes : dict
        Of the experiment's profile "cpu".
    x : float
        The point of the sweep.
    title : str or None
        None takes the experiment's.
    step : callable or None
        ``step(cfg) -> step(batch_size, x)``; None takes the experiment's sweep.
    recursion : str or None
        Name of a training instead of a step.
    units : int
        Units of the check, each on its own draws.
    share, errors, relative : float
        Permitted differences. Counts: the larger of ``errors`` and ``share`` of the trials, since
        another device rounds differently and a decision at the threshold flips. Sums: relative.
    """

    experiment: str
    what: str
    batch_size: int
    factors: tuple
    changes: dict = dataclasses.field(default_factory=dict)
    x: float = 0.0
    title: str | None = None
    step: object = None
    recursion: str | None = None
    checked: tuple = ()
    units: int = 3
    share: float = 1e-3
    errors: int = 2
    relative: float = 1e-4

    def config(self, experiment, size):
        """The configuration in which a batch, or a training's batch, is of that size."""
        batch = "training_batch" if self.recursion else "batch_size"
        return experiment.resolve("cpu", {**self.changes, batch: size})

    def unit_step(self, experiment, config):
        """``step(batch_size, x)`` of a case that is no training."""
        if self.step is not None:
            return self.step(config)
        return experiment.sweep_run.builder(config, {})


def wmmse(cfg):
    """Sum rates of 100 iterations over groups of 8 users, 32 antennas."""
    import tensorflow as tf

    from link_sims.papers.precoding import common
    from link_sims.papers.precoding.run_times import REDUCED

    draw, precoder = common.groups(cfg, 32, 8), common.wmmse(cfg, 100)

    def step(batch_size, power_dbm):
        rates = common.rates(draw(batch_size, power_dbm), precoder)
        return {(common.RATE, REDUCED): (tf.reduce_sum(rates), batch_size)}

    return step


CASES = {
    # In a block that the decoder does not solve, many of its bits hang on rounding: blocks have to
    # agree, bits less so.
    "quickstart": Case(
        "quickstart",
        "blocks",
        50,
        (8, 64, 512, 4096),
        x=16.0,
        checked=(8,),
        share=5e-3,
    ),
    "ofdm": Case(
        "ofdm/bler-vs-snr",
        "blocks",
        8,
        (8, 64, 256, 1024),
        x=-28.0,
        share=5e-3,
        errors=1,
        relative=1e-3,
    ),
    "estimator": Case(
        "cenas/nmse-vs-snr", "estimates", 16, (8, 64, 512, 4096), x=0.0, checked=(8,)
    ),
    # Every fourth position of the room along both axes: the table is part of the module.
    "wmmse": Case(
        "precoding/run-times",
        "groups",
        64,
        (8, 64, 512, 4096),
        {"stride": 4},
        x=-10.0,
        title="WMMSE precoding, 32 antennas, 8 users, 100 iterations",
        step=wmmse,
        checked=(8,),
    ),
    "training": Case(
        "cenas/nmse-vs-snr",
        "channels",
        16,
        (8, 64, 512),
        {"retrain": True},
        title="Training of an estimator, a window of steps",
        recursion="training",
        relative=1e-2,
    ),
}
