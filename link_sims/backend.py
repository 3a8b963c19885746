"""TensorFlow, started quietly and set up for a run."""

import contextlib
import os

from .errors import UserError

__all__ = ["EXECUTIONS", "choose_execution", "start"]

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
    """Import TensorFlow and Sionna; set seed, precision and the portable generator."""
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


def choose_execution(execution, experiment):
    """ "graph", "xla" or "eager": "auto" takes XLA on GPUs, else what was measured faster."""
    if execution not in EXECUTIONS:
        raise UserError(f"execution = {execution}: one of {', '.join(EXECUTIONS)} is needed")
    if execution != "auto":
        return execution
    import tensorflow as tf

    return "xla" if tf.config.list_physical_devices("GPU") else experiment.execution_cpu
