"""NumPy twins of hybrid beamforming's estimators, and its deterministic case."""

import numpy as np


def waves(rows, cols, s):
    """The matrix M(r, c, s) of the deterministic case."""
    i, j = np.arange(1, rows + 1)[:, None], np.arange(1, cols + 1)
    return np.sin(0.7 * i + 1.3 * j + s * i * j) + 1j * np.cos(0.4 * i - 0.9 * j + 2 * s * i * j)


def beam_phases(num_ant, num_chains, s):
    """Phases of its Phi(N, n, s)."""
    i, j = np.arange(num_ant)[:, None], np.arange(num_chains)
    return 2 * np.pi * np.mod((i + 1) * (j + 1) * s + 0.37 * i**2 * s, 1.0)


def regularised_ls(y, x, forgetting, delta):
    """What recursive least squares must equal: y [..., L], x [n, L]."""
    num_symbols = x.shape[-1]
    weights = forgetting ** np.arange(num_symbols - 1.0, -1, -1)
    gram = (x * weights) @ x.conj().T + delta * forgetting**num_symbols * np.eye(len(x))
    return (y * weights) @ x.conj().T @ np.linalg.inv(gram)


def unfolded_rls(y, x, t, q, gamma, delta):
    """Layer by layer for one user: y [m, L], x [n, L], t and q dicts of [L, ...], gamma [L]."""
    size = len(x)
    w, p = np.zeros([size, len(y)], complex), np.eye(size) / delta
    for i, (column, heard) in enumerate(zip(x.T, y.T, strict=True)):
        g = t["g"][i] @ p @ column + q["g"][i]
        v = t["v"][i] @ g / (gamma[i] + abs(np.vdot(g, column).real)) + q["v"][i]
        p = t["p"][i] @ (p - np.outer(v, g.conj())) / gamma[i] + q["p"][i]
        error = heard - w.conj().T @ column
        w = t["w"][i] @ (w + np.outer(v, error.conj())) + q["w"][i]
    return w.conj().T


def lmmse(x, no, covariance, r_w):
    """(right multiplier, error covariance) of one user."""
    noise = no * np.trace(r_w).real / len(r_w)
    right = x.conj().T @ covariance
    m = np.linalg.inv(right @ x + noise * np.eye(x.shape[-1])) @ right
    return m, covariance - covariance @ x @ m
