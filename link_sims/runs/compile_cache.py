"""Programs that XLA compiled, kept between runs: TensorFlow's own cache, safe against crashes.

TensorFlow writes an entry in place, and a truncated entry fails every later run. So each process
works on hard links in a folder of its own; when it ends well, its new entries join the others.
"""

import atexit
import contextlib
import hashlib
import os
import pathlib
import platform
import shutil
import stat
import sys
import tempfile

__all__ = ["adopt", "enable", "state"]

VARIABLE = "SIONNA_IRS_COMPILE_CACHE"
_FLAG = "--tf_xla_persistent_cache_directory="
_OWN = "process-"
_MAX_BYTES = 2**30


def enable(folder, notice=lambda text: None):
    """Let TensorFlow, which must not have started, keep compiled programs below ``folder``.

    Does nothing where the variable SIONNA_IRS_COMPILE_CACHE is "off", where TensorFlow's own flag
    is set, on file systems without hard links, and, with a notice, where others could have put
    programs of theirs: what lies there is executed.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    if os.environ.get(VARIABLE) == "off" or _FLAG in flags or "tensorflow" in sys.modules:
        return
    with contextlib.suppress(OSError):
        shared = _machine_folder(folder)
        for place in (shared.parent, shared):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _private(place):
                notice(
                    f"{place} could be written to by others, so that compiled programs are neither "
                    "taken from there nor kept; delete it, or make it yours alone (chmod go-w)"
                )
                return
        _sweep(shared)
        own = pathlib.Path(tempfile.mkdtemp(prefix=f"{_OWN}{os.getpid()}-{_host()}-", dir=shared))
        try:
            for entry in filter(_ours, shared.glob("*.pb")):
                os.link(entry, own / entry.name, follow_symlinks=False)
        except OSError:
            shutil.rmtree(own)
            raise
        os.environ["TF_XLA_FLAGS"] = f"{flags} {_FLAG}{own}".strip()
        atexit.register(_join, own, shared)


def adopt():
    """In a worker, before TensorFlow starts: the entries of its driver, in a folder of its own."""
    flags = os.environ.get("TF_XLA_FLAGS", "").split()
    inherited = [flag for flag in flags if flag.startswith(f"{_FLAG}/") and f"/{_OWN}" in flag]
    if inherited:
        os.environ["TF_XLA_FLAGS"] = " ".join(flag for flag in flags if flag not in inherited)
        enable(pathlib.Path(inherited[0].removeprefix(_FLAG)).parent.parent)


def _private(folder):
    """Whether a folder is ours, and nobody else may write to it."""
    return _ours(folder) and not os.lstat(folder).st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _ours(path):
    """Whether a file or folder is no link and belongs to us."""
    found = os.lstat(path)
    geteuid = getattr(os, "geteuid", lambda: found.st_uid)  # Windows has no owners
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == geteuid()


def _machine_folder(folder):
    """The code is native: one folder for each release of TensorFlow and kind of processor."""
    from importlib import metadata

    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line for line in lines if line.startswith("flags")), processor)
    key = f"{metadata.version('tensorflow')} {platform.machine()} {processor}"
    return pathlib.Path(folder).absolute() / hashlib.sha256(key.encode()).hexdigest()[:16]


def state(folder):
    """A phrase about the cache below ``folder``."""
    if os.environ.get(VARIABLE) == "off":
        return "off"
    entries = list(_machine_folder(folder).glob("*.pb"))
    size = sum(entry.stat().st_size for entry in entries)
    return f"{len(entries)} programs, {size / 1e6:.1f} MB in {pathlib.Path(folder)}"


def _join(own, shared):
    """Add the entries that this process made; drop the oldest where they become too many."""
    with contextlib.suppress(OSError):
        for entry in own.glob("*.pb"):
            if not (shared / entry.name).exists():
                os.replace(entry, shared / entry.name)
        shutil.rmtree(own, ignore_errors=True)
        entries = sorted(shared.glob("*.pb"), key=lambda entry: entry.stat().st_mtime)
        excess = sum(entry.stat().st_size for entry in entries) - _MAX_BYTES
        for entry in entries:
            if excess <= 0:
                break
            excess -= entry.stat().st_size
            entry.unlink()


def _host():
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _sweep(shared):
    """Remove what processes that were killed left behind."""
    for own in shared.glob(f"{_OWN}*-{_host()}-*"):  # other machines may share the folder
        pid = own.name.removeprefix(_OWN).split("-")[0]
        if not pathlib.Path("/proc", pid).exists() and pathlib.Path("/proc").exists():
            shutil.rmtree(own, ignore_errors=True)
