"""One run of an experiment: recursions, table, sweep; then results, figure, verdicts."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import platform
import time

from .claims import Verdict
from .errors import UserError
from .notes import notes
from .progress import Progress
from .replicas import check_replicas, replicated
from .results import Results
from .store import RunFolder, read_identity, read_log, write_atomic
from .sweep import run_sweep

__all__ = ["folder_of", "load", "run"]


def folder_of(experiment, profile, config, out="runs", replicas=1):
    """``out/NAME/PROFILE``, with a hash of what differs from the profile, or of replicas."""
    changed = {
        k: v
        for k, v in config.model_dump().items()
        if v != experiment.resolve(profile).model_dump()[k]
    }
    if replicas > 1:
        changed["replicas"] = replicas
    suffix = ""
    if changed:
        text = json.dumps(changed, sort_keys=True)
        suffix = "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return pathlib.Path(out) / experiment.name / (profile + suffix)


def identity_of(experiment, profile, config, replicas=1):
    """What a run folder is about."""
    identity = {
        "experiment": experiment.name,
        "source": experiment.source,
        "profile": profile,
        "config": config.model_dump(),
    }
    return {**identity, "replicas": replicas} if replicas > 1 else identity


def run(
    experiment, config=None, profile="cpu", out="runs", folder=None, execution="auto",
    quiet=False, figure=True, workers=1, executor="auto", replicas=1,
):  # fmt: skip
    """Run an experiment, or go on where its folder stopped.

    Parameters
    ----------
    experiment : Experiment
    config : Config or None
        None takes the profile.
    profile : str
    out : path-like
        Root of the run folders.
    folder : path-like or None
        The run folder itself, instead of one below `out`.
    execution : "auto", "graph", "xla" or "eager"
    quiet : bool
        No progress on standard error.
    figure : bool
        Whether to draw ``figure.png`` and ``figure.pdf``.
    workers : int
        Processes that compute the units of the sweep, 1 to 256. The results are the same;
        recursions and tables stay in this process.
    executor : "auto", "serial", "pool" or "ray"
        What runs the workers; "auto" is serial for one, else a pool of processes.
    replicas : int
        Devices that a training runs on. Each draws batches of the configured size, so that the
        results are those of batches so many times as large. Other recursions use one device.

    Returns
    -------
    (Results, pathlib.Path)
        What was found, and the folder.

    Raises
    ------
    UserError
        For whatever the user can mend.
    KeyboardInterrupt
        On Ctrl-C, after results were written; the folder resumes.
    """
    from . import backend, compile_cache, executors

    backend.check_execution(execution)
    executor = executors.choose(executor, workers, experiment)
    progress = Progress(quiet)
    if check_replicas(replicas) > 1 and not experiment.recursions:
        progress.note(f"replicas = {replicas}: {experiment.name} has no training for them")
        replicas = 1
    config = experiment.resolve(profile) if config is None else config
    path = pathlib.Path(folder or folder_of(experiment, profile, config, out, replicas))
    identity = identity_of(experiment, profile, config, replicas)
    root = pathlib.Path(out if folder is None else path.parent)
    with scene_cache(root / "scene-cache"), RunFolder(path, identity, progress.note) as store:
        began, units = time.monotonic(), _Units(executor, workers, replicas, execution)
        try:
            if not _finished(experiment, config, store.records):
                compile_cache.enable(root / "compile-cache")
                trained = _simulate(experiment, config, store, units, progress)
                _write_weights(experiment, config, store, identity, trained)
        finally:
            progress.close()
            results = Results(experiment, config, store.records)
            wall = time.monotonic() - began
            _write_results(experiment, results, store, identity, units, wall)
        for text in notes(results):
            progress.note(text)
        if figure:
            draw_figure(results, store.path)
    return results, store.path


@contextlib.contextmanager
def scene_cache(folder):
    """Keep solved scenes in ``folder``, next to the run folders, unless the user chose another."""
    name = "SIONNA_IRS_CACHE"
    chosen = os.environ.get(name)
    os.environ.setdefault(name, str(pathlib.Path(folder).absolute()))
    try:
        yield
    finally:
        if chosen is None:
            del os.environ[name]


def _finished(experiment, config, records):
    """Whether the log settles everything, so that TensorFlow need not start."""
    results = Results(experiment, config, records)
    if experiment.recursions:
        return False  # their final states are on disk, but a check of them is as cheap as a run
    if experiment.table_run and not any(r["kind"] == "table" for r in records):
        return False
    swept = experiment.sweep_run
    points = getattr(config, swept.x) if swept else []
    return all(results.status.get(x, "partial") != "partial" for x in points)


@dataclasses.dataclass
class _Units:
    """How units are computed: what was asked for, and what came of it."""

    executor: str
    workers: int
    replicas: int
    execution: str
    seconds: float = 0.0
    mode: str | None = None
    device: str | None = None


def _simulate(experiment, config, store, units, progress):
    """Run what the log does not settle; the final states of the recursions."""
    from . import backend, executors

    tabled = not experiment.table_run or any(r["kind"] == "table" for r in store.records)
    # Workers start TensorFlow themselves; a GPU that this process touches is not all theirs.
    needed = units.executor == "serial" or experiment.recursions or experiment.shipped
    if needed or not tabled:
        executors.share_devices(units.executor)
        backend.start(config)
        units.mode = backend.choose_execution(units.execution, experiment)
        units.device = backend.device()
    if not tabled:
        store.append({"kind": "table", "rows": _finite(experiment.table_run(config))})
    trained = _recursions(experiment, config, store, units, progress)
    if not experiment.sweep_run:
        if units.workers > 1:
            progress.note(f"workers = {units.workers}: {experiment.name} has no sweep for them")
        return trained
    execution = units.mode or units.execution
    with executors.make(
        units.executor, units.workers, experiment, config, execution, trained, progress.note
    ) as executor:
        swept = run_sweep(experiment, config, store, executor, progress)
    units.seconds = swept.seconds
    units.mode, units.device = swept.mode or units.mode, swept.device or units.device
    return trained


def _recursions(experiment, config, store, units, progress):
    trained = {}
    if experiment.recursions:
        from sionna_irs.linalg import plain_graphs

        from .recursion import run_recursion

        with replicated(units.replicas), plain_graphs(units.mode == "graph"):
            for name, recursion in experiment.recursions.items():
                trained[name] = run_recursion(
                    config, store, units.mode, recursion, trained, progress
                )
    return trained


def _write_weights(experiment, config, store, identity, trained):
    """Weights to be shipped, with cards, into the run folder."""
    if not getattr(config, "retrain", False):
        return
    from sionna_irs import weights

    from . import backend

    results = Results(experiment, config, store.records)
    steps = [r for r in store.records if r["kind"] == "steps"]
    for name, builder in experiment.shipped.items():
        if (store.path / "weights" / f"{name}.json").exists():  # written last, and dated
            continue
        card = {
            **identity,
            "command": _command(identity),
            "date": time.strftime("%Y-%m-%d"),
            "training_s": round(sum(r.get("seconds", 0.0) for r in steps), 1),
            "versions": _versions(),
            "device": backend.device(),
            "results": [
                {k: _plain(row[k]) for k in ("metric", "curve", "x", "value", "ci_low", "ci_high")}
                for row in results.rows()
                if experiment.metric(row["metric"]).listed
            ],
        }
        weights.save(builder(config, trained), store.path / "weights", name, card)


def _command(identity):
    """The command that makes the weights again."""
    command = f"link-sims run {identity['experiment']} --profile {identity['profile']} --retrain"
    return f"{command} --replicas {identity['replicas']}" if "replicas" in identity else command


def _finite(rows):
    """The rows of a table; a value that is not finite is refused by name."""
    for entry in rows:
        if not math.isfinite(entry["value"]):
            what = f"{entry['metric']}/{entry['curve']}"
            raise UserError(
                f"table: {what} at x = {entry['x']} is {entry['value']}; a finite value is needed"
            )
    return rows


def _versions():
    from importlib import metadata

    names = ("sionna-irs", "sionna", "tensorflow", "keras", "numpy", "scipy")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _write_results(experiment, results, store, identity, units, wall_s):
    rows = results.rows()
    text = results.csv()
    summary = {
        **identity,
        "claims": [
            {"text": c.text, "source": c.source, "expect": c.expect, **_verdict(c, results)}
            for c in experiment.claims
        ],
        "results": [{k: _plain(v) for k, v in row.items()} for row in rows],
        "trials": _trials(results),
        "notes": notes(results),
        "results_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "versions": _versions(),
        "device": units.device,
        "timing": {
            "wall_s": wall_s,
            "units_s": units.seconds,
            "execution": units.mode,
            "executor": units.executor,
            "workers": units.workers,
            "replicas": units.replicas,
        },
    }
    store.write("results.csv", text)
    store.write("results.json", json.dumps(summary, indent=1) + "\n")


def _trials(results):
    """What the trials of every share count as."""
    return [
        {"metric": metric, "curve": curve, "x": x,
         **{k: _plain(v) for k, v in results.trials(metric, curve, x)._asdict().items()}}
        for metric, curve in results.curves()
        if results.is_share(metric, curve)
        for x in results.points(metric, curve)
        if x in results.units[metric, curve]
    ]  # fmt: skip


def _plain(value):
    return None if isinstance(value, float) and value != value else value


def judge(claim, results):
    """:class:`Verdict` of a claim; undecided where what it asks for was not simulated."""
    try:
        return claim.check(results)
    except UserError as error:
        return Verdict(None, str(error))
    except (ZeroDivisionError, LookupError):  # a check computes with what is not there
        return Verdict(None, "not simulated")


def _verdict(claim, results):
    verdict = judge(claim, results)
    return {"verdict": verdict.word, "measured": verdict.measured}


def draw_figure(results, path):
    """``figure.png`` and ``figure.pdf`` in a run folder; returns the path of the first."""
    from .plotting import render

    with scene_cache(_cache_above(path)):
        files = render(results)
    for suffix, data in files.items():
        write_atomic(pathlib.Path(path) / f"figure.{suffix}", data)
    return pathlib.Path(path) / "figure.png"


def _cache_above(path):
    """The folder of solved scenes that the run used."""
    for parent in pathlib.Path(path).absolute().parents:
        if (parent / "scene-cache").is_dir():
            return parent / "scene-cache"
    return pathlib.Path(path) / "scene-cache"


def load(experiment, folder):
    """Results of a run folder, read only.

    Raises
    ------
    UserError
        When the folder is damaged or belongs to another experiment.
    """
    folder = pathlib.Path(folder)
    identity = read_identity(folder / "config.json")
    if identity["experiment"] != experiment.name:
        raise UserError(f"{folder} holds {identity['experiment']}, not {experiment.name}")
    config = experiment.resolve(identity["profile"], identity["config"])
    return Results(experiment, config, read_log(folder / "log.jsonl"))
