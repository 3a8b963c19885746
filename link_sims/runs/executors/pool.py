"""Workers that are processes of this machine: for its cores, or one for each GPU."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pathlib
import signal

from .. import backend
from . import worker
from .remote import Remote

__all__ = ["pool"]


def pool(job, workers, notice):
    """An executor of that many spawned processes."""
    return Remote(lambda index: _Process(job, environment_of(index, workers)), workers, notice)


def environment_of(index, workers):
    """The variables of one of several workers: its share of the cores, its GPU."""
    found = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # workers may share a GPU
    found["TF_NUM_INTRAOP_THREADS"] = str(max(1, backend.num_cores() // workers))
    found = {key: os.environ.get(key, value) for key, value in found.items()}
    gpus = _gpus()
    if gpus:
        found["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
    return found


def _gpus():
    """Names of the GPUs for CUDA_VISIBLE_DEVICES, found without touching one."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        files = pathlib.Path("/dev").glob("nvidia[0-9]*")
        return [str(index) for index, _ in enumerate(files)]
    names = []
    for name in chosen.split(","):
        if name.strip() in ("", "-1"):
            break  # CUDA hides what comes behind
        names.append(name.strip())
    return names


class _Process:
    """A pool of one: a dead process breaks its pool, and takes no other worker with it."""

    dead = concurrent.futures.BrokenExecutor

    def __init__(self, job, environment):
        context = multiprocessing.get_context("spawn")
        # The process ends when our end of the pipe is closed: by close(), or because we died.
        theirs, self._ours = context.Pipe(duplex=False)
        self._pool = concurrent.futures.ProcessPoolExecutor(
            1, context, initializer=worker.prepare, initargs=(job, environment, theirs)
        )

    def submit(self, group):
        """The future of a group's answer."""
        with _no_interrupt():  # the process starts with the first group
            return self._pool.submit(worker.answer, *group)

    def close(self, idle):
        """End the process, whatever it does; an idle one may tidy up."""
        if idle:
            self._pool.shutdown()
        self._ours.close()
        self._pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _no_interrupt():
    """Ctrl-C waits, and never reaches a process that is started here and is not ready for it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
