"""The child program that talks to ``sionna.rt``, and never to TensorFlow.

``python -m sionna_irs.channel.scene.raytracing.worker REQUEST.json RESULT.npz``

Both in one process crash, depending on which is imported first: hence a process of its own, which
reads a request (see :mod:`.solve`) and writes arrays.
"""

import json
import sys

import numpy as np

LIGHT_SPEED = 299792458.0
_MATERIAL = "sionna-irs-material"
_TABLE_SIZE = 30_000_000


def load(request):
    """The scene of a request, with its frequency and materials."""
    # Not at the top: reading this module must not load the ray tracer next to TensorFlow.
    import sionna.rt as rt

    scene = rt.load_scene(request["scene_file"], merge_shapes=request["merge_shapes"])
    if "frequency" in request:
        # Before the materials: their permittivity follows the frequency.
        scene.frequency = request["frequency"]
    if request.get("materials"):
        material = rt.ITURadioMaterial(_MATERIAL, **request["materials"])
        scene.add(material)
        for thing in scene.objects.values():
            thing.radio_material = material
    return scene


def place(scene, kind, positions, orientations):
    """Adds transmitters or receivers; returns their names, in order."""
    import drjit as dr

    names = [f"{kind.__name__}-{i}" for i in range(len(positions))]
    devices = [
        kind(name, position=position, orientation=orientation)
        for name, position, orientation in zip(names, positions, orientations, strict=True)
    ]
    # As data: numbers written into the code would be compiled anew for every position.
    dr.make_opaque([(device.position, device.orientation) for device in devices])
    for device in devices:
        scene.add(device)
    return names


def geometry(tx, rx, vertices, used):
    """Lengths and directions at both ends of polylines, in double precision.

    The solver adds up delays in single precision, 0.1 degree of carrier phase at 28 GHz and
    100 m. Its interaction points serve better: the length of a specular path is stationary in
    them (errors a quarter as large in a room), and a direct path has none and becomes exact.

    Parameters
    ----------
    tx, rx : np.ndarray, [T, 3] and [R, 3], float64
        Positions [m].
    vertices : np.ndarray, [max_depth, R, T, P, 3], real
        Interaction points from the transmitter on [m].
    used : np.ndarray, [max_depth, R, T, P], bool
        Interactions that happen; the first ones of every path.

    Returns
    -------
    length : np.ndarray, [R, T, P], float64
        [m]
    departure, arrival : np.ndarray, [R, T, P, 3], float64
        Unit vectors away from the transmitter and from the receiver.
    """
    shape = (*used.shape[1:], 3)
    start = np.broadcast_to(tx[None, :, None, :], shape)
    end = np.broadcast_to(rx[:, None, None, :], shape)
    # Slots that are not used collapse to the receiver and add no length.
    middle = np.where(used[..., None], vertices.astype(np.float64), end)
    points = np.concatenate([start[None], middle, end[None]])
    length = np.linalg.norm(np.diff(points, axis=0), axis=-1).sum(0)
    last = start
    for flag, point in zip(used, middle, strict=True):
        last = np.where(flag[..., None], point, last)

    def unit(vector):
        # Coinciding points belong to paths that are not valid.
        norm = np.linalg.norm(vector, axis=-1, keepdims=True)
        return vector / np.where(norm > 0, norm, 1)

    return length, unit(points[1] - start), unit(last - end)


def enlarge_table(num_tx):
    """Makes the solver's table of known paths large enough to lose none.

    Paths are told apart by a hash into a table of 1e6 places per transmitter; one that collides
    is dropped. At 1000 receivers this costs 1 % of the paths of a room and 3 % of those of a
    street, even a receiver's only one; with 3e7 places (0.2 GB) none, in the same time.
    """
    try:
        from sionna.rt.path_solvers.sb_candidate_generator import SBCandidateGenerator as Generator

        usual = Generator.MIN_SPEC_COUNT_SIZE
    except (ImportError, AttributeError):
        return  # another release of the solver, with other means
    Generator.MIN_SPEC_COUNT_SIZE = max(usual, _TABLE_SIZE // num_tx)


def solve_chunk(scene, solver, request, tx, rx):
    """Paths to some receivers, as arrays that end in the path axis (see :func:`trace`)."""
    paths = solver(
        scene,
        max_depth=request["max_depth"],
        samples_per_src=request["samples_per_src"],
        synthetic_array=True,
        los=True,
        specular_reflection=True,
        diffuse_reflection=False,
        refraction=False,
        diffraction=False,
        seed=request["seed"],
    )
    real, imag = (x.numpy().astype(np.float64)[:, 0, :, 0] for x in paths.a)
    gain = real + 1j * imag
    valid = paths.valid.numpy().astype(bool) & (paths.tau.numpy() >= 0)
    vertices, used = paths.vertices.numpy(), paths.interactions.numpy() != 0
    length, departure, arrival = geometry(tx, rx, vertices, used)
    arrays = {
        "gain": np.where(valid, gain, 0),
        "delay": np.where(valid, length / LIGHT_SPEED, 0.0),
        "departure": np.where(valid[..., None], departure, 0).astype(np.float32),
        "arrival": np.where(valid[..., None], arrival, 0).astype(np.float32),
        "valid": valid,
    }
    if request["with_vertices"]:
        inner = np.where((used & valid)[..., None], vertices, np.nan).astype(np.float32)
        arrays["vertices"] = np.moveaxis(inner, 0, 3)[:, :, :, : request["max_depth"]]
    return _strongest_first(arrays)


def _strongest_first(arrays):
    """Valid paths first, by descending gain, earlier before later; no column without a path."""
    valid = arrays["valid"]
    order = np.lexsort((arrays["delay"], -np.abs(arrays["gain"]), ~valid), axis=-1)
    order = order[..., : valid.sum(-1).max(initial=0)]
    return {
        name: np.take_along_axis(x, order.reshape(order.shape + (1,) * (x.ndim - 3)), 2)
        for name, x in arrays.items()
    }


def _padded(x, num_paths):
    """Columns without a path: zeros, and NaN for points that do not exist."""
    width = [(0, 0), (0, 0), (0, num_paths - x.shape[2])] + [(0, 0)] * (x.ndim - 3)
    return np.pad(x, width, constant_values=np.nan if x.ndim == 5 else 0)


def trace(request):
    """Solves a request of kind "paths".

    Returns
    -------
    dict of np.ndarray
        gain [R, T, P] complex128 **without** carrier phase, delay [R, T, P] float64 [s],
        departure and arrival [R, T, P, 3] float32, valid [R, T, P] bool, and if asked for
        vertices [R, T, P, max_depth, 3] float32 [m], NaN where there is none.
    """
    import sionna.rt as rt

    scene = load(request)
    one = dict(num_rows=1, num_cols=1, pattern="iso", polarization="V")
    scene.tx_array, scene.rx_array = rt.PlanarArray(**one), rt.PlanarArray(**one)
    tx, rx = (np.asarray(request[f"{end}_positions"], np.float64) for end in ("tx", "rx"))
    enlarge_table(len(tx))
    place(scene, rt.Transmitter, request["tx_positions"], request["tx_orientations"])
    solver, chunks, size = rt.PathSolver(), [], request["chunk_size"]
    for start in range(0, len(rx), size):
        part = slice(start, start + size)
        # Beyond a thousand receivers per call the solver is slower for each, and loses paths.
        names = place(
            scene, rt.Receiver, request["rx_positions"][part], request["rx_orientations"][part]
        )
        chunks.append(solve_chunk(scene, solver, request, tx, rx[part]))
        for name in names:
            scene.remove(name)
    most = max(chunk["valid"].shape[2] for chunk in chunks)
    return {
        name: np.concatenate([_padded(chunk[name], most) for chunk in chunks]) for name in chunks[0]
    }


def outline(request):
    """Solves a request of kind "outline": the triangles of all objects, seen from above.

    Returns
    -------
    dict of np.ndarray
        triangles [K, 3, 2] float32 (x, y) [m], heights [K, 3] float32 (z) [m], objects [K] int32,
        names [number of objects] str.
    """
    scene = load(request)
    corners, objects = [np.zeros([0, 3, 3], np.float32)], [np.zeros(0, np.int32)]
    for index, thing in enumerate(scene.objects.values()):
        points = thing.mi_mesh.vertex_positions_buffer().numpy().reshape(-1, 3)
        faces = thing.mi_mesh.faces_buffer().numpy().reshape(-1, 3)
        corners.append(points[faces].astype(np.float32))
        objects.append(np.full(len(faces), index, np.int32))
    corners = np.concatenate(corners)
    return {
        "triangles": corners[..., :2],
        "heights": corners[..., 2],
        "objects": np.concatenate(objects),
        "names": np.array(list(scene.objects), dtype=np.str_),
    }


def main(arguments):
    """Reads the request, writes the result."""
    request_file, result_file = arguments
    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    arrays = {"paths": trace, "outline": outline}[request["kind"]](request)
    with open(result_file, "wb") as file:
        np.savez(file, **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
