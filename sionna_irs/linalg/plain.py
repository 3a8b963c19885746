"""Whether graphs are traced for execution without XLA."""

import contextlib

import tensorflow as tf

__all__ = ["has_kernels", "plain_graphs"]

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
