"""Training of a layer as a recursion: its state is weights, averages and optimiser slots."""

__all__ = ["assign", "cosine_adam", "training"]


def cosine_adam(peak, num_steps, warmup_steps=30):
    """Adam for short trainings: linear warm-up, cosine to 0, gradients clipped to norm 1."""
    from sionna_irs.networks.adam import Adam, warm_cosine

    return Adam(warm_cosine(peak, num_steps, warmup_steps), beta_2=0.99, clip=1.0)


def training(
    layer, optimizer, loss, curves=(), evaluate=None, every=1, variables=None, initial=None,
    replicable=True,
):  # fmt: skip
    """(start, advance) of a recursion that trains ``layer``.

    Within the scope of a ``tf.distribute`` strategy every replica draws a batch of its own: the
    step goes along the mean of their gradients, averages are means, recorded sums are added.

    Parameters
    ----------
    layer : keras.layers.Layer
        Its variables give the initial values and stay untouched.
    optimizer : Adam
        Of sionna_irs.networks.adam: steps on tensors.
    loss : callable
        ``loss(call, t) -> (scalar, sums)``: ``call(...)`` is the layer with the weights of the
        moment and ``training=True``, ``sums`` what the recursion records.
    curves, evaluate : list of (metric, curve) and callable, optional
        ``evaluate(call) -> sums`` of these curves with the layer as used after training, on
        held-out draws whose key it resets itself.
    every : int
        Steps between two evaluations: the recursion's ``record_every``.
    variables : list of keras.Variable or None
        The trainable variables that are to be trained; None trains all. The others stay.
    initial : dict or None
        Final state of an earlier training of the same layer, to start from.
    replicable : bool
        False where ``loss`` is told what to draw, so that replicas would repeat one another.
    """
    import tensorflow as tf

    from .replicas import over_replicas

    layer.build()
    held_out = _held_out(layer, curves, evaluate, every)
    chosen = {id(v) for v in (layer.trainable_variables if variables is None else variables)}
    places = [i for i, v in enumerate(layer.trainable_variables) if id(v) in chosen]

    def start():
        if initial is None:
            weights = [v.value for v in layer.trainable_variables]
            averages = [v.value for v in layer.non_trainable_variables]
        else:
            weights, averages = initial["weights"], initial["averages"]
        slots = optimizer.start([weights[i] for i in places])
        return {"weights": weights, "averages": averages, "optimizer": slots}

    def gradient(state, t):
        weights, averages = list(state["weights"]), list(state["averages"])
        moving = [weights[i] for i in places]

        with tf.GradientTape() as tape:
            tape.watch(moving)

            def call(*args, **kwargs):
                outcome, averages[:] = layer.stateless_call(
                    weights, averages, *args, training=True, **kwargs
                )
                return outcome

            value, sums = loss(call, t)
        return tape.gradient(value, moving, unconnected_gradients="zero"), averages, sums

    def update(state, t, gradients, averages, sums):
        weights = list(state["weights"])
        moving = [weights[i] for i in places]
        moving, slots = optimizer.step(moving, gradients, state["optimizer"])
        for i, weight in zip(places, moving, strict=True):
            weights[i] = weight
        state = {"weights": weights, "averages": averages, "optimizer": slots}
        return state, {**sums, **held_out(state, t)}

    def advance(state, t):
        if replicable and tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return over_replicas(gradient, update, state, t)
        return update(state, t, *gradient(state, t))

    return start, advance


def _held_out(layer, curves, evaluate, every):
    """``(state, t) -> sums`` of the curves after every so many steps, zeros between them."""
    import tensorflow as tf

    from sionna_irs.layer import to_dtype

    def sums(state, t):
        def call(*args, **kwargs):
            return layer.stateless_call(state["weights"], state["averages"], *args, **kwargs)[0]

        def measure():
            found = evaluate(call)
            return tf.stack([[to_dtype(v, tf.float64) for v in found[c]] for c in curves])

        due = tf.equal((t + 1) % every, 0)
        values = tf.cond(due, measure, lambda: tf.zeros([len(curves), 2], tf.float64))
        return {curve: (values[i, 0], values[i, 1]) for i, curve in enumerate(curves)}

    return sums if curves else lambda state, t: {}


def assign(layer, state):
    """Put a trained state into a layer; returns the layer."""
    for variables, values in (
        (layer.trainable_variables, state["weights"]),
        (layer.non_trainable_variables, state["averages"]),
    ):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    return layer
