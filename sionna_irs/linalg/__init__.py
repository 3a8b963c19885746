"""Batched complex linear algebra that is right and fast in eager, graph and XLA.

In XLA on the CPU, TensorFlow's complex ``inv``, ``solve``, ``svd``, ``det`` and ``slogdet`` do not
compile, complex ``eigh`` returns wrong numbers without an error, and Cholesky is slow. Everything
here has a form of operations that are right in every mode: Gauss-Jordan elimination for systems,
cyclic Jacobi rotations for eigenvalues and singular values of small matrices (up to about 64).
"auto" takes TensorFlow's kernels where they may be used (:func:`has_kernels`).

Eigenvalues and singular values come in descending order.
"""

from ..modes import has_kernels, plain_graphs
from .decompose import column_space, dominant_singular_vectors, hermitian_eig, hermitian_sqrt, svd
from .solve import hpd_inverse, hpd_logdet, hpd_solve, hpd_whitener, ridge_pinv

__all__ = [
    "column_space",
    "dominant_singular_vectors",
    "hermitian_eig",
    "has_kernels",
    "hermitian_sqrt",
    "hpd_inverse",
    "hpd_logdet",
    "hpd_solve",
    "hpd_whitener",
    "plain_graphs",
    "ridge_pinv",
    "svd",
]
