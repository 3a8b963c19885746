"""Convolutions of feature maps, with normalisation and activation."""

import math
from typing import Literal

import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer, require_integer
from .batch_norm import BatchNorm

__all__ = ["ACTIVATIONS", "Convolution", "leaky_relu"]

_SLOPE = 0.2


def leaky_relu(x, slope=_SLOPE):
    """x, and `slope` times what of it is negative."""
    if x.dtype == tf.float64:  # TensorFlow's takes the slope through single precision
        return tf.where(x > 0, x, slope * x)
    return tf.nn.leaky_relu(x, slope)


ACTIVATIONS = {
    "leaky_relu": leaky_relu,
    "silu": tf.nn.silu,  # smooth: for tests by finite differences
    "relu": tf.nn.relu,
    None: lambda x: x,
}
_KINDS = ("conv", "sep", "dil", "point")


class Convolution(LinkLayer):
    """A convolution, then batch normalisation or a bias, then the activation.

    Parameters
    ----------
    kind : "conv", "sep", "dil" or "point"
        3x3; separable (depth-wise 3x3, then point-wise); dilated (as separable, rate 2); 1x1.
    num_inputs, num_filters : int
        Channels of the input and the output.
    norm : bool
        Batch normalisation.
    bias : bool or None
        None: a bias wherever there is no normalisation.
    activation : "leaky_relu" (slope 0.2), "relu", "silu" or None

    Input
    -----
    x : tf.Tensor, [batch, height, width, num_inputs], real
    training : bool

    Output
    ------
    tf.Tensor, [batch, height, width, num_filters], real

    Raises
    ------
    ValueError
        For another kind or activation, and channels below 1.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.Convolution("sep", 2, 8)(tf.ones([1, 4, 5, 2])).shape
    TensorShape([1, 4, 5, 8])
    """

    inputs = {"x": Input("real", "height", "width", "num_inputs")}

    def __init__(
        self,
        kind: Literal["conv", "sep", "dil", "point"],
        num_inputs: int,
        num_filters: int,
        norm: bool = True,
        bias: bool | None = None,
        activation: Literal["leaky_relu", "relu", "silu"] | None = "leaky_relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kind not in _KINDS:
            raise ValueError(f"kind = {kind!r}; one of {', '.join(_KINDS)} is needed")
        if activation not in ACTIVATIONS:
            known = ", ".join(map(str, ACTIVATIONS))
            raise ValueError(f"activation = {activation!r}; one of {known} is needed")
        require_integer("num_inputs", num_inputs)
        require_integer("num_filters", num_filters)
        self.kind, self.num_inputs, self.num_filters = kind, num_inputs, num_filters
        self.activation = activation
        size = 3 if kind == "conv" else 1
        self.depthwise = None
        if kind in ("sep", "dil"):
            self.depthwise = self._kernel((3, 3, num_inputs, 1), 9, 1.0, "depthwise")
        # He et al.: the variance that the activation takes away is put back.
        gain = 2 / (1 + _SLOPE**2) if activation is not None else 1.0
        self.kernel = self._kernel(
            (size, size, num_inputs, num_filters), size**2 * num_inputs, gain, "kernel"
        )
        self.norm = BatchNorm(num_filters, precision=self.precision) if norm else None
        self.bias = None
        if not norm if bias is None else bias:
            self.bias = self.add_weight(shape=(num_filters,), initializer="zeros", name="bias")

    def _kernel(self, shape, fan_in, gain, name):
        def draw(shape, dtype=None):
            return math.sqrt(gain / fan_in) * random.normal(shape, self.rdtype)

        return self.add_weight(shape=shape, initializer=draw, name=name)

    def call(self, x, training=False):
        if self.depthwise is not None:
            rate = [2, 2] if self.kind == "dil" else [1, 1]
            x = tf.nn.depthwise_conv2d(
                x, self.depthwise.value, [1, 1, 1, 1], "SAME", dilations=rate
            )
        x = tf.nn.conv2d(x, self.kernel.value, 1, "SAME")
        if self.norm is not None:
            x = self.norm(x, training=training)
        if self.bias is not None:
            x = x + self.bias.value
        return ACTIVATIONS[self.activation](x)
