"""RLS and SCA in plain NumPy: the baseline of running times.

What it costs, so that a ratio to it can be judged: float64; one channel at a time;
Python loops over slots, iterations, users and bisection steps; one eigendecomposition of an
iteration serves all users and steps; no stopping rule. Threads are those of the BLAS library; set
OMP_NUM_THREADS=1 before NumPy is imported for one.
"""

import numpy as np

__all__ = ["rls", "sca"]


def rls(x, y, no, loading):
    """Estimate [m, n] from pilots x [n, L] and observations y [m, L] in noise `no`."""
    p = np.eye(len(x), dtype=complex) / (loading * no)
    h = np.zeros((len(y), len(x)), complex)
    for pilot, seen in zip(x.T, y.T, strict=True):
        g = p @ pilot
        v = g / (1 + (g.conj() @ pilot).real)
        p -= np.outer(v, g.conj())
        p = (p + p.conj().T) / 2
        h += np.outer(seen - h @ pilot, v.conj())
    return h


def sca(h, r_w, gram, no, num_streams, num_iter, num_halvings=60):
    """(precoders [K, n, Ns], combiners [K, m, Ns]) of channels h [K, m, n], from an SVD start."""
    root = np.linalg.inv(np.linalg.cholesky(gram))
    f = np.stack([np.linalg.svd(user)[2][:num_streams].conj().T for user in h])
    scale = [np.trace(x.conj().T @ gram @ x).real for x in f]
    f *= np.sqrt(num_streams / np.array(scale))[:, None, None]
    u = np.ones((len(h), num_streams))
    w = _combiners(h, f, r_w, no)
    for _ in range(num_iter):
        b = [user.conj().T @ x for user, x in zip(h, w, strict=True)]
        c = sum((x * weight) @ x.conj().T for x, weight in zip(b, u, strict=True))
        values, vectors = np.linalg.eigh(root @ c @ root.conj().T)
        vectors = root.conj().T @ vectors
        for k, x in enumerate(b):
            z = vectors.conj().T @ (x * u[k])
            power = np.sum(np.abs(z) ** 2, 1)
            low, high = np.log(1e-12), np.log(np.sum(power) / num_streams) / 2
            for _ in range(num_halvings):
                tau = (low + high) / 2
                spent = np.sum(power / (values + np.exp(tau)) ** 2)
                low, high = (tau, high) if spent > num_streams else (low, tau)
            f[k] = vectors @ (z / (values + np.exp(high))[:, None])
        u *= np.exp(1 - _errors(h, f, r_w, no, w) * u)
        w = _combiners(h, f, r_w, no)
    return f, w


def _combiners(h, f, r_w, no):
    """MMSE combiners [K, m, Ns]."""
    found = []
    for k, user in enumerate(h):
        covariance = no * r_w[k] + sum(user @ x @ x.conj().T @ user.conj().T for x in f)
        found.append(np.linalg.solve(covariance, user @ f[k]))
    return np.stack(found)


def _errors(h, f, r_w, no, w):
    """Mean squared errors [K, Ns]."""
    found = np.zeros(w.shape[::2])
    for k, user in enumerate(h):
        for v, x in enumerate(f):
            field = w[k].conj().T @ user @ x - (np.eye(w.shape[-1]) if v == k else 0)
            found[k] += np.sum(np.abs(field) ** 2, 1)
        found[k] += no * np.einsum("ms,mt,ts->s", w[k].conj(), r_w[k], w[k]).real
    return found
