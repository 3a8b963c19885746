"""Surfaces in scenes: closed forms in free space, reciprocity, data sets, bad arguments."""

import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs.channel.scene.raytraced import rotation

LIGHT_SPEED = 299792458.0
CANYON = "simple_street_canyon"
TX, SURFACE, RX = [0.0, 0.0, 10.0], [40.0, 30.0, 10.0], [80.0, 0.0, 1.5]
DOUBLE = {"precision": "double"}


def db(gain):
    return 20 * math.log10(abs(gain))


def free_space(frequency, num_rows, pattern=None, **kwargs):
    """(channel, panel) of the reference triangle, the surface facing -y."""
    panel = irs.UPA(num_rows, num_rows)
    kwargs = {"hops": ["tx>s1", "s1>rx"], "max_depth": 0, "spherical": False, **kwargs}
    surface = irs.SceneDevice(SURFACE, panel, orientation=(-math.pi / 2, 0, 0), pattern=pattern)
    hops = irs.RayTracedHops(
        None, frequency, irs.SceneDevice(TX), irs.SceneDevice(RX), {"s1": surface}, **kwargs
    )
    return irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(panel, **DOUBLE)}, **DOUBLE), panel


def gains(cir):
    """[dB] aligned, and with all coefficients 1."""
    cirs = cir.draw(1)
    aligned = irs.AlignedPhases(**DOUBLE)(cir.links(cirs))
    return [
        db(cir.compose(cirs, cir.reflect(controls))[0].numpy().sum())
        for controls in (aligned, None)
    ]


@pytest.mark.parametrize(
    "frequency, num_rows, iso, flat, cosine",
    [
        (3.5e9, 16, -106.5760, -120.218, -101.1319),
        (28e9, 32, -130.6584, -151.038, -125.2143),
    ],
)
def test_free_space_is_the_product_of_two_friis_hops(frequency, num_rows, iso, flat, cosine):
    aligned, ones = gains(free_space(frequency, num_rows, irs.IsotropicPattern())[0])
    assert aligned == pytest.approx(iso, abs=0.01) and ones == pytest.approx(flat, abs=0.01)
    channel, panel = free_space(frequency, num_rows)
    assert gains(channel)[0] == pytest.approx(cosine, abs=0.01)
    # The aperture formula: the same number from the area of the cells.
    d1, d2 = math.dist(TX, SURFACE), math.dist(SURFACE, RX)
    area = (LIGHT_SPEED / frequency / 2) ** 2
    cosines = (30 / d1) * (30 / d2)
    aperture = panel.num_ant * area * math.sqrt(cosines) / (4 * math.pi * d1 * d2)
    assert gains(channel)[0] == pytest.approx(db(aperture), abs=0.01)


def test_gain_of_aligned_elements_is_n_squared():
    """Line of sight in the street canyon, 3.5 GHz, user (24, 30, 1.5)."""
    for num_rows, expected in ((4, -125.768), (8, -113.726), (16, -101.685)):
        panel = irs.UPA(num_rows, num_rows)
        hops = irs.RayTracedHops(
            CANYON, 3.5e9, irs.SceneDevice([-60, 0, 10]), irs.SceneDevice([24, 30, 1.5]),
            {"s1": irs.SceneDevice([31, -8, 8], panel, (math.radians(140), 0, 0))},
            hops=["tx>s1", "s1>rx"], max_depth=0, spherical=False,
        )  # fmt: skip
        channel = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(panel, **DOUBLE)}, **DOUBLE)
        assert gains(channel)[0] == pytest.approx(expected, abs=0.01)


def element_positions(panel, frequency, yaw):
    """Elements in the scene [m], the panel turned by its yaw alone."""
    offsets = (panel.positions - panel.positions.mean(0)) * LIGHT_SPEED / frequency
    y = offsets[:, 1]
    turned = np.stack([-math.sin(yaw) * y, math.cos(yaw) * y, offsets[:, 2]], -1)
    return np.array(SURFACE) + turned


def test_spherical_waves_are_those_of_every_element():
    frequency = 28e9
    channel, panel = free_space(frequency, 24, irs.IsotropicPattern(), spherical=True)
    links = channel.links(channel.draw(1))
    places = element_positions(panel, frequency, -math.pi / 2)
    for name, end in (("tx>s1", TX), ("s1>rx", RX)):
        distance = np.linalg.norm(places - end, axis=-1)
        exact = LIGHT_SPEED / frequency / (4 * math.pi * distance)
        exact = exact * np.exp(-2j * math.pi * np.mod(frequency * distance / LIGHT_SPEED, 1))
        found = links[name].numpy().ravel()
        # The amplitude carries the ray tracer's single precision.
        np.testing.assert_allclose(found, exact, atol=2e-5 * np.abs(exact).max())
    plane, _ = free_space(frequency, 24, irs.IsotropicPattern())
    flat = plane.links(plane.draw(1))["tx>s1"].numpy().ravel()
    exact = links["tx>s1"].numpy().ravel()
    assert np.abs(flat - exact).max() > 0.02 * np.abs(exact).max()


def test_two_surfaces_in_free_space():
    """tx > s1 > s2 > rx and all ways around, against sums over elements in double precision."""
    frequency, shapes = 3.5e9, {"s1": irs.UPA(3, 4), "s2": irs.UPA(2, 3)}
    places = {"tx": [0, 0, 5], "rx": [60, 5, 2], "s1": [10, 20, 6], "s2": [45, 25, 8]}
    yaws = {"s1": -1.2, "s2": -2.0}
    names = ["tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx", "tx>rx"]
    hops = irs.RayTracedHops(
        None, frequency, irs.SceneDevice(places["tx"]), irs.SceneDevice(places["rx"]),
        {k: irs.SceneDevice(places[k], shapes[k], (yaws[k], 0, 0)) for k in shapes},
        hops=names, max_depth=0, spherical=False,
    )  # fmt: skip
    surfaces = {k: irs.IdealPhases(v, **DOUBLE) for k, v in shapes.items()}
    channel = irs.SurfaceCIR(hops, surfaces, **DOUBLE)
    rng = np.random.default_rng(1)
    controls = {k: rng.uniform(0, 6, v.num_ant) for k, v in shapes.items()}

    def response(node, direction):
        if node not in shapes:
            return np.ones(1)
        offsets = shapes[node].positions - shapes[node].positions.mean(0)
        local = direction @ rotation((yaws[node], 0, 0))
        return np.sqrt(math.pi * local[0]) * np.exp(2j * math.pi * offsets @ local)

    def matrix(name):
        start, end = name.split(">")
        line = np.subtract(places[end], places[start]).astype(float)
        d = np.linalg.norm(line)
        gain = LIGHT_SPEED / frequency / (4 * math.pi * d)
        gain = gain * np.exp(-2j * math.pi * np.mod(frequency * d / LIGHT_SPEED, 1))
        return gain * np.outer(response(end, -line / d), response(start, line / d))

    h = {name: matrix(name) for name in names}
    t = {k: np.exp(1j * v)[:, None] for k, v in controls.items()}
    first = t["s1"] * h["tx>s1"]
    expected = h["tx>rx"] + h["s1>rx"] @ first
    expected = expected + h["s2>rx"] @ (t["s2"] * (h["tx>s2"] + h["s1>s2"] @ first))
    cirs = channel.draw(1)
    a, tau = channel.compose(cirs, channel.reflect(controls))
    np.testing.assert_allclose(a.numpy().sum(), expected[0, 0], rtol=2e-5)
    longest = sum(math.dist(places[a], places[b]) for a, b in
                  (("tx", "s1"), ("s1", "s2"), ("s2", "rx")))  # fmt: skip
    assert tau.numpy().max() == pytest.approx(longest / LIGHT_SPEED, rel=1e-6)


def test_many_users_on_either_side_are_reciprocal():
    users = np.array([[24.0, y, 1.5] for y in (0.0, 12.0, 30.0)])
    mast, panel, place = [-60, 0, 10], irs.UPA(2, 3), [31, -8, 8]
    surface = irs.SceneDevice(place, panel, look_at=[0, 20, 8])
    ends = irs.SceneDevice(mast, irs.ULA(2)), irs.SceneDevice(users)
    common = {"max_depth": 2, "num_paths": 4, "with_vertices": True}
    down = irs.RayTracedHops(CANYON, 3.5e9, *ends, {"s1": surface}, **common)
    up = irs.RayTracedHops(CANYON, 3.5e9, *ends[::-1], {"s1": surface}, **common)
    assert down.num_samples == up.num_samples == 3 and up.users == "tx"
    index = np.arange(3)[:, None]
    links = []
    for hops in (down, up):
        cir = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(panel, **DOUBLE)}, **DOUBLE)
        links.append(cir.links(cir.draw(3, index=index)))
    for name, other in (("tx>s1", "s1>rx"), ("s1>rx", "tx>s1"), ("tx>rx", "tx>rx")):
        back = links[1][other].numpy().swapaxes(-1, -2)
        np.testing.assert_allclose(links[0][name].numpy(), back, rtol=1e-3, atol=1e-12)
    # Out of sight and without a reflection: no direct path, but one to the surface.
    assert (links[0]["tx>rx"].numpy()[2] == 0).all() and links[0]["s1>rx"].numpy()[2].any()
    # Points of reflection come in the order in which the wave meets them.
    for hops, start in ((down, mast), (up, None)):
        paths = hops.traced["tx>rx"]
        for s in range(2):
            for p in np.flatnonzero(paths.valid[s, 0]):
                points = paths.vertices[s, 0, p]
                points = points[~np.isnan(points[:, 0])]
                ends = [mast, users[s]] if start else [users[s], mast]
                way = np.concatenate([ends[:1], points, ends[1:]]).astype(float)
                length = np.linalg.norm(np.diff(way, axis=0), axis=-1).sum()
                assert length / LIGHT_SPEED == pytest.approx(paths.delay[s, 0, p], rel=1e-6)


def test_users_of_an_example_share_the_surface():
    users = np.array([[24.0, y, 1.5] for y in range(-4, 12, 2)])
    panel = irs.UPA(2, 2)
    hops = irs.RayTracedHops(
        CANYON, 3.5e9, irs.SceneDevice([-60, 0, 10]), irs.SceneDevice(users),
        {"s1": irs.SceneDevice([31, -8, 8], panel, look_at=[0, 20, 8])},
        num_users=3, max_depth=1,
    )  # fmt: skip
    cir = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(panel)})
    a, tau = cir(5, 1, 1.0)
    assert a.shape[:5] == [5, 3, 1, 1, 1] and tau.shape[:3] == [5, 3, 1]
    assert cir.links(cir.draw(5))["s1>rx"].shape == [5, 3, 1, 4]


def test_blocks_of_ground():
    rng = np.random.default_rng(1)
    places = rng.uniform(-50, 50, [4000, 3])
    parts = irs.position_blocks(places, 10.0)
    together = np.concatenate(list(parts.values()))
    assert len(together) == 4000 == len(np.unique(together))
    cells = {k: {tuple(c) for c in np.floor(places[v, :2] / 10)} for k, v in parts.items()}
    assert not cells["train"] & cells["test"] and not cells["validation"] & cells["test"]
    assert len(parts["train"]) == pytest.approx(2800, abs=100)
    again = irs.position_blocks(places, 10.0)
    np.testing.assert_array_equal(parts["test"], again["test"])
    with pytest.raises(ValueError, match="blocks leave no position"):
        irs.position_blocks(places, 2000.0)
    with pytest.raises(ValueError, match="of sum 1"):
        irs.position_blocks(places, 10.0, (0.5, 0.2, 0.2))


def test_scene_cascade():
    settings = {"num_rx_ant": 4, "num_elements": 8, "spacing": 8.0}
    train, test = (irs.SceneCascade(s, **settings, **DOUBLE) for s in ("train", "test"))
    assert not {tuple(p) for p in train.positions} & {tuple(p) for p in test.positions}
    u = train.samples.numpy()
    assert u.shape == (len(train.positions), 4, 8)
    rho_c = irs.CascadedChannel().statistics.rho_c
    assert np.mean(np.abs(u) ** 2) == pytest.approx(rho_c, rel=1e-9)
    # One path per hop: rank one; both hops are plane waves, with equal magnitudes.
    singular = np.linalg.svd(u, compute_uv=False)
    assert (singular[:, 1] < 1e-6 * singular[:, 0]).all()
    np.testing.assert_allclose(np.abs(u), np.abs(u[:, :1, :1]) * np.ones([1, 4, 8]), rtol=1e-9)
    drawn = train.draw(20).cascaded().numpy()
    for channel in drawn:
        assert np.abs(u - channel).max((1, 2)).min() < 1e-12
    users = irs.SceneCascade("validation", num_users=2, **settings)
    assert users.draw(3).cascaded().shape == [3, 2, 4, 8]
    copy = irs.SceneCascade.from_config(train.get_config())
    np.testing.assert_array_equal(copy.samples, train.samples)
    graph = tf.function(lambda: train.draw(4).cascaded(), jit_compile=True, autograph=False)
    irs.random.install()
    irs.random.reset(irs.random.stream_key(3))
    eager = train.draw(4).cascaded()
    irs.random.reset(irs.random.stream_key(3))
    np.testing.assert_allclose(graph(), eager, rtol=1e-12)


ENDS = {"tx": irs.SceneDevice(TX), "rx": irs.SceneDevice(RX)}
MANY = irs.SceneDevice([TX, RX])


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: irs.SceneDevice([0, 0]), r"position = \[0, 0\]; \[3\] or \[number, 3\]"),
        (lambda: irs.SceneDevice([0, 0, math.nan]), "finite numbers"),
        (lambda: irs.SceneDevice(TX, orientation=(1, 2)), r"orientation = \(1, 2\); \[3\]"),
        (lambda: irs.SceneDevice(TX, orientation=(1, 2, 3), look_at=RX), "give one of them"),
        (lambda: irs.SceneDevice(TX, look_at=TX), "away from the device"),
        (lambda: irs.SceneDevice([TX, RX], look_at=SURFACE), "one position"),
        (lambda: irs.SceneDevice(TX, array=8), "a ULA or a UPA"),
        (lambda: irs.SceneDevice(TX, irs.UPA(0, 4)), "num_rows"),
        (lambda: irs.RayTracedHops("atlantis", 1e9, **ENDS), "scene = 'atlantis'"),
        (lambda: irs.RayTracedHops(None, -1e9, **ENDS), "frequency = -1"),
        (lambda: irs.RayTracedHops(None, 1e9, MANY, MANY), "one of them must have 1"),
        (lambda: irs.RayTracedHops(None, 1e9, **ENDS, surfaces={"s1": MANY}), "one position"),
        (lambda: irs.RayTracedHops(None, 1e9, TX, RX), "a SceneDevice is needed"),
        (lambda: irs.RayTracedHops(None, 1e9, **ENDS, hops=["tx>s9"]), "'tx>s9'; 'from>to'"),
        (lambda: irs.RayTracedHops(None, 1e9, **ENDS, num_paths=0), "num_paths = 0"),
        (lambda: irs.RayTracedHops(None, 1e9, **ENDS, num_users=2), "num_users = 2"),
        (lambda: free_space(3.5e9, 0), "num_rows"),
        (lambda: irs.SceneCascade("all"), "split = 'all'"),
        (lambda: irs.SceneCascade(spacing=-1.0), "spacing = -1"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_surface_without_a_path():
    """Facing away from the transmitter, and inside a building."""
    away = irs.SceneDevice(SURFACE, irs.UPA(2, 2), orientation=(math.pi / 2, 0, 0))
    with pytest.raises(ValueError, match="hop 'tx>s1': no path; .*behind a wall or faces away"):
        irs.RayTracedHops(None, 3.5e9, **ENDS, surfaces={"s1": away}, max_depth=0)
    inside = irs.SceneDevice([0, 30, 5], irs.UPA(2, 2), look_at=[-60, 0, 10])
    mast = irs.SceneDevice([-60, 0, 10])
    with pytest.raises(ValueError, match="no path"):
        irs.RayTracedHops(CANYON, 3.5e9, mast, ENDS["rx"], {"s1": inside})
