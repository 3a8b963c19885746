"""One network for every row of a complex matrix."""

import math

import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg.scale import unit_scale
from .dense import Dense

__all__ = ["RowNet"]


class RowNet(LinkLayer):
    r"""The same small network for every row: it serves any number of rows, in any order.

    With n entries in a row x, its direction :math:`d=x/\|x\|`, and the network's output
    :math:`(\delta,s)` from :math:`(\sqrt nd,\ln\|x\|)`,

    .. math:: \phi(x)=e^s(d+\delta/\sqrt n)

    The output layer starts at zero, so that an untrained network returns the direction.

    Source: neural calibration, whose network returns :math:`\delta` from x (`residual` and
    `normalize` False, hidden layers 512, 2048, 2048): at the sizes and times measured there it
    stays far below the closed form that the untrained network here starts from.

    Parameters
    ----------
    num_inputs : int
        Entries of a row, n.
    hidden : list of int
        Sizes of the hidden layers (ReLU).
    residual : bool
        Whether d (x without `normalize`) is added to the network's correction.
    normalize : bool
        Whether the network sees direction and length; otherwise it sees x, and :math:`\delta` is
        neither scaled nor turned into a length by s.
    batch_norm : bool
        Of the hidden layers, over batch and rows.

    Input
    -----
    x : tf.Tensor, [..., rows, num_inputs], complex
        In units of the noise, for lengths that mean the same everywhere.
    training : bool

    Output
    ------
    tf.Tensor, as `x`, complex

    Raises
    ------
    ValueError
        For sizes below 1.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.networks.row_network import RowNet
    >>> rows = tf.constant([[3.0, 4.0], [0.0, 2.0]], tf.complex64)
    >>> RowNet(2, hidden=[8])(rows).numpy().real.round(3)
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """

    inputs = {"x": Input("complex", "num_rows", "num_inputs")}

    def __init__(
        self,
        num_inputs: int,
        hidden=(256, 512, 512),
        residual: bool = True,
        normalize: bool = True,
        batch_norm: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_integer("num_inputs", num_inputs)
        for size in hidden:
            require_integer("hidden", size)
        self.num_inputs, self.residual, self.normalize = num_inputs, residual, normalize
        ends = 2 * num_inputs + bool(normalize)
        sizes = [ends, *hidden]
        same = {"precision": self.precision}
        self.layers = [
            Dense(*sizes[i : i + 2], norm=batch_norm, activation="relu", **same)
            for i in range(len(hidden))
        ]
        self.layers.append(Dense(sizes[-1], ends, zeros=residual, **same))

    def call(self, x, training=False):
        n = self.num_inputs
        if self.normalize:
            x, scale = unit_scale(x, [-1])
            power = tf.square(tf.math.real(x)) + tf.square(tf.math.imag(x))
            power = tf.reduce_sum(power, -1, keepdims=True)
            power = tf.where(power > 0, power, tf.ones_like(power))
            x *= tf.cast(tf.math.rsqrt(power), x.dtype)
        z = tf.concat([tf.math.real(x), tf.math.imag(x)], -1)
        if self.normalize:
            size = tf.math.log(power) / 2 + tf.math.log(scale)
            z = tf.concat([math.sqrt(n) * z, size], -1)
        for layer in self.layers:
            z = layer(z, training=training)
        delta = tf.complex(z[..., :n], z[..., n : 2 * n])
        if not self.normalize:
            return x + delta if self.residual else delta
        delta /= math.sqrt(n)
        return self.cplx(tf.exp(z[..., 2 * n :])) * (x + delta if self.residual else delta)
