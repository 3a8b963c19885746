"""The framework: quick bases of four problems of one cell, with and without a network in front.

Eight users of a room and a base station: channel estimation from uplink pilots, detection of
uplink symbols, downlink precoding, and the powers of its streams. The networks change what the
basis is given: rows of antennas in the uplink, rows of users in the downlink.
"""

import dataclasses
import math
from collections.abc import Callable

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.results.plotting import draw_lines
from link_sims.training import training as trainer

from . import common

ESTIMATION, DETECTION, PRECODING = "estimation", "detection", "precoding"
BASES = {
    ESTIMATION: ("LS", "scaled LS", "LMMSE"),
    DETECTION: ("MF", "ZF", "LMMSE"),
    PRECODING: ("MRT", "ZF", "RZF", "ZF-WF"),
}
METRIC = {ESTIMATION: "nmse", DETECTION: "ser", PRECODING: common.RATE}
LOSS = "training loss"


def calibrated(basis):
    """Name of the curve with a network."""
    return f"calibrated {basis}"


class Config(common.PrecodingConfig):
    """Trained at all transmit powers at once, between the ends of the grid."""

    num_ant: link_sims.PositiveInt = 32
    num_users: link_sims.PositiveInt = 8
    power_dbm: link_sims.Grid = [-40, -35, -30, -25, -20]
    num_bits_per_symbol: link_sims.EvenBits = 4
    hidden: list[link_sims.PositiveInt] = [128, 128]
    num_steps: link_sims.PositiveInt = 400
    training_batch: link_sims.PositiveInt = 64
    peak_rate: link_sims.LearningRate = 1e-3
    batch_size: link_sims.PositiveInt = 200
    max_units: link_sims.PositiveInt = 20


framework = link_sims.Experiment(
    "precoding/framework",
    title="Bases with and without calibration, 32 antennas, 8 users",
    answers=["Calibration Tables I, II"],
    config=Config,
    profiles={
        "smoke": {"power_dbm": [-30, -20], "stride": 10, "batch_size": 8, "max_units": 2,
                  "num_ant": 8, "num_users": 2, "hidden": [4], "num_steps": 2,
                  "training_batch": 4},
        "cpu": {},
        "paper": {"hidden": [512, 2048, 2048], "num_steps": 40_000, "training_batch": 1024,
                  "max_units": 200},
    },
    # Users of one group fail together: units, not symbols, are independent.
    metrics={
        **common.METRICS,
        "nmse": link_sims.Metric("NMSE", scale="log", range=(0.0, math.inf)),
        "ser": link_sims.Metric(
            "symbol error rate", scale="log", interval="binomial", independent="units",
            range=(0.0, 1.0), errors=True,
        ),
        LOSS: link_sims.Metric(LOSS, range=None, listed=False),
    },
    x_label="transmit power [dBm]",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Problem:
    """A task of the cell: what is known, the bases, what is wanted of them.

    ``observe(h_ul, h_dl, no) -> (x, wanted)``; ``basis(x, no)`` solves it; ``loss(outcome,
    wanted)`` is what the network is trained for, ``score(outcome, wanted)`` the sums of the metric.
    """

    axis: str
    num_inputs: int
    bases: dict
    observe: Callable
    loss: Callable
    score: Callable


def estimation(cfg):
    """Uplink channels from as many orthogonal pilots as users."""
    pilots = irs.UserPilots(cfg.num_users, cfg.num_users)
    powers = mean_powers(cfg)
    bases = (
        irs.UserLSEstimator(pilots),
        irs.UserScaledLSEstimator(pilots, powers),
        irs.UserLMMSEEstimator(pilots, powers),
    )

    def loss(outcome, h):
        error, size = (tf.reduce_sum(tf.square(tf.abs(z)), [1, 2]) for z in (outcome[0] - h, h))
        return tf.reduce_mean(tf.math.log(error / size))

    return Problem(
        "antenna",
        cfg.num_users,
        dict(zip(BASES[ESTIMATION], bases, strict=True)),
        lambda h_ul, h_dl, no: (pilots(h_ul, no), h_ul),
        loss,
        lambda outcome, h: irs.metrics.nmse(outcome[0], h),
    )


def detection(cfg):
    """Uplink symbols with known channels: the rows are [h_m, y_m]."""
    from sionna_irs.layer import to_dtype

    class Detector(irs.LinkLayer):
        """A receiver as a basis: channels and observation in one matrix."""

        inputs = {
            "x": irs.Input("complex", "num_rx_ant", "num_columns"),
            "no": irs.Input("real", minimum=0, like="x"),
        }

        def __init__(self, receiver, **kwargs):
            super().__init__(**kwargs)
            self.receiver = receiver

        def call(self, x, no):
            return self.receiver(x[..., -1], x[..., :-1], no)

    qam = irs.QAM(cfg.num_bits_per_symbol)
    points = qam.modulate(tf.range(qam.num_points), cfg.cdtype)
    receivers = (irs.MRCReceiver(), irs.ZFReceiver(), irs.LMMSEReceiver())

    def observe(h_ul, h_dl, no):
        labels = qam.draw([h_ul.shape[0], cfg.num_users])
        y = tf.linalg.matvec(h_ul, qam.modulate(labels, h_ul.dtype))
        y += irs.random.complex_normal(y.shape, y.dtype, no[:, None])
        return tf.concat([h_ul, y[..., None]], -1), labels

    def loss(outcome, labels):
        x_hat, no_eff = outcome
        distance = tf.square(tf.abs(x_hat[..., None] - points))
        logits = -distance / no_eff[..., None]
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        )

    def score(outcome, labels):
        errors = qam.count_errors(labels, qam.decide(outcome[0]))[1]
        return to_dtype(errors, tf.float64), tf.size(labels)

    return Problem(
        "antenna",
        cfg.num_users + 1,
        {name: Detector(r) for name, r in zip(BASES[DETECTION], receivers, strict=True)},
        observe,
        loss,
        score,
    )


def precoding(cfg):
    """Downlink precoders with known channels, one of them with water-filled powers."""

    def rate(v, wanted):
        return irs.metrics.sum_rate(wanted[0], v, wanted[1])

    classical = common.classical(cfg)
    return Problem(
        "user",
        cfg.num_ant,
        {name: classical[name] for name in BASES[PRECODING]},
        lambda h_ul, h_dl, no: (h_dl, (h_dl, no)),
        lambda v, wanted: -tf.reduce_mean(tf.math.log(rate(v, wanted))),
        lambda v, wanted: (tf.reduce_sum(rate(v, wanted)), v.shape[0]),
    )


PROBLEMS = {ESTIMATION: estimation, DETECTION: detection, PRECODING: precoding}


def strongest_first(h):
    """Users [..., K, M] in the order of their mean powers, which the estimators know."""
    order = tf.argsort(tf.norm(tf.abs(h), axis=-1), direction="DESCENDING")
    return tf.gather(h, order, axis=1, batch_dims=1)


def mean_powers(cfg):
    """Mean power [K] of an entry of the k-th strongest user, noise 1 at 0 dBm.

    Over fixed groups of training positions, each used once.
    """
    room = new_room(cfg, "train")
    order = irs.random.permutation(len(room.indices))
    size = len(order) // cfg.num_users
    rows = order[: size * cfg.num_users].reshape(size, cfg.num_users)[:5000]
    h = strongest_first(common.at_power(cfg, room.compose(rows)[0], 0.0))
    return tf.reduce_mean(tf.square(tf.abs(h)), [0, 2]).numpy()


def new_room(cfg, split):
    """Users anywhere in the room."""
    return irs.RoomChannel(
        cfg.num_users, cfg.num_ant, split=split, source=cfg.source, stride=cfg.stride,
        precision=cfg.precision,
    )  # fmt: skip


def channels(cfg, split):
    """``draw(batch_size, power_dbm) -> (h_ul [B, M, K], h_dl [B, K, M], no [B])``."""
    room = new_room(cfg, split)

    def draw(batch_size, power_dbm):
        h_ul, h_dl = (strongest_first(common.at_power(cfg, h, 0.0)) for h in room(batch_size)[:2])
        no = irs.snr_db_to_no(tf.broadcast_to(power_dbm, [batch_size]))
        return tf.linalg.matrix_transpose(h_ul), h_dl, no

    return draw


def with_network(cfg, problem, basis):
    """A basis behind fresh weights."""
    network = irs.RowNet(problem.num_inputs, cfg.hidden, precision=cfg.precision)
    return irs.Calibrated(problem.bases[basis], network, axis=problem.axis)


def training_name(name, basis):
    """Of a recursion and its curve."""
    return f"{name}, {basis}"


def training_of(cfg, name, basis):
    """(start, advance): fresh groups at powers uniform in dB."""
    problem, draw = PROBLEMS[name](cfg), channels(cfg, "train")
    low, high = min(cfg.power_dbm), max(cfg.power_dbm)

    def loss(call, t):
        power_dbm = irs.random.uniform([cfg.training_batch], low=low, high=high)
        h_ul, h_dl, no = draw(cfg.training_batch, power_dbm)
        x, wanted = problem.observe(h_ul, h_dl, no)
        value = problem.loss(call(x, no), wanted)
        return value, {(LOSS, training_name(name, basis)): (value, 1.0)}

    optimizer = trainer.cosine_adam(cfg.peak_rate, cfg.num_steps)
    return trainer.training(with_network(cfg, problem, basis), optimizer, loss)


for _name, _bases in BASES.items():
    for _basis in _bases:
        framework.recursion(training_name(_name, _basis), length="num_steps", record_every=50)(
            lambda cfg, seed, name=_name, basis=_basis: training_of(cfg, name, basis)
        )


@framework.sweep(x="power_dbm")
def curves(cfg, trained):
    """All problems on the same users, at positions that no training saw."""
    draw = channels(cfg, "test")
    solvers = {}
    for name, make in PROBLEMS.items():
        problem = make(cfg)
        layers = dict(problem.bases)
        for basis in problem.bases:
            state = trained[training_name(name, basis)][0]
            layers[calibrated(basis)] = trainer.assign(with_network(cfg, problem, basis), state)
        solvers[name] = problem, layers

    def step(batch_size, power_dbm):
        h_ul, h_dl, no = draw(batch_size, power_dbm)
        sums = {}
        for name, (problem, layers) in solvers.items():
            x, wanted = problem.observe(h_ul, h_dl, no)
            for curve, layer in layers.items():
                sums[METRIC[name], curve] = problem.score(layer(x, no), wanted)
        return sums

    return step


@framework.figure
def draw_problems(results, figure):
    """A panel for every problem; bases solid, with a network dashed."""
    figure.set_size_inches(7.2, 3.4)
    for axes, (name, bases) in zip(figure.subplots(1, len(BASES)), BASES.items(), strict=True):
        kind = results.experiment.metric(METRIC[name])
        draw_lines(axes, results, METRIC[name], {b: b for b in bases})
        draw_lines(axes, results, METRIC[name], {calibrated(b): calibrated(b) for b in bases}, "--")
        axes.set(title=name, xlabel=results.experiment.x_label, ylabel=kind.label)
        if name != PRECODING:
            axes.set_yscale("log")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


TABLES = f"{common.PAPER} Tables I and II"
POWER_DBM = -30
ORDERS = (
    (ESTIMATION, "LMMSE", "scaled LS"), (ESTIMATION, "scaled LS", "LS"),
    (DETECTION, "LMMSE", "ZF"), (DETECTION, "ZF", "MF"),
    (PRECODING, "RZF", "ZF"), (PRECODING, "ZF-WF", "ZF"),
)  # fmt: skip
# The network of an antenna, or of a user, does not see the others: where these decide, or where
# the basis is the best already, there is nothing to gain.
GAINS = {(ESTIMATION, "LS"), (ESTIMATION, "scaled LS")} | {
    (PRECODING, basis) for basis in ("MRT", "ZF", "RZF")
}


def ends(name, gain):
    """Of the ratio of two curves: a larger rate, fewer errors."""
    return (1 + gain, 100) if name == PRECODING else (0, 1 - gain)


framework.ours(
    f"this package; the usual order of the bases of {TABLES}",
    {
        f"{name} at {POWER_DBM} dBm: {better} above {worse} by more than 0 %": (
            measured.paired(METRIC[name], better, worse, x=POWER_DBM).ratio_between(*ends(name, 0))
        )
        for name, better, worse in ORDERS
    },
)
for _gains, _expect in ((True, "holds"), (False, "does-not-hold")):
    framework.published(
        f"{TABLES}, (13); the margin is ours",
        {
            f"{name} at {POWER_DBM} dBm: {calibrated(basis)} above {basis} by more than 2 %": (
                measured.paired(METRIC[name], calibrated(basis), basis, x=POWER_DBM).ratio_between(
                    *ends(name, 0.02)
                )
            )
            for name, bases in BASES.items()
            for basis in bases
            if ((name, basis) in GAINS) == _gains
        },
        _expect,
    )
