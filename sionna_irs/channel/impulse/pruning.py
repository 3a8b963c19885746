"""The strongest paths, and how many of them an energy budget asks for."""

import tensorflow as tf

from .paths import CIR, path_energy, sizes

__all__ = ["paths_for", "prune_paths"]


def paths_for(cir, max_energy_loss, weight=None):
    """Smallest number of strongest paths whose mean loss is at most ``max_energy_loss``.

    Parameters
    ----------
    cir : CIR
        A calibration draw.
    max_energy_loss : float
        Share of the energy, averaged over the examples that have any.
    weight : tf.Tensor, [batch, num_rx, num_tx, num_paths], real, or None
        Energies to count instead of the paths' own.

    Returns
    -------
    int

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.channel.impulse.pruning import paths_for
    >>> gains = tf.reshape(tf.constant([3.0, 0.1, 4.0]), [1, 1, 1, 1, 1, 3, 1])
    >>> cir = irs.CIR(tf.cast(gains, tf.complex64), tf.zeros([1, 1, 1, 3]))
    >>> paths_for(cir, 0.1), paths_for(cir, 0.5)
    (2, 1)
    """
    energy = tf.cast(path_energy(cir.a) if weight is None else weight, tf.float64)
    ordered = tf.sort(energy, -1, direction="DESCENDING")
    total = tf.reduce_sum(ordered, [1, 2, 3], keepdims=True)
    kept = tf.reduce_sum(tf.cumsum(tf.math.divide_no_nan(ordered, total), -1), [0, 1, 2])
    # An example without any path has nothing to lose.
    loss = 1 - kept / tf.maximum(tf.math.count_nonzero(total, dtype=tf.float64), 1)
    loss = tf.where(tf.reduce_max(total) > 0, loss, tf.zeros_like(loss))
    # Rounding leaves a loss of 1e-16 when all paths are kept.
    enough = tf.where(loss <= max_energy_loss + 1e-12)
    return int(enough[0, 0]) + 1


def prune_paths(cir, num_paths: int, weight=None):
    r"""The strongest paths of every link; the rest is dropped.

    For every frequency :math:`|\Delta H(f)|\le\sqrt{n\,\epsilon\,E}` when the n dropped paths
    hold the share :math:`\epsilon` of the energy E (Cauchy-Schwarz); averaged over independent
    path phases :math:`|\Delta H|^2` is :math:`\epsilon E`.

    Parameters
    ----------
    cir : CIR
    num_paths : int
        Paths to keep.
    weight : tf.Tensor, [batch, num_rx, num_tx, num_paths], real, or None
        What to rank by; None takes the energy of the paths.

    Returns
    -------
    cir : CIR
    loss : tf.Tensor, [batch], real
        Share of the energy that was dropped.

    Raises
    ------
    ValueError
        When there are fewer paths.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> gains = tf.reshape(tf.constant([3.0, 0.0, 4.0]), [1, 1, 1, 1, 1, 3, 1])
    >>> cir = irs.CIR(tf.cast(gains, tf.complex64), tf.zeros([1, 1, 1, 3]))
    >>> round(float(irs.prune_paths(cir, 1)[1][0]), 2)
    0.36
    """
    if num_paths > sizes(cir.tau)[3]:
        raise ValueError(f"num_paths = {num_paths}; at most {sizes(cir.tau)[3]} are there")
    energy = path_energy(tf.stop_gradient(cir.a))
    weight = energy if weight is None else weight
    weight = tf.broadcast_to(weight, tf.shape(energy))
    _, index = tf.math.top_k(weight, num_paths, sorted=False)
    batch = sizes(energy)[0]

    def keep(x):
        x = tf.broadcast_to(x, [batch, *sizes(x)[1:]])
        return tf.gather(x, index, axis=3, batch_dims=3)

    a = tf.transpose(cir.a, [0, 1, 3, 5, 2, 4, 6])  # [B, R, T, P, Ra, Ta, t]
    a = tf.transpose(keep(a), [0, 1, 4, 2, 5, 3, 6])
    waves = [None if w is None else keep(w) for w in (cir.rx_wave, cir.tx_wave)]
    total = tf.reduce_sum(energy, [1, 2, 3])
    kept = tf.reduce_sum(keep(energy), [1, 2, 3])
    loss = tf.math.divide_no_nan(tf.maximum(total - kept, 0), total)
    return CIR(a, keep(cir.tau), *waves), loss
