"""The surface as a Sionna channel model: impulse responses through any surfaces."""

import math

import numpy as np
import tensorflow as tf
from sionna.phy.channel import ChannelModel

from ...layer import Input, as_size, require_integer
from ...surface.operators import BlockOperator, cast_response, stacked, with_axes
from ...surface.surface import as_frequencies
from ..graph import SurfaceGraph, push
from .cir_hop import CIRHop, MatrixHop, panel_order, user_axis
from .cir_table import CIRTable, TableHop, common_pick
from .guards import (
    refuse_misfits,
    refuse_other_axes,
    refuse_other_sizes,
    warn_if_frequency_selective,
    warn_if_normalized,
)
from .matrices import hop_responses, link_matrices
from .paths import CIR, join, sizes, spread, through_surface
from .pruning import paths_for, prune_paths

__all__ = ["SurfaceCIR"]

_CALIBRATION_SIZE = 64


class SurfaceCIR(SurfaceGraph):
    r"""Surfaces in a Sionna link: a channel model ``(a, tau)`` made of hops and surfaces.

    Along every way over the surfaces the path gains multiply and the delays add,

    .. math:: a_{qp}=\sum_n a^{out}_{nq}\,\theta_n\,a^{in}_{np},\qquad
              \tau_{qp}=\tau^{out}_q+\tau^{in}_p

    and ways side by side (direct path, several surfaces) add their paths. The arguments are those
    of :class:`SurfaceChannel`; it is a ``sionna.phy.channel.ChannelModel``, so it goes into
    ``OFDMChannel``, ``TimeChannel``, ``GenerateOFDMChannel`` and PUSCH links. Keep their
    ``normalize_channel`` at False: normalising removes the surface's gain (a warning says so).

    Parameters
    ----------
    hops : dict or CIRTable
        ``"tx>s1"``, ``"s1>rx"``, ``"tx>rx"``, ...: Sionna channel models (bare, or in a
        :class:`CIRHop` with gain and delay), the narrow-band hops of :class:`SurfaceChannel`
        (one path without delay), fixed responses (a, tau), or those of a :class:`CIRTable`, such
        as :class:`RayTracedHops`. Users are the transmitters (uplink) or receivers (downlink) of
        one hop, which share the other.
    surfaces : dict
        Name -> :class:`Surface`. A panel of N elements serves 2N dual-polarised antennas with
        one coefficient for both polarisations; :class:`DualPolarized` has one for each. Controls
        may change from time step to time step: [1 or B, num_time_steps, N].
    policy : callable or None
        links -> controls, used in every call; None takes the surfaces' own controls.
    frequencies : array, [F], or None
        Where the policy sees the links, relative to the carrier [Hz]: matrices [B, F, rx, tx].
        None: at the carrier alone, [B, rx, tx].
    max_energy_loss : float or None
        Prune the weakest paths after every surface so that about this share of the energy is
        lost: the number of paths is fixed at construction from 64 draws, the paths themselves are
        chosen for every example. With trainable controls they are ranked by the energy that no
        phases can exceed, so that training sees every path that it may raise.
    num_paths : int or None
        Paths to keep after every surface, instead of `max_energy_loss`.
    subtract_delay : bool
        Start every example at its first path: one delay for all of its links is subtracted, so
        that absolute delays fit into a :class:`~sionna.phy.channel.TimeChannel`.
    memory_limit : float
        Largest tensor [byte]; beyond it an error names the size.

    Input
    -----
    batch_size : int
    num_time_steps : int
    sampling_frequency : float
        [Hz]
    policy : callable or None
        Instead of the constructor's.

    Output
    ------
    a : tf.Tensor, [batch, num_rx, num_rx_ant, num_tx, num_tx_ant, num_paths, num_time_steps], complex
    tau : tf.Tensor, [batch, num_rx, num_tx, num_paths], real
        [s]

    Raises
    ------
    ValueError
        When names are unknown, sizes disagree, no path leads from tx to rx, numbers are out of
        range, or a tensor would not fit into memory.

    Warns
    -----
    UserWarning
        Within a Sionna block that normalises the channel; for elements that depend on frequency,
        which (a, tau) can hold at the carrier only (see :meth:`response`); and for a hop that
        gives one draw to all examples of a batch (see :class:`CIRHop`).

    Examples
    --------
    >>> import sionna_irs as irs
    >>> from sionna.phy.channel import RayleighBlockFading
    >>> panel = irs.UPA(4, 4)
    >>> cir = irs.SurfaceCIR(
    ...     hops={"tx>s1": RayleighBlockFading(1, 16, 1, 1), "s1>rx": RayleighBlockFading(1, 2, 1, 16)},
    ...     surfaces={"s1": irs.IdealPhases(panel)})
    >>> a, tau = cir(8, 14, 30e3)
    >>> a.shape
    TensorShape([8, 1, 2, 1, 1, 1, 14])
    """  # noqa: E501

    inputs = {"batch_size": Input("size"), "num_time_steps": Input("size")}

    def __init__(
        self,
        hops,
        surfaces: dict,
        policy=None,
        frequencies=None,
        max_energy_loss: float | None = None,
        num_paths: int | None = None,
        subtract_delay: bool = False,
        memory_limit: float = 4e9,
        **kwargs,
    ):
        self._user_axis = user_axis(hops)
        super().__init__(hops, surfaces, **kwargs)
        # A method: Keras would wrap the table itself, a dictionary.
        self._pick = common_pick(self.hops.values())
        # Layers within hops, for Keras to find their weights.
        inner = [part for hop in self.hops.values() for part in vars(hop).values()]
        self._hop_layers = [part for part in inner if isinstance(part, tf.keras.layers.Layer)]
        if max_energy_loss is not None and not 0 < max_energy_loss < 1:
            raise ValueError(f"max_energy_loss = {max_energy_loss}; a number in (0, 1) is needed")
        require_integer("num_paths", num_paths, optional=True)
        if num_paths is not None and max_energy_loss is not None:
            raise ValueError("num_paths and max_energy_loss: give one of them")
        if not memory_limit > 0:
            raise ValueError(f"memory_limit = {memory_limit}; a positive number is needed")
        self.policy, self.memory_limit, self.subtract_delay = policy, memory_limit, subtract_delay
        self.frequencies = None if frequencies is None else as_frequencies(frequencies)
        # Paths to keep after each surface that a path meets, in the order of composition.
        self._kept = num_paths
        if max_energy_loss is not None:
            with tf.init_scope():
                self._kept = self._calibrate(max_energy_loss)

    def hop(self, name, hop):
        """Everything that gives impulse responses: see the parameter `hops`."""
        if isinstance(hop, (CIRHop, TableHop)):
            return hop
        if isinstance(hop, ChannelModel):
            return CIRHop(hop)
        if isinstance(hop, tuple):
            return CIRTable({name: hop})[name]
        if callable(hop):
            return MatrixHop(hop, self._user_axis)
        hop = np.asarray(hop)
        if hop.ndim != 2:
            raise ValueError(
                f"hops[{name!r}] has shape {hop.shape}; a channel model, (a, tau), a layer or a "
                "matrix [rx, tx] is needed"
            )
        hop = hop.astype(complex)[None, None, :, None, :, None, None]
        return CIRTable({name: (hop, np.zeros([1, 1, 1, 1]))})[name]

    def draw(self, batch_size, num_time_steps=1, sampling_frequency=1.0, index=None):
        """Draw every hop.

        Parameters
        ----------
        batch_size, num_time_steps, sampling_frequency
            As in a call.
        index : tf.Tensor, [batch_size, num_users], integer, or None
            Samples of the table to take; None draws them.

        Returns
        -------
        dict
            Hop -> :class:`CIR`, its antennas at surfaces in the order of our panels. A hop that
            is the same for all examples has batch 1, one that stands still has 1 time step.
        """
        batch_size = as_size("batch_size", batch_size)
        num_time_steps = as_size("num_time_steps", num_time_steps)
        if self._pick is not None:
            index = self._pick(batch_size, index)
        elif index is not None:
            raise ValueError("index: no hop has several samples to choose from")
        cirs = {}
        for (start, end), (name, hop) in zip(self._arrows, self.hops.items(), strict=True):
            if isinstance(hop, TableHop):
                cir, arrays = hop.draw(index), hop.table.arrays
                cir = cir._replace(a=self.cplx(cir.a))  # stored numbers, not another layer's
            else:
                self._check_memory(name, hop, batch_size, num_time_steps)
                cir, arrays = hop.draw(batch_size, num_time_steps, sampling_frequency), {}
            cir = CIR(
                self.cast(cir.a, name),
                *(None if x is None else tf.cast(x, self.rdtype) for x in cir[1:]),
            )
            if hop.order == "sionna":
                panels = (getattr(self.surfaces.get(n), "panel", None) for n in (start, end))
                cir = panel_order(cir, *panels)
            if start == "tx":
                cir = spread(cir, "tx", arrays.get("tx"))
            if end == "rx":
                cir = spread(cir, "rx", arrays.get("rx"))
            cirs[name] = cir
        return cirs

    def _check_memory(self, name, hop, batch_size, num_time_steps):
        if isinstance(hop, CIRHop) and isinstance(batch_size, int):
            self._refuse(f"drawing hop {name!r}", hop.memory(batch_size, num_time_steps))

    def _refuse(self, what, size):
        if size > self.memory_limit:
            raise ValueError(
                f"{what} needs a tensor of {size / 1e9:.3g} GB, more than memory_limit = "
                f"{self.memory_limit / 1e9:.3g} GB: take a smaller batch or panel, fewer paths "
                "(max_energy_loss), or hops in far-field form"
            )

    def compose(self, cirs, theta, return_loss=False):
        """Impulse response from tx to rx.

        Parameters
        ----------
        cirs : dict
            From :meth:`draw`.
        theta : dict
            Surface -> [N], [B, N] or [1 or B, num_time_steps, N], complex.
        return_loss : bool
            Return the share of the energy that was pruned, too.

        Returns
        -------
        (a, tau) or (a, tau, loss)
            As a call gives them, but nothing is broadcast to the batch or to the time steps where
            all hops agree. Loss [batch], real: at one surface exact, at several as if every path
            met all of them.

        Raises
        ------
        ValueError
            When a hop or a surface is missing, or a product would not fit into memory.
        """
        loss, numbers = [], []

        def times(arrow, out, theta_n, into):
            cir, bound = self._through(arrow, theta_n, into, out)
            number = self._kept[len(numbers)] if isinstance(self._kept, list) else self._kept
            numbers.append(number)
            if number is None or number >= sizes(cir.tau)[3]:
                return cir
            ranked = bound() if self.surfaces[arrow[0]].trainable_variables else None
            cir, dropped = prune_paths(cir, number, ranked)
            loss.append(dropped)
            return cir

        cir = self._push(cirs, theta, times)
        if not return_loss:
            return cir.a, cir.tau
        kept = tf.ones([1], self.rdtype)
        for dropped in loss:
            kept *= 1 - dropped
        return cir.a, cir.tau, 1 - kept

    def _push(self, cirs, theta, times):
        self._complete(cirs, theta)
        cirs = self._fitting(cirs)
        hops = {(a, b): cirs[f"{a}>{b}"] for a, b in self._arrows}
        theta = {name: cast_response(self, theta[name], name) for name in self.surfaces}

        def plus(node, a, b):
            return join(a, b, getattr(self.surfaces.get(node), "panel", None))

        return push(hops, theta, "tx", "rx", times, plus)

    def _fitting(self, cirs):
        """The hops' own responses in their order, checked against each other."""
        self._complete(cirs, self.surfaces)
        cirs = {name: cirs[name] for name in self.hops}
        refuse_misfits(cirs, self.surfaces)
        return cirs

    def _panels(self):
        return {name: surface.panel for name, surface in self.surfaces.items()}

    def _through(self, arrow, theta, into, out):
        panel = self.surfaces[arrow[0]].panel
        after, before = out.a.shape, into.a.shape
        shape = theta.blocks.shape[:-2] if isinstance(theta, BlockOperator) else theta.shape
        own = [*shape[:-1], 1, 1]
        product = [
            max(n or 1 for n in (after[0], before[0], own[0])),
            max(n or 1 for n in (after[6], before[6], own[1])),
            max(math.prod(n or 1 for n in (*after[1:3], after[5])), panel.num_ant),
            *before[3:6],
        ]
        size = math.prod(n or 1 for n in product) * self.cdtype.size
        self._refuse(f"the composition at surface {arrow[0]!r}", size)
        return through_surface(theta, into, out, panel)

    def _calibrate(self, max_energy_loss):
        """Numbers of paths for an expected loss, split evenly over the surfaces of a path."""
        controls, numbers = None, []
        cirs = self.draw(_CALIBRATION_SIZE)
        if self.policy is not None:
            controls = self.chosen(self.policy, self.links(cirs))
        share = max_energy_loss / max(1, len(self.surfaces))

        def times(arrow, out, theta_n, into):
            cir, bound = self._through(arrow, theta_n, into, out)
            ranked = bound() if self.surfaces[arrow[0]].trainable_variables else None
            numbers.append(paths_for(cir, share, ranked))
            return prune_paths(cir, numbers[-1], ranked)[0]

        self._push(cirs, self.reflect(controls), times)
        return numbers

    def links(self, cirs, frequencies=None):
        """Matrices of the hops at the first time step, as policies and estimators take them.

        Parameters
        ----------
        cirs : dict
            From :meth:`draw`.
        frequencies : array, [F], or None
            None takes the constructor's.

        Returns
        -------
        Links
            ``{"tx>s1": [B, (F,) (K,) N, tx], ...}``, with a user axis K where a hop has several
            transmitters or receivers.
        """
        frequencies = self.frequencies if frequencies is None else frequencies
        at = self.real([0.0] if frequencies is None else as_frequencies(frequencies))
        return link_matrices(self._fitting(cirs), self._panels(), at, frequencies is not None)

    def response(self, cirs, frequencies, controls=None):
        r"""Frequency response, with elements as they are at each frequency.

        .. math:: H(f)=H_{dir}(f)+\sum_nH_{out}(f)_{:n}\,\theta_n(f)\,H_{in}(f)_{n:}

        Parameters
        ----------
        cirs : dict
            From :meth:`draw`.
        frequencies : array, [F]
            Relative to the carrier [Hz], as ``sionna.phy.channel.subcarrier_frequencies``.
        controls : Controls, Design, dict or None
            Surface -> control [C], [B, C] or [1 or B, num_time_steps, C], real, or a design of the
            same axes; None takes the surfaces' own.

        Returns
        -------
        tf.Tensor, [batch, num_rx, num_rx_ant, num_tx, num_tx_ant, num_time_steps, F], complex
            As Sionna's ``ApplyOFDMChannel`` takes it.
        """
        controls, frequencies = self.realize(controls), as_frequencies(frequencies)
        links = hop_responses(self._fitting(cirs), self._panels(), self.real(frequencies))
        theta = {}
        for name, surface in self.surfaces.items():
            values = surface.response(controls.get(name), frequencies)
            values = with_axes(values, 3)  # [batch, num_time_steps, F, N]
            ends = [links[f"{a}>{b}"].shape[-2] for a, b in self._arrows if b == name]
            if ends and ends[0] == 2 * surface.num_elements:  # one coefficient for both
                values = stacked(values)
            theta[name] = values
        h = self.compose_matrices(links, theta)
        first = next(cirs[f"{a}>{b}"].a for a, b in self._arrows if a == "tx")
        last = next(cirs[f"{a}>{b}"].a for a, b in self._arrows if b == "rx")
        b, t, f = sizes(h)[:3]
        h = tf.reshape(h, [b, t, f, *sizes(last)[1:3], *sizes(first)[3:5]])
        return tf.transpose(h, [0, 3, 4, 5, 6, 1, 2])

    def call(self, batch_size, num_time_steps, sampling_frequency, policy=None):
        warn_if_normalized(self)
        warn_if_frequency_selective(self)
        cirs = self.draw(batch_size, num_time_steps, sampling_frequency)
        policy = self.policy if policy is None else policy
        controls = None
        if policy is not None:
            links = self.links(cirs)
            controls = self.chosen(policy, links)
            refuse_other_axes(controls, links, num_time_steps)
        a, tau = self.compose(cirs, self.reflect(controls))
        if self.subtract_delay:
            # Only paths with power count: missing ones have delays of their own.
            present = tf.reduce_any(tf.abs(a) > 0, [2, 4, 6])
            first = tf.reduce_min(tf.where(present, tau, tau.dtype.max), [1, 2, 3], keepdims=True)
            tau = tf.maximum(tau - first, 0)
        refuse_other_sizes(a, batch_size, num_time_steps)
        a = tf.broadcast_to(a, [batch_size, *sizes(a)[1:6], num_time_steps])
        return a, tf.broadcast_to(tau, [batch_size, *sizes(tau)[1:]])


ChannelModel.register(SurfaceCIR)
