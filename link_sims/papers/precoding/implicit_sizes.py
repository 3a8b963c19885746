"""Precoding from uplink pilots over the number of antennas and of users."""

from typing import Annotated

from pydantic import Field

import link_sims
from link_sims import measured
from link_sims.training import training as trainer

from . import common, implicit

Sizes = Annotated[list[link_sims.PositiveInt], Field(min_length=1, max_length=20)]
KINDS = (implicit.JOINT, implicit.BLOCKS, implicit.BLACK_BOX)


class Config(implicit.SystemConfig):
    """One of the two lists is the axis; the systems are trained for a part of it."""

    ant_grid: Sizes = [16, 32, 64]
    user_grid: Sizes = [2, 4, 8]
    num_steps: link_sims.PositiveInt = 600
    retrain: bool = True
    max_units: link_sims.PositiveInt = 3


def make(name, title, answers, axis, field, label, trained_at, smoke):
    """One figure."""
    experiment = link_sims.Experiment(
        name,
        title=title,
        answers=answers,
        config=Config,
        profiles={
            "smoke": {axis: smoke, "batch_size": 4, "max_units": 2, "stride": 10, "num_steps": 2,
                      "training_batch": 4, "mapping_filters": [8], "estimator_filters": [4],
                      "cnn_width": 4},
            "cpu": {},
            "paper": {"mapping_filters": [512, 2048, 2048], "estimator_filters": [128, 512, 512],
                      "cnn_width": 1024, "num_steps": 40_000, "training_batch": 1024,
                      "max_units": 40},
        },
        metrics={**common.METRICS, **common.TRAINING_METRICS},
        x_label=label,
    )  # fmt: skip

    def at(cfg, value):
        return cfg.model_copy(update={field: int(value)})

    def declare(curve, value):
        @experiment.recursion(f"{curve}, {value}", length="num_steps", record_every=50)
        def training(cfg, seed):
            return implicit.training_of(at(cfg, value), curve, f"{curve}, {value}")

    for curve in KINDS:
        for value in trained_at:
            declare(curve, value)

    @experiment.sweep(x=axis, static=True)
    def curves(cfg, trained, value):
        """The same users for all; learned systems where they were trained."""
        here, systems = at(cfg, value), {}
        if value in trained_at:
            for curve in KINDS:
                state = trained[f"{curve}, {int(value)}"][0]
                systems[curve] = trainer.assign(implicit.system(here, curve), state)
        step = implicit.comparison(here, systems)
        return lambda batch_size, _: step(batch_size, cfg.training_ul_power_dbm)

    experiment.figure(implicit.draw)
    return experiment


antennas = make(
    "precoding/implicit-vs-antennas", "Precoding from uplink pilots over antennas, 4 users",
    ["Calibration Fig. 9a, 9b"], "ant_grid", "num_ant", "antennas M", (16, 32), [16],
)  # fmt: skip
users = make(
    "precoding/implicit-vs-users", "Precoding from uplink pilots over users, 32 antennas",
    [], "user_grid", "num_users", "users K", (2, 4), [2],
)  # fmt: skip

for _experiment, _points, _figure in (
    (antennas, (16, 32), "Fig. 9a"), (users, (2, 4), "Fig. 9b"),
):  # fmt: skip
    _experiment.published(
        f"{common.PAPER} {_figure}",
        {
            f"learned as one beats {worse} at {x}": (
                measured.paired(common.SHARE, implicit.JOINT, worse, x=x).greater()
            )
            for x in _points
            for worse in (implicit.BLOCKS, implicit.BLACK_BOX)
        },
    )
    _experiment.published(
        f"{common.PAPER} {_figure}: at "
        f"{'(128, 8)' if _experiment is antennas else '10 users'}; trained on a GPU",
        {
            f"{curve}: at least {shares[_experiment is users]:.1%} of WMMSE* at {x}, in 600 "
            "steps": measured.at(common.SHARE, curve, x).greater(shares[_experiment is users])
            for x in _points
            for curve, shares in implicit.PUBLISHED.items()
        },
        expect="does-not-hold",
    )
antennas.ours(
    f"{common.OURS}: beyond {common.PAPER}, no training at all",
    {
        f"refitted paths have over 75 % of WMMSE* at M = {x}": (
            measured.at(common.SHARE, implicit.REFIT, x).greater(0.75)
        )
        for x in (16, 64)
    },
)
