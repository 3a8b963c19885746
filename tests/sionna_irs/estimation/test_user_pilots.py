"""Pilots of several users, their estimators, and what links the uplink to the downlink."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs

K, L, M = 4, 6, 8
POWERS = np.linspace(0.5, 2, K)


def reference():
    """H, P and the observation of the specification."""
    rng = np.random.default_rng(1)

    def cplx(*shape):
        real = rng.standard_normal(shape)
        return (real + 1j * rng.standard_normal(shape)) / np.sqrt(2)

    h, p = cplx(M, K) * np.sqrt(POWERS), cplx(K, L)
    return h, p, h @ p + np.sqrt(0.1) * cplx(M, L)


class Raw(irs.UserPilots):
    """Pilots as they are, not scaled to one power."""

    @property
    def matrix(self):
        return tf.complex(*tf.unstack(self.parts.value))


@pytest.mark.parametrize(
    "build, error, theory",
    [
        (irs.UserLSEstimator, 1.81324737, 1.5558045),
        (lambda p: irs.UserScaledLSEstimator(p, POWERS), 1.78877951, None),
        (lambda p: irs.UserLMMSEEstimator(p, POWERS), 1.74881748, 1.3895056),
    ],
)
def test_estimators_on_the_reference(build, error, theory):
    h, p, y = reference()
    h_hat, err_var = build(Raw(K, L, initial=p, precision="double"))(y, 0.1)
    np.testing.assert_allclose(np.sum(np.abs(h_hat - h) ** 2), error, rtol=1e-7)
    if theory is not None:
        np.testing.assert_allclose(M * np.sum(err_var), theory, rtol=1e-7)


def test_error_variances_against_draws():
    pilots = irs.UserPilots(K, L)
    draw = irs.random.complex_normal
    irs.random.reset(irs.random.stream_key(3))
    h = draw([4000, M, K], "complex64") * tf.sqrt(tf.constant(POWERS, tf.complex64))
    y = pilots(h, 0.3)
    for estimator in (
        irs.UserLSEstimator(pilots),
        irs.UserScaledLSEstimator(pilots, POWERS),
        irs.UserLMMSEEstimator(pilots, POWERS),
    ):
        h_hat, err_var = estimator(y, 0.3)
        errors = np.mean(np.abs(h_hat - h) ** 2, 1)  # [examples, K]
        spread = 5 * errors.std(0) / np.sqrt(len(errors))
        assert (np.abs(errors.mean(0) - np.broadcast_to(err_var, [1, K])[0]) < spread).all()


def test_pilots_keep_their_power_and_learn():
    pilots = irs.UserPilots(K, L, trainable=True, initial=np.arange(1.0, 25).reshape(K, L))
    np.testing.assert_allclose(np.sum(np.abs(pilots.matrix) ** 2, -1), L, rtol=1e-6)
    h = irs.random.complex_normal([5, M, K])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(irs.UserLMMSEEstimator(pilots, POWERS)(pilots(h, 0.1), 0.1)[1])
    (gradient,) = tape.gradient(loss, pilots.trainable_variables)
    assert np.abs(gradient).max() > 0
    orthogonal = irs.UserPilots(K, K).matrix.numpy()
    np.testing.assert_allclose(orthogonal @ orthogonal.conj().T, K * np.eye(K), atol=1e-5)


def test_antenna_permutations_pass_through():
    pilots, order = irs.UserPilots(K, K), np.random.default_rng(1).permutation(M)
    y = irs.random.complex_normal([3, M, K])
    for estimator in (
        irs.UserLSEstimator(pilots),
        irs.UserLMMSEEstimator(pilots, POWERS),
        irs.Calibrated(irs.UserLSEstimator(pilots), irs.RowNet(K, [8]), axis="antenna"),
    ):
        straight, turned = estimator(y, 0.1)[0], estimator(tf.gather(y, order, axis=1), 0.1)[0]
        np.testing.assert_allclose(turned, tf.gather(straight, order, axis=1), atol=1e-5)


@pytest.fixture(scope="module")
def rooms():
    return [irs.RoomChannel(4, 32, split=s, stride=2) for s in ("train", "test")]


def test_refitted_paths_give_the_downlink(rooms):
    known, test = rooms
    irs.random.reset(irs.random.stream_key(1))
    h_ul, h_dl, _ = test(20)
    fair = irs.ZFPrecoder("per_user")

    def share(rows):
        h = h_dl / 10**-4.25  # noise of -85 dBm, power of 0 dBm
        rates = [
            irs.metrics.sum_rate(h, fair(x / tf.norm(x, axis=-1, keepdims=True), 1.0), 1.0)
            for x in (rows, h_dl)
        ]
        return float(tf.reduce_mean(rates[0]) / tf.reduce_mean(rates[1]))

    shares = [share(irs.FingerprintMapping(known, num_refine=n)(h_ul)) for n in (0, 3)]
    found = [share(h_ul), *shares]
    assert found[0] < 0.5 < 0.6 < found[1] < found[2] and found[2] > 0.75, found


def test_a_known_position_is_carried_over_exactly(rooms):
    known = rooms[0]
    # Paths of one direction (floor and ceiling) cannot be told apart; their delays differ.
    gaps = np.diff(np.sort(known.paths.direction, -1)).min(-1)
    h_ul, h_dl = known.compose(np.argsort(gaps)[-4:][None])
    mapping = irs.FingerprintMapping(known, num_refine=0, ridge=1e-5)
    found = mapping(1e-4 * h_ul).numpy() / 1e-4
    # The magnitudes of the gains differ from f_UL / f_DL by the reflections' dispersion.
    np.testing.assert_allclose(found, h_dl, atol=0.05 * np.abs(h_dl).max())


def test_implicit_csi(rooms):
    pilots = irs.UserPilots(4, 4, trainable=True)
    estimator = irs.Calibrated(irs.UserLSEstimator(pilots), irs.RowNet(4, [8]), axis="antenna")
    system = irs.ImplicitCSIPrecoder(estimator, irs.RowNet(32, [16], residual=False))
    h_ul, _, _ = rooms[1](3)
    h_ul = 1e4 * tf.linalg.matrix_transpose(h_ul)
    with tf.GradientTape() as tape:
        v, rows = system(h_ul, 1.0, training=True, sounding=True)
        loss = tf.reduce_sum(tf.square(tf.abs(v[:, 0])))
    np.testing.assert_allclose(np.sum(np.abs(v) ** 2, (1, 2)), 1, rtol=1e-5)
    assert rows.shape == (3, 4, 32)
    gradients = tape.gradient(loss, system.trainable_variables)
    assert all(np.isfinite(g).all() for g in gradients)
    named = {w.path.split("/")[-1] for w in system.trainable_variables}
    assert "parts" in named  # the pilots learn, too


def test_wrong_arguments(rooms):
    pilots = irs.UserPilots(4, 2)
    for build, match in (
        (lambda: irs.UserLSEstimator(pilots), "as many symbols"),
        (lambda: irs.UserLMMSEEstimator(pilots, [1.0]), "powers"),
        (lambda: irs.UserPilots(2, 2, initial=np.zeros([2, 2])), "initial"),
        (lambda: irs.FingerprintMapping(rooms[0], ridge=0), "ridge"),
        (lambda: irs.FingerprintMapping(rooms[0], num_refine=-1), "num_refine"),
    ):
        with pytest.raises(ValueError, match=match):
            build()
    with pytest.raises(TypeError, match="mapping"):
        irs.ImplicitCSIPrecoder(irs.UserLMMSEEstimator(pilots, np.ones(4)), None)
