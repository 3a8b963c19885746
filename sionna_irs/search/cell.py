"""One cell of a searched network."""

import tensorflow as tf

from ..layer import LinkLayer
from ..networks.context import AntennaContext
from ..networks.convolution import Convolution

__all__ = ["Cell"]


class Edge(LinkLayer):
    """One operation, or a weighted sum of several.

    Parameters
    ----------
    operations : tuple of str
    num_filters : int
    norm, activation : as in :class:`Convolution`
    """

    def __init__(self, operations, num_filters, norm, activation, **kwargs):
        super().__init__(**kwargs)
        self.operations = tuple(operations)
        style = {"norm": norm, "activation": activation, "precision": self.precision}
        self.layers = []
        for name in self.operations:
            if name == "ctx":
                self.layers.append(AntennaContext(num_filters, **style))
            elif name not in ("skip", "zero"):
                self.layers.append(Convolution(name, num_filters, num_filters, **style))

    def call(self, x, mixing=None, training=False):
        total, layers = 0.0, iter(self.layers)
        for index, name in enumerate(self.operations):
            if name == "zero":
                continue
            y = x if name == "skip" else next(layers)(x, training=training)
            total += y if mixing is None else mixing[index] * y
        return total


class Cell(LinkLayer):
    """Nodes between two inputs and one output, their concatenation.

    Both inputs pass a 1x1 convolution to `num_filters` channels; a node is the sum over its edges.

    Parameters
    ----------
    nodes : tuple
        A cell of a :class:`Genotype`.
    widths : (int, int)
        Channels of the two inputs.
    num_filters : int
    norm, activation : as in :class:`Convolution`

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.search.cell import Cell
    >>> cell = Cell(((("skip",), ("conv",)),), widths=(2, 4), num_filters=8)
    >>> cell(tf.ones([1, 3, 5, 2]), tf.ones([1, 3, 5, 4])).shape
    TensorShape([1, 3, 5, 8])
    """

    def __init__(self, nodes, widths, num_filters, norm=True, activation="leaky_relu", **kwargs):
        super().__init__(**kwargs)
        same = {"precision": self.precision}
        self.preparations = [
            Convolution("point", width, num_filters, norm, activation=None, **same)
            for width in widths
        ]
        self.degrees = [len(node) for node in nodes]
        self.edges = [
            Edge(edge, num_filters, norm, activation, **same) for node in nodes for edge in node
        ]

    def call(self, s0, s1, mixing=None, training=False):
        states = [
            prepare(s, training=training)
            for prepare, s in zip(self.preparations, (s0, s1), strict=True)
        ]
        edge = 0
        for degree in self.degrees:
            node = tf.zeros_like(states[0])
            for predecessor in states[:degree]:
                weights = None if mixing is None else mixing[edge]
                if set(self.edges[edge].operations) != {"zero"}:
                    node += self.edges[edge](predecessor, weights, training=training)
                edge += 1
            states.append(node)
        return tf.concat(states[2:], -1)
