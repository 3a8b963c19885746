"""Two surfaces between a transmitter and a receiver, with a hop from one to the other."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from ..arrays import ULA, UPA
from ..budget import db_to_linear, dbm_to_watt
from ..surface.ideal import IdealPhases
from .double_statistics import random_phase_gain
from .hops.double_scattering import DoubleScatteringHop
from .surface_channel import SurfaceChannel

__all__ = ["DoubleGeometry", "DoubleSurfaceChannel", "most_square_panel"]

LINKS = ("tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx")


def most_square_panel(num_elements, **kwargs):
    """The UPA of N elements whose number of rows is the largest divisor up to sqrt(N).

    Examples
    --------
    >>> from sionna_irs.channel.double import most_square_panel
    >>> most_square_panel(12).shape
    (3, 4)
    """
    rows = next(r for r in range(math.isqrt(num_elements), 0, -1) if num_elements % r == 0)
    return UPA(rows, num_elements // rows, **kwargs)


@keras.saving.register_keras_serializable("sionna_irs")
@dataclasses.dataclass(frozen=True)
class DoubleGeometry:
    r"""A rectangle: surface 1 beside the transmitter, surface 2 beside the receiver.

    :math:`p_{tx}=(0,0,h)`, :math:`p_{rx}=(D,0,0)`, :math:`p_1=(0,d,h)`, :math:`p_2=(D,d,h)`. The
    linear arrays lie along +y, the rows of the panels at `azimuths` to the x-axis, so that each
    panel faces its terminal and the other panel.

    Parameters
    ----------
    distance, offset, height : float
        D, d, h [m]; every link is at least 1 m long.
    azimuths : (float, float)
        Of the panels' rows [radian].

    Raises
    ------
    ValueError
        For links shorter than 1 m.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> geometry = irs.DoubleGeometry(50.0, 5.0, 3.0)
    >>> round(irs.linear_to_db(geometry.path_gain("tx>s1")), 4)
    -50.9773
    """

    distance: float = 50.0
    offset: float = 5.0
    height: float = 3.0
    azimuths: tuple[float, float] = (math.pi / 4, 3 * math.pi / 4)

    def __post_init__(self):
        object.__setattr__(self, "azimuths", tuple(self.azimuths))
        for link in LINKS:
            if not 1 <= self.length(link) < math.inf:
                raise ValueError(
                    f"link {link!r} is {self.length(link)} m long; at least 1 m is needed"
                )

    @property
    def positions(self):
        """Node -> coordinates [m]."""
        far, side, up = self.distance, self.offset, self.height
        nodes = {"tx": (0, 0, up), "rx": (far, 0, 0), "s1": (0, side, up), "s2": (far, side, up)}
        return {name: np.array(place, float) for name, place in nodes.items()}

    def length(self, link):
        """Length of "from>to" [m]."""
        start, end = link.split(">")
        return float(np.linalg.norm(self.positions[end] - self.positions[start]))

    def path_gain(self, link):
        r"""Of "from>to", linear: :math:`-35.6-22\log_{10}(d/1\,m)` dB."""
        return db_to_linear(-35.6 - 22.0 * math.log10(self.length(link)))

    def direction(self, node, towards):
        """(azimuth, zenith) [radian] of another node in the axes of a node's array."""
        u = self.positions[towards] - self.positions[node]
        u = u / np.linalg.norm(u)
        turn = dict(zip(("s1", "s2"), self.azimuths, strict=True)).get(node, math.pi / 2)
        along = u[0] * math.cos(turn) + u[1] * math.sin(turn)
        across = u[0] * math.sin(turn) - u[1] * math.cos(turn)
        return math.atan2(along, across), math.acos(np.clip(u[2], -1, 1))

    def link_table(self):
        """A row for every link: length [m], path gain [dB], directions at both ends [degree]."""
        rows = []
        for link in LINKS:
            start, end = link.split(">")
            departure, arrival = self.direction(start, end), self.direction(end, start)
            rows.append(
                {
                    "link": link,
                    "length": self.length(link),
                    "path_gain_db": 10 * math.log10(self.path_gain(link)),
                    "departure": [math.degrees(x) for x in departure],
                    "arrival": [math.degrees(x) for x in arrival],
                }
            )
        return rows

    def get_config(self):
        """The constructor's arguments."""
        return {**dataclasses.asdict(self), "azimuths": list(self.azimuths)}

    @classmethod
    def from_config(cls, config):
        """The geometry again."""
        return cls(**config)


def line_of_sight(geometry, link, tx_array, rx_array, carrier_frequency=None):
    r"""Line of sight of a link, :math:`a_{rx}a_{tx}^H` [rx, tx], complex128.

    The conjugate on the transmit side, as published, relabels the elements and changes no
    statistic. A carrier frequency [Hz] adds the phase of the length.
    """
    start, end = link.split(">")
    a_tx, a_rx = (
        array.response(*geometry.direction(node, other), dtype=tf.complex128).numpy()
        for array, node, other in ((tx_array, start, end), (rx_array, end, start))
    )
    turns = 0.0
    if carrier_frequency is not None:
        turns = geometry.length(link) * carrier_frequency / 299792458.0
    return np.outer(a_rx, a_tx.conj()) * np.exp(-2j * np.pi * turns)


class DoubleSurfaceChannel(SurfaceChannel):
    r"""Two surfaces with single and double reflections, the direct path blocked.

    .. math:: H=G_1\Theta_1H_1+G_2\Theta_2H_2+G_2\Theta_2D\,\Theta_1H_1

    H_1, H_2, D, G_1, G_2 are the hops "tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx", independent
    :class:`DoubleScatteringHop` with the path gains and lines of sight of `geometry`.

    Source: the double-surface paper, (1) to (17), with the reconstructions of our documentation.

    Parameters
    ----------
    num_tx_ant, num_rx_ant : int
    num_elements : int or (int, int)
        N of both surfaces, or N_1 and N_2: nearly square panels.
    k_factor : float or dict
        K of all links or link -> K, linear.
    num_scatterers, angular_spread, scatterer_spread, scatterer_spacing, num_waves
        As :class:`DoubleScatteringHop`, the same for all links.
    geometry : DoubleGeometry or None
        None is the default one.
    noise_power_dbm : float or None
        H is that of unit noise variance and transmit power in watt; None: physical.
    unit_power : bool
        H is scaled to a mean power of 1 per entry with random phases; `noise_power_dbm` has no
        effect.
    carrier_frequency : float or None
        [Hz]: lines of sight then have the phase of their length.
    reverse : bool
        Adds the reverse double reflection, with :math:`D^T`.
    surfaces : dict or None
        {"s1": Surface, "s2": Surface} of the same sizes; None are ideal phases.

    Raises
    ------
    ValueError
        For numbers out of range.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.DoubleSurfaceChannel(num_elements=16, k_factor=10.0)
    >>> channel(8, policy=irs.RandomPhases()).shape
    TensorShape([8, 4, 4])
    """

    def __init__(
        self,
        num_tx_ant: int = 4,
        num_rx_ant: int = 4,
        num_elements=64,
        k_factor=1.0,
        num_scatterers=10,
        angular_spread=math.pi / 2,
        scatterer_spread=math.pi / 2,
        scatterer_spacing=10.0,
        num_waves=None,
        geometry=None,
        noise_power_dbm: float | None = -80.0,
        unit_power: bool = False,
        carrier_frequency: float | None = None,
        reverse: bool = False,
        surfaces: dict | None = None,
        precision=None,
        **kwargs,
    ):
        geometry = DoubleGeometry() if geometry is None else geometry
        sizes = num_elements if isinstance(num_elements, (list, tuple)) else [num_elements] * 2
        panels = [most_square_panel(size) for size in sizes]
        arrays = dict(zip(("tx", "rx", "s1", "s2"), [ULA(num_tx_ant), ULA(num_rx_ant), *panels],
                          strict=True))  # fmt: skip
        factors = k_factor if isinstance(k_factor, dict) else dict.fromkeys(LINKS, k_factor)
        if set(factors) != set(LINKS):
            raise ValueError(f"k_factor has {sorted(factors)}; {sorted(LINKS)} are needed")
        fading = {
            "num_scatterers": num_scatterers,
            "angular_spread": angular_spread,
            "scatterer_spread": scatterer_spread,
            "scatterer_spacing": scatterer_spacing,
            "num_waves": num_waves,
            "precision": precision,
        }
        noise = 1.0 if unit_power or noise_power_dbm is None else dbm_to_watt(noise_power_dbm)
        gains = {k: geometry.path_gain(k) / (noise if k.endswith("rx") else 1) for k in LINKS}
        counts = {name: array.num_ant for name, array in arrays.items()}
        mean = random_phase_gain(gains, counts)
        if unit_power:
            scale = counts["tx"] * counts["rx"] / mean
            gains = {k: g * (scale if k.endswith("rx") else 1) for k, g in gains.items()}
            mean *= scale
        self.geometry, self.random_phase_gain = geometry, mean
        self.carrier_frequency = carrier_frequency
        hops = {}
        for link in LINKS:
            ends = [arrays[node] for node in link.split(">")]
            los = line_of_sight(geometry, link, *ends, carrier_frequency)
            hops[link] = DoubleScatteringHop(*ends, factors[link], gains[link], los, **fading)
        if reverse:
            hops["s2>s1"] = np.zeros([counts["s1"], counts["s2"]])  # see draw
        if surfaces is None:
            surfaces = {
                name: IdealPhases(arrays[name], precision=precision) for name in ("s1", "s2")
            }
        super().__init__(hops, surfaces, precision=precision, **kwargs)

    def draw(self, batch_size):
        links = super().draw(batch_size)
        if "s2>s1" in self.hops:
            links["s2>s1"] = tf.linalg.matrix_transpose(links["s1>s2"])
        return links
