"""The residual denoising network that estimators of the cascaded channel are compared with."""

from ..layer import Input, LinkLayer, require_integer
from .convolution import Convolution

__all__ = ["CDRN"]


class CDRN(LinkLayer):
    """Blocks of 3x3 convolutions, each of which subtracts what it takes for noise.

    Source: Liu, Lei, Zhang 2020 (CDRN), public code: 3 blocks of 15 convolutions with 64 filters
    (no bias, batch normalisation, ReLU) and one to 2 channels. The moving averages have
    momentum 0.95 here; there they are those of the last batch.

    Parameters
    ----------
    num_blocks, num_layers, num_filters : int
        Blocks, normalised convolutions of each, and their filters.

    Input
    -----
    x : tf.Tensor, [batch, M, N+1, 2], real
    training : bool

    Output
    ------
    tf.Tensor, as `x`, real

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.CDRN(num_blocks=1, num_layers=2, num_filters=4)(tf.ones([1, 4, 5, 2])).shape
    TensorShape([1, 4, 5, 2])
    """

    num_channels = 2
    inputs = {"x": Input("real", "height", "width", 2)}

    def __init__(self, num_blocks: int = 3, num_layers: int = 15, num_filters: int = 64, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("num_blocks", num_blocks), ("num_layers", num_layers)):
            require_integer(name, value)
        same = {"precision": self.precision}
        self.blocks = []
        for _ in range(num_blocks):
            widths = [2] + [num_filters] * num_layers
            hidden = [
                Convolution("conv", *widths[i : i + 2], activation="relu", **same)
                for i in range(num_layers)
            ]
            last = Convolution(
                "conv", num_filters, 2, norm=False, bias=False, activation=None, **same
            )
            self.blocks.append([*hidden, last])

    def call(self, x, training=False):
        for block in self.blocks:
            noise = x
            for layer in block:
                noise = layer(noise, training=training)
            x = x - noise
        return x
