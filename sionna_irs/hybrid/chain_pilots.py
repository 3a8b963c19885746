"""Pilots between the RF chains of a base station and of its users."""

from typing import Literal

import numpy as np
import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer, require_integer
from ..linalg import hermitian_sqrt

__all__ = ["ChainPilots"]

_MODES = ("common", "uplink", "contaminated")


class ChainPilots(LinkLayer):
    r"""Pilots that sound the equivalent channels :math:`H_{eq,k}`, fixed or learned.

    "common": the base station sends one matrix to all users,
    :math:`Y_k=H_{eq,k}X+Z_k`, with the noise of the analog combiner,
    :math:`z\sim\mathcal{CN}(0,\sigma^2R_{W,k})`.

    "uplink": every user sends its own :math:`X_k` and the base station hears their sum,
    :math:`Y=\sum_kH_{eq,k}^TX_k+Z`, :math:`z\sim\mathcal{CN}(0,\sigma^2G^*)`. The regressor X
    stacks the users; its rows are orthogonal for L >= Km.

    "contaminated": the base station sends :math:`\sum_uX_u`, and user k knows only its own
    :math:`X_k`. What the other users' pilots add to an estimate does not vanish with the noise.

    Source: mixed-timescale deep unfolding, (4), corrected: all users share the base station's
    beams, so that they share its pilots too; the paper's form is "contaminated".

    Parameters
    ----------
    num_chains : int
        n, of the base station.
    num_symbols : int
        L, slots.
    mode : "common", "uplink" or "contaminated"
    num_users : int or None
        K; not needed by "common".
    num_rx_chains : int or None
        m, of a user; needed by "uplink" only.
    trainable : bool
        Whether the symbols are learned; they are scaled to norm 1 in every call.
    initial : array, shape of `matrix`, complex, or None
        Start; None are rows of the DFT matrix of size max(rows, L), in "contaminated" times a
        chirp of each user's own.

    Input
    -----
    h_eq : tf.Tensor, [..., K, m, n], complex
    r_w : tf.Tensor, [..., K, m, m], complex
    gram : tf.Tensor, [..., n, n], complex
    no : float or tf.Tensor, [...], real
        Noise variance over the power that a transmitter spends in a slot.

    Output
    ------
    y : tf.Tensor, [..., K, m, L], complex; [..., n, L] in "uplink"

    Raises
    ------
    ValueError
        For an unknown mode, a missing number, and another shape of `initial` or a slot of zeros.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.hybrid.front_end import HybridFrontEnd
    >>> from sionna_irs.hybrid.chain_pilots import ChainPilots
    >>> front = HybridFrontEnd(16, 4, 8, 2, num_users=3)
    >>> h_eq, r_w, gram = front(irs.random.complex_normal([5, 3, 8, 16]))
    >>> ChainPilots(4, 6)(h_eq, r_w, gram, 0.1).shape
    TensorShape([5, 3, 2, 6])
    >>> ChainPilots(4, 6, "uplink", num_users=3, num_rx_chains=2)(h_eq, r_w, gram, 0.1).shape
    TensorShape([5, 4, 6])
    """

    inputs = {
        "h_eq": Input("complex", "num_users", "num_rx_chains", "num_chains"),
        "r_w": Input("complex", "num_users", "num_rx_chains", "num_rx_chains"),
        "gram": Input("complex", "num_chains", "num_chains"),
        "no": Input("real", minimum=0, like="h_eq"),
    }

    def __init__(
        self,
        num_chains: int,
        num_symbols: int,
        mode: Literal["common", "uplink", "contaminated"] = "common",
        num_users: int | None = None,
        num_rx_chains: int | None = None,
        trainable: bool = False,
        initial=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if mode not in _MODES:
            raise ValueError(f"mode = {mode!r}; one of {_MODES} is needed")
        require_integer("num_chains", num_chains)
        require_integer("num_symbols", num_symbols)
        require_integer("num_users", num_users, optional=mode == "common")
        require_integer("num_rx_chains", num_rx_chains, optional=mode != "uplink")
        self.num_chains, self.num_symbols, self.mode = num_chains, num_symbols, mode
        # An attribute binds the dimension of its name; without it any number will do.
        if num_users is not None:
            self.num_users = num_users
        if num_rx_chains is not None:
            self.num_rx_chains = num_rx_chains
        senders = 1 if mode == "common" else num_users
        rows = num_rx_chains if mode == "uplink" else num_chains
        parts = _start(initial, mode, senders, rows, num_symbols)
        self.parts = self.add_weight(
            shape=parts.shape, initializer="zeros", trainable=trainable, name="parts"
        )
        self.parts.assign(tf.cast(parts, self.rdtype))

    @property
    def matrix(self):
        """The regressor X, complex: [n, L], in "uplink" [Km, L], in "contaminated" [K, n, L].

        The column of every sender has norm 1.
        """
        parts = tf.convert_to_tensor(self.parts)
        power = tf.reduce_sum(tf.square(parts), [0, -2], keepdims=True)
        x = tf.complex(*tf.unstack(parts * tf.math.rsqrt(power)))
        return x if self.mode == "contaminated" else tf.reshape(x, [-1, self.num_symbols])

    def slots(self, y):
        """The columns of `matrix` behind observations `y`, which may end early.

        Parameters
        ----------
        y : tf.Tensor, [..., L'], complex
            Of the first L' <= L slots.

        Returns
        -------
        tf.Tensor, [..., L'], complex, in the dtype of `y`

        Raises
        ------
        ValueError
            For more slots than pilots.
        """
        count = y.shape[-1]
        if count > self.num_symbols:
            raise ValueError(
                f"y has shape {tuple(y.shape)}: {count} slots; at most num_symbols = "
                f"{self.num_symbols} have pilots"
            )
        return tf.cast(self.matrix[..., :count], y.dtype)

    def stack_users(self, h_eq):
        """What multiplies `matrix`: `h_eq`, in "uplink" its transposes in a row, [..., n, Km]."""
        if self.mode != "uplink":
            return h_eq
        lead = tf.shape(h_eq)[:-3]
        rows = tf.reshape(h_eq, tf.concat([lead, [-1, self.num_chains]], 0))
        return tf.linalg.matrix_transpose(rows)

    def split_users(self, stacked):
        """The channels [..., K, m, n] of :meth:`stack_users`."""
        if self.mode != "uplink":
            return stacked
        rows = tf.linalg.matrix_transpose(stacked)
        shape = [self.num_users, self.num_rx_chains, self.num_chains]
        return tf.reshape(rows, tf.concat([tf.shape(rows)[:-2], shape], 0))

    def call(self, h_eq, r_w, gram, no):
        x = self.matrix
        if self.mode == "contaminated":
            x = tf.reduce_sum(x, 0)
        y = tf.linalg.matmul(self.stack_users(h_eq), x)
        uplink = self.mode == "uplink"
        no = no[..., None, None] if uplink else no[..., None, None, None]
        noise = random.complex_normal(tf.shape(y), self.cdtype, no)
        return y + tf.linalg.matmul(hermitian_sqrt(tf.math.conj(gram) if uplink else r_w), noise)


def _start(initial, mode, senders, rows, num_symbols):
    """Real and imaginary part [2, senders, rows, L] of the first symbols."""
    shape = (senders, rows, num_symbols)
    if initial is None:
        stacked = np.arange(senders * rows if mode == "uplink" else rows)
        slot, size = np.arange(num_symbols), max(len(stacked), num_symbols)
        initial = np.exp(-2j * np.pi * np.outer(stacked, slot) / size)
        if mode == "contaminated":
            # Users of equal rows would not be told apart at all.
            chirps = np.exp(1j * np.pi * np.outer(np.arange(senders), slot**2) / num_symbols)
            initial = chirps[:, None] * initial
    initial = np.asarray(initial, complex)
    wanted = shape if mode == "contaminated" else (shape[0] * shape[1], num_symbols)
    if initial.shape != wanted or not np.any(initial.reshape(shape), -2).all():
        raise ValueError(
            f"initial has shape {initial.shape}; {list(wanted)} without a slot of zeros is needed"
        )
    initial = initial.reshape(shape)
    return np.stack([initial.real, initial.imag])
