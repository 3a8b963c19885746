"""Links whose products stay in the range of their dtype."""

import functools

import tensorflow as tf

from ..linalg.scale import divide, exponents, power_of_two

__all__ = ["unit_links"]

_RANGE = 60  # powers of two between the strongest path and what still counts


def unit_links(links):
    r"""Links with the same channel up to a factor, products and squares of which stay in range.

    Every node gets a power of two, and a hop is multiplied by that of its end over that of its
    start: the factors of all paths from "tx" to "rx" are equal. That of a node is the largest for
    which no hop into it exceeds 2. Powers of two are exact.

    Parameters
    ----------
    links : Links or dict
        {"tx>s1": [batch_size, ..., N, tx], ...}, complex; hops without circles, each with a batch
        axis or without any axis but those of the matrix.

    Returns
    -------
    dict
        The new links.
    tf.Tensor, [batch_size] or [], int32
        k: the channel of the new links times 2^k is that of the old ones.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.phases.unit_links import unit_links
    >>> hop = 1e-30 * tf.ones([5, 1, 1], tf.complex64)
    >>> links, k = unit_links({"tx>s1": hop, "s1>rx": hop})
    >>> abs(links["s1>rx"][0, 0, 0].numpy()).round(3), int(k[0])
    (np.float32(1.268), -200)
    """
    arrows = {name: name.partition(">")[::2] for name in links}
    sizes = {name: exponents(hop, _example(hop)) for name, hop in links.items()}
    levels = {"tx": tf.constant(0)}

    def level(node):
        if node not in levels:
            into = [
                level(start) + sizes[name] for name, (start, end) in arrows.items() if end == node
            ]
            levels[node] = functools.reduce(tf.maximum, into, tf.constant(-(2**20)))
        return levels[node]

    found = {}
    for name, (start, end) in arrows.items():
        hop = links[name]
        # To order one first: the product of both powers may be out of range.
        lift = tf.clip_by_value(level(start) + sizes[name] - level(end), -_RANGE, 0)
        found[name] = divide(divide(hop, _powers(sizes[name], hop)), _powers(-lift, hop))
    return found, level("rx")


def _example(hop):
    """The axes of an example: all but the batch."""
    return range(min(hop.shape.rank - 2, 1), hop.shape.rank)


def _powers(k, hop):
    """2^k with the axes of a hop."""
    k = tf.reshape(k, tf.concat([tf.shape(k), [1] * (hop.shape.rank - k.shape.rank)], 0))
    return power_of_two(k, hop.dtype.real_dtype)
