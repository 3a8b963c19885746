"""Random numbers that are the same in eager, graph and XLA.

TensorFlow's float generators give different numbers for one seed under XLA; its raw Philox
integers agree bit for bit. Everything here is made from those integers, so our layers are
portable with any generator in ``sionna.phy.config``. :func:`install` puts a
:class:`PortableGenerator` there, which makes Sionna's own blocks portable too.

Streams: a simulation derives one key per unit of work with :func:`stream_key` and calls
:func:`reset` with it, so that a unit's result depends on nothing but its key.
"""

import concurrent.futures
import contextlib
import gc
import warnings

import numpy as np
import tensorflow as tf
from sionna.phy import Block, config

from .generator import (
    PortableGenerator,
    as_shape,
    box_muller,
    draw_unit,
    normal_numbers,
    replica_key,
    stream_key,
)
from .layer import to_dtype

__all__ = [
    "PortableGenerator",
    "complex_normal",
    "distinct",
    "install",
    "integers",
    "normal",
    "permutation",
    "replica_key",
    "reset",
    "stream_key",
    "uniform",
]


def _is_block(holder):
    """Whether a referrer is a Sionna block, or the attribute dictionary of one."""
    if isinstance(holder, dict):
        return "_precision" in holder and holder is not vars(config)
    return isinstance(holder, Block)


def _new_generator():
    with tf.init_scope():
        if config.seed is None:
            return PortableGenerator.from_non_deterministic_state()
        return PortableGenerator.from_seed(config.seed)


def install():
    """Make Sionna's blocks draw from a :class:`PortableGenerator`.

    Call it before blocks are built (:class:`sionna_irs.Link` and the runner do): several blocks
    keep a reference to the generator that they found. A seed set before stays in force. Within
    the scope of a ``tf.distribute`` strategy every replica gets a stream of its own.

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
    old = new = config._tf_rng
    if not isinstance(old, PortableGenerator):
        # In a thread of its own no strategy is in force: the generator serves all of them.
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            new = pool.submit(_new_generator).result()
        holders = [] if old is None else [r for r in gc.get_referrers(old) if _is_block(r)]
        if holders:
            warnings.warn(
                f"{len(holders)} Sionna block(s) were built before sionna_irs.random.install() "
                "and keep the old random generator: their numbers differ between eager and XLA. "
                "Build blocks after install().",
                stacklevel=2,
            )
        config._tf_rng = new
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync > 1 and not new.has_replicas(strategy):
        with tf.init_scope():
            new.start_replicas(strategy)
    return new


def reset(key):
    """Start the stream of ``key`` in Sionna's generator (allowed inside compiled functions).

    Within a replica of a ``tf.distribute`` strategy it is the stream of that replica alone.

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


@contextlib.contextmanager
def kept_stream():
    """Sionna's generator goes on afterwards as if nothing had been drawn within."""
    generator = config.tf_rng
    state = generator.state.numpy()
    try:
        yield
    finally:
        generator.state.assign(state)


def draw_key():
    """A key of its own (int64, []), drawn from Sionna's generator."""
    return tf.random.Generator.uniform_full_int(config.tf_rng, [], tf.int64)


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
    u = draw_unit(config.tf_rng, as_shape(shape), dtype)
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
    return normal_numbers(config.tf_rng, shape, tf.as_dtype(dtype))


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
    re, im = box_muller(config.tf_rng, as_shape(shape), rdtype)
    if tf.is_tensor(variance):
        scale = tf.sqrt(tf.cast(variance, rdtype) / 2)
    else:  # its root may be in the range of the dtype where the variance is not
        scale = to_dtype(np.sqrt(np.asarray(variance) / 2), rdtype)
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
        words = tf.random.Generator.uniform_full_int(config.tf_rng, as_shape(shape), tf.uint32)
        bits = high.bit_length() - 1
        if bits == 0:
            return tf.zeros_like(words, dtype)
        return tf.cast(
            tf.bitcast(tf.bitwise.right_shift(words, tf.constant(32 - bits, tf.uint32)), tf.int32),
            dtype,
        )
    return tf.random.Generator.uniform(config.tf_rng, as_shape(shape), 0, high, tf.as_dtype(dtype))


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
