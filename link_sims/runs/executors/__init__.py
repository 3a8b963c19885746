"""Who computes the units of a sweep: this process, a pool of processes, or Ray.

An executor has a ``capacity``, the number of groups it works on at a time;
``submit(x, first, count)`` hands it a group of units; ``collect()`` waits for one of them and
returns ``((x, first, count), Outcome)``, in any order; leaving its ``with`` block ends it, and
drops what is still being computed. A unit depends on its key alone, so that the results of all
executors agree.
"""

import importlib.util
import os

from ...errors import UserError

__all__ = ["EXECUTORS", "choose", "make", "share_devices"]

EXECUTORS = ("auto", "serial", "pool", "ray")
_MAX_WORKERS = 256


def choose(executor, workers, experiment):
    """ "serial", "pool" or "ray", checked before anything starts: "auto" is serial for one worker.

    Raises
    ------
    UserError
        For values out of range, a missing Ray, and experiments that other processes cannot find.
    """
    if executor not in EXECUTORS:
        raise UserError(f"executor = {executor}: one of {', '.join(EXECUTORS)} is needed")
    if type(workers) is not int or not 1 <= workers <= _MAX_WORKERS:
        raise UserError(f"workers = {workers}: an integer from 1 to {_MAX_WORKERS} is needed")
    if executor == "auto":
        executor = "serial" if workers == 1 else "pool"
    if executor == "serial":
        if workers > 1:
            raise UserError(f"workers = {workers}: 1 is permitted with the executor serial")
        return executor
    if executor == "ray" and importlib.util.find_spec("ray") is None:
        raise UserError("executor = ray: Ray is not installed; pip install 'sionna-irs[ray]'")
    if experiment.sweep_run:
        _address(experiment)
    return executor


def share_devices(executor):
    """Before TensorFlow starts here: with workers beside it, it takes GPU memory as it needs it."""
    if executor != "serial":
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def make(executor, workers, experiment, config, execution, trained, notice):
    """The executor of a kind that :func:`choose` returned, for one sweep; a context manager.

    Parameters
    ----------
    executor : "serial", "pool" or "ray"
    workers : int
    experiment : Experiment
    config : Config
    execution : str
        "auto" is settled where the units are computed; for "serial" it is settled already.
    trained : dict
        Final states of the recursions.
    notice : callable
        Told in one sentence when a worker died.
    """
    if executor == "serial":
        from .serial import Serial

        return Serial(experiment, config, execution, trained)
    from .worker import pack

    job = pack(_address(experiment), config, execution, trained)
    if executor == "pool":
        from .pool import pool

        return pool(job, workers, notice)
    from .ray import cluster

    return cluster(job, workers, notice)


def _address(experiment):
    """The name under which another process finds the experiment."""
    from ...registry import all_experiments

    if experiment.source is not None:
        return experiment.source
    if all_experiments().get(experiment.name) is not experiment:
        raise UserError(
            f"experiment = {experiment.name}: other processes can only run an experiment of the "
            "package, or one that link_sims.registry.find('file.py:object') returned"
        )
    return experiment.name
