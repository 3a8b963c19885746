"""Two-timescale beamforming in float64 NumPy, matrix by matrix: what the tests compare with.

Everything random is an argument. Links are {"tx>s1": [S, M], "s1>rx": [K, S], "tx>rx": [K, M]},
reflection coefficients {"s1": [S]}; h is [K, M], v is [M, K] of total power 1.
"""

import functools

import numpy as np


def adjoint(a):
    return np.conj(np.swapaxes(a, -1, -2))


# --- the channel of the scenario ---


def correlation_root(panel, r):
    """Symmetric root of the exponential correlation of a panel; all ones for r = 1."""
    roots = []
    for size in panel:
        distance = np.abs(np.arange(size)[:, None] - np.arange(size))
        value, vector = np.linalg.eigh(np.power(float(r), distance))
        roots.append(vector @ np.diag(np.sqrt(np.maximum(value, 0))) @ vector.T)
    return functools.reduce(np.kron, roots)


def scenario_links(los, fading, panel=(4, 10), angles_deg=(60, 30, 30, 60), noise_dbm=-80.0):
    """Links in units of 5 dBm over the noise, so that no = 1, of CN(0, 1) arrays by link name."""
    angles, count = np.deg2rad(angles_deg), len(angles_deg)
    user_distance = np.sqrt(50**2 + 3**2 - 2 * 50 * 3 * np.cos(angles))
    scale = 10 ** ((5 - noise_dbm) / 10)
    gains = {
        "tx>s1": 1e-3 * np.hypot(3, 50) ** -2.2,
        "s1>rx": 1e-3 * np.hypot(3, 3) ** -3.0 * scale,
        "tx>rx": 1e-3 * user_distance[:, None] ** -3.4 * scale,
    }
    k_factors = {"tx>s1": 10**0.5, "s1>rx": 10**0.5, "tx>rx": 10**-0.5}
    users = [correlation_root(panel, k / (count - 1)) for k in range(count)]
    rows = [fading["s1>rx"][..., k, :] @ root.T for k, root in enumerate(users)]
    correlated = {
        "tx>s1": correlation_root(panel, 0.5) @ fading["tx>s1"],
        "s1>rx": np.stack(rows, -2),
        "tx>rx": fading["tx>rx"],
    }
    links = {}
    for name, kappa in k_factors.items():
        mixed = np.sqrt(kappa) * los[name] + correlated[name]
        links[name] = np.sqrt(gains[name] / (1 + kappa)) * mixed
    return links


def compose(links, theta):
    """The direct path and one reflection at every surface."""
    h = links["tx>rx"]
    for name, coefficients in theta.items():
        diagonal = coefficients[..., None] * np.eye(coefficients.shape[-1])
        h = h + links[f"{name}>rx"] @ diagonal @ links[f"tx>{name}"]
    return h


# --- rate, precoders ---


def powers(h, v, no):
    """rho [K, K], all that user k receives T [K], and what disturbs it I [K]."""
    rho = h @ v
    total = np.sum(np.abs(rho) ** 2, 1) + no
    disturbing = np.array([np.sum(np.abs(np.delete(rho[k], k)) ** 2) for k in range(len(h))]) + no
    return rho, total, disturbing


def ones(weights, count):
    return np.ones(count) if weights is None else np.asarray(weights, float)


def sum_rate(h, v, no, weights=None):
    _, total, disturbing = powers(h, v, no)
    return float(np.sum(ones(weights, len(h)) * np.log2(total / disturbing)))


def cogradient(h, v, no, weights=None):
    """J [K, M], the derivative of the sum rate by h at fixed v."""
    rho, total, disturbing = powers(h, v, no)
    alpha, rows = ones(weights, len(h)), []
    for k in range(len(h)):
        row = sum(np.conj(rho[k, j]) * v[:, j] / total[k] for j in range(len(h)))
        for j in range(len(h)):
            if j != k:
                row = row - np.conj(rho[k, j]) * v[:, j] / disturbing[k]
        rows.append(alpha[k] / np.log(2) * row)
    return np.array(rows)


def zf_water_filling(h, no):
    """Zero-forcing directions; the powers by the water level, user after user."""
    w = np.linalg.pinv(h)
    gain = 1 / (no * np.sum(np.abs(w) ** 2, 0))
    for active in range(len(h), 0, -1):
        best = np.sort(gain)[::-1][:active]
        level = (1 + np.sum(1 / best)) / active
        if level > 1 / best[-1]:
            break
    power = np.maximum(level - 1 / gain, 0)
    return w / np.linalg.norm(w, axis=0) * np.sqrt(power)


def start(h, no, name):
    """First precoder of the iteration; with water-filling no user is left without power."""
    if name == "zf_water_filling":
        v = zf_water_filling(h, no) + 0.01 * start(h, no, "mrt")
    else:
        v = {"ones": np.ones_like(h.T), "mrt": adjoint(h), "zf": np.linalg.pinv(h)}[name]
    return v / np.linalg.norm(v)


# --- WMMSE ---


def normal_equations(h, v, no, weights):
    """A [M, M] and B [M, K]: the precoder is (A + mu I)^-1 B."""
    rho, total, disturbing = powers(h, v, no)
    u, w = np.diag(rho) / total, total / disturbing
    alpha = ones(weights, len(h))
    a = adjoint(h) @ np.diag(alpha * w * np.abs(u) ** 2) @ h
    return a, adjoint(h) @ np.diag(alpha * w * u), np.sum(alpha * w * np.abs(u) ** 2)


def multiplier(a, b):
    """mu >= 0 of unit power by bisection, 0 where the power is below that anyway."""
    value, vector = np.linalg.eigh(a)
    share = np.sum(np.abs(adjoint(vector) @ b) ** 2, 1)
    kept = value > 1e-13 * value.max()  # B has no part in the null space of A
    value, share = value[kept], share[kept]
    if np.sum(share / value**2) <= 1:
        return 0.0
    low, high = 0.0, np.sqrt(np.sum(share))
    for _ in range(200):
        middle = (low + high) / 2
        if np.sum(share / (value + middle) ** 2) > 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def wmmse(h, no, num_iter, v, weights=None):
    """The textbook iteration from v: (v, last multiplier)."""
    mu = 0.0
    for _ in range(num_iter):
        a, b, _ = normal_equations(h, v, no, weights)
        mu = multiplier(a, b)
        v = np.linalg.solve(a + mu * np.eye(len(a)), b) if mu > 0 else np.linalg.pinv(a) @ b
    return v, mu


def wmmse_closed_form(h, no, num_iter, v, weights=None):
    """The multiplier that a fixed point has, and full power after every iteration."""
    mu = 0.0
    for _ in range(num_iter):
        a, b, trace = normal_equations(h, v, no, weights)
        mu = no * trace
        v = np.linalg.solve(a + mu * np.eye(len(a)), b)
        v = v / np.linalg.norm(v)
    return v, mu


# --- the zeroth-order step ---


def directional(h, v, no, change, weights=None):
    """s, the change of the sum rate per unit of a change [K, M] of h at fixed v."""
    return 2 * np.real(np.sum(cogradient(h, v, no, weights) * change))


def disc(control):
    """theta of control [..., 2 S], phases, then amplitudes."""
    phase, a = np.split(control, 2, -1)
    return a * np.exp(1j * phase)


def disc_change(control, direction, radius):
    """Difference quotient of theta between the projected probes, its limit for a radius of 0."""
    if radius == 0:
        (phase, a), (turn, growth) = np.split(control, 2), np.split(direction, 2)
        growth = np.where(a == 1, growth / 2, growth)
        return np.exp(1j * phase) * (1j * a * turn + growth)
    plus, minus = control + radius * direction, control - radius * direction
    half = len(control) // 2
    plus[half:], minus[half:] = np.minimum(plus[half:], 1), np.minimum(minus[half:], 1)
    return (disc(plus) - disc(minus)) / (2 * radius)


def circle_change(phase, direction, radius):
    """As disc_change for phases [S] of unit amplitude."""
    if radius == 0:
        return 1j * direction * np.exp(1j * phase)
    turned = [np.exp(1j * (phase + sign * radius * direction)) for sign in (1, -1)]
    return (turned[0] - turned[1]) / (2 * radius)


def varactor_change(c, direction, radius, gamma, low=0.1, high=0.5):
    """As disc_change for capacitances [S] and their reflection coefficient gamma(c)."""
    if radius == 0:
        inner = np.where((c == low) | (c == high), direction / 2, direction)
        return slope(gamma, c) * inner
    plus = np.clip(c + radius * direction, low, high)
    minus = np.clip(c - radius * direction, low, high)
    return (gamma(plus) - gamma(minus)) / (2 * radius)


def slope(gamma, c, radius=5e-3, num_points=24):
    """Derivative of an analytic function by Cauchy's integral on a circle around c."""
    turn = np.exp(2j * np.pi * np.arange(num_points) / num_points)
    return np.mean([gamma(c + radius * z) / (radius * z) for z in turn], 0)


def decay(t, rate=0.9972, steps=1000):
    return rate ** min(max(t - 1, 0), steps)


def disc_update(control, s, direction, t, phase_step=0.4, amplitude_step=0.01):
    """Ascent by s along the direction, back into the disc: a negative amplitude is a turn."""
    (phase, a), (turn, growth) = np.split(control, 2), np.split(direction, 2)
    phase = phase + phase_step * decay(t) * s * turn
    a = a + amplitude_step * decay(t) * s * growth
    phase, a = np.where(a < 0, phase + np.pi, phase), np.abs(a)
    return np.concatenate([phase, np.minimum(a, 1)])


def circle_update(phase, s, direction, t, step=0.4):
    return phase + step * decay(t) * s * direction


def varactor_update(c, s, direction, t, step=0.01, low=0.1, high=0.5):
    """The published step takes half of s here."""
    return np.clip(c + step * decay(t) * s / 2 * direction, low, high)


# --- the model-based baseline ---


def surrogate_gradient(links, theta, v, no, convention="consistent", weights=None):
    """[S]: gradient of the sum rate by conj(theta), or the published one for h^H instead of h."""
    h, h_in, h_out = compose(links, {"s1": theta}), links["tx>s1"], links["s1>rx"]
    if convention == "as_published":
        h, h_in = np.conj(h), np.conj(h_in)
    rho, total, disturbing = powers(h, v, no)
    alpha, field = ones(weights, len(h)), h_in @ v
    found = np.zeros(len(theta), complex)
    for k in range(len(h)):
        for j in range(len(h)):
            c = alpha[k] / np.log(2) * (1 / total[k] - (0 if j == k else 1 / disturbing[k]))
            if convention == "as_published":
                found += c * np.conj(h_out[k]) * field[:, j] * np.conj(rho[k, j])
            else:
                found += c * np.conj(h_out[k] * field[:, j]) * rho[k, j]
    return found


def two_timescale_update(theta, average, gradients, t, tau=0.01):
    """Recursive mean of gradients [samples, S], a step to the surrogate's maximum; t from 1."""
    memory, gamma = (t + 1) ** -0.8, 1 / (t + 1)
    average = (1 - memory) * average + memory * np.mean(gradients, 0)
    z = theta + average / tau
    best = z / np.maximum(1, np.abs(z))
    return (1 - gamma) * theta + gamma * best, average
