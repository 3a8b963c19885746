"""Streams of several users through common beams: fields, noise, errors, combiners."""

import numpy as np
import tensorflow as tf

from ..layer import Input, as_real, to_dtype
from ..linalg import hpd_solve
from ..linalg.scale import unit_noise, unit_scale

__all__ = [
    "HYBRID_INPUTS",
    "combine",
    "fixed_phases",
    "mmse_combiner",
    "noise_covariance",
    "noise_units",
    "normal_equations",
    "received_fields",
    "squared",
    "stack_streams",
    "stream_mse",
    "unit_power_streams",
    "unstack_streams",
]

HYBRID_INPUTS = {
    "h_eq": Input("complex", "num_users", "num_rx_chains", "num_chains"),
    "r_w": Input("complex", "num_users", "num_rx_chains", "num_rx_chains"),
    "gram": Input("complex", "num_chains", "num_chains"),
    "no": Input("real", minimum=1e-30, like="h_eq"),
}


def stack_streams(f):
    """[..., K, n, N_s] -> [..., n, K N_s]: the streams of all users side by side.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.streams import stack_streams
    >>> stack_streams(tf.ones([5, 3, 4, 2])).shape
    TensorShape([5, 4, 6])
    """
    rank = f.shape.rank
    columns = tf.transpose(f, [*range(rank - 3), rank - 2, rank - 3, rank - 1])
    return tf.reshape(
        columns, tf.concat([tf.shape(f)[:-3], [f.shape[-2], f.shape[-3] * f.shape[-1]]], 0)
    )


def unstack_streams(columns, users):
    """[..., n, K N_s] -> [..., K, n, N_s]."""
    n, streams = columns.shape[-2], columns.shape[-1] // users
    rank = columns.shape.rank
    f = tf.reshape(columns, tf.concat([tf.shape(columns)[:-2], [n, users, streams]], 0))
    return tf.transpose(f, [*range(rank - 2), rank - 1, rank - 2, rank])


def received_fields(h, f):
    """What every user receives of all streams, [..., K, m, K N_s]."""
    users, chains, n = h.shape[-3:]
    batch = tf.shape(h)[:-3]
    rows = tf.reshape(h, tf.concat([batch, [users * chains, n]], 0))
    fields = tf.linalg.matmul(rows, stack_streams(f))
    return tf.reshape(fields, tf.concat([batch, [users, chains, users * f.shape[-1]]], 0))


def noise_covariance(f, r_w, error=None):
    r"""R_k and, with an error, :math:`\sum_v\mathrm{tr}(F_v^H\Sigma_kF_v)I`, for unit noise."""
    if error is None:
        return r_w
    columns = stack_streams(f)[..., None, :, :]
    leak = tf.reduce_sum(tf.math.conj(columns) * tf.linalg.matmul(error, columns), [-2, -1])
    return r_w + leak[..., None, None] * tf.eye(r_w.shape[-1], dtype=r_w.dtype)


def combine(h, f, fields, noise, method="auto"):
    """MMSE combiners [..., K, m, N_s]; `method` as in :func:`sionna_irs.linalg.hpd_solve`."""
    covariance = tf.linalg.matmul(fields, fields, adjoint_b=True) + noise
    return hpd_solve(covariance, tf.linalg.matmul(h, f), method, at_least=0.0)


def stream_mse(fields, noise, w):
    """Mean squared errors [..., K, N_s] of the received streams, real."""
    users, streams = w.shape[-3], w.shape[-1]
    wanted = np.eye(users * streams).reshape(users, streams, users * streams)
    error = tf.linalg.matmul(w, fields, adjoint_a=True) - tf.constant(wanted, w.dtype)
    coloured = tf.math.real(tf.math.conj(w) * tf.linalg.matmul(noise, w))
    return tf.reduce_sum(squared(error), -1) + tf.reduce_sum(coloured, -2)


def normal_equations(h, w, u, error=None):
    """(C [..., n, n], right-hand sides u H^H w [..., K, n, N_s]) of the precoders."""
    b = tf.linalg.matmul(h, w, adjoint_a=True)
    weights = tf.cast(u, b.dtype)[..., None, :]
    c = tf.linalg.matmul(stack_streams(b * weights), stack_streams(b), adjoint_b=True)
    if error is not None:
        weight = tf.cast(tf.reduce_sum(u[..., None, :] * squared(w), [-2, -1]), b.dtype)
        c += tf.reduce_sum(weight[..., None, None] * error, -3)
    return c, b * weights


def mmse_combiner(h_eq, f, r_w, no, error=None):
    r"""MMSE combiners, :math:`W_k=(\sum_vH_kF_vF_v^HH_k^H+N_0R_k)^{-1}H_kF_k`.

    Parameters
    ----------
    h_eq, r_w, no, error
        As in :class:`SCA`; for a user that knows its channel, the true one.
    f : tf.Tensor, [..., K, n, N_s], complex

    Returns
    -------
    tf.Tensor, [..., K, m, N_s], complex

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.streams import mmse_combiner
    >>> one = tf.ones([1, 1, 1], tf.complex64)
    >>> round(float(mmse_combiner(one, one, one, tf.constant(0.25))[0, 0, 0].numpy().real), 3)
    0.8
    """
    no = as_real("no", no, h_eq.dtype.real_dtype, 1e-30, h_eq.shape[:-3], "h_eq")
    h, error, back = noise_units(h_eq, no, error)
    return back * combine(h, f, received_fields(h, f), noise_covariance(f, r_w, error))


def noise_units(h_eq, no, error=None):
    """h_eq and the covariance of its error for unit noise, and the way back for MMSE combiners.

    The last is the factor of the channels, [..., 1, 1, 1], where nothing had to be clipped.
    """
    h, level = unit_noise(h_eq, no, (-3, -2, -1))
    factor = 1 / level
    no = to_dtype(no, factor.dtype)[..., None, None, None]
    # Where noise prevails, combiners are proportional to the channel: it has been enlarged.
    back = tf.cast(tf.minimum(factor, 1 / tf.maximum(no * factor, 1e-18)), h.dtype)
    factor = tf.cast(factor, h.dtype)
    return h, None if error is None else error * factor * factor, back


def unit_power_streams(f, gram=None):
    r"""Precoders [..., K, n, N_s] scaled to :math:`\mathrm{tr}(F_k^HGF_k)=N_s`, by default G = I.

    Zeros stay zeros, with a finite gradient.
    """
    f, _ = unit_scale(f)
    image = f if gram is None else tf.linalg.matmul(gram, f)
    power = tf.math.real(tf.reduce_sum(tf.math.conj(f) * image, [-2, -1], keepdims=True))
    # The largest entry is 1 here: the constant only keeps the gradient of zeros finite.
    return f * tf.cast(tf.sqrt(f.shape[-1] / (power + 1e-12)), f.dtype)


def fixed_phases(u):
    """Unit columns with a phase that does not depend on who found them."""
    weights = tf.constant(1 / np.arange(1.0, u.shape[-2] + 1)[:, None], u.dtype)
    pilot = tf.reduce_sum(weights * u, -2, keepdims=True)
    power = squared(pilot)
    pilot = tf.where(power > 0, pilot, tf.ones_like(pilot))
    return u * tf.math.conj(pilot) * tf.cast(tf.math.rsqrt(squared(pilot)), u.dtype)


def squared(z):
    """|z|^2 with a gradient at 0."""
    return tf.square(tf.math.real(z)) + tf.square(tf.math.imag(z))
