"""An autoencoder that sends a channel through a given number of bits."""

import math

import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer, require_integer
from .batch_norm import BatchNorm
from .convolution import leaky_relu
from .dense import Dense

__all__ = ["FeedbackAutoencoder"]

_SLOPE = 0.3  # of the leaky ReLU
_FILTERS = 7  # of the paths of a residual block
_NUM_BLOCKS = 2
_MAX_BITS = 8  # of one value


class FeedbackAutoencoder(LinkLayer):
    r"""Encoder at the user, bits, decoder at the base station, after CRNet.

    The encoder convolves the real and imaginary part of :math:`H_{eq}/\sqrt p` along two paths
    (3x3; 1x9, then 9x1), merges them and maps them to B/Q values by a dense layer. One bit of a
    value is its sign, with the gradient of clipping to [-1, 1]; more bits are a uniform quantiser
    of its sigmoid, with the gradient of the sigmoid. The decoder is a dense layer, a 5x5
    convolution and two residual blocks of two paths.

    Nothing but the bits reaches the decoder: p is the long-term mean power of an entry, which both
    ends know, and the strength of a single channel is in its bits.

    Source: mixed-timescale deep unfolding, FDD extension; Lu et al. 2020 (CRNet). Chosen here: the
    decoder's convolution and blocks are corrections of the dense layer that start at zero.

    Parameters
    ----------
    num_rx_chains, num_chains : int
        m, n.
    num_bits : int
        B, of a user; a multiple of `bits_per_value`.
    bits_per_value : int
        Q in 1..8; more than one helps where B is above the 2mn numbers of a channel.
    entry_power : float
        p.

    Input
    -----
    h_eq : tf.Tensor, [..., m, n], complex
    training : bool

    Output
    ------
    h_hat : tf.Tensor, as `h_eq`

    Raises
    ------
    ValueError
        For sizes below 1, bits that do not fit and a power that is not positive.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.networks.feedback_autoencoder import FeedbackAutoencoder
    >>> feedback = FeedbackAutoencoder(2, 8, num_bits=16)
    >>> h_eq = irs.random.complex_normal([3, 4, 2, 8])
    >>> feedback(h_eq).shape, feedback.encode(h_eq).shape
    (TensorShape([3, 4, 2, 8]), TensorShape([3, 4, 16]))
    """

    inputs = {"h_eq": Input("complex", "num_rx_chains", "num_chains")}

    def __init__(
        self,
        num_rx_chains: int,
        num_chains: int,
        num_bits: int,
        bits_per_value: int = 1,
        entry_power: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_integer("num_rx_chains", num_rx_chains)
        require_integer("num_chains", num_chains)
        require_integer("bits_per_value", bits_per_value, high=_MAX_BITS)
        require_integer("num_bits", num_bits)
        if num_bits % bits_per_value:
            raise ValueError(
                f"num_bits = {num_bits}; a multiple of bits_per_value = {bits_per_value} is needed"
            )
        if not 0 < entry_power < math.inf:
            raise ValueError(f"entry_power = {entry_power}; a positive number is needed")
        self.num_rx_chains, self.num_chains = num_rx_chains, num_chains
        self.num_bits, self.bits_per_value = num_bits, bits_per_value
        self.num_values, self.entry_power = num_bits // bits_per_value, entry_power
        size, same = 2 * num_rx_chains * num_chains, {"precision": self.precision}
        self.encoder_paths = _paths([[(3, 3)], [(1, 9), (9, 1)]], 2, **same)
        self.merge = RectangularConvolution((1, 1), 4, 2, **same)
        self.compress = Dense(size, self.num_values, **same)
        self.expand = Dense(self.num_values, size, **same)
        self.first = RectangularConvolution((5, 5), 2, _FILTERS, **same)
        self.first_merge = Dense(_FILTERS, 2, zeros=True, **same)
        kernels = [[(3, 3), (1, 9), (9, 1)], [(1, 5), (5, 1)]]
        self.blocks = [_paths(kernels, _FILTERS, **same) for _ in range(_NUM_BLOCKS)]
        self.merges = [Dense(2 * _FILTERS, 2, zeros=True, **same) for _ in range(_NUM_BLOCKS)]

    def encode(self, h_eq, training=False):
        """Values in 0..2^Q-1 of `bits_per_value` bits each, [..., B/Q], real."""
        h_eq = h_eq / self.cplx(math.sqrt(self.entry_power))
        image = tf.stack([tf.math.real(h_eq), tf.math.imag(h_eq)], -1)
        image = tf.reshape(image, [-1, *image.shape[-3:]])
        x = self.merge(_run(self.encoder_paths, image, training), training=training)
        x = self.compress(tf.reshape(x, [-1, math.prod(x.shape[1:])]))
        values = self.to_values(x)
        return tf.reshape(values, tf.concat([tf.shape(h_eq)[:-2], [self.num_values]], 0))

    def to_values(self, x):
        """Values in 0..2^Q-1 of real numbers, real, with the gradient of what is rounded."""
        highest = 2.0**self.bits_per_value - 1
        if self.bits_per_value == 1:
            x = (tf.clip_by_value(x, -1, 1) + 1) / 2
        else:
            x = tf.sigmoid(x)
        cell = tf.minimum(tf.floor(x * (highest + 1)), highest)
        return highest * x + tf.stop_gradient(cell - highest * x)

    def decode(self, values, training=False):
        """The channels [..., m, n], complex, of values [..., B/Q], real, of :meth:`encode`."""
        x = values * (2 / (2**self.bits_per_value - 1)) - 1
        x = self.expand(tf.reshape(x, [-1, self.num_values]))
        x = tf.reshape(x, [-1, self.num_rx_chains, self.num_chains, 2])
        x += self.first_merge(self.first(x, training=training))
        for paths, merge in zip(self.blocks, self.merges, strict=True):
            x += merge(_run(paths, x, training))
        h_hat = tf.complex(x[..., 0], x[..., 1]) * self.cplx(math.sqrt(self.entry_power))
        size = [self.num_rx_chains, self.num_chains]
        return tf.reshape(h_hat, tf.concat([tf.shape(values)[:-1], size], 0))

    def call(self, h_eq, training=False):
        return self.decode(self.encode(h_eq, training), training)


def _paths(kernels, num_filters, **same):
    """Chains of convolutions of two channels with the given kernels."""
    return [
        [RectangularConvolution(size, 2 if k == 0 else num_filters, num_filters, **same)
         for k, size in enumerate(path)]
        for path in kernels
    ]  # fmt: skip


def _run(paths, image, training):
    """The paths side by side in the channels."""
    ends = []
    for path in paths:
        x = image
        for layer in path:
            x = layer(x, training=training)
        ends.append(x)
    return tf.concat(ends, -1)


class RectangularConvolution(LinkLayer):
    """A convolution with a kernel of any size, batch normalisation, leaky ReLU."""

    inputs = {"x": Input("real", "height", "width", "num_inputs")}

    def __init__(self, size, num_inputs, num_filters, **kwargs):
        super().__init__(**kwargs)
        self.num_inputs = num_inputs
        spread = math.sqrt(2 / (1 + _SLOPE**2) / (math.prod(size) * num_inputs))
        self.kernel = self.add_weight(
            shape=(*size, num_inputs, num_filters),
            initializer=lambda shape, dtype=None: spread * random.normal(shape, self.rdtype),
            name="kernel",
        )
        self.norm = BatchNorm(num_filters, precision=self.precision)

    def call(self, x, training=False):
        x = self.norm(tf.nn.conv2d(x, self.kernel.value, 1, "SAME"), training=training)
        return leaky_relu(x, _SLOPE)
