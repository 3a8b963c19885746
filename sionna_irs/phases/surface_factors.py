"""The channel as a function of one of its surfaces."""

import graphlib

import tensorflow as tf

from ..channel.graph import transfer
from ..surface.operators import BlockOperator, expand

__all__ = ["end_to_end", "surface_factors", "surface_order"]


def surface_order(links):
    """Surfaces of a set of hops in the order in which the wave meets them, ties by name.

    Parameters
    ----------
    links : Links or dict
        Its names count: "tx>s1", "s1>s2", ...

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        When a name is not 'from>to', or hops lead in a circle ("s1>s2" with "s2>s1"): a wave may
        then meet a surface on both sides of another.

    Examples
    --------
    >>> from sionna_irs.phases.surface_factors import surface_order
    >>> surface_order(["tx>s1", "tx>s2", "s2>s1", "s1>rx"])
    ['s2', 's1']
    """
    before = {}
    for start, end in sorted(_arrow(name) for name in links):
        for node in (start, end):
            before.setdefault(node, set())
        before[end].add(start)
    try:
        order = list(graphlib.TopologicalSorter(before).static_order())
    except graphlib.CycleError as error:
        circle = " > ".join(reversed(error.args[1]))
        raise ValueError(f"hops {sorted(links)} lead in a circle, {circle}") from None
    return [node for node in order if node not in ("tx", "rx")]


def end_to_end(links, theta: dict):
    r"""H of hop matrices, the fields pushed node by node from the side with fewer antennas.

    Parameters
    ----------
    links : Links or dict
        {"tx>s1": [batch_size, ..., N, tx], ...}, complex. Axes between the batch and the matrix,
        such as users or subcarriers, share the surfaces; a hop may lack them.
    theta : dict
        Surface -> [batch_size, N], complex, or operators.

    Returns
    -------
    tf.Tensor, [batch_size, ..., rx, tx], complex

    Raises
    ------
    ValueError
        When theta lacks a surface, or no path leads from tx to rx.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.phases.surface_factors import end_to_end
    >>> links = irs.CascadedChannel(num_rx_ant=4, num_elements=8).draw(3)
    >>> end_to_end(links, {"s1": tf.ones([3, 8], tf.complex64)}).shape
    TensorShape([3, 4, 1])
    """
    hops, theta = _prepare(links, theta)
    h = transfer(hops, theta, "tx", "rx")
    if h is None:
        raise ValueError(f"links = {sorted(links)}: no path leads from 'tx' to 'rx'")
    return h


def surface_factors(links, theta, name: str):
    r"""E, J and F0 of :math:`H=F_0+E\,\mathrm{diag}(\theta_s)J`, for the surface s.

    E is what the elements send to the receiver over all paths behind s, J what they receive over
    all paths before it, and F0 the channel whose paths avoid s. None of them depends on
    :math:`\theta_s`: H is affine in every reflection coefficient.

    Parameters
    ----------
    links, theta
        As :func:`end_to_end`, without circles; the entry of s in theta is not used.
    name : str
        s.

    Returns
    -------
    e : tf.Tensor, [batch_size, ..., rx, N], complex
    j : tf.Tensor, [batch_size, ..., N, tx], complex
    f0 : tf.Tensor, [batch_size, ..., rx, tx], complex

    Raises
    ------
    ValueError
        When hops lead in a circle, theta lacks another surface, or s is on no path from tx to rx.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.phases.surface_factors import surface_factors
    >>> links = irs.CascadedChannel(num_rx_ant=4, num_elements=8).draw(3)
    >>> [x.shape for x in surface_factors(links, {}, "s1")]
    [TensorShape([3, 4, 8]), TensorShape([3, 8, 1]), TensorShape([3, 4, 1])]
    """
    if name not in (order := surface_order(links)):
        raise ValueError(f"name = {name!r}; one of the surfaces {order} is needed")
    hops, theta = _prepare(links, theta, without=name)
    e, j = transfer(hops, theta, name, "rx"), transfer(hops, theta, "tx", name)
    if e is None or j is None:
        raise ValueError(f"links = {sorted(links)}: no path from 'tx' to 'rx' meets {name!r}")
    f0 = transfer(hops, theta, "tx", "rx")
    return e, j, tf.zeros_like(tf.linalg.matmul(e, j)) if f0 is None else f0


def _arrow(name):
    nodes = tuple(name.split(">"))
    if len(nodes) != 2 or "tx" in nodes[1:] or "rx" in nodes[:1]:
        raise ValueError(f"hop {name!r}: 'from>to' is needed, such as 'tx>s1'")
    return nodes


def _prepare(links, theta, without=None):
    """{(start, end): hop} and coefficients, with an axis for every axis of any hop."""
    surfaces = {node for name in links for node in _arrow(name)} - {"tx", "rx", without}
    if missing := sorted(surfaces - set(theta)):
        raise ValueError(f"theta lacks {missing}")
    hops = {_arrow(name): tf.convert_to_tensor(hop) for name, hop in links.items()}
    rank = max(hop.shape.rank for hop in hops.values())
    theta = {name: expand(_response(theta[name]), rank - 2) for name in surfaces}
    return {arrow: _expand(hop, rank) for arrow, hop in hops.items()}, theta


def _response(theta):
    return theta if isinstance(theta, BlockOperator) else tf.convert_to_tensor(theta)


def _expand(hop, rank):
    while hop.shape.rank < rank:
        hop = tf.expand_dims(hop, -3)
    return hop
