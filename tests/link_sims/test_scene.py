"""Scene experiments: closed forms in free space, the cache, and wrong input as one clear line."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from link_sims import cli
from link_sims.papers.scene import common, street_canyon
from link_sims.papers.scene.common import ALIGNED, DIRECT, NO_SURFACE, RANDOM, TWO_BIT
from link_sims.registry import find
from link_sims.runs import runner

NAME = "scene/street-canyon"
# A walk of three points, few rays: the same solutions in all tests.
SMALL = {
    "y_m": [0, 8, 30], "num_places": 2, "max_depth": 1, "samples_per_src": 10_000,
    "num_rows": 4, "num_cols": 4, "num_subcarriers": 16, "num_info_bits": 128, "batch_size": 10,
}  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def finished(out):
    """(results, folder) of a small run."""
    experiment = find(NAME)
    config = experiment.resolve("smoke", SMALL)
    return runner.run(experiment, config, "smoke", out, execution="graph", quiet=True)


def call(capsys, monkeypatch, *arguments):
    """(exit code, stderr) of the command line, in this process."""
    monkeypatch.setattr(sys, "argv", ["link-sims", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return done.value.code, capsys.readouterr().err


def test_run(finished):
    results, folder = finished
    assert (folder / "figure.png").stat().st_size > 10_000
    assert (folder / "figure.pdf").exists()
    assert street_canyon.dark_points(results) == [30]
    for scheme, failed in ((NO_SURFACE, [0, 0, 1]), (ALIGNED, [0, 0, None])):
        for y, expected in zip((0, 8, 30), failed, strict=True):
            assert expected is None or results.value("bler", scheme, y) == expected
    # A user in the dark has the panel alone, and more of it when it is aligned.
    rate = [results.value("rate", s, 30) for s in (NO_SURFACE, RANDOM, TWO_BIT, ALIGNED)]
    assert rate == sorted(rate) and rate[0] == 0
    assert results.value("rate", ALIGNED, 0) == pytest.approx(
        results.value("rate", NO_SURFACE, 0), rel=0.02
    )
    assert ("gain", "direct, 3.5 GHz") in results.curves() and not results.curves("map")
    assert 30 not in results.points("gain", "direct, 3.5 GHz")


def test_another_seed_starts_no_child_process(finished, out, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a child process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    experiment = find(NAME)
    config = experiment.resolve("smoke", {**SMALL, "seed": 2})
    results, folder = runner.run(experiment, config, "smoke", out, execution="graph", quiet=True)
    assert folder != finished[1] and (folder / "figure.png").exists()
    gain = [r.value("gain", "aligned, 3.5 GHz", 30) for r in (results, finished[0])]
    assert gain[0] == gain[1]
    assert results.value("snr", ALIGNED, 0) != finished[0].value("snr", ALIGNED, 0)


def test_drawing_needs_no_tensorflow(finished):
    script = (
        "import sys\n"
        f"sys.argv = ['link-sims', 'plot', {str(finished[1])!r}]\n"
        "from link_sims.cli import main\n"
        "try: main()\n"
        "except SystemExit as done: sys.exit(9 if 'tensorflow' in sys.modules else done.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_drawing_without_the_ray_tracer(finished, monkeypatch, tmp_path):
    from link_sims.results.plotting import render
    from sionna_irs.channel.scene.raytracing import solve

    def missing(request):
        raise solve.RayTracingError("not installed")

    monkeypatch.setenv("SIONNA_IRS_CACHE", str(tmp_path))
    monkeypatch.setattr(solve, "run_worker", missing)
    assert len(render(finished[0])["png"]) > 10_000


def test_gains_rates_and_errors_in_free_space():
    """Aligned elements against the Friis formula, rates against P |h|^2 / (k T B F)."""
    cfg = common.SceneConfig(
        scene="empty", num_rows=8, num_cols=6, max_depth=0, samples_per_src=100, spherical=False,
        user_height_m=2.0, tx_power_dbm=-40.0, bandwidth_hz=1e3, num_subcarriers=16,
        num_info_bits=128,
    )  # fmt: skip
    users = common.users_at(cfg, 24.0, [0.0, 30.0])
    hops = common.hops_of(cfg, users)
    wavelength = 299792458.0 / 3.5e9
    tx, panel = np.array([-60, 0, 10.0]), np.array([31, -8, 8.0])
    normal = np.array([math.cos(math.radians(140)), math.sin(math.radians(140)), 0])
    gain = []
    for user in users:
        ways = [end - panel for end in (tx, user)]
        d1, d2 = (np.linalg.norm(w) for w in ways)
        cosines = (ways[0] @ normal / d1) * (ways[1] @ normal / d2)
        area = wavelength**2 / 4
        gain.append((48 * area * math.sqrt(cosines) / (4 * math.pi * d1 * d2)) ** 2)
    found = common.gains(hops)
    np.testing.assert_allclose(common.closed_form(hops), gain, rtol=1e-10)
    assert common.line_of_sight(hops).all()
    # The amplitudes carry the ray tracer's single precision.
    np.testing.assert_allclose(found[ALIGNED], gain, rtol=1e-4)
    np.testing.assert_allclose(found[RANDOM], np.array(gain) / 48, rtol=1e-4)
    direct = (wavelength / (4 * math.pi * np.linalg.norm(users - tx, axis=-1))) ** 2
    np.testing.assert_allclose(found[DIRECT], direct, rtol=1e-4)
    # A band of one delay tap: the panel adds to the direct path in amplitude.
    snr = 1e-7 / (1.380649e-23 * 290 * 1e3 * 10**0.7)
    rates = common.rates(cfg, hops, (NO_SURFACE, ALIGNED, TWO_BIT))
    np.testing.assert_allclose(rates[NO_SURFACE], np.log2(1 + snr * direct), rtol=1e-4)
    both = np.square(np.sqrt(direct) + np.sqrt(gain))
    np.testing.assert_allclose(rates[ALIGNED], np.log2(1 + snr * both), rtol=1e-4)
    assert (rates[ALIGNED] > rates[TWO_BIT]).all() and (rates[TWO_BIT] > rates[NO_SURFACE]).all()


def test_coded_link_without_noise_and_without_signal():
    import tensorflow as tf

    cfg = common.SceneConfig(num_subcarriers=16, num_info_bits=128)
    strong = tf.fill([20, 16], tf.constant(30 * np.exp(2j), tf.complex64))
    counts = common.CodedLink(cfg)({"strong": strong, "nothing": tf.zeros_like(strong)})
    values = {k: float(a) / float(b) for k, (a, b) in counts.items()}
    assert values["ber", "strong"] == 0 and values["bler", "nothing"] == 1
    assert values["ber", "nothing"] == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(20 * 128))
    assert values["rate", "strong"] == pytest.approx(math.log2(901), rel=1e-5)
    assert values["rate", "nothing"] == values["snr", "nothing"] == 0


def test_places_around_the_points():
    cfg = find(NAME).resolve("cpu")
    places = street_canyon.places_of(cfg).reshape(41, 16, 3)
    np.testing.assert_allclose(places[:, 0, 0], 24.0)
    np.testing.assert_allclose(places[:, 0, 1], cfg.y_m)
    offsets = places - places[:, :1]
    np.testing.assert_allclose(offsets, offsets[:1] * np.ones([41, 1, 1]), atol=1e-12)
    assert np.abs(offsets).max() <= 0.25 and (places[..., 2] == 1.5).all()
    # Every quarter of the square has its share.
    quarters = np.unique(np.sign(offsets[0, 1:, :2]), axis=0, return_counts=True)[1]
    assert len(quarters) == 4 and quarters.min() >= 2


def test_maps_survive_the_log():
    values = np.arange(6.0).reshape(2, 3)
    rows = common.map_rows("map", "aligned", [17, 18.5], [-1, 0, 2], values)
    table = {"kind": "table", "rows": json.loads(json.dumps(rows))}
    experiment = find(NAME)
    results = runner.Results(experiment, experiment.resolve("smoke"), [table])
    x, y, back = common.map_of(results, "map", "aligned")
    assert x.tolist() == [17, 18.5] and y.tolist() == [-1, 0, 2]
    np.testing.assert_array_equal(back, values)
    assert not common.map_of(results, "map", "aligned, 2 bit")[0].size


WRONG = {
    "scene": ["atlantis", "", 3, None, "missing.xml"],
    "tx_position_m": [[], [1, 2], [0, 0, 0, 0], 5, None, ["a", 0, 0], [0, 0, math.nan],
                      [31.0, -8.0, 8.0]],
    "panel_position_m": [[1.0], "corner", [math.inf, 0, 0], {}],
    "panel_orientation_rad": [[2.44], [1, 2], [1, 2, 3, 4], 140, None],
    "num_rows": [0, -1, 16.5, "16", None, 10**6],
    "num_cols": [0, True],
    "second_num_rows": [0],
    "carrier_frequency_hz": [0, -3.5e9, 3.5, 1e15, "3.5 GHz", 28e9],
    "second_carrier_hz": [0, -1, 3.5e9],
    "tx_power_dbm": [math.nan, "23", None, 1e4],
    "noise_figure_db": [-1],
    "bandwidth_hz": [0, -1.0, 1e12],
    "max_depth": [-1, 11, 1.5],
    "samples_per_src": [0, 1e5],
    "num_subcarriers": [0, 1, 64.0],
    "num_ofdm_symbols": [0],
    "num_bits_per_symbol": [3, 0],
    "num_info_bits": [0, 11, 100, 1000, 10**6],
    "user_height_m": [0, -1.5],
    "y_m": [[], 3, ["a"], [1, 1], None],
    "num_places": [0, -4, 2.5],
    "spread_m": [-0.25],
    "map_x_m": [None, [], [1, 1]],
    "spherical": ["yes", 2],
    "panel": [1],
}  # fmt: skip


def test_wrong_configurations_give_one_clear_line_without_tensorflow():
    cases = [(key, json.dumps(value)) for key, values in WRONG.items() for value in values]
    script = (
        "import contextlib, io, json, sys\n"
        "from link_sims.cli import main\n"
        f"for key, value in {cases!r}:\n"
        f"    sys.argv = ['link-sims', 'run', {NAME!r}, '--set', f'{{key}}={{value}}']\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as err:\n"
        "        try: main()\n"
        "        except SystemExit as done: code = done.code\n"
        "    print(json.dumps([key, value, code, err.getvalue()]))\n"
        "sys.exit(9 if {'tensorflow', 'mitsuba', 'sionna'} & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases)
    for key, value, code, error in found:
        assert code == 2 and error.startswith("error: "), (key, value, error)
        assert len(error.strip().splitlines()) == 1 and len(error) < 1500, error
        assert key in error, (key, value, error)


@pytest.mark.parametrize(
    "changes, text",
    [
        # Inside a building; turned away from the transmitter; where a user stands.
        ({"panel_position_m": [0, 30, 5]}, "no path; the surface is behind a wall"),
        ({"panel_orientation_rad": [-0.7, 0, 0], "max_depth": 0}, "faces away"),
        ({"panel_position_m": [24, 0, 1.5]}, "[24.0, 0.0, 1.5]; different points are needed"),
    ],
)
def test_impossible_scenes_give_one_clear_line(capsys, monkeypatch, out, changes, text):
    sets = [f"{k}={json.dumps(v)}" for k, v in {**SMALL, **changes}.items()]
    sets = [part for pair in sets for part in ("--set", pair)]
    code, err = call(
        capsys, monkeypatch, "run", NAME, "--profile", "smoke", "--out", out, "--quiet", *sets
    )
    assert code == 2 and text in err, err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err
