"""The portable generator: floats made from Philox integers, and a stream for every replica."""

import math

import tensorflow as tf

from .layer import to_dtype

__all__ = [
    "PortableGenerator",
    "as_shape",
    "box_muller",
    "draw_unit",
    "normal_numbers",
    "replica_key",
    "stream_key",
    "unit_circle",
]


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


def replica_key(key):
    """The key of (``key``, replica): call it within a replica of a ``tf.distribute`` strategy.

    Parameters
    ----------
    key : tf.Tensor, int64, shape []
        From :func:`stream_key`.

    Returns
    -------
    tf.Tensor, int64, shape []

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.random import replica_key, stream_key
    >>> bool(replica_key(stream_key(1)) == stream_key(stream_key(1), 0))  # outside: replica 0
    True
    """
    return stream_key(key, tf.distribute.get_replica_context().replica_id_in_sync_group)


def _unit_interval(words, dtype):
    """Map full-range integers to exact multiples of 2^-24 (2^-53 in double) in [0, 1)."""
    # XLA on the CPU converts signed integers several times faster than unsigned ones, and after
    # the logical shift the sign bit is clear.
    signed, shift, exponent = (tf.int64, 11, -53) if dtype == tf.float64 else (tf.int32, 8, -24)
    words = tf.bitwise.right_shift(words, tf.constant(shift, words.dtype))
    return tf.cast(tf.bitcast(words, signed), dtype) * 2.0**exponent


def draw_unit(generator, shape, dtype):
    word = tf.uint64 if dtype == tf.float64 else tf.uint32
    return _unit_interval(tf.random.Generator.uniform_full_int(generator, shape, word), dtype)


def as_shape(shape):
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


def box_muller(generator, shape, dtype):
    """Two independent standard normal tensors of ``shape`` from two uniform ones."""
    if isinstance(shape, tuple):
        pair = (2, *shape)
    else:
        pair = tf.concat([[2], shape], 0)
    u = draw_unit(generator, pair, dtype)
    # 1 - u lies in (0, 1] and is exact, so the logarithm is finite. Its end 1 stands for a whole
    # cell of u, not for a radius of 0: a channel of exactly 0 has no inverse.
    smallest = 2.0**-53 if dtype == tf.float64 else 2.0**-24
    radius = tf.sqrt(tf.maximum(-2.0 * tf.math.log(1.0 - u[0]), smallest))
    cos, sin = unit_circle(u[1])
    return radius * cos, radius * sin


def normal_numbers(generator, shape, dtype):
    shape = as_shape(shape)
    size = math.prod(shape) if isinstance(shape, tuple) else tf.reduce_prod(shape)
    half = (size + 1) // 2
    half = (half,) if isinstance(shape, tuple) else tf.reshape(half, [1])
    z = tf.concat(box_muller(generator, half, dtype), 0)
    return tf.reshape(z[:size], shape)


class PortableGenerator(tf.random.Generator):
    """A :class:`tf.random.Generator` whose floats agree in eager, graph and XLA.

    Uniform numbers are exact multiples of 2^-24 (single) or 2^-53 (double); normal numbers come
    from the Box-Muller transform, z = sqrt(-2 ln(1-u1)) (cos, sin)(2 pi u2), both outputs used.
    Integers are those of TensorFlow. In single precision the normal tails end at 5.77 sigma:
    use double for error rates below 1e-8.

    The replicas of a ``tf.distribute`` strategy would race for one state; :meth:`start_replicas`
    gives each its own, which is then in force inside of it and nowhere else.

    Examples
    --------
    >>> from sionna_irs.random import PortableGenerator
    >>> PortableGenerator.from_seed(1).normal([2, 3]).shape
    TensorShape([2, 3])
    """

    def __init__(self, copy_from=None, state=None, alg=None):
        super().__init__(copy_from, state, alg)
        # Past TensorFlow's tracking of attributes, which saves no dictionary with such keys.
        vars(self)["_of_replicas"] = {}

    @property
    def state(self):
        """The state in force: within a replica its own, if it has one."""
        context = tf.distribute.get_replica_context()
        if context is None:
            return super().state
        return self._of_replicas.get(context.strategy, super().state)

    def reset_from_key_counter(self, key, counter):
        """Start the stream of a key; within a replica that replica's stream."""
        key, counter = tf.cast(key, tf.int64), tf.cast(counter, tf.int64)
        self.state.assign(tf.concat([counter, tf.reshape(key, [1])], 0))

    def reset_from_seed(self, seed):
        """Start the stream of a seed, and those of all replicas."""
        super().reset_from_seed(seed)
        for strategy in self._of_replicas:
            self.start_replicas(strategy)

    def has_replicas(self, strategy):
        """Whether the replicas of ``strategy`` have states of their own."""
        return strategy in self._of_replicas

    def start_replicas(self, strategy, key=None):
        """Start the stream of (``key``, replica) in every replica of ``strategy``.

        Without a key the streams follow from the state here, which stays as it is.
        """
        if strategy not in self._of_replicas:
            with strategy.scope():
                self._of_replicas[strategy] = tf.Variable(
                    tf.zeros([3], tf.int64),
                    trainable=False,
                    synchronization=tf.VariableSynchronization.ON_READ,
                    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                )
        _start(self, strategy, stream_key(*tf.unstack(self.state)) if key is None else key)

    def uniform(self, shape, minval=0, maxval=None, dtype=tf.float32, name=None):
        """Uniform numbers in [minval, maxval), `shape`, `dtype` (floats or integers)."""
        dtype = tf.as_dtype(dtype)
        if not dtype.is_floating:
            return super().uniform(shape, minval, maxval, dtype, name)
        low = to_dtype(minval, dtype)
        high = to_dtype(1 if maxval is None else maxval, dtype)
        return low + (high - low) * draw_unit(self, as_shape(shape), dtype)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=tf.float32, name=None):
        """Normal numbers with the given mean and standard deviation, `shape`, `dtype`."""
        dtype = tf.as_dtype(dtype)
        return to_dtype(mean, dtype) + to_dtype(stddev, dtype) * normal_numbers(self, shape, dtype)


@tf.function(autograph=False)
def _start(generator, strategy, key):
    def start():
        generator.reset_from_key_counter(replica_key(key), tf.zeros([2], tf.int64))

    strategy.run(start)
