"""Finding experiments: those of the package by name, the user's by ``file.py:object``."""

import difflib
import importlib
import importlib.util
import pathlib
import pkgutil
import sys

from .errors import UserError
from .experiment import Experiment

__all__ = ["all_experiments", "find", "registered"]


def all_experiments():
    """{name: Experiment} of every module under ``link_sims.papers``; imports no TensorFlow."""
    papers = importlib.import_module(f"{__package__}.papers")
    found = {}
    for module in pkgutil.walk_packages(papers.__path__, papers.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Experiment):
                found[value.name] = value
                value.module = value.module or module.name
    return dict(sorted(found.items()))


def registered(name):
    """The experiment of the package of that name, or None; never a file."""
    return all_experiments().get(name)


def find(name):
    """The experiment of that name, or the object in ``file.py:object``.

    Raises
    ------
    UserError
        When there is none; close names are offered.
    """
    if ".py:" in name or name.endswith(".py"):
        return _from_file(*name.partition(":")[::2])
    experiments = all_experiments()
    if name in experiments:
        return experiments[name]
    close = difflib.get_close_matches(name, experiments, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "see link-sims list"
    raise UserError(f"NAME = {name}: no such experiment; {hint}")


def _from_file(file, attribute):
    path = pathlib.Path(file)
    if not path.is_file():
        raise UserError(f"NAME = {file}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:  # the user's file: any error in it is the user's to mend
        line = _line_in(error, path)
        raise UserError(f"{file}{line}: {type(error).__name__}: {error}") from None
    objects = {k: v for k, v in vars(module).items() if isinstance(v, Experiment)}
    for key, experiment in objects.items():
        experiment.source = f"{path.resolve()}:{key}"
    if not attribute and len(objects) == 1:
        return next(iter(objects.values()))
    if attribute not in objects:
        known = ", ".join(objects) or "none"
        raise UserError(f"NAME = {file}:{attribute}: no such experiment; the file has: {known}")
    return objects[attribute]


def _line_in(error, path):
    """`, line N` of the last frame of the traceback that lies in the user's file."""
    number, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            number = trace.tb_lineno
        trace = trace.tb_next
    return "" if number is None else f", line {number}"
