"""Clustered paths between large arrays: the narrow-band channel of hybrid beamforming."""

import numpy as np
import tensorflow as tf

from ... import random
from ...arrays import require_array
from ...layer import Input, LinkLayer, as_size, require_integer
from .moments import HopMoments

__all__ = ["ClusteredChannel"]

_MIDPOINTS = 4000  # of the integral over the angle


class ClusteredChannel(LinkLayer):
    r"""A few plane waves per user, of random angles and gains.

    .. math:: H_k=\sum_{p=1}^P\alpha_{k,p}\,a_{rx}(\phi^{rx}_{k,p})\,a_{tx}(\phi^{tx}_{k,p})^T,\quad
              \alpha_{k,p}\sim\mathcal{CN}(0,\sigma_\alpha^2/P),\quad P=N_{cl}N_{ray}

    The angles are independent and uniform within :math:`\pm` `max_angle`; steering vectors have
    entries of modulus one, so that the mean power per entry is :math:`\sigma_\alpha^2`.

    Source: mixed-timescale deep unfolding, (45)-(46).

    Parameters
    ----------
    tx_array, rx_array : ULA or UPA
    num_users : int
        K.
    num_clusters, num_rays : int
        Their product is the number of paths P.
    path_power : float
        :math:`\sigma_\alpha^2`, linear, positive.
    max_angle : float
        In (0, pi] [radian].

    Input
    -----
    batch_size : int
    angles : tf.Tensor, [..., K, P, 2], real, or None
        Azimuths at the receiver and at the transmitter [radian], as :meth:`draw_angles` gives
        them: [K, P, 2] keeps them for the whole batch (a superframe), [batch_size, K, P, 2] gives
        each example its own. None draws them anew for every example.

    Output
    ------
    h : tf.Tensor, [batch_size, K, rx, tx], complex

    Raises
    ------
    ValueError
        For numbers below 1, a power that is not positive, and an angle outside (0, pi].

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
    >>> channel = ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2)
    >>> channel(5).shape
    TensorShape([5, 2, 8, 16])
    """

    inputs = {
        "batch_size": Input("size"),
        "angles": Input("real", "num_users", "num_paths", 2),
    }

    def __init__(
        self,
        tx_array,
        rx_array,
        num_users: int,
        num_clusters: int = 4,
        num_rays: int = 2,
        path_power: float = 0.1,
        max_angle: float = np.pi / 3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_array("tx_array", tx_array)
        require_array("rx_array", rx_array)
        require_integer("num_users", num_users)
        require_integer("num_clusters", num_clusters)
        require_integer("num_rays", num_rays)
        if not (path_power > 0 and np.isfinite(path_power)):
            raise ValueError(f"path_power = {path_power}; a positive number is needed")
        if not 0 < max_angle <= np.pi:
            raise ValueError(f"max_angle = {max_angle}; a number in (0, pi] is needed [radian]")
        self.tx_array, self.rx_array = tx_array, rx_array
        self.num_users, self.num_paths = num_users, num_clusters * num_rays
        self.path_power, self.max_angle = path_power, max_angle

    def draw_angles(self, shape=()):
        """Angles of all users' paths, uniform.

        Parameters
        ----------
        shape : sequence of int
            Leading axes.

        Returns
        -------
        tf.Tensor, [*shape, K, P, 2], real
            At the receiver and at the transmitter [radian].

        Examples
        --------
        >>> import sionna_irs as irs
        >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
        >>> ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2).draw_angles().shape
        TensorShape([2, 8, 2])
        """
        shape = [*shape, self.num_users, self.num_paths, 2]
        return random.uniform(shape, self.rdtype, -self.max_angle, self.max_angle)

    def draw_gains(self, batch_size):
        """Gains of all users' paths.

        Parameters
        ----------
        batch_size : int

        Returns
        -------
        tf.Tensor, [batch_size, K, P], complex

        Examples
        --------
        >>> import sionna_irs as irs
        >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
        >>> ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2).draw_gains(5).shape
        TensorShape([5, 2, 8])
        """
        batch_size = as_size("batch_size", batch_size)
        shape = [batch_size, self.num_users, self.num_paths]
        return random.complex_normal(shape, self.cdtype, self.path_power / self.num_paths)

    def assemble(self, angles, gains):
        r"""The sum over the paths.

        .. math:: \sum_p\alpha_p\,a_{rx}(\phi^{rx}_p)\,a_{tx}(\phi^{tx}_p)^T

        Parameters
        ----------
        angles : tf.Tensor, [..., P, 2], real
            At the receiver and at the transmitter [radian].
        gains : tf.Tensor, [..., P], complex

        Returns
        -------
        tf.Tensor, [..., rx, tx], complex

        Examples
        --------
        >>> import sionna_irs as irs
        >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
        >>> channel = ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2)
        >>> channel.assemble(channel.draw_angles([5]), channel.draw_gains(5)).shape
        TensorShape([5, 2, 8, 16])
        """
        rx, tx = self._responses(self.real(angles))
        return tf.linalg.matmul(self.cplx(gains)[..., None] * rx, tx, transpose_a=True)

    def call(self, batch_size, angles=None):
        if angles is None:
            angles = self.draw_angles([batch_size])
        return self.assemble(angles, self.draw_gains(batch_size))

    def _responses(self, angles):
        """Steering vectors [..., K, P, rx] and [..., K, P, tx]."""
        return (
            self.rx_array.response(angles[..., 0], dtype=self.cdtype),
            self.tx_array.response(angles[..., 1], dtype=self.cdtype),
        )

    def moments(self):
        r"""Mean and covariance of a user's channel with redrawn angles.

        They are separable: :math:`\mathrm E|w^HHf|^2=\sigma_\alpha^2\,(w^HR_{rx}w)(f^HR_{tx}^Tf)`,
        :math:`R=\mathrm E[aa^H]`, the integral by the mid-point rule.

        Returns
        -------
        HopMoments

        Examples
        --------
        >>> import sionna_irs as irs
        >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
        >>> round(ClusteredChannel(irs.ULA(4), irs.ULA(2), num_users=1).moments().power, 6)
        0.1
        """
        rx, tx = (self._correlation(array) for array in (self.rx_array, self.tx_array))
        return HopMoments(np.zeros([len(rx), len(tx)]), self.path_power, rx, tx)

    def _correlation(self, array):
        angles = self.max_angle * (2 * (np.arange(_MIDPOINTS) + 0.5) / _MIDPOINTS - 1)
        with tf.init_scope():
            a = array.response(angles, dtype=tf.complex128).numpy()
        return a.T @ a.conj() / _MIDPOINTS

    def equivalent_covariance(self, f_rf, w_rf, angles=None):
        r"""Covariance of a row of the equivalent channels :math:`W_{RF,k}^HH_kF_{RF}`.

        .. math:: R_{h,k}=\tfrac1m\mathrm E[H_{eq,k}^HH_{eq,k}]
                  =\tfrac{\sigma_\alpha^2}m\,\mathrm{tr}(W_{RF,k}^HR_{rx}W_{RF,k})\,
                  F_{RF}^HR_{tx}^TF_{RF}

        for redrawn angles, and for given ones :math:`\frac{\sigma_\alpha^2}{mP}\sum_p
        \|W_{RF,k}^Ha_{rx,p}\|^2\,(F_{RF}^Ta_{tx,p})^*(F_{RF}^Ta_{tx,p})^T`.

        Parameters
        ----------
        f_rf : tf.Tensor, [..., tx, n], complex
        w_rf : tf.Tensor, [..., K, rx, m], complex
        angles : tf.Tensor, [..., K, P, 2], real, or None
            [radian]; None: redrawn.

        Returns
        -------
        tf.Tensor, [..., K, n, n], complex

        Examples
        --------
        >>> import sionna_irs as irs
        >>> from sionna_irs.hybrid.front_end import HybridFrontEnd
        >>> from sionna_irs.channel.hops.clustered import ClusteredChannel
        >>> channel = ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2)
        >>> front = HybridFrontEnd(16, 4, 8, 2, num_users=2)
        >>> channel.equivalent_covariance(front.f_rf, front.w_rf).shape
        TensorShape([2, 4, 4])
        """
        f, w = self.cplx(f_rf)[..., None, :, :], self.cplx(w_rf)
        if angles is None:
            through = self.moments().backward(tf.linalg.matmul(w, w, adjoint_b=True))
            covariance = tf.linalg.matmul(f, tf.linalg.matmul(through, f), adjoint_a=True)
            return covariance / w.shape[-1]
        rx, tx = self._responses(self.real(angles))
        rx, tx = tf.linalg.matmul(tf.math.conj(rx), w), tf.linalg.matmul(tx, f)
        heard = tf.reduce_sum(tf.math.real(rx * tf.math.conj(rx)), -1, keepdims=True)
        share = self.path_power / (self.num_paths * w.shape[-1])
        return tf.linalg.matmul(tx, self.cplx(share * heard) * tx, adjoint_a=True)
