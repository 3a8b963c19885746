"""Estimation of the cascaded channel: every linear estimator and the optimum, against theory."""

import link_sims

SNR_DB = [-15, -10, -5, 0, 5, 10, 15, 20]
# NMSE in dB at M = 16, N = 64, P = 65, K = 10: independent reference values, ratio of means.
REFERENCE_DB = {
    "LS": [11.971, 6.971, 1.971, -3.029, -8.029, -13.029, -18.029, -23.029],
    "scalar LMMSE": [-0.267, -0.795, -2.136, -4.783, -8.664, -13.240, -18.097, -23.050],
    "LMMSE": [-2.483, -4.899, -7.542, -9.760, -11.879, -14.752, -18.666, -23.242],
    "Bayes": [-2.485, -4.912, -7.624, -10.070, -12.540, -15.563, -19.305, -23.617],
}


class Config(link_sims.Config):
    """The cascaded channel and its pilots."""

    snr_db: link_sims.Grid = SNR_DB
    num_rx_ant: link_sims.PositiveInt = 16
    num_elements: link_sims.PositiveInt = 64
    num_patterns: link_sims.PositiveInt = 65
    k_factor: link_sims.PositiveFloat = 10.0
    batch_size: link_sims.PositiveInt = 100
    min_units: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 60

    def check(self):
        """Every column needs a pattern of its own; the bound needs two antennas."""
        if self.num_patterns <= self.num_elements:
            raise ValueError(
                f"num_patterns = {self.num_patterns}: at least num_elements + 1 = "
                f"{self.num_elements + 1} is needed"
            )
        if self.num_rx_ant < 2:
            raise ValueError(f"num_rx_ant = {self.num_rx_ant}: at least 2 is needed")


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


def _scene(cfg):
    import sionna_irs as irs

    channel = irs.CascadedChannel(cfg.num_rx_ant, cfg.num_elements, cfg.k_factor)
    return channel, irs.SurfacePilots(cfg.num_elements, cfg.num_patterns)


@bounds.sweep(x="snr_db")
def simulated(cfg, trained):
    """Squared errors of all estimators on the same pilots."""
    import sionna_irs as irs

    channel, pilots = _scene(cfg)
    estimators = {
        "LS": irs.LSEstimator(pilots),
        "scalar LMMSE": irs.ScalarLMMSEEstimator(pilots, channel.statistics),
        "LMMSE": irs.LMMSEEstimator(pilots, channel.statistics),
        "Bayes": irs.BayesEstimator(pilots, channel.statistics),
    }

    def step(batch_size, snr_db):
        no = irs.snr_db_to_no(snr_db)
        u = channel.draw(batch_size).cascaded()
        y = pilots(u, no)
        return {
            ("nmse", name): irs.metrics.nmse(estimator(y, no)[0], u)
            for name, estimator in estimators.items()
        }

    return step


@bounds.table
def closed_forms(cfg):
    """Closed forms of the linear estimators, quadrature for the optimum."""
    import sionna_irs as irs

    channel, pilots = _scene(cfg)
    forms = {
        "LS": irs.ls_nmse,
        "scalar LMMSE": irs.scalar_lmmse_nmse,
        "LMMSE": irs.lmmse_nmse,
        "Bayes": irs.bayes_nmse,
    }
    return [
        link_sims.row(
            "nmse",
            f"{name}, exact",
            x,
            form(channel.statistics, 10 ** (-x / 10) / (cfg.num_patterns * pilots.pilot_len)),
        )
        for name, form in forms.items()
        for x in cfg.snr_db
    ]


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
