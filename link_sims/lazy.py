"""TensorFlow, imported when it is first used: declarations are read without it."""

import importlib
import types

__all__ = ["tf"]


class _Lazy(types.ModuleType):
    """A module that is imported at the first use of one of its names."""

    def __getattr__(self, name):
        if name.startswith("__"):  # what asks for these asks every module it meets
            raise AttributeError(name)
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


tf = _Lazy("tensorflow")
