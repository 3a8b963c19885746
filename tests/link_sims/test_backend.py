""" "auto": what was measured, else what the experiment says; the compile cache; the table."""

import os

import pytest

import link_sims
from link_sims.registry import all_experiments
from link_sims.runs import backend, compile_cache


@pytest.mark.parametrize(
    ("own", "graph", "xla", "expected"),
    [
        ("xla", 5.0, 10.0, "graph"),
        ("xla", 7.2, 10.0, "xla"),
        ("xla", 5.0, None, "xla"),
        ("graph", 10.0, 5.0, "xla"),
        ("graph", 10.0, 7.2, "graph"),
        ("graph", None, 5.0, "graph"),
    ],
)
def test_auto_takes_what_was_measured_clearly_faster(monkeypatch, own, graph, xla, expected):
    experiment = link_sims.Experiment("tests/auto", execution_cpu=own)
    times = {"graph": graph, "xla": xla}
    found = {m: None if t is None else {"total_s": t} for m, t in times.items()}
    monkeypatch.setattr(backend, "_measured", lambda: {"tests/auto": found})
    assert backend.choose_execution("auto", experiment) == expected
    assert backend.choose_execution("eager", experiment) == "eager"


def test_an_experiment_outside_the_table_says_itself():
    for mode in ("graph", "xla"):
        experiment = link_sims.Experiment("tests/unknown", execution_cpu=mode)
        assert backend.choose_execution("auto", experiment) == mode


def test_the_table_is_of_the_registry():
    table = backend._measured()
    assert table and set(table) <= set(all_experiments())
    assert all(set(found) == {"graph", "xla"} for found in table.values())


def test_compiled_programs_join_the_cache_when_a_process_ends_well(monkeypatch, tmp_path):
    monkeypatch.setattr(compile_cache.sys, "modules", {})
    monkeypatch.setattr(compile_cache.atexit, "register", lambda *call: ended.append(call))
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    ended = []
    shared = compile_cache._machine_folder(tmp_path)
    shared.mkdir()
    (shared / "old.pb").write_bytes(b"old")
    dead = shared / f"process-999999999-{compile_cache._host()}-left"
    dead.mkdir()
    compile_cache.enable(tmp_path)
    own = os.environ["TF_XLA_FLAGS"].partition("=")[2]
    assert os.listdir(own) == ["old.pb"] and not dead.exists()
    with open(f"{own}/new.pb", "wb") as file:
        file.write(b"new")
    assert not (shared / "new.pb").exists()  # not before it is whole
    ((join, *arguments),) = ended
    join(*arguments)
    assert sorted(os.listdir(shared)) == ["new.pb", "old.pb"]
    assert compile_cache.state(tmp_path).startswith("2 programs")


def test_the_cache_can_be_turned_off(monkeypatch, tmp_path):
    monkeypatch.setattr(compile_cache.sys, "modules", {})
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.setenv("SIONNA_IRS_COMPILE_CACHE", "off")
    compile_cache.enable(tmp_path)
    assert "TF_XLA_FLAGS" not in os.environ and not list(tmp_path.iterdir())
    assert compile_cache.state(tmp_path) == "off"
