"""Zero forcing between the chains of hybrid beamforming."""

import tensorflow as tf

from ..layer import LinkLayer, require_integer
from ..linalg import ridge_pinv
from ..linalg.scale import unit_noise
from .streams import HYBRID_INPUTS, mmse_combiner, unit_power_streams

__all__ = ["HybridZF"]


class HybridZF(LinkLayer):
    r"""Pseudo-inverse of the stacked channels of all users, with MMSE combiners.

    .. math:: F=H^H(HH^H+rI)^{-1},\qquad H=[H_1;\dots;H_K]

    The first N_s columns of a user's block are its precoder, scaled to
    :math:`\mathrm{tr}(F_k^HGF_k)=N_s`. At :math:`Km=n` plain zero forcing spends nearly all power
    on weak directions; beyond, it nulls nothing.

    Parameters
    ----------
    num_streams : int
        Streams per user, at least 1.
    regularized : bool
        :math:`r=KmN_0` instead of 0.

    Input
    -----
    h_eq : tf.Tensor, [..., K, m, n], complex
    r_w : tf.Tensor, [..., K, m, m], complex
        Gram matrices of the users' analog combiners.
    gram : tf.Tensor, [..., n, n], complex
        Gram matrix G of the analog precoder.
    no : float or tf.Tensor, [...], real
        Noise variance over the transmit power of a stream, above 0.

    Output
    ------
    f : tf.Tensor, [..., K, n, N_s], complex
    w : tf.Tensor, [..., K, m, N_s], complex
        The received estimate is :math:`w^Hy`.

    Raises
    ------
    ValueError
        For more streams than chains of a user, and, without regularisation, for K N_s > n.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.zf import HybridZF
    >>> h = tf.constant([[[2.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]]], tf.complex64)
    >>> f, w = HybridZF(1)(h, tf.ones([2, 1, 1], h.dtype), tf.eye(3, dtype=h.dtype), 0.1)
    >>> float(abs(tf.linalg.matmul(h[0], f[1]))[0, 0]) < 1e-6
    True
    """

    inputs = HYBRID_INPUTS

    def __init__(self, num_streams: int, regularized: bool = False, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_streams", num_streams)
        self.num_streams, self.regularized = num_streams, regularized

    def call(self, h_eq, r_w, gram, no):
        users, m, n = h_eq.shape[-3:]
        fits = m if self.regularized else min(m, n // users)
        if self.num_streams > fits:
            raise ValueError(
                f"num_streams = {self.num_streams}; at most {fits} fit {users} users with {m} "
                f"chains each and {n} chains of the base station"
            )
        batch = tf.shape(h_eq)[:-3]
        # With unit noise everything is of order one, however small the path gains.
        rows, _ = unit_noise(h_eq, no, (-3, -2, -1))
        rows = tf.reshape(rows, tf.concat([batch, [users * m, n]], 0))
        columns = ridge_pinv(rows, float(users * m) if self.regularized else 0.0)
        blocks = tf.reshape(tf.linalg.adjoint(columns), tf.concat([batch, [users, m, n]], 0))
        f = unit_power_streams(
            tf.linalg.adjoint(blocks)[..., : self.num_streams], gram[..., None, :, :]
        )
        return f, mmse_combiner(h_eq, f, r_w, no)
