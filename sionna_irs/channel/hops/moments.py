"""Second-order statistics of one hop."""

import functools

import numpy as np
import tensorflow as tf

from ...layer import to_dtype

__all__ = ["HopMoments", "full_correlation"]


def full_correlation(roots):
    """The correlation matrix whose Kronecker factors' roots are given, or None for the identity."""
    if not roots:
        return None
    return functools.reduce(np.kron, [root @ root.conj().T for root in roots])


class HopMoments:
    r"""A hop :math:`X=M+Z`: its mean, and what it does to correlation matrices on average.

    .. math:: \mathrm E[XQX^H]=MQM^H+\varsigma\,\mathrm{tr}(R_{tx}^TQ)\,R_{rx},\qquad
              \mathrm E[X^HQX]=M^HQM+\varsigma\,\mathrm{tr}(R_{rx}Q)\,R_{tx}^T

    for every square Q. Both hold for Rician and for double-scattering hops, which differ in their
    fourth moments only.

    Parameters
    ----------
    mean : array, [rx, tx], complex
        M.
    variance : float
        :math:`\varsigma`, scattered power per entry.
    rx_correlation, tx_correlation : array, [rx, rx] and [tx, tx], or None
        Of unit diagonal; None is the identity.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> hop = irs.RicianHop(irs.ULA(2), irs.ULA(3), k_factor=1.0)
    >>> hop.moments().forward(tf.eye(2, dtype=tf.complex64)).numpy().real.round(4)
    array([[2., 1., 1.],
           [1., 2., 1.],
           [1., 1., 2.]], dtype=float32)
    """

    def __init__(self, mean, variance: float, rx_correlation=None, tx_correlation=None):
        self.mean, self.variance = np.asarray(mean, complex), float(variance)
        rx, tx = self.mean.shape
        self.rx_correlation = np.eye(rx) if rx_correlation is None else rx_correlation
        self.tx_correlation = np.eye(tx) if tx_correlation is None else tx_correlation

    @property
    def power(self):
        """Mean power per entry, float."""
        return self.variance + float(np.mean(np.abs(self.mean) ** 2))

    def forward(self, q):
        """E[X Q X^H] [..., rx, rx] of Q [..., tx, tx], complex."""
        return self._through(q, self.mean, self.tx_correlation.T, self.rx_correlation)

    def backward(self, q):
        """E[X^H Q X] [..., tx, tx] of Q [..., rx, rx], complex."""
        return self._through(q, self.mean.conj().T, self.rx_correlation, self.tx_correlation.T)

    def _through(self, q, mean, inside, outside):
        q = tf.convert_to_tensor(q)
        mean, inside, outside = (tf.constant(x, q.dtype) for x in (mean, inside, outside))
        kept = tf.linalg.matmul(tf.linalg.matmul(mean, q), mean, adjoint_b=True)
        trace = tf.reduce_sum(tf.linalg.matrix_transpose(inside) * q, [-2, -1])
        return kept + to_dtype(self.variance, q.dtype) * trace[..., None, None] * outside
