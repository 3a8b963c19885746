"""Convolutions along the channel uses of a block, and signals of a given mean energy."""

import math
from typing import Literal

import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer, require_integer
from ..networks.batch_norm import BatchNorm

__all__ = [
    "NORMS",
    "SymbolConvolution",
    "SymbolNetwork",
    "normalize_energy",
    "real_parts",
    "require_choice",
    "squared_modulus",
    "symbol_loss",
]

# Axes of [batch, L, 1] over which the energies of the channel uses are averaged.
NORMS = {"block": (-2,), "symbol": (), "batch": (0, 1)}


def require_choice(name, value, permitted):
    """ValueError unless ``value`` is one of ``permitted``.

    Examples
    --------
    >>> from sionna_irs.transceiver.symbol_networks import require_choice
    >>> require_choice("norm", "l1", ("batch", "block"))
    Traceback (most recent call last):
    ...
    ValueError: norm = 'l1'; one of 'batch', 'block' is needed
    """
    if value not in permitted:
        known = ", ".join(map(repr, permitted))
        raise ValueError(f"{name} = {value!r}; one of {known} is needed")


def squared_modulus(z):
    """Re^2 + Im^2, real, as `z`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.transceiver.symbol_networks import squared_modulus
    >>> float(squared_modulus(tf.constant(1 + 2j)))
    5.0
    """
    return tf.square(tf.math.real(z)) + tf.square(tf.math.imag(z))


def symbol_loss(logits, messages, kind: Literal["categorical", "binary"] = "categorical"):
    r"""Mean cross-entropy of the messages [nat].

    "categorical" is :math:`-\ln p_m`, p the softmax of the logits; "binary" is the mean over
    the M outputs of the cross-entropy of each against 0 or 1.

    Parameters
    ----------
    logits : tf.Tensor, [..., M], real
    messages : tf.Tensor, [...], int
    kind : "categorical" or "binary"

    Returns
    -------
    tf.Tensor, [], real

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.transceiver.symbol_networks import symbol_loss
    >>> round(float(symbol_loss(tf.zeros([3, 4]), tf.constant([0, 1, 2]))), 4)
    1.3863
    """
    require_choice("kind", kind, ("categorical", "binary"))
    logs = tf.nn.log_softmax(logits)
    if kind == "categorical":
        return -tf.reduce_mean(tf.gather(logs, messages, batch_dims=messages.shape.rank))
    target = tf.one_hot(messages, logits.shape[-1], dtype=logits.dtype)
    # Rounding makes probabilities of 1, whose complement has no logarithm.
    others = tf.math.log(tf.maximum(-tf.math.expm1(logs), 1e-7))
    return -tf.reduce_mean(target * logs + (1 - target) * others)


def real_parts(z):
    """Real parts, then imaginary parts, along the last axis: [..., n] -> [..., 2n].

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.transceiver.symbol_networks import real_parts
    >>> real_parts(tf.constant([1 + 2j])).numpy().tolist()
    [1.0, 2.0]
    """
    return tf.concat([tf.math.real(z), tf.math.imag(z)], -1)


def normalize_energy(v, norm):
    r"""Signals of mean energy 1 per channel use, :math:`x=v/\sqrt{\overline{\|v\|^2}}`.

    Parameters
    ----------
    v : tf.Tensor, [batch, L, n], real
    norm : "block", "symbol" or "batch"
        Whether the mean is over the L uses of a block, over nothing, or over everything.

    Returns
    -------
    tf.Tensor, as `v`
        Signals without energy stay zero.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.transceiver.symbol_networks import normalize_energy
    >>> normalize_energy(tf.constant([[[2.0], [1.0]]]), "symbol").numpy().ravel()
    array([1., 1.], dtype=float32)
    """
    energy = tf.reduce_sum(v * v, -1, keepdims=True)
    for axis in NORMS[norm]:
        energy = tf.reduce_mean(energy, axis, keepdims=True)
    return v * tf.math.rsqrt(tf.where(energy > 0, energy, 1))


class SymbolConvolution(LinkLayer):
    r"""Convolution along the channel uses, :math:`z_l=\sum_kW_kx_{l+k}`; normalisation or a bias.

    Zeros beyond the ends of the block. A kernel of size 1 sees every use alone.

    Parameters
    ----------
    num_inputs, num_filters : int
    kernel_size : int
        Odd.
    norm : bool
        Batch normalisation in place of a bias.
    relu : bool

    Input
    -----
    x : tf.Tensor, [..., L, num_inputs], real
    training : bool

    Output
    ------
    tf.Tensor, [..., L, num_filters], real

    Raises
    ------
    ValueError
        For numbers below 1 and an even `kernel_size`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.transceiver.symbol_networks import SymbolConvolution
    >>> SymbolConvolution(2, 8, kernel_size=3)(tf.ones([5, 4, 2])).shape
    TensorShape([5, 4, 8])
    """

    inputs = {"x": Input("real", "block", "num_inputs")}

    def __init__(self, num_inputs, num_filters, kernel_size=1, norm=True, relu=True, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("num_inputs", num_inputs), ("num_filters", num_filters)):
            require_integer(name, value)
        require_integer("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {kernel_size}; an odd number is needed")
        self.num_inputs, self.kernel_size, self.relu = num_inputs, kernel_size, relu
        spread = math.sqrt((2 if relu else 1) / (kernel_size * num_inputs))
        self.kernel = self.add_weight(
            shape=(kernel_size, num_inputs, num_filters),
            initializer=lambda shape, dtype=None: spread * random.normal(shape, self.rdtype),
            name="kernel",
        )
        self.norm = BatchNorm(num_filters, precision=self.precision) if norm else None
        self.bias = None
        if not norm:
            self.bias = self.add_weight(shape=(num_filters,), initializer="zeros", name="bias")

    def call(self, x, training=False):
        # Matrix products: on CPUs the gradients of tf.nn.conv1d take longer.
        reach, kernel = self.kernel_size // 2, self.kernel.value
        length = tf.shape(x)[-2]
        padded = tf.pad(x, [[0, 0]] * (x.shape.rank - 2) + [[reach, reach], [0, 0]])
        taps = [
            tf.matmul(padded[..., k : k + length, :], kernel[k]) for k in range(self.kernel_size)
        ]
        x = sum(taps[1:], taps[0])
        x = x + self.bias.value if self.norm is None else self.norm(x, training=training)
        return tf.nn.relu(x) if self.relu else x


class SymbolNetwork(LinkLayer):
    """Two hidden convolutions with batch normalisation and ReLU, and a linear one.

    Encoder, surface controllers and decoder of the double-surface autoencoder (its Table I).

    Parameters
    ----------
    num_inputs, num_filters, num_outputs, kernel_size : int
    norm_output : bool
        Batch normalisation of the output in place of a bias.

    Input
    -----
    x : tf.Tensor, [..., L, num_inputs], real
    training : bool

    Output
    ------
    tf.Tensor, [..., L, num_outputs], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.transceiver.symbol_networks import SymbolNetwork
    >>> SymbolNetwork(2, 8, 3)(tf.ones([5, 4, 2])).shape
    TensorShape([5, 4, 3])
    """

    inputs = {"x": Input("real", "block", "num_inputs")}

    def __init__(
        self,
        num_inputs: int,
        num_filters: int,
        num_outputs: int,
        kernel_size: int = 1,
        norm_output: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_inputs = num_inputs
        same = {"kernel_size": kernel_size, "precision": self.precision}
        self.convolutions = [
            SymbolConvolution(num_inputs, num_filters, **same),
            SymbolConvolution(num_filters, num_filters, **same),
            SymbolConvolution(num_filters, num_outputs, norm=norm_output, relu=False, **same),
        ]

    def call(self, x, training=False):
        for convolution in self.convolutions:
            x = convolution(x, training=training)
        return x
