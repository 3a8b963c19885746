"""Linear algebra against NumPy in float64, in every mode; gradients against differences."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from sionna_irs import linalg
from sionna_irs.linalg import decompose
from sionna_irs.linalg.entries import inverse_of_entries, join_entries, split_entries
from sionna_irs.modes import in_graph

RNG = np.random.default_rng(1)


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def hpd(n, batch=(3,)):
    h = cplx(*batch, n, n + 2)
    return h @ h.conj().swapaxes(-1, -2) / n + np.eye(n)


MODES = {
    "eager": lambda f: f,
    "graph": lambda f: tf.function(f, autograph=False),
    "xla": lambda f: tf.function(f, autograph=False, jit_compile=True),
}
A = tf.constant(hpd(3), tf.complex64)
DTYPES = {tf.complex64: 3e-5, tf.complex128: 1e-10}


# To compile costs ten times what the others do: for a number, an even size and an odd one.
COMPILED = (1, 8, 17)


@pytest.mark.parametrize(
    "n, mode",
    [
        pytest.param(n, mode, marks=pytest.mark.slow)
        if mode == "xla" and n not in COMPILED
        else (n, mode)
        for mode in MODES
        for n in (1, 2, 3, 8, 17)
    ],
)
def test_against_numpy(n, mode):
    wrap, a, b, tall = MODES[mode], hpd(n), cplx(3, n, 2), cplx(3, n + 2, n)
    for dtype, tolerance in DTYPES.items():
        ta, tb, th = (tf.constant(x, dtype) for x in (a, b, tall))
        close = dict(rtol=tolerance, atol=tolerance * np.abs(a).max())
        np.testing.assert_allclose(wrap(linalg.hpd_solve)(ta, tb), np.linalg.solve(a, b), **close)
        np.testing.assert_allclose(wrap(linalg.hpd_inverse)(ta), np.linalg.inv(a), **close)
        np.testing.assert_allclose(wrap(linalg.hpd_logdet)(ta), np.linalg.slogdet(a)[1], **close)
        root = wrap(linalg.hermitian_sqrt)(ta).numpy()
        np.testing.assert_allclose(root @ root, a, **close)
        indefinite = a - 2 * np.eye(n)
        w, v = wrap(linalg.hermitian_eig)(tf.constant(indefinite, dtype))
        np.testing.assert_allclose(w, np.linalg.eigvalsh(indefinite)[:, ::-1], **close)
        rebuilt = (v * tf.cast(w, dtype)[:, None]) @ tf.linalg.adjoint(v)
        np.testing.assert_allclose(rebuilt, indefinite, **close)
        s, u, v = wrap(linalg.svd)(th)
        np.testing.assert_allclose(s, np.linalg.svd(tall)[1], **close)
        np.testing.assert_allclose(
            (u * tf.cast(s, dtype)[:, None]) @ tf.linalg.adjoint(v), tall, **close
        )
        wide = tf.linalg.adjoint(th)
        np.testing.assert_allclose(wrap(linalg.ridge_pinv)(th), np.linalg.pinv(tall), **close)
        np.testing.assert_allclose(
            wrap(linalg.ridge_pinv)(wide), np.linalg.pinv(wide.numpy()), **close
        )


def test_small_singular_values_keep_their_relative_accuracy():
    h = cplx(6, 4) * np.array([1, 1e-4, 1e-8, 1e-12])
    s, u, v = linalg.svd(tf.constant(h), "jacobi")
    exact = np.linalg.svd(h)[1]
    np.testing.assert_allclose(s[:3], exact[:3], rtol=1e-7)
    np.testing.assert_allclose(tf.linalg.adjoint(u) @ u, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_any_scale(mode):
    """In units of noise Gram matrices reach 1e6: large pivots must not cancel."""
    a, b = hpd(6), cplx(3, 6, 2)
    for scale in (1e-8, 1.0, 1e8):
        for dtype, tolerance in DTYPES.items():
            inputs = tf.constant(scale * a, dtype), tf.constant(b, dtype)
            found = scale * MODES[mode](linalg.hpd_solve)(*inputs).numpy()
            np.testing.assert_allclose(found, np.linalg.solve(a, b), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", ["jacobi", "kernel"])
@pytest.mark.parametrize("shape, rank", [((5, 3), 1), ((3, 5), 2), ((4, 4), 0)])
def test_rank_deficient_svd_has_orthonormal_vectors(shape, rank, method):
    h = cplx(2, shape[0], rank) @ cplx(2, rank, shape[1])
    s, u, v = linalg.svd(tf.constant(h), method)
    for q in (u, v):
        eye = np.broadcast_to(np.eye(min(shape)), [2, min(shape), min(shape)])
        np.testing.assert_allclose(tf.linalg.adjoint(q) @ q, eye, atol=1e-12)
    np.testing.assert_allclose(
        (u * tf.cast(s, h.dtype)[:, None]) @ tf.linalg.adjoint(v), h, atol=1e-12
    )


def test_dominant_singular_vectors():
    h = cplx(4, 5, 3) + 3 * cplx(4, 5, 1) @ cplx(4, 1, 3)
    s, u, v = linalg.dominant_singular_vectors(tf.constant(h), num_iter=60)
    np.testing.assert_allclose(s, np.linalg.svd(h)[1][:, 0], rtol=1e-9)
    np.testing.assert_allclose(np.einsum("bi,bij,bj->b", u.numpy().conj(), h, v), s, rtol=1e-9)


def test_a_matrix_of_zeros_has_finite_vectors():
    for dtype in (tf.complex64, tf.complex128):
        for part in linalg.dominant_singular_vectors(tf.zeros([2, 3, 4], dtype)):
            assert np.isfinite(part).all() and np.abs(part).max() < 1e-10


def directional(function, x, hermitian):
    """(by tape, by central differences) along a random direction."""
    x = tf.constant(x)
    direction = cplx(*x.shape)
    if hermitian:
        direction = direction + direction.conj().swapaxes(-1, -2)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    gradient = tape.gradient(value, x).numpy()
    step = 1e-6
    ends = [float(function(x + sign * step * direction)) for sign in (1, -1)]
    return np.sum((gradient.conj() * direction).real), (ends[0] - ends[1]) / (2 * step)


PROBE = cplx(4, 4)


def probe(a):
    return tf.constant(PROBE, a.dtype)


SQUARE = {
    "solve": lambda a: tf.reduce_sum(tf.square(tf.abs(linalg.hpd_solve(a, probe(a))))),
    "solve, eliminated": lambda a: tf.reduce_sum(
        tf.math.real(linalg.hpd_solve(a, probe(a), "gauss_jordan"))
    ),
    "logdet": lambda a: tf.reduce_sum(linalg.hpd_logdet(a)),
    "eigenvalues": lambda a: tf.reduce_sum(tf.math.sin(linalg.hermitian_eig(a)[0])),
    "projector": lambda a: tf.reduce_sum(
        tf.square(tf.abs(tf.linalg.matvec(linalg.hermitian_eig(a)[1], probe(a)[0], adjoint_a=True)))
        * [1.0, 2.0, 3.0, 4.0]
    ),
    "sqrt": lambda a: tf.reduce_sum(tf.math.real(probe(a) * linalg.hermitian_sqrt(a))),
}


@pytest.mark.parametrize("name", SQUARE)
def test_gradients_of_hermitian_functions(name):
    tape, difference = directional(SQUARE[name], hpd(4, ()), hermitian=True)
    assert tape == pytest.approx(difference, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (4, 4)])
def test_gradients_of_singular_values_and_subspaces(shape):
    def function(h):
        s, u, v = linalg.svd(h)
        inner = tf.reduce_sum(tf.math.conj(u[:, 0]) * PROBE[: shape[0], 0])
        inner *= tf.math.conj(tf.reduce_sum(tf.math.conj(v[:, 0]) * PROBE[: shape[1], 1]))
        return tf.reduce_sum(tf.sin(s)) + tf.math.real(inner) + tf.square(tf.abs(inner))

    tape, difference = directional(function, cplx(*shape), hermitian=False)
    assert tape == pytest.approx(difference, rel=1e-6, abs=1e-8)


def test_gradients_at_equal_eigenvalues_are_right_where_they_exist():
    eye = 2 * np.eye(4) + 0j
    for name in ("logdet", "sqrt"):
        tape, difference = directional(SQUARE[name], eye, hermitian=True)
        assert tape == pytest.approx(difference, rel=1e-6, abs=1e-8)
    for function in (*SQUARE.values(), lambda h: tf.reduce_sum(linalg.svd(h)[0])):
        x = tf.constant(eye)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        assert np.isfinite(tape.gradient(value, x)).all()


def test_methods_agree_and_batches_broadcast():
    a, b = tf.constant(hpd(5, ())), tf.constant(cplx(3, 5, 2))
    for method in ("cholesky", "gauss_jordan"):
        expected = np.linalg.solve(a.numpy(), b.numpy())
        np.testing.assert_allclose(linalg.hpd_solve(a, b, method), expected, rtol=1e-10)


def test_unknown_batch_dimension():
    f = tf.function(
        lambda a: (linalg.hpd_inverse(a), linalg.hermitian_eig(a)[0], linalg.svd(a)[0]),
        input_signature=[tf.TensorSpec([None, 3, 3], tf.complex128)],
        autograph=False,
    )
    a = hpd(3)
    inverse, w, s = f(tf.constant(a))
    np.testing.assert_allclose(inverse, np.linalg.inv(a), rtol=1e-9)
    np.testing.assert_allclose(w, s, rtol=1e-9)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: linalg.hpd_solve(np.ones([2, 3]), np.ones([3, 1])), "a has shape"),
        (lambda: linalg.hpd_solve(np.eye(3), np.ones([2, 1])), "b has shape"),
        (lambda: linalg.hpd_solve(np.eye(3), np.ones([3, 1]), "lu"), "method = 'lu'"),
        (lambda: linalg.hermitian_eig(np.ones([3])), "a has shape"),
        (lambda: linalg.svd(np.ones([3])), "h has shape"),
    ],
)
def test_wrong_shapes(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()


def test_kernel_of_eigenvalues_agrees_and_refuses_xla():
    a = RNG.standard_normal((3, 4, 4)) + 1j * RNG.standard_normal((3, 4, 4))
    a = tf.constant(a + a.conj().swapaxes(-1, -2))
    w, v = linalg.hermitian_eig(a, "kernel")
    np.testing.assert_allclose(w, linalg.hermitian_eig(a, "jacobi")[0], atol=1e-12)
    rebuilt = v @ tf.linalg.diag(tf.cast(w, v.dtype)) @ tf.linalg.adjoint(v)
    np.testing.assert_allclose(rebuilt, a, atol=1e-12)
    for part in (0, 1):
        compiled = tf.function(lambda x, i=part: linalg.hermitian_eig(x, "kernel")[i],
                               jit_compile=True)  # fmt: skip
        with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operations"):
            compiled(a)
    for function in (linalg.hermitian_eig, linalg.hermitian_sqrt, linalg.svd):
        with pytest.raises(ValueError, match="method = 'qr'"):
            function(a, "qr")


def test_kernels_are_for_eager_mode_and_graphs_said_to_be_plain():
    def traced():
        return bool(tf.function(lambda: tf.constant(linalg.has_kernels()))())

    assert linalg.has_kernels() and not traced()
    with linalg.plain_graphs():
        assert traced()
        with linalg.plain_graphs(False):
            assert traced()
    assert not traced()


@pytest.mark.parametrize(
    "name, kernel", [("hermitian_eig", "SelfAdjointEigV2"), ("hermitian_sqrt", "SelfAdjointEigV2"),
                     ("svd", "Svd")],
)  # fmt: skip
def test_decompositions_take_the_kernel_where_they_may(name, kernel, monkeypatch):
    """Kernel in eager mode and plain graphs, rotations elsewhere, also within a tape."""
    function = getattr(linalg, name)

    def types(*method):
        traced = tf.function(lambda a: function(a, *method), autograph=False)
        return {op.type for op in traced.get_concrete_function(A).graph.get_operations()}

    assert kernel not in types() and kernel in types("kernel")
    with linalg.plain_graphs():
        assert kernel in types() and kernel not in types("jacobi")

    def refuse(_):
        raise AssertionError("rotations in eager mode")

    monkeypatch.setattr(decompose, "hermitian_jacobi", refuse)
    monkeypatch.setattr(decompose, "column_jacobi", refuse)
    with tf.GradientTape() as tape:
        tape.watch(A)
        value = tf.reduce_sum(tf.math.real(tf.nest.flatten(function(A))[0]))
    assert np.isfinite(tape.gradient(value, A)).all()


def test_loops_called_eagerly_run_in_one_graph_for_every_size():
    """One trace for all batches; no operation of the loops is executed eagerly."""
    count = []

    @in_graph
    def double(x, times=1):
        count.append(x.shape)
        return tf.while_loop(lambda _: True, lambda y: (2 * y,), (x,), maximum_iterations=times)[0]

    for batch in (2, 3):
        assert float(double(tf.ones([batch, 4, 4]))[0, 0, 0]) == 2
        assert float(double(tf.ones([batch, 4, 4]), times=3)[0, 0, 0]) == 8
    assert [tuple(shape) for shape in count] == [(None, 4, 4)] * 2


def test_no_loop_of_the_linear_algebra_runs_eagerly(monkeypatch):
    def guarded(*args, loop=tf.while_loop, **kwargs):
        assert not tf.executing_eagerly()
        return loop(*args, **kwargs)

    monkeypatch.setattr(tf, "while_loop", guarded)
    a = tf.constant(hpd(5))
    np.testing.assert_allclose(linalg.hermitian_eig(a, "jacobi")[0], linalg.hermitian_eig(a)[0])
    np.testing.assert_allclose(linalg.svd(a, "jacobi")[0], linalg.svd(a)[0])
    np.testing.assert_allclose(
        linalg.hermitian_sqrt(a, "jacobi"), linalg.hermitian_sqrt(a), atol=1e-12
    )
    s, u, v = linalg.dominant_singular_vectors(a[:, :, :4], num_iter=200)
    np.testing.assert_allclose(s, np.linalg.svd(a[:, :, :4])[1][:, 0])
    q = linalg.column_space(u[..., None] * v[:, None, :], 1)
    np.testing.assert_allclose(abs(tf.reduce_sum(tf.math.conj(q[..., 0]) * u, -1)), np.ones(3))


def test_banned_operations():
    """Complex operations that XLA breaks, and random numbers from elsewhere."""
    banned = re.compile(
        r"tf\.(linalg\.)?(inv|solve|eigh|eigvalsh|eig|svd|det|slogdet|pinv|lu|expm|sqrtm)\("
        r"|tf\.linalg\.diag\(theta|tf\.random\.(normal|uniform|stateless_(?!fold_in|uniform))"
        r"|np\.random\.|keras\.random|keras\.ops"
    )
    root = pathlib.Path(linalg.__file__).parents[2]
    for folder in ("sionna_irs", "link_sims"):
        for path in (root / folder).rglob("*.py"):
            if {"yardsticks", "testing"} & set(path.parts):
                continue
            # The kernels of eigenvalues and singular values are such that XLA refuses them.
            text = re.sub(r"(?s)\ndef _(eig|svd)_kernel.*?(?=\n\n\n)", "", path.read_text())
            hits = banned.findall(text)
            assert not hits, f"{path.name}: {hits}"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("at_least", [None, 0.5])
def test_entries_against_numpy(n, at_least):
    a = hpd(n) + np.eye(n)
    entries = split_entries(tf.constant(np.moveaxis(a, 0, -1)))
    found = join_entries(inverse_of_entries(entries, at_least))
    np.testing.assert_allclose(np.moveaxis(found.numpy(), -1, 0), np.linalg.inv(a), atol=1e-13)


def test_entries_of_a_singular_matrix_take_the_smallest_eigenvalue_that_is_known():
    # Ones, whose second pivot is exactly zero: A = L diag(1, 0) L^H becomes L diag(1, 1/4) L^H.
    found = join_entries(
        inverse_of_entries(split_entries(tf.ones([2, 2, 1], tf.complex128)), at_least=0.25)
    )
    np.testing.assert_allclose(found.numpy()[..., 0], [[5, -4], [-4, 4]], rtol=1e-13)


def test_column_space():
    a = cplx(3, 7, 2) @ cplx(3, 2, 9)
    for rank in (2, 4):  # the bound may be loose
        q = linalg.column_space(tf.constant(a), rank).numpy()
        np.testing.assert_allclose(q @ (q.conj().swapaxes(-1, -2) @ a), a, atol=1e-12)
        gram = q.conj().swapaxes(-1, -2) @ q
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(rank), gram.shape), atol=1e-12)


def test_column_space_takes_the_column_of_largest_remainder():
    """Pivoted QR, also of what is real or imaginary alone, and far apart in size."""
    a = np.zeros([4, 3], complex)
    a[0, 0], a[1, 1], a[2, 2] = 1e-3, 1j, 1e3
    for rank, kept in ((1, [2]), (2, [2, 1])):
        q = np.abs(linalg.column_space(tf.constant(a), rank).numpy())
        np.testing.assert_allclose(q, np.eye(4)[:, kept], atol=1e-15)


def test_whitener():
    b = hpd(3)
    t = linalg.hpd_whitener(tf.constant(b)).numpy()
    white = t.conj().swapaxes(-1, -2) @ b @ t
    np.testing.assert_allclose(white, np.broadcast_to(np.eye(3), white.shape), atol=1e-12)
    np.testing.assert_array_equal(np.tril(t, -1), 0)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_whitener_of_beams_that_coincide(dtype):
    """Semidefinite Gram matrices: of a beam twice, of one that others make up, of a silent one."""
    f = cplx(8, 5)
    twice, made_up, silent = f.copy(), f.copy(), f.copy()
    twice[:, 3], made_up[:, 2], silent[:, 0] = f[:, 1], f[:, 0] - 2j * f[:, 1], 0
    many = np.stack([f, twice, made_up, silent]).astype(dtype)
    t = linalg.hpd_whitener(many.conj().swapaxes(-1, -2) @ many).numpy()
    expected = np.ones([4, 5])
    expected[1, 3] = expected[2, 2] = expected[3, 0] = 0
    white = many @ t
    white = white.conj().swapaxes(-1, -2) @ white
    tolerance = 2e-3 if dtype == np.complex64 else 1e-9
    np.testing.assert_allclose(white, np.apply_along_axis(np.diag, 1, expected), atol=tolerance)
    np.testing.assert_array_equal(t[expected[:, None] + np.zeros([4, 5, 5]) == 0], 0)


def test_whitener_where_the_rank_is_nearly_lost():
    """A diagonal matrix: a pivot above its rounding is kept, one below is not."""
    for dtype, eps in ((np.float32, 1.2e-7), (np.float64, 2.2e-16)):
        a = np.ones([2, 2, 2], dtype)
        a[:, 1, 1] += np.array([0.0, 200 * eps], dtype)  # pivots 0 and 200 eps, of 1
        t = linalg.hpd_whitener(tf.constant(a)).numpy()
        assert t[0, 1, 1] == 0 and t[1, 1, 1] == pytest.approx((200 * eps) ** -0.5, rel=0.1)


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_elimination_of_any_batch(batch):
    a, b = hpd(3, batch), cplx(*batch, 3, 2)
    solve = tf.function(linalg.hpd_solve, autograph=False)
    np.testing.assert_allclose(solve(tf.constant(a), tf.constant(b)), np.linalg.solve(a, b))
    found = linalg.hpd_logdet(tf.constant(a), method="gauss_jordan")
    np.testing.assert_allclose(found, np.linalg.slogdet(a)[1])


@pytest.mark.parametrize("method", ["cholesky", "gauss_jordan"])
def test_singular_systems_stay_finite_and_touch_no_other(method):
    """A matrix of ones beside a definite one: its right side lies in its range."""
    a = np.stack([np.ones([2, 2]), [[2, 1], [1, 2]], np.ones([2, 2])])
    x = linalg.hpd_solve(tf.constant(a), tf.ones([3, 2, 1], tf.float64), method, at_least=1e-9)
    np.testing.assert_allclose(x[1, :, 0], [1 / 3, 1 / 3], rtol=1e-12)
    for one in (x[0], x[2]):
        np.testing.assert_allclose(tf.reduce_sum(one), 1, rtol=1e-6)  # A x = b all the same


@pytest.mark.parametrize("name", SQUARE)
def test_gradients_in_single_precision(name):
    a, found = hpd(4, ()), []
    for dtype in (tf.complex64, tf.complex128):
        x = tf.constant(a, dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = SQUARE[name](x)
        found.append(tape.gradient(value, x).numpy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-3 * np.abs(found[1]).max())
