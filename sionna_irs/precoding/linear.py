"""Linear precoders: (h[..., K, M], no) -> v[..., M, K], total power 1."""

import math

import tensorflow as tf

from ..layer import Input, LinkLayer
from ..linalg import ridge_pinv
from ..linalg.scale import scaled_noise, unit_scale
from .water_filling import water_filling

__all__ = ["MRTPrecoder", "Precoder", "RZFPrecoder", "ZFPrecoder"]


class Precoder(LinkLayer):
    r"""Base of the precoders: write ``directions(h, no)``; scale and power are set here.

    `directions` is given channels whose largest modulus is 1, and the noise variance in the same
    unit, so that the precoder is the same for path gains of any size.

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
        0 where the direction is 0, as that of a user without a channel.

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

    def __init__(self, power: str = "total", **kwargs):
        super().__init__(**kwargs)
        if power not in self.powers:
            names = " or ".join(map(repr, self.powers))
            raise ValueError(f"power = {power!r}; {names} is needed")
        self.power = power

    def directions(self, h, no):
        """Unscaled precoder [..., M, K]."""
        raise TypeError(f"{type(self).__name__} must define directions(h, no)")

    def call(self, h, no):
        v = self.directions(*_unit(h, no))
        axes, shares = ([-2], v.shape[-1]) if self.power == "per_user" else ([-2, -1], 1)
        v, _ = unit_scale(v, axes)
        power = shares * tf.reduce_sum(tf.square(tf.abs(v)), axes, keepdims=True)
        norm = tf.sqrt(tf.where(power > 0, power, tf.ones_like(power)))
        return v * tf.cast(1 / norm, v.dtype)


def _unit(h, no):
    """h in units of its largest modulus s, and no / s^2."""
    h, scale = unit_scale(h)
    return h, scaled_noise(no, scale[..., 0, 0])


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

    def __init__(self, regularization: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if regularization is not None and not 0 <= regularization < math.inf:
            raise ValueError(
                f"regularization = {regularization}; None or a number of at least 0 is needed"
            )
        self.regularization = regularization

    def directions(self, h, no):
        """H^H (H H^H + K no I)^-1."""
        return ridge_pinv(h, h.shape[-2] * no)

    def call(self, h, no):
        if self.regularization is not None:
            no = self.real(self.regularization / h.shape[-2])
        return super().call(h, no)


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
        h, no = _unit(h, no)
        w = self.directions(h, no)
        size = tf.reduce_sum(tf.square(tf.abs(w)), -2)
        served = size > 0
        costs = no[..., None] * tf.where(served, size, tf.ones_like(size))
        largest = tf.reduce_max(costs, -1, keepdims=True)
        # Whoever has no channel costs more than any level of the others.
        power = water_filling(tf.where(served, costs, 2 * largest + 2))
        served &= power > 0
        # The root of 0 has no gradient.
        root = tf.sqrt(tf.where(served, power / size, tf.ones_like(size)))
        root = tf.where(served, root, tf.zeros_like(root))
        return w * tf.cast(root, w.dtype)[..., None, :]
