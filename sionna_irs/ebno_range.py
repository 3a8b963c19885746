"""The range of Eb/N0 that a link is trained over."""

import math

import tensorflow as tf

__all__ = ["EbnoRange", "uniform_ebno"]


class EbnoRange:
    """Eb/N0 uniform in dB between two ends, drawn anew for every example of a batch.

    Made by :func:`uniform_ebno`.
    """

    def __init__(self, low_db, high_db):
        ends = (low_db, high_db)
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in ends):
            raise ValueError(f"uniform_ebno{ends}: two finite numbers [dB] are needed")
        if low_db > high_db:
            raise ValueError(
                f"low_db = {low_db} exceeds high_db = {high_db}; low_db <= high_db is needed"
            )
        self.low_db, self.high_db = float(low_db), float(high_db)

    def dataset(self, batch_size):
        """Endless batches [batch_size, 2] that hold the two ends."""
        ends = tf.tile([[self.low_db, self.high_db]], [batch_size, 1])
        return tf.data.Dataset.from_tensors(ends).repeat()


def uniform_ebno(low_db: float, high_db: float):
    """Training range of Eb/N0: uniform in dB, one value for every example.

    Parameters
    ----------
    low_db, high_db : float
        Ends of the range [dB].

    Returns
    -------
    EbnoRange
        For :meth:`sionna_irs.Link.fit`.

    Raises
    ------
    ValueError
        When an end is not finite or the ends are in the wrong order.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.uniform_ebno(-5, 10).high_db
    10.0
    """
    return EbnoRange(low_db, high_db)
