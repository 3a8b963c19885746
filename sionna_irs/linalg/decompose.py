"""Eigenvalues and singular values of small matrices, with gradients."""

import tensorflow as tf

from ..modes import has_kernels, in_graph
from .jacobi import column_jacobi, hermitian_jacobi
from .solve import square_matrix

__all__ = ["column_space", "dominant_singular_vectors", "hermitian_eig", "hermitian_sqrt", "svd"]

_METHODS = ("auto", "jacobi", "kernel")


def _choose(method, jacobi, kernel):
    """The function of a method; ValueError for an unknown one."""
    if method not in _METHODS:
        raise ValueError(f"method = {method!r}; one of {_METHODS} is needed")
    return kernel if method == "kernel" or (method == "auto" and has_kernels()) else jacobi


def _safe_reciprocal(x, scale):
    """1/x, and 0 where x vanishes next to scale."""
    tiny = tf.abs(x) <= 1e-12 * scale if x.dtype == tf.float64 else tf.abs(x) <= 1e-6 * scale
    return tf.where(tiny, tf.zeros_like(x), 1 / tf.where(tiny, tf.ones_like(x), x))


def hermitian_eig(a, method="auto"):
    r"""Eigen-decomposition :math:`A=V\,\mathrm{diag}(w)\,V^H` of a small Hermitian matrix.

    Gradients are right for functions that do not depend on the phases of the vectors; between
    equal eigenvalues the vectors' gradient is taken as 0.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
        Its Hermitian part is used.
    method : "auto", "jacobi" or "kernel"
        "jacobi": rotations, which are right in every mode. "kernel": TensorFlow's, a hundred times
        faster for n = 16, which XLA refuses to compile. "auto": the kernel in eager mode and
        within :func:`plain_graphs`, else rotations. The phases of the vectors differ.

    Returns
    -------
    w : tf.Tensor, [..., n], real, descending
    v : tf.Tensor, [..., n, n]

    Raises
    ------
    ValueError
        When `a` is not square, or the method is unknown.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import hermitian_eig
    >>> hermitian_eig(tf.constant([[0.0, 1.0], [1.0, 0.0]]))[0].numpy().round(5)
    array([ 1., -1.], dtype=float32)
    """
    a = square_matrix("a", a)
    rotate = _choose(method, hermitian_jacobi, _eig_kernel)

    @tf.custom_gradient
    def decompose(a):
        w, v = rotate((a + tf.linalg.adjoint(a)) / 2)

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


def _eig_kernel(a):
    """Descending eigenvalues and vectors by TensorFlow's kernel."""
    # Compiled by XLA, eigh would be wrong without an error; an inverse that cannot be folded has no
    # XLA kernel.
    first = tf.math.real(a[..., :1, :1])
    one = tf.linalg.inv(tf.ones_like(a[..., :1, :1]) + tf.cast(tf.math.is_nan(first), a.dtype))
    w, v = tf.linalg.eigh(one * a)
    return tf.math.real(w)[..., ::-1], v[..., ::-1]


def _svd_kernel(h):
    """Singular values and vectors by TensorFlow's kernel; XLA refuses complex matrices."""
    return tf.linalg.svd(h)


def hermitian_sqrt(a, method="auto"):
    r"""Hermitian square root of a small positive semi-definite matrix.

    Negative eigenvalues from rounding count as zero. The gradient solves the Lyapunov equation
    and is right at equal eigenvalues too.

    Parameters
    ----------
    a : tf.Tensor, [..., n, n], real or complex
    method : str
        As in :func:`hermitian_eig`.

    Returns
    -------
    tf.Tensor, [..., n, n]

    Raises
    ------
    ValueError
        When `a` is not square, or the method is unknown.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import hermitian_sqrt
    >>> float(hermitian_sqrt(4 * tf.eye(2))[0, 0])
    2.0
    """
    a = square_matrix("a", a)
    rotate = _choose(method, hermitian_jacobi, _eig_kernel)

    @tf.custom_gradient
    def root(a):
        w, v = rotate((a + tf.linalg.adjoint(a)) / 2)
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


def svd(h, method="auto"):
    r"""Thin singular value decomposition :math:`H=U\,\mathrm{diag}(s)\,V^H` of a small matrix.

    U and V have orthonormal columns also when the rank is deficient. Gradients are right for
    functions that do not depend on the common phases of the vectors.

    Parameters
    ----------
    h : tf.Tensor, [..., m, n], real or complex
    method : str
        As in :func:`hermitian_eig`. The rotations are one-sided: small singular values keep their
        relative accuracy.

    Returns
    -------
    s : tf.Tensor, [..., min(m, n)], real, descending
    u : tf.Tensor, [..., m, min(m, n)]
    v : tf.Tensor, [..., n, min(m, n)]

    Raises
    ------
    ValueError
        When `h` is no matrix, its last two dimensions are unknown, or the method is.

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
        s, v, u = svd(tf.linalg.adjoint(h), method)
        return s, u, v
    rotate = _choose(method, column_jacobi, _svd_kernel)

    @tf.custom_gradient
    def decompose(h):
        s, u, v = rotate(h)

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


@in_graph
def column_space(h, rank):
    r"""Orthonormal basis of the column space of matrices whose rank is bounded, of any size.

    Gram-Schmidt steps on the column of largest remainder: as many steps as the rank, exact to
    rounding for a rank of at most `rank`.

    Parameters
    ----------
    h : tf.Tensor, [..., m, n], complex
    rank : int
        At most m.

    Returns
    -------
    tf.Tensor, [..., m, rank]

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.linalg import column_space
    >>> abs(column_space(tf.ones([4, 9], tf.complex64), 1)).numpy().ravel().round(5)
    array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    rest, columns = h, []
    for _ in range(rank):
        power = tf.reduce_sum(tf.square(tf.abs(rest)), -2)
        choice = tf.one_hot(tf.argmax(power, -1), h.shape[-1], dtype=power.dtype)
        column = tf.linalg.matmul(rest, tf.cast(choice, h.dtype)[..., None])
        norm = tf.sqrt(tf.reduce_sum(tf.square(tf.abs(column)), -2, keepdims=True))
        column /= tf.cast(tf.where(norm > 0, norm, tf.ones_like(norm)), h.dtype)
        rest -= column * tf.linalg.matmul(column, rest, adjoint_a=True)
        columns.append(column)
    # QR completes the basis where the rank is smaller.
    return tf.linalg.qr(tf.concat(columns, -1))[0]


@in_graph
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
