"""Capacity over the number of scatterers, at low and at high SNR."""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.plotting import draw_lines

from . import common

OPTIMISED, ASCENT, RANDOM, EQUAL = (
    "largest gain",
    "capacity ascent",
    "random phases",
    "equal phases",
)
LOW, HIGH = "low SNR", "high SNR"
GEOMETRIES = {LOW: (100.0, 10.0, 3.0), HIGH: (10.0, 2.0, 3.0)}


class Config(common.DoubleConfig):
    """No line of sight; the geometries are those of the two panels."""

    num_scatterers_grid: link_sims.IntGrid = [1, 2, 4, 8, 16, 32]
    num_elements: link_sims.PositiveInt = 36
    k_factor: Annotated[float, Field(ge=0)] = 0.0
    tx_power_dbm: float = 20.0
    batch_size: link_sims.PositiveInt = 20
    max_units: link_sims.PositiveInt = 12


scatterers = link_sims.Experiment(
    "double/capacity-vs-scatterers",
    answers=["Double RIS Fig. 8a, 8b"],
    title="Capacity of two surfaces over the number of scatterers, N = 36, K = 0",
    config=Config,
    profiles={
        "smoke": {"num_scatterers_grid": [1, 4], "num_elements": 9, "batch_size": 4,
                  "max_units": 2},
        "cpu": {},
        "published": {"max_units": 50},  # 1000 channels
        "paper": {"max_units": 50},
    },
    metrics={
        **common.CAPACITY,
        "gain": link_sims.Metric("mean gain over its closed form", interval="ratio", range=None),
    },
    x_label="scatterers S of each link",
    x_scale="log",
)  # fmt: skip


@scatterers.sweep(x="num_scatterers_grid", static=True)
def curves(cfg, trained, num_scatterers):
    """Both geometries in one batch."""
    places = {name: irs.DoubleGeometry(*size) for name, size in GEOMETRIES.items()}
    channels = [
        common.new_channel(
            cfg, cfg.num_elements, cfg.k_factor, cfg.tx_power_dbm,
            geometry=place, num_scatterers=int(num_scatterers),
        )
        for place in places.values()
    ]  # fmt: skip
    gain, ascent, random = irs.SumPathGain(), irs.CapacityAscent(1.0), irs.RandomPhases()

    def step(batch_size, _):
        links, split = common.side_by_side([channel.draw(batch_size) for channel in channels])
        drawn = random(links)
        designs = {
            OPTIMISED: gain(links),
            ASCENT: ascent(links),
            RANDOM: drawn,
            EQUAL: {name: tf.zeros_like(c) for name, c in drawn.items()},
        }
        values = common.capacities(links, designs)
        power = tf.reduce_sum(tf.square(tf.abs(common.channel_of(links, drawn))), [1, 2])
        found = {}
        for name, value in values.items():
            for place, part in zip(places, split(value), strict=True):
                found["capacity", f"{name}, {place}"] = tf.reduce_sum(part), batch_size
        for place, part, channel in zip(places, split(power), channels, strict=True):
            found["gain", f"{RANDOM}, {place}"] = (
                tf.reduce_sum(part) / channel.random_phase_gain, batch_size,
            )  # fmt: skip
        return found

    return step


@scatterers.figure
def draw(results, figure):
    """A panel for every SNR."""
    figure.set_size_inches(6.4, 3.4)
    panels = figure.subplots(1, 2)
    for axes, place in zip(panels, GEOMETRIES, strict=True):
        labels = {f"{n}, {place}": n for n in (OPTIMISED, ASCENT, EQUAL, RANDOM)}
        draw_lines(axes, results, "capacity", labels)
        size = " x ".join(f"{x:g}" for x in GEOMETRIES[place])
        axes.set(title=f"{place}: {size} m", xlabel=results.experiment.x_label, xscale="log")
    panels[0].set_ylabel("capacity [bit/s/Hz]")
    panels[0].legend(frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


scatterers.published(
    "Double RIS Fig. 8a, Sec. V-C",
    {
        f"low SNR: {name} falls from 2 to 16 scatterers": (
            measured.difference("capacity", f"{name}, {LOW}", f"{name}, {LOW}", 16, 2).less(0)
        )
        for name in (OPTIMISED, EQUAL)
    },
)
scatterers.published(
    "Double RIS Fig. 8b, Sec. V-C",
    {
        f"high SNR: {name} rises from 1 to 4 scatterers": (
            measured.difference("capacity", f"{name}, {HIGH}", f"{name}, {HIGH}", 1, 4).less(0)
        )
        for name in (OPTIMISED, EQUAL, RANDOM)
    },
)
scatterers.theory(
    "sionna_irs.DoubleSurfaceChannel.random_phase_gain; Double RIS Fig. 8a says that fewer"
    " scatterers carry more energy; they do not",
    {
        f"S = {s}: with random phases the mean gain is that of the closed form, whatever S": (
            measured.at("gain", f"{RANDOM}, {LOW}", s).within(1.0, 0.5)
        )
        for s in (4, 32)
    },
)
scatterers.ours(
    "this package; set from an earlier implementation, 80 channels, 2026-11",
    {
        f"{place}, S = {s}: {name} {value}": (
            measured.at("capacity", f"{name}, {place}", s).within(value, tolerance)
        )
        for place, s, name, value, tolerance in (
            (LOW, 1, OPTIMISED, 2.68, 0.9),
            (LOW, 32, OPTIMISED, 1.63, 0.225),
            (LOW, 32, RANDOM, 0.20, 0.126),
            (LOW, 32, EQUAL, 0.30, 0.139),
            (HIGH, 1, OPTIMISED, 13.4, 1.62),
            (HIGH, 32, OPTIMISED, 22.5, 1.62),
            (HIGH, 32, RANDOM, 16.0, 2.18),
            (HIGH, 32, EQUAL, 17.7, 2.401),
        )
    },
)
