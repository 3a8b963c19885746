"""Workers that are actors of Ray: on this machine, or on those of a cluster."""

import logging
import os
import socket

from ...errors import UserError
from .remote import Remote
from .worker import Worker

__all__ = ["cluster"]

_PATIENCE_SECONDS = 20.0


def cluster(job, workers, notice):
    """An executor of that many actors, on the cluster at ``RAY_ADDRESS``, else on a local one."""
    import ray

    stop = _connect(ray)
    found = ray.cluster_resources()
    cores, gpus = int(found.get("CPU", 1)), int(found.get("GPU", 0))
    options = {"num_cpus": 1 if workers <= cores else 0, "scheduling_strategy": "SPREAD"}
    if gpus:
        options["num_gpus"] = 1 / -(-workers // gpus)  # so many fit on each
    threads = str(max(1, cores // workers))
    environment = {
        "TF_NUM_INTRAOP_THREADS": os.environ.get("TF_NUM_INTRAOP_THREADS", threads),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "SIONNA_IRS_CACHE": os.environ.get("SIONNA_IRS_CACHE", ""),
    }
    job = ray.put(job)  # once for all actors
    actor = ray.remote(Worker).options(**options)
    return Remote(lambda index: _Actor(ray, actor, job, environment), workers, notice, stop)


def _connect(ray):
    """Join the cluster, or start one; returns what undoes it."""
    if ray.is_initialized():  # by the user, who keeps it
        return lambda: None
    address = os.environ.get("RAY_ADDRESS", "")
    try:
        _knock(address)
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        said = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"RAY_ADDRESS = {address}: the address of a running Ray cluster is needed, or none for "
            f"a local one ({said})"
        ) from error
    return ray.shutdown


def _knock(address):
    """OSError where nobody answers: Ray would go on trying for ten minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()


class _Actor:
    def __init__(self, ray, actor, job, environment):
        self._kill, self.dead = ray.kill, ray.exceptions.RayActorError
        self._actor = actor.remote(job, environment)

    def submit(self, group):
        """The future of a group's answer."""
        return self._actor.answer.remote(*group).future()

    def close(self, idle):
        """End the actor, whatever it does."""
        self._kill(self._actor)
