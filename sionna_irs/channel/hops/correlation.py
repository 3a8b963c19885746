"""Spatial correlation of arrays."""

import numpy as np

from ...arrays import require_array
from ...layer import require_integer

__all__ = [
    "correlation_root",
    "exponential_correlation",
    "exponential_factors",
    "plane_wave_correlation",
    "plane_wave_factors",
]


def exponential_correlation(array, coefficient: complex):
    r"""Exponential model, :math:`R_{ij}=\rho^{j-i}` for j >= i, Hermitian.

    On a planar array, :math:`R_v\otimes R_h`. Source: Loyka 2001.

    Parameters
    ----------
    array : ULA or UPA
    coefficient : complex
        rho, correlation of neighbours, magnitude at most 1; with 1 all elements are the same
        but for a phase, and the matrix is singular.

    Returns
    -------
    np.ndarray, [num_ant, num_ant], complex128

    Raises
    ------
    ValueError
        When the magnitude is above 1.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.exponential_correlation(irs.ULA(2), 0.5).real
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    if not abs(coefficient) <= 1:
        raise ValueError(f"coefficient = {coefficient}; a magnitude of at most 1 is needed")
    vertical, horizontal = exponential_factors(array, coefficient)
    return np.kron(vertical, horizontal)


def exponential_factors(array, coefficient):
    r"""The two Kronecker factors of :func:`exponential_correlation`.

    Hops apply them one after the other, at a fraction of the cost of the full matrix.

    Parameters
    ----------
    array, coefficient
        As there.

    Returns
    -------
    (np.ndarray, np.ndarray), [num_rows, num_rows] and [num_cols, num_cols], complex128

    Examples
    --------
    >>> import sionna_irs as irs
    >>> [r.shape for r in irs.exponential_factors(irs.UPA(4, 10), 0.5)]
    [(4, 4), (10, 10)]
    """

    def linear(size):
        difference = np.arange(size) - np.arange(size)[:, None]
        upper = np.asarray(coefficient, complex) ** np.abs(difference)
        return np.where(difference >= 0, upper, upper.conj())

    return tuple(linear(size) for size in require_array("array", array).shape)


def plane_wave_correlation(num_points: int, num_waves: int, angular_spread: float, spacing: float):
    r"""Correlation of points on a line under plane waves around broadside, real Toeplitz.

    .. math:: R_{mk}=\frac1S\sum_{i=1}^{S}e^{j2\pi(m-k)d\cos(\pi/2+\theta_i)},\qquad
              \theta_i=\theta\Big(\frac{i-1}{S-1}-\frac12\Big)

    Rank at most S; one wave comes from broadside. For many waves it tends to the integral over
    the spread (:math:`J_0(2\pi d(m-k))` for the full circle), not to the identity.

    Source: Gesbert et al. 2002, as used by the double-surface paper; corrected: its limit.

    Parameters
    ----------
    num_points : int
        n.
    num_waves : int
        S.
    angular_spread : float
        theta in [0, 2 pi] [radian].
    spacing : float
        d [wavelengths].

    Returns
    -------
    np.ndarray, [n, n], float64

    Raises
    ------
    ValueError
        For numbers out of range.

    Examples
    --------
    >>> import math, sionna_irs as irs
    >>> irs.plane_wave_correlation(4, 5, math.pi / 3, 0.5)[0].round(4)
    array([ 1.    ,  0.4749, -0.2222, -0.1053])
    """
    require_integer("num_points", num_points)
    require_integer("num_waves", num_waves)
    if not 0 <= angular_spread <= 2 * np.pi:
        raise ValueError(f"angular_spread = {angular_spread}; a number in [0, 2 pi] is needed")
    if not 0 < spacing < np.inf:
        raise ValueError(f"spacing = {spacing}; a positive number of wavelengths is needed")
    angles = angular_spread * (np.linspace(-0.5, 0.5, num_waves) if num_waves > 1 else np.zeros(1))
    lags = np.cos(2 * np.pi * spacing * np.outer(np.arange(num_points), np.sin(angles))).mean(-1)
    index = np.arange(num_points)
    return lags[np.abs(index - index[:, None])]


def plane_wave_factors(array, num_waves, angular_spread):
    r"""The Kronecker factors of :func:`plane_wave_correlation` on an array, :math:`R_v\otimes R_h`.

    Parameters
    ----------
    array : ULA or UPA
    num_waves, angular_spread
        As there.

    Returns
    -------
    (np.ndarray, np.ndarray), [num_rows, num_rows] and [num_cols, num_cols], float64

    Examples
    --------
    >>> import math, sionna_irs as irs
    >>> [r.shape for r in irs.plane_wave_factors(irs.UPA(4, 10), 10, math.pi / 2)]
    [(4, 4), (10, 10)]
    """
    rows, cols = require_array("array", array).shape
    offsets = array.positions - array.positions[0]
    steps = offsets[cols, 2] if rows > 1 else 0.5, offsets[1, 1] if cols > 1 else 0.5
    return tuple(
        plane_wave_correlation(size, num_waves, angular_spread, step)
        for size, step in zip(array.shape, steps, strict=True)
    )


def correlation_root(name, matrix, size):
    """Factors [..., n, n] of the roots of correlation matrices of unit diagonal, or ().

    ``matrix`` is one matrix [..., size, size], or a tuple of the Kronecker factors of one. A root
    is the lower Cholesky factor, or, where the matrix is singular, its Hermitian root.
    """
    if matrix is None:
        return ()
    factors = [np.asarray(m, complex) for m in (matrix if isinstance(matrix, tuple) else [matrix])]
    sizes = [m.shape[-1] if m.ndim >= 2 and m.shape[-2] == m.shape[-1] else 0 for m in factors]
    if np.prod(sizes) != size:
        shapes = [m.shape for m in factors]
        shapes = shapes if isinstance(matrix, tuple) else shapes[0]
        raise ValueError(f"{name} has shape {shapes}; ({size}, {size}) is needed")
    return tuple(_root(name, m) for m in factors)


def _root(name, matrix):
    transposed = np.swapaxes(matrix, -1, -2)
    diagonal = np.diagonal(matrix, axis1=-2, axis2=-1)
    if not np.allclose(matrix, transposed.conj()) or not np.allclose(diagonal, 1):
        raise ValueError(f"{name} is not Hermitian with a unit diagonal")
    smallest = np.linalg.eigvalsh(matrix).min()
    if smallest > 1e-9:
        return np.linalg.cholesky(matrix)
    if smallest < -1e-9 * matrix.shape[-1]:
        raise ValueError(f"{name} has the smallest eigenvalue {smallest:.3g}; at least 0 is needed")
    # Not a Schur-type root: of singular matrices it depends on the library's version.
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    return root @ np.swapaxes(vectors, -1, -2).conj()
