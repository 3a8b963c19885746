"""From the weights of the operations to a discrete network."""

from typing import Literal

import numpy as np

from .. import random
from .genotype import EXTENDED, Genotype

__all__ = ["derive_genotype", "random_genotype"]

_RULES = ("argmax", "top2")


def derive_genotype(alpha, operations=EXTENDED, rule: Literal["argmax", "top2"] = "argmax"):
    """The strongest operation on every edge, where something flows into every node.

    Strength is softmax(alpha) over the operations of an edge. "argmax" lets every edge have its
    strongest operation, "zero" included, which removes the edge; a node without any edge left
    gets its strongest operation other than "zero" back. "top2" keeps, for every node, the two
    edges on which the strongest operation other than "zero" is largest. Either way every node
    depends on an input of its cell.

    Parameters
    ----------
    alpha : array-like, [num_cells, num_edges, num_operations], real
        Edges in the order of :class:`Genotype`: node by node.
    operations : sequence of str
    rule : "argmax" or "top2"
        "argmax" is the paper's; "top2" that of DARTS.

    Returns
    -------
    Genotype

    Raises
    ------
    ValueError
        For another rule, another shape of alpha, and operations that are all "zero".

    Examples
    --------
    >>> from sionna_irs.search.derive import derive_genotype
    >>> derive_genotype([[[0.0, 1.0, 0.5], [0.0, 1.0, 0.8]]], ("skip", "zero", "conv")).cells
    (((('zero',), ('conv',)),),)
    """
    if rule not in _RULES:
        raise ValueError(f"rule = {rule!r}; one of {', '.join(_RULES)} is needed")
    alpha, operations = np.asarray(alpha, float), tuple(operations)
    if alpha.ndim != 3 or alpha.shape[-1] != len(operations):
        raise ValueError(
            f"alpha has shape {alpha.shape}; [num_cells, num_edges, {len(operations)}] is needed"
        )
    if set(operations) <= {"zero"}:
        raise ValueError(f"operations = {operations}; one other than 'zero' is needed")
    strength = np.exp(alpha - alpha.max(-1, keepdims=True))
    strength /= strength.sum(-1, keepdims=True)
    return Genotype([_cell(edges, operations, rule) for edges in strength])


def _cell(strength, operations, rule):
    """Nodes of a cell from the strengths [num_edges, num_operations]."""
    live = np.where([name == "zero" for name in operations], -1.0, strength)
    nodes, first = [], 0
    while first < len(strength):
        edges = slice(first, first + len(nodes) + 2)
        if edges.stop > len(strength):
            raise ValueError(f"alpha has {len(strength)} edges per cell; 2, 5, 9, ... are needed")
        best = live[edges].max(-1)
        kept = np.argsort(-best, kind="stable")[:2]
        if rule == "argmax":
            kept = np.flatnonzero(strength[edges].max(-1) == best)
            kept = kept if kept.size else [np.argmax(best)]
        names = ["zero"] * len(best)
        for edge in kept:
            names[edge] = operations[np.argmax(live[edges][edge])]
        nodes.append(names)
        first = edges.stop
    return nodes


def random_genotype(num_cells: int, num_nodes: int, operations=EXTENDED, seed: int = 0):
    """Operations drawn uniformly: what a search must beat. Guarded as by :func:`derive_genotype`.

    Parameters
    ----------
    num_cells, num_nodes : int
    operations : sequence of str
    seed : int
        Not that of Sionna's generator, which it leaves alone.

    Returns
    -------
    Genotype

    Examples
    --------
    >>> from sionna_irs.search.derive import random_genotype
    >>> random_genotype(2, 3, seed=1).num_edges
    9
    """
    shape = (num_cells, Genotype.relaxed(1, num_nodes).num_edges, len(operations))
    # The largest of independent draws is uniform, and so is the guard's choice.
    ranks = random.permutation(int(np.prod(shape)), seed)
    return derive_genotype(ranks.reshape(shape) / ranks.size, operations)
