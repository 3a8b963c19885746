"""A narrow-band hop as a Sionna channel model: its paths, their delays, its fading over time."""

import math

import numpy as np
import scipy.special
import tensorflow as tf
from sionna.phy.channel import ChannelModel

from ... import random
from ...layer import Input, LinkLayer

__all__ = ["HopModel"]


class HopModel(LinkLayer):
    r"""A hop as ``(a, tau)``: one path, or its line of sight and its scattered part apart.

    The paths sum to a draw of the hop. The scattered one arrives later by an exponential delay,
    one draw for every example. Over time steps the hop stands still, or its scattered part fades
    with the temporal correlation :math:`J_0(2\pi f_D\Delta t)` of both sets of scatterers.

    Parameters
    ----------
    hop : RicianHop
        :class:`DoubleScatteringHop` where it is to fade.
    delay : float
        Of the first path [s].
    mean_excess_delay : float or None
        Of the scattered part [s]; None keeps the hop in one path.
    max_doppler : float
        f_D [Hz]; 0 is block fading.

    Input
    -----
    batch_size, num_time_steps : int
    sampling_frequency : float
        Time steps per second [Hz].

    Output
    ------
    a : tf.Tensor, [batch_size, 1, rx, 1, tx, paths, num_time_steps], complex
    tau : tf.Tensor, [batch_size, 1, 1, paths], real [s]

    Raises
    ------
    ValueError
        For numbers out of range, and a Doppler frequency for a hop that cannot fade.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> hop = irs.DoubleScatteringHop(irs.ULA(2), irs.ULA(4), k_factor=1.0)
    >>> model = irs.HopModel(hop, delay=1e-7, mean_excess_delay=2e-8, max_doppler=100.0)
    >>> a, tau = model(8, 14, 15e3)
    >>> a.shape, tau.shape
    (TensorShape([8, 1, 4, 1, 2, 2, 14]), TensorShape([8, 1, 1, 2]))
    """

    inputs = {"batch_size": Input("size"), "num_time_steps": Input("size")}

    def __init__(
        self,
        hop,
        delay: float = 0.0,
        mean_excess_delay: float | None = None,
        max_doppler: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("delay", delay), ("max_doppler", max_doppler)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} = {value}; a finite number of at least 0 is needed")
        if mean_excess_delay is not None and not 0 < mean_excess_delay < math.inf:
            raise ValueError(
                f"mean_excess_delay = {mean_excess_delay}; None or a positive number is needed"
            )
        if max_doppler and not hasattr(hop, "sequence"):
            raise ValueError(f"max_doppler = {max_doppler}: a {type(hop).__name__} stands still")
        self.hop, self.delay, self.max_doppler = hop, delay, max_doppler
        self.mean_excess_delay = mean_excess_delay
        self.num_rx_ant, self.num_tx_ant = hop.num_rx_ant, hop.num_tx_ant

    def call(self, batch_size, num_time_steps, sampling_frequency):
        los, scattered = self._parts(batch_size, num_time_steps, sampling_frequency)
        apart = self.mean_excess_delay is not None
        paths = tf.stack([los, scattered], -1) if apart else (los + scattered)[..., None]
        a = tf.transpose(paths, [0, 2, 3, 4, 1])[:, None, :, None]  # from [B, T, rx, tx, paths]
        delays = [self.delay + tf.zeros([batch_size], self.rdtype)]
        if apart:
            u = random.uniform([batch_size], self.rdtype)
            delays.append(self.delay - self.mean_excess_delay * tf.math.log1p(-u))
        return a, tf.stack(delays, -1)[:, None, None]

    def _parts(self, batch_size, num_time_steps, sampling_frequency):
        """Line of sight and the rest, [batch_size, num_time_steps, rx, tx] each."""
        shape = [batch_size, num_time_steps, self.num_rx_ant, self.num_tx_ant]
        los = tf.broadcast_to(self.cast(self.hop.line_of_sight, "line of sight"), shape)
        if not self.max_doppler:
            scattered = self.hop.scattered([batch_size, *shape[2:]])
            return los, tf.broadcast_to(self.cast(scattered, "hop")[:, None], shape)
        lags = np.arange(num_time_steps) * (2 * np.pi * self.max_doppler / sampling_frequency)
        correlation = scipy.special.j0(np.abs(lags[:, None] - lags))
        return los, self.cast(self.hop.sequence(batch_size, correlation), "hop")


ChannelModel.register(HopModel)
