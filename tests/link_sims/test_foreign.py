"""Run folders that others have written to: nothing is believed, executed or overwritten."""

import hashlib
import json
import os
import pathlib
import shutil
import sys

import pytest

from link_sims import cli
from link_sims.errors import UserError
from link_sims.runs import compile_cache, records, runner, store
from link_sims.runs.progress import Progress

HERE = pathlib.Path(__file__).parent
QUIET = {"quiet": True, "figure": False, "execution": "eager"}
CHANGES = {"max_units": 2, "num_steps": 6}


@pytest.fixture
def notes(monkeypatch):
    found = []
    monkeypatch.setattr(Progress, "note", lambda self, text: found.append(text))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of the tiny experiment, to be copied."""
    from link_sims.registry import find

    tiny = find(f"{HERE / 'tiny.py'}:tiny")
    folder = tmp_path_factory.mktemp("whole") / "run"
    runner.run(tiny, tiny.resolve("cpu", CHANGES), folder=folder, **QUIET)
    return tiny, folder


@pytest.fixture
def copied(whole, tmp_path):
    """(function that runs in a copy, the copy)."""
    tiny, folder = whole
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)

    def go_on():
        runner.run(tiny, tiny.resolve("cpu", CHANGES), folder=copy, **QUIET)
        return (copy / "results.csv").read_bytes()

    return go_on, copy


def one_line(call, *words):
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500 and all(word in text for word in words), text


def entries(folder):
    """Every file of a folder: its content, or where it points to."""
    return {
        str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes()
        for p in folder.rglob("*")
        if p.is_symlink() or p.is_file()
    }


# The log and the checkpoints agree, or something is done again.


def lines_of(folder):
    return (folder / "log.jsonl").read_bytes().splitlines(True)


@pytest.mark.parametrize("count", range(1, 6))
def test_a_log_that_was_cut_is_written_again(copied, notes, count):
    go_on, folder = copied
    before, csv = lines_of(folder), (folder / "results.csv").read_bytes()
    records_ = [json.loads(line)["record"] for line in before]
    assert [r["kind"] for r in records_[:5]] == ["table"] + ["steps"] * 4
    (folder / "log.jsonl").write_bytes(b"".join(before[:count]))
    assert go_on() == csv
    after = [json.loads(line)["record"] for line in lines_of(folder)]
    for record in (*records_, *after):
        record.pop("seconds", None)
    assert after == records_
    again = [text for text in notes if "done again" in text]
    assert len(again) == {1: 2, 2: 2, 3: 1, 4: 1, 5: 0}[count]
    if again:
        assert "is at step 6, which the log does not reach" in again[0]


def test_a_damaged_line_is_mended_as_the_message_says(copied):
    go_on, folder = copied
    lines, csv = lines_of(folder), (folder / "results.csv").read_bytes()
    lines[3] = lines[3].replace(b'"steps"', b'"step5"')
    (folder / "log.jsonl").write_bytes(b"".join(lines))
    one_line(go_on, "log.jsonl: line 4", "cut the file before that line")
    (folder / "log.jsonl").write_bytes(b"".join(lines[:3]))
    assert go_on() == csv


def head_of(path):
    head, data = path.read_bytes().split(b"\n", 1)
    return json.loads(head), data


def rewrite(path, head, data):
    path.write_bytes(json.dumps(head).encode() + b"\n" + data)


@pytest.mark.parametrize("t", [-1, -3, 1, 3, 3.5, 6.0, "6", None, True, 10**30, [6]])
def test_a_checkpoint_of_another_step_is_not_believed(copied, notes, t):
    go_on, folder = copied
    csv, log = (folder / "results.csv").read_bytes(), (folder / "log.jsonl").read_bytes()
    path = folder / "checkpoint-walk-1.safetensors"
    state = head_of(path)[1]
    rewrite(path, {**head_of(path)[0], "t": t}, state)
    assert go_on() == csv and (folder / "log.jsonl").read_bytes() == log
    assert any(str(path) in text for text in notes)
    assert head_of(path) == ({"t": 6, "sha": hashlib.sha256(state).hexdigest()}, state)


@pytest.mark.parametrize("junk", [b"", b"\n", b"{}\n", b"[]\n", b"null\nx", b"\xff" * 99, "sha"])
def test_junk_for_a_checkpoint_is_not_believed(copied, notes, junk):
    go_on, folder = copied
    csv = (folder / "results.csv").read_bytes()
    path = folder / "checkpoint-walk-1.safetensors"
    if junk == "sha":  # whole, but nothing that can be read
        rewrite(path, {"t": 6, "sha": hashlib.sha256(b"junk").hexdigest()}, b"junk")
    else:
        path.write_bytes(junk)
    assert go_on() == csv and any("damaged" in text for text in notes)


@pytest.mark.parametrize("name", ["checkpoint-walk-1.safetensors", "log.jsonl", "config.json"])
def test_a_folder_in_the_place_of_a_file(copied, name):
    go_on, folder = copied
    (folder / name).unlink()
    (folder / name).mkdir()
    before = entries(folder)
    one_line(go_on, name)
    kept = {k: v for k, v in entries(folder).items() if not k.startswith("results.")}
    assert kept.items() <= before.items()


# Links.


FILES = (
    "log.jsonl", ".lock", "config.json", "results.csv", "results.json", "figure.png",
    "checkpoint-walk-1.safetensors", "tensorboard", "weights", "weights/norm.json",
    ".results.csv.partial", "tensorboard/walk-1",
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_links_are_refused_and_not_followed(copied, tmp_path, name):
    go_on, folder = copied
    target, place = tmp_path / "precious", folder / name
    place.parent.mkdir(exist_ok=True)
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    target.write_bytes(b"precious")
    place.symlink_to(target)
    before = entries(folder)
    one_line(go_on, str(place), "is a symbolic link")
    assert target.read_bytes() == b"precious" and entries(folder) == before


def test_a_link_that_appears_while_a_file_is_written_is_not_followed(tmp_path, monkeypatch):
    from sionna_irs import files

    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    (tmp_path / ".results.csv.guessed.partial").symlink_to(target)
    one_line(lambda: store.write_atomic(tmp_path / "results.csv", "new"), "cannot write")
    assert target.read_bytes() == b"precious"
    # A link in the place of the file itself is replaced.
    (tmp_path / "results.json").symlink_to(target)
    monkeypatch.undo()
    store.write_atomic(tmp_path / "results.json", "new")
    assert target.read_bytes() == b"precious" and not (tmp_path / "results.json").is_symlink()


@pytest.mark.parametrize("name", ["log.jsonl", ".lock"])
def test_a_link_that_appears_after_the_look_is_not_followed(tmp_path, monkeypatch, name):
    identity, target = {"experiment": "e", "profile": "cpu", "config": {}}, tmp_path / "precious"
    with store.RunFolder(tmp_path / "run", identity):
        pass
    target.write_bytes(b"")
    (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / name).symlink_to(target)
    monkeypatch.setattr(store, "refuse_links", lambda folder: None)
    one_line(store.RunFolder(tmp_path / "run", identity).__enter__, "cannot write")
    assert target.read_bytes() == b""


def test_what_a_killed_process_left_is_removed(copied):
    go_on, folder = copied
    (folder / ".results.csv.0123abcd.partial").write_bytes(b"half")
    go_on()
    assert not list(folder.glob(".*.partial"))


def test_an_export_does_not_follow_links(tmp_path):
    from link_sims.bench.export import export

    (tmp_path / "manifest.json").write_text('{"format": 1}')
    (tmp_path / "run.py").symlink_to(HERE / "nowhere.py")
    one_line(lambda: export(tmp_path), "run.py is a symbolic link")
    assert not (HERE / "nowhere.py").exists()


# Records.


UNITS = {"kind": "units", "x": 1.0, "first": 0, "curves": [["ser", "a"]], "values": [[[1, 2]]]}
STEPS = {
    "kind": "steps", "name": "w", "seed": 1, "first": 0, "last": 3, "curves": [["p", "w"]],
    "values": [[1.0, 2.0]],
}  # fmt: skip
TABLE = {"kind": "table", "rows": [{"metric": "ser", "curve": "e", "x": None, "value": 1.0}]}
FAILED = {"kind": "failed", "x": 1.0, "unit": 0, "what": "ser/a"}
SOUND = (
    UNITS, STEPS, TABLE, FAILED, {**UNITS, "mode": "graph", "x": 3},
    {**STEPS, "values": [[[1.0, 2.0], [3.0, 4.0]]]},
)  # fmt: skip
WRONG = [
    (7, "an object with a kind"), ([], "an object with a kind"), ({}, "an object with a kind"),
    ({**UNITS, "kind": 3}, "an object with a kind"), ({**UNITS, "kind": "unit"}, "kind = 'unit'"),
    *(({**UNITS, "x": x}, "x = ") for x in ("1", None, True, [1.0], 10**400)),
    *(({**UNITS, "first": n}, "first = ") for n in (-1, 0.0, "0", None)),
    *(({**UNITS, "curves": c}, "curves = ") for c in (
        [], "ser", [["ser"]], [["ser", 1]], [["ser", "a"], ["ser", "a"]], None, [[["ser"], "a"]])),
    *(({**UNITS, "values": v}, "values = ") for v in (
        [], None, "1", [[["1", 2]]], [[[1, 2], [3]]], {}, [[[None, 2]]], [[[True, False]]])),
    *(({**UNITS, "values": v}, "values of shape") for v in (
        [1, 2], [[1, 2]], [[[1, 2, 3]]], [[[1, 2], [3, 4]]], [[[[1, 2]]]])),
    ({**STEPS, "last": 0}, "last = 0"), ({**STEPS, "last": 2.5}, "last = 2.5"),
    ({**STEPS, "seed": "1"}, "seed = '1'"), ({**STEPS, "name": None}, "name = None"),
    ({**STEPS, "values": [[1.0], [2.0]]}, "values of shape"),
    *(({"kind": "table", "rows": r}, "rows = ") for r in (
        None, [1], [{}], [{**TABLE["rows"][0], "x": "a"}], [{**TABLE["rows"][0], "value": "1"}],
        [{**TABLE["rows"][0], "metric": 1}])),
    ({**FAILED, "what": 3}, "what = 3"), ({**FAILED, "unit": -2}, "unit = -2"),
    ({"kind": "code", "digests": {}}, "digests = "),
]  # fmt: skip


def test_sound_records_pass():
    records.check(list(SOUND), "log.jsonl")


@pytest.mark.parametrize("record, words", WRONG)
def test_records_of_wrong_types_are_refused_by_line(record, words):
    one_line(lambda: records.check([UNITS, record], "log.jsonl"), "log.jsonl: line 2", words)


def test_wrong_records_with_right_checksums_stop_a_run_and_a_reading(copied, whole):
    go_on, folder = copied
    csv = (folder / "results.csv").read_bytes()
    text = json.dumps({**UNITS, "x": "one"}, separators=(",", ":"))
    sha = hashlib.sha256(text.encode()).hexdigest()[:16]
    number = len(lines_of(folder)) + 1
    with open(folder / "log.jsonl", "a") as file:
        file.write(f'{{"sha":"{sha}","record":{text}}}\n')
    for call in (go_on, lambda: runner.load(whole[0], folder)):
        one_line(call, f"line {number} is no record of a run: x = 'one'")
    assert (folder / "results.csv").read_bytes() == csv


@pytest.mark.parametrize("line", [b'{"sha":"0","record":NaN}', b"[" * 10**5, b'"text"', b"{}"])
def test_lines_that_are_no_records(copied, line):
    go_on, folder = copied
    log = folder / "log.jsonl"
    log.write_bytes(line + b"\n" + log.read_bytes())
    one_line(go_on, "log.jsonl: line 1 is damaged")


@pytest.mark.parametrize(
    "key, value",
    [("experiment", None), ("experiment", 3), ("profile", []), ("config", "x"), ("config", [1]),
     ("source", 1), ("replicas", "2"), ("digests", []), ("digests", {"source": 1})],
)  # fmt: skip
def test_a_configuration_of_wrong_types(copied, whole, key, value):
    go_on, folder = copied
    path = folder / "config.json"
    stored = json.loads(path.read_text())
    stored.pop("sha")
    stored[key] = value
    sha = hashlib.sha256(json.dumps(stored, separators=(",", ":")).encode()).hexdigest()[:16]
    path.write_text(json.dumps({"sha": sha, **stored}))
    for call in (go_on, lambda: runner.load(whole[0], folder)):
        one_line(call, "config.json is of no run")


@pytest.mark.parametrize("text", ["[1]", "3", "null", "{}", '"sha"', "[" * 10**5, "{", '{"sha":1}'])
def test_a_configuration_that_is_none(copied, text):
    go_on, folder = copied
    (folder / "config.json").write_text(text)
    one_line(go_on, "config.json is damaged")


# Code.


def call(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["link-sims", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return done.value.code, *capsys.readouterr()


@pytest.mark.parametrize("command", ["plot", "verify"])
@pytest.mark.parametrize("place", ["source", "experiment"])
def test_what_a_folder_names_is_not_executed(tmp_path, capsys, monkeypatch, command, place):
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    identity = {"experiment": "mine/e", "source": None, "profile": "cpu", "config": {}}
    with store.RunFolder(tmp_path / "run", {**identity, place: f"{trap}:e"}):
        pass
    code, out, err = call(capsys, monkeypatch, command, tmp_path / "run")
    assert code == 2 and not out and err.count("\n") == 1
    assert f"link-sims {command} FILE.py:OBJECT {tmp_path / 'run'}" in err
    assert not (tmp_path / "executed").exists()


def test_folders_of_files_are_judged_and_drawn_with_the_file_beside_them(
    copied, capsys, monkeypatch
):
    _, folder = copied
    monkeypatch.chdir(folder.parent)
    named = f"{HERE / 'tiny.py'}:tiny"
    for arguments in ((named, folder), (folder, named), (named, f"{folder}/", folder)):
        code, out, err = call(capsys, monkeypatch, "verify", *arguments)
        assert code == 0 and not err
        assert out.count("1/(2x)") == len(arguments) - 1
    assert not pathlib.Path("runs").exists()  # nothing was run for the name alone
    code, out, _ = call(capsys, monkeypatch, "plot", named, folder)
    assert code == 0 and (folder / "figure.png").stat().st_size > 1000
    code, _, err = call(capsys, monkeypatch, "plot", named)
    assert code == 2 and "no run folder" in err


# Locks.


def test_a_folder_is_locked_while_it_is_used_and_free_afterwards(tmp_path):
    identity = {"experiment": "e", "profile": "cpu", "config": {}}
    other = {**identity, "profile": "paper"}
    with store.RunFolder(tmp_path / "run", identity) as first:
        for attempt in (
            lambda: store.RunFolder(tmp_path / "run", identity).__enter__(),
            lambda: store.set_aside(tmp_path / "run"),
        ):
            one_line(attempt, "in use by another run")
    refused = store.RunFolder(tmp_path / "run", other)
    one_line(refused.__enter__, "holds another run")
    # Both are still referenced, so that no collection of garbage releases their locks.
    with pytest.raises(KeyError), store.RunFolder(tmp_path / "run", identity) as failed:
        raise KeyError
    with store.RunFolder(tmp_path / "run", identity) as last:
        assert first.records == refused.records == failed.records == last.records == []
    assert store.set_aside(tmp_path / "run") == tmp_path / "run~1"
    assert store.set_aside(tmp_path / "run") is None


def test_a_folder_that_cannot_be_set_aside_is_free_afterwards(tmp_path, monkeypatch):
    identity = {"experiment": "e", "profile": "cpu", "config": {}}
    with store.RunFolder(tmp_path / "run", identity):
        pass

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(UserError) as caught:
        patch.setattr(os, "rename", fail)
        store.set_aside(tmp_path / "run")
    with store.RunFolder(tmp_path / "run", identity) as run:
        assert run.records == [] and "No space left" in str(caught.value)


def test_a_run_that_was_refused_leaves_its_folder_usable(copied, whole):
    go_on, folder = copied
    csv = (folder / "results.csv").read_bytes()
    tiny = whole[0]
    errors = []
    for changes in ({**CHANGES, "seed": 2}, {**CHANGES, "max_units": 3}):
        with pytest.raises(UserError, match="holds another run") as caught:
            runner.run(tiny, tiny.resolve("cpu", changes), folder=folder, **QUIET)
        errors.append(caught.value)  # with its frames, and what they hold
    assert go_on() == csv


# Compiled programs.


@pytest.mark.parametrize("which", ["compile-cache", "machine", "link"])
def test_a_compile_cache_that_others_can_write_to_is_not_used(tmp_path, monkeypatch, which):
    monkeypatch.setattr(compile_cache.sys, "modules", {})
    monkeypatch.setattr(compile_cache.atexit, "register", lambda *call: None)
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    folder = tmp_path / "compile-cache"
    machine = compile_cache._machine_folder(folder)
    machine.mkdir(parents=True, mode=0o700)
    (machine / "planted.pb").write_bytes(b"code")
    if which == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        (folder if which == "compile-cache" else machine).chmod(0o777)
    notes = []
    compile_cache.enable(folder, notes.append)
    assert "TF_XLA_FLAGS" not in os.environ and os.listdir(machine) == ["planted.pb"]
    (note,) = notes
    assert "could be written to by others" in note and "\n" not in note


def test_a_compile_cache_of_another_user_is_not_used(tmp_path, monkeypatch):
    folder = tmp_path / "compile-cache"
    compile_cache._machine_folder(folder).mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(compile_cache.sys, "modules", {})
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.setattr(compile_cache.os, "geteuid", lambda: os.getuid() + 1)
    notes = []
    compile_cache.enable(folder, notes.append)
    assert "TF_XLA_FLAGS" not in os.environ and len(notes) == 1


def test_a_new_compile_cache_is_private_whatever_the_umask(tmp_path, monkeypatch):
    monkeypatch.setattr(compile_cache.sys, "modules", {})
    monkeypatch.setattr(compile_cache.atexit, "register", lambda *call: None)
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    before = os.umask(0)
    try:
        compile_cache.enable(tmp_path / "runs/compile-cache", pytest.fail)
    finally:
        os.umask(before)
    assert "compile-cache" in os.environ["TF_XLA_FLAGS"]
    assert (tmp_path / "runs/compile-cache").stat().st_mode & 0o077 == 0
