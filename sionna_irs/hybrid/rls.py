"""Recursive least squares over the pilots of RF chains."""

import math

import numpy as np
import tensorflow as tf

from ..layer import Input, LinkLayer

__all__ = ["RLSEstimator"]

_MAX_UNROLLED = 32  # slots; beyond, a loop compiles faster


class RLSEstimator(LinkLayer):
    r"""Recursive least squares: one pilot slot after the other.

    .. math:: g=Px_l,\quad v=\frac g{\beta+\mathrm{Re}(g^Hx_l)},\quad
              P\leftarrow\beta^{-1}(P-vg^H),\quad
              \hat H\leftarrow\hat H+(y_l-\hat Hx_l)v^H

    from :math:`\hat H=0`, :math:`P=\delta^{-1}I`. The result is that of weighted and loaded least
    squares, :math:`\hat H=\sum_l\beta^{L-l}y_lx_l^H\big(\sum_l\beta^{L-l}x_lx_l^H+\delta\beta^LI
    \big)^{-1}`. Carried is not P but a square root S of it, which has half its range of digits:

    .. math:: f=S^Hx_l,\quad\alpha=\beta+\|f\|^2,\quad v=\frac{Sf}\alpha,\quad
              S\leftarrow\beta^{-1/2}\Big(S-\frac{Sff^H}{\alpha+\sqrt{\beta\alpha}}\Big)

    Source: mixed-timescale deep unfolding, Algorithm 1, corrected: the real part in the
    denominator and a P that stays Hermitian; as printed it diverges for some pilots. The square
    root is Potter's (Kaminski et al., "Discrete square root filtering", 1971).

    Parameters
    ----------
    pilots : ChainPilots
    forgetting : float
        :math:`\beta` in (0, 1].
    loading : float
        :math:`\delta/\sigma^2`, positive. The inverse of the mean power of an entry of
        :math:`H_{eq}` makes the estimate LMMSE for white channels; small is least squares.

    Input
    -----
    y : tf.Tensor, [..., K, m, L'], complex; [..., n, L'] for uplink pilots
        The first L' <= L slots of the pilots.
    no : float or tf.Tensor, [...], real
        As of the pilots, above 0. A number is fastest: nothing but :math:`\hat H` has a batch axis.

    Output
    ------
    h_hat : tf.Tensor, [..., K, m, n], complex

    Raises
    ------
    ValueError
        For a factor or a loading out of range; in calls, for more slots than pilots.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.hybrid.chain_pilots import ChainPilots
    >>> from sionna_irs.hybrid.rls import RLSEstimator
    >>> estimator = RLSEstimator(ChainPilots(4, 6))
    >>> estimator(irs.random.complex_normal([5, 3, 2, 6]), 0.1).shape
    TensorShape([5, 3, 2, 4])
    """

    compiled = True

    @property
    def inputs(self):
        """Of uplink pilots there is no axis of users."""
        users = () if self.pilots.mode == "uplink" else ("num_users",)
        y = Input("complex", *users, "rows", "slots")
        return {"y": y, "no": Input("real", minimum=1e-30, like="y")}

    def __init__(self, pilots, forgetting: float = 1.0, loading: float = 10.0, **kwargs):
        kwargs.setdefault("precision", pilots.precision)
        super().__init__(**kwargs)
        if not 0 < forgetting <= 1:
            raise ValueError(f"forgetting = {forgetting}; a number in (0, 1] is needed")
        if not 0 < loading < float("inf"):
            raise ValueError(f"loading = {loading}; a positive number is needed")
        self.pilots, self.forgetting, self.loading = pilots, forgetting, loading

    def call(self, y, no):
        return self.pilots.split_users(self._stacked(y, no))

    def _stacked(self, y, no):
        """The estimate of what multiplies the regressor, [..., rows, n]."""
        x = self.pilots.slots(y)
        s = self._start(x, no)
        h = tf.zeros_like(y[..., :1] * s[..., :1, :])
        count = y.shape[-1]
        if count <= _MAX_UNROLLED:
            for index in range(count):
                s, h = self._slot(index, x[..., index], y[..., index], s, h)
        else:
            _, _, h = tf.while_loop(
                lambda index, *_: index < count,
                lambda index, s, h: (
                    index + 1,
                    *self._slot(index, tf.gather(x, index, axis=-1), tf.gather(y, index, axis=-1),
                                s, h),
                ),
                (tf.constant(0), s, h),
                maximum_iterations=count,
            )  # fmt: skip
        return h

    def _start(self, x, no):
        """S of no slot: [n, n], with the axes of `no` and of the users only where they differ."""
        # Below the rounding of the pilots, of power 1 a slot, a loading is no longer seen.
        least = np.finfo(self.rdtype.as_numpy_dtype).eps
        delta = tf.maximum(self.loading * no, least)[..., None, None]
        if no.shape.rank and self.pilots.mode != "uplink":
            delta = delta[..., None, :, :]
        shape = [*x.shape[:-2], x.shape[-2], x.shape[-2]]
        eye = tf.eye(shape[-1], batch_shape=shape[:-2], dtype=self.cdtype)
        return self.cplx(1 / tf.sqrt(delta)) * eye

    def _slot(self, index, x, y, s, h):
        """S and the estimate [..., rows, n] after slot `index`: x [..., n], y [..., rows]."""
        f = tf.linalg.matvec(s, x, adjoint_a=True)
        alpha = self.forgetting + tf.reduce_sum(tf.square(tf.abs(f)), -1, keepdims=True)
        g = tf.linalg.matvec(s, f)
        step = g / self.cplx(alpha + tf.sqrt(self.forgetting * alpha))
        s = (s - step[..., None] * tf.math.conj(f)[..., None, :]) / math.sqrt(self.forgetting)
        return s, corrected(h, g / self.cplx(alpha), x, y)


def corrected(h, v, x, y):
    """H + (y - H x) v^H [..., rows, n]."""
    error = y - tf.reduce_sum(h * x[..., None, :], -1)
    return h + error[..., None] * tf.math.conj(v)[..., None, :]
