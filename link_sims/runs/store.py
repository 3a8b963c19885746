"""The run folder: an append-only checksummed log, atomic files, a lock.

``log.jsonl`` holds one line per finished group, ``{"sha": ..., "record": ...}``, written and
synchronised before the next group starts. A torn last line (the process died while writing) is
cut off; any other damage is refused by name and line.
"""

import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import stat

from sionna_irs.files import replacing

from ..errors import UserError
from .records import are_digests

__all__ = ["RunFolder", "refuse_links", "set_aside", "write_atomic"]

# Type of every entry of a configuration file; those that need not be there can be None.
_IDENTITY = {
    "experiment": str, "profile": str, "config": dict, "source": (str, type(None)),
    "replicas": (int, type(None)), "digests": (dict, type(None)),
}  # fmt: skip


def _encode(record):
    return json.dumps(record, separators=(",", ":"), allow_nan=False)


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def _user_errors(path):
    """What the file system refuses, as one clear line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"cannot write {path}: {reason}; what was finished before is kept, and the same "
            "command resumes there"
        ) from None


def write_atomic(path, data):
    """Write text or bytes so that the file is the old one or the new one, never a part."""
    data = data.encode() if isinstance(data, str) else data
    with _user_errors(path), replacing(path) as file:
        file.write(data)


def refuse_links(folder):
    """UserError where anything in a folder, or below, is neither a file nor a folder.

    What is written to a link would change a file elsewhere.
    """
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = pathlib.Path(root, name)
            with contextlib.suppress(FileNotFoundError):
                mode = os.lstat(path).st_mode
                if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                    kind = "a symbolic link" if stat.S_ISLNK(mode) else "a device"
                    raise UserError(
                        f"{path} is {kind}, where files of the run belong: nothing was written; "
                        "remove it, or give another --out"
                    )


def set_aside(path):
    """Move a run folder to ``NAME~1``, the next free number; returns where, None without one."""
    path = pathlib.Path(os.path.abspath(path))
    if not path.exists():
        return None
    lock = _lock(path)
    try:
        places = (path.with_name(f"{path.name}~{n}") for n in itertools.count(1))
        place = next(place for place in places if not os.path.lexists(place))
        with _user_errors(path):
            os.rename(path, place)
    finally:
        lock.release()
    return place


def _lock(path):
    """The lock of a run folder, taken."""
    import filelock

    with _user_errors(path):
        refuse_links(path)
        lock = filelock.FileLock(path / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(
                f"{path} is in use by another run; wait for it or give another --out"
            ) from None
    return lock


def _own(path, flags):
    """Opener of a file that must not be a link."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


class RunFolder:
    """One run on disk, locked while it is open.

    Parameters
    ----------
    path : path-like
        Created when missing.
    identity : dict
        What the run is: experiment, profile, configuration. A folder with another one is refused.
        Its "source", the file that declares the experiment, may move.
    notice : callable
        Told in one sentence when a torn line was cut off.
    digests : dict or None
        Of the code at work, see :mod:`link_sims.runs.digests`; kept when the folder is made.

    Raises
    ------
    UserError
        When the folder is locked, cannot be written, belongs to another run, or is damaged.
    """

    def __init__(self, path, identity, notice=lambda text: None, digests=None):
        self.path = pathlib.Path(path)
        self.identity, self.notice, self.digests = identity, notice, digests
        self.records = []

    def __enter__(self):
        with _user_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._file_lock = _lock(self.path)
        try:
            self._claim()
            self.records = read_log(self.path / "log.jsonl", self.notice, repair=True)
            with _user_errors(self.path):
                for left in self.path.glob(".*.partial"):  # of a process that was killed
                    left.unlink()
                self._log = open(self.path / "log.jsonl", "ab", buffering=0, opener=_own)
        except BaseException:
            self._file_lock.release()
            raise
        return self

    def __exit__(self, *_):
        self._log.close()
        self._file_lock.release()

    def _claim(self):
        """See that the folder is of this run, or make it so."""
        path = self.path / "config.json"
        if os.path.lexists(path):
            stored = read_identity(path)
            self.made_by = stored.pop("digests", None)
            if {**stored, "source": None} != {**json.loads(_encode(self.identity)), "source": None}:
                raise UserError(
                    f"{self.path} holds another run ({_difference(stored, self.identity)}); "
                    "give another --out, or the configuration of that run"
                )
        elif os.path.lexists(self.path / "log.jsonl"):
            raise UserError(f"{self.path} has a log but no config.json; give another --out")
        else:
            self.begin()

    def begin(self):
        """Write the configuration of a folder that has no records yet."""
        entry = {**self.identity, **({"digests": self.digests} if self.digests else {})}
        text = json.dumps({"sha": _digest(_encode(entry)), **entry}, indent=1)
        write_atomic(self.path / "config.json", text + "\n")
        self.made_by = self.digests

    def codes(self):
        """Digests of the codes that made the records, in order; None for what is not known."""
        return codes_of(self.made_by, self.records)

    def append(self, record):
        """Add one record to the log, and wait until it is on the disk."""
        text = _encode(record)
        line = f'{{"sha":"{_digest(text)}","record":{text}}}\n'.encode()
        with _user_errors(self.path / "log.jsonl"):
            start = self._log.tell()
            try:
                written = 0
                while written < len(line):
                    written += self._log.write(line[written:])
                os.fsync(self._log.fileno())
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._log.fileno(), start)
                raise
        self.records.append(record)

    def write(self, name, data):
        """Write a derived file (results, figure) atomically."""
        write_atomic(self.path / name, data)


def codes_of(made_by, records):
    """Digests of the codes that made the records of a log, in order."""
    return [made_by, *(r["digests"] for r in records if r["kind"] == "code")]


def _difference(stored, wanted):
    """The first differing key of two identities, in words."""
    wanted = json.loads(_encode(wanted))
    for key in ("experiment", "profile", "replicas"):
        if stored.get(key) != wanted.get(key):
            return f"{key} is {stored.get(key)!r} there and {wanted.get(key)!r} here"
    old, new = stored.get("config", {}), wanted.get("config", {})
    keys = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    return "; ".join(f"{k} is {old.get(k)!r} there and {new.get(k)!r} here" for k in keys[:3])


def read_identity(path):
    """The identity in a ``config.json``; UserError when the file is damaged."""
    try:
        stored = json.loads(pathlib.Path(path).read_text())
        digest = stored.pop("sha")
        sound = digest == _digest(_encode(stored))
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        raise UserError(f"{path} is damaged or missing; give another --out") from None
    if not sound:
        raise UserError(f"{path} is damaged: its checksum does not fit; give another --out")
    for key, kind in _IDENTITY.items():
        if not isinstance(stored.get(key), kind):
            shown = repr(stored.get(key))[:60]
            raise UserError(f"{path} is of no run: {key} = {shown}; give another --out")
    if stored.get("digests") is not None and not are_digests(stored["digests"]):
        raise UserError(f"{path} is of no run: its digests are not; give another --out")
    return stored


def read_log(path, notice=lambda text: None, repair=False):
    """The records of a log; a torn last line is left out (and cut off with ``repair``).

    Raises
    ------
    UserError
        When a complete line is damaged; the text names file and line.
    """
    path = pathlib.Path(path)
    if not os.path.lexists(path):
        return []
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give another --out") from None
    complete = data.rfind(b"\n") + 1
    if complete < len(data):
        notice(f"{path}: the last record was torn; going on from the one before it")
        if repair:
            with _user_errors(path), open(path, "r+b", opener=_own) as file:
                file.truncate(complete)
    records = []
    for number, line in enumerate(data[:complete].splitlines(), 1):
        try:
            entry = json.loads(line)
            record = entry["record"]
            sound = entry["sha"] == _digest(_encode(record))
        except (ValueError, KeyError, TypeError, RecursionError):
            sound = False
        if not sound:
            raise UserError(
                f"{path}: line {number} is damaged (its checksum does not fit); delete the "
                f"folder or cut the file before that line"
            )
        records.append(record)
    return records
