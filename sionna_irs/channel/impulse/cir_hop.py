"""Hops that give impulse responses: Sionna's channel models, and narrow-band hops as one path."""

import math
from typing import Literal

import numpy as np
import tensorflow as tf

from ...arrays import sionna_order
from ...layer import to_dtype
from .guards import warn_if_kept, warn_if_shared
from .paths import CIR, path_energy, sizes

__all__ = ["CIRHop", "MatrixHop", "panel_order", "user_axis"]


def _is_static(model):
    """Whether a model is known to stand still."""
    speeds = [getattr(model, name, None) for name in ("_min_speed", "_max_speed")]
    return all(speed is not None and float(tf.reduce_max(speed)) == 0 for speed in speeds)


class CIRHop:
    r"""A Sionna channel model as a hop, with its gain, its delay, and the order of its elements.

    3GPP models have unit mean power and delays from 0: ``path_gain`` and ``excess_delay`` put the
    hop's physical level and its place in time back, so that paths over the surface line up with
    the direct ones.

    Parameters
    ----------
    model : sionna.phy.channel.ChannelModel
        Its antennas at a surface are the surface's elements (or twice as many, dual-polarised).
    path_gain : float
        Factor of the power, linear.
    excess_delay : float
        Added to all delays [s].
    static : bool or None
        Draw one time step and hold it. None: whenever the model's speed is known to be zero.
    order : "sionna" or "panel"
        How the model counts a panel's elements: see :func:`sionna_order`.

    Raises
    ------
    ValueError
        For a gain or delay out of range, an unknown order, and a path gain on top of a model that
        already has its path loss.

    Warns
    -----
    UserWarning
        Once, when a model gives one draw to all examples of a batch, as 3GPP's UMi, UMa and RMa
        with a topology of one example do; and when they keep several drops from batch to batch.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna.phy.channel import RayleighBlockFading
    >>> hop = irs.CIRHop(RayleighBlockFading(1, 1, 1, 4), path_gain=1e-6, excess_delay=1e-7)
    >>> hop.path_gain
    1e-06
    """

    def __init__(
        self,
        model,
        path_gain: float = 1.0,
        excess_delay: float = 0.0,
        static: bool | None = None,
        order: Literal["sionna", "panel"] = "sionna",
    ):
        if not (math.isfinite(path_gain) and path_gain > 0):
            raise ValueError(f"path_gain = {path_gain}; a positive number is needed")
        if not (math.isfinite(excess_delay) and excess_delay >= 0):
            raise ValueError(f"excess_delay = {excess_delay}; a number of at least 0 is needed")
        if order not in ("sionna", "panel"):
            raise ValueError(f"order = {order!r}; 'sionna' or 'panel' is needed")
        scenario = getattr(model, "_scenario", None)
        if path_gain != 1 and getattr(scenario, "pathloss_enabled", False):
            raise ValueError(
                f"path_gain = {path_gain}: the model has its path loss already; "
                "build it with enable_pathloss=False, or leave path_gain at 1"
            )
        self.model, self.path_gain, self.excess_delay = model, path_gain, excess_delay
        self.static = _is_static(model) if static is None else static
        self.order = order

    @property
    def shares_channel(self):
        """Whether all examples of a batch get one draw: the model says so, or its topology is one.

        A bool.
        """
        said, places = getattr(self.model, "shares_channel", None), self._places
        return places is not None and places.shape[0] == 1 if said is None else bool(said)

    @property
    def _places(self):
        """Of the users of a 3GPP model with its topology, [examples, users, 3]; else None."""
        return getattr(getattr(self.model, "_scenario", None), "_ut_loc", None)

    def memory(self, batch_size, num_time_steps):
        """Bytes of the largest tensor of a draw, float, or 0 for a model that has no rays.

        3GPP's models sum 20 rays of every cluster for every pair of antennas and time step.
        """
        model, scenario, links = self.model, getattr(self.model, "_scenario", None), 1
        arrays = [getattr(model, name, None) for name in ("_tx_array", "_rx_array")]
        clusters = getattr(model, "_num_clusters", None)
        if self._places is not None:  # UMi, UMa, RMa with their topology
            arrays = scenario._ut_array, scenario._bs_array
            with tf.init_scope():
                clusters = scenario.num_clusters_max
            batch_size, users = scenario._ut_loc.shape[:2]
            links = users * scenario._bs_loc.shape[1]
        if clusters is None or None in arrays:
            return 0.0
        steps = 1 if self.static else num_time_steps
        size = getattr(model, "cdtype", tf.complex64).size
        # Not int(...): AutoGraph would make it a tensor of the graph.
        counts = [
            tf.get_static_value(n) if tf.is_tensor(n) else n
            for n in (clusters, *(array.num_ant for array in arrays))
        ]
        return 20.0 * size * batch_size * links * steps * math.prod(counts)

    def draw(self, batch_size, num_time_steps, sampling_frequency):
        """A draw of the model as a :class:`CIR`."""
        steps = 1 if self.static else num_time_steps
        model = self.model
        if self._places is not None:
            warn_if_kept(self, self._places)
        if hasattr(model, "_scenario") and not tf.executing_eagerly():
            # UMi, UMa and RMa ask tensors for their truth, which needs AutoGraph; a new function
            # each time, for it keeps the topology that it saw.
            model = tf.function(model)
        a, tau = model(batch_size, steps, sampling_frequency)
        warn_if_shared(self, a.shape[0], batch_size)
        # Missing clusters come with zero power and delays of seconds.
        tau = tf.where(path_energy(a) > 0, tau, tf.zeros_like(tau))
        return CIR(
            a * to_dtype(math.sqrt(self.path_gain), a.dtype),
            tau + to_dtype(self.excess_delay, tau.dtype),
        )


class MatrixHop:
    """A narrow-band hop, a layer or callable ``batch_size -> [B, (K,) rx, tx]``: one path, delay 0.

    Users K become transmitters or receivers, as ``user_axis`` says ("tx" or "rx").
    """

    order = "panel"

    def __init__(self, hop, user_axis):
        self.hop, self.user_axis = hop, user_axis
        self.num_rx_ant = getattr(hop, "num_rx_ant", None)
        self.num_tx_ant = getattr(hop, "num_tx_ant", None)

    def draw(self, batch_size, num_time_steps, sampling_frequency):
        """A draw as a :class:`CIR`."""
        h = self.hop(batch_size)
        if h.shape.rank == 3:
            h = h[:, None, :, None]
        elif self.user_axis == "tx":
            h = tf.transpose(h, [0, 2, 1, 3])[:, None]
        else:
            h = h[:, :, :, None]
        b, rx, _, tx = sizes(h)[:4]
        return CIR(h[..., None, None], tf.zeros([b, rx, tx, 1], h.dtype.real_dtype))


def panel_order(cir, start, end):
    """A Sionna model's antennas in the order of our panels at ``start`` and ``end`` (or None)."""
    a = cir.a
    for panel, axis in ((end, 2), (start, 4)):
        if panel is None:
            continue
        order = sionna_order(panel)
        if a.shape[axis] == 2 * len(order):  # dual-polarised
            order = np.concatenate([order, order + len(order)])
        if a.shape[axis] == len(order):  # else the surface refuses it
            a = tf.gather(a, order, axis=axis)
    return cir._replace(a=a)


def user_axis(hops):
    """Where the users of narrow-band hops sit: "rx" when a hop from a surface to rx has some."""
    several = [n for n, hop in hops.items() if getattr(hop, "num_users", None)]
    return "rx" if any(n.endswith(">rx") and n != "tx>rx" for n in several) else "tx"
