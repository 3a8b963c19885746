"""Nodes, arrows and surfaces: what every composition of hops shares."""

import tensorflow as tf

from ..layer import LinkLayer
from ..surface.design import Controls, Design
from ..surface.operators import cast_response, expand, leading, times, transpose

__all__ = ["SurfaceGraph"]


class SurfaceGraph(LinkLayer):
    r"""Named nodes from "tx" to "rx", a hop for every arrow, a surface at every inner node.

    The field at a node is the sum over its arrows of hop x (theta x field at the arrow's start).
    On every path each surface reflects at most once. What a hop and a field are (matrices, or
    path gains and delays) is the subclass's business: it says how to continue a field along a
    hop and how to add two fields.

    Parameters
    ----------
    hops : dict
        ``"tx>s1"``, ``"s1>rx"``, ``"tx>rx"``, ...
    surfaces : dict
        Name -> :class:`Surface`.

    Raises
    ------
    TypeError
        When there is no dict of hops, or no dict of surfaces.
    ValueError
        When names are unknown, sizes disagree, or no path leads from tx to rx.
    """

    def __init__(self, hops: dict, surfaces: dict, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("hops", hops), ("surfaces", surfaces)):
            if not isinstance(value, dict):
                raise TypeError(f"{name} = {value!r}; a dict is needed: see the class")
        for name, surface in surfaces.items():
            if not hasattr(surface, "num_elements"):
                raise TypeError(
                    f"surfaces[{name!r}] = {surface!r}; a Surface such as IdealPhases(UPA(4, 4)) "
                    "is needed"
                )
        self.surfaces = dict(surfaces)
        self.hops = {name: self.hop(name, hop) for name, hop in hops.items()}
        self._arrows = [self._arrow(name) for name in self.hops]
        self._check_sizes()
        if "tx" not in self._reaching("rx"):
            raise ValueError(f"hops = {list(self.hops)}: no path leads from 'tx' to 'rx'")

    @property
    def shares_channel(self):
        """Whether a hop gives one draw to all examples of a batch, bool: batches are the trials."""
        return any(getattr(hop, "shares_channel", False) for hop in self.hops.values())

    def hop(self, name, hop):
        """The hop as the subclass keeps it."""
        return hop

    @staticmethod
    def hop_sizes(hop):
        """(rx, tx) antennas of a hop, None where unknown."""
        return getattr(hop, "num_rx_ant", None), getattr(hop, "num_tx_ant", None)

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
            for node, size in zip((end, start), self.hop_sizes(hop), strict=True):
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

    def reflect(self, controls=None):
        """Reflection coefficients of every surface; gradients pass.

        Parameters
        ----------
        controls : Controls, Design, dict or None
            Surface -> control [..., C], real; a :class:`Design` is realised first. Surfaces that it
            lacks use their own control.

        Returns
        -------
        dict
            Surface -> theta [..., N], complex, or an operator of elements that are connected.

        Raises
        ------
        ValueError
            For a name that is no surface.
        """
        given = self._known(controls)
        if not isinstance(given, Design):
            return {name: surface(given.get(name)) for name, surface in self.surfaces.items()}
        return {
            name: surface.respond(given[name]) if name in given else surface()
            for name, surface in self.surfaces.items()
        }

    def realize(self, wanted):
        """The controls that come closest to a design.

        Parameters
        ----------
        wanted : Design, Controls, dict or None
            Controls and plain dictionaries come back as they are.

        Returns
        -------
        Controls
            Surface -> control [..., C], real.

        Raises
        ------
        ValueError
            For a name that is no surface.
        """
        wanted = self._known(wanted)
        if isinstance(wanted, Design):
            wanted = {name: self.surfaces[name].realize(x) for name, x in wanted.items()}
        return Controls(wanted)

    def chosen(self, policy, links):
        """What a policy says of links: a design or controls.

        Raises
        ------
        TypeError
            When it gives a plain dictionary for a surface whose control is not a phase.
        """
        given = policy(links)
        if isinstance(given, (Design, Controls)):
            return given
        for name in self._known(given):
            surface = self.surfaces[name]
            if surface.control_unit != "radian" or surface.num_controls != surface.num_elements:
                raise TypeError(
                    f"the policy gives plain numbers for the {type(surface).__name__} {name!r}: "
                    "say irs.Design (phases or coefficients wanted) or irs.Controls "
                    f"({surface.control_unit})"
                )
        return given

    def _known(self, controls):
        """The controls, all of them for surfaces of this channel."""
        controls = {} if controls is None else controls
        unknown = set(controls) - set(self.surfaces)
        if unknown:
            raise ValueError(
                f"controls for {sorted(unknown)}; the surfaces are {sorted(self.surfaces)}"
            )
        return controls

    def _complete(self, links, theta):
        """Refuse links and coefficients that lack a name."""
        for kind, wanted, given in (("links", self.hops, links), ("theta", self.surfaces, theta)):
            missing = set(wanted) - set(given)
            if missing:
                raise ValueError(f"{kind} lacks {sorted(missing)}")

    def compose_matrices(self, links, theta, skip=None):
        """H [..., rx, tx] of hop matrices, pushed from the side with fewer antennas.

        Parameters
        ----------
        links : Links
            ``{"tx>s1": [B, (K,) N, tx], ...}``, complex.
        theta : dict
            Surface -> [N], [B, N] or [B, K, N], complex, or operators of these axes.
        skip : (str, str) or None
            Arrow that is left out.
        """
        self._complete(links, theta)
        links = {name: self.cast(links[name], name) for name in self.hops}
        theta = {name: cast_response(self, theta[name], name) for name in self.surfaces}
        arrows = [arrow for arrow in self._arrows if arrow != skip]
        return transfer({(a, b): links[f"{a}>{b}"] for a, b in arrows}, theta, "tx", "rx")


def transfer(hops, theta, source, target):
    """Field at ``target`` for unit fields at ``source``, from the side with fewer antennas.

    ``hops`` maps arrows (start, end) to matrices; None where no path leads.
    """
    columns = [hop.shape[-1] for (start, _), hop in hops.items() if start == source]
    rows = [hop.shape[-2] for (_, end), hop in hops.items() if end == target]
    if not columns or not rows:
        return None
    if columns[0] <= rows[0]:
        return push(hops, theta, source, target, _times, _plus)
    turned = {(b, a): tf.linalg.matrix_transpose(hop) for (a, b), hop in hops.items()}
    theta = {name: transpose(response) for name, response in theta.items()}
    field = push(turned, theta, target, source, _times, _plus)
    return None if field is None else tf.linalg.matrix_transpose(field)


def push(hops, theta, source, target, times, plus):
    """Field at ``target`` for unit fields at ``source``.

    ``times(arrow, hop, theta, field)`` continues a field along an arrow, ``plus(node, a, b)`` adds
    two fields at a node; ``hops`` maps arrows (start, end) to hops.
    """
    known = {}

    def field(node, allowed):
        # Without cycles the restriction to `allowed` changes nothing, and every node is
        # evaluated once; with cycles it keeps each surface to one reflection per path.
        upstream = frozenset(a for a in allowed if _leads(hops, a, node, allowed))
        if (node, upstream) not in known:
            total = None
            for (start, end), h in hops.items():
                if end != node or (start != source and start not in upstream):
                    continue
                if start != source:
                    incoming = field(start, upstream - {start})
                    if incoming is None:
                        continue
                    h = times((start, end), h, theta[start], incoming)
                total = h if total is None else plus(node, total, h)
            known[node, upstream] = total
        return known[node, upstream]

    return field(target, frozenset(theta))


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


def _expand(tensor, rank, axis):
    while tensor.shape.rank < rank:
        tensor = tf.expand_dims(tensor, axis)
    return tensor


def _times(_, h, theta, field):
    """H Theta field, the user axis of either side kept."""
    theta = expand(theta, field.shape.rank - 2)
    field = times(theta, _expand(field, leading(theta) + 2, -3))
    rank = max(h.shape.rank, field.shape.rank)
    h, field = _expand(h, rank, -3), _expand(field, rank, -3)
    return tf.linalg.matmul(h, field)


def _plus(_, a, b):
    rank = max(a.shape.rank, b.shape.rank)
    return _expand(a, rank, -3) + _expand(b, rank, -3)
