"""One run of an experiment: recursions, table, sweep; then results, figure, verdicts."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import time
from typing import Literal

from ..errors import UserError
from ..results.claims import Verdict
from ..results.notes import notes
from ..results.results import Results, window_ends
from ..training.replicas import check_replicas, replicated
from . import digests, edited, records
from .progress import Progress
from .store import RunFolder, codes_of, read_identity, read_log, set_aside, write_atomic
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
    experiment,
    config=None,
    profile: str = "cpu",
    out="runs",
    folder=None,
    execution: Literal["auto", "graph", "xla", "eager"] = "auto",
    quiet: bool = False,
    figure: bool = True,
    workers: int = 1,
    executor: Literal["auto", "serial", "pool", "ray"] = "auto",
    replicas: int = 1,
    fresh: bool = False,
    keep: bool = False,
):
    """Run an experiment, or go on where its folder stopped.

    A folder knows the code of its units: the modules of the experiment (below the package's
    papers, or the user's own), the library, the versions. Where the experiment's code or the
    release of sionna-irs is another one, nothing is added unless `fresh` or `keep` says how; where
    nothing is left to be computed, the results are those of the log, and a note says so.
    Comments, documentation, claims and drawings may change.

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
    fresh : bool
        Start anew: an earlier folder is kept as ``NAME~1``, the next free number.
    keep : bool
        Add to the units of other code; the log says which are whose.

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
    if fresh:
        _start_anew(path, keep, progress)
    code = digests.digests(experiment)
    with scene_cache(root / "scene-cache"), RunFolder(path, identity, progress.note, code) as store:
        began, units = time.monotonic(), _Units(executor, workers, replicas, execution)
        records.check(store.records, path / "log.jsonl")
        settled = _settled(experiment, config, store)
        live = experiment.source is None and experiment.module is None  # no command line
        same = edited.admit(store, settled, keep, progress.note, "{}=True" if live else "--{}")
        try:
            # Final states are on disk, and a look at them is as cheap as it is to skip it.
            if not settled or (experiment.recursions and same):
                compile_cache.enable(root / "compile-cache", progress.note)
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


def _start_anew(path, keep, progress):
    """Put an earlier folder aside."""
    if keep:
        raise UserError("fresh and keep: one of them is permitted")
    place = set_aside(path)
    if place is not None:
        progress.note(f"the earlier run is kept as {place}")


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


def _settled(experiment, config, store):
    """Whether the log leaves nothing to be computed, so that TensorFlow need not start."""
    if experiment.table_run and not any(r["kind"] == "table" for r in store.records):
        return False
    for recursion in experiment.recursions.values():
        length = getattr(config, recursion.length)
        for seed in range(config.seed, config.seed + recursion.seeds):
            if length not in window_ends(store.records, recursion.name, seed):
                return False
    if getattr(config, "retrain", False) and _missing_weights(experiment, store):
        return False
    swept = experiment.sweep_run
    status = Results(experiment, config, store.records).status
    points = getattr(config, swept.x) if swept else []
    return all(status.get(x, "partial") != "partial" for x in points)


def _missing_weights(experiment, store):
    """Names of the weights to be shipped that are not in the folder; the card is written last."""
    folder = store.path / "weights"
    return [name for name in experiment.shipped if not (folder / f"{name}.json").exists()]


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
    for name in _missing_weights(experiment, store):
        card = {
            **identity,
            "command": _command(identity),
            "date": time.strftime("%Y-%m-%d"),
            "training_s": round(sum(r.get("seconds", 0.0) for r in steps), 1),
            "versions": digests.versions(),
            "device": backend.device(),
            "results": [
                {k: _plain(row[k]) for k in ("metric", "curve", "x", "value", "ci_low", "ci_high")}
                for row in results.rows()
                if experiment.metric(row["metric"]).listed
            ],
        }
        weights.save(experiment.shipped[name](config, trained), store.path / "weights", name, card)


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


def _write_results(experiment, results, store, identity, units, wall_s):
    rows = results.rows()
    text = results.csv()
    summary = {
        **identity,
        "claims": [{**claim.declared(), **_verdict(claim, results)} for claim in experiment.claims],
        "results": [{k: _plain(v) for k, v in row.items()} for row in rows],
        "trials": _trials(results),
        "notes": notes(results),
        "results_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "versions": digests.versions(),
        "digests": [
            code and {k: v for k, v in code.items() if k != "functions"} for code in store.codes()
        ],
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
    from ..results.plotting import render

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
    logged = read_log(folder / "log.jsonl")
    records.check(logged, folder / "log.jsonl")
    return Results(experiment, config, logged)


def other_code(experiment, folder):
    """Whether some of a folder's records are of other code than the experiment's."""
    identity, logged = read_identity(folder / "config.json"), read_log(folder / "log.jsonl")
    return edited.made_by_other_code(experiment, codes_of(identity.get("digests"), logged))
