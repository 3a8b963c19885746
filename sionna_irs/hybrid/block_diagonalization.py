"""Block diagonalisation, and the exact reduction of large channels of few paths."""

import tensorflow as tf

from ..layer import LinkLayer, require_integer
from ..linalg import column_space, hpd_whitener, svd
from ..linalg.scale import unit_scale
from .streams import HYBRID_INPUTS, fixed_phases, mmse_combiner

__all__ = ["BlockDiagonalization", "reduce_channel"]


class BlockDiagonalization(LinkLayer):
    r"""Every user transmits over the singular vectors that the other users do not receive.

    With the projection :math:`P_k` onto the null space of the other users' channels,
    :math:`F_k` holds the N_s dominant right singular vectors of :math:`H_kP_k`, in the metric of
    the power: each stream has power 1. The combiners are those of the MMSE. With identities as
    `r_w` and `gram` it is the reference without analog constraint.

    Parameters
    ----------
    num_streams : int
        Streams per user, at least 1.
    max_rank : int or None
        Rank of a user's channel, such as its number of paths: everything happens in the space of
        the channels, see :func:`reduce_channel`. More costs the others dimensions; None takes m.

    Input
    -----
    h_eq : tf.Tensor, [..., K, m, n], complex
    r_w : tf.Tensor, [..., K, m, m], complex
        Gram matrices of the users' analog combiners; leading axes may be missing.
    gram : tf.Tensor, [..., n, n], complex
        Gram matrix of the analog precoder; leading axes may be missing.
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
        When the streams do not fit into a user's chains or the null space of the others.

    Notes
    -----
    Source: Spencer, Swindlehurst and Haardt 2004, with equal powers.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.block_diagonalization import BlockDiagonalization
    >>> h = tf.constant([[[2.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]]], tf.complex64)
    >>> eye = tf.eye(3, dtype=h.dtype)
    >>> f, w = BlockDiagonalization(1)(h, tf.ones([2, 1, 1], h.dtype), eye, 0.1)
    >>> float(abs(tf.linalg.matmul(h[0], f[1]))[0, 0]) < 1e-6
    True
    """

    inputs = HYBRID_INPUTS

    def __init__(self, num_streams: int, max_rank: int | None = None, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_streams", num_streams)
        require_integer("max_rank", max_rank, optional=True)
        self.num_streams, self.max_rank = num_streams, max_rank

    def call(self, h_eq, r_w, gram, no):
        users, m, n = h_eq.shape[-3:]
        rank = min(self.max_rank or m, m, n)
        fits = min(rank, n - (users - 1) * rank)
        if self.num_streams > fits:
            raise ValueError(
                f"num_streams = {self.num_streams}; at most {max(fits, 0)} fit {users} users of "
                f"rank {rank} and {n} chains of the base station"
            )
        unit, _ = unit_scale(h_eq, (-3, -2, -1))
        h, tx_basis, _ = reduce_channel(unit, r_w, gram, rank)
        if users > 1:
            others = [[v for v in range(users) if v != k] for k in range(users)]
            rows = tf.gather(h, others, axis=-3)
            rows = tf.reshape(rows, tf.concat([tf.shape(h)[:-2], [-1, h.shape[-1]]], 0))
            rows = tf.ensure_shape(rows, [*h.shape[:-2], (users - 1) * rank, h.shape[-1]])
            heard = _orthonormal(tf.linalg.adjoint(rows))
            h -= tf.linalg.matmul(tf.linalg.matmul(h, heard), heard, adjoint_b=True)
        v = fixed_phases(svd(h)[2][..., : self.num_streams])
        f = tf.linalg.matmul(tx_basis, v)
        served = tf.reduce_any(h_eq != 0, [-2, -1], keepdims=True)
        f = tf.where(served, f, tf.zeros_like(f))
        return f, mmse_combiner(h_eq, f, r_w, no)


def _orthonormal(columns):
    """Orthonormal columns with the span of the first ones, for each number of them; zeros stay.

    Columns of zeros are given a dimension of their own, which is left out again: the others do not
    see them, and there is a gradient.
    """
    zero = tf.reduce_all(columns == 0, -2)
    own = tf.linalg.diag(tf.cast(zero, columns.dtype))
    q, _ = tf.linalg.qr(tf.concat([columns, own], -2))
    return q[..., : columns.shape[-2], :]


def reduce_channel(h_eq, r_w, gram, max_rank: int):
    r"""The channels of all users in the space that they span, exactly.

    .. math:: \tilde H_k=Q_k^HH_kP,\qquad Q_k^HR_kQ_k=I,\qquad P^HGP=I

    where P spans :math:`G^{-1}` times the rows of all channels and :math:`Q_k` spans
    :math:`R_k^{-1}` times the columns of user k. Precoders and combiners outside these spaces waste
    power, so that any design :math:`(\tilde F,\tilde W)` for :math:`(\tilde H,I,I)` gives
    :math:`F_k=P\tilde F_k` and :math:`W_k=Q_k\tilde W_k` with the same SINRs and powers. A channel
    of few paths and many antennas becomes small.

    Parameters
    ----------
    h_eq : tf.Tensor, [..., K, m, n], complex
    r_w : tf.Tensor, [..., K, m, m], complex
    gram : tf.Tensor, [..., n, n], complex
    max_rank : int
        r, no less than the rank of any user's channel.

    Returns
    -------
    h : tf.Tensor, [..., K, r, min(K r, n)], complex
    tx_basis : tf.Tensor, [..., 1, n, min(K r, n)], complex
        P, to be multiplied with precoders [..., K, min(K r, n), N_s].
    rx_basis : tf.Tensor, [..., K, m, r], complex
        :math:`Q_k`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.block_diagonalization import reduce_channel
    >>> h = tf.ones([2, 8, 32], tf.complex64)
    >>> eyes = tf.eye(8, batch_shape=[2], dtype=h.dtype), tf.eye(32, dtype=h.dtype)
    >>> [x.shape.as_list() for x in reduce_channel(h, *eyes, max_rank=1)]
    [[2, 1, 2], [1, 32, 2], [2, 8, 1]]
    """
    users, m, n = h_eq.shape[-3:]
    rank = min(max_rank, m, n)
    tx_basis, rx_basis = hpd_whitener(gram)[..., None, :, :], hpd_whitener(r_w)
    h = tf.linalg.matmul(rx_basis, tf.linalg.matmul(h_eq, tx_basis), adjoint_a=True)
    if rank < m:
        columns = column_space(h, rank)
        rx_basis = tf.linalg.matmul(rx_basis, columns)
        h = tf.linalg.matmul(columns, h, adjoint_a=True)
    if users * rank < n:
        rows = tf.reshape(h, tf.concat([tf.shape(h)[:-3], [1, users * rank, n]], 0))
        span = _orthonormal(tf.linalg.adjoint(rows))
        tx_basis = tf.linalg.matmul(tx_basis, span)
        h = tf.linalg.matmul(h, span)
    return h, tx_basis, rx_basis
