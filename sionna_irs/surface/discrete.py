"""Lossless elements with b-bit phases."""

import math

import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import require_integer
from .surface import Surface, wrap_phase

__all__ = ["DiscretePhases", "quantize_phase"]


def quantize_phase(phase, num_bits):
    """The nearest multiple of 2 pi / 2^num_bits; the gradient passes straight through.

    Parameters
    ----------
    phase : tf.Tensor, [...], real
        [radian]
    num_bits : int
        At least 1.

    Returns
    -------
    tf.Tensor, [...], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.surface.discrete import quantize_phase
    >>> float(quantize_phase(tf.constant(1.0), 1))
    0.0
    """
    step = 2 * math.pi / 2**num_bits
    return phase + tf.stop_gradient(step * tf.round(phase / step) - phase)


class DiscretePhases(Surface):
    r"""Lossless elements of 2^b phases: :math:`\theta_n=e^{jQ(\varphi_n)}`.

    Q rounds to the nearest multiple of :math:`2\pi/2^b`. Its gradient is taken as 1
    (straight-through), so that phases can be trained; it is not the derivative of the output.

    Parameters
    ----------
    panel, trainable, initial
        As :class:`Surface`.
    num_bits : int
        b in 1..16.

    Raises
    ------
    ValueError
        For another `num_bits`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.DiscretePhases(irs.ULA(2), num_bits=1)(tf.constant([0.3, 3.0])).numpy().real
    array([ 1., -1.], dtype=float32)
    """

    def __init__(self, panel, num_bits: int, **kwargs):
        super().__init__(panel, **kwargs)
        require_integer("num_bits", num_bits, high=16)
        self.num_bits = num_bits

    def project(self, control):
        """The same phases in [-pi, pi], [..., N], not yet rounded."""
        return wrap_phase(control)

    def reflection(self, control):
        """exp(j Q(phase))."""
        phase = quantize_phase(control, self.num_bits)
        return unit_phasor(phase)
