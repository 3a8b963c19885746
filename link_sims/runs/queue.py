"""A list of runs, one after the other, each in a process of its own; resumable."""

import json
import os
import pathlib
import subprocess
import sys
import time
import tomllib

from ..errors import UserError
from .store import write_atomic

__all__ = ["read_queue", "run_queue"]


def read_queue(file):
    """The commands of a queue: arguments of ``link-sims run``, in the order of the file.

    Parameters
    ----------
    file : path-like
        TOML with a table ``[[run]]`` for every run: ``name``, and, where they differ from
        "published" and nothing, ``profile`` and ``set`` (a table of changes).

    Raises
    ------
    UserError
        When the file cannot be read or names something else.
    """
    try:
        runs = tomllib.loads(pathlib.Path(file).read_text())["run"]
        commands = []
        for entry in runs:
            unknown = set(entry) - {"name", "profile", "set"}
            if unknown:
                raise ValueError(f"unknown keys {sorted(unknown)}")
            changes = [f"--set={k}={json.dumps(v)}" for k, v in entry.get("set", {}).items()]
            commands.append(
                [entry["name"], f"--profile={entry.get('profile', 'published')}", *changes]
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"FILE = {file}: {error}; TOML with [[run]] tables of name, profile, set is needed"
        ) from None
    return commands


def run_queue(file, out="runs", hours=None):
    """Run what is left of a queue at the lowest priority; returns the commands still to be run.

    ``out/queue.json`` holds, for every command that ended, its exit code, its wall-clock and CPU
    seconds, and the commit of the sources. What fails is passed over, and tried again next time.

    Parameters
    ----------
    file : path-like
    out : path-like
        Root of the run folders.
    hours : float or None
        No run is begun after so long; the one that runs then is finished.
    """
    commands, began = read_queue(file), time.monotonic()
    record = pathlib.Path(out) / "queue.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    done = json.loads(record.read_text()) if record.exists() else {}
    for command in commands:
        key = " ".join(command)
        if done.get(key, {}).get("exit") == 0:
            continue
        if hours is not None and time.monotonic() - began > 3600 * hours:
            break
        print(f"{time.strftime('%H:%M:%S')} {key}", flush=True)
        start = time.monotonic(), sum(os.times()[2:4])
        code = subprocess.call(
            [sys.executable, "-m", "link_sims", "run", *command, "--out", str(out), "--quiet"],
            preexec_fn=lambda: os.nice(19),
        )
        if code == 130:
            raise KeyboardInterrupt
        done[key] = {
            "exit": code,
            "wall_s": round(time.monotonic() - start[0], 1),
            "cpu_s": round(sum(os.times()[2:4]) - start[1], 1),
            "commit": _commit(),
        }
        write_atomic(record, json.dumps(done, indent=1) + "\n")
    return [c for c in map(" ".join, commands) if done.get(c, {}).get("exit") != 0]


def _commit():
    """The commit of the sources, where they lie in a Git checkout."""
    here = pathlib.Path(__file__).parents[1]
    found = subprocess.run(
        ["git", "-C", str(here), "describe", "--always", "--dirty"], capture_output=True, text=True
    )
    return found.stdout.strip() or None
