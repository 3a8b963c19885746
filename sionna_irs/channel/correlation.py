"""Spatial correlation of arrays."""

import numpy as np

__all__ = ["correlation_root", "exponential_correlation", "exponential_factors"]


def exponential_correlation(array, coefficient):
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

    return tuple(linear(size) for size in array.shape)


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
