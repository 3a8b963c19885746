"""Structured precoder and its graph network: a twin, symmetries, sizes, precision."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs


def groups(batch=3, num_users=4, num_ant=6, snr=30.0, seed=1):
    """Correlated channels of unequal gains, complex128."""
    r = np.random.default_rng(seed)
    shape = batch, num_users, num_ant
    h = r.normal(size=shape) + 1j * r.normal(size=shape)
    h += 0.7 * h[:, :1]
    return np.sqrt(snr / 2 * r.uniform(0.1, 2, (batch, num_users, 1))) * h


def trained_like(precision="double", **kwargs):
    """A precoder whose every weight is random, the same in both precisions."""
    precoder = irs.StructuredPrecoder(precision=precision, **kwargs)
    r = np.random.default_rng(0)
    for weight in precoder.weights:
        value = r.normal(size=weight.shape)
        weight.assign(value / np.sqrt(len(value)) if value.ndim == 2 else value / 2)
    return precoder


def twin_network(network, gram):
    """The formula for one Gram matrix, user by user."""

    def apply(dense, x):
        y = x @ dense.kernel.numpy() + dense.bias.numpy()
        return np.maximum(y, 0) if dense.activation else y

    num_users = len(gram)
    g = np.diag(gram).real
    r = gram / np.sqrt(np.outer(g, g)) + 1e-6 * np.eye(num_users)
    inverse = np.linalg.inv(r)
    z = 1 / np.diag(inverse).real
    nodes = np.stack(
        [np.log(g) / 5, np.log(z), np.log(z * g) / 5, (np.log(g) - np.log(g).mean()) / 5], -1
    )
    direct, partial = np.abs(r) ** 2, np.abs(inverse) ** 2 * np.outer(z, z)
    edges = np.stack([direct, np.log(direct + 1e-5) / 5, np.log(partial + 1e-5) / 5], -1)
    x = apply(network.embedding, nodes)
    for message, update, norm in zip(network.message, network.update, network.norm, strict=True):
        gamma, beta = (w.numpy() for w in norm)
        new = []
        for i in range(num_users):
            heard = [np.concatenate([x[i], x[j], edges[i, j]]) for j in range(num_users) if j != i]
            heard = apply(message[1], apply(message[0], np.array(heard)))
            y = np.concatenate([x[i], np.mean(heard, 0), np.max(heard, 0)])
            y = apply(update[1], apply(update[0], y))
            new.append(x[i] + gamma * (y - y.mean()) / np.sqrt(y.var() + 1e-5) + beta)
        x = np.array(new)
    return apply(network.output_map, x)


def twin(precoder, h):
    """v for one group at unit noise, with M x M matrices."""
    out = twin_network(precoder.network, h @ h.conj().T)
    shares = np.exp(out) / np.exp(out).sum(0)
    lam, power = shares[:, 0] + 1e-7, shares[:, 1]
    w = np.linalg.solve(np.eye(h.shape[1]) + h.conj().T @ (lam[:, None] * h), h.conj().T)
    return w / np.linalg.norm(w, axis=0) * np.sqrt(power)


def test_twin_power_and_noise():
    precoder, h = trained_like(), groups()
    v = precoder(h, 1.0).numpy()
    np.testing.assert_allclose(v, [twin(precoder, x) for x in h], atol=1e-10)
    np.testing.assert_allclose(np.sum(np.abs(v) ** 2, (1, 2)), 1, atol=1e-12)
    scaled = precoder(1e-3 * h, 1e-6 * np.ones(3)).numpy()
    np.testing.assert_allclose(scaled, v, atol=1e-10)


@pytest.mark.parametrize("num_users, num_ant, snr", [(8, 32, 1e4), (12, 16, 1e3)])
def test_single_precision(num_users, num_ant, snr):
    """The rate to 2e-5 in graphs, with gains of -160 dB."""
    h = groups(20, num_users, num_ant, snr)
    precise = trained_like()
    coarse = trained_like("single")
    rate = irs.metrics.sum_rate(h, precise(h, 1.0), 1.0).numpy()
    small = 1e-8 * h.astype("complex64")
    v = tf.cast(tf.function(coarse, autograph=False)(small, tf.constant(1e-16)), tf.complex128)
    assert np.abs(irs.metrics.sum_rate(h, v, 1.0).numpy() / rate - 1).max() < 2e-5


def test_shipped_weights_in_the_room():
    """A loaded cell at low power; digits at the largest power of the training."""
    room = irs.RoomChannel(12, 16, split="test", stride=10, precision="double")
    irs.random.reset(irs.random.stream_key(1))
    h = 10 ** (85 / 20) * room(50)[1]
    precise = irs.StructuredPrecoder.from_pretrained(precision="double")
    coarse = irs.StructuredPrecoder.from_pretrained()
    filled = irs.ZFPrecoder("water_filling", precision="double")

    def rate(h, v):
        return irs.metrics.sum_rate(h, tf.cast(v, h.dtype), 1.0).numpy().mean()

    faint, strong = 10 ** (-20 / 20) * h, 10 ** (10 / 20) * h
    assert rate(faint, precise(faint, 1.0)) > 1.2 * rate(faint, filled(faint, 1.0))
    expected = rate(strong, precise(strong, 1.0))
    assert expected > rate(strong, filled(strong, 1.0))
    v = tf.function(coarse, autograph=False)(tf.cast(strong, tf.complex64), tf.constant(1.0))
    assert abs(rate(strong, v) / expected - 1) < 1e-4


def test_users_are_treated_alike():
    precoder, h = trained_like(), groups(num_users=5)
    order = np.random.default_rng(2).permutation(5)
    v = precoder(h, 1.0).numpy()
    np.testing.assert_allclose(precoder(h[:, order], 1.0).numpy(), v[..., order], atol=1e-12)
    phases = np.exp(2j * np.pi * np.random.default_rng(3).uniform(size=(5, 1)))
    turned = precoder(phases * h, 1.0).numpy()
    np.testing.assert_allclose(turned * phases[:, 0], v, atol=1e-12)


def test_any_number_of_users_and_antennas():
    precoder = trained_like()
    assert sum(np.prod(w.shape) for w in precoder.trainable_weights) == 50_018
    for num_users, num_ant in ((1, 4), (3, 3), (6, 2), (10, 40)):
        v = precoder(groups(2, num_users, num_ant), 1.0).numpy()
        assert v.shape == (2, num_ant, num_users)
        np.testing.assert_allclose(np.sum(np.abs(v) ** 2, (1, 2)), 1, atol=1e-12)
    # Antennas that receive nothing leave no trace in the Gram matrix.
    h = groups()
    padded = precoder(np.pad(h, [(0, 0), (0, 0), (0, 5)]), 1.0).numpy()
    np.testing.assert_allclose(padded[:, :6], precoder(h, 1.0).numpy(), atol=1e-12)


def test_untrained_is_regularised_zero_forcing_with_equal_powers():
    h = groups()
    rzf = irs.RZFPrecoder(power="per_user", precision="double")(h, 1.0).numpy()
    v = irs.StructuredPrecoder(precision="double")(h, 1.0).numpy()
    np.testing.assert_allclose(v, rzf, atol=1e-5)  # 1e-7 is added to lambda


def test_refinement_only_raises_the_rate():
    h = groups(10)
    rates = [
        irs.metrics.sum_rate(h, trained_like(num_refine=n)(h, 1.0), 1.0).numpy() for n in (0, 1, 3)
    ]
    assert (rates[1] >= rates[0] - 1e-9).all() and (rates[2] >= rates[1] - 1e-9).all()


def test_zero_channel_gives_finite_numbers_and_gradients():
    h = groups()
    h[0, 1] = 0
    precoder = trained_like()
    with tf.GradientTape() as tape:
        v = precoder(h, 1.0)
        rate = tf.reduce_sum(irs.metrics.sum_rate(h, v, 1.0))
    gradients = tape.gradient(rate, precoder.trainable_variables)
    assert np.isfinite(v.numpy()).all() and np.abs(v.numpy()[0, :, 1]).max() == 0
    assert all(np.isfinite(g.numpy()).all() for g in gradients)


def test_gradient_against_differences():
    precoder, h = trained_like(), groups()
    weights = [precoder.network.message[0][0].kernel, precoder.network.output_map.kernel]

    def rate():
        return tf.reduce_sum(irs.metrics.sum_rate(h, precoder(h, 1.0), 1.0))

    with tf.GradientTape() as tape:
        value = rate()
    for weight, gradient in zip(
        weights, tape.gradient(value, [w.value for w in weights]), strict=True
    ):
        start, step = weight.numpy(), np.random.default_rng(4).normal(size=weight.shape)
        ends = []
        for sign in (1, -1):
            weight.assign(start + sign * 1e-6 * step)
            ends.append(float(rate()))
        weight.assign(start)
        difference = (ends[0] - ends[1]) / 2e-6
        assert abs(np.sum(gradient.numpy() * step) - difference) < 1e-5 * max(1, abs(difference))


@pytest.mark.parametrize("arguments", [{"num_layers": 0}, {"width": -1}, {"num_outputs": 1.5}])
def test_network_refuses(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        irs.UserGraph(**arguments)


def test_precoder_refuses():
    with pytest.raises(ValueError, match="num_refine = -1"):
        irs.StructuredPrecoder(num_refine=-1)
    with pytest.raises(ValueError, match="no = 0"):
        irs.StructuredPrecoder()(groups().astype("complex64"), 0.0)
