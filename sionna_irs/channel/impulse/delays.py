"""Delays of a composition: what falls out of a cyclic prefix or a filter."""

import math
import warnings

import numpy as np
import tensorflow as tf

from .paths import path_energy

__all__ = ["check_cyclic_prefix", "delay_energy", "delay_range"]

# A path counts from -60 dB of its link on: 3GPP pads with zero power at delays of seconds.
_FLOOR = 1e-6


def _first_and_last(a, tau):
    """(energy, first delay, last delay) of the paths that count, [B, R, T, P] and [B, R, T, 1]."""
    energy = path_energy(a, common=True)
    tau = tf.broadcast_to(tau, tf.shape(energy))
    counts = energy > _FLOOR * tf.reduce_sum(energy, -1, keepdims=True)
    first = tf.reduce_min(tf.where(counts, tau, tau.dtype.max), -1, keepdims=True)
    last = tf.reduce_max(tf.where(counts, tau, tau.dtype.min), -1, keepdims=True)
    return energy, first, last


def delay_range(a, tau):
    """Smallest and largest delay of all paths that carry power.

    Their difference is the ``maximum_delay_spread`` that a ``TimeChannel`` needs, once the
    smallest is subtracted (``SurfaceCIR(subtract_delay=True)``).

    Parameters
    ----------
    a, tau : tf.Tensor
        As Sionna's: gains and delays [s]. Paths below -60 dB of their link are ignored.

    Returns
    -------
    (float, float)
        [s]; (0, 0) without any power.

    Examples
    --------
    >>> import sionna_irs as irs, tensorflow as tf
    >>> a = tf.reshape(tf.constant([1, 1, 0], tf.complex64), [1, 1, 1, 1, 1, 3, 1])
    >>> first, last = irs.delay_range(a, tf.constant([[[[1e-7, 3e-7, 12.7]]]]))
    >>> round(last * 1e9)
    300
    """
    _, first, last = _first_and_last(tf.convert_to_tensor(a), tf.convert_to_tensor(tau))
    first, last = float(tf.reduce_min(first)), float(tf.reduce_max(last))
    return (first, last) if first <= last else (0.0, 0.0)


def delay_energy(a, tau, cutoff: float):
    r"""Share of the energy in paths later than ``cutoff`` after the first one.

    Parameters
    ----------
    a, tau : tf.Tensor
        As Sionna's: gains and delays [s]. Paths without power are ignored.
    cutoff : float
        For instance the duration of the cyclic prefix [s].

    Returns
    -------
    tf.Tensor, [], real

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> a = tf.ones([1, 1, 1, 1, 1, 2, 1], tf.complex64)
    >>> float(irs.delay_energy(a, tf.constant([[[[0.0, 3e-6]]]]), cutoff=1e-6))
    0.5
    """
    energy, first, _ = _first_and_last(a, tau)
    late = tf.where(tau - first > cutoff, energy, tf.zeros_like(energy))
    return tf.math.divide_no_nan(tf.reduce_sum(late), tf.reduce_sum(energy))


def check_cyclic_prefix(a, tau, resource_grid, max_db: float = -30.0):
    r"""Energy beyond the cyclic prefix, which OFDM channels in the frequency domain overlook.

    ``OFDMChannel`` multiplies per subcarrier, so that late paths do no harm there; in a real
    receiver they do. The delays of two hops add up: two hops of 376 ns reach 0.75 us, beyond the
    0.59 us of the normal prefix at 120 kHz.

    Parameters
    ----------
    a, tau : tf.Tensor
        From a channel model.
    resource_grid : sionna.phy.ofdm.ResourceGrid
    max_db : float
        Energy relative to the total that brings a warning [dB].

    Returns
    -------
    float
        [dB], minus infinity when nothing is late.

    Warns
    -----
    UserWarning
        Above `max_db`.

    Examples
    --------
    >>> import sionna_irs as irs, tensorflow as tf
    >>> from sionna.phy.ofdm import ResourceGrid
    >>> grid = ResourceGrid(14, 76, 30e3, cyclic_prefix_length=6)
    >>> a = tf.ones([1, 1, 1, 1, 1, 2, 1], tf.complex64)
    >>> irs.check_cyclic_prefix(a, tf.constant([[[[0.0, 1e-6]]]]), grid)
    -inf
    """
    sample = 1 / (float(resource_grid.fft_size) * float(resource_grid.subcarrier_spacing))
    prefix = float(np.max(resource_grid.cyclic_prefix_length)) * sample
    late = float(delay_energy(tf.convert_to_tensor(a), tf.convert_to_tensor(tau), prefix))
    late_db = 10 * math.log10(late) if late > 0 else -math.inf
    if late_db > max_db:
        warnings.warn(
            f"{late_db:.1f} dB of the energy arrives later than the cyclic prefix of "
            f"{prefix * 1e6:.3g} us: at most {max_db} dB is wanted",
            stacklevel=2,
        )
    return late_db
