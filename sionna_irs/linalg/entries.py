"""Inverses of very small matrices, written out entry by entry.

A matrix is a nested list of (real, imaginary) pairs, each a tensor over the batch. Under XLA on the
CPU these straight lines of arithmetic are several times faster than batched products and loops
for n up to about 6; beyond, and outside XLA, they are too many operations.
"""

import tensorflow as tf

from .solve import pivot_floor

__all__ = ["inverse_of_entries", "join_entries", "split_entries"]


def split_entries(a):
    """The entries of ``a`` [n, m, ...], complex, the batch last."""
    return [
        [(tf.math.real(entry), tf.math.imag(entry)) for entry in tf.unstack(row)]
        for row in tf.unstack(a)
    ]


def join_entries(a):
    """The tensor [n, m, ...], complex, of entries."""
    parts = [tf.stack([entry[part] for row in a for entry in row]) for part in (0, 1)]
    joined = tf.complex(*parts)
    return tf.reshape(joined, tf.concat([[len(a), len(a[0])], tf.shape(joined)[1:]], 0))


def _add(a, b):
    return a[0] + b[0], a[1] + b[1]


def _scale(a, factor):
    return a[0] * factor, a[1] * factor


def _conj(a):
    return a[0], -a[1]


def _times(a, b):
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _power(a):
    return a[0] * a[0] + a[1] * a[1]


def _sum(entries):
    total, *rest = entries
    for entry in rest:
        total = _add(total, entry)
    return total


def inverse_of_entries(a, at_least=None):
    r"""Inverse of a Hermitian positive definite matrix from :math:`A=LDL^H`.

    Only the lower triangle is read. `at_least` as in :func:`sionna_irs.linalg.hpd_solve`.
    """
    n = len(a)
    lower, pivots = _factor(a, at_least)
    # Below the diagonal of L^-1.
    below = [[None] * n for _ in range(n)]
    for j in range(n):
        for i in range(j + 1, n):
            terms = [lower[i][j], *(_times(lower[i][k], below[k][j]) for k in range(j + 1, i))]
            below[i][j] = _scale(_sum(terms), -1)
    found = [[None] * n for _ in range(n)]
    for i in range(n):
        diagonal = pivots[i] + sum(pivots[k] * _power(below[k][i]) for k in range(i + 1, n))
        found[i][i] = (diagonal, tf.zeros_like(diagonal))
        for j in range(i + 1, n):
            terms = [_scale(_conj(below[j][i]), pivots[j])]
            for k in range(j + 1, n):
                terms.append(_scale(_times(_conj(below[k][i]), below[k][j]), pivots[k]))
            found[i][j] = _sum(terms)
            found[j][i] = _conj(found[i][j])
    return found


def _factor(a, at_least):
    """(L below its unit diagonal, inverse pivots) of A = L D L^H."""
    n = len(a)
    lower, scaled, pivots = [[None] * n for _ in range(n)], [[None] * n for _ in range(n)], []
    for j in range(n):
        pivot = a[j][j][0]
        for k in range(j):
            pivot -= _times(lower[j][k], _conj(scaled[j][k]))[0]
        if at_least is not None:
            pivot = tf.maximum(pivot, pivot_floor(a[j][j][0][..., None], at_least)[..., 0])
        pivots.append(1 / pivot)
        for i in range(j + 1, n):
            terms = [_scale(_times(scaled[i][k], _conj(lower[j][k])), -1) for k in range(j)]
            scaled[i][j] = _sum([a[i][j], *terms])
            lower[i][j] = _scale(scaled[i][j], pivots[j])
    return lower, pivots
