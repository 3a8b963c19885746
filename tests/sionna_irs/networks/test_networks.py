"""Networks of cells: twins, parameter counts, scaling, shipped weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import random
from sionna_irs.networks.adam import Adam, warm_cosine
from sionna_irs.search.cell import Cell
from sionna_irs.search.genotype import EXTENDED

RNG = np.random.default_rng(4)
STATISTICS = irs.CascadedChannel(4, 6).statistics


def maps(*shape):
    return RNG.standard_normal(shape)


def size(layer, trainable=True):
    chosen = layer.trainable_weights if trainable else layer.weights
    return sum(int(np.prod(w.shape)) for w in chosen)


def genotype(num_cells, num_nodes, operations):
    edges = iter(operations)
    return irs.Genotype(
        [[[next(edges) for _ in range(2 + j)] for j in range(num_nodes)] for _ in range(num_cells)]
    )


@pytest.mark.parametrize(
    "num_cells, num_nodes, operations, total",
    [
        (2, 1, ["conv"] * 2 + ["sep", "dil"], 87_552),
        (5, 1, ["sep"] * 9 + ["conv"], 100_944),
        (3, 2, ["conv", "skip"] * 2 + ["skip", "zero"] * 5 + ["skip"], 95_904),
        (3, 3, ["conv"] * 6 + ["sep"] * 9 + ["dil"] * 9 + ["skip", "zero", "zero"], 239_424),
    ],
)
def test_trainable_numbers_of_the_published_networks(num_cells, num_nodes, operations, total):
    assert size(irs.CellNetwork(genotype(num_cells, num_nodes, operations))) == total


def test_trainable_numbers_of_cdrn():
    network = irs.CDRN()
    assert (size(network), size(network, trainable=False)) == (1_560_960, 1_566_720)


def twin_convolution(x, kernel, rate):
    """[H, W, in] with [3, 3, in, out], zeros around, by loops."""
    height, width, _ = x.shape
    out = np.zeros([height, width, kernel.shape[-1]])
    for i in range(height):
        for j in range(width):
            for a in range(3):
                for b in range(3):
                    k, m = i + rate * (a - 1), j + rate * (b - 1)
                    if 0 <= k < height and 0 <= m < width:
                        out[i, j] += x[k, m] @ kernel[a, b]
    return out


@pytest.mark.parametrize("kind, rate", [("conv", 1), ("sep", 1), ("dil", 2), ("point", 1)])
def test_convolutions_against_loops(kind, rate):
    layer = irs.Convolution(kind, 3, 2, norm=False, precision="double")
    layer.bias.assign([0.3, -0.2])
    x = maps(2, 4, 5, 3)
    y = []
    for sample in x:
        z = sample
        if layer.depthwise is not None:
            taps = np.zeros([3, 3, 3, 3])
            taps[..., range(3), range(3)] = layer.depthwise.numpy()[..., 0]
            z = twin_convolution(z, taps, rate)
        kernel = layer.kernel.numpy()
        z = z @ kernel[0, 0] if kernel.shape[0] == 1 else twin_convolution(z, kernel, 1)
        z = z + [0.3, -0.2]
        y.append(np.where(z > 0, z, 0.2 * z))
    np.testing.assert_allclose(layer(x), y, atol=1e-12)


def test_batch_norm_against_its_formula_and_its_averages():
    layer = irs.BatchNorm(3, momentum=0.8, epsilon=1e-3, precision="double")
    layer.gamma.assign([1.0, 2.0, 3.0])
    layer.beta.assign([0.5, 0.0, -1.0])
    x = maps(4, 2, 5, 3)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = (x - mean) / np.sqrt(variance + 1e-3) * [1, 2, 3] + [0.5, 0, -1]
    np.testing.assert_allclose(layer(x, training=True), expected, atol=1e-12)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.2 * mean, atol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.8 + 0.2 * variance, atol=1e-12)
    still = (x - 0.2 * mean) / np.sqrt(0.8 + 0.2 * variance + 1e-3) * [1, 2, 3] + [0.5, 0, -1]
    np.testing.assert_allclose(layer(x), still, atol=1e-12)


def hessian(variance, x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = variance(x)
        gradient = inner.gradient(value, x)
    return outer.jacobian(gradient, x).numpy()


def test_second_derivative_of_the_variance_is_exact_here_and_not_in_tf_nn_moments():
    x = tf.constant(maps(4, 1))
    exact = (np.eye(4) - 0.25) / 2

    def ours(x):
        layer = irs.BatchNorm(1, momentum=0.0, precision="double")
        weights = [w.value for w in layer.trainable_variables]
        layer.build()
        # y^2 summed is n v / (v + epsilon); the variance itself comes back from it.
        y, _ = layer.stateless_call(
            weights, [w.value for w in layer.non_trainable_variables], x, training=True
        )
        share = tf.reduce_mean(y**2)
        return share * 1e-5 / (1 - share)

    np.testing.assert_allclose(hessian(ours, x)[:, 0, :, 0], exact, atol=1e-9)
    wrong = hessian(lambda x: tf.nn.moments(x, [0, 1])[1], x)[:, 0, :, 0]
    np.testing.assert_allclose(wrong - exact, 0.125, atol=1e-12)


def test_antenna_context_is_a_mean_and_serves_any_number_of_antennas():
    layer = irs.AntennaContext(3, precision="double")
    x = maps(2, 4, 5, 3)
    hidden = x.mean(1, keepdims=True) @ layer.inner.kernel.numpy()[0, 0]
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)
    expected = np.repeat(hidden @ layer.outer.kernel.numpy()[0, 0], 4, 1)
    exact = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(layer(x), expected, **exact)
    np.testing.assert_allclose(layer(np.concatenate([x, x], 1))[:, :4], expected, **exact)


def test_the_relaxed_network_at_a_corner_is_the_derived_network():
    operations = EXTENDED
    relaxed = irs.CellNetwork(irs.Genotype.relaxed(2, 1, operations), num_filters=3)
    chosen = [["conv", "ctx"], ["skip", "sep"]]
    derived = irs.CellNetwork(irs.Genotype([[cell] for cell in chosen]), num_filters=3)
    mixing = np.zeros([2, 2, 6])
    for i, cell in enumerate(chosen):
        for j, name in enumerate(cell):
            mixing[i, j, operations.index(name)] = 1
            source = [n for n in operations if n not in ("skip", "zero")]
            for target in derived.cells[i].edges[j].layers:
                origin = relaxed.cells[i].edges[j].layers[source.index(name)]
                target.set_weights(origin.get_weights())
    for part in ("stems", "decoder"):
        for a, b in zip(getattr(derived, part), getattr(relaxed, part), strict=True):
            a.set_weights(b.get_weights())
    for a, b in zip(derived.cells, relaxed.cells, strict=True):
        for p, q in zip(a.preparations, b.preparations, strict=True):
            p.set_weights(q.get_weights())
    derived.dense.set_weights(relaxed.dense.get_weights())
    derived.last.set_weights(relaxed.last.get_weights())
    x = maps(2, 4, 5, 2)
    np.testing.assert_allclose(
        derived(x, training=True), relaxed(x, mixing=mixing, training=True), atol=1e-5
    )


def test_a_node_sums_its_edges_and_zero_removes_one():
    nodes = ((("skip",), ("zero",)), (("zero",), ("skip",), ("skip",)))
    cell = Cell(nodes, (2, 3), 2, norm=False, precision="double")
    s0, s1 = maps(1, 3, 4, 2), maps(1, 3, 4, 3)
    a, b = (p(s).numpy() for p, s in zip(cell.preparations, (s0, s1), strict=True))
    np.testing.assert_allclose(cell(s0, s1), np.concatenate([a, b + a], -1), atol=1e-12)


def test_genotypes_travel_as_json_and_rebuild_the_same_network():
    one = genotype(2, 2, ["skip", "conv", "zero", "ctx", "sep"] * 2)
    again = irs.Genotype.from_json(one.to_json())
    assert again == one and hash(again) == hash(one)
    assert (one.num_cells, one.num_nodes, one.num_edges, one.count("ctx")) == (2, 2, 5, 2)
    network = irs.CellNetwork(one, num_filters=4)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    copy.set_weights(network.get_weights())
    x = maps(1, 3, 4, 2)
    np.testing.assert_array_equal(network(x), copy(x))


@pytest.mark.parametrize(
    "cells, text",
    [
        ([], "at least one cell"),
        ([[["skip"]]], "edges into its nodes"),
        ([[["skip", "pool"]]], "'pool'"),
        ([[["skip", "conv"]], [["skip", "conv"], ["skip"] * 3]], r"cells\[1\]"),
    ],
)
def test_wrong_genotypes_are_refused(cells, text):
    with pytest.raises(ValueError, match=text):
        irs.Genotype(cells)


def test_mixing_weights_belong_to_the_relaxed_network_alone():
    derived = irs.CellNetwork(genotype(1, 1, ["skip", "conv"]), num_filters=2)
    with pytest.raises(ValueError, match="takes no mixing"):
        derived(maps(1, 3, 4, 2), mixing=np.ones([1, 2, 1]))
    relaxed = irs.CellNetwork(irs.Genotype.relaxed(1, 1), num_filters=2)
    with pytest.raises(ValueError, match="needs mixing"):
        relaxed(maps(1, 3, 4, 2))


def silent(output, **kwargs):
    """A denoiser whose network gives zeros."""
    network = irs.CellNetwork(
        genotype(1, 1, ["skip", "conv"]), num_filters=2, num_channels=3, precision="double"
    )
    network.last.kernel.assign(tf.zeros_like(network.last.kernel))
    return irs.Denoiser(network, output, **kwargs)


def test_around_a_silent_network_stand_the_linear_estimates():
    u = maps(3, 4, 5) + 1j * maps(3, 4, 5)
    variance = np.array([0.1, 1.0, 4.0])
    gain = 2 / (2 + variance[:, None, None])
    wiener = silent("wiener", entry_power=2.0)
    np.testing.assert_allclose(wiener(u, variance), gain * u, atol=1e-12)
    np.testing.assert_allclose(silent("residual")(u, variance), u, atol=1e-12)
    np.testing.assert_allclose(silent("direct")(u, variance), 0 * u, atol=1e-12)
    measured = np.mean(np.abs(u) ** 2, (1, 2)) - variance
    measured = np.maximum(measured, 0.05 * variance)[:, None, None]
    gain = measured / (measured + variance[:, None, None])
    np.testing.assert_allclose(silent("wiener")(u, variance), gain * u, atol=1e-12)


def test_the_error_of_a_silent_network_is_that_of_the_scalar_lmmse():
    random.reset(random.stream_key(3))
    u = random.complex_normal([400, 4, 6], tf.complex128, 2.0)
    denoiser = silent("wiener", entry_power=2.0)
    before = denoiser.error_variance(u, 0.3).numpy()
    np.testing.assert_allclose(before, 0.3)
    denoiser.calibrate(u, random.complex_normal([400, 4, 6], tf.complex128))
    for variance in (0.02, 0.2, 2.0, 20.0):
        error = float(denoiser.error_variance(u, variance)[0, 0, 0])
        # 9600 entries: 1 % standard error; the grid has a node there.
        assert error == pytest.approx(2 * variance / (2 + variance), rel=0.055)


@pytest.mark.parametrize("output", ["wiener", "residual", "direct"])
def test_denoisers_follow_the_scale_of_the_channel(output):
    network = irs.CellNetwork(
        genotype(1, 1, ["ctx", "conv"]), num_filters=4, num_channels=3, precision="double"
    )
    u = maps(2, 4, 5) + 1j * maps(2, 4, 5)
    small = irs.Denoiser(network, output, entry_power=0.5)(u, 0.3)
    large = irs.Denoiser(network, output, entry_power=50.0)(10 * u, 30.0)
    np.testing.assert_allclose(10 * small.numpy(), large, atol=1e-10)
    free = irs.Denoiser(network, output)
    np.testing.assert_allclose(10 * free(u, 0.3).numpy(), free(10 * u, 30.0), atol=1e-10)


def test_denoisers_refuse_what_they_cannot_do():
    network = irs.CDRN(1, 1, 2)
    for arguments, text in (
        ({"output": "sum"}, "output = 'sum'"),
        ({"entry_power": 0.0}, "entry_power"),
    ):
        with pytest.raises(ValueError, match=text):
            irs.Denoiser(network, **arguments)
    with pytest.raises(ValueError, match="input channels"):
        irs.Denoiser(irs.CellNetwork(genotype(1, 1, ["skip", "conv"]), 2, num_channels=4))


def test_cdrn_without_weights_leaves_its_input():
    network = irs.CDRN(num_blocks=2, num_layers=1, num_filters=2)
    for block in network.blocks:
        block[-1].kernel.assign(tf.zeros_like(block[-1].kernel))
    x = maps(1, 3, 4, 2).astype(np.float32)
    np.testing.assert_array_equal(network(x), x)


@pytest.mark.parametrize("shape", [(2, 3), (16, 8), (5, 40)])
def test_one_network_serves_any_number_of_antennas_elements_and_patterns(shape):
    num_ant, num_elements = shape
    pilots = irs.SurfacePilots(num_elements, num_elements + 3)
    estimator = irs.LearnedEstimator.from_pretrained("cenas-all-snr", pilots)
    u = irs.CascadedChannel(num_ant, num_elements).draw(2).cascaded()
    u_hat, err_var = estimator(pilots(u, 0.1), 0.1)
    assert u_hat.shape == u.shape and err_var.shape == (2, 1, 1)
    assert np.all((err_var.numpy() > 0) & (err_var.numpy() < 0.1 / (num_elements + 3)))


def unit_cascade(batch):
    """The channels of the training, scaled to entries of unit power."""
    channel = irs.CascadedChannel(8, 32)
    return channel.draw(batch).cascaded() / np.sqrt(channel.statistics.rho_c)


def unit_hops(batch):
    """What a user composes of hops whose gains are left at 1."""
    user, panel, base = irs.ULA(1), irs.ULA(32), irs.ULA(8)
    channel = irs.SurfaceChannel(
        {"tx>s1": irs.RayleighHop(user, panel), "s1>rx": irs.RicianHop(panel, base, 10.0),
         "tx>rx": irs.RayleighHop(user, base)},
        {"s1": irs.IdealPhases(panel)},
    )  # fmt: skip
    return channel.draw(batch).cascaded()


@pytest.mark.parametrize("draw", [unit_cascade, unit_hops])
def test_the_shipped_network_is_no_worse_than_least_squares_at_any_power(draw):
    """Paired on the same pilots, within 4 standard errors, at the SNR of an entry."""
    irs.random.install()
    irs.random.reset(irs.random.stream_key(23))
    pilots, batch = irs.SurfacePilots(32, 33), 40
    learned = irs.LearnedEstimator.from_pretrained("cenas-all-snr", pilots)
    u = draw(batch)
    assert np.mean(np.abs(u) ** 2) == pytest.approx(1, abs=0.15)
    for snr_db in (-15, -10, -5, 0, 5, 10, 15, 20):
        variance = 10 ** (-snr_db / 10)
        y = pilots(u, 33 * variance)
        errors = [
            np.sum(np.abs(estimator(y, 33 * variance)[0] - u) ** 2, (1, 2))
            for estimator in (learned, irs.LSEstimator(pilots))
        ]
        lost = errors[0] - errors[1]
        assert lost.mean() < 4 * lost.std() / np.sqrt(batch), snr_db
        # Least squares is unbiased: its error is that of the noise.
        assert errors[1].mean() == pytest.approx(8 * 33 * variance, rel=0.1)


def test_the_power_of_the_training_is_a_choice():
    load = irs.LearnedEstimator.from_pretrained
    trained = irs.CascadedChannel(16, 64).statistics.rho_c
    assert load().denoiser.entry_power is None
    assert load(entry_power=2.0).denoiser.entry_power == 2.0
    assert load(entry_power="trained").denoiser.entry_power == pytest.approx(trained)
    for power in (0.0, "train"):
        with pytest.raises(ValueError, match=f"entry_power = {power!r}; a positive number"):
            load(entry_power=power)


def test_adam_takes_the_steps_of_keras():
    values = [tf.constant(maps(3)), tf.constant(maps(2, 2))]
    theirs = [keras.Variable(v, dtype="float64") for v in values]
    optimizer = keras.optimizers.Adam(0.01, beta_2=0.99, global_clipnorm=1.0)
    ours = Adam(0.01, beta_2=0.99, clip=1.0)
    slots = ours.start(values)
    for _ in range(5):
        gradients = [tf.constant(3 * maps(*v.shape)) for v in values]
        values, slots = ours.step(values, gradients, slots)
        optimizer.apply(gradients, theirs)
    for a, b in zip(values, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-7)


def test_the_rate_rises_linearly_and_falls_as_a_cosine():
    rate = warm_cosine(4e-3, 1000, warmup_steps=100, final=1e-4)
    assert float(rate(0)) == pytest.approx(4e-5)
    assert float(rate(100)) == pytest.approx(4e-3)
    assert float(rate(550)) == pytest.approx((4e-3 + 1e-4) / 2)
    assert float(rate(1000)) == pytest.approx(1e-4)


def test_weights_come_back_and_damage_is_noticed(tmp_path):
    layer = irs.CDRN(1, 2, 3)
    irs.weights.save(layer, tmp_path, "small", {"seed": 3})
    again = irs.weights.load("small", tmp_path)
    for a, b in zip(layer.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert irs.weights.card("small", tmp_path)["seed"] == 3
    with pytest.raises(ValueError, match="does not fit"):
        irs.weights.load("small", tmp_path, num_filters=4)
    file = tmp_path / "small.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ValueError, match="damaged"):
        irs.weights.load("small", tmp_path)
    with pytest.raises(ValueError, match="one of"):
        irs.weights.load("nowhere")


@pytest.mark.parametrize("name", irs.weights.names())
def test_every_shipped_weight_has_a_card_and_loads(name):
    card = irs.weights.card(name)
    assert {"experiment", "command", "date", "training_s", "config", "results"} <= set(card)
    layer = irs.weights.load(name)
    assert size(layer) == card["num_weights"]
