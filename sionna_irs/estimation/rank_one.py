"""The matched estimator of a cascade in which every hop is one plane wave."""

import math

import numpy as np
import tensorflow as tf

from ..layer import require_integer
from ..linalg.scale import unit_scale
from .ls import PilotEstimator

__all__ = ["RankOneEstimator"]


def _offsets(size):
    """Places in a linear array, counted from its middle: gain and frequencies then decouple."""
    return np.arange(size) - (size - 1) / 2


def _inverse_spread(size):
    """1 over the sum of squared places per entry, 12/(M^2 - 1); 0 where there is no frequency."""
    return 12 / (size**2 - 1) if size > 1 else 0.0


class RankOneEstimator(PilotEstimator):
    r"""Peak of the two-dimensional periodogram, for one path on each hop and linear arrays.

    Then the cascade is :math:`U_{mn}=\gamma\,e^{j2\pi(fm+gn)}`, one plane wave over antennas and
    elements: four real numbers. The likelihood of f and g grows with \|A\|,

    .. math:: A(f,g)=\sum_{mn}\hat U_{mn}\,e^{-j2\pi(fm+gn)},\quad \hat\gamma=A/(MN),

    maximised on a grid of at least twice as many points as entries along each axis, then by Newton
    steps on its logarithm, with the curvature of a wave without noise.

    Least squares has the error :math:`\sigma^2` per entry, :math:`\sigma^2/2` in each of the 2MN
    real dimensions; what survives is its projection on the tangent space of the four numbers. So
    at high SNR the error of all MN entries together is :math:`4\,\sigma^2/2=2\sigma^2`. That is
    also the Cramer-Rao bound. Where :math:`MN\rho/\sigma^2` is below about 15 dB (64 x 64), noise
    can be taken for the wave, and the error is larger.

    Source: Rife and Boorstyn 1974, here over two axes; the bound is counted above.

    Parameters
    ----------
    pilots : SurfacePilots
        A direct path is passed on as least squares finds it.
    num_steps : int
        Newton steps.

    Input
    -----
    y : tf.Tensor, [..., M, P], complex
    no : float or tf.Tensor, [...], real

    Output
    ------
    u_hat : tf.Tensor, [..., M, N+1], complex
    err_var : tf.Tensor, broadcasts to `u_hat`, real
        First order in the noise, right at high SNR:
        :math:`\frac{\sigma^2}{MN}\big(1+\frac{6m'^2}{M^2-1}+\frac{6n'^2}{N^2-1}\big)`, m' and n'
        from the middle.

    Raises
    ------
    ValueError
        For a number of steps that is not a whole one.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=8, direct=False)
    >>> u = np.exp(2j * np.pi * (0.1 * np.arange(4)[:, None] + 0.23 * np.arange(8)))
    >>> u_hat, err_var = irs.RankOneEstimator(pilots)(pilots(u, 0.0), 0.0)
    >>> bool(abs(u_hat - u).numpy().max() < 1e-4)
    True
    """

    compiled = True

    def __init__(self, pilots, num_steps: int = 6, **kwargs):
        super().__init__(pilots, **kwargs)
        require_integer("num_steps", num_steps, low=0)
        self.num_steps = num_steps

    def refine(self, u_ls, variance):
        """The wave of the cascaded columns."""
        n = self.pilots.num_elements
        u_hat, share = self._fit(u_ls[..., :n])
        err_var = variance * self.real(share)
        if self.pilots.direct:
            u_hat = tf.concat([u_hat, u_ls[..., n:]], -1)
            direct = tf.broadcast_to(variance, tf.shape(err_var[..., :1]))
            err_var = tf.concat([err_var, direct], -1)
        return u_hat, err_var

    def _fit(self, u):
        """(estimate, error of every entry over that of least squares)."""
        u, scale = unit_scale(u)
        sizes = u.shape[-2:]
        spreads = [_inverse_spread(size) for size in sizes]
        frequencies = self._grid_peak(u)
        for _ in range(self.num_steps):
            (f_waves, f_slopes), (g_waves, g_slopes) = (
                self._waves(f, size) for f, size in zip(frequencies, sizes, strict=True)
            )
            amplitude = self._project(u, f_waves, g_waves)
            slopes = self._project(u, f_slopes, g_waves), self._project(u, f_waves, g_slopes)
            frequencies = [
                f + self.real(spread / (2 * math.pi) ** 2)
                * tf.math.real(tf.math.divide_no_nan(slope, amplitude))
                for f, slope, spread in zip(frequencies, slopes, spreads, strict=True)
            ]  # fmt: skip
        (f_waves, _), (g_waves, _) = (
            self._waves(f, size) for f, size in zip(frequencies, sizes, strict=True)
        )
        gain = self._project(u, f_waves, g_waves) / self.cplx(math.prod(sizes))
        u_hat = gain[..., None, None] * tf.math.conj(f_waves[..., None] * g_waves[..., None, :])
        u_hat *= self.cplx(scale)
        rows, columns = (_offsets(size) ** 2 for size in sizes)
        share = 1 + (spreads[0] * rows[:, None] + spreads[1] * columns) / 2
        return u_hat, share / math.prod(sizes)

    def _grid_peak(self, u):
        """[f, g], each [...]: cycles per antenna and per element, on the grid."""
        sizes = [2 ** math.ceil(math.log2(2 * size)) for size in u.shape[-2:]]
        gaps = [[0, grid - size] for grid, size in zip(sizes, u.shape[-2:], strict=True)]
        padded = tf.pad(tf.stop_gradient(u), [[0, 0]] * (u.shape.rank - 2) + gaps)
        power = tf.square(tf.abs(tf.signal.fft2d(padded)))
        flat = tf.concat([tf.shape(u)[:-2], [math.prod(sizes)]], 0)
        index = tf.argmax(tf.reshape(power, flat), -1)
        bins = index // sizes[1], index % sizes[1]
        # Large phases would cost digits: frequencies in [-1/2, 1/2).
        return [
            tf.cast((b + size // 2) % size - size // 2, self.rdtype) / size
            for b, size in zip(bins, sizes, strict=True)
        ]

    def _waves(self, frequency, size):
        """Conjugate waves [..., size] and their derivatives with the frequency."""
        turns = 2 * math.pi * _offsets(size)
        phase = frequency[..., None] * self.real(turns)
        waves = tf.complex(tf.cos(phase), -tf.sin(phase))
        return waves, self.cplx(-1j * turns) * waves

    @staticmethod
    def _project(u, rows, columns):
        return tf.einsum("...m,...mn,...n->...", rows, u, columns)
