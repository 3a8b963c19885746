"""Weighted MMSE precoding of single-antenna users with a fixed number of iterations."""

import math

import numpy as np
import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg import hpd_inverse
from ..linalg.entries import (
    inverse_of_entries,
    join_entries,
    multiply_entries,
    split_entries,
)
from .precoders import MRTPrecoder, ZFPrecoder

__all__ = ["WMMSE"]

_MULTIPLIERS = ("newton", "bisection", "closed_form")
_STARTS = ("ones", "mrt", "zf", "zf_water_filling")
_UNROLLED_USERS = 6
_FLOOR = 1e-7  # of the multiplier, over its value at a fixed point


class WMMSE(LinkLayer):
    r"""Precoder that ascends the weighted sum rate by weighted MMSE iterations.

    For :math:`F=\sum_k\alpha_k\log_2(T_k/I_k)`, with :math:`\rho=HV`,
    :math:`T_k=\sum_j|\rho_{kj}|^2+N_0` and :math:`I_k=T_k-|\rho_{kk}|^2`, an iteration is
    :math:`u_k=\rho_{kk}/T_k`, :math:`w_k=T_k/I_k` and

    .. math:: V=\Big(\sum_k\alpha_kw_k|u_k|^2h_k^Hh_k+\mu I\Big)^{-1}
              [\alpha_1w_1u_1h_1^H,\dots,\alpha_Kw_Ku_Kh_K^H],\qquad \|V\|_F^2\le1

    V stays in the span of :math:`H^H`, so everything is done on the K x K Gram matrix: with
    :math:`\Sigma=HH^H`, :math:`D=\mathrm{diag}(\alpha_kw_k|u_k|^2)` and
    :math:`C=D^{1/2}\Sigma D^{1/2}`,

    .. math:: V=H^HD^{1/2}(C+\mu I)^{-1}\mathrm{diag}(\sqrt{\alpha_kw_k}\,e^{j\angle u_k})

    which costs the same for any number of antennas and needs no division by :math:`u_k`: a user
    that is switched off has a column of zeros. The rate has local optima; the start decides which
    is found.

    Source: Shi et al. 2011, in the form of Hashmi et al. (a fixed number of iterations from equal
    entries); corrected: the multiplier is never negative, and unequal weights enter its equation
    squared.

    Parameters
    ----------
    num_iter : int
        Iterations, at least 1.
    multiplier : "newton", "bisection" or "closed_form"
        mu from the power constraint, by Newton's method on :math:`\|V\|^{-1}`, which converges
        from every start, or by halving intervals; or :math:`\mu=N_0\,\mathrm{tr}D`, its value at
        every fixed point of full power, with V scaled to full power: the same limits on another
        path, at a fraction of the cost.
    num_steps : int or None
        Steps for mu; None takes 4 for Newton (6 to 8 where SNRs exceed 20 dB and draws are
        compared one by one) and 40 for bisection.
    start : "ones", "mrt", "zf", "zf_water_filling" or callable
        First precoder; a callable is a precoder ``(h, no) -> v``. Water-filling has 0.01 of "mrt"
        added: a user without any power would stay without.
    weights : list of float or None
        alpha_k of the users, at least 0; None takes 1.
    method : "auto", "unrolled" or "tensors"
        How K x K inverses are made: entry by entry, fastest under XLA up to 6 users, or by the
        package's linear algebra. "auto": the first for at most 6 users, except in eager mode.

    Input
    -----
    h : tf.Tensor, [..., K, M], complex
        Row k is user k.
    no : float or tf.Tensor, [...], real
        Noise variance over total transmit power, above 0.
    num_iter : int or tf.Tensor, [], integer, or None
        Instead of the constructor's; a tensor needs no new trace.
    return_state : bool

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        Power at most 1, and 1 wherever the optimum uses all of it.
    state : dict, only with `return_state`
        "rate" [..., ] weighted sum rate [bit/s/Hz] and "multiplier" [..., ], real.

    No gradient passes: the design is a decision. A gradient of the rate with V held fixed is, by
    the envelope theorem, that of the optimised rate.

    Raises
    ------
    ValueError
        For numbers out of range and unknown names; for weights that do not fit the users.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> h = tf.constant([[[2.0, 0.0], [1.0, 1.0]]], tf.complex64)
    >>> v, state = irs.WMMSE(num_iter=20)(h, 0.1, return_state=True)
    >>> v.shape, round(float(state["rate"][0]), 2)
    (TensorShape([1, 2, 2]), 6.22)
    """

    inputs = {
        "h": Input("complex", "num_users", "num_tx_ant"),
        "no": Input("real", minimum=1e-30, like="h"),
        "num_iter": Input("integer", minimum=1),
    }

    def __init__(
        self,
        num_iter=20,
        multiplier="newton",
        num_steps=None,
        start="ones",
        weights=None,
        method="auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_integer("num_iter", num_iter)
        require_integer("num_steps", num_steps, optional=True)
        for name, value, known in (
            ("multiplier", multiplier, _MULTIPLIERS),
            ("method", method, ("auto", "unrolled", "tensors")),
        ):
            if value not in known:
                raise ValueError(f"{name} = {value!r}; one of {known} is needed")
        if not callable(start) and start not in _STARTS:
            raise ValueError(f"start = {start!r}; one of {_STARTS} or a precoder is needed")
        if weights is not None:
            weights = [float(w) for w in np.ravel(weights)]
            if not weights or not all(0 <= w < math.inf for w in weights) or not any(weights):
                raise ValueError(
                    f"weights = {weights}; numbers of at least 0, not all of them 0, are needed"
                )
        self.num_iter, self.multiplier, self.method = num_iter, multiplier, method
        self.num_steps = num_steps or {"newton": 4, "bisection": 40}.get(multiplier, 0)
        self.start, self.user_weights = start, weights

    def call(self, h, no, num_iter=None, return_state=False):
        users = h.shape[-2]
        if self.user_weights is not None and len(self.user_weights) != users:
            raise ValueError(f"weights has {len(self.user_weights)} entries; {users} are needed")
        num_iter = self.num_iter if num_iter is None else num_iter
        batch = tf.shape(h)[:-2]
        no = tf.broadcast_to(self.real(no), batch)
        # With unit noise everything is of order one, however small the path gains.
        rows = tf.stop_gradient(h) / tf.cast(tf.sqrt(no), h.dtype)[..., None, None]
        rho = tf.linalg.matmul(rows, self._first(rows))
        w, rho, mu, full = self._iterate(
            _batch_last(tf.linalg.matmul(rows, rows, adjoint_b=True)), _batch_last(rho), num_iter
        )
        v = tf.linalg.matmul(rows, _batch_first(w, batch), adjoint_a=True)
        # The Gram domain knows the power to the precision that its conditioning leaves.
        power = tf.reduce_sum(tf.square(tf.abs(v)), [-2, -1])
        power = _divisor(power, tf.reshape(full, batch))
        v = tf.stop_gradient(v / _cplx(tf.sqrt(power))[..., None, None])
        v = tf.ensure_shape(v, [*h.shape[:-2], h.shape[-1], users])
        if not return_state:
            return v
        signal, interference = _powers(rho / _cplx(tf.sqrt(tf.reshape(power, [-1]))))
        rate = self._alpha(users) * tf.math.log1p(signal / interference) / math.log(2)
        state = {"rate": tf.reduce_sum(rate, 0), "multiplier": mu}
        return v, {k: tf.reshape(tf.stop_gradient(x), batch) for k, x in state.items()}

    def _first(self, rows):
        """The first precoder [..., M, K] of a channel with unit noise."""
        if callable(self.start):
            return self.start(rows, 1.0)
        if self.start == "ones":
            users, antennas = rows.shape[-2:]
            return tf.ones_like(tf.linalg.matrix_transpose(rows)) / math.sqrt(users * antennas)
        precision = {"precision": self.precision}
        mrt = MRTPrecoder(**precision)(rows, 1.0)
        if self.start == "mrt":
            return mrt
        if self.start == "zf":
            return ZFPrecoder(**precision)(rows, 1.0)
        v = ZFPrecoder("water_filling", **precision)(rows, 1.0) + mrt / 100
        power = tf.reduce_sum(tf.square(tf.abs(v)), [-2, -1], keepdims=True)
        return v / tf.cast(tf.sqrt(power), v.dtype)

    def _alpha(self, users):
        """Weights [K, 1]."""
        alpha = [1.0] * users if self.user_weights is None else self.user_weights
        return self.real(alpha)[:, None]

    def _iterate(self, gram, rho, num_iter):
        """(W, rho, mu, whether power is full) at the end; matrices are [K, K, R] here."""

        def body(i, w, rho, mu, full):
            w, mu, full = self._update(gram, rho)
            return i + 1, w, _product(gram, w), mu, full

        mu = tf.zeros_like(tf.math.real(rho[0, 0]))
        start = (tf.constant(0), tf.zeros_like(rho), rho, mu, mu > 0)
        return tf.while_loop(lambda i, *_: i < num_iter, body, start)[1:]

    def _update(self, gram, rho):
        """(W [K, K, R], mu [R], full [R]) from rho [K, K, R], for unit noise."""
        signal, interference = _powers(rho)
        total = signal + interference
        omega = self._alpha(rho.shape[0]) * total / interference
        d = omega * signal / tf.square(total)
        root = tf.sqrt(d)
        c = gram * _cplx(root[:, None] * root[None])
        unrolled = c.shape[0] <= _UNROLLED_USERS and not tf.executing_eagerly()
        if self.method == "unrolled" or (self.method == "auto" and unrolled):
            solver = _Unrolled(c, omega)
        else:
            solver = _Tensors(c, omega)
        # Its value at every fixed point of full power; not 0, where a user without a channel
        # would leave a singular matrix.
        fixed_point = tf.reduce_sum(d, 0) + tf.constant(1e-30, d.dtype)
        mu = self._multiplier(
            solver, fixed_point, tf.reduce_sum(omega * tf.math.real(_diagonal(c)), 0)
        )
        x, power, _ = solver(mu)
        full = mu > 2 * _FLOOR * fixed_point  # else less than full power may be the optimum
        power = _divisor(power, full)
        size = tf.sqrt(omega / power) * tf.math.rsqrt(tf.maximum(signal, 1e-30))
        return x * _cplx(root[:, None]) * (_diagonal(rho) * _cplx(size))[None], mu, full

    def _multiplier(self, solver, fixed_point, trace):
        """mu [R]; `trace` is that of C Omega."""
        floor = _FLOOR * fixed_point
        if self.multiplier == "closed_form":
            return fixed_point
        if self.multiplier == "newton":

            def newton(i, mu):
                _, power, slope = solver(mu)
                step = power / (slope + 1e-30) * (1 - tf.sqrt(power))
                return i + 1, tf.maximum(mu - step, floor)

            start = (tf.constant(0), fixed_point)
            return tf.while_loop(lambda i, _: i < self.num_steps, newton, start)[1]

        def halve(i, low, high):
            middle = (low + high) / 2
            above = solver(middle)[1] > 1
            return i + 1, tf.where(above, middle, low), tf.where(above, high, middle)

        # f <= tr(C Omega) / mu^2.
        start = (tf.constant(0), floor, tf.sqrt(trace) + floor)
        return tf.while_loop(lambda i, *_: i < self.num_steps, halve, start)[2]


class _Unrolled:
    r"""mu [R] -> X = (C + mu I)^-1 [K, K, R], power of V, and half its negative slope.

    .. math:: f=\mathrm{tr}(XCX\Omega),\qquad -f'/2=\mathrm{tr}(XCXX\Omega)

    The second comes from products with C, not from I - mu X, which cancels at low SNR.
    """

    def __init__(self, c, omega):
        self.c, self.omega = split_entries(c), tf.unstack(omega)

    def __call__(self, mu):
        shifted = [list(row) for row in self.c]
        for k, row in enumerate(shifted):
            row[k] = (row[k][0] + mu, row[k][1])
        x = inverse_of_entries(shifted)
        p = multiply_entries(multiply_entries(x, self.c), x)
        power = sum(weight * p[k][k][0] for k, weight in enumerate(self.omega))
        rows = [
            sum(a[0] * b[0] + a[1] * b[1] for a, b in zip(*pair, strict=True))
            for pair in zip(p, x, strict=True)
        ]
        slope = sum(weight * row for weight, row in zip(self.omega, rows, strict=True))
        return join_entries(x), power, slope


class _Tensors:
    """The same for any number of users, from batched products and inverses."""

    def __init__(self, c, omega):
        self.c, self.omega = tf.transpose(c, [2, 0, 1]), tf.transpose(omega)

    def __call__(self, mu):
        eye = tf.eye(self.c.shape[1], dtype=self.c.dtype)
        a = self.c + _cplx(mu)[:, None, None] * eye
        x = hpd_inverse(a)
        x = (x + tf.linalg.adjoint(x)) / 2  # what is not Hermitian is rounding
        p = tf.linalg.matmul(tf.linalg.matmul(x, self.c), x)
        power = tf.reduce_sum(self.omega * tf.math.real(tf.linalg.diag_part(p)), -1)
        rows = tf.reduce_sum(tf.math.real(p * tf.math.conj(x)), -1)
        return tf.transpose(x, [1, 2, 0]), power, tf.reduce_sum(self.omega * rows, -1)


def _divisor(power, full):
    """What V's power is divided by: itself where it is to be 1, else only what exceeds 1."""
    return tf.where(full & (power > 0), power, tf.maximum(power, 1))


def _batch_last(a):
    """[..., K, K] -> [K, K, R]."""
    return tf.transpose(tf.reshape(a, [-1, *a.shape[-2:]]), [1, 2, 0])


def _batch_first(a, batch):
    """[K, K, R] -> [..., K, K]."""
    return tf.reshape(tf.transpose(a, [2, 0, 1]), tf.concat([batch, a.shape[:2]], 0))


def _cplx(x):
    return tf.complex(x, tf.zeros_like(x))


def _diagonal(a):
    return tf.stack([a[k, k] for k in range(a.shape[0])])


def _product(a, b):
    """A B of [K, K, R]."""
    if a.shape[0] > _UNROLLED_USERS:
        a, b = tf.transpose(a, [2, 0, 1]), tf.transpose(b, [2, 0, 1])
        return tf.transpose(tf.linalg.matmul(a, b), [1, 2, 0])
    return sum(a[:, k, None] * b[None, k] for k in range(a.shape[0]))


def _powers(rho):
    """Signal and interference with unit noise, [K, R] each."""
    power = tf.square(tf.math.real(rho)) + tf.square(tf.math.imag(rho))
    others = 1 - tf.eye(rho.shape[0], dtype=power.dtype)
    return _diagonal(power), tf.reduce_sum(power * others[:, :, None], 1) + 1
