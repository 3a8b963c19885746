"""The surface as a channel model: narrow-band hops, policies, pruning, frequencies."""

import warnings

import cir_twins as twins
import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.channel import (
    GenerateOFDMChannel,
    cir_to_ofdm_channel,
    subcarrier_frequencies,
)
from sionna.phy.ofdm import ResourceGrid

import sionna_irs as irs
from sionna_irs import random

RNG = np.random.default_rng(3)
DOUBLE = {"precision": "double"}
PANEL, OTHER, USER, BASE = irs.UPA(2, 3), irs.UPA(2, 2), irs.ULA(2), irs.ULA(3)
GRID = ResourceGrid(num_ofdm_symbols=4, fft_size=12, subcarrier_spacing=30e3)


@pytest.fixture(autouse=True)
def portable():
    random.install()
    random.reset(random.stream_key(21))


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def stored(*shape):
    b, rx, _, tx, _, paths, _ = shape
    return cplx(*shape), RNG.uniform(0, 1e-6, [b, rx, tx, paths])


def surfaces(**kwargs):
    return {
        "s1": irs.IdealPhases(PANEL, initial=np.arange(6.0), **kwargs),
        "s2": irs.IdealPhases(OTHER, initial=np.arange(4.0), **kwargs),
    }


def one(hops, **kwargs):
    """A channel with the surface s1 in double precision."""
    return irs.SurfaceCIR(hops, {"s1": surfaces(**DOUBLE)["s1"]}, **DOUBLE, **kwargs)


def hop_layers(users=None, at=None):
    """Narrow-band hops of two surfaces, users on one side."""

    def rician(start, end, *ends):
        here = users if at in ends else None
        los = cplx(end.num_ant, start.num_ant)
        return irs.RicianHop(start, end, 2.0, los=los, num_users=here)

    return {
        "tx>s1": rician(USER, PANEL, "tx"), "s1>rx": rician(PANEL, BASE, "rx"),
        "tx>s2": rician(USER, OTHER, "tx"), "s2>rx": rician(OTHER, BASE, "rx"),
        "tx>rx": rician(USER, BASE, "tx", "rx"), "s1>s2": rician(PANEL, OTHER),
    }  # fmt: skip


def matrices():
    return {n: cplx(h.num_rx_ant, h.num_tx_ant) for n, h in hop_layers().items()}


def centre_response(hops, names, batch_size=5):
    """H at the carrier from Sionna's OFDM channel, [B, (K,) rx, tx], and from matrices."""
    hops, own = {n: hops[n] for n in names}, surfaces()
    own = own if any("s2" in n for n in names) else {"s1": own["s1"]}
    random.reset(random.stream_key(5))
    h = GenerateOFDMChannel(irs.SurfaceCIR(hops, own), GRID)(batch_size).numpy()
    random.reset(random.stream_key(5))
    return h[..., 0, GRID.fft_size // 2], irs.SurfaceChannel(hops, own)(batch_size).numpy()


ONE = ["tx>s1", "s1>rx", "tx>rx"]
TWO = [*ONE, "tx>s2", "s2>rx"]


@pytest.mark.parametrize("names", [ONE[:2], ONE, TWO, [*TWO, "s1>s2"], ["tx>s1", "s1>s2", "s2>rx"]])
@pytest.mark.parametrize("kind", ["layers", "matrices", "users at tx", "users at rx"])
def test_ofdm_response_at_the_carrier_is_that_of_the_matrices(kind, names):
    users = kind.split()[-1] if "users" in kind else None
    hops = matrices() if kind == "matrices" else hop_layers(users and 4, users)
    h, expected = centre_response(hops, names)
    if users is None:
        h = h[:, 0, :, 0]
    elif users == "tx":
        h = np.moveaxis(h[:, 0], 2, 1)
    else:
        h = h[:, :, :, 0]
    assert h.shape == expected.shape
    assert np.abs(h - expected).max() < 1e-6 * np.abs(expected).max()


def test_two_surfaces_in_far_field_form_equal_their_matrices():
    """A surface-to-surface hop as two waves, in single precision."""
    waves = {n: twins.directions(RNG, 1, 1, 1, 1) for n in ("out", "in")}
    a = np.full([1, 1, 1, 1, 1, 1, 1], 0.3 - 0.4j)
    hops = {**matrices(), "s1>s2": irs.CIR(a, np.zeros([1, 1, 1, 1]), waves["in"], waves["out"])}
    wide = GenerateOFDMChannel(irs.SurfaceCIR(hops, surfaces()), GRID)(2).numpy()
    leaving = twins.plane(waves["out"], twins.places(2, 3)).ravel()
    arriving = twins.plane(waves["in"], twins.places(2, 2)).ravel()
    hops["s1>s2"] = (0.3 - 0.4j) * np.outer(arriving, leaving)
    expected = irs.SurfaceChannel(hops, surfaces())(2).numpy()
    found = wide[:, 0, :, 0, :, 0, GRID.fft_size // 2]
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_policies_see_links_and_design_per_example():
    hops = {n: h for n, h in hop_layers().items() if n in ONE}
    hops["tx>s1"] = irs.RayleighHop(irs.ULA(1), PANEL)
    hops["tx>rx"] = irs.RayleighHop(irs.ULA(1), BASE)
    cir = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(PANEL)}, policy=irs.AlignedPhases())
    links = cir.links(cir.draw(4))
    assert {n: tuple(h.shape) for n, h in links.items()} == {
        "tx>s1": (4, 6, 1), "s1>rx": (4, 3, 6), "tx>rx": (4, 3, 1),
    }  # fmt: skip
    random.reset(random.stream_key(5))
    a, _ = cir(4, 2, 1e6)
    random.reset(random.stream_key(5))
    flat = irs.SurfaceChannel(hops, {"s1": irs.IdealPhases(PANEL)})
    expected = flat(4, policy=irs.AlignedPhases()).numpy()
    for step in range(2):
        found = a.numpy()[..., step].sum(-1).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    # In a call, another policy takes the place of the constructor's.
    fixed = cir(4, 2, 1e6, policy=lambda links: {"s1": tf.zeros([4, 6])})[0]
    assert np.abs(fixed - a).max() > 0.1


def test_links_over_frequencies_and_users():
    hops = irs.CIRTable(
        {"tx>s1": stored(9, 1, 6, 1, 2, 4, 1), "s1>rx": stored(1, 1, 3, 1, 6, 2, 1)},
        num_users=4, users="tx",
    )  # fmt: skip
    cir = one(hops, frequencies=[-1e6, 0.0, 2e6])
    cirs = cir.draw(5)
    links = cir.links(cirs)
    assert links["tx>s1"].shape == (5, 3, 4, 6, 2) and links["s1>rx"].shape == (5, 3, 3, 6)
    h = twins.transfer(cirs["tx>s1"].a.numpy(), cirs["tx>s1"].tau.numpy(), cir.frequencies)
    expected = np.transpose(h[:, 0, :, :, :, 0], [0, 4, 2, 1, 3])
    np.testing.assert_allclose(links["tx>s1"], expected, atol=1e-10)
    assert cir.links(cirs, [0.0]).get("tx>s1").shape == (5, 1, 4, 6, 2)


def test_a_wide_band_policy_raises_the_mean_power():
    hops = {"tx>s1": stored(1, 1, 6, 1, 1, 3, 1), "s1>rx": stored(1, 1, 1, 1, 6, 2, 1)}
    f = np.linspace(-1e6, 1e6, 8)
    cir = one(hops, policy=irs.StrongestTap(**DOUBLE), frequencies=f)
    power = {}
    for name, policy in (("tap", None), ("zero", lambda links: {"s1": tf.zeros([6])})):
        h = twins.transfer(*(x.numpy() for x in cir(1, 1, 1e6, policy=policy)), f)
        power[name] = np.mean(np.abs(h) ** 2)
    assert power["tap"] > 1.5 * power["zero"]


def test_controls_over_time():
    hops = {"tx>s1": stored(1, 1, 6, 1, 2, 3, 1), "s1>rx": stored(1, 1, 3, 1, 6, 2, 1)}
    phases = RNG.uniform(0, 6, [1, 5, 6])
    cir = one(hops, policy=lambda links: {"s1": phases})
    a, _ = cir(4, 5, 1e6)
    expected, _ = twins.through(np.exp(1j * phases), hops["tx>s1"], hops["s1>rx"])
    np.testing.assert_allclose(a, np.repeat(expected, 4, 0), atol=1e-12 * np.abs(expected).max())


def test_eager_graph_and_xla_agree():
    waves = [twins.directions(RNG, n, 1, 1, 3) for n in (9, 1, 1)]
    near = np.concatenate([waves[0], np.full([9, 1, 1, 3, 1], 0.1)], -1)
    hops = {
        "tx>s1": irs.CIR(*stored(9, 1, 1, 1, 1, 3, 1), near),
        "s1>s2": irs.CIR(*stored(1, 1, 1, 1, 1, 3, 3), waves[1], waves[2]),
        "tx>s2": stored(1, 1, 4, 1, 1, 2, 1), "s2>rx": irs.RicianHop(OTHER, irs.ULA(1), 3.0),
        "tx>rx": stored(1, 1, 1, 1, 1, 2, 3),
    }  # fmt: skip
    cir = irs.SurfaceCIR(hops, surfaces(), policy=irs.RandomPhases(), num_paths=4)
    results = []
    for wrap in (
        lambda f: f,
        lambda f: tf.function(f, autograph=False),
        lambda f: tf.function(f, autograph=False, jit_compile=True),
    ):
        random.reset(random.stream_key(8))
        a, tau = wrap(lambda: cir(16, 3, 1e6))()
        assert a.shape == (16, 1, 1, 1, 1, 2 + 4, 3) and tau.shape == (16, 1, 1, 6)
        # The order of the kept paths is free.
        results.append(twins.transfer(a.numpy(), tau.numpy(), np.array([0.0, 4e5])))
    for other in results[1:]:
        assert np.abs(results[0] - other).max() < 1e-5 * np.abs(results[0]).max()


def rough(batch=300):
    """Hops with many paths of falling energy, another draw for every example."""
    fall = 2.0 ** -np.arange(6.0)[:, None]
    a, tau = stored(batch, 1, 6, 1, 1, 6, 1)
    b, nu = stored(1, 1, 2, 1, 6, 5, 1)
    return irs.CIRTable({"tx>s1": (a * fall, tau), "s1>rx": (b * fall[:5], nu)})


@pytest.mark.parametrize("trainable", [False, True])
def test_energy_loss_is_at_most_what_was_asked_for(trainable):
    table = rough()
    for wanted in (0.1, 1e-2):
        own = {"s1": irs.IdealPhases(PANEL, trainable, np.arange(6.0), **DOUBLE)}
        cir = irs.SurfaceCIR(table, own, max_energy_loss=wanted, **DOUBLE)
        full = irs.SurfaceCIR(table, own, **DOUBLE)
        a, tau, loss = cir.compose(cir.draw(500), cir.reflect(), return_loss=True)
        loss = loss.numpy()
        assert a.shape[5] == tau.shape[3] < 30
        # 64 draws fix the number of paths: their mean is off by a few of its deviations.
        assert loss.mean() < wanted + 5.5 * loss.std() * (64**-0.5 + 500**-0.5)
        random.reset(random.stream_key(5))
        kept = (np.abs(cir(200, 1, 1e6)[0]) ** 2).sum()
        random.reset(random.stream_key(5))
        energy = (np.abs(full(200, 1, 1e6)[0]) ** 2).sum()
        assert 1 - kept / energy < 2 * wanted


def test_pruned_paths_have_a_fixed_number_in_every_mode():
    cir = one(rough(), max_energy_loss=0.05)
    results = []
    for jit in (None, False, True):
        call = lambda: cir(4, 2, 1e6)  # noqa: E731
        call = call if jit is None else tf.function(call, jit_compile=jit, autograph=False)
        random.reset(random.stream_key(8))
        a, tau = call()
        assert 1 < a.shape[5] == tau.shape[3] < 30
        # The order of the kept paths is free.
        results.append(twins.transfer(a.numpy(), tau.numpy(), np.array([0.0, 4e5])))
    np.testing.assert_allclose(results[1], results[0], atol=1e-10)
    np.testing.assert_allclose(results[2], results[0], atol=1e-10)


def test_pruning_leaves_the_paths_that_training_may_raise():
    """Opposite elements cancel the strong path at the start: it must be kept for training."""
    a = np.array([[1.0, -1.0], [0.1, 0.1]]).T.reshape(1, 1, 2, 1, 1, 2, 1) + 0j
    tau = np.array([0.0, 1e-7]).reshape(1, 1, 1, 2)
    hops = {"tx>s1": (a, tau), "s1>rx": np.ones([1, 2])}
    surface = irs.IdealPhases(irs.ULA(2), trainable=True, **DOUBLE)
    cir = irs.SurfaceCIR(hops, {"s1": surface}, num_paths=1, **DOUBLE)
    surface.control.assign([0.0, 0.1])  # the strong path has a quarter of the weak one's power
    for _ in range(30):
        with tf.GradientTape() as tape:
            power = tf.reduce_sum(tf.square(tf.abs(cir(1, 1, 1e6)[0])))
        surface.control.assign_add(0.3 * tape.gradient(power, surface.control.value))
    assert float(power) > 3.99
    fixed = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(irs.ULA(2), **DOUBLE)}, num_paths=1,
                           **DOUBLE)  # fmt: skip
    # Without training the paths count as they are.
    assert fixed(1, 1, 1e6)[1].numpy().item() == 1e-7


def test_gradient_passes_through_pruned_paths():
    phases = tf.constant(RNG.uniform(0, 6, 6))
    cir = one(rough(20), num_paths=4)
    cirs = cir.draw(5)

    def power(phases):
        a, _ = cir.compose(cirs, cir.reflect({"s1": phases}))
        return tf.reduce_sum(
            tf.square(tf.abs(a[:, 0, 0])) * tf.range(1.0, 6)[:, None, None, None, None].numpy()
        )  # noqa: E501  fmt: skip

    with tf.GradientTape() as tape:
        tape.watch(phases)
        value = power(phases)
    gradient = tape.gradient(value, phases).numpy()
    step = RNG.standard_normal(6)
    ends = [float(power(phases + s * 1e-6 * step)) for s in (1, -1)]
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(gradient @ step, rel=1e-6)


class Resonant(irs.Surface):
    """Elements whose phase falls with frequency."""

    frequency_selective = True

    def reflection(self, control, frequencies=None):
        if frequencies is None:
            return tf.complex(tf.cos(control), tf.sin(control))
        phase = control[..., None, :] - 1e-6 * self.real(frequencies)[:, None]
        return tf.complex(tf.cos(phase), tf.sin(phase))


def wide_hops(batch=1, steps=1):
    return {
        "tx>s1": stored(batch, 1, 6, 2, 1, 3, 1), "s1>rx": stored(1, 1, 3, 1, 6, 2, steps),
        "tx>rx": stored(1, 1, 3, 2, 1, 2, 1),
    }  # fmt: skip


def test_response_equals_sionnas_for_flat_elements():
    f = subcarrier_frequencies(12, 30e3)
    cir = irs.SurfaceCIR(wide_hops(8, 4), {"s1": surfaces()["s1"]})
    cirs = cir.draw(5)
    for control in (None, RNG.uniform(0, 6, 6), RNG.uniform(0, 6, [5, 6]),
                    RNG.uniform(0, 6, [5, 4, 6])):  # fmt: skip
        controls = None if control is None else {"s1": control.astype(np.float32)}
        a, tau = cir.compose(cirs, cir.reflect(controls))
        expected = cir_to_ofdm_channel(f, a, tf.repeat(tau, a.shape[0] // tau.shape[0], 0))
        found = cir.response(cirs, f, controls)
        assert found.shape == expected.shape == (5, 1, 3, 2, 1, 4, 12)
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_response_does_not_depend_on_the_order_of_the_hops():
    wave = twins.directions(RNG, 1, 1, 1, 3)
    a, tau = stored(1, 1, 1, 1, 1, 3, 1)
    cir = one({"tx>s1": irs.CIR(a, tau, wave), "s1>rx": stored(1, 1, 3, 1, 6, 2, 1)})
    cirs = cir.draw(1)
    turned = dict(reversed(cirs.items()))
    np.testing.assert_array_equal(cir.response(cirs, [1e6]), cir.response(turned, [1e6]))
    np.testing.assert_array_equal(cir.links(cirs)["tx>s1"], cir.links(turned)["tx>s1"])


def test_both_polarisations_share_the_coefficients_in_the_response():
    hops = {"tx>s1": stored(1, 1, 12, 1, 1, 3, 1), "s1>rx": stored(1, 1, 3, 1, 12, 2, 1)}
    cir, f = one(hops), np.array([-1e6, 2e6])
    cirs = cir.draw(1)
    expected = twins.transfer(*(x.numpy() for x in cir.compose(cirs, cir.reflect())), f)
    np.testing.assert_allclose(cir.response(cirs, f), expected, atol=1e-11)


def test_elements_that_depend_on_frequency():
    hops, f = wide_hops(), np.array([-2e5, 0.0, 3e5])
    phases = RNG.uniform(0, 6, 6)
    surface = Resonant(PANEL, initial=phases, **DOUBLE)
    cir = irs.SurfaceCIR(hops, {"s1": surface}, **DOUBLE)
    found = cir.response(cir.draw(1), f).numpy()
    expected = twins.transfer(*hops["tx>rx"], f)
    for k in range(3):
        theta = np.exp(1j * (phases - 1e-6 * f[k]))
        over = twins.through(theta, hops["tx>s1"], hops["s1>rx"])
        expected[..., k] += twins.transfer(*over, f[k : k + 1])[..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-11)
    with pytest.warns(UserWarning, match=r"surfaces \['s1'\] depend on frequency"):
        cir(1, 1, 1e6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        cir(1, 1, 1e6)
        one(hops)(1, 1, 1e6)


def test_subtracted_delays_start_at_the_first_path_with_power():
    hops = wide_hops(8)
    hops["tx>rx"][0][..., 0, :] = 0
    hops["tx>rx"][1][..., 0] = -1.0  # a missing path
    a, tau = one(hops, subtract_delay=True)(20, 2, 1e6)
    present = np.abs(a).max((2, 4, 6)) > 0
    tau = np.where(present, tau, np.inf)
    np.testing.assert_allclose(tau.min((1, 2, 3)), 0, atol=1e-15)
    assert (tau.min((1, 3)) > 0).any()  # one common delay: users keep their distance


class Gain(irs.LinkLayer):
    """A hop with a trainable weight."""

    num_rx_ant, num_tx_ant = 6, 1

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.gain = self.add_weight(shape=[], initializer="ones", name="gain")

    def call(self, batch_size):
        return self.cplx(self.gain * tf.ones([batch_size, 6, 1]))


def test_weights_of_hops_are_found():
    cir = irs.SurfaceCIR({"tx>s1": Gain(), "s1>rx": np.ones([1, 6])}, {"s1": surfaces()["s1"]})
    assert len(cir.trainable_variables) == 1


def test_config_holds_stored_hops():
    a, tau = stored(1, 1, 1, 1, 1, 3, 1)
    hops = {"tx>s1": irs.CIR(a, tau, twins.directions(RNG, 1, 1, 1, 3)), "s1>rx": cplx(3, 6)}
    hops["tx>rx"] = stored(1, 1, 3, 1, 1, 2, 1)
    cir = one(hops, num_paths=2)
    again = irs.SurfaceCIR.from_config(cir.get_config())
    for x, y in zip(cir(1, 1, 1e6), again(1, 1, 1e6), strict=True):
        np.testing.assert_array_equal(x, y)
