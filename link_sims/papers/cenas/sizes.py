"""NMSE against the numbers of elements, antennas and patterns, at an SNR of 5 dB."""

import link_sims

from ..cascade import CascadeConfig, closed_forms, scene, squared_errors
from .common import LEARNED, all_estimators

# Exact NMSE in dB, ratio of means: LS, scalar LMMSE, LMMSE, Bayes.
CURVES = ("LS", "scalar LMMSE", "LMMSE", "Bayes")
ELEMENTS_DB = {  # M = 8, P = N + 1
    8: (0.566, -2.736, -6.310, -6.373),
    16: (-2.200, -4.248, -8.164, -8.328),
    32: (-5.083, -6.257, -9.876, -10.216),
    64: (-8.029, -8.664, -11.505, -12.054),
}
ANTENNAS_DB = {  # N = 64, P = 65
    4: (-8.029, -8.664, -10.870, -11.257),
    8: (-8.029, -8.664, -11.505, -12.054),
    16: (-8.029, -8.664, -11.879, -12.540),
    32: (-8.029, -8.664, -12.084, -12.811),
    64: (-8.029, -8.664, -12.192, -12.955),
}
PATTERNS_DB = {  # M = 16, N = 32
    33: (-5.083, -6.257, -10.482, -10.917),
    40: (-5.919, -6.909, -10.841, -11.336),
    48: (-6.711, -7.550, -11.191, -11.742),
    64: (-7.960, -8.604, -11.774, -12.408),
    96: (-9.721, -10.161, -12.680, -13.408),
    128: (-10.970, -11.305, -13.396, -14.168),
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


def experiment_over(axis, name, item, label, base, reference):
    """An experiment whose axis is one of the three numbers."""
    sizes = list(reference)
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
        import sionna_irs as irs

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

    judge_against(experiment, reference)
    return experiment


def judge_against(experiment, reference):
    """Claims on the exact curves, the simulated ones, and the network."""
    for x, values in reference.items():
        for curve, value in zip(CURVES, values, strict=True):
            experiment.claim(
                f"theory of {curve} at {x}: {value:.3f} dB",
                source="independent reference value (quadrature and closed form)",
                expect="holds",
                check=lambda r, x=x, curve=curve, value=value: r.at(
                    "nmse", f"{curve}, exact", x
                ).within_db(value, 0.001),
            )
            experiment.claim(
                f"{curve} at {x}: {value:.3f} dB",
                source="independent reference value (quadrature and closed form)",
                expect="holds",
                check=lambda r, x=x, curve=curve, value=value: r.at("nmse", curve, x).within_db(
                    value, 0.1
                ),
            )
        experiment.claim(
            f"the network, trained at one size, is within 0.15 dB of Bayes at {x}",
            source="aim of this package; the size is M = 16, N = 64, P = 65",
            expect="holds",
            check=lambda r, x=x: r.paired("nmse", LEARNED, "Bayes", x=x).db_between(-0.01, 0.15),
        )


elements = experiment_over(
    "num_elements", "cenas/nmse-vs-elements", "CENAS Fig. 8 (N)", "number of elements",
    {"num_rx_ant": 8}, ELEMENTS_DB,
)  # fmt: skip
antennas = experiment_over(
    "num_rx_ant", "cenas/nmse-vs-antennas", "CENAS Fig. 8 (M)", "number of antennas",
    {}, ANTENNAS_DB,
)  # fmt: skip
patterns = experiment_over(
    "num_patterns", "cenas/nmse-vs-patterns", "CENAS Fig. 9a", "number of patterns",
    {"num_elements": 32}, PATTERNS_DB,
)  # fmt: skip
