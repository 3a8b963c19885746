"""Ten thousand units: no memory, no traces, no open files that grow with their number."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

NUM_UNITS = 10_000


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="no /proc")
@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_ten_thousand_units(tmp_path, mode):
    script = pathlib.Path(__file__).with_name("soak.py")
    command = [sys.executable, str(script), str(tmp_path / "soak"), mode, str(NUM_UNITS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    units, memory, files = np.array(found["samples"], float).T
    assert units[-1] == NUM_UNITS
    warm = units > NUM_UNITS / 4
    assert np.polyfit(units[warm], memory[warm], 1)[0] < 1000
    assert len(set(files[warm])) == 1
    assert found["traces"] == 1
