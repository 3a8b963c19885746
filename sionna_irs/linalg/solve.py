"""Hermitian positive definite systems by Gauss-Jordan elimination or Cholesky."""

import numpy as np
import tensorflow as tf

from ..layer import to_dtype
from .scale import divide

__all__ = [
    "hpd_inverse",
    "hpd_logdet",
    "hpd_solve",
    "hpd_whitener",
    "pivot_floor",
    "ridge_pinv",
    "square_matrix",
]

_METHODS = ("auto", "gauss_jordan", "cholesky")


def square_matrix(name, a):
    """``a`` as a tensor; ValueError unless it is [..., n, n] with known n."""
    a = tf.convert_to_tensor(a)
    if a.shape.rank is None or a.shape.rank < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{name} has shape {a.shape}; a square matrix [..., n, n] is needed")
    if a.shape[-1] is None:
        raise ValueError(f"{name} has shape {a.shape}; its last two dimensions must be known")
    return a


def _resolve(method):
    """Cholesky is TensorFlow's fast kernel in eager mode and XLA's slow expansion elsewhere.

    A traced function cannot see whether XLA will compile it. Elimination is the fastest under
    XLA and within a factor of about two of the kernel in plain graphs.
    """
    if method not in _METHODS:
        raise ValueError(f"method = {method!r}; one of {_METHODS} is needed")
    if method == "auto":
        return "cholesky" if tf.executing_eagerly() else "gauss_jordan"
    return method


def _eliminate(a, b, at_least=None):
    """Gauss-Jordan on [a, b]: (pivots [..., n], a^-1 b). No pivoting: a is definite."""
    n = a.shape[-1]
    eye = tf.eye(n, dtype=a.dtype)
    floor = None if at_least is None else pivot_floor(tf.linalg.diag_part(a), at_least)

    def body(k, m, pivots):
        row = tf.gather(m, [k], axis=-2)
        pivot = tf.gather(row, [k], axis=-1)
        if floor is not None:
            smallest = tf.gather(floor, [k], axis=-1)[..., None]
            pivot = tf.maximum(tf.math.real(pivot), smallest)
        row = divide(row, tf.math.real(pivot))  # a definite matrix has real pivots
        # The pivot's own row is replaced, not reduced to it: large pivots would cancel there.
        own = tf.gather(eye, [k], axis=1)
        others = 1 - own
        m = others * m + (own - others * tf.gather(m, [k], axis=-1)) * row
        pivots += tf.cast(pivot, a.dtype)[..., 0] * tf.gather(eye, k, axis=0)
        return k + 1, m, pivots

    start = (tf.constant(0), tf.concat([a, b], -1), tf.zeros_like(a[..., 0, :]))
    _, m, pivots = tf.while_loop(lambda k, *_: k < n, body, start, maximum_iterations=n)
    return pivots, m[..., n:]


def pivot_floor(diagonal, at_least):
    """Smallest pivots [..., n], real, of matrices whose eigenvalues are known to be `at_least`.

    A pivot below the rounding of its diagonal entry is rounding, too.
    """
    diagonal = tf.math.real(diagonal)
    rounding = diagonal.dtype.as_numpy_dtype(np.finfo(diagonal.dtype.as_numpy_dtype).eps)
    return tf.maximum(rounding * diagonal, to_dtype(at_least, diagonal.dtype)[..., None])


def hpd_solve(a, b, method="auto", at_least=None):
    r"""Solve :math:`AX=B` for Hermitian positive definite A.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
    b : tf.Tensor, [..., n, m], same dtype
    method : "auto", "gauss_jordan" or "cholesky"
        "auto": Cholesky in eager mode, elimination in graphs and XLA. In graphs that XLA does
        not compile, "cholesky" is faster from n = 16 on.
    at_least : float or tf.Tensor, [...], real, or None
        What no eigenvalue of A can be below, such as the ridge that it holds: X is finite then,
        however close to singular A is. Elimination lifts pivots that rounding leaves below it, or
        below their own rounding; where Cholesky fails, the diagonal is loaded by its rounding.

    Returns
    -------
    tf.Tensor, [..., n, m]

    Raises
    ------
    ValueError
        When `a` is not square, `b` does not fit, or the method is unknown.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import hpd_solve
    >>> hpd_solve(2 * tf.eye(2), tf.ones([2, 1])).numpy().ravel().round(5)
    array([0.5, 0.5], dtype=float32)
    """
    a, b = square_matrix("a", a), tf.convert_to_tensor(b)
    if b.shape.rank < 2 or b.shape[-2] != a.shape[-1]:
        raise ValueError(f"b has shape {b.shape}; [..., {a.shape[-1]}, m] is needed")
    method = _resolve(method)
    batch = tf.broadcast_dynamic_shape(tf.shape(a)[:-2], tf.shape(b)[:-2])
    if a.shape[:-2] != b.shape[:-2]:
        a = tf.broadcast_to(a, tf.concat([batch, tf.shape(a)[-2:]], 0))
        b = tf.broadcast_to(b, tf.concat([batch, tf.shape(b)[-2:]], 0))

    @tf.custom_gradient
    def solve(a, b):
        x = _solution(a, b, method, at_least)

        def gradient(dx):
            db = hpd_solve(a, dx, method, at_least)
            da = -tf.linalg.matmul(db, x, adjoint_b=True)
            return (da + tf.linalg.adjoint(da)) / 2, db

        return x, gradient

    return solve(a, b)


def _solution(a, b, method, at_least):
    if method == "gauss_jordan":
        return _eliminate(a, b, at_least)[1]
    x = tf.linalg.cholesky_solve(tf.linalg.cholesky(a), b)
    if at_least is None:
        return x
    sound = tf.reduce_all(tf.math.is_finite(tf.math.real(x)), [-2, -1], keepdims=True)
    if tf.executing_eagerly() and sound.numpy().all():
        return x
    diagonal = tf.math.real(tf.linalg.diag_part(a))
    load = 4 * a.shape[-1] * np.finfo(diagonal.dtype.as_numpy_dtype).eps * diagonal
    a = tf.linalg.set_diag(a, tf.cast(diagonal + load, a.dtype))
    return tf.where(sound, x, tf.linalg.cholesky_solve(tf.linalg.cholesky(a), b))


def hpd_inverse(a, method="auto", at_least=None):
    """Inverse of a Hermitian positive definite matrix.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
    method, at_least
        As in :func:`hpd_solve`.

    Returns
    -------
    tf.Tensor, [..., n, n]

    Raises
    ------
    ValueError
        When `a` is not square.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import hpd_inverse
    >>> float(hpd_inverse(4 * tf.eye(2))[0, 0])
    0.25
    """
    a = square_matrix("a", a)
    return hpd_solve(a, tf.eye(a.shape[-1], dtype=a.dtype), method, at_least)


def hpd_logdet(a, method="auto"):
    """Natural logarithm of the determinant of a Hermitian positive definite matrix.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
    method : str
        As in :func:`hpd_solve`.

    Returns
    -------
    tf.Tensor, [...], real

    Raises
    ------
    ValueError
        When `a` is not square.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import hpd_logdet
    >>> round(float(hpd_logdet(2 * tf.eye(3))), 4)
    2.0794
    """
    a = square_matrix("a", a)
    method = _resolve(method)

    @tf.custom_gradient
    def logdet(a):
        if method == "cholesky":
            pivots = tf.linalg.diag_part(tf.linalg.cholesky(a))
            value = 2 * tf.reduce_sum(tf.math.log(tf.math.real(pivots)), -1)
        else:
            pivots, _ = _eliminate(a, tf.zeros_like(a[..., :1]))
            value = tf.reduce_sum(tf.math.log(tf.math.real(pivots)), -1)

        def gradient(dvalue):
            return tf.cast(dvalue, a.dtype)[..., None, None] * hpd_inverse(a, method)

        return value, gradient

    return logdet(a)


def hpd_whitener(a):
    r"""Upper triangular T with :math:`T^HAT=I` for Hermitian positive definite A.

    Where A is semidefinite, as the Gram matrix of beams that coincide, the columns of T that have
    nothing of their own to add are zeros, and so are the diagonal entries of :math:`T^HAT`.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex

    Returns
    -------
    tf.Tensor, [..., n, n]

    Raises
    ------
    ValueError
        When `a` is not square.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import hpd_whitener
    >>> float(hpd_whitener(4 * tf.eye(2))[0, 0])
    0.5
    """
    a = square_matrix("a", a)
    # Cholesky and triangular solves are right under XLA; slow there, which two calls can bear.
    diagonal = tf.math.real(tf.linalg.diag_part(a))
    load = 4 * a.shape[-1] * np.finfo(diagonal.dtype.as_numpy_dtype).eps * diagonal
    pivots = tf.square(tf.math.real(tf.linalg.diag_part(tf.linalg.cholesky(tf.stop_gradient(a)))))
    definite = tf.reduce_all(pivots > load, -1)  # a failure is not a number
    loaded = diagonal + tf.where(diagonal > 0, load, tf.ones_like(load))
    loaded = tf.linalg.set_diag(a, tf.cast(loaded, a.dtype))
    root = tf.linalg.cholesky(tf.where(definite[..., None, None], a, loaded))
    eye = tf.zeros_like(a) + tf.eye(a.shape[-1], dtype=a.dtype)
    t = tf.linalg.adjoint(tf.linalg.triangular_solve(root, eye))
    pivots = tf.square(tf.math.real(tf.linalg.diag_part(root)))
    own = definite[..., None] | (pivots > 4 * load) & (diagonal > 0)
    return t * tf.cast(own, t.dtype)[..., None, :]


def ridge_pinv(h, ridge=0.0, method="auto"):
    r"""Regularised pseudo-inverse, :math:`H^H(HH^H+rI)^{-1}=(H^HH+rI)^{-1}H^H`.

    Parameters
    ----------
    h : tf.Tensor, [..., m, n], complex
    ridge : float or tf.Tensor, [...], real
        r, at least 0. With 0, rows (columns, where there are fewer) that are zero give zeros,
        the others as if these were not there; of any other defect of the rank only that the
        result is finite.
    method : str
        As in :func:`hpd_solve`.

    Returns
    -------
    tf.Tensor, [..., n, m]; the smaller of the two systems is solved.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import ridge_pinv
    >>> ridge_pinv(tf.ones([1, 2], tf.complex64)).numpy().real.ravel().round(5)
    array([0.5, 0.5], dtype=float32)
    """
    h = tf.convert_to_tensor(h)
    wide = h.shape[-2] <= h.shape[-1]
    gram = tf.linalg.matmul(h, h, adjoint_b=wide, adjoint_a=not wide)
    ridge = to_dtype(ridge, h.dtype.real_dtype)
    empty = tf.cast(tf.linalg.diag_part(gram) == 0, h.dtype)
    gram += tf.linalg.diag(tf.cast(ridge, h.dtype)[..., None] + empty)
    if wide:
        return tf.linalg.adjoint(hpd_solve(gram, h, method, ridge))
    return hpd_solve(gram, tf.linalg.adjoint(h), method, ridge)
