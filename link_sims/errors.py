"""The user's errors: one clear line, exit code 2, no traceback."""

import os

__all__ = ["UserError", "explained", "shortened"]

# With "error: " before it a line has at most 500 characters.
_LENGTH = 490
# What a configuration can make others raise; the user's own code keeps its tracebacks.
_OTHERS = ("sionna", "tensorflow", "keras", "numpy", "scipy")
_REFUSALS = (ValueError, TypeError, AssertionError, ArithmeticError, NotImplementedError)


def shortened(text, length=_LENGTH):
    """The text on one line; the middle of a longer one is left out."""
    text = " ".join(str(text).split())
    if len(text) <= length:
        return text
    tail = (length - 5) // 3
    return f"{text[: length - 5 - tail]} ... {text[-tail:]}"


class UserError(Exception):
    """Something that the user can mend; the text says what, and what is permitted."""

    def __init__(self, text=""):
        super().__init__(shortened(text))


def explained(error):
    """The line for an error that the user can mend; None for a fault of ours.

    What the library refused, and files that cannot be used, speak for themselves. Where only
    Sionna, TensorFlow or NumPy could refuse a configuration, the line names the place; with
    ``LINK_SIMS_DEBUG=1`` in the environment such errors are not explained, so that their traceback
    is shown.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    module = _raised_in(error)
    if isinstance(error, UserError):
        return str(error)
    refused = isinstance(error, ValueError) or "RayTracingError" in kinds
    # The base layer alone raises TypeErrors on purpose: tensors wider than the layer.
    refused |= isinstance(error, TypeError) and module == "sionna_irs.layer"
    if module.startswith("sionna_irs.") and refused:
        return shortened(error)
    if isinstance(error, OSError) and error.filename is not None:
        return shortened(f"{error.filename}: {error.strerror}")
    if os.environ.get("LINK_SIMS_DEBUG"):
        return None
    hint = f"{type(error).__name__} in {module}; LINK_SIMS_DEBUG=1 shows the traceback"
    if isinstance(error, MemoryError) or "ResourceExhaustedError" in kinds:
        text = "not enough memory; smaller sizes, or a smaller batch_size, are needed"
        return f"{text} ({hint})"
    theirs = module.partition(".")[0] in _OTHERS
    if "OpError" in kinds or (theirs and isinstance(error, _REFUSALS)):
        text = shortened(error, _LENGTH - len(hint) - 50)
        return f"the configuration cannot be computed: {text} ({hint})"
    return None


def _raised_in(error):
    """Name of the module that raised an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
