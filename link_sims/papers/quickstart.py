"""Quickstart: a coded uplink through a 64-element surface, under a physical link budget.

A user behind a wall sends 16-QAM with the 5G LDPC code over one coherence block to a base station
with four antennas. The surface sees both. Every scheme is judged on the same channels, noise and
bits: no surface, random phases, and phases aligned with perfect, LS and LMMSE channel knowledge.
Next to the simulated block error rates stand the outage probabilities: below them no code of
this rate can be reliable, however long.
"""

import link_sims


class Config(link_sims.Config):
    """The scene and the code."""

    tx_power_dbm: link_sims.Grid = [0, 4, 8, 12, 16, 20, 24]
    num_rx_ant: link_sims.PositiveInt = 4
    num_rows: link_sims.PositiveInt = 8
    num_cols: link_sims.PositiveInt = 8
    k_factor_db: float = 10.0
    carrier_frequency_hz: link_sims.PositiveFloat = 3.5e9
    bandwidth_hz: link_sims.PositiveFloat = 5e6
    noise_figure_db: float = 5.0
    user_surface_m: link_sims.PositiveFloat = 20.0
    surface_base_m: link_sims.PositiveFloat = 50.0
    user_base_m: link_sims.PositiveFloat = 60.0
    wall_loss_db: float = 20.0
    pilot_len: link_sims.PositiveInt = 4
    num_info_bits: link_sims.PositiveInt = 512
    num_coded_bits: link_sims.PositiveInt = 1024
    batch_size: link_sims.PositiveInt = 250
    max_units: link_sims.PositiveInt = 20
    target_errors: link_sims.PositiveInt | None = 200


quickstart = link_sims.Experiment(
    "quickstart",
    title="Coded 16-QAM uplink through a 64-element surface",
    config=Config,
    profiles={
        "smoke": {"tx_power_dbm": [8, 16], "batch_size": 50, "max_units": 3},
        "cpu": {},
        "paper": {"max_units": 2000},
    },
    execution_cpu="xla",
    x_label="transmit power [dBm]",
)

NO_SURFACE, RANDOM = "no surface", "random phases"
PERFECT, LS, LMMSE = "aligned, perfect CSI", "aligned, LS", "aligned, LMMSE"
