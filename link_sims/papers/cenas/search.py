"""The search for cells: three hypergradients, with and without pre-training.

A step of these recursions is two training batches: two steps of alpha for methods that look
through one step of the weights, one for those that look through two.
"""

import dataclasses
from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...results.claims import Paired, Value, Verdict
from ...results.plotting import COLORS, MARKERS, shown_value
from ..cascade import CascadeConfig, closed_forms, scene
from .common import HELD_OUT, at_the_end, band

TRUNCATED, DARTS, FIRST = "truncated", "DARTS", "first order"
WITH, WITHOUT = "with pre-training", "without pre-training"
EVERY, BATCHES = 20, 2
SKIPS, CHANGES, EDGES = "skips", "changes", "edges"
WEIGHT, TRAINING, VALIDATION = "operation weight", "training loss", "validation loss"
METRICS = {
    HELD_OUT: link_sims.Metric("held-out NMSE [dB]", db=True),
    SKIPS: link_sims.Metric("skip connections"),
    CHANGES: link_sims.Metric("changes of an edge's operation"),
    WEIGHT: link_sims.Metric("mean weight of the operation"),
    TRAINING: link_sims.Metric("training loss", listed=False),
    VALIDATION: link_sims.Metric("loss of the validation batches", listed=False),
    EDGES: link_sims.Metric("edges", listed=False),
}
# First words of the keys: no training step or unit of a sweep has them.
INITIAL_KEY, TRAINING_KEY, VALIDATION_KEY, HELD_OUT_KEY = -11, -12, -13, -14


class Config(CascadeConfig):
    """The cascade at one SNR, the relaxed network, the schedule."""

    num_elements: link_sims.PositiveInt = 16
    num_patterns: link_sims.PositiveInt = 17
    snr_db: float = 0.0
    extended: bool = True
    num_cells: link_sims.PositiveInt = 2
    num_nodes: link_sims.PositiveInt = 2
    num_filters: link_sims.PositiveInt = 8
    search_batch: link_sims.PositiveInt = 16
    num_batches: link_sims.PositiveInt | None = None
    num_steps: Annotated[int, Field(gt=0, multiple_of=EVERY)] = 400
    num_pretraining: link_sims.PositiveInt = 60
    rate: link_sims.LearningRate = 0.3
    final_rate: link_sims.LearningRate = 0.003
    alpha_rate: link_sims.LearningRate = 0.02
    alpha_final_rate: link_sims.LearningRate = 1e-4
    held_out: link_sims.PositiveInt = 256

    def check(self):
        """The search begins before the end."""
        super().check()
        if self.num_pretraining >= self.num_steps:
            raise ValueError(
                f"num_pretraining = {self.num_pretraining}: less than num_steps = "
                f"{self.num_steps} is needed"
            )

    @property
    def operations(self):
        """The paper's, or with the antenna context."""
        from sionna_irs.search.genotype import EXTENDED, PAPER

        return EXTENDED if self.extended else PAPER


SMOKE = {
    "num_rx_ant": 3, "num_elements": 3, "num_patterns": 4, "num_cells": 1, "num_nodes": 1,
    "num_filters": 2, "search_batch": 2, "num_steps": 40, "num_pretraining": 10, "held_out": 8,
}  # fmt: skip
# 60,000 samples in batches of 64, half of them for alpha; as many steps as 10 epochs of all samples
# (but from the weights' half) before 60 epochs of that half.
PAPER_SIZE = {
    "num_elements": 64, "num_patterns": 65, "extended": False, "num_cells": 3, "num_nodes": 3,
    "num_filters": 48, "search_batch": 64, "num_batches": 468, "num_steps": 18_740,
    "num_pretraining": 4_690, "rate": 0.005, "final_rate": 0.0001, "alpha_rate": 1e-3,
    "alpha_final_rate": 1e-3, "held_out": 2048,
}  # fmt: skip

search = link_sims.Experiment(
    "cenas/search",
    title="Search by three hypergradients, three seeds",
    answers=["CENAS Fig. 6a", "CENAS Fig. 6b"],
    config=Config,
    profiles={"smoke": SMOKE, "cpu": {}, "paper": PAPER_SIZE},
    metrics=METRICS,
    x_label="search step (two training batches each)",
)


def batches(cfg, seed):
    """draw(split, index) of inputs, labels and scales; unit mean square of each sample's input."""
    channel, pilots = scene(cfg)
    least_squares = irs.LSEstimator(pilots)
    no = irs.snr_db_to_no(cfg.snr_db)
    words = {"training": TRAINING_KEY, "validation": VALIDATION_KEY, "held-out": HELD_OUT_KEY}

    def draw(split, index, size=cfg.search_batch):
        if cfg.num_batches is not None:
            index = index % cfg.num_batches
        irs.random.reset(irs.random.stream_key(seed, words[split], index))
        u = channel.draw(size).cascaded()
        u_ls, _ = least_squares(pilots(u, no), no)
        rms = tf.sqrt(tf.reduce_mean(tf.square(tf.abs(u_ls)), [-2, -1]) / 2)[:, None, None, None]
        maps = [tf.stack([tf.math.real(v), tf.math.imag(v)], -1) / rms for v in (u_ls, u)]
        return (*maps, rms)

    return draw


def mean_square(call, batch):
    """Half the mean squared error of the scaled channel."""
    x, u, _ = batch
    return 0.5 * tf.reduce_mean(tf.square(call(x) - u))


def build(cfg, seed, method, num_pretraining):
    """(search, draw): relaxed network, initial weights and batches are the same for all methods."""
    from sionna_irs.search.search import METHODS

    irs.random.reset(irs.random.stream_key(seed, INITIAL_KEY))
    genotype = irs.Genotype.relaxed(cfg.num_cells, cfg.num_nodes, cfg.operations)
    draw, inner = batches(cfg, seed), METHODS[method]["inner_steps"]
    found = irs.ArchitectureSearch(
        irs.CellNetwork(genotype, num_filters=cfg.num_filters),
        draw,
        mean_square,
        num_steps=cfg.num_steps * BATCHES // inner,
        num_pretraining=num_pretraining * BATCHES // inner,
        rate=cfg.rate,
        final_rate=cfg.final_rate,
        alpha_rate=cfg.alpha_rate,
        alpha_final_rate=cfg.alpha_final_rate,
        # The published decay, 1e-3, stands beside a sum over entries, of which ours is the mean.
        alpha_decay=1e-3 / (2 * cfg.num_rx_ant * (cfg.num_elements + 1)),
        **METHODS[method],
    )
    return found, draw


def searching(cfg, seed, method, name, frozen=None):
    """(start, advance) of a recursion, recorded under ``name``; ``frozen`` steps at first."""
    frozen = cfg.num_pretraining if frozen is None else frozen
    found, draw = build(cfg, seed, method, frozen)
    updates = BATCHES // found.inner_steps
    skip = cfg.operations.index("skip")

    def held_out(state):
        x, u, scale = draw("held-out", 0, cfg.held_out)
        error = tf.reduce_sum(tf.square(scale * (found.call(state, x) - u)))
        return tf.stack([error, tf.reduce_sum(tf.square(scale * u))])

    def advance(state, t):
        dtype = state["alpha"].dtype
        before = tf.argmax(state["alpha"], -1)

        def update(j, state, training, validation):
            state, losses = found.advance(state, updates * t + j)
            return j + 1, state, training + losses["training"], validation + losses["validation"]

        none = tf.zeros([], dtype)
        first = (tf.zeros([], tf.int64), state, none, none)
        _, state, training, validation = tf.while_loop(lambda j, *_: j < updates, update, first)
        after = tf.argmax(state["alpha"], -1)
        due = tf.equal((t + 1) % EVERY, 0)
        once = tf.cast(due, dtype)
        nmse = tf.cond(due, lambda: held_out(state), lambda: tf.zeros([2], dtype))
        weights = tf.reduce_mean(tf.nn.softmax(state["alpha"], -1), [0, 1])
        searched = tf.cast(t >= frozen, dtype)
        return state, {
            (HELD_OUT, name): (nmse[0], nmse[1]),
            (SKIPS, name): (once * _count(tf.equal(after, skip), dtype), once),
            (CHANGES, name): (_count(tf.not_equal(after, before), dtype), once),
            (TRAINING, name): (training, updates),
            (VALIDATION, name): (validation, updates * searched),
            **{
                (WEIGHT, f"{operation}, {name}"): (once * weights[index], once)
                for index, operation in enumerate(cfg.operations)
            },
        }

    return found.start, advance


def _count(conditions, dtype):
    return tf.reduce_sum(tf.cast(conditions, dtype))


def declare(experiment, name, **kwargs):
    """One recursion of a search."""

    @experiment.recursion(name, length="num_steps", seeds=3, record_every=EVERY)
    def recursion(cfg, seed):
        return searching(cfg, seed, name=name, **kwargs)


for _method in (FIRST, DARTS, TRUNCATED):
    declare(search, _method, method=_method)


@search.table
def exact(cfg):
    """Errors of the estimators that need no training; the number of edges."""
    channel, _ = scene(cfg)
    variance = 10 ** (-cfg.snr_db / 10) / cfg.num_patterns
    edges = cfg.num_cells * (2 * cfg.num_nodes + cfg.num_nodes * (cfg.num_nodes - 1) // 2)
    forms = closed_forms([(None, channel.statistics, variance)])
    return [{**entry, "metric": HELD_OUT} for entry in forms] + [
        link_sims.row(EDGES, "all", None, edges)
    ]


@search.figure
def draw_search(results, figure):
    """Error of the mixed network, and skip connections of every seed."""
    kind = results.experiment.metric(HELD_OUT)
    figure.set_size_inches(7.2, 3.4)
    loss, skips = figure.subplots(1, 2)
    for index, name in enumerate((FIRST, DARTS, TRUNCATED)):
        style = {"color": COLORS[index], "marker": "osD"[index], "markersize": 2}
        for seed in range(3):
            points = _seed_values(results, HELD_OUT, name, seed)
            shown = [shown_value(kind, v) for v in points.values()]
            loss.plot(points.keys(), shown, label=name if seed == 0 else None, **style)
            points = _seed_values(results, SKIPS, name, seed)
            # Whole numbers of several seeds would hide each other.
            shown = [v + 0.08 * (index - 1) for v in points.values()]
            skips.plot(points.keys(), shown, alpha=0.4, linewidth=0.8, color=COLORS[index])
        points = results.points(SKIPS, name)
        skips.plot(points, [results.value(SKIPS, name, x) for x in points], label=name, **style)
    for name, line in (("LS", "-."), ("scalar LMMSE", ":"), ("LMMSE", "--"), ("Bayes", "-")):
        value = shown_value(kind, results.value(HELD_OUT, f"{name}, exact", None))
        loss.axhline(value, color="k", linestyle=line, linewidth=0.9, label=name)
    edges = results.value(EDGES, "all", None)
    skips.axhline(0.6 * edges, color="k", linestyle="--", linewidth=0.9, label="60 % of the edges")
    loss.set_ylabel("held-out NMSE of the mixed network [dB]")
    skips.set_ylabel("skip connections (mean and seeds)")
    skips.set_ylim(-0.3, edges)
    _finish(results, figure, (loss, skips))


def _seed_values(results, metric, name, seed):
    """{x: value} of one seed."""
    units = results.units[metric, name]
    return {x: pairs[seed][0] / pairs[seed][1] for x, pairs in units.items() if len(pairs) > seed}


def _finish(results, figure, panels):
    for axes in panels:
        if axes.get_title() != WITHOUT:
            axes.axvline(results.config.num_pretraining, color="0.6", linewidth=0.8)
        axes.set_xlabel(results.experiment.x_label)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


def settled(results, name) -> Verdict:
    """No edge of any seed has changed its operation in the last quarter."""
    late = [
        changes
        for x, pairs in results.units[CHANGES, name].items()
        for changes, _ in pairs
        if x > 0.75 * results.config.num_steps
    ]
    return Verdict(sum(late) == 0 if late else None, f"{sum(late):g} changes")


def after_a_third(results) -> Paired:
    """Errors of truncated back-propagation and of DARTS, a third of the way."""
    third = max(EVERY, results.config.num_steps // 3 // EVERY * EVERY)
    return results.paired(HELD_OUT, TRUNCATED, DARTS, x=third)


def skip_share(results) -> Value:
    """Skip connections of DARTS at the end, of all edges."""
    found = results.at(SKIPS, DARTS, results.config.num_steps)
    edges = results.value(EDGES, "all", None)
    return Value(found.value / edges, found.low / edges, found.high / edges)


search.ours(
    "this package: whether the search has converged, 2026-11",
    {
        f"{name}: no operation changes in the last quarter of the search, in three seeds": (
            measured.by(settled, name)
        )
        for name in (FIRST, DARTS, TRUNCATED)
    },
    expect="open",
)
search.published(
    "CENAS Fig. 6a, Sec. IV-B; there it is faster in the initial stages",
    {
        "the mixed network of truncated back-propagation ends with a smaller error than DARTS'": (
            measured.by(at_the_end, HELD_OUT, TRUNCATED, DARTS).less()
        ),
        "after a third of the steps it has a smaller error than DARTS'": (
            measured.by(after_a_third).less()
        ),
    },
    expect="open",
)
search.published(
    "CENAS Fig. 6b, Sec. IV-B: nearly 60 % of all operations",
    {
        "DARTS ends with skip connections on 50 to 70 % of the edges": (
            measured.by(skip_share).within(0.6, 0.1)
        ),
        "DARTS ends with more skip connections than truncated back-propagation": (
            measured.by(at_the_end, SKIPS, DARTS, TRUNCATED).greater()
        ),
    },
    expect="open",
)


weights = link_sims.Experiment(
    "cenas/operation-weights",
    title="Mean weight of the operations, truncated back-propagation, three seeds",
    answers=["CENAS Fig. 5"],
    config=Config,
    profiles={"smoke": SMOKE, "cpu": {"num_steps": 200}, "paper": PAPER_SIZE},
    metrics={
        name: dataclasses.replace(metric, listed=name == WEIGHT) for name, metric in METRICS.items()
    },
    x_label=search.x_label,
)
declare(weights, WITH, method=TRUNCATED)
declare(weights, WITHOUT, method=TRUNCATED, frozen=0)


@weights.figure
def draw_weights(results, figure):
    """One panel with pre-training, one without."""
    figure.set_size_inches(7.2, 3.2)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(panels, (WITH, WITHOUT), strict=True):
        for index, operation in enumerate(results.config.operations):
            style = {"color": COLORS[index], "marker": MARKERS[index], "markersize": 3}
            band(axes, results, WEIGHT, f"{operation}, {name}", 0.15, label=operation, **style)
        axes.set_title(name)
    panels[0].set_ylabel(results.experiment.metric(WEIGHT).label)
    _finish(results, figure, panels)


weights.published(
    "CENAS Fig. 5 and, without pre-training, Sec. III-E",
    {
        "without pre-training skip connections have a larger weight than convolutions at the end": (
            measured.by(at_the_end, WEIGHT, f"skip, {WITHOUT}", f"conv, {WITHOUT}").greater()
        ),
        "without pre-training skip connections end with a larger weight than with it": (
            measured.by(at_the_end, WEIGHT, f"skip, {WITHOUT}", f"skip, {WITH}").greater()
        ),
    },
    expect="open",
)
