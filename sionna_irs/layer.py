"""The base of every layer: precision, casting, input checks and serialisation, once for all."""

import inspect

import keras
import numpy as np
import tensorflow as tf
from sionna.phy import config

__all__ = [
    "Input",
    "LinkLayer",
    "deserialize_arguments",
    "recorded_arguments",
    "require_integer",
    "serialize_arguments",
    "to_dtype",
]

_REAL = {"single": tf.float32, "double": tf.float64}
_COMPLEX = {"single": tf.complex64, "double": tf.complex128}


def to_dtype(value, dtype):
    """A number, array or tensor as a tensor of ``dtype``.

    ``tf.cast`` takes Python numbers through single precision; this does not.
    """
    if _is_tensor(value):
        return tf.cast(value, dtype)
    return tf.constant(np.asarray(value).astype(tf.as_dtype(dtype).as_numpy_dtype))


def require_integer(name, value, low=1, high=None, optional=False):
    """ValueError unless ``value`` is an integer in low..high, or None where `optional`.

    Examples
    --------
    >>> from sionna_irs.layer import require_integer
    >>> require_integer("num_bits", 17, high=16, optional=True)
    Traceback (most recent call last):
    ...
    ValueError: num_bits = 17; None or an integer in 1..16 is needed
    """
    if optional and value is None:
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        span = f"of at least {low}" if high is None else f"in {low}..{high}"
        none = "None or " if optional else ""
        raise ValueError(f"{name} = {value!r}; {none}an integer {span} is needed")


class Input:
    """What one tensor argument of a layer must be.

    Parameters
    ----------
    kind : str
        "complex", "real", "integer" or "any".
    dims : int or str
        The trailing dimensions. A name is an integer attribute of the layer if it has one, else
        a free symbol that must agree between the arguments. Leading dimensions are free.
    minimum : float, optional
        Smallest permitted value, checked in eager mode.

    Examples
    --------
    >>> from sionna_irs.layer import Input
    >>> Input("complex", "num_rx_ant", "num_patterns").dims
    ('num_rx_ant', 'num_patterns')
    """

    def __init__(self, kind, *dims, minimum=None):
        if kind not in ("complex", "real", "integer", "any"):
            raise ValueError(f"kind is {kind!r}; it must be 'complex', 'real', 'integer' or 'any'")
        self.kind, self.dims, self.minimum = kind, dims, minimum

    def cast(self, layer, name, value):
        """``value`` as a tensor of the layer's precision; TypeError when the kind differs."""
        if isinstance(value, (bool, int, float, complex)):
            dtype = {"complex": layer.cdtype, "integer": tf.int32}.get(self.kind, layer.rdtype)
            if self.kind != "complex" and isinstance(value, complex):
                raise TypeError(f"{name} = {value} is complex; a real number is needed")
            if self.kind == "integer" and isinstance(value, float):
                raise TypeError(f"{name} = {value} is a float; an integer is needed")
            return tf.constant(value, dtype)
        value = layer.cast(value, name)
        if not hasattr(value, "dtype"):
            raise TypeError(f"{name} = {value!r}; a number, an array or a tensor is needed")
        dtype = tf.as_dtype(value.dtype)
        if self.kind == "complex" and not dtype.is_complex:
            raise TypeError(
                f"{name} has dtype {dtype.name}; {layer.cdtype.name} is needed "
                f"(tf.cast({name}, {layer.cdtype.name}) if it is meant to be real-valued)"
            )
        if self.kind == "real":
            if dtype.is_complex:
                raise TypeError(f"{name} has dtype {dtype.name}; a real tensor is needed")
            if dtype != layer.rdtype and isinstance(value, tf.Tensor):
                value = tf.cast(value, layer.rdtype)
        if self.kind == "integer" and not dtype.is_integer:
            raise TypeError(f"{name} has dtype {dtype.name}; an integer tensor is needed")
        return value

    def check(self, layer, name, value, symbols):
        """ValueError when the shape or (in eager mode) a value is not permitted."""
        shape = value.shape
        if shape.rank is None if isinstance(shape, tf.TensorShape) else False:
            return
        shape = list(shape)
        if len(shape) < len(self.dims):
            wanted = ", ".join(["...", *map(str, self.dims)])
            raise ValueError(
                f"{name} has shape {tuple(shape)} of rank {len(shape)}; "
                f"rank at least {len(self.dims)} is needed: [{wanted}]"
            )
        for dim, size in zip(self.dims, shape[len(shape) - len(self.dims) :], strict=True):
            wanted = dim if isinstance(dim, int) else getattr(layer, dim, symbols.get(dim))
            if size is None:
                continue
            if wanted is None:
                symbols[dim] = size
            elif wanted != size:
                what = f"{dim} = {wanted}" if isinstance(dim, str) else wanted
                raise ValueError(
                    f"{name} has shape {tuple(shape)}: dimension "
                    f"{self.dims.index(dim) - len(self.dims)} is {size}, must be {what}"
                )
        if isinstance(value, tf.Tensor) and hasattr(value, "numpy") and self.minimum is not None:
            smallest = float(value.numpy().min())
            if smallest < self.minimum:
                raise ValueError(f"{name} = {smallest}; at least {self.minimum} is needed")


def recorded_arguments(cls, args, kwargs):
    """The constructor arguments of ``cls`` by name, ``**kwargs`` merged in."""
    signature = inspect.signature(cls.__init__)
    bound = signature.bind(None, *args, **kwargs).arguments
    names = list(signature.parameters)
    bound.pop(names[0])
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            bound.update(bound.pop(name, {}))
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and bound.get(name):
            raise TypeError(f"{cls.__name__}.__init__ takes *{name}, which cannot be saved")
    return dict(bound)


def serialize_arguments(arguments):
    """Constructor arguments as JSON (objects by their own configuration)."""
    return {k: _serialize(v) for k, v in arguments.items()}


def deserialize_arguments(config):
    """The arguments again, from :func:`serialize_arguments`."""
    return {k: _deserialize(v) for k, v in config.items()}


# Keras cannot write complex numbers; they travel as pairs of real arrays under this key.
_COMPLEX_KEY = "sionna_irs_complex"
# Tuples may hold such numbers, too.
_TUPLE_KEY = "sionna_irs_tuple"


def _serialize(value):
    if tf.is_tensor(value):
        value = value.numpy()
    if isinstance(value, (complex, np.complexfloating)) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "c"
    ):
        array = np.asarray(value)
        return {_COMPLEX_KEY: [array.real.tolist(), array.imag.tolist()]}
    if isinstance(value, dict):
        return {k: _serialize(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE_KEY: [_serialize(v) for v in value]}
    return keras.saving.serialize_keras_object(value)


def _deserialize(value):
    if isinstance(value, dict):
        if _COMPLEX_KEY in value:
            real, imag = (np.asarray(part) for part in value[_COMPLEX_KEY])
            return (real + 1j * imag)[()]
        if _TUPLE_KEY in value:
            return tuple(_deserialize(v) for v in value[_TUPLE_KEY])
        if "class_name" not in value:
            return {k: _deserialize(v) for k, v in value.items()}
    return keras.saving.deserialize_keras_object(value)


def _is_tensor(value):
    return isinstance(value, (tf.Tensor, tf.Variable, keras.Variable, keras.KerasTensor))


class LinkLayer(keras.layers.Layer):
    r"""Base class of the layers: a Keras layer that fits into a Sionna link.

    It adds to :class:`keras.layers.Layer`:

    * one ``precision`` ("single" or "double"; by default Sionna's ``config.precision``), with
      ``rdtype`` and ``cdtype``. Real inputs are cast to it; complex inputs are widened but
      never narrowed.
    * ``inputs``: a class attribute ``{argument: Input(...)}``. Casting and checks follow from it.
    * calls with positional Python numbers, as Sionna calls its channel models.
    * serialisation from the constructor's arguments; subclasses need no ``get_config``.

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

    def __init__(self, *, precision=None, **kwargs):
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
        if not _is_tensor(value):
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
        signature = inspect.signature(self.call)
        extra = {k: kwargs.pop(k) for k in ("training", "mask") if k in kwargs}
        extra = {k: v for k, v in extra.items() if k in signature.parameters}
        arguments = signature.bind(*args, **kwargs, **extra).arguments
        symbols = {}
        for name, value in arguments.items():
            arguments[name] = self._admit(name, value, symbols)
        # Keras wants its symbolic tensors in positional order, and refuses anything else there.
        values = list(arguments.values())
        symbolic = values and all(isinstance(v, keras.KerasTensor) for v in values)
        given, named = (values, {}) if symbolic else ((), arguments)
        try:
            result = super().__call__(*given, **named)
        except Exception as error:
            raised = self._raised(error)
            raise raised from raised.__cause__
        return result

    def _raised(self, error):
        """The error of a call as it was raised: Keras puts paragraphs before and behind it."""
        where, raised = f"{type(self).__name__}.call()", error.__context__
        if raised is None or f"when calling {where}" not in str(error).partition("\n")[0]:
            return error
        raised._keras_call_info_injected = None  # outer layers leave it as it is
        raised.add_note(f"raised by {where} of the layer {self.name!r}")
        return raised

    def _admit(self, name, value, symbols):
        declared = self.inputs.get(name)
        if declared is not None and value is not None and not isinstance(value, dict):
            if isinstance(value, (list, tuple)):
                value = np.asarray(value)
            value = declared.cast(self, name, value)
            declared.check(self, name, value, symbols)
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
