"""Shares of trials that may depend on each other: what they count as, and their intervals.

Rao and Scott (1992), A simple method for the analysis of clustered binary data; Korn and Graubard
(1998), Confidence intervals for proportions with small expected number of positive counts
estimated from survey data.
"""

import math
from typing import NamedTuple

import numpy as np

from . import intervals

__all__ = ["Dispersion", "Trials", "dispersion", "effective", "interval"]

# A point with fewer errors, or fewer successes, says nothing about the dispersion.
_MIN_COUNT = 5
# Units that hold an error (or a success) below which units are at best the trials.
_MIN_UNITS = 8
_SIGNIFICANT = 0.05


class Trials(NamedTuple):
    """The trials of a point, and what they count as.

    ``n`` were counted and weigh as much as ``n_eff`` independent ones. ``phi`` is the dispersion
    along the curve, the variance of the units over that of independent trials, and ``rho`` the
    correlation of two trials of a unit; NaN where no point has enough errors and successes.
    """

    n: float
    n_eff: float
    phi: float
    rho: float


class Dispersion(NamedTuple):
    """Of a curve: Pearson's statistic, its degrees of freedom, and trials in a unit on average."""

    statistic: float
    degrees: int
    size: float

    @property
    def phi(self):
        """Variance of the units over that of independent trials; NaN where nothing shows it."""
        return self.statistic / self.degrees if self.degrees else math.nan

    @property
    def rho(self):
        """Correlation of two trials of a unit."""
        if not self.degrees or self.size <= 1:
            return math.nan
        return min(1.0, (self.phi - 1) / (self.size - 1))

    @property
    def significant(self):
        """Whether independent trials would seldom be so dispersed."""
        from scipy.special import chdtrc

        return bool(self.degrees and chdtrc(self.degrees, self.statistic) < _SIGNIFICANT)


def _pearson(units):
    r""":math:`X=\sum_u(k_u-pm_u)^2/(m_up(1-p))` of units [U, 2]; NaN when p is 0 or 1."""
    errors, sizes = units[units[:, 1] > 0].T
    p = float(errors.sum() / sizes.sum())
    if not 0 < p < 1:
        return math.nan
    return float(np.sum((errors - p * sizes) ** 2 / sizes)) / (p * (1 - p))


def dispersion(points):
    """Of a curve, from its points that have enough errors and successes.

    Parameters
    ----------
    points : iterable of units
        (errors, trials) of every unit.

    Returns
    -------
    Dispersion
    """
    statistic, degrees, trials, count = 0.0, 0, 0.0, 0
    for units in points:
        units = np.asarray(units, float)
        errors, n = intervals.total(units)
        used = np.count_nonzero(units[:, 1])
        if used >= 2 and min(errors, n - errors) >= _MIN_COUNT:
            statistic += _pearson(units)
            degrees += used - 1
            trials, count = trials + n, count + used
    return Dispersion(statistic, int(degrees), float(trials / count) if count else math.nan)


def effective(units, curve, level=intervals.LEVEL, bound=None):
    r"""Independent trials that those of a point weigh as much as.

    .. math:: n^*=\min\Bigl(n,\ \frac n{\max(1,\phi)}\Bigl(\frac z{t_\nu}\Bigr)^2,\
              \frac n{\max(1,\phi_x)}\Bigl(\frac z{t_{U-1}}\Bigr)^2\Bigr)

    with the dispersions :math:`\phi` of the curve and :math:`\phi_x` of the point; and at most
    ``bound`` with fewer than 8 units that hold an error, or a success.

    Parameters
    ----------
    units : sequence of (errors, trials)
    curve : Dispersion
    level : float
        Of the interval that is wanted.
    bound : float or None
        None takes the number of units.
    """
    from scipy.special import ndtri, stdtrit

    units = np.asarray(units, float)
    units = units[units[:, 1] > 0]
    count, n = len(units), float(units[:, 1].sum())
    upper = (1 + level) / 2

    def deflated(phi, degrees):
        return n / max(1.0, phi) * float(ndtri(upper) / stdtrit(degrees, upper)) ** 2

    found = [n]
    if curve.degrees:
        found.append(deflated(curve.phi, curve.degrees))
    if count > 1 and not math.isnan(statistic := _pearson(units)):
        found.append(deflated(statistic / (count - 1), count - 1))
    holding = min(np.count_nonzero(units[:, 0]), np.count_nonzero(units[:, 0] < units[:, 1]))
    if holding < _MIN_UNITS:
        found.append(count if bound is None else bound)
    return float(min(found))


def interval(units, n_eff, level=intervals.LEVEL):
    """(low, high) of the share of errors of units whose trials weigh as much as ``n_eff``."""
    errors, n = intervals.total(units)
    return intervals.binomial(errors if n_eff == n else errors / n * n_eff, n_eff, level)
