"""The search for an architecture: weights and operations in turn."""

import tensorflow as tf

from .. import random
from ..layer import require_integer
from ..networks.adam import Adam, warm_cosine
from .hypergradient import backpropagation, gradient_descent

__all__ = ["METHODS", "ArchitectureSearch"]

# Steps of the weights between two of the architecture, and through how many one differentiates.
METHODS = {
    "first order": {"inner_steps": 1, "truncation": 0},
    "DARTS": {"inner_steps": 1, "truncation": 1},
    "truncated": {"inner_steps": 2, "truncation": 2},
}


class ArchitectureSearch:
    r"""Bilevel search on a relaxed network: the weights learn, alpha follows the validation loss.

    The weights :math:`\omega` take T steps of gradient descent on training batches; then alpha,
    of which softmax(alpha) mixes the operations, takes a step of Adam along the derivative of the
    loss on a validation batch through the last M of these steps (:func:`hypergradient`). At first
    the weights may be trained alone, with all operations mixed alike. Either phase has its own
    cosine schedule of the weights' rate. Moving averages of the normalisations are carried along
    and not differentiated.

    Parameters
    ----------
    network : CellNetwork
        Relaxed. Its variables give the initial values and stay untouched.
    draw : callable
        ``draw(split, index) -> batch`` for "training" and "validation"; the same batch for the
        same index (see :func:`sionna_irs.random.reset`), disjoint in the splits.
    loss : callable
        ``loss(call, batch) -> scalar``, where ``call(x)`` is the network with the weights of the
        moment.
    num_steps : int
        Steps of alpha, with those that it is frozen.
    inner_steps, truncation : int
        T and M; see :data:`METHODS`.
    num_pretraining : int
        Steps at first (of T batches each) with alpha frozen.
    rate, final_rate : float
        Of the weights.
    decay : float
        Weight decay: half of it times the squared norm of the weights is part of their loss.
    alpha_rate : float
    alpha_final_rate : float or None
        Of alpha, on half a cosine, too; None keeps it.
    alpha_decay : float
    product : callable, optional
        See :func:`hypergradient`.

    Raises
    ------
    ValueError
        For a network that is not relaxed, and numbers of steps that do not fit.

    References
    ----------
    CENAS, Alg. 2; its weight decay, rates and schedule are the defaults.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.search.search import ArchitectureSearch
    >>> relaxed = irs.Genotype.relaxed(1, 1, ("skip", "conv"))
    >>> search = ArchitectureSearch(
    ...     irs.CellNetwork(relaxed, num_filters=4), lambda split, index: tf.ones([1, 3, 4, 2]),
    ...     lambda call, x: tf.reduce_mean((call(x) - x) ** 2), num_steps=10,
    ... )
    >>> state, losses = search.advance(search.start(), 0)
    >>> state["alpha"].shape
    TensorShape([1, 2, 2])
    """

    def __init__(
        self,
        network,
        draw,
        loss,
        num_steps: int,
        inner_steps: int = 2,
        truncation: int = 2,
        num_pretraining: int = 0,
        rate: float = 0.005,
        final_rate: float = 0.0001,
        decay: float = 3e-4,
        alpha_rate: float = 1e-3,
        alpha_final_rate: float | None = None,
        alpha_decay: float = 1e-3,
        product=None,
    ):
        if network.num_operations < 2:
            raise ValueError("network has one operation on an edge; a relaxed one is needed")
        require_integer("inner_steps", inner_steps)
        require_integer("truncation", truncation, low=0, high=inner_steps)
        require_integer("num_steps", num_steps)
        require_integer("num_pretraining", num_pretraining, low=0, high=num_steps)
        self.network, self.draw, self.loss = network, draw, loss
        self.inner_steps, self.truncation = inner_steps, truncation
        self.num_pretraining, self.decay, self.product = num_pretraining, decay, product
        self.pretraining_rate, self.search_rate = (
            warm_cosine(rate, steps * inner_steps, final=final_rate)
            for steps in (num_pretraining, num_steps - num_pretraining)
        )
        final = alpha_rate if alpha_final_rate is None else alpha_final_rate
        schedule = warm_cosine(alpha_rate, num_steps - num_pretraining, final=final)
        self.adam = Adam(schedule, decay=alpha_decay)
        network.build()

    def start(self):
        """The state of the first step: weights, averages, alpha (1e-3 times normal), slots."""
        network = self.network
        shape = [network.num_cells, network.num_edges, network.num_operations]
        alpha = 1e-3 * random.normal(shape, network.rdtype)
        return {
            "weights": [v.value for v in network.trainable_variables],
            "averages": [v.value for v in network.non_trainable_variables],
            "alpha": alpha,
            "adam": self.adam.start([alpha]),
        }

    def advance(self, state, t):
        """Step t (from 0): the next state, and the losses of the weights and of alpha.

        Parameters
        ----------
        state : dict
        t : int or tf.Tensor, []

        Returns
        -------
        state : dict
        losses : dict
            "training": mean over the T batches, with decay; "validation": 0 while alpha is
            frozen.
        """
        t = tf.convert_to_tensor(t)
        averages, frozen = [state["averages"]], t < self.num_pretraining
        # Alike for all operations while alpha is frozen.
        alpha = tf.where(frozen, tf.zeros_like(state["alpha"]), state["alpha"])
        loss = self._training_loss(averages, t)
        weights, kept, losses = gradient_descent(
            lambda w, j: loss(w, alpha, j),
            state["weights"],
            self._rate(t),
            self.inner_steps,
            self.truncation,
        )
        state = {**state, "weights": weights, "averages": averages[-1]}

        def follow():
            value, gradient = backpropagation(
                loss,
                self._validation_loss(averages, t),
                weights,
                kept,
                state["alpha"],
                self._rate(t),
                self.inner_steps,
                self.product,
            )
            (moved,), slots = self.adam.step([state["alpha"]], [gradient], state["adam"])
            return value, moved, slots

        def stay():
            return tf.zeros_like(losses[0]), state["alpha"], state["adam"]

        validation, alpha, slots = (
            tf.cond(frozen, stay, follow) if self.num_pretraining else follow()
        )
        state = {**state, "alpha": alpha, "adam": slots}
        return state, {"training": tf.add_n(losses) / len(losses), "validation": validation}

    def call(self, state, x, training=False):
        """The mixed network of a state, with its averages unless `training`."""
        return self._outputs(state["weights"], state["alpha"], state["averages"], x, training)[0]

    def _outputs(self, weights, alpha, averages, x, training=True):
        mixing = tf.nn.softmax(alpha, -1)
        return self.network.stateless_call(weights, averages, x, mixing=mixing, training=training)

    def _rate(self, t):
        """Rate of the T steps of the weights in step t."""
        frozen, past = t < self.num_pretraining, self.inner_steps * self.num_pretraining

        def rate(j):
            step = self.inner_steps * t + tf.cast(j, t.dtype)
            return tf.where(frozen, self.pretraining_rate(step), self.search_rate(step - past))

        return rate

    def _training_loss(self, averages, t):
        """The loss of the T steps of the weights; the first T calls move the averages on."""
        batches = [self.draw("training", self.inner_steps * t + j) for j in range(self.inner_steps)]
        batches = tf.nest.map_structure(lambda *values: tf.stack(values), *batches)

        def loss(weights, alpha, j):
            moved = averages[-1]

            def call(x):
                nonlocal moved
                y, moved = self._outputs(weights, alpha, moved, x)
                return y

            value = self.loss(call, tf.nest.map_structure(lambda v: v[j], batches))
            if len(averages) <= self.inner_steps:
                averages.append(moved)
            return value + self.decay * tf.add_n([tf.nn.l2_loss(w) for w in weights])

        return loss

    def _validation_loss(self, averages, t):
        batch = self.draw("validation", t)

        def loss(weights, alpha):
            return self.loss(lambda x: self._outputs(weights, alpha, averages[-1], x)[0], batch)

        return loss
