"""Linear minimum-mean-squared-error estimation of the cascaded channel."""

import numpy as np
import tensorflow as tf

from ..layer import as_number
from .ls import PilotEstimator
from .wiener import wiener

__all__ = [
    "LMMSEEstimator",
    "SampleLMMSEEstimator",
    "ScalarLMMSEEstimator",
    "lmmse_nmse",
    "scalar_lmmse_nmse",
]


def _wiener_error(power, variance):
    return power * variance / (power + variance) if power + variance > 0 else 0.0


def scalar_lmmse_nmse(statistics, variance):
    """NMSE of :class:`ScalarLMMSEEstimator`, float (arguments as :func:`ls_nmse`)."""
    variance = as_number("variance", variance, minimum=0)
    cascade = statistics.num_elements * _wiener_error(statistics.rho_c, variance)
    direct = _wiener_error(statistics.rho_d, variance)
    return statistics.num_rx_ant * (cascade + direct) / statistics.total_power


def lmmse_nmse(statistics, variance):
    """NMSE of :class:`LMMSEEstimator`, the linear bound, float (arguments as :func:`ls_nmse`).

    Examples
    --------
    >>> import math, sionna_irs as irs
    >>> nmse = irs.lmmse_nmse(irs.CascadedChannel().statistics, variance=1 / 65)
    >>> round(10 * math.log10(nmse), 3)
    -9.76
    """
    variance = as_number("variance", variance, minimum=0)
    along, across = (_wiener_error(e, variance) for e in statistics.eigenvalues)
    column = along + (statistics.num_rx_ant - 1) * across
    direct = statistics.num_rx_ant * _wiener_error(statistics.rho_d, variance)
    return (statistics.num_elements * column + direct) / statistics.total_power


class _StatisticalEstimator(PilotEstimator):
    """An estimator that knows the statistics of the cascade."""

    def __init__(self, pilots, statistics, **kwargs):
        super().__init__(pilots, **kwargs)
        if statistics.num_elements != pilots.num_elements:
            raise ValueError(
                f"statistics are for {statistics.num_elements} elements, pilots for "
                f"{pilots.num_elements}; they must be equal"
            )
        self.statistics = statistics
        self.num_rx_ant = statistics.num_rx_ant

    def _filter(self, cascade, direct, variance):
        """Wiener gains [..., 1, N+1] for the mean powers of cascaded columns and direct one."""
        powers = [cascade] * self.pilots.num_elements + [direct] * self.pilots.direct
        return wiener(self.real(np.sqrt(powers)), variance)[0]


class ScalarLMMSEEstimator(_StatisticalEstimator):
    r"""Entry-wise LMMSE: every entry times :math:`\rho/(\rho+\sigma^2)`.

    Parameters
    ----------
    pilots : SurfacePilots
    statistics : CascadeStatistics

    Input
    -----
    y : tf.Tensor, [..., M, P], complex
    no : float or tf.Tensor, [...], real

    Output
    ------
    u_hat : tf.Tensor, [..., M, N+1], complex
    err_var : tf.Tensor, broadcasts to `u_hat`, real

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
    >>> estimator = irs.ScalarLMMSEEstimator(pilots, channel.statistics)
    >>> estimator(pilots(channel.draw(3), 0.1), 0.1)[0].shape
    TensorShape([3, 4, 9])
    """

    def refine(self, u_ls, variance):
        """Shrink every entry."""
        gain = self._filter(self.statistics.rho_c, self.statistics.rho_d, variance)
        return tf.cast(gain, self.cdtype) * u_ls, gain * variance


class LMMSEEstimator(_StatisticalEstimator):
    r"""Full LMMSE, the best linear estimator: columns of U are uncorrelated.

    A cascaded column has the covariance :math:`\rho_h(a^2\mathbf 1\mathbf 1^T+s^2I)`: its mean
    over the antennas and the rest are shrunk by :math:`\lambda_i/(\lambda_i+\sigma^2)` each.

    Parameters, inputs and outputs as :class:`ScalarLMMSEEstimator`.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
    >>> estimator = irs.LMMSEEstimator(pilots, channel.statistics)
    >>> estimator(pilots(channel.draw(3), 0.1), 0.1)[0].shape
    TensorShape([3, 4, 9])
    """

    def refine(self, u_ls, variance):
        """Shrink the mean over the antennas and the rest separately."""
        along, across = self.statistics.eigenvalues
        rho_d = self.statistics.rho_d
        gain_along, gain_across = (self._filter(e, rho_d, variance) for e in (along, across))
        mean = tf.reduce_mean(u_ls, -2, keepdims=True)
        u_hat = tf.cast(gain_across, self.cdtype) * (u_ls - mean)
        u_hat += tf.cast(gain_along, self.cdtype) * mean
        share = 1 / self.num_rx_ant
        return u_hat, variance * (share * gain_along + (1 - share) * gain_across)


class SampleLMMSEEstimator(PilotEstimator):
    r"""LMMSE with covariances measured on samples: :math:`\hat b=C(C+\sigma^2I)^{-1}b_{LS}`.

    Needed where no model of the channel is known. Make it by :meth:`from_samples`.

    Parameters
    ----------
    pilots : SurfacePilots
    covariances : array, [C, M, M], complex
        One for all cascaded columns and, with a direct path, one for the direct column (C = 1
        or 2); or one for each column (C = N+1).

    Input
    -----
    y : tf.Tensor, [..., M, P], complex
    no : float or tf.Tensor, [...], real
        Positive.

    Output
    ------
    u_hat : tf.Tensor, [..., M, N+1], complex
    err_var : tf.Tensor, broadcasts to `u_hat`, real

    Raises
    ------
    ValueError
        For covariances of another shape.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
    >>> samples = channel.draw(100).cascaded()
    >>> estimator = irs.SampleLMMSEEstimator.from_samples(pilots, samples)
    >>> estimator(pilots(channel.draw(3), 0.1), 0.1)[0].shape
    TensorShape([3, 4, 9])
    """

    def __init__(self, pilots, covariances, **kwargs):
        super().__init__(pilots, **kwargs)
        covariances = np.asarray(covariances, complex)
        classes = 1 + bool(pilots.direct)
        if (
            covariances.ndim != 3
            or covariances.shape[0] not in (classes, pilots.num_columns)
            or covariances.shape[1] != covariances.shape[2]
        ):
            raise ValueError(
                f"covariances have shape {covariances.shape}; [{classes}, M, M] or "
                f"[{pilots.num_columns}, M, M] is needed"
            )
        self.num_rx_ant = covariances.shape[1]
        if covariances.shape[0] == classes:
            repeats = [pilots.num_elements] + [1] * (classes - 1)
            covariances = np.repeat(covariances, repeats, 0)
        powers, self._vectors = np.linalg.eigh(covariances)
        # What rounding leaves of powers that are 0 must not count as a channel without noise.
        powers[powers < 1e-14 * self.num_rx_ant * powers[:, -1:]] = 0
        self._amplitudes = np.sqrt(powers)

    @classmethod
    def from_samples(cls, pilots, samples, per_column=False, **kwargs):
        """Measure the covariances on channels.

        Parameters
        ----------
        pilots : SurfacePilots
        samples : tf.Tensor or array, [num_samples, M, N+1], complex
            Zero-mean cascaded channels.
        per_column : bool
            One covariance for each column, instead of one for all cascaded columns.
        """
        u = np.asarray(samples)
        if u.ndim != 3 or u.shape[-1] != pilots.num_columns:
            raise ValueError(
                f"samples have shape {u.shape}; [num_samples, M, {pilots.num_columns}] is needed"
            )
        each = np.einsum("smn,skn->nmk", u, u.conj()) / len(u)
        if per_column:
            return cls(pilots, each, **kwargs)
        cascade = each[: pilots.num_elements].mean(0, keepdims=True)
        return cls(pilots, np.concatenate([cascade, each[pilots.num_elements :]]), **kwargs)

    def refine(self, u_ls, variance):
        """Wiener filter of every column."""
        # C = V diag(a^2) V^H, so that the filter is V diag(gain) V^H: right without noise too.
        vectors, amplitudes = self.cplx(self._vectors), self.real(self._amplitudes)
        gain, _ = wiener(amplitudes, variance)  # [..., N+1, M]
        seen = tf.einsum("nmk,...mn->...nk", tf.math.conj(vectors), u_ls)
        u_hat = tf.einsum("nmk,...nk->...mn", vectors, tf.cast(gain, self.cdtype) * seen)
        shares = self.real(np.abs(self._vectors) ** 2)
        return u_hat, variance * tf.einsum("nmk,...nk->...mn", shares, gain)
