"""Responses of connected elements in closed form, for one direction on either side."""

import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import Input, LinkLayer, require_integer
from ..linalg import dominant_singular_vectors
from ..linalg.scale import unit_scale
from ..surface.design import Design
from ..surface.operators import BlockOperator, cast_response

__all__ = ["AlignedResponse"]


class AlignedResponse(LinkLayer):
    r"""The response that aligns every group of elements with the direct path.

    With a the row of :math:`H_{out}` and b the column of :math:`H_{in}` in their dominant
    directions w and f, and :math:`d=w^HH_{dir}f`: the largest
    :math:`\mathrm{Re}\,e^{-j\arg d}\,a\Theta b`, by the surface's ``support`` of
    :math:`e^{j\arg d}\,a^Hb^H`. For one antenna each side this is optimal,
    :math:`|h|=|d|+\sum_g\|a_g\|\|b_g\|`.

    Source: Nerini, Shen and Clerckx 2023, "Closed-form global optimization of beyond diagonal
    reconfigurable intelligent surfaces", whose bound it reaches.

    Parameters
    ----------
    surface : Surface
        Of any kind; :class:`GroupConnected` gains most.
    num_iter : int
        Power iterations for the directions.

    Input
    -----
    links : Links
        "tx>s1" and "s1>rx", with or without "tx>rx": both hops are needed, a cascade is not
        enough.

    Output
    ------
    design : Design, {"s1": response [batch_size, N] or operator}, complex
        No gradient passes: the design is a decision.

    Raises
    ------
    ValueError
        For other links.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> panel, user = irs.UPA(2, 2), irs.ULA(1)
    >>> surface = irs.GroupConnected(panel, group_size=2)
    >>> channel = irs.SurfaceChannel(
    ...     {"tx>s1": irs.RayleighHop(user, panel), "s1>rx": irs.RayleighHop(panel, user)},
    ...     {"s1": surface})
    >>> channel(3, policy=irs.AlignedResponse(surface)).shape
    TensorShape([3, 1, 1])
    """

    inputs = {"links": Input("links")}

    def __init__(self, surface, num_iter: int = 30, **kwargs):
        super().__init__(**{"precision": surface.precision, **kwargs})
        require_integer("num_iter", num_iter)
        self.surface, self.num_iter = surface, num_iter

    def call(self, links):
        if not {"tx>s1", "s1>rx"} <= set(links) <= {"tx>s1", "s1>rx", "tx>rx"}:
            raise ValueError(
                f"links = {sorted(links)}; 'tx>s1' and 's1>rx', with or without 'tx>rx', are needed"
            )
        links = {name: unit_scale(tf.stop_gradient(hop))[0] for name, hop in links.items()}
        _, w, _ = dominant_singular_vectors(links["s1>rx"], self.num_iter)
        _, _, f = dominant_singular_vectors(links["tx>s1"], self.num_iter)
        a = tf.linalg.matvec(links["s1>rx"], w, adjoint_a=True)  # a^H
        b = self.surface.cplx(tf.math.conj(tf.linalg.matvec(links["tx>s1"], f)))
        if "tx>rx" in links:
            d = tf.linalg.matvec(links["tx>rx"], f)
            turn = tf.math.angle(tf.reduce_sum(tf.math.conj(w) * d, -1, keepdims=True))
            a *= unit_phasor(turn)
        a = self.surface.cplx(a)
        if self.surface.diagonal:
            return Design(s1=cast_response(self, self.surface.support(a * b), "s1"))
        shape = tf.concat([tf.shape(a)[:-1], [self.surface.num_groups, -1]], 0)
        a, b = tf.reshape(a, shape), tf.reshape(b, shape)
        slope = BlockOperator(a[..., :, None] * b[..., None, :])
        return Design(s1=cast_response(self, self.surface.support(slope), "s1"))
