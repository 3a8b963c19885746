"""Linear receivers: (y[..., M], h[..., M, K], no[, s]) -> (x_hat[..., K], no_eff[..., K])."""

import tensorflow as tf
from sionna.phy.mimo import lmmse_equalizer, mf_equalizer, zf_equalizer

from ..layer import Input, LinkLayer
from ..linalg import ridge_pinv

__all__ = ["LMMSEReceiver", "MRCReceiver", "Receiver", "ZFReceiver"]


class Receiver(LinkLayer):
    r"""Base of the receivers: Sionna's equalisers with noise covariance :math:`N_0I+S`.

    Outputs are unbiased: :math:`\hat x_k=x_k+e_k` with the variance of e_k in `no_eff`.

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
    no_eff : tf.Tensor, [..., K], real

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
        m = h.shape[-2]
        noise = tf.cast(no, self.cdtype)[..., None, None] * tf.eye(m, dtype=self.cdtype)
        s = noise if s is None else noise + s
        batch = tf.broadcast_dynamic_shape(tf.shape(y)[:-1], tf.shape(h)[:-2])
        batch = tf.broadcast_dynamic_shape(batch, tf.shape(s)[:-2])
        y = tf.broadcast_to(y, tf.concat([batch, [m]], 0))
        h = tf.broadcast_to(h, tf.concat([batch, [m, h.shape[-1]]], 0))
        s = tf.broadcast_to(s, tf.concat([batch, [m, m]], 0))
        return self.equalize(y, h, s)


class MRCReceiver(Receiver):
    r"""Maximum-ratio combining, :math:`\hat x_k=h_k^Hy/\|h_k\|^2`; interference counts as noise.

    Inputs and outputs as :class:`Receiver`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> y, h = tf.ones([5, 4], tf.complex64), tf.ones([5, 4, 1], tf.complex64)
    >>> irs.MRCReceiver()(y, h, 0.4)[0].shape
    TensorShape([5, 1])
    """

    def equalize(self, y, h, s):
        """Sionna's matched filter."""
        return mf_equalizer(y, h, s, precision=self.precision)


class ZFReceiver(Receiver):
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

    def equalize(self, y, h, s):
        """Sionna's zero forcing."""
        if h.shape[-1] > h.shape[-2]:
            raise ValueError(
                f"h has shape {tuple(h.shape)}: zero forcing needs at most as many streams "
                "(dimension -1) as antennas (dimension -2)"
            )
        return zf_equalizer(y, h, s, precision=self.precision)


class LMMSEReceiver(Receiver):
    r"""LMMSE reception, :math:`\hat x\propto H^H(HH^H+N_0I+S)^{-1}y`, unbiased by scaling.

    Inputs and outputs as :class:`Receiver`. With `s`, N0 I + S must be positive definite.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> y, h = tf.ones([5, 4], tf.complex64), tf.eye(4, 2, [5], dtype=tf.complex64)
    >>> irs.LMMSEReceiver()(y, h, 0.4)[0].shape
    TensorShape([5, 2])
    """

    def call(self, y, h, no, s=None):
        if s is not None:
            return super().call(y, h, no, s)
        # White noise leaves a K x K system: many times faster than the M x M whitening.
        g = ridge_pinv(h, no)
        gain = tf.linalg.diag_part(tf.linalg.matmul(g, h))
        x_hat = tf.linalg.matvec(g, y) / gain
        return x_hat, tf.broadcast_to(tf.math.real(1 / gain) - 1, tf.shape(x_hat))

    def equalize(self, y, h, s):
        """Sionna's LMMSE equaliser, for coloured noise."""
        return lmmse_equalizer(y, h, s, precision=self.precision)
