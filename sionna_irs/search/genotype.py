"""The discrete description of a network of cells."""

import dataclasses
import json

import keras

__all__ = ["EXTENDED", "PAPER", "Genotype"]

# The operations of the paper, and with the antenna context.
PAPER = ("skip", "zero", "conv", "sep", "dil")
EXTENDED = (*PAPER, "ctx")


@keras.saving.register_keras_serializable("sionna_irs")
@dataclasses.dataclass(frozen=True)
class Genotype:
    """Which operations stand on the edges of every cell.

    A cell has two inputs (the outputs of the two cells before it) and some nodes; a node sums
    what comes over the edges from both inputs and from all earlier nodes. An edge holds one
    operation, or several: then it is their mixture, as in the relaxed network of a search.

    Parameters
    ----------
    cells : nested sequence
        ``cells[l][j][i]``: the operation, or the operations, on the edge from predecessor i to
        node j of cell l; node j has j + 2 predecessors. Operations: "skip" (identity), "zero"
        (no edge), "conv", "sep", "dil" (see :class:`Convolution`), "ctx" (see
        :class:`AntennaContext`).

    Raises
    ------
    ValueError
        For unknown operations, and cells of another shape.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> genotype = irs.Genotype([[["skip", "conv"]], [["zero", "sep"]]])
    >>> genotype.num_cells, genotype.num_nodes, genotype.count("conv")
    (2, 1, 1)
    >>> irs.Genotype.from_json(genotype.to_json()) == genotype
    True
    """

    cells: tuple

    def __post_init__(self):
        cells = tuple(
            tuple(tuple((e,) if isinstance(e, str) else tuple(e) for e in node) for node in cell)
            for cell in self.cells
        )
        object.__setattr__(self, "cells", cells)
        if not cells or not cells[0]:
            raise ValueError("cells is empty; at least one cell with one node is needed")
        for number, cell in enumerate(cells):
            shape = [len(node) for node in cell]
            if shape != [2 + j for j in range(len(cells[0]))]:
                raise ValueError(
                    f"cells[{number}] has {shape} edges into its nodes; "
                    f"{[2 + j for j in range(len(cells[0]))]} are needed"
                )
            for name in (name for node in cell for edge in node for name in edge):
                if name not in EXTENDED:
                    raise ValueError(
                        f"cells[{number}] holds {name!r}; one of {', '.join(EXTENDED)} is needed"
                    )

    @classmethod
    def relaxed(cls, num_cells, num_nodes, operations=PAPER):
        """Every operation on every edge: the network in which a search takes place.

        Parameters
        ----------
        num_cells, num_nodes : int
        operations : sequence of str
        """
        node = [[tuple(operations)] * (2 + j) for j in range(num_nodes)]
        return cls([node] * num_cells)

    @property
    def num_cells(self):
        """Number of cells."""
        return len(self.cells)

    @property
    def num_nodes(self):
        """Nodes of each cell."""
        return len(self.cells[0])

    @property
    def num_edges(self):
        """Edges of each cell, 2 J + J (J - 1) / 2 with J nodes."""
        return sum(len(node) for node in self.cells[0])

    def count(self, operation):
        """How many edges hold an operation."""
        return sum(edge.count(operation) for cell in self.cells for node in cell for edge in node)

    def to_json(self):
        """The genotype as JSON text."""
        cells = [
            [[edge[0] if len(edge) == 1 else list(edge) for edge in node] for node in cell]
            for cell in self.cells
        ]
        return json.dumps({"cells": cells})

    @classmethod
    def from_json(cls, text):
        """The genotype again, from :meth:`to_json`."""
        try:
            return cls(json.loads(text)["cells"])
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"text is no genotype: {error!r}") from None

    def get_config(self):
        """The cells as lists."""
        return json.loads(self.to_json())

    @classmethod
    def from_config(cls, config):
        """The genotype again, from :meth:`get_config`."""
        return cls(config["cells"])
