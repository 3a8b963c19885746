"""Ray-traced hops: surfaces, transmitters and receivers placed in a scene."""

import dataclasses
import math

import numpy as np

from ...arrays import ULA, UPA
from ...layer import require_integer
from ...surface.pattern import CosinePattern, IsotropicPattern
from ..impulse.cir_table import CIRTable
from ..impulse.paths import CIR
from .raytracing.solve import solve_paths

__all__ = ["RayTracedHops", "SceneDevice"]


def rotation(orientation):
    """Matrix [3, 3] from a device's axes to the scene's, for (yaw, pitch, roll) [radian]."""
    yaw, pitch, roll = orientation
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(x), math.sin(x)) for x in (yaw, pitch, roll))
    turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    lift = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return turn @ lift @ roll


def _vector(name, value, rank):
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        array = np.zeros([0])
    if array.ndim not in rank or not array.size or array.shape[-1] != 3:
        shapes = " or ".join("[3]" if r == 1 else "[number, 3]" for r in rank)
        raise ValueError(f"{name} = {value!r}; {shapes} is needed")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} = {value!r}; finite numbers are needed")
    return array


@dataclasses.dataclass(frozen=True, eq=False)
class SceneDevice:
    """A transmitter, receiver or surface in a scene.

    Parameters
    ----------
    position : array, [3], or [number, 3] for many places of a terminal
        Centre of the array [m].
    array : ULA or UPA
        Elements in wavelengths: rows, columns and spacing. Boresight is the device's +x axis.
    orientation : (float, float, float)
        Yaw, pitch, roll [radian]; yaw 140 degrees faces (cos 140, sin 140).
    look_at : array, [3], or None
        A point that the boresight meets, instead of `orientation` [m].
    pattern : callable or None
        Power gain of an element against the direction in the device's axes. None: isotropic for
        terminals, :class:`CosinePattern` for surfaces.

    Raises
    ------
    ValueError
        For wrong shapes, numbers that are not finite, and both of orientation and look_at.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> panel = irs.SceneDevice([40, 30, 10], irs.UPA(8, 8), look_at=[40, 0, 10])
    >>> round(panel.orientation[0], 6)
    -1.570796
    """

    position: np.ndarray
    array: ULA | UPA = dataclasses.field(default_factory=lambda: ULA(1))
    orientation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    look_at: np.ndarray | None = None
    pattern: object = None

    def __post_init__(self):
        if not isinstance(self.array, (ULA, UPA)):
            raise ValueError(f"array = {self.array!r}; a ULA or a UPA is needed")
        position = _vector("position", self.position, (1, 2))
        orientation = _vector("orientation", self.orientation, (1,))
        if self.look_at is not None:
            if orientation.any():
                raise ValueError("orientation and look_at: give one of them")
            if position.ndim == 2:
                raise ValueError("look_at: one position is needed, not many")
            x, y, z = _vector("look_at", self.look_at, (1,)) - position
            if not (x or y or z):
                raise ValueError(f"look_at = {self.look_at!r}: a point away from the device")
            orientation = np.array([math.atan2(y, x), -math.atan2(z, math.hypot(x, y)), 0.0])
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "orientation", tuple(orientation.tolist()))

    @property
    def positions(self):
        """[number, 3] [m]."""
        return np.atleast_2d(self.position)

    def local(self, directions):
        """Unit vectors [..., 3] of the scene in the device's axes."""
        return directions @ rotation(self.orientation)


class RayTracedHops(CIRTable):
    r"""Hops of a scene, from ``sionna.rt``: the ``hops`` of a :class:`SurfaceCIR`.

    Every hop has its own reflections in the scene. Its paths are solved once between the centres
    of the two arrays, whatever their sizes, and kept on disk; at an array a path is a plane or a
    spherical wave from the image of its source. In free space, with N aligned elements,

    .. math:: |h|=\Big(\frac\lambda{4\pi}\Big)^2
              \frac{N\sqrt{g(\vartheta_i)g(\vartheta_o)}}{d_1d_2}

    The panel neither blocks nor reflects rays by itself, and polarisation passes unchanged.

    Parameters
    ----------
    scene : str, path or None
        Name of a scene that comes with Sionna ("munich", "simple_street_canyon", ...), an .xml
        file, or None for free space.
    carrier_frequency : float
        [Hz]
    tx, rx : SceneDevice
        One of them may have many positions: these are the samples of the table.
    surfaces : dict or None
        Name -> :class:`SceneDevice` with one position.
    hops : sequence of str or None
        Hops to solve, such as "s1>s2"; None: from tx to every surface, from every surface to rx,
        and the direct one.
    spherical : bool
        Spherical instead of plane waves at the arrays: exact up to plane reflectors.
    num_paths : int or None
        Strongest paths to keep of every hop.
    num_users : int
        Positions per example, all different.
    with_vertices : bool
        Keep the points of reflection in ``traced``, for drawing.
    max_depth, samples_per_src, materials, seed, cache_dir
        As in :func:`solve_paths`.

    Attributes
    ----------
    traced : dict
        Hop -> :class:`TracedPaths`, between isotropic ends.

    Raises
    ------
    ValueError
        For bad arguments, and when no path at all joins a surface with a neighbour: it is behind
        a wall, or faces away.
    RayTracingError
        When the ray tracer is not installed, finds no LLVM, or fails.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> panel = irs.UPA(8, 8)
    >>> hops = irs.RayTracedHops(
    ...     None, 3.5e9,
    ...     tx=irs.SceneDevice([0, 0, 10]), rx=irs.SceneDevice([80, 0, 1.5]),
    ...     surfaces={"s1": irs.SceneDevice([40, 30, 10], panel, look_at=[40, 0, 10])})
    >>> cir = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(panel)})
    >>> cir(1, 1, 1.0)[0].shape
    TensorShape([1, 1, 1, 1, 1, 2, 1])
    """

    def __init__(
        self,
        scene,
        carrier_frequency: float,
        tx,
        rx,
        surfaces: dict | None = None,
        hops=None,
        spherical: bool = True,
        num_paths: int | None = None,
        num_users: int = 1,
        with_vertices: bool = False,
        max_depth=3,
        samples_per_src=100_000,
        materials=None,
        seed=1,
        cache_dir=None,
    ):
        surfaces = dict(surfaces or {})
        self.devices = {"tx": tx, "rx": rx, **surfaces}
        for name, device in self.devices.items():
            if not isinstance(device, SceneDevice):
                raise ValueError(f"{name} = {device!r}; a SceneDevice is needed")
            if name in surfaces and device.position.ndim == 2:
                raise ValueError(f"surfaces[{name!r}]: one position is needed, not many")
        if len(tx.positions) > 1 and len(rx.positions) > 1:
            raise ValueError(
                f"tx has {len(tx.positions)} and rx {len(rx.positions)} positions; one of them "
                "must have 1"
            )
        require_integer("num_paths", num_paths, optional=True)
        self.scene, self.carrier_frequency, self.spherical = scene, carrier_frequency, spherical
        solver = {
            "max_depth": max_depth, "samples_per_src": samples_per_src, "materials": materials,
            "seed": seed, "cache_dir": cache_dir, "with_vertices": with_vertices,
        }  # fmt: skip
        self.traced, cirs = {}, {}
        for name in self._hop_names(hops, surfaces):
            self.traced[name] = self._solve(name, solver)
            cirs[name] = self._cir(name, num_paths)
        super().__init__(
            cirs,
            arrays={"tx": tx.array, "rx": rx.array},
            num_users=num_users,
            users="tx" if len(tx.positions) > 1 else "rx",
        )

    def _hop_names(self, hops, surfaces):
        if hops is None:
            return [*(f"tx>{s}" for s in surfaces), *(f"{s}>rx" for s in surfaces), "tx>rx"]
        for name in hops:
            ends = name.split(">")
            if len(ends) != 2 or ends[0] == ends[1] or not set(ends) <= set(self.devices):
                raise ValueError(
                    f"hops: {name!r}; 'from>to' between two of {sorted(self.devices)} is needed"
                )
        return list(hops)

    def _solve(self, name, solver):
        """Paths of a hop; the end with one position is the source, by reciprocity."""
        start, end = (self.devices[n] for n in name.split(">"))
        turned = len(start.positions) > 1
        source, target = (end, start) if turned else (start, end)
        paths = solve_paths(
            self.scene, self.carrier_frequency, source.positions, target.positions,
            tx_orientations=source.orientation, rx_orientations=target.orientation, **solver,
        )  # fmt: skip
        if not turned:
            return paths
        vertices = paths.vertices
        return dataclasses.replace(
            paths, departure=paths.arrival, arrival=paths.departure,
            vertices=None if vertices is None else _reversed(vertices),
        )  # fmt: skip

    def _cir(self, name, num_paths):
        """The hop as a stored CIR: gains with element patterns, waves at both ends."""
        ends, paths = name.split(">"), self.traced[name]
        gain, waves = paths.gain[:, 0], []
        # Wavelengths of a path of length L: its delay in periods of the carrier.
        curvature = np.divide(
            1.0, self.carrier_frequency * paths.delay[:, 0], where=paths.valid[:, 0],
            out=np.zeros_like(gain, float),
        )  # fmt: skip
        for node, directions in zip(ends, (paths.departure, paths.arrival), strict=True):
            device = self.devices[node]
            local = device.local(directions[:, 0])
            pattern = device.pattern
            if pattern is None:
                pattern = IsotropicPattern() if node in ("tx", "rx") else CosinePattern()
            gain = gain * np.sqrt(pattern(local)) * paths.valid[:, 0]
            waves.append(
                np.concatenate([local, curvature[..., None]], -1)[..., : 3 + self.spherical]
            )
        if not gain.any() and not set(ends) == {"tx", "rx"}:
            raise ValueError(f"hop {name!r}: no path; the surface is behind a wall or faces away")
        order = np.argsort(-np.abs(gain), -1, kind="stable")[:, :num_paths]
        most = max(1, int((np.take_along_axis(gain, order, -1) != 0).sum(-1).max(initial=0)))
        order = order[:, :most]

        def strongest(x):
            if not x.shape[1]:  # nothing at all: one path without power
                return np.zeros([len(x), 1, *x.shape[2:]], x.dtype)
            return np.take_along_axis(x, order.reshape(order.shape + (1,) * (x.ndim - 2)), 1)

        gain, delay = strongest(gain), strongest(paths.delay[:, 0])
        tx_wave, rx_wave = (strongest(w)[:, None, None] for w in waves)
        return CIR(
            gain[:, None, None, None, None, :, None], delay[:, None, None, :], rx_wave, tx_wave
        )


def _reversed(vertices):
    """Points of reflection [R, T, P, depth, 3] in the opposite order, NaN at the end."""
    flipped = vertices[..., ::-1, :]
    order = np.argsort(np.isnan(flipped[..., 0]), -1, kind="stable")
    return np.take_along_axis(flipped, order[..., None], -2)
