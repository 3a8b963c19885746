"""Paths: gains and delays of a hop, and what happens to them at a surface.

Gains multiply, delays add. At the two ends of a hop an array shows up in one of two ways: as an
antenna axis, or in far-field form as waves, one direction for every path, whose gain refers to
the array's centre. Waves cost nothing per element until they meet the surface's coefficients.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from ...arrays import unit_phasor
from ...linalg.scale import unit_scale
from ...surface.operators import BlockOperator, stacked, times, times_rows, with_axes

__all__ = ["CIR"]


class CIR(NamedTuple):
    r"""A channel impulse response, as Sionna's, with optional waves at its ends.

    Parameters
    ----------
    a : tf.Tensor, [batch, num_rx, num_rx_ant, num_tx, num_tx_ant, num_paths, num_time_steps], complex
        Path gains with carrier phase. Where an end has waves, its antenna axis has length 1.
    tau : tf.Tensor, [batch, num_rx, num_tx, num_paths], real
        Delays [s].
    rx_wave, tx_wave : tf.Tensor, [batch, num_rx, num_tx, num_paths, 3 or 4], real, or None
        Unit vectors away from the array in its own axes; the fourth entry is the inverse length
        of the path [1/wavelength], for spherical waves.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> hop = irs.CIR(tf.ones([1, 1, 4, 1, 1, 2, 1], tf.complex64), tf.zeros([1, 1, 1, 2]))
    >>> hop.rx_wave is None
    True
    """  # noqa: E501

    a: tf.Tensor
    tau: tf.Tensor
    rx_wave: tf.Tensor | None = None
    tx_wave: tf.Tensor | None = None


def sizes(tensor):
    """Static sizes where known, else dynamic ones."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]


def spread(cir, end, array):
    """The CIR with the waves at ``end`` ("rx" or "tx") written out as an antenna axis."""
    wave = cir.rx_wave if end == "rx" else cir.tx_wave
    if wave is None:
        return cir
    response = array.wave_response(wave, cir.a.dtype)  # [B, R, T, P, N]
    # The paths first, all else as one axis: TensorFlow broadcasts few axes at a time.
    if end == "rx":
        a = tf.transpose(cir.a[:, :, 0], [0, 1, 2, 4, 3, 5])
    else:
        a = tf.transpose(cir.a[:, :, :, :, 0], [0, 1, 3, 4, 2, 5])
    *paths, antennas, steps = sizes(a)
    a = tf.reshape(a, [*paths, antennas * steps, 1]) * response[..., None, :]
    a = tf.reshape(a, [*sizes(a)[:4], antennas, steps, a.shape[-1]])
    if end == "rx":
        return cir._replace(a=tf.transpose(a, [0, 1, 6, 2, 4, 3, 5]), rx_wave=None)
    return cir._replace(a=tf.transpose(a, [0, 1, 4, 2, 6, 3, 5]), tx_wave=None)


def through_surface(theta, into, out, panel):
    r"""Paths that arrive by ``into`` and leave by ``out``.

    .. math:: a_{qp}=\sum_n a^{out}_{nq}\,\theta_n\,a^{in}_{np},\qquad
              \tau_{qp}=\tau^{out}_q+\tau^{in}_p

    Parameters
    ----------
    theta : tf.Tensor, [N], [B, N] or [B, num_time_steps, N], complex, or BlockOperator
    into, out : CIR
        The surface is the only receiver of `into` and the only transmitter of `out`.
    panel : ULA or UPA

    Returns
    -------
    cir : CIR
        Paths in the order (q, p), p fast.
    bound : callable
        () -> [B, num_rx, num_tx, num_paths], real: energy of every path over antennas if all its
        terms added in phase, which no choice of phases exceeds.
    """
    theta = with_axes(theta, 2)
    waves = into.rx_wave is not None and out.tx_wave is not None
    a, bound = (_between_waves if waves else _between_antennas)(theta, into, out, panel)
    tau = out.tau[:, :, :, :, None] + into.tau[:, :, :, None, :]
    shape = sizes(tau)  # [B, R, T, Q, P]
    tau = tf.reshape(tau, [*shape[:3], shape[3] * shape[4]])
    rx_wave = _repeat_wave(out.rx_wave, shape, 4)
    tx_wave = _repeat_wave(into.tx_wave, shape, 3)
    return CIR(a, tau, rx_wave, tx_wave), bound


def _repeat_wave(wave, shape, axis):
    if wave is None:
        return None
    wave = tf.expand_dims(wave, axis)
    wave = tf.broadcast_to(wave, [*shape, wave.shape[-1]])
    return tf.reshape(wave, [*shape[:3], shape[3] * shape[4], wave.shape[-1]])


def _between_waves(theta, into, out, panel):
    """Array factor of every pair of waves: O(N (P + Q)) exponentials, O(N P Q) products."""
    arriving = panel.wave_response(into.rx_wave, theta.dtype)  # [B, 1, T, P, N]
    leaving = panel.wave_response(out.tx_wave, theta.dtype)  # [B, R, 1, Q, N]
    b1, _, tx, p, n = sizes(arriving)
    b2, rx, _, q, _ = sizes(leaving)
    arriving = tf.reshape(arriving, [b1, 1, tx * p, n])
    leaving = tf.reshape(leaving, [b2, 1, rx * q, n])
    factor = tf.linalg.matmul(leaving, times_rows(theta, arriving), transpose_b=True)
    # Batch and time first, paths and antennas as one axis for either side.
    before = tf.transpose(into.a[:, 0, 0], [0, 4, 1, 3, 2])  # [B, t, T, P, Ta]
    after = tf.transpose(out.a[:, :, :, 0, 0], [0, 4, 1, 3, 2])  # [B, t, R, Q, Ra]
    before = tf.reshape(before, [*sizes(before)[:2], 1, -1])
    after = tf.reshape(after, [*sizes(after)[:2], -1, 1])
    pairs = after * before
    rx_ant, tx_ant = sizes(out.a)[2], sizes(into.a)[4]
    b, t = (larger(x, y) for x, y in zip(sizes(pairs)[:2], sizes(factor)[:2], strict=True))
    pairs = tf.broadcast_to(pairs, [b, t, *sizes(pairs)[2:]])
    pairs = tf.reshape(pairs, [b, t, rx * q, rx_ant, tx * p, tx_ant])
    factor = tf.broadcast_to(factor, [b, t, rx * q, tx * p])
    a = tf.reshape(pairs * factor[:, :, :, None, :, None], [b, t, rx, q, rx_ant, tx, p, tx_ant])
    a = tf.transpose(a, [0, 2, 4, 5, 7, 3, 6, 1])

    def bound():
        energy = tf.reduce_sum(tf.square(tf.abs(tf.stop_gradient(pairs))), [1, 3, 5])
        energy = tf.transpose(tf.reshape(energy, [b, rx, q, tx, p]), [0, 1, 3, 2, 4])
        return float(n) ** 2 * tf.reshape(energy, [b, rx, tx, q * p])

    return tf.reshape(a, [b, rx, rx_ant, tx, tx_ant, q * p, t]), bound


def _between_antennas(theta, into, out, panel):
    """Sums over the elements as one matrix product for every time step."""
    into, out = spread(into, "rx", panel), spread(out, "tx", panel)
    b1, _, n, tx, tx_ant, p, t1 = sizes(into.a)
    b2, rx, rx_ant, _, _, q, t2 = sizes(out.a)
    arriving = tf.reshape(tf.transpose(into.a[:, 0], [0, 5, 1, 2, 3, 4]), [b1, t1, n, -1])
    leaving = tf.reshape(tf.transpose(out.a[:, :, :, 0], [0, 5, 1, 2, 4, 3]), [b2, t2, -1, n])
    connected = isinstance(theta, BlockOperator)
    if n == 2 * (theta.num_elements if connected else theta.shape[-1]):
        theta = stacked(theta)  # dual-polarised antennas, one coefficient for both
    product = tf.linalg.matmul(leaving, times(theta, arriving))
    b, t = sizes(product)[:2]

    def order(x, t):
        x = tf.reshape(x, [b, t, rx, rx_ant, q, tx, tx_ant, p])
        return tf.transpose(x, [0, 2, 3, 5, 6, 4, 7, 1])

    a = tf.reshape(order(product, t), [b, rx, rx_ant, tx, tx_ant, q * p, t])

    def bound():
        from_it, to_it = (tf.abs(tf.stop_gradient(x)) for x in (leaving, arriving))
        if connected:  # whatever comes in may leave by any element
            from_it = tf.norm(from_it, axis=-1, keepdims=True)
            to_it = tf.norm(to_it, axis=-2, keepdims=True)
        magnitude = tf.linalg.matmul(from_it, to_it)
        magnitude = tf.broadcast_to(magnitude, [b, *sizes(magnitude)[1:]])
        energy = tf.reduce_sum(tf.square(order(magnitude, sizes(magnitude)[1])), [2, 4, 7])
        return tf.reshape(energy, [b, rx, tx, q * p])

    return a, bound


def join(a, b, array):
    """Paths of both, side by side; mixed forms are written out for ``array``."""
    if (a.rx_wave is None) != (b.rx_wave is None):
        a, b = spread(a, "rx", array), spread(b, "rx", array)
    a, b = _with_curvature(a, b), _with_curvature(b, a)
    batch = larger(sizes(a.a)[0], sizes(b.a)[0])
    steps = larger(sizes(a.a)[6], sizes(b.a)[6])
    gains, delays, waves = [], [], []
    for cir in (a, b):
        shape = sizes(cir.a)
        gains.append(tf.broadcast_to(cir.a, [batch, *shape[1:6], steps]))
        delays.append(tf.broadcast_to(cir.tau, [batch, *sizes(cir.tau)[1:]]))
        if cir.rx_wave is not None:
            waves.append(tf.broadcast_to(cir.rx_wave, [batch, *sizes(cir.rx_wave)[1:]]))
    wave = tf.concat(waves, 3) if waves else None
    return CIR(tf.concat(gains, 5), tf.concat(delays, 3), wave)


def _with_curvature(cir, other):
    """Plane waves as spherical ones from infinity, where the other's are spherical."""
    if cir.rx_wave is None or cir.rx_wave.shape[-1] >= other.rx_wave.shape[-1]:
        return cir
    far = tf.zeros_like(cir.rx_wave[..., :1])
    return cir._replace(rx_wave=tf.concat([cir.rx_wave, far], -1))


def larger(a, b):
    """The size to which two sizes broadcast."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    return tf.maximum(a, b)


def path_energy(a, common=False):
    """Energy of every path over antennas and time steps [B, R, T, P], real.

    In a unit of every example, or of all examples together, in which squares neither vanish nor
    overflow.
    """
    a, _ = unit_scale(a, range(0 if common else 1, 7))
    return tf.reduce_sum(tf.square(tf.abs(a)), [2, 4, 6])


def response(cir, frequencies):
    r"""Frequency response :math:`H(f)=\sum_p a_p e^{-j2\pi f\tau_p}`.

    Parameters
    ----------
    cir : CIR
        Without waves.
    frequencies : tf.Tensor, [F], real
        Relative to the carrier [Hz].

    Returns
    -------
    tf.Tensor, [batch, num_time_steps, F, num_rx * num_rx_ant, num_tx * num_tx_ant], complex
    """
    phase = -2 * math.pi * frequencies[:, None] * cir.tau[:, :, :, None, :]
    turn = unit_phasor(phase)  # [B, R, T, F, P]
    batch = larger(sizes(cir.a)[0], sizes(turn)[0])
    a = tf.broadcast_to(cir.a, [batch, *sizes(cir.a)[1:]])
    turn = tf.broadcast_to(turn, [batch, *sizes(turn)[1:]])
    h = tf.einsum("briumpt,brufp->btfrium", a, turn)
    b, t, f, rx, rx_ant, tx, tx_ant = sizes(h)
    return tf.reshape(h, [b, t, f, rx * rx_ant, tx * tx_ant])
