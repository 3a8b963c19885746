"""Figures of merit: mean squared errors, SINR, rates.

Sums are returned as (numerator, denominator), the form in which simulations collect them.
"""

import math

import numpy as np
import tensorflow as tf
from sionna.phy import config

from .arguments import as_real, is_tensor, to_dtype
from .linalg import hpd_logdet
from .linalg.scale import divide, unit_scale

__all__ = [
    "equal_power_rate",
    "nmse",
    "nmse_per_sample",
    "receive_sinr",
    "sinr",
    "siso_capacity",
    "stream_rate",
    "stream_sinr",
    "sum_rate",
]


def _power(x, axis=None):
    return tf.reduce_sum(_entry_powers(x), axis)


def nmse(h_hat, h):
    r"""Normalised mean squared error, a ratio of means: :math:`\sum\|\hat H-H\|^2/\sum\|H\|^2`.

    Parameters
    ----------
    h_hat, h : tf.Tensor, same shape, complex

    Returns
    -------
    (numerator, denominator) : tf.Tensor, [], real
        Sums over the whole batch.

    Raises
    ------
    ValueError
        When the shapes differ.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import nmse
    >>> h = tf.ones([4, 2], tf.complex64)
    >>> error, power = nmse(1.5 * h, h)
    >>> float(error / power)
    0.25
    """
    if not h_hat.shape.is_compatible_with(h.shape):
        raise ValueError(f"h_hat has shape {h_hat.shape}, h has {h.shape}; they must be equal")
    return _power(h_hat - h), _power(h)


def nmse_per_sample(h_hat, h):
    r"""Mean over the batch (first axis) of :math:`\|\hat H-H\|^2/\|H\|^2`.

    Parameters
    ----------
    h_hat, h : tf.Tensor, [batch, ...], complex

    Returns
    -------
    (numerator, denominator) : tf.Tensor, [], real
        Sum of the ratios and the number of samples. A sample of zeros counts 0 where it is
        estimated as such, else infinity.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import nmse_per_sample
    >>> h = tf.ones([4, 2], tf.complex64)
    >>> [float(v) for v in nmse_per_sample(1.5 * h, h)]
    [1.0, 4.0]
    """
    axes = list(range(1, h.shape.rank))
    rest = h_hat - h
    h, scale = unit_scale(h, axes)
    error, power = _power(divide(rest, scale), axes), _power(h, axes)
    there = power > 0
    never = tf.where(error > 0, tf.constant(np.inf, error.dtype), 0)
    ratio = tf.where(there, error / tf.where(there, power, 1), never)
    return tf.reduce_sum(ratio), tf.cast(tf.size(ratio), ratio.dtype)


def sinr(h, v, no):
    r"""Downlink SINR, :math:`|h_kv_k|^2/(\sum_{j\ne k}|h_kv_j|^2+N_0)`.

    Parameters
    ----------
    h : tf.Tensor, [..., K, M], complex
        Row k is user k.
    v : tf.Tensor, [..., M, K], complex
        Precoder.
    no : tf.Tensor, [...], real
        Noise variance over total transmit power.

    Returns
    -------
    tf.Tensor, [..., K], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import sinr
    >>> eye = tf.eye(2, dtype=tf.complex64)
    >>> sinr(eye, eye, tf.constant(0.5)).numpy()
    array([2., 2.], dtype=float32)
    """
    field, scale = unit_scale(tf.linalg.matmul(h, v), [-1])
    signal, interference = _signal_and_interference(field)
    no = as_real("no", no, signal.dtype, 0.0, signal.shape[:-1], "h v")
    return signal / (interference + _noise(no[..., None], scale[..., 0]))


def _noise(no, scale):
    """no / scale^2 within the range of the dtype and, for an SINR that is finite, above 0."""
    low, high = (1e-18, 1e36) if scale.dtype == tf.float32 else (1e-150, 1e300)
    return tf.clip_by_value(no / scale / scale, low, high)


def _signal_and_interference(field):
    """Powers [..., K] of the diagonal and of the rest of every row of [..., K, K]."""
    power = tf.square(tf.math.real(field)) + tf.square(tf.math.imag(field))
    signal = tf.linalg.diag_part(power)
    # Masked: row sum minus diagonal loses the interference where it is small.
    return signal, tf.reduce_sum(power * (1 - tf.eye(power.shape[-1], dtype=power.dtype)), -1)


def receive_sinr(w, h, no):
    r"""Uplink SINR of linear reception x_hat = W y: signal over interference and noise.

    Parameters
    ----------
    w : tf.Tensor, [..., K, M], complex
        Receive filters.
    h : tf.Tensor, [..., M, K], complex
    no : tf.Tensor, [...], real

    Returns
    -------
    tf.Tensor, [..., K], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import receive_sinr
    >>> eye = tf.eye(2, dtype=tf.complex64)
    >>> receive_sinr(eye, eye, tf.constant(0.5)).numpy()
    array([2., 2.], dtype=float32)
    """
    w, _ = unit_scale(tf.convert_to_tensor(w), [-1])
    h, scale = unit_scale(tf.convert_to_tensor(h))
    signal, interference = _signal_and_interference(tf.linalg.matmul(w, h))
    no = as_real("no", no, signal.dtype, 0.0, signal.shape[:-1], "w h")
    disturbance = interference + _noise(no[..., None], scale[..., 0]) * _power(w, -1)
    return signal / tf.where(disturbance > 0, disturbance, 1)


def sum_rate(h, v, no, weights=None):
    r"""Downlink sum rate, :math:`\sum_k\alpha_k\log_2(1+\mathrm{SINR}_k)` [bit/s/Hz].

    Parameters
    ----------
    h, v, no
        As :func:`sinr`.
    weights : array, [K], real, or None
        alpha_k; None takes 1.

    Returns
    -------
    tf.Tensor, [...], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import sum_rate
    >>> eye = tf.eye(2, dtype=tf.complex64)
    >>> float(sum_rate(eye, eye, tf.constant(1.0)))
    2.0
    """
    rates = tf.math.log1p(sinr(h, v, no)) / math.log(2)
    return tf.reduce_sum(rates if weights is None else to_dtype(weights, rates.dtype) * rates, -1)


def siso_capacity(snr):
    """log2(1 + snr) [bit/s/Hz] of a real tensor, or of a number in Sionna's precision."""
    snr = snr if is_tensor(snr) else as_real("snr", snr, config.tf_rdtype)
    return tf.math.log1p(snr) / math.log(2)


def equal_power_rate(h, no):
    r"""Mutual information with equal power on all antennas [bit/s/Hz].

    .. math:: \log_2\det(I+HH^H/(N_tN_0))

    Parameters
    ----------
    h : tf.Tensor, [..., rx, tx], complex
    no : tf.Tensor, [...], real
        Noise variance over total transmit power.

    Returns
    -------
    tf.Tensor, [...], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import equal_power_rate
    >>> round(float(equal_power_rate(tf.ones([1, 1], tf.complex64), tf.constant(1.0))), 5)
    1.0
    """
    num_tx = h.shape[-1]
    wide = h.shape[-2] <= num_tx
    h, scale = unit_scale(tf.convert_to_tensor(h))
    gram = tf.linalg.matmul(h, h, adjoint_b=wide, adjoint_a=not wide)
    no = as_real("no", no, scale.dtype, 1e-30, gram.shape[:-2], "h")
    load = _noise(no[..., None, None], scale) * num_tx
    identity = tf.eye(gram.shape[-1], dtype=h.dtype)
    return hpd_logdet(identity + divide(gram, load)) / math.log(2)


def stream_sinr(h_eq, f, w, no, r_w=None):
    r"""SINR of every stream of every user behind precoders and combiners.

    .. math:: \frac{|w_{kl}^HH_kf_{kl}|^2}
              {\sum_{(v,j)\ne(k,l)}|w_{kl}^HH_kf_{vj}|^2+N_0w_{kl}^HR_kw_{kl}}

    The scale of a combiner makes no difference and carries no gradient; the SINR of a combiner of
    zeros is 0, with a gradient of 0.

    Parameters
    ----------
    h_eq : tf.Tensor, [..., K, m, n], complex
    f : tf.Tensor, [..., K, n, N_s], complex
        Precoders.
    w : tf.Tensor, [..., K, m, N_s], complex
        Combiners.
    no : float or tf.Tensor, [...], real
        Noise variance over the transmit power of a stream.
    r_w : tf.Tensor, [..., K, m, m], complex, or None
        Covariance of the noise over `no`; None takes the identity.

    Returns
    -------
    tf.Tensor, [..., K, N_s], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import stream_sinr
    >>> eye = tf.eye(2, batch_shape=[1], dtype=tf.complex64)
    >>> stream_sinr(eye, eye, eye, 0.5).numpy()
    array([[2., 2.]], dtype=float32)
    """
    users, streams = f.shape[-3], f.shape[-1]
    w, _ = unit_scale(tf.convert_to_tensor(w), [-2])
    h_eq, scale = unit_scale(tf.convert_to_tensor(h_eq))
    rows = tf.linalg.matmul(w, h_eq, adjoint_a=True)
    # [..., K, N_s, v, j]: stream j of user v at the combiner l of user k.
    power = _entry_powers(tf.einsum("...kln,...vnj->...klvj", rows, f))
    own = tf.reshape(tf.eye(users * streams, dtype=power.dtype), [users, streams] * 2)
    noise = w if r_w is None else tf.linalg.matmul(r_w, w)
    noise = tf.reduce_sum(tf.math.real(tf.math.conj(w) * noise), -2)
    # Masked: the difference of the sum and the own power loses the interference where it is small.
    disturbance = tf.reduce_sum(power * (1 - own), [-2, -1])
    no = as_real("no", no, power.dtype, 0.0, power.shape[:-4], "h_eq f")
    disturbance += _noise(no[..., None, None], scale[..., 0]) * noise
    disturbance = tf.where(disturbance > 0, disturbance, tf.ones_like(disturbance))
    return tf.reduce_sum(power * own, [-2, -1]) / disturbance


def _entry_powers(x):
    return tf.square(tf.math.real(x)) + tf.square(tf.math.imag(x))


def stream_rate(h_eq, f, w, no, r_w=None, base=2.0):
    r"""Sum rate of all streams, :math:`\sum_{kl}\log_b(1+\mathrm{SINR}_{kl})`.

    Parameters
    ----------
    h_eq, f, w, no, r_w
        As :func:`stream_sinr`.
    base : float
        b, above 1: 2 gives bit/s/Hz, e gives nat/s/Hz.

    Returns
    -------
    tf.Tensor, [...], real

    Raises
    ------
    ValueError
        For a base of at most 1.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.metrics import stream_rate
    >>> eye = tf.eye(2, batch_shape=[1], dtype=tf.complex64)
    >>> float(stream_rate(eye, eye, eye, 1.0))
    2.0
    """
    if not 1 < base < math.inf:
        raise ValueError(f"base = {base}; a finite number above 1 is needed")
    rates = tf.math.log1p(stream_sinr(h_eq, f, w, no, r_w))
    return tf.reduce_sum(rates, [-2, -1]) / math.log(base)
