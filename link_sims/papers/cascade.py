"""What experiments on the cascaded channel share: the scene, the references, their closed forms."""

import contextlib

import link_sims
import sionna_irs as irs

__all__ = [
    "CascadeConfig",
    "closed_forms",
    "closed_forms_over_snr",
    "nmse_step",
    "references",
    "scene",
    "squared_errors",
]


class CascadeConfig(link_sims.Config):
    """The cascaded channel and its pilots."""

    num_rx_ant: link_sims.PositiveInt = 16
    num_elements: link_sims.PositiveInt = 64
    num_patterns: link_sims.PositiveInt = 65
    k_factor: link_sims.PositiveFloat = 10.0

    def check(self):
        """Every column needs a pattern of its own; the bound needs two antennas."""
        if self.num_patterns <= self.num_elements:
            raise ValueError(
                f"num_patterns = {self.num_patterns}: at least num_elements + 1 = "
                f"{self.num_elements + 1} is needed"
            )
        if self.num_rx_ant < 2:
            raise ValueError(f"num_rx_ant = {self.num_rx_ant}: at least 2 is needed")


def scene(cfg, **changes):
    """(channel, pilots) of a configuration; ``changes`` go to the channel."""
    channel = irs.CascadedChannel(cfg.num_rx_ant, cfg.num_elements, cfg.k_factor, **changes)
    return channel, irs.SurfacePilots(cfg.num_elements, cfg.num_patterns)


def references(pilots, statistics):
    """Curve -> estimator: least squares, both LMMSE filters, and the optimum."""
    return {
        "LS": irs.LSEstimator(pilots),
        "scalar LMMSE": irs.ScalarLMMSEEstimator(pilots, statistics),
        "LMMSE": irs.LMMSEEstimator(pilots, statistics),
        "Bayes": irs.BayesEstimator(pilots, statistics),
    }


def squared_errors(estimators, y, no, u):
    """{("nmse", curve): (error, power)} of all estimators on the same pilots."""
    return {
        ("nmse", name): irs.metrics.nmse(estimator(y, no)[0], u)
        for name, estimator in estimators.items()
    }


def nmse_step(channel, pilots, estimators):
    """The step of a sweep over SNR: squared errors of all estimators on the same pilots."""

    def step(batch_size, snr_db):
        no = irs.snr_db_to_no(snr_db)
        u = channel.draw(batch_size).cascaded()
        return squared_errors(estimators, pilots(u, no), no, u)

    return step


def closed_forms(points):
    """Rows of the references' exact NMSE; ``points`` are (x, statistics, variance)."""
    forms = {
        "LS": irs.ls_nmse,
        "scalar LMMSE": irs.scalar_lmmse_nmse,
        "LMMSE": irs.lmmse_nmse,
        "Bayes": bayes_or_none,
    }
    found = [
        (name, x, form(statistics, variance))
        for name, form in forms.items()
        for x, statistics, variance in points
    ]
    return [
        link_sims.row("nmse", f"{name}, exact", x, value)
        for name, x, value in found
        if value is not None
    ]


def bayes_or_none(statistics, variance):
    """The integral, on a finer grid at high SNR; None where that one is too coarse as well."""
    for num_nodes, num_radii in ((110, 240), (220, 960)):
        with contextlib.suppress(ValueError):
            return irs.bayes_nmse(statistics, variance, num_nodes, num_radii)
    return None


def closed_forms_over_snr(cfg, snr_db):
    """These rows for one channel at several SNRs, one pilot symbol for each pattern."""
    channel, _ = scene(cfg)
    return closed_forms(
        [(x, channel.statistics, 10 ** (-x / 10) / cfg.num_patterns) for x in snr_db]
    )
