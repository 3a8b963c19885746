"""WMMSE iterations as layers, with trained matrices in place of the inverse."""

import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer, require_integer
from ..linalg import hpd_solve, ridge_pinv
from ..linalg.scale import unit_noise, unit_scale

__all__ = ["UnfoldedWMMSE", "mmse_precoder", "relative_weights", "unit_power"]

_LOADING = 1e-5  # of the first precoder, over the trace of the Gram matrix
_SPREAD = 1e-4  # of the weights that start around 0
_SMALLEST = 1e-12  # of what roots and reciprocals are taken of
_LINEAR = -40.0  # below, the logarithm of softplus is its argument in either precision
# Smallest error of a user: the weight of one with an SINR above 30 dB grows no further.
_SMALLEST_ERROR = 1e-3


class UnfoldedWMMSE(LinkLayer):
    r"""A few WMMSE iterations with a trained replacement of the inverse.

    In units of the noise and at unit power, with :math:`C=HV`, :math:`a_k=\sum_j|C_{kj}|^2+1`
    and its mean over the users :math:`\bar a`, a layer is

    .. math::
        u_k&=(x_k/a_k+z_k/\bar a)C_{kk}+o_k/\sqrt{\bar a},\qquad e_k=1-\Re(u_k^*C_{kk})

        w_k&=\ln(1+\exp\Re(x'_k/e_k+z'_k)),\qquad D=\mathrm{diag}(|u_k|^2w_k)

        v_k&=(\mathrm{diag}(1/b_m)X_k+Z_k)h_k^Hu_kw_k+o'_k,\qquad
        b_m\propto[H^HDH]_{mm}+\mathrm{tr}D,\quad\textstyle\sum_mb_m=M

    and V is scaled to unit power. The last layer takes the exact inverse
    (:func:`mmse_precoder`); the first one starts from zero forcing. All weights are complex
    and those of one user in one layer, so that permuted users do not give permuted columns and
    another number of users needs another training, unless the users share them.

    Source: IAIDNN, deep unfolding of WMMSE, public code, for single-antenna users; corrected: the
    weights act on quantities of order one, :math:`e_k` is kept in [0.001, 1] and :math:`w_k`
    positive. In the original scaling trainings at 20 dB end in non-finite values. The terms whose
    step size is 0 in that code are left out.

    Parameters
    ----------
    num_layers : int
        At least 1, the last one included.
    num_ant : int
    num_users : int or None
        None: one set of weights for all users, of any number.

    Input
    -----
    h : tf.Tensor, [..., K, M], complex
        Row k is user k.
    no : float or tf.Tensor, [...], real
        Noise variance over total transmit power, above 0.
    training : bool
        Makes no difference.

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        Total power 1.

    Raises
    ------
    ValueError
        For sizes below 1 and a channel of another size.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.precoding.unfolded_wmmse import UnfoldedWMMSE
    >>> precoder = UnfoldedWMMSE(3, num_ant=4, num_users=2)
    >>> precoder(tf.eye(2, 4, dtype=tf.complex64), 0.1).shape
    TensorShape([4, 2])
    """

    inputs = {
        "h": Input("complex", "num_users", "num_ant"),
        "no": Input("real", minimum=1e-30, like="h"),
    }

    def __init__(self, num_layers: int, num_ant: int, num_users: int | None = None, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_layers", num_layers)
        require_integer("num_ant", num_ant)
        require_integer("num_users", num_users, optional=True)
        self.num_ant, self.num_users = num_ant, num_users
        users = num_users or 1
        self.scalars = [
            {
                "x_u": self._pair("x_u", tf.ones([users])),
                "z_u": self._pair("z_u", tf.zeros([users])),
                "o_u": self._pair("o_u", tf.zeros([users])),
                "x_w": self._pair("x_w", tf.ones([users])),
                "z_w": self._pair("z_w", tf.zeros([users])),
            }
            for _ in range(num_layers)
        ]
        self.matrices = [
            {
                "x_v": self._pair("x_v", tf.eye(num_ant, batch_shape=[users])),
                "z_v": self._pair("z_v", tf.zeros([users, num_ant, num_ant])),
                "o_v": self._pair("o_v", tf.zeros([users, num_ant])),
            }
            for _ in range(num_layers - 1)
        ]

    def _pair(self, name, start):
        """A complex weight [2, ...], real and imaginary part; what starts at 0 starts nearby."""
        spread = 0.0 if name.startswith("x") else _SPREAD / 2**0.5

        def draw(shape, dtype=None):
            real = self.real(start)
            return tf.stack([real, tf.zeros_like(real)]) + spread * random.normal(
                shape, self.rdtype
            )

        return self.add_weight(shape=(2, *start.shape), initializer=draw, name=name)

    def call(self, h, no, training=False):
        h, _ = unit_noise(h, no)
        v = unit_power(ridge_pinv(h, _LOADING * tf.reduce_sum(_squared(h), [-2, -1])))
        for weights, matrices in zip(self.scalars, self.matrices, strict=False):
            u, z = _receivers(h, v, {k: _complex(x) for k, x in weights.items()})
            v = _precoder(h, u, tf.nn.softplus(z), {k: _complex(x) for k, x in matrices.items()})
        u, z = _receivers(h, v, {k: _complex(x) for k, x in self.scalars[-1].items()})
        return mmse_precoder(h, u, relative_weights(z))


def mmse_precoder(h, u, w):
    r"""Precoder of unit power for given receivers and weights of the users.

    .. math:: V\propto(H^HDH+\mathrm{tr}(D)I)^{-1}H^H\mathrm{diag}(u_kw_k),\quad
              D=\mathrm{diag}(|u_k|^2w_k)

    Parameters
    ----------
    h : tf.Tensor, [..., K, M], complex
        In units of the noise, at unit power.
    u : tf.Tensor, [..., K], complex
        Receivers :math:`\hat s_k=u_k^*y_k`; their common scale does not matter.
    w : tf.Tensor, [..., K], real
        At least 0; their common scale does not matter. Where all are 0, so is the precoder.

    Returns
    -------
    tf.Tensor, [..., M, K], complex

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.precoding.unfolded_wmmse import mmse_precoder
    >>> h = tf.constant([[3.0, 4.0]], tf.complex64)
    >>> mmse_precoder(h, tf.ones([1], tf.complex64), tf.ones([1])).numpy().real.round(3).ravel()
    array([0.6, 0.8], dtype=float32)
    """
    u, w = unit_scale(u, [-1])[0], unit_scale(w, [-1])[0]
    power = tf.maximum(_squared(u), _SMALLEST)
    d = power * w
    total = tf.reduce_sum(d, -1, keepdims=True)
    share = d / tf.where(total > 0, total, tf.ones_like(total))
    root = tf.cast(tf.sqrt(tf.maximum(share, _SMALLEST)), h.dtype)
    gram = tf.linalg.matmul(h, h, adjoint_b=True)
    # Hermitian, no eigenvalue below 1: safe in single precision, also for users switched off.
    a = root[..., :, None] * gram * root[..., None, :] + tf.eye(h.shape[-2], dtype=h.dtype)
    size = tf.sqrt(tf.where(w > 0, w / power, tf.ones_like(w)))  # the root of 0 has no gradient
    size = tf.where(w > 0, size, tf.zeros_like(w))
    phases = tf.linalg.diag(u * tf.cast(size, h.dtype))
    return unit_power(
        tf.linalg.matmul(h, root[..., None] * hpd_solve(a, phases, at_least=1.0), adjoint_a=True)
    )


def relative_weights(z):
    r"""Weights :math:`w_k=\ln(1+e^{z_k})` over the largest one: it is 1, however small it was.

    Parameters
    ----------
    z : tf.Tensor, [..., K], real

    Returns
    -------
    tf.Tensor, [..., K], real

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.precoding.unfolded_wmmse import relative_weights
    >>> relative_weights(tf.constant([-500.0, -501.0])).numpy().round(3)
    array([1.   , 0.368], dtype=float32)
    """
    linear = z < _LINEAR
    logarithm = tf.where(linear, z, tf.math.log(tf.nn.softplus(tf.maximum(z, _LINEAR))))
    largest = tf.reduce_max(logarithm, -1, keepdims=True)
    return tf.exp(logarithm - tf.stop_gradient(largest))


def unit_power(v):
    """A precoder [..., M, K], complex, scaled to total power 1; zeros stay zeros.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.precoding.unfolded_wmmse import unit_power
    >>> unit_power(tf.constant([[3.0], [4.0]], tf.complex64)).numpy().real.round(3).ravel()
    array([0.6, 0.8], dtype=float32)
    """
    v, _ = unit_scale(v)
    power = tf.reduce_sum(_squared(v), [-2, -1], keepdims=True)
    return v * tf.cast(tf.math.rsqrt(tf.where(power > 0, power, tf.ones_like(power))), v.dtype)


def _receivers(h, v, weights):
    """Receivers u [..., K], complex, and z [..., K] of a layer, whose softplus are the weights."""
    c = tf.linalg.matmul(h, v)
    diagonal = tf.linalg.diag_part(c)
    a = tf.reduce_sum(_squared(c), -1) + 1
    mean = tf.cast(tf.reduce_mean(a, -1, keepdims=True), h.dtype)
    u = (weights["x_u"] / tf.cast(a, h.dtype) + weights["z_u"] / mean) * diagonal
    u += weights["o_u"] / tf.sqrt(mean)
    error = 1 - tf.math.real(tf.math.conj(u) * diagonal)
    error = tf.clip_by_value(error, _SMALLEST_ERROR, 1)
    return u, tf.math.real(weights["x_w"]) / error + tf.math.real(weights["z_w"])


def _precoder(h, u, w, weights):
    """Columns [..., M, K] of a layer with trained matrices."""
    d = _squared(u) * w
    b = tf.reduce_sum(d[..., None] * _squared(h), -2) + tf.reduce_sum(d, -1, keepdims=True)
    b /= tf.reduce_mean(b, -1, keepdims=True)
    square = [h.shape[-2], h.shape[-1], h.shape[-1]]
    x, z = (
        tf.einsum("kmn,...kn->...km", tf.broadcast_to(weights[name], square), tf.math.conj(h))
        for name in ("x_v", "z_v")
    )
    v = (x / tf.cast(b, h.dtype)[..., None, :] + z) * (u * tf.cast(w, h.dtype))[..., None]
    return unit_power(tf.linalg.matrix_transpose(v + weights["o_v"]))


def _squared(z):
    return tf.square(tf.math.real(z)) + tf.square(tf.math.imag(z))


def _complex(pair):
    return tf.complex(pair.value[0], pair.value[1])
