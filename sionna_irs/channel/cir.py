"""The surface as a Sionna channel model: impulse responses through any surfaces."""

import math

import numpy as np
import tensorflow as tf
from sionna.phy.channel import ChannelModel

from .graph import SurfaceGraph, push
from .guards import warn_if_frequency_selective, warn_if_normalized
from .hops import CIRHop, MatrixHop, panel_order
from .links import Links
from .paths import CIR, join, response, sizes, spread, through_surface
from .pruning import paths_for, prune_paths
from .table import CIRTable, TableHop

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
        Within a Sionna block that normalises the channel; and for elements that depend on
        frequency, which (a, tau) can hold at the carrier only (see :meth:`response`).

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

    def __init__(
        self,
        hops,
        surfaces,
        policy=None,
        frequencies=None,
        max_energy_loss=None,
        num_paths=None,
        subtract_delay=False,
        memory_limit=4e9,
        **kwargs,
    ):
        self._user_axis = _user_axis(hops)
        super().__init__(hops, surfaces, **kwargs)
        # A method: Keras would wrap the table itself, a dictionary.
        self._pick = self._common_table()
        if max_energy_loss is not None and not 0 < max_energy_loss < 1:
            raise ValueError(f"max_energy_loss = {max_energy_loss}; a number in (0, 1) is needed")
        if num_paths is not None and (not isinstance(num_paths, int) or num_paths < 1):
            raise ValueError(f"num_paths = {num_paths!r}; an integer of at least 1 is needed")
        if num_paths is not None and max_energy_loss is not None:
            raise ValueError("num_paths and max_energy_loss: give one of them")
        if not memory_limit > 0:
            raise ValueError(f"memory_limit = {memory_limit}; a positive number is needed")
        self.policy, self.memory_limit, self.subtract_delay = policy, memory_limit, subtract_delay
        self.frequencies = None if frequencies is None else np.asarray(frequencies, float)
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

    def _common_table(self):
        """How samples are picked when hops have several: they are drawn together."""
        tables = {id(h.table): h.table for h in self.hops.values() if isinstance(h, TableHop)}
        several = [t for t in tables.values() if t.num_samples > 1]
        if len(several) > 1:
            raise ValueError(
                f"hops hold {len(several)} tables of several samples; one table is needed, whose "
                "samples belong together"
            )
        return several[0].pick if several else None

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
        batch_size = _static(batch_size)
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
                tf.cast(cir.a, self.cdtype) if isinstance(hop, TableHop) else self.cast(cir.a, name),
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
            As a call gives them; loss [batch], real. Nothing is broadcast to the batch or to the
            time steps where all hops agree.

        Raises
        ------
        ValueError
            When a hop or a surface is missing, or a product would not fit into memory.
        """
        loss, kept = [], []

        def times(arrow, out, theta_n, into):
            cir, bound = self._through(arrow, theta_n, into, out)
            number = self._kept[len(kept)] if isinstance(self._kept, list) else self._kept
            kept.append(number)
            if number is None or number >= sizes(cir.tau)[3]:
                return cir
            ranked = bound() if self.surfaces[arrow[0]].trainable_variables else None
            cir, dropped = prune_paths(cir, number, ranked)
            loss.append(dropped)
            return cir

        cir = self._push(cirs, theta, times)
        if not return_loss:
            return cir.a, cir.tau
        return cir.a, cir.tau, tf.add_n(loss) if loss else tf.zeros([1], self.rdtype)

    def _push(self, cirs, theta, times):
        self._complete(cirs, theta)
        hops = {(a, b): cirs[f"{a}>{b}"] for a, b in self._arrows}
        theta = {name: self.cast(theta[name], name) for name in self.surfaces}

        def plus(node, a, b):
            return join(a, b, getattr(self.surfaces.get(node), "panel", None))

        return push(hops, theta, "tx", "rx", times, plus)

    def _through(self, arrow, theta, into, out):
        panel = self.surfaces[arrow[0]].panel
        shape, before = out.a.shape.as_list(), into.a.shape.as_list()
        product = [max(shape[0] or 1, before[0] or 1), *shape[1:3], *before[3:5], shape[5],
                   before[5], max(shape[6] or 1, before[6] or 1)]  # fmt: skip
        size = math.prod(n or 1 for n in product) * self.cdtype.size
        self._refuse(f"the composition at surface {arrow[0]!r}", size)
        return through_surface(theta, into, out, panel)

    def _calibrate(self, max_energy_loss):
        """Numbers of paths for an expected loss, split evenly over the surfaces of a path."""
        controls, numbers = None, []
        cirs = self.draw(_CALIBRATION_SIZE)
        if self.policy is not None:
            controls = self.policy(self.links(cirs))
        share = max_energy_loss / len(self.surfaces)

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
        several = {name: self._users(cir) for name, cir in cirs.items()}
        if max(several.values(), default=1) > 1 and len(set(several.values()) - {1}) > 1:
            raise ValueError(f"numbers of users = {several}; one number is needed")
        found = Links()
        for name, h in self._responses(cirs, frequencies).items():
            h = h[:, 0] if frequencies is not None else h[:, 0, 0]
            users = several[name]
            if users > 1:
                h = _split_users(h, users, cirs[name].a.shape[1] == users)
            found[name] = h
        batch = max(h.shape[0] or 1 for h in found.values())
        return Links(
            {
                k: tf.broadcast_to(h, [batch, *sizes(h)[1:]]) if h.shape[0] == 1 else h
                for k, h in found.items()
            }
        )

    @staticmethod
    def _users(cir):
        num_rx, num_tx = cir.a.shape[1], cir.a.shape[3]
        if num_rx > 1 and num_tx > 1:
            raise ValueError(f"a hop has {num_rx} receivers and {num_tx} transmitters: no matrix")
        return max(num_rx, num_tx)

    def _responses(self, cirs, frequencies):
        """{hop: H [B, t, F, num_rx * num_rx_ant, num_tx * num_tx_ant]}."""
        frequencies = self.real([0.0] if frequencies is None else frequencies)
        found = {}
        for (start, end), (name, cir) in zip(self._arrows, cirs.items(), strict=True):
            for node, side in ((start, "tx"), (end, "rx")):
                cir = spread(cir, side, getattr(self.surfaces.get(node), "panel", None))
            found[name] = response(cir, frequencies)
        return found

    def response(self, cirs, frequencies, controls=None):
        r"""Frequency response, with elements as they are at each frequency.

        .. math:: H(f)=H_{dir}(f)+\sum_nH_{out}(f)_{:n}\,\theta_n(f)\,H_{in}(f)_{n:}

        Parameters
        ----------
        cirs : dict
            From :meth:`draw`.
        frequencies : array, [F]
            Relative to the carrier [Hz], as ``sionna.phy.channel.subcarrier_frequencies``.
        controls : dict or None
            Surface -> control [N] or [B, N], real; None takes the surfaces' own.

        Returns
        -------
        tf.Tensor, [batch, num_rx, num_rx_ant, num_tx, num_tx_ant, num_time_steps, F], complex
            As Sionna's ``ApplyOFDMChannel`` takes it.
        """
        controls = self._known(controls)
        theta = {}
        for name, surface in self.surfaces.items():
            values = surface.response(controls.get(name), frequencies)
            theta[name] = values[None, None] if values.shape.rank == 2 else values[:, None]
        h = self.compose_matrices(self._responses(cirs, frequencies), theta)
        first = next(cirs[f"{a}>{b}"].a for a, b in self._arrows if a == "tx")
        last = next(cirs[f"{a}>{b}"].a for a, b in self._arrows if b == "rx")
        b, t, f = sizes(h)[:3]
        h = tf.reshape(h, [b, t, f, *sizes(last)[1:3], *sizes(first)[3:5]])
        return tf.transpose(h, [0, 3, 4, 5, 6, 1, 2])

    def call(self, batch_size, num_time_steps, sampling_frequency, policy=None):
        warn_if_normalized(self)
        warn_if_frequency_selective(self)
        batch_size, num_time_steps = _static(batch_size), _static(num_time_steps)
        cirs = self.draw(batch_size, num_time_steps, sampling_frequency)
        policy = self.policy if policy is None else policy
        controls = None
        if policy is not None:
            controls = self._per_element(policy(self.links(cirs)), num_time_steps)
        a, tau = self.compose(cirs, self.reflect(controls))
        if self.subtract_delay:
            # Only paths with power count: missing ones have delays of their own.
            present = tf.reduce_any(tf.abs(a) > 0, [2, 4, 6])
            first = tf.reduce_min(tf.where(present, tau, tau.dtype.max), [1, 2, 3], keepdims=True)
            tau = tf.maximum(tau - first, 0)
        a = tf.broadcast_to(a, [batch_size, *sizes(a)[1:6], num_time_steps])
        return a, tf.broadcast_to(tau, [batch_size, *sizes(tau)[1:]])

    def _per_element(self, controls, num_time_steps):
        """A policy's controls; an axis beyond batch and elements must be the time."""
        for name, control in controls.items():
            shape = control.shape
            ambiguous = self.frequencies is not None and shape[1:2] == [len(self.frequencies)]
            if shape.rank > 2 and (shape.rank > 3 or shape[1] != num_time_steps or ambiguous):
                raise ValueError(
                    f"the policy gives controls {shape} for {name!r}; [N], [batch, N] or [batch, "
                    f"num_time_steps = {num_time_steps}, N] is needed: one design for all "
                    "subcarriers and users"
                )
        return controls


ChannelModel.register(SurfaceCIR)


def _static(value):
    """A Python integer where the value is known, else the tensor."""
    known = tf.get_static_value(value) if tf.is_tensor(value) else value
    return value if known is None else int(known)


def _user_axis(hops):
    """Where the users of narrow-band hops sit: "rx" when a hop from a surface to rx has some."""
    several = [n for n, hop in hops.items() if getattr(hop, "num_users", None)]
    return "rx" if any(n.endswith(">rx") and n != "tx>rx" for n in several) else "tx"


def _split_users(h, users, at_rx):
    """[..., K rx, tx] or [..., rx, K tx] -> [..., K, rx, tx]."""
    *lead, rx, tx = sizes(h)
    if at_rx:
        return tf.reshape(h, [*lead, users, rx // users, tx])
    h = tf.reshape(h, [*lead, rx, users, tx // users])
    rank = h.shape.rank
    return tf.transpose(h, [*range(rank - 3), rank - 2, rank - 3, rank - 1])
