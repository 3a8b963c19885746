"""Scalar quantisers of feedback: Lloyd-Max, uniform, and the bits that each number gets."""

import functools

import numpy as np
import scipy.special
import tensorflow as tf

from ..layer import require_integer, to_dtype

__all__ = [
    "MAX_BITS",
    "allocate_bits",
    "lloyd_max",
    "quantize_gaussian",
    "quantize_uniform",
    "rate_distortion",
]

MAX_BITS = 8  # of one number


@functools.cache
def lloyd_max(num_bits):
    r"""The quantiser of least mean squared error of a number N(0, 1).

    Every threshold is the middle of two levels, every level the mean of its cell:
    :math:`c(a,b)=\frac{\phi(a)-\phi(b)}{\Phi(b)-\Phi(a)}`, a fixed point found by Newton's method.

    Parameters
    ----------
    num_bits : int
        In 0..8.

    Returns
    -------
    levels : np.ndarray, [2^num_bits], float64
        Ascending.
    distortion : float
        Mean squared error.

    Raises
    ------
    ValueError
        For another `num_bits`.

    Examples
    --------
    >>> from sionna_irs.hybrid.scalar_quantizer import lloyd_max
    >>> levels, distortion = lloyd_max(1)
    >>> levels.round(4).tolist(), round(distortion, 4)
    ([-0.7979, 0.7979], 0.3634)
    """
    require_integer("num_bits", num_bits, low=0, high=MAX_BITS)
    if num_bits == 0:
        return np.zeros(1), 1.0
    half = 2 ** (num_bits - 1)
    # The positive half, started where levels lie when there are many: with density phi^(1/3).
    x = np.sqrt(3) * scipy.special.ndtri(0.5 + (np.arange(half) + 0.5) / (2 * half))
    for _ in range(20):
        edges = np.concatenate([[0], (x[1:] + x[:-1]) / 2, [np.inf]])
        density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
        mass = -np.diff(scipy.special.ndtr(-edges))
        mean = -np.diff(density) / mass
        below = density[1:-1] * (mean[1:] - edges[1:-1]) / mass[1:] / 2
        above = density[1:-1] * (edges[1:-1] - mean[:-1]) / mass[:-1] / 2
        slope = np.diag(np.append(0, below) + np.append(above, 0))
        slope += np.diag(below, -1) + np.diag(above, 1)
        x = x - np.linalg.solve(np.eye(half) - slope, x - mean)
    return np.concatenate([-x[::-1], x]), float(1 - 2 * np.sum(mass * x**2))


def quantize_gaussian(x, num_bits):
    """Numbers N(0, 1) at the levels of :func:`lloyd_max`; no gradient passes.

    Parameters
    ----------
    x : tf.Tensor, [..., *shape], real
    num_bits : int or array of int, *shape
        Each in 0..8.

    Returns
    -------
    tf.Tensor, as `x`

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.scalar_quantizer import quantize_gaussian
    >>> quantize_gaussian(tf.constant([0.1, 0.1, 0.1]), [0, 1, 2]).numpy().round(4)
    array([0.    , 0.7979, 0.4528], dtype=float32)
    """
    num_bits = np.asarray(num_bits)
    size = 2 ** num_bits.max()
    levels = [lloyd_max(int(b))[0] for b in num_bits.ravel()]
    levels = np.stack([np.pad(v, (0, size - len(v)), mode="edge") for v in levels])
    levels = levels.reshape(*num_bits.shape, size)
    # A staircase; the padded steps have height 0.
    edges = to_dtype((levels[..., 1:] + levels[..., :-1]) / 2, x.dtype)
    steps = to_dtype(np.diff(levels), x.dtype)
    climbed = tf.where(x[..., None] > edges, steps, tf.zeros_like(steps))
    return to_dtype(levels[..., 0], x.dtype) + tf.reduce_sum(climbed, -1)


def quantize_uniform(x, num_bits, high):
    """The middle of one of 2^num_bits equal cells of [-high, high]; no gradient passes.

    Of numbers uniform there, the quantiser of least mean squared error.

    Parameters
    ----------
    x : tf.Tensor, [..., *shape], real
    num_bits : int or array of int, *shape
        At least 0. More than the digits of `x` (24 in single, 53 in double precision) count as
        these.
    high : float

    Returns
    -------
    tf.Tensor, as `x`

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.hybrid.scalar_quantizer import quantize_uniform
    >>> quantize_uniform(tf.constant([-3.0, 0.2, 1.0]), 1, 1.0).numpy().tolist()
    [-0.5, 0.5, 0.5]
    """
    digits = np.finfo(x.dtype.as_numpy_dtype).nmant + 1
    num_cells = to_dtype(2.0 ** np.minimum(num_bits, digits).astype(float), x.dtype)
    step = 2 * high / num_cells
    cell = tf.clip_by_value(tf.floor((x + high) / step), 0, num_cells - 1)
    return (cell + 0.5) * step - high


def allocate_bits(variances, num_bits):
    """Whole bits of least total error for independent Gaussian numbers.

    Bit by bit to the number whose error falls most. The error is convex in the bits, so that
    this is the best allocation of all.

    Parameters
    ----------
    variances : array, [n], real
    num_bits : int
        In 0..8n.

    Returns
    -------
    np.ndarray, [n], int
        Their sum is `num_bits`.

    Raises
    ------
    ValueError
        For another `num_bits`.

    Examples
    --------
    >>> from sionna_irs.hybrid.scalar_quantizer import allocate_bits
    >>> allocate_bits([4.0, 1.0, 0.1], 3).tolist()
    [2, 1, 0]
    """
    variances = np.asarray(variances)
    require_integer("num_bits", num_bits, low=0, high=MAX_BITS * len(variances))
    distortions = np.array([lloyd_max(b)[1] for b in range(MAX_BITS + 1)])
    gains = variances[:, None] * -np.diff(distortions)
    # Stable: of equal gains, the lower bits of a number come first.
    best = np.argsort(-gains, axis=None, kind="stable")[:num_bits]
    return np.bincount(best // MAX_BITS, minlength=len(variances))


def rate_distortion(variances, num_bits):
    r"""Least total error of any code for independent Gaussian numbers: reverse water-filling.

    .. math:: \sum_i\min(\vartheta,\sigma_i^2),\quad
              \sum_i\tfrac12\log_2\max(1,\sigma_i^2/\vartheta)=B

    Parameters
    ----------
    variances : array, [n], real
    num_bits : float
        B, of all numbers together.

    Returns
    -------
    float

    Examples
    --------
    >>> from sionna_irs.hybrid.scalar_quantizer import rate_distortion
    >>> round(rate_distortion([1 / 128] * 128, 48), 3)
    0.595
    """
    variances = np.sort(np.asarray(variances, float))[::-1]
    logs = np.log2(variances[variances > 0])
    count = np.arange(1, len(logs) + 1)
    levels = (np.cumsum(logs) - 2 * num_bits) / count
    active = count[levels <= logs][-1]
    return float(active * 2 ** levels[active - 1] + np.sum(variances[active:]))
