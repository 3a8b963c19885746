"""Weighted MMSE precoding in plain NumPy, one channel at a time: a yardstick's baseline.

What it costs, so that a ratio to it can be judged: float64; a Python loop over iterations, each
with products of M x M matrices, one ``np.linalg.eigh`` for the precoders of all multipliers, and
one search of the multiplier by ``scipy.optimize.brentq``; no warm start, no stopping rule. Threads
are those of the BLAS library; set OMP_NUM_THREADS=1 before NumPy is imported for one.
"""

import numpy as np

__all__ = ["wmmse"]

# Next to eigenvalues of order one: what nothing is heard over gets no power.
_LEAST = 1e-12


def wmmse(h, num_iter=100, v=None):
    """Precoder [M, K] of at most unit power for h [K, M] at unit noise, from ``v`` or MRT."""
    from scipy.optimize import brentq

    v = h.conj().T / np.linalg.norm(h) if v is None else v
    for _ in range(num_iter):
        field = h @ v
        power = np.abs(field) ** 2
        total = power.sum(1) + 1
        u, w = np.diag(field) / total, total / (total - np.diag(power))
        value, vector = np.linalg.eigh(h.conj().T @ ((w * np.abs(u) ** 2)[:, None] * h))
        b = vector.conj().T @ (h.conj().T * (w * u))
        share, kept = np.sum(np.abs(b) ** 2, 1), value > _LEAST * value[-1]

        def excess(mu, share=share[kept], value=value[kept]):
            return np.sum(share / (value + mu) ** 2) - 1

        high = np.sqrt(share.sum())  # |v| <= |b| / mu
        mu = brentq(excess, 0.0, high, xtol=1e-15, rtol=1e-12) if excess(0.0) > 0 else 0.0
        v = vector[:, kept] @ (b[kept] / (value[kept] + mu)[:, None])
    return v
