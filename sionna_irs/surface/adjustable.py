"""Elements with a phase and an amplitude of their own."""

import math

import numpy as np
import tensorflow as tf

from .. import random
from ..arrays import unit_phasor
from .surface import Surface, wrap_phase

__all__ = ["AdjustableAmplitude"]


class AdjustableAmplitude(Surface):
    r"""Elements whose reflection coefficient is any point of the unit disc.

    .. math:: \theta_n=a_ne^{j\varphi_n},\qquad 0\le a_n\le1

    The control has 2 N numbers, phases [radian], then amplitudes. Polar coordinates give both their
    own step sizes (:meth:`spread`); the point itself is what counts: projected, (-a, phase) is
    (a, phase + pi).

    Parameters
    ----------
    panel, trainable
        As :class:`Surface`.
    initial : "zeros", "random" or array, [2 N]
        Start of the own control; the named ones have amplitude 1, "random" phases are uniform.

    Input
    -----
    control : tf.Tensor, [..., 2 N], real, or None
        None takes the surface's own control.

    Output
    ------
    theta : tf.Tensor, [..., N], complex
        In graphs, where values are not known, NaN for an amplitude out of [0, 1].

    Raises
    ------
    ValueError
        For a control whose last dimension is not 2 N and, in eager mode, for an amplitude out of
        [0, 1].

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.AdjustableAmplitude(irs.ULA(2))([0.0, 0.0, 1.0, 0.5]).numpy()
    array([1. +0.j, 0.5+0.j], dtype=complex64)
    """

    control_unit = "radian, then amplitude"

    @property
    def num_controls(self):
        """2 N, int."""
        return 2 * self.num_elements

    def control_range(self):
        """Any phase, amplitudes from 0 to 1, two arrays [2 N]."""
        free = np.full(self.num_elements, np.inf)
        return (
            np.concatenate([-free, np.zeros(self.num_elements)]),
            np.concatenate([free, np.ones(self.num_elements)]),
        )

    def spread(self, phase, amplitude):
        """A number for the phases and one for the amplitudes as an array [2 N]: step sizes.

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.AdjustableAmplitude(irs.ULA(2)).spread(0.4, 0.01)
        array([0.4 , 0.4 , 0.01, 0.01])
        """
        return np.repeat([phase, amplitude], self.num_elements)

    def _start(self, initial):
        if not isinstance(initial, str):
            return super()._start(initial)
        if initial not in self.starts():
            return super()._start(initial)  # its error
        low, high = self.starts()[initial]
        ones = tf.ones([self.num_elements], tf.float64)
        if low == high:
            return tf.concat([low * ones, ones], 0)
        phases = low + (high - low) * tf.cast(random.uniform([self.num_elements]), tf.float64)
        return tf.concat([phases, ones], 0)

    def toward(self, slope):
        """The slope's argument and amplitude 1, [..., 2 N]."""
        phase = tf.math.angle(self.cplx(slope))
        return tf.concat([phase, tf.ones_like(phase)], -1)

    def nearest(self, theta):
        """Argument and magnitude, at most 1, [..., 2 N]."""
        theta = self.cplx(theta)
        return tf.concat([tf.math.angle(theta), tf.minimum(tf.abs(theta), 1)], -1)

    def reflection(self, control):
        """a exp(j phase)."""
        phase, amplitude = tf.split(control, 2, -1)
        return tf.complex(amplitude * tf.cos(phase), amplitude * tf.sin(phase))

    def project(self, control):
        """The same or the nearest points of the disc with amplitudes in [0, 1], [..., 2 N]."""
        phase, amplitude = tf.split(control, 2, -1)
        phase += math.pi * tf.cast(amplitude < 0, phase.dtype)
        return tf.concat([wrap_phase(phase), tf.minimum(tf.abs(amplitude), 1)], -1)

    def difference(self, plus, minus):
        r"""With :math:`\bar\varphi` the mean and :math:`\delta` half the change of the phase,
        :math:`e^{j\bar\varphi}[(a_+-a_-)\cos\delta+j(a_++a_-)\sin\delta]`, [..., N].
        """
        p_plus, a_plus = tf.split(self._passed("plus", plus), 2, -1)
        p_minus, a_minus = tf.split(self._passed("minus", minus), 2, -1)
        mean, half = (p_plus + p_minus) / 2, (p_plus - p_minus) / 2
        change = tf.complex((a_plus - a_minus) * tf.cos(half), (a_plus + a_minus) * tf.sin(half))
        return unit_phasor(mean) * change

    def tangent(self, control, direction):
        r""":math:`e^{j\varphi}(w+jau)`, with w halved where a = 1, [..., N]."""
        control = self._passed("control", control)
        direction = self._admit("direction", direction, {}) * self.freedom(control)
        phase, amplitude = tf.split(control, 2, -1)
        turn, stretch = tf.split(direction, 2, -1)
        return unit_phasor(phase) * tf.complex(stretch, amplitude * turn)

    def freedom(self, control):
        """1, and 1/2 for amplitudes of 1, [..., 2 N]."""
        phase, amplitude = tf.split(control, 2, -1)
        half = 1 - 0.5 * tf.cast(amplitude >= 1, amplitude.dtype)
        return tf.concat([tf.ones_like(phase), half], -1)
