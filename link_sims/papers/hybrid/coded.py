"""Coded error rates behind estimated channels, and what rates the base station believes in.

One code word per user over all of its streams. The receiver knows the gains and SINRs of its
streams, or, in the curves "..., promised", believes those of the base station's estimate.
"""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...results.plotting import COLORS, MARKERS, error_bar
from ..coded_downlink import check_symbols, coded_streams
from . import common
from .common import AWARE, JOINT, KNOWN, RATE, RLS_SCA, SCA, SEPARATE

SHOWN = (SCA, JOINT, SEPARATE, AWARE, RLS_SCA)


class Config(common.HybridConfig):
    """A code that one of the two streams of a user can carry alone."""

    snr_db: link_sims.Grid = [0, 4, 8, 12, 16, 20]
    training_snr_low_db: float = 0.0
    training_snr_high_db: float = 20.0
    num_steps: link_sims.PositiveInt = 600
    num_bits_per_symbol: link_sims.EvenBits = 4
    num_info_bits: link_sims.PositiveInt = 256
    num_coded_bits: link_sims.PositiveInt = 768
    batch_size: link_sims.PositiveInt = 50

    def check(self):
        """A code word fills all streams."""
        super().check()
        per_slot = self.num_bits_per_symbol * self.num_streams
        check_symbols(self.num_coded_bits, per_slot)


coded = link_sims.Experiment(
    "hybrid/coded-bler",
    title="16-QAM with a code of rate 1/3, 2 users with 2 streams, estimated channels",
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [12]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000, "max_units": 100},
    },
    # Users of one channel fail together: units, not blocks, are independent.
    metrics={
        **common.METRICS,
        "bler": link_sims.Metric(
            "block error rate",
            scale="log",
            interval="binomial",
            independent="units",
            range=(0.0, 1.0),
            errors=True,
        ),
    },
    x_label="SNR [dB]",
)
common.declare(coded)


def promised(curve):
    """Name of a curve where the base station's estimate is believed."""
    return f"{curve}, promised"


def reception(front, found, h_eq, no):
    """(field, combiner at the antennas, believed gain, believed SINR) of a design.

    The field is that of the true channel, what is believed that of `h_eq`.
    """
    f, w = found["f"], found["w"]
    heard = tf.linalg.matmul(w, found["h_eq"], adjoint_a=True)
    field = tf.linalg.matmul(heard, irs.stack_streams(f)[..., None, :, :])
    own = tf.linalg.matmul(tf.linalg.matmul(w, h_eq, adjoint_a=True), f)
    sinr = irs.metrics.stream_sinr(h_eq, f, w, no, found["r_w"])
    return field, tf.linalg.matmul(front.w_rf, w), tf.linalg.diag_part(own), sinr


@coded.sweep(x="snr_db")
def curves(cfg, trained):
    """The same channels, pilots' noise, bits and noise for every scheme."""
    learned, channel = common.learned(cfg, trained), common.new_channel(cfg)
    front = learned[KNOWN].front
    everything = {**common.classical(cfg, front), **learned}
    send = coded_streams(
        cfg.num_users, cfg.num_streams, cfg.num_info_bits, cfg.num_coded_bits,
        cfg.num_bits_per_symbol,
    )  # fmt: skip

    def step(batch_size, snr_db):
        h, receptions, sums = channel(batch_size), {}, {}
        no, pilot_no = common.noise(cfg, snr_db)
        for curve in SHOWN:
            found = everything[curve](h, no, pilot_no)
            receptions[curve] = reception(front, found, found["h_eq"], no)
            sums[RATE, curve] = tf.reduce_sum(found["rate"]), batch_size
            if "h_hat" in found:
                seen = found["h_hat"], found["f"], found["w"], no, found["r_w"]
                rate = irs.metrics.stream_rate(*seen)
                sums[RATE, promised(curve)] = tf.reduce_sum(rate), batch_size
                receptions[promised(curve)] = reception(front, found, found["h_hat"], no)
        return {**sums, **send(no, receptions)}

    return step


@coded.figure
def draw_errors(results, figure):
    """Errors of receivers who know their streams, and of those who believe; rates."""
    figure.set_size_inches(9.6, 3.8)
    panels = figure.subplots(1, 3)
    for axes, metric in zip(panels, ("ber", "bler", RATE), strict=True):
        for index, curve in enumerate(SHOWN):
            draw_line(axes, results, metric, curve, index, "-", label=curve)
            if curve != SCA:
                draw_line(axes, results, metric, promised(curve), index, ":")
        axes.set(xlabel="SNR [dB]", ylabel=results.experiment.metric(metric).label)
        if metric != RATE:
            axes.set_yscale("log")
            least = min((v for c in SHOWN for v in positive(results, metric, c)[1]), default=1.0)
            axes.set_ylim(bottom=least / 2)  # intervals that reach 0 do not stretch the axis
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(f"{results.experiment.title}; dotted: estimates believed", fontsize=8)


def positive(results, metric, curve):
    """(points, values) where anything was counted."""
    points = [x for x in results.points(metric, curve) if results.value(metric, curve, x) > 0]
    return points, [results.value(metric, curve, x) for x in points]


def draw_line(axes, results, metric, curve, index, style, label=None):
    """A curve where anything was counted, with intervals."""
    kind = results.experiment.metric(metric)
    points, values = positive(results, metric, curve)
    ends = zip(*(results.interval(metric, curve, x) for x in points), strict=True)
    bars = [[error_bar(kind, *pair) for pair in zip(values, e, strict=True)] for e in ends]
    axes.errorbar(
        points, values, yerr=bars or None, linestyle=style, color=COLORS[index],
        marker=MARKERS[index], markerfacecolor="none", capsize=2, elinewidth=0.7, label=label,
    )  # fmt: skip


def fewer_errors(worse, *points):
    """Claims that joint has fewer block errors."""
    return {
        f"at {x} dB joint has fewer block errors than {worse}": (
            measured.paired("bler", JOINT, worse, x=x).less()
        )
        for x in points
    }


PAPER = "mixed-timescale paper, Fig. 10: the order of the rates, here of block errors"
BEYOND = f"{common.BEYOND}; {common.SET}"
coded.published(PAPER, {**fewer_errors(SEPARATE, 12, 16), **fewer_errors(RLS_SCA, 12, 16)})
coded.published(PAPER, fewer_errors(RLS_SCA, 20), "open")
coded.ours(BEYOND, fewer_errors(AWARE, 12), "open")
coded.ours(BEYOND, fewer_errors(AWARE, 16), "does-not-hold")
coded.ours(
    f"this package: rates of the base station's estimate; {common.SET}",
    {
        f"at 12 dB {curve} promises more than it keeps": (
            measured.paired(RATE, promised(curve), curve, x=12).greater()
        )
        for curve in (SEPARATE, AWARE, RLS_SCA)
    },
)
coded.ours(
    f"this package: mismatched gains and SINRs; {common.SET}",
    {
        f"at 16 dB receivers who believe the promise of {curve} have more block errors": (
            measured.paired("bler", promised(curve), curve, x=16).greater()
        )
        for curve in (JOINT, SEPARATE, AWARE, RLS_SCA)
    },
)
coded.ours(
    f"this package: the estimate is trained for the rate; {common.SET}",
    {
        "at 12 dB joint keeps what it promises within 5 %": (
            measured.paired(RATE, promised(JOINT), JOINT, x=12).ratio_between(0.95, 1.05)
        )
    },
)
