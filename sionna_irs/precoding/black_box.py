"""Convolutional networks that treat precoding as a black box."""

import math

import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg.scale import unit_noise
from ..networks.convolution import Convolution
from ..networks.dense import Dense
from .unfolded_wmmse import mmse_precoder, relative_weights, unit_power

__all__ = ["CNNPrecoder", "GramCNNPrecoder", "PilotCNNPrecoder"]


class _ImagePrecoder(LinkLayer):
    """Base: a complex matrix as an image of two channels, 3x3 convolutions, dense layers."""

    inputs = {
        "h": Input("complex", "num_users", "num_ant"),
        "no": Input("real", minimum=1e-30, like="h"),
    }

    def _make(self, shape, filters, widths):
        """The layers for images of `shape`; the last of the dense ones is linear."""
        same = {"precision": self.precision}
        channels = [2, *filters]
        self.convolutions = [
            Convolution("conv", *channels[i : i + 2], **same) for i in range(len(filters))
        ]
        sizes = [math.prod(shape) * channels[-1], *widths]
        self.dense = [
            Dense(*sizes[i : i + 2], activation="leaky_relu", **same)
            for i in range(len(widths) - 1)
        ]
        self.dense.append(Dense(*sizes[-2:], **same))

    def _features(self, image, training):
        """[..., widths[-1]] of a complex matrix [..., *shape]."""
        batch = tf.shape(image)[:-2]
        x = tf.stack([tf.math.real(image), tf.math.imag(image)], -1)
        x = tf.reshape(x, [-1, *x.shape[-3:]])
        for layer in self.convolutions:
            x = layer(x, training=training)
        x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        for layer in self.dense:
            x = layer(x)
        return tf.reshape(x, tf.concat([batch, x.shape[1:]], 0))

    def _precoder(self, z, served):
        """V [..., M, K] of unit power from its 2MK real numbers; `served`: [..., 1, K or 1]."""
        size = tf.concat([tf.shape(z)[:-1], [self.num_ant, self.num_users]], 0)
        v = tf.complex(*(tf.reshape(part, size) for part in tf.split(z, 2, -1)))
        return unit_power(tf.where(served, v, tf.zeros_like(v)))


class GramCNNPrecoder(_ImagePrecoder):
    r"""WMMSE whose receivers and weights are guessed from the Gram matrix by a small CNN.

    One 3x3 convolution with batch normalisation and leaky ReLU on :math:`HH^H/N_0`, a dense layer
    to :math:`(\Re u_k,\Im u_k,\tilde w_k)`, :math:`w_k=\ln(1+e^{\tilde w_k})`, and
    :func:`~sionna_irs.precoding.unfolded_wmmse.mmse_precoder` of u and w. Neighbouring pixels
    are users in a row, which means nothing: permuted users do not give permuted columns.

    Source: black box of the deep-unfolding paper, public code; there it is first trained on the u
    and w of WMMSE.

    Parameters
    ----------
    num_users : int
    num_filters : int

    Input
    -----
    h : tf.Tensor, [..., K, M], complex
        Row k is user k; any number of antennas.
    no : float or tf.Tensor, [...], real
        Noise variance over total transmit power, above 0.
    training : bool

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        Total power 1.

    Raises
    ------
    ValueError
        For sizes below 1 and another number of users.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.precoding.black_box import GramCNNPrecoder
    >>> GramCNNPrecoder(2)(tf.eye(2, 4, dtype=tf.complex64), 0.1).shape
    TensorShape([4, 2])
    """

    def __init__(self, num_users: int, num_filters: int = 32, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_users", num_users)
        self.num_users = num_users
        self._make((num_users, num_users), [num_filters], [3 * num_users])

    def call(self, h, no, training=False):
        h, _ = unit_noise(h, no)
        gram = tf.linalg.matmul(h, h, adjoint_b=True)
        real, imag, z = tf.split(self._features(gram, training), 3, -1)
        return mmse_precoder(h, tf.complex(real, imag), relative_weights(z))


class CNNPrecoder(_ImagePrecoder):
    r"""All entries of the precoder from a CNN: 3x3 convolutions, one hidden dense layer.

    Convolutions with batch normalisation and leaky ReLU on :math:`H/\sqrt{N_0}`, then dense layers
    to the 2MK real numbers of V.

    Source: chosen for this package; the papers that compare with a black box do not describe it.

    Parameters
    ----------
    num_users, num_ant : int
    filters : list of int
        Of the convolutions.
    width : int
        Of the hidden dense layer.

    Input
    -----
    h : tf.Tensor, [..., K, M], complex
        Row k is user k.
    no : float or tf.Tensor, [...], real
        Noise variance over total transmit power, above 0.
    training : bool

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        Total power 1.

    Raises
    ------
    ValueError
        For sizes below 1 and a channel of another size.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.precoding.black_box import CNNPrecoder
    >>> CNNPrecoder(2, 4, filters=[8], width=16)(tf.eye(2, 4, dtype=tf.complex64), 0.1).shape
    TensorShape([4, 2])
    """

    def __init__(
        self, num_users: int, num_ant: int, filters=(32, 64, 64), width: int = 1024, **kwargs
    ):
        super().__init__(**kwargs)
        require_integer("num_users", num_users)
        require_integer("num_ant", num_ant)
        self.num_users, self.num_ant = num_users, num_ant
        self._make((num_users, num_ant), filters, [width, 2 * num_ant * num_users])

    def call(self, h, no, training=False):
        served = tf.reduce_any(h != 0, -1)[..., None, :]
        return self._precoder(self._features(unit_noise(h, no)[0], training), served)


class PilotCNNPrecoder(_ImagePrecoder):
    r"""Downlink precoder straight from uplink pilots by a CNN: no channel is named between.

    The network of :class:`CNNPrecoder` on the received pilots :math:`Y/\sqrt{N_0}`; learned pilots
    are trained with it.

    Source: chosen for this package; neural calibration compares with a black box that it does not
    describe.

    Parameters
    ----------
    pilots : UserPilots
    num_ant : int
    filters : list of int
        Of the convolutions.
    width : int
        Of the hidden dense layer.

    Input
    -----
    y : tf.Tensor, [..., M, L], complex
        Received pilots; or with `sounding` the uplink channels [..., M, K] that are to be sounded.
    no : float or tf.Tensor, [...], real
        Noise variance of the uplink over the power of a pilot symbol, above 0.
    training, sounding : bool

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        Total power 1.
    rows : tf.Tensor, [..., K, M], complex
        :math:`V^H`, only with `sounding`: the rows whose matched filters the columns are.

    Raises
    ------
    ValueError
        For sizes below 1 and pilots of another size.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.precoding.black_box import PilotCNNPrecoder
    >>> pilots = irs.UserPilots(2, 2, trainable=True)
    >>> system = PilotCNNPrecoder(pilots, 4, filters=[8], width=16)
    >>> system(pilots(irs.random.complex_normal([3, 4, 2]), 0.1), 0.1).shape
    TensorShape([3, 4, 2])
    """

    inputs = {
        "y": Input("complex", "num_ant", "columns"),
        "no": Input("real", minimum=1e-30, like="y"),
    }

    def __init__(self, pilots, num_ant: int, filters=(32, 64, 64), width: int = 1024, **kwargs):
        kwargs.setdefault("precision", pilots.precision)
        super().__init__(**kwargs)
        require_integer("num_ant", num_ant)
        self.pilots, self.num_users, self.num_ant = pilots, pilots.num_users, num_ant
        sizes = [width, 2 * num_ant * pilots.num_users]
        self._make((num_ant, pilots.num_symbols), filters, sizes)

    def call(self, y, no, training=False, sounding=False):
        if sounding:
            y = self.pilots(tf.cast(y, self.pilots.cdtype), tf.cast(no, self.pilots.rdtype))
            y = tf.cast(y, self.cdtype)
        heard = tf.reduce_any(y != 0, [-2, -1], keepdims=True)
        v = self._precoder(self._features(unit_noise(y, no)[0], training), heard)
        return (v, tf.linalg.adjoint(v)) if sounding else v
