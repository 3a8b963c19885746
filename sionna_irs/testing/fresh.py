"""Saved layers, loaded and run in a new process."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from ..saving import load_model
from .case import CarrierLink, leaves, require, reset, same

__all__ = ["check_fresh_process"]

_FRESH = """
import sys, pathlib
from sionna_irs.testing import fresh
fresh._report_saved(pathlib.Path(sys.argv[1]))
"""


def _report_saved(folder):
    """In a fresh process: load every saved layer, and write what it returns."""
    for path in sorted(folder.glob("*.keras")):
        layer = load_model(path).carrier.layer
        inputs = np.load(path.with_suffix(".npz"), allow_pickle=False)
        constants = json.loads(path.with_suffix(".json").read_text())
        reset()
        outputs = leaves(layer(**{k: inputs[k] for k in inputs.files}, **constants))
        np.savez(path.with_suffix(".out.npz"), *[np.asarray(o) for o in outputs])


def check_fresh_process(cases):
    """Save all ``cases``, load them in one new process, and compare the numbers exactly.

    Parameters
    ----------
    cases : dict
        Name -> LayerCase; only cases whose inputs are arrays or Python numbers.

    Raises
    ------
    ContractError
        When a layer does not load or gives other numbers.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder, expected = pathlib.Path(folder), {}
        for index, (name, case) in enumerate(cases.items()):
            expected[f"{index:03d}", name] = case.eager()
            path = folder / f"{index:03d}.keras"
            link = CarrierLink(case.shared())
            link.built = True
            link.save(path)
            np.savez(path.with_suffix(".npz"), **{k: case.inputs[k] for k in case.tensors_names()})
            path.with_suffix(".json").write_text(json.dumps(case.constants()))
        done = subprocess.run(
            [sys.executable, "-c", _FRESH, str(folder)],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        require(done.returncode == 0, f"a fresh process fails: {done.stderr[-2000:]}")
        for (index, name), outputs in expected.items():
            found = np.load(folder / f"{index}.out.npz")
            # oneDNN and Eigen may split sums differently from process to process.
            same(outputs, [found[k] for k in found.files], 1e-6, f"{name} in a fresh process")
