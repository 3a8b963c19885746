"""What each argument of a layer must be, and how it reaches the layer's ``call``."""

import keras
import numpy as np
import tensorflow as tf

from .arguments import as_real, as_size, kind_of, seen, short, stacked, to_dtype

__all__ = ["Input", "common_batch"]

_INPUTS = ("complex", "real", "integer", "any", "size", "links")


class Input:
    """What one argument of a layer must be.

    Parameters
    ----------
    kind : str
        "complex", "real", "integer" or "any" tensor; "size": a count such as a batch size, a
        Python integer or a scalar tensor, at least 1; "links": a dictionary of complex matrices
        [..., rx, tx], ``{"tx>s1": ...}``.
    dims : int or str
        The trailing dimensions. A name is an integer attribute of the layer if it has one, else
        a free symbol that must agree between the arguments. Leading dimensions are free.
    minimum : float, optional
        Smallest permitted value. In graphs, where values are unknown, smaller ones are raised to
        it (with `like`).
    like : str or tuple of str, optional
        For "real": names of the arguments whose batch axes (their shape without the declared
        trailing dimensions) this one must broadcast into, never enlarging them: noise variances,
        powers. `dims` then follow these axes, and must be broadcast into as well.

    Examples
    --------
    >>> from sionna_irs.layer import Input
    >>> Input("complex", "num_rx_ant", "num_patterns").dims
    ('num_rx_ant', 'num_patterns')
    >>> Input("real", minimum=1e-30, like="h").like
    ('h',)
    """

    def __init__(self, kind: str, *dims, minimum: float | None = None, like=None):
        if kind not in _INPUTS:
            raise ValueError(f"kind is {kind!r}; one of {', '.join(map(repr, _INPUTS))} is needed")
        if like is not None and kind != "real":
            raise ValueError(f"like = {like!r} with kind {kind!r}; 'real' is needed")
        self.kind, self.dims, self.minimum = kind, dims, minimum
        self.like = (like,) if isinstance(like, str) else like

    def admit(self, layer, name, value, symbols):
        """``value`` as the layer's ``call`` gets it; `symbols` holds what other arguments say."""
        if self.kind == "size":
            return as_size(name, value)
        if self.kind == "links":
            return _links(layer, name, value)
        if self.like:
            batch = self._batch(layer, symbols)
            return as_real(name, value, layer.rdtype, self.minimum, batch, " and ".join(self.like))
        value = self.cast(layer, name, value)
        self.check(layer, name, value, symbols)
        symbols["shape", name] = value.shape
        return value

    def _batch(self, layer, symbols):
        """Shape that this argument must broadcast into, from those admitted before."""
        batches = []
        for name in self.like:
            shape = symbols.get(("shape", name))
            if shape is None:
                continue
            if getattr(shape, "rank", 0) is None:
                return None
            batches.append(list(shape)[: len(shape) - len(layer.inputs[name].dims)])
        batch = common_batch(*batches) if batches else None
        if batch is None:
            return None
        return (*batch, *(self._size(layer, dim, symbols) for dim in self.dims))

    @staticmethod
    def _size(layer, dim, symbols):
        return dim if isinstance(dim, int) else getattr(layer, dim, symbols.get(dim))

    def cast(self, layer, name, value):
        """``value`` as a tensor of the layer's precision; TypeError when the kind differs."""
        given, value = value, stacked(value)
        kind = kind_of(value)
        if self.kind == "any" and kind:
            return layer.cast(value, name)
        article = "an" if self.kind == "integer" else "a"
        if kind not in ("i", "u", "f", "c"):
            number = "number" if self.kind == "any" else f"{self.kind} number"
            raise TypeError(f"{seen(name, given, value)}; {article} {number} or tensor is needed")
        if isinstance(value, (int, float, complex)):  # converted in full precision
            if kind == "c" and self.kind != "complex":
                raise TypeError(
                    f"{name} = {value} is complex; {article} {self.kind} number is needed"
                )
            if kind == "f" and self.kind == "integer":
                raise TypeError(f"{name} = {value} is a float; an integer is needed")
            dtype = {"complex": layer.cdtype, "integer": tf.int32}.get(self.kind, layer.rdtype)
            return to_dtype(value, dtype)
        if isinstance(value, (tf.Variable, keras.Variable)):
            value = tf.convert_to_tensor(value)
        value = layer.cast(value, name)
        if self.kind == "complex" and kind != "c":
            raise TypeError(
                f"{name} has dtype {tf.as_dtype(value.dtype).name}; {layer.cdtype.name} is needed "
                f"(tf.cast({name}, {layer.cdtype.name}) if it is meant to be real-valued)"
            )
        if self.kind == "real":
            if kind == "c":
                raise TypeError(
                    f"{name} has dtype {tf.as_dtype(value.dtype).name}; a real tensor is needed"
                )
            if isinstance(value, tf.Tensor):
                value = tf.cast(value, layer.rdtype)
        if self.kind == "integer" and kind not in ("i", "u"):
            raise TypeError(
                f"{name} has dtype {tf.as_dtype(value.dtype).name}; an integer tensor is needed"
            )
        return value

    def check(self, layer, name, value, symbols):
        """ValueError when the shape or (in eager mode) a value is not permitted."""
        shape = value.shape
        if getattr(shape, "rank", 0) is None:
            return
        shape = list(shape)
        if len(shape) < len(self.dims):
            wanted = ", ".join(["...", *map(str, self.dims)])
            raise ValueError(
                f"{name} has shape {tuple(shape)} of rank {len(shape)}; "
                f"rank at least {len(self.dims)} is needed: [{wanted}]"
            )
        for dim, size in zip(self.dims, shape[len(shape) - len(self.dims) :], strict=True):
            wanted = self._size(layer, dim, symbols)
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
            smallest = float(np.min(value.numpy().astype(float), initial=np.inf))
            if smallest < self.minimum:
                raise ValueError(f"{name} = {smallest}; at least {self.minimum} is needed")


def _links(layer, name, value):
    """Hop matrices in the layer's precision, which agree in the sizes of nodes."""
    wanted = "a dictionary of hops with complex matrices [..., rx, tx] is needed"
    if not isinstance(value, dict) or not value:
        raise TypeError(f"{name} = {short(value)}; {wanted}")
    found, sizes = {}, {}
    for hop, matrix in value.items():
        each = f"{name}[{hop!r}]"
        found[hop] = Input("complex", "rx", "tx").admit(layer, each, matrix, {})
        nodes = str(hop).split(">")
        if len(nodes) != 2 or getattr(found[hop].shape, "rank", 0) is None:
            continue
        for node, size in zip(nodes[::-1], found[hop].shape[-2:], strict=True):
            known, where = sizes.setdefault(node, (size, each))
            if None not in (known, size) and known != size:
                raise ValueError(
                    f"{each} has shape {tuple(found[hop].shape)}: {size} antennas at {node!r}, "
                    f"{known} in {where}"
                )
    return type(value)(found)


def common_batch(*shapes):
    """What shapes broadcast to, as a tuple, dimensions None where unknown; None for no answer.

    Examples
    --------
    >>> from sionna_irs.inputs import common_batch
    >>> common_batch([5, 1], [None], [3])
    (5, 3)
    """
    ranks = [getattr(shape, "rank", 0) for shape in shapes]
    if None in ranks:
        return None
    shapes = [list(shape) for shape in shapes]
    rank = max(map(len, shapes), default=0)
    batch = []
    for sizes in zip(*([1] * (rank - len(shape)) + shape for shape in shapes), strict=True):
        known = {size for size in sizes if size not in (1, None)}
        if len(known) > 1:
            return None  # the layer says what does not fit
        batch.append(known.pop() if known else None if None in sizes else 1)
    return tuple(batch)
