"""The scalar Wiener filter, for powers of any size."""

import tensorflow as tf

__all__ = ["wiener"]

_LARGEST = 1e18


def wiener(amplitude, variance):
    r"""Gain :math:`\frac{a^2}{a^2+\sigma^2}` and what it leaves, :math:`\frac{\sigma^2}{a^2+\sigma^2}`.

    Roots of powers stay in the range of single precision where powers do not.

    Parameters
    ----------
    amplitude : tf.Tensor, real
        a, at least 0.
    variance : tf.Tensor, broadcasts with `amplitude`, real
        sigma^2.

    Returns
    -------
    gain, rest : tf.Tensor, real
        Where a is 0, 0 and 1; else 1 and 0 without noise.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.estimation.wiener import wiener
    >>> [x.numpy().tolist() for x in wiener(tf.constant([2.0, 0.0, 1e30]), 4.0)]
    [[0.5, 0.0, 1.0], [0.5, 1.0, 0.0]]
    """  # noqa: E501
    present = amplitude > 0
    safe = tf.where(present, amplitude, 1)
    ratio = tf.minimum(variance / safe / safe, _LARGEST)
    gain = 1 / (1 + ratio)
    return tf.where(present, gain, 0), tf.where(present, ratio * gain, 1)
