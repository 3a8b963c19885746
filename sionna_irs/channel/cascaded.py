"""The cascaded uplink channel: users, one surface, one access point."""

import dataclasses
import math
from typing import Literal

import keras

from ..arrays import ULA
from ..budget import log_distance_path_gain
from ..surface.ideal import IdealPhases
from .hops.rician import RayleighHop, RicianHop
from .surface_channel import SurfaceChannel

__all__ = ["CascadeStatistics", "CascadedChannel"]


@keras.saving.register_keras_serializable("sionna_irs")
@dataclasses.dataclass(frozen=True)
class CascadeStatistics:
    r"""Second-order statistics of U = [G diag(h), d], with an all-ones line of sight in G.

    Column n < N is :math:`b_n=f_n(a\mathbf 1+s\tilde g_n)` with
    :math:`f_n\sim\mathcal{CN}(0,\rho_h)`,
    :math:`a=\sqrt{\rho_GK/(K+1)}`, :math:`s=\sqrt{\rho_G/(K+1)}`; the
    direct column is :math:`\mathcal{CN}(0,\rho_d I)`.

    Parameters
    ----------
    num_rx_ant, num_elements : int
        M and N.
    rho_h, rho_g, rho_d : float
        Power per entry of user to surface, surface to access point, and direct path, linear.
        A `rho_d` of 0 means that there is no direct column.
    k_factor : float
        K of the hop from surface to access point, linear.

    Raises
    ------
    ValueError
        For numbers that are negative or not finite.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> round(irs.CascadedChannel().statistics.rho_c, 7)
    0.0309087
    """

    num_rx_ant: int
    num_elements: int
    rho_h: float
    rho_g: float
    rho_d: float
    k_factor: float

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} = {value}; a finite number of at least 0 is needed")

    @property
    def rho_c(self):
        """Power per entry of the cascade."""
        return self.rho_h * self.rho_g

    @property
    def a(self):
        """Amplitude of the line of sight in G."""
        return math.sqrt(self.rho_g * self.k_factor / (self.k_factor + 1))

    @property
    def s(self):
        """Standard deviation of the scattered part of G."""
        return math.sqrt(self.rho_g / (self.k_factor + 1))

    @property
    def eigenvalues(self):
        """Of a cascaded column's covariance: (along the line of sight, across it M - 1 times)."""
        along = self.rho_h * (self.a**2 * self.num_rx_ant + self.s**2)
        return along, self.rho_h * self.s**2

    @property
    def total_power(self):
        """E||U||^2 = M (N rho_c + rho_d)."""
        return self.num_rx_ant * (self.num_elements * self.rho_c + self.rho_d)

    def get_config(self):
        """The six numbers."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """The statistics again."""
        return cls(**config)


def _path_gains(normalization, noise_power):
    """(rho_h, rho_g, rho_d) of the two normalisations."""
    if normalization == "cdrn":
        if noise_power is not None:
            raise ValueError("noise_power belongs to normalization='physical' only")
        return 0.18**-2 / 31.6, 1 / 31.6, 1 / 33
    if normalization != "physical":
        raise ValueError(f"normalization = {normalization!r}; 'cdrn' or 'physical' is needed")
    noise_power = 1.0 if noise_power is None else noise_power
    if not (noise_power > 0 and math.isfinite(noise_power)):
        raise ValueError(f"noise_power = {noise_power}; a positive number is needed")
    user_surface, surface_ap, user_ap = (
        log_distance_path_gain(distance, exponent, -15.0, 10.0)
        for distance, exponent in ((90.0, 2.3), (16.0, 2.0), (100.0, 3.6))
    )
    # The hops into the access point carry 1/noise, so that the noise there has variance 1.
    return user_surface, surface_ap / noise_power, user_ap / noise_power


class CascadedChannel(SurfaceChannel):
    r"""Uplink of single-antenna users over a surface: y = (G diag(theta) h + d) x + n.

    User to surface and direct path are Rayleigh, surface to access point is Rician with an
    all-ones line of sight and is shared by the users of a draw.

    Parameters
    ----------
    num_rx_ant : int
        M antennas of the access point.
    num_elements : int
        N elements of the surface.
    k_factor : float
        K of surface to access point, linear.
    num_users : int or None
        None leaves out the user axis.
    direct : bool
        Whether there is a direct path.
    normalization : "cdrn" or "physical"
        "cdrn": rho_h = 0.18^-2/31.6, rho_G = 1/31.6, rho_d = 1/33, as in the public code of
        Liu et al. (CDRN). "physical": -15 dB at 10 m, distances 90, 16, 100 m, exponents 2.3, 2.0,
        3.6 (-36.95, -19.08, -51 dB), divided by `noise_power`.
    noise_power : float or None
        For "physical" [W per unit of transmit power]; default 1.

    Raises
    ------
    ValueError
        For other normalisations and numbers out of range.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8, num_users=3)
    >>> channel.draw(5).cascaded().shape
    TensorShape([5, 3, 4, 9])
    """

    def __init__(
        self,
        num_rx_ant: int = 16,
        num_elements: int = 64,
        k_factor: float = 10.0,
        num_users: int | None = None,
        direct: bool = True,
        normalization: Literal["cdrn", "physical"] = "cdrn",
        noise_power: float | None = None,
        precision=None,
        **kwargs,
    ):
        rho_h, rho_g, rho_d = _path_gains(normalization, noise_power)
        user, panel, access_point = ULA(1), ULA(num_elements), ULA(num_rx_ant)
        users = {"num_users": num_users, "precision": precision}
        hops = {
            "tx>s1": RayleighHop(user, panel, rho_h, **users),
            "s1>rx": RicianHop(panel, access_point, k_factor, rho_g, precision=precision),
        }
        if direct:
            hops["tx>rx"] = RayleighHop(user, access_point, rho_d, **users)
        surfaces = {"s1": IdealPhases(panel, precision=precision)}
        super().__init__(hops, surfaces, precision=precision, **kwargs)
        self.statistics = CascadeStatistics(
            num_rx_ant, num_elements, rho_h, rho_g, rho_d if direct else 0.0, k_factor
        )
