"""Trainings over two devices: virtual CPUs, in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from link_sims.errors import UserError
from link_sims.runs import runner
from link_sims.training.replicas import check_replicas

HERE = pathlib.Path(__file__).parent


def on_two_devices(*arguments):
    """Run two_devices.py."""
    paths = [str(HERE.parent / "sionna_irs"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, str(HERE / "two_devices.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


@pytest.mark.parametrize(
    "checks",
    [
        ["check_streams", "check_loop", "check_fit_step"],
        pytest.param(["check_fit"], marks=pytest.mark.slow),  # whole trainings
    ],
)
def test_two_replicas(checks):
    done = on_two_devices(*checks)
    assert done.returncode == 0, done.stderr


def test_an_interrupted_training_ends_the_same(tmp_path):
    done = on_two_devices("check_resume", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_training_of_the_registry_runs_on_two_devices(tmp_path):
    name = "precoding/calibrated-training"
    options = ["--profile", "smoke", "--retrain", "--quiet", "--out", tmp_path]
    done = on_two_devices("link-sims", "run", name, *options, "--replicas", "2")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / name).iterdir()
    results = json.loads((folder / "results.json").read_text())
    assert results["timing"]["replicas"] == results["replicas"] == 2
    assert all(np.isfinite(row["value"]) for row in results["results"])
    (card,) = (folder / "weights").glob("*.json")
    card = json.loads(card.read_text())
    assert card["replicas"] == 2 and "--replicas 2" in card["command"]


def test_more_replicas_than_devices_are_refused(tmp_path):
    name = f"{HERE / 'two_devices.py'}:tiny"
    done = on_two_devices("link-sims", "run", name, "--replicas", 3, "--out", tmp_path)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(lines) == 1 and "replicas = 3: at most 2 is permitted" in lines[0]
    assert "Traceback" not in done.stderr
    with pytest.raises(UserError, match="replicas = 0: an integer of at least 1"):
        check_replicas(0)


def test_a_recursion_that_is_no_training_stays_on_one_device(tiny, tmp_path):
    options = ["--profile", "smoke", "--execution", "xla", "--replicas", 2, "--out", tmp_path]
    done = on_two_devices("link-sims", "run", tiny.source, *options)
    assert done.returncode == 0, done.stderr
    (found,) = tmp_path.rglob("results.csv")
    _, one = runner.run(
        tiny, tiny.resolve("smoke"), "smoke", folder=tmp_path / "one", execution="xla",
        quiet=True, figure=False,
    )  # fmt: skip
    assert found.read_text() == (one / "results.csv").read_text()
