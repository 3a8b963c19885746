"""What a column says over all antennas, given to each of them."""

import tensorflow as tf

from ..layer import Input, LinkLayer
from .convolution import Convolution

__all__ = ["AntennaContext"]


class AntennaContext(LinkLayer):
    """Mean over the antennas, two dense layers (4 times as wide inside), the same for every antenna.

    The sufficient statistics of a column of the cascade are sums over all antennas; a stack of
    3x3 convolutions needs many layers to see them. The cost does not grow with the number of
    antennas, and the weights serve any number.

    Parameters
    ----------
    num_channels : int
    norm : bool
        Batch normalisation of the result.
    activation : as in :class:`Convolution`

    Input
    -----
    x : tf.Tensor, [batch, num_ant, width, num_channels], real
    training : bool

    Output
    ------
    tf.Tensor, as `x`, real
        Constant along the antennas.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.AntennaContext(8)(tf.ones([1, 4, 5, 8])).shape
    TensorShape([1, 4, 5, 8])
    """  # noqa: E501

    inputs = {"x": Input("real", "num_ant", "width", "num_channels")}

    def __init__(self, num_channels: int, norm: bool = False, activation="leaky_relu", **kwargs):
        super().__init__(**kwargs)
        self.num_channels = num_channels
        same = {"precision": self.precision}
        self.inner = Convolution(
            "point", num_channels, 4 * num_channels, norm=False, activation=activation, **same
        )
        self.outer = Convolution(
            "point", 4 * num_channels, num_channels, norm=norm, activation=None, **same
        )

    def call(self, x, training=False):
        mean = tf.reduce_mean(x, -3, keepdims=True)
        context = self.outer(self.inner(mean), training=training)
        return tf.broadcast_to(context, tf.shape(x))
