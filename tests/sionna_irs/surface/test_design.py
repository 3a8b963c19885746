"""What is wanted and what is set: designs of every policy on every kind of surface."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs

RNG = np.random.default_rng(1)
DOUBLE = {"precision": "double"}
USER, PANEL, BASE = irs.ULA(1), irs.UPA(2, 3), irs.ULA(2)
KINDS = {
    "ideal": irs.IdealPhases(PANEL),
    "discrete": irs.DiscretePhases(PANEL, num_bits=2),
    "coupled": irs.CoupledAmplitude(PANEL),
    "disc": irs.AdjustableAmplitude(PANEL),
    "varactor": irs.Varactor(PANEL),
    "two-bit varactor": irs.Varactor(PANEL, num_bits=2),
}
POLICIES = {
    "random": irs.RandomPhases(),
    "aligned": irs.AlignedPhases(),
    "coordinate": irs.CoordinateAscent(num_iter=1),
    "sum gain": irs.SumPathGain(num_iter=1),
    "capacity": irs.CapacityAscent(1.0, num_iter=1),
    "dominant": irs.DominantMode(num_iter=1),
}
MODES = {
    "eager": lambda f: f,
    "graph": lambda f: tf.function(f, autograph=False),
    "xla": lambda f: tf.function(f, autograph=False, jit_compile=True),
}


def unit(phase):
    return np.exp(1j * np.asarray(phase))


def channel_of(surface):
    panel = surface.panel
    hops = {"tx>s1": irs.RayleighHop(USER, panel), "s1>rx": irs.RayleighHop(panel, BASE)}
    return irs.SurfaceChannel(hops, {"s1": surface})


def test_check_values():
    varactor = irs.Varactor(irs.ULA(4), **DOUBLE)
    centre, radius, *_ = varactor._circle()
    assert centre == pytest.approx(-0.0358195724, abs=1e-10)
    assert radius == pytest.approx(0.9641804276, abs=1e-10)
    found = varactor.toward(unit([0, 1, np.pi, -1]))
    np.testing.assert_allclose(found, [0.25296611, 0.22549303, 0.5, 0.27919083], atol=1e-8)
    found = irs.Varactor(irs.ULA(2), **DOUBLE).nearest([0.5j, -0.9 + 0.1j])
    np.testing.assert_allclose(found, [0.20535291, 0.5], atol=1e-8)
    found = irs.CoupledAmplitude(irs.ULA(3), **DOUBLE).toward(unit([0, 1, -2]))
    np.testing.assert_allclose(found, [0.1388, 1.6626, -2.5013], atol=3e-4)
    disc = irs.AdjustableAmplitude(irs.ULA(2), **DOUBLE)
    np.testing.assert_allclose(disc.toward([2j, -1]), [np.pi / 2, np.pi, 1, 1])
    np.testing.assert_allclose(disc.nearest([0.5j, -3]), [np.pi / 2, np.pi, 0.5, 1])


@pytest.mark.parametrize("name", KINDS)
def test_no_control_serves_better(name):
    """Against a dense search over the controls of one element."""
    kind = type(KINDS[name])
    arguments = {"num_bits": 2} if "bit" in name or name == "discrete" else {}
    surface = kind(irs.ULA(200), **arguments, **DOUBLE)
    slope = (RNG.standard_normal(200) + 1j * RNG.standard_normal(200)) / 2
    one = kind(irs.ULA(20001), **arguments, **DOUBLE)
    low, high = (0.1, 0.5) if isinstance(one, irs.Varactor) else (-np.pi, np.pi)
    controls = np.linspace(low, high, 20001)
    amplitudes = (0.0, 0.25, 0.5, 0.75, 1.0) if name == "disc" else (None,)
    every = np.concatenate(
        [one(controls if a is None else [*controls, *np.full(20001, a)]) for a in amplitudes]
    )
    most = np.max(np.real(np.conj(slope)[:, None] * every), 1)
    gained = np.real(np.conj(slope) * surface(surface.toward(slope)).numpy())
    assert np.all(gained >= most - 1e-7)
    if name in ("ideal", "discrete", "two-bit varactor", "varactor", "coupled"):
        closest = np.min(np.abs(slope[:, None] - every), 1)
        reached = np.abs(slope - surface(surface.nearest(slope)).numpy())
        assert np.all(reached <= closest + 1e-4)


def test_every_level_of_a_quantised_varactor():
    slope = unit(np.linspace(-np.pi, np.pi, 2000))
    for num_bits in (1, 2, 3, 4):
        surface = irs.Varactor(irs.ULA(2000), num_bits=num_bits, **DOUBLE)
        levels = np.linspace(0.1, 0.5, 2**num_bits)
        states = irs.Varactor(irs.ULA(len(levels)), num_bits=num_bits, **DOUBLE)(levels).numpy()
        most = np.max(np.real(np.conj(slope)[:, None] * states), 1)
        found = np.real(np.conj(slope) * surface(surface.toward(slope)).numpy())
        np.testing.assert_allclose(found, most, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_every_policy_on_every_kind(mode):
    """Same shapes for every batch; nothing passive amplifies; a wanted phase comes out."""
    channels = {name: channel_of(surface) for name, surface in KINDS.items()}

    def call(size):
        links = channels["ideal"].draw(size)
        found = {}
        for name, policy in POLICIES.items():
            design = policy(links)
            assert type(design) is irs.Design
            found[name] = {kind: c.reflect(design)["s1"] for kind, c in channels.items()}
        return found

    wrapped = MODES[mode](call)
    for size in (1, 2, 3):
        for policy, found in wrapped(size).items():
            for kind, theta in found.items():
                assert theta.shape == (size, 6), (policy, kind)
                assert np.all(np.abs(theta) <= 1 + 1e-6), (policy, kind)
            np.testing.assert_allclose(found["disc"], found["ideal"], atol=1e-6)


def test_phases_that_are_controls_come_back_unchanged():
    wanted = tf.constant(RNG.uniform(-9, 9, [2, 6]), tf.float32)
    for name in ("ideal", "discrete"):
        np.testing.assert_array_equal(KINDS[name].realize(wanted), wanted)
    with pytest.raises(ValueError, match=r"the design has shape \(2, 5\); \[..., 6\] is needed"):
        KINDS["ideal"].realize(wanted[:, :5])


def test_aligned_varactors_reach_what_the_element_can():
    """64 Rayleigh elements between antennas: 2334.6 +- 7.2, not the 230 of clipped radians."""
    panel = irs.UPA(8, 8)
    hops = {"tx>s1": irs.RayleighHop(USER, panel), "s1>rx": irs.RayleighHop(panel, USER)}
    channel = irs.SurfaceChannel(hops, {"s1": irs.Varactor(panel)})
    h = tf.function(lambda: channel(2000, policy=irs.AlignedPhases()), autograph=False)()
    power = np.abs(h.numpy().ravel()) ** 2
    error = np.hypot(power.std() / np.sqrt(2000), 7.2)
    assert abs(power.mean() - 2334.6) < 3.5 * error
    theta = channel.reflect(irs.RandomPhases()(channel.draw(2000)))["s1"]
    assert abs(np.mean(theta)) < 0.1  # no mirror


@pytest.mark.parametrize("mode", MODES)
def test_plain_numbers_of_a_policy_are_no_picofarads(mode):
    channel = channel_of(KINDS["varactor"])

    def plain(links):
        return {"s1": tf.fill([2, 6], 0.3)}

    with pytest.raises(TypeError, match="plain numbers for the Varactor 's1': say irs.Design"):
        MODES[mode](lambda: channel(2, policy=plain))()
    said = MODES[mode](lambda: channel(2, policy=lambda links: irs.Controls(plain(links))))
    assert said().shape == (2, 2, 1)
    # Phases need no word, and of a batch of two nothing is read as phase and amplitude.
    phases = MODES[mode](lambda: channel_of(KINDS["ideal"])(2, policy=plain))
    assert phases().shape == (2, 2, 1)
    with pytest.raises(TypeError, match="AdjustableAmplitude 's1'"):
        MODES[mode](lambda: channel_of(KINDS["disc"])(2, policy=plain))()


@pytest.mark.parametrize(
    "name, good, bad", [("varactor", 0.3, 0.6), ("varactor", 0.5, 0.05), ("disc", 1.0, 3.0)]
)
def test_out_of_range(name, good, bad):
    surface = KINDS[name]
    values = np.full(surface.num_controls, good, np.float32)
    values[-1] = bad
    with pytest.raises(ValueError, match=f"control = {bad:g} .*; a number in .* is needed"):
        surface(values)
    for mode in ("graph", "xla"):
        theta = MODES[mode](lambda c: surface(c))(tf.constant(values)).numpy()
        assert np.isfinite(theta[:-1]).all() and np.isnan(theta[-1])
    values[-1] = good
    assert np.isfinite(surface(values)).all()


@pytest.mark.parametrize("kind", [irs.Varactor, irs.AdjustableAmplitude])
def test_the_own_control_is_brought_back_into_its_range(kind):
    surface = kind(irs.ULA(2), trainable=True)
    assert surface.control.constraint is not None
    surface.control.assign(tf.fill([surface.num_controls], 3.0))
    theta = tf.function(lambda: surface(), autograph=False)().numpy()
    assert np.all(np.abs(theta) <= 1 + 1e-6)


def test_tuners_start_from_designs():
    links = channel_of(KINDS["varactor"]).draw(50)
    tuner = irs.ZerothOrder(irs.MRTPrecoder(), {"s1": KINDS["varactor"]}, step_size=0.005)
    wanted = irs.RandomPhases()(links)
    state = tuner.start(wanted)["s1"].numpy()
    assert np.mean((state == 0.5) | (state == np.float32(0.1))) < 0.3  # of 56 degrees of 360
    turned = np.angle(KINDS["varactor"](state) / unit(wanted["s1"].numpy()))
    assert np.median(np.abs(turned)) < 0.1
    np.testing.assert_array_equal(tuner.start({"s1": state})["s1"], state)


def test_rows_of_earlier_files_are_read():
    surface, control = KINDS["disc"], np.float32([[0.1, 0.2], [0.5, 1.0]])
    surface = irs.AdjustableAmplitude(irs.ULA(2))
    surface.load_own_variables({"0": control})
    np.testing.assert_array_equal(surface.control, control.ravel())
    with pytest.raises(ValueError, match="shape"):
        surface.load_own_variables({"0": np.zeros(3, np.float32)})


def test_dictionaries_keep_their_meaning():
    """Through Keras' calls, graphs, XLA, loops and maps of nests."""
    design = irs.AlignedPhases()(channel_of(KINDS["ideal"]).draw(2))
    assert type(design) is irs.Design
    assert type(tf.nest.map_structure(tf.identity, design)) is irs.Design
    for mode in ("graph", "xla"):
        assert type(MODES[mode](lambda d: d)(design)) is irs.Design
    assert type({**design}) is dict


def test_responses_realise_designs():
    panel = irs.ULA(2)
    cir = irs.SurfaceCIR(
        {"tx>s1": np.ones([2, 1], complex), "s1>rx": np.ones([1, 2], complex)},
        {"s1": irs.Varactor(panel)},
    )
    cirs = cir.draw(1, 1, 1e6)
    design = irs.Design(s1=[0.0, 1.0])
    found = cir.response(cirs, [0.0], design)
    theta = cir.reflect(design)["s1"]
    np.testing.assert_allclose(np.ravel(found), [np.sum(theta)], rtol=1e-5)
