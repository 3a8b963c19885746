"""What a run will have measured: claims are written down before there are results."""

import inspect

from .claims import Verdict
from .results import Results

__all__ = ["Measured", "measured"]


class Measured:
    """A quantity of results to come: calls are kept, and done when results are handed over.

    ``measured.at("nmse", "LS", 0).less(1)`` stands for ``results.at("nmse", "LS", 0).less(1)``;
    ``measured.by(function, *arguments)`` for ``function(results, *arguments)``. A method that
    there is not, and arguments that it does not take, are errors at once.
    """

    def __init__(self, kind, get):
        self._kind, self._get = kind, get

    def __call__(self, results):
        return self._get(results)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        if self._kind is None:  # a function without annotation may return anything
            return lambda *args, **kwargs: Measured(
                None, lambda results: getattr(self._get(results), name)(*args, **kwargs)
            )
        method = getattr(self._kind, name)
        signature = inspect.signature(method)

        def call(*args, **kwargs):
            signature.bind(self, *args, **kwargs)
            return Measured(
                _kind(signature),
                lambda results: getattr(self._get(results), name)(*args, **kwargs),
            )

        return call

    @property
    def is_verdict(self):
        """Whether it can be the check of a claim, as far as is known."""
        return self._kind in (None, Verdict)

    def by(self, function, *args, **kwargs):
        """Of a function of your own, ``function(results, *args, **kwargs)``."""
        signature = inspect.signature(function)
        signature.bind(self, *args, **kwargs)
        return Measured(
            _kind(signature), lambda results: function(self._get(results), *args, **kwargs)
        )


def _kind(signature):
    kind = signature.return_annotation
    return kind if isinstance(kind, type) and kind is not inspect.Signature.empty else None


measured = Measured(Results, lambda results: results)
