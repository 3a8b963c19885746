"""A link over surfaces that is learned from end to end: encoder, surfaces, decoder."""

import warnings
from typing import Literal

import numpy as np
import tensorflow as tf

from .. import random
from ..inputs import common_batch
from ..layer import Input, LinkLayer, as_real, require_integer
from ..phases.surface_factors import surface_order
from .symbol_networks import (
    NORMS,
    SymbolNetwork,
    normalize_energy,
    real_parts,
    require_choice,
    squared_modulus,
)

__all__ = ["SurfaceAutoencoder"]

_SURFACE_INPUTS = ("csi", "cascaded_csi", "received", "received_noisy", "static", "policy")
_DECODER_INPUTS = ("y_and_h", "y", "y_and_h_ref", "h_only", "codebook")


class SurfaceAutoencoder(LinkLayer):
    r"""A learned link over surfaces: messages become signals, phases and logits.

    .. math:: y=\sqrt P\,H(\theta)\,x(m)+n,\quad n\sim\mathcal{CN}(0,I),\quad
              \overline{\|x\|^2}=1

    A block has L channel uses, each with links of its own. The encoder knows no channel. The
    controller of a surface sees what `surface_input` says, with the field that reaches it over
    all earlier surfaces; the decoder what `decoder_input` says.

    Source: the double-surface paper, Fig. 3 and Table I. Corrected: as published ("received" with
    "y_and_h") the phases depend on the message, so that the channel matrix tells it to the decoder
    without any reception; see :func:`leak_guard`. Legitimate: "y_and_h" and "codebook" with
    phases that do not depend on the message, and "y" and "y_and_h_ref" with all.

    Parameters
    ----------
    channel : SurfaceChannel
        Its hops lead in no circle. Noise has variance 1 in its units.
    num_messages : int
        M.
    surface_input : str
        "csi": the channel from the transmitter. "cascaded_csi": its products with the hop to the
        receiver. "received" and "received_noisy": the signal of the moment (not causal).
        "static": nothing, the surface's own control, trainable or not. "policy": see `policy`.
    decoder_input : str
        "y_and_h": received signal and channel. "y". "y_and_h_ref": signal, and channel for the
        surfaces' own controls. "h_only": the channel alone, the ablation that exposes a leak.
        "codebook": no network, the exact posterior :math:`-\|y-\sqrt P\,Hx(m)\|^2`.
    policy : callable or None
        links -> controls.
    kernel_size : int
        Of encoder and decoder; 1 has no memory.
    norm : "batch", "block" or "symbol"
        Where the energy is 1: in the mean over all (kernel 1: a fixed codebook), over each block,
        or in each use.
    num_filters, num_surface_filters : int
        Of encoder and decoder, and of the surfaces' controllers.
    surface_noise_power : float
        Noise of "received_noisy" [W].

    Input
    -----
    links : Links
        ``{"tx>s1": [batch, L, N, tx], ...}``
    messages : tf.Tensor, [batch, L], int
    power : float or tf.Tensor that broadcasts to [batch, L], real
        P, transmit power [W].
    training : bool

    Output
    ------
    logits : tf.Tensor, [batch, L, M], real

    Raises
    ------
    UserWarning
        For message-dependent phases with "y_and_h".
    ValueError
        For unknown inputs and norms, a policy without "policy" or the reverse, hops that lead
        in a circle, "codebook" without a fixed one, and "cascaded_csi" without a hop to the
        receiver from every surface; in calls, for links that lack a hop or the axis of the uses.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.transceiver.autoencoder import SurfaceAutoencoder
    >>> a, p = irs.ULA(2), irs.UPA(2, 2)
    >>> channel = irs.SurfaceChannel(
    ...     {"tx>s1": irs.RayleighHop(a, p), "s1>rx": irs.RayleighHop(p, a)},
    ...     {"s1": irs.IdealPhases(p)})
    >>> link = SurfaceAutoencoder(channel, num_messages=4, num_filters=8)
    >>> links = irs.Links({k: v[:, None] for k, v in channel.draw(3).items()})
    >>> link.calibrate(links)
    >>> link(links, tf.zeros([3, 1], tf.int32), 0.1).shape
    TensorShape([3, 1, 4])
    """

    inputs = {
        "links": Input("links"),
        "messages": Input("integer", "batch", "block"),
        "power": Input("real", "batch", "block", minimum=0, like="messages"),
    }

    def __init__(
        self,
        channel,
        num_messages: int = 16,
        surface_input: str = "csi",
        decoder_input: str = "y_and_h",
        policy=None,
        kernel_size: int = 1,
        norm: Literal["batch", "block", "symbol"] = "batch",
        num_filters: int = 256,
        num_surface_filters: int = 128,
        surface_noise_power: float = 1e-11,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_integer("num_messages", num_messages, 2)
        require_choice("surface_input", surface_input, _SURFACE_INPUTS)
        require_choice("decoder_input", decoder_input, _DECODER_INPUTS)
        require_choice("norm", norm, NORMS)
        if (policy is None) == (surface_input == "policy"):
            raise ValueError(
                f"policy = {policy!r} with surface_input = {surface_input!r}; a policy is needed "
                "with 'policy', and None with the others"
            )
        self.channel, self.policy = channel, policy
        self.num_messages, self.kernel_size, self.norm = num_messages, kernel_size, norm
        self.surface_input, self.decoder_input = surface_input, decoder_input
        self.surface_noise_power = surface_noise_power
        self.order = surface_order(channel.hops)
        self._check_combination()
        sizes = {
            tuple(name.split(">")): channel.hop_sizes(hop) for name, hop in channel.hops.items()
        }
        self.num_tx_ant = next(tx for (start, _), (_, tx) in sizes.items() if start == "tx")
        self.num_rx_ant = next(rx for (_, end), (rx, _) in sizes.items() if end == "rx")
        self._make_networks(num_filters, num_surface_filters)
        self.gains = {
            node: self.add_weight(
                shape=(), initializer="ones", trainable=False, name=f"gain_{node}"
            )
            for node in [*self.order, "rx"]
        }

    def _check_combination(self):
        """Refuse what does not go together; warn of what leaks."""
        seen, known, hops = self.surface_input, self.decoder_input, sorted(self.channel.hops)
        if known == "codebook" and (self.message_dependent or not self.has_codebook):
            raise ValueError(
                f"decoder_input = 'codebook' with surface_input = {seen!r}, norm = {self.norm!r} "
                f"and kernel_size = {self.kernel_size}; phases that do not depend on the "
                "message, 'batch' or 'symbol', and 1 are needed"
            )
        if self.message_dependent and known == "y_and_h":
            warnings.warn(
                f"surface_input = {seen!r} with decoder_input = 'y_and_h': the channel "
                "tells the message to the decoder; judge the link by leak_guard",
                stacklevel=3,
            )
        if seen == "cascaded_csi" and any(f"{name}>rx" not in hops for name in self.order):
            raise ValueError(
                f"surface_input = 'cascaded_csi' with hops = {hops}; a hop to 'rx' from every "
                "surface is needed"
            )
        for name, surface in self.channel.surfaces.items():
            if not surface.diagonal:
                raise ValueError(
                    f"channel has the {type(surface).__name__} {name!r}; surfaces whose elements "
                    "are not connected are needed"
                )
        noise = self.surface_noise_power
        if not noise >= 0:
            raise ValueError(f"surface_noise_power = {noise}; at least 0 is needed")

    def _make_networks(self, num_filters, num_surface_filters):
        tx, rx, same = self.num_tx_ant, self.num_rx_ant, {"precision": self.precision}
        self.encoder = SymbolNetwork(
            self.num_messages, num_filters, 2 * tx, self.kernel_size, norm_output=True, **same
        )
        per_element = {"csi": tx, "cascaded_csi": tx * rx, "received": 1, "received_noisy": 1}
        numbers = per_element.get(self.surface_input)
        self.controllers = {}
        if numbers is not None:
            self.controllers = {
                name: SymbolNetwork(
                    2 * numbers * s.num_elements, num_surface_filters, s.num_controls, **same
                )
                for name, s in self.channel.surfaces.items()
            }
        known = {"y": rx, "h_only": rx * tx, "codebook": 0}.get(self.decoder_input, rx + rx * tx)
        self.decoder = None
        if known:
            self.decoder = SymbolNetwork(
                2 * known, num_filters, self.num_messages, self.kernel_size, **same
            )

    @property
    def message_dependent(self):
        """Whether the phases depend on the message, and with them the channel."""
        return self.surface_input in ("received", "received_noisy")

    @property
    def has_codebook(self):
        """Whether every message has one signal, whatever its neighbours."""
        return self.kernel_size == 1 and self.norm != "block"

    def encode(self, messages, training=False):
        """Signals of the messages.

        Parameters
        ----------
        messages : tf.Tensor, [batch, L], int
        training : bool

        Returns
        -------
        x : tf.Tensor, [batch, L, tx], complex
        """
        rows = tf.eye(self.num_messages, dtype=self.rdtype)
        if self.kernel_size > 1:
            v = self.encoder(tf.gather(rows, messages), training=training)
        else:  # without memory: every message once
            v = self.encoder(rows[None], training=training)
            v = normalize_energy(v, self.norm) if self.has_codebook else v
            v = tf.gather(v[0], messages)
        v = v if self.has_codebook else normalize_energy(v, self.norm)
        return tf.complex(v[..., : self.num_tx_ant], v[..., self.num_tx_ant :])

    def codebook(self, training=False):
        """The signals [M, tx] of all messages, complex; ValueError without fixed ones."""
        if not self.has_codebook:
            raise ValueError(
                f"norm = {self.norm!r}, kernel_size = {self.kernel_size}: 'batch' or 'symbol', "
                "and 1, are needed for a codebook"
            )
        return self.encode(tf.range(self.num_messages)[None], training)[0]

    def propagate(self, links, x, power, training=False):
        """The channel of every use, with the phases that the controllers choose.

        Parameters
        ----------
        links, power, training
            As in the call.
        x : tf.Tensor, [batch, L, tx], complex

        Returns
        -------
        h : tf.Tensor, [batch, L, rx, tx], complex
        """
        self._check(links)
        power = as_real("power", power, self.rdtype, 0.0)
        controls = self._policy_controls(links) if self.policy is not None else {}

        def choose(node, field):
            control, surface = controls.get(node), self.channel.surfaces[node]
            if self.controllers:
                seen = real_parts(self._seen(node, field, links, x, power))
                seen *= tf.math.rsqrt(self.gains[node].value)
                control = self.controllers[node](seen, training=training)
                if surface.control_range() is not None:
                    control = surface.project(control)
            return surface(control)

        return self._through(links, choose)

    def _through(self, links, choose):
        """H [batch, L, rx, tx]; ``choose(node, field there) -> theta`` along the wave's way."""
        fields, theta = {}, {}
        for node in self.order:
            fields[node] = _field(node, links, fields, theta)
            theta[node] = self.cplx(choose(node, fields[node]))
        return _field("rx", links, fields, theta)

    def _check(self, links, messages=None):
        shape = [None, None] if messages is None else messages.shape
        if len(shape) != 2:
            raise ValueError(f"messages has shape {tuple(shape)}; [batch, L] is needed")
        for name in self.channel.hops:
            if name not in links:
                raise ValueError(f"links = {sorted(links)}; {name!r} is missing")
            if links[name].shape.rank != 4:
                raise ValueError(
                    f"links[{name!r}] has shape {tuple(links[name].shape)}; [batch, L, rx, tx] is "
                    "needed"
                )
            if common_batch(links[name].shape[:2], shape) is None:
                raise ValueError(
                    f"messages has shape {tuple(shape)}; the batch and L of links[{name!r}], "
                    f"{tuple(links[name].shape[:2])}, are needed"
                )

    def _policy_controls(self, links):
        # A policy keeps the precision it was made in, whatever that of the link.
        dtype = getattr(self.policy, "cdtype", self.cdtype)
        flat = {n: tf.cast(tf.reshape(v, [-1, *v.shape[2:]]), dtype) for n, v in links.items()}
        lead = tf.shape(next(iter(links.values())))[:2]
        given = self.channel.chosen(self.policy, type(links)(flat))
        for name, value in given.items():
            given[name] = tf.reshape(value, tf.concat([lead, tf.shape(value)[1:]], 0))
        return self.channel.realize(given)

    def _seen(self, node, field, links, x, power):
        """What the controller of a surface sees, [batch, L, numbers], complex."""
        if not self.message_dependent:
            return _flat(self._known_channel(node, field, links))
        received = tf.linalg.matvec(field, x)
        if self.surface_input == "received_noisy":
            power = tf.maximum(power, 1e-30)
            share = self.cplx(tf.sqrt(self.surface_noise_power / power))[..., None]
            received += share * random.complex_normal(tf.shape(received), self.cdtype)
        return received

    def _known_channel(self, node, field, links):
        """[batch, L, N, tx], or times rx for the cascaded channel."""
        if self.surface_input != "cascaded_csi":
            return field
        out = tf.linalg.matrix_transpose(links[f"{node}>rx"])
        return _flat(out[..., :, None] * field[..., None, :], 2)

    def calibrate(self, links):
        """Measure the mean powers by which the networks' inputs are divided, for random phases.

        Without it they are divided by 1, and links of small gains drown in the epsilon of the
        batch normalisation.

        Parameters
        ----------
        links : Links
            As in the call; the more, the better.

        Raises
        ------
        ValueError
            For a mean power beyond the range of the precision.
        """

        def choose(node, field):
            seen = self._known_channel(node, field, links)
            self._set_gain(node, tf.reduce_mean(squared_modulus(seen)))
            theta = random.complex_normal(tf.shape(field)[:-1], self.cdtype)
            return theta / self.cplx(tf.abs(theta))

        self._check(links)
        h = self._through(links, choose)
        self._set_gain("rx", self.num_tx_ant * tf.reduce_mean(squared_modulus(h)))

    def _set_gain(self, node, power):
        if hasattr(power, "numpy") and not np.isfinite(float(power)):
            raise ValueError(
                f"links: the mean power at {node!r} is {float(power)}; one in the range of "
                f"precision {self.precision!r} is needed (see LinkBudget)"
            )
        self.gains[node].assign(tf.where(power > 0, power, 1))  # of no power: nothing to divide

    def transmit(self, links, messages, power, training=False):
        """Encode and send the messages.

        Parameters
        ----------
        links, messages, power, training
            As in the call.

        Returns
        -------
        y : tf.Tensor, [batch, L, rx], complex
        h : tf.Tensor, [batch, L, rx, tx], complex
            The channel that carried it.
        """
        self._check(links, messages)
        power = as_real("power", power, self.rdtype, 0.0, messages.shape, "messages")
        x = self.encode(messages, training)
        h = self.propagate(links, x, power, training)
        amplitude = self.cplx(tf.sqrt(power))[..., None]
        y = amplitude * tf.linalg.matvec(h, x)
        return y + random.complex_normal(tf.shape(y), self.cdtype), h

    def receive(self, y, h, power, training=False):
        """Logits of the messages.

        Parameters
        ----------
        y : tf.Tensor, [batch, L, rx], complex
        h : tf.Tensor, [batch, L, rx, tx], complex
            What the decoder takes for the channel.
        power, training
            As in the call.

        Returns
        -------
        logits : tf.Tensor, [batch, L, M], real
        """
        power = as_real("power", power, self.rdtype, 0.0, y.shape[:-1], "y")
        power = tf.broadcast_to(power, tf.shape(y)[:-1])
        h = self.cplx(tf.sqrt(power))[..., None, None] * h
        if self.decoder_input == "codebook":
            means = tf.einsum("blrt,mt->blrm", h, self.codebook(training))
            return -tf.reduce_sum(squared_modulus(y[..., None] - means), -2)
        parts = {"y": [y], "h_only": [_flat(h)]}.get(self.decoder_input, [y, _flat(h)])
        scale = tf.math.rsqrt(1 + power * self.gains["rx"].value)
        known = real_parts(tf.concat(parts, -1)) * scale[..., None]
        return self.decoder(known, training=training)

    def call(self, links, messages, power, training=False):
        y, h = self.transmit(links, messages, power, training)
        if self.decoder_input == "y_and_h_ref":
            h = self.reference(links)
        return self.receive(y, h, power, training)

    def reference(self, links):
        """The channel [batch, L, rx, tx] with the surfaces' own controls."""
        return self._through(links, lambda node, field: self.channel.surfaces[node](None))


def _flat(z, keep=1):
    """The last axes as one, [batch, L, ...] -> [batch, L, numbers]; `keep` extra ones stay."""
    lead = tf.unstack(tf.shape(z)[: 1 + keep])
    return tf.reshape(z, [*lead, z.shape[1 + keep :].num_elements()])


def _field(node, links, fields, theta):
    """Field at a node for unit fields at the transmitter, from those of the surfaces before it."""
    parts = []
    for name, hop in links.items():
        start, end = name.split(">")
        if end == node:
            parts.append(
                hop if start == "tx" else tf.matmul(hop, theta[start][..., None] * fields[start])
            )
    return sum(parts[1:], parts[0])
