"""The base of every layer: precision, casting, input checks and serialisation, once for all."""

import inspect
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from sionna.phy import config

from .arguments import as_number, as_real, as_size, is_tensor, require_integer, to_dtype
from .inputs import Input
from .modes import plain_graphs
from .serial import deserialize_arguments, recorded_arguments, serialize_arguments

__all__ = [
    "Input",
    "LinkLayer",
    "as_number",
    "as_real",
    "as_size",
    "require_integer",
    "to_dtype",
]

_REAL = {"single": tf.float32, "double": tf.float64}
_COMPLEX = {"single": tf.complex64, "double": tf.complex128}


def _holds_symbols(values):
    return any(isinstance(v, keras.KerasTensor) for v in tf.nest.flatten(values))


class LinkLayer(keras.layers.Layer):
    r"""Base class of the layers: a Keras layer that fits into a Sionna link.

    It adds to :class:`keras.layers.Layer`:

    * one ``precision`` ("single" or "double"; by default Sionna's ``config.precision``), with
      ``rdtype`` and ``cdtype``. Real inputs are cast to it; complex inputs are widened but
      never narrowed.
    * ``inputs``: a class attribute ``{argument: Input(...)}``. Casting and checks follow from it.
    * calls with positional Python numbers, as Sionna calls its channel models.
    * serialisation from the constructor's arguments; subclasses need no ``get_config``.
    * ``compiled``: where a class sets it, eager calls run ``call`` as one graph that is kept, ten
      times faster for loops of small operations. What ``call`` reads of the layer, but for
      weights, must not change then.

    Weights are made in ``__init__`` with :meth:`add_weight`; ``build`` does nothing.

    Parameters
    ----------
    precision : "single", "double" or None
        None takes ``sionna.phy.config.precision`` at construction.
    **kwargs
        Keras' own, such as ``name`` and ``trainable``.

    Raises
    ------
    ValueError
        For an unknown precision; in calls, for a wrong rank or dimension, an empty batch, and,
        in eager mode, for NaN, infinity or a value below its minimum.
    TypeError
        In calls, for real instead of complex tensors and for complex tensors wider than the
        layer.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.layer import Input, LinkLayer
    >>> class Gain(LinkLayer):
    ...     inputs = {"x": Input("complex", "num_ant")}
    ...     def __init__(self, num_ant, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.num_ant = num_ant
    ...     def call(self, x):
    ...         return 2 * x
    >>> Gain(3)(tf.ones([5, 3], tf.complex64)).shape
    TensorShape([5, 3])
    """

    inputs = {}
    # Whether eager calls run `call` as one graph, kept per layer: for loops of small operations.
    compiled = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable(cls.__module__.split(".")[0])(cls)

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls, *args, **kwargs)
        try:
            arguments = recorded_arguments(cls, args, kwargs)
        except TypeError:
            arguments = None  # __init__ is about to say what is wrong
        object.__setattr__(layer, "_arguments", arguments)
        return layer

    def __init__(self, *, precision: Literal["single", "double"] | None = None, **kwargs):
        precision = config.precision if precision is None else precision
        if precision not in _REAL:
            raise ValueError(f"precision is {precision!r}; it must be 'single' or 'double'")
        super().__init__(autocast=False, dtype=_REAL[precision].name, **kwargs)
        self._precision = precision

    @property
    def precision(self):
        """Either "single" or "double"."""
        return self._precision

    @property
    def rdtype(self):
        """Real dtype of the layer."""
        return _REAL[self._precision]

    @property
    def cdtype(self):
        """Complex dtype of the layer."""
        return _COMPLEX[self._precision]

    def real(self, value):
        """``value`` (number, array, real tensor) as a tensor of dtype ``rdtype``."""
        return to_dtype(value, self.rdtype)

    def cplx(self, value):
        """``value`` (number, array, real or complex tensor) as a tensor of dtype ``cdtype``."""
        return to_dtype(value, self.cdtype)

    def cast(self, value, name="input"):
        """Tensors and arrays in the layer's precision; other values unchanged."""
        if isinstance(value, (np.ndarray, np.generic)):
            array = np.asarray(value)
            if array.dtype.kind == "c":
                return tf.constant(array, self.cdtype)
            return tf.constant(array, self.rdtype if array.dtype.kind == "f" else None)
        if not is_tensor(value):
            return value
        dtype = tf.as_dtype(value.dtype)
        if dtype.is_complex and dtype != self.cdtype:
            if dtype == tf.complex128:
                raise TypeError(
                    f"{name} is complex128 but {self.name} has precision 'single': build it "
                    f"with precision='double', or cast {name} to complex64"
                )
            return tf.cast(value, self.cdtype)
        if dtype.is_floating and dtype != self.rdtype and not isinstance(value, keras.KerasTensor):
            return tf.cast(value, self.rdtype)
        return value

    def __call__(self, *args, **kwargs):
        arguments = self._admitted(args, kwargs)
        # Keras wants its symbolic tensors in positional order, and refuses anything else there.
        values = list(arguments.values())
        symbolic = values and all(isinstance(v, keras.KerasTensor) for v in values)
        if self.compiled and tf.executing_eagerly() and not _holds_symbols(values):
            return self._as_graph(dict(arguments))
        given, named = (values, {}) if symbolic else ((), arguments)
        try:
            result = super().__call__(*given, **named)
        except Exception as error:
            raised = self._raised(error)
            raise raised from raised.__cause__
        return result

    def stateless_call(self, trainable_variables, non_trainable_variables, *args, **kwargs):
        """Keras' ``stateless_call``, which passes over ``__call__``, with its checks and casts."""
        losses = kwargs.pop("return_losses", False)
        return super().stateless_call(
            trainable_variables,
            non_trainable_variables,
            return_losses=losses,
            **self._admitted(args, kwargs),
        )

    def _admitted(self, args, kwargs):
        """{name: value} of the arguments of a call, checked and in the layer's precision."""
        signature = inspect.signature(self.call)
        extra = {k: kwargs.pop(k) for k in ("training", "mask") if k in kwargs}
        extra = {k: v for k, v in extra.items() if k in signature.parameters}
        arguments = signature.bind(*args, **kwargs, **extra).arguments
        symbols = {}
        # Those that must fit the batch of others come after these.
        inputs = self.inputs
        for name in sorted(arguments, key=lambda n: n in inputs and inputs[n].like is not None):
            if arguments[name] is not None or signature.parameters[name].default is not None:
                arguments[name] = self._admit(name, arguments[name], symbols)
        return arguments

    def _raised(self, error):
        """The error of a call as it was raised: Keras puts paragraphs before and behind it."""
        where, raised = f"{type(self).__name__}.call()", error.__context__
        if raised is None or f"when calling {where}" not in str(error).partition("\n")[0]:
            return error
        raised._keras_call_info_injected = None  # outer layers leave it as it is
        raised.add_note(f"raised by {where} of the layer {self.name!r}")
        return raised

    def _as_graph(self, arguments):
        """``call`` by one graph for every signature, as long as Sionna's generator is the same."""
        owner, generator, graph = self.__dict__.get("_graph", (None, None, None))
        if owner != id(self) or generator is not config.tf_rng:  # a copy has a graph of its own

            def call(arguments):
                with plain_graphs():  # it runs in eager mode, where XLA is out of the question
                    return self.call(**arguments)

            graph = tf.function(call, autograph=False)
            object.__setattr__(self, "_graph", (id(self), config.tf_rng, graph))
        self.built = True
        return graph(arguments)

    def _admit(self, name, value, symbols):
        declared = self.inputs.get(name)
        if declared is not None:
            value = declared.admit(self, name, value, symbols)
        else:
            value = tf.nest.map_structure(lambda v: self.cast(v, name), value)
        for tensor in tf.nest.flatten(value):
            self._check_values(name, tensor)
        return value

    def _check_values(self, name, tensor):
        if not isinstance(tensor, tf.Tensor):
            return
        if 0 in tensor.shape.as_list() if tensor.shape.rank is not None else False:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}: empty; at least one entry is needed"
            )
        if not hasattr(tensor, "numpy") or not (
            tensor.dtype.is_floating or tensor.dtype.is_complex
        ):
            return  # inside a graph values are not known
        finite = np.isfinite(tensor.numpy())
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(
                f"{name} holds {tensor.numpy()[where]} at index {list(where)}; "
                "finite values are needed"
            )

    def build(self, *_, **__):
        """Nothing to do: the weights are made in ``__init__``."""
        self.built = True

    def get_build_config(self):
        """What a constructor does not know: which of the layers within are trained."""
        return {"trainable": [layer.trainable for layer in self._flatten_layers()]}

    def build_from_config(self, config):
        """The layer as it was saved; files of earlier versions say nothing."""
        self.build()
        layers, trainable = self._flatten_layers(), config.get("trainable", [])
        if len(layers) == len(trainable):
            for layer, trained in zip(layers, trainable, strict=True):
                if layer.trainable != trained:
                    layer.trainable = trained

    def get_config(self):
        """The constructor's arguments as JSON."""
        if self._arguments is None:
            raise TypeError(f"{type(self).__name__} was not built by its constructor")
        settings = {"name": self.name, "precision": self._precision}
        return {**settings, **serialize_arguments(self._arguments)}

    @classmethod
    def from_config(cls, config):
        """The layer again, from :meth:`get_config`."""
        return cls(**deserialize_arguments(config))
