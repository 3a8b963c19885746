"""Matrices of impulse responses: what policies and estimators see of a draw."""

import functools

import tensorflow as tf

from ..links import Links
from .paths import larger, response, sizes, spread

__all__ = ["hop_responses", "link_matrices"]


def hop_responses(cirs, panels, frequencies):
    """Frequency responses of all hops, waves at surfaces written out.

    Parameters
    ----------
    cirs : dict
        Hop -> :class:`CIR`.
    panels : dict
        Surface -> its array.
    frequencies : tf.Tensor, [F], real
        Relative to the carrier [Hz].

    Returns
    -------
    dict
        Hop -> [B, num_time_steps, F, num_rx * num_rx_ant, num_tx * num_tx_ant], complex.
    """
    found = {}
    for name, cir in cirs.items():
        start, end = name.split(">")
        cir = spread(spread(cir, "tx", panels.get(start)), "rx", panels.get(end))
        found[name] = response(cir, frequencies)
    return found


def link_matrices(cirs, panels, frequencies, keep_axis):
    """Links at the first time step, with a user axis where a hop has several users.

    Parameters
    ----------
    cirs, panels, frequencies
        As in :func:`hop_responses`.
    keep_axis : bool
        Keep the axis of the frequencies, else take the first one.

    Returns
    -------
    Links
        Hop -> [B, (F,) (K,) rx, tx], complex.

    Raises
    ------
    ValueError
        When numbers of users disagree.
    """
    users = {name: _users(name, cir) for name, cir in cirs.items()}
    if len(set(users.values()) - {1}) > 1:
        raise ValueError(f"numbers of users = {users}; one number is needed")
    found = Links()
    for name, h in hop_responses(cirs, panels, frequencies).items():
        h = h[:, 0] if keep_axis else h[:, 0, 0]
        if users[name] > 1:
            h = _split_users(h, users[name], cirs[name].a.shape[1] == users[name])
        found[name] = h
    batch = functools.reduce(larger, (sizes(h)[0] for h in found.values()))
    return Links({k: tf.broadcast_to(h, [batch, *sizes(h)[1:]]) for k, h in found.items()})


def _users(name, cir):
    num_rx, num_tx = cir.a.shape[1], cir.a.shape[3]
    if num_rx > 1 and num_tx > 1:
        raise ValueError(
            f"hop {name!r} has {num_rx} receivers and {num_tx} transmitters: no matrix"
        )
    return max(num_rx, num_tx)


def _split_users(h, users, at_rx):
    """[..., K rx, tx] or [..., rx, K tx] -> [..., K, rx, tx]."""
    *lead, rx, tx = sizes(h)
    if at_rx:
        return tf.reshape(h, [*lead, users, rx // users, tx])
    h = tf.reshape(h, [*lead, rx, users, tx // users])
    rank = h.shape.rank
    return tf.transpose(h, [*range(rank - 3), rank - 2, rank - 3, rank - 1])
