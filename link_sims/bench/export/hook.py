"""A TensorFlow function as one portable StableHLO module: the only file with private hooks.

Sionna's index tables are eager tensors that a function captures. XLA makes parameters of them and
drops those that it needs while compiling, so that arguments no longer match; here they become
constants of the graph. Every operation also carries the files and lines of the Python code that
made it; here it carries one line that names no file.
"""

import _thread
import contextlib
import dataclasses
import queue
import re

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import func_graph
from tensorflow.python.util import tf_stack

__all__ = ["Module", "lower", "portable_tracing"]

_DTYPES = {
    "f32": "float32", "f64": "float64", "i32": "int32", "i64": "int64", "ui32": "uint32",
    "ui64": "uint64", "i1": "bool", "complex<f32>": "complex64", "complex<f64>": "complex128",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Module:
    """A lowered function.

    Attributes
    ----------
    code : bytes
        Serialised StableHLO, for ``jax.export.Exported`` or any other runtime of XLA.
    arguments, results : list of (tuple of int, str)
        Shapes and dtypes. Variables follow the function's own arguments, and those it changes
        its own results.
    variables : list of np.ndarray
        Values of the variables, in the order of the arguments.
    text : str
        The same as text.
    """

    code: bytes
    arguments: list
    results: list
    variables: list
    text: str

    @property
    def custom_calls(self):
        """Targets of custom calls: a portable module has none."""
        return set(re.findall(r"stablehlo\.custom_call @(\w+)", self.text))


@contextlib.contextmanager
def portable_tracing():
    """Within, graphs take eager tensors as constants and remember no lines of code."""
    capture, extract = func_graph.FuncGraph.capture, tf_stack.extract_stack
    known, stack = {}, _stack_without_files(extract)

    def constant(graph, tensor, name=None, shape=None):
        if not hasattr(tensor, "numpy") or tensor.dtype in (tf.resource, tf.variant):
            return capture(graph, tensor, name, shape)
        key = id(graph), id(tensor)
        if key not in known:
            with graph.as_default():
                # The graph and the tensor stay alive, so that their ids stay theirs.
                known[key] = tf.constant(tensor.numpy()), graph, tensor
        return known[key][0]

    func_graph.FuncGraph.capture = constant
    tf_stack.extract_stack = lambda *args, **kwargs: stack
    try:
        yield
    finally:
        func_graph.FuncGraph.capture, tf_stack.extract_stack = capture, extract


def _stack_without_files(extract):
    """A stack of one line, of no file.

    An empty one crashes TensorFlow, and a stack cannot be made from Python: so this is that of a
    thread which runs nothing but one line.
    """
    made = queue.SimpleQueue()
    names = {"made": made, "extract": extract}
    exec(compile("def step(): made.put(extract())", "step", "exec"), names)
    _thread.start_new_thread(names["step"], ())
    stack = made.get()
    len(stack)  # looks the frame up now: while TensorFlow lowers, it is too late
    return stack


def lower(function, arguments):
    """The :class:`Module` of ``tf.function(..., jit_compile=True)`` at these arguments.

    The function is traced here, if it was not before within :func:`portable_tracing`.
    """
    with portable_tracing():
        traced = function.get_concrete_function(*arguments)
    rounded = tf.config.experimental.tensor_float_32_execution_enabled()
    # Modules carry the precision of their products: full, so that devices can be compared.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        stages = function.experimental_get_compiler_ir(*arguments)
        code, text = stages(stage="stablehlo_serialized"), stages(stage="stablehlo")
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(rounded)
    inputs, results = _signature(text)
    variables = [_value(handle) for handle in traced.captured_inputs]
    own = [(tuple(t.shape), t.dtype.name) for t in tf.nest.flatten(arguments)]
    expected = own + [(v.shape, v.dtype.name) for v in variables]
    if inputs != expected:
        raise RuntimeError(f"the module takes {inputs}; {expected} was expected")
    return Module(code, inputs, results, variables, text)


def _value(handle):
    dtype = handle._handle_data.shape_and_type[0].dtype
    return np.asarray(tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.as_dtype(dtype)))


def _signature(text):
    """(arguments, results) of the entry function in StableHLO's text form."""
    head = re.search(r"func\.func (?:public )?@main\((.*?)\) -> (.*?) \{\n", text).groups()
    return [[_aval(t) for t in re.findall(r"tensor<((?:[^<>]|<\w+>)*)>", part)] for part in head]


def _aval(text):
    *dims, dtype = re.fullmatch(r"((?:\d+x)*)(.*)", text).groups()
    return tuple(int(d) for d in dims[0].split("x") if d), _DTYPES[dtype]
