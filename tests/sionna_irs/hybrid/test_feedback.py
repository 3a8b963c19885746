"""Quantisers, feedback of channels in bits, the black box and the costs of hybrid beamforming."""

import itertools
import math

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import sionna_irs as irs
from link_sims.papers.hybrid.cost import (
    black_box_complexity,
    rls_complexity,
    sca_complexity,
    signalling_bits,
)
from sionna_irs.channel.hops.clustered import ClusteredChannel
from sionna_irs.hybrid.black_box import BlackBoxHybrid
from sionna_irs.hybrid.chain_pilots import ChainPilots
from sionna_irs.hybrid.feedback import PathFeedback, TransformFeedback, vector_covariance
from sionna_irs.hybrid.front_end import HybridFrontEnd
from sionna_irs.hybrid.scalar_quantizer import (
    allocate_bits,
    lloyd_max,
    quantize_gaussian,
    quantize_uniform,
    rate_distortion,
)
from sionna_irs.networks.feedback_autoencoder import FeedbackAutoencoder

RNG = np.random.default_rng(8)
DOUBLE = {"precision": "double"}
DEVIATIONS = 5.0  # of a mean, in standard errors: a false alarm in a million


def cplx(*shape):
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)) / np.sqrt(2)


def reset(seed=1):
    irs.random.install()
    irs.random.reset(irs.random.stream_key(seed))


def power(x):
    return np.sum(np.abs(x) ** 2, tuple(range(1, np.ndim(x))))


def require_mean(samples, expected):
    """The mean of the samples is the expected one within its standard errors."""
    error = np.std(samples) / np.sqrt(len(samples))
    assert abs(np.mean(samples) - expected) <= DEVIATIONS * error + 1e-12


def require_nmse(found, true, expected):
    """The ratio of means is the expected one within its standard errors."""
    require_mean(power(found - true) - expected * power(true), 0)


# Scalar quantisers


@pytest.mark.parametrize(
    "num_bits, distortion", [(0, 1.0), (1, 0.3634), (2, 0.1175), (3, 0.03455), (4, 0.009501)]
)
def test_published_distortions(num_bits, distortion):
    levels, found = lloyd_max(num_bits)
    assert found == pytest.approx(distortion, rel=2e-4)
    z = RNG.standard_normal(200_000)
    quantized = quantize_gaussian(tf.constant(z), num_bits).numpy()
    assert set(quantized.round(9)) == set(levels.round(9))
    require_mean((z - quantized) ** 2, found)


@pytest.mark.parametrize("num_bits", range(9))
def test_lloyd_max_conditions(num_bits):
    """Every level is the mean of its cell, whose ends are the middles of levels."""
    levels, distortion = lloyd_max(num_bits)
    edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
    mass = np.diff(scipy.special.ndtr(edges))
    mean = -np.diff(np.exp(-(edges**2) / 2)) / np.sqrt(2 * np.pi) / mass
    np.testing.assert_allclose(levels, mean, atol=1e-9)
    assert distortion == pytest.approx(1 - np.sum(mass * levels**2), abs=1e-12)
    # Panter and Dite's limit of many levels, sqrt(3) pi / 2 / 4^b, from below
    assert distortion * 4**num_bits < np.sqrt(3) * np.pi / 2


def test_nearest_levels():
    x, bits = 2 * RNG.standard_normal([50, 2, 3]), np.array([[0, 1, 2], [3, 5, 8]])
    for dtype in (tf.float32, tf.float64):
        found = quantize_gaussian(tf.constant(x, dtype), bits).numpy()
        for place in np.ndindex(2, 3):
            levels, values = lloyd_max(int(bits[place]))[0], x[:, *place]
            nearest = levels[np.argmin(np.abs(values[:, None] - levels), -1)]
            np.testing.assert_allclose(found[:, *place], nearest, atol=3e-6)


def test_uniform_cells():
    x = tf.constant([-9.0, -1.0, -0.51, 0.49, 1.0, 9.0], tf.float64)
    expected = [-0.75, -0.75, -0.75, 0.25, 0.75, 0.75]
    np.testing.assert_allclose(quantize_uniform(x, 2, 1.0), expected)
    np.testing.assert_allclose(quantize_uniform(x, 0, 1.0), np.zeros(6))


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_uniform_cells_of_any_number_of_bits(dtype):
    """No error beyond half a cell and rounding, up to numbers whose power of 2 is no float."""
    x = np.linspace(-1, 1, 1001)
    eps = np.finfo(dtype.as_numpy_dtype).eps
    for num_bits in (9, 12, 20, 40, 64, 130, 5000):
        found = quantize_uniform(tf.constant(x, dtype), num_bits, 1.0).numpy()
        assert np.abs(found - x).max() <= (0.5**num_bits if num_bits < 1000 else 0) + 4 * eps
    np.testing.assert_allclose(
        quantize_uniform(tf.constant([[0.3, 0.3]], dtype), (1, 200), 1.0), [[0.5, 0.3]], rtol=1e-6
    )


@pytest.mark.parametrize("num_bits", [0, 1, 3, 6, 9])
def test_allocation_is_the_best(num_bits):
    variances = np.array([2.0, 0.05, 0.7, 0.7])
    distortions = np.array([lloyd_max(b)[1] for b in range(9)])
    bits = allocate_bits(variances, num_bits)
    assert bits.sum() == num_bits
    every = [c for c in itertools.product(range(9), repeat=4) if sum(c) == num_bits]
    best = min(np.sum(variances * distortions[list(c)]) for c in every)
    assert np.sum(variances * distortions[bits]) == pytest.approx(best, rel=1e-12)


def test_reverse_water_filling():
    variances, num_bits = np.array([3.0, 1.0, 0.2, 0.0]), 2.5
    low, high = 1e-9, 3.0
    for _ in range(100):
        level = np.sqrt(low * high)
        spent = 0.5 * np.sum(np.log2(np.maximum(1, variances / level)))
        low, high = (level, high) if spent > num_bits else (low, level)
    assert rate_distortion(variances, num_bits) == pytest.approx(np.minimum(variances, low).sum())
    # The spec's floors of a white channel of 128 numbers
    for bits, floor in ((48, 0.59), (112, 0.30)):
        assert rate_distortion(np.full(128, 1 / 128), bits) == pytest.approx(floor, abs=0.006)


def test_numbers_out_of_range():
    for call, text in (
        (lambda: lloyd_max(9), "num_bits = 9; an integer in 0..8"),
        (lambda: allocate_bits([1.0], 9), "num_bits = 9; an integer in 0..8"),
        (lambda: TransformFeedback(np.eye(4), 65), "num_bits = 65; an integer in 0..64"),
        (lambda: TransformFeedback(np.ones([4, 3]), 1), r"covariance has shape \(4, 3\)"),
        (lambda: TransformFeedback(np.triu(np.ones([2, 2])), 1), "Hermitian is needed"),
        (lambda: TransformFeedback(np.eye(4), 1)(cplx(1, 1, 2, 3)), "4 entries a user"),
        (lambda: FeedbackAutoencoder(2, 2, 5, bits_per_value=2), "a multiple of bits_per_value"),
        (lambda: FeedbackAutoencoder(2, 2, 4, entry_power=0.0), "entry_power = 0.0"),
        (lambda: PathFeedback(small_channel(), -1, 1), "angle_bits = -1; an integer of at least 0"),
        (lambda: PathFeedback(small_channel(), (8, 2.0), 1), "angle_bits = 2.0; an integer"),
        (lambda: PathFeedback(small_channel(), None, 1), "angle_bits = None; an integer"),
        (lambda: PathFeedback(small_channel(), 9, 9), "gain_bits = 9; an integer in 0..8"),
        (lambda: PathFeedback(small_channel(), (1, 2, 3), 1), "one or two integers"),
        (lambda: BlackBoxHybrid(uplink_pilots(), 2, 2, 1), "pilots.mode = 'uplink'"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


# Feedback without learning


def small_channel(**changes):
    return ClusteredChannel(irs.ULA(16), irs.ULA(8), num_users=2, **changes)


def uplink_pilots():
    return ChainPilots(4, 4, "uplink", num_users=2, num_rx_chains=2)


def covariance(size, users=2):
    """Of very different eigenvalues, the last one 0."""
    roots = cplx(users, size, size) * 2.0 ** -np.arange(size)
    roots[..., -1] = 0
    return roots @ np.conj(np.swapaxes(roots, -1, -2)), roots


@pytest.mark.parametrize("num_bits", [0, 5, 24])
def test_transform_feedback(num_bits):
    cov, roots = covariance(6)
    h = (roots @ cplx(4000, 2, 6, 1)).reshape(4000, 2, 2, 3)
    feedback = TransformFeedback(cov, num_bits, **DOUBLE)
    found = feedback(h).numpy()
    distortions = np.array([lloyd_max(b)[1] for b in range(9)])
    total, floor = [], []
    for user in range(2):
        values, basis = np.linalg.eigh(cov[user])
        variances = np.concatenate([values, values]) / 2
        bits = allocate_bits(np.maximum(variances, 0), num_bits)
        c = h[:, user].reshape(-1, 6) @ basis.conj()
        twin = np.zeros_like(c)
        for i, unit in itertools.product(range(6), (1, 1j)):
            levels = lloyd_max(int(bits[i + 6 * (unit == 1j)]))[0]
            spread = np.sqrt(max(values[i], 1e-30) / 2)
            part = (c[:, i] / unit).real / spread
            chosen = np.argmin(np.abs(part[:, None] - levels), -1)
            twin[:, i] += unit * spread * levels[chosen]
        np.testing.assert_allclose(
            found[:, user].reshape(-1, 6), twin @ basis.T, atol=1e-10 * abs(h).max()
        )
        total.append(np.sum(variances * distortions[bits]))
        floor.append(rate_distortion(np.maximum(variances, 0), num_bits))
    expected = np.sum(total) / np.trace(cov, axis1=1, axis2=2).real.sum()
    assert feedback.nmse == pytest.approx(expected)
    assert sum(floor) <= sum(total) * (1 + 1e-12)
    require_nmse(found, h, feedback.nmse)


@pytest.mark.parametrize("num_bits, nmse", [(16, 0.6817), (32, 0.3634), (64, 0.1175)])
def test_transform_feedback_of_a_white_channel(num_bits, nmse):
    """A channel of setting S, far below the squares of single precision."""
    scale = 1e-12
    feedback = TransformFeedback(scale**2 * np.eye(16), num_bits)
    assert feedback.nmse == pytest.approx(nmse, abs=1e-4)
    h = cplx(4000, 1, 2, 8)
    require_nmse(feedback(np.complex64(scale * h)).numpy() / scale, h, nmse)


def test_covariance_of_the_equivalent_channel():
    reset()
    channel, front = small_channel(**DOUBLE), HybridFrontEnd(16, 3, 8, 2, num_users=2, **DOUBLE)
    cov = vector_covariance(channel.moments(), front.f_rf, front.w_rf)
    # Its diagonal blocks are the rows' covariances, whose mean the channel knows.
    blocks = np.einsum("kiaib->kba", cov.reshape(2, 2, 3, 2, 3)) / 2
    rows = channel.equivalent_covariance(front.f_rf, front.w_rf).numpy()
    np.testing.assert_allclose(blocks, rows, atol=1e-12)
    num = 20_000
    vec = front(channel(num))[0].numpy().reshape(num, 2, 6)
    for user, (i, j) in itertools.product(range(2), [(0, 0), (0, 1), (1, 4), (5, 2)]):
        product = vec[:, user, i] * vec[:, user, j].conj()
        require_mean(product.real, cov[user, i, j].real)
        require_mean(product.imag, cov[user, i, j].imag)


def mean_alignment(num_ant, num_bits, max_angle):
    """Mean of a(quantised)^H a / N over the uniform angle."""
    angle = max_angle * (2 * (np.arange(20_000) + 0.5) / 20_000 - 1)
    step = 2 * max_angle / 2**num_bits
    rounded = (np.floor((angle + max_angle) / step) + 0.5) * step - max_angle
    turn = np.pi * (np.sin(angle) - np.sin(rounded))
    return np.mean(np.cos(np.arange(num_ant)[:, None] * turn))


def test_transform_feedback_of_no_channel():
    feedback = irs.TransformFeedback(np.zeros([4, 4]), num_bits=8)
    assert feedback.nmse == 0
    np.testing.assert_array_equal(feedback(tf.zeros([3, 2, 2, 2], tf.complex64)), 0)


@pytest.mark.parametrize(
    "angle_bits, gain_bits, num_bits, nmse",
    [
        (2, 2, 64, 1.87),
        (4, 2, 96, 1.79),
        (6, 3, 144, 0.78),
        (8, 4, 192, 0.07),
        ((6, 8), 2, 144, 0.33),
        (10, 8, 288, 0.004),
        ((12, 200), 4, 1760, 0.0096),
    ],
)
def test_path_feedback(angle_bits, gain_bits, num_bits, nmse):
    reset()
    channel = ClusteredChannel(irs.ULA(64), irs.ULA(32), num_users=1, **DOUBLE)
    feedback = PathFeedback(channel, angle_bits, gain_bits)
    assert feedback.num_bits == num_bits
    angles = channel.draw_angles([500])[:, 0]
    gains = np.sqrt(0.1 / 8) * cplx(500, 8)
    rx, tx = (np.exp(1j * np.pi * np.arange(n) * np.sin(angles.numpy()[..., i, None]))
              for i, n in enumerate((32, 64)))  # fmt: skip
    h = np.einsum("bp,bpr,bpt->brt", gains, rx, tx)
    rx_bits, tx_bits = feedback.angle_bits
    aligned = mean_alignment(32, rx_bits, np.pi / 3) * mean_alignment(64, tx_bits, np.pi / 3)
    expected = 1 + (1 - lloyd_max(gain_bits)[1]) * (1 - 2 * aligned)
    assert expected == pytest.approx(nmse, abs=0.01)
    require_nmse(feedback(angles, gains).numpy(), h, expected)


# The autoencoder


def test_bits_of_the_autoencoder():
    """Nothing but num_bits bits a user reaches the decoder, at any scale."""
    reset()
    h = cplx(40, 3, 2, 4)
    for per_value in (1, 3):
        for scale in (1.0, 1e-20):
            setting = {"bits_per_value": per_value, "entry_power": scale**2}
            feedback = FeedbackAutoencoder(2, 4, 12, **setting, **DOUBLE)
            values = feedback.encode(tf.constant(scale * h)).numpy()
            assert values.shape == (40, 3, 12 // per_value)
            assert set(np.unique(values)) <= set(range(2**per_value))
            found = feedback(scale * h).numpy()
            np.testing.assert_array_equal(feedback.decode(tf.constant(values)).numpy(), found)
            assert 0 < np.abs(found).max() < 100 * scale
            moved = cplx(*h.shape) * 1e-9 + h
            again = feedback.encode(tf.constant(scale * moved)).numpy()
            same = np.all(values == again, -1)
            assert same.mean() > 0.9
            np.testing.assert_array_equal(feedback(scale * moved).numpy()[same], found[same])


def test_gradient_of_the_quantiser():
    """Through a sign, the gradient of clipping to [-1, 1]; through levels, that of the sigmoid."""
    x = tf.constant([[-2.0, -0.3, 0.4, 3.0]], tf.float64)
    for per_value, slopes in ((1, [0, 1, 1, 0]), (2, None)):
        feedback = FeedbackAutoencoder(1, 2, 4 * per_value, bits_per_value=per_value, **DOUBLE)
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = feedback.to_values(x)
            sent = 2 * values / (2**per_value - 1) - 1
        if slopes is None:
            cells = np.floor(4 / (1 + np.exp(-x.numpy())))
            slopes = 2 / (2 + 2 * np.cosh(x.numpy()[0]))
        else:
            cells = (x.numpy() > 0).astype(float)
        np.testing.assert_allclose(values, cells)
        np.testing.assert_allclose(tape.gradient(sent, x)[0], slopes, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("per_value", [1, 2])
def test_autoencoder_learns(per_value):
    """A hundred steps halve the way from nothing sent to one-bit Lloyd-Max."""
    reset(3)
    feedback = FeedbackAutoencoder(2, 4, 16, bits_per_value=per_value, entry_power=0.1)
    optimizer = irs_adam(feedback.trainable_variables)

    def error(training):
        h = irs.random.complex_normal([512, 2, 4], variance=0.1)
        wrong, true = irs.metrics.nmse(feedback(h, training=training), h)
        return wrong / true

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = error(True)
        gradients = tape.gradient(loss, feedback.trainable_variables)
        optimizer.apply(gradients, feedback.trainable_variables)
        return loss, tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])

    assert all(bool(step()[1]) for _ in range(150))
    # 16 numbers: a bit for each is 0.363, two bits for half of them 0.559
    assert 0.3 < float(error(False)) < {1: 0.6, 2: 0.75}[per_value]


def irs_adam(variables, rate=1e-2):
    import keras

    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(variables)
    return optimizer


def test_autoencoder_in_xla():
    reset()
    feedback = FeedbackAutoencoder(2, 4, 12, bits_per_value=2)
    h = np.complex64(cplx(5, 3, 2, 4))
    for options in ({}, {"jit_compile": True}):
        call = tf.function(feedback, autograph=False, **options)
        np.testing.assert_allclose(call(h), feedback(h), atol=1e-5)


# The black box


def black_box(no=0.1, **setting):
    front = HybridFrontEnd(8, 4, 4, 2, num_users=2, **setting)
    pilots = ChainPilots(4, 6, trainable=True, **setting)
    return front, pilots, BlackBoxHybrid(pilots, 2, 2, 2, width=32)


def rate(h, r_w, f, w, no):
    """Mean sum rate [nat] of combiners and precoders."""
    columns = tf.concat(tf.unstack(f, axis=-3), -1)[..., None, :, :]
    field = tf.matmul(w, tf.matmul(h, columns), adjoint_a=True)
    field = tf.math.real(field * tf.math.conj(field))
    noise = tf.math.real(tf.reduce_sum(tf.math.conj(w) * tf.matmul(r_w, w), -2))
    users, streams = w.shape[-3], w.shape[-1]
    own = tf.eye(users * streams, dtype=field.dtype)
    own = tf.reshape(own, [users, streams, users * streams])
    signal = tf.reduce_sum(own * field, -1)
    sinr = signal / (tf.reduce_sum((1 - own) * field, -1) + no * noise + 1e-9)
    return tf.reduce_mean(tf.reduce_sum(tf.math.log1p(sinr), [-2, -1]))


@pytest.mark.parametrize("precision, scale", [("single", 1e-8), ("double", 1.0)])
def test_power_of_the_black_box(precision, scale):
    """Units cancel, and every user gets the power Ns in the metric of the front end."""
    reset()
    front, pilots, beams = black_box(precision=precision)
    h_eq, r_w, gram = front(beams.cast(scale * cplx(5, 2, 4, 8)))
    no = 0.1 * scale**2
    y = pilots(h_eq, r_w, gram, no)
    f, w = (x.numpy() for x in beams(y, no, gram))
    assert f.shape == (5, 2, 4, 2) and w.shape == (5, 2, 2, 2)
    spent = np.einsum("bkis,ij,bkjs->bk", f.conj(), gram.numpy(), f).real
    np.testing.assert_allclose(spent, 2, atol=1e-5 if precision == "single" else 1e-12)
    scaled = beams.cast(y.numpy() * 7)
    np.testing.assert_allclose(beams(scaled, 49 * no, gram)[0], f, atol=1e-5)
    h_hat = beams.estimate(scaled, 49 * no)
    np.testing.assert_allclose(h_hat / 7, beams.estimate(y, no), atol=1e-5 * scale * 10)
    # One network for batches of any rank, with noise and Gram matrices of their own
    batched = beams(y[None], np.full([1, 5], no), tf.tile(gram[None, None], [1, 5, 1, 1]))
    np.testing.assert_allclose(batched[0][0], f, atol=1e-5)


def test_black_box_learns():
    reset(2)
    no = 0.1
    front, pilots, beams = black_box()
    variables = [*front.trainable_variables, *beams.trainable_variables]
    assert any(v is p for v in variables for p in pilots.trainable_variables)
    h = irs.random.complex_normal([64, 2, 4, 8])

    def loss():
        irs.random.reset(irs.random.stream_key(4))
        h_eq, r_w, gram = front(h)
        f, w = beams(pilots(h_eq, r_w, gram, no), no, gram, training=True)
        return -rate(h_eq, r_w, f, w, no)

    optimizer = irs_adam(variables, 1e-3)

    @tf.function(autograph=False, jit_compile=True)
    def step():
        with tf.GradientTape() as tape:
            value = loss()
        gradients = tape.gradient(value, variables)
        return value, gradients

    first, gradients = step()
    assert all(np.isfinite(g).all() and np.any(g) for g in gradients)
    optimizer.apply(gradients, variables)
    assert float(step()[0]) < float(first)


# Costs


def test_published_overhead():
    sizes = {
        "num_tx_ant": 64, "num_tx_chains": 16, "num_rx_ant": 32, "num_rx_chains": 4,
        "num_symbols": 16, "bits_per_number": 8, "num_slots": 20,
    }  # fmt: skip
    bits = signalling_bits(**sizes, num_frames=16, num_samples=50)
    assert list(bits) == ["full", "equivalent", "single", "offline", "online"]
    assert list(bits.values()) == [11264, 2048, 3604480, 1218560, 835584]
    # At two frames, off line costs most beyond 2 T_s (1 - Q_eq / Q_f) = 32.7 samples.
    limit = 2 * 20 * (1 - 2048 / 11264)
    for samples in (math.floor(limit), math.ceil(limit)):
        bits = signalling_bits(**sizes, num_frames=2, num_samples=samples)
        assert (bits["offline"] > bits["single"]) == (samples > limit)


def test_complexity():
    assert rls_complexity(80, 4, 16) == 80 * 4 * 256
    users, streams, m, n = 4, 4, 4, 16
    second = users**2 * streams**2 * n**2 * m
    first, third = users * streams * n**3, users * streams * n**2 * m
    assert sca_complexity(50, users, streams, m, n) == 50 * (first + second + third)
    assert second > first + third
    fast = 5 * (users * streams * n**2.37 + second + third)
    assert sca_complexity(5, users, streams, m, n, exponent=2.37) == pytest.approx(fast)
    assert black_box_complexity(3, [[2, 5, 4], [4, 1]]) == 3 * (10 + 20 + 4)
