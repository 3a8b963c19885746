"""Precoding by the structure of every sum-rate optimum, its 2K numbers from a network."""

import tensorflow as tf

from .. import weights
from ..layer import Input, require_integer
from ..linalg import hpd_inverse
from ..networks.user_graph import UserGraph
from .linear import Precoder
from .wmmse import WMMSE

__all__ = ["StructuredPrecoder"]

_SMALLEST = 1e-7  # of lambda: a user that is switched off keeps a direction


class StructuredPrecoder(Precoder):
    r"""Optimal structure with predicted multipliers and powers.

    Every precoder that maximises a sum rate at unit power and noise has the columns

    .. math:: v_k=\sqrt{p_k}\,\frac{w_k}{\|w_k\|},\qquad
              W=\Big(I+\sum_i\lambda_ih_i^Hh_i\Big)^{-1}H^H
               \propto H^H\Lambda^{1/2}(\Lambda^{1/2}HH^H\Lambda^{1/2}+I)^{-1}

    (the second up to the lengths of the columns) with non-negative :math:`\lambda,p` that each
    sum to 1. A network that treats all users alike predicts these 2K numbers from the Gram
    matrix, so one set of weights serves every number of antennas and users and every power.
    Untrained it is regularised zero forcing with equal powers.

    Source: structure: Bjoernson, Bengtsson, Ottersten 2014; the network: this package.

    Parameters
    ----------
    network : UserGraph or None
        ``gram [..., K, K] -> [..., K, 2]``: logarithms of lambda and p but for a constant; None:
        a fresh :class:`UserGraph`.
    num_refine : int
        WMMSE iterations that start from it; they pass no gradient.

    Input
    -----
    h : tf.Tensor, [..., K, M], complex
        Row k is user k.
    no : float or tf.Tensor, [...], real
        Noise variance over total transmit power, above 0.

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        Total power 1.

    Raises
    ------
    ValueError
        For a negative `num_refine`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.StructuredPrecoder()(tf.eye(2, 4, dtype=tf.complex64), 0.1).shape
    TensorShape([4, 2])
    """

    inputs = {**Precoder.inputs, "no": Input("real", minimum=1e-30, like="h")}

    def __init__(self, network=None, num_refine: int = 0, **kwargs):
        if network is not None:
            kwargs.setdefault("precision", network.precision)
        super().__init__(**kwargs)
        require_integer("num_refine", num_refine, low=0)
        self.network = network or UserGraph(precision=self.precision)
        self.num_refine = num_refine

    @classmethod
    def from_pretrained(cls, name="precoding-structured", num_refine=0, **changes):
        """The precoder with shipped weights.

        Parameters
        ----------
        name : str
            One of :func:`sionna_irs.weights.names`.
        num_refine : int
        **changes
            ``precision`` of the network.

        Examples
        --------
        >>> import tensorflow as tf, sionna_irs as irs
        >>> precoder = irs.StructuredPrecoder.from_pretrained()
        >>> precoder(tf.eye(3, 8, dtype=tf.complex64), 0.1).shape
        TensorShape([8, 3])
        """
        return cls(weights.load(name, **changes), num_refine)

    def directions(self, h, no):
        """Columns of power p; the base makes up for rounding."""
        rows = h / tf.cast(tf.sqrt(self.real(no)), h.dtype)[..., None, None]
        gram = tf.linalg.matmul(rows, rows, adjoint_b=True)
        shares = tf.nn.softmax(self.network(gram), axis=-2)
        root, power = tf.sqrt(shares[..., 0] + _SMALLEST), shares[..., 1]
        root = tf.cast(root, h.dtype)
        s = gram * root[..., :, None] * root[..., None, :]
        x = hpd_inverse(s + tf.eye(h.shape[-2], dtype=h.dtype), at_least=1.0)
        w = tf.linalg.matmul(rows, root[..., None] * x, adjoint_a=True)
        size = tf.reduce_sum(tf.square(tf.math.real(w)) + tf.square(tf.math.imag(w)), -2)
        length = tf.sqrt(power / tf.where(size > 0, size, tf.ones_like(size)))
        return w * tf.cast(length, h.dtype)[..., None, :]

    def call(self, h, no, training=False):
        if not self.num_refine:
            return super().call(h, no)
        same = {"precision": self.precision}
        refine = WMMSE(self.num_refine, "closed_form", start=super().call, **same)
        return refine(h, no)
