"""Paths through surfaces against explicit loops: plane, spherical and per-element forms."""

import math

import cir_twins as twins
import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.channel.tr38901 import CDL, PanelArray

import sionna_irs as irs
from sionna_irs import random
from sionna_irs.channel.impulse.paths import response
from sionna_irs.channel.impulse.pruning import paths_for

RNG = np.random.default_rng(2)
DOUBLE = {"precision": "double"}
PANEL = irs.UPA(2, 3, 0.4, 0.6)
PLACES = twins.places(2, 3, 0.4, 0.6)


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def stored(*shape):
    """Random (a, tau) of shape [B, R, Ra, T, Ta, P, t]."""
    b, rx, _, tx, _, paths, _ = shape
    return cplx(*shape), RNG.uniform(0, 1e-6, [b, rx, tx, paths])


def tensors(cir):
    return irs.CIR(*(None if x is None else tf.constant(x) for x in cir))


def channel_of(cirs, panels=None, **kwargs):
    """A channel with these hops, and the hops as :meth:`draw` gives them."""
    surfaces = {n: irs.IdealPhases(p, **DOUBLE) for n, p in (panels or {"s1": PANEL}).items()}
    hops = {n: (x if x is None else x[:1] for x in cir) for n, cir in cirs.items()}
    channel = irs.SurfaceCIR({n: tuple(c) for n, c in hops.items()}, surfaces, **DOUBLE, **kwargs)
    return channel, {n: tensors(cir) for n, cir in cirs.items()}


def compose(cirs, theta, panels=None):
    channel, hops = channel_of(cirs, panels)
    return channel.compose(hops, {n: tf.constant(t) for n, t in theta.items()})


THETAS = {"N": (6,), "BN": (3, 6), "1tN": (1, 4, 6), "BtN": (3, 4, 6)}
HOPS = {
    "all change": ((3, 4), (3, 4)),
    "the first for all examples, still": ((1, 1), (3, 4)),
    "the second for all examples, still": ((3, 4), (1, 1)),
    "both for all examples, still": ((1, 1), (1, 1)),
}


@pytest.mark.parametrize("kind", HOPS)
@pytest.mark.parametrize("form", THETAS)
def test_composition_is_the_double_loop(form, kind):
    (b1, t1), (b2, t2) = HOPS[kind]
    into, out = stored(b1, 1, 6, 2, 2, 3, t1), stored(b2, 3, 2, 1, 6, 2, t2)
    theta = np.exp(1j * RNG.uniform(0, 6, THETAS[form]))
    a, tau = compose({"tx>s1": into, "s1>rx": out}, {"s1": theta})
    expected_a, expected_tau = twins.through(theta, into, out)
    np.testing.assert_allclose(a, expected_a, rtol=0, atol=1e-12 * np.abs(expected_a).max())
    np.testing.assert_allclose(tau, expected_tau, rtol=1e-12)


def test_ways_side_by_side_add_their_paths():
    panels = {"s1": PANEL, "s2": irs.UPA(2, 2)}
    cirs = {
        "tx>rx": stored(3, 2, 1, 1, 2, 4, 5),
        "tx>s1": stored(1, 1, 6, 1, 2, 3, 1), "s1>rx": stored(3, 2, 1, 1, 6, 2, 5),
        "tx>s2": stored(3, 1, 4, 1, 2, 2, 5), "s2>rx": stored(1, 2, 1, 1, 4, 3, 1),
        "s1>s2": stored(1, 1, 4, 1, 6, 2, 1),
    }  # fmt: skip
    theta = {"s1": np.exp(1j * RNG.uniform(0, 6, [3, 6])), "s2": np.exp(1j * np.arange(4.0))}
    h = {n: c for n, c in cirs.items()}
    at_s2 = twins.joined(h["tx>s2"], twins.through(theta["s1"], h["tx>s1"], h["s1>s2"]))
    expected = twins.joined(
        h["tx>rx"],
        twins.through(theta["s1"], h["tx>s1"], h["s1>rx"]),
        twins.through(theta["s2"], at_s2, h["s2>rx"]),
    )
    a, tau = compose(cirs, theta, panels)
    # The order of the paths is free: the response is what counts.
    f = np.array([0.0, 3e5, -7e5])
    expected = twins.transfer(*expected, f)
    found = twins.transfer(a.numpy(), tau.numpy(), f)
    assert a.shape[5] == 4 + 6 + (2 + 6) * 3
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


def far(rx, rx_ant, tx, tx_ant, paths, end, length=None):
    """A random hop with waves at an end."""
    a, tau = stored(1, rx, rx_ant, tx, tx_ant, paths, 1)
    wave = twins.directions(RNG, 1, rx, tx, paths)
    if length is not None:
        wave = np.concatenate([wave, np.full([1, rx, tx, paths, 1], 1 / length)], -1)
    return irs.CIR(a, tau, **{f"{end}_wave": wave})


def as_antennas(cir, elements=PLACES):
    a = cir.a
    for end, wave in (("rx", cir.rx_wave), ("tx", cir.tx_wave)):
        if wave is not None:
            a = twins.written_out(a, wave, elements, end)
    return a, cir.tau


@pytest.mark.parametrize("length", [None, 2.5, 400.0], ids=["plane", "near", "far"])
@pytest.mark.parametrize("form", ["N", "BtN"])
def test_waves_equal_their_elements(form, length):
    into = far(1, 1, 2, 2, 3, "rx", length)
    out = far(3, 2, 1, 1, 2, "tx", length)
    theta = np.exp(1j * RNG.uniform(0, 6, THETAS[form]))
    expected_a, expected_tau = twins.through(theta, as_antennas(into), as_antennas(out))
    a, tau = compose({"tx>s1": into, "s1>rx": out}, {"s1": theta})
    np.testing.assert_allclose(a, expected_a, atol=1e-10 * np.abs(expected_a).max())
    np.testing.assert_allclose(tau, expected_tau, rtol=1e-12)


@pytest.mark.parametrize("waves_in", [True, False], ids=["waves arrive", "waves leave"])
def test_waves_on_one_side_alone(waves_in):
    into = far(1, 1, 1, 2, 3, "rx") if waves_in else stored(1, 1, 6, 1, 2, 3, 1)
    out = stored(1, 2, 2, 1, 6, 2, 1) if waves_in else far(2, 2, 1, 1, 2, "tx", 5.0)
    theta = np.exp(1j * RNG.uniform(0, 6, 6))
    expected, _ = twins.through(
        theta, as_antennas(into) if waves_in else into, out if waves_in else as_antennas(out)
    )
    a, _ = compose({"tx>s1": into, "s1>rx": out}, {"s1": theta})
    np.testing.assert_allclose(a, expected, atol=1e-10 * np.abs(expected).max())


FORMS = ["antennas", "plane", "spherical"]


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_forms_join_at_a_surface(first, second):
    """Paths from tx and from another surface arrive at s2 in any two forms."""
    panels, places = {"s1": PANEL, "s2": irs.UPA(2, 2)}, twins.places(2, 2)

    def arriving(form, tx, tx_ant, tx_wave=None):
        if form == "antennas":
            a, tau = stored(1, 1, 4, tx, tx_ant, 2, 1)
            return irs.CIR(a, tau, None, tx_wave)
        return far(1, 1, tx, tx_ant, 2, "rx", 3.0 if form == "spherical" else None)._replace(
            tx_wave=tx_wave
        )

    leaving = twins.directions(RNG, 1, 1, 1, 2)
    cirs = {
        "tx>s1": far(1, 1, 1, 2, 3, "rx"), "s1>s2": arriving(first, 1, 1, leaving),
        "tx>s2": arriving(second, 1, 2), "s2>rx": far(1, 2, 1, 1, 2, "tx"),
    }  # fmt: skip
    theta = {"s1": np.exp(1j * RNG.uniform(0, 6, 6)), "s2": np.exp(1j * RNG.uniform(0, 6, 4))}
    between = cirs["s1>s2"]
    between = twins.written_out(between.a, leaving, PLACES, "tx"), between.tau
    if first != "antennas":
        wave = cirs["s1>s2"].rx_wave
        between = twins.written_out(between[0], wave, places, "rx"), between[1]
    over_s1 = twins.through(theta["s1"], as_antennas(cirs["tx>s1"]), between)
    at_s2 = twins.joined(over_s1, as_antennas(cirs["tx>s2"], places))
    expected = twins.through(theta["s2"], at_s2, as_antennas(cirs["s2>rx"], places))
    a, tau = compose(cirs, theta, panels)
    f = np.array([0.0, 4e5])
    expected = twins.transfer(*expected, f)
    found = twins.transfer(a.numpy(), tau.numpy(), f)
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def test_ten_thousand_elements_in_single_precision():
    rows = cols = 100
    panel, places = irs.UPA(rows, cols), twins.places(rows, cols)
    phases = RNG.uniform(0, 6, rows * cols).astype(np.float32)
    theta = np.exp(1j * phases.astype(float))
    for length, tolerance in ((None, 1e-5), (2000.0, 2e-5)):
        into, out = far(1, 1, 1, 1, 5, "rx", length), far(1, 1, 1, 1, 4, "tx", length)
        arriving, leaving = as_antennas(into, places)[0], as_antennas(out, places)[0]
        expected = np.einsum("nq,n,np->qp", leaving[0, 0, 0, 0, :, :, 0], theta,
                             arriving[0, 0, :, 0, 0, :, 0])  # fmt: skip
        channel = irs.SurfaceCIR(
            {"tx>s1": tuple(into), "s1>rx": tuple(out)}, {"s1": irs.IdealPhases(panel)}
        )
        a, _ = channel.compose(channel.draw(1), channel.reflect({"s1": phases}))
        found = a.numpy().reshape(expected.shape)
        assert found.dtype == np.complex64
        assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)


def test_waves_of_a_spherical_source_have_its_amplitude_and_phase():
    places = twins.places(16, 16, 0.5, 0.5)
    direction = twins.directions(RNG, 7)
    for length in (9.0, 100.0, 1e5):
        wave = np.concatenate([direction, np.full([7, 1], 1 / length)], -1)
        found = irs.UPA(16, 16).wave_response(wave, tf.complex128).numpy()
        expected = twins.spherical(direction, np.full(7, length), places)
        # The twin itself loses 1e-16 x 2 pi L to the difference of two large numbers.
        np.testing.assert_allclose(found, expected, atol=1e-10 + 4e-15 * length)
    plane = irs.UPA(16, 16).wave_response(direction, tf.complex128).numpy()
    flat = np.concatenate([direction, np.zeros([7, 1])], -1)
    np.testing.assert_allclose(irs.UPA(16, 16).wave_response(flat, tf.complex128), plane)
    np.testing.assert_allclose(plane, twins.plane(direction, places), atol=1e-12)


def test_a_panel_serves_both_polarisations():
    into, out = stored(1, 1, 12, 1, 1, 2, 1), stored(1, 1, 2, 1, 12, 3, 1)
    theta = np.exp(1j * RNG.uniform(0, 6, 6))
    a, _ = compose({"tx>s1": into, "s1>rx": out}, {"s1": theta})
    expected, _ = twins.through(np.concatenate([theta, theta]), into, out)
    np.testing.assert_allclose(a, expected, atol=1e-12 * np.abs(expected).max())
    theta = np.exp(1j * RNG.uniform(0, 6, [2, 3, 12]))
    panels = {"s1": irs.DualPolarized(PANEL)}
    a, _ = compose({"tx>s1": into, "s1>rx": out}, {"s1": theta}, panels)
    expected, _ = twins.through(theta, into, out)
    np.testing.assert_allclose(a, expected, atol=1e-12 * np.abs(expected).max())


def test_order_of_the_elements_is_that_of_sionnas_panels():
    assert irs.sionna_order(irs.UPA(3, 4)).tolist() == [2, 5, 8, 11, 1, 4, 7, 10, 0, 3, 6, 9]
    assert irs.sionna_order(irs.ULA(4)).tolist() == [0, 1, 2, 3]
    carrier = 28e9
    for dual in (False, True):
        panel = PanelArray(
            3, 4, "dual" if dual else "single", "cross" if dual else "V", "omni", carrier,
            element_vertical_spacing=0.7, element_horizontal_spacing=0.4, precision="double",
        )  # fmt: skip
        array = irs.UPA(3, 4, 0.7, 0.4)
        array = irs.DualPolarized(array) if dual else array
        theirs = panel.ant_pos.numpy()[irs.sionna_order(array)]
        ours = (array.positions - array.positions.mean(0)) * twins.LIGHT_SPEED / carrier
        np.testing.assert_allclose(ours, theirs, atol=1e-8)
    assert irs.DualPolarized.from_config(array.get_config()) == array
    # Dual-polarised: the first half is one polarisation.
    assert panel.ant_ind_pol1.numpy().tolist() == list(range(12))


def test_aligned_phases_point_where_they_should_and_not_to_the_mirror_image():
    rows, cols = 3, 4
    places = twins.places(rows, cols)
    into = irs.CIR(np.ones([1, 1, 1, 1, 1, 1, 1]) + 0j, np.zeros([1, 1, 1, 1]),
                   twins.unit(0.5, 1.2)[None, None, None, None])  # fmt: skip
    out = irs.CIR(*into[:2], None, twins.unit(-0.9, 1.9)[None, None, None, None])
    along = (into.rx_wave + out.tx_wave)[0, 0, 0, 0] @ places.T
    against = (into.rx_wave - out.tx_wave)[0, 0, 0, 0] @ places.T
    transposed = twins.places(cols, rows)[:, [0, 2, 1]]
    turned = (into.rx_wave + out.tx_wave)[0, 0, 0, 0] @ transposed.T
    gains = [
        np.abs(compose({"tx>s1": into, "s1>rx": out}, {"s1": np.exp(-2j * np.pi * x)},
                       {"s1": irs.UPA(rows, cols)})[0].numpy().item())
        for x in (along, against, turned)
    ]  # fmt: skip
    assert gains[0] == pytest.approx(rows * cols, rel=1e-12)
    assert gains[1] < 6 and gains[2] < 10


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_elements_of_a_sionna_hop_see_its_line_of_sight_where_it_is(direction):
    """The strongest direction of CDL-D, panel turned, is the plane wave of its angles."""
    random.install()
    random.reset(random.stream_key(11))
    yaw, pitch = 0.5, 0.3
    carrier = 28e9
    panel = PanelArray(3, 4, "single", "V", "omni", carrier)
    user = PanelArray(1, 1, "single", "V", "omni", carrier)
    model = CDL("D", 1e-9, carrier, user, panel, direction, bs_orientation=[yaw, pitch, 0.0])
    arrives = direction == "uplink"
    name, other = ("tx>s1", "s1>rx") if arrives else ("s1>rx", "tx>s1")
    hop = {name: model, other: np.ones([1, 12]) if arrives else np.ones([12, 1])}
    channel = irs.SurfaceCIR(hop, {"s1": irs.IdealPhases(irs.UPA(3, 4))})
    a = channel.draw(200)[name].a.numpy()
    h = a[:, 0, :, 0, 0, 0, 0] if arrives else a[:, 0, 0, 0, :, 0, 0]
    strongest = np.linalg.svd(h, full_matrices=False)[2][0]
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0],
                     [0, 0, 1]])  # fmt: skip
    lift = np.array([[math.cos(pitch), 0, math.sin(pitch)], [0, 1, 0],
                     [-math.sin(pitch), 0, math.cos(pitch)]])  # fmt: skip
    # 3GPP TR 38.901, table 7.7.1-4: azimuth 0, zenith 98.5 degrees at the base station.
    local = (turn @ lift).T @ twins.unit(0.0, math.radians(98.5))
    expected = twins.plane(local, twins.places(3, 4)) / math.sqrt(12)
    transposed = expected.reshape(3, 4).T.reshape(12)
    assert abs(expected.conj() @ strongest) > 0.995
    assert abs(expected @ strongest) < 0.7 and abs(transposed.conj() @ strongest) < 0.8


def test_frequency_response_is_the_sum_over_paths():
    a, tau = stored(3, 2, 2, 1, 3, 4, 5)
    f = np.array([-2e6, 0.0, 1e6])
    found = response(irs.CIR(tf.constant(a), tf.constant(tau[:1])), tf.constant(f)).numpy()
    expected = twins.transfer(a, np.repeat(tau[:1], 3, 0), f)
    expected = np.transpose(expected, [0, 5, 6, 1, 2, 3, 4]).reshape(3, 5, 3, 4, 3)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def decaying(batch, paths=20):
    """Paths whose energies fall by a factor of two from one to the next."""
    a, tau = stored(batch, 1, 2, 1, 1, paths, 3)
    return a * 2.0 ** (-RNG.permutation(paths)[:, None] / 2), tau


def test_pruned_paths_keep_the_response_within_its_bound():
    a, tau = decaying(6)
    f = np.linspace(-3e6, 3e6, 50)
    for kept in (1, 5, 19, 20):
        pruned, loss = irs.prune_paths(irs.CIR(tf.constant(a), tf.constant(tau)), kept)
        assert pruned.a.shape == (6, 1, 2, 1, 1, kept, 3)
        energy = (np.abs(a) ** 2).sum((1, 2, 3, 4, 6))
        ranked = np.sort(energy, -1)[:, ::-1]
        share = ranked[:, kept:].sum(-1) / ranked.sum(-1)
        np.testing.assert_allclose(loss, share, atol=1e-12)
        change = twins.transfer(a, tau, f) - twins.transfer(pruned.a.numpy(), pruned.tau.numpy(), f)
        total = (np.abs(a) ** 2).sum((2, 5, 6))[:, 0, 0, 0]
        bound = np.sqrt((20 - kept) * share * total)
        assert (np.abs(change).max((1, 2, 3, 4, 5, 6)) <= bound * (1 + 1e-9) + 1e-12).all()


def test_number_of_paths_for_a_loss():
    a, tau = decaying(200)
    cir = irs.CIR(tf.constant(a), tf.constant(tau))
    energy = np.sort((np.abs(a) ** 2).sum((1, 2, 3, 4, 6)), -1)[:, ::-1]
    share = energy / energy.sum(-1, keepdims=True)
    for loss in (0.5, 0.1, 1e-3):
        number = paths_for(cir, loss)
        assert share[:, number:].sum(-1).mean() <= loss
        assert share[:, number - 1 :].sum(-1).mean() > loss
    a[:150] = 0  # positions without any path lose nothing
    number = paths_for(irs.CIR(tf.constant(a), tf.constant(tau)), 0.1)
    assert share[150:, number:].sum(-1).mean() <= 0.1 < share[150:, number - 1 :].sum(-1).mean()
    assert paths_for(irs.CIR(tf.constant(0 * a), tf.constant(tau)), 0.1) == 1
    with pytest.raises(ValueError, match="num_paths = 21; at most 20"):
        irs.prune_paths(cir, 21)


def test_pruning_ranks_by_a_weight_and_moves_waves_along():
    cir = tensors(far(1, 1, 1, 1, 4, "rx", 7.0))
    weight = tf.constant([[[[0.1, 3.0, 0.2, 2.0]]]], tf.float64)
    pruned, _ = irs.prune_paths(cir, 2, weight)
    kept = sorted(pruned.tau.numpy().ravel().tolist())
    assert kept == sorted(cir.tau.numpy()[0, 0, 0, [1, 3]].tolist())
    for p, delay in enumerate(pruned.tau.numpy().ravel()):
        index = list(cir.tau.numpy().ravel()).index(delay)
        np.testing.assert_array_equal(pruned.rx_wave[0, 0, 0, p], cir.rx_wave[0, 0, 0, index])
        np.testing.assert_array_equal(pruned.a[..., p, :], cir.a[..., index, :])


def test_delays_count_only_where_power_is():
    a = np.ones([2, 1, 1, 1, 1, 4, 1], complex)
    a[:, ..., 2, 0], a[:, ..., 3, 0] = 1e-4, 0  # -80 dB and padding
    tau = np.array([[[[1e-7, 4e-7, 3.0, 12.7]]], [[[2e-7, 9e-7, 3.0, 12.7]]]])
    first, last = irs.delay_range(a, tau)
    assert (first, last) == pytest.approx((1e-7, 9e-7))
    assert irs.delay_range(0 * a, tau) == (0.0, 0.0)
    assert float(irs.delay_energy(a, tau, 5e-7)) == pytest.approx(0.25, abs=1e-7)
    # The cutoff counts from the first path on.
    assert float(irs.delay_energy(a, tau, 7.5e-7)) < 1e-7
    # The paths of -80 dB are late, and as weak as they are.
    assert float(irs.delay_energy(a, tau, 1e-6)) == pytest.approx(0.5e-8, rel=1e-6)
    assert float(irs.delay_energy(0 * a, tau, 0.0)) == 0


def test_patterns_of_elements():
    directions = twins.directions(RNG, 500)
    cosine = directions @ [1.0, 0, 0]
    for pattern, gain in (
        (irs.CosinePattern(), np.pi * np.maximum(cosine, 0)),
        (irs.CosinePattern(8.0, 3), 8 * np.maximum(cosine, 0) ** 3),
        (irs.CosinePattern(2.0, 0), 2.0 * (cosine > 0)),
        (irs.IsotropicPattern(), np.ones(500)),
    ):
        np.testing.assert_allclose(pattern(directions), gain, atol=1e-12)
        assert type(pattern).from_config(pattern.get_config()) == pattern
    # 2 (q + 1) in front and nothing behind radiate as much as 1 all around: 6 sigma.
    power = irs.CosinePattern(4.0, 1)(twins.directions(RNG, 100_000))
    assert abs(power.mean() - 1) < 6 * power.std() / math.sqrt(power.size)
    with pytest.raises(ValueError, match="gain = 0"):
        irs.CosinePattern(0)
    with pytest.raises(ValueError, match="exponent = -1"):
        irs.CosinePattern(exponent=-1)
