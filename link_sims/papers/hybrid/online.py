"""Phases and digital part adapted frame by frame to the angles of a superframe."""

import math

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...results.plotting import draw_lines
from ...training import training as trainer
from . import common

SUPERFRAMES = 2  # seeds
FRAMES = "rate over frames"
ONLINE, OFFLINE, FIXED = "online", "offline", "not adapted"
SSCA, STEERED, BOX = "RLS-SSCA, online", "steered, RLS, SCA", "black box, offline"
INFORMED = "SSCA, informed"
START, SERVING = "start", "frames"
_ANGLES, _SAMPLES, _NOISE, _TEST = 17, 18, 19, 20  # words of the keys


class Config(common.HybridConfig):
    """Angles are drawn for a superframe and turn by `drift_deg` (rms) from frame to frame.

    At the end of a frame `num_passes` steps are taken over its `num_samples` channels. Offline
    adaptation has taken place before the first frame, over fresh channels of its angles; so has the
    whole training of the black box.
    """

    snr_db: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    training_snr_low_db: float = -5.0
    training_snr_high_db: float = 20.0
    frame_snr_db: float = 10.0
    num_frames: link_sims.PositiveInt = 12
    num_samples: link_sims.PositiveInt = 50
    num_passes: link_sims.PositiveInt = 20
    online_rate: link_sims.LearningRate = 5e-3
    drift_deg: float = 0.0
    num_steps: link_sims.PositiveInt = 400
    max_units: link_sims.PositiveInt = 4

    @property
    def box_steps(self):
        """Steps of the black box: as many as the unfolded system takes before the first frame."""
        return 2 * self.num_steps


online = link_sims.Experiment(
    "hybrid/online",
    title="Hybrid beamforming adapted to the angles of a superframe",
    answers=["Unfolding Fig. 17", "Unfolding Fig. 18"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10], "num_frames": 2, "num_passes": 2},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000},
    },
    metrics={**common.METRICS, FRAMES: link_sims.Metric("sum rate [bit/s/Hz]")},
    x_label="SNR [dB]",
)


class Superframe:
    """Channels of the users' angles in a frame."""

    def __init__(self, cfg, seed):
        self.cfg, self.seed, self.channel = cfg, seed, common.new_channel(cfg)
        irs.random.reset(irs.random.stream_key(seed, _ANGLES))
        self.angles = self.channel.draw_angles()
        turn = irs.random.normal(self.angles.shape, self.angles.dtype)
        self.turn = math.radians(cfg.drift_deg) * turn

    def angles_in(self, frame):
        """Angles [K, P, 2] in a frame."""
        return self.angles + tf.cast(frame, self.turn.dtype) * self.turn

    def key(self, word, index):
        """Start a stream that all schemes share."""
        irs.random.reset(irs.random.stream_key(self.seed, word, index))

    def samples(self, frame):
        """The channels that are known at the end of a frame."""
        self.key(_SAMPLES, frame)
        return self.channel(self.cfg.num_samples, self.angles_in(frame))

    def offline(self):
        """Fresh channels of the first frame."""
        return self.channel(self.cfg.training_batch, self.angles)

    def served(self, serve, state, frame):
        """(sum of the rates, number) over channels of a frame, the same for all schemes."""
        self.key(_TEST, frame)
        h = self.channel(self.cfg.batch_size, self.angles_in(frame))
        found = serve(state, h, *common.noise(self.cfg, self.cfg.frame_snr_db))
        return tf.reduce_sum(found["rate"]), h.shape[0]


def online_learning(cfg, superframe, layer, initial):
    """(start, learn): ``learn(state, t, frame) -> state`` takes a step over a frame's samples."""
    from sionna_irs.networks.adam import Adam

    low, high = cfg.training_snr_low_db, cfg.training_snr_high_db

    def loss(call, place):
        t, frame = place
        h = superframe.samples(frame)
        superframe.key(_NOISE, t)
        snr_db = low + (high - low) * irs.random.uniform([], layer.rdtype)
        return -tf.math.log(tf.reduce_mean(call(h, *common.noise(cfg, snr_db))["rate"])), {}

    optimizer = Adam(cfg.online_rate, beta_2=0.99, clip=1.0)
    start, advance = trainer.training(layer, optimizer, loss, initial=initial, replicable=False)
    return start, lambda state, t, frame: advance(state, (t, frame))[0]


def online_ssca(cfg, superframe, front):
    """(start, learn, serve): phases by SSCA from the same samples, classical algorithms behind."""
    sca = irs.SCA(cfg.num_streams, num_iter=10, precision=cfg.precision)
    design = irs.AnalogSSCA(front, sca)
    system = common.classical(cfg, front)[common.SHRUNK_SCA]
    no = common.noise(cfg, cfg.frame_snr_db)[0]

    def serve(state, *given):
        tx, rx = state["phases"]
        return system(*given, tx_phases=tx, rx_phases=rx)

    def learn(state, t, frame):
        return design.step(state, t, superframe.samples(frame), no)

    return design.start, learn, serve


@online.recursion(START, "num_steps", SUPERFRAMES, record_every=100)
def first(cfg, seed):
    """Redrawn angles: what a superframe begins with."""
    return common.stage(cfg, "all", START)


@online.recursion(BOX, "box_steps", SUPERFRAMES, record_every=100)
def box(cfg, seed):
    """The black box, its phases included, with the angles of the superframe."""
    return common.stage(
        cfg, "all", BOX, layer=common.new_black_box(cfg), draw=Superframe(cfg, seed).offline,
        num_steps=cfg.box_steps,
    )  # fmt: skip


@online.recursion(OFFLINE, "num_steps", SUPERFRAMES, record_every=100, after=START)
def offline(cfg, seed, initial):
    """The unfolded system with the angles of the superframe; its start is carried along."""
    start, advance = common.stage(cfg, "all", OFFLINE, initial, draw=Superframe(cfg, seed).offline)

    def carry(state, t):
        trained, sums = advance(state[OFFLINE], t)
        return {**state, OFFLINE: trained}, sums

    return lambda: {OFFLINE: start(), FIXED: initial}, carry


@online.recursion(SERVING, "num_frames", SUPERFRAMES, after=OFFLINE)
def frames(cfg, seed, initial):
    """A frame is served by all; then some learn from its samples."""
    superframe, layer = Superframe(cfg, seed), common.new_system(cfg)
    start, learn = online_learning(cfg, superframe, layer, initial[FIXED])
    front = trainer.assign(common.new_system(cfg), initial[FIXED]).front
    start_ssca, learn_ssca, serve_ssca = online_ssca(cfg, superframe, front)

    def serve(state, *given):
        return layer.stateless_call(state["weights"], state["averages"], *given)[0]

    def advance(state, frame):
        sums = {
            (FRAMES, curve): superframe.served(how, what, frame)
            for curve, how, what in (
                (ONLINE, serve, state[ONLINE]),
                (OFFLINE, serve, initial[OFFLINE]),
                (FIXED, serve, initial[FIXED]),
                (SSCA, serve_ssca, state[SSCA]),
            )
        }

        def body(i, state):
            t = frame * cfg.num_passes + i
            return i + 1, {
                ONLINE: learn(state[ONLINE], t, frame),
                SSCA: learn_ssca(state[SSCA], t, frame),
            }

        first = tf.constant(0, tf.int64)
        state = tf.while_loop(lambda i, _: i < cfg.num_passes, body, (first, state))[1]
        return state, sums

    return lambda: {ONLINE: start(), SSCA: start_ssca()}, advance


def behind(cfg, phases):
    """RLS with a prior and SCA behind given phases."""
    front = common.new_front(cfg)
    front.tx_phases.assign(phases[0])
    front.rx_phases.assign(phases[1])
    return common.classical(cfg, front)[common.SHRUNK_SCA]


def informed(cfg, phases, superframe):
    """LMMSE and error-aware SCA that are told the angles; phases that need not know them."""
    system = behind(cfg, phases)
    front, pilots, sca = system.front, system.estimator.pilots, system.precoder
    estimator = irs.EquivalentLMMSEEstimator(pilots, precision=cfg.precision)
    covariance = superframe.channel.equivalent_covariance(
        front.f_rf, front.w_rf, superframe.angles_in(cfg.num_frames)
    )

    def call(h, no, pilot_no):
        h_eq, r_w, gram = front(h)
        y = pilots(h_eq, r_w, gram, pilot_no)
        h_hat, error = estimator(y, pilot_no, covariance, r_w)
        f, w = sca(h_hat, r_w, gram, no, error=error)
        return {"rate": irs.metrics.stream_rate(h_eq, f, w, no, r_w), "h_eq": h_eq, "h_hat": h_hat}

    return call


def after_frames(cfg, trained, index, superframe):
    """Systems by curve after the last frame of a superframe."""
    states = {**trained[OFFLINE][index], ONLINE: trained[SERVING][index][ONLINE]}
    systems = {c: trainer.assign(common.new_system(cfg), state) for c, state in states.items()}
    systems[BOX] = trainer.assign(common.new_black_box(cfg), trained[BOX][index])
    phases = trained[SERVING][index][SSCA]["phases"]
    systems[SSCA], systems[INFORMED] = behind(cfg, phases), informed(cfg, phases, superframe)
    channel, angles = superframe.channel, superframe.angles_in(cfg.num_frames)
    chains = cfg.num_tx_chains, cfg.num_rx_chains
    beams = irs.steered_phases(channel.tx_array, channel.rx_array, angles, *chains)
    systems[STEERED] = behind(cfg, beams)
    return systems


@online.sweep(x="snr_db")
def curves(cfg, trained):
    """Sums over the superframes."""
    superframes = [Superframe(cfg, cfg.seed + index) for index in range(SUPERFRAMES)]
    systems = [after_frames(cfg, trained, *place) for place in enumerate(superframes)]

    def step(batch_size, snr_db):
        total = {}
        for superframe, found in zip(superframes, systems, strict=True):
            h = superframe.channel(batch_size, superframe.angles_in(cfg.num_frames))
            for curve, pair in common.measure(cfg, found, h, snr_db).items():
                before = total.get(curve, (0.0, 0.0))
                total[curve] = before[0] + pair[0], before[1] + pair[1]
        return total

    return step


@online.figure
def draw(results, figure):
    """Over frames at one SNR, mean and every superframe; over SNR after the last frame, mean."""
    figure.set_size_inches(7.2, 3.6)
    left, right = figure.subplots(1, 2)
    shown = (ONLINE, OFFLINE, FIXED, SSCA)
    for curve, style in common.styles(shown):
        units = results.units[FRAMES, curve]
        rates = [[rate / count for rate, count in units[x]] for x in sorted(units)]
        means = [sum(r) / len(r) for r in rates]
        left.plot(sorted(units), means, **style)
        left.plot(sorted(units), rates, ".", color=style["color"], markersize=3)
    draw_lines(right, results, common.RATE, {curve: curve for curve in shown})
    draw_lines(right, results, common.RATE, {c: c for c in (BOX, STEERED, INFORMED)}, "--",
               len(shown))  # fmt: skip
    left.set(xlabel="frame", ylabel=f"sum rate at {results.config.frame_snr_db:g} dB [bit/s/Hz]")
    right.set(xlabel="SNR [dB]", ylabel="sum rate after the last frame [bit/s/Hz]")
    figure.suptitle(results.experiment.title, fontsize=8)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False)  # fmt: skip


FIG_18 = "mixed-timescale paper, Fig. 18"
online.published("mixed-timescale paper, Fig. 17", common.above(ONLINE, FIXED, 10))
online.published(
    "mixed-timescale paper, Fig. 17: approaches it; set after seeing it pass",
    common.above(ONLINE, OFFLINE, 10),
)
online.published(
    f"{FIG_18}: about equal",
    {
        f"{ONLINE} within 5 % of {SSCA} at 10 dB": (
            measured.paired(common.RATE, ONLINE, SSCA, x=10).ratio_between(0.95, 1.05)
        )
    },
)
online.published(
    f"{FIG_18}; here the black box learns offline; set after seeing it",
    {**common.above(ONLINE, BOX, 10), **common.above(SSCA, BOX, 10)},
    "does-not-hold",
)
online.published(f"{FIG_18}; set after seeing it", common.above(SSCA, BOX, 20))
online.ours(
    f"this package: phases that know the angles alone; {common.SET}",
    common.above(ONLINE, STEERED, 10),
)
online.ours(
    f"this package: what statistics are worth that nobody learns; {common.SET}",
    common.above(INFORMED, BOX, 10),
)
