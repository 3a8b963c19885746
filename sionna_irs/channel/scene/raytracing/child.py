"""The child process: started, waited for, and its failures in one line."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from . import cache

_WORKER = "sionna_irs.channel.scene.raytracing.worker"
_ROOT = str(pathlib.Path(__file__).resolve().parents[4])
_MISSING_LLVM = (
    "sionna.rt finds no LLVM library: install it (Debian and Ubuntu: apt install llvm; Fedora: "
    "dnf install llvm-libs; macOS: brew install llvm), or set the environment variable "
    "DRJIT_LIBLLVM_PATH to the path of libLLVM.so"
)
MISSING_SIONNA = "sionna.rt cannot be imported: pip install sionna"


class RayTracingError(RuntimeError):
    """The ray tracer could not be started, or failed; the message is one line.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> issubclass(irs.RayTracingError, RuntimeError)
    True
    """


def run_worker(request):
    """Starts the child process, waits for it and reads its arrays.

    Parameters
    ----------
    request : dict
        As the worker takes it.

    Returns
    -------
    dict of np.ndarray

    Raises
    ------
    RayTracingError
        With the reason in one line.
    """
    # The child finds this very package; -P keeps the current folder out of its imports.
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="sionna-irs-") as folder:
        question, answer = os.path.join(folder, "request.json"), os.path.join(folder, "result.npz")
        with open(question, "w", encoding="utf-8") as file:
            json.dump(request, file)
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER, question, answer],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            _, message = child.communicate()
        finally:
            # An interrupt leaves neither a process nor, with the folder, a file.
            if child.poll() is None:
                child.kill()
                child.wait()
        if child.returncode:
            raise RayTracingError(_reason(child.returncode, message.decode(errors="replace")))
        return cache.read(answer)


def _reason(code, message):
    """One line out of what a failed child wrote."""
    if "DRJIT_LIBLLVM_PATH" in message or "LLVM API initialization failed" in message:
        return _MISSING_LLVM
    if re.search(r"No module named '(sionna|mitsuba|drjit)\b", message):
        return MISSING_SIONNA
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"the ray tracer failed ({ended}): {lines[-1] if lines else 'no message'}"
