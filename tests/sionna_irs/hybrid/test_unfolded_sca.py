"""Unfolded SCA: its twin, what it equals untrained, its symmetries, its gradients."""

import numpy as np
import pytest
import stream_twin as twin
import tensorflow as tf
from stream_twin import NO, adjoint, cplx, powers

import sionna_irs as irs
from sionna_irs.hybrid.sca import SCA
from sionna_irs.hybrid.unfolded_sca import UnfoldedSCA
from sionna_irs.metrics import stream_rate

DOUBLE = {"precision": "double"}
INVERSES = ["diag", "jacobi", "exact"]
SIZES = {"num_streams": 2, "num_chains": 5, "num_rx_chains": 3}
# (streams, m, n): K N_s = n for two users, too.
CASE = twin.random_case(np.random.default_rng(1), 3, users=2, m=3, n=5)


def shaken(layer, spread=0.1):
    """The layer with other weights: nothing is 0 or 1 any more."""
    irs.random.reset(irs.random.stream_key(5))
    for weight in layer.weights:
        noise = spread * irs.random.uniform(weight.shape, tf.as_dtype(weight.dtype))
        weight.assign(weight.value + noise)
    return layer


def weights_of(layer, users):
    """(layers, last T_w) of the twin."""

    def value(weight):
        x = weight.numpy()
        x = x if x.ndim == 2 else x[0] + 1j * x[1]
        x = np.broadcast_to(x, [users, *x.shape[1:]])
        return x[:, 0] if weight.name.startswith("log_") else x

    steps = [{name: value(x) for name, x in step.items()} for step in layer.steps]
    return steps, value(layer.last_t_w)


def rates(design, h, r_w, no=NO):
    return stream_rate(tf.constant(h), *design, no, tf.constant(r_w)).numpy()


@pytest.mark.parametrize("inverse", INVERSES)
@pytest.mark.parametrize(("num_users", "offsets"), [(2, True), (None, False)])
def test_twin(inverse, num_users, offsets):
    h, r_w, gram = CASE
    a = cplx(np.random.default_rng(2), 2, 5, 5)
    error = 0.01 * a @ adjoint(a) if num_users else None
    layer = UnfoldedSCA(3, **SIZES, num_users=num_users, inverse=inverse, offsets=offsets, **DOUBLE)
    f, w = shaken(layer)(h, r_w, gram, NO, error=error)
    np.testing.assert_allclose(powers(f.numpy(), gram), 2, rtol=1e-9)
    for i in range(3):
        expected = twin.unfolded_sca(
            h[i], r_w, gram, NO, *weights_of(layer, 2), inverse, error=error
        )
        np.testing.assert_allclose(f[i], expected[0], atol=1e-10)
        np.testing.assert_allclose(w[i], expected[1], atol=1e-10)


def test_d_has_no_imaginary_diagonal():
    a = twin.waves(5, 5, 0.2)
    a = a @ adjoint(a) + np.eye(5)
    b, d = twin.waves(5, 5, 0.5), twin.waves(5, 5, 0.8)
    total = twin.inverse_with_diagonal(a, b, d).sum()
    assert abs(total - (0.19408727 - 4.04364628j)) < 1e-8
    h, r_w, gram = CASE
    layer = shaken(UnfoldedSCA(1, **SIZES, **DOUBLE))
    before = layer(h, r_w, gram, NO)[0].numpy()
    d = layer.steps[0]["d"]
    d.assign(d.value + [[np.zeros([5, 5])], [np.diag([1.0, 2, 3, 4, 5])]])
    np.testing.assert_array_equal(layer(h, r_w, gram, NO)[0], before)


# --- untrained ---------------------------------------------------------------------------------


def test_exact_with_the_multipliers_of_one_user_is_the_sca():
    h, r_w, gram = (CASE[0][:, :1], CASE[1][:1], CASE[2])
    layer = UnfoldedSCA(4, **SIZES, inverse="exact", **DOUBLE)
    sca = SCA(2, start="mrt", **DOUBLE)
    for i, step in enumerate(layer.steps):
        *_, state = sca(h[0], r_w, gram, NO, num_iter=i + 1, return_state=True)
        step["log_v"].assign(np.log(state["multiplier"].numpy())[None])
    for a, b in zip(layer(h[0], r_w, gram, NO), sca(h[0], r_w, gram, NO, num_iter=4), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_exact_without_loading_is_an_iteration_without_multiplier():
    h, r_w, gram = (x[0] if x.ndim == 4 else x for x in CASE)
    layer = UnfoldedSCA(1, **SIZES, inverse="exact", **DOUBLE)
    layer.steps[0]["log_v"].assign([[-25.0]])
    h = np.concatenate([h, h[:, :, ::-1]])  # C of four users has full rank
    r_w = np.concatenate([r_w, r_w])
    first = twin.normalised(adjoint(h)[..., :2], gram)
    w = twin.combiners(h, first, r_w, NO)
    c, r = twin.equations(h, w, np.ones([4, 2]))
    expected = twin.normalised(np.linalg.solve(c, r), gram)
    np.testing.assert_allclose(layer(h, r_w, gram, NO)[0], expected, rtol=1e-6, atol=1e-6)


def test_fixed_point_of_jacobi_is_that_of_exact():
    h, r_w, gram = CASE
    layer = UnfoldedSCA(1, **SIZES, **DOUBLE)
    f, weights = cplx(np.random.default_rng(3), 2, 5, 2), layer.steps[0]
    c = np.eye(5) + adjoint(h[0, 0]) @ h[0, 0]
    load = np.exp(weights["log_v"].numpy()[0, 0])
    values = {
        name: tf.constant(x[0] + 1j * x[1]) if x.ndim == 4 else tf.constant(x)
        for name, x in ((name, weight.numpy()) for name, weight in weights.items())
    }
    same = layer._solve(tf.constant(c), tf.constant((c + load * gram) @ f), f, gram, values)
    np.testing.assert_allclose(same, f, atol=1e-12)


def test_untrained_rates_of_the_variants():
    h, r_w, gram = twin.random_case(np.random.default_rng(4), 32)
    inputs = [tf.constant(x, tf.complex64) for x in (h, r_w, gram)]
    found = {}
    for inverse in INVERSES:
        design = UnfoldedSCA(5, 4, 16, inverse=inverse)(*inputs, NO)
        found[inverse] = stream_rate(inputs[0], *design, NO, inputs[1]).numpy().mean()
    found["sca"] = stream_rate(inputs[0], *SCA(4, 20)(*inputs, NO), NO, inputs[1]).numpy().mean()
    assert found["diag"] < found["jacobi"] < found["exact"] < found["sca"]


# --- symmetries --------------------------------------------------------------------------------


@pytest.mark.parametrize("inverse", INVERSES)
def test_phases_and_order_of_users(inverse):
    h, r_w, gram = CASE
    layer = shaken(UnfoldedSCA(2, **SIZES, inverse=inverse, **DOUBLE))
    f, w = layer(h, r_w, gram, NO)
    turn = np.exp(1j * np.array([0.7, -2.0]))[:, None, None]
    turned_f, turned_w = layer(turn * h, r_w, gram, NO)
    np.testing.assert_allclose(turned_f, f / turn, atol=1e-11)
    np.testing.assert_allclose(turned_w, w, atol=1e-11)
    swapped_f, swapped_w = layer(h[:, ::-1], r_w[::-1], gram, NO)
    np.testing.assert_allclose(swapped_f, f[:, ::-1], atol=1e-11)
    np.testing.assert_allclose(swapped_w, w[:, ::-1], atol=1e-11)
    many = layer(np.concatenate([h, h], 1), np.concatenate([r_w, r_w]), gram, NO)[0]
    assert many.shape == [3, 4, 5, 2]  # shared weights serve any number of users


def test_snr_and_scale_of_links():
    h, r_w, gram = CASE
    layer = shaken(UnfoldedSCA(2, **SIZES))
    inputs = [tf.constant(x, tf.complex64) for x in CASE]
    f = layer(*inputs, NO)[0].numpy()
    tiny = layer(1e-8 * inputs[0], *inputs[1:], 1e-16 * NO)[0]
    np.testing.assert_allclose(tiny, f, atol=1e-4)
    assert np.abs(layer(*inputs, 10 * NO)[0] - f).max() > 1e-2


# --- gradients ---------------------------------------------------------------------------------


def negative_rate_and_slopes(layer, h, r_w, gram, no=NO):
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(stream_rate(h, *layer(h, r_w, gram, no), no, r_w))
    return loss, tape.gradient(loss, [w.value for w in layer.trainable_weights])


@pytest.mark.parametrize("inverse", INVERSES)
@pytest.mark.parametrize(("n", "offsets"), [(4, False), (6, True)])  # K N_s = n in the first
def test_gradients_reach_all_weights_and_are_finite(inverse, n, offsets):
    rng = np.random.default_rng(n)
    layer = UnfoldedSCA(2, 2, n, inverse=inverse, offsets=offsets)
    for no in (1e-3, 10.0):
        inputs = [tf.constant(x, tf.complex64) for x in twin.random_case(rng, 8, users=2, m=2, n=n)]
        silent = inputs[0] * tf.constant([1.0, 0.0], tf.complex64)[:, None, None]
        for h in (inputs[0], silent):
            loss, slopes = negative_rate_and_slopes(layer, h, *inputs[1:], no)
            assert np.isfinite(loss) and all(np.isfinite(x).all() for x in slopes)


def test_gradient_against_differences():
    h, r_w, gram = map(tf.constant, CASE)
    layer = shaken(UnfoldedSCA(2, **SIZES, num_users=2, offsets=True, **DOUBLE))
    _, slopes = negative_rate_and_slopes(layer, h, r_w, gram)
    rng, step = np.random.default_rng(6), 1e-6
    directions = [rng.standard_normal(w.shape) for w in layer.trainable_weights]
    slope = sum(np.sum(d * s) for d, s in zip(directions, slopes, strict=True))
    ends = []
    for sign in (1, -2):
        for weight, direction in zip(layer.trainable_weights, directions, strict=True):
            weight.assign(weight.value + sign * step * direction)
        ends.append(-rates(layer(h, r_w, gram, NO), h, r_w).mean())
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), slope, rtol=1e-6)


@pytest.mark.parametrize("inverse", ["diag", "jacobi"])
def test_forward_and_gradient_under_xla(inverse):
    inputs = [tf.constant(x, tf.complex64) for x in CASE]
    layer = UnfoldedSCA(1, **SIZES, inverse=inverse)

    @tf.function(jit_compile=True, autograph=False)
    def compiled(*inputs):
        return negative_rate_and_slopes(layer, *inputs)

    loss, slopes = compiled(*inputs)
    expected, eager = negative_rate_and_slopes(layer, *inputs)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    for a, b in zip(slopes, eager, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3 * max(1.0, np.abs(b).max()))


def test_bad_input_is_named():
    for make, message in (
        (lambda: UnfoldedSCA(0, 1, 2), "num_layers = 0"),
        (lambda: UnfoldedSCA(1, 3, 2), "num_streams = 3; an integer in 1..2"),
        (lambda: UnfoldedSCA(1, 2, 4, 1), "num_streams = 2; an integer in 1..1"),
        (lambda: UnfoldedSCA(1, 1, 2, num_users=0), "num_users = 0"),
        (lambda: UnfoldedSCA(1, 1, 2, inverse="lu"), "inverse = 'lu'"),
        (lambda: UnfoldedSCA(1, 2, 4, 3, **DOUBLE)(*CASE, NO), "must be num_chains = 4"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
