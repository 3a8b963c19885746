"""The user's errors: one clear line, exit code 2, no traceback."""


class UserError(Exception):
    """Something that the user can mend; the text says what, and what is permitted."""


def refused(error):
    """Whether the library refused an argument, or has no ray tracer: nothing else went wrong."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "")
    expected = isinstance(error, ValueError) or type(error).__name__ == "RayTracingError"
    return expected and module.startswith("sionna_irs.")
