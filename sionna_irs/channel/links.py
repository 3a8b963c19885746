"""Links: the hops of one draw, by name."""

import tensorflow as tf

from .. import random
from ..layer import as_real

__all__ = ["Links", "apply", "stack_users"]


class Links(dict):
    """Hop matrices by name: ``{"tx>s1": [..., N, tx], "s1>rx": [..., rx, N], ...}``.

    A dictionary, with the two ways between a single-surface channel and its cascade.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> links = irs.Links.from_cascaded(tf.ones([8, 2, 5], tf.complex64))
    >>> links["s1>rx"].shape, links["tx>rx"].shape
    (TensorShape([8, 2, 4]), TensorShape([8, 2, 1]))
    """

    @classmethod
    def from_cascaded(cls, u, direct=True):
        """Links whose cascade is ``u``: the first hop is all ones.

        Parameters
        ----------
        u : tf.Tensor, [..., M, N+1], complex
            Cascaded channel, the direct column last (without it if not `direct`).
        direct : bool
            Whether there is a direct column.

        Returns
        -------
        Links
        """
        cascade = u[..., :-1] if direct else u
        links = cls({"tx>s1": tf.ones_like(cascade[..., :1, :, None])[..., 0, :, :]})
        links["s1>rx"] = cascade
        if direct:
            links["tx>rx"] = u[..., -1:]
        return links

    def cascaded(self):
        """U = [H_out diag(h_in), h_direct] of a channel with one surface and one tx antenna.

        Returns
        -------
        tf.Tensor, [..., M, N+1] (or [..., M, N] without a direct path), complex

        Raises
        ------
        ValueError
            With other hops, or more than one transmit antenna.
        """
        if not {"tx>s1", "s1>rx"} <= set(self) <= {"tx>s1", "s1>rx", "tx>rx"}:
            raise ValueError(f"links = {sorted(self)}; one surface 's1' is needed for a cascade")
        h_in = self["tx>s1"]
        if h_in.shape[-1] != 1:
            raise ValueError(
                f"links['tx>s1'] has shape {tuple(h_in.shape)}; one transmit antenna is needed"
            )
        h_out, h_in = _align_users(self["s1>rx"], h_in)
        cascade = h_out * tf.linalg.matrix_transpose(h_in)
        if "tx>rx" not in self:
            return cascade
        return tf.concat([cascade, self["tx>rx"]], -1)


def _align_users(a, b):
    """Insert the user axis where one of two hop matrices lacks it: [B, ...] -> [B, 1, ...]."""
    while a.shape.rank < b.shape.rank and a.shape.rank > 2:
        a = tf.expand_dims(a, -3)
    while b.shape.rank < a.shape.rank and b.shape.rank > 2:
        b = tf.expand_dims(b, -3)
    return a, b


def apply(h, x, no):
    r"""Flat fading with noise: :math:`y=Hx+n`, :math:`n\sim\mathcal{CN}(0,N_0 I)`.

    Parameters
    ----------
    h : tf.Tensor, [..., rx, tx], complex
    x : tf.Tensor, [..., tx], complex
    no : float or tf.Tensor that broadcasts to [...], real
        Noise variance per receive antenna.

    Returns
    -------
    tf.Tensor, [..., rx], complex

    Raises
    ------
    TypeError, ValueError
        For a `no` that is no real number of at least 0 and does not fit the batch.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.apply(tf.ones([4, 3, 2], tf.complex64), tf.ones([4, 2], tf.complex64), 0.1).shape
    TensorShape([4, 3])
    """
    y = tf.linalg.matvec(h, x)
    no = as_real("no", no, y.dtype.real_dtype, 0.0, y.shape[:-1], "h x")
    if no.shape.rank:
        no = no[..., None]
    return y + random.complex_normal(tf.shape(y), y.dtype, no)


def stack_users(h):
    """Users as columns: [..., K, M, 1] -> [..., M, K].

    Parameters
    ----------
    h : tf.Tensor, [..., K, M, 1], complex

    Returns
    -------
    tf.Tensor, [..., M, K], complex

    Raises
    ------
    ValueError
        When the last dimension is not 1.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.stack_users(tf.ones([5, 3, 8, 1], tf.complex64)).shape
    TensorShape([5, 8, 3])
    """
    if h.shape.rank < 3 or h.shape[-1] != 1:
        raise ValueError(f"h has shape {tuple(h.shape)}; [..., K, M, 1] is needed")
    return tf.linalg.matrix_transpose(h[..., 0])
