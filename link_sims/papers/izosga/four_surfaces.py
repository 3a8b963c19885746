"""Two transmitters as one array, four varactor panels, eight users on a circle."""

import math
from typing import Annotated, Literal

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from . import common

PANEL_ANGLES = (45, 135, 225, 315)
USER_ANGLES = (120, 150, 210, 240, 300, 330, 30, 60)


class Config(common.ScenarioConfig):
    """Each transmitter is seen over two of the panels, and both directly."""

    num_replicas: Annotated[int, Field(ge=2, le=10_000)] = 8
    num_users: Annotated[int, Field(ge=8, le=8)] = 8
    panel: Annotated[list[link_sims.PositiveInt], Field(min_length=2, max_length=2)] = [20, 20]
    surface: Literal["disc", "circle", "varactor"] = "varactor"
    step_scale: link_sims.PositiveFloat = 0.25
    tx_distance_m: link_sims.Distance = 70.0
    panel_radius_m: link_sims.Distance = 12.0
    panel_height_m: link_sims.Distance = 2.0
    user_radius_m: link_sims.Distance = 9.0
    num_iter: link_sims.PositiveInt = 20
    num_steps: link_sims.PositiveInt = 300

    def check(self):
        """The panels stand on a circle."""
        for name in ("surface_heights_m", "surface_offset_m"):
            value, default = getattr(self, name), type(self).model_fields[name].default
            if value != default:
                raise ValueError(
                    f"{name} = {value}: only {default} is permitted; the panels stand at "
                    "panel_radius_m and panel_height_m"
                )


four_surfaces = link_sims.Experiment(
    "izosga/four-surfaces",
    title="Two transmitters, four varactor panels of 20 x 20, eight users, I=20",
    config=Config,
    profiles={
        "smoke": {"num_replicas": 2, "panel": [2, 2], "num_steps": 6, "num_iter": 2},
        "cpu": {},
        "paper": {"num_replicas": 60, "num_steps": 100_000},
    },
    metrics=common.RATE,
    x_label="iteration (channel realisation)",
    execution_cpu="xla",
)


class JointObservation:
    """The channels of several transmitters side by side: one array of all their antennas."""

    def __init__(self, parts):
        self.parts = parts

    def _joint(self, function, *controls):
        """[batch_size, K, all antennas]; every part takes the controls of its own surfaces."""
        found = []
        for part in self.parts:
            own = [{name: c[name] for name in part.channel.surfaces} for c in controls]
            found.append(function(part, *own))
        return tf.concat(found, -1)

    def __call__(self, controls):
        return self._joint(lambda part, c: part(c), controls)

    def change(self, controls, direction, radius):
        """As that of the parts."""
        return self._joint(lambda part, c, u: part.change(c, u, radius), controls, direction)


class JointChannel:
    """Channels of several transmitters over surfaces of their own, for :func:`common.tune`."""

    def __init__(self, channels):
        self.channels, self.rdtype = channels, channels[0].rdtype
        self.surfaces = {name: s for c in channels for name, s in c.surfaces.items()}

    def draw(self, batch_size):
        """The links of every transmitter."""
        return [channel.draw(batch_size) for channel in self.channels]

    def observation(self, links):
        """Controls -> H [batch_size, K, all antennas]."""
        parts = zip(self.channels, links, strict=True)
        return JointObservation([channel.observation(own) for channel, own in parts])


def joint_scenario(cfg):
    """(channel, step sizes); distances are those of each transmitter's own place."""
    budget = irs.LinkBudget.from_noise_power(cfg.tx_power_dbm, cfg.noise_power_dbm)
    tx, users, panel = irs.ULA(cfg.num_tx_ant), irs.ULA(cfg.num_users), irs.UPA(*cfg.panel)
    k_surface, k_direct = (
        10 ** (k / 10) for k in (cfg.k_factor_surface_db, cfg.k_factor_direct_db)
    )

    def on_circle(radius, degrees):
        return radius * math.cos(math.radians(degrees)), radius * math.sin(math.radians(degrees))

    def gain(a, b, exponent, height=0.0):
        distance = math.hypot(a[0] - b[0], a[1] - b[1], height)
        return irs.log_distance_path_gain(distance, exponent, reference_gain_db=-30.0)

    places = [on_circle(cfg.user_radius_m, degrees) for degrees in USER_ANGLES]
    channels, step_sizes = [], {}
    for side, place in enumerate([(-cfg.tx_distance_m, 0.0), (cfg.tx_distance_m, 0.0)]):
        direct = [budget.normalize(gain(place, user, 3.4)) for user in places]
        los = common.fixed_draw(cfg, 1003 + side, [users.num_ant, tx.num_ant])
        hops, surfaces = {"tx>rx": irs.RicianHop(tx, users, k_direct, direct, los)}, {}
        for index in (2 * side, 2 * side + 1):
            name, spot = f"s{index + 1}", on_circle(cfg.panel_radius_m, PANEL_ANGLES[index])
            surfaces[name], step_sizes[name] = common.new_surface(
                cfg.surface, panel, cfg.step_scale
            )
            hops[f"tx>{name}"], hops[f"{name}>rx"] = common.surface_hops(
                cfg, tx, panel, users, 10 * index, k_surface,
                budget.normalize(gain(place, spot, 2.2, cfg.panel_height_m)),
                [gain(spot, user, 3.0, cfg.panel_height_m) for user in places],
            )  # fmt: skip
        channels.append(irs.SurfaceChannel(hops, surfaces))
    return JointChannel(channels), step_sizes


@four_surfaces.recursion("tuning", length="num_steps", record_every=25)
def tuning(cfg, seed):
    """All panels tuned, and all random."""
    curves = {
        "tuned": common.fixed(cfg.num_iter, ("s1", "s2", "s3", "s4")),
        "random": common.fixed(cfg.num_iter, ()),
    }
    return common.tune(cfg, *joint_scenario(cfg), curves)


@four_surfaces.figure
def draw(results, figure):
    """Rates over iterations."""
    common.draw_curves(figure, results, ["tuned", "random"])


four_surfaces.published(
    "public code of Hashmi, Pougkakiotis and Kalogerias 2024 (iZoSGA's [46]), four panels",
    {
        "the tuned panels end above the random ones, iterations 200-300": (
            measured.difference("rate", "tuned", "random", (200, 300)).greater(0)
        )
    },
)
