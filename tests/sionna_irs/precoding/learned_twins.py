"""Learned precoders in NumPy, one channel at a time, from the formulas."""

import numpy as np


def relu(x):
    return np.maximum(x, 0)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def softplus(x):
    return np.logaddexp(x, 0)


def unit(v):
    return v / np.linalg.norm(v)


def dense(layer, x, activation=lambda x: x):
    """One :class:`Dense` as used after training."""
    x = x @ layer.kernel.numpy()
    return activation(x + layer.bias.numpy() if layer.norm is None else norm(layer.norm, x))


def norm(layer, x):
    """Batch normalisation with the moving averages."""
    scale = layer.gamma.numpy() / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    return scale * (x - layer.moving_mean.numpy()) + layer.beta.numpy()


def row_net(net, x):
    """One row."""
    n, length = len(x), np.linalg.norm(x)
    d = x / length if net.normalize else x
    z = np.concatenate([d.real, d.imag])
    if net.normalize:
        z = np.append(np.sqrt(n) * z, np.log(length))
    for layer in net.layers[:-1]:
        z = dense(layer, z, relu)
    z = dense(net.layers[-1], z)
    delta = z[:n] + 1j * z[n : 2 * n]
    if not net.normalize:
        return net.residual * d + delta
    return np.exp(z[-1]) * (net.residual * d + delta / np.sqrt(n))


def mmse_precoder(h, u, w):
    """With the inverse of the M x M matrix."""
    d = np.abs(u) ** 2 * w
    b = h.conj().T @ np.diag(d) @ h + np.sum(d) * np.eye(h.shape[1])
    return unit(np.linalg.inv(b) @ h.conj().T @ np.diag(u * w))


def unfolded_wmmse(layer, h):
    """At unit noise and power, user by user."""
    users, antennas = h.shape
    gram = h @ h.conj().T
    loading = 1e-5 * np.trace(gram).real * np.eye(users)
    v = unit(h.conj().T @ np.linalg.inv(gram + loading))

    def weights(named):
        pairs = {k: np.asarray(x) for k, x in named.items()}
        return {k: x[0] + 1j * x[1] for k, x in pairs.items()}

    for index, scalars in enumerate(layer.scalars):
        p, c = weights(scalars), h @ v
        a = np.sum(np.abs(c) ** 2, 1) + 1
        u, w = np.zeros(users, complex), np.zeros(users)
        for k in range(users):
            j = k % len(p["x_u"])
            u[k] = (p["x_u"][j] / a[k] + p["z_u"][j] / np.mean(a)) * c[k, k]
            u[k] += p["o_u"][j] / np.sqrt(np.mean(a))
            e = np.clip(1 - np.real(np.conj(u[k]) * c[k, k]), 1e-3, 1)
            w[k] = softplus(np.real(p["x_w"][j] / e + p["z_w"][j]))
        if index == len(layer.matrices):
            return mmse_precoder(h, u, w)
        q, d = weights(layer.matrices[index]), np.abs(u) ** 2 * w
        b = np.real(np.diag(h.conj().T @ np.diag(d) @ h)) + np.sum(d)
        b = np.diag(antennas * b / np.sum(b))
        v = np.zeros([antennas, users], complex)
        for k in range(users):
            j = k % len(q["x_v"])
            matrix = np.linalg.inv(b) @ q["x_v"][j] + q["z_v"][j]
            v[:, k] = matrix @ h[k].conj() * u[k] * w[k] + q["o_v"][j]
        v = unit(v)


def image_network(layer, image):
    """Convolutions and dense layers on the real and imaginary part of a matrix."""
    x = np.stack([image.real, image.imag], -1)
    for conv in layer.convolutions:
        padded = np.pad(x, [(1, 1), (1, 1), (0, 0)])
        kernel, (rows, columns) = conv.kernel.numpy(), x.shape[:2]
        x = sum(
            padded[i : i + rows, j : j + columns] @ kernel[i, j] for i in range(3) for j in range(3)
        )
        x = leaky(norm(conv.norm, x))
    x = x.ravel()
    for dense_layer in layer.dense[:-1]:
        x = dense(dense_layer, x, leaky)
    return dense(layer.dense[-1], x)
