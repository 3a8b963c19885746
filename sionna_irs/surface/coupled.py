"""Elements whose amplitude depends on their phase."""

import math

import tensorflow as tf

from .surface import Surface

__all__ = ["CoupledAmplitude"]


class CoupledAmplitude(Surface):
    r"""Elements that absorb at some phases: :math:`\theta_n=\beta(\varphi_n)e^{j\varphi_n}`.

    .. math:: \beta(\varphi)=(1-\beta_{min})
              \Big(\frac{\sin(\varphi-\varphi_0)+1}2\Big)^k+\beta_{min}

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
