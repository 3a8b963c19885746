"""Capacity over the number of elements: two surfaces, one, and what the double reflection adds."""

from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from . import common
from .common import curve_name

DOUBLE, APART, RANDOM = "double", "no double reflection", "random phases"
TWICE, ONCE = "single surface, 2N", "single surface, N"
STATISTICAL, ASCENT = "statistical phases", "capacity ascent"
Factors = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1, max_length=8)]


class Config(common.DoubleConfig):
    """Phases for the largest gain, from random starts, unless the curve says otherwise."""

    num_elements: link_sims.IntGrid = [16, 36, 64, 100, 144, 196]
    k_factors: Factors = [0.0, 1.0, 10.0]
    tx_power_dbm: float = 20.0
    baselines: bool = True


def curves(cfg, trained, num_elements):
    """All schemes on the same draws; the single surface of 2N elements on its own."""

    def channels(size):
        return [common.new_channel(cfg, size, k, cfg.tx_power_dbm) for k in cfg.k_factors]

    once = channels(int(num_elements))
    twice = channels([2 * int(num_elements), 1]) if cfg.baselines else []
    statistical = [irs.StatisticalPhases(channel) for channel in once]
    gain, ascent, random = irs.SumPathGain(), irs.CapacityAscent(1.0), irs.RandomPhases()

    def step(batch_size, _):
        draws = [channel.draw(batch_size) for channel in once]
        links, split = common.side_by_side(draws)
        apart = common.without(links, "s1>s2")
        designs = {
            DOUBLE: gain(links),
            APART: (apart, gain(apart)),
            ASCENT: ascent(links),
            RANDOM: random(links),
        }
        if cfg.baselines:
            one = common.single(links)
            large, _ = common.side_by_side([common.single(c.draw(batch_size)) for c in twice])
            designs |= {ONCE: (one, gain(one)), TWICE: (large, gain(large))}
            known = [policy(draw) for policy, draw in zip(statistical, draws, strict=True)]
            designs[STATISTICAL] = {n: tf.concat([c[n] for c in known], 0) for n in known[0]}
        values = {
            curve_name(name, k): part
            for name, value in common.capacities(links, designs).items()
            for k, part in zip(cfg.k_factors, split(value), strict=True)
        }
        return common.sums(values, batch_size)

    return step


def draw(results, figure):
    """A panel for every Rician factor."""
    common.draw_panels(figure, results, results.config.k_factors)


def make(name, answers, title, **changes):
    """One of the two figures."""
    experiment = link_sims.Experiment(
        name,
        answers=answers,
        title=title,
        config=Config,
        profiles={
            "smoke": {**changes, "num_elements": [4], "batch_size": 4, "max_units": 2},
            "cpu": changes,
            "published": {**changes, "max_units": 84},  # 1008 channels
            "paper": {**changes, "max_units": 84},
        },
        metrics=common.CAPACITY,
        x_label="elements of each surface N",
    )
    experiment.sweep(x="num_elements", static=True)(curves)
    experiment.figure(draw)
    return experiment


normal = make(
    "double/capacity-vs-elements",
    ["Double RIS Fig. 7a"],
    "Capacity of two surfaces, 50 x 5 x 3 m, 20 dBm",
)
short = make(
    "double/capacity-short",
    ["Double RIS Fig. 7b"],
    "Capacity of two surfaces, 10 x 1 x 1 m, -30 dBm",
    **common.SHORT, num_elements=[16, 64, 144, 256], k_factors=[1.0, 10.0], tx_power_dbm=-30.0,
    baselines=False,
)  # fmt: skip


EARLIER = "this package; set from an earlier implementation, {} channels, 2026-11"

normal.published(
    "Double RIS Fig. 7a, Sec. V-C",
    {
        **{
            f"K = {k:g}, N = {n}: two surfaces of N beat one of 2N": (
                measured.difference(
                    "capacity", curve_name(TWICE, k), curve_name(DOUBLE, k), n
                ).less(0)
            )
            for k in (1.0, 10.0)
            for n in (36, 196)
        },
        **{
            f"N = {n}: capacity grows with the Rician factor, 0 to 10": (
                measured.difference(
                    "capacity", curve_name(DOUBLE, 0.0), curve_name(DOUBLE, 10.0), n
                ).less(0)
            )
            for n in (16, 144)
        },
    },
)
normal.published(
    "Double RIS Fig. 7a, Sec. V-C (the gain is of rank 2, not of a fourth power)",
    {
        "K = 1, N = 16: two surfaces of N beat one of 2N (low SNR: rank does not help)": (
            measured.difference(
                "capacity", curve_name(TWICE, 1.0), curve_name(DOUBLE, 1.0), 16
            ).less(0)
        ),
        **{
            f"K = {k:g}, N = 100: the double reflection adds more than 2 % of capacity": (
                measured.difference(
                    "capacity", curve_name(DOUBLE, k), curve_name(APART, k), 100
                ).greater(0.25)
            )
            for k in (1.0, 10.0)
        },
    },
    expect="does-not-hold",
)
normal.ours(
    "this package, beyond Double RIS (gain is capacity there); set from the cpu profile, 2026-11",
    {
        **{
            f"K = {k:g}, N = 64: capacity ascent beats the design for the largest gain": (
                measured.difference(
                    "capacity", curve_name(ASCENT, k), curve_name(DOUBLE, k), 64
                ).greater(0)
            )
            for k in (0.0, 1.0, 10.0)
        },
        **{
            f"K = {k:g}, N = 64: phases from statistics lose less than {loss} bit/s/Hz": (
                measured.difference(
                    "capacity", curve_name(DOUBLE, k), curve_name(STATISTICAL, k), 64
                ).less(loss)
            )
            for k, loss in ((1.0, 0.8), (10.0, 0.1))
        },
    },
)
# b/s/Hz for N = 16 and 144, and four standard errors.
normal.ours(
    EARLIER.format(24),
    {
        f"K = {k:g}, N = {n}: {name} {value}": (
            measured.at("capacity", curve_name(name, k), n).within(value, tolerance)
        )
        for name, k, values, tolerance in (
            (DOUBLE, 0.0, (3.47, 11.97), 1.2),
            (TWICE, 0.0, (3.67, 11.41), 1.2),
            (DOUBLE, 1.0, (3.70, 14.77), 0.35),
            (TWICE, 1.0, (4.53, 10.97), 0.35),
            (DOUBLE, 10.0, (5.50, 17.58), 0.35),
            (TWICE, 10.0, (5.80, 12.11), 0.35),
        )
        for n, value in zip((16, 144), values, strict=True)
    },
)
short.published(
    "Double RIS Fig. 7b, Sec. V-C",
    {
        f"K = {k:g}, N = {n}: the double reflection raises the capacity": (
            measured.difference("capacity", curve_name(DOUBLE, k), curve_name(APART, k), n).greater(
                0
            )
        )
        for k in (1.0, 10.0)
        for n in (64, 256)
    },
)
short.ours(
    EARLIER.format(10),
    {
        f"K = {k:g}, N = 256: {name} {value}": (
            measured.at("capacity", curve_name(name, k), 256).within(value, 0.05 + 0.05 * value)
        )
        for name, k, value in (
            (DOUBLE, 1.0, 6.25),
            (APART, 1.0, 5.49),
            (DOUBLE, 10.0, 8.45),
            (APART, 10.0, 7.78),
        )
    },
)
