"""Calibrated and other learned precoders against NumPy; what they keep of their basis."""

import learned_twins as twins
import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from link_sims.training import training
from sionna_irs import metrics
from sionna_irs.networks.adam import Adam
from sionna_irs.networks.row_network import RowNet
from sionna_irs.precoding.black_box import CNNPrecoder, GramCNNPrecoder
from sionna_irs.precoding.calibrated import Calibrated
from sionna_irs.precoding.unfolded_wmmse import UnfoldedWMMSE, mmse_precoder

RNG = np.random.default_rng(1)
DOUBLE = {"precision": "double"}
ORDER = [2, 0, 1]
FORMS = [(True, True), (True, False), (False, True), (False, False)]
SHAPE = {"num_users": 3, "num_ant": 5}
LEARNED = {
    "unfolded": lambda **kw: UnfoldedWMMSE(3, **SHAPE, **kw),
    "unfolded, shared": lambda **kw: UnfoldedWMMSE(3, num_ant=5, **kw),
    "CNN of the Gram matrix": lambda **kw: GramCNNPrecoder(3, num_filters=4, **kw),
    "CNN": lambda **kw: CNNPrecoder(**SHAPE, filters=[4, 3], width=8, **kw),
}


def cplx(*shape, rng=RNG):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def shaken(layer):
    """The layer with other weights and averages: nothing is 0 or 1 any more."""
    irs.random.reset(irs.random.stream_key(3))
    for weight in layer.weights:
        noise = 0.3 * irs.random.uniform(weight.shape, tf.as_dtype(weight.dtype))
        weight.assign(weight.value + noise)
    return layer


def directions(h):
    return h / np.linalg.norm(h, axis=-1, keepdims=True)


def calibrated(basis=irs.ZFPrecoder, num_inputs=5, **arguments):
    return Calibrated(basis(**DOUBLE), RowNet(num_inputs, [8, 7], **DOUBLE), **arguments)


def least_squares():
    return irs.LSEstimator(irs.SurfacePilots(4, 5, **DOUBLE))


# --- untrained: what is known in closed form ---------------------------------------------------


def test_untrained_precoders_act_on_directions():
    h, no = cplx(6, 3, 5), RNG.uniform(0.1, 1, 6)
    size = np.sqrt(np.mean(np.sum(np.abs(h) ** 2, -1, keepdims=True), -2, keepdims=True))
    for basis in (irs.MRTPrecoder, irs.ZFPrecoder, irs.RZFPrecoder):
        expected = basis(**DOUBLE)(size * directions(h), no)
        np.testing.assert_allclose(calibrated(basis)(h, no), expected, atol=1e-12)


def test_untrained_estimators_are_their_basis():
    y, no = cplx(6, 3, 5), RNG.uniform(0.1, 1, 6)
    estimator = Calibrated(least_squares(), RowNet(5, [8], **DOUBLE), axis="antenna")
    for found, expected in zip(estimator(y, no), least_squares()(y, no), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_reference_rate_of_zero_forcing_on_directions():
    rng = np.random.default_rng(1)
    h = tf.constant(cplx(4, 8, rng=rng) / np.sqrt(2))
    v = calibrated(num_inputs=8)(h, 0.1)
    assert float(metrics.sum_rate(h, v, 0.1)) == pytest.approx(11.71206089, abs=1e-6)


def test_small_channels_in_single_precision():
    h = cplx(6, 3, 5)
    layer = Calibrated(irs.ZFPrecoder(), RowNet(5, [8]))
    np.testing.assert_allclose(layer(1e-8 * h, 1e-17), layer(h, 0.1), atol=1e-5)


# --- against NumPy -----------------------------------------------------------------------------


@pytest.mark.parametrize(("residual", "normalize"), FORMS)
def test_row_network_against_numpy(residual, normalize):
    x = cplx(2, 3, 5)
    net = shaken(RowNet(5, [8, 7], residual, normalize, **DOUBLE))
    expected = [[twins.row_net(net, row) for row in rows] for rows in x]
    np.testing.assert_allclose(net(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("residual", "normalize"), FORMS)
def test_calibrated_against_numpy(residual, normalize):
    """Noise is what the network measures lengths in, and what the basis gets e^loading times."""
    h, no = cplx(4, 3, 5), 0.2
    net = shaken(RowNet(5, [8], residual, normalize, **DOUBLE))
    layer = Calibrated(irs.RZFPrecoder(**DOUBLE), net, learned_loading=True)
    layer.loading.assign(0.7)
    for found, rows in zip(layer(h, no), h, strict=True):
        x = np.array([twins.row_net(net, row / np.sqrt(no)) for row in rows])
        x *= np.linalg.norm(h := rows) / np.sqrt(3) if normalize else np.sqrt(no)
        loaded = x @ x.conj().T + 3 * no * np.exp(0.7) * np.eye(3)
        expected = twins.unit(x.conj().T @ np.linalg.inv(loaded))
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_antenna_wise_against_numpy():
    y, no = cplx(3, 4, 5), 0.2
    net = shaken(RowNet(5, [8], **DOUBLE))
    layer = Calibrated(least_squares(), net, axis="antenna")
    changed = np.array(
        [[np.linalg.norm(r) * twins.row_net(net, r / np.sqrt(no)) for r in rows] for rows in y]
    )
    np.testing.assert_allclose(layer(y, no)[0], least_squares()(changed, no)[0], atol=1e-10)


@pytest.mark.parametrize("name", ["unfolded", "unfolded, shared"])
def test_unfolded_against_numpy(name):
    h, no = cplx(4, 3, 5), 0.02
    layer = shaken(LEARNED[name](**DOUBLE))
    expected = [twins.unfolded_wmmse(layer, x / np.sqrt(no)) for x in h]
    np.testing.assert_allclose(layer(h, no), expected, atol=1e-10)


def test_black_boxes_against_numpy():
    h, no = cplx(4, 3, 5), 0.02
    boxes = [shaken(LEARNED[name](**DOUBLE)) for name in ("CNN of the Gram matrix", "CNN")]
    gram_cnn, cnn = (box(h, no) for box in boxes)
    for index, x in enumerate(h / np.sqrt(no)):
        real, imag, w = np.split(twins.image_network(boxes[0], x @ x.conj().T), 3)
        expected = twins.mmse_precoder(x, real + 1j * imag, twins.softplus(w))
        np.testing.assert_allclose(gram_cnn[index], expected, atol=1e-10)
        real, imag = twins.image_network(boxes[1], x).reshape(2, 5, 3)
        np.testing.assert_allclose(cnn[index], twins.unit(real + 1j * imag), atol=1e-10)


def test_a_fixed_point_of_wmmse_stays():
    """Receivers and weights of a converged WMMSE give its precoder again."""
    h = tf.constant(2 * cplx(5, 3, 5))
    layer = irs.WMMSE(300, "closed_form", start="zf", method="tensors", **DOUBLE)
    v = tf.function(layer, autograph=False)(h, 1.0)
    c = tf.linalg.matmul(h, v)
    power = np.abs(c) ** 2
    total, signal = power.sum(-1) + 1, np.einsum("bkk->bk", power)
    again = mmse_precoder(h, np.einsum("bkk->bk", c) / total, tf.constant(total / (total - signal)))
    np.testing.assert_allclose(again, v, atol=1e-6)


def test_weights_that_vanish_switch_users_off():
    h = tf.constant(cplx(4, 3, 5), tf.complex64)
    u = tf.ones([3], h.dtype)
    v = mmse_precoder(h, u, tf.constant([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]] * 2)).numpy()
    np.testing.assert_allclose(np.linalg.norm(v, axis=(-2, -1)), [1, 0, 1, 0], atol=1e-6)
    assert not v[0, :, 2].any()


@pytest.mark.parametrize("precision", ["single", "double"])
def test_unit_power_with_a_user_without_a_channel(precision):
    h = tf.constant(10 * cplx(6, 3, 5) * [[1], [1], [0]])
    h = tf.cast(h, tf.complex64 if precision == "single" else tf.complex128)
    for make in LEARNED.values():
        layer = make(precision=precision)
        with tf.GradientTape() as tape:
            v = layer(h, 1.0)
            loss = tf.reduce_mean(metrics.sum_rate(h, v, 1.0))
        np.testing.assert_allclose(np.sum(np.abs(v) ** 2, (-2, -1)), 1, rtol=1e-5)
        assert all(np.all(np.isfinite(g)) for g in tape.gradient(loss, layer.trainable_weights))


# --- what is kept of the basis -----------------------------------------------------------------


def commutes(layer, h, **kwargs):
    return np.allclose(
        layer(h[:, ORDER], 0.1, **kwargs), layer(h, 0.1, **kwargs).numpy()[..., ORDER], atol=1e-10
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("learned_loading", [False, True])
def test_calibrated_users_commute(training, learned_loading):
    layer = shaken(calibrated(irs.RZFPrecoder, learned_loading=learned_loading))
    assert commutes(layer, cplx(5, 3, 5), training=training)


@pytest.mark.parametrize("training", [False, True])
def test_calibrated_antennas_commute(training):
    layer = shaken(Calibrated(least_squares(), RowNet(5, [8], **DOUBLE), axis="antenna"))
    y = cplx(5, 3, 5)
    found = layer(y[:, ORDER], 0.1, training=training)[0]
    np.testing.assert_allclose(found, layer(y, 0.1, training=training)[0].numpy()[:, ORDER])


@pytest.mark.parametrize("name", LEARNED)
def test_users_of_other_networks_commute_only_with_shared_weights(name):
    assert commutes(shaken(LEARNED[name](**DOUBLE)), cplx(5, 3, 5)) == (name == "unfolded, shared")


def test_any_number_of_users_with_the_same_weights():
    for layer in (shaken(calibrated()), UnfoldedWMMSE(2, num_ant=5, **DOUBLE)):
        assert [layer(cplx(2, k, 5), 0.1).shape[-1] for k in (1, 2, 5)] == [1, 2, 5]


def test_samples_see_each_other_only_in_training():
    layer, h = shaken(calibrated()), cplx(5, 3, 5)
    np.testing.assert_allclose(layer(h[:2], 0.1), layer(h, 0.1)[:2], atol=1e-12)
    gap = layer(h[:2], 0.1, training=True) - layer(h, 0.1, training=True)[:2]
    assert np.max(np.abs(gap)) > 1e-3


def test_parameter_counts():
    def count(layer):
        return sum(int(np.prod(w.shape)) for w in layer.trainable_weights)

    sizes = [128, 512, 2048, 2048, 128]
    products = sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))
    published = RowNet(64, sizes[1:-1], residual=False, normalize=False)
    assert count(published) == products + 2 * (512 + 2 * 2048) + 128
    for users, shared in ((8, {"num_users": 8}), (1, {})):
        expected = 2 * users * (3 * (2 * 32**2 + 32) + 4 * 5)
        assert count(UnfoldedWMMSE(4, 32, **shared)) == expected
    assert count(GramCNNPrecoder(8)) == 9 * 2 * 32 + 2 * 32 + (64 * 32 + 1) * 24
    convolutions = 9 * (2 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 64 + 64)
    dense = (8 * 16 * 64 + 1) * 100 + 101 * 2 * 8 * 16
    assert count(CNNPrecoder(8, 16, width=100)) == convolutions + dense


# --- what calibration can do -------------------------------------------------------------------


def rate_of(h, v, snr=10.0):
    """Of V scaled to unit power."""
    power = np.sum(np.abs(v) ** 2, (-2, -1), keepdims=True)
    return metrics.sum_rate(tf.constant(h), tf.constant(v / np.sqrt(power)), 1 / snr).numpy()


def ascent(h, snr=10.0):
    """Gradient of the rate in W, at W the pseudo-inverse of H: (W, G)."""
    w = np.linalg.pinv(h)
    gamma2 = snr / np.linalg.norm(w) ** 2
    g = h.conj().T - len(h) / np.linalg.norm(w) ** 2 * w
    return w, gamma2 / ((gamma2 + 1) * np.log(2)) * g


def test_any_precoder_is_zero_forcing_of_something():
    v = cplx(4, 8, 3)
    v /= np.linalg.norm(v, axis=(-2, -1), keepdims=True)
    x = np.linalg.inv(v.conj().swapaxes(-1, -2) @ v) @ v.conj().swapaxes(-1, -2)
    np.testing.assert_allclose(irs.ZFPrecoder(**DOUBLE)(x, 0.1), v, atol=1e-12)


def test_a_changed_channel_improves_zero_forcing():
    """The gradient in closed form; gains in balls of any radius around the true channel."""
    rng = np.random.default_rng(0)
    h, dw = cplx(4, 8, rng=rng), cplx(8, 4, rng=rng)
    w, g = ascent(h)
    slope = (rate_of(h, w + 1e-6 * dw) - rate_of(h, w - 1e-6 * dw)) / 2e-6
    assert slope == pytest.approx(11.534473, abs=1e-5)
    assert 2 * np.real(np.vdot(g, dw)) == pytest.approx(11.534473, abs=1e-6)
    assert np.linalg.norm(g) == pytest.approx(7.5506410, abs=1e-6)
    for radius, gain in ((0.1, 0.0616), (0.01, 0.00641), (0.001, 0.000643)):
        low, high = 0.0, 1.0
        for _ in range(60):
            t = (low + high) / 2
            inside = np.linalg.norm(np.linalg.pinv(w + t * g) - h) < radius
            low, high = (t, high) if inside else (low, t)
        changed = irs.ZFPrecoder(**DOUBLE)(np.linalg.pinv(w + t * g), 0.1).numpy()
        assert rate_of(h, changed) - rate_of(h, w) == pytest.approx(gain, rel=5e-3)


def test_only_orthogonal_rows_of_equal_length_leave_nothing_to_gain():
    rng = np.random.default_rng(2)
    rows = 2 * np.linalg.qr(cplx(8, 4, rng=rng))[0].conj().T
    assert np.linalg.norm(ascent(rows)[1]) < 1e-14
    changed = irs.ZFPrecoder(**DOUBLE)(rows + 0.3 * cplx(20_000, 4, 8, rng=rng), 0.1).numpy()
    assert np.max(rate_of(np.broadcast_to(rows, [20_000, 4, 8]), changed)) < rate_of(
        rows, np.linalg.pinv(rows)
    )
    unequal = ascent(rows * np.array([[1], [1], [2], [2]]))[1]
    assert np.linalg.norm(unequal) == pytest.approx(5.1526, abs=1e-4)
    seed_1 = cplx(4, 8, rng=np.random.default_rng(1)) / np.sqrt(2)
    assert np.linalg.norm(ascent(seed_1)[1]) == pytest.approx(4.67159059, abs=1e-7)


# --- training ----------------------------------------------------------------------------------


def rate_training(layer, scale, rate=1e-3):
    """A compiled step on random channels."""

    def loss(call, t):
        h = scale * irs.random.complex_normal([32, 3, 5])
        reached = metrics.sum_rate(h, call(h, 1.0), 1.0)
        return -tf.reduce_mean(reached), {"rate": tf.reduce_mean(reached)}

    start, advance = training.training(layer, Adam(rate, clip=1.0), loss)
    return start, tf.function(advance, autograph=False)


def test_training_by_the_rate_improves_the_published_form():
    irs.random.reset(irs.random.stream_key(5))
    layer = Calibrated(irs.ZFPrecoder(), RowNet(5, [16], residual=False))
    start, advance = rate_training(layer, 3.0, rate=1e-2)
    state, reached = start(), []
    for t in range(60):
        state, sums = advance(state, tf.constant(t, tf.int64))
        reached.append(float(sums["rate"]))
    # A spread of less than 0.3 over batches of 32.
    assert np.mean(reached[-10:]) > np.mean(reached[:10]) + 1


def test_unfolded_training_stays_finite_at_30_db():
    start = advance = None
    for seed in range(5):
        irs.random.reset(irs.random.stream_key(seed))
        layer = LEARNED["unfolded"]()
        fresh = rate_training(layer, 10**1.5)
        advance = advance or fresh[1]  # compiled once: the state holds all weights
        start = fresh[0]
        state = start()
        for t in range(20):
            state, sums = advance(state, tf.constant(t, tf.int64))
            assert np.isfinite(sums["rate"])
        assert all(np.all(np.isfinite(w)) for w in state["weights"])


class DownlinkBPSK(irs.Link):
    """One symbol for every user behind a calibrated precoder; BPSK on its real part."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.precoder = Calibrated(irs.ZFPrecoder(), RowNet(4, [8]))

    def call(self, batch_size, ebno_db, training=False):
        no = tf.broadcast_to(irs.ebno_db_to_no(ebno_db, num_bits_per_symbol=1), [batch_size])
        h = irs.random.complex_normal([batch_size, 2, 4])
        b = tf.cast(irs.random.integers([batch_size, 2], 2), tf.float32)
        x = tf.complex(1 - 2 * b, tf.zeros_like(b))[..., None]
        effective = tf.linalg.matmul(h, self.precoder(h, no, training=training))
        noise = irs.random.complex_normal([batch_size, 2, 1], variance=no[:, None, None])
        y = (tf.linalg.matmul(effective, x) + noise)[..., 0]
        gain = tf.math.conj(tf.linalg.diag_part(effective))
        return b, -4 * tf.math.real(gain * y) / no[:, None]


def test_training_inside_a_link(tmp_path):
    link = DownlinkBPSK()
    link.compile("adam")
    before = [w.numpy() for w in link.precoder.weights]
    link.fit(irs.uniform_ebno(0, 10), batch_size=16, steps_per_epoch=2, verbose=0)
    assert all(np.any(w.numpy() != b) for w, b in zip(link.precoder.weights, before, strict=True))
    link.save(tmp_path / "link.keras")
    again, h = irs.load_model(tmp_path / "link.keras"), cplx(3, 2, 4)
    np.testing.assert_array_equal(again.precoder(h, 0.1), link.precoder(h, 0.1))


def test_shipped_form(tmp_path):
    layer = Calibrated(irs.ZFPrecoder(), RowNet(5, [8]), learned_loading=True)
    irs.weights.save(shaken(layer), tmp_path, "calibrated", {})
    h = cplx(3, 2, 5)
    np.testing.assert_array_equal(irs.weights.load("calibrated", tmp_path)(h, 0.1), layer(h, 0.1))


# --- bad input ---------------------------------------------------------------------------------


def test_bad_arguments():
    net = RowNet(4, [8])
    with pytest.raises(ValueError, match="axis = 'rows'; 'user' or 'antenna'"):
        Calibrated(irs.ZFPrecoder(), net, axis="rows")
    with pytest.raises(TypeError, match="row_net = .*; a RowNet"):
        Calibrated(irs.ZFPrecoder(), irs.MRTPrecoder())
    with pytest.raises(ValueError, match="dimension -1 is 5, must be num_inputs = 4"):
        Calibrated(irs.ZFPrecoder(), net)(cplx(2, 3, 5), 0.1)
    with pytest.raises(ValueError, match="no = 0.0; a real number above 0"):
        Calibrated(irs.ZFPrecoder(), net)(cplx(2, 3, 4), 0.0)
    for make, message in (
        (lambda: RowNet(0), "num_inputs = 0"),
        (lambda: RowNet(4, [0]), "hidden = 0"),
        (lambda: UnfoldedWMMSE(0, 4), "num_layers = 0"),
        (lambda: UnfoldedWMMSE(1, 4, 0), "num_users = 0; None or"),
        (lambda: GramCNNPrecoder(0), "num_users = 0"),
        (lambda: CNNPrecoder(2, 0), "num_ant = 0"),
        (lambda: LEARNED["CNN"]()(cplx(1, 3, 4), 0.1), "must be num_ant = 5"),
        (lambda: LEARNED["unfolded"]()(cplx(1, 2, 5), 0.1), "must be num_users = 3"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
