"""Ray-traced paths: physics in closed form, the child process, the cache."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sionna_irs.channel.scene.raytracing import arguments, cache, child, solve
from sionna_irs.channel.scene.raytracing.solve import RayTracingError, scene_outline, solve_paths

LIGHT_SPEED = 299792458.0
CANYON = "simple_street_canyon"
TX, PANEL = [[-60.0, 0.0, 10.0]], [[31.0, -8.0, 8.0]]
Y = np.arange(-4.0, 37.0)
USERS = np.stack([np.full_like(Y, 24.0), Y, np.full_like(Y, 1.5)], -1)
HOP = {"scene": None, "frequency": 3.5e9, "tx_positions": TX, "rx_positions": PANEL}
ROOT = str(pathlib.Path(__file__).parents[3])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def forward(folder):
    return solve_paths(CANYON, 28e9, TX, PANEL, with_vertices=True, cache_dir=folder)


@pytest.fixture(scope="module")
def walk(folder):
    return solve_paths(CANYON, 28e9, TX, USERS, cache_dir=folder)


@pytest.fixture(scope="module")
def answer(folder):
    """What a child would write, for tests of everything around it."""
    solve_paths(**HOP, max_depth=0, cache_dir=folder / "one")
    (path,) = (folder / "one").iterdir()
    return cache.read(path)


@pytest.fixture
def counted(monkeypatch, answer):
    """Requests that would have started a child."""
    requests = []
    monkeypatch.setattr(solve, "run_worker", lambda r: requests.append(r) or dict(answer))
    return requests


@pytest.fixture
def no_child(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a child process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.mark.parametrize("frequency", [3.5e9, 28e9])
def test_free_space_hop_is_friis_with_the_exact_phase(folder, frequency):
    tx = [[0.0, 0.0, 10.0]]
    rx = np.array([[40.0, 30.0, 10.0], [80.0, 0.0, 1.5], [3.3, -1.7, 12.25]])
    paths = solve_paths("empty", frequency, tx, rx, max_depth=0, cache_dir=folder)
    distance = np.linalg.norm(rx - tx, axis=-1)
    gain = paths.gain[:, 0, 0]
    assert paths.gain.shape == (3, 1, 1) and paths.valid.all()
    np.testing.assert_allclose(paths.delay[:, 0, 0], distance / LIGHT_SPEED, rtol=1e-15)
    phase = np.angle(gain * np.exp(2j * np.pi * np.mod(frequency * distance / LIGHT_SPEED, 1)))
    assert np.abs(phase).max() < np.deg2rad(1e-6)
    # Ends turned out of the horizontal lose by polarisation: none on the first, level hop.
    wavelength = LIGHT_SPEED / frequency
    friis = wavelength / (4 * np.pi * distance)
    assert abs(gain[0]) == pytest.approx(friis[0], rel=1e-5)
    np.testing.assert_array_less(np.abs(gain), friis * (1 + 1e-5))


def test_arrival_points_back_to_the_source(walk):
    direct = TX[0] - USERS
    distance = np.linalg.norm(direct, axis=-1)
    # The direct path is the one as long as the distance.
    is_direct = walk.valid[:, 0] & (
        np.abs(walk.delay[:, 0] * LIGHT_SPEED - distance[:, None]) < 1e-6
    )
    seen = is_direct.any(-1)
    assert 10 < seen.sum() < len(Y)
    towards = (direct / distance[:, None])[seen]
    np.testing.assert_allclose(walk.arrival[:, 0][is_direct], towards, atol=1e-6)
    np.testing.assert_allclose(walk.departure[:, 0][is_direct], -towards, atol=1e-6)


def test_street_canyon(forward, walk):
    delays = np.sort(forward.delay[0, 0]) * 1e9
    np.testing.assert_allclose(delays, [304.79, 310.61, 337.77, 343.03], atol=0.01)
    power = 10 * np.log10((np.abs(walk.gain[:, 0]) ** 2).sum(-1)[np.isin(Y, [0, 20])])
    np.testing.assert_allclose(power, [-97.7, -116.7], atol=0.1)
    count = walk.valid[:, 0].sum(-1)
    assert (count[Y >= 26] == 0).all() and (count[Y <= 20] > 0).all()
    # Strongest first; nothing where there is no path.
    assert (np.diff(np.abs(walk.gain[:, 0]), axis=-1) <= 0).all()
    off = ~walk.valid
    assert (np.diff(off.astype(int), axis=-1) >= 0).all() and walk.valid.any((0, 1)).all()
    for x in (walk.gain, walk.delay, walk.departure, walk.arrival):
        assert (x[off] == 0).all()
    for x in (walk.departure, walk.arrival):
        np.testing.assert_allclose(np.linalg.norm(x[walk.valid], axis=-1), 1, rtol=1e-6)


def test_points_of_reflection_make_up_the_path(forward):
    assert forward.vertices.shape == (1, 1, 4, 3, 3)
    for p in range(forward.num_paths):
        points = forward.vertices[0, 0, p].astype(float)
        points = np.concatenate([TX, points[~np.isnan(points[:, 0])], PANEL])
        steps = np.diff(points, axis=0)
        length = np.linalg.norm(steps, axis=-1)
        assert length.sum() / LIGHT_SPEED == pytest.approx(forward.delay[0, 0, p], rel=1e-12)
        np.testing.assert_allclose(forward.departure[0, 0, p], steps[0] / length[0], atol=1e-6)
        np.testing.assert_allclose(forward.arrival[0, 0, p], -steps[-1] / length[-1], atol=1e-6)


def test_reciprocity(folder, forward):
    back = solve_paths(CANYON, 28e9, PANEL, TX, cache_dir=folder)
    np.testing.assert_allclose(np.abs(back.gain), np.abs(forward.gain), rtol=1e-3)
    np.testing.assert_allclose(back.delay, forward.delay, rtol=1e-7)
    # 0.081 degrees is what single-precision delays would cost.
    assert np.abs(np.angle(back.gain / forward.gain)).max() < np.deg2rad(0.081)
    np.testing.assert_allclose(back.departure, forward.arrival, atol=2e-5)
    np.testing.assert_allclose(back.arrival, forward.departure, atol=2e-5)


def test_inside_a_building_there_is_no_path(folder):
    paths = solve_paths(CANYON, 3.5e9, TX, [[0.0, 30.0, 5.0]], with_vertices=True, cache_dir=folder)
    assert paths.num_paths == 0
    assert paths.gain.shape == (1, 1, 0) and paths.departure.shape == (1, 1, 0, 3)
    assert paths.vertices.shape == (1, 1, 0, 3, 3)


def test_room_is_made_of_images(folder):
    """Box 10 m x 10 m x 5 m in concrete: two transmitters, lengths of all 25 images."""
    tx = np.array([[1.0, 2.0, 2.5], [-3.0, 0.5, 1.2]])
    rx = np.array([[-2.0, 3.1, 1.0], [4.0, -1.3, 3.3], [0.7, -4.0, 0.9]])
    concrete = {"itu_type": "concrete", "thickness": 0.1}
    room = {"max_depth": 2, "samples_per_src": 3000, "merge_shapes": False, "cache_dir": folder}
    paths = solve_paths("box", 2.4e9, tx, rx, materials=concrete, **room)
    walls = [(axis, w) for axis, pair in enumerate([(-5, 5), (-5, 5), (0, 5)]) for w in pair]

    def mirror(point, wall):
        point = point.copy()
        point[wall[0]] = 2 * wall[1] - point[wall[0]]
        return point

    for t, source in enumerate(tx):
        once = [mirror(source, w) for w in walls]
        twice = [mirror(mirror(source, w), v) for w in walls for v in walls if v != w]
        images = np.unique(np.round([source, *once, *twice], 9), axis=0)
        assert len(images) == 25
        for r, user in enumerate(rx):
            lengths = np.linalg.norm(images - user, axis=-1)
            traced = paths.delay[r, t][paths.valid[r, t]] * LIGHT_SPEED
            np.testing.assert_allclose(np.sort(traced), np.sort(lengths), atol=1e-5)
    metal = solve_paths("box", 2.4e9, tx, rx, **room)
    assert (np.abs(metal.gain) ** 2).sum() > 2 * (np.abs(paths.gain) ** 2).sum()


def test_chunks_make_no_difference(folder, walk, monkeypatch):
    monkeypatch.setattr(solve, "_CHUNK_SIZE", 17)
    parts = solve_paths(CANYON, 28e9, TX, USERS, cache_dir=folder)
    np.testing.assert_array_equal(parts.valid, walk.valid)
    # The same call twice may differ as much: which triangle a thread finds first is chance.
    np.testing.assert_allclose(parts.delay, walk.delay, rtol=1e-7)
    np.testing.assert_allclose(np.abs(parts.gain), np.abs(walk.gain), rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(parts.arrival, walk.arrival, atol=1e-5)


def test_a_thousand_receivers_lose_no_path(folder):
    """A shoebox room shows every user the source, 6 images of it and 18 images of those."""
    users = np.random.default_rng(0).uniform([-4, -4, 1], [4, 4, 4], [1000, 3])
    paths = solve_paths("box", 2.4e9, [[1.0, 2.0, 2.5]], users, max_depth=2,
                        samples_per_src=3000, merge_shapes=False, cache_dir=folder)  # fmt: skip
    assert 24.9 < paths.valid[:, 0].sum(-1).mean() <= 25


def test_outline(folder):
    outline = scene_outline(CANYON, cache_dir=folder)
    assert len(outline.names) == 7 and "building_1" in outline.names
    assert outline.triangles.shape == (len(outline.objects), 3, 2)
    assert outline.heights.shape == (len(outline.objects), 3)
    assert outline.top["floor"] < 1 < min(v for k, v in outline.top.items() if k != "floor")


def test_second_call_starts_no_child(folder, forward, no_child):
    again = solve_paths(CANYON, 28e9, TX, PANEL, with_vertices=True, cache_dir=folder)
    for name in ("gain", "delay", "departure", "arrival", "valid", "vertices"):
        np.testing.assert_array_equal(getattr(again, name), getattr(forward, name))
    # Differences below the rounding are none.
    near = np.array(TX) + 1e-9
    solve_paths(CANYON, 28e9, near, PANEL, with_vertices=True, cache_dir=folder)


def test_key_changes_with_every_argument(tmp_path, counted, monkeypatch):
    changes = [
        {}, {"scene": "box"}, {"frequency": 3.6e9}, {"tx_positions": [[-60, 0, 10.00001]]},
        {"rx_positions": [[31, -8, 8.00001]]}, {"tx_orientations": [0.1, 0, 0]},
        {"rx_orientations": [0.1, 0, 0]}, {"max_depth": 2}, {"samples_per_src": 99},
        {"materials": {"itu_type": "wood"}},
        {"materials": {"itu_type": "wood", "thickness": 0.2}}, {"merge_shapes": False},
        {"seed": 2}, {"with_vertices": True},
    ]  # fmt: skip
    for change in changes:
        solve_paths(**{**HOP, **change}, cache_dir=tmp_path)
    monkeypatch.setattr(solve, "_solver_version", lambda: "0")
    solve_paths(**HOP, cache_dir=tmp_path)
    monkeypatch.setattr(cache, "FORMAT", -1)
    solve_paths(**HOP, cache_dir=tmp_path)
    assert len(counted) == len(changes) + 2 == len(list(tmp_path.iterdir()))
    solve_paths(**HOP, tx_orientations=[[0.0, -0.0, 0.0]], cache_dir=tmp_path)
    assert len(counted) == len(changes) + 2


def test_key_follows_the_content_of_a_scene(tmp_path, counted):
    (tmp_path / "wall.ply").write_bytes(b"one")
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).write_text('<string name="filename" value="wall.ply"/>')
        solve_paths(**{**HOP, "scene": tmp_path / name}, cache_dir=tmp_path / "cache")
    assert len(counted) == 1
    (tmp_path / "wall.ply").write_bytes(b"two")
    solve_paths(**{**HOP, "scene": tmp_path / "a.xml"}, cache_dir=tmp_path / "cache")
    assert len(counted) == 2


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "pickle"])
def test_damaged_file_is_computed_again(tmp_path, counted, damage):
    first = solve_paths(**HOP, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        where = data.index(first.delay.tobytes())
        data[where] ^= 1
    if damage == "pickle":
        np.savez(path, gain=np.array([{}], dtype=object))
    else:
        path.write_bytes({"truncated": data[: len(data) // 2], "empty": b""}.get(damage, data))
    with pytest.warns(UserWarning, match="cannot be read .*computed again"):
        again = solve_paths(**HOP, cache_dir=tmp_path)
    assert len(counted) == 2
    np.testing.assert_array_equal(again.delay, first.delay)
    solve_paths(**HOP, cache_dir=tmp_path)
    assert len(counted) == 2 and len(list(tmp_path.iterdir())) == 1


FOREIGN = {
    "another name": lambda a: {**{k: v for k, v in a.items() if k != "gain"}, "gains": a["gain"]},
    "a name too many": lambda a: {**a, "vertices": np.zeros([1, 1, 1, 3, 3])},
    "a name too few": lambda a: {k: v for k, v in a.items() if k != "delay"},
    "another shape": lambda a: {**a, "delay": a["delay"][..., None]},
    "more receivers": lambda a: {k: np.concatenate([v, v]) for k, v in a.items()},
    "another kind": lambda a: {**a, "valid": a["valid"].astype(float)},
    "not a number": lambda a: {**a, "gain": a["gain"] * np.nan},
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_file_that_is_no_answer_is_computed_again(tmp_path, counted, answer, what):
    first = solve_paths(**HOP, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    np.savez(path, **FOREIGN[what](answer))
    with pytest.warns(UserWarning, match="holds other arrays .*computed again"):
        again = solve_paths(**HOP, cache_dir=tmp_path)
    assert len(counted) == 2
    np.testing.assert_array_equal(again.gain, first.gain)


def test_writing_an_answer_follows_no_link(tmp_path, counted):
    target = tmp_path / "precious"
    solve_paths(**HOP, cache_dir=tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    target.write_bytes(b"precious")
    path.unlink()
    path.symlink_to(target)
    with pytest.warns(UserWarning, match="computed again"):
        solve_paths(**HOP, cache_dir=tmp_path / "cache")
    assert target.read_bytes() == b"precious" and not path.is_symlink()


def test_folder_that_cannot_be_written_keeps_the_result(tmp_path, counted):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="not cached") as warned:
        paths = solve_paths(**HOP, cache_dir=tmp_path / "file" / "below")
    assert paths.valid.all() and len(warned) == 1 and warned[0].filename == __file__


def test_interrupted_write_leaves_no_file(tmp_path, counted, monkeypatch):
    def interrupt(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupt)
    with pytest.raises(KeyboardInterrupt):
        solve_paths(**HOP, cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SIONNA_IRS_CACHE", str(tmp_path / "chosen"))
    assert cache.default_folder() == tmp_path / "chosen"
    monkeypatch.delenv("SIONNA_IRS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_folder() == tmp_path / "sionna-irs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.default_folder() == pathlib.Path.home() / ".cache" / "sionna-irs"


def start(script, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": ROOT, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


SOLVE = (
    "from sionna_irs.channel.scene.raytracing.solve import solve_paths\n"
    "solve_paths('simple_street_canyon', 3.5e9, [[-60, 0, 10]], [[31, -8, 8]])\n"
)


def test_tensorflow_first(tmp_path):
    script = (
        "import tensorflow as tf\n"
        "f = tf.function(lambda x: tf.reduce_sum(x * x), jit_compile=True)\n"
        "f(tf.ones([4]))\n" + SOLVE + "assert float(f(tf.ones([5]))) == 5\n"
    )
    done = start(script, SIONNA_IRS_CACHE=str(tmp_path))
    _, message = done.communicate(timeout=120)
    assert done.returncode == 0, message
    assert len(list(tmp_path.iterdir())) == 1


def test_neither_the_library_nor_the_worker_imports_tensorflow(tmp_path):
    request = {
        "kind": "paths", "scene_file": None, "merge_shapes": True, "frequency": 1e9, "seed": 1,
        "tx_positions": TX, "rx_positions": PANEL, "tx_orientations": [[0, 0, 0]],
        "rx_orientations": [[0, 0, 0]], "max_depth": 0, "samples_per_src": 9, "chunk_size": 9,
        "with_vertices": False,
    }  # fmt: skip
    (tmp_path / "request.json").write_text(json.dumps(request))
    script = (
        "import sys\n"
        "from sionna_irs.channel.scene.raytracing import solve, worker\n"
        "assert not {'sionna.rt', 'mitsuba', 'tensorflow'} & set(sys.modules)\n"
        f"worker.main([{str(tmp_path / 'request.json')!r}, {str(tmp_path / 'result.npz')!r}])\n"
        "assert 'sionna.rt' in sys.modules and 'tensorflow' not in sys.modules\n"
    )
    done = start(script)
    _, message = done.communicate(timeout=120)
    assert done.returncode == 0, message
    assert cache.read(tmp_path / "result.npz")["gain"].shape == (1, 1, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupt_leaves_neither_a_process_nor_a_file(tmp_path):
    (tmp_path / "tmp").mkdir()
    # The child reports its number, then hangs. A test runner in the background of a shell has the
    # signal ignored, and hands that on.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sionna_irs.channel.scene.raytracing.child as child, subprocess, sys\n"
        "real = subprocess.Popen\n"
        "def popen(command, **kwargs):\n"
        "    process = real([sys.executable, '-c', 'import time; time.sleep(60)'], **kwargs)\n"
        "    print(process.pid, flush=True)\n"
        "    return process\n"
        "child.subprocess.Popen = popen\n" + SOLVE
    )
    parent = start(script, SIONNA_IRS_CACHE=str(tmp_path / "cache"), TMPDIR=str(tmp_path / "tmp"))
    number = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.send_signal(signal.SIGINT)
    _, message = parent.communicate(timeout=30)
    assert parent.returncode != 0 and "KeyboardInterrupt" in message
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    assert not (tmp_path / "cache").exists() and not list((tmp_path / "tmp").iterdir())


def test_missing_llvm_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", str(tmp_path / "libLLVM.so"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # a GPU would do without
    with pytest.raises(RayTracingError, match="apt install llvm.*DRJIT_LIBLLVM_PATH") as info:
        solve_paths(**HOP, cache_dir=tmp_path / "cache")
    assert "\n" not in str(info.value) and not (tmp_path / "cache").exists()


def test_missing_sionna(monkeypatch):
    message = "Traceback\nModuleNotFoundError: No module named 'sionna.rt'\n"
    assert "pip install sionna" in child._reason(1, message)
    monkeypatch.setattr(arguments, "scene_files", dict)
    with pytest.raises(RayTracingError, match="pip install sionna"):
        solve_paths(**{**HOP, "scene": "munich"})


def test_other_failures_are_the_last_line(tmp_path):
    with pytest.raises(RayTracingError, match="failed \\(exit code 1\\): ValueError.*cheese") as e:
        solve_paths(**HOP, materials={"itu_type": "cheese"}, cache_dir=tmp_path)
    assert "\n" not in str(e.value) and not list(tmp_path.iterdir())
    assert child._reason(-11, "") == "the ray tracer failed (signal 11): no message"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scene": "muinch"}, "scene = 'muinch'.*'empty' or one of .*munich"),
        ({"scene": "no/such.xml"}, "scene = 'no/such.xml'"),
        ({"frequency": 0}, "frequency = 0; a positive number"),
        ({"frequency": "3 GHz"}, "frequency = '3 GHz'"),
        ({"tx_positions": [0, 0, 10]}, r"tx_positions has shape \[3\]"),
        ({"rx_positions": np.zeros([0, 3])}, r"rx_positions has shape \[0, 3\]"),
        ({"rx_positions": [[1, 2], [3]]}, "rx_positions"),
        ({"rx_positions": [[0, 0, 1], [0, np.nan, 1]]}, r"rx_positions\[1\] = \[0.0, nan, 1.0\]"),
        ({"rx_positions": [[1, 1, 1], *TX]}, r"rx_positions\[1\] = tx_positions\[0\]"),
        ({"tx_orientations": [0.1, 0.2]}, r"tx_orientations has shape \[2\]"),
        ({"rx_orientations": np.zeros([2, 3])}, r"rx_orientations has shape \[2, 3\].*\[1, 3\]"),
        ({"rx_orientations": [0, np.inf, 0]}, "rx_orientations"),
        ({"max_depth": 11}, r"max_depth = 11; an integer in 0\.\.10"),
        ({"max_depth": 1.0}, "max_depth = 1.0"),
        ({"samples_per_src": 0}, "samples_per_src = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"materials": "wood"}, "materials = 'wood'"),
        ({"materials": {"itu_type": "wood", "colour": 1}}, "materials"),
        ({"materials": {"itu_type": "wood", "thickness": 0}}, r"materials\['thickness'\] = 0"),
    ],
)
def test_wrong_arguments_start_no_child(tmp_path, no_child, change, message):
    with pytest.raises(ValueError, match=message) as info:
        solve_paths(**{**HOP, **change}, cache_dir=tmp_path)
    assert "\n" not in str(info.value)
