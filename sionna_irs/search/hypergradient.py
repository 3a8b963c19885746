"""The gradient of a validation loss through the last steps of training."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..layer import require_integer, to_dtype

__all__ = [
    "Hypergradient",
    "backpropagation",
    "difference_product",
    "exact_product",
    "gradient_descent",
    "hypergradient",
]


@dataclasses.dataclass(frozen=True)
class Hypergradient:
    """Outcome of :func:`hypergradient`.

    Parameters
    ----------
    gradient : nest of tf.Tensor, as alpha
    weights : nest of tf.Tensor
        After all training steps.
    validation_loss : tf.Tensor, []
    train_losses : list of tf.Tensor, []
        Of every step, before it.
    """

    gradient: Any
    weights: Any
    validation_loss: tf.Tensor
    train_losses: list


def hypergradient(
    train_loss,
    validation_loss,
    weights,
    alpha,
    rate,
    num_steps: int = 2,
    truncation: int | None = None,
    product=None,
):
    r"""Derivative of a validation loss in alpha through steps of gradient descent.

    With :math:`\omega_t=\omega_{t-1}-\gamma_t\nabla_\omega L_t(\omega_{t-1},\alpha)`, t = 1..T, and
    :math:`A_t=I-\gamma_t\nabla^2_{\omega\omega}L_t`, :math:`B_t=-\gamma_t\nabla^2_{\omega\alpha}L_t`
    at :math:`\omega_{t-1}`, the gradient through the last M steps is

    .. math:: g=\nabla_\alpha F+\sum_{t=T-M+1}^{T}B_t^TA_{t+1}^T\cdots A_T^T\nabla_\omega F .

    It is exact, by one product of a vector with the second derivatives per step, backwards; the
    weights of the last M steps are kept, and one second-order tape lives at a time.

    Parameters
    ----------
    train_loss : callable
        ``train_loss(weights, alpha, t) -> scalar``, t = 0..T-1: a Python number on the way there
        and a tensor on the way back, where the loss is evaluated again. It must be the same
        function both times, of given or keyed data.
    validation_loss : callable
        F: ``validation_loss(weights, alpha) -> scalar``.
    weights, alpha : nests of tf.Tensor, real
    rate : float, tf.Tensor or callable
        gamma, or gamma of t.
    num_steps : int
        T.
    truncation : int, optional
        M, 0 <= M <= T; None takes T. M = 0 is the first order of DARTS, T = M = 1 its second.
    product : callable, optional
        Default :func:`exact_product`; :func:`difference_product` is that of DARTS' users.

    Returns
    -------
    Hypergradient

    Raises
    ------
    ValueError
        For a truncation outside 0..T.

    References
    ----------
    CENAS, Alg. 1 and (23), with exactly M terms of the sum, and the terms of Alg. 2 at
    :math:`\omega_T`; H. Liu et al., "DARTS: Differentiable Architecture Search", ICLR 2019.

    Examples
    --------
    The weight runs from 0 towards alpha, so that after one step of 0.1 it is 0.1 alpha:

    >>> import tensorflow as tf
    >>> from sionna_irs.search.hypergradient import hypergradient
    >>> result = hypergradient(
    ...     lambda w, a, t: 0.5 * (w - a) ** 2, lambda w, a: w,
    ...     tf.constant(0.0), tf.constant(2.0), rate=0.1, num_steps=1,
    ... )
    >>> round(float(result.gradient), 6), round(float(result.weights), 6)
    (0.1, 0.2)
    """  # noqa: E501
    require_integer("num_steps", num_steps, low=0)
    truncation = num_steps if truncation is None else truncation
    require_integer("truncation", truncation, low=0, high=num_steps)
    weights, kept, train_losses = gradient_descent(
        lambda w, t: train_loss(w, alpha, t), weights, rate, num_steps, truncation
    )
    loss, gradient = backpropagation(
        train_loss, validation_loss, weights, kept, alpha, rate, num_steps, product
    )
    return Hypergradient(gradient, weights, loss, train_losses)


def gradient_descent(loss, weights, rate, num_steps, num_kept=0):
    r"""Steps :math:`\omega_t=\omega_{t-1}-\gamma_t\nabla L_t(\omega_{t-1})`, t = 1..T.

    Parameters
    ----------
    loss : callable
        ``loss(weights, t) -> scalar``, t = 0..T-1.
    weights : nest of tf.Tensor, real
    rate : float, tf.Tensor or callable
        gamma, or gamma of t.
    num_steps : int
        T.
    num_kept : int
        For how many of the last steps their starting points are returned.

    Returns
    -------
    weights : nest
        After the last step.
    kept : list of nests
    losses : list of tf.Tensor, []

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.search.hypergradient import gradient_descent
    >>> weights, _, losses = gradient_descent(lambda w, t: w**2, tf.constant(1.0), 0.25, 2)
    >>> float(weights), [float(v) for v in losses]
    (0.25, [1.0, 0.25])
    """
    rate, kept, losses = _as_function(rate), [], []
    for t in range(num_steps):
        if t >= num_steps - num_kept:
            kept.append(weights)
        value, slope = _slope(lambda w, t=t: loss(w, t), weights)
        weights = _add(weights, -to_dtype(rate(t), value.dtype), slope)
        losses.append(value)
    return weights, kept, losses


def backpropagation(
    train_loss, validation_loss, weights, kept, alpha, rate, num_steps, product=None
):
    r"""The way back of :func:`hypergradient`, after :func:`gradient_descent`.

    Parameters
    ----------
    train_loss, validation_loss, alpha, rate, num_steps, product : as for :func:`hypergradient`
        Here t is a tensor.
    weights : nest of tf.Tensor
        After the last step.
    kept : list of nests
        The points from which the last steps started.

    Returns
    -------
    (tf.Tensor, nest)
        Validation loss and its derivative in alpha.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.search.hypergradient import backpropagation
    >>> one = tf.constant(1.0)
    >>> loss, gradient = backpropagation(None, lambda w, a: w * a, 3 * one, [], one, 0.1, 2)
    >>> float(loss), float(gradient)
    (3.0, 3.0)
    """
    product, rate = product or exact_product, _as_function(rate)
    loss, (costate, gradient) = _slope(lambda pair: validation_loss(*pair), (weights, alpha))
    if not kept:
        return loss, gradient
    starts = tf.nest.map_structure(lambda *values: tf.stack(values), *kept)
    first = num_steps - len(kept)

    def back(t, costate, gradient):
        start = tf.nest.map_structure(lambda v: v[t - first], starts)
        step = -to_dtype(rate(t), loss.dtype)
        bent, mixed = product(lambda w, a: train_loss(w, a, t), start, alpha, costate)
        return t - 1, _add(costate, step, bent), _add(gradient, step, mixed)

    # A loop in the graph: its size, and the memory, do not grow with the number of steps.
    last = tf.constant(num_steps - 1)
    _, _, gradient = tf.while_loop(
        lambda t, *_: t >= first, back, (last, costate, gradient), maximum_iterations=len(kept)
    )
    return loss, gradient


def exact_product(loss, weights, alpha, vector):
    r"""Second derivatives times a vector, :math:`\nabla_{\omega,\alpha}\langle\nabla_\omega L,v\rangle`.

    Parameters
    ----------
    loss : callable
        ``loss(weights, alpha) -> scalar``, twice differentiable: beware of ``tf.nn.moments``,
        which stops a gradient (see :class:`BatchNorm`).
    weights, alpha : nests of tf.Tensor
    vector : nest of tf.Tensor, as `weights`

    Returns
    -------
    (nest, nest)
        As `weights` and as `alpha`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.search.hypergradient import exact_product
    >>> one, two, three = (tf.constant(v) for v in (1.0, 2.0, 3.0))
    >>> [float(v) for v in exact_product(lambda w, a: a * w**2, one, two, three)]
    [12.0, 6.0]
    """  # noqa: E501
    with tf.GradientTape() as outer:
        outer.watch((weights, alpha))
        _, slope = _slope(lambda w: loss(w, alpha), weights)
    return outer.gradient(
        slope, (weights, alpha), output_gradients=vector, unconnected_gradients="zero"
    )


def difference_product(loss, weights, alpha, vector, radius=0.01):
    r"""The product by a central difference of slopes at :math:`\omega\pm\epsilon v`.

    With :math:`\epsilon` = `radius` :math:`/\|v\|`, as in the public code of DARTS.

    Parameters
    ----------
    loss, weights, alpha, vector : as for :func:`exact_product`
    radius : float

    Returns
    -------
    (nest, nest)
        As `weights` and as `alpha`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.search.hypergradient import difference_product
    >>> one, two, three = (tf.constant(v) for v in (1.0, 2.0, 3.0))
    >>> found = difference_product(lambda w, a: a * w**2, one, two, three)
    >>> [round(float(v), 2) for v in found]
    [12.0, 6.0]
    """
    norm = tf.linalg.global_norm(tf.nest.flatten(vector))
    width = radius / norm
    (_, above), (_, below) = (
        _slope(lambda pair: loss(*pair), (_add(weights, side * width, vector), alpha))
        for side in (1, -1)
    )
    return tf.nest.map_structure(lambda a, b: (a - b) / (2 * width), above, below)


def _as_function(rate):
    return rate if callable(rate) else lambda t: rate


def _slope(function, values):
    """(function(values), its gradient) for a nest of tensors."""
    with tf.GradientTape() as tape:
        tape.watch(values)
        outcome = function(values)
    return outcome, tape.gradient(outcome, values, unconnected_gradients="zero")


def _add(values, factor, direction):
    return tf.nest.map_structure(lambda v, d: v + factor * d, values, direction)
