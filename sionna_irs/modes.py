"""How functions run: with which kernels, and as graphs when they are called eagerly."""

import contextlib
import functools

import tensorflow as tf

__all__ = ["has_kernels", "in_graph", "plain_graphs"]

_plain = [False]


@contextlib.contextmanager
def plain_graphs(plain=True):
    """Functions traced within are not to be compiled by XLA: TensorFlow's kernels may be used.

    A function cannot know, while it is traced, whether XLA will compile it. Where the caller does
    know, "auto" methods may take kernels that XLA lacks: :class:`SCA` is ten times faster then.
    Compiling such a function later is an error.

    Parameters
    ----------
    plain : bool
        False changes nothing.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> with irs.linalg.plain_graphs():
    ...     irs.linalg.has_kernels()
    True
    """
    before = _plain[0]
    _plain[0] = before or plain
    try:
        yield
    finally:
        _plain[0] = before


def has_kernels():
    """Whether operations may be used that XLA cannot compile: in eager mode, and where said.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.linalg.has_kernels()
    True
    """
    return tf.executing_eagerly() or _plain[0]


def in_graph(function):
    """``function(matrix, *settings)`` that runs as a graph when it is called eagerly.

    Loops of small operations take about ten times longer in eager mode. There is one graph for
    every size of matrix, whatever the batch; the settings are no tensors.
    """

    @functools.cache
    def graph(shape, dtype, *settings, **named):
        signature = [tf.TensorSpec(shape, dtype)]
        return tf.function(lambda x: function(x, *settings, **named), signature, autograph=False)

    @functools.wraps(function)
    def call(matrix, *settings, **named):
        matrix = tf.convert_to_tensor(matrix)
        if not tf.executing_eagerly() or matrix.shape.rank < 2:
            return function(matrix, *settings, **named)
        shape = (*[None] * (matrix.shape.rank - 2), *matrix.shape[-2:])
        return graph(shape, matrix.dtype, *settings, **named)(matrix)

    return call
