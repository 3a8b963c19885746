"""TensorFlow, started quietly and set up for a run."""

import contextlib
import os
import pathlib
import platform
import sys

from ..errors import UserError
from ..fields import check_size

__all__ = [
    "EXECUTIONS",
    "check_execution",
    "choose_execution",
    "device",
    "num_cores",
    "processor",
    "start",
]

EXECUTIONS = ("auto", "graph", "xla", "eager")


@contextlib.contextmanager
def _silent_stderr():
    """TensorFlow writes lines before its logging starts; they go nowhere."""
    try:
        saved = os.dup(2)
    except OSError:  # no standard error to begin with
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


def start(config):
    """Import TensorFlow and Sionna; set seed, precision and the portable generator.

    Raises
    ------
    UserError
        When one channel of a unit takes more memory than the machine has.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        check_size(config, memory // (16 if config.precision == "double" else 8), "this machine")
    except ValueError as error:
        raise UserError(str(error)) from None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import tensorflow as tf
        from sionna.phy import config as sionna_config

        from sionna_irs import random

        tf.get_logger().setLevel("ERROR")
        tf.autograph.set_verbosity(0)
        tf.config.list_physical_devices()
    sionna_config.precision = config.precision
    random.install()
    # Blocks such as LDPC interleavers draw at construction: the same ones in every process.
    sionna_config.seed = config.seed


def check_execution(execution):
    """The argument, if it is one of the ways to execute."""
    if execution not in EXECUTIONS:
        raise UserError(f"execution = {execution}: one of {', '.join(EXECUTIONS)} is needed")
    return execution


def choose_execution(execution, experiment):
    """ "graph", "xla" or "eager": "auto" takes XLA on GPUs, else what the experiment says."""
    if check_execution(execution) != "auto":
        return execution
    import tensorflow as tf

    return "xla" if tf.config.list_physical_devices("GPU") else experiment.execution_cpu


def num_cores():
    """The cores that this process may use: a batch system may grant less than all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor():
    """The model of the processor."""
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(v for k, _, v in (x.partition(":") for x in lines) if "model name" in k).strip()
    return platform.processor() or platform.machine()


def device():
    """Name of the GPU or the processor that TensorFlow uses; None where it has not started."""
    if "tensorflow" not in sys.modules:
        return None
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return details.get("device_name", processor())
