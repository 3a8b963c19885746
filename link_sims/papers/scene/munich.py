"""A panel in Munich: it serves where walls hide the base station, not where they reflect it.

A base station on a roof, a panel high on a house that it sees, users in the streets between. Most
users see the base station, and most of the others get its waves by reflections that are stronger
than what the panel sends. So the panel's gain is claimed on a walk through the one corner where
direct paths are weak, and its uselessness elsewhere. Block errors and rates are averages over
places around each point of the walk, as in the street canyon.
"""

import contextlib
import math
from typing import Annotated

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured
from link_sims.results.claims import Verdict
from link_sims.results.plotting import COLORS

from .common import (
    ALIGNED,
    DIRECT,
    NO_SURFACE,
    Point,
    at_all,
    draw_outline,
    draw_paths,
    draw_scene,
    hops_of,
    label,
    line_of_sight,
    map_of,
    map_rows,
    paths_of,
    rates,
    users_at,
)
from .walk import WalkConfig, curves, draw_walk, gain_rows, places_of, second

CARRIER = "direct, at the carrier"
BASE, PANEL, ONLY_PANEL = "base station", "panel", "only the panel"
STRONG, WEAK = "strong reflections only", "weak reflections only"
# Direct paths of this power gain and more count as strong at the first carrier.
STRONG_GAIN_DB = -94.0
TEST_Y = 36.0


class Config(WalkConfig):
    """The walk through a corner, and the map of the quarter around it."""

    scene: str = "munich"
    tx_position_m: Point = [8.5, 21.0, 27.0]
    panel_position_m: Point = [45.0, 90.0, 15.0]
    panel_orientation_rad: Point = [math.radians(-126.2), 0.0, 0.0]
    tx_power_dbm: Annotated[float, Field(ge=-200, le=200)] = 28.0
    y_m: link_sims.Grid = list(range(28, 47))
    user_x_m: Annotated[float, Field(ge=-1e5, le=1e5)] = -8.0
    num_places: Annotated[int, Field(ge=1, le=1000)] = 8
    map_x_m: link_sims.Grid | None = list(range(-20, 100, 6))
    map_y_m: link_sims.Grid | None = list(range(30, 150, 6))


munich = link_sims.Experiment(
    "scene/munich",
    title="Munich: a panel of 256 elements at 3.5 GHz, coded 16-QAM over 100 MHz",
    config=Config,
    profiles={
        "smoke": {
            "y_m": [30, 34, 36, 38, 42], "num_places": 2, "second_carrier_hz": None,
            "max_depth": 2, "samples_per_src": 10_000, "batch_size": 50, "max_units": 2,
            "map_x_m": list(range(-20, 100, 12)), "map_y_m": list(range(30, 150, 12)),
        },
        "cpu": {},
        "paper": {
            "num_places": 50, "min_units": 2, "max_units": 1000, "target_errors": 200,
            "map_x_m": list(range(-20, 100, 3)), "map_y_m": list(range(30, 150, 3)),
        },
    },
    metrics={
        "gain": link_sims.Metric("power gain [dB]", db=True),
        "snr": link_sims.Metric("mean SNR [dB]", db=True, listed=False),
        "map": link_sims.Metric("rate [bit/s/Hz]", listed=False),
        "points": link_sims.Metric("points of the map"),
        "mean rate": link_sims.Metric("mean rate on the map [bit/s/Hz]"),
    },
    execution_cpu="xla",
    x_label="y along the walk [m]",
)  # fmt: skip

munich.sweep(x="y_m")(curves)


@munich.table
def table(cfg):
    """Gains along the walk at both carriers; at the first one the map, and who sees what."""
    rows, carriers = [], [cfg] if cfg.second_carrier_hz is None else [cfg, second(cfg)]
    for each in carriers:
        hops = hops_of(each, places_of(cfg))
        rows += gain_rows(cfg, hops, cfg.num_places) + carrier_rows(cfg, hops)
    return rows if cfg.map_x_m is None else rows + coverage_rows(cfg)


def carrier_rows(cfg, hops):
    """Power gain of the direct paths' sum at the carrier, where they fade or add."""
    values = np.abs(hops.traced["tx>rx"].gain[:, 0].sum(-1)) ** 2
    return [
        link_sims.row("gain", label(CARRIER, hops.carrier_frequency), y, value)
        for y, value in zip(cfg.y_m, values[:: cfg.num_places], strict=True)
        if value > 0
    ]


def coverage_rows(cfg):
    """Rates on the map with and without the panel, who sees what, and what it means to them."""
    x, y = cfg.map_x_m, cfg.map_y_m
    hops = hops_of(cfg, users_at(cfg, *np.meshgrid(x, y, indexing="ij")))
    found, rows = rates(cfg, hops), []
    for scheme, values in found.items():
        rows += map_rows("map", scheme, x, y, values.reshape(len(x), len(y)))
    base, panel = line_of_sight(hops, ["tx>rx"]), line_of_sight(hops)
    direct = np.sum(np.abs(hops.traced["tx>rx"].gain[:, 0]) ** 2, -1)
    strong = direct >= 10 ** (STRONG_GAIN_DB / 10)
    hidden = {STRONG: panel & ~base & strong, WEAK: panel & ~base & ~strong}
    groups = {BASE: base, PANEL: panel, ONLY_PANEL: panel & ~base, **hidden}
    rows += [link_sims.row("points", name, None, np.sum(at)) for name, at in groups.items()]
    return rows + [
        link_sims.row("mean rate", f"{scheme}, {name}", None, np.mean(values[groups[name]]))
        for name in (BASE, STRONG, WEAK)
        for scheme, values in found.items()
        if np.any(groups[name])
    ]


@munich.figure
def draw(results, figure):
    """The quarter from above, rates without the panel and what it adds; below, the walk."""
    cfg = results.config
    figure.set_size_inches(7.2, 6.0)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.1, 1])
    x, y, before = map_of(results, "map", NO_SURFACE)
    quarter, *panels = top.subplots(1, 3 if len(x) else 1, squeeze=False)[0]
    draw_corner(quarter, cfg)
    if panels:
        after = map_of(results, "map", ALIGNED)[2]
        # Where nothing arrives there is no street.
        before, added = (np.where(after > 0, v, np.nan) for v in (before, after - before))
        maps = {f"rate, {NO_SURFACE}": before, "rate added by the panel": added}
        for axes, (title, values) in zip(panels, maps.items(), strict=True):
            draw_outline(axes, cfg.scene, (-50, 110, 0, 160))
            mesh = axes.pcolormesh(x, y, values.T, shading="nearest", rasterized=True, zorder=2)
            top.colorbar(mesh, ax=axes, location="bottom", label=f"{title} [bit/s/Hz]")
            axes.plot(*cfg.tx_position_m[:2], "^", *cfg.panel_position_m[:2], "s", color="k")
            axes.set_xlabel("x [m]")
    draw_walk(figure, bottom, results)[0].set_xlabel(results.experiment.x_label)


def draw_corner(axes, cfg):
    """The scene from above with the walk, and the paths to the user in the corner."""
    places = places_of(cfg)
    chosen = int(np.argmin(np.abs(np.array(cfg.y_m) - TEST_Y))) * cfg.num_places
    axes.plot(places[:, 0], places[:, 1], ":", color="k", zorder=3)
    draw_scene(axes, cfg, places, chosen, (-70, 150, -30, 190))
    with contextlib.suppress(irs.RayTracingError):
        ends = cfg.tx_position_m, places[chosen]
        draw_paths(axes, paths_of(cfg, "tx>rx", places), *ends, chosen, color=COLORS[0])


def seen(results) -> Verdict:
    """Counts on the map of 6 m steps."""
    counts = {name: results.value("points", name, None) for name in SEEN}
    if results.config.map_x_m != REFERENCE_X or results.config.map_y_m != REFERENCE_Y:
        return Verdict(None, "another map")
    text = ", ".join(f"{name} {count:g}" for name, count in counts.items())
    return Verdict(counts == SEEN, text)


def corner(results):
    """Points of the walk in the corner."""
    return [y for y in results.points("bler", ALIGNED) if 31 <= y <= 36]


SEEN = {BASE: 321, PANEL: 340, ONLY_PANEL: 19}
REFERENCE_X, REFERENCE_Y = list(range(-20, 100, 6)), list(range(30, 150, 6))
munich.ours(
    "this package; set from the ray tracer alone, 2026-11",
    {
        **{
            f"{carrier / 1e9:g} GHz: at the test user the aligned panel is {gain} dB above the "
            "direct paths' sum at the carrier": measured.ratio(
                "gain", label(ALIGNED, carrier), label(CARRIER, carrier), TEST_Y
            ).within_db(gain, 1)
            for carrier, gain in ((3.5e9, 7.4), (28e9, 14.7))
        },
        "28 GHz: more than 6 dB of the gain are a fade, the two direct paths nearly cancel": (
            measured.ratio("gain", label(DIRECT, 28e9), label(CARRIER, 28e9), TEST_Y).greater(
                10**0.6
            )
        ),
        "321 of 400 points of the map see the base station, 340 the panel, 19 only the panel": (
            measured.by(seen)
        ),
    },
)
munich.ours(
    "this package; set from the cpu profile, 2026-11: the panel against the direct paths",
    {
        "in the corner, y = 31 to 36 m, the aligned panel lowers the block error rate": measured.by(
            at_all, corner, lambda y: measured.paired("bler", ALIGNED, NO_SURFACE, x=y).less()
        ),
        "in reflections, y = 38 m, the panel adds less than 5 % of rate": (
            measured.paired("rate", ALIGNED, NO_SURFACE, x=38).ratio_between(0.95, 1.05)
        ),
        **{
            f"on the map, {name}: the panel adds less than {limit - 1:.0%} of rate": measured.ratio(
                "mean rate", f"{ALIGNED}, {name}", f"{NO_SURFACE}, {name}", None
            ).less(limit)
            for name, limit in ((BASE, 1.01), (STRONG, 1.03))
        },
    },
)
