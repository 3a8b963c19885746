"""Cascaded channels of a ray-traced scene, split into training, validation and test by place."""

import functools
from typing import Literal

import numpy as np
import tensorflow as tf

from ... import random
from ...arrays import ULA
from ...layer import Input, LinkLayer
from ...surface.ideal import IdealPhases
from ...surface.pattern import IsotropicPattern
from ..cascaded import CascadedChannel
from ..impulse.surface_cir import SurfaceCIR
from ..surface_channel import SurfaceChannel
from .raytraced import RayTracedHops, SceneDevice

__all__ = ["SceneCascade", "position_blocks"]

_PARTS = ("train", "validation", "test")


def position_blocks(
    positions,
    block_size: float,
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
    seed: int = 0,
):
    """Split positions by square blocks of ground: neighbours, whose channels are alike, stay together.

    Parameters
    ----------
    positions : array, [S, 2 or 3], real
        [m]; the third coordinate plays no part.
    block_size : float
        Side of a block [m].
    shares : (float, float, float)
        Of the blocks for training, validation and test; their sum is 1.
    seed : int
        Of the assignment.

    Returns
    -------
    dict
        "train", "validation", "test" -> indices, int64, ascending.

    Raises
    ------
    ValueError
        For shares that do not add up to 1, and when a part gets no position.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> places = np.stack(np.meshgrid(np.arange(20), np.arange(20)), -1).reshape(-1, 2)
    >>> parts = irs.position_blocks(places, 5.0)
    >>> sum(map(len, parts.values()))
    400
    """  # noqa: E501
    positions = np.asarray(positions, float)
    if positions.ndim != 2 or positions.shape[1] not in (2, 3):
        raise ValueError(f"positions has shape {positions.shape}; [S, 2] or [S, 3] is needed")
    if not block_size > 0:
        raise ValueError(f"block_size = {block_size}; a positive number is needed")
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares = {shares}; three positive numbers of sum 1 are needed")
    cells = np.floor(positions[:, :2] / block_size).astype(int)
    blocks, member = np.unique(cells, axis=0, return_inverse=True)
    rank = random.permutation(len(blocks), seed)[member.ravel()]
    ends = np.round(np.cumsum(shares) * len(blocks)).astype(int)
    found, low = {}, 0
    for part, high in zip(_PARTS, ends, strict=True):
        found[part] = np.flatnonzero((rank >= low) & (rank < high))
        low = high
        if not len(found[part]):
            raise ValueError(
                f"block_size = {block_size}: {len(blocks)} blocks leave no position for {part!r}"
            )
    return found


@functools.lru_cache(maxsize=4)
def _matrices(scene, carrier_frequency, places, area, spacing, antennas, num_paths, solver):
    """(positions [S, 3], h [S, N, 1], G [M, N]) of the users whom the surface reaches."""
    (x0, x1), (y0, y1) = area
    x, y = np.arange(x0, x1, spacing), np.arange(y0, y1, spacing)
    users = np.stack(np.meshgrid(x, y, 1.5, indexing="ij"), -1).reshape(-1, 3)
    access_point, surface = places
    num_rx_ant, num_elements = antennas
    panel = ULA(num_elements)
    isotropic = IsotropicPattern()
    hops = RayTracedHops(
        scene, carrier_frequency,
        tx=SceneDevice(users),
        rx=SceneDevice(access_point, ULA(num_rx_ant), look_at=surface),
        surfaces={"s1": SceneDevice(surface, panel, look_at=access_point, pattern=isotropic)},
        hops=["tx>s1", "s1>rx"], num_paths=num_paths, spherical=False, **dict(solver),
    )  # fmt: skip
    reached = np.flatnonzero(np.abs(hops.cirs["tx>s1"].a).reshape(len(users), -1).any(-1))
    cir = SurfaceCIR(hops, {"s1": IdealPhases(panel)}, precision="double")
    links = cir.links(cir.draw(len(reached), index=reached[:, None]))
    return users[reached], links["tx>s1"].numpy(), links["s1>rx"].numpy()[0]


class StoredHop(LinkLayer):
    """Matrices drawn from a store, [S, rx, tx]."""

    inputs = {"batch_size": Input("size")}

    def __init__(self, matrices, num_users, **kwargs):
        super().__init__(**kwargs)
        self.num_rx_ant, self.num_tx_ant = matrices.shape[1:]
        self.num_users, self.num_samples = num_users, len(matrices)
        with tf.init_scope():  # graphs share it instead of copying it
            self._matrices = self.cplx(matrices)

    def call(self, batch_size):
        index = random.distinct(batch_size, self.num_users or 1, self.num_samples)
        return tf.gather(self._matrices, index if self.num_users else index[:, 0])


class SceneCascade(SurfaceChannel):
    r"""Uplink cascade :math:`U=G\,\mathrm{diag}(h)` of users in the streets of a ray-traced scene.

    By default the surface hangs 15 m above an open square and faces the access point on a roof; the
    direct path is left out. A draw takes users of one part of the ground, uniformly: the parts are
    blocks, so that no test position has a training neighbour. Gains are scaled to the mean entry
    power of :class:`CascadedChannel`, so that both share their SNR axis.

    Parameters
    ----------
    split : "train", "validation" or "test"
    num_rx_ant, num_elements : int
        M and N, both linear arrays of half-wavelength spacing with isotropic elements.
    num_users : int or None
        None leaves out the user axis; users of an example are different.
    scene : str or path
    carrier_frequency : float
        [Hz]
    access_point, surface : (float, float, float)
        Positions [m]; the arrays face each other.
    area : ((float, float), (float, float))
        Ends of the users' grid along x and y [m], at a height of 1.5 m.
    spacing : float
        Of the grid [m]. Users whom the surface does not reach are left out.
    block_size : float
        See :func:`position_blocks` [m].
    num_paths : int or None
        Strongest paths of every link to keep.
    max_depth, samples_per_src
        As in :func:`solve_paths`.

    Attributes: ``positions`` [S, 3] of this part [m], and ``samples``, the cascades [S, M, N] of
    these positions as a tensor, for sample covariances.

    Raises
    ------
    ValueError
        For another split and numbers out of range.
    RayTracingError
        When the ray tracer is missing or fails.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.SceneCascade(num_rx_ant=4, num_elements=8, spacing=10.0)
    >>> channel.draw(3).cascaded().shape
    TensorShape([3, 4, 8])
    """

    def __init__(
        self,
        split: Literal["train", "validation", "test"] = "train",
        num_rx_ant: int = 64,
        num_elements: int = 64,
        num_users: int | None = None,
        scene="munich",
        carrier_frequency: float = 28e9,
        access_point: tuple[float, float, float] = (8.5, 21.0, 27.0),
        surface: tuple[float, float, float] = (45.0, 90.0, 15.0),
        area=((-20.0, 80.0), (30.0, 120.0)),
        spacing: float = 2.0,
        block_size: float = 10.0,
        num_paths: int | None = 1,
        max_depth=2,
        samples_per_src=10_000,
        precision=None,
        **kwargs,
    ):
        if split not in _PARTS:
            raise ValueError(f"split = {split!r}; one of {', '.join(_PARTS)} is needed")
        if not spacing > 0:
            raise ValueError(f"spacing = {spacing}; a positive number is needed")
        places = tuple(map(float, access_point)), tuple(map(float, surface))
        solver = (("max_depth", max_depth), ("samples_per_src", samples_per_src))
        positions, h, g = _matrices(
            scene, carrier_frequency, places, tuple(map(tuple, area)), spacing,
            (num_rx_ant, num_elements), num_paths, solver,
        )  # fmt: skip
        parts = position_blocks(positions, block_size)
        # One scale for all parts, known from training alone.
        power = np.mean(np.abs(h[parts["train"]]) ** 2, axis=(0, 2)) @ np.mean(np.abs(g) ** 2, 0)
        statistics = CascadedChannel(1, 1).statistics
        scale = np.sqrt(statistics.rho_c / (power / num_elements))
        chosen = parts[split]
        h, g = h[chosen] * np.sqrt(scale), g * np.sqrt(scale)
        super().__init__(
            {"tx>s1": StoredHop(h, num_users, precision=precision), "s1>rx": g},
            {"s1": IdealPhases(ULA(num_elements), precision=precision)},
            precision=precision,
            **kwargs,
        )
        self.positions = positions[chosen]
        self._h, self._g = h, g

    @property
    def samples(self):
        """Cascades of all positions of this part [S, M, N], complex."""
        return self.cplx(self._g) * self.cplx(self._h[:, None, :, 0])
