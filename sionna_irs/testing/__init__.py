"""The layer contract: one suite of checks for every layer, ours and yours.

Describe a layer by a :class:`LayerCase` and call :func:`check_layer`, or run the functions in
:data:`CHECKS` one by one (one test each, say with ``pytest.mark.parametrize``). A check that a
layer cannot meet is named in ``skip`` with its reason; :func:`check_layer` returns it.
"""

from .case import ContractError, LayerCase
from .checks import CHECKS, check_layer
from .fresh import check_fresh_process

__all__ = ["CHECKS", "ContractError", "LayerCase", "check_fresh_process", "check_layer"]
