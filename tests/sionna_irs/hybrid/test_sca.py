"""Digital hybrid beamforming: SCA, WMMSE, zero forcing, block diagonalisation."""

import numpy as np
import pytest
import stream_twin as twin
import tensorflow as tf
from stream_twin import NO, adjoint, cplx, powers

from sionna_irs.hybrid.block_diagonalization import BlockDiagonalization, reduce_channel
from sionna_irs.hybrid.sca import SCA
from sionna_irs.hybrid.streams import mmse_combiner
from sionna_irs.hybrid.zf import HybridZF
from sionna_irs.metrics import stream_rate, stream_sinr

DOUBLE = {"precision": "double"}
H, R_W, GRAM, FIRST = twin.deterministic_case()


def first(h_eq, no):
    return tf.constant(FIRST)


def eyes(size, *batch):
    return np.broadcast_to(np.eye(size, dtype=complex), [*batch, size, size])


def single(*arrays):
    return [tf.constant(a, tf.complex64) for a in arrays]


def mean_rate(h, r_w, design, no=NO):
    f, w = design
    return stream_rate(tf.constant(h, f.dtype), f, w, no, tf.constant(r_w, f.dtype)).numpy()


# --- the deterministic case --------------------------------------------------------------------


def test_deterministic_channels_sinr_and_rate():
    w = twin.combiners(H, FIRST, R_W, NO)
    found = stream_sinr(*map(tf.constant, (H, FIRST, w)), NO, R_W).numpy()
    np.testing.assert_allclose((np.abs(H) ** 2).sum((1, 2)), [0.93685808, 0.95434253], atol=1e-8)
    assert abs(np.linalg.cond(GRAM) - 58.040442) < 1e-6
    np.testing.assert_allclose(found[0], [0.32332077, 1.08482383], atol=1e-8)
    np.testing.assert_allclose(found, twin.sinr(H, FIRST, w, R_W, NO), rtol=1e-12)
    np.testing.assert_allclose(twin.mse(H, FIRST, w, R_W, NO) * (1 + found), 1, atol=1e-12)
    rate = stream_rate(*map(tf.constant, (H, FIRST, w)), NO, R_W)
    assert abs(float(rate) - 2.84915957) < 1e-8
    nats = stream_rate(*map(tf.constant, (H, FIRST, w)), NO, R_W, base=np.e)
    assert abs(float(nats) - 2.84915957 * np.log(2)) < 1e-8
    np.testing.assert_allclose(mmse_combiner(*map(tf.constant, (H, FIRST, R_W)), NO), w, rtol=1e-12)


@pytest.mark.parametrize(
    ("power", "bounds", "rates"),
    [
        (
            "per_user",
            [3.81331142, 7.08402023, 8.86038541, 9.06962004],
            [8.48360213, 8.76565942, 8.87711621, 9.0701838],
        ),
        (
            "total",
            [3.81475306, 7.08503636, 8.8619299, 9.07212962],
            [8.49442137, 8.76305113, 8.8793129, 9.07266746],
        ),
    ],
)
def test_deterministic_sca(power, bounds, rates):
    layer = SCA(2, power=power, start=first, **DOUBLE)
    for num_iter, bound, rate in zip((1, 2, 5, 25), bounds, rates, strict=True):
        f, w, state = layer(H, R_W, GRAM, NO, num_iter=num_iter, return_state=True)
        expected = twin.sca(H, R_W, GRAM, NO, FIRST, num_iter, power=power)
        np.testing.assert_allclose(f, expected[0], atol=1e-10)
        np.testing.assert_allclose(w, expected[1], atol=1e-10)
        assert abs(float(state["bound"]) - bound) < 1e-8
        assert abs(mean_rate(H, R_W, (f, w)) - rate) < 1e-8
        assert float(state["bound"]) < rate
    wanted = [2, 2] if power == "per_user" else [1.90810717, 2.09189283]
    np.testing.assert_allclose(powers(f.numpy(), GRAM), wanted, atol=1e-8)


def test_deterministic_wmmse_and_zero_forcing():
    layer = SCA(2, update="wmmse", start=first, **DOUBLE)
    for num_iter, rate in ((1, 8.58511609), (5, 8.97662205), (25, 9.07413729)):
        f, w = layer(H, R_W, GRAM, NO, num_iter=num_iter)
        expected, *_ = twin.sca(H, R_W, GRAM, NO, FIRST, num_iter, update="wmmse")
        np.testing.assert_allclose(f, expected, atol=1e-10)
        assert abs(mean_rate(H, R_W, (f, w)) - rate) < 1e-8
    assert abs(mean_rate(H, R_W, HybridZF(2, **DOUBLE)(H, R_W, GRAM, NO)) - 6.20512187) < 1e-8


# --- SCA in general ----------------------------------------------------------------------------


def test_both_ways_to_solve_agree_and_know_the_error():
    rng = np.random.default_rng(2)
    h, r_w, gram = twin.random_case(rng, 3, users=2, m=2, n=5)
    a = cplx(rng, 2, 5, 5)
    error = 0.01 * a @ adjoint(a)
    for options in ({}, {"power": "total"}, {"update": "wmmse", "start": "mrt"}):
        found = [
            SCA(2, 6, method=method, **options, **DOUBLE)(h, r_w, gram, NO, error=error)
            for method in ("newton", "eigh")
        ]
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9)
    start = twin.normalised(adjoint(h[1]), gram)
    f, w, _ = twin.sca(h[1], r_w, gram, NO, start, 6, "wmmse", error=error)
    np.testing.assert_allclose(found[0][0][1], f, atol=1e-9)
    np.testing.assert_allclose(found[0][1][1], w, atol=1e-9)


def test_bound_rises_and_stays_below_the_rate():
    h, r_w, gram = twin.random_case(np.random.default_rng(3), 8, users=3, m=2, n=6)
    layer = SCA(2, **DOUBLE)

    @tf.function(autograph=False)
    def trajectory(num_iter):
        f, w, state = layer(*map(tf.constant, (h, r_w, gram)), NO, None, num_iter, True)
        return state["bound"], stream_rate(tf.constant(h), f, w, NO, tf.constant(r_w))

    bounds, rates = zip(*(trajectory(tf.constant(i)) for i in range(1, 31)), strict=True)
    assert (np.diff(bounds, axis=0) > -1e-12).all()
    assert (np.array(bounds) <= np.array(rates) + 1e-12).all()


def test_fixed_points_and_powers_in_single_precision():
    h, r_w, gram = twin.random_case(np.random.default_rng(4), 16)
    inputs = single(h, r_w, gram)
    final = []
    for update in ("sca", "wmmse"):
        design = SCA(4, 60, update=update)(*inputs, NO)
        np.testing.assert_allclose(powers(design[0].numpy(), gram), 4, rtol=1e-5)
        final.append(mean_rate(h, r_w, design).mean())
    assert abs(final[0] / final[1] - 1) < 5e-3
    f, _ = SCA(4, 10, power="total")(*inputs, NO)
    np.testing.assert_allclose(powers(f.numpy(), gram).sum(-1), 16, rtol=1e-5)
    tiny = SCA(4, 10)(1e-8 * inputs[0], *inputs[1:], 1e-16 * NO)
    usual = SCA(4, 10)(*inputs, NO)
    np.testing.assert_allclose(tiny[0], usual[0], atol=1e-3)


def test_more_streams_than_chains_are_switched_off():
    h, r_w, gram = twin.random_case(np.random.default_rng(5), 4, users=4, m=2, n=4)
    f, w = SCA(2, 60, power="total", **DOUBLE)(h, r_w, gram, NO)
    strength = np.sum(np.abs(f.numpy()) ** 2, -2)
    sinr = stream_sinr(tf.constant(h), f, w, NO, tf.constant(r_w)).numpy()
    assert (np.sum(sinr > 1e-3, (-1, -2)) <= 4).all() and np.isfinite(sinr).all()
    assert (np.sum(strength > 1e-3, (-1, -2)) <= 4).all()
    rates = {n: mean_rate(h, r_w, SCA(2, n, **DOUBLE)(h, r_w, gram, NO)).mean() for n in (2, 60)}
    assert rates[60] > rates[2]


@pytest.mark.parametrize("num_chains", [8, 4])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_channels_of_low_rank(num_chains, precision):
    """Four streams, estimated from three pilots."""
    rng = np.random.default_rng(8)
    h, r_w, gram = twin.random_case(rng, 200, users=2, m=2, n=num_chains)
    h = cplx(rng, 200, 2, 2, 3) @ cplx(rng, 200, 1, 3, num_chains)
    inputs = [
        tf.constant(a, f"complex{64 if precision == 'single' else 128}") for a in (h, r_w, gram)
    ]
    rates = {}
    for method in ("eigh", "newton"):
        layer = SCA(2, 10, method=method, precision=precision)
        design = tf.function(layer, autograph=False)(*inputs, NO)
        assert (powers(design[0].numpy(), gram) < 2 * (1 + 1e-5)).all()
        rates[method] = mean_rate(h, r_w, design)
    # At most three streams pay; the multiplier of the fourth is small, and coarse by inverses.
    assert abs(rates["newton"].mean() / rates["eigh"].mean() - 1) < 0.03


@pytest.mark.parametrize("num_chains", [8, 4])
@pytest.mark.parametrize("method", ["eigh", "newton"])
@pytest.mark.parametrize("graph", [False, True])  # graphs rearrange products
def test_channels_that_vanish(graph, method, num_chains):
    """Coarse feedback may cancel the paths of one user, or of all; far below the noise too."""
    h, r_w, gram = twin.random_case(np.random.default_rng(10), 3, users=2, m=2, n=num_chains)
    h[0], h[1, 0] = 0, 0
    sca = SCA(2, 4, method=method)
    sca = tf.function(sca, autograph=False) if graph else sca
    for gain in (1, 1e-9, 1e-20):
        f, w = sca(*single(gain * h, r_w, gram), NO)
        assert np.isfinite(f).all() and np.isfinite(w).all(), gain
        assert (powers(f.numpy(), gram) < 2 * (1 + 1e-5)).all(), gain
        np.testing.assert_array_equal(f.numpy()[0], 0)
    f, w = sca(*single(h, r_w, gram), NO)
    np.testing.assert_array_equal(f.numpy()[1, 0], 0)
    np.testing.assert_allclose(powers(f.numpy(), gram)[1, 1], 2, rtol=1e-5)


@pytest.mark.parametrize("method", ["eigh", "newton"])
def test_receive_beams_that_nearly_coincide(method):
    """Single precision tells them apart: noise is whitened before signals are inverted."""
    rng = np.random.default_rng(9)
    h, _, gram = twin.random_case(rng, 100, users=2, m=3, n=8)
    beams = cplx(rng, 100, 2, 3, 3)
    beams[..., 2] = beams[..., 1] + 0.03 * beams[..., 2]
    h, r_w = adjoint(beams) @ h, adjoint(beams) @ beams
    rates = {}
    for precision, dtype in (("single", tf.complex64), ("double", tf.complex128)):
        inputs = [tf.constant(x, dtype) for x in (h, r_w, gram)]
        rates[precision] = mean_rate(
            h, r_w, SCA(2, 10, method=method, precision=precision)(*inputs, 1e-4), 1e-4
        )
    np.testing.assert_allclose(rates["single"], rates["double"], rtol=5e-3)


def test_knowing_the_error_helps():
    rng = np.random.default_rng(6)
    gain, noise = 0.1, 0.1
    h, r_w, gram = twin.random_case(rng, 64, users=2, m=2, n=8, gain=gain**0.5)
    # White channels behind orthogonal pilots: the LMMSE estimate is a scaled observation.
    heard = h + np.sqrt(noise / 2) * cplx(rng, *h.shape)
    estimate = gain / (gain + noise) * heard
    error = gain * noise / (gain + noise) * eyes(8, 2)
    layer = SCA(2, 15)
    inputs = single(estimate, r_w, gram)
    plain = mean_rate(h, r_w, layer(*inputs, NO))
    aware = mean_rate(h, r_w, layer(*inputs, NO, error=tf.constant(error, tf.complex64)))
    gains = aware - plain
    assert gains.mean() > 3 * gains.std() / 8


def test_same_design_under_xla_and_for_unknown_batches():
    h, r_w, gram = twin.random_case(np.random.default_rng(7), 3, users=2, m=2, n=5)
    inputs = single(h, r_w, gram)
    layer = SCA(2, 5, start="mrt")
    eager = layer(*inputs, NO)

    spec = [tf.TensorSpec([None, 2, 2, 5], tf.complex64)]

    @tf.function(jit_compile=True, input_signature=spec, autograph=False)
    def compiled(h):
        return layer(h, *inputs[1:], NO)

    for a, b in zip(eager, compiled(inputs[0]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


# --- zero forcing, block diagonalisation, exact reduction --------------------------------------


@pytest.mark.parametrize("regularized", [False, True])
def test_zero_forcing(regularized):
    h, r_w, gram = twin.random_case(np.random.default_rng(8), 3, users=2, m=3, n=8)
    f, w = HybridZF(2, regularized, **DOUBLE)(h, r_w, gram, NO)
    rows = h.reshape(3, 6, 8)
    ridge = 6 * NO * regularized * np.eye(6)
    columns = adjoint(rows) @ np.linalg.inv(rows @ adjoint(rows) + ridge)
    for i in range(3):
        blocks = np.stack([columns[i, :, :2], columns[i, :, 3:5]])
        expected = twin.normalised(blocks, gram)
        np.testing.assert_allclose(f[i], expected, atol=1e-10)
        np.testing.assert_allclose(w[i], twin.combiners(h[i], expected, r_w, NO), atol=1e-10)
    if not regularized:
        np.testing.assert_allclose(h[:, 0] @ f[:, 1], 0, atol=1e-10)


def nulling_rate(h, r_w, gram):
    """Equal powers on the two strongest streams of every user that the others do not hear."""
    left, right = (np.linalg.inv(np.linalg.cholesky(a)) for a in (r_w, gram))
    white = left @ h @ adjoint(right)
    rate = 0
    for k in range(h.shape[1]):
        others = np.delete(white, k, 1).reshape(len(h), -1, h.shape[-1])
        own = white[:, k] - white[:, k] @ np.linalg.pinv(others) @ others
        gains = np.linalg.svd(own, compute_uv=False)[:, :2] ** 2
        rate += np.log2(1 + gains / NO).sum(-1)
    return rate


def test_block_diagonalisation():
    h, r_w, gram = twin.random_case(np.random.default_rng(9), 3, users=3, m=2, n=7)
    f, w = BlockDiagonalization(2, **DOUBLE)(h, r_w, gram, NO)
    np.testing.assert_allclose(powers(f.numpy(), gram), 2, rtol=1e-10)
    np.testing.assert_allclose(h[:, 0] @ f[:, 1], 0, atol=1e-10)
    np.testing.assert_allclose(h[:, 2] @ f[:, 0], 0, atol=1e-10)
    np.testing.assert_allclose(mean_rate(h, r_w, (f, w)), nulling_rate(h, r_w, gram), rtol=1e-9)


def few_paths(rng, batch, users, rank, m, n):
    return cplx(rng, batch, users, m, rank) @ cplx(rng, batch, users, rank, n) / (10 * rank)


def test_reduction_is_exact():
    rng = np.random.default_rng(10)
    h = few_paths(rng, 4, users=2, rank=2, m=6, n=12)
    _, r_w, gram = twin.random_case(rng, users=2, m=6, n=12)
    small, tx_basis, rx_basis = reduce_channel(*map(tf.constant, (h, r_w, gram)), max_rank=2)
    assert small.shape == [4, 2, 2, 4]
    p, q = tx_basis.numpy(), rx_basis.numpy()
    np.testing.assert_allclose(adjoint(p) @ gram @ p, eyes(4, 4, 1), atol=1e-12)
    np.testing.assert_allclose(adjoint(q) @ r_w @ q, eyes(2, 4, 2), atol=1e-12)
    np.testing.assert_allclose(r_w @ q @ small @ adjoint(p) @ gram, h, atol=1e-12)
    f, w = SCA(2, 30, update="wmmse", **DOUBLE)(small, eyes(2, 2), eyes(4), NO)
    reduced = mean_rate(h, r_w, (tx_basis @ f, rx_basis @ w))
    whole = mean_rate(h, r_w, SCA(2, 30, update="wmmse", **DOUBLE)(h, r_w, gram, NO))
    np.testing.assert_allclose(reduced, whole, rtol=2e-2)
    design = BlockDiagonalization(2, max_rank=2, **DOUBLE)(h, r_w, gram, NO)
    np.testing.assert_allclose(mean_rate(h, r_w, design), nulling_rate(h, r_w, gram), rtol=1e-9)


def test_sca_with_coinciding_beams_serves_by_the_others():
    """A second chain with the phases of the first one adds nothing, and takes nothing."""
    rng = np.random.default_rng(6)
    h, f_rf = cplx(rng, 2, 2, 8), np.exp(1j * rng.uniform(0, 6, [8, 3]))
    rates = []
    for beams in (f_rf, np.concatenate([f_rf, f_rf[:, :1]], 1)):
        design = SCA(1, num_iter=20, **DOUBLE)(h @ beams, eyes(2, 2), adjoint(beams) @ beams, 0.1)
        rates.append(mean_rate(h @ beams, eyes(2, 2), design, 0.1))
    np.testing.assert_allclose(rates[1], rates[0], rtol=2e-2)  # from another start


# --- metrics, bad input ------------------------------------------------------------------------


def test_sinr_ignores_the_scale_of_combiners_and_survives_zeros():
    h, r_w, gram = twin.random_case(np.random.default_rng(12), 2, users=2, m=2, n=4)
    h, r_w, gram = single(h, r_w, gram)
    f, w = HybridZF(2)(h, r_w, gram, NO)
    for scale in (1e-12, 1e12):
        np.testing.assert_allclose(
            stream_sinr(h, f, scale * w, NO, r_w), stream_sinr(h, f, w, NO, r_w), rtol=1e-4
        )
    for combiner in (w, 0 * w):
        with tf.GradientTape() as tape:
            tape.watch([f, combiner])
            rate = stream_rate(h, f, combiner, NO, r_w)
        slope_f, slope_w = tape.gradient(rate, [f, combiner])
        assert np.isfinite(slope_f).all() and np.isfinite(slope_w).all()
        along = tf.reduce_sum(tf.math.real(tf.math.conj(combiner) * slope_w), -2)
        np.testing.assert_allclose(along, 0, atol=1e-4)


def test_bad_input_is_named():
    eye, r_w = eyes(4), eyes(2, 3)
    h = np.broadcast_to(eye[:2], [3, 2, 4])
    for make, message in (
        (lambda: SCA(0), "num_streams = 0"),
        (lambda: SCA(1, update="mmse"), "update = 'mmse'"),
        (lambda: SCA(1, power="each"), "power = 'each'"),
        (lambda: SCA(1, start="zf"), "start = 'zf'"),
        (lambda: SCA(1, method="svd"), "method = 'svd'"),
        (lambda: SCA(3, **DOUBLE)(h, r_w, eye, NO), "num_streams = 3; an integer in 1..2"),
        (lambda: HybridZF(2, **DOUBLE)(h, r_w, eye, NO), "num_streams = 2; at most 1"),
        (lambda: BlockDiagonalization(1, **DOUBLE)(h, r_w, eye, NO), "num_streams = 1; at most 0"),
        (lambda: stream_rate(h, h, h, NO, base=1.0), "base = 1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_dependent_estimates_in_graphs():
    """Channels of all users within two dimensions, four streams: nothing to invert is regular."""
    rng = np.random.default_rng(8)
    h = cplx(rng, 16, 2, 2, 2) @ cplx(rng, 16, 1, 2, 8)
    eyes = tf.eye(2, batch_shape=[2], dtype=tf.complex64), tf.eye(8, dtype=tf.complex64)
    step = tf.function(lambda h: SCA(2, 3, precision="single")(h, *eyes, 0.1), autograph=False)
    assert all(np.isfinite(x).all() for x in step(tf.constant(h, tf.complex64)))
