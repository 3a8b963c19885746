"""The command line: list, show, run, plot, verify, bench, info.

Exit codes: 0 fine, 1 a claim fails, 2 the user's error (one line), 130 interrupted.
"""

import json
import os
import pathlib
import sys
from typing import Annotated

import typer

from .errors import UserError, explained, shortened

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Links through reconfigurable surfaces, turned into curves.",
)

Name = Annotated[str, typer.Argument(help="Experiment, or file.py:object.")]
Profile = Annotated[
    str, typer.Option(help="smoke (seconds), cpu (minutes), published (hours) or paper.")
]
Sets = Annotated[list[str] | None, typer.Option("--set", help="key=value, any number of times.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[pathlib.Path, typer.Option(help="Root of the run folders.")]
Workers = Annotated[int, typer.Option(help="Processes that compute a sweep's units.")]
Executor = Annotated[str, typer.Option(help="auto, serial, pool or ray: what runs the workers.")]
Replicas = Annotated[
    int,
    typer.Option(
        help="GPUs that a training runs on; each draws a batch of the configured size, so that "
        "this is a batch so many times as large."
    ),
]
ConfigFile = Annotated[
    pathlib.Path | None, typer.Option("--config", help="JSON file with changes of the profile.")
]


def main():
    """Entry point: every error of the user is one line on standard error."""
    try:
        code = app(standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        # An error of the command line brings its own text; a fault of ours keeps its traceback.
        line = error.format_message() if hasattr(error, "format_message") else explained(error)
        if line is None:
            raise
        print(f"error: {shortened(line)}", file=sys.stderr)
        code = 2
    if code == 130:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        # Everything is written. Threads of TensorFlow that still compute would now and then crash
        # the interpreter while it shuts down around them.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _changes(sets, file):
    changes = {}
    if file is not None:
        try:
            changes = json.loads(file.read_text(), object_pairs_hook=_once)
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"--config {file}: {error}; a JSON file is needed") from None
        if not isinstance(changes, dict):
            raise UserError(f"--config {file}: an object {{key: value}} is needed")
    given = []
    for item in sets or []:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UserError(f"--set {item}: key=value is needed")
        try:
            given.append((key, json.loads(value, object_pairs_hook=_once)))
        except (ValueError, RecursionError):
            given.append((key, value))
    try:
        return {**changes, **_once(given)}
    except ValueError as error:
        raise UserError(f"--set {error}") from None


def _once(pairs):
    """A dictionary; ValueError where a key is given twice."""
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key}: given twice; one value is needed")
        found[key] = value
    return found


@app.command("list")
def list_(
    paper: Annotated[str | None, typer.Option(help="Only those that answer this paper.")] = None,
    as_json: Json = False,
):
    """The experiments."""
    from .registry import all_experiments

    rows = [
        {"name": e.name, "title": e.title, "answers": e.answers}
        for e in all_experiments().values()
        if paper is None
        or e.name.startswith(paper.lower())
        or any(paper.lower() in a.lower() for a in e.answers)
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        answers = f"  [{', '.join(row['answers'])}]" if row["answers"] else ""
        print(f"{row['name']:<{width}}  {row['title']}{answers}")


@app.command()
def show(
    name: Name,
    profile: Profile = "cpu",
    sets: Sets = None,
    as_json: Json = False,
):
    """What an experiment is: configuration, claims, published figures."""
    from .registry import find

    experiment = find(name)
    config = experiment.resolve(profile, _changes(sets, None)).model_dump()
    claims = [claim.declared() for claim in experiment.claims]
    if as_json:
        print(json.dumps({"name": experiment.name, "config": config, "claims": claims}, indent=1))
        return
    print(f"{experiment.name}: {experiment.title}")
    for answer in experiment.answers:
        print(f"  answers {answer}")
    print(f"configuration ({profile}):")
    for key, value in config.items():
        print(f"  {key} = {json.dumps(value)}")
    print("claims:")
    for claim in claims:
        print(
            f"  {claim['text']} (expected: {claim['expect']}; {claim['kind']}: {claim['source']})"
        )


@app.command()
def run(
    name: Name,
    profile: Profile = "cpu",
    config: ConfigFile = None,
    sets: Sets = None,
    out: Out = pathlib.Path("runs"),
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.")] = None,
    execution: Annotated[str, typer.Option(help="auto, graph, xla or eager.")] = "auto",
    retrain: Annotated[bool, typer.Option(help="Train again instead of shipped weights.")] = False,
    workers: Workers = 1,
    executor: Executor = "auto",
    replicas: Replicas = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew; an earlier run is kept as NAME~1.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Add to the units of other code than today's.")
    ] = False,
    quiet: Annotated[bool, typer.Option(help="Only errors.")] = False,
    as_json: Json = False,
):
    """Run an experiment, or go on where it stopped."""
    from .registry import find
    from .runs.backend import EXECUTIONS
    from .runs.runner import run as run_experiment

    experiment = find(name)
    changes = _changes(sets, config)
    if seed is not None:
        if "seed" in changes:
            raise UserError(f"--seed {seed}: the seed is given twice; one value is needed")
        changes["seed"] = seed
    if retrain:
        if "retrain" not in experiment.config.model_fields:
            raise UserError(f"--retrain: {experiment.name} ships no weights")
        changes["retrain"] = True
    if execution not in EXECUTIONS:
        raise UserError(f"--execution {execution}: one of {', '.join(EXECUTIONS)} is needed")
    resolved = experiment.resolve(profile, changes)
    results, folder = run_experiment(
        experiment, resolved, profile, out, execution=execution, quiet=quiet, workers=workers,
        executor=executor, replicas=replicas, fresh=fresh, keep=keep,
    )  # fmt: skip
    if as_json:
        print((folder / "results.json").read_text(), end="")
    elif not quiet:
        from .results.tables import print_results

        print_results(results)
        print(f"figure: {folder / 'figure.png'}")
    bad = sorted(s for s in results.status.values() if str(s).startswith("nonfinite"))
    if bad:
        raise UserError(f"{len(bad)} point(s) stopped: {bad[0]}; see {folder / 'results.csv'}")


def _open(command, names, profile, sets, out):
    """(experiment, folder, whether the folder was named) of names and folders.

    A folder of an experiment of the package is enough. Any other needs its ``file.py:object``
    beside it: what a folder says of its code is never executed.
    """
    from .registry import find
    from .runs.runner import folder_of
    from .runs.store import read_identity

    files = {name: pathlib.Path(name) / "config.json" for name in names}
    held = {name: read_identity(file) for name, file in files.items() if file.exists()}
    named = {name: find(name) for name in names if name not in held}
    for name, path in ((name, pathlib.Path(name)) for name in names):
        if name in held:
            yield _experiment_of(command, path, held[name], named.values()), path, True
        elif named[name].source is None or named[name].name not in {
            identity["experiment"] for identity in held.values()
        }:
            config = named[name].resolve(profile, _changes(sets, None))
            yield named[name], folder_of(named[name], profile, config, out), False


def _experiment_of(command, folder, identity, named):
    """The experiment of a folder: one that was named, or one of the package."""
    from .registry import registered

    wanted = identity["experiment"]
    found = next((experiment for experiment in named if experiment.name == wanted), None)
    if found is None and identity.get("source") is None:
        found = registered(wanted)
    if found is None:
        raise UserError(
            f"{folder} holds {wanted[:80]!r}, no experiment of the package; name its code, which "
            f"is executed: link-sims {command} FILE.py:OBJECT {folder}"
        )
    return found


@app.command()
def plot(
    names: Annotated[
        list[str], typer.Argument(help="Run folders; before those of your files, file.py:object.")
    ],
):
    """Draw the figures of finished or unfinished runs again."""
    from .runs.runner import draw_figure, load, other_code

    for name in names:
        if ".py" not in name and not (pathlib.Path(name) / "config.json").exists():
            raise UserError(f"DIR = {name}: no run folder")
    for experiment, folder, given in _open("plot", names, "cpu", None, "runs"):
        if not given:
            raise UserError(f"DIR = {experiment.source}: no run folder of it is given")
        if other_code(experiment, folder):
            print(f"warning: {folder}: made by other code", file=sys.stderr)
        print(draw_figure(load(experiment, folder), folder))


@app.command()
def verify(
    names: Annotated[
        list[str],
        typer.Argument(help="Experiments or run folders; file.py:object DIR for your own files."),
    ],
    profile: Profile = "cpu",
    sets: Sets = None,
    out: Out = pathlib.Path("runs"),
    workers: Workers = 1,
    executor: Executor = "auto",
    as_json: Json = False,
):
    """Judge the claims; what is not simulated yet is run first."""
    from .runs.runner import judge, load, other_code
    from .runs.runner import run as run_experiment

    failed, report = False, []
    for experiment, folder, given in _open("verify", names, profile, sets, out):
        if not given:
            config = experiment.resolve(profile, _changes(sets, None))
            run_experiment(
                experiment, config, profile, out, quiet=as_json, workers=workers, executor=executor
            )
        results, other = load(experiment, folder), other_code(experiment, folder)
        for claim in experiment.claims:
            verdict = judge(claim, results)
            contradicts = verdict.contradicts(claim.expect)
            failed |= contradicts
            report.append(
                {"experiment": experiment.name, **claim.declared(), "verdict": verdict.word,
                 "measured": verdict.measured, "other_code": other}
            )  # fmt: skip
            if not as_json:
                mark = "FAIL" if contradicts else "?" if verdict.holds is None else "ok"
                found = f"verdict: {verdict.word}; measured: {verdict.measured}"
                found += " (made by other code)" if other else ""
                print(f"{mark:4} {experiment.name}: {claim.text}")
                print(f"     expected: {claim.expect}; {found}")
                print(f"     {claim.kind}: {claim.source}")
    if as_json:
        print(json.dumps(report, indent=1))
    raise typer.Exit(1 if failed else 0)


@app.command()
def queue(
    file: Annotated[pathlib.Path, typer.Argument(help="TOML file with [[run]] tables.")],
    out: Out = pathlib.Path("runs"),
    hours: Annotated[float | None, typer.Option(help="Begin no run after so long.")] = None,
):
    """Run a list of experiments one after the other, or go on with it."""
    from .runs.queue import run_queue

    left = run_queue(file, out, hours)
    for command in left:
        print(f"left: {command}")
    raise typer.Exit(1 if left else 0)


@app.command()
def bench(
    name: Annotated[
        str | None,
        typer.Argument(help="One yardstick; with --export, one case."),
    ] = None,
    export: Annotated[
        pathlib.Path | None,
        typer.Option(help="Measure nothing: write modules that run without TensorFlow there."),
    ] = None,
    as_json: Json = False,
):
    """Measure the yardsticks of speed."""
    if export is not None:
        from .bench.export import export as write

        write(export, None if name is None else [name])
        return
    from .bench.bench import YARDSTICKS, measure
    from .runs import backend

    found = {}
    for yardstick in YARDSTICKS if name is None else [name]:
        found.update(measure(yardstick))
    machine, cores = backend.device() or backend.processor(), backend.num_cores()
    if as_json:
        table = {text: {"value": value, "unit": unit} for text, (value, unit) in found.items()}
        print(json.dumps({"machine": machine, "cores": cores, "table": table}, indent=1))
    else:
        rows = [[text, f"{value:.4g}", unit] for text, (value, unit) in found.items()]
        from .results.tables import print_table

        print_table(f"{machine}, {cores} cores", ["name", "value", "unit"], rows)


@app.command()
def info(out: Out = pathlib.Path("runs"), as_json: Json = False):
    """Versions, devices, and what is kept between runs."""
    from .experiment import Config
    from .runs import backend, compile_cache
    from .runs.digests import versions

    backend.start(Config())
    import tensorflow as tf

    found = versions()
    found["devices"] = [d.name for d in tf.config.list_physical_devices()]
    found["device"] = backend.device()
    found["cores"] = backend.num_cores()
    found["compile cache"] = compile_cache.state(out / "compile-cache")
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        width = max(map(len, found)) + 2
        for key, value in found.items():
            print(f"{key:{width}}{value}")
