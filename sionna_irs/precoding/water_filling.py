"""Power over parallel channels."""

import tensorflow as tf

__all__ = ["water_filling"]


def water_filling(costs):
    r"""Powers that maximise :math:`\sum_k\log_2(1+p_k/c_k)` with :math:`\sum_kp_k=1`.

    .. math:: p_k=\max(\mu-c_k,0),\qquad \mu=\frac1n\Big(1+\sum_{i\le n}c_{(i)}\Big)

    with the n smallest costs :math:`c_{(i)}`, n the largest number for which the water level
    :math:`\mu` lies above all of them. No loop: all n are tried at once.

    Parameters
    ----------
    costs : tf.Tensor, [..., K], real
        c_k, noise over channel gain, at least 0.

    Returns
    -------
    tf.Tensor, [..., K], real
        Powers of sum 1.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.water_filling([0.1, 0.3, 2.0]).numpy().round(4)
    array([0.6, 0.4, 0. ], dtype=float32)
    """
    costs = tf.convert_to_tensor(costs)
    # Only differences count; next to large costs the sum of powers would be lost to rounding.
    costs -= tf.reduce_min(costs, -1, keepdims=True)
    rising = tf.sort(costs, -1)
    count = tf.cast(tf.range(1, costs.shape[-1] + 1), costs.dtype)
    levels = (1 + tf.cumsum(rising, -1)) / count
    active = tf.reduce_sum(tf.cast(levels > rising, tf.int32), -1, keepdims=True)
    level = tf.gather(levels, active - 1, axis=-1, batch_dims=costs.shape.rank - 1)
    return tf.maximum(level - costs, 0)
