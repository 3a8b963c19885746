"""The layer contract: one suite of checks for every layer, ours and yours.

Describe a layer by a :class:`LayerCase` and call :func:`check_layer`, or run the functions in
:data:`CHECKS` one by one (one test each, say with ``pytest.mark.parametrize``). A check that a
layer cannot meet is named in ``skip`` with its reason; :func:`check_layer` returns it.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf
from sionna.phy import Block

from . import random
from .link import Link, load_model

__all__ = ["CHECKS", "ContractError", "LayerCase", "check_fresh_process", "check_layer"]

_TOLERANCE = {"single": 2e-5, "double": 1e-10}


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

    def layer(self, precision="single"):
        """A new layer."""
        return self.cls(**self.arguments, precision=precision)

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


def _require(condition, text):
    if not condition:
        raise ContractError(text)


def _reset():
    random.install()
    random.reset(random.stream_key(7))


def _run(case, layer, tensors=None, mode="eager"):
    """Flat list of output arrays, with the same random numbers in every mode."""
    tensors = case.tensors(layer) if tensors is None else tensors
    constants = case.constants()

    def call(**kwargs):
        return layer(**kwargs, **constants)

    if mode != "eager":
        call = tf.function(call, jit_compile=mode == "xla", autograph=False)
    _reset()
    return tf.nest.flatten(call(**tensors))


def _same(a, b, tolerance, what):
    _require(len(a) == len(b), f"{what}: {len(a)} outputs against {len(b)}")
    for x, y in zip(a, b, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        _require(x.shape == y.shape, f"{what}: shapes {x.shape} and {y.shape}")
        scale = np.max(np.abs(x), initial=1e-30)
        error = np.max(np.abs(x - y), initial=0.0) / scale
        _require(error <= tolerance, f"{what}: relative difference {error:.2g} > {tolerance:.2g}")


def check_config(case):
    """JSON of the configuration rebuilds a layer with the same results."""
    layer = case.layer()
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    copy.set_weights(layer.get_weights())
    _same(_run(case, layer), _run(case, copy), 0.0, "config round trip")


def check_build(case):
    """The constructor makes every weight; calling and building again add none."""
    layer = case.layer()
    before = len(layer.weights)
    _run(case, layer)
    layer.build()
    _run(case, layer)
    _require(
        len(layer.weights) == before,
        f"build: {before} weights after the constructor, {len(layer.weights)} after calls",
    )


def check_modes(case):
    """Eager, graph and XLA agree, with one seed and in single precision."""
    layer = case.layer()
    eager = _run(case, layer)
    for mode in ("graph", "xla"):
        _same(eager, _run(case, layer, mode=mode), _TOLERANCE["single"], f"eager against {mode}")


def check_one_trace(case):
    """A sweep over values of the tensor arguments traces once."""
    layer = case.layer()
    constants = case.constants()
    function = tf.function(lambda kwargs: layer(**kwargs, **constants), autograph=False)
    tensors = case.tensors(layer)
    for factor in (1.0, 0.5, 0.25):
        function(tf.nest.map_structure(lambda t, f=factor: t * tf.cast(f, t.dtype), tensors))
    count = function.experimental_get_tracing_count()
    _require(count == 1, f"{count} traces in a sweep over three values; 1 is expected")


def check_dtype(case):
    """Outputs keep the layer's precision, single and double, and the two agree."""
    results = {}
    for precision in ("single", "double"):
        layer = case.layer(precision)
        if precision == "double":
            layer.set_weights(results["weights"])
        else:
            results["weights"] = layer.get_weights()
        for output in _run(case, layer):
            if output.dtype.is_floating or output.dtype.is_complex:
                _require(
                    output.dtype in (layer.rdtype, layer.cdtype),
                    f"output dtype {output.dtype.name} in precision {precision!r}",
                )
                _require(np.isfinite(output.numpy()).all(), "an output is not finite")


def _loss(case, layer, tensors):
    """A fixed smooth function of all outputs that no symmetry makes flat."""
    outputs = tf.nest.flatten(layer(**tensors, **case.constants()))
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
        _reset()
        loss = _loss(case, layer, {**tensors, **watched})
    return tape.gradient(loss, (watched, [w.value for w in weights]))


def check_gradient(case):
    """Gradients agree with central differences in double precision."""
    layer = case.layer("double")
    tensors = case.tensors(layer)
    if not case.gradient and not layer.trainable_variables:
        return
    by_input, by_weight = _gradients(case, layer, tensors)
    rng = np.random.default_rng(5)
    step = 1e-6
    for name, gradient in by_input.items():
        _require(gradient is not None, f"no gradient reaches {name}")
        direction = rng.standard_normal(tensors[name].shape)
        if tensors[name].dtype.is_complex:
            direction = direction + 1j * rng.standard_normal(tensors[name].shape)
        values = []
        for sign in (1, -1):
            _reset()
            moved = {**tensors, name: tensors[name] + sign * step * direction}
            values.append(float(_loss(case, layer, moved)))
        _slope(name, gradient.numpy(), direction, values, step)
    for weight, gradient in zip(layer.trainable_variables, by_weight, strict=True):
        _require(gradient is not None, f"no gradient reaches the weight {weight.path}")
        start = weight.numpy()
        direction = rng.standard_normal(start.shape)
        values = []
        for sign in (1, -1):
            weight.assign(start + sign * step * direction)
            _reset()
            values.append(float(_loss(case, layer, tensors)))
        weight.assign(start)
        _slope(weight.path, tf.convert_to_tensor(gradient).numpy(), direction, values, step)


def _slope(name, gradient, direction, values, step):
    measured = (values[0] - values[1]) / (2 * step)
    expected = np.sum(np.real(np.conj(gradient) * direction))
    scale = np.linalg.norm(gradient) * np.linalg.norm(direction) + 1e-3 * np.abs(values[0])
    _require(
        abs(measured - expected) <= 1e-5 * scale + 1e-8,
        f"gradient in {name}: {expected:.9g} by tape, {measured:.9g} by differences",
    )


def check_awkward(case):
    """Values and gradients are finite at the awkward points that the case names."""
    layer = case.layer()
    for name, inputs in case.awkward.items():
        tensors = case.tensors(layer, {**case.inputs, **inputs})
        for output in _run(case, layer, tensors):
            _require(np.isfinite(np.asarray(output)).all(), f"{name}: an output is not finite")
        by_input, by_weight = _gradients(case, layer, tensors)
        for gradient in [*by_input.values(), *by_weight]:
            if gradient is not None:
                finite = np.isfinite(tf.convert_to_tensor(gradient).numpy()).all()
                _require(finite, f"{name}: a gradient is not finite")


def check_invariances(case):
    """Changed inputs give the promised changed outputs."""
    layer = case.layer("double")
    plain = tf.nest.map_structure(np.asarray, _run(case, layer))
    for name, (change_inputs, change_outputs) in case.invariances.items():
        tensors = case.tensors(layer, change_inputs(dict(case.inputs)))
        wanted = tf.nest.flatten(change_outputs(plain if len(plain) > 1 else plain[0]))
        _same(wanted, _run(case, layer, tensors), 1e-9, name)


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
        if declared.dims:
            yield name, "a wrong rank", good.reshape(-1)[0]
            yield (
                name,
                "an empty batch",
                np.zeros((0, *good.shape[-len(declared.dims) :]), good.dtype),
            )
        if declared.dims and (
            isinstance(declared.dims[-1], int) or hasattr(layer, declared.dims[-1])
        ):
            yield name, "a wrong last dimension", np.concatenate([good, good], -1)
        if declared.kind == "complex":
            yield name, "real for complex", good.real.copy()
        if declared.minimum is not None:
            yield name, "a value below its minimum", np.full_like(good, declared.minimum - 1)


def check_bad_input(case):
    """NaN, infinity, wrong shapes, empty batches and wrong kinds give one clear error."""
    layer = case.layer()
    for name, label, bad in _bad_inputs(case, layer):
        try:
            layer(**{**case.inputs, name: bad})
        except (ValueError, TypeError) as error:
            _require(
                name in str(error), f"{name} with {label}: the error does not name it: {error}"
            )
            _require("\n" not in str(error).strip(), f"{name} with {label}: more than one line")
        else:
            raise ContractError(f"{name} with {label} is accepted")


class _Carrier(Block):
    """A Sionna block that carries a Keras layer."""

    def __init__(self, layer):
        super().__init__(precision=layer.precision)
        self.layer = layer

    def call(self, **kwargs):
        return self.layer(**kwargs)


class _CarrierLink(Link):
    """A link with the layer inside a Sionna block."""

    def __init__(self, layer, **kwargs):
        super().__init__(**{"precision": layer.precision, **kwargs})
        self.carrier = _Carrier(layer)

    def call(self, **kwargs):
        return self.carrier(**kwargs)


def check_nesting(case):
    """In a Sionna block inside a :class:`~sionna_irs.Link`, compiled by XLA: same, and tracked."""
    layer = case.layer()
    link = _CarrierLink(layer)
    _require(
        len(link.trainable_variables) == len(layer.trainable_variables),
        f"a link sees {len(link.trainable_variables)} of {len(layer.trainable_variables)} weights",
    )
    tensors, constants = case.tensors(layer), case.constants()
    function = tf.function(
        lambda kwargs: link.call(**kwargs, **constants), jit_compile=True, autograph=False
    )
    plain = _run(case, layer)
    _reset()
    _same(plain, tf.nest.flatten(function(tensors)), _TOLERANCE["single"], "inside a link")


def check_keras_model(case):
    """Symbolic Keras tensors pass through, where every input is a tensor."""
    layer = case.layer()
    tensors = case.tensors(layer)
    if len(tensors) < len(case.inputs) or not tensors:
        return
    if not all(isinstance(t, tf.Tensor) and t.shape.rank for t in tensors.values()):
        return
    symbols = {
        k: keras.Input(batch_shape=t.shape, dtype=t.dtype.name, name=k) for k, t in tensors.items()
    }
    model = keras.Model(symbols, layer(**symbols))
    plain = _run(case, layer)
    _reset()
    _same(plain, tf.nest.flatten(model(tensors)), _TOLERANCE["single"], "inside a keras.Model")


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


_FRESH = """
import sys, pathlib
import sionna_irs.testing as t
t._report_saved(pathlib.Path(sys.argv[1]))
"""


def _report_saved(folder):
    """In a fresh process: load every saved layer, and write what it returns."""
    for path in sorted(folder.glob("*.keras")):
        layer = load_model(path).carrier.layer
        inputs = np.load(path.with_suffix(".npz"), allow_pickle=False)
        constants = json.loads(path.with_suffix(".json").read_text())
        _reset()
        outputs = tf.nest.flatten(layer(**{k: inputs[k] for k in inputs.files}, **constants))
        np.savez(path.with_suffix(".out.npz"), *[np.asarray(o) for o in outputs])


def check_fresh_process(cases):
    """Save all ``cases``, load them in one new process, and compare the numbers exactly.

    Parameters
    ----------
    cases : dict
        Name -> LayerCase; only cases whose inputs are arrays or Python numbers.

    Raises
    ------
    ContractError
        When a layer does not load or gives other numbers.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder, expected = pathlib.Path(folder), {}
        for index, (name, case) in enumerate(cases.items()):
            layer = case.layer()
            expected[f"{index:03d}", name] = _run(case, layer)
            path = folder / f"{index:03d}.keras"
            link = _CarrierLink(layer)
            link.built = True
            link.save(path)
            np.savez(path.with_suffix(".npz"), **{k: case.inputs[k] for k in case.tensors_names()})
            path.with_suffix(".json").write_text(json.dumps(case.constants()))
        done = subprocess.run(
            [sys.executable, "-c", _FRESH, str(folder)],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        _require(done.returncode == 0, f"a fresh process fails: {done.stderr[-2000:]}")
        for (index, name), outputs in expected.items():
            found = np.load(folder / f"{index}.out.npz")
            # oneDNN and Eigen may split sums differently from process to process.
            _same(outputs, [found[k] for k in found.files], 1e-6, f"{name} in a fresh process")
