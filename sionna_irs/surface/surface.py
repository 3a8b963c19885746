"""The surface contract: control -> reflection coefficients."""

import math

import numpy as np
import tensorflow as tf

from .. import random
from ..arrays import require_array
from ..layer import Input, LinkLayer

__all__ = ["Surface", "as_frequencies", "wrap_phase"]


def wrap_phase(phase):
    """The same phase in [-pi, pi], where single precision resolves it best."""
    return phase - 2 * math.pi * tf.round(phase / (2 * math.pi))


def as_frequencies(value):
    """An array or tensor [F], or ValueError."""
    value = value if tf.is_tensor(value) else np.asarray(value, float)
    if len(value.shape) != 1 or value.shape[0] == 0:
        raise ValueError(
            f"frequencies has shape {tuple(value.shape)}; [F] with F >= 1 is needed [Hz]"
        )
    return value


class Surface(LinkLayer):
    r"""Base of all surfaces: a real control becomes reflection coefficients :math:`\theta`.

    The coefficients multiply the wave: :math:`H=H_{out}\,\mathrm{diag}(\theta)\,H_{in}`. Derive
    from it and write ``reflection(control)``, real [..., N] to complex [..., N]. Elements that
    depend on frequency say ``frequency_selective = True`` and take
    ``reflection(control, frequencies=None)`` with the result of :meth:`response`.

    Parameters
    ----------
    panel : ULA or UPA
        Geometry; its ``num_ant`` is the number of elements N.
    trainable : bool
        Whether the surface's own control is a trainable weight.
    initial : str or array, [N]
        Start of the own control: a name of :meth:`starts` or values. For phases "zeros", or
        "random", uniform in [0, 2 pi), drawn at construction.

    Input
    -----
    control : tf.Tensor, [..., N], real, or None
        None takes the surface's own control.

    Output
    ------
    theta : tf.Tensor, [..., N], complex

    Raises
    ------
    TypeError
        For a `panel` that is no array.
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

    inputs = {
        name: Input("real", "num_elements") for name in ("control", "plus", "minus", "direction")
    }
    frequency_selective = False
    control_rows = ()  # (r,): r numbers for every element, control [..., r, N]

    def __init__(self, panel, trainable: bool = False, initial="zeros", **kwargs):
        super().__init__(**kwargs)
        self.panel = require_array("panel", panel)
        self.num_elements = panel.num_ant
        self.control = self.add_weight(
            shape=[*self.control_rows, self.num_elements],
            initializer="zeros",
            trainable=trainable,
            name="control",
        )
        self.control.assign(tf.cast(self._start(initial), self.rdtype))

    def starts(self):
        """Named starts of the own control: name -> (low, high) of a uniform draw.

        Returns
        -------
        dict
            Equal ends are a constant start.
        """
        return {"zeros": (0.0, 0.0), "random": (0.0, 2 * math.pi)}

    def _start(self, initial):
        shape = [*self.control_rows, self.num_elements]
        if not isinstance(initial, str):
            return tf.reshape(tf.constant(initial, tf.float64), shape)
        starts = self.starts()
        if initial not in starts:
            names = ", ".join(map(repr, starts))
            raise ValueError(f"initial = {initial!r}; {names} or an array is needed")
        low, high = starts[initial]
        if low == high:
            return tf.fill(shape, tf.constant(low, tf.float64))
        return low + (high - low) * tf.cast(random.uniform(shape), tf.float64)

    def reflection(self, control):
        """Reflection coefficients [..., N], complex, of controls [..., N], real."""
        raise TypeError(f"{type(self).__name__} must define reflection(control)")

    def project(self, control):
        """The nearest permitted controls, [..., N]; here all are permitted."""
        return control

    def difference(self, plus, minus):
        """Change of theta between two controls, [..., N], complex.

        Subclasses whose formula needs no subtraction of nearly equal numbers say it here.

        Parameters
        ----------
        plus, minus : tf.Tensor, [..., N], real

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.IdealPhases(irs.ULA(1)).difference([1e-9], [-1e-9]).numpy()
        array([0.+2.e-09j], dtype=complex64)
        """
        return self(plus) - self(minus)

    def tangent(self, control, direction):
        r"""Limit of :math:`(\theta(\Pi(c+\mu u))-\theta(\Pi(c-\mu u)))/2\mu` for small mu.

        The derivative of theta along `direction`; where the control sits on its boundary, one of
        the two projected (:meth:`project`) steps does not move, which leaves half of it.

        Parameters
        ----------
        control, direction : tf.Tensor, [..., N], real

        Returns
        -------
        tf.Tensor, [..., N], complex

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.IdealPhases(irs.ULA(2)).tangent([0.0, 0.0], [1.0, -2.0]).numpy()
        array([0.+1.j, 0.-2.j], dtype=complex64)
        """
        control = self._admit("control", control, {})
        direction = self._admit("direction", direction, {}) * self.freedom(control)
        with tf.autodiff.ForwardAccumulator(control, direction) as accumulator:
            theta = self.reflection(control)
        return accumulator.jvp(theta)

    def freedom(self, control):
        """1 inside the permitted range and 1/2 on its boundary, for every number of a control."""
        return tf.ones_like(control)

    def response(self, control=None, frequencies=(0.0,)):
        r"""Reflection coefficients at several frequencies, :math:`\theta_n(f)`.

        Parameters
        ----------
        control : tf.Tensor, [..., N], real, or None
            None takes the surface's own control.
        frequencies : array or tf.Tensor, [F], real
            Relative to the carrier [Hz].

        Returns
        -------
        tf.Tensor, [..., F, N], complex
            The same at every frequency unless the class is ``frequency_selective``.

        Raises
        ------
        ValueError
            When `frequencies` is not of shape [F].

        Examples
        --------
        >>> import tensorflow as tf, sionna_irs as irs
        >>> irs.IdealPhases(irs.ULA(2)).response(tf.zeros([5, 2]), [-1e6, 0.0, 1e6]).shape
        TensorShape([5, 3, 2])
        """
        frequencies = as_frequencies(frequencies)
        control = self._admit("control", self._own(control), {})
        if self.frequency_selective:
            return self.reflection(control, frequencies)
        count = frequencies.shape[0] or tf.size(frequencies)
        return tf.repeat(self.reflection(control)[..., None, :], count, axis=-2)

    def _own(self, control):
        return tf.convert_to_tensor(self.control) if control is None else control

    def call(self, control=None):
        return self.reflection(self._own(control))
