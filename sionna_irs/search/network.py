"""A network of cells: relaxed, for a search, or derived."""

from ..layer import Input, LinkLayer, require_integer
from ..networks.context import AntennaContext
from ..networks.convolution import Convolution
from .cell import Cell
from .genotype import Genotype

__all__ = ["CellNetwork"]


class CellNetwork(LinkLayer):
    """Stem of two 3x3 convolutions, cells, decoder (dense, two separable convolutions, one 3x3).

    Each cell reads the outputs of the two before it. The same class is the relaxed network, whose
    edges hold several operations mixed by weights, and the derived one, with one on each.

    Source: the CENAS paper, Sec. III, whose Table I leaves the widths open; 48 filters, a 1x1
    convolution before every cell, and these biases fit all four of its parameter counts.

    Parameters
    ----------
    genotype : Genotype
    num_filters : int
    num_channels : int
        Of the input maps.
    norm : bool
        Batch normalisation; without it convolutions have biases.
    activation : as in :class:`Convolution`
    context : bool
        An :class:`AntennaContext` added after the decoder's dense layer.

    Input
    -----
    x : tf.Tensor, [batch, M, N+1, num_channels], real
    mixing : tf.Tensor, [num_cells, num_edges, num_operations], real, or None
        Weights of the operations on every edge, for a relaxed network: softmax(alpha).
    training : bool

    Output
    ------
    tf.Tensor, [batch, M, N+1, 2], real

    Raises
    ------
    ValueError
        When the relaxed network gets no mixing weights, or a derived one gets some.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> network = irs.CellNetwork(irs.Genotype([[["skip", "conv"]]]), num_filters=8)
    >>> network(tf.ones([1, 4, 5, 2])).shape
    TensorShape([1, 4, 5, 2])
    """

    inputs = {
        "x": Input("real", "height", "width", "num_channels"),
        "mixing": Input("real", "num_cells", "num_edges", "num_operations"),
    }

    def __init__(
        self,
        genotype,
        num_filters: int = 48,
        num_channels: int = 2,
        norm: bool = True,
        activation="leaky_relu",
        context: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(genotype, Genotype):
            raise ValueError(f"genotype = {genotype!r}; a Genotype is needed")
        require_integer("num_filters", num_filters)
        self.genotype, self.num_channels = genotype, num_channels
        self.num_cells, self.num_edges = genotype.num_cells, genotype.num_edges
        self.num_operations = len(genotype.cells[0][0][0])
        c, wide = num_filters, genotype.num_nodes * num_filters
        style = {"norm": norm, "activation": activation, "precision": self.precision}
        self.stems = [
            Convolution("conv", num_channels, c, **style),
            Convolution("conv", c, c, **style),
        ]
        widths = [c, c] + [wide] * genotype.num_cells
        self.cells = [
            Cell(nodes, tuple(widths[i : i + 2]), c, **style)
            for i, nodes in enumerate(genotype.cells)
        ]
        bare = {"norm": False, "precision": self.precision}
        self.dense = Convolution("point", wide, c, bias=not norm, activation=activation, **bare)
        self.context = AntennaContext(c, **style) if context else None
        self.decoder = [Convolution("sep", c, c, **style) for _ in range(2)]
        self.last = Convolution("conv", c, 2, bias=not norm, activation=None, **bare)

    def call(self, x, mixing=None, training=False):
        if (mixing is None) != (self.num_operations == 1):
            needed = "needs" if mixing is None else "takes no"
            raise ValueError(
                f"a network with {self.num_operations} operation(s) on an edge {needed} "
                "mixing weights"
            )
        s0 = self.stems[0](x, training=training)
        s1 = self.stems[1](s0, training=training)
        for index, cell in enumerate(self.cells):
            weights = None if mixing is None else mixing[index]
            s0, s1 = s1, cell(s0, s1, weights, training=training)
        y = self.dense(s1, training=training)
        if self.context is not None:
            y += self.context(y, training=training)
        for layer in self.decoder:
            y = layer(y, training=training)
        return self.last(y, training=training)
