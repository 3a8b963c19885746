"""Learned links: twins, energies, ML bound, leak guard, exact error rates."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import erfc

import sionna_irs as irs
from sionna_irs import random
from sionna_irs.phases.sum_path_gain import SumPathGain
from sionna_irs.transceiver.autoencoder import SurfaceAutoencoder
from sionna_irs.transceiver.leak_guard import leak_guard
from sionna_irs.transceiver.ml_detection import ml_decisions
from sionna_irs.transceiver.model_based import svd_symbol_error_rate
from sionna_irs.transceiver.symbol_networks import (
    SymbolConvolution,
    SymbolNetwork,
    normalize_energy,
    symbol_loss,
)

pytestmark = pytest.mark.filterwarnings("ignore:surface_input = 'received")
RNG = np.random.default_rng(7)
DOUBLE = {"precision": "double"}
POWER = 0.03


@pytest.fixture(autouse=True)
def same_weights():
    random.install()
    random.reset(random.stream_key(11))


def channel(num_elements=4, precision="double", **changes):
    return irs.DoubleSurfaceChannel(
        2, 3, num_elements, k_factor=10.0, precision=precision, **changes
    )


def autoencoder(precision="double", surfaces=None, **arguments):
    """A link with weights and averages of no special values, and a block of its inputs."""
    made = channel(precision=precision, surfaces=surfaces)
    settings = {"num_messages": 4, "num_filters": 6, "num_surface_filters": 5, **arguments}
    link = SurfaceAutoencoder(made, precision=precision, **settings)
    rng = np.random.default_rng(3)
    for v in link.encoder.weights + (link.decoder.weights if link.decoder else []):
        v.assign(np.abs(v.numpy()) + 0.3 * rng.random(v.shape) if "var" in v.name else
                 v.numpy() + 0.3 * rng.standard_normal(v.shape))  # fmt: skip
    links = blocks(made, 5, 3)
    link.calibrate(links)
    return link, links, tf.constant(rng.integers(0, 4, [5, 3]), tf.int32)


def blocks(made, batch, length):
    links = made.draw(batch * length)
    return irs.Links({k: tf.reshape(v, [batch, length, *v.shape[1:]]) for k, v in links.items()})


def size(layer):
    return sum(int(np.prod(w.shape)) for w in layer.trainable_weights)


def parts(z):
    return np.concatenate([z.real, z.imag], -1)


def network_twin(net, x):
    """Inference of a stack of convolutions on [batch, L, n], sums over taps written out."""
    for layer in net.convolutions:
        kernel = layer.kernel.numpy()
        reach, length = len(kernel) // 2, x.shape[-2]
        z = np.zeros([*x.shape[:-1], kernel.shape[-1]])
        for use in range(length):
            for tap in range(len(kernel)):
                if 0 <= use + tap - reach < length:
                    z[..., use, :] += x[..., use + tap - reach, :] @ kernel[tap]
        if layer.norm is None:
            z = z + layer.bias.numpy()
        else:
            n = layer.norm
            mean, variance = n.moving_mean.numpy(), n.moving_variance.numpy()
            z = n.gamma.numpy() * (z - mean) / np.sqrt(variance + n.epsilon) + n.beta.numpy()
        x = np.maximum(z, 0) if layer.relu else z
    return x


def encoder_twin(link, messages):
    v = network_twin(link.encoder, np.eye(link.num_messages)[messages])
    energy = np.sum(v**2, -1, keepdims=True)
    if link.norm == "block":
        energy = energy.mean(-2, keepdims=True)
    if link.norm == "batch":
        table = network_twin(link.encoder, np.eye(link.num_messages)[None])
        energy = energy.mean() if link.kernel_size > 1 else np.sum(table**2, -1).mean()
    x = v / np.sqrt(energy)
    return x[..., :2] + 1j * x[..., 2:]


def channel_twin(link, links, x):
    """H of the formula, with diagonal matrices, one use at a time."""
    h1, h2, d, g1, g2 = (links[k].numpy() for k in
                         ("tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx"))  # fmt: skip
    h = np.empty([*x.shape[:2], 3, 2], complex)
    for at in np.ndindex(*x.shape[:2]):

        def theta(node, field, out, at=at):
            seen = {
                "csi": lambda: field.ravel(),
                "cascaded_csi": lambda: np.einsum("rn,nt->nrt", out, field).ravel(),
                "received": lambda: field @ x[at],
            }[link.surface_input]()
            seen = parts(seen)[None] / np.sqrt(link.gains[node].numpy())
            return np.diag(np.exp(1j * network_twin(link.controllers[node], seen)[0]))

        phi1 = theta("s1", h1[at], g1[at])
        second = h2[at] + d[at] @ phi1 @ h1[at]
        h[at] = g1[at] @ phi1 @ h1[at] + g2[at] @ theta("s2", second, g2[at]) @ second
    return h


@pytest.mark.parametrize("surface_input", ["csi", "cascaded_csi", "received"])
@pytest.mark.parametrize("norm, kernel_size", [("batch", 1), ("block", 1), ("symbol", 3)])
def test_link_agrees_with_its_twin(surface_input, norm, kernel_size):
    link, links, messages = autoencoder(
        surface_input=surface_input, norm=norm, kernel_size=kernel_size
    )
    x = link.encode(messages)
    np.testing.assert_allclose(x, encoder_twin(link, messages.numpy()), atol=1e-10)
    h = link.propagate(links, x, POWER)
    wanted = channel_twin(link, links, x.numpy())
    np.testing.assert_allclose(h, wanted, rtol=1e-10, atol=1e-10 * np.abs(wanted).max())
    y = RNG.standard_normal([5, 3, 3]) + 1j * RNG.standard_normal([5, 3, 3])
    known = np.concatenate([y, np.sqrt(POWER) * wanted.reshape(5, 3, -1)], -1)
    known = parts(known) / np.sqrt(1 + POWER * link.gains["rx"].numpy())
    logits = network_twin(link.decoder, known)
    np.testing.assert_allclose(link.receive(tf.constant(y), h, POWER), logits, atol=1e-10)


def test_signal_is_that_of_the_formula_and_noise_has_unit_variance():
    link, _, _ = autoencoder("single")
    links = blocks(link.channel, 1000, 4)
    messages = random.integers([1000, 4], 4)
    y, h = link.transmit(links, messages, POWER)
    noise = y - np.sqrt(POWER) * tf.linalg.matvec(h, link.encode(messages))
    power = np.abs(noise.numpy()) ** 2  # exponential: its mean has a standard error of 1/sqrt(n)
    assert abs(power.mean() - 1) < 5 / np.sqrt(power.size)


def test_parameter_counts_of_the_published_table():
    big = SurfaceAutoencoder(
        irs.DoubleSurfaceChannel(num_elements=16), surface_input="received", num_surface_filters=512
    )

    def count(inputs, filters, outputs, norm_output=False):
        hidden = inputs * filters + filters**2 + 4 * filters
        return hidden + filters * outputs + (2 if norm_output else 1) * outputs

    assert size(big.encoder) == count(16, 256, 8, True)
    assert [size(c) for c in big.controllers.values()] == [count(32, 512, 16)] * 2
    assert size(big.decoder) == count(2 * (4 + 16), 256, 16)
    assert size(big) == sum(size(part) for part in (big.encoder, *big.controllers.values(),
                                                    big.decoder))  # fmt: skip


@pytest.mark.parametrize("norm, axes", [("block", (2,)), ("symbol", ()), ("batch", (1, 2))])
def test_mean_energy_is_one(norm, axes):
    x = normalize_energy(tf.constant(RNG.standard_normal([5, 7, 4])), norm).numpy()
    energy = np.sum(x**2, -1).reshape(5, 1, 7)
    np.testing.assert_allclose(energy.mean(axis=(0, 2) if norm == "batch" else axes), 1)


def test_codebook_has_mean_energy_one_and_no_memory():
    link, _, _ = autoencoder()
    np.testing.assert_allclose(np.sum(np.abs(link.codebook()) ** 2) / 4, 1)
    alone = link.encode(tf.constant([[2]]))[0, 0]
    np.testing.assert_allclose(link.encode(tf.constant([[1, 2, 0]]))[0, 1], alone)
    for changes in ({"norm": "block"}, {"kernel_size": 3}):
        with pytest.raises(ValueError, match="needed for a codebook"):
            autoencoder(**changes)[0].codebook()


def test_convolution_reaches_one_use_to_both_sides():
    layer = SymbolConvolution(2, 3, kernel_size=3, relu=False, **DOUBLE)
    x = np.zeros([1, 7, 2])
    x[0, 3] = 1
    changed = np.any(layer(x).numpy() != layer(np.zeros_like(x)).numpy(), -1)[0]
    assert changed.tolist() == [False, False, True, True, True, False, False]


def test_averages_move_in_training_only():
    net = SymbolNetwork(2, 3, 1, **DOUBLE)
    x = RNG.standard_normal([4, 5, 2])
    before = net(x).numpy()
    net(x, training=True)
    assert np.any(net(x).numpy() != before)


@pytest.mark.parametrize("surface_input", ["csi", "received"])
def test_ml_decisions_are_those_of_brute_force(surface_input):
    link, links, messages = autoencoder(surface_input=surface_input)
    power = 0.3
    y, h = link.transmit(links, messages, power)
    distances = []
    for message in range(4):
        x = encoder_twin(link, np.full([5, 3], message))
        mean = np.sqrt(power) * np.einsum("blrt,blt->blr", channel_twin(link, links, x), x)
        distances.append(np.sum(np.abs(y.numpy() - mean) ** 2, -1))
    for known in (None, h):  # where phases depend on the message, one channel is not enough
        decided = ml_decisions(link, links, y, power, known)
        np.testing.assert_array_equal(decided, np.argmin(distances, 0))


def test_codebook_decoder_is_the_posterior_and_power_may_differ_per_use():
    link, links, messages = autoencoder(decoder_input="codebook")
    power = tf.constant(RNG.uniform(0.01, 1, [5, 3]))
    y, h = link.transmit(links, messages, power)
    logits = link.receive(y, h, power).numpy()
    means = np.einsum("bl,blrt,mt->blrm", np.sqrt(power), h, link.codebook())
    np.testing.assert_allclose(logits, -np.sum(np.abs(y.numpy()[..., None] - means) ** 2, -2))
    np.testing.assert_array_equal(ml_decisions(link, links, y, power), logits.argmax(-1))
    assert size(link) == size(link.encoder) + sum(size(c) for c in link.controllers.values())


def test_phases_come_from_policies_and_from_the_surfaces_themselves():
    phases = RNG.uniform(0, 6, [2, 4])
    panel = irs.UPA(2, 2)
    own = {
        f"s{k + 1}": irs.IdealPhases(panel, trainable=True, initial=phases[k].tolist(), **DOUBLE)
        for k in range(2)
    }
    link, links, messages = autoencoder(surfaces=own, surface_input="static")
    theta = {f"s{k + 1}": tf.constant(np.exp(1j * phases[k])) for k in range(2)}
    flat = {k: tf.reshape(v, [15, *v.shape[2:]]) for k, v in links.items()}
    wanted = link.channel.compose(flat, theta).numpy().reshape(5, 3, 3, 2)
    x = link.encode(messages)
    np.testing.assert_allclose(link.propagate(links, x, POWER), wanted)
    np.testing.assert_allclose(link.reference(links), wanted)
    assert sum(w.shape == (4,) and "control" in w.name for w in link.trainable_weights) == 2

    policy = SumPathGain(**DOUBLE)
    link, links, _ = autoencoder(surface_input="policy", policy=policy)
    random.reset(random.stream_key(1))
    h = link.propagate(links, None, POWER).numpy()
    random.reset(random.stream_key(1))
    flat = {k: tf.reshape(v, [15, *v.shape[2:]]) for k, v in links.items()}
    wanted = link.channel.compose(flat, link.channel.reflect(policy(flat)))
    np.testing.assert_allclose(h.reshape(15, 3, 2), wanted)


@pytest.mark.parametrize("decoder_input", ["y_and_h", "y", "y_and_h_ref", "h_only"])
def test_every_variant_gives_logits_and_gradients(decoder_input):
    inputs = "received_noisy" if decoder_input == "y" else "cascaded_csi"
    link, links, messages = autoencoder("single", decoder_input=decoder_input, surface_input=inputs)
    with tf.GradientTape() as tape:
        logits = link(links, messages, POWER, training=True)
        value = symbol_loss(logits, messages)
    gradients = tape.gradient(value, [w.value for w in link.trainable_weights])
    assert logits.shape == (5, 3, 4) and np.isfinite(value)
    blind = [w.path for w, g in zip(link.trainable_weights, gradients, strict=True) if g is None]
    assert decoder_input == "h_only" or not blind  # the channel alone knows nothing of the signal


def test_compiled_link_and_link_from_its_configuration_give_the_same():
    link, links, messages = autoencoder("single")
    again = SurfaceAutoencoder.from_config(link.get_config())
    for new, old in zip(again.weights, link.weights, strict=True):
        new.assign(old)

    def run(layer):
        random.reset(random.stream_key(5))
        return layer(links, messages, POWER)

    wanted = run(link).numpy()
    np.testing.assert_array_equal(run(again), wanted)
    compiled = tf.function(lambda: run(link), jit_compile=True, autograph=False)()
    np.testing.assert_allclose(compiled, wanted, atol=2e-5 * np.abs(wanted).max())


def test_losses_are_those_of_the_formulas():
    logits, messages = RNG.standard_normal([3, 2, 5]), RNG.integers(0, 5, [3, 2])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    target = np.eye(5)[messages]
    categorical = -np.mean(np.log((p * target).sum(-1)))
    binary = -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))
    found = [symbol_loss(tf.constant(logits), tf.constant(messages), k)
             for k in ("categorical", "binary")]  # fmt: skip
    np.testing.assert_allclose(found, [categorical, binary], rtol=1e-12)
    certain = tf.constant([[200.0, 0.0]])
    assert all(np.isfinite(symbol_loss(certain, tf.constant([m]), "binary")) for m in (0, 1))


@pytest.mark.parametrize(
    "counts, leaks, words",
    [
        ((305, 300, 1000, 16), False, "compatible"),
        ((260, 300, 1000, 16), False, "compatible"),  # within the intervals
        ((1, 416, 1000, 16), True, "below the ML bound"),
        ((305, 300, 1000, 16, 935), False, "compatible"),  # guessing: 937.5
        ((305, 300, 1000, 16, 700), True, "without the received signal"),
        ((0, 3, 10, 4), False, "compatible"),  # too few symbols to accuse
    ],
)
def test_verdict_of_the_guard(counts, leaks, words):
    report = leak_guard(*counts)
    assert report.leaks == leaks and words in report.reason
    if leaks:
        with pytest.raises(ValueError, match="has no symbol error rate"):
            report.symbol_error_rate  # noqa: B018
    else:
        assert report.symbol_error_rate == counts[0] / counts[2]


def test_guard_refuses_impossible_counts():
    for counts in ((1001, 1, 1000, 4), (1, -1, 1000, 4), (0, 0, 0, 4), (0, 0, 5, 1)):
        with pytest.raises(ValueError, match="is needed"):
            leak_guard(*counts)
    with pytest.raises(ValueError, match="confidence = 1"):
        leak_guard(1, 1, 10, 4, confidence=1)


def test_guard_catches_a_link_that_reads_its_messages_from_the_channel():
    made = channel(precision="single")
    pool = blocks(made, 100, 16)
    link = SurfaceAutoencoder(
        made, 4, surface_input="received", num_filters=24, num_surface_filters=24
    )
    link.calibrate(pool)
    optimizer = keras.optimizers.Adam(5e-3)
    optimizer.build(link.trainable_variables)

    @tf.function(autograph=False)
    def train():
        chosen = random.integers([32], 100)
        messages = random.integers([32, 16], 4)
        with tf.GradientTape() as tape:
            links = irs.Links({k: tf.gather(v, chosen) for k, v in pool.items()})
            loss = symbol_loss(link(links, messages, POWER, training=True), messages)
        weights = link.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    for _ in range(250):
        train()
    links, messages = blocks(made, 250, 16), random.integers([250, 16], 4)
    y, h = link.transmit(links, messages, POWER)
    decided = (
        tf.argmax(link.receive(y, h, POWER), -1, tf.int32),
        ml_decisions(link, links, y, POWER),
    )
    errors, bound = (int(tf.math.count_nonzero(d != messages)) for d in decided)
    report = leak_guard(errors, bound, 4000, 4)
    assert report.leaks and "below the ML bound" in report.reason


def test_an_honest_link_over_random_phases_passes_the_guard():
    """Judged over the channel that carried the signal: a draw of its own would accuse it."""
    link, _, _ = autoencoder("single", surface_input="policy", decoder_input="codebook",
                             policy=irs.RandomPhases())  # fmt: skip
    links, messages = blocks(link.channel, 250, 16), random.integers([250, 16], 4)
    power = 10.0
    y, h = link.transmit(links, messages, power)
    decided = (
        tf.argmax(link.receive(y, h, power), -1, tf.int32),
        ml_decisions(link, links, y, power, h=h),
    )
    np.testing.assert_array_equal(*decided)
    errors, bound = (int(tf.math.count_nonzero(d != messages)) for d in decided)
    # Far from guessing, or the guard would have nothing to see.
    assert errors < 0.6 * 4000 and not leak_guard(errors, bound, 4000, 4).leaks
    with pytest.raises(ValueError, match="^h = None with surface_input = 'policy'"):
        ml_decisions(link, links, y, power)


def singular_ser(h, power, num_messages, num_streams):
    s = np.linalg.svd(h)[1][..., :num_streams]
    order = num_messages ** (1 / num_streams)
    snr = power / np.sum(1 / s**2, -1)
    p = (1 - 1 / np.sqrt(order)) * erfc(np.sqrt(1.5 * snr / (order - 1)))
    return 1 - (1 - p) ** (2 * num_streams)


@pytest.mark.parametrize("num_messages, num_streams", [(16, 1), (16, 2), (4, 1), (64, 3)])
def test_exact_error_rate_agrees_with_its_twin(num_messages, num_streams):
    h = RNG.standard_normal([6, 4, 3]) + 1j * RNG.standard_normal([6, 4, 3])
    power = np.array(0.6)
    found = svd_symbol_error_rate(tf.constant(h), tf.constant(power), num_messages, num_streams)
    # One stream: by power iterations, which converge like the ratio of the singular values.
    rtol = 1e-6 if num_streams == 1 else 1e-10
    np.testing.assert_allclose(found, singular_ser(h, power, num_messages, num_streams), rtol=rtol)


def test_exact_error_rate_is_that_of_counted_symbols():
    random.reset(random.stream_key(3))
    h = random.complex_normal([4, 4])
    _, u, v = irs.linalg.svd(h)
    qam, power, count = irs.QAM(4), 0.5, 40_000
    labels = qam.draw([count])
    x = qam.modulate(labels)[:, None] * v[:, 0]
    y = irs.apply(np.sqrt(power) * h, x, 1.0)
    seen = tf.linalg.matvec(u[:, :1], y, adjoint_a=True)[:, 0]
    s = svd_symbol_error_rate(h, power)
    gain = tf.cast(np.sqrt(power) * irs.linalg.svd(h)[0][0], seen.dtype)
    _, errors = qam.count_errors(labels, qam.decide(seen / gain))
    exact = float(s)
    assert abs(float(errors) / count - exact) < 5 * np.sqrt(exact * (1 - exact) / count)


def test_error_rates_of_the_reference_scenario():
    made = irs.DoubleSurfaceChannel(num_elements=16, k_factor=10.0)
    links = made.draw(400)
    h = {
        "optimised": made.compose(links, made.reflect(SumPathGain()(links))),
        "random": made.compose(links, made.reflect(irs.RandomPhases()(links))),
    }
    for phases, streams, m, power_dbm, wanted in (
        ("optimised", 1, 16, 10, 0.653), ("optimised", 1, 16, 15, 0.382),
        ("optimised", 1, 16, 20, 0.0849), ("optimised", 1, 4, 10, 0.171),
        ("optimised", 2, 16, 15, 0.360), ("random", 1, 16, 15, 0.821), ("random", 1, 4, 15, 0.454),
    ):  # fmt: skip
        rates = svd_symbol_error_rate(h[phases], 10 ** (power_dbm / 10 - 3), m, streams).numpy()
        # The reference is a mean over 100 channels.
        tolerance = 5 * rates.std() * np.sqrt(1 / 400 + 1 / 100)
        assert abs(rates.mean() - wanted) < tolerance, (phases, streams, m, power_dbm)


def test_published_architecture_warns():
    with pytest.warns(UserWarning, match="judge the link by leak_guard"):
        autoencoder(surface_input="received")


def test_bad_arguments_are_refused():
    made = channel(precision="single")
    for arguments, words in (
        ({"surface_input": "csit"}, "surface_input = 'csit'"),
        ({"decoder_input": "h"}, "decoder_input = 'h'"),
        ({"norm": "l2"}, "norm = 'l2'"),
        ({"surface_input": "policy"}, "policy = None"),
        ({"policy": irs.RandomPhases()}, "a policy is needed with 'policy'"),
        ({"num_messages": 1}, "num_messages = 1"),
        ({"kernel_size": 2}, "kernel_size = 2"),
        ({"decoder_input": "codebook", "surface_input": "received"}, "decoder_input = 'codebook'"),
        ({"decoder_input": "codebook", "norm": "block"}, "decoder_input = 'codebook'"),
        ({"surface_noise_power": -1.0}, "surface_noise_power = -1.0"),
    ):
        with pytest.raises(ValueError, match=words):
            SurfaceAutoencoder(made, **arguments)
    link, links, messages = autoencoder("single")
    for broken in ({k: v[0] for k, v in links.items()},
                   {k: v for k, v in links.items() if k != "s1>s2"}):  # fmt: skip
        with pytest.raises(ValueError, match="links"):
            link(broken, messages, POWER)
    noisy, links, messages = autoencoder("single", surface_input="received_noisy")
    with pytest.raises(ValueError, match="phases without noise"):
        ml_decisions(noisy, links, tf.zeros([5, 3, 3], tf.complex64), POWER)
    h = tf.zeros([3, 2], tf.complex64)
    for m, streams in ((8, 1), (16, 3), (4, 2), (12, 1)):
        with pytest.raises(ValueError, match="needed"):
            svd_symbol_error_rate(h, 1.0, m, streams)
    with pytest.raises(ValueError, match="kind = 'mse'"):
        symbol_loss(tf.zeros([1, 4]), tf.constant([0]), "mse")
