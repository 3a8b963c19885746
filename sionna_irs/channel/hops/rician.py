"""Rician and Rayleigh hops between two arrays."""

import math

import numpy as np
import tensorflow as tf

from ... import random
from ...arrays import require_array
from ...layer import Input, LinkLayer
from .correlation import correlation_root
from .moments import HopMoments, full_correlation

__all__ = ["RayleighHop", "RicianHop", "correlate", "los_matrix"]


def los_matrix(tx_array, rx_array, tx_angles: tuple[float, float], rx_angles: tuple[float, float]):
    r"""Line of sight of a plane wave, :math:`a_{rx}a_{tx}^T` (no conjugate: see conventions).

    Parameters
    ----------
    tx_array, rx_array : ULA or UPA
    tx_angles, rx_angles : (float, float)
        Azimuth and zenith of the other side [radian].

    Returns
    -------
    np.ndarray, [rx, tx], complex128, entries of modulus one

    Examples
    --------
    >>> import math, sionna_irs as irs
    >>> irs.los_matrix(irs.ULA(2), irs.ULA(3), (0.1, math.pi / 2), (0.2, math.pi / 2)).shape
    (3, 2)
    """
    require_array("tx_array", tx_array)
    require_array("rx_array", rx_array)
    a_rx = rx_array.response(*rx_angles, dtype=tf.complex128).numpy()
    a_tx = tx_array.response(*tx_angles, dtype=tf.complex128).numpy()
    return np.outer(a_rx, a_tx)


class RicianHop(LinkLayer):
    r"""A Rician hop, fading from draw to draw.

    .. math:: H=\sqrt{g}\Big(\sqrt{\tfrac K{K+1}}\,\bar H+\sqrt{\tfrac1{K+1}}\,
              R_{rx}^{1/2}\,W\,(R_{tx}^{1/2})^T\Big),\quad W_{ij}\sim\mathcal{CN}(0,1)

    Parameters
    ----------
    tx_array, rx_array : ULA or UPA
    k_factor : float
        K, linear; 0 is Rayleigh, ``float("inf")`` is the line of sight alone.
    path_gain : float or array, [rx]
        g, mean power per entry, linear; an array has one for every receive antenna, such as the
        single-antenna users of a downlink.
    los : "ones" or array, [..., rx, tx]
        Line of sight; see :func:`los_matrix`. Leading axes broadcast to those of the draw:
        [batch_size, rx, tx] gives every example its own.
    tx_correlation, rx_correlation : array, [tx, tx] and [rx, rx], or tuple of arrays, or None
        Correlation matrices; see :func:`exponential_correlation`. A tuple holds the two Kronecker
        factors of a planar array's (:func:`exponential_factors`). [rx, tx, tx] for
        `tx_correlation` gives every receive antenna, fading on its own, a matrix of its own.
    num_users : int or None
        Adds a user axis: independent draws for each user.

    Input
    -----
    batch_size : int

    Output
    ------
    h : tf.Tensor, [batch_size, rx, tx] or [batch_size, num_users, rx, tx], complex

    Raises
    ------
    TypeError
        For ends that are no arrays.
    ValueError
        For a negative K or gain, and matrices of other shapes.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.RicianHop(irs.ULA(2), irs.UPA(4, 4), k_factor=10.0)(8).shape
    TensorShape([8, 16, 2])
    """

    inputs = {"batch_size": Input("size")}

    def __init__(
        self,
        tx_array,
        rx_array,
        k_factor: float,
        path_gain=1.0,
        los="ones",
        tx_correlation=None,
        rx_correlation=None,
        num_users: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_array("tx_array", tx_array)
        require_array("rx_array", rx_array)
        if not k_factor >= 0:
            raise ValueError(f"k_factor = {k_factor}; a number of at least 0 is needed")
        gain = np.asarray(path_gain, float)
        if not np.all((gain >= 0) & np.isfinite(gain)):
            raise ValueError(f"path_gain = {path_gain}; a finite number of at least 0 is needed")
        if gain.shape not in ((), (rx_array.num_ant,)):
            raise ValueError(
                f"path_gain has shape {gain.shape}; a number or [{rx_array.num_ant}] is needed"
            )
        if num_users is not None and (not isinstance(num_users, int) or num_users < 1):
            raise ValueError(f"num_users = {num_users!r}; an integer of at least 1 is needed")
        self.tx_array, self.rx_array = tx_array, rx_array
        self.num_rx_ant, self.num_tx_ant = rx_array.num_ant, tx_array.num_ant
        self.num_users = num_users
        shape = (self.num_rx_ant, self.num_tx_ant)
        if isinstance(los, str):
            if los != "ones":
                raise ValueError(f"los = {los!r}; 'ones' or an array of shape {shape} is needed")
            los = np.ones(shape)
        los = np.asarray(los, complex)
        if los.shape[-2:] != shape:
            raise ValueError(f"los has shape {los.shape}; {shape} is needed")
        gain = gain[..., None] if gain.ndim else gain
        share = 1.0 if math.isinf(k_factor) else k_factor / (k_factor + 1)
        # A uniform line of sight is one number; it then costs no pass over memory of its own.
        mean = np.sqrt(gain * share) * los
        mean = mean.flat[0] if np.all(mean == mean.flat[0]) else mean
        with tf.init_scope():  # large arrays stay arguments of compiled functions
            self._mean = tf.constant(mean, self.cdtype)
        self._still = bool(np.all(mean == 0))
        self._variance = gain * (0.0 if math.isinf(k_factor) else 1 / (k_factor + 1))
        self._roots = (
            correlation_root("rx_correlation", rx_correlation, self.num_rx_ant),
            correlation_root("tx_correlation", tx_correlation, self.num_tx_ant),
        )
        rows = [()] if self._roots[0] else [(), shape[:1]]
        for name, roots, lead in zip(
            ("rx_correlation", "tx_correlation"), self._roots, ([()], rows), strict=True
        ):
            for root in roots:
                if root.shape[:-2] not in lead:
                    raise ValueError(f"{name} has shape {root.shape}; {root.shape[-2:]} is needed")

    def call(self, batch_size):
        users = [] if self.num_users is None else [self.num_users]
        shape = [batch_size, *users, self.num_rx_ant, self.num_tx_ant]
        if not np.any(self._variance):
            return tf.broadcast_to(self._mean, shape)
        h = self.scattered(shape)
        return h if self._still else h + self._mean

    @property
    def line_of_sight(self):
        """The mean of the hop, [..., rx, tx] or a number that broadcasts to it, complex."""
        return self._mean

    def scattered(self, shape):
        """A draw of the fading part, [..., rx, tx], complex."""
        h = random.complex_normal(shape, self.cdtype, self._variance)
        return correlate(h, *self._roots)

    def moments(self):
        """Mean and covariance of the hop, a :class:`HopMoments`.

        Raises
        ------
        ValueError
            When gains or correlations differ between receive antennas, or the line of sight
            between examples.
        """
        gain, mean = np.unique(self._variance), np.asarray(self._mean, complex)
        if gain.size > 1 or mean.ndim > 2 or any(r.ndim > 2 for side in self._roots for r in side):
            raise ValueError("moments: one gain, line of sight and correlation a hop are needed")
        mean = np.broadcast_to(mean, [self.num_rx_ant, self.num_tx_ant])
        return HopMoments(mean, float(gain[0]), *(full_correlation(r) for r in self._roots))


def correlate(h, rx_roots=(), tx_roots=()):
    """R_rx^(1/2) h (R_tx^(1/2))^T, one Kronecker factor after the other."""
    if not rx_roots and not tx_roots:
        return h
    if any(np.any(root.imag) for root in (*rx_roots, *tx_roots)):
        return _correlate(h, rx_roots, tx_roots)
    # Of the parts, at half the cost.
    return tf.complex(
        *(_correlate(x, rx_roots, tx_roots) for x in (tf.math.real(h), tf.math.imag(h)))
    )


def _correlate(h, rx_roots, tx_roots):
    shape, lead = tf.shape(h), "ab"[: h.shape.rank - 2]
    axes = [*(r.shape[-1] for r in rx_roots or [np.eye(h.shape[-2])])]
    split = len(axes)
    axes += [r.shape[-1] for r in tx_roots or [np.eye(h.shape[-1])]]
    h = tf.reshape(h, [*tf.unstack(shape[: h.shape.rank - 2]), *axes])
    names = "rstuv"[: len(axes)]
    for axis, root in [*enumerate(rx_roots), *enumerate(tx_roots, split)]:
        if root.shape[-1] == 1:
            continue  # the factor of a single row is 1
        old = names[axis]
        row = names[0] if root.ndim == 3 else ""
        terms = f"{row}z{old},{lead}{names}->{lead}{names.replace(old, 'z')}"
        root = tf.constant(root if h.dtype.is_complex else root.real, h.dtype)
        h = tf.einsum(terms, root, h)
    return tf.reshape(h, shape)


class RayleighHop(RicianHop):
    r"""A Rayleigh hop: :class:`RicianHop` with K = 0.

    Parameters, inputs and outputs as there, without `k_factor` and `los`.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.RayleighHop(irs.ULA(1), irs.ULA(4), num_users=3)(8).shape
    TensorShape([8, 3, 4, 1])
    """

    def __init__(self, tx_array, rx_array, path_gain=1.0, **kwargs):
        super().__init__(tx_array, rx_array, k_factor=0.0, path_gain=path_gain, **kwargs)
