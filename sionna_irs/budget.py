"""Powers, noise, path loss: every physical number of a link, and the one place to normalise.

Definitions, used everywhere in the package:

* SNR = transmit power / noise variance at one antenna (total transmit power, channel not included).
* Eb/N0 = SNR / (bits per symbol x code rate), as in Sionna.
* Pilot SNR = transmit power of a pilot symbol / noise variance; an estimate from P patterns of L
  symbols each has error variance 1 / (P L SNR) per entry.
"""

import dataclasses
import math
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from sionna.phy import config, dtypes
from sionna.phy.utils import ebnodb2no

from .arguments import as_number, as_real, is_tensor

__all__ = [
    "LinkBudget",
    "db_to_linear",
    "dbm_to_watt",
    "ebno_db_to_no",
    "free_space_path_gain",
    "linear_to_db",
    "log_distance_path_gain",
    "snr_db_to_no",
    "watt_to_dbm",
]

_BOLTZMANN = 1.380649e-23
_LIGHT_SPEED = 299792458.0


# The smallest number above 0.
_LEAST = 5e-324


def _positive(name, value):
    return as_number(name, value, minimum=_LEAST)


def db_to_linear(value_db):
    """10^(x/10), float."""
    return 10.0 ** (as_number("value_db", value_db) / 10)


def linear_to_db(value):
    """10 log10(x) of a positive float."""
    return 10 * math.log10(_positive("value", value))


def dbm_to_watt(power_dbm):
    """Power [W] from [dBm], float."""
    return db_to_linear(power_dbm) * 1e-3


def watt_to_dbm(power):
    """Power [dBm] from [W], float."""
    return linear_to_db(power) + 30


def free_space_path_gain(distance: float, carrier_frequency: float):
    r"""Friis: :math:`(\lambda/4\pi d)^2` between isotropic antennas.

    Parameters
    ----------
    distance : float
        [m]
    carrier_frequency : float
        [Hz]

    Returns
    -------
    float
        Path gain, linear.

    Raises
    ------
    ValueError
        Unless both are positive.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> round(irs.linear_to_db(irs.free_space_path_gain(1.0, 3.5e9)), 2)
    -43.33
    """
    wavelength = _LIGHT_SPEED / _positive("carrier_frequency", carrier_frequency)
    return (wavelength / (4 * math.pi * _positive("distance", distance))) ** 2


def log_distance_path_gain(
    distance: float, exponent: float, reference_gain_db: float, reference_distance: float = 1.0
):
    r"""Log-distance law: :math:`g_0\,(d/d_0)^{-\eta}`.

    Parameters
    ----------
    distance, reference_distance : float
        d and d_0 [m]
    exponent : float
        Path-loss exponent.
    reference_gain_db : float
        g_0, the gain at the reference distance [dB].

    Returns
    -------
    float
        Path gain, linear.

    Raises
    ------
    ValueError
        Unless the distances are positive and the rest finite.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> round(irs.linear_to_db(irs.log_distance_path_gain(100.0, 3.6, -15.0, 10.0)), 6)
    -51.0
    """
    ratio = _positive("distance", distance) / _positive("reference_distance", reference_distance)
    return db_to_linear(reference_gain_db) * ratio ** -as_number("exponent", exponent)


def ebno_db_to_no(
    ebno_db,
    num_bits_per_symbol: int,
    coderate: float = 1.0,
    precision: Literal["single", "double"] | None = None,
):
    r"""Noise variance for unit symbol energy, :math:`N_0=(r\,m\,E_b/N_0)^{-1}`.

    Parameters
    ----------
    ebno_db : float or tensor, [...], real
        Eb/N0 [dB].
    num_bits_per_symbol : int
        m
    coderate : float
        r in (0, 1].
    precision : "single", "double" or None

    Returns
    -------
    tf.Tensor, [...], real
        N0, as in Sionna's ``ebnodb2no``.

    Raises
    ------
    ValueError
        For a code rate outside (0, 1].

    Examples
    --------
    >>> import sionna_irs as irs
    >>> float(irs.ebno_db_to_no(0.0, num_bits_per_symbol=2))
    0.5
    """
    if not 0 < coderate <= 1:
        raise ValueError(f"coderate = {coderate}; a number in (0, 1] is needed")
    dtype = _real_dtype(precision)  # Sionna takes Python numbers through single precision
    ebno_db, coderate = as_real("ebno_db", ebno_db, dtype), as_real("coderate", coderate, dtype)
    return ebnodb2no(ebno_db, num_bits_per_symbol, coderate, precision=precision)


def snr_db_to_no(snr_db, precision: Literal["single", "double"] | None = None):
    r"""Noise variance for unit transmit power, :math:`N_0=10^{-\mathrm{SNR}/10}`.

    Parameters
    ----------
    snr_db : float, array or tensor, [...], real
        SNR [dB].
    precision : "single", "double" or None
        None keeps that of a tensor or array of floats; numbers take Sionna's ``config.precision``.

    Returns
    -------
    tf.Tensor, [...], real

    Raises
    ------
    TypeError, ValueError
        For what is no finite real number.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> float(irs.snr_db_to_no(20, precision="double"))
    0.01
    """
    dtype = _real_dtype(precision)
    if precision is None and (is_tensor(snr_db) or isinstance(snr_db, np.ndarray)):
        own = tf.as_dtype(snr_db.dtype)
        dtype = own if own.is_floating else dtype
    snr_db = as_real("snr_db", snr_db, dtype)
    return tf.pow(tf.constant(10, dtype), -snr_db / 10)


def _real_dtype(precision):
    """Of a precision, Sionna's own where it is None."""
    return config.tf_rdtype if precision is None else dtypes[precision]["tf"]["rdtype"]


@keras.saving.register_keras_serializable("sionna_irs")
@dataclasses.dataclass(frozen=True)
class LinkBudget:
    """Transmit power and noise of a link; normalises the noise to 1 at the border.

    Noise power is k T B F. Products of path losses reach -200 dB, which single precision does
    not survive next to numbers near 1: layers get gains multiplied by power over noise
    (:meth:`normalize`), for unit transmit power and ``no = 1``.

    Parameters
    ----------
    tx_power_dbm : float
        Total transmit power [dBm].
    bandwidth_hz : float
        Noise bandwidth [Hz].
    noise_figure_db : float
        [dB]
    temperature : float
        [K]

    Raises
    ------
    ValueError
        For numbers that are not finite, or a bandwidth or temperature that is not positive.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> budget = irs.LinkBudget(tx_power_dbm=20.0, bandwidth_hz=1e6, noise_figure_db=5.0)
    >>> round(budget.noise_power_dbm, 2)
    -108.98
    >>> round(budget.snr_db(path_gain=1e-12), 2)
    8.98
    """

    tx_power_dbm: float
    bandwidth_hz: float
    noise_figure_db: float = 0.0
    temperature: float = 290.0

    def __post_init__(self):
        as_number("tx_power_dbm", self.tx_power_dbm)
        as_number("noise_figure_db", self.noise_figure_db)
        _positive("bandwidth_hz", self.bandwidth_hz)
        _positive("temperature", self.temperature)

    @classmethod
    def from_noise_power(cls, tx_power_dbm, noise_power_dbm):
        """The budget of a given noise power [dBm], at 290 K without a noise figure.

        Examples
        --------
        >>> import sionna_irs as irs
        >>> round(irs.LinkBudget.from_noise_power(5.0, -80.0).noise_power_dbm, 6)
        -80.0
        """
        density = _BOLTZMANN * cls.temperature
        return cls(tx_power_dbm, dbm_to_watt(noise_power_dbm) / density)

    @property
    def noise_power_dbm(self):
        """k T B F [dBm]."""
        return watt_to_dbm(_BOLTZMANN * self.temperature * self.bandwidth_hz) + self.noise_figure_db

    def normalize(self, path_gain):
        """Path gain (linear, float) times power over noise: for unit power and ``no = 1``."""
        return _positive("path_gain", path_gain) * db_to_linear(
            self.tx_power_dbm - self.noise_power_dbm
        )

    def snr_db(self, path_gain):
        """Received power over noise [dB] for a path gain (linear)."""
        return linear_to_db(self.normalize(path_gain))

    def received_power_dbm(self, normalized_gain):
        """Physical received power [dBm] from a normalised channel gain, abs(h) squared."""
        return linear_to_db(normalized_gain) + self.noise_power_dbm

    def get_config(self):
        """The four numbers."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """The budget again."""
        return cls(**config)
