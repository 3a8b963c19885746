"""NMSE against the numbers of elements, antennas and patterns, at an SNR of 5 dB."""

import link_sims
import sionna_irs as irs
from link_sims import measured

from ..cascade import CascadeConfig, closed_forms, scene, squared_errors
from .common import LEARNED, all_estimators

# Curve -> its closed form.
CURVES = {
    "LS": "sionna_irs.ls_nmse",
    "scalar LMMSE": "sionna_irs.scalar_lmmse_nmse",
    "LMMSE": "sionna_irs.lmmse_nmse",
    "Bayes": "sionna_irs.bayes_nmse",
}


class Config(CascadeConfig):
    """The cascade at one SNR; the swept number takes its place."""

    snr_db: float = 5.0
    sizes: link_sims.IntGrid
    batch_size: link_sims.PositiveInt = 100
    min_units: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 40


def sized(cfg, axis, x):
    """The configuration with x antennas, elements (and a pattern for each column) or patterns."""
    changes = {axis: x}
    if axis == "num_elements":
        changes["num_patterns"] = x + 1
    return cfg.model_copy(update=changes)


def experiment_over(axis, name, item, label, base, sizes):
    """An experiment whose axis is one of the three numbers."""
    experiment = link_sims.Experiment(
        name,
        title=f"Estimation of the cascaded channel against the {label}",
        answers=[item],
        config=Config,
        profiles={
            "smoke": {**base, "sizes": sizes[:1], "batch_size": 16, "max_units": 10},
            "cpu": {**base, "sizes": sizes},
            "paper": {**base, "sizes": sizes, "max_units": 1000},
        },
        x_label=label,
    )

    @experiment.sweep(x="sizes", static=True)
    def curves(cfg, trained, x):
        """Squared errors of the references and of the one network, never trained at this size."""
        channel, pilots = scene(sized(cfg, axis, x))
        estimators = all_estimators(pilots, channel.statistics)
        no = irs.snr_db_to_no(cfg.snr_db)

        def step(batch_size, x):
            u = channel.draw(batch_size).cascaded()
            return squared_errors(estimators, pilots(u, no), no, u)

        return step

    @experiment.table
    def exact(cfg):
        """Closed forms and quadrature."""
        points = []
        for x in map(int, cfg.sizes):
            at = sized(cfg, axis, x)
            variance = 10 ** (-cfg.snr_db / 10) / at.num_patterns
            points.append((x, scene(at)[0].statistics, variance))
        return closed_forms(points)

    for curve, form in CURVES.items():
        experiment.theory(
            form,
            {
                f"{curve} follows its closed form at every size (to 0.1 dB)": measured.agrees(
                    "nmse", curve, f"{curve}, exact", rel=0.023
                )
            },
        )
    experiment.ours(
        "this package: an aim for a network trained at M = 16, N = 64, P = 65, 2026-11",
        {
            f"the network, trained at one size, is within 0.15 dB of Bayes at {x}": (
                measured.paired("nmse", LEARNED, "Bayes", x=x).db_between(-0.01, 0.15)
            )
            for x in (sizes[0], sizes[-1])
        },
    )
    return experiment


elements = experiment_over(
    "num_elements", "cenas/nmse-vs-elements", "CENAS Fig. 8 (N)", "number of elements",
    {"num_rx_ant": 8}, [8, 16, 32, 64],
)  # fmt: skip
antennas = experiment_over(
    "num_rx_ant", "cenas/nmse-vs-antennas", "CENAS Fig. 8 (M)", "number of antennas",
    {}, [4, 8, 16, 32, 64],
)  # fmt: skip
patterns = experiment_over(
    "num_patterns", "cenas/nmse-vs-patterns", "CENAS Fig. 9a", "number of patterns",
    {"num_elements": 32}, [33, 40, 48, 64, 96, 128],
)  # fmt: skip
