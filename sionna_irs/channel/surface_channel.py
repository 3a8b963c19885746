"""The composition: any hops, any surfaces, any direct path."""

import numpy as np
import tensorflow as tf

from ..layer import Input, as_size
from .graph import SurfaceGraph
from .links import Links

__all__ = ["SurfaceChannel", "SurfaceObservation"]


class SurfaceObservation:
    """One draw of a :class:`SurfaceChannel` as a function of its controls: controls -> H.

    Parameters
    ----------
    channel : SurfaceChannel
    links : Links

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=2, num_elements=4)
    >>> observe = channel.observation(channel.draw(3))
    >>> observe(irs.RandomPhases()(observe.links)).shape
    TensorShape([3, 2, 1])
    """

    def __init__(self, channel, links):
        self.channel, self.links = channel, links

    def __call__(self, controls):
        return self.channel.compose(self.links, self.channel.reflect(controls))

    def change(self, controls, direction, radius):
        r"""Exactly :math:`(H(\Pi(c+\mu u))-H(\Pi(c-\mu u)))/2\mu`, or its limit for mu = 0.

        Parameters
        ----------
        controls, direction : dict
            Surface -> [..., N], real.
        radius : float
            mu, at least 0.

        Returns
        -------
        tf.Tensor, [batch_size, rx, tx], complex
        """
        changes = {}
        for name, surface in self.channel.surfaces.items():
            c = controls[name]
            u = direction[name]
            if radius == 0:
                changes[name] = surface.tangent(c, u)
            else:
                ends = surface.project(c + radius * u), surface.project(c - radius * u)
                changes[name] = surface.difference(*ends) / (2 * radius)
        return self.channel.compose_change(self.links, changes)


class SurfaceChannel(SurfaceGraph):
    r"""Named nodes, a hop for every arrow, a surface at every inner node.

    The field at a node is :math:`f_v=\sum_{u\to v}H_{uv}\,(\theta_u\odot f_u)`, pushed node by node
    from the side with fewer antennas, never through a diagonal matrix. On every path each surface
    reflects at most once, so ``"s2>s1"`` next to ``"s1>s2"`` adds the reverse double reflection.
    One surface is the cascaded channel, two are parallel, and with ``"s1>s2"`` double.

    Parameters
    ----------
    hops : dict
        ``"tx>s1"``, ``"s1>rx"``, ``"tx>rx"``, ...: hop layers (``hop(batch_size)``) or fixed
        matrices [rx, tx].
    surfaces : dict
        Name -> :class:`Surface`.

    Input
    -----
    batch_size : int
    policy : callable or None
        links -> :class:`Design` or controls; None takes the surfaces' own controls.

    Output
    ------
    h : tf.Tensor, [batch_size, rx, tx] (with users [batch_size, K, rx, tx]), complex

    Raises
    ------
    ValueError
        When names are unknown, sizes disagree, or no path leads from tx to rx.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> bs, panel, ue = irs.ULA(4), irs.UPA(2, 2), irs.ULA(1)
    >>> channel = irs.SurfaceChannel(
    ...     hops={"tx>s1": irs.RayleighHop(ue, panel), "s1>rx": irs.RicianHop(panel, bs, 10.0)},
    ...     surfaces={"s1": irs.IdealPhases(panel)})
    >>> links = channel.draw(8)
    >>> channel.compose(links, channel.reflect()).shape
    TensorShape([8, 4, 1])
    """

    inputs = {"batch_size": Input("size")}

    def hop(self, name, hop):
        """Matrices as arrays [rx, tx]."""
        if callable(hop):
            return hop
        hop = np.asarray(hop)
        if hop.ndim != 2:
            raise ValueError(f"hops[{name!r}] has shape {hop.shape}; a matrix [rx, tx] is needed")
        return hop

    @staticmethod
    def hop_sizes(hop):
        """(rx, tx) antennas."""
        return hop.shape if isinstance(hop, np.ndarray) else SurfaceGraph.hop_sizes(hop)

    def draw(self, batch_size):
        """Draw every hop.

        Parameters
        ----------
        batch_size : int

        Returns
        -------
        Links
            ``{"tx>s1": [batch_size, N, tx], ...}``, complex.
        """
        batch_size, links = as_size("batch_size", batch_size), Links()
        for name, hop in self.hops.items():
            if isinstance(hop, np.ndarray):
                matrix = tf.constant(hop, self.cdtype)
                links[name] = tf.broadcast_to(matrix, [batch_size, *hop.shape])
            else:
                links[name] = self.cast(hop(batch_size), name)
        return links

    def compose(self, links, theta):
        """Push the fields through hops and surfaces.

        Parameters
        ----------
        links : Links
            From :meth:`draw` or of your own making, with the hops of this channel.
        theta : dict
            Surface -> reflection coefficients [N], [batch_size, N] or [batch_size, K, N].

        Returns
        -------
        tf.Tensor, [batch_size, (K,) rx, tx], complex

        Raises
        ------
        ValueError
            When a hop or a surface is missing.
        """
        return self.compose_matrices(links, theta)

    def compose_change(self, links, change):
        r"""What H gains when the coefficients gain `change`: :math:`H_{out}\,(\delta\odot H_{in})`.

        Exact for any size of the change, and without the subtraction of two channels.

        Parameters
        ----------
        links, change
            As :meth:`compose`; `change` in place of theta.

        Returns
        -------
        tf.Tensor, [batch_size, (K,) rx, tx], complex

        Raises
        ------
        ValueError
            When a path meets two surfaces: H is not linear in their coefficients.
        """
        double = [f"{a}>{b}" for a, b in self._arrows if a != "tx" and b != "rx"]
        if double:
            raise ValueError(f"hop {double[0]!r} joins two surfaces; one for every path is needed")
        return self.compose_matrices(links, change, skip=("tx", "rx"))

    def observation(self, links):
        """A channel of these links as a function of the controls, to be tuned.

        Parameters
        ----------
        links : Links

        Returns
        -------
        SurfaceObservation
            For :class:`ZerothOrder` and :class:`FirstOrder`.
        """
        return SurfaceObservation(self, links)

    def call(self, batch_size, policy=None):
        links = self.draw(batch_size)
        controls = None if policy is None else self.chosen(policy, links)
        return self.compose(links, self.reflect(controls))
