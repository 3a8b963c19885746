"""Least-squares estimation of the cascaded channel."""

import tensorflow as tf

from ..layer import Input, LinkLayer, as_number

__all__ = ["LSEstimator", "PilotEstimator", "ls_nmse"]


def ls_nmse(statistics, variance: float):
    r"""NMSE of least squares, :math:`M(N+1)\sigma^2/\mathrm E\|U\|^2`.

    Parameters
    ----------
    statistics : CascadeStatistics
    variance : float
        sigma^2 per entry, ``SurfacePilots.error_variance``.

    Returns
    -------
    float
        Linear.

    Examples
    --------
    >>> import math, sionna_irs as irs
    >>> nmse = irs.ls_nmse(irs.CascadedChannel().statistics, variance=1 / 65)
    >>> round(10 * math.log10(nmse), 3)
    -3.029
    """
    variance = as_number("variance", variance, minimum=0)
    columns = statistics.num_elements + (statistics.rho_d > 0)
    return statistics.num_rx_ant * columns * variance / statistics.total_power


class PilotEstimator(LinkLayer):
    """Base of the estimators that refine least squares: write ``refine(u_ls, variance)``.

    Parameters
    ----------
    pilots : SurfacePilots

    Inputs and outputs as :class:`LSEstimator`.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> class Halved(irs.PilotEstimator):
    ...     def refine(self, u_ls, variance):
    ...         return u_ls / 2, variance
    >>> Halved(irs.SurfacePilots(3, 4)).num_patterns
    4
    """

    inputs = {
        "y": Input("complex", "num_rx_ant", "num_patterns"),
        "no": Input("real", minimum=0, like="y"),
    }

    def __init__(self, pilots, **kwargs):
        kwargs.setdefault("precision", pilots.precision)
        super().__init__(**kwargs)
        self.pilots = pilots
        self.num_patterns = pilots.num_patterns

    def refine(self, u_ls, variance):
        """(u_hat, err_var) from u_ls [..., M, N+1] with error variance [..., 1, 1]."""
        raise TypeError(f"{type(self).__name__} must define refine(u_ls, variance)")

    def call(self, y, no):
        patterns = tf.cast(self.pilots.patterns, self.cdtype)
        u_ls = tf.linalg.matmul(y, patterns, adjoint_b=True) / self.num_patterns
        variance = tf.cast(self.pilots.error_variance(no), self.rdtype)
        return self.refine(u_ls, variance[..., None, None])


class LSEstimator(PilotEstimator):
    r"""Least squares: :math:`\hat U=YR^H/P`, error variance :math:`N_0/(P\,L)` per entry.

    Parameters
    ----------
    pilots : SurfacePilots

    Input
    -----
    y : tf.Tensor, [..., M, P], complex
    no : float or tf.Tensor, [...], real

    Output
    ------
    u_hat : tf.Tensor, [..., M, N+1], complex
    err_var : tf.Tensor, broadcasts to `u_hat`, real

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
    >>> u_hat, err_var = irs.LSEstimator(pilots)(pilots(channel.draw(3), 0.1), 0.1)
    >>> u_hat.shape
    TensorShape([3, 4, 9])
    """

    def refine(self, u_ls, variance):
        """Nothing to refine."""
        return u_ls, variance
