"""The analog front end of hybrid beamforming: phase shifters between antennas and RF chains."""

import math

import tensorflow as tf

from .. import random
from ..arrays import unit_phasor
from ..layer import Input, LinkLayer, require_integer
from ..surface.discrete import quantize_phase

__all__ = ["HybridFrontEnd", "steered_phases"]


class HybridFrontEnd(LinkLayer):
    r"""Phase shifters at the base station and at every user; what the RF chains see behind them.

    .. math:: F_{RF}=N_t^{-1/2}e^{j\Psi_F},\quad W_{RF,k}=N_r^{-1/2}e^{j\Psi_{W,k}},\quad
              H_{eq,k}=W_{RF,k}^HH_kF_{RF}

    The base station's shifters serve all users. Beams of different chains are not orthogonal:
    :math:`G=F_{RF}^HF_{RF}` is the metric of the transmit power and
    :math:`R_{W,k}=W_{RF,k}^HW_{RF,k}` the colour of the noise; both have a unit diagonal.

    Source: mixed-timescale deep unfolding, (7) and (18), with their moduli corrected.

    Parameters
    ----------
    num_tx_ant, num_tx_chains : int
        :math:`N_t` and n.
    num_rx_ant, num_rx_chains : int
        :math:`N_r` and m.
    num_users : int
        K.
    num_bits : int or None
        Rounds the phases to multiples of :math:`2\pi/2^b`, b in 1..16; the gradient passes
        straight through. None: exact.

    Input
    -----
    h : tf.Tensor, [..., K, Nr, Nt], complex
    tx_phases : tf.Tensor, [..., Nt, n], real, or None
        [radian]; None: the layer's own, trainable, uniform at the start.
    rx_phases : tf.Tensor, [..., K, Nr, m], real, or None

    Output
    ------
    h_eq : tf.Tensor, [..., K, m, n], complex
    r_w : tf.Tensor, [..., K, m, m], complex
    gram : tf.Tensor, [..., n, n], complex
        G; like `r_w` with the leading axes of the phases.

    Raises
    ------
    ValueError
        For numbers below 1 and another `num_bits`.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna_irs.hybrid.front_end import HybridFrontEnd
    >>> front = HybridFrontEnd(16, 4, 8, 2, num_users=3)
    >>> [x.shape.as_list() for x in front(irs.random.complex_normal([5, 3, 8, 16]))]
    [[5, 3, 2, 4], [3, 2, 2], [4, 4]]
    """

    inputs = {
        "h": Input("complex", "num_users", "num_rx_ant", "num_tx_ant"),
        "tx_phases": Input("real", "num_tx_ant", "num_tx_chains"),
        "rx_phases": Input("real", "num_users", "num_rx_ant", "num_rx_chains"),
    }

    def __init__(
        self,
        num_tx_ant: int,
        num_tx_chains: int,
        num_rx_ant: int,
        num_rx_chains: int,
        num_users: int,
        num_bits: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {
            "num_tx_ant": num_tx_ant,
            "num_tx_chains": num_tx_chains,
            "num_rx_ant": num_rx_ant,
            "num_rx_chains": num_rx_chains,
            "num_users": num_users,
        }
        for name, size in sizes.items():
            require_integer(name, size)
            setattr(self, name, size)
        require_integer("num_bits", num_bits, high=16, optional=True)
        self.num_bits = num_bits
        self.tx_phases = self._phases("tx_phases", [num_tx_ant, num_tx_chains])
        self.rx_phases = self._phases("rx_phases", [num_users, num_rx_ant, num_rx_chains])

    def _phases(self, name, shape):
        phases = self.add_weight(shape=shape, initializer="zeros", name=name)
        phases.assign(random.uniform(shape, self.rdtype, -math.pi, math.pi))
        return phases

    @property
    def f_rf(self):
        """Precoder of the base station, [Nt, n], complex."""
        return self._beams(self.tx_phases)

    @property
    def w_rf(self):
        """Combiners of the users, [K, Nr, m], complex."""
        return self._beams(self.rx_phases)

    def call(self, h, tx_phases=None, rx_phases=None):
        f = self.f_rf if tx_phases is None else self._beams(tx_phases)
        w = self.w_rf if rx_phases is None else self._beams(rx_phases)
        received = tf.linalg.matmul(w, h, adjoint_a=True)
        h_eq = tf.linalg.matmul(received, f[..., None, :, :])
        return h_eq, _gram(w), _gram(f)

    def _beams(self, phases):
        phases = tf.convert_to_tensor(phases)
        if self.num_bits is not None:
            phases = quantize_phase(phases, self.num_bits)
        return unit_phasor(phases) / phases.shape[-2] ** 0.5


def _gram(beams):
    return tf.linalg.matmul(beams, beams, adjoint_a=True)


def steered_phases(tx_array, rx_array, angles, num_tx_chains: int, num_rx_chains: int):
    """Phases of a front end whose beams point at paths of known angles.

    Chain c of the base station serves user c mod K with its path c // K: every user gets the same
    number of beams within one. Chain i of a user looks at its path i. Beams and looks of one user
    thus belong to the same paths, which are its first: before fading, all are equally strong.

    Parameters
    ----------
    tx_array, rx_array : ULA or UPA
    angles : tf.Tensor, [..., K, P, 2], real
        Azimuths at receiver and transmitter [radian], see :meth:`ClusteredChannel.draw_angles`.
    num_tx_chains, num_rx_chains : int
        n, at most K P, and m, at most P.

    Returns
    -------
    tx_phases : tf.Tensor, [..., Nt, n], real
        [radian]
    rx_phases : tf.Tensor, [..., K, Nr, m], real

    Raises
    ------
    ValueError
        For more chains than paths.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.hybrid.front_end import steered_phases
    >>> tx, rx = steered_phases(irs.ULA(16), irs.ULA(8), tf.zeros([3, 4, 2]), 6, 2)
    >>> tx.shape, rx.shape
    (TensorShape([16, 6]), TensorShape([3, 8, 2]))
    """
    angles = tf.convert_to_tensor(angles)
    num_users, num_paths = angles.shape[-3:-1]
    require_integer("num_tx_chains", num_tx_chains, high=num_users * num_paths)
    require_integer("num_rx_chains", num_rx_chains, high=num_paths)
    departures = tf.linalg.matrix_transpose(angles[..., 1])
    departures = tf.reshape(departures, tf.concat([tf.shape(angles)[:-3], [-1]], 0))
    departures, arrivals = departures[..., :num_tx_chains], angles[..., :num_rx_chains, 0]
    dtype = tf.complex128 if angles.dtype == tf.float64 else tf.complex64
    f = tf.math.conj(tx_array.response(departures, dtype=dtype))
    w = rx_array.response(arrivals, dtype=dtype)
    return tuple(tf.linalg.matrix_transpose(tf.math.angle(beams)) for beams in (f, w))
