"""Batched complex linear algebra that is right and fast in eager, graph and XLA.

In XLA on the CPU, TensorFlow's complex ``inv``, ``solve``, ``svd``, ``det`` and ``slogdet`` do not
compile, complex ``eigh`` returns wrong numbers without an error, and Cholesky is slow. Everything
here is made of operations that are right in every mode: Gauss-Jordan elimination for systems,
cyclic Jacobi rotations for eigenvalues and singular values of small matrices (up to about 64).

Eigenvalues and singular values come in descending order.
"""

import tensorflow as tf

from ._jacobi import column_jacobi, hermitian_jacobi
from .layer import to_dtype

__all__ = [
    "dominant_singular_vectors",
    "hermitian_eig",
    "hermitian_sqrt",
    "hpd_inverse",
    "hpd_logdet",
    "hpd_solve",
    "ridge_pinv",
    "svd",
]

_METHODS = ("auto", "gauss_jordan", "cholesky")


def _square(name, a):
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
        m -= (tf.gather(m, [k], axis=-1) - tf.gather(eye, [k], axis=1)) * row
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
    a, b = _square("a", a), tf.convert_to_tensor(b)
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
    a = _square("a", a)
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
    a = _square("a", a)
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


def _safe_reciprocal(x, scale):
    """1/x, and 0 where x vanishes next to scale."""
    tiny = tf.abs(x) <= 1e-12 * scale if x.dtype == tf.float64 else tf.abs(x) <= 1e-6 * scale
    return tf.where(tiny, tf.zeros_like(x), 1 / tf.where(tiny, tf.ones_like(x), x))


def hermitian_eig(a):
    r"""Eigen-decomposition :math:`A=V\,\mathrm{diag}(w)\,V^H` of a small Hermitian matrix.

    Gradients are right for functions that do not depend on the phases of the vectors; between
    equal eigenvalues the vectors' gradient is taken as 0.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
        Its Hermitian part is used.

    Returns
    -------
    w : tf.Tensor, [..., n], real, descending
    v : tf.Tensor, [..., n, n]

    Raises
    ------
    ValueError
        When `a` is not square.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import hermitian_eig
    >>> hermitian_eig(tf.constant([[0.0, 1.0], [1.0, 0.0]]))[0].numpy().round(5)
    array([ 1., -1.], dtype=float32)
    """
    a = _square("a", a)

    @tf.custom_gradient
    def decompose(a):
        w, v = hermitian_jacobi((a + tf.linalg.adjoint(a)) / 2)

        def gradient(dw, dv):
            gap = w[..., None, :] - w[..., :, None]
            scale = tf.reduce_max(tf.abs(w), -1)[..., None, None]
            inner = tf.cast(_safe_reciprocal(gap, scale), a.dtype) * tf.linalg.matmul(
                v, dv, adjoint_a=True
            )
            inner += tf.linalg.diag(tf.cast(dw, a.dtype))
            da = tf.linalg.matmul(v, tf.linalg.matmul(inner, v, adjoint_b=True))
            return (da + tf.linalg.adjoint(da)) / 2

        return (w, v), gradient

    return decompose(a)


def hermitian_sqrt(a):
    r"""Hermitian square root of a small positive semi-definite matrix.

    Negative eigenvalues from rounding count as zero. The gradient solves the Lyapunov equation
    and is right at equal eigenvalues too.

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
    >>> from sionna_irs.linalg import hermitian_sqrt
    >>> float(hermitian_sqrt(4 * tf.eye(2))[0, 0])
    2.0
    """
    a = _square("a", a)

    @tf.custom_gradient
    def root(a):
        w, v = hermitian_jacobi((a + tf.linalg.adjoint(a)) / 2)
        s = tf.sqrt(tf.maximum(w, 0))
        value = tf.linalg.matmul(v * tf.cast(s, a.dtype)[..., None, :], v, adjoint_b=True)

        def gradient(dvalue):
            dvalue = (dvalue + tf.linalg.adjoint(dvalue)) / 2
            inner = tf.linalg.matmul(v, tf.linalg.matmul(dvalue, v), adjoint_a=True)
            total = s[..., None, :] + s[..., :, None]
            scale = tf.reduce_max(s, -1)[..., None, None]
            inner *= tf.cast(_safe_reciprocal(total, scale), a.dtype)
            return tf.linalg.matmul(v, tf.linalg.matmul(inner, v, adjoint_b=True))

        return value, gradient

    return root(a)


def svd(h):
    r"""Thin singular value decomposition :math:`H=U\,\mathrm{diag}(s)\,V^H` of a small matrix.

    One-sided Jacobi rotations: small singular values keep their relative accuracy. U and V have
    orthonormal columns also when the rank is deficient. Gradients are right for functions that do
    not depend on the common phases of the vectors.

    Parameters
    ----------
    h : tf.Tensor, [..., m, n], real or complex

    Returns
    -------
    s : tf.Tensor, [..., min(m, n)], real, descending
    u : tf.Tensor, [..., m, min(m, n)]
    v : tf.Tensor, [..., n, min(m, n)]

    Raises
    ------
    ValueError
        When `h` is no matrix or its last two dimensions are unknown.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import svd
    >>> svd(tf.constant([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]))[0].numpy().round(5)
    array([4., 3.], dtype=float32)
    """
    h = tf.convert_to_tensor(h)
    if h.shape.rank is None or h.shape.rank < 2 or None in h.shape[-2:]:
        raise ValueError(f"h has shape {h.shape}; [..., m, n] with known m, n is needed")
    if h.shape[-2] < h.shape[-1]:
        s, v, u = svd(tf.linalg.adjoint(h))
        return s, u, v

    @tf.custom_gradient
    def decompose(h):
        s, u, v = column_jacobi(h)

        def gradient(ds, du, dv):
            return _svd_gradient(s, u, v, ds, du, dv)

        return (s, u, v), gradient

    return decompose(h)


def _svd_gradient(s, u, v, ds, du, dv):
    """Wan and Zhang 2019, eq. (3): the gradient of a function without phase dependence."""
    dtype = u.dtype
    scale = tf.reduce_max(s, -1)[..., None, None]
    square = tf.square(s)
    gap = _safe_reciprocal(square[..., None, :] - square[..., :, None], scale**2)
    gap, inverse = tf.cast(gap, dtype), tf.cast(_safe_reciprocal(s, scale[..., 0]), dtype)
    s = tf.cast(s, dtype)
    left, right = (tf.linalg.matmul(a, b, adjoint_a=True) for a, b in ((u, du), (v, dv)))
    j, k = gap * left, gap * right
    inner = (j + tf.linalg.adjoint(j)) * s[..., None, :]
    inner += s[..., :, None] * (k + tf.linalg.adjoint(k))
    phase = tf.linalg.diag_part(right)
    diagonal = tf.cast(ds, dtype) + inverse * (tf.math.conj(phase) - phase) / 2
    inner += tf.linalg.diag(diagonal)
    outside_u = (du - tf.linalg.matmul(u, left)) * inverse[..., None, :]
    outside_v = (dv - tf.linalg.matmul(v, right)) * inverse[..., None, :]
    result = tf.linalg.matmul(tf.linalg.matmul(u, inner) + outside_u, v, adjoint_b=True)
    return result + tf.linalg.matmul(u, outside_v, adjoint_b=True)


def dominant_singular_vectors(h, num_iter=30):
    r"""Largest singular value and its vectors by power iteration: for matrices of any size.

    Starts at the column of largest norm; the error falls as :math:`(s_2/s_1)^{2\,num\_iter}`.

    Parameters
    ----------
    h : tf.Tensor, [..., m, n], complex
    num_iter : int

    Returns
    -------
    s : tf.Tensor, [...], real
    u : tf.Tensor, [..., m]
    v : tf.Tensor, [..., n]

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import dominant_singular_vectors
    >>> s, u, v = dominant_singular_vectors(tf.constant([[3.0, 0.0], [0.0, 1.0]]))
    >>> round(float(s), 5)
    3.0
    """
    h = tf.convert_to_tensor(h)
    smallest = h.dtype.real_dtype.as_numpy_dtype(1e-30)

    def norm_of(x):  # never 0: a matrix of zeros has vectors of zeros, not NaN
        return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(tf.abs(x)), -1), smallest))

    def unit(x):
        return x / tf.cast(norm_of(x), x.dtype)[..., None]

    norms = tf.reduce_sum(tf.square(tf.abs(h)), -2)
    choice = tf.one_hot(tf.argmax(norms, -1), h.shape[-1], dtype=h.dtype.real_dtype)
    u = unit(tf.linalg.matvec(h, tf.cast(choice, h.dtype)))

    def body(u):
        return (unit(tf.linalg.matvec(h, tf.linalg.matvec(h, u, adjoint_a=True))),)

    (u,) = tf.while_loop(lambda _: True, body, (u,), maximum_iterations=num_iter)
    v = tf.linalg.matvec(h, u, adjoint_a=True)
    s = norm_of(v)
    return s, u, v / tf.cast(s, v.dtype)[..., None]
