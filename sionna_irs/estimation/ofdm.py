"""Estimation of the cascaded channel on an OFDM grid: Wiener filters over the subcarriers."""

import typing

import numpy as np
import tensorflow as tf

from ..layer import Input, as_number
from .ls import PilotEstimator
from .wiener import wiener

__all__ = [
    "OFDMLMMSEEstimator",
    "delay_covariance",
    "exponential_delay_covariance",
    "ofdm_lmmse_nmse",
    "ofdm_ls_nmse",
]

# Directions of the frequency covariance with less than this part of the largest power are rounding
# errors; they count as unseen.
_RANK = 1e-12
# A covariance may be computed in single precision.
_TOLERANCE = 1e-5


def _vector(name, value, minimum=-np.inf):
    value = np.asarray(value, float)
    if value.ndim != 1 or not value.size or not np.all(np.isfinite(value) & (value >= minimum)):
        raise ValueError(f"{name} = {value}; a vector of finite numbers >= {minimum} is needed")
    return value


def delay_covariance(delays, powers, frequencies):
    r"""Covariance of a response of given paths, :math:`C_{fg}=\sum_lp_le^{-j2\pi(f-g)\tau_l}`.

    A cascade of two independent hops has the product (entry by entry) of their covariances.

    Parameters
    ----------
    delays : array, [L], real
        [second]
    powers : array, [L], real
        Mean power of each path, linear.
    frequencies : array, [F], real
        Of the subcarriers [Hz]; only differences matter.

    Returns
    -------
    np.ndarray, [F, F], complex

    Raises
    ------
    ValueError
        For other shapes and negative powers.

    Examples
    --------
    >>> from sionna_irs.estimation.ofdm import delay_covariance
    >>> delay_covariance([0.0, 1e-6], [0.5, 0.5], [0.0, 250e3]).round(6)
    array([[1. +0.j , 0.5+0.5j],
           [0.5-0.5j, 1. +0.j ]])
    """
    delays, powers = _vector("delays", delays), _vector("powers", powers, 0.0)
    if delays.shape != powers.shape:
        raise ValueError(f"{delays.size} delays and {powers.size} powers; equal numbers are needed")
    response = np.exp(-2j * np.pi * np.outer(_vector("frequencies", frequencies), delays))
    return (response * powers) @ response.conj().T


def exponential_delay_covariance(delay_spread: float, frequencies, power: float = 1.0):
    r"""Covariance for an exponential delay profile, :math:`C_{fg}=p/(1+j2\pi(f-g)\tau)`.

    It is also that of any number of paths with independent, exponentially distributed delays.

    Parameters
    ----------
    delay_spread : float
        tau, the mean and the standard deviation of the delay [second].
    frequencies : array, [F], real
        Of the subcarriers [Hz]; only differences matter.
    power : float
        p, linear.

    Returns
    -------
    np.ndarray, [F, F], complex

    Raises
    ------
    ValueError
        For negative numbers.

    Examples
    --------
    >>> from sionna_irs.estimation.ofdm import exponential_delay_covariance
    >>> hop = exponential_delay_covariance(30e-9, [0.0, 1e6])
    >>> abs(hop * hop).round(4)  # cascade of two such hops
    array([[1.    , 0.9657],
           [0.9657, 1.    ]])
    """
    for name, value in (("delay_spread", delay_spread), ("power", power)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} = {value}; a finite number of at least 0 is needed")
    frequencies = _vector("frequencies", frequencies)
    return power / (1 + 2j * np.pi * (frequencies[:, None] - frequencies) * delay_spread)


def _covariance(name, value):
    """(covariance, eigenvalues >= 0, eigenvectors) of a checked Hermitian matrix."""
    value = np.asarray(value, complex)
    if value.ndim != 2 or value.shape[0] != value.shape[1] or not value.size:
        raise ValueError(f"{name} has shape {value.shape}; a square matrix is needed")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} holds NaN or infinity; finite values are needed")
    largest = np.abs(value).max()
    skew = np.abs(value - value.conj().T).max()
    if skew > _TOLERANCE * largest:
        raise ValueError(f"{name} differs from its adjoint by {skew:.3g}; it must be Hermitian")
    powers, vectors = np.linalg.eigh((value + value.conj().T) / 2)
    if powers[0] < -_TOLERANCE * largest * len(value):
        raise ValueError(f"{name} has the eigenvalue {powers[0]:.3g}; none may be negative")
    return value, np.maximum(powers, 0), vectors


def _matrices(frequency_covariance):
    """(C_cascade, C_direct) or (C_cascade,), checked, as an array [1 or 2, F, F]."""
    given = [c for c in frequency_covariance if c is not None]
    if len(given) not in (1, 2):
        raise ValueError(
            f"frequency_covariance holds {len(given)} matrices; (C_cascade, C_direct) is needed"
        )
    given = [_covariance(f"frequency_covariance[{i}]", c)[0] for i, c in enumerate(given)]
    if given[0].shape != given[-1].shape:
        shapes = f"{given[0].shape} and {given[1].shape}"
        raise ValueError(f"frequency_covariance has shapes {shapes}; they must be equal")
    return np.stack(given)


def _subcarriers(chosen, num_subcarriers):
    """Pilot subcarriers as an array of integers, checked; None is all."""
    if chosen is None:
        return np.arange(num_subcarriers)
    array = np.asarray(chosen)
    integers = array.ndim == 1 and array.size and array.dtype.kind in "iu"
    inside = integers and array.min() >= 0 and array.max() < num_subcarriers
    if not inside or len(np.unique(array)) < array.size:
        wanted = f"different integers in 0..{num_subcarriers - 1} are needed"
        raise ValueError(f"pilot_subcarriers = {chosen}; {wanted}")
    return array


def _element_basis(covariance, num_elements):
    """(eigenvalues, eigenvectors) over the elements; ([1], None) for white elements."""
    if covariance is None:
        return np.ones(1), None
    covariance, powers, vectors = _covariance("element_covariance", covariance)
    if len(covariance) != num_elements:
        raise ValueError(
            f"element_covariance has shape {covariance.shape}; "
            f"[{num_elements}, {num_elements}] is needed"
        )
    return powers, vectors


class _FrequencyBasis(typing.NamedTuple):
    r"""Wiener interpolation from S to all subcarriers for every noise variance s at once.

    :math:`C_{SS}=W\,\mathrm{diag}(\mu)W^H` gives
    :math:`\lambda C_{\cdot S}(\lambda C_{SS}+sI)^{-1}=D\,\mathrm{diag}(\frac{\lambda\mu}
    {\lambda\mu+s})W^H` with :math:`D=C_{\cdot S}W\,\mathrm{diag}(1/\mu)` and the error
    :math:`\lambda(\epsilon_f+\sum_k|D_{fk}|^2\mu_k\frac s{\lambda\mu_k+s})`, where epsilon is the
    error without noise: no difference of nearly equal numbers is left for the run time.
    """

    observe: np.ndarray  # W^H, [K, S]
    spread: np.ndarray  # D, [F, K]
    power: np.ndarray  # mu, [K]
    share: np.ndarray  # |D|^2 mu, [F, K]
    unseen: np.ndarray  # epsilon, [F]

    @classmethod
    def of(cls, covariance, chosen):
        """From C [F, F] and S."""
        _, power, vectors = _covariance("C", covariance[np.ix_(chosen, chosen)])
        seen = power > _RANK * power[-1]
        power, vectors = power[seen], vectors[:, seen]
        spread = covariance[:, chosen] @ vectors / power
        share = np.abs(spread) ** 2 * power
        unseen = np.maximum(np.diag(covariance).real - share.sum(-1), 0)
        return cls(vectors.conj().T, spread, power, share, unseen)

    def error(self, eigenvalues, variance):
        """Sum of the errors over eigenvalues and subcarriers, float."""
        total = 0.0
        for e in eigenvalues[eigenvalues > 0]:
            left = variance / (e * self.power + variance)
            total += e * (self.unseen.sum() + float((self.share @ left).sum()))
        return total


def _powers(frequency_covariance, num_elements, element_covariance):
    """Matrices, eigenvalues over all elements, and the mean power of the channel, summed."""
    matrices = _matrices(frequency_covariance)
    eigenvalues, _ = _element_basis(element_covariance, num_elements)
    if element_covariance is None:
        eigenvalues = np.ones(num_elements)
    traces = [np.trace(c).real for c in matrices]
    return matrices, eigenvalues, traces[0] * eigenvalues.sum() + sum(traces[1:])


def ofdm_ls_nmse(frequency_covariance, num_elements: int, variance: float, element_covariance=None):
    r"""NMSE of least squares on every subcarrier, :math:`\sigma^2` over the mean entry power.

    Parameters
    ----------
    frequency_covariance, element_covariance
        As :class:`OFDMLMMSEEstimator`.
    num_elements : int
        N
    variance : float
        sigma^2 per entry, ``SurfacePilots.error_variance``.

    Returns
    -------
    float
        Linear, over all columns.

    Examples
    --------
    >>> import math
    >>> from sionna_irs.estimation.ofdm import exponential_delay_covariance, ofdm_ls_nmse
    >>> c = exponential_delay_covariance(30e-9, [0.0, 1e6, 2e6])
    >>> round(10 * math.log10(ofdm_ls_nmse((c * c, c), 16, variance=1 / 17)), 3)
    -12.304
    """
    variance = as_number("variance", variance, minimum=0)
    matrices, _, total = _powers(frequency_covariance, num_elements, element_covariance)
    return float(matrices.shape[1] * (num_elements + len(matrices) - 1) * variance / total)


def ofdm_lmmse_nmse(
    frequency_covariance,
    num_elements: int,
    variance: float,
    element_covariance=None,
    pilot_subcarriers=None,
):
    r"""NMSE of :class:`OFDMLMMSEEstimator`, :math:`\mathrm{tr}(C-C_{\cdot S}(C_{SS}+\sigma^2I)
    ^{-1}C_{S\cdot})/\mathrm{tr}\,C`, C over elements and subcarriers.

    Parameters
    ----------
    frequency_covariance, element_covariance, pilot_subcarriers
        As :class:`OFDMLMMSEEstimator`.
    num_elements : int
        N
    variance : float
        sigma^2 per entry, ``SurfacePilots.error_variance``; positive.

    Returns
    -------
    float
        Linear, over all columns.

    Raises
    ------
    ValueError
        For a variance that is not positive.

    Examples
    --------
    >>> import math
    >>> from sionna_irs.estimation.ofdm import exponential_delay_covariance, ofdm_lmmse_nmse
    >>> c = exponential_delay_covariance(30e-9, [0.0, 1e6, 2e6])
    >>> round(10 * math.log10(ofdm_lmmse_nmse((c * c, c), 16, variance=1 / 17)), 3)
    -14.802
    """
    variance = as_number("variance", variance, minimum=1e-300)
    matrices, eigenvalues, total = _powers(frequency_covariance, num_elements, element_covariance)
    chosen = _subcarriers(pilot_subcarriers, matrices.shape[1])
    error = _FrequencyBasis.of(matrices[0], chosen).error(eigenvalues, variance)
    for direct in matrices[1:]:
        error += _FrequencyBasis.of(direct, chosen).error(np.ones(1), variance)
    return float(error / total)


class OFDMLMMSEEstimator(PilotEstimator):
    r"""LMMSE over subcarriers and elements, from pilots on all subcarriers or on a comb.

    :math:`\hat u=C_{\cdot S}(C_{SS}+\sigma^2I)^{-1}u_{LS}` with the separable covariance
    :math:`C=C_{element}\otimes C_{frequency}` of the cascaded columns; the direct column has its
    own delays and is filtered alone. Antennas are uncorrelated. Both covariances are diagonalised
    once, so that a call with any noise variance costs products with small matrices only.

    Parameters
    ----------
    pilots : SurfacePilots
        Its patterns change from pilot symbol to pilot symbol, equal on all subcarriers.
    frequency_covariance : tuple of arrays (C_cascade, C_direct), each [F, F], complex
        :math:`\mathrm E[u_fu_g^*]`; C_direct is None without a direct path. The cascaded one is
        the product (entry by entry) of those of two independent hops.
    element_covariance : array, [N, N], complex, or None
        :math:`\mathrm E[u_nu_m^*]`, a factor of the cascaded covariance; None is the identity.
    pilot_subcarriers : array, [S], integer, or None
        Indices of the subcarriers with pilots; None is all.

    Input
    -----
    y : tf.Tensor, [..., S, M, P], complex
        Observation on the pilot subcarriers only, in the order of `pilot_subcarriers`.
    no : float or tf.Tensor, [..., 1], real
        Noise variance, equal on all subcarriers.

    Output
    ------
    u_hat : tf.Tensor, [..., F, M, N+1], complex
        On all subcarriers.
    err_var : tf.Tensor, broadcasts to `u_hat`, real

    Raises
    ------
    ValueError
        For covariances of other shapes, not Hermitian or with negative eigenvalues, for subcarriers
        out of range, and for a noise variance for each subcarrier.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.estimation.ofdm import OFDMLMMSEEstimator, exponential_delay_covariance
    >>> hop = exponential_delay_covariance(30e-9, 120e3 * tf.range(-6.0, 6.0).numpy())
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
    >>> estimator = OFDMLMMSEEstimator(pilots, (hop * hop, hop), pilot_subcarriers=[0, 4, 8])
    >>> y = pilots(tf.ones([5, 3, 2, 9], tf.complex64), 0.1)
    >>> estimator(y, 0.1)[0].shape
    TensorShape([5, 12, 2, 9])
    """

    inputs = {
        "y": Input("complex", "num_pilot_subcarriers", "num_rx_ant", "num_patterns"),
        "no": Input("real", 1, minimum=0, like="y"),
    }

    def __init__(
        self,
        pilots,
        frequency_covariance,
        element_covariance=None,
        pilot_subcarriers=None,
        **kwargs,
    ):
        super().__init__(pilots, **kwargs)
        matrices = _matrices(frequency_covariance)
        if len(matrices) != 1 + bool(pilots.direct):
            raise ValueError(
                f"frequency_covariance holds {len(matrices)} matrices; "
                f"{1 + bool(pilots.direct)} for pilots with direct = {pilots.direct} are needed"
            )
        chosen = _subcarriers(pilot_subcarriers, matrices.shape[1])
        # What is saved: one array for a tuple, integers for a range.
        saved = {"frequency_covariance": matrices, "pilot_subcarriers": chosen.tolist()}
        self._arguments.update({k: v for k, v in saved.items() if k in self._arguments})
        self.num_subcarriers, self.num_pilot_subcarriers = matrices.shape[1], len(chosen)
        self._cascade = _FrequencyBasis.of(matrices[0], chosen)
        self._direct = _FrequencyBasis.of(matrices[1], chosen) if pilots.direct else None
        self._elements = _element_basis(element_covariance, pilots.num_elements)

    def refine(self, u_ls, variance):
        """Filter the cascaded columns and the direct column."""
        n = self.pilots.num_elements
        u_hat, err_var = self._filter(u_ls[..., :n], variance, self._cascade, *self._elements)
        if err_var.shape[-1] == 1:
            err_var = tf.repeat(err_var, n, -1)
        if self._direct is not None:
            last = self._filter(u_ls[..., n:], variance, self._direct, np.ones(1), None)
            u_hat, err_var = tf.concat([u_hat, last[0]], -1), tf.concat([err_var, last[1]], -1)
        return u_hat, err_var

    def _filter(self, x, variance, basis, eigenvalues, vectors):
        """(estimate [..., F, M, n], error [..., F, 1, n or 1]) from x [..., S, M, n]."""
        if vectors is not None:
            x = tf.linalg.matmul(x, self.cplx(vectors.conj()))
        seen = tf.einsum("ks,...smn->...kmn", self.cplx(basis.observe), x)
        amplitude = self.real(np.sqrt(basis.power[:, None, None] * eigenvalues))
        gain, noise = wiener(amplitude, variance)
        u_hat = tf.einsum(
            "fk,...kmn->...fmn", self.cplx(basis.spread), tf.cast(gain, self.cdtype) * seen
        )
        error = tf.einsum("fk,...kmn->...fmn", self.real(basis.share), noise)
        error = self.real(eigenvalues) * (self.real(basis.unseen[:, None, None]) + error)
        if vectors is not None:
            u_hat = tf.linalg.matmul(u_hat, self.cplx(vectors.T))
            error = tf.linalg.matmul(error, self.real(np.abs(vectors.T) ** 2))
        return u_hat, error
