"""Rician hops whose fading passes a finite number of scatterers twice."""

import math

import numpy as np
import tensorflow as tf

from ... import random
from ...arrays import require_array
from ...layer import as_size, require_integer
from .correlation import correlation_root, plane_wave_correlation, plane_wave_factors
from .rician import RicianHop, correlate

__all__ = ["DoubleScatteringHop"]


class DoubleScatteringHop(RicianHop):
    r"""A Rician hop over S scatterers near its transmitter and S near its receiver.

    .. math:: H=\sqrt{g}\Big(\sqrt{\tfrac K{K+1}}\,\bar H+\sqrt{\tfrac1{K+1}}\,\tilde H\Big),\quad
              \tilde H=\tfrac1{\sqrt S}R_{rx}^{1/2}\,G\,R_S^{1/2}\,W\,(R_{tx}^{1/2})^T

    G and W hold independent :math:`\mathcal{CN}(0,1)`; every entry of :math:`\tilde H` has unit
    power and kurtosis :math:`2(1+\mathrm{tr}R_S^2/S^2)`. One scatterer is a keyhole (rank 1), very
    many are Rayleigh fading. The correlations are those of S plane waves
    (:func:`plane_wave_correlation`).

    Source: Gesbert et al. 2002; the double-surface paper, (5) and (13) to (17).

    Parameters
    ----------
    tx_array, rx_array, k_factor, path_gain, los, num_users
        As :class:`RicianHop`.
    num_scatterers : int
        S.
    angular_spread : float or None
        Of the waves at both arrays [radian]; None leaves the antennas uncorrelated.
    scatterer_spread : float or None
        Of the waves between the scatterers [radian]; None leaves them uncorrelated.
    scatterer_spacing : float
        Distance of neighbouring scatterers [wavelengths].
    num_waves : int or None
        Plane waves in the arrays' correlations; None is S.

    Input
    -----
    batch_size : int

    Output
    ------
    h : tf.Tensor, [batch_size, rx, tx] or [batch_size, num_users, rx, tx], complex

    Raises
    ------
    ValueError
        For numbers out of range.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> hop = irs.DoubleScatteringHop(irs.ULA(4), irs.UPA(4, 4), k_factor=1.0, num_scatterers=8)
    >>> hop(16).shape
    TensorShape([16, 16, 4])
    """

    def __init__(
        self,
        tx_array,
        rx_array,
        k_factor,
        path_gain=1.0,
        los="ones",
        num_scatterers: int = 10,
        angular_spread: float | None = math.pi / 2,
        scatterer_spread: float | None = math.pi / 2,
        scatterer_spacing: float = 10.0,
        num_waves: int | None = None,
        num_users=None,
        **kwargs,
    ):
        require_integer("num_scatterers", num_scatterers)
        require_integer("num_waves", num_waves, optional=True)
        require_array("tx_array", tx_array)
        require_array("rx_array", rx_array)
        waves, factors = num_waves or num_scatterers, (None, None)
        if angular_spread is not None:
            factors = [
                plane_wave_factors(array, waves, angular_spread) for array in (tx_array, rx_array)
            ]
        super().__init__(
            tx_array, rx_array, k_factor, path_gain, los, *factors, num_users, **kwargs
        )
        self.num_scatterers, self._scatterer_roots = num_scatterers, ()
        if scatterer_spread is not None:
            between = plane_wave_correlation(
                num_scatterers, num_scatterers, scatterer_spread, scatterer_spacing
            )
            self._scatterer_roots = correlation_root("scatterers", between, num_scatterers)

    def scattered(self, shape):
        """A draw of the fading part, [..., rx, tx], complex."""
        return self._join(*self._sides(shape))

    def _sides(self, shape):
        """G [..., rx, S] and W [..., S, tx], independent."""
        count = self.num_scatterers
        g = random.complex_normal(
            [*shape[:-1], count], self.cdtype, np.asarray(self._variance) / count
        )
        return g, random.complex_normal([*shape[:-2], count, shape[-1]], self.cdtype)

    def _join(self, g, w):
        rx_roots, tx_roots = self._roots
        return tf.linalg.matmul(
            correlate(g, rx_roots), correlate(w, self._scatterer_roots, tx_roots)
        )

    def sequence(self, batch_size, time_correlation):
        """The scattered part over time: G and W fade with the given correlation.

        Parameters
        ----------
        batch_size : int
        time_correlation : array, [T, T]
            Of unit diagonal.

        Returns
        -------
        tf.Tensor, [batch_size, T, rx, tx], complex
        """
        batch_size, steps = as_size("batch_size", batch_size), len(time_correlation)
        (root,) = correlation_root("time_correlation", time_correlation, steps)
        sides = self._sides([batch_size, steps, self.num_rx_ant, self.num_tx_ant])
        root = tf.constant(root, self.cdtype)
        return self._join(*(tf.einsum("st,bt...->bs...", root, side) for side in sides))
