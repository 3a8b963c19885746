"""Linear MMSE estimation of equivalent channels from common pilots."""

import numpy as np
import tensorflow as tf

from ..layer import Input, LinkLayer
from ..linalg import hpd_solve

__all__ = ["EquivalentLMMSEEstimator"]


class EquivalentLMMSEEstimator(LinkLayer):
    r"""The best matrix behind the observations: :math:`\hat H_k=Y_kM_k`.

    .. math:: M_k=(X^HR_{h,k}X+\bar\sigma_k^2I)^{-1}X^HR_{h,k},\quad
              \bar\sigma_k^2=\tfrac{\sigma^2}m\mathrm{tr}R_{W,k},\quad
              \Sigma_{e,k}=R_{h,k}-R_{h,k}XM_k

    :math:`R_{h,k}` is the covariance of a row, on average over the rows, and
    :math:`\Sigma_{e,k}=\frac1m\mathrm E[E_k^HE_k]` that of the error. No
    :class:`UnfoldedRLS` can have a smaller mean squared error, since it is a matrix behind the
    observations too.

    Source: own derivation; the yardstick of mixed-timescale deep unfolding's estimator.

    Parameters
    ----------
    pilots : ChainPilots
        In mode "common".

    Input
    -----
    y : tf.Tensor, [..., K, m, L'], complex
        The first L' <= L slots of the pilots.
    no : float or tf.Tensor, [...], real
        As of the pilots, above 0.
    covariance : tf.Tensor, [..., K, n, n], complex
        :math:`R_h`; see :meth:`ClusteredChannel.equivalent_covariance`.
    r_w : tf.Tensor, [..., K, m, m], complex

    Output
    ------
    h_hat : tf.Tensor, [..., K, m, n], complex
    error : tf.Tensor, [..., K, n, n], complex
        :math:`\Sigma_e`, with the leading axes of `no`, `covariance` and `r_w`.

    Raises
    ------
    ValueError
        For pilots of another mode; in calls, for more slots than pilots.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.hybrid.chain_pilots import ChainPilots
    >>> from sionna_irs.hybrid.equivalent_lmmse import EquivalentLMMSEEstimator
    >>> eye = lambda n: tf.eye(n, batch_shape=[3], dtype=tf.complex64)
    >>> estimator = EquivalentLMMSEEstimator(ChainPilots(4, 6))
    >>> y = irs.random.complex_normal([5, 3, 2, 6])
    >>> [x.shape.as_list() for x in estimator(y, 0.1, 0.1 * eye(4), eye(2))]
    [[5, 3, 2, 4], [3, 4, 4]]
    """

    inputs = {
        "y": Input("complex", "num_users", "num_rx_chains", "slots"),
        "no": Input("real", minimum=1e-30, like="y"),
        "covariance": Input("complex", "num_users", "num_chains", "num_chains"),
        "r_w": Input("complex", "num_users", "num_rx_chains", "num_rx_chains"),
    }

    def __init__(self, pilots, **kwargs):
        kwargs.setdefault("precision", pilots.precision)
        super().__init__(**kwargs)
        if pilots.mode != "common":
            raise ValueError(f"pilots have mode {pilots.mode!r}; 'common' is needed")
        self.pilots, self.num_chains = pilots, pilots.num_chains

    def call(self, y, no, covariance, r_w):
        x = self.pilots.slots(y)
        noise = no[..., None] * tf.math.real(tf.linalg.trace(r_w)) / r_w.shape[-1]
        right = tf.linalg.matmul(x, covariance, adjoint_a=True)  # X^H R
        received = tf.linalg.matmul(right, x)
        # With more slots than chains nothing but noise fills the rest: no less than rounding does.
        rounding = 8 * np.finfo(self.rdtype.as_numpy_dtype).eps
        noise = tf.maximum(noise, rounding * tf.math.real(tf.linalg.trace(received)))
        received += self.cplx(noise)[..., None, None] * tf.eye(x.shape[-1], dtype=self.cdtype)
        filters = hpd_solve(received, right)
        error = covariance - tf.linalg.matmul(right, filters, adjoint_a=True)
        return tf.linalg.matmul(y, filters), error
