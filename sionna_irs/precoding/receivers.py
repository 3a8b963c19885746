"""Linear receivers: (y[..., M], h[..., M, K], no[, s]) -> (x_hat[..., K], no_eff[..., K])."""

import tensorflow as tf

from ..layer import Input, LinkLayer
from ..linalg import hpd_whitener, ridge_pinv
from ..linalg.scale import scaled_noise, unit_scale

__all__ = ["LMMSEReceiver", "MRCReceiver", "Receiver", "ZFReceiver"]


# Noise of a stream without a channel: log-likelihood ratios and their gradients are 0.
_SILENT = 1e30


class Receiver(LinkLayer):
    r"""Base of the receivers: write ``equalize(y, h, s)``, s being :math:`N_0I+S`.

    Outputs are unbiased: :math:`\hat x_k=x_k+e_k` with the variance of e_k in `no_eff`.
    `equalize` is given y and h over the largest modulus of h, and s in the same unit: path gains
    may have any size.

    Input
    -----
    y : tf.Tensor, [..., M], complex
    h : tf.Tensor, [..., M, K], complex
    no : float or tf.Tensor, [...], real
        Noise variance per antenna.
    s : tf.Tensor, [..., M, M], complex, optional
        Covariance of what else is noise: interference, or the error of a channel estimate.

    Output
    ------
    x_hat : tf.Tensor, [..., K], complex
        0 for a stream without a channel.
    no_eff : tf.Tensor, [..., K], real
        1e30 for a stream without a channel.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> y, h = tf.ones([5, 4], tf.complex64), tf.ones([5, 4, 1], tf.complex64)
    >>> x_hat, no_eff = irs.MRCReceiver()(y, h, 0.4)
    >>> round(float(no_eff[0, 0]), 6)
    0.1
    """

    inputs = {
        "y": Input("complex", "num_rx_ant"),
        "h": Input("complex", "num_rx_ant", "num_streams"),
        "no": Input("real", minimum=0, like=("y", "h")),
        "s": Input("complex", "num_rx_ant", "num_rx_ant"),
    }

    def equalize(self, y, h, s):
        """(x_hat, no_eff) with the noise covariance s [..., M, M]."""
        raise TypeError(f"{type(self).__name__} must define equalize(y, h, s)")

    def call(self, y, h, no, s=None):
        y, h, s = self._in_units(y, h, no, s)
        batch = tf.broadcast_dynamic_shape(tf.shape(y)[:-1], tf.shape(h)[:-2])
        batch = tf.broadcast_dynamic_shape(batch, tf.shape(s)[:-2])
        y, h, s = (
            tf.broadcast_to(x, tf.concat([batch, x.shape[-rank:]], 0))
            for x, rank in ((y, 1), (h, 2), (s, 2))
        )
        return _only_served(h, *self.equalize(y, h, s))

    def _in_units(self, y, h, no, s):
        """y and h over the largest modulus of h, and the covariance of the noise in that unit."""
        h, scale = unit_scale(h)
        noise = self.cplx(no)[..., None, None] * tf.eye(h.shape[-2], dtype=h.dtype)
        noise, level = unit_scale(noise if s is None else noise + s)
        y = tf.complex(*(part(y) / scale[..., 0] for part in (tf.math.real, tf.math.imag)))
        return y, h, self.cplx(scaled_noise(level, scale)) * noise


def _only_served(h, x_hat, no_eff):
    """Outputs, but for streams without a channel."""
    served = tf.reduce_sum(tf.square(tf.abs(h)), -2) > 0
    x_hat = tf.where(served, x_hat, tf.zeros_like(x_hat))
    return x_hat, tf.where(served, no_eff, no_eff.dtype.as_numpy_dtype(_SILENT))


class _FilterReceiver(Receiver):
    r"""Base of those that are filters: write ``filters(h, s, white)``, the bias is removed here.

    .. math:: \hat x_k=\frac{g_ky}{g_kh_k},\qquad
              \mathrm E|e_k|^2=\frac{\sum_{j\ne k}|g_kh_j|^2+g_k(N_0I+S)g_k^H}{|g_kh_k|^2}
    """

    def filters(self, h, s, white):
        """Rows g [..., K, M] of any length; `white` if s is a multiple of the identity."""
        raise TypeError(f"{type(self).__name__} must define filters(h, s, white)")

    def call(self, y, h, no, s=None):
        white = s is None
        y, h, s = self._in_units(y, h, no, s)
        g, _ = unit_scale(self.filters(h, s, white), [-1])
        received = tf.linalg.matmul(g, h)
        gain = tf.linalg.diag_part(received)
        gain = tf.where(gain == 0, tf.ones_like(gain), gain)
        power = tf.square(tf.abs(received / gain[..., None]))
        noise = tf.math.real(tf.reduce_sum(tf.linalg.matmul(g, s) * tf.math.conj(g), -1))
        others = 1 - tf.eye(h.shape[-1], dtype=power.dtype)
        no_eff = tf.reduce_sum(power * others, -1) + noise / tf.square(tf.abs(gain))
        x_hat = tf.linalg.matvec(g, y) / gain
        return _only_served(h, x_hat, tf.broadcast_to(no_eff, tf.shape(x_hat)))


class MRCReceiver(_FilterReceiver):
    r"""Maximum-ratio combining, :math:`\hat x_k=h_k^Hy/\|h_k\|^2`; interference counts as noise.

    Inputs and outputs as :class:`Receiver`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> y, h = tf.ones([5, 4], tf.complex64), tf.ones([5, 4, 1], tf.complex64)
    >>> irs.MRCReceiver()(y, h, 0.4)[0].shape
    TensorShape([5, 1])
    """

    def filters(self, h, s, white):
        """H^H."""
        return tf.linalg.adjoint(h)


class ZFReceiver(_FilterReceiver):
    r"""Zero forcing, :math:`\hat x=(H^HH)^{-1}H^Hy`; H needs rank K.

    Inputs and outputs as :class:`Receiver`.

    Raises
    ------
    ValueError
        With more streams than antennas.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> y, h = tf.ones([5, 4], tf.complex64), tf.eye(4, 2, [5], dtype=tf.complex64)
    >>> irs.ZFReceiver()(y, h, 0.4)[0].shape
    TensorShape([5, 2])
    """

    def filters(self, h, s, white):
        """The pseudo-inverse of H."""
        if h.shape[-1] > h.shape[-2]:
            raise ValueError(
                f"h has shape {tuple(h.shape)}: zero forcing needs at most as many streams "
                "(dimension -1) as antennas (dimension -2)"
            )
        return ridge_pinv(h)


class LMMSEReceiver(_FilterReceiver):
    r"""LMMSE reception, :math:`\hat x\propto H^H(HH^H+N_0I+S)^{-1}y`, unbiased by scaling.

    Inputs and outputs as :class:`Receiver`. With `s`, N0 I + S must be positive definite.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> y, h = tf.ones([5, 4], tf.complex64), tf.eye(4, 2, [5], dtype=tf.complex64)
    >>> irs.LMMSEReceiver()(y, h, 0.4)[0].shape
    TensorShape([5, 2])
    """

    def filters(self, h, s, white):
        """H^H (H H^H + s)^-1."""
        if white:  # a K x K system: many times faster than the M x M whitening
            return ridge_pinv(h, tf.math.real(s[..., 0, 0]))
        whitener = hpd_whitener(s)
        g = ridge_pinv(tf.linalg.matmul(whitener, h, adjoint_a=True), 1.0)
        return tf.linalg.matmul(g, whitener, adjoint_b=True)
