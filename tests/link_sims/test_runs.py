"""Runs: resume, splitting, folding, modes, stopping, recursion, Ctrl-C, kill -9."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import link_sims
from link_sims.errors import UserError
from link_sims.results.results import gather_units
from link_sims.runs import backend, recursion, runner, store, sweep
from link_sims.runs.progress import Progress

HERE = pathlib.Path(__file__).parent
QUIET = {"quiet": True, "figure": False}


def results_of(experiment, tmp_path, name="run", **kwargs):
    """(csv text, folder) of a run in a folder of its own."""
    config = experiment.resolve("cpu", kwargs.pop("changes", None))
    _, path = runner.run(experiment, config, folder=tmp_path / name, **QUIET, **kwargs)
    return (path / "results.csv").read_bytes(), path


def test_sweep_in_two_invocations_equals_one(tiny, tmp_path, monkeypatch):
    whole, _ = results_of(tiny, tmp_path, "whole")
    append, count = store.RunFolder.append, 0

    def stop_after_five(self, record):
        nonlocal count
        append(self, record)
        count += 1
        if count == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(store.RunFolder, "append", stop_after_five)
    with pytest.raises(KeyboardInterrupt):
        results_of(tiny, tmp_path, "split")
    partial = (tmp_path / "split" / "results.csv").read_text()
    assert "nan" in partial or "partial" in partial or "not simulated" in partial
    monkeypatch.setattr(store.RunFolder, "append", append)
    assert results_of(tiny, tmp_path, "split")[0] == whole
    # A finished run is left as it is.
    log = (tmp_path / "split" / "log.jsonl").read_bytes()
    assert results_of(tiny, tmp_path, "split")[0] == whole
    assert (tmp_path / "split" / "log.jsonl").read_bytes() == log


def test_folding_changes_nothing(tiny, tmp_path, monkeypatch):
    changes = {"target_errors": 200}
    one, _ = results_of(tiny, tmp_path, "one", changes=changes)
    for fold in (1, 3):
        monkeypatch.setattr(sweep, "_MAX_FOLD", fold)
        assert results_of(tiny, tmp_path, f"fold{fold}", changes=changes)[0] == one


def test_eager_and_graph_give_identical_counts_and_xla_up_to_ties(tiny, tmp_path):
    counts = {}
    for mode in ("eager", "graph", "xla"):
        _, path = results_of(tiny, tmp_path, mode, execution=mode, changes={"max_units": 4})
        found = runner.load(tiny, path)
        counts[mode] = [found.units["ser", "counted"][x] for x in (1.0, 2.0, 3.0)]
        powers = [found.value("power", "z", x) for x in (1.0, 2.0, 3.0)]
        np.testing.assert_allclose(powers, counts.setdefault("power", powers), rtol=1e-5)
    assert counts["eager"] == counts["graph"]
    difference = np.abs(np.array(counts["xla"]) - np.array(counts["graph"]))
    assert difference.max() <= 1


def test_points_are_keyed_by_value(tiny, tmp_path):
    _, all_points = results_of(tiny, tmp_path, "all")
    _, fewer = results_of(tiny, tmp_path, "fewer", changes={"x": [3, 1]})
    units = runner.load(tiny, all_points).units, runner.load(tiny, fewer).units
    for x in (1.0, 3.0):
        assert units[0]["ser", "counted"][x] == units[1]["ser", "counted"][x]
    assert units[0]["ser", "counted"][1.0] != units[0]["ser", "counted"][3.0]


def test_units_differ_and_seeds_differ(tiny, tmp_path):
    _, a = results_of(tiny, tmp_path, "a")
    _, b = results_of(tiny, tmp_path, "b", changes={"seed": 2})
    first, second = (runner.load(tiny, p).units["power", "z"][1.0] for p in (a, b))
    assert len(set(first)) == len(first) and not set(first) & set(second)


class Config(link_sims.Config):
    """Points 0 (sound) and 1 (goes wrong in its third unit)."""

    x: link_sims.Grid = [0, 1]
    batch_size: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 6


def test_a_value_that_is_not_finite_stops_the_point_and_names_the_quantity(tmp_path):
    experiment = link_sims.Experiment("tests/nonfinite", config=Config)

    @experiment.sweep(x="x")
    def builder(cfg, trained):
        import tensorflow as tf

        import sionna_irs as irs

        def step(batch_size, x):
            z = irs.random.uniform([batch_size])
            bad = tf.where((x > 0.5) & (z[0] > 0.5), float("nan"), 1.0)
            return {("power", "good"): (tf.reduce_sum(z), 1), ("power", "bad"): (bad, 1)}

        return step

    text, path = results_of(experiment, tmp_path)
    found = runner.load(experiment, path)
    assert found.status[0.0] == "limit" and found.status[1.0] == "nonfinite: power/bad"
    assert b"nonfinite: power/bad" in text
    assert results_of(experiment, tmp_path)[0] == text


def test_unfinished_points_are_nan_with_a_status(tiny, tmp_path):
    identity = runner.identity_of(tiny, "cpu", tiny.resolve("cpu"))
    with store.RunFolder(tmp_path / "run", identity) as folder:
        folder.append(
            {"kind": "units", "x": 1.0, "first": 0, "curves": [["ser", "counted"]],
             "mode": "graph", "values": [[[0.0, 50.0]], [[0.0, 50.0]]]}
        )  # fmt: skip
    found = runner.load(tiny, tmp_path / "run")
    rows = {row["x"]: row for row in found.rows() if row["curve"] == "counted"}
    assert rows[2.0]["status"] == "not simulated" and np.isnan(rows[2.0]["value"])
    assert rows[1.0]["status"] == "partial" and rows[1.0]["units"] == 2
    # No errors yet: an upper bound, not a zero.
    assert rows[1.0]["value"] == 0 and 0.03 < rows[1.0]["ci_high"] < 0.04


def test_gaps_in_the_log_do_not_count():
    records = [
        {"kind": "units", "x": 1.0, "first": first, "curves": [["ser", "a"]],
         "values": [[[float(first), 1.0]]]}
        for first in (0, 1, 3)
    ]  # fmt: skip
    assert gather_units(records)[1.0][1][:, 0, 0].tolist() == [0.0, 1.0]


def test_recursion_resumes_after_a_crash_at_every_record(tiny, tmp_path, monkeypatch):
    whole, _ = results_of(tiny, tmp_path, "whole")
    monkeypatch.setattr(recursion, "_SECONDS_PER_CHECKPOINT", 0.0)
    notices = []
    monkeypatch.setattr(Progress, "note", lambda self, text: notices.append(text))
    append = store.RunFolder.append
    for stop in (1, 2, 5, 8):
        count = 0

        def crash(self, record, stop=stop):
            nonlocal count
            append(self, record)
            count += 1
            if count == stop:
                raise RuntimeError("crash")

        monkeypatch.setattr(store.RunFolder, "append", crash)
        with pytest.raises(RuntimeError):
            results_of(tiny, tmp_path, f"stop{stop}")
        monkeypatch.setattr(store.RunFolder, "append", append)
        assert results_of(tiny, tmp_path, f"stop{stop}")[0] == whole
    assert not any("damaged" in text for text in notices)  # resumed, not started again


def test_recursions_write_event_files_for_tensorboard(tiny, tmp_path):
    import tensorflow as tf

    _, path = results_of(tiny, tmp_path)
    (file,) = (path / "tensorboard/walk-1").iterdir()
    events = [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))]
    assert events[0].file_version == "brain.Event:2"
    shown = {e.step: e.summary.value[0] for e in events[1:]}
    assert list(shown) == [3, 6, 9, 12] and shown[3].tag == "power/walk"
    log = [json.loads(line)["record"] for line in (path / "log.jsonl").read_text().splitlines()]
    (first,) = [r for r in log if r["kind"] == "steps" and (r["seed"], r["first"]) == (1, 0)]
    numerator, denominator = first["values"][0]
    assert shown[3].simple_value == pytest.approx(numerator / denominator, rel=1e-6)


def test_a_damaged_checkpoint_starts_again_with_the_same_result(tiny, tmp_path, monkeypatch):
    whole, path = results_of(tiny, tmp_path)
    checkpoint = next(path.glob("checkpoint-walk-1*"))
    data = bytearray(checkpoint.read_bytes())
    data[-2] ^= 4
    checkpoint.write_bytes(bytes(data))
    notices = []
    monkeypatch.setattr(Progress, "note", lambda self, text: notices.append(text))
    assert results_of(tiny, tmp_path)[0] == whole
    assert any("damaged" in text for text in notices)


def test_trained_states_reach_the_sweep(tmp_path):
    experiment = link_sims.Experiment("tests/trained", config=Config)
    seen = []

    @experiment.recursion("train", length="batch_size", seeds=3)
    def train(cfg, seed):
        import tensorflow as tf

        return lambda: tf.constant(float(seed)), lambda s, t: (s + 1, {("loss", "train"): (s, 1)})

    @experiment.sweep(x="x")
    def builder(cfg, trained):
        seen.extend(float(s) for s in trained["train"])
        return lambda batch_size, x: {("power", "c"): (x, 1)}

    _, path = results_of(experiment, tmp_path)
    assert seen == [11.0, 12.0, 13.0]
    found = runner.load(experiment, path)
    assert found.value("loss", "train", 1) == 2.0  # mean over the seeds 1, 2, 3
    low, high = found.interval("loss", "train", 1)
    assert low < 1.0 and high > 3.0


def test_a_recursion_starts_from_another_of_its_seed(tmp_path):
    experiment = link_sims.Experiment("tests/stages", config=Config)

    def counting(first):
        import tensorflow as tf

        return lambda: tf.constant(first), lambda s, t: (s + 1, {("loss", "c"): (s, 1)})

    @experiment.recursion("one", length="batch_size", seeds=2)
    def one(cfg, seed):
        return counting(float(seed))

    @experiment.recursion("two", length="batch_size", seeds=2, after="one")
    def two(cfg, seed, before):
        return counting(float(before) + 100)

    with pytest.raises(ValueError, match="fewer seeds"):
        experiment.recursion("three", length="batch_size", seeds=3, after="one")

    @experiment.sweep(x="x")
    def builder(cfg, trained):
        assert [float(s) for s in trained["two"]] == [121.0, 122.0]
        return lambda batch_size, x: {("power", "c"): (x, 1)}

    results_of(experiment, tmp_path)


def test_simulate_counts_bits_and_blocks(tmp_path):
    import tensorflow as tf

    import sionna_irs as irs

    def model(batch_size, ebno_db):
        b = tf.cast(irs.random.integers([batch_size, 20], 2), tf.float32)
        llr = 4 * b - 2 + irs.random.normal([batch_size, 20]) * tf.pow(10.0, -ebno_db / 20)
        return b, llr

    arguments = dict(
        ebno_db=[-6, 0, 3], batch_size=50, max_units=20, target_block_errors=100, quiet=True
    )
    found = link_sims.simulate(model, out=tmp_path / "a", **arguments)
    assert found.status[-6.0] == "target" and found.status[3.0] == "limit"
    from scipy.stats import norm

    low, high = found.interval("ber", "link", -6.0, level=1 - 1e-6)
    assert low <= norm.sf(2 * 10**-0.3) <= high
    assert (tmp_path / "a" / "figure.png").stat().st_size > 1000
    with pytest.raises(UserError, match="out = None"):
        link_sims.simulate(model, [0])
    with pytest.raises(UserError, match="ebno_db.*finite|ebno_db"):
        link_sims.simulate(model, [float("nan")], out=tmp_path / "b")


_CHILD = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from link_sims.registry import find
from link_sims.runs import backend, recursion, runner, sweep
tiny = find(sys.argv[1] + "/tiny.py:tiny")
config = tiny.resolve("cpu", {"max_units": 400, "num_steps": 60})
backend.start(config)
sweep._SECONDS_PER_GROUP = 0.004   # many small groups: many moments to die at
recursion._SECONDS_PER_CHECKPOINT = 0.0
print("ready", flush=True)
for line in sys.stdin:
    runner.run(tiny, config, folder=line.strip(), quiet=True, figure=False)
    print("done", flush=True)
"""


class Child:
    """A process that has imported TensorFlow and runs the folders it is told."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(HERE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip

    def wait(self, word):
        assert self.process.stdout.readline().strip() == word

    def run(self, folder):
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_kill_9_at_twenty_random_moments(tmp_path):
    child = Child()
    child.wait("ready")
    child.run(tmp_path / "warm")
    child.wait("done")
    start = time.monotonic()
    child.run(tmp_path / "whole")
    child.wait("done")
    duration = time.monotonic() - start
    expected = (tmp_path / "whole" / "results.csv").read_bytes()
    rng, folder, torn, kills = random.Random(7), tmp_path / "killed", 0, 0
    spare = Child()
    while kills < 20:
        child.run(folder)
        time.sleep(rng.uniform(0, 1.2 * duration))
        child.kill()
        kills += 1
        child, spare = spare, Child()
        child.wait("ready")
        log = folder / "log.jsonl"
        torn += log.exists() and not log.read_bytes().endswith(b"\n")
        if (folder / "results.csv").exists() and kills % 3 == 0:
            child.run(folder)
            child.wait("done")
            assert (folder / "results.csv").read_bytes() == expected
            folder = tmp_path / f"killed{kills}"
    child.run(folder)
    child.wait("done")
    assert (folder / "results.csv").read_bytes() == expected
    child.kill()
    spare.kill()


def test_ctrl_c_leaves_a_folder_that_resumes(tmp_path):
    # A test runner in the background of a shell has the signal ignored, and hands that on.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from link_sims.cli import main; main()"
    )
    command = [
        sys.executable, "-c", start, "run", f"{HERE / 'tiny.py'}:tiny", "--out", "out",
        "--set", "max_units=200000", "--set", "batch_size=20000",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        logs = list(tmp_path.glob("out/**/log.jsonl"))
        if logs and b'"units"' in logs[0].read_bytes():
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from here" in stderr and "Traceback" not in stderr
    folder = logs[0].parent
    assert (folder / "results.csv").exists()
    assert store.read_log(folder / "log.jsonl")


def test_backend_honours_the_precision(tiny, tmp_path):
    from sionna.phy import config as sionna_config

    try:
        backend.start(tiny.resolve("cpu", {"precision": "double"}))
        assert sionna_config.precision == "double"
        text, _ = results_of(tiny, tmp_path, changes={"precision": "double", "max_units": 3})
        assert b"ser,counted,1.0" in text
    finally:
        sionna_config.precision = "single"
