"""Graph against XLA for an experiment: compiling, whole runs, memory.

Each mode is measured in a process of its own, so that its memory is its own:
``python -m link_sims.bench.yardsticks.executions NAME MODE``. Without arguments all experiments are
measured, for hours, and ``link_sims/runs/executions.json`` is written, from which "auto" chooses;
an interrupted measurement goes on.
"""

import datetime
import json
import os
import subprocess
import sys

from ...errors import UserError
from ...runs.backend import EXECUTION_TABLE

__all__ = ["compare", "measure", "measure_all", "rows"]

MODES = {"graph": "graph", "xla": "XLA"}
_TIMEOUT_SECONDS = 120
_MAX_RECURSIONS = 2


def measure(name, mode, profile="cpu"):
    """{"compile_s", "total_s", "memory_mib"} of an experiment's programs, in this process.

    Of many recursions, which are the same training at several sizes, the first ones stand for
    all. The total is what the units and steps of a run take at most, compilation included.
    """
    import resource

    from link_sims.bench.programs import programs
    from link_sims.registry import find
    from link_sims.runs import backend
    from link_sims.runs.timing import timed
    from sionna_irs.linalg import plain_graphs

    experiment = find(name)
    config = experiment.resolve(profile)
    backend.start(config)
    compiling, totals, count = [], {"sweep": [], "recursion": []}, 0
    with plain_graphs(mode == "graph"):
        for program in programs(experiment, config, mode):
            kind = "sweep" if program.name == "sweep" else "recursion"
            count += kind == "recursion"
            if kind == "recursion" and count > _MAX_RECURSIONS:
                continue
            first, unit = timed(program.run)
            compiling.append(first)
            totals[kind].append(program.compilations * first + program.total * unit)
    trained = sum(totals["recursion"]) * count / max(1, min(count, _MAX_RECURSIONS))
    return {
        "compile_s": round(max(compiling), 2),
        "total_s": round(sum(totals["sweep"]) + trained, 2),
        "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def compare(name):
    """{mode: what :func:`measure` found, or None where it took too long} of an experiment.

    Raises
    ------
    UserError
        When a measurement failed.
    """
    found = {}
    for mode in MODES:
        command = [sys.executable, "-m", __spec__.name, name, mode]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True
            )
            found[mode] = json.loads(done.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            found[mode] = None
        except subprocess.CalledProcessError as error:
            said = (error.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{name}, {MODES[mode]}: {said}") from None
    return found


def rows(name, found):
    """{text: (value, unit)} of a comparison."""
    table = {}
    for mode, word in MODES.items():
        if found[mode] is None:
            table[f"{name}, {word}: more than"] = _TIMEOUT_SECONDS, "s"
            continue
        table[f"{name}, {word}: slowest first call"] = found[mode]["compile_s"], "s"
        table[f"{name}, {word}: whole run, at most"] = found[mode]["total_s"], "s"
        table[f"{name}, {word}: memory"] = found[mode]["memory_mib"], "MiB"
    return table


def measure_all(path=EXECUTION_TABLE, note=print):
    """Measure every experiment that is not in the table yet; the table is written after each."""
    from link_sims.registry import all_experiments
    from link_sims.runs import backend

    table = json.loads(path.read_text()) if path.exists() else {"cpu": {}}
    for name, experiment in all_experiments().items():
        if name in table["cpu"] or not (experiment.sweep_run or experiment.recursions):
            continue
        try:
            table["cpu"][name] = compare(name)
        except UserError as error:
            note(error)
            continue
        table["date"] = datetime.date.today().isoformat()
        table["machine"] = f"{backend.processor()}, {len(os.sched_getaffinity(0))} cores"
        path.write_text(json.dumps(table, indent=1) + "\n")
        note(name, table["cpu"][name])


if __name__ == "__main__":
    if len(sys.argv) == 1:
        measure_all()
    else:
        print(json.dumps(measure(*sys.argv[1:])))
