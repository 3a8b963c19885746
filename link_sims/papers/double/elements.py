"""Capacity over the number of elements: two surfaces, one, and what the double reflection adds."""

from typing import Annotated

from pydantic import Field

import link_sims

from . import common

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
    import tensorflow as tf

    import sionna_irs as irs

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
            common.curve_name(name, k): part
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

# b/s/Hz of 24 channels each: our prototype's, N = 16, 36, 64, 100, 144.
LEVELS = {
    0.0: {DOUBLE: (3.47, 6.08, 8.16, 10.40, 11.97), TWICE: (3.67, 6.04, 8.37, 9.90, 11.41)},
    1.0: {DOUBLE: (3.70, 7.11, 10.22, 12.57, 14.77), TWICE: (4.53, 6.70, 8.46, 10.07, 10.97)},
    10.0: {DOUBLE: (5.50, 9.68, 12.96, 15.53, 17.58), TWICE: (5.80, 8.12, 9.78, 11.06, 12.11)},
}
for _k, _levels in LEVELS.items():
    for _name, _values in _levels.items():
        for _n, _value in zip((16, 36, 64, 100, 144), _values, strict=True):
            # Four standard errors of the prototype's 24 channels.
            normal.claim(
                f"K = {_k:g}, N = {_n}: {_name} {_value}",
                source="prototype of the specification",
                expect="holds",
                check=lambda r, c=(_name, _k), n=_n, v=_value: r.at(
                    "capacity", common.curve_name(*c), n
                ).within(v, 1.2 if c[1] == 0 else 0.35),
            )
SOURCE = "double-surface paper, Fig. 7"
for _k in (1.0, 10.0):
    for _n in (36, 64, 100, 144, 196):
        normal.claim(
            f"K = {_k:g}, N = {_n}: two surfaces of N beat one of 2N",
            source=SOURCE,
            expect="holds",
            check=lambda r, k=_k, n=_n: r.at("capacity", common.curve_name(TWICE, k), n).less(
                r.interval("capacity", common.curve_name(DOUBLE, k), n)[0]
            ),
        )
for _n in (16, 36, 64, 100, 144):
    normal.claim(
        f"N = {_n}: capacity grows with the Rician factor, 0 to 10",
        source=SOURCE,
        expect="holds",
        check=lambda r, n=_n: r.at("capacity", common.curve_name(DOUBLE, 0.0), n).less(
            r.interval("capacity", common.curve_name(DOUBLE, 10.0), n)[0]
        ),
    )
normal.claim(
    "K = 1, N = 16: two surfaces of N beat one of 2N (low SNR: rank does not help)",
    source=SOURCE,
    expect="does-not-hold",
    check=lambda r: r.at("capacity", common.curve_name(TWICE, 1.0), 16).less(
        r.interval("capacity", common.curve_name(DOUBLE, 1.0), 16)[0]
    ),
)
for _k in (1.0, 10.0):
    normal.claim(
        f"K = {_k:g}, N = 100: the double reflection adds more than 2 % of capacity",
        source=SOURCE + " (the gain is of rank 2, not of a fourth power)",
        expect="does-not-hold",
        check=lambda r, k=_k: common.paired_gain(
            r, common.curve_name(DOUBLE, k), common.curve_name(APART, k), 100
        ).greater(0.25),
    )
for _k in (0.0, 1.0, 10.0):
    normal.claim(
        f"K = {_k:g}, N = 64: capacity ascent beats the design for the largest gain",
        source="beyond the double-surface paper, which equates both",
        expect="holds",
        check=lambda r, k=_k: common.paired_gain(
            r, common.curve_name(ASCENT, k), common.curve_name(DOUBLE, k), 64
        ).greater(0),
    )
for _k, _loss in ((1.0, 0.8), (10.0, 0.1)):
    normal.claim(
        f"K = {_k:g}, N = 64: phases from statistics lose less than {_loss} bit/s/Hz",
        source="beyond the double-surface paper",
        expect="holds",
        check=lambda r, k=_k, loss=_loss: common.paired_gain(
            r, common.curve_name(DOUBLE, k), common.curve_name(STATISTICAL, k), 64
        ).less(loss),
    )
# -30 dBm, N = 16, 64, 144, 256: (with, without the double reflection) of 10 channels.
SHORT_LEVELS = {
    1.0: ((0.13, 0.12), (1.45, 1.10), (3.69, 3.00), (6.25, 5.49)),
    10.0: ((0.29, 0.24), (2.54, 2.01), (5.51, 4.91), (8.45, 7.78)),
}
for _k, _pairs in SHORT_LEVELS.items():
    for _n, (_with, _without) in zip((16, 64, 144, 256), _pairs, strict=True):
        for _name, _value in ((DOUBLE, _with), (APART, _without)):
            short.claim(
                f"K = {_k:g}, N = {_n}: {_name} {_value}",
                source="prototype of the specification",
                expect="holds",
                check=lambda r, c=(_name, _k), n=_n, v=_value: r.at(
                    "capacity", common.curve_name(*c), n
                ).within(v, 0.05 + 0.05 * v),
            )
    for _n in (64, 144, 256):
        short.claim(
            f"K = {_k:g}, N = {_n}: the double reflection raises the capacity",
            source=SOURCE + "b",
            expect="holds",
            check=lambda r, k=_k, n=_n: common.paired_gain(
                r, common.curve_name(DOUBLE, k), common.curve_name(APART, k), n
            ).greater(0),
        )
