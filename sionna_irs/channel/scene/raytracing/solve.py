"""Ray-traced paths between points of a scene, whatever else the process has imported."""

import dataclasses
import functools
import importlib.metadata

import numpy as np

from . import arguments as check
from . import cache
from .child import RayTracingError, run_worker

__all__ = ["RayTracingError", "SceneOutline", "TracedPaths", "scene_outline", "solve_paths"]

# More receivers per call are slower each, and lose paths.
_CHUNK_SIZE = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class TracedPaths:
    r"""Paths from T transmitters to R receivers, strongest first; P is the largest number of any.

    Isotropic, vertically polarised ends. Where `valid` is False everything else is 0.

    Parameters
    ----------
    gain : np.ndarray, [R, T, P], complex128
        Amplitude with carrier phase :math:`e^{-j2\pi f_c\tau}`; power gain is its square.
    delay : np.ndarray, [R, T, P], float64
        [s]
    departure, arrival : np.ndarray, [R, T, P, 3], float64
        Unit vectors in the scene's axes, away from the transmitter and away from the receiver
        (back to where the wave comes from).
    valid : np.ndarray, [R, T, P], bool
    vertices : np.ndarray, [R, T, P, max_depth, 3], float32, or None
        Points of reflection from the transmitter on [m], NaN where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from sionna_irs.channel.scene.raytracing.solve import TracedPaths
    >>> none = np.zeros([1, 1, 0])  # a receiver inside a building
    >>> far = np.zeros([1, 1, 0, 3])
    >>> TracedPaths(none + 0j, none, far, far, none > 0).num_paths
    0
    """

    gain: np.ndarray
    delay: np.ndarray
    departure: np.ndarray
    arrival: np.ndarray
    valid: np.ndarray
    vertices: np.ndarray | None = None

    @property
    def num_paths(self):
        """P, int; 0 when nothing reaches any receiver."""
        return self.gain.shape[-1]


@dataclasses.dataclass(frozen=True, eq=False)
class SceneOutline:
    """The triangles of a scene's objects, projected to the x-y plane.

    Walls project to lines, roofs to areas. Draw by ascending height to see the scene from above.

    Parameters
    ----------
    triangles : np.ndarray, [K, 3, 2], float32
        x and y of the corners [m].
    heights : np.ndarray, [K, 3], float32
        z of the corners [m].
    objects : np.ndarray, [K], int32
        Which object a triangle belongs to: a place in `names`.
    names : tuple of str
        The objects.

    Examples
    --------
    >>> import numpy as np
    >>> from sionna_irs.channel.scene.raytracing.solve import SceneOutline
    >>> roof = SceneOutline(np.zeros([1, 3, 2]), np.full([1, 3], 9.0), np.zeros(1, int), ("hut",))
    >>> roof.top
    {'hut': 9.0}
    """

    triangles: np.ndarray
    heights: np.ndarray
    objects: np.ndarray
    names: tuple

    @property
    def top(self):
        """Object name -> height of its highest corner [m], dict of float."""
        highest = np.full(len(self.names), -np.inf)
        np.maximum.at(highest, self.objects, self.heights.max(-1))
        return dict(zip(self.names, highest.tolist(), strict=True))


def solve_paths(
    scene,
    frequency: float,
    tx_positions,
    rx_positions,
    tx_orientations=None,
    rx_orientations=None,
    max_depth: int = 3,
    samples_per_src: int = 100_000,
    materials: dict | None = None,
    merge_shapes: bool = True,
    seed: int = 1,
    with_vertices: bool = False,
    cache_dir=None,
):
    r"""Direct and mirror-reflected paths of a scene, :math:`h(f)=\sum_p a_p e^{-j2\pi f\tau_p}`.

    Solved once by ``sionna.rt`` in a process of its own, then read from a disk cache. Delays and
    carrier phases are formed in double precision: exact for a direct path, and for a reflected
    one as good as the ray tracer's points of reflection (micrometres in a room).

    Parameters
    ----------
    scene : str, path or None
        Name of a scene that comes with Sionna ("munich", "simple_street_canyon", "box", ...), an
        .xml file, or None or "empty" for free space.
    frequency : float
        Carrier [Hz].
    tx_positions, rx_positions : array, [T, 3] and [R, 3], real
        [m], rounded to a micrometre.
    tx_orientations, rx_orientations : array, [3], [T, 3] or [R, 3], or None
        Yaw, pitch, roll [radian]; None is 0. They turn the polarisation, not the directions.
    max_depth : int
        Largest number of reflections, 0 to 10.
    samples_per_src : int
        Rays per transmitter. A thousand find the walls of a room, 1e5 those of a city.
    materials : dict or None
        ``{"itu_type": "concrete", "thickness": 0.1}`` (thickness in metres, optional) replaces the
        material of every object; None keeps the scene's.
    merge_shapes : bool
        Treat objects of one material as one: faster.
    seed : int
        Of the rays.
    with_vertices : bool
        Return the points of reflection, too.
    cache_dir : str, path or None
        None: the environment variable SIONNA_IRS_CACHE, else ``sionna-irs`` in the user's cache
        folder.

    Returns
    -------
    TracedPaths

    Raises
    ------
    ValueError
        For an unknown scene, wrong shapes, or numbers out of range.
    RayTracingError
        When the ray tracer is not installed, finds no LLVM, or fails.

    Warns
    -----
    UserWarning
        When a cached file cannot be read (it is computed again), or not be written.

    Examples
    --------
    >>> from sionna_irs.channel.scene.raytracing.solve import solve_paths
    >>> paths = solve_paths("empty", 3.5e9, [[0.0, 0.0, 10.0]], [[30.0, 40.0, 10.0]])
    >>> paths.departure[0, 0, 0].round(6).tolist()
    [0.6, 0.8, 0.0]
    >>> round(float(paths.delay[0, 0, 0]) * 1e9, 3)
    166.782
    """
    file = check.find_scene(scene)
    tx, rx = (
        check.positions("tx_positions", tx_positions),
        check.positions("rx_positions", rx_positions),
    )
    check.apart(tx, rx)
    request = {
        "kind": "paths",
        "scene_file": file,
        "frequency": check.positive("frequency", frequency, "Hz"),
        "tx_positions": tx.tolist(),
        "rx_positions": rx.tolist(),
        "tx_orientations": check.orientations("tx_orientations", tx_orientations, len(tx)),
        "rx_orientations": check.orientations("rx_orientations", rx_orientations, len(rx)),
        "max_depth": check.integer("max_depth", max_depth, 0, 10),
        "samples_per_src": check.integer("samples_per_src", samples_per_src, 1, 10**9),
        "materials": check.materials(materials),
        "merge_shapes": bool(merge_shapes),
        "seed": check.integer("seed", seed, 0, 2**32 - 1),
        "with_vertices": bool(with_vertices),
        "chunk_size": _CHUNK_SIZE,
    }
    arrays = _solve(request, cache_dir)
    gain, delay = arrays["gain"], arrays["delay"].astype(np.float64)
    # Whole turns are dropped before the exponential: double precision keeps the rest.
    turns = np.mod(request["frequency"] * delay, 1.0)
    return TracedPaths(
        gain=gain * np.exp(-2j * np.pi * turns),
        delay=delay,
        departure=arrays["departure"].astype(np.float64),
        arrival=arrays["arrival"].astype(np.float64),
        valid=arrays["valid"],
        vertices=arrays.get("vertices"),
    )


def scene_outline(scene, cache_dir=None):
    """What a scene looks like from above, for drawing.

    Parameters
    ----------
    scene, cache_dir
        As in :func:`solve_paths`.

    Returns
    -------
    SceneOutline

    Raises
    ------
    ValueError
        For an unknown scene.
    RayTracingError
        As in :func:`solve_paths`.

    Examples
    --------
    >>> from sionna_irs.channel.scene.raytracing.solve import scene_outline
    >>> outline = scene_outline("simple_street_canyon")
    >>> len(outline.names), outline.triangles.shape
    (7, (74, 3, 2))
    """
    # Merged objects would lose their names.
    request = {"kind": "outline", "scene_file": check.find_scene(scene), "merge_shapes": False}
    arrays = _solve(request, cache_dir)
    names = tuple(arrays.pop("names").tolist())
    return SceneOutline(**arrays, names=names)


@functools.cache
def _solver_version():
    try:
        return importlib.metadata.version("sionna-rt")
    except importlib.metadata.PackageNotFoundError:
        return None


def _solve(request, cache_dir):
    """Arrays of a request, from the cache or from a child process."""
    # What the scene is counts, not where it lies.
    question = {k: v for k, v in request.items() if k != "scene_file"}
    question["scene"] = cache.scene_hash(request["scene_file"])
    question["sionna-rt"] = _solver_version()
    sound = functools.partial(_is_answer, request)
    return cache.fetch(question, lambda: run_worker(request), cache_dir, sound)


def _is_answer(request, arrays):
    """Whether arrays are what the worker returns for a request: names, kinds, shapes."""
    if request["kind"] == "outline":
        count, names = (np.shape(arrays.get(name))[:1] for name in ("objects", "names"))
        wanted = {"triangles": ("f", (*count, 3, 2)), "heights": ("f", (*count, 3)),
                  "objects": ("i", count), "names": ("U", names)}  # fmt: skip
    else:
        ends = len(request["rx_positions"]), len(request["tx_positions"])
        paths = (*ends, *np.shape(arrays.get("valid"))[2:3])
        wanted = {"gain": ("c", paths), "delay": ("f", paths), "valid": ("b", paths),
                  "departure": ("f", (*paths, 3)), "arrival": ("f", (*paths, 3))}  # fmt: skip
        if request["with_vertices"]:
            wanted["vertices"] = "f", (*paths, request["max_depth"], 3)
    found = {name: (value.dtype.kind, value.shape) for name, value in arrays.items()}
    numbers = [v for n, v in arrays.items() if n not in ("names", "vertices")]
    return found == wanted and all(np.isfinite(value).all() for value in numbers)
