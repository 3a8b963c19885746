"""Passive beamforming in float64 NumPy, one channel at a time: what the tests compare with.

Links are {"tx>s1": [N1, tx], "s1>s2": [N2, N1], ...}, reflection coefficients {"s1": [N1], ...}.
"""

import itertools

import numpy as np


def check_links(num_tx=3, num_rx=4, sizes=(6, 5), gain=0.3):
    """The deterministic double-surface channel of the check values."""

    def matrix(q, rows, columns):
        m, n = np.ogrid[:rows, :columns]
        real = np.cos(1.3 * q + 0.9 * m * n + 0.37 * m)
        return (real + 1j * np.sin(0.71 * q + 0.53 * m - 1.1 * n * (m + 1))) / np.sqrt(2)

    return {
        "tx>s1": matrix(1, sizes[0], num_tx),
        "tx>s2": matrix(2, sizes[1], num_tx),
        "s1>s2": gain * matrix(3, sizes[1], sizes[0]),
        "s1>rx": matrix(4, num_rx, sizes[0]),
        "s2>rx": matrix(5, num_rx, sizes[1]),
    }


def compose(links, theta):
    """H as the sum over all paths of products of matrices, diagonal ones included."""
    total = 0
    for length in range(len(theta) + 1):
        for path in itertools.permutations(theta, length):
            nodes = ("tx", *path, "rx")
            hops = [f"{a}>{b}" for a, b in itertools.pairwise(nodes)]
            if all(hop in links for hop in hops):
                h = links[hops[0]]
                for node, hop in zip(path, hops[1:], strict=True):
                    h = links[hop] @ np.diag(theta[node]) @ h
                total = total + h
    return total


def affine(links, theta, name):
    """(F0, [F_n]): H = F0 + sum_n theta_n F_n, by probing one element after the other."""
    probes = np.eye(len(theta[name]))
    f0 = compose(links, {**theta, name: 0 * probes[0]})
    return f0, [compose(links, {**theta, name: probe}) - f0 for probe in probes]


def quadratic(links, theta, name):
    """T, c of ||H||^2 = phi^H T phi + 2 Re phi^H c + ||F0||^2, as inner products."""
    f0, columns = affine(links, theta, name)
    t = np.array([[np.vdot(a, b) for b in columns] for a in columns])
    return t, np.array([np.vdot(a, f0) for a in columns])


def phasor(z):
    return np.exp(1j * np.angle(z))


def power_iteration(t, c, phi, num_iter):
    for _ in range(num_iter):
        phi = phasor(t @ phi + c)
    return phi


def element_wise(t, c, phi, num_iter, num_bits=None):
    phi = np.array(phi)
    step = 1 if num_bits is None else 2 * np.pi / 2**num_bits
    if num_bits is not None:
        phi = np.exp(1j * step * np.round(np.angle(phi) / step))
    for _ in range(num_iter):
        for n in range(len(phi)):
            best = np.angle(c[n] + t[n] @ phi - t[n, n] * phi[n])
            phi[n] = np.exp(1j * (best if num_bits is None else step * np.round(best / step)))
    return phi


def admm(t, c, phi, num_iter, penalty=1.05):
    """With exact eigenvalues; the last iterate, not the better end."""
    q = np.block([[t, c[:, None]], [c[None].conj(), np.zeros((1, 1))]])
    values = np.linalg.eigvalsh(q)
    shifted = values[-1] * np.eye(len(q)) - q
    rho = penalty * np.sqrt(2) * (values[-1] - values[0])
    u = x = np.append(phi, 1)
    for _ in range(num_iter):
        nu = shifted @ x
        u = phasor(rho * x - nu)
        x = np.linalg.solve(shifted + rho * np.eye(len(q)), nu + rho * u)
    return u[:-1] * u[-1].conj()


def objective(t, c, phi):
    return (phi.conj() @ t @ phi + 2 * phi.conj() @ c).real


def input_covariance(h, snr):
    """Q of total power 1 and the capacity; the water level by bisection."""
    _, s, vh = np.linalg.svd(h, full_matrices=False)
    costs = 1 / (snr * np.maximum(s, 1e-9 * s[0]) ** 2)
    low, high = costs.min(), costs.min() + 1
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if np.maximum(level - costs, 0).sum() < 1 else (low, level)
    powers = np.maximum(level - costs, 0)
    capacity = np.log2(1 + powers * s**2 * snr).sum()
    return (vh.conj().T * powers) @ vh, capacity


def capacity_ascent(links, theta, snr, num_iter):
    """Every phase maximises the determinant with the covariance held fixed, on a fine grid."""
    theta = {name: np.array(values) for name, values in theta.items()}
    grid = np.exp(2j * np.pi * np.arange(24) / 24)
    for _, name in itertools.product(range(num_iter), sorted(theta)):
        f0, columns = affine(links, theta, name)
        h = compose(links, theta)
        q, _ = input_covariance(h, snr)
        for n, column in enumerate(columns):
            rest = h - theta[name][n] * column

            def det(z, rest=rest, column=column, q=q):
                x = rest + z * column
                return np.linalg.det(np.eye(len(x)) + snr * x @ q @ x.conj().T).real

            # det = a + Re(b* z) exactly: its first Fourier coefficient gives the best phase.
            theta[name][n] = phasor(np.mean([det(z) * z for z in grid]))
            h = rest + theta[name][n] * column
    return theta
