"""The exact mean squared error of the Bayes estimator, by quadrature."""

import numpy as np

from ..layer import as_number

__all__ = ["bayes_nmse"]


def _gauss(number, low, high):
    nodes, weights = np.polynomial.legendre.leggauss(number)
    return low + (nodes + 1) * (high - low) / 2, weights * (high - low) / 2


def _sinh_grid(number, scale, end):
    """Nodes and weights on [0, end], dense near 0: x = scale sinh t."""
    t, weights = _gauss(number, 0.0, np.arcsinh(end / scale))
    return scale * np.sinh(t), weights * scale * np.cosh(t)


def _posterior_power(statistics, variance, num_nodes, num_radii):
    r"""E of \|E[b|y]\|^2 over y, and the integral of the density (1 up to quadrature error)."""
    from scipy.special import gammaln, ive

    m, rho_h = statistics.num_rx_ant, statistics.rho_h
    a, s2, sigma = statistics.a, statistics.s**2, np.sqrt(variance)
    r, r_weights = _gauss(num_radii, 0.0, 6.5 * np.sqrt(rho_h))
    v = s2 * r**2 + variance
    # p = |S|/sqrt(M) and t = sqrt(q), q the energy across the line of sight.
    p, p_weights = _sinh_grid(num_nodes, 3 * sigma, a * np.sqrt(m) * r[-1] + 8 * np.sqrt(v[-1]))
    t, t_weights = _sinh_grid(
        num_nodes, 1.5 * sigma * np.sqrt(m), np.sqrt(v[-1] * (m + 60 + 12 * np.sqrt(m)))
    )
    kappa = 2 * a * np.sqrt(m) * r * p[:, None] / v
    i0e = ive(0, kappa)
    log_prior = np.log(2 * r / rho_h * r_weights) - r**2 / rho_h
    log_p = np.log(2 * p[:, None] / v) - (p[:, None] - a * np.sqrt(m) * r) ** 2 / v + np.log(i0e)
    q = t**2
    log_q = (m - 2) * np.log(q[:, None]) - q[:, None] / v - (m - 1) * np.log(v) - gammaln(m - 1)
    with np.errstate(under="ignore"):
        along = np.exp(log_prior + log_p)
        across = np.exp(log_q) * (2 * t)[:, None]
        density = along @ across.T
        g = s2 * r**2 / v
        turned = (1 - g) * a * r * ive(1, kappa) / i0e
        w_sum = (along * g) @ across.T
        c_sum = (along * turned) @ across.T
    safe = np.where(density > 0, density, 1.0)
    w, c = w_sum / safe, c_sum / safe
    power = w**2 * (q + p[:, None] ** 2) + 2 * w * c * p[:, None] * np.sqrt(m) + c**2 * m
    weights = p_weights[:, None] * t_weights * density
    return float(np.sum(weights * power)), float(np.sum(weights))


def bayes_nmse(statistics, variance: float, num_nodes: int = 110, num_radii: int = 240):
    r"""The smallest NMSE that any estimator can have on the cascaded channel.

    The error of a cascaded column is :math:`M\rho_c-\mathrm E\|\mathrm E[b|y]\|^2`, a
    three-dimensional integral over the two sufficient statistics and r; the direct column is
    Gaussian. With the default nodes all printed decimals of a dB are exact.

    Parameters
    ----------
    statistics : CascadeStatistics
        With at least two antennas.
    variance : float
        sigma^2 per least-squares entry, ``SurfacePilots.error_variance``.
    num_nodes, num_radii : int
        Quadrature nodes for the statistics and for r.

    Returns
    -------
    float
        Linear, a ratio of means.

    Raises
    ------
    ValueError
        For a variance that is not positive or fewer than two antennas, and when the density does
        not integrate to one (the quadrature is too coarse for these numbers).

    Examples
    --------
    >>> import math, sionna_irs as irs
    >>> bound = irs.bayes_nmse(irs.CascadedChannel().statistics, variance=1 / 65)
    >>> round(10 * math.log10(bound), 3)
    -10.07
    """
    variance = as_number("variance", variance, minimum=1e-300)
    m = statistics.num_rx_ant
    if m < 2:
        raise ValueError(f"num_rx_ant = {m}; at least 2 is needed")
    power, mass = _posterior_power(statistics, variance, num_nodes, num_radii)
    if abs(mass - 1) > 1e-6:
        raise ValueError(
            f"the density integrates to {mass:.9g}: raise num_nodes = {num_nodes} or "
            f"num_radii = {num_radii}"
        )
    rho_d = statistics.rho_d
    column = m * statistics.rho_c - power
    direct = m * rho_d * variance / (rho_d + variance)
    return (statistics.num_elements * column + direct) / statistics.total_power
