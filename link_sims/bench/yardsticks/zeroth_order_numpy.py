"""Zeroth-order surface tuning in plain NumPy, one replica at a time: a yardstick's baseline.

What one step costs here, so that a ratio to it can be judged:

* float64; arrays are vectorised within one replica; replicas and steps are Python loops.
* Channel: correlation by full S x S products; three effective channels with ``np.diag``.
* WMMSE: `num_iter` iterations (20) of :func:`~link_sims.papers.precoding.wmmse_numpy.wmmse` from
  equal entries. No warm start.
* Gradient: central difference of radius 1e-6.
* Threads are those of the BLAS library; set OMP_NUM_THREADS=1 before NumPy is imported for one.

Links are {"tx>s1": [S, M], "s1>rx": [K, S], "tx>rx": [K, M]}; random numbers are arguments.
"""

from typing import NamedTuple

import numpy as np

from ...papers.precoding.wmmse_numpy import wmmse

__all__ = ["Scenario", "State", "scenario", "start", "step", "equal_entries", "sum_rate"]


class Scenario(NamedTuple):
    """Scales of line of sight and fading by link, and correlation roots of the panel."""

    los: dict
    fading: dict
    tx_root: np.ndarray  # [S, S]
    user_roots: np.ndarray  # [K, S, S]


class State(NamedTuple):
    """What is carried from step to step."""

    phase: np.ndarray  # [S], radian
    amplitude: np.ndarray  # [S]
    t: int


def _root(panel, r):
    """Symmetric root of the exponential correlation of a panel [S, S]."""
    factors = []
    for size in panel:
        index = np.arange(size)
        value, vector = np.linalg.eigh(float(r) ** np.abs(index[:, None] - index))
        factors.append(vector * np.sqrt(np.maximum(value, 0)) @ vector.T)
    return np.kron(*factors)


def scenario(panel=(4, 10), angles_deg=(60, 30, 30, 60), noise_dbm=-80.0):
    """A base station 50 m from a panel, users on a circle of 3 m; 5 dBm; noise becomes 1.

    Parameters
    ----------
    panel : (int, int)
        Rows and columns of elements.
    angles_deg : sequence of float, [K]
        Places of the users [degree].
    noise_dbm : float

    Returns
    -------
    Scenario
    """
    angles = np.deg2rad(angles_deg)
    direct = np.sqrt(50**2 + 3**2 - 2 * 50 * 3 * np.cos(angles))
    snr = 10 ** ((5 - noise_dbm) / 10)
    gains = {
        "tx>s1": 1e-3 * np.hypot(50, 3) ** -2.2,
        "s1>rx": snr * 1e-3 * np.hypot(3, 3) ** -3.0,
        "tx>rx": snr * 1e-3 * direct[:, None] ** -3.4,
    }
    factors = {"tx>s1": 10**0.5, "s1>rx": 10**0.5, "tx>rx": 10**-0.5}
    return Scenario(
        {name: np.sqrt(gain * factors[name] / (1 + factors[name])) for name, gain in gains.items()},
        {name: np.sqrt(gain / (1 + factors[name])) for name, gain in gains.items()},
        _root(panel, 0.5),
        np.stack([_root(panel, r) for r in np.linspace(0, 1, len(angles))]),
    )


def start(phase):
    """State of unit amplitudes and given phases [S]."""
    return State(np.asarray(phase, float), np.ones(len(phase)), 0)


def _links(place, los, normals):
    """One realisation of the links, of CN(0, 1) arrays by link."""
    fading = {
        "tx>s1": place.tx_root @ normals["tx>s1"],
        "s1>rx": (place.user_roots @ normals["s1>rx"][:, :, None])[:, :, 0],
        "tx>rx": normals["tx>rx"],
    }
    return {name: place.los[name] * los[name] + place.fading[name] * fading[name] for name in los}


def _effective(links, phase, amplitude):
    """h [K, M] with the reflection coefficients amplitude exp(j phase)."""
    theta = np.diag(amplitude * np.exp(1j * phase))
    return links["tx>rx"] + links["s1>rx"] @ theta @ links["tx>s1"]


def _received(h, v):
    """rho [K, K], signal and noise [K], interference and noise [K]."""
    rho = h @ v
    power = np.abs(rho) ** 2
    total = power.sum(1) + 1
    return rho, total, total - np.diag(power)


def equal_entries(h):
    """The precoder [M, K] of unit power with equal entries."""
    return np.full(h.shape[::-1], h.size**-0.5, complex)


def sum_rate(h, v):
    """Sum rate [bit/s/Hz] of a precoder [M, K] at unit noise."""
    _, total, interference = _received(h, v)
    return float(np.sum(np.log2(total / interference)))


def step(place, los, state, normals, directions, num_iter=20, radius=1e-6):
    """One channel realisation: precode, probe the surface twice, move it.

    Parameters
    ----------
    place : Scenario
    los, normals : dict of link name -> np.ndarray, complex
        CN(0, 1) arrays: those of the replica and those of this realisation.
    state : State
    directions : np.ndarray, [2, S]
        Standard normal directions of phases and amplitudes.
    num_iter : int
        WMMSE iterations.
    radius : float
        Of the central difference.

    Returns
    -------
    State, float
        The next state, and the sum rate before the move [bit/s/Hz].
    """
    phase, amplitude, t = state
    links = _links(place, los, normals)
    h = _effective(links, phase, amplitude)
    v = wmmse(h, num_iter, equal_entries(h))

    turn, growth = radius * directions
    plus = _effective(links, phase + turn, np.minimum(amplitude + growth, 1))
    minus = _effective(links, phase - turn, np.minimum(amplitude - growth, 1))

    # Derivative of the rate by h at fixed v, along the change of h.
    rho, total, interference = _received(h, v)
    weights = 1 / total[:, None] - (1 - np.eye(len(h))) / interference[:, None]
    cogradient = (weights * rho.conj()) @ v.T / np.log(2)
    slope = 2 * np.sum(cogradient * (plus - minus) / (2 * radius)).real

    decay = 0.9972 ** min(max(t - 1, 0), 1000)
    phase = phase + 0.4 * decay * slope * directions[0]
    amplitude = amplitude + 0.01 * decay * slope * directions[1]
    phase = np.where(amplitude < 0, phase + np.pi, phase)
    return State(phase, np.minimum(np.abs(amplitude), 1), t + 1), sum_rate(h, v)
