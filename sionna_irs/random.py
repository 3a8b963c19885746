"""Random numbers that are the same in eager, graph and XLA.

TensorFlow's float generators give different numbers for one seed under XLA; its raw Philox
integers agree bit for bit. Everything here is made from those integers, so our layers are
portable with any generator in ``sionna.phy.config``. :func:`install` puts a
:class:`PortableGenerator` there, which makes Sionna's own blocks portable too.

Streams: a simulation derives one key per unit of work with :func:`stream_key` and calls
:func:`reset` with it, so that a unit's result depends on nothing but its key.
"""

import gc
import math
import warnings

import numpy as np
import tensorflow as tf
from sionna.phy import Block, config

from .layer import to_dtype

__all__ = [
    "PortableGenerator",
    "complex_normal",
    "distinct",
    "install",
    "integers",
    "normal",
    "permutation",
    "reset",
    "stream_key",
    "uniform",
]


def _unit_interval(words, dtype):
    """Map full-range integers to exact multiples of 2^-24 (2^-53 in double) in [0, 1)."""
    # XLA on the CPU converts signed integers several times faster than unsigned ones, and after
    # the logical shift the sign bit is clear.
    signed, shift, exponent = (tf.int64, 11, -53) if dtype == tf.float64 else (tf.int32, 8, -24)
    words = tf.bitwise.right_shift(words, tf.constant(shift, words.dtype))
    return tf.cast(tf.bitcast(words, signed), dtype) * 2.0**exponent


def _draw_unit(generator, shape, dtype):
    word = tf.uint64 if dtype == tf.float64 else tf.uint32
    return _unit_interval(tf.random.Generator.uniform_full_int(generator, shape, word), dtype)


def _as_shape(shape):
    """A tuple of Python integers where the shape is known, else an int32 tensor."""
    static = tf.get_static_value(shape) if tf.is_tensor(shape) else shape
    if static is None:
        return tf.cast(shape, tf.int32)
    if isinstance(static, int):
        return (static,)
    static = tuple(static)
    if any(tf.is_tensor(d) for d in static):
        return tf.stack([tf.cast(d, tf.int32) for d in static])
    return tuple(int(d) for d in static)


def unit_circle(u):
    """(cos, sin)(2 pi u) of uniform u in [0, 1), single precision to 1e-6.

    XLA on the CPU calls its own cosine element by element; polynomials on a quarter of the angle
    and two doublings of it are vectorised, which makes normal numbers 1.6 times faster there.
    """
    if u.dtype == tf.float64:
        angle = (2.0 * math.pi) * u
        return tf.cos(angle), tf.sin(angle)
    x = (0.5 - u) * (math.pi / 2)
    y = x * x
    sin = x * (1.0 + y * (-1.6666654611e-1 + y * (8.3321608736e-3 - y * 1.9515295891e-4)))
    cos = 1.0 + y * (-0.5 + y * (4.166664568e-2 + y * (-1.388731626e-3 + y * 2.443315712e-5)))
    sin, cos = 2.0 * sin * cos, 1.0 - 2.0 * sin * sin
    return 2.0 * sin * sin - 1.0, 2.0 * sin * cos


def _box_muller(generator, shape, dtype):
    """Two independent standard normal tensors of ``shape`` from two uniform ones."""
    if isinstance(shape, tuple):
        pair = (2, *shape)
    else:
        pair = tf.concat([[2], shape], 0)
    u = _draw_unit(generator, pair, dtype)
    # 1 - u lies in (0, 1] and is exact, so the logarithm is finite. Its end 1 stands for a whole
    # cell of u, not for a radius of 0: a channel of exactly 0 has no inverse.
    smallest = 2.0**-53 if dtype == tf.float64 else 2.0**-24
    radius = tf.sqrt(tf.maximum(-2.0 * tf.math.log(1.0 - u[0]), smallest))
    cos, sin = unit_circle(u[1])
    return radius * cos, radius * sin


def _normal(generator, shape, dtype):
    shape = _as_shape(shape)
    size = math.prod(shape) if isinstance(shape, tuple) else tf.reduce_prod(shape)
    half = (size + 1) // 2
    half = (half,) if isinstance(shape, tuple) else tf.reshape(half, [1])
    z = tf.concat(_box_muller(generator, half, dtype), 0)
    return tf.reshape(z[:size], shape)


class PortableGenerator(tf.random.Generator):
    """A :class:`tf.random.Generator` whose floats agree in eager, graph and XLA.

    Uniform numbers are exact multiples of 2^-24 (single) or 2^-53 (double); normal numbers come
    from the Box-Muller transform, z = sqrt(-2 ln(1-u1)) (cos, sin)(2 pi u2), both outputs used.
    Integers are those of TensorFlow. In single precision the normal tails end at 5.77 sigma:
    use double for error rates below 1e-8.

    Examples
    --------
    >>> from sionna_irs.random import PortableGenerator
    >>> PortableGenerator.from_seed(1).normal([2, 3]).shape
    TensorShape([2, 3])
    """

    def uniform(self, shape, minval=0, maxval=None, dtype=tf.float32, name=None):
        """Uniform numbers in [minval, maxval), `shape`, `dtype` (floats or integers)."""
        dtype = tf.as_dtype(dtype)
        if not dtype.is_floating:
            return super().uniform(shape, minval, maxval, dtype, name)
        low = to_dtype(minval, dtype)
        high = to_dtype(1 if maxval is None else maxval, dtype)
        return low + (high - low) * _draw_unit(self, _as_shape(shape), dtype)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=tf.float32, name=None):
        """Normal numbers with the given mean and standard deviation, `shape`, `dtype`."""
        dtype = tf.as_dtype(dtype)
        return to_dtype(mean, dtype) + to_dtype(stddev, dtype) * _normal(self, shape, dtype)


def _is_block(holder):
    """Whether a referrer is a Sionna block, or the attribute dictionary of one."""
    if isinstance(holder, dict):
        return "_precision" in holder and holder is not vars(config)
    return isinstance(holder, Block)


def install():
    """Make Sionna's blocks draw from a :class:`PortableGenerator`.

    Call it before blocks are built (:class:`sionna_irs.Link` and the runner do): several blocks
    keep a reference to the generator that they found. A seed set before stays in force.

    Returns
    -------
    PortableGenerator
        The generator in ``sionna.phy.config.tf_rng``.

    Warns
    -----
    UserWarning
        When a block already holds the previous generator; it would go on using it.

    Examples
    --------
    >>> from sionna_irs import random
    >>> random.install() is random.install()
    True
    """
    # Sionna offers no setter for the generator: this private attribute is the only way in, and
    # a test pins it.
    old = config._tf_rng
    if isinstance(old, PortableGenerator):
        return old
    with tf.init_scope():
        seed = config.seed
        new = (
            PortableGenerator.from_non_deterministic_state()
            if seed is None
            else PortableGenerator.from_seed(seed)
        )
    holders = [] if old is None else [r for r in gc.get_referrers(old) if _is_block(r)]
    if holders:
        warnings.warn(
            f"{len(holders)} Sionna block(s) were built before sionna_irs.random.install() and "
            "keep the old random generator: their numbers differ between eager and XLA. "
            "Build blocks after install().",
            stacklevel=2,
        )
    config._tf_rng = new
    return new


def stream_key(*words):
    """Hash integers to one key: the stream of (seed, point, unit) and the like.

    Parameters
    ----------
    words : int or int tensors, scalar
        The words that name the stream, each within int64.

    Returns
    -------
    tf.Tensor, int64, shape []
        The key; equal in eager, graph and XLA.

    Examples
    --------
    >>> from sionna_irs.random import stream_key
    >>> bool(stream_key(1, 2) == stream_key(2, 1))
    False
    """
    # int64 throughout: negative int32 seeds are expanded differently by XLA. The last draw is
    # needed because fold_in(k, j) leaves j itself as its second word.
    key = tf.zeros([2], tf.int64)
    for word in words:
        key = tf.random.experimental.stateless_fold_in(key, tf.cast(word, tf.int64), alg="philox")
    return tf.random.stateless_uniform([], key, None, None, tf.int64, alg="philox")


def reset(key):
    """Start the stream of ``key`` in Sionna's generator (allowed inside compiled functions).

    Parameters
    ----------
    key : tf.Tensor, int64, shape []
        From :func:`stream_key`.

    Examples
    --------
    >>> from sionna_irs import random
    >>> random.reset(random.stream_key(1, 2)); a = random.normal([2])
    >>> random.reset(random.stream_key(1, 2)); bool((a == random.normal([2])).numpy().all())
    True
    """
    config.tf_rng.reset_from_key_counter(tf.cast(key, tf.int64), tf.zeros([2], tf.int64))


def uniform(shape, dtype=tf.float32, low=0.0, high=1.0):
    """Uniform numbers in [low, high) from Sionna's generator.

    Parameters
    ----------
    shape : sequence of int or int tensor
    dtype : tf.float32 or tf.float64
    low, high : float or tensor
        Bounds.

    Returns
    -------
    tf.Tensor, `dtype`, `shape`

    Examples
    --------
    >>> from sionna_irs.random import uniform
    >>> uniform([2, 3]).shape
    TensorShape([2, 3])
    """
    dtype = tf.as_dtype(dtype)
    u = _draw_unit(config.tf_rng, _as_shape(shape), dtype)
    if isinstance(low, float) and isinstance(high, float) and (low, high) == (0.0, 1.0):
        return u
    low, high = to_dtype(low, dtype), to_dtype(high, dtype)
    return low + (high - low) * u


def normal(shape, dtype=tf.float32):
    """Standard normal numbers N(0, 1) from Sionna's generator.

    Parameters
    ----------
    shape : sequence of int or int tensor
    dtype : tf.float32 or tf.float64

    Returns
    -------
    tf.Tensor, `dtype`, `shape`

    Examples
    --------
    >>> from sionna_irs.random import normal
    >>> normal([2, 3]).shape
    TensorShape([2, 3])
    """
    return _normal(config.tf_rng, shape, tf.as_dtype(dtype))


def complex_normal(shape, dtype=tf.complex64, variance=1.0):
    """Circular complex normal numbers CN(0, variance) from Sionna's generator.

    Parameters
    ----------
    shape : sequence of int or int tensor
    dtype : tf.complex64 or tf.complex128
    variance : float or real tensor that broadcasts to `shape`
        Mean squared magnitude.

    Returns
    -------
    tf.Tensor, `dtype`, `shape`

    Examples
    --------
    >>> from sionna_irs.random import complex_normal
    >>> complex_normal([2, 3]).dtype
    tf.complex64
    """
    rdtype = tf.as_dtype(dtype).real_dtype
    re, im = _box_muller(config.tf_rng, _as_shape(shape), rdtype)
    scale = tf.sqrt(to_dtype(variance, rdtype) / 2)
    return tf.complex(scale * re, scale * im)


def integers(shape, high, dtype=tf.int32):
    """Uniform integers in [0, high) from Sionna's generator.

    Parameters
    ----------
    shape : sequence of int or int tensor
    high : int
        Upper end, excluded; at most 2^31 - 1.
    dtype : tf.int32 or tf.int64

    Returns
    -------
    tf.Tensor, `dtype`, `shape`

    Examples
    --------
    >>> from sionna_irs.random import integers
    >>> integers([4], 2).dtype
    tf.int32
    """
    if isinstance(high, int) and high > 0 and high & (high - 1) == 0:
        # A power of two needs no division: take that many of the upper bits.
        words = tf.random.Generator.uniform_full_int(config.tf_rng, _as_shape(shape), tf.uint32)
        bits = high.bit_length() - 1
        if bits == 0:
            return tf.zeros_like(words, dtype)
        return tf.cast(
            tf.bitcast(tf.bitwise.right_shift(words, tf.constant(32 - bits, tf.uint32)), tf.int32),
            dtype,
        )
    return tf.random.Generator.uniform(config.tf_rng, _as_shape(shape), 0, high, tf.as_dtype(dtype))


def distinct(batch_size, count, high):
    """Integers in [0, high), all different within an example: draws without replacement.

    Parameters
    ----------
    batch_size : int
    count : int
        At most `high`.
    high : int
        At most 2^31 - 1.

    Returns
    -------
    tf.Tensor, int32, [batch_size, count]

    Examples
    --------
    >>> from sionna_irs.random import distinct
    >>> sorted(distinct(1, 3, 3)[0].numpy().tolist())
    [0, 1, 2]
    """
    picks = integers([batch_size, 1], high)
    for k in range(1, count):
        # A draw among the integers that are left, moved past the earlier picks below it.
        rank = integers([batch_size, 1], high - k)
        gaps = tf.sort(picks, -1) - tf.range(k)
        moved = rank + tf.reduce_sum(tf.cast(gaps <= rank, tf.int32), -1, keepdims=True)
        picks = tf.concat([picks, moved], -1)
    return picks


def permutation(size, seed=0):
    """A fixed order of the integers 0..size-1: the same in every process, for splits of data.

    Parameters
    ----------
    size : int
    seed : int
        Not that of Sionna's generator, which it leaves alone.

    Returns
    -------
    np.ndarray, int64, [size]

    Examples
    --------
    >>> from sionna_irs.random import permutation
    >>> sorted(permutation(4).tolist())
    [0, 1, 2, 3]
    """
    with tf.init_scope():
        key = tf.constant([seed, 0], tf.int64)
        words = tf.random.stateless_uniform([size], key, None, None, tf.int64, alg="philox")
    return np.argsort(words.numpy(), kind="stable")
