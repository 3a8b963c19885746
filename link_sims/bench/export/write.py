"""The folder that travels: modules, arguments, expected results, and their runner."""

import datetime
import json
import pathlib
import shutil

import numpy as np

from ...errors import UserError
from ...experiment import Config
from ...runs import backend
from ...runs.digests import versions
from ...runs.store import refuse_links
from .cases import CASES

__all__ = ["export"]

FORMAT = 1
# The loss is compared after a few steps, as rounding grows with every step.
CHECK_STEPS, WINDOW_STEPS = 5, 10


def export(folder, names=None, largest=None, note=print):
    """Write cases for :mod:`link_sims.bench.export.run`.

    Parameters
    ----------
    folder : str or path
        New, empty, or an earlier export, which is replaced.
    names : list of str or None
        Cases; None takes all.
    largest : int or None
        Batches beyond so many times the check's are left out; None takes all.
    note : callable
        Told every file that is written.

    Raises
    ------
    UserError
        For an unknown case, and a folder that holds something else.
    """
    names = list(CASES) if names is None else names
    for name in names:
        if name not in CASES:
            raise UserError(f"NAME = {name}: one of {', '.join(CASES)} is needed with --export")
    folder = pathlib.Path(folder)
    _clear(folder)
    backend.start(Config())
    shutil.copy(pathlib.Path(__file__).with_name("run.py"), folder / "run.py")
    manifest = {
        "format": FORMAT, "versions": versions(), "date": datetime.date.today().isoformat(),
        "cases": {},
    }  # fmt: skip
    _write(folder, manifest)
    for name in names:
        manifest["cases"][name] = _export_case(folder, name, CASES[name], largest, note)
        _write(folder, manifest)


def _clear(folder):
    """Make the folder; empty it if it is an earlier export."""
    refusal = UserError(
        f"--export = {folder}: a new folder, an empty one or an earlier export is permitted"
    )
    if folder.exists() and not folder.is_dir():
        raise refusal
    if folder.exists() and any(folder.iterdir()):
        try:
            earlier = "format" in json.loads((folder / "manifest.json").read_text())
        except (OSError, ValueError, TypeError):
            earlier = False
        if not earlier:
            raise refusal
    folder.mkdir(parents=True, exist_ok=True)
    refuse_links(folder)
    for name in CASES:
        shutil.rmtree(folder / name, ignore_errors=True)


def _write(folder, manifest):
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def _export_case(folder, name, case, largest, note):
    """Modules and arrays of a case; what the manifest says of it."""
    from ...registry import find
    from .portable import Training, Units

    experiment = find(case.experiment)
    kind = Training if case.recursion else Units
    (folder / name).mkdir()
    entry = {
        "kind": kind.__name__.lower(), "title": case.title or experiment.title, "what": case.what,
        "experiment": case.experiment, "x": case.x, "share": case.share, "errors": case.errors,
        "relative": case.relative, "check_steps": CHECK_STEPS, "window_steps": WINDOW_STEPS,
        "batches": [],
    }  # fmt: skip
    for factor in (1, *case.factors):
        if largest is not None and factor > largest:
            continue
        program = kind(experiment, case, factor * case.batch_size)
        if program.module.custom_calls:
            raise RuntimeError(f"{name}: {sorted(program.module.custom_calls)} is not portable")
        if factor == 1:
            entry.update(program.entry, config=program.config)
            arrays = {"variables": program.module.variables, **program.arrays}
            entry.update({key: _save(folder, f"{name}/{key}.npz", v) for key, v in arrays.items()})
        entry["batches"].append(_export_batch(folder, name, case, factor, program, note))
    return entry


def _export_batch(folder, name, case, factor, program, note):
    """One module, and the expected results of those batches that have them."""
    size, module = factor * case.batch_size, program.module
    stem, check = f"{name}/batch-{size}", None
    (folder / f"{stem}.mlir.bc").write_bytes(module.code)
    if factor == 1 or factor in case.checked:
        count = CHECK_STEPS if case.recursion else case.units if factor == 1 else 1
        check = _save(folder, f"{stem}.npz", [program.expected(count)])
    note(f"{stem}.mlir.bc: {len(module.code) / 1e6:.2f} MB")
    return {
        "batch_size": size, "module": f"{stem}.mlir.bc", "check": check,
        "arguments": module.arguments, "results": module.results,
    }  # fmt: skip


def _save(folder, file, arrays):
    np.savez_compressed(folder / file, *arrays)
    return file
