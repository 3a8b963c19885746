"""NMSE on a ray-traced set at 28 GHz: users in the streets of a city, one path on every hop.

Surface and access point stay where they are, so that G is one matrix, and, since the arrays face
each other, one without phase differences between the antennas: the line of sight of the
statistical channel without its scattering. A user's hop is one plane wave. What is left to learn
is along the elements, and an estimator that knows the form of the channel gains a factor MN/2
over least squares: the error of the peak of a periodogram is 2 sigma^2 in all, not MN sigma^2.
"""

import dataclasses
import math
from typing import Annotated

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.training import training as trainer

from ...results.claims import Verdict
from ...results.plotting import COLORS, MARKERS, error_bar, shown_value
from ..cascade import nmse_step
from ..scene.common import draw_outline
from .common import (
    ALL_SNR,
    HELD_OUT,
    LEARNED,
    OURS,
    SNR_DB,
    TRAINING_METRICS,
    denoising_loss,
    new_denoiser,
    uniform_snr_db,
)

EVERY = 50
SCALAR, LMMSE, JOINT = "scalar LMMSE", "LMMSE", "LMMSE, both sides"
BAYES, UNTOUCHED = "Bayes, statistical channel", f"{LEARNED}, statistical channel"
RANK_ONE, CDRN = "rank one", "CDRN, equal size"
# All but the best linear filter, which covers the other LMMSE.
DRAWN = ("LS", SCALAR, LMMSE, BAYES, UNTOUCHED, CDRN, LEARNED, RANK_ONE)
PARTS = ("train", "validation", "test")
BOX = {"facecolor": "w", "edgecolor": "none", "alpha": 0.8, "pad": 1}
SETTING, PLACES = "setting", ("x of a user [m]", "y of a user [m]")
VALIDATION_KEY = -9


class Config(link_sims.Config):
    """The set, its pilots, and the training of the networks."""

    num_rx_ant: Annotated[int, Field(ge=2, le=1024)] = 64
    num_elements: Annotated[int, Field(ge=2, le=1024)] = 64
    num_patterns: Annotated[int, Field(ge=2, le=4096)] = 64
    carrier_frequency_hz: Annotated[float, Field(ge=1e8, le=3e11)] = 28e9
    spacing_m: Annotated[float, Field(ge=0.1, le=10)] = 2.0
    num_paths: link_sims.PositiveInt = 1
    snr_db: link_sims.Grid = SNR_DB
    num_steps: link_sims.PositiveInt = 2000
    training_batch: link_sims.PositiveInt = 8
    peak_rate: link_sims.LearningRate = 4e-3
    num_filters: link_sims.PositiveInt = 16
    held_out: link_sims.PositiveInt = 64
    held_out_snr_db: float = 0.0
    batch_size: link_sims.PositiveInt = 32
    min_units: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 20

    def check(self):
        """Every element needs a pattern of its own."""
        if self.num_patterns < self.num_elements:
            raise ValueError(
                f"num_patterns = {self.num_patterns}: at least num_elements = {self.num_elements} "
                "is needed"
            )


traced = link_sims.Experiment(
    "cenas/scene-nmse",
    title="Estimation on a ray-traced set at 28 GHz, one path on every hop",
    answers=["CENAS Fig. 10", "CENAS Table II"],
    config=Config,
    profiles={
        "smoke": {"num_rx_ant": 4, "num_elements": 8, "num_patterns": 8, "spacing_m": 5.0,
                  "snr_db": [2], "batch_size": 8, "max_units": 10, "num_steps": 50,
                  "num_filters": 4, "held_out": 8},
        "cpu": {},
        "paper": {"spacing_m": 1.0, "num_steps": 60_000, "training_batch": 64, "num_filters": 48,
                  "held_out": 512, "max_units": 1000},
    },
    metrics={
        **TRAINING_METRICS,
        SETTING: link_sims.Metric("parameter of the set"),
        **{name: link_sims.Metric(name, listed=False) for name in PLACES},
    },
    x_label="SNR [dB]",
)  # fmt: skip


def cascade(cfg, part):
    """The channel of one part of the streets."""
    return irs.SceneCascade(
        part, cfg.num_rx_ant, cfg.num_elements, carrier_frequency=cfg.carrier_frequency_hz,
        spacing=cfg.spacing_m, num_paths=cfg.num_paths,
    )  # fmt: skip


def statistics_of(cfg):
    """Of the statistical channel of the same size; the ray-traced set has its mean power."""
    return irs.CascadedChannel(cfg.num_rx_ant, cfg.num_elements, direct=False).statistics


def build(cfg, name):
    """A network with fresh weights: the cells, or the baseline with about as many weights."""
    statistics = statistics_of(cfg)
    if name == CDRN:
        network = irs.CDRN(num_blocks=1, num_layers=9, num_filters=cfg.num_filters)
        return irs.Denoiser(network, "direct", statistics.rho_c)
    return new_denoiser(statistics, num_filters=cfg.num_filters, norm=False, context=True)


def declare(name):
    """Training on the training positions; the validation positions only watch."""

    @traced.recursion(name, length="num_steps", record_every=EVERY)
    def train(cfg, seed):
        channel, watched = cascade(cfg, "train"), cascade(cfg, "validation")
        channel.statistics = statistics_of(cfg)  # gives the loss its scale
        pilots = pilots_of(cfg)
        least_squares = irs.LSEstimator(pilots)
        no = irs.snr_db_to_no(cfg.held_out_snr_db)

        def evaluate(call):
            irs.random.reset(irs.random.stream_key(VALIDATION_KEY))
            u = watched.draw(cfg.held_out).cascaded()
            u_ls, variance = least_squares(pilots(u, no), no)
            return {(HELD_OUT, name): irs.metrics.nmse(call(u_ls, tf.squeeze(variance)), u)}

        return trainer.training(
            build(cfg, name),
            trainer.cosine_adam(cfg.peak_rate, cfg.num_steps),
            denoising_loss(channel, cfg.training_batch, uniform_snr_db, cfg.num_patterns, name),
            [(HELD_OUT, name)],
            evaluate,
            EVERY,
        )


for _name in (LEARNED, CDRN):
    declare(_name)


def pilots_of(cfg):
    """Pilots without a column for a direct path."""
    return irs.SurfacePilots(cfg.num_elements, cfg.num_patterns, direct=False)


def joint_lmmse(pilots, samples):
    """LMMSE with the measured covariances of antennas and of elements, their Kronecker product.

    With one matrix G of rank one that is the covariance of the whole cascade, and this the best
    linear estimator.
    """
    power = np.mean(np.abs(samples) ** 2)
    rows = np.einsum("smn,skn->mk", samples, samples.conj()) / samples[..., 0, :].size
    columns = np.einsum("smn,smk->nk", samples, samples.conj()) / samples[..., 0].size
    (row_powers, left), (column_powers, right) = np.linalg.eigh(rows), np.linalg.eigh(columns)
    powers = np.maximum(np.outer(row_powers, column_powers) / power, 0)
    least_squares = irs.LSEstimator(pilots)

    def estimate(y, no):
        u, variance = least_squares(y, no)
        expected = tf.constant(powers, variance.dtype)
        gain = expected / (expected + variance)
        bases = tf.constant(left, u.dtype), tf.constant(right, u.dtype)
        turned = tf.einsum("mi,...mn,nj->...ij", tf.math.conj(bases[0]), u, tf.math.conj(bases[1]))
        turned *= tf.cast(gain, u.dtype)
        return (tf.einsum("mi,...ij,nj->...mn", bases[0], turned, bases[1]),)

    return estimate


def estimators_of(cfg, trained):
    """Curve -> estimator; what is measured is measured on the training positions."""
    pilots, samples = pilots_of(cfg), cascade(cfg, "train").samples.numpy()
    model = statistics_of(cfg)
    power = float(np.mean(np.abs(samples) ** 2))
    powered = dataclasses.replace(model, rho_h=power / model.rho_g)
    networks = {
        name: irs.LearnedEstimator(
            pilots, trainer.assign(build(cfg, name), trained[name][0])
        )
        for name in (CDRN, LEARNED)
    }  # fmt: skip
    return {
        "LS": irs.LSEstimator(pilots),
        SCALAR: irs.ScalarLMMSEEstimator(pilots, powered),
        LMMSE: irs.SampleLMMSEEstimator.from_samples(pilots, samples),
        JOINT: joint_lmmse(pilots, samples),
        BAYES: irs.BayesEstimator(pilots, powered),
        UNTOUCHED: irs.LearnedEstimator.from_pretrained(
            ALL_SNR, pilots, "trained", precision=cfg.precision
        ),
        **networks,
        RANK_ONE: irs.RankOneEstimator(pilots),
    }


@traced.sweep(x="snr_db")
def curves(cfg, trained):
    """Squared errors on the same pilots of users at test positions."""
    return nmse_step(cascade(cfg, "test"), pilots_of(cfg), estimators_of(cfg, trained))


@traced.table
def parameters(cfg):
    """The set in numbers, and where its users stand."""
    rows, settings = [], {
        "carrier frequency [GHz]": cfg.carrier_frequency_hz / 1e9,
        "antennas of the access point": cfg.num_rx_ant,
        "elements of the surface": cfg.num_elements,
        "spacing of antennas and elements [wavelengths]": 0.5,
        "patterns": cfg.num_patterns,
        "paths of a hop": cfg.num_paths,
        "spacing of the users' grid [m]": cfg.spacing_m,
    }  # fmt: skip
    for part in PARTS:
        positions = cascade(cfg, part).positions
        settings[f"{part} positions"] = len(positions)
        for metric, values in zip(PLACES, positions.T[:2], strict=True):
            rows += [link_sims.row(metric, part, i, value) for i, value in enumerate(values)]
    return [link_sims.row(SETTING, name, None, v) for name, v in settings.items()] + rows


@traced.figure
def draw(results, figure):
    """The set from above, the training, and the curves."""
    figure.set_size_inches(7.2, 4.6)
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.5), height_ratios=(1.7, 1))
    plan, course = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    draw_outline(plan, "munich", (-30, 90, 15, 125))
    for part, color in zip(PARTS, COLORS, strict=False):
        x, y = (
            [results.value(metric, part, i) for i in results.points(metric, part)]
            for metric in PLACES
        )
        plan.plot(x, y, ".", color=color, markersize=1.5, label=f"{part} ({len(x)})")
    for label, place in (("access point", (8.5, 21.0)), ("surface", (45.0, 90.0))):
        plan.plot(*place, "^", color="k")
        plan.annotate(label, place, (5, 4), textcoords="offset points", bbox=BOX)
    plan.set(xlabel="x [m]", ylabel="y [m]")
    plan.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, markerscale=4,
                frameon=False, columnspacing=1, handletextpad=0.1)  # fmt: skip
    styles = dict(zip(DRAWN, zip(COLORS, MARKERS, strict=True), strict=True))
    draw_curves(course, results, HELD_OUT, {name: styles[name] for name in (CDRN, LEARNED)})
    course.set(xlabel="training step", ylabel=f"NMSE at {results.config.held_out_snr_db:g} dB,\n"
               "validation positions [dB]")  # fmt: skip
    curves_axes = figure.add_subplot(grid[:, 1])
    draw_curves(curves_axes, results, "nmse", styles)
    curves_axes.set(xlabel=results.experiment.x_label, ylabel="NMSE, test positions [dB]")
    curves_axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


def draw_curves(axes, results, metric, styles):
    """Values with intervals."""
    kind = results.experiment.metric(metric)
    for curve, (color, marker) in styles.items():
        points = results.points(metric, curve)
        values = [results.value(metric, curve, x) for x in points]
        ends = zip(*(results.interval(metric, curve, x) for x in points), strict=True)
        bars = [[error_bar(kind, v, e) for v, e in zip(values, end, strict=True)] for end in ends]
        axes.errorbar(
            points, [shown_value(kind, v) for v in values], yerr=bars, color=color, marker=marker,
            markerfacecolor="none", capsize=2, elinewidth=0.7, label=curve,
        )  # fmt: skip


def peak_error(results, x) -> Verdict:
    """That of the periodogram's peak, over that of least squares: 2/(MN), within 10 %."""
    size = results.config.num_rx_ant * results.config.num_elements
    return results.paired("nmse", RANK_ONE, "LS", x=x).ratio_between(1.8 / size, 2.2 / size)


traced.published(
    "CENAS Fig. 10",
    {
        "least squares is like noise at -15 dB: an error larger than the channel": (
            measured.at("nmse", "LS", -15).greater(1)
        )
    },
)
# The ends of the sweep and its middle.
traced.published(
    "CENAS Fig. 10",
    {
        f"{text} at {x} dB": measured.paired("nmse", a, b, x=x).db_between(-math.inf, 0)
        for text, a, b, points in (
            ("scalar LMMSE is below LS", SCALAR, "LS", (-15, 0, 20)),
            ("CENAS is below CDRN", LEARNED, CDRN, (-15, 0, 20)),
            ("CDRN is below scalar LMMSE", CDRN, SCALAR, (-5, 0, 20)),
            ("CENAS is below scalar LMMSE", LEARNED, SCALAR, (-15, 0, 20)),
        )
        for x in points
    },
)
traced.published(
    "CENAS Fig. 10",
    {
        f"{text} at {x} dB": measured.paired("nmse", a, b, x=x).db_between(-math.inf, 0)
        for text, a, b, points in (
            ("CDRN is below scalar LMMSE", CDRN, SCALAR, (-15, -10)),
            (
                "CENAS is below the LMMSE that knows the antennas' covariance",
                LEARNED, LMMSE, SNR_DB,
            ),
        )
        for x in points
    },
    expect="open",
)  # fmt: skip
traced.ours(
    OURS,
    {
        f"{curve}, is more than 10 dB above LMMSE: K is not 10 here at 10 dB": (
            measured.paired("nmse", curve, LMMSE, x=10).db_between(10, math.inf)
        )
        for curve in (BAYES, UNTOUCHED)
    },
)
traced.ours(
    OURS,
    {
        f"covariances of the elements lower the error of LMMSE by less than 0.5 dB at {x} dB": (
            measured.paired("nmse", LMMSE, JOINT, x=x).db_between(-0.5, 0.5)
        )
        for x in (-15, 20)
    },
)
traced.ours(
    f"{OURS}: it knows that one path is one wave",
    {
        f"the peak of the periodogram is more than 10 dB below LMMSE at {x} dB": (
            measured.paired("nmse", RANK_ONE, LMMSE, x=x).db_between(-math.inf, -10)
        )
        for x in (-15, 20)
    },
)
traced.theory(
    "four real numbers out of 2MN: sionna_irs.RankOneEstimator",
    {
        f"its error at {x} dB is 2/(MN) of that of LS, within 10 %": measured.by(peak_error, x)
        for x in (0, 20)
    },
)
