"""Hermitian positive definite systems by Gauss-Jordan elimination or Cholesky."""

import tensorflow as tf

from ..layer import to_dtype

__all__ = [
    "hpd_inverse",
    "hpd_logdet",
    "hpd_solve",
    "hpd_whitener",
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


def _eliminate(a, b):
    """Gauss-Jordan on [a, b]: (pivots [..., n], a^-1 b). No pivoting: a is definite."""
    n = a.shape[-1]
    eye = tf.eye(n, dtype=a.dtype)

    def body(k, m, pivots):
        row = tf.gather(m, [k], axis=-2)
        pivot = tf.gather(row, [k], axis=-1)
        row /= pivot
        # The pivot's own row is replaced, not reduced to it: large pivots would cancel there.
        own = tf.gather(eye, [k], axis=1)
        others = 1 - own
        m = others * m + (own - others * tf.gather(m, [k], axis=-1)) * row
        pivots += pivot[..., 0] * tf.gather(eye, k, axis=0)
        return k + 1, m, pivots

    start = (tf.constant(0), tf.concat([a, b], -1), tf.zeros_like(a[..., 0, :]))
    _, m, pivots = tf.while_loop(lambda k, *_: k < n, body, start, maximum_iterations=n)
    return pivots, m[..., n:]


def hpd_solve(a, b, method="auto"):
    r"""Solve :math:`AX=B` for Hermitian positive definite A.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
    b : tf.Tensor, [..., n, m], same dtype
    method : "auto", "gauss_jordan" or "cholesky"
        "auto": Cholesky in eager mode, elimination in graphs and XLA. In graphs that XLA does
        not compile, "cholesky" is faster from n = 16 on.

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
        if method == "cholesky":
            x = tf.linalg.cholesky_solve(tf.linalg.cholesky(a), b)
        else:
            x = _eliminate(a, b)[1]

        def gradient(dx):
            db = hpd_solve(a, dx, method)
            da = -tf.linalg.matmul(db, x, adjoint_b=True)
            return (da + tf.linalg.adjoint(da)) / 2, db

        return x, gradient

    return solve(a, b)


def hpd_inverse(a, method="auto"):
    """Inverse of a Hermitian positive definite matrix.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
    method : str
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
    return hpd_solve(a, tf.eye(a.shape[-1], dtype=a.dtype), method)


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
    # Cholesky and triangular solves are right under XLA; slow there, which one call can bear.
    root = tf.linalg.cholesky(a)
    eye = tf.zeros_like(a) + tf.eye(a.shape[-1], dtype=a.dtype)
    return tf.linalg.adjoint(tf.linalg.triangular_solve(root, eye))


def ridge_pinv(h, ridge=0.0, method="auto"):
    r"""Regularised pseudo-inverse, :math:`H^H(HH^H+rI)^{-1}=(H^HH+rI)^{-1}H^H`.

    Parameters
    ----------
    h : tf.Tensor, [..., m, n], complex
    ridge : float or tf.Tensor, [...], real
        r, at least 0; with 0, `h` must have full rank.
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
    load = to_dtype(ridge, h.dtype)[..., None, None]
    gram += load * tf.eye(gram.shape[-1], dtype=h.dtype)
    if wide:
        return tf.linalg.adjoint(hpd_solve(gram, h, method))
    return hpd_solve(gram, tf.linalg.adjoint(h), method)
