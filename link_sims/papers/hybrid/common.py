"""What the hybrid experiments share: sizes, channel, system, stages of training, schemes."""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.fields import check_order

from ...results.plotting import COLORS, MARKERS, draw_lines
from ...training import training as trainer

RATE, ERROR, TRAINING_RATE = "rate", "nmse", "training rate"
METRICS = {
    RATE: link_sims.Metric("sum rate [bit/s/Hz]"),
    TRAINING_RATE: link_sims.Metric("sum rate [bit/s/Hz]"),
}
JOINT, SEPARATE, KNOWN = "joint", "separate", "unfolded, perfect CSI"
ONE_STAGE, BLACK_BOX = "one stage", "black box"
RLS_SCA, RLS_ZF = "RLS, SCA", "RLS, ZF"
SHRUNK_SCA, LMMSE_SCA, AWARE = "RLS with prior, SCA", "LMMSE, SCA", "LMMSE, error-aware SCA"
SCA = "SCA, perfect CSI"
# Where expectations come from that no paper states.
SET = "set from the cpu profile, 2026-11"
BEYOND = "this package: the strongest classical scheme, which the paper lacks"
PRIOR = 10.0  # loading of a channel of variance 0.1: one over it
# The published setting.
FULL = {
    "num_tx_ant": 64, "num_tx_chains": 16, "num_rx_ant": 32, "num_rx_chains": 4,
    "num_users": 4, "num_streams": 4, "num_symbols": 16, "num_layers": 5, "width": 512,
}  # fmt: skip
# Seconds: the sizes of the algorithms stay, the trainings do not train.
SMOKE = {
    "num_symbols": 4, "num_layers": 1, "width": 8, "batch_size": 8, "max_units": 2,
    "num_steps": 2, "training_batch": 4, "num_iter": 3,
}  # fmt: skip


class HybridConfig(link_sims.Config):
    """A small setting with the pilot SNR of the published one; every stage takes `num_steps`.

    In training the SNR is drawn for every step between `training_snr_low_db` and
    `training_snr_high_db`. The SNR of the pilots is `pilot_gain_db` above that of the data.
    """

    num_tx_ant: link_sims.PositiveInt = 16
    num_tx_chains: link_sims.PositiveInt = 8
    num_rx_ant: link_sims.PositiveInt = 8
    num_rx_chains: link_sims.PositiveInt = 2
    num_users: link_sims.PositiveInt = 2
    num_streams: link_sims.PositiveInt = 2
    num_symbols: link_sims.PositiveInt = 8
    num_layers: link_sims.PositiveInt = 4
    width: link_sims.PositiveInt = 256
    num_iter: link_sims.PositiveInt = 20
    pilot_gain_db: float = 0.0
    training_snr_low_db: float = 10.0
    training_snr_high_db: float = 10.0
    num_steps: link_sims.PositiveInt = 1000
    training_batch: link_sims.PositiveInt = 64
    peak_rate: link_sims.LearningRate = 3e-3
    batch_size: link_sims.PositiveInt = 128
    max_units: link_sims.PositiveInt = 8

    @property
    def stage_steps(self):
        """Steps of a stage; shipped weights need none."""
        return self.num_steps if getattr(self, "retrain", True) else 0

    @property
    def total_steps(self):
        """Steps of a scheme that has no stages: what the others have in three."""
        return 3 * self.stage_steps

    def check(self):
        """Streams need chains, chains antennas; an empty range of SNRs trains nothing."""
        check_order(self, "num_rx_chains", "num_tx_chains")
        check_order(self, "num_rx_chains", "num_rx_ant")
        check_order(self, "num_tx_chains", "num_tx_ant")
        check_order(self, "num_streams", "num_rx_chains")
        check_order(self, "training_snr_low_db", "training_snr_high_db")


class TrainedConfig(HybridConfig):
    """The same with shipped weights, unless they are made anew."""

    retrain: bool = False


def new_channel(cfg, **changes):
    """The clustered channel of all users."""
    arrays = irs.ULA(cfg.num_tx_ant), irs.ULA(cfg.num_rx_ant)
    return irs.ClusteredChannel(*arrays, cfg.num_users, precision=cfg.precision, **changes)


def new_front(cfg, **changes):
    """An analog front end with random phases."""
    return irs.HybridFrontEnd(
        cfg.num_tx_ant, cfg.num_tx_chains, cfg.num_rx_ant, cfg.num_rx_chains, cfg.num_users,
        precision=cfg.precision, **changes,
    )  # fmt: skip


def new_pilots(cfg, num_symbols=None, **changes):
    """Pilots of all chains, the same for all users."""
    num_symbols = cfg.num_symbols if num_symbols is None else num_symbols
    return irs.ChainPilots(cfg.num_tx_chains, num_symbols, precision=cfg.precision, **changes)


def new_black_box(cfg):
    """Dense networks from learned pilots to beams, behind a front end of their own."""
    beams = irs.BlackBoxHybrid(
        new_pilots(cfg, trainable=True), cfg.num_users, cfg.num_rx_chains, cfg.num_streams,
        cfg.width, precision=cfg.precision,
    )  # fmt: skip
    return irs.HybridSystem(new_front(cfg), beams)


def new_system(cfg, num_symbols=None, **changes):
    """The unfolded system: learned pilots, unfolded RLS, unfolded SCA; users share weights."""
    same = {"precision": cfg.precision}
    estimator = irs.UnfoldedRLS(
        new_pilots(cfg, num_symbols, trainable=True), cfg.num_rx_chains, loading=PRIOR, **same
    )
    precoder = irs.UnfoldedSCA(
        cfg.num_layers, cfg.num_streams, cfg.num_tx_chains, cfg.num_rx_chains, **same, **changes
    )
    return irs.HybridSystem(new_front(cfg), precoder, estimator)


# Recursion -> (stage, recursion before it): every scheme has three stages in all.
TWO_STAGES = {
    "analog": ("analog", None),
    "estimator": ("estimator", "analog"),
    SEPARATE: ("estimator", "estimator"),
    JOINT: ("joint", "estimator"),
}


def declare(experiment, recursions=TWO_STAGES, seeds=1, every=100, lengths=None):
    """Trainings of the system in stages, which a sweep finds by their names.

    ``lengths`` names the fields with the steps of stages that differ from the others.
    """
    for name, (kind, before) in recursions.items():
        length = (lengths or {}).get(name, "stage_steps")

        @experiment.recursion(name, length, seeds, every, before)
        def training(cfg, seed, initial=None, kind=kind, name=name, length=length):
            return stage(cfg, kind, name, initial, num_steps=getattr(cfg, length))


def declare_whole(experiment, curves=(ONE_STAGE, BLACK_BOX), seeds=1, every=100):
    """Trainings of everything at once."""
    for name in curves:

        @experiment.recursion(name, "total_steps", seeds, every)
        def training(cfg, seed, name=name):
            layer = new_black_box(cfg) if name == BLACK_BOX else None
            return stage(cfg, "all", name, layer=layer, num_steps=cfg.total_steps)


def learned(cfg, trained, seed=0):
    """Systems by curve, of the recursions that there are."""
    systems = {}
    for name in (JOINT, SEPARATE, ONE_STAGE, BLACK_BOX):
        if name in trained:
            layer = new_black_box(cfg) if name == BLACK_BOX else new_system(cfg)
            systems[name] = trainer.assign(layer, trained[name][seed])
    if "analog" in trained:
        first = trainer.assign(new_system(cfg), trained["analog"][seed])
        systems[KNOWN] = irs.HybridSystem(first.front, first.precoder)
    return systems


def ship(experiment, weights):
    """Weights {curve: name} that the package brings along."""
    for curve, name in weights.items():

        @experiment.ship(name)
        def shipped(cfg, trained, curve=curve):
            return learned(cfg, trained)[curve]


def learned_or_shipped(cfg, trained, weights):
    """Systems by curve: of this run where it trains, else those that the package brings along."""
    if cfg.retrain:
        return learned(cfg, trained)
    return {c: irs.weights.load(name, precision=cfg.precision) for c, name in weights.items()}


# Stage of a training -> what it moves.
STAGES = {
    "analog": ("front", "precoder"),
    "estimator": ("estimator",),
    "joint": ("estimator", "precoder"),
    "all": ("front", "estimator", "precoder"),
    "phases": ("front",),
    "digital": ("precoder",),
}


def stage(cfg, name, curve, initial=None, layer=None, draw=None, num_steps=None):
    """(start, advance): one stage of the training of a system.

    Parameters
    ----------
    name : str
        Of :data:`STAGES`. "analog", "phases" and "digital" know the equivalent channel, and
        "estimator" learns it; the others learn the rate from pilots.
    curve : str
        Of the rate over the steps.
    initial : dict or None
        Final state of the stage before.
    layer : HybridSystem or None
    draw : callable or None
        ``() -> h``; None: fresh channels of the configuration.
    num_steps : int or None
        None: those of a stage.
    """
    layer = new_system(cfg) if layer is None else layer
    channel = new_channel(cfg)
    draw = (lambda: channel(cfg.training_batch)) if draw is None else draw
    parts = [getattr(layer, part) for part in STAGES[name]]
    variables = [v for part in parts if part is not None for v in part.trainable_variables]
    low, high = cfg.training_snr_low_db, cfg.training_snr_high_db

    def loss(call, t):
        snr_db = low + (high - low) * irs.random.uniform([], layer.rdtype)
        no, pilot_no = noise(cfg, snr_db)
        h = draw()
        found = call(h, no, pilot_no, known=name in ("analog", "phases", "digital"))
        if name == "estimator":
            error, power = irs.metrics.nmse(found["h_hat"], found["h_eq"])
            value = error / power
        else:  # the logarithm weighs all SNRs alike
            value = -tf.math.log(tf.reduce_mean(found["rate"]))
        rate = tf.reduce_sum(found["rate"])
        return value, {(TRAINING_RATE, curve): (rate, h.shape[0])}

    optimizer = trainer.cosine_adam(cfg.peak_rate, num_steps or cfg.num_steps)
    return trainer.training(layer, optimizer, loss, variables=variables, initial=initial)


def noise(cfg, snr_db):
    """(no, pilot_no) of an SNR [dB]."""
    return irs.snr_db_to_no(snr_db), irs.snr_db_to_no(snr_db + cfg.pilot_gain_db)


def classical(cfg, front, num_symbols=None):
    """Schemes that learn nothing, behind given analog phases, by curve."""
    same = {"precision": cfg.precision}
    sca = irs.SCA(cfg.num_streams, cfg.num_iter, **same)
    pilots = new_pilots(cfg, num_symbols)
    lmmse = irs.EquivalentLMMSEEstimator(pilots, **same)
    least, prior = (irs.RLSEstimator(pilots, loading=x, **same) for x in (0.01, PRIOR))
    statistics = {"estimator": lmmse, "channel": new_channel(cfg)}
    return {
        SCA: irs.HybridSystem(front, sca),
        AWARE: irs.HybridSystem(front, sca, **statistics, error_aware=True),
        LMMSE_SCA: irs.HybridSystem(front, sca, **statistics),
        SHRUNK_SCA: irs.HybridSystem(front, sca, prior),
        RLS_SCA: irs.HybridSystem(front, sca, least),
        RLS_ZF: irs.HybridSystem(front, irs.HybridZF(cfg.num_streams, **same), least),
    }


def compare(cfg, systems, channel=None):
    """``step(batch_size, snr_db) -> sums``: rates and estimation errors on the same channels."""
    channel = new_channel(cfg) if channel is None else channel
    return lambda batch_size, snr_db: measure(cfg, systems, channel(batch_size), snr_db)


def measure(cfg, systems, h, snr_db):
    """Sums of a sweep: rates and, where something estimates, errors of systems."""
    no, pilot_no = noise(cfg, snr_db)
    sums = {}
    for curve, system in systems.items():
        found = system(h, no, pilot_no)
        sums[RATE, curve] = tf.reduce_sum(found["rate"]), h.shape[0]
        if "h_hat" in found:
            sums[ERROR, curve] = irs.metrics.nmse(found["h_hat"], found["h_eq"])
    return sums


def above(better, worse, *points, at="at {:g} dB"):
    """Checks {text: check} of the claim that one rate is above another on the same channels."""
    return {
        f"{better} above {worse} {at.format(x)}": (
            measured.paired(RATE, better, worse, x=x).greater()
        )
        for x in points
    }


def line(results, metric, curve):
    """(xs, values) of a curve."""
    xs = results.points(metric, curve)
    return xs, [results.value(metric, curve, x) for x in xs]


def styles(curves):
    """(curve, how to plot it) in the order of colours and markers."""
    for color, marker, curve in zip(COLORS, MARKERS, curves, strict=False):
        yield curve, {"color": color, "marker": marker, "markerfacecolor": "none", "label": curve}


def draw_rates(results, figure, solid, dashed, size=(4.6, 4.2), ncols=3):
    """Axes with the rates of curves, and those of others {curve: label} dashed."""
    figure.set_size_inches(*size)
    axes = figure.subplots()
    draw_lines(axes, results, RATE, {c: c for c in solid})
    draw_lines(axes, results, RATE, dashed, "--", len(solid))
    axes.set(xlabel=results.experiment.x_label, ylabel="sum rate [bit/s/Hz]")
    axes.set_title(results.experiment.title, fontsize=8)
    figure.legend(loc="outside lower center", ncols=ncols, frameon=False)
    return axes
