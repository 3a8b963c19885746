"""What a precoder costs and what it gives: rate against computing time."""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.claims import Value
from link_sims.results.plotting import COLORS, MARKERS
from link_sims.runs.timing import milliseconds

from . import common

ITERATIONS = (1, 2, 3, 5, 10, 20, 50)
LINEAR = ("MRT", "ZF", "RZF", "ZF, water-filling")
NEWTON = {"multiplier": "newton", "num_steps": 4}
STARTS = {
    "WMMSE from ones": {**NEWTON, "start": "ones"},
    "WMMSE from ones, closed-form multiplier": {"multiplier": "closed_form", "start": "ones"},
    "WMMSE from MRT": {**NEWTON, "start": "mrt"},
    "WMMSE from ZF with water-filling": {**NEWTON, "start": "zf_water_filling"},
}


class Config(common.ScenarioConfig):
    """Random surfaces; ``num_replicas`` channels, one for each line of sight."""

    num_replicas: link_sims.PositiveInt = 1024


cost = link_sims.Experiment(
    "izosga/oracle-cost",
    title="Rate against time of a precoder, 6 antennas, 4 users, random surface",
    config=Config,
    profiles={"smoke": {"num_replicas": 16}, "cpu": {}, "paper": {"num_replicas": 10_000}},
    metrics={
        "rate": link_sims.Metric("sum rate [bit/s/Hz]"),
        "time": link_sims.Metric("time of a channel [us]"),
    },
    x_label="iterations",
)


@cost.table
def rows(cfg):
    """Mean rate and time of a channel, compiled, all channels in one batch."""
    channel, _ = common.scenario(cfg, "circle")
    h = channel.compose(
        channel.draw(cfg.num_replicas), channel.reflect(common.first_controls(cfg, channel))
    )
    found = []

    def measure(name, precoder, iterations, *arguments):
        def time():
            return 1e3 * milliseconds(lambda: precoder(h, *arguments)) / cfg.num_replicas

        rate = tf.reduce_mean(irs.metrics.sum_rate(h, precoder(h, *arguments), 1.0))
        found.append(link_sims.row("rate", name, iterations, rate))
        found.append(link_sims.row("time", name, iterations, time()))

    precoders = (
        irs.MRTPrecoder(),
        irs.ZFPrecoder(),
        irs.RZFPrecoder(),
        irs.ZFPrecoder("water_filling"),
    )
    for name, layer in zip(LINEAR, precoders, strict=True):
        measure(name, tf.function(lambda h, f=layer: f(h, 1.0), jit_compile=True), 0)
    for name, arguments in STARTS.items():
        layer = irs.WMMSE(**arguments)
        precoder = tf.function(lambda h, n, f=layer: f(h, 1.0, num_iter=n), jit_compile=True)
        for iterations in ITERATIONS:
            measure(name, precoder, iterations, tf.constant(iterations))
    return found


@cost.figure
def draw(results, figure):
    """Up and to the left is better."""
    figure.set_size_inches(3.6, 3.8)
    axes = figure.subplots()
    for index, name in enumerate([*STARTS, *LINEAR]):
        points = results.points("rate", name)
        x, y = ([results.value(m, name, p) for p in points] for m in ("time", "rate"))
        axes.plot(x, y, color=COLORS[index], marker=MARKERS[index], mfc="none", label=name)
    axes.set(xlabel="time of a channel [us]", ylabel="sum rate [bit/s/Hz]", xscale="log")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
    axes.set_title(results.experiment.title)


def reached(results, curve, few, many) -> Value:
    """Share of the rate of ``many`` iterations that ``few`` reach."""
    few, many = (results.value("rate", curve, iterations) for iterations in (few, many))
    return Value(*[few / many] * 3)


cost.published(
    "iZoSGA Sec. V-A: few iterations suffice",
    {
        "five iterations reach 98.5 % of fifty": (
            measured.by(reached, "WMMSE from ones", 5, 50).greater(0.985)
        )
    },
)
cost.ours(
    "this package; set from the cpu profile, 2026-11",
    {
        "one iteration from MRT gives more than one from equal entries": (
            measured.difference("rate", "WMMSE from MRT", "WMMSE from ones", 1).greater(0)
        )
    },
)
