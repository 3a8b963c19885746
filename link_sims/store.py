"""The run folder: an append-only checksummed log, atomic files, a lock.

``log.jsonl`` holds one line per finished group, ``{"sha": ..., "record": ...}``, written and
synchronised before the next group starts. A torn last line (the process died while writing) is
cut off; any other damage is refused by name and line.
"""

import contextlib
import hashlib
import json
import os
import pathlib

from .errors import UserError

__all__ = ["RunFolder", "write_atomic"]


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
    path = pathlib.Path(path)
    data = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.partial")
    with _user_errors(path):
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


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

    Raises
    ------
    UserError
        When the folder is locked, cannot be written, belongs to another run, or is damaged.
    """

    def __init__(self, path, identity, notice=lambda text: None):
        self.path = pathlib.Path(path)
        self.identity, self.notice = identity, notice
        self.records = []

    def __enter__(self):
        import filelock

        with _user_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(self.path / ".lock")
            try:
                self._lock.acquire(timeout=0)
            except filelock.Timeout:
                raise UserError(
                    f"{self.path} is in use by another run; wait for it or give another --out"
                ) from None
        try:
            self._claim()
            self.records = read_log(self.path / "log.jsonl", self.notice, repair=True)
            with _user_errors(self.path):
                self._log = open(self.path / "log.jsonl", "ab", buffering=0)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_):
        self._log.close()
        self._lock.release()

    def _claim(self):
        path = self.path / "config.json"
        if path.exists():
            stored = read_identity(path)
            if {**stored, "source": None} != {**json.loads(_encode(self.identity)), "source": None}:
                raise UserError(
                    f"{self.path} holds another run ({_difference(stored, self.identity)}); "
                    "give another --out, or the configuration of that run"
                )
        elif (self.path / "log.jsonl").exists():
            raise UserError(f"{self.path} has a log but no config.json; give another --out")
        else:
            text = _encode(self.identity)
            write_atomic(path, json.dumps({"sha": _digest(text), **self.identity}, indent=1) + "\n")

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
    except (OSError, ValueError, KeyError, AttributeError):
        raise UserError(f"{path} is damaged or missing; give another --out") from None
    if digest != _digest(_encode(stored)):
        raise UserError(f"{path} is damaged: its checksum does not fit; give another --out")
    return stored


def read_log(path, notice=lambda text: None, repair=False):
    """The records of a log; a torn last line is left out (and cut off with ``repair``).

    Raises
    ------
    UserError
        When a complete line is damaged; the text names file and line.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    data = path.read_bytes()
    complete = data.rfind(b"\n") + 1
    if complete < len(data):
        notice(f"{path}: the last record was torn; going on from the one before it")
        if repair:
            with _user_errors(path), open(path, "r+b") as file:
                file.truncate(complete)
    records = []
    for number, line in enumerate(data[:complete].splitlines(), 1):
        try:
            entry = json.loads(line)
            record = entry["record"]
            sound = entry["sha"] == _digest(_encode(record))
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise UserError(
                f"{path}: line {number} is damaged (its checksum does not fit); delete the "
                f"folder or cut the file before that line"
            )
        records.append(record)
    return records
