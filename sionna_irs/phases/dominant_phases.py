"""A phase design from second-order statistics: one set of phases for all realisations."""

import tensorflow as tf

from ..layer import require_integer
from ..linalg import dominant_singular_vectors
from ..linalg.scale import unit_scale
from ..linalg.solve import square_matrix

__all__ = ["dominant_phases"]


def dominant_phases(covariance, num_iter: int = 100):
    r"""Phases of the dominant eigenvector of the cascade's covariance, for a surface without CSI.

    With c the products of what the elements receive and send on along one pair of paths, the mean
    power over all pairs is :math:`\theta^TR\theta^*`, :math:`R=\mathrm E[cc^H]`. Among all
    :math:`\theta` of one norm the conjugate of the dominant eigenvector v has the largest; here
    its phases alone, :math:`\varphi_n=\arg v_1-\arg v_n`. Random phases have the mean power
    tr R. A receiver with several antennas, or subcarriers, adds up their covariances; hops that
    are independent of each other have the element-wise product of their own covariances.

    Parameters
    ----------
    covariance : tf.Tensor, [..., N, N], complex
        R, Hermitian and positive semi-definite, at any scale.
    num_iter : int
        Power iterations.

    Returns
    -------
    tf.Tensor, [..., N], real
        Phases [radian], the first one 0: a control, or the ``initial`` of a surface. No gradient
        passes: the design is a decision.

    Raises
    ------
    ValueError
        When `covariance` is not square or `num_iter` is no positive integer.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> panel = irs.UPA(2, 4)
    >>> c = panel.response(azimuth=0.3, zenith=1.2)
    >>> phases = irs.dominant_phases(c[:, None] * tf.math.conj(c))
    >>> abs(tf.reduce_sum(irs.IdealPhases(panel)(phases) * c)).numpy().round(4)
    np.float32(8.0)
    """
    covariance = tf.stop_gradient(square_matrix("covariance", covariance))
    require_integer("num_iter", num_iter)
    # The scale is that of squared path gains, far below the smallest squares of single precision.
    _, v, _ = dominant_singular_vectors(unit_scale(covariance)[0], num_iter)
    # The common phase of v is free; a first element at rest makes the design a plain formula.
    return tf.math.angle(tf.math.conj(v) * v[..., :1])
