"""Lossless elements with continuous phases."""

import tensorflow as tf

from ..arrays import unit_phasor
from .surface import Surface, wrap_phase

__all__ = ["IdealPhases"]


class IdealPhases(Surface):
    r"""Lossless elements: :math:`\theta_n=e^{j\varphi_n}`, the control is the phase [radian].

    Parameters, inputs and outputs as :class:`Surface`.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.IdealPhases(irs.ULA(2))(tf.zeros([2])).numpy()
    array([1.+0.j, 1.+0.j], dtype=complex64)
    """

    def reflection(self, control):
        """exp(j phase)."""
        return unit_phasor(control)

    def project(self, control):
        """The same phases in [-pi, pi], [..., N]."""
        return wrap_phase(control)

    def difference(self, plus, minus):
        r""":math:`2je^{j(\varphi_++\varphi_-)/2}\sin((\varphi_+-\varphi_-)/2)`, [..., N]."""
        plus, minus = self._admit("plus", plus, {}), self._admit("minus", minus, {})
        size = 2 * tf.sin((plus - minus) / 2)
        return self.reflection((plus + minus) / 2) * tf.complex(tf.zeros_like(size), size)

    def tangent(self, control, direction):
        r""":math:`je^{j\varphi_n}u_n`, [..., N]."""
        control = self._admit("control", control, {})
        direction = self._admit("direction", direction, {})
        return self.reflection(control) * tf.complex(tf.zeros_like(direction), direction)
