"""Weighted MMSE precoding of single-antenna users with a fixed number of iterations."""

import math
from typing import Literal

import numpy as np
import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg import hpd_inverse, hpd_solve
from ..linalg.entries import inverse_of_entries, join_entries, split_entries
from ..linalg.scale import unit_noise
from .linear import MRTPrecoder, RZFPrecoder, ZFPrecoder

__all__ = ["WMMSE"]

_MULTIPLIERS = ("newton", "bisection", "closed_form")
_STARTS = ("rzf", "ones", "mrt", "zf", "zf_water_filling")
_UNROLLED = 6  # rows of matrices that are written out
_FLOOR = 1e-7  # of the multiplier, over its value at a fixed point


class WMMSE(LinkLayer):
    r"""Precoder that ascends the weighted sum rate by weighted MMSE iterations.

    For :math:`F=\sum_k\alpha_k\log_2(T_k/I_k)`, with :math:`\rho=HV`,
    :math:`T_k=\sum_j|\rho_{kj}|^2+N_0` and :math:`I_k=T_k-|\rho_{kk}|^2`, an iteration is
    :math:`u_k=\rho_{kk}/T_k`, :math:`w_k=T_k/I_k` and

    .. math:: V=\Big(\sum_k\alpha_kw_k|u_k|^2h_k^Hh_k+\mu I\Big)^{-1}
              [\alpha_1w_1u_1h_1^H,\dots,\alpha_Kw_Ku_Kh_K^H],\qquad \|V\|_F^2\le1

    V stays in the span of :math:`H^H`. With :math:`D=\mathrm{diag}(\alpha_kw_k|u_k|^2)` over its
    trace t, :math:`\mu=mt` and :math:`C=D^{1/2}HH^HD^{1/2}`,

    .. math:: V=H^HD^{1/2}(C+mI)^{-1}\mathrm{diag}(\sqrt{\alpha_kw_k/t}\,e^{j\angle u_k})

    needs no division by :math:`u_k`: a user that is switched off has a column of zeros. For
    :math:`K\le M` everything is done on the K x K Gram matrix, at the same cost for any number of
    antennas; else on the M x M matrix :math:`H^HDH+mI`, so that the smaller of the two is inverted.
    At m = 1 no eigenvalue of it is below 1, whatever the ranks. The rate has local optima; the
    start decides which is found.

    Source: Shi et al. 2011, in the form of Hashmi et al. (a fixed number of iterations from equal
    entries); corrected: the multiplier is never negative, and unequal weights enter its equation
    squared.

    Parameters
    ----------
    num_iter : int
        Iterations, at least 1.
    multiplier : "closed_form", "newton" or "bisection"
        "closed_form": :math:`\mu=N_0\,\mathrm{tr}D`, its value at every fixed point of full power,
        with V scaled to full power. It is the exact step for
        :math:`\sum_k\alpha_k\log_2(1+|\rho_{kk}|^2/(\sum_{j\ne k}|\rho_{kj}|^2+N_0\|V\|^2))`,
        the rate whatever the scale of V, and never lowers it. The others take mu from the power
        constraint, by Newton's method on :math:`\|V\|^{-1}`, which converges from every start, or
        by halving intervals: the same limits on another path, at several times the cost, and from
        "ones" or "mrt" often poorer ones at high SNR.
    num_steps : int or None
        Steps for mu; None takes 4 for Newton (6 to 8 where SNRs exceed 20 dB and draws are
        compared one by one) and 40 for bisection.
    start : "rzf", "ones", "mrt", "zf", "zf_water_filling" or callable
        First precoder; a callable is a precoder ``(h, no) -> v``. "rzf": regularised zero forcing,
        for :math:`K\le M` with columns of equal power. Water-filling has 0.01 of "mrt" added: a
        user without any power would stay without.
    weights : list of float or None
        alpha_k of the users, at least 0; None takes 1.
    method : "auto", "unrolled" or "tensors"
        How K x K inverses are made: entry by entry, fastest under XLA up to 6 users, or by the
        package's linear algebra. "auto": the first for at most 6 users. With more users than
        antennas always by linear algebra.

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
        Total power 1 where any channel is not zero; with "newton" and "bisection" less where an
        update needs less. Columns of users without a channel are zero.
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

    @property
    def compiled(self):
        """What a start of the user's reads may change from call to call."""
        return not callable(self.start) or isinstance(self.start, LinkLayer)

    def __init__(
        self,
        num_iter: int = 20,
        multiplier: Literal["closed_form", "newton", "bisection"] = "closed_form",
        num_steps: int | None = None,
        start="rzf",
        weights=None,
        method: Literal["auto", "unrolled", "tensors"] = "auto",
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
        # With unit noise everything is of order one, however small the path gains.
        rows, _ = unit_noise(tf.stop_gradient(h), tf.broadcast_to(self.real(no), batch))
        small = rows
        if users <= h.shape[-1]:
            small = tf.linalg.matmul(rows, rows, adjoint_b=True)
        rho = tf.linalg.matmul(rows, self._first(rows))
        v, mu, full = self._iterate(_batch_last(small), _batch_last(rho), num_iter)
        v = _batch_first(v, batch)
        if users <= h.shape[-1]:
            v = tf.linalg.matmul(rows, v, adjoint_a=True)
        # The Gram domain knows the power to the precision that its conditioning leaves.
        power = tf.reduce_sum(_squared(v), [-2, -1])
        power = _divisor(power, tf.reshape(full, batch))
        v = tf.stop_gradient(v * _cplx(tf.math.rsqrt(power))[..., None, None])
        v = tf.ensure_shape(v, [*h.shape[:-2], h.shape[-1], users])
        if not return_state:
            return v
        signal, interference = _powers(_batch_last(tf.linalg.matmul(rows, v)))
        rate = self._alpha(users) * tf.math.log1p(signal / interference) / math.log(2)
        state = {"rate": tf.reduce_sum(rate, 0), "multiplier": mu}
        return v, {k: tf.reshape(tf.stop_gradient(x), batch) for k, x in state.items()}

    def _first(self, rows):
        """The first precoder [..., M, K] of a channel with unit noise."""
        if callable(self.start):
            return self.start(rows, 1.0)
        users, antennas = rows.shape[-2:]
        if self.start == "ones":
            return tf.ones_like(tf.linalg.matrix_transpose(rows)) / math.sqrt(users * antennas)
        precision = {"precision": self.precision}
        if self.start == "zf":
            return ZFPrecoder(**precision)(rows, 1.0)
        if self.start == "rzf":
            # More power for the weak, who need it most, unless some must be left out.
            v = RZFPrecoder(power="per_user" if users <= antennas else "total", **precision)
            v = v(rows, 1.0)
        else:
            v = MRTPrecoder(**precision)(rows, 1.0)
        if self.start == "zf_water_filling":
            v = ZFPrecoder("water_filling", **precision)(rows, 1.0) + v / 100
        power = tf.reduce_sum(_squared(v), [-2, -1], keepdims=True)
        return v * _cplx(tf.math.rsqrt(tf.where(power > 0, power, tf.ones_like(power))))

    def _alpha(self, users):
        """Weights [K, 1]."""
        alpha = [1.0] * users if self.user_weights is None else self.user_weights
        return self.real(alpha)[:, None]

    def _iterate(self, h, rho, num_iter):
        """(V, mu, whether power is full) at the end; batches are last.

        `h` is H [K, M, R], or [K, K, R] the Gram matrix: then V is W in :math:`V=H^HW`.
        """

        def body(i, v, rho, mu, full):
            return i + 1, *self._update(h, rho)

        mu = tf.zeros_like(tf.math.real(rho[0, 0]))
        v = tf.zeros_like(rho) if _is_gram(h) else tf.zeros_like(tf.transpose(h, [1, 0, 2]))
        start = (tf.constant(0), v, rho, mu, mu > 0)
        _, v, _, mu, full = tf.while_loop(lambda i, *_: i < num_iter, body, start)
        return v, mu, full

    def _update(self, h, rho):
        """(V, rho, mu, full) after an iteration from rho [K, K, R], for unit noise."""
        signal, interference = _powers(rho)
        total = signal + interference
        alpha = self._alpha(rho.shape[0])
        d = alpha * (signal / total) / interference
        trace = tf.reduce_sum(d, 0)
        safe = tf.where(trace > 0, trace, tf.ones_like(trace))
        root = tf.sqrt(d / safe)
        # The right-hand sides have a factor that is one at most; `largest` is what they lack.
        size = tf.sqrt(alpha * total / interference / safe)
        largest = tf.reduce_max(size, 0)
        turn = tf.math.rsqrt(tf.where(signal > 0, signal, tf.ones_like(signal)))
        system = _System(h, root, _diagonal(rho) * _cplx(size / largest * turn), self.method)
        m = self._multiplier(system, largest)
        v = system.precoder(m)
        rho = _product(h, v)
        full = m > 2 * _FLOOR  # else less than full power may be the optimum
        power = tf.reduce_sum(_inner(v, rho) if _is_gram(h) else _squared(v), [0, 1])
        if _is_gram(h):
            # Below it a power in the Gram domain is rounding.
            parts = tf.math.real(_diagonal(h)) * tf.reduce_sum(_squared(v), 1)
            eps = np.finfo(power.dtype.as_numpy_dtype).eps
            power = tf.maximum(power, eps * tf.reduce_sum(parts, 0))
        factor = tf.math.rsqrt(tf.where(power > 0, power, tf.ones_like(power)))
        factor = _cplx(tf.where(full, factor, tf.minimum(factor, largest)))
        return v * factor, rho * factor, m * trace, full

    def _multiplier(self, system, largest):
        """m = mu / tr D [R]; the power is that of the system times the square of `largest`."""
        fixed_point = tf.ones_like(largest)
        if self.multiplier == "closed_form":
            return fixed_point
        if self.multiplier == "newton":

            def newton(i, m):
                power, slope = system.power(m)
                ratio = power / tf.where(slope > 0, slope, tf.ones_like(slope))
                ratio = tf.clip_by_value(ratio, m, m + system.trace)  # what is outside is rounding
                m -= ratio * (1 - tf.sqrt(power) * largest)
                return i + 1, tf.maximum(m, _FLOOR)

            start = (tf.constant(0), fixed_point)
            return tf.while_loop(lambda i, _: i < self.num_steps, newton, start)[1]

        def halve(i, low, high):
            middle = (low + high) / 2
            above = tf.sqrt(system.power(middle)[0]) * largest > 1
            return i + 1, tf.where(above, middle, low), tf.where(above, high, middle)

        floor = _FLOOR * fixed_point
        start = (tf.constant(0), floor, tf.sqrt(system.strength) * largest + floor)
        return tf.while_loop(lambda i, *_: i < self.num_steps, halve, start)[2]


class _System:
    r"""The smaller of the systems: m [R] -> :math:`X=(A+mI)^{-1}`, the precoder and its power.

    In the Gram domain :math:`A=C`, and :math:`Y=XS` gives :math:`W=D^{1/2}Y`; else
    :math:`A=H^HDH`, and :math:`Y=XH^HD^{1/2}S` is V. S is diagonal. With :math:`Z=AY`, or Y, the
    power and half of its negative slope in m are

    .. math:: f=\Re\,\mathrm{tr}(Z^HY),\qquad -f'/2=\Re\,\mathrm{tr}(Z^HXY)
    """

    def __init__(self, h, root, s, method):
        self.gram, self.root, self.s = _is_gram(h), _cplx(root), s
        if self.gram:
            self.a = h * (self.root[:, None] * self.root[None])
            norms = tf.math.real(_diagonal(self.a))
        else:
            columns = _adjoint(h) * self.root[None]
            self.a = _product(columns, _adjoint(columns))
            self.right = columns * s[None]
            norms = tf.reduce_sum(_squared(columns), 0)
        self.trace = tf.reduce_sum(norms, 0)
        self.strength = tf.reduce_sum(norms * _squared(s), 0)  # at least f m^2
        unrolled = method == "unrolled" or (method == "auto" and self.a.shape[0] <= _UNROLLED)
        self.unrolled = unrolled and self.gram

    def precoder(self, m):
        """W or V."""
        y = self._solved(m)[0]
        return self.root[:, None] * y if self.gram else y

    def power(self, m):
        """f and -f'/2, [R]."""
        y, solve = self._solved(m)
        z = _product(self.a, y) if self.gram else y
        f, slope = (tf.reduce_sum(_inner(z, b), [0, 1]) for b in (y, solve(y)))
        return tf.maximum(f, 0), slope

    def _solved(self, m):
        """Y, and B -> X B. No eigenvalue of I + A / m is below 1."""
        a, scale = self.a * _cplx(1 / m), _cplx(1 / m)
        if self.unrolled:
            entries = split_entries(a)
            for k, row in enumerate(entries):
                row[k] = (row[k][0] + 1, row[k][1])
            x = join_entries(inverse_of_entries(entries, at_least=1.0)) * scale
            return x * self.s[None], lambda b: _product(x, b)
        a = tf.transpose(a, [2, 0, 1]) + tf.eye(a.shape[0], dtype=a.dtype)
        if self.gram:
            x = hpd_inverse(a, at_least=1.0)
            x = (
                tf.transpose(x + tf.linalg.adjoint(x), [1, 2, 0]) / 2 * scale
            )  # the rest is rounding
            return x * self.s[None], lambda b: _product(x, b)

        def solve(b):
            # An inverse has errors in its weak directions that the strong right-hand sides enlarge.
            x = hpd_solve(a, tf.transpose(b, [2, 0, 1]), at_least=1.0)
            return tf.transpose(x, [1, 2, 0]) * scale

        return solve(self.right), solve


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


def _is_gram(h):
    """Whether [K, M or K, R] is the Gram matrix: H itself serves where users exceed antennas."""
    return h.shape[0] == h.shape[1]


def _adjoint(a):
    return tf.math.conj(tf.transpose(a, [1, 0, 2]))


def _squared(z):
    return tf.square(tf.math.real(z)) + tf.square(tf.math.imag(z))


def _inner(a, b):
    """Real parts of conj(a) b, entry by entry."""
    return tf.math.real(a) * tf.math.real(b) + tf.math.imag(a) * tf.math.imag(b)


def _product(a, b):
    """A B of [n, m, R] and [m, l, R]."""
    if a.shape[1] > _UNROLLED:
        a, b = tf.transpose(a, [2, 0, 1]), tf.transpose(b, [2, 0, 1])
        return tf.transpose(tf.linalg.matmul(a, b), [1, 2, 0])
    return sum(a[:, k, None] * b[None, k] for k in range(a.shape[1]))


def _powers(rho):
    """Signal and interference with unit noise, [K, R] each."""
    power = _squared(rho)
    others = 1 - tf.eye(rho.shape[0], dtype=power.dtype)
    return _diagonal(power), tf.reduce_sum(power * others[:, :, None], 1) + 1
