"""Two surfaces at different heights: one of them tuned, or both."""

from typing import Literal

import link_sims
from link_sims import measured

from . import common

CURVES = {
    "random": (),
    "only surface 2": ("s2",),
    "only surface 1": ("s1",),
    "both": ("s1", "s2"),
}


class Config(common.ScenarioConfig):
    """Phases alone, an oracle of 10 iterations."""

    surface: Literal["disc", "circle", "varactor"] = "circle"
    surface_heights_m: list[float] = [0.0, -5.0]
    num_iter: link_sims.PositiveInt = 10
    num_steps: link_sims.PositiveInt = 2500

    def check(self):
        """The curves are about two surfaces."""
        if len(self.surface_heights_m) != 2:
            raise ValueError(
                f"surface_heights_m = {self.surface_heights_m}: two heights are needed"
            )


two_surfaces = link_sims.Experiment(
    "izosga/two-surfaces",
    title="Two surfaces of 4 x 10 elements, 0 and 5 m below the users' plane, I=10",
    config=Config,
    profiles={
        "smoke": {"num_replicas": 4, "num_steps": 20, "num_iter": 2},
        "cpu": {},
        "paper": {"num_steps": 100_000},
    },
    metrics=common.RATE,
    x_label="iteration (channel realisation)",
    execution_cpu="xla",
)


@two_surfaces.recursion("tuning", length="num_steps", record_every=250)
def tuning(cfg, seed):
    """The same channels for all curves."""
    curves = {name: common.fixed(cfg.num_iter, moves) for name, moves in CURVES.items()}
    return common.tune(cfg, *common.scenario(cfg), curves)


@two_surfaces.figure
def draw(results, figure):
    """Rates over iterations."""
    common.draw_curves(figure, results, CURVES)


AUTHORS = "Hashmi, Pougkakiotis and Kalogerias 2024 (iZoSGA's [46]), public code, two surfaces"
two_surfaces.published(
    f"{AUTHORS}, at 100,000 iterations",
    {
        f"{a} over {b}, iterations 2000-2500": (
            measured.difference("rate", a, b, (2000, 2500)).greater(0)
        )
        for a, b in (
            ("only surface 2", "random"),
            ("only surface 1", "only surface 2"),
            ("both", "only surface 1"),
        )
    },
)
two_surfaces.published(
    f"{AUTHORS} (two panels of 4 x 10, the text has 4 x 100)",
    {"random surfaces: 3.43": measured.at("rate", "random", (0, 2500)).within(3.43, 0.08)},
)
