"""Ten thousand units: no memory, no traces, no open files that grow with their number."""

import os
import pathlib

import numpy as np
import pytest

from link_sims import backend, sweep
from link_sims.executors.serial import Serial
from link_sims.progress import Progress
from link_sims.runner import identity_of
from link_sims.store import RunFolder

NUM_UNITS, PAGE = 10_000, os.sysconf("SC_PAGE_SIZE")


def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="no /proc")
@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_ten_thousand_units(tiny, tmp_path, mode, monkeypatch):
    config = tiny.resolve("cpu", {"x": [1.0], "max_units": NUM_UNITS})
    backend.start(config)
    samples = []
    with (
        RunFolder(tmp_path / "soak", identity_of(tiny, "cpu", config)) as folder,
        Serial(tiny, config, mode, {}) as executor,
    ):
        append = folder.append

        def sampled(record):
            append(record)
            files = len(os.listdir("/proc/self/fd"))
            samples.append((record["first"] + len(record["values"]), resident(), files))

        monkeypatch.setattr(folder, "append", sampled)
        sweep.run_sweep(tiny, config, folder, executor, Progress(quiet=True))
        traces = executor._units._executor._group.experimental_get_tracing_count()
    units, memory, files = np.array(samples, float).T
    assert units[-1] == NUM_UNITS
    warm = units > NUM_UNITS / 4
    assert np.polyfit(units[warm], memory[warm], 1)[0] < 1000
    assert len(set(files[warm])) == 1
    assert traces == 1
