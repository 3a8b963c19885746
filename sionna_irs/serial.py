"""Constructor arguments as JSON and back, complex numbers and tuples included."""

import inspect

import keras
import numpy as np
import tensorflow as tf

__all__ = ["deserialize_arguments", "recorded_arguments", "serialize_arguments"]


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
