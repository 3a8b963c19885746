"""Phase designs: policies map links to controls, {surface: phases [..., N]}."""

import math

import tensorflow as tf

from .. import random
from ..arrays import unit_phasor
from ..channel.links import Links
from ..layer import Input, LinkLayer, require_integer
from ..linalg import dominant_singular_vectors
from ..surface.design import Design
from ..surface.discrete import quantize_phase
from .unit_links import unit_links

__all__ = ["AlignedPhases", "CoordinateAscent", "RandomPhases"]


def _surfaces(links):
    """{surface: its incoming hop} in the order of the names."""
    found = {}
    for name, hop in links.items():
        end = name.split(">")[1]
        if end != "rx":
            found[end] = hop
    return found


def unit_cascade(links):
    """U as given numbers of order one, and k [batch_size] or []: 2^k U is that of the links."""
    links, k = unit_links({name: tf.stop_gradient(hop) for name, hop in links.items()})
    return Links(links).cascaded(), k


class RandomPhases(LinkLayer):
    r"""Phases uniform in :math:`[0,2\pi)`, drawn anew for every example: the baseline without CSI.

    Input
    -----
    links : Links

    Output
    ------
    design : Design, surface -> [batch_size, N], real [radian]

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> irs.RandomPhases()(channel.draw(3))["s1"].shape
    TensorShape([3, 8])
    """

    inputs = {"links": Input("links")}

    def call(self, links):
        return Design(
            {
                name: 2 * math.pi * random.uniform([tf.shape(hop)[0], hop.shape[-2]], self.rdtype)
                for name, hop in _surfaces(links).items()
            }
        )


class AlignedPhases(LinkLayer):
    r"""Phases that align the surface with the direct path along the cascade's strongest direction.

    With w the dominant left singular vector of the cascade :math:`[u_1..u_N]`, in closed form:
    :math:`\varphi_n=\arg(w^Hd)-\arg(w^Hu_n)`. Optimal for one receive antenna. With a user axis
    every user gets phases of its own.

    Parameters
    ----------
    num_iter : int
        Power iterations for w.

    Input
    -----
    links : Links
        One surface, one transmit antenna; perfect or estimated (``Links.from_cascaded``).

    Output
    ------
    design : Design, {"s1": [..., N]}, real [radian]

    No gradient passes: the design is a decision.

    Raises
    ------
    ValueError
        With other links.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> irs.AlignedPhases()(channel.draw(3))["s1"].shape
    TensorShape([3, 8])
    """

    inputs = {"links": Input("links")}

    def __init__(self, num_iter: int = 10, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_iter", num_iter)
        self.num_iter = num_iter

    def call(self, links):
        u = unit_cascade(links)[0]
        num_elements = links["tx>s1"].shape[-2]
        cascade, direct = u[..., :num_elements], u[..., num_elements:]
        # The scale is that of path gains, far below the smallest squares of single precision.
        scale = tf.reduce_max(tf.abs(cascade), [-2, -1], keepdims=True)
        scale = tf.where(scale > 0, scale, tf.ones_like(scale))
        _, w, _ = dominant_singular_vectors(cascade / tf.cast(scale, u.dtype), self.num_iter)
        # The common phase of w is free; a real first entry makes the design a plain formula.
        turn = -tf.math.angle(w[..., :1])
        w *= unit_phasor(turn)
        seen = tf.linalg.matvec(cascade, w, adjoint_a=True)  # conj(w^H u_n)
        phase = tf.math.angle(seen)
        if direct.shape[-1]:
            phase -= tf.math.angle(tf.linalg.matvec(direct, w, adjoint_a=True))
        return Design(s1=phase)


class CoordinateAscent(LinkLayer):
    r"""Element-wise ascent of the received power :math:`\sum_k\|U_k\bar r\|^2` from all ones.

    With all other elements fixed, the best phase is :math:`\arg(u_n^Hc)`, c the field without
    element n; with b bits, the nearest of the 2^b phases, which is the best of them. No step
    lowers the power. Users (a batch axis before the last two) share the surface.

    Parameters
    ----------
    num_bits : int or None
        None is continuous.
    num_iter : int
        Sweeps over the elements.

    Input
    -----
    links : Links
        One surface, one transmit antenna, with or without a user axis.

    Output
    ------
    design : Design, {"s1": [batch_size, N]}, real [radian]

    No gradient passes: the design is a decision.

    Raises
    ------
    ValueError
        For other links and numbers out of range.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8, num_users=2)
    >>> irs.CoordinateAscent(num_bits=1)(channel.draw(3))["s1"].shape
    TensorShape([3, 8])
    """

    inputs = {"links": Input("links")}
    compiled = True

    def __init__(self, num_bits: int | None = None, num_iter: int = 8, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_bits", num_bits, high=16, optional=True)
        require_integer("num_iter", num_iter)
        self.num_bits, self.num_iter = num_bits, num_iter

    def call(self, links):
        u = unit_cascade(links)[0]
        n = links["tx>s1"].shape[-2]
        if u.shape.rank < 3:
            raise ValueError(f"the cascade has shape {u.shape}; [batch, ..., M, N+1] is needed")
        if u.shape.rank > 3:  # the antennas of all users and subcarriers side by side
            antennas = math.prod(u.shape[1:-1])
            u = tf.reshape(u, [tf.shape(u)[0], antennas, u.shape[-1]])
        columns = tf.transpose(u, [2, 0, 1])
        field = tf.reduce_sum(columns, 0)
        elements, phases = columns[:n], tf.zeros([n, tf.shape(u)[0]], self.rdtype)
        phases = tf.ensure_shape(phases, [n, u.shape[0]])

        def body(step, field, phases):
            index = step % n
            element = tf.gather(elements, index)
            old = tf.gather(phases, index)
            rest = field - element * self._turn(old)
            best = tf.math.angle(tf.reduce_sum(tf.math.conj(element) * rest, -1))
            if self.num_bits is not None:
                best = quantize_phase(best, self.num_bits)
            phases = tf.tensor_scatter_nd_update(phases, [[index]], best[None])
            return step + 1, rest + element * self._turn(best), phases

        steps = self.num_iter * n
        _, _, phases = tf.while_loop(
            lambda step, *_: step < steps,
            body,
            (tf.constant(0), field, phases),
            maximum_iterations=steps,
        )
        return Design(s1=tf.transpose(phases))

    @staticmethod
    def _turn(phase):
        return unit_phasor(phase)[:, None]
