"""From a network on real maps to a denoiser of complex channel estimates."""

import math
from typing import Literal

import numpy as np
import tensorflow as tf

from ..layer import Input, LinkLayer, as_real
from ..linalg.scale import unit_scale

__all__ = ["Denoiser"]

_OUTPUTS = ("wiener", "residual", "direct")
# Without known power, what is measured on a sample is at least this part of the noise.
_FLOOR = 0.05
# Of powers over that of the largest entry, and of their reciprocals.
_LARGEST = 1e18
# Where the error is known: log10 of sigma^2 over rho.
_LOG_RATIO = np.linspace(-3.0, 2.0, 11)
_LN_10 = 2.302585092994046


class Denoiser(LinkLayer):
    r"""A network around which scaling, and the linear part of the estimate, are exact.

    With :math:`\rho` the mean power of a channel entry and :math:`\sigma^2` that of its error,
    the network sees :math:`x=u/\sqrt{\rho+\sigma^2}` (real and imaginary part as two channels,
    and, where it has three, :math:`\log_{10}(\sigma^2/\rho)` as a constant map), and its output z
    becomes

    * "wiener": :math:`\hat u=\frac{\rho}{\rho+\sigma^2}u+\sqrt{\frac{\rho\sigma^2}{\rho+\sigma^2}}z`,
      so that z has unit size at every SNR;
    * "residual": :math:`\hat u=u-\sqrt{\rho+\sigma^2}\,z`, z is the noise;
    * "direct": :math:`\hat u=\sqrt{\rho+\sigma^2}\,z`.

    Parameters
    ----------
    network : LinkLayer
        Maps [batch, M, N+1, 2 or 3] to [batch, M, N+1, 2], with an attribute ``num_channels``.
    output : "wiener", "residual" or "direct"
    entry_power : float or None
        rho; None measures it on each sample: mean of \|u\|^2 less sigma^2.

    Input
    -----
    u : tf.Tensor, [..., M, N+1], complex
        Least-squares estimate.
    variance : tf.Tensor, [...], real
        sigma^2 of its entries.
    training : bool

    Output
    ------
    tf.Tensor, as `u`, complex

    Raises
    ------
    ValueError
        For another output, a power that is not positive, and a network of other channels.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> denoiser = irs.Denoiser(irs.CDRN(1, 1, 4))
    >>> denoiser(tf.ones([5, 4, 9], tf.complex64), 0.1).shape
    TensorShape([5, 4, 9])
    """  # noqa: E501

    inputs = {
        "u": Input("complex", "height", "width"),
        "variance": Input("real", minimum=0, like="u"),
    }

    def __init__(
        self,
        network,
        output: Literal["wiener", "residual", "direct"] = "wiener",
        entry_power: float | None = None,
        **kwargs,
    ):
        kwargs.setdefault("precision", network.precision)
        super().__init__(**kwargs)
        if output not in _OUTPUTS:
            raise ValueError(f"output = {output!r}; one of {', '.join(_OUTPUTS)} is needed")
        if entry_power is not None and not entry_power > 0:
            raise ValueError(f"entry_power = {entry_power}; a positive number or None is needed")
        if network.num_channels not in (2, 3):
            raise ValueError(
                f"network has {network.num_channels} input channels; 2, or 3 with the map of the "
                "noise, are needed"
            )
        self.network, self.output_form, self.entry_power = network, output, entry_power
        self.error_share = self.add_weight(
            shape=_LOG_RATIO.shape, initializer="ones", trainable=False, name="error_share"
        )

    def power(self, u, variance):
        """rho of every sample, [..., 1, 1]."""
        _, _, rho, scale = self._scaled(u, variance)
        return rho * scale * scale

    def _scaled(self, u, variance):
        """(u / s, sigma^2 / s^2, rho / s^2, s) of every sample, [..., 1, 1]: of order one."""
        u, scale = unit_scale(u)
        variance = tf.minimum(variance / scale / scale, _LARGEST)
        if self.entry_power is None:
            measured = tf.square(tf.math.real(u)) + tf.square(tf.math.imag(u))
            measured = tf.reduce_mean(measured, [-2, -1], keepdims=True)
            rho = tf.maximum(measured - variance, _FLOOR * variance)
        else:
            rho = tf.square(self.real(math.sqrt(self.entry_power)) / scale)
        # Above 0: an observation of zeros without noise.
        return u, variance, tf.clip_by_value(rho, 1 / _LARGEST, _LARGEST), scale

    def _log_ratio(self, rho, variance):
        return tf.math.log(tf.maximum(variance / rho, 1e-12)) / self.real(_LN_10)

    def error_variance(self, u, variance):
        """Mean squared error of an entry [..., 1, 1], by interpolation of what was measured.

        Until :meth:`calibrate` it is that of the least-squares estimate, `variance` [...].
        """
        variance = as_real("variance", variance, self.rdtype, 0.0, u.shape[:-2], "u")
        variance = tf.broadcast_to(variance, tf.shape(u)[:-2])[..., None, None]
        _, relative, rho, _ = self._scaled(u, variance)
        log_ratio = self._log_ratio(rho, relative)
        nodes = tf.constant(_LOG_RATIO, self.rdtype)
        place = tf.clip_by_value(log_ratio, nodes[0], nodes[-1])
        hats = tf.nn.relu(1 - tf.abs(place - nodes) / (nodes[1] - nodes[0]))
        return variance * tf.reduce_sum(hats * self.error_share.value, -1, keepdims=True)

    def calibrate(self, u, noise):
        """Measure the error at the nodes of :meth:`error_variance` on channels of one's own.

        Parameters
        ----------
        u : tf.Tensor, [num_samples, M, N+1], complex
            Channels that were not trained on.
        noise : tf.Tensor, as `u`, complex
            Of unit variance.
        """
        rho = self.entry_power or float(tf.reduce_mean(tf.square(tf.abs(u))))
        shares = []
        for log_ratio in _LOG_RATIO:
            variance = self.real(rho * 10**log_ratio)
            error = self(u + self.cplx(tf.sqrt(variance)) * noise, variance) - u
            shares.append(tf.reduce_mean(tf.square(tf.abs(error))) / variance)
        self.error_share.assign(tf.stack(shares))

    def call(self, u, variance, training=False):
        shape = tf.shape(u)
        size = u.shape[-2:]
        variance = tf.broadcast_to(variance, shape[:-2])
        u = tf.reshape(u, [-1, *size])
        variance = tf.reshape(variance, [-1, 1, 1])
        u, variance, rho, scale = self._scaled(u, variance)
        size_in = tf.sqrt(rho + variance)
        maps = tf.stack([tf.math.real(u), tf.math.imag(u)], -1) / size_in[..., None]
        if self.network.num_channels == 3:
            ratio = self._log_ratio(rho, variance)[..., None]
            maps = tf.concat([maps, tf.ones_like(maps[..., :1]) * ratio], -1)
        # A network keeps the precision it was trained in, whatever that of the link.
        z = self.network(tf.cast(maps, self.network.rdtype), training=training)
        z = self.cplx(tf.complex(z[..., 0], z[..., 1]))
        u_hat = self.cplx(scale) * self._combine(u, z, rho, variance, size_in)
        return tf.reshape(u_hat, shape)

    def _combine(self, u, z, rho, variance, size_in):
        if self.output_form == "direct":
            return self.cplx(size_in) * z
        if self.output_form == "residual":
            return u - self.cplx(size_in) * z
        gain, size_out = rho / size_in**2, tf.sqrt(rho) * tf.sqrt(variance) / size_in
        return self.cplx(gain) * u + self.cplx(size_out) * z
