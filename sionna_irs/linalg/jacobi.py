"""Cyclic Jacobi rotations in parallel (round-robin) order: see decompose.py for their use.

Pairs stand at the positions (0, 1), (2, 3), ...; after each step a fixed permutation brings
other indices together, and after n - 1 steps (one sweep) every pair has met once and the order is
the first one again. Each step is a few operations on whole matrices, in every mode.
"""

import numpy as np
import tensorflow as tf

from ..modes import in_graph

# Convergence is quadratic after a few sweeps; random matrices up to n = 64 take at most 9 in
# single and 11 in double precision.
_MAX_SWEEPS = 20


def _tournament(n):
    """Positions to gather so that the next pairs meet."""
    half = n // 2
    if half == 1:
        return np.arange(n)
    order = np.empty(n, int)
    order[0::2] = [0, 1, *(2 * i for i in range(1, half - 1))]
    order[1::2] = [*(2 * i + 1 for i in range(1, half)), 2 * (half - 1)]
    return order


def _rotation(app, aqq, apq):
    """(c, s, phase): the unitary [[c, s], [-s p*, c p*]] diagonalises [[app, apq], [., aqq]]."""
    size = tf.abs(apq)
    scale = tf.sqrt(tf.abs(app * aqq))
    eps = np.finfo(app.dtype.as_numpy_dtype).eps
    tiny = tf.maximum(
        tf.cast(np.finfo(app.dtype.as_numpy_dtype).tiny, app.dtype), 0.01 * eps * scale
    )
    skip = size <= tiny
    safe = tf.where(skip, tf.ones_like(size), size)
    tau = (aqq - app) / (2 * safe)
    sign = tf.where(tau >= 0, tf.ones_like(tau), -tf.ones_like(tau))
    t = sign / (tf.abs(tau) + tf.sqrt(1 + tf.square(tau)))
    t = tf.where(skip, tf.zeros_like(t), t)
    c = _refined_rsqrt(1 + tf.square(t))
    phase = apq / tf.cast(safe, apq.dtype)
    phase *= tf.cast(_refined_rsqrt(tf.square(tf.abs(phase))), apq.dtype)
    phase = tf.where(skip, tf.ones_like(phase), phase)
    return tf.cast(c, apq.dtype), tf.cast(t * c, apq.dtype), tf.math.conj(phase)


def _refined_rsqrt(x):
    """1/sqrt(x) with one Newton step: TensorFlow's own is biased by 2e-7 on some processors.

    The bias would add up over hundreds of rotations, which then are not unitary.
    """
    y = tf.math.rsqrt(x)
    return y * (1.5 - 0.5 * x * tf.square(y))


def _rotate_columns(x, rotation, order):
    """x J for the pairs of columns, then the next order."""
    c, s, phase = (r[..., None, :] for r in rotation)
    even, odd = x[..., 0::2], x[..., 1::2] * phase
    pairs = tf.stack([c * even - s * odd, s * even + c * odd], -1)
    return tf.gather(tf.reshape(pairs, tf.shape(x)), order, axis=-1)


def _sweeps(step, off, state, n):
    """Repeat sweeps of ``step`` until ``off(state)`` says that all is diagonal."""

    def sweep(count, state):
        _, state = tf.while_loop(
            lambda k, _: k < n - 1,
            lambda k, state: (k + 1, step(state)),
            (tf.constant(0), state),
            maximum_iterations=n - 1,
        )
        return count + 1, state

    _, state = tf.while_loop(
        lambda count, state: tf.logical_and(count < _MAX_SWEEPS, off(state)),
        sweep,
        (tf.constant(0), state),
        maximum_iterations=_MAX_SWEEPS,
    )
    return state


def _pad_even(x, axes):
    """One zero row or column more where the number of columns is odd."""
    if x.shape[-1] % 2 == 0:
        return x
    paddings = [[0, 0]] * (x.shape.rank - 2) + [[0, int(-2 in axes)], [0, 1]]
    return tf.pad(x, paddings)


def _sorted(values, *matrices):
    """Descending values, and columns of the matrices in the same order."""
    order = tf.argsort(values, axis=-1, direction="DESCENDING")
    # One-hot products instead of batched gathers keep unknown batch dimensions and XLA happy.
    choice = tf.one_hot(order, values.shape[-1], dtype=values.dtype)
    sorted_columns = (tf.matmul(m, tf.cast(choice, m.dtype), transpose_b=True) for m in matrices)
    return tf.linalg.matvec(choice, values), *sorted_columns


@in_graph
def hermitian_jacobi(a):
    """Eigenvalues (descending) and vectors of Hermitian a [..., n, n]."""
    size = a.shape[-1]
    a = _pad_even(a, (-2, -1))
    n, rdtype = a.shape[-1], a.dtype.real_dtype
    order = tf.constant(_tournament(n), tf.int32)
    v = tf.zeros_like(a) + tf.eye(n, dtype=a.dtype)
    eps = np.finfo(rdtype.as_numpy_dtype).eps

    def step(state):
        a, v = state
        diagonal = tf.math.real(tf.linalg.diag_part(a))
        rotation = _rotation(
            diagonal[..., 0::2], diagonal[..., 1::2], tf.linalg.diag_part(a, k=1)[..., 0::2]
        )
        a = _rotate_columns(a, rotation, order)
        a = tf.linalg.adjoint(_rotate_columns(tf.linalg.adjoint(a), rotation, order))
        return a, _rotate_columns(v, rotation, order)

    def off(state):
        a = state[0]
        rest = a - tf.linalg.diag(tf.linalg.diag_part(a))
        total, outside = (tf.reduce_sum(tf.square(tf.abs(x)), [-2, -1]) for x in (a, rest))
        return tf.reduce_any(outside > (eps**2) * total)

    a, v = _sweeps(step, off, (a, v), n)
    w = tf.math.real(tf.linalg.diag_part(a))
    return _sorted(w[..., :size], v[..., :size, :size])


@in_graph
def column_jacobi(h):
    """Singular values (descending), left and right vectors of h [..., m, n], m >= n."""
    size = h.shape[-1]
    x = _pad_even(h, (-1,))
    n, rdtype = x.shape[-1], x.dtype.real_dtype
    order = tf.constant(_tournament(n), tf.int32)
    v = tf.zeros_like(tf.linalg.matmul(x, x, adjoint_a=True)) + tf.eye(n, dtype=x.dtype)
    eps = np.finfo(rdtype.as_numpy_dtype).eps

    def inner(x):
        even, odd = x[..., 0::2], x[..., 1::2]
        power = tf.reduce_sum(tf.square(tf.abs(x)), -2)
        return power[..., 0::2], power[..., 1::2], tf.reduce_sum(tf.math.conj(even) * odd, -2)

    def step(state):
        x, v = state
        rotation = _rotation(*inner(x))
        return _rotate_columns(x, rotation, order), _rotate_columns(v, rotation, order)

    def off(state):
        gram = tf.linalg.matmul(state[0], state[0], adjoint_a=True)
        power = tf.math.real(tf.linalg.diag_part(gram))
        bound = 4 * eps * tf.sqrt(tf.abs(power[..., :, None] * power[..., None, :]))
        outside = tf.abs(gram - tf.linalg.diag(tf.linalg.diag_part(gram)))
        floor = (eps**2) * tf.reduce_max(power, -1)[..., None, None]
        return tf.reduce_any(outside > bound + floor)

    x, v = _sweeps(step, off, (x, v), n)
    x, v = x[..., :size], v[..., :size, :size]
    s = tf.sqrt(tf.reduce_sum(tf.square(tf.abs(x)), -2))
    s, x, v = _sorted(s, x, v)
    # QR completes the columns of zero singular values; elsewhere R is diagonal up to phases.
    q, r = tf.linalg.qr(x)
    diagonal = tf.linalg.diag_part(r)
    size_r = tf.abs(diagonal)
    zero = size_r == 0
    phase = diagonal / tf.cast(tf.where(zero, tf.ones_like(size_r), size_r), x.dtype)
    return s, q * tf.where(zero, tf.ones_like(phase), phase)[..., None, :], v
