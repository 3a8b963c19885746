"""Spatial correlation of arrays."""

import numpy as np

__all__ = ["correlation_root", "exponential_correlation"]


def exponential_correlation(array, coefficient):
    r"""Exponential model, :math:`R_{ij}=\rho^{j-i}` for j >= i, Hermitian.

    On a planar array, :math:`R_v\otimes R_h`. Source: Loyka 2001.

    Parameters
    ----------
    array : ULA or UPA
    coefficient : complex
        rho, correlation of neighbours, magnitude below 1.

    Returns
    -------
    np.ndarray, [num_ant, num_ant], complex128

    Raises
    ------
    ValueError
        When the magnitude is not below 1.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.exponential_correlation(irs.ULA(2), 0.5).real
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    if not abs(coefficient) < 1:
        raise ValueError(f"coefficient = {coefficient}; a magnitude below 1 is needed")

    def linear(size):
        difference = np.arange(size) - np.arange(size)[:, None]
        upper = np.asarray(coefficient, complex) ** np.abs(difference)
        return np.where(difference >= 0, upper, upper.conj())

    return np.kron(linear(array.shape[0]), linear(array.shape[1]))


def correlation_root(name, matrix, size):
    """Lower Cholesky factor of a correlation matrix of unit diagonal, or None for None."""
    if matrix is None:
        return None
    matrix = np.asarray(matrix, complex)
    if matrix.shape != (size, size):
        raise ValueError(f"{name} has shape {matrix.shape}; ({size}, {size}) is needed")
    if not np.allclose(matrix, matrix.conj().T) or not np.allclose(np.diag(matrix), 1):
        raise ValueError(f"{name} is not Hermitian with a unit diagonal")
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"{name} has the smallest eigenvalue {np.linalg.eigvalsh(matrix)[0]:.3g}; "
            "a positive definite matrix is needed"
        ) from None
