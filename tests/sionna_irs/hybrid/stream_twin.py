"""NumPy twins of the digital part of hybrid beamforming, one sample, and the deterministic case."""

import numpy as np
from hybrid_twin import beam_phases, waves

NO = 0.1


def cplx(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def adjoint(a):
    return a.conj().swapaxes(-1, -2)


def powers(f, gram):
    """tr(F^H G F) of every user."""
    return np.einsum("...kns,...nm,...kms->...k", f.conj(), gram, f).real


def deterministic_case():
    """(H, R, G, first precoders) of two users with two chains and two streams, six chains."""
    channels = np.stack([0.3 * waves(5, 12, 0.2 + 0.11 * k) for k in range(2)])
    f_rf = np.exp(1j * beam_phases(12, 6, 0.518)) / 12**0.5
    w_rf = np.exp(1j * np.stack([beam_phases(5, 2, 0.471 + 0.05 * k) for k in range(2)])) / 5**0.5
    gram = adjoint(f_rf) @ f_rf
    f = np.stack([waves(6, 2, 1.1 + k) for k in range(2)])
    f *= np.sqrt(2 / powers(f, gram))[:, None, None]
    return adjoint(w_rf) @ channels @ f_rf, adjoint(w_rf) @ w_rf, gram, f


def random_case(rng, *batch, users=4, m=4, n=16, gain=0.1**0.5):
    """(H, R, G) of white channels behind random phases."""
    f_rf = np.exp(2j * np.pi * rng.random([4 * n, n])) / np.sqrt(4 * n)
    w_rf = np.exp(2j * np.pi * rng.random([users, 8 * m, m])) / np.sqrt(8 * m)
    h = gain / 2**0.5 * cplx(rng, *batch, users, m, n)
    return h, adjoint(w_rf) @ w_rf, adjoint(f_rf) @ f_rf


def leaks(f, error):
    """Power of all streams through the channel errors of every user."""
    if error is None:
        return np.zeros(len(f))
    return [sum(np.trace(adjoint(x) @ e @ x).real for x in f) for e in error]


def combiners(h, f, r_w, no, error=None):
    signal = sum(h @ f[v] @ adjoint(h @ f[v]) for v in range(len(f)))
    white = np.array(leaks(f, error))[:, None, None] * np.eye(h.shape[1])
    return np.linalg.solve(signal + no * r_w + white, h @ f)


def mse(h, f, w, r_w, no, error=None):
    """Stream by stream, from its definition."""
    users, _, streams = f.shape
    leak, result = leaks(f, error), np.zeros([users, streams])
    for k in range(users):
        for i in range(streams):
            row = w[k, :, i].conj()
            for v in range(users):
                for j in range(streams):
                    result[k, i] += abs(((k, i) == (v, j)) - row @ h[k] @ f[v, :, j]) ** 2
            noise = no * r_w[k] + leak[k] * np.eye(h.shape[1])
            result[k, i] += (row @ noise @ row.conj()).real
    return result


def sinr(h, f, w, r_w, no):
    users, _, streams = f.shape
    result = np.zeros([users, streams])
    for k in range(users):
        for i in range(streams):
            row = w[k, :, i].conj()
            heard = np.abs(row @ h[k] @ f) ** 2
            others = heard.sum() - heard[k, i] + no * (row @ r_w[k] @ row.conj()).real
            result[k, i] = heard[k, i] / others
    return result


def rate(*arguments):
    return np.log2(1 + sinr(*arguments)).sum()


def equations(h, w, u, error=None):
    """C and the right-hand sides."""
    b = adjoint(h) @ w
    c = sum(b[k] * u[k] @ adjoint(b[k]) for k in range(len(b)))
    if error is not None:
        c = c + sum((u[k] * np.abs(w[k]) ** 2).sum() * error[k] for k in range(len(b)))
    return c, b * u[:, None]


def precoders(c, r, gram, power):
    """Multipliers by halving intervals."""
    inverse = np.linalg.inv(np.linalg.cholesky(gram))
    values, v = np.linalg.eigh(inverse @ c @ adjoint(inverse))
    z = adjoint(v) @ inverse @ r
    users, _, streams = r.shape
    groups = [[k] for k in range(users)] if power == "per_user" else [list(range(users))]
    f = np.zeros_like(r)
    for group in groups:
        energy = (np.abs(z[group]) ** 2).sum((0, 2))
        low, high = np.log(1e-12), np.log(np.sqrt(energy.sum() / (streams * len(group))))
        for _ in range(80):
            middle = (low + high) / 2
            above = (energy / (values + np.exp(middle)) ** 2).sum() > streams * len(group)
            low, high = (middle, high) if above else (low, middle)
        f[group] = adjoint(inverse) @ v @ (z[group] / (values + np.exp(high))[:, None])
    return f


def sca(h, r_w, gram, no, f, num_iter, update="sca", power="per_user", error=None):
    """(F, W, u) after the iterations."""
    u = np.ones([len(f), f.shape[-1]])
    for _ in range(num_iter):
        w = combiners(h, f, r_w, no, error)
        if update == "wmmse":
            u = 1 / mse(h, f, w, r_w, no, error)
        f = precoders(*equations(h, w, u, error), gram, power)
        if update == "sca":
            u = u * np.exp(1 - u * mse(h, f, w, r_w, no, error))
    return f, combiners(h, f, r_w, no, error), u


def normalised(f, gram):
    return f * np.sqrt(f.shape[-1] / powers(f, gram))[:, None, None]


def inverse_with_diagonal(a, b, d):
    """A^+ B + D^-."""
    return np.diag(1 / np.diag(a)) @ b + d - 1j * np.diag(np.diag(d).imag)


def unfolded_sca(h, r_w, gram, no, layers, last_t_w, inverse, error=None):
    """Layer by layer; weights are dicts of arrays [users, ...]."""
    streams = layers[0]["mu"].shape[-1]
    h = h / np.sqrt(no)
    error = None if error is None else error / no
    f = normalised(adjoint(h)[..., :streams], gram)
    t = np.zeros([len(h), streams])
    for x in layers:
        w = x["t_w"] @ combiners(h, f, r_w, 1, error) + x.get("q_w", 0)
        u = np.maximum(x["t_lambda"] * x["mu"] * np.exp(t) + x.get("q_lambda", 0), 1e-6)
        c, r = equations(h, w, u, error)
        found = np.zeros_like(f)
        for k in range(len(f)):
            load = np.exp(x["log_v"][k]) * (np.eye(len(c)) if inverse == "diag" else gram)
            if inverse == "exact":
                found[k] = np.linalg.solve(c + load, r[k])
                continue
            trained = inverse_with_diagonal(c + load, x["b"][k], x["d"][k])
            if inverse == "diag":
                found[k] = trained @ r[k]
            else:
                found[k] = f[k] + np.exp(x["log_a"][k]) * (trained @ (r[k] - (c + load) @ f[k]))
        f = normalised(x["t_f"] @ found + x.get("q_f", 0), gram)
        if "t_t" in x:
            t = t + x["mu"] * (1 - np.exp(t) * mse(h, f, w, r_w, 1, error))
            t = np.clip(x["t_t"] * t + x.get("q_t", 0), -5, 12)
    return f, last_t_w @ combiners(h, f, r_w, 1, error) / np.sqrt(no)
