"""Mean power of double-surface channels: exact covariance, random phases, bounds."""

import math

import numpy as np
import tensorflow as tf

from ..layer import to_dtype

__all__ = ["DoubleSurfaceStatistics", "random_phase_gain"]

matmul = tf.linalg.matmul


def random_phase_gain(gains, counts):
    r"""Mean channel power with independent uniform phases, exact for any fading.

    .. math:: \mathrm E\|H\|_F^2=N_rN_t(\beta_{G1}\beta_{H1}N_1+\beta_{G2}\beta_{H2}N_2
              +\beta_{G2}\beta_D\beta_{H1}N_1N_2)

    Parameters
    ----------
    gains : dict
        "tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx" -> mean power per entry, linear.
    counts : dict
        "tx", "rx", "s1", "s2" -> antennas.

    Returns
    -------
    float

    Examples
    --------
    >>> from sionna_irs.channel.double_statistics import random_phase_gain
    >>> links = ("tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx")
    >>> random_phase_gain(dict.fromkeys(links, 1.0), {"tx": 1, "rx": 1, "s1": 2, "s2": 3})
    11.0
    """
    n1, n2 = counts["s1"], counts["s2"]
    first = gains["s1>rx"] * gains["tx>s1"] * n1
    second = gains["s2>rx"] * gains["tx>s2"] * n2
    double = gains["s2>rx"] * gains["s1>s2"] * gains["tx>s1"] * n1 * n2
    return counts["rx"] * counts["tx"] * (first + second + double)


class DoubleSurfaceStatistics:
    r"""Second-order statistics of a :class:`DoubleSurfaceChannel` with given phases.

    With A, B, C the three ways over surface 1, surface 2 and both,
    :math:`\mathrm E[HH^H]` is the sum of their covariances and of all cross terms. Every hop
    enters by :class:`HopMoments`, so it is exact for Rician and double-scattering hops.

    Source: the double-surface paper, Lemma 1; corrected: all six terms.

    Parameters
    ----------
    channel : SurfaceChannel
        With the hops "tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx".

    Raises
    ------
    ValueError
        For other hops.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> channel = irs.DoubleSurfaceChannel(num_elements=16, unit_power=True)
    >>> statistics = irs.DoubleSurfaceStatistics(channel)
    >>> round(statistics.random_phase_gain, 3)
    16.0
    >>> theta = channel.reflect({"s1": tf.zeros(16), "s2": tf.zeros(16)})
    >>> statistics.covariance(theta).shape
    TensorShape([4, 4])
    """

    def __init__(self, channel):
        names = ("tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx")
        if set(channel.hops) != set(names):
            raise ValueError(f"hops = {sorted(channel.hops)}; {sorted(names)} are needed")
        self.dtype = channel.cdtype
        self.moments = [channel.hops[name].moments() for name in names]
        self.counts = dict(zip(("s1", "tx"), self.moments[0].mean.shape, strict=True))
        self.counts |= dict(zip(("rx", "s2"), self.moments[4].mean.shape, strict=True))
        gains = {name: m.power for name, m in zip(names, self.moments, strict=True)}
        self.random_phase_gain = random_phase_gain(gains, self.counts)

    def _means(self, theta):
        """theta_1, theta_2 [..., N] and the means of the five hops."""
        thetas = [to_dtype(theta[name], self.dtype) for name in ("s1", "s2")]
        return (*thetas, *(tf.constant(m.mean, self.dtype) for m in self.moments))

    def _eye(self, name):
        return tf.eye(self.counts[name], dtype=self.dtype)

    def terms(self, theta):
        r"""The six terms of :math:`\mathrm E[HH^H]`.

        Parameters
        ----------
        theta : dict
            "s1", "s2" -> reflection coefficients [..., N], complex, of modulus 1 for the bounds.

        Returns
        -------
        dict
            "AA", "BB", "CC", "AB", "AC", "BC" -> [..., rx, rx], complex: E[A A^H] and so on.
        """
        h1, h2, d, g1, g2 = self.moments
        t1, t2, m1, m2, md, mg1, mg2 = self._means(theta)
        lit1 = between(t1, h1.forward(self._eye("tx")), t1)  # correlation behind surface 1
        first = matmul(mg1, weighted(t1, m1))
        second = matmul(mg2, weighted(t2, m2))
        return {
            "AA": g1.forward(lit1),
            "BB": g2.forward(between(t2, h2.forward(self._eye("tx")), t2)),
            "CC": g2.forward(between(t2, d.forward(lit1), t2)),
            "AB": matmul(first, second, adjoint_b=True),
            "AC": matmul(matmul(mg1, lit1), matmul(mg2, weighted(t2, md)), adjoint_b=True),
            "BC": g2.forward(
                between(t2, matmul(m2, matmul(md, weighted(t1, m1)), adjoint_b=True), t2)
            ),
        }

    def covariance(self, theta):
        """E[H H^H] [..., rx, rx], complex, of coefficients as in :meth:`terms`."""
        found = self.terms(theta)
        cross = found["AB"] + found["AC"] + found["BC"]
        return found["AA"] + found["BB"] + found["CC"] + cross + tf.linalg.adjoint(cross)

    def gain(self, theta):
        """E||H||^2 [...], real."""
        return tf.math.real(tf.linalg.trace(self.covariance(theta)))

    def quadratic(self, theta, name):
        r"""The mean power as a quadratic form in one surface's coefficients.

        :math:`\mathrm E\|H\|^2=\theta^HT\theta+2\mathrm{Re}\,\theta^Hc+` a constant.

        Parameters
        ----------
        theta : dict
            As in :meth:`terms`; the other surface counts.
        name : "s1" or "s2"

        Returns
        -------
        t : tf.Tensor, [..., N, N], complex
        c : tf.Tensor, [..., N], complex
        """
        h1, h2, d, g1, g2 = self.moments
        t1, t2, m1, m2, md, mg1, mg2 = self._means(theta)
        seen2, rx = g2.backward(self._eye("rx")), matmul(mg1, mg2, adjoint_a=True)
        tx = matmul(m2, m1, adjoint_b=True)
        arrived1 = h1.forward(self._eye("tx"))
        if name == "s1":
            inner = d.backward(between(tf.math.conj(t2), seen2, tf.math.conj(t2)))
            x = matmul(rx, weighted(t2, md))
            left = g1.backward(self._eye("rx")) + inner + x + tf.linalg.adjoint(x)
            linear = rx + matmul(weighted(t2, md), seen2, adjoint_a=True)
            linear = matmul(linear, weighted(t2, tx))
            return left * tf.linalg.matrix_transpose(arrived1), tf.linalg.diag_part(linear)
        lit1 = between(t1, arrived1, t1)
        v = matmul(tx, matmul(md, t1[..., None] * self._eye("s1")), adjoint_b=True)
        right = h2.forward(self._eye("tx")) + d.forward(lit1) + v + tf.linalg.adjoint(v)
        inner = weighted(t1, tf.linalg.adjoint(tx)) + matmul(lit1, md, adjoint_b=True)
        linear = matmul(rx, inner, adjoint_a=True)
        return seen2 * tf.linalg.matrix_transpose(right), tf.linalg.diag_part(linear)

    def bounds(self):
        r"""Upper bounds of E||H||^2 over all phases.

        Returns
        -------
        dict
            "sum": :math:`\bar a+\bar b+\bar c` of the three ways, a bound without lines of sight
            only; "triangle": :math:`(\sqrt{\bar a}+\sqrt{\bar b}+\sqrt{\bar c})^2`, always;
            "los": tight, for lines of sight alone (absent otherwise).

            Source: the double-surface paper, (19) and (20); corrected: (19) ignores cross terms.
        """
        h1, h2, d, g1, g2 = self.moments
        antennas = self.counts["rx"] * self.counts["tx"]
        a = antennas * g1.power * h1.power * largest_gain(h1, g1)
        b = antennas * g2.power * h2.power * largest_gain(h2, g2)
        c = antennas * g2.power * d.power * h1.power * largest_gain(h1, d) * largest_gain(d, g2)
        found = {"sum": a + b + c, "triangle": sum(map(math.sqrt, (a, b, c))) ** 2}
        if all(m.variance == 0 for m in self.moments):
            x, y, z = (math.sqrt(s / antennas) for s in (a, b, c))
            rho_r = alignment(g1.mean[:, 0], g2.mean[:, 0])
            rho_t = alignment(h1.mean[0], h2.mean[0])
            cross = x * y * rho_r * rho_t + x * z * rho_r + y * z * rho_t
            found["los"] = antennas * (x * x + y * y + z * z + 2 * cross)
        return found


def weighted(theta, x):
    """diag(theta) X."""
    return theta[..., None] * x


def between(left, x, right):
    """diag(left) X diag(right)^H."""
    return left[..., None] * x * tf.math.conj(right)[..., None, :]


def alignment(a, b):
    """|a^H b| of the two directions, 0 to 1."""
    return float(np.abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b)))


def largest_gain(incoming, outgoing):
    """tau: the largest power over a surface between two hops, in units of unit-gain elements."""
    size = incoming.mean.shape[0]
    shares = [1 - m.variance / m.power for m in (incoming, outgoing)]
    norms = [np.linalg.norm(r, 2) for r in (incoming.rx_correlation, outgoing.tx_correlation)]
    (k, q), (r_in, r_out) = shares, norms
    return size * (
        k * q * size
        + (1 - k) * q * r_in
        + k * (1 - q) * r_out
        + (1 - k) * (1 - q) * min(r_in, r_out)
    )
