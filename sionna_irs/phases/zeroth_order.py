"""Tuning of surfaces from observed channels: zeroth-order and first-order stochastic ascent."""

import math

import numpy as np
import tensorflow as tf

from .. import random
from ..layer import require_integer, to_dtype
from ..linalg.scale import divide, scaled_noise, unit_scale
from ..metrics import sum_rate
from ..surface.design import Design

__all__ = ["FirstOrder", "SurfaceTuner", "ZerothOrder"]


class SurfaceTuner:
    r"""Base of the tuners: stochastic ascent, :math:`c\leftarrow\Pi(c+\eta\gamma_t\hat g)`.

    In every coherence interval the precoder is designed for the observed channel by an oracle, and
    the controls take one step along an estimate of the rate's gradient with that precoder held
    fixed. Derive from it and write ``gradient(controls, observe, h, v, directions)``.

    Parameters
    ----------
    oracle : callable
        Precoder ``(h, no) -> v``, such as :class:`WMMSE`.
    surfaces : dict
        Name -> :class:`Surface`: how controls are projected.
    step_size : float or dict
        eta; a dict has a number or an array that broadcasts to the control for every surface.
    no : float
        Noise variance over total transmit power.
    decay, decay_steps : float, int
        :math:`\gamma_t=d^{\min(\max(t-1,0),n)}`.
    weights : list of float or None
        User weights of the rate, as the oracle's.

    Raises
    ------
    ValueError
        For numbers out of range, and surfaces without a step size.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> class Idle(irs.SurfaceTuner):
    ...     def gradient(self, controls, observe, h, v, directions):
    ...         return {name: 0 * c for name, c in controls.items()}
    >>> channel = irs.CascadedChannel(num_rx_ant=1, num_elements=4)
    >>> tuner = Idle(irs.MRTPrecoder(), channel.surfaces, step_size=1.0)
    >>> links = channel.draw(8)
    >>> state = tuner.start(irs.RandomPhases()(links))
    >>> tuner.step(state, 0, channel.observation(links))[1]["v"].shape
    TensorShape([8, 1, 1])
    """

    def __init__(
        self,
        oracle,
        surfaces: dict,
        step_size,
        no: float = 1.0,
        decay=0.9972,
        decay_steps=1000,
        weights=None,
    ):
        if not 0 < decay <= 1:
            raise ValueError(f"decay = {decay}; a number in (0, 1] is needed")
        require_integer("decay_steps", decay_steps, low=0)
        if not isinstance(step_size, dict):
            step_size = dict.fromkeys(surfaces, step_size)
        if set(step_size) != set(surfaces):
            raise ValueError(
                f"step_size is given for {sorted(step_size)}; the surfaces are {sorted(surfaces)}"
            )
        for name, value in step_size.items():
            if not np.all(np.isfinite(value)) or not np.all(np.asarray(value) >= 0):
                raise ValueError(
                    f"step_size of {name!r} = {value}; finite numbers of at least 0 are needed"
                )
        if isinstance(no, (int, float)) and not 0 < no < math.inf:
            raise ValueError(f"no = {no}; a positive number is needed")
        self.oracle, self.surfaces, self.step_size, self.no = oracle, surfaces, step_size, no
        self.decay, self.decay_steps, self.weights = decay, decay_steps, weights

    def start(self, controls):
        """The state of a run: the projected controls.

        Parameters
        ----------
        controls : Design, Controls or dict
            Surface -> [batch_size, ..., C], real; a :class:`Design` is realised first.

        Returns
        -------
        dict
        """
        design = isinstance(controls, Design)
        state = {}
        for name, value in controls.items():
            surface = self.surfaces[name]
            state[name] = surface.project(surface.realize(value) if design else value)
        return state

    def step(self, state, t, observe, directions=None, **oracle):
        """One coherence interval.

        Parameters
        ----------
        state : dict
            Surface -> control [batch_size, ..., N], real.
        t : int or tf.Tensor, [], integer
            Index of the interval, from 0.
        observe : callable
            controls -> h [batch_size, K, M], the same state of nature for every call.
        directions : list or None
            Directions to be probed, each as `state`; None draws them.
        **oracle
            To the oracle, such as ``num_iter``.

        Returns
        -------
        state : dict
        record : dict
            "h" [batch_size, K, M] and "v" [batch_size, M, K], complex, and "rate" [batch_size]
            [bit/s/Hz] before the step.
        """
        h = observe(state)
        v = tf.stop_gradient(self.oracle(h, self.no, **oracle))
        record = {"h": h, "v": v, "rate": sum_rate(h, v, self.no, self.weights)}
        gradient = self.gradient(state, observe, h, v, directions)
        rdtype = record["rate"].dtype
        passed = tf.clip_by_value(to_dtype(t, rdtype) - 1, 0, to_dtype(self.decay_steps, rdtype))
        gain = tf.exp(passed * math.log(self.decay))
        moved = {
            name: c + gain * to_dtype(self.step_size[name], c.dtype) * gradient[name]
            for name, c in state.items()
        }
        return self.start(moved), record

    def gradient(self, controls, observe, h, v, directions):
        """Estimate of dF/dc, surface -> [batch_size, ..., N]."""
        raise TypeError(f"{type(self).__name__} must define gradient(...)")


class ZerothOrder(SurfaceTuner):
    r"""Tuning from observed channels alone: two probes an interval, no model of the surface.

    With U standard normal and :math:`\Delta=(H(\Pi(c+\mu U))-H(\Pi(c-\mu U)))/2\mu`,

    .. math:: \hat g=sU,\qquad s=\frac2{\ln2}\sum_{k,j}\alpha_kc_{kj}\,
              \mathrm{Re}\big(\rho_{kj}^*[\Delta V]_{kj}\big),\qquad
              c_{kk}=\frac1{T_k},\ c_{kj}=\frac1{T_k}-\frac1{I_k}

    : the rate is differentiated analytically in H, only H is probed. The expectation of
    :math:`\hat g` is the gradient.

    Source: Hashmi et al., iZoSGA; corrected: their radius 1e-12 is below the resolution of single
    precision.

    Parameters
    ----------
    oracle, surfaces, step_size, no, decay, decay_steps, weights
        As :class:`SurfaceTuner`.
    smoothing_radius : float
        mu in units of the control. For a black box in single precision 3e-3 (radian), in double
        1e-5 balance rounding and curvature; observations with errors of standard deviation e need
        more, as they enter as e / mu. 0 is the exact limit, for an observation that has a method
        ``change`` (:meth:`SurfaceChannel.observation`).
    num_probes : int
        Pairs of probes for every interval, averaged.

    Raises
    ------
    ValueError
        For numbers out of range; for a radius of 0 with a plain callable.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> bs, panel, users = irs.ULA(4), irs.UPA(2, 4), irs.ULA(2)
    >>> channel = irs.SurfaceChannel(
    ...     hops={"tx>s1": irs.RicianHop(bs, panel, 3.0), "s1>rx": irs.RayleighHop(panel, users)},
    ...     surfaces={"s1": irs.IdealPhases(panel)})
    >>> tuner = irs.ZerothOrder(irs.WMMSE(num_iter=5), channel.surfaces, step_size=0.4)
    >>> state = tuner.start(irs.RandomPhases()(channel.draw(8)))
    >>> for t in range(3):
    ...     state, record = tuner.step(state, t, channel.observation(channel.draw(8)))
    >>> record["rate"].shape
    TensorShape([8])
    """

    def __init__(
        self,
        oracle,
        surfaces,
        step_size,
        smoothing_radius: float = 0.0,
        num_probes: int = 1,
        **kwargs,
    ):
        super().__init__(oracle, surfaces, step_size, **kwargs)
        if not 0 <= smoothing_radius < math.inf:
            raise ValueError(
                f"smoothing_radius = {smoothing_radius}; a finite number of at least 0 is needed"
            )
        require_integer("num_probes", num_probes)
        self.smoothing_radius, self.num_probes = smoothing_radius, num_probes

    def draw_directions(self, controls):
        """Standard normal directions for one interval: a list of `num_probes` controls."""
        return [
            {name: random.normal(tf.shape(c), c.dtype) for name, c in controls.items()}
            for _ in range(self.num_probes)
        ]

    def gradient(self, controls, observe, h, v, directions):
        directions = self.draw_directions(controls) if directions is None else directions
        total = {name: tf.zeros_like(c) for name, c in controls.items()}
        for direction in directions:
            slope = self._slope(h, v, self._change(controls, direction, observe))
            for name, u in direction.items():
                ones = [1] * (u.shape.rank - slope.shape.rank)
                s = tf.reshape(slope, tf.concat([tf.shape(slope), ones], 0))
                total[name] += s * u / len(directions)
        return total

    def _change(self, controls, direction, observe):
        """Slope of H along a direction, [batch_size, K, M]."""
        radius = self.smoothing_radius
        if hasattr(observe, "change"):
            return observe.change(controls, direction, radius)
        if radius == 0:
            raise ValueError(
                "smoothing_radius = 0: observe has no method `change`; a positive radius is needed"
            )
        plus, minus = (
            observe(
                {n: self.surfaces[n].project(c + r * direction[n]) for n, c in controls.items()}
            )
            for r in (radius, -radius)
        )
        return (plus - minus) / (2 * radius)

    def _slope(self, h, v, change):
        """s [batch_size]: slope of the rate when H moves along `change`, V held fixed."""
        h, scale = unit_scale(h)
        rho, moved = tf.linalg.matmul(h, v), tf.linalg.matmul(divide(change, scale), v)
        power = tf.square(tf.math.real(rho)) + tf.square(tf.math.imag(rho))
        eye = tf.eye(power.shape[-1], dtype=power.dtype)
        interference = tf.reduce_sum(power * (1 - eye), -1, keepdims=True)
        interference += scaled_noise(self.no, scale)
        total = interference + tf.linalg.diag_part(power)[..., None]
        product = tf.math.real(rho) * tf.math.real(moved) + tf.math.imag(rho) * tf.math.imag(moved)
        terms = product * (1 / total - (1 - eye) / interference)
        if self.weights is not None:
            terms *= to_dtype(self.weights, power.dtype)[:, None]
        return 2 / math.log(2) * tf.reduce_sum(terms, [-2, -1])


class FirstOrder(SurfaceTuner):
    r"""The same ascent with the exact gradient of the draw: what not knowing the model costs.

    `observe` must be differentiable in the controls, such as
    :meth:`SurfaceChannel.observation`. Parameters as :class:`SurfaceTuner`.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=1, num_elements=4)
    >>> tuner = irs.FirstOrder(irs.MRTPrecoder(), channel.surfaces, step_size=0.1)
    >>> state = tuner.start(irs.RandomPhases()(channel.draw(8)))
    >>> state, record = tuner.step(state, 0, channel.observation(channel.draw(8)))
    >>> state["s1"].shape
    TensorShape([8, 4])
    """

    def gradient(self, controls, observe, h, v, directions):
        with tf.GradientTape() as tape:
            tape.watch(controls)
            rate = tf.reduce_sum(sum_rate(observe(controls), v, self.no, self.weights))
        return tape.gradient(rate, controls)
