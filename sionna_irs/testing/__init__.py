"""The layer contract: one suite of checks for every layer, ours and yours.

Describe a layer by a :class:`LayerCase` and call :func:`check_layer`, or run the functions in
:data:`CHECKS` one by one (one test each, say with ``pytest.mark.parametrize``). A check that a
layer cannot meet is named in ``skip`` with its reason; :func:`check_layer` returns it.
:func:`check_arguments` hands every argument over in all the ways that go wrong: zeros, NaN, None,
other shapes, lists, ...; each must be right or raise one clear line.
"""

from .case import ContractError, LayerCase
from .checks import CHECKS, check_layer
from .fresh import check_fresh_process
from .matrix import KINDS, argument_matrix, check_arguments

__all__ = [
    "CHECKS",
    "KINDS",
    "ContractError",
    "LayerCase",
    "argument_matrix",
    "check_arguments",
    "check_fresh_process",
    "check_layer",
]
