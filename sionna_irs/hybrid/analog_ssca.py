"""Long-term analog phases from channel samples: stochastic successive convex approximation."""

import math

import tensorflow as tf

from .. import metrics
from ..layer import to_dtype
from .streams import unit_power_streams

__all__ = ["AnalogSSCA"]


class AnalogSSCA:
    r"""Phases of a front end that ascend the mean rate, the digital part being designed anew.

    For update t = 0, 1, ... and phases :math:`\psi`, with the gradient g of the mean rate over a
    batch of channels behind precoders and combiners that are held fixed,

    .. math:: f\leftarrow(1-\varrho_t)f+\varrho_tg,\qquad
              \psi\leftarrow(1-\gamma_t)\psi+\gamma_t(\psi+\eta f),\qquad
              \varrho_t=(t+1)^{-0.6},\quad\gamma_t=(t+1)^{-0.7}

    Where the digital part is optimal, the gradient through it vanishes: this one is the whole.
    Only the power of the precoders follows the phases, since their metric does.

    Source: mixed-timescale deep unfolding, (19)-(22); corrected: an ascent, with the smoothing of
    the phases. The exponents and the step are ours; the paper gives none.

    Parameters
    ----------
    front : HybridFrontEnd
    precoder : LinkLayer
        ``(h_eq, r_w, gram, no) -> (f, w)`` from the true equivalent channels, such as
        :class:`SCA`.
    step_size : float
        :math:`\eta`, one over twice the curvature of the surrogate, above 0.

    Raises
    ------
    ValueError
        For a step that is not positive.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.hybrid.analog_ssca import AnalogSSCA
    >>> design = AnalogSSCA(irs.HybridFrontEnd(8, 4, 4, 2, num_users=2), irs.SCA(2, num_iter=3))
    >>> state = design.step(design.start(), 0, irs.random.complex_normal([5, 2, 4, 8]), 0.1)
    >>> [x.shape.as_list() for x in state["phases"]]
    [[8, 4], [2, 4, 2]]
    """

    def __init__(self, front, precoder, step_size: float = 2.0):
        if not 0 < step_size < math.inf:
            raise ValueError(f"step_size = {step_size}; a positive number is needed")
        self.front, self.precoder, self.step_size = front, precoder, step_size

    def start(self):
        """State from the phases of the front end.

        Returns
        -------
        dict
            "phases": [tx_phases [Nt, n], rx_phases [K, Nr, m]], real [radian]; "gradient" alike;
            "rate" [], real [bit/s/Hz]: mean over the last batch, before the update.
        """
        phases = [tf.convert_to_tensor(x) for x in (self.front.tx_phases, self.front.rx_phases)]
        zeros = [tf.zeros_like(x) for x in phases]
        return {"phases": phases, "gradient": zeros, "rate": tf.zeros([], phases[0].dtype)}

    def step(self, state, t, h, no):
        """One update.

        Parameters
        ----------
        state : dict
        t : int or tf.Tensor, [], integer
            Index of the update, from 0.
        h : tf.Tensor, [batch_size, K, Nr, Nt], complex
            Samples of the channel.
        no : float or tf.Tensor, [...], real
            Noise variance over the transmit power of a stream, above 0.

        Returns
        -------
        dict
            The next state.
        """
        late = to_dtype(t, state["phases"][0].dtype) + 1
        mean, move = late**-0.6, self.step_size * late**-0.7
        rate, new = self.ascent(state["phases"], h, no)
        gradient = [f + mean * (g - f) for f, g in zip(state["gradient"], new, strict=True)]
        phases = [x + move * f for x, f in zip(state["phases"], gradient, strict=True)]
        return {"phases": phases, "gradient": gradient, "rate": rate}

    def ascent(self, phases, h, no):
        """(mean rate of the batch [], its gradient, like `phases`)."""
        with tf.GradientTape() as tape:
            tape.watch(phases)
            h_eq, r_w, gram = self.front(h, *phases)
            f, w = map(tf.stop_gradient, self.precoder(h_eq, r_w, gram, no))
            f = unit_power_streams(f, gram[..., None, :, :])
            rate = tf.reduce_mean(metrics.stream_rate(h_eq, f, w, no, r_w))
        return rate, tape.gradient(rate, phases)
