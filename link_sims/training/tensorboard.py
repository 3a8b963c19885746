"""Event files of recursions, for TensorBoard to show while they run."""

import math
import time

import numpy as np

from ..errors import UserError

__all__ = ["EventLog"]


class EventLog:
    """Scalars of one recursion, one file for each time it is started or resumed.

    TensorFlow's own writer of scalars needs TensorBoard to be installed; the format, records of
    Event messages, does not.

    Parameters
    ----------
    folder : pathlib.Path
    """

    def __init__(self, folder):
        self.folder, self.file = folder, None

    def write(self, record):
        """Append the values of a "steps" record of the log: numerator over denominator."""
        import tensorflow as tf

        try:
            self._write(record)
        except (OSError, tf.errors.OpError) as error:
            raise UserError(f"{self.folder}: {error}") from None

    def _write(self, record):
        import tensorflow as tf

        proto = tf.compat.v1
        if self.file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time_ns()}.{record['first']}"
            self.file = tf.io.TFRecordWriter(str(self.folder / name))
            self._add(proto.Event(wall_time=time.time(), file_version="brain.Event:2"))
        values = [
            proto.Summary.Value(tag="/".join(curve), simple_value=numerator / denominator)
            for curve, pair in zip(record["curves"], record["values"], strict=True)
            for numerator, denominator in [np.sum(np.reshape(pair, [2, -1]), 1).tolist()]
            if denominator and math.isfinite(numerator / denominator)
        ]
        self._add(
            proto.Event(
                wall_time=time.time(), step=record["last"], summary=proto.Summary(value=values)
            )
        )
        self.file.flush()

    def _add(self, event):
        self.file.write(event.SerializeToString())

    def close(self):
        """Finish the file."""
        if self.file is not None:
            self.file.close()
