"""Elements whose amplitude depends on their phase."""

import math

import numpy as np
import tensorflow as tf

from .surface import Surface, wrap_phase

__all__ = ["CoupledAmplitude"]

# Points of a search over the circle, and of those around its result.
_GRID, _FINER = 65, 17


class CoupledAmplitude(Surface):
    r"""Elements that absorb at some phases: :math:`\theta_n=\beta(\varphi_n)e^{j\varphi_n}`.

    .. math:: \beta(\varphi)=(1-\beta_{min})
              \Big(\frac{\sin(\varphi-\varphi_0)+1}2\Big)^k+\beta_{min}

    The control is the phase; at a wanted one the element may absorb, so that a design is realised
    by the phase beside it that serves best.

    Source: Abeywickrama, Zhang, Wu and Yuen 2020, eq. (5).

    Parameters
    ----------
    panel, trainable, initial
        As :class:`Surface`.
    beta_min : float
        Smallest amplitude, in [0, 1].
    steepness : float
        k, at least 0.
    phase_offset : float
        phi_0 [radian].

    Raises
    ------
    ValueError
        For parameters out of range.

    Examples
    --------
    >>> import math, tensorflow as tf, sionna_irs as irs
    >>> surface = irs.CoupledAmplitude(irs.ULA(1), phase_offset=0.0)
    >>> round(float(abs(surface(tf.constant([-math.pi / 2]))[0])), 3)
    0.2
    """

    def __init__(
        self,
        panel,
        beta_min: float = 0.2,
        steepness: float = 1.6,
        phase_offset: float = 0.43 * math.pi,
        **kwargs,
    ):
        super().__init__(panel, **kwargs)
        if not 0 <= beta_min <= 1:
            raise ValueError(f"beta_min = {beta_min}; a number in [0, 1] is needed")
        if not steepness >= 0:
            raise ValueError(f"steepness = {steepness}; a number of at least 0 is needed")
        self.beta_min, self.steepness, self.phase_offset = beta_min, steepness, phase_offset

    def reflection(self, control):
        """beta(phase) exp(j phase)."""
        # Half-angle form: 1 + sin(x) cancels near -pi/2, and its power has no gradient at 0.
        half = tf.abs(tf.sin((control - self.phase_offset) / 2 + math.pi / 4))
        safe = tf.maximum(half, tf.cast(1e-12, half.dtype))
        share = tf.pow(safe, 2 * self.steepness)
        amplitude = (1 - self.beta_min) * share + self.beta_min
        return tf.complex(amplitude * tf.cos(control), amplitude * tf.sin(control))

    def toward(self, slope):
        r"""The phase with the largest :math:`\beta(x)\cos(x-\arg s)`, [..., N] [radian]."""
        slope = self.cplx(slope)
        return self._best(lambda theta: tf.math.real(tf.math.conj(slope[..., None]) * theta), slope)

    def nearest(self, theta):
        """The phases whose coefficients are closest, [..., N] [radian]."""
        theta = self.cplx(theta)
        return self._best(lambda found: -tf.square(tf.abs(found - theta[..., None])), theta)

    def _best(self, value, like):
        """Search over the circle and, finer, around what was found: to rounding after four."""
        best, width = tf.zeros_like(tf.math.real(like)), 2 * math.pi
        for points in (_GRID, _FINER, _FINER, _FINER, _FINER):
            offsets = self.real(width * (np.arange(points) / (points - 1) - 0.5))
            phases = best[..., None] + offsets
            choice = tf.one_hot(tf.argmax(value(self.reflection(phases)), -1), points)
            best = tf.reduce_sum(phases * tf.cast(choice, phases.dtype), -1)
            width *= 4 / (points - 1)
        return wrap_phase(best)
