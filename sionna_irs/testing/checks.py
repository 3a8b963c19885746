"""The checks of the contract, one function each."""

import json

import keras
import numpy as np
import tensorflow as tf

from .case import CarrierLink, ContractError, leaves, require, reset, run, same

__all__ = ["CHECKS", "check_layer"]

_TOLERANCE = {"single": 2e-5, "double": 1e-10}


def check_config(case):
    """JSON of the configuration rebuilds a layer with the same results."""
    layer = case.shared()
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    copy.set_weights(layer.get_weights())
    same(case.eager(), run(case, copy), 0.0, "config round trip")


def check_build(case):
    """The constructor makes every weight; calling and building again add none."""
    before = len(case.layer().weights)
    case.eager()
    layer = case.shared()
    layer.build()
    run(case, layer)
    require(
        len(layer.weights) == before,
        f"build: {before} weights after the constructor, {len(layer.weights)} after calls",
    )


def check_modes(case):
    """Eager and graph agree, with one seed and in single precision; for XLA see "nesting"."""
    eager, tensors = case.eager(), case.tensors(case.shared())
    reset()
    found = leaves(case.graph()(tensors))
    same(eager, found, _TOLERANCE["single"], "eager against graph")


def check_one_trace(case):
    """A sweep over values of the tensor arguments traces once."""
    function, tensors = case.graph(), case.tensors(case.shared())
    for factor in (1.0, 0.5, 0.25):
        function(tf.nest.map_structure(lambda t, f=factor: t * tf.cast(f, t.dtype), tensors))
    count = function.experimental_get_tracing_count()
    require(count == 1, f"{count} traces in a sweep over three values; 1 is expected")


def check_dtype(case):
    """Outputs keep the layer's precision, single and double, and the two agree."""
    for precision in ("single", "double"):
        layer = case.shared(precision)
        for output in case.eager(precision):
            if output.dtype.is_floating or output.dtype.is_complex:
                require(
                    output.dtype in (layer.rdtype, layer.cdtype),
                    f"output dtype {output.dtype.name} in precision {precision!r}",
                )
                require(np.isfinite(output.numpy()).all(), "an output is not finite")


def _loss(case, layer, tensors):
    """A fixed smooth function of all outputs that no symmetry makes flat."""
    outputs = leaves(layer(**tensors, **case.constants()))
    total = tf.zeros([], layer.rdtype)
    for output in outputs:
        if not (output.dtype.is_floating or output.dtype.is_complex):
            continue
        flat = tf.reshape(output, [-1])
        ramp = tf.cos(tf.cast(tf.range(tf.size(flat)), layer.rdtype))
        parts = [flat] if output.dtype.is_floating else [tf.math.real(flat), tf.math.imag(flat)]
        for index, part in enumerate(parts):
            total += tf.reduce_sum((ramp + index) * part)
    return total


def _gradients(case, layer, tensors):
    watched = {k: tensors[k] for k in case.gradient}
    weights = layer.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(watched)
        reset()
        loss = _loss(case, layer, {**tensors, **watched})
    return tape.gradient(loss, (watched, [w.value for w in weights]))


def check_gradient(case):
    """Gradients agree with central differences in double precision."""
    layer = case.shared("double")
    tensors = case.tensors(layer)
    if not case.gradient and not layer.trainable_variables:
        return
    by_input, by_weight = _gradients(case, layer, tensors)
    rng = np.random.default_rng(5)
    step = 1e-6
    for name, gradient in by_input.items():
        require(gradient is not None, f"no gradient reaches {name}")
        direction = rng.standard_normal(tensors[name].shape)
        if tensors[name].dtype.is_complex:
            direction = direction + 1j * rng.standard_normal(tensors[name].shape)
        values = []
        for sign in (1, -1):
            reset()
            moved = {**tensors, name: tensors[name] + sign * step * direction}
            values.append(float(_loss(case, layer, moved)))
        _slope(name, gradient.numpy(), direction, values, step)
    for weight, gradient in zip(layer.trainable_variables, by_weight, strict=True):
        require(gradient is not None, f"no gradient reaches the weight {weight.path}")
        start = weight.numpy()
        direction = rng.standard_normal(start.shape)
        values = []
        for sign in (1, -1):
            weight.assign(start + sign * step * direction)
            reset()
            values.append(float(_loss(case, layer, tensors)))
        weight.assign(start)
        _slope(weight.path, tf.convert_to_tensor(gradient).numpy(), direction, values, step)


def _slope(name, gradient, direction, values, step):
    measured = (values[0] - values[1]) / (2 * step)
    expected = np.sum(np.real(np.conj(gradient) * direction))
    scale = np.linalg.norm(gradient) * np.linalg.norm(direction) + 1e-3 * np.abs(values[0])
    require(
        abs(measured - expected) <= 1e-5 * scale + 1e-8,
        f"gradient in {name}: {expected:.9g} by tape, {measured:.9g} by differences",
    )


def check_awkward(case):
    """Values and gradients are finite at the awkward points that the case names."""
    layer = case.shared()
    for name, inputs in case.awkward.items():
        tensors = case.tensors(layer, {**case.inputs, **inputs})
        for output in run(case, layer, tensors):
            require(np.isfinite(np.asarray(output)).all(), f"{name}: an output is not finite")
        by_input, by_weight = _gradients(case, layer, tensors)
        for gradient in [*by_input.values(), *by_weight]:
            if gradient is not None:
                finite = np.isfinite(tf.convert_to_tensor(gradient).numpy()).all()
                require(finite, f"{name}: a gradient is not finite")


def check_invariances(case):
    """Changed inputs give the promised changed outputs."""
    if not case.invariances:
        return
    layer = case.shared("double")
    plain = tf.nest.map_structure(np.asarray, case.eager("double"))
    for name, (change_inputs, change_outputs) in case.invariances.items():
        tensors = case.tensors(layer, change_inputs(dict(case.inputs)))
        wanted = tf.nest.flatten(change_outputs(plain if len(plain) > 1 else plain[0]))
        same(wanted, run(case, layer, tensors), 1e-9, name)


def _bad_inputs(case, layer):
    """(argument, what is wrong, bad value) for every declared tensor argument."""
    for name, declared in layer.inputs.items():
        good = case.inputs.get(name)
        if not isinstance(good, np.ndarray):
            continue
        if good.dtype.kind in "fc" and good.ndim:
            for label, value in (("NaN", np.nan), ("infinity", np.inf)):
                bad = good.copy()
                bad.flat[-1] = value
                yield name, label, bad
        if declared.like:
            yield name, "an axis more", np.full([2] * 9, good.flat[0])
            yield name, "None", None
            yield name, "a bool", True
        elif declared.dims:
            yield name, "a wrong rank", good.reshape(-1)[0]
            yield (
                name,
                "an empty batch",
                np.zeros((0, *good.shape[-len(declared.dims) :]), good.dtype),
            )
        if (
            declared.dims
            and not declared.like
            and (isinstance(declared.dims[-1], int) or hasattr(layer, declared.dims[-1]))
        ):
            yield name, "a wrong last dimension", np.concatenate([good, good], -1)
        if declared.kind == "complex":
            yield name, "real for complex", good.real.copy()
        if declared.minimum is not None:
            yield name, "a value below its minimum", np.full_like(good, declared.minimum - 1)


def check_bad_input(case):
    """NaN, infinity, wrong shapes, empty batches and wrong kinds give one clear error."""
    layer = case.shared()
    for name, label, bad in _bad_inputs(case, layer):
        try:
            layer(**{**case.inputs, name: bad})
        except (ValueError, TypeError) as error:
            require(name in str(error), f"{name} with {label}: the error does not name it: {error}")
            require("\n" not in str(error).strip(), f"{name} with {label}: more than one line")
        else:
            raise ContractError(f"{name} with {label} is accepted")


def check_nesting(case):
    """In a Sionna block inside a :class:`~sionna_irs.Link`, compiled by XLA: same, and tracked.

    It is the check of the XLA mode, too: compiling twice would cost as much again.
    """
    layer = case.shared()
    link = CarrierLink(layer)
    require(
        len(link.trainable_variables) == len(layer.trainable_variables),
        f"a link sees {len(link.trainable_variables)} of {len(layer.trainable_variables)} weights",
    )
    tensors, constants = case.tensors(layer), case.constants()
    function = tf.function(
        lambda kwargs: link.call(**kwargs, **constants), jit_compile=True, autograph=False
    )
    plain = case.eager()
    reset()
    found = leaves(function(tensors))
    same(plain, found, _TOLERANCE["single"], "inside a link, by XLA")


def check_keras_model(case):
    """Symbolic Keras tensors pass through, where every input is a tensor."""
    layer = case.shared()
    tensors = case.tensors(layer)
    if len(tensors) < len(case.inputs) or not tensors:
        return
    if not all(isinstance(t, tf.Tensor) and t.shape.rank for t in tensors.values()):
        return
    symbols = {
        k: keras.Input(batch_shape=t.shape, dtype=t.dtype.name, name=k) for k, t in tensors.items()
    }
    model, plain = keras.Model(symbols, layer(**symbols)), case.eager()
    reset()
    found = leaves(model(tensors))
    same(plain, found, _TOLERANCE["single"], "inside a keras.Model")


CHECKS = {
    "config": check_config,
    "build": check_build,
    "modes": check_modes,
    "one trace": check_one_trace,
    "dtype": check_dtype,
    "gradient": check_gradient,
    "awkward": check_awkward,
    "invariances": check_invariances,
    "bad input": check_bad_input,
    "nesting": check_nesting,
    "keras model": check_keras_model,
}


def check_layer(case):
    """Run every check of the contract on one case.

    Parameters
    ----------
    case : LayerCase

    Returns
    -------
    dict
        The skipped checks and their reasons.

    Raises
    ------
    ContractError
        At the first check that fails.
    ValueError
        When ``skip`` names no check or gives no reason.
    """
    for name, reason in case.skip.items():
        if name not in (*CHECKS, "fresh process") or not reason:
            raise ValueError(
                f"skip = {{{name!r}: {reason!r}}}: a check of {list(CHECKS)} "
                "and a reason are needed"
            )
    for name, check in CHECKS.items():
        if name not in case.skip:
            try:
                check(case)
            except ContractError as error:
                raise ContractError(f"{case.cls.__name__}: {name}: {error}") from None
    return dict(case.skip)
