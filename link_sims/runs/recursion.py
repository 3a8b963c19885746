"""Recursions: a state carried forward, checkpointed, repeated over seeds."""

import hashlib
import json
import time

import numpy as np

from ..errors import UserError
from ..results.results import window_ends
from ..training.replicas import tracing
from ..training.tensorboard import EventLog

__all__ = ["Advance", "begin", "run_recursion"]

_SECONDS_PER_CHECKPOINT = 5.0


def _word(name):
    """A stable integer for a name, to be part of the keys."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def _save(folder, name, state, t):
    """Checkpoint of the flat state and the number of finished steps."""
    import tensorflow as tf
    from safetensors.numpy import save

    flat = {f"{i:05d}": np.asarray(v) for i, v in enumerate(tf.nest.flatten(state))}
    arrays = {}
    for key, value in flat.items():  # safetensors has no complex numbers
        if value.dtype.kind == "c":
            value = np.stack([value.real, value.imag])
        # NumPy makes a scalar contiguous as an array of one dimension.
        arrays[key] = np.ascontiguousarray(value).reshape(value.shape)
    arrays["t"] = np.int64(t).reshape([1])  # under the checksum, unlike the head
    data = save(arrays)
    digest = hashlib.sha256(data).hexdigest()
    head = json.dumps({"t": t, "sha": digest}).encode()
    folder.write(name, head + b"\n" + data)


def _load(folder, name, template, ends, notice):
    """(state, t) of a checkpoint that fits the log; None when there is none to go on from.

    ``ends`` are the steps at which the windows of the log end: a checkpoint of any other step
    carries a state whose windows are missing.
    """
    path = folder.path / name
    if not path.exists():
        return None
    try:
        head, data = path.read_bytes().split(b"\n", 1)
        t = _step_of(head, data)
        if t in ends:
            return _unpack(data, template), t
        notice(
            f"{path} is at step {t}, which the log does not reach without gaps (it ends at step "
            f"{ends[-1]}); steps 1 to {t} are done again, with the same numbers"
        )
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; remove it") from None
    except Exception:  # damage shows as anything
        notice(f"{path} is damaged; the recursion starts again, with the same numbers")
    return None


def _step_of(head, data):
    """The number of finished steps of a checkpoint, after all checks of the file as a whole."""
    from safetensors.numpy import load

    head = json.loads(head)
    if hashlib.sha256(data).hexdigest() != head["sha"]:
        raise ValueError("checksum")
    t = head["t"]
    within = load(data).get("t", t)  # earlier versions have no such array
    if type(t) is not int or t < 0 or np.any(within != t):
        raise ValueError("step")
    return t


def _unpack(data, template):
    """The state in a checkpoint, of the shapes and dtypes of ``template``."""
    import tensorflow as tf
    from safetensors.numpy import load

    arrays, flat = load(data), []
    for i, like in enumerate(tf.nest.flatten(template)):
        value, like = arrays[f"{i:05d}"], tf.convert_to_tensor(like)
        if like.dtype.is_complex:
            value = value[0] + 1j * value[1]
        if value.shape != tuple(like.shape) or value.dtype != like.dtype.as_numpy_dtype:
            raise ValueError("shape")
        flat.append(tf.constant(value))
    return tf.nest.pack_sequence_as(template, flat)


class Advance:
    """A window of steps in one compiled loop: (state, first, count) -> (state, sums)."""

    def __init__(self, advance, name, seed, state, mode):
        import tensorflow as tf

        from sionna_irs import random
        from sionna_irs.layer import to_dtype

        self.curves, self.mode = None, mode
        word = _word(name)

        def step(t, state):
            random.reset(random.stream_key(seed, word, t))
            state, outcome = advance(state, t)
            self.curves = [tuple(curve) for curve in outcome]
            pairs = [to_dtype(v, tf.float64) for pair in outcome.values() for v in pair]
            shape = max((v.shape for v in pairs), key=lambda s: s.rank)
            pairs = [tf.broadcast_to(v, shape) for v in pairs]
            return state, tf.reshape(tf.stack(pairs), [len(outcome), 2, *shape])

        self._step = step
        if mode == "eager":
            return
        specs = tf.nest.map_structure(lambda v: tf.TensorSpec(v.shape, v.dtype), state)
        with tracing(compiled=mode == "xla") as trace:
            traced = tf.function(step, autograph=False).get_concrete_function(
                tf.TensorSpec([], tf.int64), specs
            )

        def window(first, count, state):
            def body(i, state, sums):
                state, values = traced(first + i, state)
                return i + 1, state, sums + values

            sums = tf.zeros(traced.output_shapes[1], tf.float64)
            start = (tf.constant(0, tf.int64), state, sums)
            return tf.while_loop(lambda i, *_: i < count, body, start)[1:]

        compiled = mode == "xla" and not trace.replicated
        self._window = tf.function(window, autograph=False, jit_compile=compiled)

    def __call__(self, state, first, count):
        import tensorflow as tf

        first, count = tf.constant(first, tf.int64), tf.constant(count, tf.int64)
        if self.mode != "eager":
            return self._window(first, count, state)
        sums = 0.0
        for i in range(int(count)):
            state, values = self._step(first + i, state)
            sums += values
        return state, sums


def begin(config, recursion, seed, before):
    """(state, advance) before the first step; ``before`` holds the state that it starts from."""
    import tensorflow as tf

    from sionna_irs import random

    random.reset(random.stream_key(seed, _word(recursion.name), -1))
    start, advance = recursion.builder(config, seed, *before)
    return tf.nest.map_structure(tf.convert_to_tensor, start()), advance


def run_recursion(config, folder, mode, recursion, trained, progress):
    """Carry every seed to the end; return the final states."""
    states = []
    for index in range(recursion.seeds):
        before = [] if recursion.after is None else [trained[recursion.after][index]]
        states.append(_run_seed(config, folder, mode, recursion, index, before, progress))
    return states


def _run_seed(config, folder, mode, recursion, index, before, progress):
    import tensorflow as tf

    seed, length = config.seed + index, getattr(config, recursion.length)
    name = recursion.name
    ends = window_ends(folder.records, name, seed)
    done = set(ends[:-1])
    state, advance = begin(config, recursion, seed, before)
    file = f"checkpoint-{name.replace('/', '_')}-{seed}.safetensors"
    found = _load(folder, file, state, ends, progress.note)
    state, t = found if found is not None else (state, 0)
    stepper, saved = None, time.monotonic()
    events = EventLog(folder.path / "tensorboard" / f"{name.replace('/', '_')}-{seed}")
    while t < length:
        progress.point(f"{name} {index + 1}", t, length)
        if stepper is None:
            stepper = Advance(advance, name, seed, state, mode)
        count = min(recursion.record_every, length - t)
        began = time.monotonic()
        try:
            state, sums = stepper(state, t, count)
        except tf.errors.ResourceExhaustedError:
            raise UserError(
                f"{name}: a step does not fit into memory; a smaller training_batch, batch_size "
                "or number of replicas is needed"
            ) from None
        values = np.asarray(sums)
        seconds = round(time.monotonic() - began, 3)
        if not np.isfinite(values).all():
            what = "/".join(stepper.curves[int(np.argwhere(~np.isfinite(values))[0][0])])
            raise UserError(f"{name}, seed {seed}: {what} is not finite by step {t + count}")
        if t not in done:
            record = {
                "kind": "steps", "name": name, "seed": seed, "first": t, "last": t + count,
                "seconds": seconds, "curves": stepper.curves, "values": values.tolist(),
            }  # fmt: skip
            folder.append(record)
            events.write(record)
        t += count
        # After the log: a crash in between repeats steps that the log already has, identically.
        if t == length or time.monotonic() - saved > _SECONDS_PER_CHECKPOINT:
            _save(folder, file, state, t)
            saved = time.monotonic()
    events.close()
    progress.point(f"{name} {index + 1}", length, length)
    return state
