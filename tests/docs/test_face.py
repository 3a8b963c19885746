"""What editors and type checkers see of the packages that load their names late."""

import importlib
import inspect
import os
import pathlib
import subprocess
import sys
import types
from typing import Literal

import jedi
import pytest
from plain_types import annotation, parameters

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from stub import PACKAGES, stub  # noqa: E402


@pytest.mark.parametrize("package", PACKAGES)
def test_stubs_are_those_of_the_tables_of_names(package):
    text = (ROOT / package / "__init__.pyi").read_text()
    assert text == stub(package), "python tests/stub.py writes it again"
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_editors_complete_every_public_name(package):
    project = jedi.Project(ROOT, sys_path=[str(ROOT)])
    found = jedi.Script(f"import {package} as p\np.", project=project).complete()
    assert set(importlib.import_module(package).__all__) <= {name.name for name in found}


def test_editors_show_signatures():
    project = jedi.Project(ROOT, sys_path=[str(ROOT)])
    script = jedi.Script("import sionna_irs as irs\nirs.ZFPrecoder(", project=project)
    (signature,) = script.get_signatures()
    assert [p.name for p in signature.params][:1] == ["power"]


def test_type_checkers_refuse_misspelt_names(tmp_path):
    code = "import sionna_irs as irs\nirs.SurfaceChannel, irs.metrics\nirs.SurfcaeChannel\n"
    (tmp_path / "user.py").write_text(code)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports",
         "user.py"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)},
    )  # fmt: skip
    first, *_ = found.stdout.splitlines()
    assert first.startswith("user.py:3: error:") and 'maybe "SurfaceChannel"' in first
    assert found.stdout.count("error:") == 1


@pytest.mark.parametrize("package", PACKAGES)
def test_plain_arguments_are_annotated_as_their_docstrings_say(package):
    count = 0
    for name in importlib.import_module(package).__all__:
        value = getattr(importlib.import_module(package), name)
        if not isinstance(value, (type, types.FunctionType)):
            continue
        if isinstance(value, type) and issubclass(value, (dict, Exception)):
            continue
        arguments = inspect.signature(value).parameters
        for argument, words in parameters(value.__doc__):
            wanted = annotation(words)
            if wanted is None or argument not in arguments:
                continue
            found = arguments[argument].annotation
            known = eval(wanted, {"Literal": Literal})
            # A base class whose subclasses take other words says `str`.
            fits = found == known or (found is str and wanted.startswith("Literal"))
            assert fits, f"{name}({argument}): {wanted}"
            count += 1
    assert count > (20 if package == "link_sims" else 300)


def test_python_offers_close_names():
    code = "import sionna_irs as irs; irs.SurfcaeChannel"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 1 and "Did you mean: 'SurfaceChannel'?" in found.stderr
