"""Paths in a room by the image method: walls are mirrors, reflections come from images of the user.

A box of 10 m x 10 m x 5 m in concrete (that of the ray tracer's scene "box"), with the first
antenna of a linear array along y at (-4.5, 0, 2.5).
"""

import dataclasses
from typing import Literal

import numpy as np

__all__ = ["RoomPaths", "image_paths"]

LIGHT_SPEED = 299792458.0
BASE = np.array([-4.5, 0.0, 2.5])
CARRIERS = (2.4e9, 2.5e9)
_VACUUM_PERMITTIVITY = 8.8541878128e-12
_LOW, _SIZE = np.array([-5.0, -5.0, 0.0]), np.array([10.0, 10.0, 5.0])


@dataclasses.dataclass(frozen=True, eq=False)
class RoomPaths:
    r"""Paths between P users and the first antenna of the array, strongest first.

    Parameters
    ----------
    positions : np.ndarray, [P, 3], real
        Of the users [m].
    gain_ul, gain_dl : np.ndarray, [P, num_paths], complex
        Amplitude with carrier phase, :math:`\alpha_ie^{-j2\pi f_i\tau}`.
    direction : np.ndarray, [P, num_paths], real
        :math:`u=\hat r\cdot\hat y` at the array, in [-1, 1].
    delay : np.ndarray, [P, num_paths], real
        :math:`\tau` [s].

    Where the ray tracer lost a path everything but the position is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sionna_irs.channel.scene.room_images import RoomPaths
    >>> one = np.ones([2, 1])
    >>> RoomPaths(np.zeros([2, 3]), one + 0j, one + 0j, one, one).num_paths
    1
    """

    positions: np.ndarray
    gain_ul: np.ndarray
    gain_dl: np.ndarray
    direction: np.ndarray
    delay: np.ndarray

    @property
    def num_paths(self):
        """Paths of every user, int."""
        return self.gain_dl.shape[-1]


def check_request(positions, carriers, num_paths, precision):
    """Positions as float64 when a solver can answer, else a ValueError that says why not."""
    positions = np.asarray(positions, np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or not len(positions):
        raise ValueError(f"positions has shape {positions.shape}; [P, 3] is needed")
    inside = ((positions >= _LOW) & (positions <= _LOW + _SIZE)).all(-1)
    inside &= (positions != BASE).any(-1)
    if not inside.all():
        bad = np.flatnonzero(~inside)[0]
        raise ValueError(
            f"positions[{bad}] = {positions[bad].tolist()}; a point in the room "
            f"({_LOW.tolist()} to {(_LOW + _SIZE).tolist()}) away from the array is needed"
        )
    # ITU-R P.2040 describes concrete from 1 to 100 GHz.
    if np.shape(carriers) != (2,) or not all(1e9 <= f <= 1e11 for f in carriers):
        raise ValueError(f"carriers = {carriers}; two numbers in 1e9..1e11 [Hz] are needed")
    if not isinstance(num_paths, int) or not 1 <= num_paths <= 25:
        raise ValueError(f"num_paths = {num_paths!r}; an integer in 1..25 is needed")
    if precision not in ("single", "double"):
        raise ValueError(f"precision = {precision!r}; 'single' or 'double' is needed")
    return positions


def in_blocks(solve, positions, size, precision):
    """``solve`` on blocks of positions, since all at once fill the memory, joined to one store."""
    rdtype, cdtype = (np.float32, np.complex64) if precision == "single" else (float, complex)
    blocks = [
        [x.astype(cdtype if x.dtype.kind == "c" else rdtype) for x in (block, *solve(block))]
        for block in np.array_split(positions, -(-len(positions) // size))
    ]
    return RoomPaths(*map(np.concatenate, zip(*blocks, strict=True)))


def _mirror_images():
    """Images of x up to two reflections, sign x + offset, and reflections per axis, all [25, 3]."""
    # Along one axis: the point itself, the nearest images in both walls, the next ones.
    n, p = np.array([(0, 0), (0, 1), (1, 1), (1, 0), (-1, 0)]).T
    along = np.stack(np.meshgrid(*3 * [np.arange(5)], indexing="ij"), -1).reshape(-1, 3)
    order = np.abs(2 * n - p)
    along = along[order[along].sum(-1) <= 2]
    return (1 - 2 * p)[along], 2 * n[along] * _SIZE + 2 * p[along] * _LOW, order[along]


def _amplitude(carrier, path, order):
    r"""Free space times the Fresnel coefficients of every reflection, complex128.

    ``path`` is the vector from the array to the image [..., 3], ``order`` the reflections per
    axis. A vertical field is across the plane of incidence at walls (TE) and in it at floor and
    ceiling (TM).
    """
    loss = 0.0462 * (carrier / 1e9) ** 0.7822 / (2 * np.pi * carrier * _VACUUM_PERMITTIVITY)
    permittivity = 5.24 - 1j * loss
    length = np.linalg.norm(path, axis=-1)
    cosine = np.abs(path) / length[..., None]
    root = np.sqrt(permittivity - 1 + cosine**2)
    into = cosine * np.array([1, 1, permittivity])
    reflected = np.where(order > 0, (into - root) / (into + root), 1)
    twice = np.where(order > 1, reflected, 1)
    return LIGHT_SPEED / (4 * np.pi * carrier * length) * np.prod(reflected * twice, -1)


def image_paths(
    positions,
    carriers: tuple[float, float] = CARRIERS,
    num_paths: int = 5,
    precision: Literal["single", "double"] = "single",
):
    r"""Paths by the image method, up to two reflections (25 images); all in float64.

    .. math:: \alpha_i=\frac{c}{4\pi f_ir}\prod_{x,y,z}\Gamma^{order}

    with Fresnel coefficients of concrete (ITU-R P.2040). The paths with the largest
    :math:`|\alpha_{DL}|` are kept, the same ones in the uplink.

    Parameters
    ----------
    positions : array, [P, 3], real
        Of the users, in the room: x and y in [-5, 5], z in [0, 5] [m].
    carriers : (float, float)
        Uplink and downlink [Hz].
    num_paths : int
        In 1..25.
    precision : "single" or "double"
        Of the stored numbers.

    Returns
    -------
    RoomPaths

    Raises
    ------
    ValueError
        For positions outside the room, and numbers out of range.

    Examples
    --------
    >>> from sionna_irs.channel.scene.room_images import image_paths
    >>> paths = image_paths([[1.0, 2.0, 1.0]])
    >>> [round(float(delay) * 1e9, 3) for delay in paths.delay[0]]
    [20.152, 23.23, 32.767, 29.175, 44.315]
    """
    sign, offset, order = _mirror_images()

    def solve(block):
        path = block[:, None] * sign + offset - BASE
        amplitude = _amplitude(carriers[1], path, order)
        best = np.argsort(-np.abs(amplitude), axis=-1, kind="stable")[:, :num_paths]
        path = np.take_along_axis(path, best[..., None], 1)
        length = np.linalg.norm(path, axis=-1)
        delay = length / LIGHT_SPEED
        downlink = np.take_along_axis(amplitude, best, 1)
        uplink = _amplitude(carriers[0], path, order[best])
        turned = [
            gain * np.exp(-2j * np.pi * carrier * delay)
            for gain, carrier in zip((uplink, downlink), carriers, strict=True)
        ]
        return *turned, path[..., 1] / length, delay

    positions = check_request(positions, carriers, num_paths, precision)
    return in_blocks(solve, positions, 4000, precision)
