"""Channels fed back in bits without learning: parameters of paths, or transform coefficients."""

import math

import numpy as np
import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from .scalar_quantizer import (
    MAX_BITS,
    allocate_bits,
    lloyd_max,
    quantize_gaussian,
    quantize_uniform,
)

__all__ = ["PathFeedback", "TransformFeedback", "vector_covariance"]


class PathFeedback(LinkLayer):
    r"""The channel rebuilt from quantised angles and gains of its paths.

    .. math:: \hat H=\sum_{p=1}^P\hat\alpha_p\,
              a_{rx}(\hat\phi^{rx}_p)\,a_{tx}(\hat\phi^{tx}_p)^T

    Angles are quantised uniformly, real and imaginary parts of the gains by Lloyd-Max. As long as
    the cells of the angles are wider than the beams of the arrays, the result is worse than no
    feedback: an NMSE between 1 and 2.

    Source: mixed-timescale deep unfolding, its FDD baseline, without the phases of the front end:
    they are long-term.

    Parameters
    ----------
    channel : ClusteredChannel
        Its arrays, number of paths P, range of the angles and power.
    angle_bits : int or tuple of two int
        Of the angle at the receiver and of that at the transmitter, each at least 0. Cells narrower
        than the spacing of the layer's numbers change nothing more.
    gain_bits : int
        Of each of the two parts of a gain, in 0..8.

    Input
    -----
    angles : tf.Tensor, [..., P, 2], real
        Azimuths at the receiver and at the transmitter [radian].
    gains : tf.Tensor, [..., P], complex

    Output
    ------
    h_hat : tf.Tensor, [..., rx, tx], complex
        The front end makes the equivalent channel of it.

    No gradient passes through the quantisers.

    Raises
    ------
    ValueError
        For bits out of range and another number of paths.

    Examples
    --------
    >>> import math, sionna_irs as irs
    >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
    >>> from sionna_irs.hybrid.feedback import PathFeedback
    >>> channel = ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2)
    >>> feedback = PathFeedback(channel, angle_bits=6, gain_bits=3)
    >>> feedback.num_bits
    144
    >>> gains = irs.random.complex_normal([5, 2, 8], variance=0.1 / 8)
    >>> feedback(channel.draw_angles([5]), gains).shape
    TensorShape([5, 2, 8, 16])
    """

    inputs = {"angles": Input("real", "num_paths", 2), "gains": Input("complex", "num_paths")}

    def __init__(self, channel, angle_bits, gain_bits: int, **kwargs):
        kwargs.setdefault("precision", channel.precision)
        super().__init__(**kwargs)
        one = not isinstance(angle_bits, (tuple, list))
        pair = (angle_bits, angle_bits) if one else tuple(angle_bits)
        if len(pair) != 2:
            raise ValueError(f"angle_bits = {angle_bits}; one or two integers are needed")
        for value in pair:
            require_integer("angle_bits", value, low=0)
        require_integer("gain_bits", gain_bits, low=0, high=MAX_BITS)
        self.channel, self.num_paths = channel, channel.num_paths
        self.angle_bits, self.gain_bits = pair, gain_bits

    @property
    def num_bits(self):
        """Bits of a user, int."""
        return self.num_paths * (sum(self.angle_bits) + 2 * self.gain_bits)

    def call(self, angles, gains):
        channel = self.channel
        angles = quantize_uniform(angles, self.angle_bits, channel.max_angle)
        spread = math.sqrt(channel.path_power / (2 * self.num_paths))
        parts = tf.stack([tf.math.real(gains), tf.math.imag(gains)]) / spread
        parts = spread * quantize_gaussian(parts, self.gain_bits)
        return self.cplx(channel.assemble(angles, tf.complex(parts[0], parts[1])))


def vector_covariance(moments, f_rf, w_rf):
    r"""Covariance of the rows of :math:`W_{RF,k}^HH_kF_{RF}`, one after the other.

    .. math:: R_k=\varsigma\,(W_{RF,k}^HR_{rx}W_{RF,k})\otimes(F_{RF}^TR_{tx}F_{RF}^*)

    Parameters
    ----------
    moments : HopMoments
        Of a channel without a mean.
    f_rf : tf.Tensor, [tx, n], complex
    w_rf : tf.Tensor, [K, rx, m], complex

    Returns
    -------
    np.ndarray, [K, mn, mn], complex128

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.hybrid.front_end import HybridFrontEnd
    >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
    >>> from sionna_irs.hybrid.feedback import vector_covariance
    >>> channel = ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2)
    >>> front = HybridFrontEnd(16, 4, 8, 2, num_users=2)
    >>> vector_covariance(channel.moments(), front.f_rf, front.w_rf).shape
    (2, 8, 8)
    """
    f, w = (np.asarray(x, np.complex128) for x in (f_rf, w_rf))
    rx = np.conj(np.swapaxes(w, -1, -2)) @ moments.rx_correlation @ w
    tx = f.T @ moments.tx_correlation @ f.conj()
    return moments.variance * np.stack([np.kron(a, tx) for a in rx])


class TransformFeedback(LinkLayer):
    r"""Transform coding of the equivalent channel: what can be had without learning.

    The Karhunen-Loeve coefficients :math:`c=V^H\mathrm{vec}(H_{eq})` of
    :math:`R=V\Lambda V^H` are uncorrelated; each of their real and imaginary parts is quantised
    by Lloyd-Max with the bits of :func:`allocate_bits`. For Gaussian channels the NMSE is
    :math:`\sum_i\lambda_i(D_{\Re,i}+D_{\Im,i})/(2\,\mathrm{tr}R)`, D the distortions of the unit
    Gaussian.

    Parameters
    ----------
    covariance : array, [mn, mn] or [K, mn, mn], complex
        R of the rows of H_eq one after the other (:func:`vector_covariance`); the same for all
        users, or one each.
    num_bits : int
        Of a user, in 0..16mn.

    Input
    -----
    h_eq : tf.Tensor, [..., K, m, n], complex

    Output
    ------
    h_hat : tf.Tensor, as `h_eq`

    No gradient passes through the quantisers.

    Raises
    ------
    ValueError
        For covariances that are not square and not Hermitian, bits out of range, channels of
        another size.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> from sionna_irs.hybrid.feedback import TransformFeedback
    >>> feedback = TransformFeedback(np.eye(16), num_bits=32)
    >>> feedback(irs.random.complex_normal([3, 2, 2, 8])).shape
    TensorShape([3, 2, 2, 8])
    >>> round(feedback.nmse, 4)
    0.3634
    """

    inputs = {"h_eq": Input("complex", "users", "num_rx_chains", "num_chains")}

    def __init__(self, covariance, num_bits: int, **kwargs):
        super().__init__(**kwargs)
        covariance = np.asarray(covariance)
        shape = covariance.shape
        if len(shape) not in (2, 3) or shape[-1] != shape[-2]:
            raise ValueError(f"covariance has shape {shape}; [mn, mn] or [K, mn, mn] is needed")
        skew = np.max(np.abs(covariance - np.conj(np.swapaxes(covariance, -1, -2))))
        if not skew <= 1e-5 * np.max(np.abs(covariance)):
            raise ValueError(f"covariance differs by {skew} from its adjoint; Hermitian is needed")
        require_integer("num_bits", num_bits, low=0, high=2 * MAX_BITS * shape[-1])
        values, self.basis = np.linalg.eigh(covariance)
        values = np.maximum(values, 0)
        self.spread = np.sqrt(values / 2)
        # Real and imaginary part of every coefficient, [(K,) 2, mn].
        parts = np.stack([values, values], -2)
        bits = [allocate_bits(v.ravel(), num_bits) for v in parts.reshape(-1, 2, shape[-1])]
        self.bits = np.reshape(bits, parts.shape)
        distortions = np.array([lloyd_max(b)[1] for b in range(MAX_BITS + 1)])
        power = np.sum(parts)
        self.nmse = float(np.sum(parts * distortions[self.bits]) / power) if power > 0 else 0.0

    def call(self, h_eq):
        size = self.spread.shape[-1]
        if h_eq.shape[-2] * h_eq.shape[-1] != size:
            raise ValueError(
                f"h_eq has shape {h_eq.shape}; {size} entries a user are needed, as in covariance"
            )
        basis, spread = self.cplx(self.basis), self.spread[..., None, :]
        vec = tf.reshape(h_eq, tf.concat([tf.shape(h_eq)[:-2], [1, size]], 0))
        c = tf.matmul(vec, tf.math.conj(basis))  # row vectors: [..., K, 1, mn]
        parts = tf.concat([tf.math.real(c), tf.math.imag(c)], -2)
        scale = self.real(np.where(spread > 0, spread, 1))
        parts = scale * quantize_gaussian(parts / scale, np.where(spread > 0, self.bits, 0))
        c = tf.complex(parts[..., :1, :], parts[..., 1:, :])
        return tf.reshape(tf.matmul(c, basis, transpose_b=True), tf.shape(h_eq))
