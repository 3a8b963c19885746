"""SCA iterations of hybrid beamforming as layers, with trained matrices in place of the inverse."""

import math
from typing import Literal

import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg import hpd_solve
from .streams import (
    HYBRID_INPUTS,
    combine,
    noise_covariance,
    noise_units,
    normal_equations,
    received_fields,
    stack_streams,
    stream_mse,
    unit_power_streams,
    unstack_streams,
)

__all__ = ["UnfoldedSCA"]

_LOADING = 0.3  # first value of v
_SMALLEST_WEIGHT = 1e-6
_LOG_WEIGHTS = (-5.0, 12.0)


class UnfoldedSCA(LinkLayer):
    r"""A few SCA iterations with a trained replacement of the inverse.

    In units of the noise and with C and :math:`r_{kl}=\lambda_{kl}H_k^Hw_{kl}` as in :class:`SCA`,
    a layer is

    .. math::
        W_k&=T_w\,\mathrm{mmse}(F)+Q_w,\qquad
        \lambda_{kl}=\max(T_\lambda\mu e^{t_{kl}}+q_\lambda,10^{-6})

        F_k&\leftarrow T_f\,\mathrm{inverse}(R_k)+q_f,\quad
        \text{scaled to }\mathrm{tr}(F_k^HGF_k)=N_s

        t_{kl}&\leftarrow T_t\big(t_{kl}+\mu(1-\epsilon_{kl}e^{t_{kl}})\big)+q_t
        \in[-5,12]

    where, with :math:`A^+` for the reciprocal diagonal of A and :math:`D^-` for D without the
    imaginary part of its diagonal, the inverse is

    * "diag": :math:`(A^+B+D^-)R_k` with :math:`A=C+vI`, at first a scaled matched filter;
    * "jacobi": :math:`F_k+a(A^+B+D^-)(R_k-AF_k)` with :math:`A=C+vG`: the same cost, the fixed
      points of the SCA, and the last precoder is used again;
    * "exact": :math:`A^{-1}R_k` with :math:`A=C+vG`, where only v is trained.

    Everything starts at :math:`T=B=I`, :math:`D=Q=q=0`, :math:`\mu=a=1`, :math:`v=0.3`,
    :math:`t=0` and the matched filter :math:`F_k=H_k^H`; the combiners at the end are
    :math:`T_w\,\mathrm{mmse}(F)`. Without offsets a phase of a user's channel does not change the
    rate.

    Parameters
    ----------
    num_layers : int
        At least 1.
    num_streams : int
        Streams N_s per user, at most m.
    num_chains : int
        n, chains of the base station.
    num_rx_chains : int or None
        m, chains of a user; None takes `num_streams`.
    num_users : int or None
        None: one set of weights for all users, of any number.
    inverse : "jacobi", "diag" or "exact"
    offsets : bool
        Whether there are Q_w, q_f, q_lambda and q_t. With channels of random phase they cannot
        help.

    Input
    -----
    h_eq : tf.Tensor, [..., K, m, n], complex
    r_w : tf.Tensor, [..., K, m, m], complex
        Gram matrices of the users' analog combiners.
    gram : tf.Tensor, [..., n, n], complex
        Gram matrix G of the analog precoder.
    no : float or tf.Tensor, [...], real
        Noise variance over the transmit power of a stream, above 0.
    error : tf.Tensor, [..., K, n, n], complex, or None
        Covariance of a row of the error of `h_eq`: the two further terms of :class:`SCA`.
    training : bool
        Makes no difference.

    Output
    ------
    f : tf.Tensor, [..., K, n, N_s], complex
    w : tf.Tensor, [..., K, m, N_s], complex
        The received estimate is :math:`w^Hy`.

    Raises
    ------
    ValueError
        For sizes below 1, more streams than chains, an unknown inverse, a channel of another size.

    Notes
    -----
    Source: mixed-timescale deep unfolding for joint channel estimation and hybrid beamforming,
    eq. (31); corrected: noise and power pass through the analog matrices, and one C serves all
    users. "jacobi" and "exact" are ours. With "exact",
    one user and v equal to the multipliers of the iterations, the untrained network is the SCA.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.unfolded_sca import UnfoldedSCA
    >>> h = tf.constant([[[2.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]]], tf.complex64)
    >>> network = UnfoldedSCA(num_layers=2, num_streams=1, num_chains=3)
    >>> f, w = network(h, tf.ones([2, 1, 1], h.dtype), tf.eye(3, dtype=h.dtype), 0.1)
    >>> f.shape, w.shape
    (TensorShape([2, 3, 1]), TensorShape([2, 1, 1]))
    """

    inputs = {**HYBRID_INPUTS, "error": Input("complex", "num_users", "num_chains", "num_chains")}

    def __init__(
        self,
        num_layers: int,
        num_streams: int,
        num_chains: int,
        num_rx_chains: int | None = None,
        num_users: int | None = None,
        inverse: Literal["jacobi", "diag", "exact"] = "jacobi",
        offsets: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_integer("num_layers", num_layers)
        require_integer("num_chains", num_chains)
        require_integer("num_rx_chains", num_rx_chains, high=num_chains, optional=True)
        require_integer("num_streams", num_streams, high=num_rx_chains or num_chains)
        require_integer("num_users", num_users, optional=True)
        if inverse not in ("jacobi", "diag", "exact"):
            raise ValueError(f"inverse = {inverse!r}; 'jacobi', 'diag' or 'exact' is needed")
        self.num_streams, self.num_chains = num_streams, num_chains
        self.num_rx_chains, self.num_users = num_rx_chains or num_streams, num_users
        self.inverse = inverse
        self.steps = [self._layer(offsets, i == num_layers - 1) for i in range(num_layers)]
        self.last_t_w = self._matrix("t_w", self.num_rx_chains)

    def _layer(self, offsets, last):
        """Weights of a layer by name; nobody reads the t of the last one."""
        n, m, streams = self.num_chains, self.num_rx_chains, self.num_streams
        weights = {
            "t_w": self._matrix("t_w", m),
            "t_f": self._matrix("t_f", n),
            "log_v": self._vector("log_v", 1, math.log(_LOADING)),
            "t_lambda": self._vector("t_lambda", streams, 1.0),
            "mu": self._vector("mu", streams, 1.0),
        }
        if not last:
            weights["t_t"] = self._vector("t_t", streams, 1.0)
        if self.inverse != "exact":
            weights |= {"b": self._matrix("b", n), "d": self._matrix("d", n, 0.0)}
        if self.inverse == "jacobi":
            weights["log_a"] = self._vector("log_a", 1, 0.0)
        if offsets:
            weights |= {
                "q_w": self._matrix("q_w", m, 0.0, streams),
                "q_f": self._matrix("q_f", n, 0.0, streams),
                "q_lambda": self._vector("q_lambda", streams, 0.0),
            }
            if not last:
                weights["q_t"] = self._vector("q_t", streams, 0.0)
        return weights

    def _vector(self, name, size, value):
        """Real weights [users, size]."""
        start = tf.fill([self.num_users or 1, size], self.real(value))
        return self.add_weight(
            shape=start.shape, initializer=lambda *_, **__: tf.identity(start), name=name
        )

    def _matrix(self, name, rows, diagonal=1.0, columns=None):
        """A complex weight [2, users, rows, columns], real and imaginary part."""
        eye = tf.eye(rows, columns, [self.num_users or 1], self.rdtype) * self.real(diagonal)
        start = tf.stack([eye, tf.zeros_like(eye)])
        return self.add_weight(
            shape=start.shape, initializer=lambda *_, **__: tf.identity(start), name=name
        )

    def call(self, h_eq, r_w, gram, no, error=None, training=False):
        h, error, back = noise_units(h_eq, no, error)
        gram = gram[..., None, :, :]
        f = unit_power_streams(tf.linalg.adjoint(h)[..., : self.num_streams], gram)
        fields, noise = received_fields(h, f), noise_covariance(f, r_w, error)
        t = tf.zeros_like(tf.math.real(f[..., 0, :]))
        for step in self.steps:
            weights = {name: _value(x) for name, x in step.items()}
            w = tf.linalg.matmul(weights["t_w"], combine(h, f, fields, noise))
            w += weights.get("q_w", 0)
            u = weights["t_lambda"] * weights["mu"] * tf.exp(t) + weights.get("q_lambda", 0)
            c, r = normal_equations(h, w, tf.maximum(u, _SMALLEST_WEIGHT), error)
            f = tf.linalg.matmul(weights["t_f"], self._solve(c, r, f, gram, weights))
            f = unit_power_streams(f + weights.get("q_f", 0), gram)
            fields, noise = received_fields(h, f), noise_covariance(f, r_w, error)
            if "t_t" in weights:
                t += weights["mu"] * (1 - tf.exp(t) * stream_mse(fields, noise, w))
                t = tf.clip_by_value(weights["t_t"] * t + weights.get("q_t", 0), *_LOG_WEIGHTS)
        w = tf.linalg.matmul(_value(self.last_t_w), combine(h, f, fields, noise))
        return f, back * w

    def _solve(self, c, r, f, gram, weights):
        """The layer's answer to A F = R, from the last F."""
        load = tf.cast(tf.exp(weights["log_v"]), c.dtype)[..., None]
        if self.inverse == "diag":
            gram = tf.eye(self.num_chains, dtype=c.dtype)
        a = c[..., None, :, :] + load * gram
        if self.inverse == "exact":
            if self.num_users is not None:
                return hpd_solve(a, r)
            # One matrix for all users.
            return unstack_streams(hpd_solve(a[..., 0, :, :], stack_streams(r)), r.shape[-3])
        d = weights["d"]
        d = tf.linalg.set_diag(d, tf.cast(tf.math.real(tf.linalg.diag_part(d)), d.dtype))
        rest = r if self.inverse == "diag" else r - tf.linalg.matmul(a, f)
        scaled = tf.linalg.matmul(weights["b"], rest) / tf.linalg.diag_part(a)[..., None]
        change = scaled + tf.linalg.matmul(d, rest)
        if self.inverse == "diag":
            return change
        return f + tf.cast(tf.exp(weights["log_a"]), c.dtype)[..., None] * change


def _value(weight):
    """A real weight [users, size], or a complex one [users, rows, columns] from its pair."""
    x = weight.value
    return x if x.shape.rank == 2 else tf.complex(x[0], x[1])
