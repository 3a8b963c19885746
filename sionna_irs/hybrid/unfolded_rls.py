"""Recursive least squares with learned matrices in every slot."""

import math

import tensorflow as tf

from ..layer import as_real, require_integer
from .rls import RLSEstimator, corrected

__all__ = ["UnfoldedRLS"]


class UnfoldedRLS(RLSEstimator):
    r"""Recursive least squares unfolded: layer l is slot l, with parameters of its own.

    .. math:: g=T_gPx_l+q_g,\quad v=\frac{T_vg}{\gamma+|\mathrm{Re}(g^Hx_l)|}+q_v,\quad
              P\leftarrow\gamma^{-1}T_p(P-vg^H)+Q_p,\quad
              \hat H\leftarrow(\hat H+(y_l-\hat Hx_l)v^H)T_w^H+Q_w

    Untrained (:math:`T=I`, :math:`q=0`, :math:`\gamma=\beta`) it is :class:`RLSEstimator`; the
    modulus keeps trained layers stable whose P is no longer definite. The estimate is affine in
    the observations; :meth:`collapse` gives the matrix.

    Source: mixed-timescale deep unfolding, (17), corrected: the denominator.

    Parameters
    ----------
    pilots : ChainPilots
        Its trainable symbols are learned too.
    num_rx_chains : int
        m.
    num_users : int or None
        K parameters, one for each user; None: shared by all, whatever their number.
    forgetting, loading : float
        Of the start; see :class:`RLSEstimator`.
    offsets : bool
        Whether there are :math:`q_g,q_v,Q_p,Q_w`. They break a symmetry of channels of random
        phase, and cannot help on average.

    Input
    -----
    y, no
        As :class:`RLSEstimator`; fewer slots use the first layers.

    Output
    ------
    h_hat : tf.Tensor, [..., K, m, n], complex

    Raises
    ------
    ValueError
        As :class:`RLSEstimator`; for a number below 1, and another `num_users` than that of the
        pilots, or any for uplink pilots, which all users share.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.hybrid.chain_pilots import ChainPilots
    >>> from sionna_irs.hybrid.unfolded_rls import UnfoldedRLS
    >>> estimator = UnfoldedRLS(ChainPilots(4, 6, trainable=True), num_rx_chains=2)
    >>> estimator(irs.random.complex_normal([5, 3, 2, 6]), 0.1).shape
    TensorShape([5, 3, 2, 4])
    """

    def __init__(
        self,
        pilots,
        num_rx_chains: int,
        num_users: int | None = None,
        forgetting: float = 1.0,
        loading: float = 10.0,
        offsets: bool = False,
        **kwargs,
    ):
        super().__init__(pilots, forgetting, loading, **kwargs)
        require_integer("num_rx_chains", num_rx_chains)
        require_integer("num_users", num_users, optional=True)
        uplink = pilots.mode == "uplink"
        permitted = None if uplink else getattr(pilots, "num_users", num_users)
        if num_users not in (None, permitted):
            raise ValueError(f"num_users = {num_users}; None or {permitted} is needed")
        self.num_users, self.offsets = num_users, offsets
        self.rows = pilots.num_chains if uplink else num_rx_chains
        size = pilots.matrix.shape[-2]
        lead = [pilots.num_symbols] + ([] if num_users is None else [num_users])
        eye = tf.eye(size, batch_shape=lead, dtype=self.rdtype)
        self.matrices = {
            name: self._pair(f"t_{name}", eye.shape, [eye, tf.zeros_like(eye)]) for name in "gvpw"
        }
        self.shifts = {}
        if offsets:
            shapes = {"g": [size], "v": [size], "p": [size, size], "w": [self.rows, size]}
            self.shifts = {
                name: self._pair(f"q_{name}", [*lead, *shape]) for name, shape in shapes.items()
            }
        self.log_forgetting = self.add_weight(
            shape=lead, initializer="zeros", name="log_forgetting"
        )
        self.log_forgetting.assign(tf.fill(lead, self.real(math.log(forgetting))))

    def _pair(self, name, shape, start=None):
        """A complex weight, real and imaginary part [2, L, ...]."""
        weight = self.add_weight(shape=[2, *shape], initializer="zeros", name=name)
        if start is not None:
            weight.assign(tf.stack(start))
        return weight

    def _start(self, x, no):
        p = tf.square(super()._start(x, no))  # trained layers have a P without a square root
        return p if self.num_users is None else p + tf.zeros([self.num_users, 1, 1], p.dtype)

    def _slot(self, index, x, y, p, h):
        t = {name: _layer(weight, index) for name, weight in self.matrices.items()}
        q = {name: _layer(weight, index) for name, weight in self.shifts.items()}
        gamma = tf.exp(tf.gather(self.log_forgetting, index))[..., None]
        g = tf.linalg.matvec(t["g"], tf.linalg.matvec(p, x)) + q.get("g", 0)
        v = tf.linalg.matvec(t["v"], g) / self.cplx(gamma + tf.abs(_inner(g, x))) + q.get("v", 0)
        p -= v[..., None] * tf.math.conj(g)[..., None, :]
        p = tf.linalg.matmul(t["p"], p) / self.cplx(gamma)[..., None] + q.get("p", 0)
        h = tf.linalg.matmul(corrected(h, v, x, y), t["w"], adjoint_b=True)
        return p, h + q.get("w", 0)

    def collapse(self, no):
        r"""The whole network as one product: :math:`\hat H_k=Y_kM_k+C_k`.

        Parameters
        ----------
        no : float or tf.Tensor, [], real
            As of the pilots.

        Returns
        -------
        m : tf.Tensor, [K or 1, L, n], complex
            1 for parameters that the users share. For uplink pilots [1, L, Km], of which
            ``pilots.split_users`` makes the users' channels.
        c : tf.Tensor, [K or 1, m, n], complex
            For uplink pilots [1, n, Km].

        Examples
        --------
        >>> from sionna_irs.hybrid.chain_pilots import ChainPilots
        >>> from sionna_irs.hybrid.unfolded_rls import UnfoldedRLS
        >>> estimator = UnfoldedRLS(ChainPilots(4, 6), num_rx_chains=2)
        >>> [x.shape.as_list() for x in estimator.collapse(0.1)]
        [[1, 6, 4], [1, 2, 4]]
        """
        num_symbols = self.pilots.num_symbols
        units = tf.eye(num_symbols + 1, num_symbols, dtype=self.cdtype)  # a row of zeros at the end
        y = tf.tile(units[:, None, None], [1, 1, self.rows, 1])
        answers = self._stacked(y, as_real("no", no, self.rdtype, 1e-30, ()))
        constant = answers[-1]
        linear = answers[:-1, :, 0] - constant[:, 0]
        return tf.transpose(linear, [1, 0, 2]), constant


def _layer(weight, index):
    """Complex parameters of a layer."""
    return tf.complex(*tf.unstack(tf.gather(weight, index, axis=1)))


def _inner(g, x):
    """Re(g^H x) [..., 1], real."""
    return tf.reduce_sum(tf.math.real(tf.math.conj(g) * x), -1, keepdims=True)
