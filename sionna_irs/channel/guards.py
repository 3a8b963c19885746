"""What silently spoils a surface in a link, said aloud once."""

import sys
import warnings

__all__ = ["warn_if_frequency_selective", "warn_if_normalized"]

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
