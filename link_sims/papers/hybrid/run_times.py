"""Running times of hybrid beamforming: from received pilots to precoders and combiners."""

import time

import numpy as np

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from . import common
from . import hybrid_numpy as plain

TIME = "time"
UNFOLDED, COLLAPSED = "unfolded RLS-16, unfolded SCA-5", "collapsed RLS-16, unfolded SCA-5"
SCA_50, SCA_10 = "RLS-80, SCA-50", "RLS-80, SCA-10"
PLAIN, BLACK_BOX = "RLS-80, SCA-50, plain NumPy", "black box"
LONG = 80


class Config(common.HybridConfig):
    """Weights are those of the start: no time depends on them."""

    batches: list[link_sims.PositiveInt] = [1, 256]
    long: link_sims.PositiveInt = LONG
    iterations: list[link_sims.PositiveInt] = [50, 10]
    num_plain: link_sims.PositiveInt = 5
    num_repeats: link_sims.PositiveInt = 7


run_times = link_sims.Experiment(
    "hybrid/run-times",
    title="Running times of hybrid beamforming, one core",
    answers=["Unfolding Table V"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "batches": [1], "long": 3, "iterations": [2, 1],
                  "num_plain": 1, "num_repeats": 1},
        "cpu": common.FULL,
        "paper": {**common.FULL, "num_plain": 20, "num_repeats": 30},
    },
    metrics={TIME: link_sims.Metric("CPU time of a channel [ms]", "log")},
    x_label="channels in a batch",
)  # fmt: skip


def algorithms(cfg, front, r_w, gram, no):
    """{curve: functions of received pilots}, the ways to compile it that may be fastest.

    All weights, pilots and analog matrices are constants of the compiled functions.
    """
    r_w, gram, no = (np.asarray(v) for v in (r_w, gram, no))

    def xla(function):
        return tf.function(function, jit_compile=True, autograph=False)

    def design(precoder):
        # Constants are made while a graph is traced, or they would be arguments of every call.
        return lambda h: precoder(h, *(tf.constant(v) for v in (r_w, gram, no)))

    def classical(num_iter):
        # XLA refuses the eigendecomposition, which is fastest in a batch; alone, inverses are.
        kernel, inverse = (
            design(irs.SCA(cfg.num_streams, num_iter, method=method, **same))
            for method in ("eigh", "newton")
        )
        return [
            tf.function(lambda y: kernel(estimate(y)), autograph=False),
            xla(lambda y: inverse(least(y, tf.constant(no)))),
        ]

    same = {"precision": cfg.precision}
    system, black_box = common.new_system(cfg), irs.frozen(common.new_black_box(cfg).precoder)
    unfolded, precoder = irs.frozen(system.estimator), design(irs.frozen(system.precoder))
    matrix, constant = (v.numpy() for v in system.estimator.collapse(no))
    least = irs.frozen(irs.RLSEstimator(common.new_pilots(cfg, cfg.long), loading=0.01, **same))
    estimate = xla(lambda y: least(y, tf.constant(no)))
    return {
        UNFOLDED: [xla(lambda y: precoder(unfolded(y, tf.constant(no))))],
        COLLAPSED: [xla(lambda y: precoder(y @ tf.constant(matrix) + tf.constant(constant)))],
        BLACK_BOX: [xla(lambda y: black_box(y, tf.constant(no), tf.constant(gram)))],
        SCA_50: classical(cfg.iterations[0]),
        SCA_10: classical(cfg.iterations[1]),
    }


def times(cfg):
    """{(curve, batch): CPU time of a channel [ms]}."""
    no, front, channel = irs.snr_db_to_no(10.0), common.new_front(cfg), common.new_channel(cfg)
    h_eq, r_w, gram = front(channel(max(*cfg.batches, 1 + cfg.num_plain)))
    observed = {
        slots: common.new_pilots(cfg, slots)(h_eq, r_w, gram, no)
        for slots in (cfg.num_symbols, cfg.long)
    }
    found = {}
    for curve, functions in algorithms(cfg, front, r_w, gram, no).items():
        y = observed[cfg.long if curve in (SCA_50, SCA_10) else cfg.num_symbols]
        for batch in cfg.batches:
            count = 1 + cfg.num_repeats * max(1, 32 // batch)
            found[curve, batch] = min(
                milliseconds([lambda f=f, y=y[:batch]: f(y)] * count) / batch for f in functions
            )
    calls = plain_calls(cfg, observed[cfg.long], r_w, gram, no)
    found[PLAIN, min(cfg.batches)] = milliseconds(calls)
    return found


def milliseconds(calls):
    """Least CPU time of a call after the first [ms], which other processes do not disturb."""
    elapsed = []
    for call in calls:
        start = time.process_time()
        for value in call():
            np.asarray(value)
        elapsed.append(1e3 * (time.process_time() - start))
    return min(elapsed[1:])


def plain_calls(cfg, y, r_w, gram, no):
    """The plain implementation, for one of the channels after the other."""
    x = common.new_pilots(cfg, cfg.long).matrix
    x, y, r_w, gram = (np.asarray(v, complex) for v in (x, y, r_w, gram))
    no = float(no)

    def design(seen):
        h = np.stack([plain.rls(x, user, no, 0.01) for user in seen])
        return plain.sca(h, r_w, gram, no, cfg.num_streams, cfg.iterations[0])

    return [lambda seen=seen: design(seen) for seen in y[: 1 + cfg.num_plain]]


@run_times.table
def rows(cfg):
    """Milliseconds of a channel, by algorithm and batch."""
    return [link_sims.row(TIME, *place, value) for place, value in times(cfg).items()]


@run_times.figure
def draw(results, figure):
    """Times over the size of the batch."""
    figure.set_size_inches(4.6, 4.2)
    axes = figure.subplots()
    shown = (PLAIN, SCA_50, SCA_10, UNFOLDED, COLLAPSED, BLACK_BOX)
    for curve, style in common.styles(shown):
        axes.plot(*common.line(results, TIME, curve), **style)
    axes.set(xlabel=results.experiment.x_label, ylabel="CPU time of a channel [ms]")
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(results.config.batches, map(str, results.config.batches))
    axes.minorticks_off()
    axes.set_title(results.experiment.title, fontsize=8)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)


AIM = "this package: an aim; alone, weights are constants and XLA compiles SCA, 2026-11"
PAPER = "mixed-timescale paper, Table V"
run_times.published(
    f"{PAPER}: 11.2 s over 0.96 s for 16 chains and 4 users; expectation set after seeing",
    {
        f"{UNFOLDED} is at least 11.7 times faster than {SCA_50} in a batch of 256": (
            measured.ratio(TIME, SCA_50, UNFOLDED, x=256).greater(11.7)
        )
    },
)
run_times.published(
    f"{PAPER}: 0.96 s over 0.36 s",
    {
        f"the black box is at least twice as fast as {UNFOLDED} in a batch of 256": (
            measured.ratio(TIME, UNFOLDED, BLACK_BOX, x=256).greater(2)
        )
    },
)
run_times.ours(
    AIM,
    {
        f"{fast} is at least {bound} times faster than {SCA_50} in a batch of {batch}": (
            measured.ratio(TIME, SCA_50, fast, x=batch).greater(bound)
        )
        for fast, batch, bound in ((UNFOLDED, 1, 5), (COLLAPSED, 256, 12))
    },
)
run_times.ours(
    "this package: ten iterations have 97 % of the rate, 2026-11",
    {
        f"{UNFOLDED} is less than 5 times faster than {SCA_10} in a batch of 256": (
            measured.ratio(TIME, SCA_10, UNFOLDED, x=256).less(5)
        )
    },
)
