"""Elements with a phase and an amplitude of their own."""

import math

import tensorflow as tf

from .surface import Surface, wrap_phase

__all__ = ["AdjustableAmplitude"]


class AdjustableAmplitude(Surface):
    r"""Elements whose reflection coefficient is any point of the unit disc.

    .. math:: \theta_n=a_ne^{j\varphi_n},\qquad 0\le a_n\le1

    The control has two rows, phases [radian] and amplitudes. Polar coordinates give both their own
    step sizes; the point itself is what counts: (-a, phase) and (a, phase + pi) are the same one.

    Parameters
    ----------
    panel, trainable
        As :class:`Surface`.
    initial : "zeros", "random" or array, [2, N]
        Start of the own control; the named ones have amplitude 1, "random" phases are uniform.

    Input
    -----
    control : tf.Tensor, [..., 2, N], real, or None
        None takes the surface's own control.

    Output
    ------
    theta : tf.Tensor, [..., N], complex

    Raises
    ------
    ValueError
        For a control whose last dimensions are not [2, N].

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.AdjustableAmplitude(irs.ULA(2))([[0.0, 0.0], [1.0, 0.5]]).numpy()
    array([1. +0.j, 0.5+0.j], dtype=complex64)
    """

    inputs = {
        name: type(declared)("real", 2, "num_elements") for name, declared in Surface.inputs.items()
    }
    control_rows = (2,)

    def _start(self, initial):
        if not isinstance(initial, str):
            return super()._start(initial)
        return tf.stack([super()._start(initial)[0], tf.ones([self.num_elements], tf.float64)])

    def reflection(self, control):
        """a exp(j phase)."""
        phase, amplitude = tf.unstack(control, axis=-2)
        return tf.complex(amplitude * tf.cos(phase), amplitude * tf.sin(phase))

    def project(self, control):
        """The same or the nearest points of the disc with amplitudes in [0, 1], [..., 2, N]."""
        phase, amplitude = tf.unstack(control, axis=-2)
        phase += math.pi * tf.cast(amplitude < 0, phase.dtype)
        return tf.stack([wrap_phase(phase), tf.minimum(tf.abs(amplitude), 1)], -2)

    def difference(self, plus, minus):
        r"""With :math:`\bar\varphi` the mean and :math:`\delta` half the change of the phase,
        :math:`e^{j\bar\varphi}[(a_+-a_-)\cos\delta+j(a_++a_-)\sin\delta]`, [..., N].
        """
        p_plus, a_plus = tf.unstack(self._admit("plus", plus, {}), axis=-2)
        p_minus, a_minus = tf.unstack(self._admit("minus", minus, {}), axis=-2)
        mean, half = (p_plus + p_minus) / 2, (p_plus - p_minus) / 2
        change = tf.complex((a_plus - a_minus) * tf.cos(half), (a_plus + a_minus) * tf.sin(half))
        return tf.complex(tf.cos(mean), tf.sin(mean)) * change

    def tangent(self, control, direction):
        r""":math:`e^{j\varphi}(w+jau)`, with w halved where a = 1, [..., N]."""
        control = self._admit("control", control, {})
        direction = self._admit("direction", direction, {}) * self.freedom(control)
        phase, amplitude = tf.unstack(control, axis=-2)
        turn, stretch = tf.unstack(direction, axis=-2)
        return tf.complex(tf.cos(phase), tf.sin(phase)) * tf.complex(stretch, amplitude * turn)

    def freedom(self, control):
        """1, and 1/2 for amplitudes of 1, [..., 2, N]."""
        phase, amplitude = tf.unstack(control, axis=-2)
        return tf.stack(
            [tf.ones_like(phase), 1 - 0.5 * tf.cast(amplitude >= 1, amplitude.dtype)], -2
        )
