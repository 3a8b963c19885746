"""What may arrive at a layer, argument by argument: each is right, or one clear line."""

import inspect

import numpy as np
import tensorflow as tf

from .case import ContractError, leaves, require, reset, same

__all__ = ["KINDS", "argument_matrix", "check_arguments"]

# Kinds of a changed argument; REFUSED ones must raise, of the others outputs are finite or an
# error says why not.
REFUSED = ("none", "bool", "text", "wrong shape", "nan", "empty")
EQUAL = ("float64", "list")
KINDS = (*REFUSED, "wrong length", "zero", "1e-30", "1e30", *EQUAL)
MODES = ("eager", "graph")
# What a line of our own does not hold.
_FOREIGN = ("\n", "{{function_node", "Exception encountered", "Arguments received", "Traceback")
_LONGEST = 500


def _changed(good, kind):
    """An array of a case changed to a kind."""
    if kind == "bool":
        return np.ones(good.shape, bool)
    if kind == "wrong shape":
        return good[..., None] if good.ndim else np.full([3, 1], good)
    if kind == "wrong length":
        return np.concatenate([good, good], -1) if good.ndim else np.stack([good] * 3)
    if kind == "empty":
        return good[:0] if good.ndim else np.zeros([0], good.dtype)
    if kind == "list":
        return good.tolist()
    if kind == "zero":
        return np.zeros_like(good)
    if kind == "nan":
        bad = good.copy()
        bad.flat[-1] = np.nan
        return bad
    if kind == "float64":
        return tf.constant(good)
    return good * float(kind)


def _of_numbers(good):
    return all(leaf.dtype.kind in "fc" for leaf in tf.nest.flatten(good))


def variants(case):
    """(argument, kind, value) for every argument of a case and every kind that applies.

    Numbers that are counts have the kinds "zero", "float64" (2.0) and "list" of their own.
    """
    for name, good in case.inputs.items():
        arrays = name in case.tensors_names()
        for kind in KINDS if arrays or isinstance(good, int) else ():
            if kind in ("none", "text") or (kind == "bool" and not isinstance(good, np.ndarray)):
                yield name, kind, {"none": None, "text": "text", "bool": True}[kind]
            elif arrays:
                if kind in ("nan", "float64", "1e-30", "1e30") and not _of_numbers(good):
                    continue
                yield name, kind, tf.nest.map_structure(lambda a, k=kind: _changed(a, k), good)
            elif isinstance(good, int) and kind in ("zero", "float64", "list"):
                yield name, kind, {"zero": 0, "float64": float(good), "list": [good]}[kind]


def _must_raise(case, layer, name, kind, value):
    parameter = inspect.signature(layer.call).parameters[name]
    if kind == "none":
        return parameter.default is not None
    if name not in case.tensors_names():
        return isinstance(case.inputs[name], int)
    declared = layer.inputs.get(name)
    if kind == "wrong shape":  # leading axes are free: an axis more is wrong where it is the last
        return declared is not None and declared.like is not None
    return kind in REFUSED and (kind != "text" or declared is not None)


def _call(case, layer, name, value, mode):
    """Outputs, or the exception."""
    inputs = {**case.inputs, name: value}
    reset()
    try:
        if mode == "eager":
            return leaves(layer(**inputs))
        # Arrays become tensors of unknown values.
        tensors, rest = {}, {}
        for key, given in inputs.items():
            flat = tf.nest.flatten(given)
            arrays = any(isinstance(a, (np.ndarray, tf.Tensor)) for a in flat)
            (tensors if arrays else rest)[key] = given
        tensors = tf.nest.map_structure(
            lambda a: layer.cast(a) if isinstance(a, np.ndarray) else a, tensors
        )
        function = tf.function(lambda kwargs: layer(**kwargs, **rest), autograph=False)
        return leaves(function(tensors))
    except Exception as error:
        return error


def _judge(what, outcome, must_raise, plain):
    if isinstance(outcome, Exception):
        text = str(outcome)
        clear = isinstance(outcome, (ValueError, TypeError)) and len(text) <= _LONGEST
        clear = clear and text and not any(part in text for part in _FOREIGN)
        require(clear, f"{what}: no clear line: {type(outcome).__name__}: {text[:300]}")
        return
    require(not must_raise, f"{what} is accepted")
    for output in outcome:
        finite = np.isfinite(np.asarray(output, complex)).all() if _is_number(output) else True
        require(finite, f"{what}: an output is not finite")
    if plain is not None:
        same(plain, outcome, 1e-5, what)


def _is_number(output):
    dtype = getattr(output, "dtype", None)
    return dtype is not None and tf.as_dtype(dtype) not in (tf.bool, tf.string)


def argument_matrix(case, kinds=KINDS, modes=MODES):
    """Every argument of a layer in every kind and mode.

    Parameters
    ----------
    case : LayerCase
    kinds : sequence of str
        Of :data:`KINDS`.
    modes : sequence of str
        "eager" and "graph"; graphs are judged by shapes and dtypes, and run where these fit.

    Returns
    -------
    dict
        (argument, kind, mode) -> None where it is right or one clear line, else what is wrong.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> from sionna_irs.testing import LayerCase, argument_matrix
    >>> case = LayerCase(irs.MRTPrecoder, {}, {"h": np.ones([2, 2, 3], complex), "no": np.array(0.1)})
    >>> found = argument_matrix(case, kinds=["none", "nan"], modes=["eager"])
    >>> len(found), set(found.values())
    (4, {None})
    """  # noqa: E501
    layer, found = case.layer(), {}
    plain = None
    if set(EQUAL) & set(kinds):
        plain = _call(case, layer, *next(iter(case.inputs.items())), "eager")
        if isinstance(plain, Exception):
            raise plain
    for name, kind, value in variants(case):
        if kind not in kinds:
            continue
        for mode in modes:
            if mode == "graph" and kind in ("nan", "list"):
                continue  # values are unknown there, and lists become tensors before
            what = f"{case.cls.__name__}: {name}, {kind}, {mode}"
            equal = kind in EQUAL and name in case.tensors_names()
            try:
                _judge(
                    what,
                    _call(case, layer, name, value, mode),
                    _must_raise(case, layer, name, kind, value),
                    plain if equal and mode == "eager" else None,
                )
                found[name, kind, mode] = None
            except ContractError as error:
                found[name, kind, mode] = str(error)
    return found


def check_arguments(case, excused=None, **kwargs):
    """Raise where :func:`argument_matrix` finds a case that is not right.

    Parameters
    ----------
    case : LayerCase
    excused : dict or None
        (argument, kind) -> reason why it may be wrong.
    **kwargs
        Of :func:`argument_matrix`.

    Returns
    -------
    (int, int)
        Numbers of cases and of excused ones.

    Raises
    ------
    ContractError
        At the first case that is wrong and not excused.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> from sionna_irs.testing import LayerCase, check_arguments
    >>> case = LayerCase(irs.MRTPrecoder, {}, {"h": np.ones([2, 2, 3], complex), "no": np.array(0.1)})
    >>> check_arguments(case, kinds=["bool", "empty"], modes=["eager"])
    (4, 0)
    """  # noqa: E501
    excused, found = excused or {}, argument_matrix(case, **kwargs)
    wrong = {key: text for key, text in found.items() if text is not None}
    for (name, kind, _), text in wrong.items():
        if not excused.get((name, kind)):
            raise ContractError(text)
    return len(found), len(wrong)
