"""Edited code: what counts as a change, what follows, and how the user goes on."""

import json
import sys

import pytest

import link_sims
from link_sims import cli
from link_sims.errors import UserError
from link_sims.registry import all_experiments, find
from link_sims.runs import digests, runner, store
from link_sims.runs.progress import Progress

QUIET = {"quiet": True, "figure": False, "execution": "eager"}

# A sweep, with everything around it that no unit depends on.
SWEEP = '''
"""A file."""
import math

import link_sims
from helper import scale


class Config(link_sims.Config):
    x: link_sims.Grid = [1.0]
    max_units: link_sims.PositiveInt = 4


PUBLISHED = [1.0, 2.0]
e = link_sims.Experiment("mine/e", config=Config, title="a title")


@e.sweep(x="x")
def curves(cfg, trained):
    """Text."""
    import sionna_irs  # a comment

    def step(batch_size, x):
        return {("power", "c"): (x * scale(2.0), 1)}

    return step


def shown(results):
    return math.inf


@e.figure
def draw(results, figure):
    shown(results)


e.claim("a claim", source="-", expect="open", check=lambda r: r.at("power", "c", 1.0).less(2))
'''
HELPER = "def scale(x):\n    return x\n\n\ndef other():\n    return 1\n"

HARMLESS = {
    "a comment": ("# a comment", "# another"),
    "layout": ("x * scale(2.0)", "(x *\n                scale(2.0))"),
    "a docstring": ('"""Text."""', '"""More text."""'),
    "the text of the file": ('"""A file."""', '"""My file."""'),
    "a title": ("a title", "another title"),
    "a claim": (".less(2)", ".less(PUBLISHED[1])"),
    "another claim": (
        'e.claim("a',
        'e.claim("b", source="-", expect="open", check=lambda r: Verdict(None, ""))\n'
        'from link_sims.results.claims import Verdict\ne.claim("a',
    ),
    "the drawing": ("    shown(results)\n", "    shown(results)\n    figure.subplots()\n"),
    "what only the drawing uses": ("math.inf", "-math.inf"),
    "numbers of claims": ("[1.0, 2.0]", "[1.0, 3.0]"),
    "a script's part": ("import math", 'import math\nif __name__ == "__main__":\n    print(1)'),
    "an import for a claim": ("import math\n", "import math\nimport statistics\n"),
}  # fmt: skip
HARMFUL = {
    "a number in the step": ("scale(2.0)", "scale(3.0)", "curves() in e.py"),
    "the configuration": ("    x: link", "    y: int = 2\n    x: link", "Config in e.py"),
    "how it acts at import": ("@e.sweep", "print(1)\n@e.sweep", "the module level in e.py"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch):
    """Python tells files of one second and one size not apart."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def mine(tmp_path):
    """(folder of the code, function that loads it)."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "e.py").write_text(SWEEP)
    (code / "helper.py").write_text(HELPER)

    def load(path=code / "e.py"):
        sys.path.insert(0, str(path.parent))
        try:
            return find(f"{path}:e")
        finally:
            sys.path.remove(str(path.parent))
            sys.modules.pop("helper", None)

    return code, load


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def changed(code, load):
    """Words for what changed since the code was as above."""
    after = digests.digests(load())
    (code / "e.py").write_text(SWEEP)
    (code / "helper.py").write_text(HELPER)
    return digests.difference(digests.digests(load()), after)


@pytest.mark.parametrize("what", HARMLESS)
def test_what_no_unit_depends_on_does_not_count(mine, what):
    edit(mine[0] / "e.py", *HARMLESS[what])
    assert changed(*mine) == (None, "")


@pytest.mark.parametrize("what", HARMFUL)
def test_what_units_depend_on_is_named(mine, what):
    old, new, name = HARMFUL[what]
    edit(mine[0] / "e.py", old, new)
    assert changed(*mine) == ("source", f"{name} has changed")


def test_modules_beside_the_file_count_as_far_as_they_are_used(mine):
    edit(mine[0] / "helper.py", "return x", "return 2 * x")
    assert changed(*mine) == ("source", "scale() in helper.py has changed")
    edit(mine[0] / "helper.py", "return 1", "return 2")
    assert changed(*mine) == (None, "")


def test_a_computed_name_may_be_any(mine):
    code, load = mine
    edit(code / "e.py", "scale(2.0)", 'getattr(helper, "ot" + "her")()')
    edit(code / "e.py", "from helper import scale", "import helper")
    before = digests.digests(load())
    edit(code / "helper.py", "return 1", "return 2")
    after = digests.digests(load())
    assert digests.difference(before, after) == ("source", "other() in helper.py has changed")


def test_packages_and_relative_imports_are_followed(tmp_path):
    package = tmp_path / "mypackage"
    (package / "inner").mkdir(parents=True)
    files = {
        "mypackage/__init__.py": "", "mypackage/inner/__init__.py": "from .deep import value\n",
        "mypackage/inner/deep.py": "from ..top import value\n", "mypackage/top.py": "value = 1\n",
        "e.py": SWEEP.replace("from helper import scale", "scale = float").replace(
            "import sionna_irs", "from mypackage.inner import value"
        ),
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = digests.digests(find(f"{tmp_path / 'e.py'}:e"))
    assert {"mypackage/inner/deep.py", "mypackage/top.py"} <= set(before["functions"])
    (package / "top.py").write_text("value = 2\n")
    after = digests.digests(find(f"{tmp_path / 'e.py'}:e"))
    assert digests.difference(before, after) == ("source", "value in mypackage/top.py has changed")


def test_moving_the_code_changes_nothing(mine, tmp_path):
    code, load = mine
    here = digests.digests(load())
    code.rename(tmp_path / "moved")
    (tmp_path / "moved/e.py").rename(tmp_path / "moved/renamed.py")
    there = digests.digests(load(tmp_path / "moved/renamed.py"))
    assert digests.difference(here, there) == (None, "")


def test_experiments_of_the_package_count_their_own_modules_only():
    found = digests.digests(all_experiments()["izosga/coded-bler"])
    assert found["file"] == "coded.py"
    assert "link_sims/papers/izosga/common.py" in found["functions"]
    assert not any("sionna_irs" in file or "runner" in file for file in found["functions"])


def test_the_library_and_the_versions_are_told_apart(mine):
    now = digests.digests(mine[1]())
    versions = now["versions"]
    assert len(now["library"]) == 64 and versions["numpy"] and versions["sionna-irs"]
    for old, kind, words in (
        ({"library": "0" * 64}, "library", "sionna_irs or link_sims has changed"),
        ({"versions": {**versions, "numpy": "1"}}, "library", "numpy was 1 and is"),
        ({"versions": {**versions, "sionna-irs": "0"}}, "release", "sionna-irs was 0 and is"),
        ({"source": "0"}, "source", "its code has changed"),
    ):
        found = digests.difference({**now, **old}, now)
        assert found[0] == kind and found[1].startswith(words)


@pytest.fixture
def notes(monkeypatch):
    found = []
    monkeypatch.setattr(Progress, "note", lambda self, text: found.append(text))
    return found


@pytest.fixture
def stopped(mine, tmp_path, notes):
    """(code, load, folder) of a run that was stopped after one of its four units."""
    code, load = mine
    _, folder = runner.run(load(), folder=tmp_path / "smoke", **QUIET)
    keep_lines(folder, 1)
    return code, load, folder


def keep_lines(folder, count):
    log = folder / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(True)[:count]))


def values(load, folder, **options):
    """What the units of a run say, after it went on."""
    results, _ = runner.run(load(), folder=folder, **QUIET, **options)
    return [num for num, _ in results.units["power", "c"][1.0]]


def refuse(load, folder, words, **options):
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(UserError) as caught:
        runner.run(load(), folder=folder, **QUIET, **options)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_units_of_other_code_are_not_added(stopped):
    code, load, folder = stopped
    edit(code / "e.py", "scale(2.0)", "scale(3.0)")
    refuse(
        load, folder,
        f"{folder}: curves() in e.py has changed since its 1 unit was computed; --fresh starts "
        "anew (keeps the old as smoke~1), --keep adds to them",
    )  # fmt: skip
    (code / "e.py").write_text(SWEEP)
    assert values(load, folder) == [2.0] * 4


def test_comments_claims_and_drawings_go_on(stopped, notes):
    code, load, folder = stopped
    for old, new in HARMLESS.values():
        text = (code / "e.py").read_text()
        (code / "e.py").write_text(text.replace(old, new))
    assert values(load, folder) == [2.0] * 4 and not notes


def test_a_finished_run_is_shown_as_it_was_made(stopped, notes):
    code, load, folder = stopped
    values(load, folder)
    log = (folder / "log.jsonl").read_bytes()
    edit(code / "e.py", "scale(2.0)", "scale(3.0)")
    assert values(load, folder) == [2.0] * 4 and (folder / "log.jsonl").read_bytes() == log
    (note,) = notes
    assert "warning: made by other code: curves() in e.py has changed since its 4 units" in note


def test_fresh_equals_a_new_folder(stopped, tmp_path):
    code, load, folder = stopped
    edit(code / "e.py", "scale(2.0)", "scale(3.0)")
    old = (folder / "log.jsonl").read_bytes()
    assert values(load, folder, fresh=True) == [3.0] * 4
    runner.run(load(), folder=tmp_path / "new", **QUIET)
    for name in ("config.json", "log.jsonl", "results.csv"):
        assert (folder / name).read_bytes() == (tmp_path / "new" / name).read_bytes(), name
    assert (tmp_path / "smoke~1/log.jsonl").read_bytes() == old
    values(load, folder, fresh=True)
    assert {p.name for p in tmp_path.iterdir()} == {"code", "smoke", "smoke~1", "smoke~2", "new"}


def test_keep_adds_to_the_units_and_says_so(stopped):
    code, load, folder = stopped
    edit(code / "e.py", "scale(2.0)", "scale(3.0)")
    with pytest.raises(UserError, match="one of them"):
        values(load, folder, fresh=True, keep=True)
    assert values(load, folder, keep=True) == [2.0, 3.0, 3.0, 3.0]
    old, new = json.loads((folder / "results.json").read_text())["digests"]
    assert old["source"] != new["source"] == digests.digests(load())["source"]
    keep_lines(folder, 3)  # a unit, the new code, a unit
    assert values(load, folder) == [2.0, 3.0, 3.0, 3.0]  # once is enough
    assert runner.other_code(load(), folder)


def made_by(folder, **changes):
    """Let a folder be of a code with other digests."""
    identity = store.read_identity(folder / "config.json")
    code = identity.pop("digests")
    text = (folder / "log.jsonl").read_bytes()
    (folder / "log.jsonl").unlink()
    (folder / "config.json").unlink()
    new = {**code, **changes} if changes else None
    with store.RunFolder(folder, identity, digests=new):
        pass
    (folder / "log.jsonl").write_bytes(text)
    return code


def test_another_release_is_refused_another_library_is_noted(stopped, notes):
    _, load, folder = stopped
    code = made_by(folder, versions={"sionna-irs": "0.0.1"})
    refuse(load, folder, "sionna-irs was 0.0.1 and is")
    made_by(folder, library="other", versions=code["versions"])
    assert values(load, folder) == [2.0] * 4
    assert "warning" in notes[0] and "sionna_irs or link_sims has changed" in notes[0]
    found = json.loads((folder / "results.json").read_text())["digests"]
    assert [entry["library"] for entry in found] == ["other", code["library"]]
    values(load, folder)
    assert len(notes) == 1  # the units that were added are of this library


def test_folders_of_earlier_versions_go_on_with_a_note(stopped, notes):
    code, load, folder = stopped
    made_by(folder)
    assert values(load, folder) == [2.0] * 4
    assert "earlier version" in notes[0]
    keep_lines(folder, 3)
    edit(code / "e.py", "scale(2.0)", "scale(3.0)")  # from here on the code is known
    refuse(load, folder, "curves() in e.py has changed")


def test_a_folder_without_units_takes_the_code_of_the_day(stopped):
    code, load, folder = stopped
    keep_lines(folder, 0)
    edit(code / "e.py", "scale(2.0)", "scale(3.0)")
    assert values(load, folder) == [3.0] * 4
    stored = store.read_identity(folder / "config.json")["digests"]
    assert stored["source"] == digests.digests(load())["source"]


OTHER = """
import link_sims


class Config(link_sims.Config):
    num_steps: link_sims.PositiveInt = 6
    retrain: bool = True


e = link_sims.Experiment("mine/e", config=Config)


@e.recursion("walk", length="num_steps", record_every=2)
def walk(cfg, seed):
    import tensorflow as tf

    return lambda: tf.zeros([]), lambda s, t: (s + 1.0, {("power", "walk"): (s, 1)})


@e.table
def rows(cfg):
    return [link_sims.row("power", "exact", 1.0, 2.0)]


@e.ship("norm")
def norm(cfg, trained):
    import sionna_irs as irs

    return irs.BatchNorm(2)
"""


def test_recursions_tables_and_weights_are_of_one_code_too(mine, tmp_path, notes):
    code, load = mine
    (code / "e.py").write_text(OTHER)
    _, folder = runner.run(load(), folder=tmp_path / "smoke", **QUIET)
    whole = (folder / "log.jsonl").read_bytes()
    csv, names = (folder / "results.csv").read_bytes(), ("walk", "rows", "norm")
    edits = dict(walk=("s + 1.0", "s + 2.0"), rows=("1.0, 2.0", "1.0, 3.0"), norm=("(2)", "(3)"))
    for name in names:
        edit(code / "e.py", *edits[name])
        notes.clear()
        runner.run(load(), folder=folder, **QUIET)  # nothing is left to be computed
        assert f"{name}() in e.py has changed since its 4 units were" in notes[0]
        assert (folder / "log.jsonl").read_bytes() == whole
        assert (folder / "results.csv").read_bytes() == csv
        for count in (0, 1, 2, 3):  # no record: the code of the day
            keep_lines(folder, count)
            if count:
                refuse(load, folder, f"{name}() in e.py has changed since its {count} unit")
            (folder / "log.jsonl").write_bytes(whole)
        (code / "e.py").write_text(OTHER)
    edit(code / "e.py", *edits["norm"])
    (folder / "weights/norm.json").unlink()
    refuse(load, folder, "norm() in e.py has changed")


def test_plot_and_verify_say_that_results_are_of_other_code(stopped, capsys, monkeypatch):
    code, load, folder = stopped
    values(load, folder)
    edit(code / "e.py", "scale(2.0)", "scale(3.0)")
    monkeypatch.syspath_prepend(code)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["link-sims", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        return done.value.code, *capsys.readouterr()

    assert "(made by other code)" in call("verify", code / "e.py", folder)[1]
    assert json.loads(call("verify", code / "e.py", folder, "--json")[1])[0]["other_code"]
    code_, _, err = call("plot", code / "e.py", folder)
    assert code_ == 0 and "made by other code" in err
    keep_lines(folder, 1)
    arguments = ("run", code / "e.py", "--out", folder.parent, "--quiet", "--execution=eager")
    named = folder.parent / "mine/e/cpu"
    named.parent.mkdir(parents=True)
    folder.rename(named)
    code_, _, err = call(*arguments)
    assert code_ == 2 and "curves() in e.py has changed" in err and err.count("\n") == 1
    assert call(*arguments, "--keep")[0] == 0
    assert call(*arguments, "--fresh")[0] == 0 and (named.parent / "cpu~1").is_dir()


MODEL = """
import tensorflow as tf
from helper import scale


class Model:
    def __call__(self, batch_size, ebno_db):
        b = tf.zeros([batch_size, 4])
        return b, b - scale(1.0)


def function(batch_size, ebno_db):
    return Model()(batch_size, ebno_db)
"""


@pytest.mark.parametrize("kind", ["object", "function", "compiled", "partial", "inside"])
def test_simulate_knows_the_code_of_its_model(tmp_path, kind, monkeypatch):
    import functools
    import importlib

    import tensorflow as tf

    (tmp_path / "model_file.py").write_text(MODEL)
    (tmp_path / "helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)

    def simulate(max_units=4, **options):
        for name in ("helper", "model_file"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        module = importlib.import_module("model_file")
        inner = [module.Model()]
        model = {
            "object": module.Model(), "function": module.function, "compiled": tf.function(
                module.function
            ), "partial": functools.partial(module.function), "inside": lambda **k: inner[0](**k),
        }[kind]  # fmt: skip
        return link_sims.simulate(
            model, [0.0], batch_size=2, max_units=max_units, out=tmp_path / "run", quiet=True,
            execution="eager", **options,
        ).value("ber", "link", 0.0)  # fmt: skip

    assert simulate() == 0.0
    keep_lines(tmp_path / "run", 1)
    edit(tmp_path / "helper.py", "return x", "return -x")
    with pytest.raises(UserError, match=r"scale\(\) in helper.py has changed .* fresh=True starts"):
        simulate()
    (tmp_path / "helper.py").write_text(HELPER)
    assert simulate() == 0.0
    keep_lines(tmp_path / "run", 1)
    with pytest.raises(UserError, match="version was None and is 'v2'"):
        simulate(version="v2")
    edit(tmp_path / "helper.py", "return x", "return -x")
    assert simulate(keep=True) == 0.75
    assert simulate(fresh=True) == 1.0
    sys.modules.pop("helper"), sys.modules.pop("model_file")


NOTEBOOK = """
def helper(x):
    return x + NUMBER


class Model:
    def __call__(self, batch_size, ebno_db):
        return helper(batch_size)


model = Model()
"""


def test_models_of_a_notebook_count_by_their_text(monkeypatch):
    import linecache
    import types

    def words(old, new):
        found = []
        for number, text in enumerate((NOTEBOOK, NOTEBOOK.replace(old, new))):
            main = types.ModuleType("__main__")  # has no file
            monkeypatch.setitem(sys.modules, "__main__", main)
            name = f"<cell {number}>"
            linecache.cache[name] = len(text), None, text.splitlines(True), name
            exec(compile(text, name, "exec"), vars(main))
            experiment = link_sims.Experiment("live")
            experiment.table(lambda cfg, model=main.model: model)
            found.append(digests.digests(experiment))
        return digests.difference(*found)

    assert words("x + NUMBER", "x - NUMBER") == ("source", "helper() in helper has changed")
    assert words("helper(b", "abs(b")[1] == "__call__() in Model.__call__ has changed"
    assert words("    return x", "    # a comment\n    return x") == (None, "")
