"""Executors: any order of groups, pools of processes, dead workers, dead drivers, Ray."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import link_sims
from link_sims import cli
from link_sims.errors import UserError
from link_sims.registry import find
from link_sims.results.results import Results
from link_sims.runs import executors, runner, store, sweep
from link_sims.runs.executors import pool
from link_sims.runs.executors.worker import Outcome, Worker, pack
from link_sims.runs.progress import Progress

TINY = f"{pathlib.Path(__file__).parent / 'tiny.py'}:tiny"
QUIET = {"quiet": True, "figure": False}


# The driver's loop, with an executor that computes nothing.


class Config(link_sims.Config):
    """Points that stop at a target, at the limit, or at a value that is not finite."""

    x: link_sims.Grid = [3, 1, 2, 4]
    min_units: link_sims.PositiveInt = 3
    max_units: link_sims.PositiveInt = 70
    target_errors: int | None = 40


counted = link_sims.Experiment("tests/counted", config=Config)
counted.sweep(x="x")(lambda cfg, trained: None)


def curves_at(x):
    """Not the same ones everywhere, so that their order in the results matters."""
    return [("ser", "a"), ("ser", f"b{x:g}"), ("power", "c")]


def unit(seed, x, index):
    """Sums of a unit; now and then one that is not finite."""
    rng = np.random.default_rng([seed, int(x), index])
    sums = [(rng.poisson(4 / x**2), 10), (rng.poisson(1), 10), (rng.normal(), 1)]
    return sums if rng.uniform() > 0.02 else [*sums[:2], (np.nan, 1)]


class Shuffled:
    """Finishes groups in any order, in made-up times."""

    def __init__(self, seed, capacity):
        self.seed, self.capacity = seed, capacity
        self.rng, self.waiting = random.Random(seed), []

    def submit(self, x, first, count):
        self.waiting.append((x, first, count))
        assert len(self.waiting) <= self.capacity

    def collect(self):
        group = self.waiting.pop(self.rng.randrange(len(self.waiting)))
        x, first, count = group
        values = np.array([unit(self.seed, x, first + i) for i in range(count)])
        seconds = self.rng.choice([1e-3, 0.1, 3.0]) if self.capacity > 1 else 9.0
        return group, Outcome(curves_at(x), values, seconds, self.rng.random() < 0.2, "graph", None)


def swept(seed, capacity, records=()):
    """(results.csv, log) of a sweep that goes on from some records."""
    config = counted.resolve()
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # nothing dies here
        with store.RunFolder(path, runner.identity_of(counted, "cpu", config)) as folder:
            for record in records:
                folder.append(record)
            sweep.run_sweep(counted, config, folder, Shuffled(seed, capacity), Progress(True))
            return Results(counted, config, folder.records).csv(), folder.records


@given(seed=st.integers(0, 10**6), capacity=st.integers(2, 7), cut=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_the_order_in_which_groups_finish_changes_nothing(seed, capacity, cut):
    expected, one_by_one = swept(seed, 1)
    text, records = swept(seed, capacity)
    assert text == expected

    def failures(log):
        return sorted((r["x"], r["unit"], r["what"]) for r in log if r["kind"] == "failed")

    assert failures(records) == failures(one_by_one)
    # The log has every point in unit order, without gaps: whatever comes after a crash counts.
    lengths = {}
    for record in records:
        if record["kind"] == "units":
            assert record["first"] == lengths.get(record["x"], 0)
            lengths[record["x"]] = record["first"] + len(record["values"])
    assert swept(seed, capacity, records[: int(cut * len(records))])[0] == expected


def test_a_slow_group_does_not_let_the_others_run_away():
    class Stuck(Shuffled):
        ahead = 0

        def collect(self):
            self.waiting.sort(key=lambda group: -group[1])  # the first unit comes last
            self.ahead = max(self.ahead, self.waiting[0][1] - self.waiting[-1][1])
            group = self.waiting.pop(0)
            values = np.ones([group[2], 1, 2])
            return group, Outcome([["power", "c"]], values, 9.0, False, "graph", None)

    config = counted.resolve("cpu", {"x": [1.0], "target_errors": None})
    with tempfile.TemporaryDirectory() as path, store.RunFolder(path, {}) as folder:
        executor = Stuck(1, 2)
        sweep.run_sweep(counted, config, folder, executor, Progress(True))
        firsts = [r["first"] for r in folder.records]
    assert firsts == list(range(70)) and executor.ahead == sweep._AHEAD * 2 - 1


# Real workers.

FILE = '''
import collections, os, pathlib, signal, time
import link_sims

class Config(link_sims.Config):
    x: link_sims.Grid = [1, 2, 3]
    max_units: link_sims.PositiveInt = 24
    num_steps: link_sims.PositiveInt = 2

State = collections.namedtuple("State", "shift scale")
deadly = pathlib.Path(__file__).with_suffix(".deadly")

def units(cfg, shift):
    """Slow where the environment asks for it; the file "deadly" kills the process, once."""
    import tensorflow as tf
    import sionna_irs as irs
    start = irs.random.normal([])  # a builder that draws: the same for all workers
    calls = []

    def step(batch_size, x):
        time.sleep(float(os.environ.get("PAUSE", 0)))
        calls.append(x)
        if len(calls) == 3 and deadly.exists():
            deadly.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        z = irs.random.normal([batch_size])
        return {
            ("power", "z"): (tf.reduce_sum(z * z) + start + shift, batch_size),
            ("ser", f"above {float(x):g}"): (tf.math.count_nonzero(z > x), batch_size),
        }

    return step

plain = link_sims.Experiment("tests/plain", config=Config)

@plain.sweep(x="x")
def plain_units(cfg, trained):
    step = units(cfg, 0.0)
    return lambda batch_size, x: {k: v for k, v in step(batch_size, x).items()}

rich = link_sims.Experiment("tests/rich", config=Config)

@rich.recursion("walk", length="num_steps", seeds=2)
def walk(cfg, seed):
    import tensorflow as tf
    start = lambda: State(tf.constant(float(seed)), tf.ones([3]))
    return start, lambda s, t: (State(s.shift + 1, s.scale), {("loss", "walk"): (s.shift, 1)})

@rich.sweep(x="x", static=True)
def rich_units(cfg, trained, x):
    assert isinstance(x, int) and [float(s.shift) for s in trained["walk"]] == [3.0, 4.0]
    return units(cfg, trained["walk"][1].shift * tf_sum(trained["walk"][0].scale))

def tf_sum(values):
    import tensorflow as tf
    return tf.reduce_sum(values)
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def run(experiment, folder, **how):
    """results.csv of a run."""
    _, path = runner.run(experiment, folder=folder, **QUIET, **how)
    return (path / "results.csv").read_bytes()


def test_two_processes_give_the_bytes_of_one(tmp_path):
    tiny = find(TINY)
    expected = run(tiny, tmp_path / "serial")
    assert run(tiny, tmp_path / "pool", workers=2) == expected
    timing = json.loads((tmp_path / "pool" / "results.json").read_text())["timing"]
    assert (timing["workers"], timing["executor"], timing["execution"]) == (2, "pool", "graph")


def test_a_dead_worker_costs_only_its_units_in_flight(tmp_path, file, monkeypatch):
    rich = find(f"{file}:rich")
    expected = run(rich, tmp_path / "serial", execution="eager")
    notes = []
    monkeypatch.setattr(Progress, "note", lambda self, text: notes.append(text))
    file.with_suffix(".deadly").touch()
    assert run(rich, tmp_path / "pool", execution="eager", workers=2) == expected
    assert not file.with_suffix(".deadly").exists()
    assert len(notes) == 1 and "died; a new one" in notes[0]


def test_a_worker_that_dies_again_and_again_ends_the_run(tmp_path):
    file = tmp_path / "hungry.py"
    file.write_text(
        "import link_sims, multiprocessing, os\n"
        "if multiprocessing.parent_process() is not None: os._exit(3)\n"
        "e = link_sims.Experiment('tests/hungry', config=type('C', (link_sims.Config,), {\n"
        "    '__annotations__': {'x': link_sims.Grid}, 'x': [1.0, 2.0]}))\n"
        "e.sweep(x='x')(lambda cfg, trained: None)\n"
    )
    with pytest.raises(UserError, match="died 3 times in a row.*memory") as caught:
        run(find(str(file)), tmp_path / "run", workers=2)
    assert "\n" not in str(caught.value)


class Driver:
    """``link-sims run mine.py:plain --workers 2`` in a session of its own."""

    def __init__(self, file, folder):
        # A test runner in the background of a shell has the signal ignored, and hands that on.
        start = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from link_sims.cli import main; main()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, "run", f"{file}:plain", "--out", folder, "--workers", "2",
             "--execution", "eager"],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PAUSE": "0.2"},
        )  # fmt: skip
        self.log = pathlib.Path(folder) / "tests/plain/cpu/log.jsonl"

    def records(self):
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0

    def wait_for_record(self):
        before, deadline = self.records(), time.monotonic() + 120
        while self.records() == before and time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)

    def family(self):
        """The processes that it started, and theirs."""
        found, new = [], [self.process.pid]
        while new:
            children = pathlib.Path(f"/proc/{new.pop()}/task").glob("*/children")
            new += [int(pid) for path in children for pid in path.read_text().split()]
            found += new
        return set(found)


def gone(pids):
    """Whether processes end within some seconds; a zombie counts as ended."""

    def alive(pid):
        try:
            return (
                pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
            )
        except OSError:
            return False

    deadline = time.monotonic() + 60
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(alive, pids))


def test_ctrl_c_and_kill_9_leave_no_orphans_and_a_folder_that_resumes(tmp_path, file):
    driver = Driver(file, tmp_path / "out")
    driver.wait_for_record()
    workers = driver.family()
    os.killpg(driver.process.pid, signal.SIGINT)  # as a terminal does
    _, stderr = driver.process.communicate(timeout=60)
    assert driver.process.returncode == 130
    assert "goes on from here" in stderr and "Traceback" not in stderr, stderr
    assert len(workers) >= 2 and gone(workers)
    driver = Driver(file, tmp_path / "out")
    driver.wait_for_record()
    workers = driver.family()
    driver.process.kill()
    driver.process.communicate()
    assert len(workers) >= 2 and gone(workers)
    plain = find(f"{file}:plain")
    expected = run(plain, tmp_path / "whole", execution="eager")
    before = driver.records()
    assert run(plain, tmp_path / "out/tests/plain/cpu", execution="eager") == expected
    assert driver.records() > before


# What crosses the border between processes.


def test_what_the_experiment_raises_reaches_the_driver_as_itself(tmp_path):
    file = tmp_path / "raises.py"

    def answer(body):
        file.write_text(
            "import link_sims\n"
            "class Odd(Exception):\n"
            "    def __init__(self, a, *, b): super().__init__(a)\n"
            "class Config(link_sims.Config):\n"
            "    x: link_sims.Grid = [1]\n"
            "e = link_sims.Experiment('tests/raises', config=Config)\n"
            "@e.sweep(x='x')\n"
            f"def builder(cfg, trained):\n    {body}\n"
        )
        e = find(str(file))
        return Worker(pack(e.source, e.resolve(), "graph", {}), {}).answer(1.0, 0, 1)

    error = answer("raise LookupError('what is missing')")
    assert type(error) is LookupError and error.args == ("what is missing",)
    assert "raises.py" in error.__notes__[0]
    # No other process could make this one again.
    error = answer("raise Odd('strange', b=1)")
    assert type(error) is RuntimeError and str(error) == "Odd: strange"
    # What the library refuses is one clear line, as without workers.
    error = answer("import sionna_irs as irs; irs.UPA(0, 1)")
    assert type(error) is UserError and "= 0" in str(error)


def test_states_of_types_that_no_other_process_knows_are_refused():
    import collections

    Local = collections.namedtuple("Local", "a")
    with pytest.raises(UserError, match="trained states cannot be sent.*one worker"):
        pack("e", Config(), "graph", {"training": [Local(np.ones(2))]})


def test_cores_and_gpus_are_shared(monkeypatch):
    monkeypatch.setattr(pool.backend, "num_cores", lambda: 6)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)

    def shares(visible, workers):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        found = [pool.environment_of(index, workers) for index in range(workers)]
        return [e.get("CUDA_VISIBLE_DEVICES") for e in found], found[0]["TF_NUM_INTRAOP_THREADS"]

    assert shares("0,1", 3) == (["0", "1", "0"], "2")
    assert shares("GPU-ab, MIG-c", 2) == (["GPU-ab", "MIG-c"], "3")
    assert shares("-1", 8) == ([None] * 8, "1")
    assert shares("2,-1,1", 2)[0] == ["2", "2"]
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "5")
    assert shares("", 2) == ([None, None], "5")


# The command line.


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["--workers", "0"], "workers = 0: an integer from 1 to 256"),
        (["--workers", "-2"], "workers = -2"),
        (["--workers", "257"], "workers = 257"),
        (["--workers", "two"], "a valid integer"),
        (["--workers", "2", "--executor", "serial"], "1 is permitted with the executor serial"),
        (["--executor", "fast"], "executor = fast: one of auto, serial, pool, ray"),
    ],
)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_wrong_workers_give_one_clear_line(capsys, monkeypatch, tmp_path, command, arguments, text):
    monkeypatch.setattr(
        sys, "argv", ["link-sims", command, "quickstart", "--out", str(tmp_path), *arguments]
    )
    with pytest.raises(SystemExit) as done:
        cli.main()
    err = capsys.readouterr().err
    assert done.value.code == 2 and text in err and len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_ray_and_a_live_experiment_are_refused(tmp_path, monkeypatch):
    for workers in (True, 1.0, "2", None):
        with pytest.raises(UserError, match="workers = .*1 to 256"):
            run(counted, tmp_path / "run", workers=workers)
    with pytest.raises(UserError, match="tests/counted: other processes can only run"):
        run(counted, tmp_path / "run", workers=2)
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'sionna-irs\[ray\]'"):
        run(find(TINY), tmp_path / "run", executor="ray")
    assert not (tmp_path / "run").exists()


def test_workers_without_a_sweep_are_noted(tmp_path, monkeypatch):
    notes = []
    monkeypatch.setattr(Progress, "note", lambda self, text: notes.append(text))
    experiment = link_sims.Experiment("tests/rows")
    experiment.table(lambda cfg: [link_sims.row("ser", "exact", 2.0, 0.5)])
    run(experiment, tmp_path / "run", workers=3)
    assert notes == ["workers = 3: tests/rows has no sweep for them"]


@pytest.mark.slow
def test_ray_gives_the_bytes_of_one_process_and_replaces_a_dead_actor(tmp_path, file):
    pytest.importorskip("ray")
    rich = find(f"{file}:rich")
    expected = run(rich, tmp_path / "serial", execution="eager")
    file.with_suffix(".deadly").touch()
    how = {"execution": "eager", "workers": 2, "executor": "ray"}
    assert run(rich, tmp_path / "ray", **how) == expected
    assert not file.with_suffix(".deadly").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:many"])
def test_a_ray_cluster_that_does_not_answer_is_one_clear_line(tmp_path, file, monkeypatch, address):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"RAY_ADDRESS = {address}: .* running Ray cluster") as e:
        run(find(f"{file}:plain"), tmp_path / "run", executor="ray")
    assert "\n" not in str(e.value)
