r"""The gain of a panel against its size: N squared, if the phases know how the waves are curved.

One panel, one user, line of sight alone. With plane waves the gain of N aligned elements grows by
20 dB per decade. Real waves are spherical: phases that are designed for plane waves fail once the
panel outgrows its far field, phases for the waves as they are keep the whole gain. A panel of N
elements half a wavelength apart has the diagonal :math:`\lambda\sqrt{N/2}`, and the classical end
of its near field, twice the square of the diagonal over the wavelength, is :math:`N\lambda`; over
two hops the curvatures add: :math:`N\lambda=(1/d_1+1/d_2)^{-1}`.

Next to the gains stand the time and the memory that a composition takes from one path between the
centres to the sum over all elements, with all reflections.
"""

import math
import time
from typing import Annotated

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.claims import Value
from link_sims.results.plotting import COLORS, MARKERS

from .common import (
    CLOSED,
    LIGHT_SPEED,
    RANDOM,
    Point,
    SceneConfig,
    channel_of,
    closed_form,
    hops_of,
    users_at,
)

PLANE, SPHERICAL = "plane waves", "spherical waves"
ALIGNED, OWN = f"{PLANE}, aligned", f"{SPHERICAL}, aligned"
MISMATCHED = f"{SPHERICAL}, aligned for plane ones"
STORED, RESPONSES = "paths and directions", "responses of the elements"
HOPS = ["tx>s1", "s1>rx"]


class Config(SceneConfig):
    """The sizes of a square panel, the user, and the users of a composition that is timed."""

    num_elements: Annotated[link_sims.IntGrid, Field(max_length=20)] = [
        16, 64, 256, 1024, 2304, 4096, 6400, 10_000,
    ]  # fmt: skip
    user_position_m: Point = [24.0, 30.0, 1.5]
    batch_size: Annotated[int, Field(ge=2, le=1000)] = 32
    num_timings: Annotated[int, Field(ge=1, le=1000)] = 5

    def check(self):
        """Panels are squares."""
        super().check()
        for number in self.num_elements:
            if number < 1 or number > 1e6 or math.isqrt(int(number)) ** 2 != number:
                raise ValueError(f"num_elements: {number:g}; squares of 1..1000 are needed")


large_panel = link_sims.Experiment(
    "scene/large-panel",
    title="Gain of a panel in the street canyon against its size",
    config=Config,
    profiles={
        "smoke": {"num_elements": [64, 1024], "batch_size": 4, "num_timings": 2},
        "cpu": {},
        "paper": {
            "num_elements": [16, 64, 256, 1024, 2304, 4096, 6400, 10_000, 20_164, 40_000],
            "num_timings": 50,
        },
    },
    metrics={
        "gain": link_sims.Metric("gain over the surface [dB]", db=True),
        "time": link_sims.Metric("time of a composition per user [s]", scale="log"),
        "memory": link_sims.Metric("memory per user [byte]", scale="log"),
    },
    x_label="number of elements N",
    x_scale="log",
)


def sized(cfg, number, **changes):
    """The configuration with a square panel of ``number`` elements."""
    side = math.isqrt(int(number))
    return cfg.model_copy(update={"num_rows": side, "num_cols": side, **changes})


def cascade(cfg, number, spherical):
    """(field [N], complex: product of the two hops at every element, line of sight alone; hops)."""
    cfg = sized(cfg, number, spherical=spherical, max_depth=0)
    hops = hops_of(cfg, [cfg.user_position_m], hops=HOPS)
    channel = channel_of(hops, precision="double")
    links = channel.links(channel.draw(1))
    return links["s1>rx"].numpy()[0, 0] * links["tx>s1"].numpy()[0, :, 0], hops


def gain_rows(cfg, number):
    """Power gains: what the phases were designed for, and what the waves are."""
    plane, hops = cascade(cfg, number, spherical=False)
    waves, _ = cascade(cfg, number, spherical=True)
    values = {
        ALIGNED: np.sum(np.abs(plane)) ** 2,
        CLOSED: closed_form(hops)[0],
        OWN: np.sum(np.abs(waves)) ** 2,
        MISMATCHED: np.abs(np.sum(waves * np.exp(-1j * np.angle(plane)))) ** 2,
        RANDOM: np.sum(np.abs(waves) ** 2),
    }
    return [link_sims.row("gain", curve, number, value) for curve, value in values.items()]


def cost_rows(cfg, number):
    """Time and memory of a composition for users in a row, all paths of both hops."""
    rows = []
    x, y, _ = cfg.user_position_m
    users = users_at(cfg, x, y - 0.1 * np.arange(cfg.batch_size))
    for name, spherical in ((PLANE, False), (SPHERICAL, True)):
        channel = channel_of(hops_of(sized(cfg, number, spherical=spherical), users, hops=HOPS))
        seconds, num_paths = timed(cfg, channel)
        rows.append(link_sims.row("time", name, number, seconds / cfg.batch_size))
    # Per path: a gain, a delay, a direction with its distance; per path and element: a response.
    per_path = num_paths / cfg.batch_size
    rows.append(link_sims.row("memory", STORED, number, per_path * (8 + 4 + 16)))
    rows.append(link_sims.row("memory", RESPONSES, number, per_path * 8 * number))
    return rows


def timed(cfg, channel):
    """(shortest time of a compiled composition [s], number of paths of both hops, all users)."""

    # As arguments: what is written into the graph would be computed at its compilation.
    @tf.function(jit_compile=True, autograph=False)
    def compose(cirs, theta):
        return channel.compose(cirs, theta)[0]

    cirs = channel.draw(cfg.batch_size, index=np.arange(cfg.batch_size)[:, None])
    theta = channel.reflect(irs.RandomPhases()(channel.links(cirs)))
    compose(cirs, theta)
    seconds = []
    for _ in range(cfg.num_timings):
        began = time.perf_counter()
        compose(cirs, theta).numpy()
        seconds.append(time.perf_counter() - began)
    return min(seconds), sum(cir.a.shape[0] * cir.a.shape[5] for cir in cirs.values())


@large_panel.table
def sizes(cfg):
    """Gains and costs for every size."""
    return [
        row
        for number in cfg.num_elements
        for row in (*gain_rows(cfg, number), *cost_rows(cfg, number))
    ]


def far_field_limit(cfg):
    """Number of elements at which the user and the transmitter are where the far field begins."""
    panel = np.array(cfg.panel_position_m)
    ends = cfg.tx_position_m, cfg.user_position_m
    curvature = sum(1 / np.linalg.norm(panel - end) for end in ends)
    return cfg.carrier_frequency_hz / (LIGHT_SPEED * curvature)


@large_panel.figure
def draw(results, figure):
    """Gains, what the curvature costs, time and memory against the size."""
    figure.set_size_inches(7.2, 5.4)
    panels = figure.subplots(2, 2, sharex=True)
    lines = {ALIGNED: "none", CLOSED: "-", OWN: "none", MISMATCHED: "--", RANDOM: ":"}
    markers = {ALIGNED: "o", CLOSED: "", OWN: "x", MISMATCHED: "s", RANDOM: "D"}
    points = results.points("gain", ALIGNED)
    for color, (curve, line) in zip(COLORS, lines.items(), strict=False):
        style = {"linestyle": line, "marker": markers[curve], "color": color,
                 "markerfacecolor": "none"}  # fmt: skip
        values = [10 * math.log10(results.value("gain", curve, x)) for x in points]
        panels[0, 0].plot(points, values, label=curve, **style)
        if curve in (OWN, MISMATCHED):
            losses = [gap_db(results, (curve, x), (ALIGNED, x)).value for x in points]
            panels[0, 1].plot(points, losses, **style)
    panels[0, 0].set_ylabel("gain over the surface [dB]")
    panels[0, 1].set_ylabel("gain against plane waves [dB]")
    limit = far_field_limit(results.config)
    for axes in panels[0]:
        axes.axvline(limit, color="0.6", linewidth=0.8, zorder=0)
    panels[0, 1].annotate(
        f"end of the far field, N = {limit:.0f}", (limit, 0.05), rotation=90, fontsize=6.5,
        xycoords=("data", "axes fraction"), xytext=(-8, 0), textcoords="offset points",
    )  # fmt: skip
    for axes, metric in zip(panels[1], ("time", "memory"), strict=True):
        for i, (_, curve) in enumerate(results.curves(metric)):
            values = [results.value(metric, curve, x) for x in points]
            axes.plot(points, values, "-", color=COLORS[i], marker=MARKERS[i], label=curve,
                      markerfacecolor="none")  # fmt: skip
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)))
        axes.set_ylabel(results.experiment.metric(metric).label)
        axes.set_xlabel(results.experiment.x_label)
        axes.legend(frameon=False)
    panels[0, 0].set_xscale("log")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False)  # fmt: skip
    carrier = results.config.carrier_frequency_hz / 1e9
    figure.suptitle(f"{results.experiment.title}, line of sight, {carrier:g} GHz", fontsize=8)


def gap_db(results, a, b) -> Value:
    """The gain ``a`` over the gain ``b`` [dB], each a (curve, number of elements)."""
    value = 10 * math.log10(results.value("gain", *a) / results.value("gain", *b))
    return Value(value, value, value)


def slope(results, curve) -> Value:
    """Growth of a gain [dB per decade of elements] between the smallest and the largest panel."""
    points = results.points("gain", curve)
    growth = gap_db(results, (curve, points[-1]), (curve, points[0])).value
    return Value(*[growth / math.log10(points[-1] / points[0])] * 3)


def largest_gap(results, curve, limit=math.inf) -> Value:
    """The largest distance from plane waves [dB] among panels up to a size."""
    points = [x for x in results.points("gain", curve) if x <= limit]
    gaps = [gap_db(results, (curve, x), (ALIGNED, x)) for x in points]
    return max(gaps, key=lambda gap: abs(gap.value), default=Value(*[math.nan] * 3))


def loss_in_far_field(results) -> Value:
    """That of phases for plane waves."""
    return largest_gap(results, MISMATCHED, far_field_limit(results.config))


large_panel.theory(
    "N squared for N elements in phase, N for random phases: link_sims.papers.scene.common.gains",
    {
        "aligned elements gain 20 dB per decade, plane waves": (
            measured.by(slope, ALIGNED).within(20, 0.01)
        ),
        "aligned for spherical waves they gain 20 dB per decade, too": (
            measured.by(slope, OWN).within(20, 0.05)
        ),
        "with random phases the gain grows by 10 dB per decade": (
            measured.by(slope, RANDOM).within(10, 0.05)
        ),
    },
)
large_panel.theory(
    "Friis over both hops: link_sims.papers.scene.common.closed_form",
    {
        "the ray-traced gain is that of the closed form at every size, plane waves": (
            measured.by(largest_gap, CLOSED).within(0, 0.001)
        ),
    },
)
large_panel.ours(
    "this package; set from the cpu profile, 2026-11",
    {
        "phases for plane waves lose less than 0.1 dB in the far field": (
            measured.by(loss_in_far_field).within(0, 0.1)
        ),
        "phases for plane waves lose more than 15 dB at 10000 elements": (
            measured.by(gap_db, (MISMATCHED, 10_000), (ALIGNED, 10_000)).less(-15)
        ),
    },
)
