"""Knowledge that is wrong: estimators made for one channel, tested on others.

The model-based estimators know, and the network was trained at, K = 10, the usual gains, an
all-ones line of sight and white scattering. Tested are other K, a cascade 6 dB weaker or stronger,
a line of sight from another direction, and scattering that is correlated over the antennas. Beside
them stand estimators with the true parameters, and one whose covariances were measured on draws of
the true channel, as anybody without a model would.

A line of sight exp(j pi m sin(angle)) along the antennas is no harder than one of ones: turned
back, it is the same channel. With correlated scattering the exact posterior mean is not known
here, and the linear optimum is the reference.
"""

import dataclasses
import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...results.intervals import log_ratio
from ...results.plotting import COLORS, MARKERS
from ..cascade import CascadeConfig
from .common import ALL_SNR, LEARNED, OURS, SNR_DB, all_estimators

# What differs from the assumed channel.
CASES = {
    "K = 0": {"k_factor": 0.0},
    "K = 1": {"k_factor": 1.0},
    "K = 3": {"k_factor": 3.0},
    "K = 10, as assumed": {},
    "K = 30": {"k_factor": 30.0},
    "cascade 6 dB weaker": {"gain_db": -6.0},
    "cascade 6 dB stronger": {"gain_db": 6.0},
    "line of sight from the side": {"turned": True},
    "correlated scattering": {"correlated": True},
}
SCALAR, LINEAR, BAYES = "scalar LMMSE, assumed", "LMMSE, assumed", "Bayes, assumed"
TRUE_LINEAR, TRUE_BAYES = "LMMSE, true", "Bayes, true"
# Scaled by the power of each observation instead of the assumed one.
SCALED, SCALED_BAYES = f"{LEARNED}, power measured", "Bayes, power measured"
MEASURED = "LMMSE, covariances measured"
# First word of the keys: no unit of a sweep has it.
MEASURING = -10


class Config(CascadeConfig):
    """The assumed channel, its pilots, and how far the true one lies from it."""

    snr_db: link_sims.Grid = SNR_DB
    cases: Annotated[list[Literal[tuple(CASES)]], Field(min_length=1)] = list(CASES)
    angle_rad: Annotated[float, Field(ge=-math.pi / 2, le=math.pi / 2)] = 0.3
    correlation: Annotated[float, Field(ge=0, lt=1)] = 0.7
    measured_draws: Annotated[int, Field(ge=2, le=10**6)] = 1000
    batch_size: link_sims.PositiveInt = 32
    min_units: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 12


mismatch = link_sims.Experiment(
    "cenas/mismatch",
    title="Estimators that know or were trained at K = 10, on other channels",
    config=Config,
    profiles={
        "smoke": {"snr_db": [2], "batch_size": 4, "max_units": 10, "measured_draws": 50,
                  "num_rx_ant": 4, "num_elements": 8, "num_patterns": 9,
                  "cases": ["K = 10, as assumed", "line of sight from the side",
                            "correlated scattering"]},
        "cpu": {},
        "paper": {"batch_size": 64, "max_units": 1000},
    },
    metrics={name: link_sims.Metric("NMSE [dB]", db=True, range=(0.0, math.inf)) for name in CASES},
    x_label="SNR [dB]",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Truth:
    """A channel, its statistics once turned back, the turns, and its covariances if coloured."""

    channel: object
    statistics: object
    turns: object
    covariances: object


def truth_of(cfg, k_factor=None, gain_db=0.0, turned=False, correlated=False):
    """The channel that is there."""
    assumed = assumed_statistics(cfg)
    k_factor = cfg.k_factor if k_factor is None else k_factor
    rho_h = assumed.rho_h * 10 ** (gain_db / 10)
    statistics = dataclasses.replace(assumed, rho_h=rho_h, k_factor=k_factor)
    user, panel, access_point = irs.ULA(1), irs.ULA(cfg.num_elements), irs.ULA(cfg.num_rx_ant)
    angle = cfg.angle_rad if turned else 0.0
    turns = np.exp(1j * np.pi * math.sin(angle) * np.arange(cfg.num_rx_ant))
    scattering = irs.exponential_correlation(access_point, cfg.correlation if correlated else 0.0)
    channel = irs.SurfaceChannel(
        {
            "tx>s1": irs.RayleighHop(user, panel, rho_h),
            "s1>rx": irs.RicianHop(
                panel, access_point, k_factor, assumed.rho_g,
                los=np.outer(turns, np.ones(cfg.num_elements)),
                rx_correlation=scattering if correlated else None,
            ),
            "tx>rx": irs.RayleighHop(user, access_point, assumed.rho_d),
        },
        {"s1": irs.IdealPhases(panel)},
    )  # fmt: skip
    mean = statistics.a**2 * np.outer(turns, turns.conj())
    cascaded = statistics.rho_h * (mean + statistics.s**2 * scattering)
    direct = statistics.rho_d * np.eye(cfg.num_rx_ant)
    return Truth(channel, statistics, turns, np.stack([cascaded, direct]) if correlated else None)


def assumed_statistics(cfg):
    """What the model-based estimators take for true."""
    return irs.CascadedChannel(cfg.num_rx_ant, cfg.num_elements, cfg.k_factor).statistics


def uninformed(pilots, statistics):
    """Curve -> estimator that takes the assumed statistics for true."""
    found = all_estimators(pilots, statistics)
    for known, name in (("scalar LMMSE", SCALAR), ("LMMSE", LINEAR), ("Bayes", BAYES)):
        found[name] = found.pop(known)
    found[SCALED] = irs.LearnedEstimator.from_pretrained(
        ALL_SNR, pilots, entry_power=None, precision=pilots.precision
    )
    found[SCALED_BAYES] = scaled(found[BAYES], found[SCALED].denoiser)
    return found


def scaled(estimator, denoiser):
    """An estimator behind a gain to the power that it expects, measured as the denoiser does."""
    least_squares, statistics = irs.LSEstimator(estimator.pilots), estimator.statistics
    entries = statistics.num_rx_ant * estimator.pilots.num_columns

    def estimate(y, no):
        u, variance = least_squares(y, no)
        power = denoiser.power(denoiser.cplx(u), denoiser.real(variance))
        gain = tf.cast(tf.sqrt(power * (entries / statistics.total_power)), y.dtype)
        no = no / tf.square(tf.math.real(gain[..., 0, 0]))
        return (gain * estimator(y / gain, no)[0],)

    return estimate


def turned_back(estimator, turns):
    """An estimator for an all-ones line of sight, behind a turn of every antenna.

    Noise and white scattering have no direction, so that the turned channel has the statistics
    that the estimator knows.
    """

    def estimate(y, no):
        turn = tf.constant(turns[:, None], y.dtype)
        return (turn * estimator(tf.math.conj(turn) * y, no)[0],)

    return estimate


def informed(cfg, pilots, truth):
    """Curve -> estimator with the true parameters, and with covariances measured on draws."""
    irs.random.reset(irs.random.stream_key(cfg.seed, MEASURING))
    samples = truth.channel.draw(cfg.measured_draws).cascaded()
    sampled = irs.SampleLMMSEEstimator.from_samples(pilots, samples)
    if truth.covariances is not None:
        exact = irs.SampleLMMSEEstimator(pilots, truth.covariances)
        return {MEASURED: sampled, TRUE_LINEAR: exact}
    exact = irs.LMMSEEstimator, irs.BayesEstimator
    linear, bayes = (turned_back(e(pilots, truth.statistics), truth.turns) for e in exact)
    return {MEASURED: sampled, TRUE_LINEAR: linear, TRUE_BAYES: bayes}


@mismatch.sweep(x="snr_db")
def curves(cfg, trained):
    """Squared errors in every case, all estimators on the same pilots."""
    pilots = irs.SurfacePilots(cfg.num_elements, cfg.num_patterns)
    assumed = uninformed(pilots, assumed_statistics(cfg))
    cases = {}
    for name in cfg.cases:
        truth = truth_of(cfg, **CASES[name])
        cases[name] = truth.channel, {**assumed, **informed(cfg, pilots, truth)}

    def step(batch_size, snr_db):
        no = irs.snr_db_to_no(snr_db)
        sums = {}
        for name, (channel, estimators) in cases.items():
            u = channel.draw(batch_size).cascaded()
            y = pilots(u, no)
            for curve, estimator in estimators.items():
                sums[name, curve] = irs.metrics.nmse(estimator(y, no)[0], u)
        return sums

    return step


def reference(results, case):
    """The best estimator with the true parameters that the theory gives."""
    return TRUE_BAYES if (case, TRUE_BAYES) in results.curves(case) else TRUE_LINEAR


@mismatch.figure
def draw(results, figure):
    """A panel for each case: what each estimator loses to the one that knows the truth."""
    figure.set_size_inches(7.2, 7.6)
    panels = figure.subplots(3, 3, sharex=True, sharey=True)
    order = ("LS", SCALAR, LINEAR, BAYES, LEARNED, MEASURED, TRUE_LINEAR, TRUE_BAYES)
    styles = {
        curve: {"color": color, "marker": marker, "linestyle": "-", "label": curve}
        for curve, color, marker in zip(order, COLORS, MARKERS, strict=True)
    }
    styles[TRUE_LINEAR]["marker"] = "none"  # the measured one lies on it
    for curve, like in ((SCALED_BAYES, BAYES), (SCALED, LEARNED)):
        styles[curve] = {**styles[like], "linestyle": ":", "label": curve}
    for axes, case in zip(panels.flat, results.config.cases, strict=False):
        best = results.units[case, reference(results, case)]
        for curve, style in styles.items():
            points = results.points(case, curve)
            gaps = [log_ratio(results.units[case, curve][x], best[x]) for x in points]
            middle, low, high = ([10 / math.log(10) * gap[i] for gap in gaps] for i in range(3))
            axes.plot(points, middle, markerfacecolor="none", **style)
            axes.fill_between(points, low, high, color=style["color"], alpha=0.2, linewidth=0)
        axes.set_title(case)
    # Linear up to half a decibel, logarithmic beyond.
    axes.set_yscale("symlog", linthresh=0.5)
    axes.set_yticks([0, 0.2, 0.5, 1, 2, 5, 10], ["0", "0.2", "0.5", "1", "2", "5", "10"])
    axes.set_ylim(-0.2, 15)
    for axes in panels[-1]:
        axes.set_xlabel(results.experiment.x_label)
    for axes in panels[:, 0]:
        axes.set_ylabel("NMSE over the best\nwith true parameters [dB]")
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


# The network has learned the model, too. Where it is the better one, at 0 dB without a line of
# sight or with one from the side, both are worse than an entry-wise filter.
mismatch.ours(
    OURS,
    {
        f"{case}, {x} dB: the network has a smaller error than Bayes with the assumed parameters": (
            measured.paired(case, LEARNED, BAYES, x=x).db_between(-math.inf, 0)
        )
        for x, cases in (
            (0, ("K = 10, as assumed",)),
            (10, (case for case in CASES if case not in ("K = 1", "K = 3"))),
        )
        for case in cases
    },
    expect="does-not-hold",
)
mismatch.ours(
    OURS,
    {
        f"{case}, 0 dB: the network has a smaller error than Bayes with the assumed parameters": (
            measured.paired(case, LEARNED, BAYES, x=0).db_between(-math.inf, 0)
        )
        for case in ("K = 0", "line of sight from the side")
    },
    expect="open",
)
mismatch.ours(
    OURS,
    {
        f"{case}, {x} dB: measured covariances lose less than 0.05 dB to the true ones": (
            measured.paired(case, MEASURED, TRUE_LINEAR, x=x).db_between(-0.05, 0.05)
        )
        for case in ("K = 0", "K = 30", "line of sight from the side", "correlated scattering")
        for x in (0, 10)
    }
    | {
        f"{case}, 0 dB: measured covariances beat {curve} by more than 1 dB": (
            measured.paired(case, curve, MEASURED, x=0).db_between(1, math.inf)
        )
        for case in ("K = 0", "K = 1", "line of sight from the side")
        for curve in (BAYES, LEARNED)
    }
    | {
        f"{case}, 10 dB: {curve} is worse than LS": (
            measured.paired(case, curve, "LS", x=10).db_between(1, math.inf)
        )
        for case in ("K = 0", "line of sight from the side")
        for curve in (BAYES, LEARNED)
    }
    | {
        f"{case}, -10 dB: {curve} gains more than 0.5 dB when the power is measured": (
            measured.paired(case, curve, with_power, x=-10).db_between(0.5, math.inf)
        )
        for case in ("cascade 6 dB weaker", "cascade 6 dB stronger")
        for curve, with_power in ((BAYES, SCALED_BAYES), (LEARNED, SCALED))
    },
)
