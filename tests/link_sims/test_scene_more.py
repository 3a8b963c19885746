"""Munich, placement and large panel: smoke runs, closed forms, wrong input."""

import math

import numpy as np
import pytest

from link_sims.errors import UserError
from link_sims.papers.scene import large_panel, munich, placement
from link_sims.papers.scene.common import ALIGNED, CLOSED, NO_SURFACE, RANDOM, label
from link_sims.registry import find
from link_sims.results.claims import Verdict
from link_sims.runs import runner

NAMES = ("scene/munich", "scene/placement", "scene/large-panel")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def run(name, out):
    """Results of a smoke run, its claims judged."""
    experiment = find(name)
    results, folder = runner.run(
        experiment, profile="smoke", out=out, execution="graph", quiet=True
    )
    assert (folder / "figure.png").stat().st_size > 10_000 and (folder / "figure.pdf").exists()
    assert runner.folder_of(experiment, "smoke", results.config, out) == folder
    for claim in experiment.claims:
        try:
            verdict = claim.check(results)
        except UserError as error:  # a point or carrier that the small run does not have
            assert "no result for" in str(error)
            continue
        assert isinstance(verdict, Verdict) and not verdict.contradicts(claim.expect), claim.text
    return results


@pytest.mark.slow  # the street canyon runs by default
def test_munich(out):
    results = run("scene/munich", out)
    at = {name: results.value("points", name, None) for name in munich.SEEN}
    assert at[munich.PANEL] - at[munich.ONLY_PANEL] <= at[munich.BASE] <= 100
    for y in (34, 36):
        assert results.value("rate", ALIGNED, y) > results.value("rate", NO_SURFACE, y)
    # Where the base station is seen, the panel changes nothing.
    rates = [results.value("rate", scheme, 42) for scheme in (ALIGNED, NO_SURFACE)]
    assert rates[0] == pytest.approx(rates[1], rel=0.01)
    for y in results.config.y_m:
        aligned, random = (results.value("gain", label(k, 3.5e9), y) for k in (ALIGNED, RANDOM))
        assert 1 < aligned / random <= 256 * (1 + 1e-6)


def test_placement(out):
    results = run("scene/placement", out)
    cfg, number = results.config, 64 * 64
    wavelength = 299792458.0 / 28e9
    for x in cfg.x_m:
        panel = np.array([x, -8.5, 8.0])
        ways = [np.array(end) - panel for end in (cfg.tx_position_m, cfg.user_position_m)]
        d1, d2 = (np.linalg.norm(way) for way in ways)
        cosines = ways[0][1] / d1 * ways[1][1] / d2
        area = wavelength**2 / 4
        exact = number**2 * area**2 * cosines / (4 * math.pi * d1 * d2) ** 2
        assert results.value("gain", CLOSED, x) == pytest.approx(exact, rel=1e-9)
        parts = [results.value("part", p, x) for p in (placement.DISTANCES, placement.PATTERN)]
        assert math.prod(parts) == pytest.approx(exact, rel=1e-9)
        # Turned to the bisector, both cosines are that of half the angle between the directions.
        half = math.acos(ways[0] @ ways[1] / (d1 * d2)) / 2
        turned = results.value("gain", placement.TURNED, x)
        assert turned == pytest.approx(exact / cosines * math.cos(half) ** 2, rel=1e-9)


def test_large_panel(out):
    results = run("scene/large-panel", out)
    assert results.points("gain", large_panel.ALIGNED) == [64, 1024]
    for number in (64, 1024):
        # Spherical waves and phases for plane ones, element by element.
        side, wavelength = math.isqrt(number), 299792458.0 / 3.5e9
        steps = (np.arange(side) - (side - 1) / 2) * wavelength / 2
        yaw = math.radians(140)
        across = np.array([-math.sin(yaw), math.cos(yaw), 0])
        elements = (steps[:, None, None] * [0, 0, 1] + steps[:, None] * across).reshape(-1, 3)
        field, plane = 1.0, 1.0
        for end in ((-60, 0, 10), (24, 30, 1.5)):
            way = np.array(end) - [31, -8, 8]
            distance = np.linalg.norm(way)
            excess = np.linalg.norm(way - elements, axis=-1) - distance
            field = field * np.exp(-2j * np.pi * excess / wavelength) / (1 + excess / distance)
            plane = plane * np.exp(2j * np.pi * elements @ way / distance / wavelength)
        loss = abs(np.sum(field * plane.conj())) ** 2 / number**2
        found = large_panel.gap_db(
            results, (large_panel.MISMATCHED, number), (large_panel.ALIGNED, number)
        ).value
        assert found == pytest.approx(10 * math.log10(loss), abs=1e-3)
        assert results.value("time", large_panel.PLANE, number) > 0


def test_end_of_the_far_field():
    """Where twice the square of the diagonal over the wavelength is the distance of a far base."""
    cfg = find("scene/large-panel").resolve("cpu", {"tx_position_m": [-1e5, 0.0, 10.0]})
    number = large_panel.far_field_limit(cfg)
    wavelength = 299792458.0 / 3.5e9
    diagonal = math.sqrt(number / 2) * wavelength
    distance = np.linalg.norm(np.subtract(cfg.user_position_m, cfg.panel_position_m))
    assert 2 * diagonal**2 / wavelength == pytest.approx(distance, rel=1e-3)


WRONG = {
    "scene/munich": {"scene": "atlantis", "y_m": [], "num_places": 0, "map_x_m": None,
                     "user_x_m": "left", "second_carrier_hz": 3.5e9},
    "scene/placement": {"x_m": [1, 1], "user_position_m": [1], "open_shift_m": 47, "num_rows": 0},
    "scene/large-panel": {"num_elements": [10], "user_position_m": [0, 0], "num_timings": 0,
                          "batch_size": 1, "num_rows": 1.5},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_wrong_configurations_name_the_key(name):
    experiment = find(name)
    for key, value in WRONG[name].items():
        with pytest.raises(UserError, match=key):
            experiment.resolve("cpu", {key: value})
