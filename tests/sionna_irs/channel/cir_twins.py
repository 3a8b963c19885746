"""Impulse responses by explicit loops in float64 NumPy: what the tests compare with."""

import itertools
import math

import numpy as np

LIGHT_SPEED = 299792458.0


def through(theta, into, out):
    """(a, tau) over one surface: every pair of paths, one element after the other."""
    (a_in, tau_in), (a_out, tau_out) = into, out
    theta = np.asarray(theta)
    if theta.ndim == 2:
        theta = theta[:, None]
    batch, steps = np.broadcast_shapes(
        (len(a_in), a_in.shape[6]), (len(a_out), a_out.shape[6]), theta.shape[:-1] or (1, 1)
    )
    num_in, num_out = a_in.shape[5], a_out.shape[5]
    _, rx, rx_ant = a_out.shape[:3]
    tx, tx_ant = a_in.shape[3:5]
    a = np.zeros([batch, rx, rx_ant, tx, tx_ant, num_out * num_in, steps], complex)
    tau = np.zeros([max(len(tau_in), len(tau_out)), rx, tx, num_out * num_in])
    for q, p in itertools.product(range(num_out), range(num_in)):
        pair = q * num_in + p
        for n in range(theta.shape[-1]):
            for r, i, u, m in np.ndindex(rx, rx_ant, tx, tx_ant):
                a[:, r, i, u, m, pair] += (
                    a_out[:, r, i, 0, n, q] * theta[..., n] * a_in[:, 0, n, u, m, p]
                )
        for r, u in np.ndindex(rx, tx):
            tau[:, r, u, pair] = tau_out[:, r, 0, q] + tau_in[:, 0, u, p]
    return a, tau


def joined(*cirs):
    """Paths side by side."""
    batch = max(len(a) for a, _ in cirs)
    steps = max(a.shape[6] for a, _ in cirs)
    gains = [np.broadcast_to(a, (batch, *a.shape[1:6], steps)) for a, _ in cirs]
    delays = [np.broadcast_to(tau, (batch, *tau.shape[1:])) for _, tau in cirs]
    return np.concatenate(gains, 5), np.concatenate(delays, 3)


def transfer(a, tau, frequencies):
    """H [B, R, Ra, T, Ta, t, F], path by path."""
    batch = max(len(a), len(tau))
    h = np.zeros([batch, *a.shape[1:5], a.shape[6], len(frequencies)], complex)
    for p, f in np.ndindex(a.shape[5], len(frequencies)):
        turn = np.exp(-2j * np.pi * frequencies[f] * tau[..., p])
        h[..., f] += a[..., p, :] * turn[:, :, None, :, None, None]
    return h


def places(rows, cols, spacing_v=0.5, spacing_h=0.5):
    """Elements row by row from the bottom, from the panel's centre [wavelengths]."""
    found = []
    for row, col in np.ndindex(rows, cols):
        y = (col - (cols - 1) / 2) * spacing_h
        z = (row - (rows - 1) / 2) * spacing_v
        found.append([0.0, y, z])
    return np.array(found)


def plane(direction, elements):
    """Plane waves [..., 3] at the elements [..., N]."""
    return np.exp(2j * np.pi * np.sum(direction[..., None, :] * elements, -1))


def spherical(direction, length, elements):
    """Waves from a source at ``length`` [wavelengths], by absolute distances."""
    source = length[..., None] * direction
    distance = np.sqrt(np.sum((source[..., None, :] - elements) ** 2, -1))
    length = length[..., None]
    return length / distance * np.exp(-2j * np.pi * (distance - length))


def written_out(a, wave, elements, end):
    """Gains with the antenna axis of an end in place of its waves."""
    if wave.shape[-1] == 3:
        factor = plane(wave, elements)
    else:
        factor = spherical(wave[..., :3], 1 / wave[..., 3], elements)
    axis = {"rx": 2, "tx": 4}[end]
    parts = []
    for n in range(len(elements)):
        part = factor[..., n][:, :, None, :, None, :, None]
        parts.append(a * part)
    return np.concatenate(parts, axis)


def directions(rng, *shape):
    """Random unit vectors."""
    v = rng.standard_normal((*shape, 3))
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def unit(azimuth, zenith):
    """A unit vector by its angles."""
    return np.array(
        [
            math.sin(zenith) * math.cos(azimuth),
            math.sin(zenith) * math.sin(azimuth),
            math.cos(zenith),
        ]
    )
