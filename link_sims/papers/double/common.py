"""What the experiments on two surfaces share: the scenario, its channels, capacities."""

import math
from typing import Annotated

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import tf
from link_sims.results.claims import Value
from link_sims.results.plotting import draw_lines

SHORT = {"distance_m": 10.0, "offset_m": 1.0, "height_m": 1.0}
CAPACITY = {
    "capacity": link_sims.Metric("capacity [bit/s/Hz]", interval="ratio", range=None),
}


class DoubleConfig(link_sims.Config):
    """Four antennas at both ends, two surfaces, the direct path blocked."""

    num_tx_ant: link_sims.PositiveInt = 4
    num_rx_ant: link_sims.PositiveInt = 4
    num_scatterers: link_sims.PositiveInt = 10
    angular_spread: Annotated[float, Field(ge=0, le=2 * math.pi)] = math.pi / 2
    scatterer_spread: Annotated[float, Field(ge=0, le=2 * math.pi)] = math.pi / 2
    scatterer_spacing: link_sims.PositiveFloat = 10.0
    distance_m: Annotated[float, Field(ge=1)] = 50.0
    offset_m: Annotated[float, Field(ge=1)] = 5.0
    height_m: Annotated[float, Field(ge=0)] = 3.0
    noise_power_dbm: float = -80.0
    batch_size: link_sims.PositiveInt = 12
    max_units: link_sims.PositiveInt = 8


def new_channel(cfg, num_elements, k_factor, tx_power_dbm=None, **changes):
    """The channel of a configuration: unit noise, and unit transmit power where that is given."""
    geometry = irs.DoubleGeometry(cfg.distance_m, cfg.offset_m, cfg.height_m)
    watt = 1.0 if tx_power_dbm is None else irs.dbm_to_watt(tx_power_dbm)
    arguments = {
        "num_scatterers": cfg.num_scatterers,
        "angular_spread": cfg.angular_spread,
        "scatterer_spread": cfg.scatterer_spread,
        "scatterer_spacing": cfg.scatterer_spacing,
        "geometry": geometry,
        "noise_power_dbm": cfg.noise_power_dbm - irs.linear_to_db(watt),
        **changes,
    }
    return irs.DoubleSurfaceChannel(
        cfg.num_tx_ant, cfg.num_rx_ant, num_elements, k_factor, **arguments
    )


def channel_of(links, controls):
    """H of links with phases, whatever hops the links have."""
    return irs.end_to_end(links, {n: tf.complex(tf.cos(c), tf.sin(c)) for n, c in controls.items()})


def capacities(links, designs):
    """{curve: capacity [batch_size]} of controls, or of (links, controls), by curve."""
    pairs = {n: d if isinstance(d, tuple) else (links, d) for n, d in designs.items()}
    values = irs.capacity(tf.stack([channel_of(*pair) for pair in pairs.values()]), no=1.0)
    return dict(zip(pairs, tf.unstack(values), strict=True))


def side_by_side(draws):
    """Several draws as one batch, and the way back: values [count x batch_size] -> a list."""
    links = {name: tf.concat([draw[name] for draw in draws], 0) for name in draws[0]}
    return links, lambda values: tf.split(values, len(draws))


def sums(values, batch_size, metric="capacity"):
    """{(metric, curve): (sum, count)} of values [batch_size] by curve."""
    return {(metric, name): (tf.reduce_sum(x), batch_size) for name, x in values.items()}


def without(links, *names):
    """The links but for some hops."""
    return {name: hop for name, hop in links.items() if name not in names}


def single(links):
    """The links over surface 1 alone."""
    return without(links, "s1>s2", "tx>s2", "s2>rx")


def curve_name(name, k_factor):
    """Name of a curve of one Rician factor."""
    return f"{name}, K={k_factor:g}"


def draw_panels(figure, results, k_factors, metric="capacity"):
    """A panel for every Rician factor, one legend."""
    figure.set_size_inches(2.4 * len(k_factors) + 0.6, 3.6)
    panels = figure.subplots(1, len(k_factors), sharey=True, squeeze=False)[0]
    for axes, k in zip(panels, k_factors, strict=True):
        ending = curve_name("", k)
        names = [c for _, c in results.curves(metric) if c.endswith(ending)]
        draw_lines(axes, results, metric, {name: name.removesuffix(ending) for name in names})
        axes.set(title=f"K = {k:g}", xlabel=results.experiment.x_label)
    panels[0].set_ylabel(results.experiment.metric(metric).label)
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


def gap_over_x(results, metric, curve, last, first) -> Value:
    """A curve of replicas at one x minus the same at another, paired, to be judged."""
    return results.difference(metric, curve, curve, last, first)
