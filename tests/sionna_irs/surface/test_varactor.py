"""The varactor element against its circuit, its check values and its promises."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from varactor_twin import twin

import sionna_irs as irs
from sionna_irs import random, testing
from sionna_irs.surface.varactor import Varactor

RNG = np.random.default_rng(1)
FINE = np.linspace(0.1, 0.5, 4001)
TABLE_PF = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
SETTINGS = [
    {},
    {"carrier_frequency": 8e9},
    {"incidence_deg": 88.0},
    {"incidence_deg": 60.0, "polarization": "TM"},
    {"carrier_frequency": 12e9, "inductance": 0.7e-9, "capacitance_range_pf": (0.2, 1.0)},
    {"period": 6e-3, "gap": 1e-3, "thickness": 0.8e-3, "permittivity": 3.5, "incidence_deg": 30.0},
]


def surface(num=5, precision="double", **settings):
    return Varactor(irs.ULA(num), precision=precision, **settings)


def controls(settings, num=300):
    return np.linspace(*settings.get("capacitance_range_pf", (0.1, 0.5)), num)


@pytest.mark.parametrize(
    "frequency, magnitude, degree",
    [
        (
            6e9, [0.99190, 0.96594, 0.96478, 0.99458, 0.99835],
            [141.359, 93.873, -92.025, -148.604, -162.862],
        ),
        (
            8e9, [0.90879, 0.99067, 0.99811, 0.99945, 0.99982],
            [-22.08, -144.20, -164.14, -171.43, -175.18],
        ),
    ],
)  # fmt: skip
def test_published_check_values(frequency, magnitude, degree):
    theta = surface(carrier_frequency=frequency)(TABLE_PF).numpy()
    np.testing.assert_allclose(np.abs(theta), magnitude, atol=6e-6)
    digits = 6e-4 if frequency == 6e9 else 6e-3
    np.testing.assert_allclose(np.degrees(np.angle(theta)), degree, atol=digits)


def test_resonance():
    layer = surface(len(FINE))
    theta = layer(FINE).numpy()
    assert np.abs(theta).min() == pytest.approx(0.9284, abs=5e-5)
    assert FINE[np.abs(theta).argmin()] == pytest.approx(0.2530, abs=1e-4)
    span = np.degrees(np.ptp(np.unwrap(np.angle(theta))))
    assert span == pytest.approx(304.2, abs=0.05)
    assert np.abs(layer.derivative(FINE)).max() == pytest.approx(39.3, abs=0.05)


def test_incidence():
    num = len(FINE)
    grazing = surface(num, incidence_deg=88.0)(FINE).numpy()
    degree = np.degrees(np.angle(grazing))
    np.testing.assert_allclose(degree[[0, -1]], [178.8, -179.4], atol=0.05)
    away = FINE[np.abs(np.degrees(np.angle(-grazing))) > 10]
    np.testing.assert_allclose(away[[0, -1]], [0.254, 0.290], atol=5e-4)
    assert np.abs(grazing).min() == pytest.approx(0.03, abs=0.005)
    # The angle of the published scenario hardly matters.
    normal, tilted = surface(num)(FINE).numpy(), surface(num, incidence_deg=3.43)(FINE).numpy()
    assert np.degrees(np.abs(np.angle(tilted / normal))).max() < 0.3
    other = surface(num, polarization="TM")(FINE).numpy()
    np.testing.assert_allclose(other, normal, atol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
def test_against_the_formulas(settings):
    c = controls(settings)
    layer = surface(len(c), **settings)
    np.testing.assert_allclose(layer(c), twin(c, **settings), atol=1e-10)
    assert np.abs(layer(c)).max() <= 1 + 1e-12  # passive
    # Slope: central differences of step h are off by h^2 |Gamma'''|/6.
    h, inner = 1e-6, c[1:-1]
    slope = (twin(inner + h, **settings) - twin(inner - h, **settings)) / (2 * h)
    found = layer.derivative(c).numpy()
    np.testing.assert_allclose(found[1:-1], slope, atol=1e-6 * np.abs(found).max())
    plus, minus = inner.max() + 0 * c, c
    exact = twin(plus, **settings) - twin(minus, **settings)
    np.testing.assert_allclose(layer.difference(plus, minus), exact, atol=1e-10)


def test_own_resonance_of_the_varactor_is_a_short():
    frequency = 12e9
    c = 1e12 / ((2 * np.pi * frequency) ** 2 * 0.5e-9)
    assert 0.1 < c < 0.5
    layer = surface(1, carrier_frequency=frequency)
    np.testing.assert_allclose(layer([c]), [-1], atol=1e-12)
    assert np.isfinite(layer.derivative([c])).all()


def test_derivative_is_the_gradient():
    layer = surface(initial="random", trainable=True)
    with tf.GradientTape(persistent=True) as tape:
        theta = layer()
        real, imag = (tf.reduce_sum(part(theta)) for part in (tf.math.real, tf.math.imag))
    (own,) = layer.trainable_variables
    gradient = tape.gradient(real, own.value).numpy() + 1j * tape.gradient(imag, own.value).numpy()
    np.testing.assert_allclose(layer.derivative(), gradient, rtol=1e-10)


def test_difference_does_not_cancel():
    step = np.float32(1e-5)
    minus = RNG.uniform(0.1, 0.49, 200).astype(np.float32)
    plus = minus + step
    exact = surface(200).difference(plus.astype(float), minus.astype(float)).numpy()
    taylor = surface(200).derivative((plus.astype(float) + minus) / 2) * (
        plus.astype(float) - minus
    )
    np.testing.assert_allclose(exact, taylor, rtol=1e-6)
    single = surface(200, "single")
    np.testing.assert_allclose(single.difference(plus, minus), exact, rtol=3e-6)
    naive = (single(plus) - single(minus)).numpy()
    assert np.abs(naive / exact - 1).max() > 1e-3


@pytest.mark.parametrize(
    "settings, slope, error",
    [
        ({}, 39.3, 1e-6),
        ({"carrier_frequency": 8e9}, 43.6, 1e-6),
        ({"incidence_deg": 88}, 294, 1e-5),
    ],
)
def test_single_precision(settings, slope, error):
    c = FINE.astype(np.float32)
    single, double = (surface(len(c), p, **settings) for p in ("single", "double"))
    np.testing.assert_allclose(single(c), double(c.astype(float)), atol=error)
    exact = double.derivative(c.astype(float)).numpy()
    assert np.abs(exact).max() == pytest.approx(slope, rel=2e-3)
    np.testing.assert_allclose(single.derivative(c), exact, rtol=5 * error)


@pytest.mark.parametrize("bits", [1, 3])
def test_quantised_capacitance(bits):
    c = RNG.uniform(0.1, 0.5, 50)
    levels = np.linspace(0.1, 0.5, 2**bits)
    nearest = levels[np.abs(c[:, None] - levels).argmin(-1)]
    layer = surface(50, num_bits=bits)
    control = tf.constant(c)
    with tf.GradientTape() as tape:
        tape.watch(control)
        value = tf.reduce_sum(tf.math.imag(layer(control)))
    np.testing.assert_allclose(layer(control), twin(nearest), atol=1e-10)
    np.testing.assert_allclose(layer(control), layer(nearest), atol=1e-12)
    slope = surface(50).derivative(nearest).numpy()
    np.testing.assert_allclose(tape.gradient(value, control), slope.imag, atol=1e-10)
    np.testing.assert_allclose(layer.derivative(c), slope, rtol=1e-10)
    change = layer.difference(c, c[::-1].copy())
    np.testing.assert_allclose(change, twin(nearest) - twin(nearest[::-1]), atol=1e-10)


OFFSETS = np.array([-200e6, -15e3, 0.0, 30e6])


@pytest.mark.parametrize("settings", [{}, {"incidence_deg": 40.0, "polarization": "TM"}])
def test_response_is_that_of_elements_built_at_the_frequency(settings):
    layer, c = surface(**settings), RNG.uniform(0.1, 0.5, [2, 3, 5])
    found = layer.response(c, OFFSETS).numpy()
    assert found.shape == (2, 3, 4, 5)
    for k, offset in enumerate(OFFSETS):
        there = surface(carrier_frequency=6e9 + offset, **settings)
        np.testing.assert_allclose(found[..., k, :], there(c), atol=1e-10)
    np.testing.assert_array_equal(found[..., 2, :], layer(c))
    np.testing.assert_allclose(layer.response(c, tf.constant(OFFSETS)), found, atol=1e-12)
    own = layer.response(frequencies=OFFSETS)
    np.testing.assert_allclose(own, layer.response(np.full(5, 0.3), OFFSETS), atol=1e-12)
    assert layer.frequency_selective
    single = surface(precision="single", **settings).response(c, OFFSETS)
    assert single.dtype == tf.complex64
    c = c.astype(np.float32).astype(float)
    np.testing.assert_allclose(single, layer.response(c, OFFSETS), atol=2e-6)


@pytest.mark.parametrize(
    "flat", [irs.IdealPhases, functools.partial(irs.DiscretePhases, num_bits=2)]
)
def test_flat_surfaces_repeat(flat):
    layer, phases = flat(irs.ULA(3), initial=[0.1, 2.0, 3.0]), RNG.uniform(0, 6, [2, 3])
    assert not layer.frequency_selective
    found = layer.response(phases, OFFSETS)
    assert found.shape == [2, 4, 3]
    for k in range(4):
        np.testing.assert_array_equal(found[:, k], layer(phases))
    np.testing.assert_array_equal(layer.response(), layer()[None])
    unknown = tf.function(
        lambda f: layer.response(phases, f), input_signature=[tf.TensorSpec([None])]
    )
    np.testing.assert_array_equal(unknown(tf.constant(OFFSETS, tf.float32)), found)


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_modes_agree(xla):
    layer = surface(precision="single", num_bits=6)
    c = tf.constant(RNG.uniform(0.1, 0.5, [2, 5]), tf.float32)
    offsets = tf.constant(OFFSETS, tf.float32)

    def everything(c, offsets):
        with tf.GradientTape() as tape:
            tape.watch(c)
            theta = layer(c)
            value = tf.reduce_sum(tf.math.real(theta))
        constant, given = layer.response(c, OFFSETS), layer.response(c, offsets)
        rest = layer.derivative(c), layer.difference(c, c[::-1])
        return theta, tape.gradient(value, c), constant, given, *rest

    compiled = tf.function(everything, jit_compile=xla, autograph=False)
    for eager, other in zip(everything(c, offsets), compiled(c, offsets), strict=True):
        np.testing.assert_allclose(eager, other, rtol=1e-5, atol=2e-6)


def test_range_in_compiled_functions_and_training():
    layer = surface(trainable=True)
    compiled = tf.function(layer.reflection)
    outside = tf.constant([0.0, 0.09, 0.3, 0.51, 7.0], tf.float64)
    inside = layer.project(outside)
    np.testing.assert_allclose(inside, [0.1, 0.1, 0.3, 0.5, 0.5])
    np.testing.assert_allclose(compiled(outside), layer(inside), atol=1e-12)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply_gradients([(tf.constant([5.0, -5.0, 0, 0, 0]), layer.control)])
    np.testing.assert_allclose(layer.control, [0.1, 0.5, 0.3, 0.3, 0.3])


def test_starts():
    np.testing.assert_allclose(surface().control, np.full(5, 0.3), rtol=1e-12)
    np.testing.assert_allclose(surface(initial=TABLE_PF).control, TABLE_PF)
    wide = {"capacitance_range_pf": (0.2, 0.8)}
    np.testing.assert_allclose(surface(**wide).control, np.full(5, 0.5))
    random.reset(random.stream_key(1))
    drawn = surface(20_000, initial="random", **wide).control.numpy()
    assert drawn.min() >= 0.2 and drawn.max() < 0.8
    # 5.5 standard deviations of the mean of uniform numbers.
    assert abs(drawn.mean() - 0.5) < 5.5 * 0.6 / np.sqrt(12 * drawn.size)
    random.reset(random.stream_key(1))
    phases = irs.IdealPhases(irs.ULA(20_000), initial="random", precision="double").control.numpy()
    np.testing.assert_allclose(phases, 2 * np.pi * (drawn - 0.2) / 0.6, atol=1e-12)
    assert not irs.IdealPhases(irs.ULA(3)).control.numpy().any()


PLAIN = surface()


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: PLAIN([0.3, 0.3, 0.3, 0.3, 0.6]), r"control = 0.6 pF.*in \[0.1, 0.5\]"),
        (lambda: PLAIN.response([0.3, 0.3, 0.3, 0.3, 0.01]), "control = 0.01 pF"),
        (lambda: PLAIN.derivative([0.3, 0.3, 0.3, 0.3, 0.01]), "control = 0.01 pF"),
        (lambda: PLAIN.difference(TABLE_PF, TABLE_PF - 0.05), "minus = 0.05"),
        (lambda: PLAIN.difference(TABLE_PF[:4], TABLE_PF), "plus has shape"),
        (lambda: PLAIN.response(TABLE_PF[:4], [0.0]), "control has shape"),
        (lambda: PLAIN.response(TABLE_PF, 0.0), r"frequencies has shape \(\)"),
        (lambda: PLAIN.response(TABLE_PF, []), r"\[F\] with F >= 1"),
        (lambda: PLAIN.response(TABLE_PF, [0.0, -6e9]), "frequencies = -6000000000.0"),
        (lambda: PLAIN.response(TABLE_PF, [np.nan]), "frequencies = nan"),
        (lambda: surface(initial=TABLE_PF + 0.1), "initial = 0.6"),
        (lambda: surface(initial="zeros"), "initial = 'zeros'; 'mid', 'random' or an array"),
        (lambda: surface(carrier_frequency=0.0), "carrier_frequency = 0.0"),
        (lambda: surface(incidence_deg=90.0), r"incidence_deg = 90.0; a number in \[0, 90\)"),
        (lambda: surface(polarization="V"), "polarization = 'V'; 'TE' or 'TM'"),
        (lambda: surface(capacitance_range_pf=(0.5, 0.1)), "capacitance_range_pf = "),
        (lambda: surface(capacitance_range_pf=(0.5,)), "capacitance_range_pf = "),
        (lambda: surface(num_bits=0), "num_bits = 0"),
        (lambda: surface(gap=5e-3), "gap = 0.005; a number below the period"),
        (lambda: surface(thickness=-1.0), "thickness = -1.0; a positive number"),
        (lambda: surface(permittivity=4.4 + 0.1j), "permittivity = "),
    ],
)
def test_wrong_varactors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


CASES = {
    "any": testing.LayerCase(
        Varactor, {"panel": irs.ULA(3)}, {"control": RNG.uniform(0.42, 0.48, [2, 3])}, ("control",),
        awkward={"ends of the range": {"control": np.array([[0.1, 0.253, 0.5]])}},
    ),
    "quantised": testing.LayerCase(
        Varactor, {"panel": irs.ULA(3), "num_bits": 2, "incidence_deg": 20.0, "trainable": True},
        {"control": RNG.uniform(0.42, 0.48, [2, 3])},
        skip={"gradient": "its gradient is the straight-through one, not the derivative"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_contract(name):
    testing.check_layer(CASES[name])
