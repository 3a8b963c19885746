"""The search for cells: recursions, what is read from them, and what is shipped."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import link_sims
import sionna_irs as irs
from link_sims.errors import UserError
from link_sims.papers.cenas import ablation, cells, networks, search

HERE = pathlib.Path(__file__).parents[2]


def smoke(experiment, names, tmp_path, monkeypatch):
    """A run of some of the recursions, one seed each."""
    kept = {name: dataclasses.replace(experiment.recursions[name], seeds=1) for name in names}
    monkeypatch.setattr(experiment, "recursions", kept)
    monkeypatch.setattr(experiment, "draw", None)
    results, _ = link_sims.run(experiment, profile="smoke", out=tmp_path, quiet=True)
    return results


@pytest.mark.parametrize("module", [ablation, networks, search])
def test_trainings_end_with_an_evaluation(module):
    """Not a figure without its last point, after all the work."""
    experiment = getattr(module, module.__name__.split(".")[-1])
    for profile in experiment.profiles:
        assert experiment.resolve(profile).num_steps % module.EVERY == 0
    with pytest.raises(UserError, match=f"num_steps = 10: .*multiple of {module.EVERY}"):
        experiment.resolve("cpu", {"num_steps": 10})


@pytest.mark.slow  # three searches
def test_searches_are_recorded(tmp_path, monkeypatch):
    names = [search.FIRST, search.TRUNCATED]
    results = smoke(search.search, names, tmp_path, monkeypatch)
    for name in names:
        assert results.points(search.SKIPS, name) == [20, 40]
        assert 0 <= results.value(search.SKIPS, name, 40) <= 2
        weights = [
            results.value(search.WEIGHT, f"{operation}, {name}", 40)
            for operation in results.config.operations
        ]
        assert sum(weights) == pytest.approx(1, abs=1e-5)
    # The methods start from the same weights and see the same batches.
    first = [results.value(search.TRAINING, name, 20) for name in names]
    assert first[0] == pytest.approx(first[1], rel=0.5) and first[0] != first[1]


def test_training_and_validation_batches_differ_and_are_keyed():
    cfg = search.search.resolve("smoke", {"num_batches": 3})
    draw = search.batches(cfg, seed=1)
    splits = [draw(split, 1)[1].numpy() for split in ("training", "validation", "held-out")]
    assert all(np.all(a != b) for a, b in zip(splits, splits[1:], strict=False))
    np.testing.assert_array_equal(draw("training", 4)[0], draw("training", 1)[0])
    x, _, rms = draw("training", 0)
    np.testing.assert_allclose(np.mean(x.numpy() ** 2, (1, 2, 3)), 1, rtol=1e-5)
    assert rms.shape == (2, 1, 1, 1)


def test_the_shipped_genotype_follows_from_the_shipped_log():
    log = json.loads(irs.weights.text(cells.LOG))
    genotype = irs.Genotype.from_json(irs.weights.text(cells.GENOTYPE))
    assert irs.derive_genotype(log["alpha"], log["operations"]) == genotype
    for found in log["genotypes"].values():
        assert len(found) == 3 and irs.Genotype(found[0]).num_cells == genotype.num_cells
    assert {"command", "date", "search_s", "config", "curves"} <= set(log)
    network = irs.CellNetwork(genotype, num_filters=4)
    assert network(np.ones([1, 4, 5, 2])).shape == (1, 4, 5, 2)


def test_cells_are_drawn(tmp_path):
    results, folder = link_sims.run(cells.cells, profile="smoke", out=tmp_path, quiet=True)
    genotype = irs.Genotype.from_json(irs.weights.text(cells.GENOTYPE))
    for operation in ("skip", "conv", "ctx"):
        shown = results.value(cells.COUNT, f"{operation}, argmax", None)
        assert shown == genotype.count(operation)
    assert (folder / "figure.png").stat().st_size > 5_000


@pytest.mark.slow
def test_a_killed_search_ends_with_the_same_results(tmp_path):
    def run(out):
        command = [sys.executable, "-m", "link_sims", "run", "cenas/search", "--profile", "smoke"]
        return subprocess.Popen(
            [*command, "--out", str(tmp_path / out), "--quiet"], cwd=HERE,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip

    def folder(out):
        return tmp_path / out / "cenas/search/smoke"

    assert run("whole").wait() == 0
    for enough in (1, 6, 11):
        process, log = run("killed"), folder("killed") / "log.jsonl"
        while not log.exists() or log.read_bytes().count(b"\n") < enough:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run("killed").wait() == 0
    files = [folder(out) / "results.csv" for out in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
