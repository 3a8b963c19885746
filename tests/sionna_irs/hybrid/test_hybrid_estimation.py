"""Hybrid beamforming up to the estimate: channel, front end, pilots, RLS, LMMSE, unfolded RLS."""

import hybrid_twin as twin
import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs.channel.hops.clustered import ClusteredChannel
from sionna_irs.hybrid.chain_pilots import ChainPilots
from sionna_irs.hybrid.equivalent_lmmse import EquivalentLMMSEEstimator
from sionna_irs.hybrid.front_end import HybridFrontEnd, steered_phases
from sionna_irs.hybrid.rls import RLSEstimator
from sionna_irs.hybrid.unfolded_rls import UnfoldedRLS

K, NT, NR, N, M = 4, 64, 32, 16, 4
RNG = np.random.default_rng(3)


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def relative(found, wanted):
    return np.linalg.norm(np.asarray(found) - wanted) / np.linalg.norm(wanted)


def seed(number):
    irs.random.install()
    irs.random.reset(irs.random.stream_key(number))


@pytest.fixture(scope="module")
def scene():
    """(channel, front end, fixed angles, draws of h_eq with redrawn and with fixed angles)."""
    seed(1)
    channel = ClusteredChannel(irs.ULA(NT), irs.ULA(NR), K)
    front = HybridFrontEnd(NT, N, NR, M, K)
    angles = channel.draw_angles()
    draws = [np.concatenate([front(channel(250, a))[0] for _ in range(8)]) for a in (None, angles)]
    return channel, front, angles, draws


def test_deterministic_case():
    s, users = 0.2, range(2)
    h = np.stack([0.3 * twin.waves(5, 12, s + 0.11 * k) for k in users])
    front = HybridFrontEnd(12, 6, 5, 2, 2, precision="double")
    rx_phases = np.stack([twin.beam_phases(5, 2, 0.271 + s + 0.05 * k) for k in users])
    h_eq, _, gram = front(h, twin.beam_phases(12, 6, 0.318 + s), rx_phases)
    h_eq = h_eq.numpy()
    power = np.sum(np.abs(h_eq) ** 2, (1, 2))
    np.testing.assert_allclose(power, [0.93685808, 0.95434253], atol=5e-9)
    np.testing.assert_allclose(np.linalg.cond(gram), 58.040442, atol=5e-7)
    np.testing.assert_allclose(h_eq[0, 0, 0], 0.025874 + 0.03735315j, atol=1e-8)
    pilots = ChainPilots(6, 9, initial=twin.waves(6, 9, 0.5 + s), precision="double")
    # At 10 dB with noise of 1: the pilots' norm of sqrt(10) becomes 1.
    y = h_eq @ pilots.matrix.numpy() + 0.2 * twin.waves(2, 9, 1.7 + s) / 10**0.5
    h_hat = RLSEstimator(pilots, forgetting=0.98, loading=0.5)(y, 0.1).numpy()
    power = np.sum(np.abs(h_hat) ** 2, (1, 2))
    np.testing.assert_allclose(power, [0.70116548, 1.03860201], atol=5e-9)
    np.testing.assert_allclose(h_hat[1, 1, 5], 0.13212718 - 0.09069961j, atol=1e-8)
    np.testing.assert_allclose(relative(h_hat, h_eq) ** 2, 0.08896805, atol=5e-9)


def test_powers_and_covariances_against_draws(scene):
    channel, front, angles, draws = scene
    seed(2)
    power = np.mean(np.abs(channel(400).numpy()) ** 2, (-1, -2)).ravel()
    assert abs(power.mean() - 0.1) < 4 * power.std() / np.sqrt(power.size) < 0.005
    for given, h_eq in zip((None, angles), draws, strict=True):
        covariance = channel.equivalent_covariance(front.f_rf, front.w_rf, given).numpy()
        samples = np.einsum("bkmi,bkmj->bkij", h_eq.conj(), h_eq) / M
        spread = samples.std(0) / np.sqrt(len(samples))
        assert (np.abs(samples.mean(0) - covariance) < 6 * spread).all()
        energy = M * np.trace(samples, axis1=-1, axis2=-2).real
        closed = M * np.trace(covariance, axis1=-1, axis2=-2).real
        assert (np.abs(energy.mean(0) - closed) < 4 * energy.std(0) / np.sqrt(2000)).all()
    moments = channel.moments()
    np.testing.assert_allclose(moments.power, 0.1, rtol=1e-12)
    np.testing.assert_allclose(np.diag(moments.tx_correlation), 1, rtol=1e-12)
    phase = np.pi * np.sin(np.linspace(-np.pi / 3, np.pi / 3, 200001))  # the integral anew
    np.testing.assert_allclose(moments.rx_correlation[1, 0], np.exp(1j * phase).mean(), atol=2e-5)


def test_front_end_modulus_quantiser_and_gradient():
    seed(3)
    exact = HybridFrontEnd(NT, N, NR, M, K)
    np.testing.assert_allclose(np.abs(exact.f_rf), NT**-0.5, rtol=1e-6)
    np.testing.assert_allclose(np.abs(exact.w_rf), NR**-0.5, rtol=1e-6)
    assert 4 < np.linalg.cond(exact.f_rf) ** 2 < 9
    h = irs.random.complex_normal([2, K, NR, NT])
    h_eq, r_w, gram = exact(h)
    f, w = exact.f_rf.numpy(), exact.w_rf.numpy()
    np.testing.assert_allclose(h_eq, w.conj().swapaxes(-1, -2) @ h.numpy() @ f, atol=1e-4)
    np.testing.assert_allclose(r_w, w.conj().swapaxes(-1, -2) @ w, atol=1e-6)
    np.testing.assert_allclose(gram, f.conj().T @ f, atol=1e-6)
    for bits in range(1, 5):
        coarse = HybridFrontEnd(NT, N, NR, M, K, num_bits=bits)
        coarse.set_weights(exact.get_weights())
        steps = np.angle(coarse.f_rf.numpy()) / (2 * np.pi / 2**bits)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-5)
        kept = NT * np.real(coarse.f_rf.numpy().conj() * f)  # cosines of the errors
        spread = 4 * kept.std() / np.sqrt(kept.size)
        assert abs(kept.mean() - np.sinc(2.0**-bits)) < spread
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.math.real(coarse(h)[0]))
    for gradient in tape.gradient(loss, coarse.trainable_variables):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_steered_beams_point_at_paths():
    seed(4)
    arrays = irs.ULA(NT), irs.ULA(NR)
    channel = ClusteredChannel(*arrays, K)
    front = HybridFrontEnd(NT, N, NR, M, K)
    angles = channel.draw_angles([3])
    tx_phases, rx_phases = steered_phases(*arrays, angles, N, M)
    h_eq, r_w, gram = front(channel(3, angles), tx_phases, rx_phases)
    assert (h_eq.shape, r_w.shape, gram.shape) == ((3, K, M, N), (3, K, M, M), (3, N, N))
    # A single path: the gain of both arrays on its own pair of beams, chain k + K i of user k.
    single = ClusteredChannel(*arrays, K, num_clusters=1, num_rays=1)
    h = single(3, angles[:, :, 2:3])
    gains = np.abs(front(h, tx_phases, rx_phases)[0].numpy())
    for k in range(K):
        own = np.linalg.norm(h[:, k].numpy(), axis=(1, 2))
        np.testing.assert_allclose(gains[:, k, 2, k + 2 * K], own, rtol=1e-4)
    with pytest.raises(ValueError, match="num_rx_chains = 9"):
        steered_phases(*arrays, angles, N, 9)


@pytest.mark.parametrize("forgetting", [1.0, 0.95])
def test_rls_is_regularised_least_squares(forgetting):
    pilots = ChainPilots(16, 24, initial=cplx(16, 24), precision="double")
    y, x = cplx(3, 4, 24), pilots.matrix.numpy()
    wanted = twin.regularised_ls(y, x, forgetting, 10 * 0.1)
    estimator = RLSEstimator(pilots, forgetting)
    assert relative(estimator(y, 0.1), wanted) < 1e-12
    wanted = twin.regularised_ls(y[..., :10], x[:, :10], forgetting, 10 * 0.1)
    assert relative(estimator(y[..., :10], 0.1), wanted) < 1e-12
    several = estimator(y[:, None], [0.1, 0.2, 0.3])  # one noise variance for every example
    wanted = twin.regularised_ls(y[2], x, forgetting, 10 * 0.3)
    assert relative(several[2, 0], wanted) < 1e-12


def slow_turns(period, num_symbols=80):
    return np.exp(-2j * np.pi * np.outer(np.arange(16), np.arange(num_symbols)) / period)


@pytest.mark.parametrize("forgetting", [1.0, 0.98])
def test_rls_is_stable_over_long_runs(forgetting):
    y = cplx(1, 4, 80)
    for period in (16, 80):
        for precision, dtype, bound in (("double", complex, 1e-12), ("single", "complex64", 1e-5)):
            pilots = ChainPilots(16, 80, initial=slow_turns(period), precision=precision)
            wanted = twin.regularised_ls(y, slow_turns(period) / 4, forgetting, 0.01 * 0.1)
            found = RLSEstimator(pilots, forgetting, loading=0.01)(y.astype(dtype), 0.1)
            assert relative(found, wanted) < bound
    y = cplx(1, 4, 100)
    found = RLSEstimator(ChainPilots(16, 100), 1.0, 0.01)(y.astype("complex64"), 0.1)
    assert relative(found, twin.regularised_ls(y, slow_turns(100, 100) / 4, 1.0, 0.001)) < 1e-5


def test_unrolled_and_looped_slots_agree_under_xla():
    seed(5)
    for num_symbols in (6, 40):
        pilots = ChainPilots(4, num_symbols)
        estimator = RLSEstimator(pilots)
        y = irs.random.complex_normal([2, 3, 2, num_symbols])
        compiled = tf.function(estimator, jit_compile=True, autograph=False)(y, tf.constant(0.1))
        np.testing.assert_allclose(compiled, estimator(y, 0.1), atol=1e-5)


@pytest.mark.parametrize("mode", ["common", "uplink", "contaminated"])
def test_channels_from_noiseless_pilots(mode, scene):
    _, front, _, (h_eq, _) = scene
    h_eq = h_eq[:50]
    _, r_w, gram = front(np.zeros([K, NR, NT], "complex64"))
    pilots = ChainPilots(N, N, mode, num_users=K, num_rx_chains=M)
    sound, errors = tf.function(pilots, autograph=False), []
    estimators = [
        tf.function(layer, autograph=False)
        for layer in (RLSEstimator(pilots), UnfoldedRLS(pilots, M))
    ]
    for no in map(tf.constant, (1e-2, 1e-5)):
        y = sound(h_eq, r_w, gram, no)
        assert y.shape == ((50, N, N) if mode == "uplink" else (50, K, M, N))
        found = [estimator(y, no) for estimator in estimators]
        assert relative(found[1], found[0]) < 1e-5
        errors.append(relative(found[0], h_eq) ** 2)
    if mode == "contaminated":  # interference stays when the noise has gone
        assert min(errors) > 0.5
    else:
        assert errors[1] < 5e-4 and 300 < errors[0] / errors[1] < 1100


@pytest.mark.parametrize("mode", ["common", "uplink"])
def test_pilots_noise_has_the_colour_of_the_front_end(mode, scene):
    front = scene[1]
    _, r_w, gram = front(np.zeros([K, NR, NT], "complex64"))
    seed(6)
    pilots = ChainPilots(N, N, mode, num_users=K, num_rx_chains=M)
    sound = tf.function(pilots, autograph=False)
    noise = sound(tf.zeros([800, K, M, N], "complex64"), r_w, gram, tf.constant(0.3)).numpy()
    found = np.einsum("...il,...jl->...ij", noise, noise.conj()).mean(0) / N
    wanted = 0.3 * (gram.numpy().conj() if mode == "uplink" else r_w.numpy())
    assert np.abs(found - wanted).max() < 6 * 0.3 / np.sqrt(800 * N)


def test_pilots_keep_their_norm_and_learn():
    start = cplx(4, 6)
    pilots = ChainPilots(4, 6, trainable=True, initial=start)
    np.testing.assert_allclose(pilots.matrix, start / np.linalg.norm(start, axis=0), atol=1e-6)
    for mode, rows in (("common", 4), ("uplink", 6), ("contaminated", 4)):
        for num_symbols in (3, 8):
            x = ChainPilots(4, num_symbols, mode, num_users=3, num_rx_chains=2).matrix.numpy()
            assert x.shape == (
                (3, 4, num_symbols) if mode == "contaminated" else (rows, x.shape[1])
            )
            few, many = x.swapaxes(-1, -2).conj() @ x, x @ x.swapaxes(-1, -2).conj()
            gram = few if num_symbols < rows else many
            scale = 3 if mode == "uplink" else 1
            energy = scale * (1 if num_symbols < rows else num_symbols / rows)
            np.testing.assert_allclose(
                gram, energy * np.broadcast_to(np.eye(len(gram[-1])), gram.shape), atol=1e-5
            )
    with tf.GradientTape() as tape:
        h_eq = tf.ones([2, 3, 2, 4], tf.complex64)
        y = tf.linalg.matmul(h_eq, pilots.matrix)
        loss = tf.reduce_sum(tf.math.real(UnfoldedRLS(pilots, 2)(y, 0.5)))
    assert np.abs(tape.gradient(loss, pilots.parts.value)).max() > 0


def test_lmmse_multiplier_and_error_covariance(scene):
    channel, front, _, (h_eq, _) = scene
    covariance = channel.equivalent_covariance(front.f_rf, front.w_rf)
    _, r_w, gram = front(np.zeros([K, NR, NT], "complex64"))
    pilots = ChainPilots(N, 12)
    estimator = EquivalentLMMSEEstimator(pilots)
    seed(7)
    y = pilots(h_eq, r_w, gram, 0.1)
    h_hat, error = (x.numpy() for x in estimator(y, 0.1, covariance, r_w))
    for k in range(K):
        x = pilots.matrix.numpy()
        m, wanted = twin.lmmse(x, 0.1, covariance[k].numpy(), r_w[k].numpy())
        assert relative(h_hat[:, k], y[:, k].numpy() @ m) < 1e-5
        assert relative(error[k], wanted) < 1e-5
    samples = np.einsum("bkmi,bkmj->bkij", (h_hat - h_eq).conj(), h_hat - h_eq) / M
    assert (np.abs(samples.mean(0) - error) < 6 * samples.std(0) / np.sqrt(len(samples))).all()
    squared = np.trace(samples, axis1=-1, axis2=-2).real.sum(-1)
    closed = np.trace(error, axis1=-1, axis2=-2).real.sum()
    assert abs(squared.mean() - closed) < 4 * squared.std() / np.sqrt(len(squared))
    # No other matrix is better: neither RLS with the prior of white channels nor without.
    for loading in (10.0, 0.01):
        assert relative(RLSEstimator(pilots, loading=loading)(y, 0.1), h_eq) > relative(h_hat, h_eq)
    with pytest.raises(ValueError, match="'common' is needed"):
        EquivalentLMMSEEstimator(ChainPilots(4, 6, "contaminated", num_users=2))


MODES = [("common", None), ("common", 3), ("uplink", None), ("contaminated", 3)]


def unfolded(mode, num_users, precision="double", **kwargs):
    pilots = ChainPilots(6, 9, mode, num_users=3, num_rx_chains=2, precision=precision)
    return UnfoldedRLS(pilots, 2, num_users, forgetting=0.98, **kwargs)


def shake(layer, spread=0.05):
    for weight in layer.trainable_variables:
        weight.assign_add(layer.real(spread * RNG.standard_normal(weight.shape)))


@pytest.mark.parametrize("mode, num_users", MODES)
def test_untrained_is_rls_and_any_is_affine(mode, num_users):
    y = cplx(5, 6, 9) if mode == "uplink" else cplx(5, 3, 2, 9)
    for precision, dtype, bound in (("single", "complex64", 1e-6), ("double", complex, 1e-13)):
        layer = unfolded(mode, num_users, precision, offsets=True)
        wanted = RLSEstimator(layer.pilots, 0.98)(y.astype(dtype), 0.1)
        assert relative(layer(y.astype(dtype), 0.1), wanted.numpy()) < bound
    shake(layer)
    linear, constant = layer.collapse(0.1)
    assert linear.shape == (3 if "contaminated" in mode or num_users else 1, 9, 6)
    wanted = layer.pilots.split_users(
        y @ linear.numpy()[0] + constant[0] if mode == "uplink" else y @ linear + constant
    )
    assert relative(layer(y, 0.1), wanted.numpy()) < 1e-12
    several = layer(y, 0.1 * np.arange(1, 6))
    assert relative(several[3], layer(y[3], 0.4).numpy()) < 1e-12


def test_unfolded_layers_against_the_twin():
    layer = unfolded("common", 3, offsets=True)
    shake(layer)
    y = cplx(3, 2, 9)

    def parts(weights, k):
        return {n: (w.numpy()[0] + 1j * w.numpy()[1])[:, k] for n, w in weights.items()}

    for count in (9, 4):  # the first layers alone
        found = layer(y[..., :count], 0.1).numpy()
        for k in range(3):
            t, q = parts(layer.matrices, k), parts(layer.shifts, k)
            q["w"] = q["w"].conj().swapaxes(-1, -2)
            gamma = np.exp(layer.log_forgetting.numpy()[:, k])
            x = layer.pilots.matrix.numpy()[:, :count]
            wanted = twin.unfolded_rls(y[k, :, :count], x, t, q, gamma, 1.0)
            assert relative(found[k], wanted) < 1e-10
    with pytest.raises(ValueError, match="10 slots"):
        layer(cplx(3, 2, 10), 0.1)


def test_random_parameters_stay_finite():
    pilots = ChainPilots(6, 9, initial=twin.waves(6, 9, 0.7), precision="double")
    layer = UnfoldedRLS(pilots, 2, forgetting=0.98, loading=0.5)
    start, y = layer.get_weights(), tf.constant(0.3 * twin.waves(2, 9, 1.9)[None])

    @tf.function(autograph=False)
    def estimate():
        with tf.GradientTape() as tape:
            h_hat = layer(y, 0.1)
            loss = tf.reduce_sum(tf.math.real(h_hat * tf.math.conj(h_hat)))
        return h_hat, tape.gradient(loss, layer.trainable_variables)

    for _ in range(10):
        layer.set_weights(start)
        shake(layer)
        h_hat, gradients = estimate()
        assert np.abs(h_hat).max() < 1e6
        for gradient in gradients:
            assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_unfolded_estimators_are_saved_and_compiled(tmp_path):
    class Sounding(irs.Link):
        def __init__(self, estimator, **kwargs):
            super().__init__(**kwargs)
            self.estimator = estimator

        def call(self, y):
            return self.estimator(y, 0.1)

    layer = unfolded("common", None, "single")
    shake(layer)
    y = cplx(2, 3, 2, 9).astype("complex64")
    path = tmp_path / "estimator.keras"
    link = Sounding(layer)
    link(y)
    link.save(path)
    again = irs.load_model(path)
    np.testing.assert_array_equal(again(y), link(y))
    compiled = tf.function(layer, jit_compile=True, autograph=False)(y, tf.constant(0.1))
    np.testing.assert_allclose(compiled, layer(y, 0.1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "build, text",
    [
        (lambda: ChainPilots(4, 4, "mixed"), "mode = 'mixed'"),
        (lambda: ChainPilots(4, 4, "uplink", num_users=2), "num_rx_chains = None"),
        (lambda: ChainPilots(2, 2, initial=np.zeros([2, 2])), "slot of zeros"),
        (lambda: RLSEstimator(ChainPilots(2, 2), forgetting=1.5), "forgetting = 1.5"),
        (lambda: RLSEstimator(ChainPilots(2, 2), loading=0.0), "loading = 0.0"),
        (lambda: unfolded("uplink", 3), "num_users = 3; None"),
        (lambda: unfolded("contaminated", 2), "num_users = 2; None or 3"),
        (lambda: HybridFrontEnd(4, 2, 2, 1, 1, num_bits=17), "num_bits = 17"),
        (lambda: ClusteredChannel(irs.ULA(2), irs.ULA(2), 1, max_angle=4.0), "max_angle = 4.0"),
        (lambda: ClusteredChannel(irs.ULA(2), irs.ULA(2), 1, path_power=-1.0), "path_power"),
    ],
)
def test_errors_name_the_argument(build, text):
    with pytest.raises(ValueError, match=text):
        build()
