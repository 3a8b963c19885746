"""The transceiver that reaches the capacity of a known matrix channel."""

import math

import tensorflow as tf

from ..layer import to_dtype
from ..linalg import svd
from .water_filling import water_filling

__all__ = ["capacity", "svd_water_filling"]


def svd_water_filling(h, snr):
    r"""Capacity, precoder and combiner of a channel that both ends know.

    With :math:`H=U\,\mathrm{diag}(\lambda)V^H` and the powers :math:`p_i` of
    :func:`water_filling`,

    .. math:: C=\sum_i\log_2(1+p_i\lambda_i^2\,\mathrm{SNR}),\qquad
              F=V\,\mathrm{diag}(\sqrt{p_i}),\qquad W=U

    Parameters
    ----------
    h : tf.Tensor, [..., rx, tx], complex
    snr : float or tf.Tensor that broadcasts to [...], real
        Total transmit power over the noise variance of an antenna, positive.

    Returns
    -------
    capacity : tf.Tensor, [...], real
        [bit/s/Hz]
    precoder : tf.Tensor, [..., tx, r], complex
        F, of total power 1; r = min(rx, tx).
    combiner : tf.Tensor, [..., rx, r], complex
        W; the streams are :math:`W^Hy`.
    powers : tf.Tensor, [..., r], real
        Of sum 1. No gradient passes, which leaves that of the capacity right.
    singular_values : tf.Tensor, [..., r], real
        Descending.

    Raises
    ------
    ValueError
        When `snr` is a number that is not positive and finite.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> c, f, w, p, s = irs.svd_water_filling(tf.constant([[2, 0], [0, 1]], tf.complex64), 1.0)
    >>> round(float(c), 4), p.numpy().round(3), s.numpy()
    (2.3398, array([0.875, 0.125], dtype=float32), array([2., 1.], dtype=float32))
    """
    if isinstance(snr, (int, float)) and not 0 < snr < math.inf:
        raise ValueError(f"snr = {snr!r}; a positive finite number is needed")
    h = tf.convert_to_tensor(h)
    # The scale is that of path gains, far below the smallest squares of single precision.
    scale = tf.stop_gradient(tf.reduce_max(tf.abs(h), [-2, -1], keepdims=True))
    scale = tf.where(scale > 0, scale, 1)
    s, u, v = svd(h / tf.cast(scale, h.dtype))
    s *= scale[..., 0]
    gains = tf.square(tf.sqrt(to_dtype(snr, s.dtype)[..., None]) * s)
    # A gain of zero costs much, not infinity. Only differences of costs count, and the smallest
    # cost as 0 leaves room for the power of 1 at every SNR.
    floor = tf.maximum(1e-12 * gains[..., :1], s.dtype.as_numpy_dtype(1e-30))
    costs = 1 / tf.maximum(gains, floor)
    powers = tf.stop_gradient(water_filling(costs - costs[..., :1]))
    rates = tf.math.log1p(powers * gains) / math.log(2)
    precoder = v * tf.cast(tf.sqrt(powers), v.dtype)[..., None, :]
    return tf.reduce_sum(rates, -1), precoder, u, powers, s


def capacity(h, snr):
    """Capacity [...] [bit/s/Hz] of :func:`svd_water_filling`.

    Parameters
    ----------
    h, snr
        As :func:`svd_water_filling`.

    Returns
    -------
    tf.Tensor, [...], real

    Raises
    ------
    ValueError
        As :func:`svd_water_filling`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.beamforming.svd_transceiver import capacity
    >>> round(float(capacity(tf.ones([1, 1], tf.complex64), snr=1.0)), 5)
    1.0
    """
    return svd_water_filling(h, snr)[0]
