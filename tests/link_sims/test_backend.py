""" "auto": what the experiment says; the compile cache."""

import os

import pytest

import link_sims
from link_sims.runs import backend, compile_cache


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_auto_is_what_the_experiment_says(mode):
    experiment = link_sims.Experiment("tests/auto", execution_cpu=mode)
    assert backend.choose_execution("auto", experiment) == mode
    assert backend.choose_execution("eager", experiment) == "eager"


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
