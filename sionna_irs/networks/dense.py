"""Matrix products along the last axis, with normalisation and activation."""

import math

import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer, require_integer
from .batch_norm import BatchNorm
from .convolution import ACTIVATIONS

__all__ = ["Dense"]


class Dense(LinkLayer):
    """The same matrix for every vector, then batch normalisation or a bias, then the activation.

    On CPUs four times faster than a 1x1 :class:`Convolution` in graphs.

    Parameters
    ----------
    num_inputs, num_outputs : int
    norm : bool
        Batch normalisation in place of a bias.
    activation : as in :class:`Convolution`
    zeros : bool
        Whether the matrix starts as zeros: a correction that starts with no effect.

    Input
    -----
    x : tf.Tensor, [..., num_inputs], real
    training : bool

    Output
    ------
    tf.Tensor, [..., num_outputs], real

    Raises
    ------
    ValueError
        For another activation, and sizes below 1.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.networks.dense import Dense
    >>> Dense(2, 8)(tf.ones([5, 4, 2])).shape
    TensorShape([5, 4, 8])
    """

    inputs = {"x": Input("real", "num_inputs")}

    def __init__(self, num_inputs, num_outputs, norm=False, activation=None, zeros=False, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_inputs", num_inputs)
        require_integer("num_outputs", num_outputs)
        if activation not in ACTIVATIONS:
            known = ", ".join(map(str, ACTIVATIONS))
            raise ValueError(f"activation = {activation!r}; one of {known} is needed")
        self.num_inputs, self.activation = num_inputs, activation
        spread = 0.0 if zeros else math.sqrt((2 if activation else 1) / num_inputs)
        self.kernel = self.add_weight(
            shape=(num_inputs, num_outputs),
            initializer=lambda shape, dtype=None: spread * random.normal(shape, self.rdtype),
            name="kernel",
        )
        self.norm = BatchNorm(num_outputs, precision=self.precision) if norm else None
        self.bias = None
        if not norm:
            self.bias = self.add_weight(shape=(num_outputs,), initializer="zeros", name="bias")

    def call(self, x, training=False):
        # A product of two matrices: tf.matmul would sum a kernel gradient for every row.
        x = tf.tensordot(x, self.kernel.value, 1)
        x = x + self.bias.value if self.norm is None else self.norm(x, training=training)
        return ACTIVATIONS[self.activation](x)
