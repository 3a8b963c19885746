"""Two-timescale surface design from channel samples: stochastic successive convex approximation."""

import math
from typing import Literal

import tensorflow as tf

from ..layer import require_integer, to_dtype
from ..metrics import sum_rate

__all__ = ["TwoTimescaleSSCA"]

_CONVENTIONS = ("consistent", "as_published")


class TwoTimescaleSSCA:
    r"""Model-based long-term reflection coefficients from samples of all links.

    For update t = 0, 1, ... the gradient of the rate with the precoders held fixed is averaged over
    channel samples and over time, and the surrogate's maximiser is approached:

    .. math:: f\leftarrow(1-\varrho_t)f+\varrho_t\,\overline{\partial F/\partial\theta^*},\qquad
              z=\theta+f/\tau,\qquad
              \theta\leftarrow(1-\gamma_t)\theta+\gamma_t\frac z{\max(1,|z|)}

    with :math:`\varrho_t=(t+2)^{-0.8}`, :math:`\gamma_t=(t+2)^{-1}`. The surface reflects with
    :math:`\theta/|\theta|`.

    Source: Zhao et al. 2021 as compared by Hashmi et al.; corrected: there the gradient belongs to
    the conjugate of the precoder that was designed ("as_published").

    Parameters
    ----------
    oracle : callable
        Precoder ``(h, no) -> v``.
    num_samples : int
        Channel samples for every update.
    no : float
        Noise variance over total transmit power.
    tau : float
        Curvature of the surrogate, above 0.
    convention : "consistent" or "as_published"
    weights : list of float or None
        User weights of the rate.

    Raises
    ------
    ValueError
        For numbers out of range and an unknown convention.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=1, num_elements=4)
    >>> def sample():
    ...     links = channel.draw(8)
    ...     return lambda theta: channel.compose(links, theta)
    >>> design = irs.TwoTimescaleSSCA(irs.MRTPrecoder(), num_samples=2)
    >>> state = design.start(channel.reflect(irs.RandomPhases()(channel.draw(8))))
    >>> design.reflection(design.step(state, 0, sample))["s1"].shape
    TensorShape([8, 4])
    """

    def __init__(
        self,
        oracle,
        num_samples: int = 10,
        no: float = 1.0,
        tau: float = 0.01,
        convention: Literal["consistent", "as_published"] = "consistent",
        weights=None,
    ):
        require_integer("num_samples", num_samples)
        if not 0 < tau < math.inf:
            raise ValueError(f"tau = {tau}; a positive number is needed")
        if not 0 < no < math.inf:
            raise ValueError(f"no = {no}; a positive number is needed")
        if convention not in _CONVENTIONS:
            raise ValueError(f"convention = {convention!r}; one of {_CONVENTIONS} is needed")
        self.oracle, self.num_samples, self.no, self.tau = oracle, num_samples, no, tau
        self.convention, self.weights = convention, weights

    def start(self, theta):
        """State from coefficients, surface -> [batch_size, N], complex."""
        return {"theta": theta, "gradient": tf.nest.map_structure(tf.zeros_like, theta)}

    def step(self, state, t, sample, **oracle):
        """One update.

        Parameters
        ----------
        state : dict
        t : int or tf.Tensor, [], integer
            Index of the update, from 0.
        sample : callable
            () -> (theta -> h [batch_size, K, M]): draws the links anew.
        **oracle
            To the oracle, such as ``num_iter``.

        Returns
        -------
        dict
            The next state.
        """
        theta = state["theta"]

        def body(i, total):
            gradient = self._gradient(theta, sample(), oracle)
            return i + 1, tf.nest.map_structure(tf.add, total, gradient)

        start = (tf.constant(0), tf.nest.map_structure(tf.zeros_like, theta))
        total = tf.while_loop(lambda i, _: i < self.num_samples, body, start)[1]
        found = {"theta": {}, "gradient": {}}
        for name, old in theta.items():
            late = to_dtype(t, old.dtype.real_dtype) + 2
            mean, move = (tf.cast(late**-p, old.dtype) for p in (0.8, 1.0))
            f = state["gradient"][name]
            f += mean * (total[name] / self.num_samples - f)
            z = old + f / to_dtype(self.tau, old.dtype)
            z /= tf.cast(tf.maximum(tf.abs(z), 1), z.dtype)
            found["theta"][name] = old + move * (z - old)
            found["gradient"][name] = f
        return found

    def reflection(self, state):
        """Coefficients of modulus one, surface -> [batch_size, N], complex."""
        return {
            name: theta / tf.cast(tf.maximum(tf.abs(theta), 1e-30), theta.dtype)
            for name, theta in state["theta"].items()
        }

    def _gradient(self, theta, compose, oracle):
        """dF/dtheta^* of one sample, the precoder held fixed."""
        with tf.GradientTape() as tape:
            tape.watch(theta)
            h = compose(theta)
            v = tf.stop_gradient(self.oracle(h, self.no, **oracle))
            if self.convention == "as_published":
                v = tf.math.conj(v)
            rate = tf.reduce_sum(sum_rate(h, v, self.no, self.weights))
        # TensorFlow's gradient in a complex number is twice the derivative in its conjugate.
        return {name: g / 2 for name, g in tape.gradient(rate, theta).items()}
