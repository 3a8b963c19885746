"""Paths in the room of :mod:`.room_images` by the ray tracer."""

import numpy as np

from .raytracing.solve import solve_paths
from .room_images import BASE, CARRIERS, LIGHT_SPEED, check_request, in_blocks

__all__ = ["traced_paths"]


def traced_paths(positions, carriers=CARRIERS, num_paths=5, precision="single", cache_dir=None):
    r"""Paths by the ray tracer: the scene "box" in concrete slabs of 0.1 m, same geometry.

    Solved once for each carrier and kept in the cache of
    :func:`~sionna_irs.solve_paths` (about 2.5 kB per position). Uplink
    paths are those of equal length and direction; a path without a partner is 0 in both.

    Parameters
    ----------
    positions, carriers, num_paths, precision
        As in :func:`image_paths`.
    cache_dir : str, path or None
        As in ``solve_paths``.

    Returns
    -------
    RoomPaths

    Raises
    ------
    ValueError
        As in :func:`image_paths`.
    RayTracingError
        When the ray tracer is not installed, finds no LLVM, or fails.

    Examples
    --------
    >>> from sionna_irs.channel.scene.room_traced import traced_paths
    >>> paths = traced_paths([[1.0, 2.0, 1.0]])
    >>> round(float(paths.delay[0, 0]) * 1e9, 3)
    20.152
    """
    settings = {
        "max_depth": 2, "samples_per_src": 1000, "merge_shapes": False,
        "materials": {"itu_type": "concrete", "thickness": 0.1},
    }  # fmt: skip

    def solve(block):
        uplink, downlink = (
            solve_paths("box", carrier, [BASE], block, **settings, cache_dir=cache_dir)
            for carrier in carriers
        )
        # Length [m] and direction tell images apart; a length alone may belong to two of them.
        seen_ul, seen_dl = (
            np.concatenate([LIGHT_SPEED * x.delay[:, 0, :, None], x.departure[:, 0]], -1)
            for x in (uplink, downlink)
        )
        apart = np.linalg.norm(seen_dl[:, :num_paths, None] - seen_ul[:, None], axis=-1)
        partner = apart.argmin(-1)
        found = (apart.min(-1) < 1e-3) & downlink.valid[:, 0, :num_paths]
        kept = (
            np.take_along_axis(uplink.gain[:, 0], partner, 1),
            *(x[:, 0, :num_paths] for x in (downlink.gain, downlink.departure[..., 1])),
            downlink.delay[:, 0, :num_paths],
        )
        return [np.where(found, x, 0) for x in kept]

    positions = check_request(positions, carriers, num_paths, precision)
    return in_blocks(solve, positions, 20_000, precision)
