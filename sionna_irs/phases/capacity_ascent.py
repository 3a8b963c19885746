"""Phases by element-wise ascent of the capacity, in closed form."""

import math

import tensorflow as tf

from ..layer import LinkLayer
from ..linalg import hpd_solve
from ..linalg.scale import power_of_two, scaled_noise
from ..precoding.svd_transceiver import capacity, svd_water_filling
from .policies import RandomPhases
from .sum_path_gain import AlternatingDesign, SumPathGain
from .surface_factors import surface_factors
from .unit_links import unit_links
from .unit_modulus import round_phasor, unit

__all__ = ["CapacityAscent"]


class CapacityAscent(AlternatingDesign):
    r"""Phases by exact element-wise ascent of the capacity with water-filling.

    Behind the precoder F of the present channel, :math:`X=\sqrt{\mathrm{SNR}}\,HF` is
    :math:`X_0+\phi_nex^T` in the n-th phasor, with e the n-th column of the left factor, and x^T
    the n-th row of the right factor times :math:`\sqrt{\mathrm{SNR}}\,F`. The determinant is

    .. math:: \det(I+XX^H)=\alpha+\beta\,\mathrm{Re}(\phi_n\lambda),\qquad
              \lambda=x^T(I+X_0^HX_0)^{-1}X_0^He,\qquad \beta>0

    so :math:`\phi_n=e^{-j\arg\lambda}` is the best; with b bits, the nearest of the 2^b. All
    elements of a surface are swept, then F is made anew: no step lowers the capacity.

    Parameters
    ----------
    snr : float
        Total transmit power over the noise variance of an antenna, positive.
    num_iter : int
        Rounds over all surfaces.
    starts : tuple of callables, callable, or None
        Policies that give the first phases; the best end is kept for every example. None is
        ``(SumPathGain(num_bits=num_bits), RandomPhases())``: the strongest mode, which takes most
        of the gain, may lead the first one to a poor local maximum.
    num_bits : int or None
        b-bit phases; None is continuous.

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
    >>> irs.CapacityAscent(snr=10.0, num_iter=2)(links)["s1"].shape
    TensorShape([3, 8])
    """

    @property
    def compiled(self):
        """What policies of the user's read may change from call to call."""
        return all(isinstance(part, LinkLayer) for part in self.start)

    def __init__(
        self, snr: float, num_iter: int = 4, starts=None, num_bits: int | None = None, **kwargs
    ):
        if not isinstance(snr, (int, float)) or not 0 < snr < math.inf:
            raise ValueError(f"snr = {snr!r}; a positive finite number is needed")
        if starts is None:
            precision = kwargs.get("precision")
            starts = (
                SumPathGain(num_bits=num_bits, precision=precision),
                RandomPhases(precision=precision),
            )
        super().__init__(num_iter, starts, num_bits, **kwargs)
        self.snr = snr

    def value(self, h):
        return capacity(h, no=1 / self.snr)

    def improve(self, links, theta, name):
        links, k = unit_links(links)
        no = scaled_noise(1 / self.snr, power_of_two(k, self.rdtype))
        e, j, f0 = surface_factors(links, theta, name)
        phi = theta[name]
        h = f0 + tf.linalg.matmul(e, phi[..., None] * j)
        root = tf.reshape(self.cplx(tf.math.rsqrt(no)), [-1, 1, 1])
        precoder = root * svd_water_filling(h, no=no)[1]
        columns = tf.transpose(e, [2, 0, 1])
        rows = tf.transpose(tf.linalg.matmul(j, precoder), [1, 0, 2])
        n = phi.shape[-1]

        def body(k, x, phi):
            column, row, old = tf.gather(columns, k), tf.gather(rows, k), tf.gather(phi, k, axis=-1)
            path = column[..., None] * row[..., None, :]
            rest = x - old[..., None, None] * path
            new = self._phasor(rest, column, row, old)
            phi = tf.where(tf.range(n) == k, new[..., None], phi)
            return k + 1, rest + new[..., None, None] * path, phi

        start = (tf.constant(0), tf.linalg.matmul(h, precoder), phi)
        return tf.while_loop(lambda k, *_: k < n, body, start, maximum_iterations=n)[2]

    def _phasor(self, rest, column, row, old):
        """The phasor [B] of an element: X_0 [B, rx, r], e [B, rx], x [B, r]."""
        gram = tf.linalg.matmul(rest, rest, adjoint_a=True)
        gram += tf.eye(gram.shape[-1], dtype=gram.dtype)
        seen = tf.linalg.matmul(rest, column[..., None], adjoint_a=True)
        slope = tf.reduce_sum(row * hpd_solve(gram, seen, at_least=1.0)[..., 0], -1)
        new = unit(tf.math.conj(slope), old)
        return new if self.num_bits is None else round_phasor(new, self.num_bits)
