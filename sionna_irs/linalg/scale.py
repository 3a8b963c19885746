"""Numbers of order one, whatever the path gains: their squares stay in the range of the dtype."""

import typing

import tensorflow as tf

from ..layer import to_dtype

__all__ = ["divide", "exponents", "power_of_two", "scaled_noise", "unit_noise", "unit_scale"]

# Of a ratio of powers and of its reciprocal: beyond, nothing changes any more, and the squares of
# such ratios are still finite.
_LARGEST = {tf.float32: 1e18, tf.float64: 1e150}


class _Form(typing.NamedTuple):
    """How floating-point numbers are stored."""

    integer: tf.DType
    mantissa: int
    bias: int


_FORMS = {tf.float32: _Form(tf.int32, 23, 127), tf.float64: _Form(tf.int64, 52, 1023)}


def unit_scale(x, axes=(-2, -1)):
    r"""x over the largest power of two s that its largest modulus reaches, and s.

    Division by s is exact: where squares were in range before, nothing changes. What is a function
    of x and :math:`N_0` alone is the same one of x/s and :math:`N_0/s^2` for every s: its gradient
    is right although none passes through s.

    Parameters
    ----------
    x : tf.Tensor, real or complex
    axes : sequence of int
        Those of an example.

    Returns
    -------
    x / s : tf.Tensor
    s : tf.Tensor, real
        With axes of length 1; 1 where x vanishes.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg.scale import unit_scale
    >>> x, s = unit_scale(tf.constant([[3e-30, 4e-30]]))
    >>> x.numpy().round(2), s.numpy()
    (array([[0.95, 1.27]], dtype=float32), array([[3.1554436e-30]], dtype=float32))
    """
    x = tf.convert_to_tensor(x)
    size = tf.reduce_max(tf.abs(tf.stop_gradient(x)), list(axes), keepdims=True)
    bits, form = _bits(size)
    size = tf.bitcast(tf.bitwise.left_shift(bits, form.mantissa), size.dtype)
    scale = tf.where(size > 0, size, tf.ones_like(size))
    return divide(x, scale), scale


def divide(x, scale):
    """x / scale for real or complex x: quotients of complex numbers may take squares of parts."""
    if not x.dtype.is_complex:
        return x / scale
    return tf.complex(tf.math.real(x) / scale, tf.math.imag(x) / scale)


def exponents(x, axes):
    """Integers k, the largest with 2^k at most the largest modulus; far below all others for 0."""
    size = tf.reduce_max(tf.abs(tf.stop_gradient(x)), list(axes))
    bits, form = _bits(size)
    return tf.cast(tf.where(size > 0, bits - form.bias, -(2**20)), tf.int32)


def power_of_two(k, dtype):
    """2^k as real numbers of `dtype`, k within the range of normal numbers."""
    form = _FORMS[tf.as_dtype(dtype)]
    k = tf.cast(tf.clip_by_value(k, 1 - form.bias, form.bias), form.integer)
    return tf.bitcast(tf.bitwise.left_shift(k + form.bias, form.mantissa), dtype)


def _bits(size):
    """The biased exponents of non-negative numbers, and the form of their dtype."""
    form = _FORMS[size.dtype]
    return tf.bitwise.right_shift(tf.bitcast(size, form.integer), form.mantissa), form


def scaled_noise(no, scale):
    r""":math:`N_0/s^2`, clipped where its square would leave the range of the dtype.

    Parameters
    ----------
    no : float or tf.Tensor, real
    scale : tf.Tensor, real
        s, broadcasts with `no`.

    Returns
    -------
    tf.Tensor, real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg.scale import scaled_noise
    >>> scaled_noise(0.5, tf.constant([2.0, 1e30])).numpy()
    array([1.25e-01, 1.00e-18], dtype=float32)
    """
    limit = _LARGEST[scale.dtype]
    # Quotients, one after the other: their limits, 0 and infinity, are clipped, too.
    return tf.clip_by_value(to_dtype(no, scale.dtype) / scale / scale, 1 / limit, limit)


def unit_noise(h, no, axes=(-2, -1)):
    r""":math:`H/\sqrt{N_0}`, and :math:`\sqrt{N_0}`, the way back.

    The power of the largest entry is clipped as :func:`scaled_noise` is.

    Parameters
    ----------
    h : tf.Tensor, [..., K, M], complex
    no : float or tf.Tensor, [...], real
    axes : sequence of int
        Those of an example, which `no` lacks.

    Returns
    -------
    tf.Tensor, [..., K, M], complex
    tf.Tensor, [..., 1, 1], real
        What the result is to be multiplied with to be `h` again. Not a divisor: XLA makes a product
        of large numbers of the quotient of a quotient.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg.scale import unit_noise
    >>> rows, back = unit_noise(tf.constant([[3 + 4j]], tf.complex64), 0.25)
    >>> rows.numpy().round(3), back.numpy()
    (array([[6.+8.j]], dtype=complex64), array([[0.5]], dtype=float32))
    """
    x, scale = unit_scale(h, axes)
    no = to_dtype(no, scale.dtype)
    no = tf.reshape(no, tf.concat([tf.shape(no), [1] * len(axes)], 0))
    root = tf.math.rsqrt(scaled_noise(no, scale))
    return x * tf.cast(root, x.dtype), scale / root
