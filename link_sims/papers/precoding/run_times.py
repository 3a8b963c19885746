"""Running times of precoders: what a group costs, alone and in a batch of 1000."""

import statistics
import time

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.claims import Value
from link_sims.results.plotting import COLORS, MARKERS
from link_sims.runs.timing import milliseconds

from . import common, structured
from .wmmse_numpy import wmmse

SIZES = [(16, 2), (32, 2), (32, 8), (32, 12), (64, 4), (64, 12)]
PLAIN, REDUCED = "WMMSE-100, plain NumPy", "WMMSE-100, reduced, compiled"
STRUCTURED, REFINED, ZF = "structured", "structured, 3 WMMSE steps", "ZF"
UNFOLDED = "unfolded WMMSE"
CALIBRATED, CALIBRATED_LARGE = "calibrated ZF, 256-512-512", "calibrated ZF, 512-2048-2048"


class Config(common.PrecodingConfig):
    """Sizes by their places in Table III; plain NumPy takes the first groups only."""

    num_sizes: link_sims.PositiveInt = len(SIZES)
    batches: list[link_sims.PositiveInt] = [1, 1000]
    power_dbm: float = -10.0
    num_layers: link_sims.PositiveInt = 20
    num_plain: link_sims.PositiveInt = 3
    num_repeats: link_sims.PositiveInt = 7


def metric(size):
    """Name of the metric of (M, K)."""
    return "time at M = {}, K = {}".format(*size)


run_times = link_sims.Experiment(
    "precoding/run-times",
    title="Running times of precoders, warm, copied to the host",
    answers=["Calibration Table III"],
    config=Config,
    profiles={
        "smoke": {"num_sizes": 1, "batches": [1], "stride": 10, "num_plain": 1, "num_layers": 2,
                  "num_repeats": 1},
        "cpu": {},
        "paper": {"num_plain": 20, "num_repeats": 30},
    },
    metrics={metric(s): link_sims.Metric(f"{metric(s)} [ms a group]", "log") for s in SIZES},
    x_label="groups in a batch",
)  # fmt: skip


def compiled(cfg, num_ant, num_users):
    """Precoders of one size, by curve; no time depends on weights."""
    same = {"precision": cfg.precision}
    layers = {
        ZF: irs.ZFPrecoder(**same),
        STRUCTURED: irs.StructuredPrecoder.from_pretrained(structured.WEIGHTS, **same),
        REFINED: irs.StructuredPrecoder.from_pretrained(
            structured.WEIGHTS, structured.REFINED, **same
        ),
        CALIBRATED: common.new_calibrated(cfg, num_ant, [256, 512, 512]),
        CALIBRATED_LARGE: common.new_calibrated(cfg, num_ant, [512, 2048, 2048]),
        REDUCED: common.wmmse(cfg, 100),
        UNFOLDED: irs.UnfoldedWMMSE(cfg.num_layers, num_ant, num_users, **same),
    }
    # 20 unrolled layers take XLA minutes, and products of matrices gain little from it.
    return {
        name: tf.function(
            lambda h, f=layer: f(h, 1.0), jit_compile=name != UNFOLDED, autograph=False
        )
        for name, layer in layers.items()
    }


@run_times.table
def rows(cfg):
    """Milliseconds of a group, by size, precoder and batch."""
    found = []
    for size in SIZES[: cfg.num_sizes]:
        draw = common.groups(cfg, *size)
        precoders = compiled(cfg, *size)
        for batch in cfg.batches:
            h = draw(batch, cfg.power_dbm)
            for name, precoder in precoders.items():
                cost = milliseconds(lambda f=precoder, h=h: f(h), cfg.num_repeats) / batch
                found.append(link_sims.row(metric(size), name, batch, cost))
        cost = plain_milliseconds(draw(cfg.num_plain, cfg.power_dbm).numpy())
        found.append(link_sims.row(metric(size), PLAIN, cfg.batches[0], cost))
    return found


def plain_milliseconds(h, num_iter=100):
    """Median time of the plain precoder for one of the groups h [B, K, M]."""
    times = []
    for group in h.astype(complex):
        start = time.perf_counter()
        wmmse(group, num_iter)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


@run_times.figure
def draw(results, figure):
    """Sizes from left to right; filled: alone, hollow: in the largest batch."""
    figure.set_size_inches(5.6, 4.2)
    axes = figure.subplots()
    sizes = [s for s in SIZES if results.points(metric(s), ZF)]
    for index, name in enumerate(
        (PLAIN, REDUCED, UNFOLDED, CALIBRATED_LARGE, CALIBRATED, REFINED, STRUCTURED, ZF)
    ):
        points = results.points(metric(sizes[0]), name)
        for batch, fill in zip((points[0], points[-1]), (COLORS[index], "none"), strict=True):
            times = [results.value(metric(s), name, batch) for s in sizes]
            axes.plot(
                range(len(sizes)), times, color=COLORS[index], marker=MARKERS[index],
                markerfacecolor=fill, label=name if fill != "none" else None,
            )  # fmt: skip
    axes.set_xticks(range(len(sizes)), ["{}, {}".format(*s) for s in sizes])
    axes.set(xlabel="M, K", ylabel="time of a group [ms]", yscale="log")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    axes.set_title(results.experiment.title, fontsize=8)


def ratio(results, slow, fast, size=(32, 8)) -> Value:
    """How many times faster, to be judged; names with their batch."""
    a, b = (results.value(metric(size), *place) for place in (slow, fast))
    return Value(*[a / b] * 3)


ONE, MANY = 1, 1000
run_times.ours(
    common.AIM,
    {
        "structured is at least 1000 times faster in a batch than plain NumPy, at (32, 8)": (
            measured.by(ratio, (PLAIN, ONE), (STRUCTURED, MANY)).greater(1000)
        ),
        "structured is at least 3 times faster in a batch than the reduced WMMSE, at (32, 8)": (
            measured.by(ratio, (REDUCED, MANY), (STRUCTURED, MANY)).greater(3)
        ),
        "the reduced WMMSE is at least 50 times faster than plain NumPy, one group at a time, "
        "at (32, 8)": measured.by(ratio, (PLAIN, ONE), (REDUCED, ONE)).greater(50),
    },
)
run_times.published(
    f"{common.PAPER} Table III: 171.36 ms over 0.46 ms; here against the reduced WMMSE",
    {
        "calibrated ZF is 372 times faster than WMMSE, one group at a time, at (32, 8)": (
            measured.by(ratio, (REDUCED, ONE), (CALIBRATED_LARGE, ONE)).greater(372)
        ),
    },
    expect="does-not-hold",
)
