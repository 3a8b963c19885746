"""Weighted MMSE precoding in plain NumPy, one channel at a time: a yardstick's baseline.

What it costs, so that a ratio to it can be judged: float64; Python loops over iterations, users
and bisection steps; M x M matrices throughout, inverted by ``np.linalg.inv`` in every one of the
40 bisection steps of every iteration; no stopping rule. It starts from MRT. Threads are those of
the BLAS library; set OMP_NUM_THREADS=1 before NumPy is imported for one.
"""

import numpy as np

__all__ = ["wmmse"]


def wmmse(h, num_iter=100, num_halvings=40):
    """Precoder [M, K] of at most unit power for h [K, M] at unit noise."""
    num_users, num_ant = h.shape
    v = h.conj().T / np.linalg.norm(h)
    for _ in range(num_iter):
        a = np.zeros((num_ant, num_ant), complex)
        b = np.zeros((num_ant, num_users), complex)
        for k, row in enumerate(h):
            field = row @ v
            power = np.abs(field) ** 2
            total = np.sum(power) + 1
            u = field[k] / total
            w = total / (total - power[k])
            a += w * np.abs(u) ** 2 * np.outer(row.conj(), row)
            b[:, k] = w * u * row.conj()
        low, high = 0.0, np.linalg.norm(b)  # |v| <= |b| / mu
        for _ in range(num_halvings):
            mu = (low + high) / 2
            v = np.linalg.inv(a + mu * np.eye(num_ant)) @ b
            low, high = (mu, high) if np.linalg.norm(v) > 1 else (low, mu)
    return v
