r"""Responses of surfaces: a vector of reflection coefficients, or blocks of a scattering matrix.

A tensor [..., N] is always a vector, :math:`\mathrm{diag}(\theta)`; only the type
:class:`BlockOperator` says matrix.
"""

import tensorflow as tf

__all__ = [
    "BlockOperator",
    "cast_response",
    "expand",
    "leading",
    "matrix",
    "stacked",
    "times",
    "times_rows",
    "transpose",
    "with_axes",
]


class BlockOperator(tf.experimental.ExtensionType):
    r"""Block-diagonal :math:`\Theta`: elements of a group scatter into each other.

    Parameters
    ----------
    blocks : tf.Tensor, [..., G, n, n], complex
        N = G n elements, groups one after the other; one block of n = N is a full matrix.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.surface.operators import BlockOperator, matrix
    >>> theta = BlockOperator(tf.ones([1, 2, 2], tf.complex64))
    >>> matrix(theta).shape, (theta * 2.0).num_elements
    (TensorShape([2, 2]), 2)
    """

    blocks: tf.Tensor

    @property
    def num_elements(self):
        """N, int."""
        return self.blocks.shape[-3] * self.blocks.shape[-1]

    @property
    def dtype(self):
        """Of the blocks."""
        return self.blocks.dtype

    def __add__(self, other):
        return BlockOperator(self.blocks + other.blocks)

    def __sub__(self, other):
        return BlockOperator(self.blocks - other.blocks)

    def __mul__(self, factor):
        return BlockOperator(self.blocks * tf.cast(factor, self.dtype))

    def __truediv__(self, factor):
        return BlockOperator(self.blocks / tf.cast(factor, self.dtype))


def leading(theta):
    """Number of axes before those of the elements."""
    return theta.blocks.shape.rank - 3 if isinstance(theta, BlockOperator) else theta.shape.rank - 1


def expand(theta, rank):
    """Axes of size 1 behind the leading ones, until there are so many."""
    missing = rank - leading(theta)
    if missing <= 0:
        return theta
    if isinstance(theta, BlockOperator):
        blocks = theta.blocks
        for _ in range(missing):
            blocks = tf.expand_dims(blocks, -4)
        return BlockOperator(blocks)
    for _ in range(missing):
        theta = tf.expand_dims(theta, -2)
    return theta


def with_axes(theta, rank):
    """With leading axes for batch and time where these are missing: time, or both."""
    while leading(theta) < rank:
        axis = 0 if leading(theta) == rank - 2 else 1
        if isinstance(theta, BlockOperator):
            theta = BlockOperator(tf.expand_dims(theta.blocks, axis))
        else:
            theta = tf.expand_dims(theta, axis)
    return theta


def times(theta, field):
    r""":math:`\Theta F` for fields [..., N, m]."""
    if not isinstance(theta, BlockOperator):
        return theta[..., None] * field
    groups, n = theta.blocks.shape[-3], theta.blocks.shape[-1]
    lead, m = tf.shape(field)[:-2], tf.shape(field)[-1]
    field = tf.reshape(field, tf.concat([lead, [groups, n, m]], 0))
    field = tf.linalg.matmul(theta.blocks, field)
    return tf.reshape(field, tf.concat([tf.shape(field)[:-3], [groups * n, m]], 0))


def times_rows(theta, field):
    r""":math:`(\Theta F^T)^T` for fields [..., m, N]."""
    if not isinstance(theta, BlockOperator):
        return theta[..., None, :] * field
    return tf.linalg.matrix_transpose(times(theta, tf.linalg.matrix_transpose(field)))


def transpose(theta):
    r""":math:`\Theta^T`; a vector is its own."""
    if not isinstance(theta, BlockOperator):
        return theta
    return BlockOperator(tf.linalg.matrix_transpose(theta.blocks))


def matrix(theta):
    """The full matrix [..., N, N], to look at: compositions never make it."""
    if not isinstance(theta, BlockOperator):
        return theta[..., None] * tf.eye(theta.shape[-1], dtype=theta.dtype)
    size = theta.num_elements
    lead = theta.blocks.shape.rank - 3
    eye = tf.eye(size, batch_shape=[1] * lead, dtype=theta.dtype)
    return times(theta, eye)


def stacked(theta):
    """The response of elements with two polarisations and one coefficient for both."""
    if not isinstance(theta, BlockOperator):
        return tf.concat([theta, theta], -1)
    return BlockOperator(tf.concat([theta.blocks, theta.blocks], -3))


def cast_response(layer, theta, name):
    """A response in the precision of a layer, checked as its other arguments are."""
    if isinstance(theta, BlockOperator):
        return BlockOperator(layer.cast(theta.blocks, name))
    return layer.cast(theta, name)
