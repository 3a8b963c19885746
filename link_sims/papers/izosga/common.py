"""What the experiments on surface tuning share: scenarios, tuners, the recursion, block means."""

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import tf
from link_sims.results import intervals
from link_sims.results.claims import Value
from link_sims.results.plotting import COLORS, MARKERS

PHASE_STEP, AMPLITUDE_STEP, CAPACITANCE_STEP = 0.4, 0.01, 0.005
LOS_KEY, START_KEY = 11, 12
# The published size, which two cores reach.
PUBLISHED = {"num_replicas": 60, "num_steps": 40_000}
ORACLES = [1, 2, 3, 5, 10, 20, 50]
RATE = {"rate": link_sims.Metric("weighted sum rate [bit/s/Hz]")}


class ScenarioConfig(link_sims.Config):
    """One transmitter, single-antenna users around the foot of a surface, Rician fading.

    ``surface_heights_m`` has a surface for every height over the users' plane.
    """

    num_replicas: Annotated[int, Field(ge=2, le=10_000)] = 60
    num_tx_ant: link_sims.PositiveInt = 6
    num_users: Annotated[int, Field(ge=2, le=64)] = 4
    panel: Annotated[list[link_sims.PositiveInt], Field(min_length=2, max_length=2)] = [4, 10]
    surface: Literal["disc", "circle", "varactor"] = "disc"
    step_scale: link_sims.PositiveFloat = 1.0
    tx_power_dbm: float = 5.0
    noise_power_dbm: float = -80.0
    k_factor_surface_db: float = 5.0
    k_factor_direct_db: float = -5.0
    tx_distance_m: link_sims.Distance = 50.0
    surface_offset_m: link_sims.Distance = 3.0
    surface_heights_m: Annotated[list[float], Field(min_length=1, max_length=8)] = [0.0]
    user_radius_m: link_sims.Distance = 3.0
    correlation: Annotated[float, Field(ge=0, le=1)] = 0.5
    user_correlation: Annotated[float, Field(ge=0, le=1)] = 1.0
    multiplier: Literal["newton", "bisection", "closed_form"] = "newton"
    multiplier_steps: link_sims.PositiveInt = 4


def user_angles(count):
    """Angles of the users on their circle [radian]: the published four, or equal spacing."""
    degrees = [60, 30, 30, 60]
    if count != 4:
        degrees = [60 - 120 * k / (count - 1) for k in range(count)]
    return [math.radians(d) for d in degrees]


def path_gains(cfg):
    """Path gains, those from the transmitter over noise: (of every surface, of all users).

    Returns
    -------
    (list of (float, list of float), list of float)
        (transmitter-surface, [surface-user]) for every surface, and [transmitter-user].
    """
    budget = irs.LinkBudget.from_noise_power(cfg.tx_power_dbm, cfg.noise_power_dbm)
    x, y, r = cfg.tx_distance_m, cfg.surface_offset_m, cfg.user_radius_m
    angles = user_angles(cfg.num_users)

    def gain(distance, exponent):
        return irs.log_distance_path_gain(distance, exponent, reference_gain_db=-30.0)

    surfaces = []
    for z in cfg.surface_heights_m:
        to_users = [math.hypot(r * math.cos(a), y, z - r * math.sin(a)) for a in angles]
        surfaces.append(
            (budget.normalize(gain(math.hypot(x, y, z), 2.2)), [gain(d, 3.0) for d in to_users])
        )
    direct = [math.sqrt(x * x + r * r - 2 * x * r * math.cos(a)) for a in angles]
    return surfaces, [budget.normalize(gain(d, 3.4)) for d in direct]


def fixed_draw(cfg, word, shape):
    """Complex normal numbers that stay: one draw for every replica, from a key of its own."""
    irs.random.reset(irs.random.stream_key(cfg.seed, LOS_KEY, word))
    return irs.random.complex_normal([cfg.num_replicas, *shape], cfg.cdtype)


def user_correlations(panel, count, largest):
    """Kronecker factors [count, n, n] of the users' correlations, from 0 to `largest`."""
    factors = [irs.exponential_factors(panel, largest * k / (count - 1)) for k in range(count)]
    return tuple(np.stack(axis) for axis in zip(*factors, strict=True))


def new_surface(kind, panel, scale=1.0):
    """The surface and the published step sizes of its control, times ``scale``."""
    if kind == "disc":
        surface = irs.AdjustableAmplitude(panel)
        return surface, surface.spread(scale * PHASE_STEP, scale * AMPLITUDE_STEP)
    if kind == "circle":
        return irs.IdealPhases(panel), scale * PHASE_STEP
    return irs.Varactor(panel), scale * CAPACITANCE_STEP


def surface_hops(cfg, tx, panel, users, word, k_factor, to_surface, to_users):
    """The two hops over a surface; ``word`` names its lines of sight."""
    size = panel.num_ant
    incoming = irs.RicianHop(
        tx, panel, k_factor, to_surface, fixed_draw(cfg, word + 1, [size, tx.num_ant]),
        rx_correlation=irs.exponential_factors(panel, cfg.correlation),
    )  # fmt: skip
    outgoing = irs.RicianHop(
        panel, users, k_factor, to_users, fixed_draw(cfg, word + 2, [users.num_ant, size]),
        tx_correlation=user_correlations(panel, cfg.num_users, cfg.user_correlation),
    )  # fmt: skip
    return incoming, outgoing


def scenario(cfg, kind=None, k_factor=None):
    """(channel with noise variance 1, step sizes): surfaces in parallel and a direct path.

    ``k_factor`` (linear) replaces those of the links over surfaces. The line of sight is itself a
    fixed random draw, one for every replica, as published.
    """
    tx, users, panel = irs.ULA(cfg.num_tx_ant), irs.ULA(cfg.num_users), irs.UPA(*cfg.panel)
    gains, direct = path_gains(cfg)
    k_surface, k_direct = (
        10 ** (k / 10) for k in (cfg.k_factor_surface_db, cfg.k_factor_direct_db)
    )
    k_surface = k_surface if k_factor is None else k_factor
    hops, surfaces, step_sizes = {}, {}, {}
    for index, (to_surface, to_users) in enumerate(gains):
        name = f"s{index + 1}"
        surfaces[name], step_sizes[name] = new_surface(kind or cfg.surface, panel, cfg.step_scale)
        hops[f"tx>{name}"], hops[f"{name}>rx"] = surface_hops(
            cfg, tx, panel, users, 10 * index, k_surface, to_surface, to_users
        )
    hops["tx>rx"] = irs.RicianHop(
        tx, users, k_direct, direct, fixed_draw(cfg, 3, [users.num_ant, tx.num_ant])
    )
    return irs.SurfaceChannel(hops, surfaces), step_sizes


def new_oracle(cfg):
    """The WMMSE oracle of a configuration; its number of iterations is given in calls."""
    steps = None if cfg.multiplier == "closed_form" else cfg.multiplier_steps
    return irs.WMMSE(multiplier=cfg.multiplier, num_steps=steps, start="ones")


def first_controls(cfg, channel):
    """Where every curve starts: random, the same for all curves of a replica."""
    controls = {}
    for word, (name, surface) in enumerate(channel.surfaces.items()):
        irs.random.reset(irs.random.stream_key(cfg.seed, START_KEY, word))
        low, high = surface.starts()["random"]
        shape = [cfg.num_replicas, surface.num_elements]
        u = low + (high - low) * irs.random.uniform(shape, surface.rdtype)
        if surface.num_controls > surface.num_elements:  # phases, then amplitudes
            u = tf.concat([u, tf.ones_like(u)], -1)
        controls[name] = surface.project(u)
    return controls


@dataclasses.dataclass(frozen=True)
class Curve:
    """What a curve does in iteration t (int64 tensor).

    Parameters
    ----------
    num_iter : callable
        t -> iterations of the oracle, int32 tensor.
    moves : tuple of str, or callable
        Surfaces that are tuned; or t -> whether all of them are, boolean tensor.
    counts : callable or None
        t -> whether the iteration counts in the results; None counts all.
    """

    num_iter: Callable
    moves: tuple | Callable = ("s1",)
    counts: Callable | None = None

    def moving(self, name, t):
        """Whether a surface is tuned, boolean tensor."""
        return self.moves(t) if callable(self.moves) else tf.constant(name in self.moves)


def fixed(num_iter, moves=("s1",)):
    """A curve whose oracle stays; without ``moves`` the random surface."""
    return Curve(lambda t: tf.constant(num_iter), moves)


def tune(cfg, channel, step_sizes, curves):
    """(start, advance) of a recursion: surfaces tuned side by side.

    Parameters
    ----------
    cfg : ScenarioConfig
    channel, step_sizes
        From :func:`scenario`.
    curves : dict
        Name -> :class:`Curve`.

    All curves of a replica see the same channels, starts and probing directions. The controls of
    all curves are stacked, and one compiled body serves them one after the other.
    """
    tuner = irs.ZerothOrder(new_oracle(cfg), channel.surfaces, step_sizes)

    def start():
        first = first_controls(cfg, channel)
        return tf.nest.map_structure(lambda c: tf.stack([c] * len(curves)), first)

    def advance(state, t):
        observe = channel.observation(channel.draw(cfg.num_replicas))
        directions = tuner.draw_directions({name: c[0] for name, c in state.items()})
        num_iter = tf.stack([curve.num_iter(t) for curve in curves.values()])
        moving = {
            name: tf.stack([curve.moving(name, t) for curve in curves.values()]) for name in state
        }

        def one(arguments):
            controls, moving, iterations = arguments
            moved, record = tuner.step(controls, t, observe, directions, num_iter=iterations)
            kept = {n: tf.where(moving[n], moved[n], c) for n, c in controls.items()}
            return kept, record["rate"]

        rates = tf.TensorSpec([cfg.num_replicas], channel.rdtype)
        state, found = each(one, state, (moving, num_iter), rates)
        sums = {}
        for i, (name, curve) in enumerate(curves.items()):
            weight = 1.0 if curve.counts is None else tf.cast(curve.counts(t), channel.rdtype)
            sums["rate", name] = (weight * found[i], weight)
        return state, sums

    return start, advance


TUNED, RANDOM = "tuned", "random"  # the surfaces of tuned_and_random, in the order of its state


def tuned_and_random(cfg):
    """(start, advance) of a recursion: a tuned surface, and the random one that stays."""
    curves = {TUNED: fixed(cfg.num_iter), RANDOM: fixed(cfg.num_iter, ())}
    return tune(cfg, *scenario(cfg), curves)


def channels_of(channel, links, trained):
    """{surface: H} of the final state of :func:`tuned_and_random`."""
    controls = {name: trained["tuning"][0]["s1"][i] for i, name in enumerate((TUNED, RANDOM))}
    return {
        name: channel.compose(links, channel.reflect({"s1": c})) for name, c in controls.items()
    }


def check_batch(cfg):
    """ValueError unless a draw has an example for every replica."""
    if cfg.batch_size != cfg.num_replicas:
        raise ValueError(
            f"batch_size = {cfg.batch_size}: num_replicas = {cfg.num_replicas} is needed"
        )


def ratio_of_gains(results, pair, reference, x) -> Value:
    """(a - b) of one pair of curves over that of another, by replica, to be judged."""
    gaps = []
    for a, b in (pair, reference):
        units = zip(*(results.over("rate", c, x) for c in (a, b)), strict=True)
        gaps.append([p[0] / p[1] - q[0] / q[1] for p, q in units])
    units = list(zip(*gaps, strict=True))
    above, below = intervals.total(units)
    return Value(above / below, *intervals.ratio(units))


def draw_bands(axes, results, curves, style="-", first_color=0):
    """Block means over iterations with bands over replicas."""
    for index, curve in enumerate(curves, first_color):
        points = results.points("rate", curve)
        blocks = [b - a for a, b in zip([0, *points], points, strict=False)]
        x = [b - width / 2 for b, width in zip(points, blocks, strict=True)]
        y = [results.value("rate", curve, p) for p in points]
        ends = [results.interval("rate", curve, p) for p in points]
        color = COLORS[index % len(COLORS)]
        axes.plot(x, y, style, color=color, label=curve)
        axes.fill_between(x, *zip(*ends, strict=True), color=color, alpha=0.12, linewidth=0)
    axes.locator_params(axis="x", nbins=5)
    axes.set(xlabel=results.experiment.x_label, ylabel="weighted sum rate [bit/s/Hz]")


def draw_curves(figure, results, curves, dashed=()):
    """A figure of one panel: curves with bands, those in ``dashed`` in the same colours."""
    figure.set_size_inches(3.6, 3.8)
    axes = figure.subplots()
    draw_bands(axes, results, curves)
    draw_bands(axes, results, dashed, "--")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    axes.set_title(results.experiment.title)


def draw_values(figure, results, x, rows, ncols=2, **settings):
    """A figure of one panel: {label: values with their intervals} over ``x``."""
    figure.set_size_inches(3.6, 3.6)
    axes = figure.subplots()
    for index, (label, values) in enumerate(rows.items()):
        axes.errorbar(
            x, [v.value for v in values],
            yerr=[[v.value - v.low for v in values], [v.high - v.value for v in values]],
            color=COLORS[index], marker=MARKERS[index], markerfacecolor="none", capsize=2,
            label=label,
        )  # fmt: skip
    axes.set(ylabel="weighted sum rate [bit/s/Hz]", **settings)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=ncols, frameon=False)
    axes.set_title(results.experiment.title)


def each(one, state, settings, rates):
    """(states, rates) of ``one`` for every curve: the first axis of `state` and `settings`.

    One compiled body serves all curves, one after the other; ``rates`` is the spec of its second
    result.
    """
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape[1:], x.dtype), state)
    return tf.map_fn(one, (state, *settings), fn_output_signature=(specs, rates))
