"""Arguments of a request, checked before a process is started for it."""

import importlib.util
import os
import pathlib

import numpy as np

from .child import MISSING_SIONNA, RayTracingError


def scene_files():
    """Scenes that come with Sionna, name -> .xml file, found without importing the ray tracer.

    Returns
    -------
    dict of str

    Examples
    --------
    >>> from sionna_irs.channel.scene.raytracing.arguments import scene_files
    >>> "munich" in scene_files()
    True
    """
    spec = importlib.util.find_spec("sionna")
    folders = spec.submodule_search_locations if spec else None
    found = [f for d in folders or () for f in pathlib.Path(d).glob("rt/scenes/*/*.xml")]
    return {f.stem: str(f) for f in sorted(found)}


def find_scene(scene):
    """The .xml file (str) of a scene by name or path; None for the empty one."""
    if scene is None or scene == "empty":
        return None
    if not isinstance(scene, (str, os.PathLike)):
        raise ValueError(f"scene = {scene!r}; a name, a path of an .xml file or None is needed")
    known = scene_files()
    if str(scene) in known:
        return known[str(scene)]
    path = pathlib.Path(scene).expanduser()
    if path.suffix == ".xml" and path.is_file():
        return str(path.resolve())
    if not known and path.suffix != ".xml":
        raise RayTracingError(MISSING_SIONNA)
    raise ValueError(
        f"scene = {str(scene)!r}; an existing .xml file, 'empty' or one of "
        f"{', '.join(known)} is needed"
    )


def positive(name, value, unit):
    """A positive finite number, as a float."""
    number = isinstance(value, (int, float, np.integer, np.floating))
    if not number or isinstance(value, bool) or not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} = {value!r}; a positive number [{unit}] is needed")
    return float(value)


def integer(name, value, low, high):
    """An integer within limits, as an int."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise ValueError(f"{name} = {value!r}; an integer in {low}..{high} is needed")
    return int(value)


def _triples(name, value, needed):
    try:
        value = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {value!r}; {needed} is needed") from None
    # Adding 0 turns -0 into 0: one position, one key.
    return np.round(value, 6) + 0.0


def positions(name, value):
    """Coordinates [number, 3], rounded to a micrometre: what is solved is what the key names."""
    needed = "an array [number, 3] of finite coordinates [m]"
    value = _triples(name, value, needed)
    if value.ndim != 2 or value.shape[1] != 3 or not len(value):
        raise ValueError(f"{name} has shape {list(value.shape)}; {needed} is needed")
    if not np.isfinite(value).all():
        bad = int(np.flatnonzero(~np.isfinite(value).all(1))[0])
        raise ValueError(f"{name}[{bad}] = {value[bad].tolist()}; {needed} is needed")
    return value


def apart(tx, rx):
    """No receiver where a transmitter is: its gain would be infinite."""
    # Row by row: all pairs at once may not fit into memory.
    for t, point in enumerate(tx):
        same = np.flatnonzero((rx == point).all(1))
        if len(same):
            raise ValueError(
                f"rx_positions[{same[0]}] = tx_positions[{t}] = {point.tolist()}; different "
                "points are needed"
            )


def orientations(name, value, count):
    """Angles of every device, as a list [count][3]."""
    needed = f"an array [3] or [{count}, 3] of finite angles (yaw, pitch, roll) [radian]"
    value = _triples(name, np.zeros(3) if value is None else value, needed)
    if value.shape not in ((3,), (count, 3)):
        raise ValueError(f"{name} has shape {list(value.shape)}; {needed} is needed")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} = {value.tolist()}; {needed} is needed")
    return np.broadcast_to(value, [count, 3]).tolist()


def materials(value):
    """What replaces the materials of a scene, complete, or None."""
    if value is None:
        return None
    needed = "None or {'itu_type': name, 'thickness': metres} is needed"
    if not isinstance(value, dict) or not {"itu_type"} <= set(value) <= {"itu_type", "thickness"}:
        raise ValueError(f"materials = {value!r}; {needed}")
    if not isinstance(value["itu_type"], str):
        raise ValueError(f"materials = {value!r}; {needed}")
    thickness = value.get("thickness", 0.1)
    return {
        "itu_type": value["itu_type"],
        "thickness": positive("materials['thickness']", thickness, "m"),
    }
