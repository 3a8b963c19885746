"""A walk past a panel: its points, the places around them, the gains and errors along it."""

from typing import Annotated

import numpy as np
from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import tf
from link_sims.results.plotting import COLORS, panel, shown_value

from .common import (
    ALIGNED,
    CLOSED,
    DIRECT,
    RANDOM,
    CodedLink,
    SceneConfig,
    closed_form,
    gains,
    hops_of,
    label,
    line_of_sight,
    responder,
    users_at,
)


class WalkConfig(SceneConfig):
    """The walk, the places around its points, a second carrier for the gains, and the map."""

    y_m: link_sims.Grid = list(range(-4, 37))
    user_x_m: Annotated[float, Field(ge=-1e5, le=1e5)] = 24.0
    num_places: Annotated[int, Field(ge=1, le=1000)] = 16
    spread_m: Annotated[float, Field(ge=0, le=100)] = 0.25
    second_carrier_hz: Annotated[float, Field(ge=1e8, le=3e11)] | None = 28e9
    second_num_rows: Annotated[int, Field(ge=1, le=1000)] = 64
    second_num_cols: Annotated[int, Field(ge=1, le=1000)] = 64
    map_x_m: link_sims.Grid | None = list(range(17, 32))
    map_y_m: link_sims.Grid | None = list(range(-8, 38))
    batch_size: link_sims.PositiveInt = 100
    max_units: Annotated[int, Field(ge=2, le=10**6)] = 6

    def check(self):
        """The scene's own checks; a map has two axes; the carriers differ."""
        super().check()
        if (self.map_x_m is None) != (self.map_y_m is None):
            raise ValueError("map_x_m and map_y_m: both or none are needed")
        if self.second_carrier_hz == self.carrier_frequency_hz:
            raise ValueError(
                f"second_carrier_hz = {self.second_carrier_hz}: another one than "
                "carrier_frequency_hz is needed"
            )


def places_of(cfg):
    """Users [points * num_places, 3]: each point of the walk, then places in a square around it."""
    # Multiples of two irrational numbers fill the square evenly; the first is its centre.
    steps = np.arange(cfg.num_places)[:, None] * [0.7548776662466927, 0.5698402909980532]
    offsets = (2 * np.mod(0.5 + steps, 1.0) - 1) * cfg.spread_m
    y = np.asarray(cfg.y_m)[:, None] + offsets[:, 1]
    return users_at(cfg, cfg.user_x_m + offsets[:, 0], y)


def second(cfg):
    """The configuration at the second carrier, with its panel."""
    names = ("num_rows", "num_cols")
    changes = {name: getattr(cfg, f"second_{name}") for name in names}
    return cfg.model_copy(update={"carrier_frequency_hz": cfg.second_carrier_hz, **changes})


def curves(cfg, trained):
    """Block errors and rates at places drawn around a point of the walk."""
    respond, link = responder(cfg, hops_of(cfg, places_of(cfg))), CodedLink(cfg)

    def step(batch_size, y_m):
        point = tf.argmin(tf.abs(tf.constant(cfg.y_m, y_m.dtype) - y_m), output_type=tf.int32)
        place = irs.random.integers([batch_size], cfg.num_places)
        return link(respond(point * cfg.num_places + place))

    return step


def gain_rows(cfg, hops, stride=1):
    """Gains at the points of the walk, every ``stride``-th position; no row where there is none."""
    found = gains(hops)
    found[CLOSED] = np.where(line_of_sight(hops), closed_form(hops), 0.0)
    return [
        link_sims.row("gain", label(kind, hops.carrier_frequency), y, value)
        for kind, values in found.items()
        for y, value in zip(cfg.y_m, values[::stride], strict=True)
        if value > 0
    ]


def draw_gains(axes, results):
    """Gains along the walk at the carriers; colours as those of the schemes beside."""
    kind = results.experiment.metric("gain")
    carriers = [results.config.carrier_frequency_hz, results.config.second_carrier_hz]
    carriers = dict(zip(filter(None, carriers), ("-", "--"), strict=False))
    for carrier, style in reversed(carriers.items()):
        for name, color in zip((DIRECT, RANDOM, ALIGNED, CLOSED), (*COLORS[:3], "k"), strict=True):
            curve = label(name, carrier)
            y = results.points("gain", curve)
            values = [shown_value(kind, results.value("gain", curve, v)) for v in y]
            axes.plot(y, values, style, color=color, label=curve)
    styles = {"-": "solid", "--": "dashed"}
    axes.set_title(", ".join(f"{styles[s]}: {c / 1e9:g} GHz" for c, s in carriers.items()))
    axes.set_ylabel(kind.label)


def draw_walk(figure, bottom, results):
    """Gains, block errors and rates along the walk, with a legend of the schemes; the axes."""
    left, *coded = bottom.subplots(1, 3)
    draw_gains(left, results)
    for axes, metric in zip(coded, ("bler", "rate"), strict=True):
        panel(axes, results, metric)
        axes.get_legend().remove()
    handles, names = coded[0].get_legend_handles_labels()
    handles, names = [*handles, left.lines[-1]], [*names, CLOSED]
    figure.legend(handles, names, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)
    return left, *coded
