"""Checks of single arguments: numbers, noise variances, counts."""

import keras
import numpy as np
import tensorflow as tf

__all__ = [
    "as_number",
    "as_real",
    "as_size",
    "is_tensor",
    "kind_of",
    "require_integer",
    "seen",
    "short",
    "stacked",
    "to_dtype",
]


def is_tensor(value):
    """Whether ``value`` is a tensor or variable of TensorFlow or Keras."""
    return isinstance(value, (tf.Tensor, tf.Variable, keras.Variable, keras.KerasTensor))


def to_dtype(value, dtype):
    """A number, array or tensor as a tensor of ``dtype``.

    ``tf.cast`` takes Python numbers through single precision; this does not.
    """
    if is_tensor(value):
        return tf.cast(value, dtype)
    with np.errstate(over="ignore"):  # what is then infinite is refused where that matters
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


def as_size(name, value, low=1):
    """A count given in a call, such as a batch size: a Python integer wherever it is known.

    Parameters
    ----------
    name : str
    value : int or tf.Tensor, [], integer
    low : int
        Smallest permitted value.

    Returns
    -------
    int or tf.Tensor
        The tensor where a graph does not know its value.

    Raises
    ------
    TypeError
        For anything but an integer.
    ValueError
        For a known value below `low`, and a tensor that has dimensions.

    Examples
    --------
    >>> from sionna_irs.layer import as_size
    >>> as_size("batch_size", 0)
    Traceback (most recent call last):
    ...
    ValueError: batch_size = 0; an integer of at least 1 is needed
    """
    wanted = f"an integer of at least {low} is needed"
    if isinstance(value, keras.KerasTensor) or kind_of(value) not in ("i", "u"):
        raise TypeError(f"{name} = {short(value)}; {wanted}")
    if len(np.shape(value) if not is_tensor(value) else value.shape[:1]):
        raise ValueError(f"{name} has shape {tuple(value.shape)}; {wanted}")
    known = tf.get_static_value(value) if is_tensor(value) else value
    if known is None:
        return value
    if known < low:
        raise ValueError(f"{name} = {known}; {wanted}")
    return int(known)


def as_real(name, value, dtype, minimum=None, batch=None, of=None):
    """A noise variance, a power: a number, or a tensor with at most the axes of a batch.

    The one check of all such arguments. A shape fits when it broadcasts into that of the batch;
    it never enlarges it. In graphs, where values are unknown, a value between 0 and `minimum` is
    raised to it, and a negative one becomes NaN.

    Parameters
    ----------
    name : str
    value : float, array or tf.Tensor, real
    dtype : tf.DType
        Real.
    minimum : float or None
        Smallest permitted value, at least 0.
    batch : tf.TensorShape, tuple of (int or None), or None
        Shape that `value` must broadcast into; unknown dimensions fit, None permits all.
    of : str or None
        Whose batch that is.

    Returns
    -------
    tf.Tensor, `dtype`

    Raises
    ------
    TypeError
        For None, bool, text and complex values.
    ValueError
        For another shape, values below `minimum`, NaN and infinity.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.layer import as_real
    >>> as_real("no", [[0.1], [0.2]], tf.float32, 0.0, (2,), "h")
    Traceback (most recent call last):
    ...
    ValueError: no has shape (2, 1); a real number of at least 0, or a tensor that broadcasts to the batch (2,) of h, is needed
    """  # noqa: E501
    if isinstance(batch, tf.TensorShape):
        batch = None if batch.rank is None else tuple(batch.as_list())
    wanted = _wanted(minimum, batch, of)
    given, value = value, stacked(value)
    if kind_of(value) not in ("i", "u", "f"):
        raise TypeError(f"{seen(name, given, value)}; {wanted}")
    if not isinstance(value, keras.KerasTensor):
        value = to_dtype(value, dtype)
    if not _fits(value.shape, batch):
        raise ValueError(f"{name} has shape {tuple(value.shape)}; {wanted}")
    if isinstance(value, keras.KerasTensor):
        return value
    if hasattr(value, "numpy"):
        found = value.numpy()
        good = np.isfinite(found) & (found >= (-np.inf if minimum is None else minimum))
        if not good.all():
            bad = found[~good][0] if found.ndim else given
            raise ValueError(f"{name} = {short(bad)}; {wanted}")
        return value
    if minimum is None:
        return value
    nan = tf.constant(np.nan, dtype)
    return tf.where(value < 0, nan, tf.maximum(value, tf.constant(minimum, dtype)))


def as_number(name, value, minimum=None):
    """A real number as a Python float, in full precision.

    Parameters
    ----------
    name : str
    value : float, int, or a NumPy or TensorFlow scalar
    minimum : float or None
        Smallest permitted value.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        For anything but a number, bool among them.
    ValueError
        For NaN, infinity and values below `minimum`.

    Examples
    --------
    >>> from sionna_irs.layer import as_number
    >>> as_number("variance", 0.0, minimum=1e-300)
    Traceback (most recent call last):
    ...
    ValueError: variance = 0.0; a real number above 0 is needed
    """
    wanted = _wanted(minimum, (), None)
    symbolic = is_tensor(value) and not hasattr(value, "numpy")
    if symbolic or kind_of(value) not in ("i", "u", "f"):
        raise TypeError(f"{name} = {short(value)}; {wanted}")
    if len(np.shape(value)):
        raise ValueError(f"{name} has shape {tuple(value.shape)}; {wanted}")
    number = float(value)
    if not (np.isfinite(number) and (minimum is None or number >= minimum)):
        raise ValueError(f"{name} = {short(value)}; {wanted}")
    return number


def short(value):
    """A value on one line of an error message."""
    if is_tensor(value) and not hasattr(value, "numpy"):
        return f"a tensor of shape {value.shape}, dtype {tf.as_dtype(value.dtype).name}"
    value = value.numpy() if is_tensor(value) else value
    text = " ".join(repr(value.item() if isinstance(value, np.generic) else value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def seen(name, given, value):
    """What was given, by its dtype where it has one of its own."""
    if not is_tensor(given) and not isinstance(given, (np.ndarray, np.generic)):
        return f"{name} = {short(given)}"
    return f"{name} has dtype {tf.as_dtype(value.dtype).name if is_tensor(value) else value.dtype}"


def _wanted(minimum, batch, of):
    """The second half of every sentence about a real argument."""
    number = "a real number"
    if minimum is not None:
        number += " above 0" if 0 < minimum < 1e-20 else f" of at least {minimum:g}"
    if batch is None:
        return f"{number} or a tensor of such is needed"
    if len(batch) == 0:
        return f"{number} is needed"
    return f"{number}, or a tensor that broadcasts to the batch {tuple(batch)} of {of}, is needed"


def _fits(shape, batch):
    """Whether a shape broadcasts into `batch` and leaves it as it is."""
    if batch is None or getattr(shape, "rank", 0) is None:
        return True
    sizes = list(shape)[::-1]
    return len(sizes) <= len(batch) and all(
        size in (1, None, room) or room is None
        for size, room in zip(sizes, batch[::-1], strict=False)
    )


def stacked(value):
    """Lists and tuples as one array or tensor; what makes none, as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    parts = tf.nest.flatten(value)
    if any(isinstance(part, (bool, np.bool_)) for part in parts):
        return np.zeros([len(value)], bool)  # among numbers it would be taken for one
    try:
        return tf.stack(value) if any(map(is_tensor, parts)) else np.asarray(value)
    except (TypeError, ValueError, tf.errors.OpError):
        return value  # of no kind: refused


def kind_of(value):
    """NumPy's letter for the kind of a value; "" for what is no number, array or tensor."""
    if isinstance(value, (bool, int, float, complex, np.ndarray, np.generic)):
        return np.asarray(value).dtype.kind
    if not is_tensor(value):
        return ""
    dtype = tf.as_dtype(value.dtype)
    kinds = {"b": dtype.is_bool, "i": dtype.is_integer, "f": dtype.is_floating}
    kinds["c"] = dtype.is_complex
    return next((letter for letter, found in kinds.items() if found), "")
