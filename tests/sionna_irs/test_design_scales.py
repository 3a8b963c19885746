"""Channels of zeros, of any scale and without noise: every precoder and receiver in every mode.

All variants of the channel stand side by side in one batch. What is right is said by the same
layer at scale 1 or, where the noise does not shrink with the channel, in double precision, whose
range no variant leaves.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs.hybrid.analog_ssca import AnalogSSCA
from sionna_irs.hybrid.block_diagonalization import BlockDiagonalization
from sionna_irs.linalg.scale import exponents, power_of_two, scaled_noise, unit_noise, unit_scale
from sionna_irs.phases.unit_links import unit_links

RNG = np.random.default_rng(7)
NO = 0.1
# Factor of the channel, noise.
VARIANTS = {
    "one": (1.0, NO),
    "together": (2.0**-40, NO * 2.0**-80),
    "tiny": (1e-30, NO),
    "huge": (1e30, NO),
    "quiet": (1.0, 1e-15),
    "no second user": (1.0, NO),
    "nobody": (0.0, NO),
}
NAMES = list(VARIANTS)


def cplx(*shape):
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)) / np.sqrt(2)


def varied(h, axis):
    """(every variant of h, its noise); `axis` is that of the users in h."""
    factors, no = np.array(list(VARIANTS.values())).T
    many = h[None] * factors.reshape(-1, *[1] * h.ndim)
    users = np.moveaxis(many, axis if axis < 0 else axis + 1, 1)
    users[NAMES.index("no second user"), 1] = 0
    return many, no


def run(layer, mode, *arguments, watched=0):
    """(outputs, gradient of the sum of the first one by an argument, or None)."""
    dtypes = [layer.cdtype if np.iscomplexobj(a) else layer.rdtype for a in arguments]
    arguments = [tf.constant(a, dtype) for a, dtype in zip(arguments, dtypes, strict=True)]

    def call(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments[watched])
            found = tf.nest.flatten(layer(*arguments))
            loss = tf.reduce_sum(tf.math.real(found[0]))
        return found, tape.gradient(loss, arguments[watched])

    if mode != "eager":
        call = tf.function(call, jit_compile=mode == "xla", autograph=False)
    found, gradient = call(*arguments)
    return [part.numpy() for part in found], gradient


@functools.cache
def precoders_in_double(name):
    """What a layer without weights returns in double precision: the same for every mode."""
    h, no = varied(CHANNEL, 0)
    return PRECODERS[name]("double")(h.astype(np.complex64), no).numpy()


def aligned(v, reference):
    """v with the phase of every column of the reference."""
    inner = np.sum(np.conj(v) * reference, -2, keepdims=True)
    return v * np.exp(1j * np.angle(inner))


PRECODERS = {
    "MRT": lambda p: irs.MRTPrecoder(precision=p),
    "MRT, per user": lambda p: irs.MRTPrecoder("per_user", precision=p),
    "RZF": lambda p: irs.RZFPrecoder(precision=p),
    "RZF, loading": lambda p: irs.RZFPrecoder(0.2, precision=p),
    "ZF": lambda p: irs.ZFPrecoder(precision=p),
    "ZF, per user": lambda p: irs.ZFPrecoder("per_user", precision=p),
    "ZF, water-filling": lambda p: irs.ZFPrecoder("water_filling", precision=p),
    "WMMSE": lambda p: irs.WMMSE(precision=p),
    "WMMSE, newton": lambda p: irs.WMMSE(multiplier="newton", num_steps=8, precision=p),
    "WMMSE, bisection": lambda p: irs.WMMSE(multiplier="bisection", precision=p),
    "WMMSE, water-filling": lambda p: irs.WMMSE(start="zf_water_filling", precision=p),
}
LEARNED = {
    "unfolded": lambda p: irs.UnfoldedWMMSE(2, 4, 3, precision=p),
    "structured": lambda p: irs.StructuredPrecoder(precision=p),
    "structured, refined": lambda p: irs.StructuredPrecoder(num_refine=2, precision=p),
    "Gram CNN": lambda p: irs.GramCNNPrecoder(3, 4, precision=p),
    "CNN": lambda p: irs.CNNPrecoder(3, 4, [4], 8, precision=p),
    "calibrated": lambda p: irs.Calibrated(
        irs.ZFPrecoder(precision=p), irs.RowNet(4, [8], precision=p), learned_loading=True
    ),
}
CHANNEL = cplx(3, 4)


def check_precoder(name, mode, stream=7):
    irs.random.reset(irs.random.stream_key(stream))  # of the weights
    layer, (h, no) = (PRECODERS | LEARNED)[name]("single"), varied(CHANNEL, 0)
    (v,), gradient = run(layer, mode, h, no)
    assert np.all(np.isfinite(v))
    assert gradient is None or np.all(np.isfinite(gradient))
    power = np.sum(np.abs(v) ** 2, (-2, -1))
    shares = np.where(np.array(NAMES) == "nobody", 0, 1.0)
    if "per user" in name:
        shares[NAMES.index("no second user")] = 2 / 3
    if "newton" not in name and "bisection" not in name:
        np.testing.assert_allclose(power, shares, atol=1e-5)
    np.testing.assert_array_equal(v[NAMES.index("no second user")][:, 1], 0)
    if name != "RZF, loading":
        v = aligned(v, v[:1]) if mode == "xla" else v
        np.testing.assert_allclose(v[1], v[0], atol=1e-4)
    if name in PRECODERS:
        expected = precoders_in_double(name)
        # Halving has a number of steps for intervals of moderate size.
        resolved = [n not in ("huge", "quiet") or "bisection" not in name for n in NAMES]
        v, expected = v[resolved], expected[resolved]
        np.testing.assert_allclose(aligned(v, expected), expected, atol=2e-3)


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", PRECODERS | LEARNED)
def test_precoders(name, mode):
    check_precoder(name, mode)


def test_fresh_weights():
    """Small weights of all users are weights, too: only their ratios count."""
    for stream in range(12):
        check_precoder("Gram CNN", "eager", stream)


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNED)
def test_all_fresh_weights(name):
    for stream in range(5):
        check_precoder(name, "graph", stream)


@pytest.mark.parametrize("name", ["ZF, water-filling", "WMMSE", "calibrated"])
def test_precoders_in_xla(name):
    check_precoder(name, "xla")


@pytest.mark.slow
@pytest.mark.parametrize("name", PRECODERS | LEARNED)
def test_all_precoders_in_xla(name):
    check_precoder(name, "xla")


RECEIVERS = {"MRC": irs.MRCReceiver, "ZF": irs.ZFReceiver, "LMMSE": irs.LMMSEReceiver}


def check_receiver(name, mode, coloured):
    y, a = cplx(4), cplx(4, 4)
    h, no = varied(CHANNEL.T, -1)
    y = np.stack([y * (factor or 1) for factor, _ in VARIANTS.values()])
    s = (no[:, None, None] * (a @ a.conj().T),) if coloured else ()
    layers = [RECEIVERS[name](precision=p) for p in ("single", "double")]
    (x_hat, no_eff), gradient = run(layers[0], mode, y, h, no, *s, watched=1)
    assert np.all(np.isfinite(x_hat)) and np.all(np.isfinite(no_eff))
    assert np.all(np.isfinite(gradient))
    dead = NAMES.index("no second user"), 1
    assert x_hat[dead] == 0 and no_eff[dead] == np.float32(1e30)
    np.testing.assert_array_equal(x_hat[-1], 0)
    np.testing.assert_array_equal(no_eff[-1], np.float32(1e30))
    np.testing.assert_allclose(x_hat[1], x_hat[0], rtol=1e-4)
    np.testing.assert_allclose(no_eff[1], no_eff[0], rtol=1e-4)
    narrow = [x.astype(np.complex64) for x in (y, h)]
    (expected, variance), _ = run(layers[1], "eager", *narrow, no, *s)
    np.testing.assert_allclose(x_hat, expected, rtol=1e-3, atol=1e-3)
    inside = np.isin(NAMES, ["one", "together", "no second user"])
    np.testing.assert_allclose(no_eff[inside], variance[inside], rtol=1e-3)
    assert no_eff[NAMES.index("tiny")].min() > 1e15 and no_eff[NAMES.index("huge")].max() < 10


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("name", RECEIVERS)
def test_receivers(name, coloured, mode):
    check_receiver(name, mode, coloured)


@pytest.mark.slow
@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("name", RECEIVERS)
def test_receivers_in_xla(name, coloured):
    check_receiver(name, "xla", coloured)


HYBRID = {
    "HybridZF": lambda p: irs.HybridZF(2, precision=p),
    "HybridZF, regularised": lambda p: irs.HybridZF(2, regularized=True, precision=p),
    "block diagonalisation": lambda p: BlockDiagonalization(2, precision=p),
    "SCA": lambda p: irs.SCA(2, precision=p),
    "SCA, WMMSE": lambda p: irs.SCA(2, update="wmmse", method="newton", precision=p),
    "unfolded SCA": lambda p: irs.UnfoldedSCA(2, 2, 8, precision=p),
}


HEARD, HEARD_NO = varied(cplx(3, 2, 8), 0)
WHITE, GRAM = np.eye(2) + np.zeros([3, 2, 2], complex), np.eye(8, dtype=complex)


@functools.cache
def hybrid_in_double(name):
    f, _ = HYBRID[name]("double")(HEARD.astype(np.complex64), WHITE, GRAM, HEARD_NO)
    return f.numpy()


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", HYBRID)
def test_hybrid(name, mode):
    """Three users of two chains; where nobody is heard there are no precoders."""
    h, no, r_w, gram = HEARD, HEARD_NO, WHITE, GRAM
    layer = HYBRID[name]("single")
    (f, w), gradient = run(layer, mode, h, r_w, gram, no)
    assert np.all(np.isfinite(f)) and np.all(np.isfinite(w))
    # Without any signal, 180 dB below the noise, the Jacobi steps of the network leave rounding.
    slopes = [n != "tiny" or name != "unfolded SCA" for n in NAMES]
    assert gradient is None or np.all(np.isfinite(gradient.numpy()[slopes]))
    power = np.sum(np.abs(f) ** 2, (-2, -1))
    served = np.ones([len(NAMES), 3])
    served[-1], served[NAMES.index("no second user"), 1] = 0, 0
    np.testing.assert_allclose(power[served == 0], 0)
    if "SCA" not in name:  # which may leave power unused
        np.testing.assert_allclose(power, 2 * served, atol=1e-4)
    assert np.all(power < 2 + 1e-4)
    np.testing.assert_allclose(aligned(f[1], f[0]), f[0], atol=1e-3)
    if "SCA" not in name:
        expected = hybrid_in_double(name)
        np.testing.assert_allclose(aligned(f, expected), expected, atol=5e-3)


def test_block_diagonalisation_nulls_nothing_for_a_user_that_is_not_there():
    h = cplx(3, 2, 6)
    h[1] = 0
    eyes = np.eye(2, dtype=complex) + np.zeros([3, 2, 2]), np.eye(6, dtype=complex)
    layer = BlockDiagonalization(2, precision="double")
    f = layer(h, *eyes, 0.1)[0].numpy()
    alone = layer(h[[0, 2]], eyes[0][:2], eyes[1], 0.1)[0].numpy()
    np.testing.assert_allclose(aligned(f[[0, 2]], alone), alone, atol=1e-10)
    np.testing.assert_array_equal(f[1], 0)


START = irs.AlignedPhases()
POLICIES = {
    "aligned": irs.AlignedPhases(),
    "coordinate": irs.CoordinateAscent(num_iter=2),
    "coordinate, 1 bit": irs.CoordinateAscent(num_bits=1, num_iter=2),
    "sum path gain": irs.SumPathGain(start=START, num_iter=2),
    "dominant": irs.DominantMode(start=START, num_iter=3),
}
WIDE = {"strongest tap": irs.StrongestTap(), "coordinate": irs.CoordinateAscent(num_iter=2)}
WITH_NOISE = {
    "capacity": lambda **kw: irs.CapacityAscent(starts=START, num_iter=2, **kw),
    "rate": lambda **kw: irs.RateCoordinateAscent(num_iter=2, **kw),
    "gradient": lambda **kw: irs.RateAscent(num_iter=5, **kw),
}
FACTORS = [1.0, 1e-30, 1e30, 0.0]


def links(wide=False, factor=1.0):
    """Links of two examples; `factor` multiplies whatever arrives at the receiver."""
    rng, f = np.random.default_rng(3), (4,) if wide else ()

    def part(*shape):
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    found = {"tx>s1": part(2, *f, 6, 1), "s1>rx": factor * part(2, *f, 3, 6)}
    found["tx>rx"] = factor * part(2, *f, 3, 1)
    return {name: tf.constant(x, tf.complex64) for name, x in found.items()}


def phasors(policy, mode):
    """(**of links) -> phasors of a policy, traced once."""
    call = policy if mode == "eager" else tf.function(policy, autograph=False)
    return lambda **kwargs: np.exp(1j * call(links(**kwargs))["s1"].numpy())


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", [*POLICIES, *(f"{n}, wide" for n in WIDE)])
def test_policies(name, mode):
    wide = name.endswith(", wide")
    policy = WIDE[name.removesuffix(", wide")] if wide else POLICIES[name]
    call = phasors(policy, mode)
    one, tiny, huge, none = (call(wide=wide, factor=f) for f in FACTORS)
    np.testing.assert_allclose(tiny, one, atol=1e-4)
    np.testing.assert_allclose(huge, one, atol=1e-4)
    np.testing.assert_allclose(np.abs(none), 1, rtol=1e-5)


@pytest.mark.parametrize("name", WITH_NOISE)
def test_policies_that_know_the_noise(name):
    """The SNR is a number of the constructor: it goes with the square of the channel, or not."""
    wide = name != "capacity"
    call, weak = (phasors(WITH_NOISE[name](snr=0.5 * f), "graph") for f in (1, 2.0**80))
    one, shrunk = call(wide=wide), weak(wide=wide, factor=2.0**-40)
    np.testing.assert_allclose(shrunk, one, atol=1e-4)
    for factor in FACTORS[1:]:
        found = call(wide=wide, factor=factor)
        np.testing.assert_allclose(np.abs(found), 1, rtol=1e-5)


SOLVERS = [irs.PowerIteration(5), irs.ElementWise(2), irs.ADMM(5), irs.RiemannianAscent(5)]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_solvers(solver):
    a, c = cplx(3, 5), cplx(5)
    t, phi = a.conj().T @ a, np.exp(1j * np.arange(5.0))
    found = [
        solver(*(tf.constant(f * x, tf.complex64) for f, x in ((s, t), (s, c), (1, phi))))
        for s in (1.0, 1e-30, 1e30, 0.0)
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], atol=1e-4)
    np.testing.assert_allclose(found[3], phi, atol=1e-5)


def test_capacity():
    h = tf.constant(CHANNEL, tf.complex64)
    one, *_ = irs.svd_water_filling(h, no=NO)
    shrunk, *_ = irs.svd_water_filling(h * 2.0**-40, no=NO * 2.0**-80)
    np.testing.assert_allclose(shrunk, one, rtol=1e-5)
    for factor in (0.0, 1e-30, 1e30):
        assert all(np.all(np.isfinite(x)) for x in irs.svd_water_filling(h * factor, no=NO))


def test_unit_scale():
    x, s = unit_scale(tf.constant([[3e-30, -5e-30], [0.0, 0.0]]), [-1])
    np.testing.assert_array_equal(s.numpy().ravel(), [2.0**-98, 1])
    np.testing.assert_array_equal(x * s, [[np.float32(3e-30), np.float32(-5e-30)], [0, 0]])
    for dtype in (tf.float32, tf.float64):
        k = tf.constant([-100, 0, 7])
        np.testing.assert_array_equal(power_of_two(k, dtype), 2.0 ** k.numpy())
        np.testing.assert_array_equal(exponents(1.5 * power_of_two(k, dtype)[:, None], [1]), k)
    noise = scaled_noise(0.5, tf.constant([1.0, 2.0, 1e-30, 1e30]))
    np.testing.assert_allclose(noise, [0.5, 0.125, 1e18, 1e-18], rtol=1e-6)
    rows, back = unit_noise(tf.constant([[3 + 4j]], tf.complex64), 0.25)
    np.testing.assert_allclose(rows, [[6 + 8j]])
    np.testing.assert_allclose(back, [[0.5]])


def test_unit_links():
    """Every path from transmitter to receiver has the same factor, out of any range of products."""
    shapes = {"tx>a": (4, 2), "tx>b": (3, 2), "a>b": (3, 4), "a>rx": (2, 4), "b>rx": (2, 3)}
    hops = {name: cplx(5, *shape) * 1e-12 for name, shape in shapes.items()}
    hops |= {"tx>rx": 1e-24 * cplx(5, 2, 2)}
    single = {name: tf.constant(x, tf.complex64) for name, x in hops.items()}
    found, k = unit_links(single)

    def channel(h):
        into_b = h["tx>b"] + h["a>b"] @ h["tx>a"]
        return h["tx>rx"] + h["a>rx"] @ h["tx>a"] + h["b>rx"] @ into_b

    assert all(np.abs(x).max() < 3 for x in found.values())
    expected = channel(hops) / 2.0 ** k.numpy()[:, None, None]
    np.testing.assert_allclose(
        channel({n: x.numpy() for n, x in found.items()}), expected, rtol=1e-4
    )


SNRS_DB = np.arange(-20, 61, 10)


def rayleigh(num_users, draws):
    """Channels [9 draws, K, 4] and the noise of every draw, all SNRs in turn."""
    rng = np.random.default_rng(num_users)
    shape = (len(SNRS_DB) * draws, num_users, 4)
    h = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    no = np.tile(10 ** (-SNRS_DB / 10), draws)
    return tf.constant(h, tf.complex64), tf.constant(no, tf.float32)


def everything(num_users):
    """(h, no) -> outputs of all precoders and receivers that serve this many users."""
    names = [n for n in PRECODERS if num_users <= 4 or not n.startswith("ZF")]
    names = [n for n in names if num_users <= 4 or n != "WMMSE, water-filling"]
    layers = {name: PRECODERS[name]("single") for name in names}
    layers["unfolded"] = irs.UnfoldedWMMSE(2, 4, precision="single")
    layers["structured"] = irs.StructuredPrecoder(precision="single")
    receivers = [r(precision="single") for n, r in RECEIVERS.items() if num_users <= 4 or n != "ZF"]

    def call(h, no):
        found = {name: layer(h, no) for name, layer in layers.items()}
        uplink = tf.linalg.matrix_transpose(h)
        y = tf.reduce_sum(uplink, -1)
        return found, [receiver(y, uplink, no) for receiver in receivers]

    return call


def check_rayleigh(num_users, draws, mode):
    call, (h, no) = everything(num_users), rayleigh(num_users, draws)
    if mode != "eager":
        call = tf.function(call, jit_compile=mode == "xla", autograph=False)
    found, received = call(h, no)
    for x in tf.nest.flatten((found, received)):
        assert np.all(np.isfinite(x))
    rates = [
        irs.metrics.sum_rate(*(tf.cast(x, tf.complex128) for x in (h, found[name])), no).numpy()
        for name in ("WMMSE", "RZF")
    ]
    ours, theirs = (r.reshape(draws, len(SNRS_DB)) for r in rates)
    # One user has one answer: what differs is rounding.
    assert np.all(ours.mean(0) >= theirs.mean(0) * (1 - 1e-6))
    assert np.all(np.mean(ours >= theirs * (1 - 1e-6), 0) >= 0.99)


@pytest.mark.parametrize("num_users", [3, 6])
def test_rayleigh(num_users):
    check_rayleigh(num_users, 100, "graph")


@pytest.mark.slow
@pytest.mark.parametrize("num_users", range(1, 9))
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_rayleigh_many(mode, num_users):
    """100,800 draws over all numbers of users."""
    check_rayleigh(num_users, 1400, mode)


GAINS = np.array([1, 2.0**-40, 1e-30, 1e30, 0])[:, None, None]


def of_two_hops(theta):
    """A channel of one surface, [variants, K, M]; both hops have their half of the factor."""
    rng = np.random.default_rng(3)
    direct, first, second = (
        (rng.standard_normal(s) + 1j * rng.standard_normal(s)) * gain
        for s, gain in (((2, 4), GAINS), ((2, 6), GAINS**0.5), ((6, 4), GAINS**0.5))
    )
    h = (tf.constant(x, tf.complex64) for x in (direct, first, second))
    direct, first, second = h
    return direct + tf.matmul(first * theta["ris"][:, None], second)


MODES = pytest.mark.parametrize(
    "mode", ["eager", "graph", pytest.param("xla", marks=pytest.mark.slow)]
)


def stays_finite(mode, step, *arguments):
    if mode != "eager":
        step = tf.function(step, autograph=False, jit_compile=mode == "xla")
    for part in tf.nest.flatten(step(*arguments)):
        assert np.all(np.isfinite(part.numpy()))


@MODES
def test_tuners(mode):
    """Where nothing is heard, nothing moves."""
    oracle = irs.WMMSE(num_iter=2)
    phases = {"ris": tf.ones([5, 6])}
    tuner = irs.ZerothOrder(
        oracle, {"ris": irs.IdealPhases(irs.ULA(6))}, step_size=0.1, smoothing_radius=0.1, no=NO
    )

    def observe(controls):
        c = controls["ris"]
        return of_two_hops({"ris": tf.complex(tf.cos(c), tf.sin(c))})

    stays_finite(mode, lambda state: tuner.step(state, 0, observe), phases)
    np.testing.assert_array_equal(tuner.step(phases, 0, observe)[0]["ris"][-1], 1)
    design = irs.TwoTimescaleSSCA(oracle, num_samples=1, no=NO)
    state = design.start({"ris": tf.ones([5, 6], tf.complex64)})
    stays_finite(mode, lambda state: design.step(state, 0, lambda: of_two_hops), state)
    np.testing.assert_array_equal(design.step(state, 0, lambda: of_two_hops)["theta"]["ris"][-1], 1)


@MODES
def test_analog_phases(mode):
    front = irs.HybridFrontEnd(4, 2, 2, 1, num_users=2)
    design = AnalogSSCA(front, irs.SCA(1, num_iter=2))
    for factor in (1e-30, 1e30, 0):
        h = tf.constant(factor * cplx(3, 2, 2, 4), tf.complex64)
        stays_finite(mode, lambda h: design.step(design.start(), 0, h, NO), h)
