"""Links turned into curves: experiments, a runner that survives crashes, figures, claims.

Importing the package imports no TensorFlow: a public name is loaded when it is first used.
"""

import importlib
import sys

_EXPORTS = {
    name: module
    for module, names in {
        "experiment": "Config Experiment Metric row",
        "fields": "Distance EvenBits Grid IntGrid LearningRate PhaseBits PositiveFloat PositiveInt",
        "errors": "UserError",
        "lazy": "tf",
        "results.measured": "measured",
        "results.results": "Results",
        "runs.runner": "run",
        "simulate": "simulate",
    }.items()
    for name in names.split()
}

__all__ = sorted(_EXPORTS)


def __getattr__(name):
    if name in _EXPORTS:
        value = getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
        globals()[name] = value
        return value
    error = f"module 'link_sims' has no attribute {name!r}"
    raise AttributeError(error, name=name, obj=sys.modules[__name__])  # Python offers close names


def __dir__():
    return [*globals(), *__all__]
