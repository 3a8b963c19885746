"""From uplink estimates to downlink channels by the paths that both share."""

import math

import numpy as np
import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import Input, LinkLayer, require_integer
from ..linalg import hpd_solve
from ..linalg.scale import unit_scale

__all__ = ["FingerprintMapping"]

_BLOCK = 20_000


class FingerprintMapping(LinkLayer):
    r"""Nearest known position, its paths refined: downlink channels without training.

    The normalised estimate is compared with the uplink channels of all known positions; the best
    one lends its directions u and delays :math:`\tau`. Gauss-Newton steps refine u and the gains
    jointly,

    .. math:: \min_{g,u}\Big\|\hat h-\sum_\ell g_\ell a_{UL}(u_\ell)\Big\|^2,\quad
              [a_i(u)]_m=e^{j2\pi mu\frac{f_i}{2f_{DL}}}

    and every path is carried over: its gain is turned by
    :math:`e^{-j2\pi(f_{DL}-f_{UL})\tau}`, scaled by :math:`f_{UL}/f_{DL}` and steered anew.

    Source: beyond neural calibration, which learns this mapping.

    Parameters
    ----------
    room : RoomChannel
        Known positions: those of its split, with their paths.
    num_refine : int
        Steps.
    ridge : float
        Of the last least squares for the gains, over the number of antennas.

    Input
    -----
    h_ul : tf.Tensor, [..., K, M], complex
        Uplink estimates, a row for every user, at any scale.

    Output
    ------
    h_dl : tf.Tensor, [..., K, M], complex

    Raises
    ------
    ValueError
        For numbers out of range.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> known = irs.RoomChannel(num_users=2, num_ant=16, stride=20)
    >>> h_ul, h_dl, _ = irs.RoomChannel(num_users=2, num_ant=16, split="test", stride=20)(4)
    >>> irs.FingerprintMapping(known)(h_ul).shape
    TensorShape([4, 2, 16])
    """

    inputs = {"h_ul": Input("complex", "num_users", "num_ant")}

    def __init__(self, room, num_refine: int = 3, ridge: float = 1e-3, **kwargs):
        kwargs.setdefault("precision", room.precision)
        super().__init__(**kwargs)
        require_integer("num_refine", num_refine, low=0)
        if not 0 < ridge < math.inf:
            raise ValueError(f"ridge = {ridge}; a positive finite number is needed")
        self.room, self.num_refine, self.ridge = room, num_refine, ridge
        self.num_ant, self.carriers = room.num_ant, room.carriers
        with tf.init_scope():  # large tables stay arguments of compiled functions
            self._direction = self.real(room.paths.direction)
            self._delay = tf.constant(room.paths.delay, tf.float64)
            gain = self.cplx(room.paths.gain_ul)
            known = []
            for start in range(0, len(room.indices), _BLOCK):
                part = slice(start, start + _BLOCK)
                h = tf.linalg.matvec(self._steering(self._direction[part], 0), gain[part])
                known.append(h / self.cplx(tf.norm(tf.abs(h), axis=-1, keepdims=True)))
            self._known = known

    def _steering(self, u, band):
        """A [..., M, paths] of directions u [..., paths] in a band (0 uplink, 1 downlink)."""
        spacing = self.carriers[band] / (2 * self.carriers[1])
        turns = spacing * self.real(np.arange(self.num_ant))[:, None] * u[..., None, :]
        phase = 2 * math.pi * (turns - tf.round(turns))
        return unit_phasor(phase)

    def nearest(self, h_ul):
        """Place in the known positions [rows] of estimates [rows, M]."""
        best = tf.zeros(tf.shape(h_ul)[:1], self.rdtype)
        place = tf.zeros(tf.shape(h_ul)[:1], tf.int32)
        for index, known in enumerate(self._known):
            match = tf.abs(tf.linalg.matmul(h_ul, known, adjoint_b=True))
            value, where = tf.reduce_max(match, -1), tf.argmax(match, -1, tf.int32)
            place = tf.where(value > best, where + index * _BLOCK, place)
            best = tf.maximum(best, value)
        return place

    def call(self, h_ul):
        shape = tf.shape(h_ul)
        rows, scale = unit_scale(tf.reshape(h_ul, [-1, self.num_ant]), [-1])
        size = tf.sqrt(tf.reduce_mean(tf.square(tf.abs(rows)), -1, keepdims=True))
        size = self.cplx(tf.where(size > 0, size, tf.ones_like(size)))
        rows /= size
        place = self.nearest(rows)
        u = tf.gather(self._direction, place)
        delay = tf.gather(self._delay, place)
        for _ in range(self.num_refine):
            u = self._refined(rows, u)
        gain = self._gains(rows, u)
        # Delays of tens of nanoseconds between carriers 100 MHz apart: a few turns, in double.
        turns = (self.carriers[1] - self.carriers[0]) * delay
        phase = self.real(-2 * math.pi * (turns - tf.round(turns)))
        gain *= unit_phasor(phase) * (self.carriers[0] / self.carriers[1])
        h = tf.linalg.matvec(self._steering(u, 1), gain)
        return tf.reshape(h * size * self.cplx(scale), shape)

    def _gains(self, rows, u):
        """Gains [rows, paths] by regularised least squares."""
        a = self._steering(u, 0)
        gram = tf.linalg.matmul(a, a, adjoint_a=True)
        gram += self.cplx(self.ridge * self.num_ant) * tf.eye(u.shape[-1], dtype=a.dtype)
        return hpd_solve(gram, tf.linalg.matmul(a, rows[..., None], adjoint_a=True))[..., 0]

    def _refined(self, rows, u):
        """Directions after a damped Gauss-Newton step in gains and directions."""
        a, gain = self._steering(u, 0), self._gains(rows, u)
        rate = 2 * math.pi * self.carriers[0] / (2 * self.carriers[1])
        slope = self.cplx(1j * rate * np.arange(self.num_ant))[:, None] * a * gain[:, None, :]
        # Real unknowns: parts of the gains, then directions.
        jacobian = tf.concat([a, 1j * a, slope], -1)
        misfit = rows - tf.linalg.matvec(a, gain)
        normal = tf.math.real(tf.linalg.matmul(jacobian, jacobian, adjoint_a=True))
        diagonal = tf.linalg.diag_part(normal)
        # A path without gain has no direction to be found.
        floor = 1e-6 * tf.reduce_max(diagonal, -1, keepdims=True)
        normal += tf.linalg.diag(0.01 * diagonal + floor)
        right = tf.math.real(tf.linalg.matvec(jacobian, misfit, adjoint_a=True))
        step = hpd_solve(normal, right[..., None])[..., 0]
        return u + tf.clip_by_value(step[..., 2 * u.shape[-1] :], -0.02, 0.02)
