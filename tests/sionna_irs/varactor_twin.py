"""The varactor element in NumPy."""

import numpy as np


def twin(
    c,
    carrier_frequency=6e9,
    incidence_deg=0.0,
    polarization="TE",
    period=5e-3,
    gap=0.5e-3,
    thickness=1.2e-3,
    permittivity=4.4 - 0.088j,
    inductance=0.5e-9,
    capacitance_range_pf=None,
):
    """Gamma(C) as the formulas are written, C in pF."""
    mu_0, eps_0, omega = 4e-7 * np.pi, 8.85e-12, 2 * np.pi * carrier_frequency
    k_0, effective = omega * np.sqrt(eps_0 * mu_0), (permittivity + 1) / 2
    sine = np.sin(np.deg2rad(incidence_deg))
    k_t = k_0 * sine
    k_z0, k_z1 = np.sqrt(k_0**2 - k_t**2), np.sqrt(permittivity * k_0**2 - k_t**2)
    if polarization == "TE":
        z_0, z_1, chi = omega * mu_0 / k_z0, omega * mu_0 / k_z1, 1 - sine**2 / (2 * effective)
    else:
        z_0, z_1, chi = k_z0 / (omega * eps_0), k_z1 / (omega * eps_0 * permittivity), 1
    patch = 2 * period * eps_0 * effective / np.pi * chi
    patch = patch * np.log(1 / np.sin(np.pi * gap / (2 * period)))
    patch = patch - 2 * period * eps_0 / np.pi * np.log(1 - np.exp(-4 * np.pi * thickness / period))
    farad = 1e-12 * np.asarray(c)
    branch = 1j * omega * farad / (1 - omega**2 * inductance * farad)
    y = 1j * omega * patch + branch + 1 / (1j * z_1 * np.tan(k_z1 * thickness))
    return (1 - z_0 * y) / (1 + z_0 * y)
