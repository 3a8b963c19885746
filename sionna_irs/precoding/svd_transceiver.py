"""The transceiver that reaches the capacity of a known matrix channel."""

import functools
import math
import warnings

import tensorflow as tf

from ..layer import as_real
from ..linalg import svd
from ..linalg.scale import unit_scale
from .water_filling import water_filling

__all__ = ["capacity", "svd_water_filling"]


def _noise_by_name(function):
    """Ask for ``no=``: a number in its place was the SNR, the reciprocal, until version 0.1."""
    name = function.__name__

    @functools.wraps(function)
    def by_name(h, *positional, no=None, snr=None):
        if positional:
            raise TypeError(
                f"{name} has a second positional argument, which was snr and is no: "
                f"{name}(h, no=1 / snr) is needed"
            )
        if (no is None) == (snr is None):
            raise TypeError(f"no = {no!r}, snr = {snr!r}; {name}(h, no=...) is needed")
        if snr is not None:
            _require_positive("snr", snr)
            warnings.warn(
                f"snr of {name} is deprecated; no=1 / snr is needed", DeprecationWarning, 2
            )
            no = 1 / snr
        _require_positive("no", no)
        return function(h, no=no)

    return by_name


def _require_positive(name, value):
    if isinstance(value, (bool, str)):
        raise TypeError(f"{name} = {value!r}; a positive finite number or a tensor is needed")
    if isinstance(value, (int, float)) and not 0 < value < math.inf:
        raise ValueError(f"{name} = {value!r}; a positive finite number is needed")


@_noise_by_name
def svd_water_filling(h, *, no):
    r"""Capacity, precoder and combiner of a channel that both ends know.

    With :math:`H=U\,\mathrm{diag}(\lambda)V^H` and the powers :math:`p_i` of
    :func:`water_filling`,

    .. math:: C=\sum_i\log_2(1+p_i\lambda_i^2/N_0),\qquad
              F=V\,\mathrm{diag}(\sqrt{p_i}),\qquad W=U

    Parameters
    ----------
    h : tf.Tensor, [..., rx, tx], complex
    no : float or tf.Tensor that broadcasts to [...], real
        Noise variance of an antenna over total transmit power, positive. By name: until version
        0.1 the second argument was its reciprocal, ``snr``, which is still understood by name.

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
    TypeError
        When `no` is missing or not given by name.
    ValueError
        When `no` is a number that is not positive and finite.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> c, f, w, p, s = irs.svd_water_filling(tf.constant([[2, 0], [0, 1]], tf.complex64), no=1.0)
    >>> round(float(c), 4), p.numpy().round(3), s.numpy()
    (2.3398, array([0.875, 0.125], dtype=float32), array([2., 1.], dtype=float32))
    """
    h = tf.convert_to_tensor(h)
    # The scale is that of path gains, far below the smallest squares of single precision.
    h, scale = unit_scale(h)
    s, u, v = svd(h)
    s *= scale[..., 0]
    no = as_real("no", no, s.dtype, 1e-30, h.shape[:-2], "h")
    # More than 300 dB have no squares in single precision.
    gains = tf.square(tf.minimum(s / tf.sqrt(no)[..., None], 1e15))
    # A gain of zero costs much, not infinity. Only differences of costs count, and the smallest
    # cost as 0 leaves room for the power of 1 at every SNR.
    floor = tf.maximum(1e-12 * gains[..., :1], s.dtype.as_numpy_dtype(1e-30))
    costs = 1 / tf.maximum(gains, floor)
    powers = tf.stop_gradient(water_filling(costs - costs[..., :1]))
    rates = tf.math.log1p(powers * gains) / math.log(2)
    precoder = v * tf.cast(tf.sqrt(powers), v.dtype)[..., None, :]
    return tf.reduce_sum(rates, -1), precoder, u, powers, s


@_noise_by_name
def capacity(h, *, no):
    """Capacity [...] [bit/s/Hz] of :func:`svd_water_filling`.

    Parameters
    ----------
    h, no
        As :func:`svd_water_filling`.

    Returns
    -------
    tf.Tensor, [...], real

    Raises
    ------
    TypeError, ValueError
        As :func:`svd_water_filling`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.precoding.svd_transceiver import capacity
    >>> round(float(capacity(tf.ones([1, 1], tf.complex64), no=1.0)), 5)
    1.0
    """
    return svd_water_filling(h, no=no)[0]
