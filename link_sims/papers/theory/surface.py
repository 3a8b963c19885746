"""Moments of Rician hops, and the gain of a surface: N at random, N squared aligned."""

import math

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

GAIN = {"gain": link_sims.Metric("mean channel gain", scale="log", interval="ratio", range=None)}


class GainConfig(link_sims.Config):
    """One antenna on both ends, Rayleigh hops of unit mean power per element."""

    num_elements: link_sims.IntGrid = [4, 16, 64, 256]
    num_bits: list[link_sims.PhaseBits] = [1, 2]
    batch_size: link_sims.PositiveInt = 2000
    min_units: link_sims.PositiveInt = 2
    max_units: link_sims.PositiveInt = 20
    rel_precision: link_sims.PositiveFloat | None = 0.01


PROFILES = {
    "smoke": {"num_elements": [4, 16], "max_units": 5, "batch_size": 500},
    "cpu": {},
    "paper": {"max_units": 500, "rel_precision": 0.001},
}

gain = link_sims.Experiment(
    "theory/surface-gain",
    title="Mean gain of a surface against its size",
    config=GainConfig,
    profiles=PROFILES,
    metrics=GAIN,
    x_label="number of elements N",
    x_scale="log",
)


@gain.sweep(x="num_elements", static=True)
def surface_gain(cfg, trained, num_elements):
    """|h|^2 with random, aligned and b-bit phases on the same channels."""
    antenna, panel = irs.ULA(1), irs.ULA(num_elements)
    hops = {"tx>s1": irs.RayleighHop(antenna, panel), "s1>rx": irs.RayleighHop(panel, antenna)}
    channels = {
        name: irs.SurfaceChannel(hops=hops, surfaces={"s1": surface})
        for name, surface in {
            "aligned": irs.IdealPhases(panel),
            **{f"{b} bit": irs.DiscretePhases(panel, num_bits=b) for b in cfg.num_bits},
        }.items()
    }
    random_phases, aligned = irs.RandomPhases(), irs.AlignedPhases()

    def power(channel, links, controls):
        h = channel.compose(links, channel.reflect(controls))
        return tf.reduce_sum(tf.square(tf.abs(h)))

    def step(batch_size, _):
        links = channels["aligned"].draw(batch_size)
        controls = aligned(links)
        powers = {name: power(channel, links, controls) for name, channel in channels.items()}
        powers["random"] = power(channels["aligned"], links, random_phases(links))
        return {("gain", name): (value, batch_size) for name, value in powers.items()}

    return step


def aligned_gain(num_elements, num_bits=None):
    r"""E|h|^2 of co-phased Rayleigh hops: N + N(N-1) (pi/4)^2 sinc^2(2^-b).

    The mean magnitude of a product of two unit Rayleigh variables is pi/4; phases rounded to
    2^b values leave uniform errors, whose mean cosine is sinc(2^-b) = sin(pi/2^b)/(pi/2^b).
    """
    loss = 1.0
    if num_bits is not None:
        angle = math.pi / 2**num_bits
        loss = math.sin(angle) / angle
    return num_elements + num_elements * (num_elements - 1) * (math.pi / 4 * loss) ** 2


@gain.table
def gain_theory(cfg):
    """N with random phases; N + N(N-1)(pi/4)^2 aligned; the quantisation loss exactly."""
    rows = []
    for n in cfg.num_elements:
        rows.append(link_sims.row("gain", "random, exact", n, n))
        rows.append(link_sims.row("gain", "aligned, exact", n, aligned_gain(n)))
        for b in cfg.num_bits:
            rows.append(link_sims.row("gain", f"{b} bit, exact", n, aligned_gain(n, b)))
    return rows


gain.theory(
    "Wu and Zhang 2019, proposition 2; link_sims.papers.theory.surface.aligned_gain",
    {
        text: measured.agrees("gain", curve, f"{curve}, exact")
        for curve, text in {
            "random": "random phases: the mean gain is N",
            "aligned": "aligned phases: the mean gain grows with N squared",
            "1 bit": "1-bit phases keep (2/pi)^2 of the coherent gain",
            "2 bit": "2-bit phases keep 8/pi^2 of the coherent gain",
        }.items()
    },
)


class RicianConfig(link_sims.Config):
    """A Rician hop of one antenna on both ends."""

    k_factor_db: link_sims.Grid = [-10, 0, 10, 20]
    batch_size: link_sims.PositiveInt = 20_000
    min_units: link_sims.PositiveInt = 2
    max_units: link_sims.PositiveInt = 50
    rel_precision: link_sims.PositiveFloat | None = 0.005


rician = link_sims.Experiment(
    "theory/rician-moments",
    title="Moments of a Rician hop",
    config=RicianConfig,
    profiles={"smoke": {"max_units": 5}, "cpu": {}, "paper": {"max_units": 1000}},
    metrics={"moment": link_sims.Metric("moment", interval="ratio", range=None)},
    x_label="Rician factor K [dB]",
)


@rician.sweep(x="k_factor_db", static=True)
def rician_moments(cfg, trained, k_factor_db):
    """E|h|^2, E|h|^4 and |E h|^2 (from independent pairs, so that it has no bias)."""
    hop = irs.RicianHop(irs.ULA(1), irs.ULA(1), k_factor=10 ** (k_factor_db / 10))

    def step(batch_size, _):
        h, other = hop(batch_size)[:, 0, 0], hop(batch_size)[:, 0, 0]
        power = tf.square(tf.abs(h))
        moments = {
            "E|h|^2": power,
            "E|h|^4": tf.square(power),
            "|E h|^2": tf.math.real(h * tf.math.conj(other)),
        }
        return {("moment", k): (tf.reduce_sum(v), batch_size) for k, v in moments.items()}

    return step


@rician.table
def rician_theory(cfg):
    """1, (K^2 + 4K + 2)/(K+1)^2 and K/(K+1)."""
    rows = []
    for x in cfg.k_factor_db:
        k = 10 ** (x / 10)
        rows.append(link_sims.row("moment", "E|h|^2, exact", x, 1.0))
        fourth = (k**2 + 4 * k + 2) / (k + 1) ** 2
        rows.append(link_sims.row("moment", "E|h|^4, exact", x, fourth))
        rows.append(link_sims.row("moment", "|E h|^2, exact", x, k / (k + 1)))
    return rows


# |E h|^2 is small at low K, where the relative width of its interval says little.
rician.theory(
    "Simon and Alouini, Digital Communication over Fading Channels, ch. 2: moments of Rice",
    {
        f"{name} follows its closed form": measured.agrees("moment", name, f"{name}, exact", 0.5)
        for name in ("E|h|^2", "E|h|^4", "|E h|^2")
    },
)
