"""The stubs of both packages, which editors and type checkers read: ``python tests/stub.py``."""

import importlib
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("sionna_irs", "link_sims")


def stub(package):
    """The text of ``__init__.pyi``: every public name with the module that it comes from."""
    package = importlib.import_module(package)
    names = {}
    for name, module in package._EXPORTS.items():
        names.setdefault(module, []).append(f"{name} as {name}")
    lines = [f'"""{package.__doc__.partition(chr(10))[0]}"""  # made by tests/stub.py\n']
    lines += [
        f"from .{module} import {', '.join(sorted(names[module]))}" for module in sorted(names)
    ]
    lines += [f"from . import {name} as {name}" for name in getattr(package, "_MODULES", ())]
    if hasattr(package, "__version__"):
        lines.append("\n__version__: str")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in PACKAGES:
        (ROOT / name / "__init__.pyi").write_text(stub(name))
