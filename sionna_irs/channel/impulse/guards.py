"""What silently spoils a surface in a link, said aloud once, and what does not fit together."""

import sys
import warnings

import tensorflow as tf

from ...arrays import DualPolarized

__all__ = [
    "refuse_misfits",
    "refuse_other_axes",
    "refuse_other_sizes",
    "warn_if_frequency_selective",
    "warn_if_kept",
    "warn_if_normalized",
    "warn_if_shared",
]

_MAX_FRAMES = 40


def warn_if_normalized(layer):
    """Warn when a Sionna block that normalises the channel is about to hide the surface's gain."""
    if layer.__dict__.get("_warned_normalized"):
        return
    # The block calls the layer and knows of the switch; the layer does not know of the block.
    frame, depth = sys._getframe(1), 0
    while frame is not None and depth < _MAX_FRAMES:
        caller = frame.f_locals.get("self")
        if getattr(caller, "_normalize_channel", False) is True:
            layer.__dict__["_warned_normalized"] = True
            warnings.warn(
                f"{type(caller).__name__}(normalize_channel=True) divides every example by its "
                "mean energy: the gain of the surface is lost. Use normalize_channel=False",
                stacklevel=2,
            )
            return
        frame, depth = frame.f_back, depth + 1


def warn_if_frequency_selective(layer):
    """Warn when (a, tau) must take elements at the carrier that change over the band."""
    if layer.__dict__.get("_warned_selective"):
        return
    names = [n for n, s in layer.surfaces.items() if getattr(s, "frequency_selective", False)]
    if names:
        layer.__dict__["_warned_selective"] = True
        warnings.warn(
            f"surfaces {names} depend on frequency; an impulse response (a, tau) holds them at "
            "the carrier only. Use response(...) with ApplyOFDMChannel for the whole band",
            stacklevel=2,
        )


def warn_if_shared(hop, num_draws, batch_size):
    """Warn when a random model gives one draw to all examples of a batch."""
    single = isinstance(batch_size, int) and batch_size == 1
    if num_draws != 1 or single or hop.__dict__.get("_warned_shared"):
        return
    hop.__dict__["_warned_shared"] = True
    warnings.warn(
        f"{type(hop.model).__name__} gives one channel to all {batch_size} examples of a batch: "
        "their errors come together, and one batch is one trial. Set a topology with as many "
        "examples as the batch, anew for every batch; or say independent='units' where errors "
        "are counted",
        stacklevel=3,
    )


def warn_if_kept(hop, places):
    """Warn when a 3GPP model meets a second batch, or a graph, with drops that were set before."""
    known = hop.__dict__.get("_seen_places")
    hop.__dict__["_seen_places"] = places
    again = places is known if tf.executing_eagerly() else not tf.is_symbolic_tensor(places)
    if not again or places.shape[0] == 1 or hop.__dict__.get("_warned_kept"):
        return
    hop.__dict__["_warned_kept"] = True
    warnings.warn(
        f"{type(hop.model).__name__} keeps its {places.shape[0]} drops, places and large-scale "
        "parameters, from batch to batch: what is counted, and its interval, holds for them "
        "alone. Call set_topology for every batch to average over drops",
        stacklevel=3,
    )


def refuse_misfits(cirs, surfaces):
    """One clear error where the impulse responses of the hops do not fit together.

    Parameters
    ----------
    cirs : dict
        Hop -> :class:`CIR`.
    surfaces : dict
        Name -> :class:`Surface`.

    Raises
    ------
    ValueError
        When a surface is several receivers or transmitters, antenna numbers differ at a node, or
        batches or time steps differ.
    """
    known = {}
    for name, cir in cirs.items():
        start, end = name.split(">")
        shape = cir.a.shape
        for node, role, size, wave in (
            (end, "receivers", shape[1:3].as_list(), cir.rx_wave),
            (start, "transmitters", shape[3:5].as_list(), cir.tx_wave),
        ):
            if None in size:
                continue
            if node in surfaces:
                size[1] = _elements(name, node, surfaces[node], size, role, wave)
            first, other = known.setdefault(node, (name, size))
            if size != other:
                raise ValueError(
                    f"hop {name!r} has {size[0]} {role} of {size[1]} antennas at {node!r}, but hop "
                    f"{first!r} has {other[0]} of {other[1]}"
                )
    for axis, what in ((0, "examples"), (6, "time steps")):
        counts = {name: cir.a.shape[axis] for name, cir in cirs.items()}
        if len(set(counts.values()) - {1, None}) > 1:
            raise ValueError(f"{what} of the hops = {counts}; 1 or the same number is needed")


def _elements(name, node, surface, size, role, wave):
    """Antennas of a hop at a surface: one or, dual-polarised, two for every element."""
    count, antennas = size
    if count != 1:
        raise ValueError(f"hop {name!r} has {count} {role} at surface {node!r}; 1 is needed")
    elements = surface.num_elements
    if wave is None and antennas not in (elements, 2 * elements):
        raise ValueError(
            f"hop {name!r} has {antennas} antennas at surface {node!r} of {elements} elements"
        )
    if wave is not None and isinstance(surface.panel, DualPolarized):
        raise ValueError(
            f"hop {name!r} has waves at surface {node!r}: they carry one polarisation, its panel "
            "has two"
        )
    return elements if wave is not None else antennas


def refuse_other_axes(controls, links, num_time_steps):
    """Refuse a policy's controls whose axis beyond batch and elements is not the time."""
    # As long as the time axis, one of frequencies or users would pass for it.
    others = {n for h in links.values() for n in h.shape[1:-2]}
    for name, control in controls.items():
        shape = list(control.shape)
        timed = len(shape) == 3 and shape[1] == num_time_steps and shape[1] not in others
        if len(shape) > 2 and not timed:
            raise ValueError(
                f"the policy gives controls {shape} for {name!r}; [N], [batch, N] or [batch, "
                f"num_time_steps = {num_time_steps}, N] is needed: one design for all subcarriers "
                "and users"
            )


def refuse_other_sizes(a, batch_size, num_time_steps):
    """Refuse gains that stored hops give for another batch or another number of time steps."""
    for axis, name, wanted in (
        (0, "batch_size", batch_size),
        (6, "num_time_steps", num_time_steps),
    ):
        if isinstance(wanted, int) and a.shape[axis] not in (1, None, wanted):
            raise ValueError(f"{name} = {wanted}, but the hops give {a.shape[axis]}")
