"""The surface contract: control -> reflection coefficients."""

import math

import numpy as np
import tensorflow as tf

from .. import random
from ..arrays import require_array, unit_phasor
from ..layer import Input, LinkLayer
from .operators import BlockOperator

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
    from it and write ``reflection(control)``, real [..., C] to complex [..., N]. Where a control is
    no phase, say its ``control_unit`` and ``control_range()``, and write ``toward(slope)``: the
    control with the largest :math:`\mathrm{Re}\sum_n s_n^*\theta_n`, by which designs are realised.
    Elements that depend on frequency say ``frequency_selective = True`` and take
    ``reflection(control, frequencies=None)`` with the result of :meth:`response`.

    Parameters
    ----------
    panel : ULA or UPA
        Geometry; its ``num_ant`` is the number of elements N.
    trainable : bool
        Whether the surface's own control is a trainable weight.
    initial : str or array, [C]
        Start of the own control: a name of :meth:`starts` or values. For phases "zeros", or
        "random", uniform in [0, 2 pi), drawn at construction.

    Input
    -----
    control : tf.Tensor, [..., C], real, or None
        C is ``num_controls``, N unless the class says otherwise. None takes the surface's own
        control.

    Output
    ------
    theta : tf.Tensor, [..., N], complex
        In graphs, where values are not known, NaN for a control out of its range.

    Raises
    ------
    TypeError
        For a `panel` that is no array.
    ValueError
        For an unknown `initial`, a control whose last dimension is not C and, in eager mode, one
        out of its range.

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
        name: Input("real", "num_controls") for name in ("control", "plus", "minus", "direction")
    }
    frequency_selective = False
    control_unit = "radian"
    diagonal = True  # whether the response is a vector

    def __init__(self, panel, trainable: bool = False, initial="zeros", **kwargs):
        super().__init__(**kwargs)
        self.panel = require_array("panel", panel)
        self.num_elements = panel.num_ant
        self.control = self.add_weight(
            shape=[self.num_controls],
            initializer="zeros",
            trainable=trainable,
            name="control",
        )
        start = tf.cast(self._start(initial), self.rdtype)
        self.control.assign(self._in_range("initial", start))
        if self.control_range() is not None:
            self.control.constraint = self.project

    @property
    def num_controls(self):
        """Real numbers that set the surface, C, int."""
        return self.num_elements

    def control_range(self):
        """Smallest and largest controls, numbers or arrays [C]; None where all are permitted."""
        return None

    def starts(self):
        """Named starts of the own control: name -> (low, high) of a uniform draw.

        Returns
        -------
        dict
            Equal ends are a constant start.
        """
        return {"zeros": (0.0, 0.0), "random": (0.0, 2 * math.pi)}

    def _start(self, initial):
        shape = [self.num_controls]
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

    def load_own_variables(self, store):
        """As Keras; earlier files have rows [r, N] where a control has [r N] numbers."""
        own = [*self._trainable_variables, *self._non_trainable_variables]
        stored = {key: np.asarray(store[key]) for key in store.keys()}
        for key, weight in zip(map(str, range(len(own))), own, strict=True):
            if key in stored and stored[key].size == math.prod(weight.shape):
                stored[key] = stored[key].reshape(weight.shape)
        super().load_own_variables(stored)

    def reflection(self, control):
        """Reflection coefficients [..., N], complex, of controls [..., C], real."""
        raise TypeError(f"{type(self).__name__} must define reflection(control)")

    def toward(self, slope):
        r"""The control whose coefficients have the largest :math:`\mathrm{Re}\sum_n s_n^*\theta_n`.

        Parameters
        ----------
        slope : tf.Tensor, [..., N], complex
            s; here, where the control is a phase, its argument.

        Returns
        -------
        tf.Tensor, [..., C], real

        Raises
        ------
        TypeError
            When the class has controls of another kind and does not say.

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.IdealPhases(irs.ULA(2)).toward([2j, 1.0]).numpy().round(3)
        array([1.571, 0.   ], dtype=float32)
        """
        if self.control_unit != "radian" or self.num_controls != self.num_elements:
            raise TypeError(
                f"{type(self).__name__} has controls in {self.control_unit!r}, {self.num_controls} "
                f"for {self.num_elements} elements: it must define toward(slope)"
            )
        return tf.math.angle(self.cplx(slope))

    def support(self, slope, theta=None):
        r"""The response with the largest :math:`\mathrm{Re}\langle s,\Theta\rangle`.

        Parameters
        ----------
        slope : tf.Tensor, [..., N], complex, or BlockOperator
        theta : tf.Tensor, [..., N], complex, or BlockOperator, or None
            The present response, which decides what the slope leaves open.

        Returns
        -------
        tf.Tensor, [..., N], complex, or BlockOperator
        """
        return self(self.toward(slope))

    def nearest(self, theta):
        r"""The control with the smallest :math:`\sum_n|\theta_n(c)-\theta_n|^2`.

        Parameters
        ----------
        theta : tf.Tensor, [..., N], complex

        Returns
        -------
        tf.Tensor, [..., C], real
            :meth:`toward` of it, which is exact where all coefficients have the same magnitude.
        """
        return self.toward(theta)

    def realize(self, wanted):
        """The control that comes closest to a design.

        Parameters
        ----------
        wanted : tf.Tensor, [..., N]
            Real: phases [radian], which are directions (:meth:`toward`). Complex: coefficients,
            which are points (:meth:`nearest`).

        Returns
        -------
        tf.Tensor, [..., C], real
            Phases that are controls come back unchanged.

        Raises
        ------
        TypeError
            As :meth:`toward`.
        ValueError
            When the last dimension is not N.

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.AdjustableAmplitude(irs.ULA(1)).realize([0.5j]).numpy().round(3)
        array([1.571, 0.5  ], dtype=float32)
        """
        wanted = tf.convert_to_tensor(wanted)
        if wanted.shape.rank == 0 or wanted.shape[-1] != self.num_elements:
            raise ValueError(
                f"the design has shape {wanted.shape}; [..., {self.num_elements}] is needed"
            )
        if wanted.dtype.is_complex:
            return self.nearest(self.cplx(wanted))
        phase = tf.cast(wanted, self.rdtype)
        if type(self).toward is Surface.toward and self.control_unit == "radian":
            return phase
        return self.toward(unit_phasor(phase))

    def respond(self, wanted):
        """The response to a design, [..., N], complex: that of :meth:`realize`.

        Parameters
        ----------
        wanted : tf.Tensor, [..., N]
            As :meth:`realize`.
        """
        return self(self.realize(wanted))

    def project(self, control):
        """The nearest permitted controls, [..., C]."""
        ends = self.control_range()
        return control if ends is None else tf.clip_by_value(control, *map(self.real, ends))

    def _in_range(self, name, control):
        """The control; out of its range an error or, in graphs, NaN."""
        ends = self.control_range()
        if ends is None:
            return control
        control = self.real(control)
        low, high = (np.broadcast_to(end, [self.num_controls]) for end in ends)
        rounding = 1e-6 * np.where(np.isfinite(high), np.abs(high), 0)
        outside = (control < low - rounding) | (control > high + rounding)
        if not tf.executing_eagerly():
            return tf.where(outside, tf.constant(np.nan, control.dtype), control)
        outside = outside.numpy()
        if outside.any():
            place = np.argwhere(outside)[0]
            raise ValueError(
                f"{name} = {control.numpy()[tuple(place)]:g} {self.control_unit}; a number in "
                f"[{low[place[-1]]:g}, {high[place[-1]]:g}] is needed (`project` gives the nearest)"
            )
        return control

    def _passed(self, name, control):
        """An argument as a tensor of the layer's precision and shape, in its range."""
        return self._in_range(name, self._admit(name, control, {}))

    def difference(self, plus, minus):
        """Change of theta between two controls, [..., N], complex.

        Subclasses whose formula needs no subtraction of nearly equal numbers say it here.

        Parameters
        ----------
        plus, minus : tf.Tensor, [..., C], real

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
        control, direction : tf.Tensor, [..., C], real

        Returns
        -------
        tf.Tensor, [..., N], complex

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.IdealPhases(irs.ULA(2)).tangent([0.0, 0.0], [1.0, -2.0]).numpy()
        array([0.+1.j, 0.-2.j], dtype=complex64)
        """
        control = self._passed("control", control)
        direction = self._admit("direction", direction, {}) * self.freedom(control)
        with tf.autodiff.ForwardAccumulator(control, direction) as accumulator:
            theta = self.reflection(control)
        return accumulator.jvp(theta)

    def freedom(self, control):
        """1 inside the permitted range and 1/2 on its boundary, for every number of a control."""
        ends = self.control_range()
        if ends is None:
            return tf.ones_like(control)
        low, high = ends
        return 1 - 0.5 * tf.cast((control <= low) | (control >= high), control.dtype)

    def response(self, control=None, frequencies=(0.0,)):
        r"""Reflection coefficients at several frequencies, :math:`\theta_n(f)`.

        Parameters
        ----------
        control : tf.Tensor, [..., C], real, or None
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
        control = self._own() if control is None else self._passed("control", control)
        if self.frequency_selective:
            return self.reflection(control, frequencies)
        count = frequencies.shape[0] or tf.size(frequencies)
        theta = self.reflection(control)
        if not self.diagonal:
            return BlockOperator(tf.repeat(theta.blocks[..., None, :, :, :], count, axis=-4))
        return tf.repeat(theta[..., None, :], count, axis=-2)

    def _own(self):
        """The own control: within its range, wherever an optimiser has left it."""
        own = tf.convert_to_tensor(self.control)
        if tf.executing_eagerly():
            return self._in_range("control", own)
        return own if self.control_range() is None else self.project(own)

    def call(self, control=None):
        if control is None:
            return self.reflection(self._own())
        return self.reflection(self._in_range("control", control))
