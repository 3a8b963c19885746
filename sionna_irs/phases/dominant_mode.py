"""Phases for one stream: the strongest mode of the channel."""

import tensorflow as tf

from ..layer import LinkLayer
from ..linalg import svd
from ..linalg.scale import unit_scale
from .policies import RandomPhases
from .sum_path_gain import AlternatingDesign
from .surface_factors import surface_factors
from .unit_links import unit_links
from .unit_modulus import unit

__all__ = ["DominantMode"]


class DominantMode(AlternatingDesign):
    r"""Phases that maximise the largest singular value of H: the best channel for one stream.

    With u, v the dominant singular vectors of the present channel
    :math:`F_0+E\,\mathrm{diag}(\phi)J`, the phasors of one surface align
    :math:`u^HHv=u^HF_0v+\sum_na_n\phi_n`, :math:`a_n=[u^HE]_n[Jv]_n`, in closed form:
    :math:`\phi_n=e^{j(\arg u^HF_0v-\arg a_n)}`. No step lowers the singular value.

    Parameters
    ----------
    num_iter : int
        Rounds over all surfaces.
    start : callable, tuple of callables, or None
        Policies that give the first phases; None is ``RandomPhases()``.

    Input
    -----
    links, trace
        As :class:`AlternatingDesign`.

    Output
    ------
    design : Design, surface -> [batch_size, N], real [radian]
    h : tf.Tensor, [num_iter + 1, batch_size, rx, tx], complex
        Only with `trace`.

    Raises
    ------
    ValueError
        For other links, starts that do not fit them, and numbers out of range.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> links = irs.CascadedChannel(num_rx_ant=4, num_elements=8).draw(3)
    >>> irs.DominantMode()(links)["s1"].shape
    TensorShape([3, 8])
    """

    @property
    def compiled(self):
        """What policies of the user's read may change from call to call."""
        return all(isinstance(part, LinkLayer) for part in self.start)

    def __init__(self, num_iter: int = 20, start=None, **kwargs):
        start = RandomPhases(precision=kwargs.get("precision")) if start is None else start
        super().__init__(num_iter, start, **kwargs)

    def value(self, h):
        h, scale = unit_scale(h)
        return svd(h)[0][..., 0] * scale[..., 0, 0]

    def improve(self, links, theta, name):
        e, j, f0 = surface_factors(unit_links(links)[0], theta, name)
        h, _ = unit_scale(f0 + tf.linalg.matmul(e, theta[name][..., None] * j))
        _, u, v = svd(h)
        u, v = u[..., :1], v[..., :1]
        received = tf.linalg.matmul(j, v)[..., 0]
        sent = tf.linalg.matmul(e, u, adjoint_a=True)[..., 0]  # conj(u^H E)
        direct = tf.linalg.matmul(u, tf.linalg.matmul(f0, v), adjoint_a=True)[..., 0]
        # Without a path beside the surface the common phase is free.
        direct = unit(direct, tf.ones_like(direct))
        return direct * unit(sent * tf.math.conj(received), theta[name] / direct)
