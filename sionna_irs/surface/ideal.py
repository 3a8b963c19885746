"""Lossless elements with continuous phases."""

import tensorflow as tf

from .surface import Surface

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
        return tf.complex(tf.cos(control), tf.sin(control))
