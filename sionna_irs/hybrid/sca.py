"""Digital part of hybrid beamforming: successive convex approximation and weighted MMSE."""

import math
from typing import Literal

import numpy as np
import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg import has_kernels, hermitian_eig, hpd_inverse, hpd_whitener
from .streams import (
    HYBRID_INPUTS,
    combine,
    fixed_phases,
    noise_covariance,
    noise_units,
    normal_equations,
    received_fields,
    squared,
    stack_streams,
    stream_mse,
    unit_power_streams,
    unstack_streams,
)

__all__ = ["SCA"]

_MAX_STEPS = 30  # of Newton's method; 2 to 4 are usual


class SCA(LinkLayer):
    r"""Precoders and combiners of all streams that ascend the sum rate behind fixed analog beams.

    With :math:`C=\sum_{k,l}u_{kl}H_k^Hw_{kl}w_{kl}^HH_k`, an iteration is

    .. math::
        W_k&=\Big(\sum_vH_kF_vF_v^HH_k^H+N_0R_k\Big)^{-1}H_kF_k

        F_k&=(C+\tau_kG)^{-1}[u_{k1}H_k^Hw_{k1},\dots],\qquad
        \mathrm{tr}(F_k^HGF_k)\le N_s

        u_{kl}&\leftarrow u_{kl}\,e^{1-\epsilon_{kl}u_{kl}}

    where :math:`\epsilon` is the MSE of a stream, :math:`\tau_k\ge0` is the multiplier of the power
    constraint and u starts at 1. Weighted MMSE ("wmmse") sets :math:`u=1/\epsilon` before the
    second step: the same fixed points; SCA moves :math:`\ln u` towards them. The bound
    :math:`\sum\log_2u` of the rate never falls with "sca"; the rate itself may.

    G is whitened once, so that one eigendecomposition serves all users and multipliers; streams
    that do not pay are switched off, hence :math:`KN_s` may exceed the number of chains.

    Parameters
    ----------
    num_streams : int
        Streams per user, at least 1.
    num_iter : int
        Iterations, at least 1. 20 reach 98.7 % of the limit, 60 all of it.
    update : "sca" or "wmmse"
    power : "per_user" or "total"
        N_s for every user, or K N_s for their sum.
    start : "svd", "mrt" or callable
        First precoders: the dominant right singular vectors of every user's channel, the first
        rows of the channel (matched filters), or a callable ``(h_eq, no) -> f`` that is given
        the channel for unit noise. All are scaled to N_s per user.
    method : "auto", "eigh" or "newton"
        "eigh" decomposes C by TensorFlow's kernel, the fastest in eager mode and in plain graphs,
        which XLA refuses to compile; "newton" inverts and is right everywhere. "auto": "eigh" in
        eager mode and within :func:`sionna_irs.linalg.plain_graphs`, "newton" in other graphs,
        which cannot know whether XLA will compile them.

    Input
    -----
    h_eq : tf.Tensor, [..., K, m, n], complex
        Channels between the chains of the base station and of the users.
    r_w : tf.Tensor, [..., K, m, m], complex
        Gram matrices of the users' analog combiners, the covariance of white noise behind them;
        leading axes may be missing.
    gram : tf.Tensor, [..., n, n], complex
        Gram matrix G of the analog precoder, the metric of power; leading axes may be missing.
    no : float or tf.Tensor, [...], real
        Noise variance over the transmit power of a stream, above 0.
    error : tf.Tensor, [..., K, n, n], complex, or None
        Covariance :math:`\Sigma_k` of a row of the error of `h_eq`, rows being independent. The
        MSE is then the mean over the error: :math:`\sum_v\mathrm{tr}(F_v^H\Sigma_kF_v)I` is
        added to the noise and :math:`\sum_{kl}u_{kl}\|w_{kl}\|^2\Sigma_k` to C.
    num_iter : int or tf.Tensor, [], integer, or None
        Instead of the constructor's; a tensor needs no new trace.
    return_state : bool

    Output
    ------
    f : tf.Tensor, [..., K, n, N_s], complex
        Precoders.
    w : tf.Tensor, [..., K, m, N_s], complex
        MMSE combiners of f; the received estimate is :math:`w^Hy`.
    state : dict, only with `return_state`
        "bound" [...] :math:`\sum\log_2u` [bit/s/Hz] and "multiplier" [..., K or 1], tau.

    No gradient passes: the design is a decision.

    Raises
    ------
    ValueError
        For numbers out of range, unknown names, more streams than chains of a user.

    Notes
    -----
    Source: mixed-timescale deep unfolding for joint channel estimation and hybrid beamforming,
    Algorithm 2; corrected: the noise and the power pass through the analog matrices, one C serves
    all users, and the constant alpha of the paper cancels in :math:`u=\alpha^t`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.sca import SCA
    >>> h = tf.constant([[[2.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]]], tf.complex64)
    >>> f, w = SCA(num_streams=1)(h, tf.ones([2, 1, 1], h.dtype), tf.eye(3, dtype=h.dtype), 0.1)
    >>> f.shape, w.shape
    (TensorShape([2, 3, 1]), TensorShape([2, 1, 1]))
    """

    inputs = {
        **HYBRID_INPUTS,
        "error": Input("complex", "num_users", "num_chains", "num_chains"),
        "num_iter": Input("integer", minimum=1),
    }

    @property
    def compiled(self):
        """What a start of the user's reads may change from call to call."""
        return not callable(self.start) or isinstance(self.start, LinkLayer)

    def __init__(
        self,
        num_streams: int,
        num_iter: int = 20,
        update: Literal["sca", "wmmse"] = "sca",
        power: Literal["per_user", "total"] = "per_user",
        start="svd",
        method: Literal["auto", "eigh", "newton"] = "auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_integer("num_streams", num_streams)
        require_integer("num_iter", num_iter)
        for name, value, known in (
            ("update", update, ("sca", "wmmse")),
            ("power", power, ("per_user", "total")),
            ("method", method, ("auto", "eigh", "newton")),
        ):
            if value not in known:
                raise ValueError(f"{name} = {value!r}; one of {known} is needed")
        if not callable(start) and start not in ("svd", "mrt"):
            raise ValueError(f"start = {start!r}; 'svd', 'mrt' or a callable is needed")
        self.num_streams, self.num_iter, self.update = num_streams, num_iter, update
        self.power, self.start, self.method = power, start, method

    def call(self, h_eq, r_w, gram, no, error=None, num_iter=None, return_state=False):
        users = h_eq.shape[-3]
        require_integer("num_streams", self.num_streams, high=min(h_eq.shape[-2:]))
        num_iter = self.num_iter if num_iter is None else num_iter
        kernels = self.method == "eigh" or (self.method == "auto" and has_kernels())
        eig, solver = ("kernel", "cholesky") if kernels else ("jacobi", "auto")
        h_eq, r_w, gram, no = map(tf.stop_gradient, (h_eq, r_w, gram, self.real(no)))
        error = None if error is None else tf.stop_gradient(error)
        # Whitened transmit chains and unit noise: power is the Frobenius norm, and everything of
        # order one, however small the path gains.
        whitener = hpd_whitener(gram)[..., None, :, :]
        h_eq, error, back = noise_units(h_eq, no, error)
        h = tf.linalg.matmul(h_eq, whitener)
        receive = tf.eye(h.shape[-2], dtype=h.dtype)
        if error is None:
            # Beams of a user that nearly coincide are told apart by little noise: that of whitened
            # receive chains is I.
            receive, r_w = hpd_whitener(r_w), receive
            h = tf.linalg.matmul(receive, h, adjoint_a=True)
        else:
            error = tf.linalg.matmul(whitener, tf.linalg.matmul(error, whitener), adjoint_a=True)
        f = tf.linalg.matmul(gram[..., None, :, :], self._first(h_eq, eig))
        f = unit_power_streams(tf.linalg.matmul(whitener, f, adjoint_a=True))
        groups = users if self.power == "per_user" else 1

        def body(i, f, fields, noise, u, tau):
            w = combine(h, f, fields, noise, solver)
            if self.update == "wmmse":
                u = 1 / stream_mse(fields, noise, w)
            f, tau = _precoders(h, w, u, error, tau, kernels)
            fields, noise = received_fields(h, f), noise_covariance(f, r_w, error)
            if self.update == "sca":
                u *= tf.exp(1 - u * stream_mse(fields, noise, w))
            return i + 1, f, fields, noise, u, tau

        u = tf.ones_like(tf.math.real(f[..., 0, :]))
        tau = tf.zeros_like(u[..., :groups, 0])  # not known yet
        start = (tf.constant(0), f, received_fields(h, f), noise_covariance(f, r_w, error), u, tau)
        _, f, fields, noise, u, tau = tf.while_loop(lambda i, *_: i < num_iter, body, start)
        w = tf.linalg.matmul(receive, combine(h, f, fields, noise, solver)) * back
        f = tf.ensure_shape(
            tf.linalg.matmul(whitener, f), [*h_eq.shape[:-2], h_eq.shape[-1], self.num_streams]
        )
        w = tf.ensure_shape(w, [*h_eq.shape[:-1], self.num_streams])
        if not return_state:
            return f, w
        bound = tf.reduce_sum(tf.math.log(u), [-2, -1]) / math.log(2)
        return f, w, {"bound": bound, "multiplier": tau}

    def _first(self, h_eq, eig):
        """First precoders [..., K, n, N_s], not scaled."""
        if callable(self.start):
            return tf.stop_gradient(self.start(h_eq, 1.0))
        columns = tf.linalg.adjoint(h_eq)
        if self.start == "svd":
            # Left vectors from the m x m Gram matrix; the columns they combine are orthogonal.
            rows = tf.linalg.matmul(columns, columns, adjoint_a=True)
            columns = tf.linalg.matmul(columns, fixed_phases(hermitian_eig(rows, eig)[1]))
            power = tf.reduce_sum(squared(columns), -2, keepdims=True)
            power = tf.where(power > 0, power, tf.ones_like(power))
            columns *= tf.cast(tf.math.rsqrt(power), columns.dtype)
        return columns[..., : self.num_streams]


def _precoders(h, w, u, error, tau, kernels):
    r"""(F, tau): :math:`F_g=(C+\tau_gI)^{-1}R_g` of power N_s per user at most.

    Newton's method on :math:`\|F_g\|^{-1}`, concave and nearly linear in tau, from the last tau
    or, where there is none, from an upper bound.
    """
    users, streams, groups = h.shape[-3], w.shape[-1], tau.shape[-1]
    a, r, columns = _system(h, w, u, error)
    limit = users * streams / groups
    r = r if groups == users else stack_streams(r)[..., None, :, :]
    evaluate, basis = (_spectral if kernels else _direct)(a, r, columns)
    info = np.finfo(tau.dtype.as_numpy_dtype)
    tolerance = 1e-4 if info.bits == 32 else 1e-11
    # Below it A + tau I may lose its definiteness to rounding.
    rounding = 4 * a.shape[-1] * info.eps * tf.math.real(tf.linalg.trace(a))
    floor = (rounding + info.tiny / info.eps)[..., None]

    def newton(i, tau, step, *_):
        tau = tf.maximum(tau + step, floor)
        y, power, slope = evaluate(tau)
        step = power / (slope + info.tiny) * (tf.sqrt(power / limit) - 1)
        settled = (tf.abs(power - limit) < tolerance * limit) | (step < 0) & (tau <= floor)
        return i + 1, tau, step, y, power, tf.reduce_all(settled | (power == 0))

    power = _sum(squared(_behind(columns, r)))
    first = tf.where(tau > 0, tau, tf.sqrt(power / limit))
    start = (tf.constant(0), first, tf.zeros_like(tau), r, power, tf.constant(False))
    _, tau, _, y, *_ = tf.while_loop(lambda i, *rest: (i < _MAX_STEPS) & ~rest[-1], newton, start)
    f = _behind(columns, basis(y))
    power = _sum(squared(f))
    wanted = tf.where(tau > floor, tf.ones_like(power) * limit, tf.minimum(power, limit))
    power = tf.where(power > 0, power, tf.ones_like(power))
    f *= tf.cast(tf.sqrt(wanted / power), f.dtype)[..., None, None]
    return (f if groups == users else unstack_streams(f[..., 0, :, :], users)), tau


def _system(h, w, u, error):
    r"""(A, R, B): the precoders are :math:`(A+\tau I)^{-1}R_k`, behind B unless that is None.

    With fewer streams than chains C is singular. Then, for :math:`C=BB^H`, the smaller system is
    :math:`A=B^HB`, and R selects a user's columns of B.
    """
    users, streams = w.shape[-3], w.shape[-1]
    if error is not None or users * streams >= h.shape[-1]:
        return *normal_equations(h, w, u, error), None
    root = tf.sqrt(u)
    b = tf.linalg.matmul(h, w, adjoint_a=True) * tf.cast(root, h.dtype)[..., None, :]
    columns = stack_streams(b)
    places = np.eye(users * streams).reshape(users, streams, users * streams)
    # Rounding would be all there is of a stream without a channel, and be given full power.
    root = tf.where(tf.reduce_any(b != 0, -2), root, tf.zeros_like(root))
    r = tf.constant(places, root.dtype) * root[..., None]
    r = tf.cast(tf.linalg.matrix_transpose(r), h.dtype)
    return tf.linalg.matmul(columns, columns, adjoint_a=True), r, columns


def _behind(columns, y):
    """B Y, or Y where the system is not the small one."""
    return y if columns is None else tf.linalg.matmul(columns[..., None, :, :], y)


def _spectral(a, r, columns):
    """tau -> (Y, power, half its negative slope) in the basis of A, and the way out of it."""
    values, v = hermitian_eig(a, "kernel")
    # Small ones are exact as powers behind B, and rounding as eigenvalues.
    values = tf.maximum(values, 0) if columns is None else tf.reduce_sum(squared(columns @ v), -2)
    values, v = values[..., None, :], v[..., None, :, :]
    z = tf.linalg.matmul(v, r, adjoint_a=True)
    strength = tf.reduce_sum(squared(z), -1)

    def evaluate(tau):
        level = values + tau[..., None]
        # Quotients only: where all channels vanish, the square of 1/level overflows, and graphs
        # turn a product of two such factors into their square, whatever the order.
        power = strength * ((1 if columns is None else values) / level) / level
        y = z * tf.cast(1 / level, z.dtype)[..., None]
        return y, tf.reduce_sum(power, -1), tf.reduce_sum(power / level, -1)

    return evaluate, lambda y: tf.linalg.matmul(v, y)


def _direct(a, r, columns):
    """The same from inverses."""
    eye = tf.eye(a.shape[-1], dtype=a.dtype)
    trace = tf.math.real(tf.linalg.trace(a))[..., None]

    def evaluate(tau):
        x = hpd_inverse(a[..., None, :, :] + tf.cast(tau, a.dtype)[..., None, None] * eye)
        x = tf.ensure_shape(x, [*tau.shape, *eye.shape])
        y = tf.linalg.matmul(x, r)
        f = _behind(columns, y)
        power = _sum(squared(f))
        if columns is None:
            slope = _product(f, tf.linalg.matmul(x, f))
        else:
            # Not from X Y: where A is nearly singular, Y is large in directions that B removes.
            back = tf.linalg.matmul(columns[..., None, :, :], f, adjoint_a=True)
            slope = (power - _product(back, tf.linalg.matmul(x, back))) / tau
        # Its bounds, from the eigenvalues of A: rounding must not lead beyond them.
        return y, power, tf.clip_by_value(slope, power / (trace + tau), power / tau)

    return evaluate, lambda y: y


def _product(x, y):
    """Real part of the inner product of two matrices."""
    return _sum(tf.math.real(tf.math.conj(x) * y))


def _sum(x):
    return tf.reduce_sum(x, [-2, -1])
