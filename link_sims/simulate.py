"""The user's own model in the runner: intervals, stopping, resume, figure."""

import dataclasses
import pathlib
from typing import Literal

from .errors import UserError
from .experiment import METRICS, Config, Experiment
from .fields import Grid
from .runs.runner import run

__all__ = ["simulate"]


class _Config(Config):
    ebno_db: Grid


def _shares_channel(model):
    """Whether a model, or a layer in it, declares that a batch shares a channel."""
    parts = getattr(model, "_flatten_layers", lambda: [model])()
    return any(getattr(part, "shares_channel", False) for part in parts)


def simulate(
    model,
    ebno_db,
    batch_size: int = 100,
    max_units: int = 100,
    target_block_errors: int | None = 100,
    out=None,
    name: str = "link",
    seed: int = 1,
    precision: Literal["single", "double"] | None = None,
    execution: Literal["graph", "xla", "eager", "auto"] = "graph",
    quiet: bool = False,
    min_units: int = 10,
    independent: Literal["auto", "blocks", "units"] = "auto",
    version: str | None = None,
    fresh: bool = False,
    keep: bool = False,
):
    """Bit and block error rates of any ``model(batch_size, ebno_db) -> (b, b_hat)``.

    ``b_hat`` may be bits or log-likelihood ratios: the decision ``b_hat > 0`` is the same. A block
    is the last dimension of ``b``. Random numbers are keyed by (seed, Eb/N0, unit), so that a run
    that was stopped and resumed equals one that was not, provided that the model draws from
    Sionna's generator.

    The folder knows the code of the model: the functions and classes that it consists of, and what
    they import, as far as they are no installed packages. With other code nothing is added to its
    units (see `fresh` and `keep`). What a live model holds, such as trained weights, is not part
    of it: `version` says when that has changed.

    Parameters
    ----------
    model : callable
        For instance an :class:`sionna_irs.Link`, or any Sionna model. It is called with the
        keywords ``batch_size`` (int) and ``ebno_db`` (scalar tensor).
    ebno_db : sequence of float
        Points [dB].
    batch_size : int
        Examples per unit.
    max_units, min_units : int
        Units per point, at most and at least (or `max_units`, if they are fewer).
    target_block_errors : int or None
        A point stops when it has so many block errors.
    out : path-like
        The run folder; the same folder resumes.
    name : str
        Name of the curve.
    seed : int
    precision : "single", "double" or None
        Of ``ebno_db``; None takes the model's, or Sionna's ``config.precision``.
    execution : "graph", "xla", "eager" or "auto"
    quiet : bool
        No progress on standard error.
    independent : "auto", "blocks" or "units"
        What the intervals rest on: every block, or units alone, where a batch shares a channel.
        "auto" takes units where their spread tells that blocks depend on each other, and for a
        model that declares ``shares_channel = True``, or holds a layer that does.
    version : str or None
        Of what the code does not say, such as "v3" for weights trained a third time.
    fresh : bool
        Start anew: an earlier folder is kept as ``NAME~1``, the next free number.
    keep : bool
        Add to the units of other code, or of another version.

    Returns
    -------
    Results
        ``results.value("ber", name, 5.0)``, ``results.interval("bler", name, 5.0)``.

    Raises
    ------
    UserError
        For arguments out of range, and folders that cannot be used.

    Examples
    --------
    >>> import link_sims
    >>> results = link_sims.simulate(link, ebno_db=range(10), out="runs/mine")  # doctest: +SKIP
    """
    if out is None:
        raise UserError("out = None: the folder for the results is needed, such as 'runs/mine'")
    if precision is None:
        from sionna.phy import config as sionna_config

        precision = getattr(model, "precision", sionna_config.precision)
    if independent not in ("auto", "blocks", "units"):
        raise UserError(f"independent = {independent!r}: one of auto, blocks, units is needed")
    if independent == "auto" and _shares_channel(model):
        independent = "units"
    experiment = Experiment(
        str(name), config=_Config, title=str(name), x_label="Eb/N0 [dB]", execution_cpu="graph",
        metrics={"bler": dataclasses.replace(METRICS["bler"], independent=independent)},
    )  # fmt: skip

    @experiment.sweep(x="ebno_db")
    def errors(cfg, trained):
        import tensorflow as tf

        def step(batch_size, ebno_db):
            b, b_hat = model(batch_size=batch_size, ebno_db=ebno_db)
            wrong = tf.not_equal(b > 0, b_hat > 0)
            blocks = tf.reduce_any(wrong, -1)
            return {
                ("ber", name): (tf.math.count_nonzero(wrong), tf.size(wrong)),
                ("bler", name): (tf.math.count_nonzero(blocks), tf.size(blocks)),
            }

        return step

    config = experiment.resolve(
        "cpu",
        {
            "ebno_db": ebno_db, "batch_size": batch_size, "seed": seed,
            "max_units": max_units, "min_units": min(min_units, max_units),
            "target_errors": target_block_errors, "precision": precision,
        },
    )  # fmt: skip
    experiment.version = None if version is None else str(version)
    results, _ = run(
        experiment, config, folder=pathlib.Path(out), execution=execution, quiet=quiet, fresh=fresh,
        keep=keep,
    )  # fmt: skip
    return results
