"""Phase shifters of few bits: behind trained phases, and behind beams steered at known paths."""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from ...training import training as trainer
from . import common

BITS = (1, 2, 3, 4, 8)
# Steered beams of few bits may coincide. What every chain wastes and hears by itself, in shares of
# its power, keeps the digital part defined.
SELF_COUPLING = 1e-3
EXACT, SSCA, RANDOM, TUNED = "exact", "SSCA", "random", "1 bit, fine-tuned"


def of_bits(bits):
    """Name of the curve of quantised phases."""
    return EXACT if bits is None else f"{bits} bit{'s' if bits > 1 else ''}"


class Config(common.HybridConfig):
    """Phases are trained for two stages; SSCA sees as many channels, and so does fine tuning."""

    snr_db: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    num_iter: link_sims.PositiveInt = 30
    num_steps: link_sims.PositiveInt = 600

    @property
    def ssca_steps(self):
        """Updates of SSCA: the steps of both stages."""
        return 2 * self.num_steps


phase_bits = link_sims.Experiment(
    "hybrid/phase-bits",
    title="Trained phases of few bits, known channels, 16 and 8 antennas, 2 users",
    answers=["Unfolding Fig. 12"],
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10]},
        "cpu": {},
        "paper": {**common.FULL, "num_steps": 20_000, "num_iter": 60},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)


@phase_bits.recursion("first stage", "num_steps", record_every=100)
def first_stage(cfg, seed):
    """Exact phases and precoder together."""
    return common.stage(cfg, "analog", "first stage")


@phase_bits.recursion(EXACT, "num_steps", record_every=100, after="first stage")
def exact(cfg, seed, initial):
    """Exact phases go on; they are quantised afterwards."""
    return common.stage(cfg, "analog", EXACT, initial)


@phase_bits.recursion(TUNED, "num_steps", record_every=100, after="first stage")
def tuned(cfg, seed, initial):
    """The second stage with phases of one bit, whose gradient passes straight through."""
    return common.stage(cfg, "analog", TUNED, initial, layer=one_bit(cfg))


def one_bit(cfg):
    """The system behind phases of one bit."""
    system = common.new_system(cfg)
    return irs.HybridSystem(common.new_front(cfg, num_bits=1), system.precoder, system.estimator)


@phase_bits.recursion(SSCA, "ssca_steps", record_every=100)
def ssca(cfg, seed):
    """Phases by SSCA behind ten iterations of SCA."""
    channel, no = common.new_channel(cfg), common.noise(cfg, cfg.training_snr_high_db)[0]
    design = irs.AnalogSSCA(common.new_front(cfg), known(cfg, num_iter=10))

    def advance(state, t):
        state = design.step(state, t, channel(cfg.training_batch), no)
        return state, {(common.TRAINING_RATE, SSCA): (state["rate"], 1)}

    return design.start, advance


def known(cfg, **changes):
    """SCA for known channels."""
    settings = {"num_iter": cfg.num_iter, "precision": cfg.precision}
    return irs.SCA(cfg.num_streams, **{**settings, **changes})


def behind(cfg, front):
    """SCA with known channels behind a front end."""
    return irs.HybridSystem(front, known(cfg))


def with_phases(cfg, phases, bits=None):
    """SCA behind the given phases, quantised."""
    front = common.new_front(cfg, num_bits=bits)
    for variable, value in zip((front.tx_phases, front.rx_phases), phases, strict=True):
        variable.assign(value)
    return behind(cfg, front)


@phase_bits.sweep(x="snr_db")
def trained_curves(cfg, trained):
    """Known channels with redrawn angles."""
    front = trainer.assign(common.new_system(cfg), trained[EXACT][0]).front
    phases = front.tx_phases, front.rx_phases
    systems = {of_bits(bits): with_phases(cfg, phases, bits) for bits in (*BITS, None)}
    systems[TUNED] = behind(cfg, trainer.assign(one_bit(cfg), trained[TUNED][0]).front)
    systems[SSCA] = with_phases(cfg, trained[SSCA][0]["phases"])
    systems[RANDOM] = behind(cfg, common.new_front(cfg))
    return common.compare(cfg, systems)


class SteeredConfig(common.HybridConfig):
    """The published setting; the angles are those of a superframe, which every example has its own.

    Nothing is trained.
    """

    snr_db: link_sims.Grid = [-5, 0, 5, 10, 15, 20]
    num_iter: link_sims.PositiveInt = 30
    batch_size: link_sims.PositiveInt = 32
    max_units: link_sims.PositiveInt = 4


steered = link_sims.Experiment(
    "hybrid/phase-bits-steered",
    title="Steered beams of few bits, known channels, 64 and 32 antennas, 4 users",
    config=SteeredConfig,
    profiles={
        "smoke": {**common.SMOKE, "snr_db": [10]},
        "cpu": common.FULL,
        "paper": {**common.FULL, "max_units": 32, "num_iter": 60},
    },
    metrics=common.METRICS,
    x_label="SNR [dB]",
)


@steered.sweep(x="snr_db")
def steered_curves(cfg, trained):
    """Beams at four paths of every user, on the same channels as random phases."""
    channel, sca = common.new_channel(cfg), known(cfg)
    fronts = {of_bits(bits): common.new_front(cfg, num_bits=bits) for bits in (*BITS, None)}
    random = common.new_front(cfg)
    chains = cfg.num_tx_chains, cfg.num_rx_chains

    def rate(no, h_eq, r_w, gram):
        r_w, gram = (x + SELF_COUPLING * tf.eye(x.shape[-1], dtype=x.dtype) for x in (r_w, gram))
        f, w = sca(h_eq, r_w, gram, no)
        return tf.reduce_sum(irs.metrics.stream_rate(h_eq, f, w, no, r_w)), h_eq.shape[0]

    def step(batch_size, snr_db):
        angles = channel.draw_angles([batch_size])
        h, (no, _) = channel(batch_size, angles), common.noise(cfg, snr_db)
        phases = irs.steered_phases(channel.tx_array, channel.rx_array, angles, *chains)
        seen = {curve: front(h, *phases) for curve, front in fronts.items()}
        seen[RANDOM] = random(h)
        return {(common.RATE, curve): rate(no, *links) for curve, links in seen.items()}

    return step


@phase_bits.figure
def draw_share(results, figure):
    """In percent of exact phases: the curves themselves lie on each other."""
    figure.set_size_inches(4.6, 4.2)
    axes = figure.subplots()
    shown = (*map(of_bits, BITS), TUNED, SSCA)
    for curve, style in common.styles(shown):
        (xs, rates), (_, whole) = (common.line(results, common.RATE, c) for c in (curve, EXACT))
        share = [100 * a / b for a, b in zip(rates, whole, strict=True)]
        axes.plot(xs, share, "--" if curve in (TUNED, SSCA) else "-", **style)
    axes.set(xlabel="SNR [dB]", ylabel="sum rate [% of exact phases]")
    axes.set_title(results.experiment.title, fontsize=8)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)


@steered.figure
def draw(results, figure):
    """Resolutions as lines."""
    shown = [of_bits(bits) for bits in (*BITS, None)]
    common.draw_rates(results, figure, shown, {RANDOM: RANDOM}, ncols=4)


def times(a, b, low, high):
    """Check {text: check} of the ratio of two rates."""
    return {
        f"{a} is {low:g} to {high:g} times {b} at 10 dB": (
            measured.paired(common.RATE, a, b, x=10).ratio_between(low, high)
        )
    }


PAPER = "mixed-timescale paper, Fig. 12"
for _experiment in (phase_bits, steered):
    _experiment.published(
        f"{PAPER}: 8 bits approach infinitely many", times("8 bits", EXACT, 0.998, 1.002)
    )
phase_bits.ours(
    "this package; set from other channels of the same statistics, 2026-11",
    {
        f"{curve}: {rate:g} +- 0.4 bit/s/Hz at 10 dB": (
            measured.at(common.RATE, curve, 10).within(rate, 0.4)
        )
        for curve, rate in {"1 bit": 10.75, EXACT: 11.38}.items()
    },
)
phase_bits.ours(
    "this package: 3 bits are enough, both gradients agree, trained phases gain, 2026-11",
    {
        **times("3 bits", EXACT, 0.98, 1.0),
        **times(SSCA, EXACT, 0.98, 1.02),
        **times(EXACT, RANDOM, 1.1, 1.25),
    },
)
phase_bits.ours(
    "this package: training through the rounding, 2026-11", common.above(TUNED, "1 bit", 10), "open"
)
steered.published(
    f"{PAPER}: resolution matters; set after seeing it", times("1 bit", EXACT, 0.6, 0.8)
)
steered.ours(f"this package; {common.SET}", times("3 bits", EXACT, 0.96, 0.99))
steered.ours(
    "this package; set from other superframes, its tolerance from the cpu profile, 2026-11",
    {
        f"{EXACT}: 105.9 +- 9 bit/s/Hz at 10 dB": (
            measured.at(common.RATE, EXACT, 10).within(105.9, 9)
        )
    },
)
