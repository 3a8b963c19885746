"""The composition: any hops, any surfaces, any direct path."""

import numpy as np
import tensorflow as tf

from ..layer import LinkLayer
from .links import Links

__all__ = ["SurfaceChannel"]


class SurfaceChannel(LinkLayer):
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
        links -> controls; None takes the surfaces' own controls.

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

    def __init__(self, hops, surfaces, **kwargs):
        super().__init__(**kwargs)
        self.surfaces = dict(surfaces)
        self.hops = {}
        for name, hop in hops.items():
            if not isinstance(hop, tf.keras.layers.Layer) and not callable(hop):
                hop = np.asarray(hop)
                if hop.ndim != 2:
                    raise ValueError(
                        f"hops[{name!r}] has shape {hop.shape}; a matrix [rx, tx] is needed"
                    )
            self.hops[name] = hop
        self._arrows = [self._arrow(name) for name in self.hops]
        self._check_sizes()
        self._ancestors = {node: self._reaching(node) for node in ("rx", *self.surfaces)}
        if "tx" not in self._ancestors["rx"]:
            raise ValueError(f"hops = {list(self.hops)}: no path leads from 'tx' to 'rx'")

    def _arrow(self, name):
        nodes = name.split(">")
        starts, ends = {"tx", *self.surfaces}, {"rx", *self.surfaces}
        if len(nodes) != 2 or nodes[0] == nodes[1]:
            raise ValueError(f"hop {name!r}: 'from>to' is needed, such as 'tx>s1'")
        if nodes[0] not in starts or nodes[1] not in ends:
            raise ValueError(
                f"hop {name!r}: it must lead from one of {sorted(starts)} to one of {sorted(ends)}"
            )
        return tuple(nodes)

    def _check_sizes(self):
        sizes = {name: (s.num_elements, f"surface {name!r}") for name, s in self.surfaces.items()}
        for (start, end), (name, hop) in zip(self._arrows, self.hops.items(), strict=True):
            shape = (
                hop.shape
                if isinstance(hop, np.ndarray)
                else (
                    getattr(hop, "num_rx_ant", None),
                    getattr(hop, "num_tx_ant", None),
                )
            )
            for node, size in ((end, shape[0]), (start, shape[1])):
                if size is None:
                    continue
                known, where = sizes.setdefault(node, (size, f"hop {name!r}"))
                if known != size:
                    raise ValueError(
                        f"hop {name!r} has {size} antennas at {node!r}, but {where} has {known}"
                    )

    def _reaching(self, node):
        """Every node from which a path leads to ``node``."""
        found, todo = set(), [node]
        while todo:
            end = todo.pop()
            for start, stop in self._arrows:
                if stop == end and start not in found:
                    found.add(start)
                    todo.append(start)
        return frozenset(found)

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
        links = Links()
        for name, hop in self.hops.items():
            if isinstance(hop, np.ndarray):
                matrix = tf.constant(hop, self.cdtype)
                links[name] = tf.broadcast_to(matrix, [batch_size, *hop.shape])
            else:
                links[name] = self.cast(hop(batch_size), name)
        return links

    def reflect(self, controls=None):
        """Reflection coefficients of every surface; gradients pass.

        Parameters
        ----------
        controls : dict or None
            Surface -> control [..., N], real. Surfaces that it lacks use their own control.

        Returns
        -------
        dict
            Surface -> theta [..., N], complex.

        Raises
        ------
        ValueError
            For a name that is no surface.
        """
        controls = {} if controls is None else controls
        unknown = set(controls) - set(self.surfaces)
        if unknown:
            raise ValueError(
                f"controls for {sorted(unknown)}; the surfaces are {sorted(self.surfaces)}"
            )
        return {name: surface(controls.get(name)) for name, surface in self.surfaces.items()}

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
        for kind, wanted, given in (("links", self.hops, links), ("theta", self.surfaces, theta)):
            missing = set(wanted) - set(given)
            if missing:
                raise ValueError(f"{kind} lacks {sorted(missing)}")
        links = {name: self.cast(links[name], name) for name in self.hops}
        theta = {name: self.cast(theta[name], name) for name in self.surfaces}
        num_tx = next(links[f"{a}>{b}"].shape[-1] for a, b in self._arrows if a == "tx")
        num_rx = next(links[f"{a}>{b}"].shape[-2] for a, b in self._arrows if b == "rx")
        if num_rx < num_tx:
            turned = {
                (b, a): tf.linalg.matrix_transpose(links[f"{a}>{b}"]) for a, b in self._arrows
            }
            return tf.linalg.matrix_transpose(self._push(turned, theta, "rx", "tx"))
        return self._push({(a, b): links[f"{a}>{b}"] for a, b in self._arrows}, theta, "tx", "rx")

    def _push(self, hops, theta, source, target):
        """Field at ``target`` for unit fields at the antennas of ``source``."""
        known = {}

        def field(node, allowed):
            # Without cycles the restriction to `allowed` changes nothing, and every node is
            # evaluated once; with cycles it keeps each surface to one reflection per path.
            upstream = frozenset(a for a in allowed if self._leads(hops, a, node, allowed))
            if (node, upstream) not in known:
                total = None
                for (start, end), h in hops.items():
                    if end != node or (start != source and start not in upstream):
                        continue
                    if start != source:
                        incoming = field(start, upstream - {start})
                        if incoming is None:
                            continue
                        h = _times(h, theta[start], incoming)
                    total = h if total is None else _plus(total, h)
                known[node, upstream] = total
            return known[node, upstream]

        return field(target, frozenset(self.surfaces))

    @staticmethod
    def _leads(hops, start, end, allowed):
        """Whether a path over ``allowed`` surfaces leads from ``start`` to ``end``."""
        found, todo = set(), [end]
        while todo:
            stop = todo.pop()
            for a, b in hops:
                if b == stop and a in allowed and a not in found:
                    if a == start:
                        return True
                    found.add(a)
                    todo.append(a)
        return False

    def call(self, batch_size, policy=None):
        links = self.draw(batch_size)
        controls = None if policy is None else policy(links)
        return self.compose(links, self.reflect(controls))


def _expand(tensor, rank, axis):
    while 2 - (axis == -2) < tensor.shape.rank < rank:
        tensor = tf.expand_dims(tensor, axis)
    return tensor


def _times(h, theta, field):
    """H (theta * field), the user axis of either side kept."""
    theta = _expand(theta, field.shape.rank - 1, -2)
    field = theta[..., None] * _expand(field, theta.shape.rank + 1, -3)
    rank = max(h.shape.rank, field.shape.rank)
    h, field = _expand(h, rank, -3), _expand(field, rank, -3)
    return tf.linalg.matmul(h, field)


def _plus(a, b):
    rank = max(a.shape.rank, b.shape.rank)
    return _expand(a, rank, -3) + _expand(b, rank, -3)
