"""Estimation of the cascaded channel: every linear estimator and the optimum, against theory."""

import link_sims
from link_sims import measured

from ..cascade import CascadeConfig, closed_forms_over_snr, nmse_step, references, scene


class Config(CascadeConfig):
    """The cascaded channel, its pilots, and the sweep."""

    snr_db: link_sims.Grid = [-15, -10, -5, 0, 5, 10, 15, 20]
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


bounds.theory(
    "sionna_irs.ls_nmse, scalar_lmmse_nmse, lmmse_nmse: traces of error covariances; bayes_nmse: "
    "the integral of the conditional mean",
    {
        f"the NMSE of {name} follows its closed form (to 2 %)": (
            measured.agrees("nmse", name, f"{name}, exact", rel=0.02)
        )
        for name in ("LS", "scalar LMMSE", "LMMSE", "Bayes")
    },
)
