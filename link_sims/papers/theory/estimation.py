"""Estimation of the cascaded channel: every linear estimator and the optimum, against theory."""

import link_sims

from ..cascade import CascadeConfig, closed_forms_over_snr, nmse_step, references, scene

SNR_DB = [-15, -10, -5, 0, 5, 10, 15, 20]
# NMSE in dB at M = 16, N = 64, P = 65, K = 10: independent reference values, ratio of means.
REFERENCE_DB = {
    "LS": [11.971, 6.971, 1.971, -3.029, -8.029, -13.029, -18.029, -23.029],
    "scalar LMMSE": [-0.267, -0.795, -2.136, -4.783, -8.664, -13.240, -18.097, -23.050],
    "LMMSE": [-2.483, -4.899, -7.542, -9.760, -11.879, -14.752, -18.666, -23.242],
    "Bayes": [-2.485, -4.912, -7.624, -10.070, -12.540, -15.563, -19.305, -23.617],
}


class Config(CascadeConfig):
    """The cascaded channel, its pilots, and the sweep."""

    snr_db: link_sims.Grid = SNR_DB
    batch_size: link_sims.PositiveInt = 100
    min_units: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 60


bounds = link_sims.Experiment(
    "theory/estimation-bounds",
    title="Estimation of the cascaded channel",
    config=Config,
    profiles={
        "smoke": {"snr_db": [0], "batch_size": 20, "max_units": 10},
        "cpu": {},
        "paper": {"max_units": 2000},
    },
    x_label="SNR [dB]",
)


@bounds.sweep(x="snr_db")
def simulated(cfg, trained):
    """Squared errors of all estimators on the same pilots."""
    channel, pilots = scene(cfg)
    return nmse_step(channel, pilots, references(pilots, channel.statistics))


@bounds.table
def exact(cfg):
    """Closed forms of the linear estimators, quadrature for the optimum."""
    return closed_forms_over_snr(cfg, cfg.snr_db)


for _name, _values in REFERENCE_DB.items():
    for _x, _value in zip(SNR_DB, _values, strict=True):
        bounds.claim(
            f"{_name} at {_x} dB: {_value:.3f} dB",
            source="independent reference value (quadrature and closed form)",
            expect="holds",
            check=lambda r, name=_name, x=_x, value=_value: r.at("nmse", name, x).within_db(
                value, 0.05
            ),
        )
        bounds.claim(
            f"theory of {_name} at {_x} dB: {_value:.3f} dB",
            source="independent reference value (quadrature and closed form)",
            expect="holds",
            check=lambda r, name=_name, x=_x, value=_value: r.at(
                "nmse", f"{name}, exact", x
            ).within_db(value, 0.001),
        )
