"""The room: mirror images against a loop over them, the reference numbers, the ray tracer."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import metrics, random, testing
from sionna_irs.channel.scene.raytracing.solve import solve_paths
from sionna_irs.channel.scene.room import RoomChannel, room_positions, room_split
from sionna_irs.channel.scene.room_images import image_paths
from sionna_irs.channel.scene.room_traced import traced_paths

C = 299792458.0
BASE = np.array([-4.5, 0.0, 2.5])
CARRIERS = (2.4e9, 2.5e9)
DOUBLE = {"precision": "double"}
GRID = room_positions()
FIRST_TEST_POSITIONS = [153441, 196201, 24638]


def images_of(position, carrier):
    """(length, u, alpha) of 25 images, one by one."""
    found = []
    concrete = 5.24 - 1j * 0.0462 * (carrier / 1e9) ** 0.7822 / (
        2 * math.pi * carrier * 8.8541878128e-12
    )
    axes = ((-5, 10), (-5, 10), (0, 5))
    for choice in itertools.product(itertools.product((-1, 0, 1), (0, 1)), repeat=3):
        orders = [abs(2 * n - p) for n, p in choice]
        if sum(orders) > 2:
            continue
        image = [
            2 * n * size + (1 - 2 * p) * (x - low) + low
            for (n, p), (low, size), x in zip(choice, axes, position, strict=True)
        ]
        d = np.array(image) - BASE
        r = math.sqrt(d @ d)
        alpha = C / (4 * math.pi * carrier * r) + 0j
        for axis, order in enumerate(orders):
            cos = abs(d[axis]) / r
            s = np.sqrt(concrete - 1 + cos**2)
            if axis < 2:
                gamma = (cos - s) / (cos + s)
            else:
                gamma = (concrete * cos - s) / (concrete * cos + s)
            alpha *= gamma**order
        found.append((r, d[1] / r, alpha))
    assert len(found) == 25
    return found


def channel_of(position, num_ant):
    """(h_ul, h_dl) [M] from the five strongest images."""
    up, down = (images_of(position, f) for f in CARRIERS)
    best = sorted(range(25), key=lambda i: -abs(down[i][2]))[:5]
    spacing = C / (2 * CARRIERS[1])
    h = []
    for carrier, images in zip(CARRIERS, (up, down), strict=True):
        total = np.zeros(num_ant, complex)
        for r, u, alpha in (images[i] for i in best):
            steps = spacing * carrier / C * np.arange(num_ant) * u
            total += alpha * np.exp(-2j * np.pi * carrier * r / C) * np.exp(2j * np.pi * steps)
        h.append(total)
    return h


def to_db(x):
    return 20 * np.log10(np.abs(x))


def test_reference_values_of_a_position():
    paths = image_paths([[1, 2, 1], [-3, 0.5, 1]], precision="double")
    near = {"rtol": 0, "atol": 5.01e-9}
    np.testing.assert_allclose(
        paths.delay[0] * 1e9, [20.152351, 23.230051, 32.767473, 29.174943, 44.315092], atol=5.01e-7
    )
    np.testing.assert_allclose(
        paths.direction[0], [0.33104236, 0.28718326, 0.81437856, 0.22866478, -0.90325192], **near
    )
    np.testing.assert_allclose(
        to_db(paths.gain_dl[0]), [-56.02951, -64.82657, -66.89689, -70.19697, -70.20626], atol=5e-6
    )
    np.testing.assert_allclose(
        to_db(paths.gain_ul[0]), [-55.67494, -64.47086, -66.5413, -69.84074, -69.85058], atol=5e-6
    )
    np.testing.assert_allclose(
        paths.delay[1] * 1e9, [7.269861, 9.866959, 12.810772, 22.313917, 14.443749], atol=5.01e-7
    )


def test_reference_values_of_a_channel():
    up, down = channel_of((1.0, 2.0, 1.0), 32)
    expected = [-1852.61963 - 1183.10256j, 415.00775 - 1234.04166j, 186.32147 - 2045.91986j]
    np.testing.assert_allclose(1e6 * down[[0, 1, 31]], expected, atol=1e-5)
    expected = [-337.45906 - 2039.90942j, 1083.58851 - 1697.49341j, -800.79381 - 729.0612j]
    np.testing.assert_allclose(1e6 * up[[0, 1, 31]], expected, atol=1e-5)


@pytest.mark.parametrize("precision, tolerance", [("double", 1e-10), ("single", 2e-5)])
def test_channels_are_sums_over_images(precision, tolerance):
    chosen = [0, 4711, 89_123, 200_900]
    channel = RoomChannel(4, 64, split=chosen, precision=precision)
    h_ul, h_dl, users = channel(3)
    assert h_ul.dtype == h_dl.dtype == channel.cdtype and users.dtype == tf.int32
    twin = {i: channel_of(GRID[i], 64) for i in chosen}
    for band, h in enumerate((h_ul, h_dl)):
        expected = np.array([[twin[i][band] for i in row] for row in users.numpy()])
        np.testing.assert_allclose(h, expected, rtol=0, atol=tolerance * abs(expected).max())
    again = channel.compose(np.searchsorted(channel.indices, users))
    np.testing.assert_array_equal(again[1], h_dl)


def test_store_is_small_and_positions_are_in_order():
    paths = image_paths(GRID[:10_000])
    assert sum(x.nbytes for x in vars(paths).values()) == 10_000 * (5 * 24 + 12)
    assert paths.num_paths == 5 and paths.gain_dl.dtype == np.complex64
    assert (np.diff(np.abs(paths.gain_dl)) <= 1e-9).all()
    single = image_paths(GRID[7777:7778])
    for name, x in vars(paths).items():
        np.testing.assert_allclose(x[7777], getattr(single, name)[0], rtol=1e-6)
    np.testing.assert_allclose(GRID[401 * 250 + 200], [0.5, 0, 1], atol=1e-12)
    assert len(GRID) == 200_901


def test_mean_gain_over_all_positions():
    channel = RoomChannel(1, 32, split="all")
    rows = np.array_split(np.arange(200_901), 20)
    power = np.concatenate([(np.abs(channel.compose(r)[1]) ** 2).mean(-1) for r in rows])
    found = 10 * np.log10([power.mean(dtype=np.float64), power.min(), power.max()])
    np.testing.assert_allclose(found, [-52.776, -63.154, -42.752], atol=6e-4)


@pytest.mark.parametrize(
    "num_ant, num_users, power_dbm, expected",
    [
        (16, 2, -10, [12.185920, 18.637431, 18.640401]),
        (32, 8, -10, [26.397204, 63.346126, 63.444539]),
        (64, 8, 5, [37.563948, 114.864968, 114.865726]),
    ],
)
def test_reference_rates(num_ant, num_users, power_dbm, expected):
    """Rows of h used as they stand: y = H x, nothing conjugated."""
    rng = np.random.default_rng(0)
    groups = np.array([rng.choice(200_901, num_users, replace=False) for _ in range(200)])
    channel = RoomChannel(num_users, num_ant, split=groups.ravel(), **DOUBLE)
    _, h = channel.compose(np.searchsorted(channel.indices, groups))
    no = 10 ** ((-85 - power_dbm) / 10)
    for kind, rate in zip(
        (irs.MRTPrecoder, irs.ZFPrecoder, irs.RZFPrecoder), expected, strict=True
    ):
        found = metrics.sum_rate(h, kind(**DOUBLE)(h, no), no)
        assert float(tf.reduce_mean(found)) == pytest.approx(rate, abs=1e-5)


def test_splits_are_disjoint_and_survive_subgrids():
    parts = {name: room_split(name) for name in ("train", "validation", "test")}
    assert [len(p) for p in parts.values()] == [160_901, 20_000, 20_000]
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(200_901))
    # Trained weights rely on this rule for good.
    order = random.permutation(200_901)
    assert order[:3].tolist() == FIRST_TEST_POSITIONS
    np.testing.assert_array_equal(parts["test"], np.sort(order[:20_000]))
    for stride in (2, 10):
        whole = room_split("all", stride)
        assert len(whole) == len(range(0, 501, stride)) * len(range(0, 401, stride))
        for part in parts.values():
            kept = np.intersect1d(whole, part)
            assert 0.5 < len(kept) * stride**2 / len(part) < 1.5
        for name, part in parts.items():
            np.testing.assert_array_equal(room_split(name, stride), np.intersect1d(whole, part))
    np.testing.assert_array_equal(room_split(np.array([802, 0, 802])), [0, 802])
    np.testing.assert_array_equal(room_split([802, 0, 1], stride=2), [0, 802])


def test_no_user_twice_and_only_those_of_the_split():
    random.install()
    random.reset(random.stream_key(3))
    channel = RoomChannel(5, 2, split="validation", stride=20)
    count = len(channel.indices)
    users = channel(400)[2].numpy()
    assert all(len(set(row)) == 5 for row in users)
    assert set(users.ravel()) <= set(room_split("validation", 20).tolist())
    # 2000 draws: a position is missed with probability below exp(-2000 / count) < 1e-9.
    assert count < 90 and set(users.ravel()) == set(channel.indices.tolist())
    everyone = RoomChannel(3, 2, split=[5, 6, 7])(9)[2].numpy()
    np.testing.assert_array_equal(np.sort(everyone), np.tile([5, 6, 7], [9, 1]))


def test_modes_agree_and_no_graph_holds_the_table():
    channel = RoomChannel(3, 128, stride=4)
    table = sum(x.nbytes for x in vars(channel.paths).values())
    graph = tf.function(lambda n: channel(n), autograph=False)
    compiled = tf.function(lambda n: channel(n), autograph=False, jit_compile=True)
    results = []
    random.install()
    for call, size in ((channel, tf.constant(6)), (graph, tf.constant(6)), (compiled, 6)):
        random.reset(random.stream_key(5))
        results.append([x.numpy() for x in call(size)])
    traced = graph.get_concrete_function(tf.constant(6)).graph.as_graph_def()
    assert traced.ByteSize() < 0.05 * table
    for other in results[1:]:
        np.testing.assert_array_equal(other[2], results[0][2])
        for a, b in zip(results[0][:2], other[:2], strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * abs(a).max())


CASE = testing.LayerCase(
    RoomChannel, {"num_users": 2, "num_ant": 3, "split": "test", "stride": 40}, {"batch_size": 2},
    skip={"gradient": "draws random numbers; it has no differentiable input"},
)  # fmt: skip


def test_contract():
    assert set(testing.check_layer(CASE)) == {"gradient"}


def test_saved_with_indices_and_carriers():
    channel = RoomChannel(2, 3, split=np.array([9, 3, 5]), carriers=[2e9, 2.2e9], **DOUBLE)
    copy = RoomChannel.from_config(channel.get_config())
    np.testing.assert_array_equal(copy.indices, [3, 5, 9])
    np.testing.assert_array_equal(copy.compose([[0, 2]])[0], channel.compose([[0, 2]])[0])
    assert copy.carriers == (2e9, 2.2e9) and not channel.weights


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """200 positions by the ray tracer: the layer, and everything that was found at 2.5 GHz."""
    folder = tmp_path_factory.mktemp("cache")
    chosen = np.random.default_rng(3).choice(len(GRID), 200, replace=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIONNA_IRS_CACHE", str(folder))
        channel = RoomChannel(4, 64, split=chosen, source="ray_traced", **DOUBLE)
    files = set(folder.iterdir())
    settings = {"max_depth": 2, "samples_per_src": 1000, "merge_shapes": False}
    settings["materials"] = {"itu_type": "concrete", "thickness": 0.1}
    positions = GRID[channel.indices]
    up, down = (
        solve_paths("box", f, [BASE], positions, **settings, cache_dir=folder) for f in CARRIERS
    )
    assert set(folder.iterdir()) == files and len(files) == 2  # nothing was solved twice
    return channel, up, down


def test_traced_paths_are_images(traced):
    channel, _, down = traced
    images = image_paths(GRID[channel.indices], num_paths=25, precision="double")
    length, u, valid = C * down.delay[:, 0], down.departure[:, 0, :, 1], down.valid[:, 0]
    assert valid.sum(-1).mean() > 24.8
    off_length = np.abs(length[..., None] - C * images.delay[:, None])
    off_u = np.abs(u[..., None] - images.direction[:, None])
    best = (off_length + off_u).argmin(-1)[..., None]
    assert np.take_along_axis(off_length, best, -1)[valid].max() < 1e-3
    assert np.take_along_axis(off_u, best, -1)[valid].max() < 1e-4
    gain = np.take_along_axis(images.gain_dl, best[..., 0], -1)
    difference = to_db(down.gain[:, 0][valid]) - to_db(gain[valid])
    assert abs(np.median(difference)) < 1
    assert np.abs(np.percentile(difference, [5, 95])).max() < 2
    # The images are sorted: the five strongest come first.
    assert (best[:, :5] < 5).mean() > 0.9


def test_traced_uplink_belongs_to_the_same_paths(traced):
    channel, up, down = traced
    paths = channel.paths
    assert (paths.gain_ul != 0).all() and (np.diff(np.abs(paths.gain_dl)) <= 0).all()
    np.testing.assert_array_equal(paths.gain_dl, down.gain[:, 0, :5])
    np.testing.assert_array_equal(paths.delay, down.delay[:, 0, :5])
    np.testing.assert_array_equal(paths.direction, down.departure[:, 0, :5, 1])
    for i in range(200):
        for p in range(5):
            same = np.abs(up.delay[i, 0] - paths.delay[i, p]) < 1e-3 / C
            assert paths.gain_ul[i, p] in up.gain[i, 0][same]
    ratio = to_db(paths.gain_ul) - to_db(paths.gain_dl)
    assert -1 < ratio.min() and ratio.max() < 3
    power = 10 * np.log10(np.mean(np.abs(channel.compose(np.arange(200))[1]) ** 2))
    assert abs(power + 52.6) < 1


def test_a_lost_uplink_path_is_dropped_in_both(traced, monkeypatch):
    channel, up, down = traced
    strongest_lost = {k: v[:, :, 1:] for k, v in vars(up).items() if k != "vertices"}
    answers = iter([type(up)(**strongest_lost), down])
    monkeypatch.setattr(
        "sionna_irs.channel.scene.room_traced.solve_paths", lambda *_, **__: next(answers)
    )
    paths = traced_paths(GRID[channel.indices], precision="double")
    assert (paths.gain_dl == 0).any() and (paths.gain_dl != 0).mean() > 0.7
    for x in (paths.gain_ul, paths.direction, paths.delay):
        np.testing.assert_array_equal(x == 0, paths.gain_dl == 0)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_users": 0}, "num_users = 0"),
        ({"num_users": 4, "split": [0, 20]}, r"num_users = 4; an integer in 1\.\.2"),
        ({"num_ant": 2.0}, "num_ant = 2.0"),
        ({"split": "tests"}, "split = 'tests'; train, validation, test, all or indices"),
        ({"split": [0, 200_901]}, r"split holds 200901; integers in 0\.\.200900"),
        ({"split": [-1]}, "split holds -1"),
        ({"split": [0.5]}, r"split has shape \(1,\), dtype float64"),
        ({"split": []}, r"split has shape \(0,\)"),
        ({"split": [[1, 2]]}, r"split has shape \(1, 2\), dtype int64; a name or a list"),
        ({"split": [1], "stride": 2}, "stride = 2 leaves no position"),
        ({"stride": 0}, "stride = 0"),
        ({"source": "rays"}, "source = 'rays'; 'images' or 'ray_traced'"),
        ({"carriers": 2.4e9}, "carriers = .*two numbers"),
        ({"carriers": (2.4, 2.5)}, "carriers = .*1e9..1e11"),
        ({"precision": "half"}, "precision is 'half'"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message) as info:
        RoomChannel(**{"num_users": 2, "num_ant": 4, "stride": 20, **change})
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("solve", [image_paths, traced_paths])
@pytest.mark.parametrize(
    "change, message",
    [
        ({"positions": [1, 2, 1]}, r"positions has shape \(3,\)"),
        ({"positions": [[1, 2, 1], [1, 5.1, 1]]}, r"positions\[1\] = \[1.0, 5.1, 1.0\]"),
        ({"positions": [[1, np.nan, 1]]}, r"positions\[0\]"),
        ({"positions": [BASE]}, r"positions\[0\] = .*away from the array"),
        ({"num_paths": 26}, "num_paths = 26"),
        ({"precision": "half"}, "precision = 'half'"),
    ],
)
def test_bad_positions(solve, change, message):
    with pytest.raises(ValueError, match=message):
        solve(**{"positions": [[1, 2, 1]], **change})
