"""Graph against XLA, measured for an experiment and for all."""

import json

import pytest

from link_sims.bench import bench
from link_sims.bench.yardsticks import executions
from link_sims.errors import UserError
from link_sims.registry import all_experiments

MEASURED = {"compile_s": 1.0, "total_s": 2.0, "memory_mib": 3}


def test_an_experiment_in_both_modes():
    name = "theory/rician-moments"
    table = bench.measure(name)
    assert len(table) == 6
    for mode in ("graph", "XLA"):
        first, whole, memory = (
            table[f"{name}, {mode}: {what}"][0]
            for what in ("slowest first call", "whole run, at most", "memory")
        )
        assert 0 < first < whole and 100 < memory < 10_000


def test_what_a_failed_measurement_says():
    with pytest.raises(UserError, match="theory/missing, graph: .*theory/missing"):
        executions.compare("theory/missing")


def test_what_took_too_long():
    table = executions.rows("slow", {"graph": MEASURED, "xla": None})
    assert table["slow, XLA: more than"] == (120, "s")


def test_the_table_is_completed(tmp_path, monkeypatch):
    path, calls = tmp_path / "executions.json", []

    def compare(name):
        calls.append(name)
        if name == "quickstart" and calls.count(name) == 1:
            raise UserError("no")
        return {"graph": MEASURED, "xla": None}

    monkeypatch.setattr(executions, "compare", compare)
    executions.measure_all(path, note=lambda *_: None)
    first = list(calls)
    assert "quickstart" not in json.loads(path.read_text())["cpu"]
    executions.measure_all(path, note=lambda *_: None)
    assert calls[len(first) :] == ["quickstart"]
    able = {n for n, e in all_experiments().items() if e.sweep_run or e.recursions}
    assert set(json.loads(path.read_text())["cpu"]) == set(first) == able
