"""The surface contract: control -> reflection coefficients."""

import math

import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer

__all__ = ["Surface"]


class Surface(LinkLayer):
    r"""Base of all surfaces: a real control becomes reflection coefficients :math:`\theta`.

    The coefficients multiply the wave: :math:`H=H_{out}\,\mathrm{diag}(\theta)\,H_{in}`. Derive
    from it and write ``reflection(control)``, real [..., N] to complex [..., N].

    Parameters
    ----------
    panel : ULA or UPA
        Geometry; its ``num_ant`` is the number of elements N.
    trainable : bool
        Whether the surface's own control is a trainable weight.
    initial : "zeros", "random" or array, [N]
        Start of the own control; "random" is uniform in [0, 2 pi), drawn at construction.

    Input
    -----
    control : tf.Tensor, [..., N], real, or None
        None takes the surface's own control.

    Output
    ------
    theta : tf.Tensor, [..., N], complex

    Raises
    ------
    ValueError
        For an unknown `initial`, or a control whose last dimension is not N.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> class Mirror(irs.Surface):
    ...     def reflection(self, control):
    ...         return -tf.ones_like(self.cplx(control))
    >>> Mirror(irs.ULA(2))(tf.zeros([3, 2])).shape
    TensorShape([3, 2])
    """

    inputs = {"control": Input("real", "num_elements")}

    def __init__(self, panel, trainable=False, initial="zeros", **kwargs):
        super().__init__(**kwargs)
        self.panel = panel
        self.num_elements = panel.num_ant
        if isinstance(initial, str) and initial not in ("zeros", "random"):
            raise ValueError(f"initial = {initial!r}; 'zeros', 'random' or an array is needed")
        shape = [self.num_elements]
        if isinstance(initial, str):
            start = tf.zeros(shape) if initial == "zeros" else random.uniform(shape)
            start = 2 * math.pi * start
        else:
            start = tf.reshape(tf.constant(initial, tf.float64), shape)
        self.control = self.add_weight(
            shape=shape, initializer="zeros", trainable=trainable, name="control"
        )
        self.control.assign(tf.cast(start, self.rdtype))

    def reflection(self, control):
        """Reflection coefficients [..., N], complex, of controls [..., N], real."""
        raise TypeError(f"{type(self).__name__} must define reflection(control)")

    def call(self, control=None):
        return self.reflection(tf.convert_to_tensor(self.control) if control is None else control)
