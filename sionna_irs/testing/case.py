"""What the suite knows about a layer, and how it runs and compares it."""

import dataclasses

import numpy as np
import tensorflow as tf
from sionna.phy import Block

from .. import random
from ..link import Link

__all__ = ["CarrierLink", "ContractError", "LayerCase", "leaves", "require", "reset", "run", "same"]


class ContractError(Exception):
    """A layer breaks the contract; the text says which check, what was expected, what was seen."""


@dataclasses.dataclass
class LayerCase:
    """A layer at its smallest shape, as the contract suite wants it described.

    Parameters
    ----------
    cls : type
        The layer class.
    arguments : dict
        Constructor arguments without ``precision``.
    inputs : dict
        Arguments of the call: float64 or complex128 arrays, or Python numbers that are passed
        as they are (a batch size).
    gradient : tuple of str
        Names of the inputs in which the layer is differentiable.
    invariances : dict
        Name -> (change of the inputs dict, change of the outputs): the layer must turn changed
        inputs into changed outputs.
    awkward : dict
        Name -> inputs dict at which values and gradients must be finite (zeros, ties).
    skip : dict
        Check name -> reason why this layer cannot meet it.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> case = irs.testing.LayerCase(
    ...     irs.IdealPhases, {"panel": irs.UPA(2, 2)}, {"control": np.ones([3, 4])}, ("control",))
    >>> irs.testing.check_layer(case)
    {}
    """

    cls: type
    arguments: dict = dataclasses.field(default_factory=dict)
    inputs: dict = dataclasses.field(default_factory=dict)
    gradient: tuple = ()
    invariances: dict = dataclasses.field(default_factory=dict)
    awkward: dict = dataclasses.field(default_factory=dict)
    skip: dict = dataclasses.field(default_factory=dict)
    # What several checks look at: tracing it anew for each is most of their time.
    _kept: dict = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    def layer(self, precision="single"):
        """A new layer."""
        return self.cls(**self.arguments, precision=precision)

    def shared(self, precision="single"):
        """The layer of the checks that leave it as it was; both precisions have equal weights."""
        if precision not in self._kept:
            layer = self.layer(precision)
            if precision == "double":
                layer.set_weights(self.shared().get_weights())
            self._kept[precision] = layer
        return self._kept[precision]

    def eager(self, precision="single"):
        """What the shared layer returns in eager mode."""
        key = "eager", precision
        if key not in self._kept:
            self._kept[key] = run(self, self.shared(precision))
        return self._kept[key]

    def graph(self):
        """The shared layer as one function of a dict of tensors."""
        if "graph" not in self._kept:
            layer, constants = self.shared(), self.constants()
            self._kept["graph"] = tf.function(
                lambda kwargs: layer(**kwargs, **constants), autograph=False
            )
        return self._kept["graph"]

    def forget(self):
        """Drop what is shared: graphs are large."""
        self._kept.clear()

    def tensors(self, layer, inputs=None):
        """The array inputs as tensors in the layer's precision."""
        inputs = self.inputs if inputs is None else inputs
        return {
            k: tf.nest.map_structure(layer.cast, v)
            for k, v in inputs.items()
            if any(isinstance(a, np.ndarray) for a in tf.nest.flatten(v))
        }

    def constants(self):
        """The inputs that are Python numbers or objects."""
        arrays = self.tensors_names()
        return {k: v for k, v in self.inputs.items() if k not in arrays}

    def tensors_names(self):
        """Names of the inputs that hold arrays."""
        return [
            k
            for k, v in self.inputs.items()
            if any(isinstance(a, np.ndarray) for a in tf.nest.flatten(v))
        ]


def leaves(outputs):
    """All tensors of what a layer returns, those of operators, too."""
    return tf.nest.flatten(outputs, expand_composites=True)


def require(condition, text):
    if not condition:
        raise ContractError(text)


def reset():
    random.install()
    random.reset(random.stream_key(7))


def run(case, layer, tensors=None):
    """Flat list of output arrays, with the same random numbers in every run."""
    tensors = case.tensors(layer) if tensors is None else tensors
    reset()
    return leaves(layer(**tensors, **case.constants()))


def same(a, b, tolerance, what):
    require(len(a) == len(b), f"{what}: {len(a)} outputs against {len(b)}")
    for x, y in zip(a, b, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        require(x.shape == y.shape, f"{what}: shapes {x.shape} and {y.shape}")
        scale = np.max(np.abs(x), initial=1e-30)
        error = np.max(np.abs(x - y), initial=0.0) / scale
        require(error <= tolerance, f"{what}: relative difference {error:.2g} > {tolerance:.2g}")


class Carrier(Block):
    """A Sionna block that carries a Keras layer."""

    def __init__(self, layer):
        super().__init__(precision=layer.precision)
        self.layer = layer

    def call(self, **kwargs):
        return self.layer(**kwargs)


class CarrierLink(Link):
    """A link with the layer inside a Sionna block."""

    def __init__(self, layer, **kwargs):
        super().__init__(**{"precision": layer.precision, **kwargs})
        self.carrier = Carrier(layer)

    def call(self, **kwargs):
        return self.carrier(**kwargs)
