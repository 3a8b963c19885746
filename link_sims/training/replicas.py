"""Replicas: a training's steps over several devices, by ``tf.distribute``."""

import contextlib
import contextvars
import types

from ..errors import UserError

__all__ = ["check_replicas", "over_replicas", "replicated", "tracing"]

_TRACE = contextvars.ContextVar("trace", default=None)


def check_replicas(replicas):
    """The argument, if it is a number of replicas."""
    if type(replicas) is not int or replicas < 1:
        raise UserError(f"replicas = {replicas}: an integer of at least 1 is needed")
    return replicas


@contextlib.contextmanager
def replicated(replicas):
    """A strategy over the first devices, one for each replica; nothing where there is one.

    Raises
    ------
    UserError
        When TensorFlow, which has started, has fewer devices of the kind that it would use.
    """
    if replicas == 1:
        yield
        return
    import tensorflow as tf

    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    found = len(tf.config.list_logical_devices(kind))
    if replicas > found:
        raise UserError(
            f"replicas = {replicas}: at most {found} is permitted, the number of {kind}s that "
            "TensorFlow has here"
        )
    strategy = tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(replicas)])
    with strategy.scope():
        yield


@contextlib.contextmanager
def tracing(compiled):
    """While a step is traced: whether it is to be ``compiled``, and if it came out ``replicated``.

    A replicated step spans devices, and an XLA program lives on one: it compiles its parts itself.
    """
    trace = types.SimpleNamespace(compiled=compiled, replicated=False)
    token = _TRACE.set(trace)
    try:
        yield trace
    finally:
        _TRACE.reset(token)


def over_replicas(gradient, update, state, t):
    """A training's step: gradients in every replica, from a stream of its own; then one update.

    Parameters
    ----------
    gradient : callable
        ``(state, t) -> (gradients, averages, sums)``. Means over the replicas are taken of the
        gradients and averages; the numerators and denominators of the sums are added.
    update : callable
        ``(state, t, gradients, averages, sums) -> (state, sums)``.
    state : nest of tensors
    t : int64 tensor, []
    """
    import tensorflow as tf

    from sionna_irs import random
    from sionna_irs.layer import to_dtype

    random.install()  # a state for every replica
    key = random.draw_key()

    def replica():
        random.reset(random.replica_key(key))
        gradients, averages, sums = gradient(state, t)
        gradients = [tf.convert_to_tensor(g) for g in gradients]  # some come as slices
        sums = {k: [tf.identity(to_dtype(v, tf.float64)) for v in p] for k, p in sums.items()}
        return gradients, averages, sums

    def finish():
        return update(state, t, *found)  # what the replicas found, reduced

    trace = _TRACE.get()
    if trace is not None:
        trace.replicated = True
        if trace.compiled:
            replica = tf.function(replica, autograph=False, jit_compile=True)
            finish = tf.function(finish, autograph=False, jit_compile=True)
    strategy = tf.distribute.get_strategy()

    def reduced(combine, part):
        local = strategy.experimental_local_results
        return tf.nest.map_structure(lambda value: combine(local(value)), part)

    # Strategies lift a tf.function around all replicas; a plain function stays within each.
    gradients, averages, sums = strategy.run(lambda: replica())
    found = reduced(_mean, gradients), reduced(_mean, averages), reduced(tf.add_n, sums)
    return finish()


def _mean(values):
    """Mean of a tensor over the replicas; what they agree on, and integers, exactly."""
    import tensorflow as tf

    first = values[0]
    if not (first.dtype.is_floating or first.dtype.is_complex):
        return first
    return first + tf.add_n([value - first for value in values]) / len(values)
