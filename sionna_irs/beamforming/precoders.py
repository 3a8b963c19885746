"""Linear precoders: (h[..., K, M], no) -> v[..., M, K], total power 1."""

import math

import tensorflow as tf

from ..layer import Input, LinkLayer
from ..linalg import ridge_pinv
from .water_filling import water_filling

__all__ = ["MRTPrecoder", "Precoder", "RZFPrecoder", "ZFPrecoder"]


class Precoder(LinkLayer):
    r"""Base of the precoders: write ``directions(h, no)``; the power is set here.

    Parameters
    ----------
    power : "total" or "per_user"
        "total": one common factor makes :math:`\|V\|_F^2=1`. "per_user": 1/K for
        every column (Sionna's precoding matrices have 1 in every column).

    Input
    -----
    h : tf.Tensor, [..., K, M], complex
        Row k is user k.
    no : float or tf.Tensor, [...], real
        Noise variance over total transmit power.

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        0 where the direction is 0.

    Raises
    ------
    ValueError
        For another `power`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> class First(irs.Precoder):
    ...     def directions(self, h, no):
    ...         return tf.linalg.adjoint(h)
    >>> First()(tf.ones([5, 2, 3], tf.complex64), 0.1).shape
    TensorShape([5, 3, 2])
    """

    inputs = {
        "h": Input("complex", "num_users", "num_tx_ant"),
        "no": Input("real", minimum=0, like="h"),
    }
    powers = ("total", "per_user")

    def __init__(self, power="total", **kwargs):
        super().__init__(**kwargs)
        if power not in self.powers:
            names = " or ".join(map(repr, self.powers))
            raise ValueError(f"power = {power!r}; {names} is needed")
        self.power = power

    def directions(self, h, no):
        """Unscaled precoder [..., M, K]."""
        raise TypeError(f"{type(self).__name__} must define directions(h, no)")

    def call(self, h, no):
        v = self.directions(h, no)
        axes, shares = ([-2], v.shape[-1]) if self.power == "per_user" else ([-2, -1], 1)
        power = shares * tf.reduce_sum(tf.square(tf.abs(v)), axes, keepdims=True)
        norm = tf.sqrt(tf.where(power > 0, power, tf.ones_like(power)))
        return v / tf.cast(norm, v.dtype)


class MRTPrecoder(Precoder):
    r"""Maximum-ratio transmission, :math:`V\propto H^H`.

    Parameters, inputs and outputs as :class:`Precoder`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.MRTPrecoder()(tf.ones([1, 4], tf.complex64), 0.1).numpy().real.ravel()
    array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """

    def directions(self, h, no):
        """H^H."""
        return tf.linalg.adjoint(h)


class RZFPrecoder(Precoder):
    r"""Regularised zero forcing, :math:`V\propto H^H(HH^H+\alpha I)^{-1}`.

    Parameters
    ----------
    regularization : float or None
        alpha; None takes K no, the choice that maximises the SINR of equal users.
    power : "total" or "per_user"
        As :class:`Precoder`.

    Raises
    ------
    ValueError
        For an alpha that is negative or not finite.

    Notes
    -----
    Inputs and outputs as :class:`Precoder`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.RZFPrecoder()(tf.eye(2, 4, dtype=tf.complex64), 0.1).shape
    TensorShape([4, 2])
    """

    def __init__(self, regularization=None, **kwargs):
        super().__init__(**kwargs)
        if regularization is not None and not 0 <= regularization < math.inf:
            raise ValueError(
                f"regularization = {regularization}; None or a number of at least 0 is needed"
            )
        self.regularization = regularization

    def directions(self, h, no):
        """H^H (H H^H + alpha I)^-1."""
        if self.regularization is None:
            return ridge_pinv(h, h.shape[-2] * no)
        return ridge_pinv(h, self.real(self.regularization))


class ZFPrecoder(Precoder):
    r"""Zero forcing, :math:`V\propto H^H(HH^H)^{-1}`: no interference; H needs rank K.

    With ``power="total"`` all users receive the same amplitude, so most power goes to the weakest;
    "per_user" gives equal powers instead, and "water_filling" those that maximise the sum rate.

    Parameters
    ----------
    power : "total", "per_user" or "water_filling"
        The first two as :class:`Precoder`; "water_filling": :func:`water_filling` of the costs
        :math:`N_0\|w_k\|^2`, total power 1.

    Raises
    ------
    ValueError
        With more users than antennas.

    Notes
    -----
    Inputs and outputs as :class:`Precoder`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.ZFPrecoder()(tf.eye(2, 4, dtype=tf.complex64), 0.1).shape
    TensorShape([4, 2])
    """

    powers = (*Precoder.powers, "water_filling")

    def directions(self, h, no):
        """The pseudo-inverse of H."""
        if h.shape[-2] > h.shape[-1]:
            raise ValueError(
                f"h has shape {tuple(h.shape)}: zero forcing needs at most as many users "
                "(dimension -2) as antennas (dimension -1)"
            )
        return ridge_pinv(h)

    def call(self, h, no):
        if self.power != "water_filling":
            return super().call(h, no)
        w = self.directions(h, no)
        size = tf.reduce_sum(tf.square(tf.abs(w)), -2)
        power = water_filling(self.real(no)[..., None] * size)
        return w * tf.cast(tf.sqrt(power / size), w.dtype)[..., None, :]
