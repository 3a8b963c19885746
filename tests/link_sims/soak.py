"""What test_soak.py runs in a process of its own: only its units may make memory grow."""

import json
import os
import pathlib
import sys

from tiny import tiny

from link_sims.runs import backend, sweep
from link_sims.runs.executors.serial import Serial
from link_sims.runs.progress import Progress
from link_sims.runs.runner import identity_of
from link_sims.runs.store import RunFolder

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * PAGE


def soak(path, mode, num_units):
    """{"samples": [[units, resident bytes, open files], ...], "traces"}."""
    config = tiny.resolve("cpu", {"x": [1.0], "max_units": num_units})
    backend.start(config)
    samples = []
    with (
        RunFolder(path, identity_of(tiny, "cpu", config)) as folder,
        Serial(tiny, config, mode, {}) as executor,
    ):
        append = folder.append

        def sampled(record):
            append(record)
            files = len(os.listdir("/proc/self/fd"))
            samples.append((record["first"] + len(record["values"]), resident(), files))

        folder.append = sampled
        sweep.run_sweep(tiny, config, folder, executor, Progress(quiet=True))
        traces = executor._units._executor._group.experimental_get_tracing_count()
    return {"samples": samples, "traces": traces}


if __name__ == "__main__":
    path, mode, num_units = sys.argv[1:]
    print(json.dumps(soak(path, mode, int(num_units))))
