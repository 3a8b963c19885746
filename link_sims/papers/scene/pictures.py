"""Pictures of a scene: buildings, paths, maps. From the cache of solved scenes, no TensorFlow."""

import contextlib

import numpy as np

import sionna_irs as irs
from link_sims.results.plotting import COLORS


def paths_of(cfg, hop, positions):
    """:class:`TracedPaths` of a hop as ``hops_of`` solved it: then the cache answers."""
    places = {"tx": [cfg.tx_position_m], "s1": [cfg.panel_position_m], "rx": positions}
    angles = {"s1": cfg.panel_orientation_rad}
    start, end = hop.split(">")
    return irs.solve_paths(
        cfg.scene, cfg.carrier_frequency_hz, places[start], places[end],
        tx_orientations=angles.get(start), rx_orientations=angles.get(end),
        max_depth=cfg.max_depth, samples_per_src=cfg.samples_per_src, with_vertices=True,
    )  # fmt: skip


def draw_outline(axes, scene, box):
    """Buildings in a box (x, x, y, y) [m] from above, the higher the darker.

    Nothing when the scene cannot be read.
    """
    from matplotlib.collections import PolyCollection

    axes.set_aspect("equal")
    axes.grid(False)
    try:
        outline = irs.scene_outline(scene)
    except irs.RayTracingError:
        return
    height = outline.heights.max(-1)
    order = np.argsort(height)
    # Ground and floors have no height; a city has ten thousands of triangles elsewhere.
    low, high = outline.triangles.min(1), outline.triangles.max(1)
    inside = np.all((high >= np.array(box)[::2]) & (low <= np.array(box)[1::2]), -1)
    order = order[(height > 1.0)[order] & inside[order]]
    shade = 0.88 - 0.3 * height[order] / max(height.max(), 1.0)
    colors = np.repeat(shade[:, None], 3, 1)
    axes.add_collection(
        PolyCollection(outline.triangles[order], facecolors=colors, edgecolors=colors, zorder=0.5)
    )
    axes.set(xlim=box[:2], ylim=box[2:])


def draw_paths(axes, paths, start, end, receiver=0, **style):
    """Paths of one receiver from above, from one point to another; the weaker the fainter."""
    valid = np.flatnonzero(paths.valid[receiver, 0])
    gain = np.abs(paths.gain[receiver, 0])
    for p in valid[::-1]:
        points = paths.vertices[receiver, 0, p]
        points = points[~np.isnan(points[:, 0])]
        way = np.concatenate([[start], points, [end]])
        alpha = max(0.25, 1 + np.log10(gain[p] / gain.max()))
        axes.plot(way[:, 0], way[:, 1], alpha=alpha, **style)


def draw_scene(axes, cfg, positions, chosen, box):
    """The scene from above with the paths over the panel to one of the positions [U, 3].

    ``box`` is (x, x, y, y) [m]. Without the ray tracer and without its answers in the cache, the
    buildings and paths are left out.
    """
    tx, panel, user = cfg.tx_position_m, cfg.panel_position_m, positions[chosen]
    draw_outline(axes, cfg.scene, box)
    for hop, start, end, receiver, color in (
        ("tx>s1", tx, panel, 0, COLORS[4]), ("s1>rx", panel, user, chosen, COLORS[2]),
    ):  # fmt: skip
        with contextlib.suppress(irs.RayTracingError):
            draw_paths(axes, paths_of(cfg, hop, positions), start, end, receiver, color=color)
    marks = {"base station": (tx, "^"), "panel": (panel, "s"), "user": (user, "o")}
    for name, (place, marker) in marks.items():
        axes.plot(*place[:2], marker, color="k", zorder=4)
        axes.annotate(name, place[:2], (4, 4), textcoords="offset points", zorder=4)
    axes.set(xlim=box[:2], ylim=box[2:], xlabel="x [m]", ylabel="y [m]")


def draw_maps(figure, panels, x, y, maps, label):
    """Maps {title: values [len(x), len(y)]} in axes side by side, one colour bar for all."""
    low, high = (f([f(v) for v in maps.values()]) for f in (np.nanmin, np.nanmax))
    for axes, (title, values) in zip(panels, maps.items(), strict=True):
        mesh = axes.pcolormesh(
            x, y, values.T, shading="nearest", vmin=low, vmax=high, rasterized=True
        )
        axes.set_title(title)
        axes.set_aspect("equal")
        axes.grid(False)
    figure.colorbar(mesh, ax=panels, label=label, aspect=30)
