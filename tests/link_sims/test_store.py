"""The run folder: torn lines, flipped bits, locks, full and read-only disks."""

import errno
import hashlib
import json
import os
import random

import pytest

from link_sims.errors import UserError
from link_sims.runs import store

IDENTITY = {"experiment": "e", "profile": "cpu", "config": {"a": 1, "b": [0.1, 2.0]}}
RECORDS = [{"kind": "units", "x": 0.1 * i, "first": 0, "values": [[1 / 3, i]]} for i in range(4)]


@pytest.fixture
def folder(tmp_path):
    with store.RunFolder(tmp_path / "run", IDENTITY) as run:
        for record in RECORDS:
            run.append(record)
    return tmp_path / "run"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def reopen(folder, notice=lambda text: None, identity=IDENTITY):
    with store.RunFolder(folder, identity, notice) as run:
        return run.records


def test_records_come_back_exactly(folder):
    assert reopen(folder) == RECORDS


def test_every_truncation_recovers_to_the_last_complete_record(folder):
    log = folder / "log.jsonl"
    data = log.read_bytes()
    for size in range(len(data)):
        log.write_bytes(data[:size])
        notices = []
        records = reopen(folder, notices.append)
        assert records == RECORDS[: data[:size].count(b"\n")]
        assert bool(notices) == (not data[:size].endswith(b"\n") and size > 0)
    log.write_bytes(data[:-3])
    reopen(folder)
    assert log.read_bytes() == data[: data[:-3].rfind(b"\n") + 1]


def test_every_flipped_bit_is_refused_or_recovered(folder):
    log = folder / "log.jsonl"
    data = log.read_bytes()
    rng = random.Random(1)
    for position in rng.sample(range(len(data)), 150):
        broken = bytearray(data)
        broken[position] ^= 1 << rng.randrange(8)
        log.write_bytes(bytes(broken))
        try:
            records = reopen(folder)
        except UserError as error:
            assert "log.jsonl" in str(error) and "line" in str(error)
        else:
            assert records == RECORDS[: len(records)] and len(records) >= len(RECORDS) - 1


def test_flipped_bits_in_the_configuration_are_refused(folder):
    path = folder / "config.json"
    data = path.read_bytes()
    rng = random.Random(2)
    for position in rng.sample(range(len(data)), 60):
        broken = bytearray(data)
        broken[position] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(broken))
        try:
            assert reopen(folder) == RECORDS  # white space, or the case of an escape
        except UserError as error:
            assert "config.json" in str(error) or "holds another run" in str(error)


def test_truncated_or_missing_configuration_is_refused(folder):
    path = folder / "config.json"
    data = path.read_bytes()
    for size in range(0, len(data) - 2, 7):
        path.write_bytes(data[:size])
        with pytest.raises(UserError, match="config.json"):
            reopen(folder)
    path.unlink()
    with pytest.raises(UserError, match="no config.json"):
        reopen(folder)


def test_another_run_is_refused_with_the_difference(folder):
    other = {**IDENTITY, "config": {"a": 2, "b": [0.1, 2.0]}}
    with pytest.raises(UserError, match="a is 1 there and 2 here"):
        reopen(folder, identity=other)
    with pytest.raises(UserError, match="profile is 'cpu' there"):
        reopen(folder, identity={**IDENTITY, "profile": "smoke"})
    many = {**IDENTITY, "config": dict.fromkeys("abcd", 7)}
    with pytest.raises(UserError) as caught:
        reopen(folder, identity=many)
    assert str(caught.value).count(" there and ") == 3


def test_a_folder_that_was_refused_is_free(folder):
    refused = store.RunFolder(folder, {**IDENTITY, "profile": "smoke"})
    with pytest.raises(UserError):
        refused.__enter__()
    assert reopen(folder) == RECORDS


def test_a_folder_that_cannot_be_set_aside_is_free(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(UserError, match="Invalid cross-device link") as caught:
        store.set_aside(folder)
    assert reopen(folder) == RECORDS and caught
    monkeypatch.undo()
    assert store.set_aside(folder) == folder.with_name("run~1") and not folder.exists()


def test_a_log_that_cannot_be_read(folder):
    (folder / "log.jsonl").unlink()
    (folder / "log.jsonl").mkdir()
    with pytest.raises(UserError, match=r"log.jsonl cannot be read: Is a directory; give another"):
        reopen(folder)
    assert store.read_log(folder / "nothing.jsonl") == []


def test_a_damaged_line_is_named(folder):
    log = folder / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    for number in (1, 3):
        log.write_bytes(b"".join([*lines[: number - 1], b"{}\n", *lines[number:]]))
        with pytest.raises(UserError, match=f"line {number} is damaged"):
            reopen(folder)


def test_what_is_not_an_identity_is_shown_in_part(folder):
    path = folder / "config.json"
    stored = {**json.loads(path.read_text()), "profile": ["x" * 200]}
    del stored["sha"]
    text = json.dumps(stored, separators=(",", ":"))
    path.write_text(json.dumps({**stored, "sha": sha(text)}))
    with pytest.raises(UserError, match=r"profile = \['x{58}; give"):
        reopen(folder)


def test_two_runs_on_one_folder(folder):
    with store.RunFolder(folder, IDENTITY):
        with pytest.raises(UserError, match="in use by another run"):
            reopen(folder)
    assert reopen(folder) == RECORDS


def test_full_disk_is_one_line_and_keeps_what_was_there(folder, monkeypatch):
    real = os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with store.RunFolder(folder, IDENTITY) as run:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=": No space left on device; .* resumes") as caught:
            run.append({"kind": "late"})
        assert "\n" not in str(caught.value)
        monkeypatch.setattr(os, "fsync", real)
    assert reopen(folder) == RECORDS


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        reopen(tmp_path / "file" / "run")


def test_read_only_file_system(folder, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UserError, match="Read-only file system"):
        reopen(folder)


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    store.write_atomic(path, "old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError):
        store.write_atomic(path, "new")
    assert path.read_text() == "old"


def test_log_is_json_lines(folder):
    for line in (folder / "log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        assert set(entry) == {"sha", "record"}
        assert entry["sha"] == sha(json.dumps(entry["record"], separators=(",", ":")))
