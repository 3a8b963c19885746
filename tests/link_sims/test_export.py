"""Modules that run without TensorFlow: the hooks, the folder, the runner and what it refuses."""

import ast
import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from link_sims import cli
from link_sims.bench import export
from link_sims.bench.export.cases import CASES
from link_sims.errors import UserError

RUNNER = pathlib.Path(export.__file__).with_name("run.py")


@pytest.fixture(scope="module")
def hook():
    from link_sims.experiment import Config
    from link_sims.runs import backend

    backend.start(Config())
    from link_sims.bench.export import hook

    return hook


@pytest.fixture(scope="module")
def runner():
    pytest.importorskip("jax")
    spec = importlib.util.spec_from_file_location("exported_runner", RUNNER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.jax.config.update("jax_enable_x64", True)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two cases at the size of the check."""
    pytest.importorskip("jax")
    path = tmp_path_factory.mktemp("export") / "new"
    export.export(path, ["quickstart", "wmmse"], largest=1, note=lambda text: None)
    return path


def run(path, *options):
    """(exit code, stdout, stderr) of the runner in a process of its own."""
    command = [sys.executable, path / "run.py", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent)
    return done.returncode, done.stdout, done.stderr


# The hooks.


def gathering():
    """A function that captures a table, a shape and a variable, which it changes."""
    import tensorflow as tf

    table, shape = tf.constant([3, 1, 2]), tf.constant([3, 1])
    weight = tf.Variable([[2.0, 3.0]])

    def function(a, scale):
        rows = tf.reshape(tf.gather(a, table), shape)
        product = scale * tf.matmul(rows, weight)
        weight.assign_add([[1.0, 1.0]])
        return product

    return tf.function(function, jit_compile=True, autograph=False), weight


def paths_in(code):
    here = pathlib.Path(__file__).parent
    return [word for word in (b".py", str(here).encode(), sys.prefix.encode()) if word in code]


def test_captured_tensors_become_constants_and_no_path_is_left(hook, runner, tmp_path, monkeypatch):
    import tensorflow as tf

    function, weight = gathering()
    arguments = [tf.range(4.0), tf.constant(2.0)]
    module = hook.lower(function, arguments)
    assert module.arguments == [((4,), "float32"), ((), "float32"), ((1, 2), "float32")]
    assert module.results == [((3, 2), "float32"), ((1, 2), "float32")]
    np.testing.assert_array_equal(module.variables, [[[2.0, 3.0]]])
    assert not module.custom_calls and not paths_in(module.code)
    expected = function(*arguments).numpy()

    (tmp_path / "module.bc").write_bytes(module.code)
    monkeypatch.setattr(runner, "HERE", tmp_path)
    batch = {"module": "module.bc", "arguments": module.arguments, "results": module.results}
    given = [np.asarray(a) for a in (*arguments, *module.variables)]
    call, seconds = runner.compiled({"kind": "units"}, batch, given)
    for found in (call(*given), runner.loaded(module.code)(*given)):
        np.testing.assert_array_equal(found[0], expected)
        np.testing.assert_array_equal(found[1], weight.numpy())
    assert seconds > 0


def test_without_the_hooks_paths_and_tables_would_be_left(hook):
    function, _ = gathering()
    import tensorflow as tf

    arguments = [tf.range(4.0), tf.constant(2.0)]
    assert len(function.get_concrete_function(*arguments).captured_inputs) == 3
    code = function.experimental_get_compiler_ir(*arguments)(stage="stablehlo_serialized")
    assert paths_in(code)


def test_hooks_are_taken_off_again(hook):
    from tensorflow.python.framework import func_graph
    from tensorflow.python.util import tf_stack

    before = func_graph.FuncGraph.capture, tf_stack.extract_stack
    with pytest.raises(RuntimeError, match="inside"):
        with hook.portable_tracing():
            assert func_graph.FuncGraph.capture is not before[0]
            raise RuntimeError("inside")
    assert (func_graph.FuncGraph.capture, tf_stack.extract_stack) == before


def test_custom_calls_are_seen_and_products_are_of_full_precision(hook):
    import tensorflow as tf

    a = tf.ones([3, 3])
    qr = hook.lower(tf.function(lambda a: tf.linalg.qr(a), jit_compile=True), [a])
    assert "Qr" in qr.custom_calls
    assert tf.config.experimental.tensor_float_32_execution_enabled()
    product = hook.lower(tf.function(lambda a: tf.matmul(a, a), jit_compile=True), [a])
    assert "precision = [HIGHEST, HIGHEST]" in product.text and not product.custom_calls
    assert tf.config.experimental.tensor_float_32_execution_enabled()


# The folder.


@pytest.mark.parametrize("kind", ["file", "folder", "list"])
def test_another_folder_is_refused(kind, tmp_path, capsys, monkeypatch):
    target = tmp_path / "mine"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "manifest.json").write_text("[1]" if kind == "list" else '{"name": "mine"}')
    monkeypatch.setattr(sys, "argv", ["link-sims", "bench", "--export", str(target)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    error = capsys.readouterr().err
    assert done.value.code == 2 and len(error.splitlines()) == 1
    assert error.startswith(f"error: --export = {target}: a new folder, an empty one")
    assert target.is_file() or len(list(target.iterdir())) == 1


def test_an_unknown_case_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="NAME = runner: one of quickstart, ofdm"):
        export.export(tmp_path / "new", ["runner"])
    assert not (tmp_path / "new").exists()


def test_manifest_and_modules(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert list(manifest["cases"]) == ["quickstart", "wmmse"] and manifest["versions"]["tensorflow"]
    for case in manifest["cases"].values():
        (batch,) = case["batches"]
        code = (folder / batch["module"]).read_bytes()
        assert len(code) < 2e6 and not paths_in(code)
        with np.load(folder / batch["check"]) as stored:
            (expected,) = (stored[key] for key in stored.files)
        assert expected.shape == (3, len(case["outputs"]), 2)
        trials = expected[:, :, 1]
        assert (trials > 0).all()
    assert (folder / "run.py").read_bytes() == RUNNER.read_bytes()


def test_an_earlier_export_is_replaced(tmp_path, monkeypatch):
    from link_sims.bench.export import write

    (tmp_path / "wmmse").mkdir()
    (tmp_path / "wmmse/batch-1.mlir.bc").write_text("old")
    (tmp_path / "manifest.json").write_text('{"format": 1, "cases": {}}')
    monkeypatch.setattr(write.backend, "start", lambda config: None)
    export.export(tmp_path, [])
    assert {p.name for p in tmp_path.iterdir()} == {"manifest.json", "run.py"}


# The runner.


def test_the_runner_needs_jax_and_numpy_only():
    tree = ast.parse(RUNNER.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module.split(".")[0])
    assert names - set(sys.stdlib_module_names) == {"jax", "numpy"}


def test_results_are_those_of_tensorflow(folder):
    report = folder.parent / "report.json"
    code, out, err = run(folder, "--device", "cpu", "--seconds", "0.1", "--json", report)
    assert code == 0, out + err
    assert "2 of 2 checks agree" in out
    rows = json.loads(report.read_text())["rows"]
    cases = json.loads((folder / "manifest.json").read_text())["cases"]
    for row in rows:
        assert row["agrees"] and row["per_second"] > 0
        assert len(row["differences"]) == len(cases[row["case"]]["outputs"])


def test_the_runner_refuses_what_is_not_there(folder):
    code, out, err = run(folder, "--cases", "mine")
    assert code == 2 and err == "error: --cases mine: this folder has quickstart, wmmse\n"


def test_the_runner_says_that_there_is_no_gpu(runner, monkeypatch, capsys):
    only = runner.jax.devices("cpu")
    monkeypatch.setattr(runner.jax, "devices", lambda *_: only)
    monkeypatch.setattr(sys, "argv", ["run.py", "--device", "gpu"])
    with pytest.raises(SystemExit) as done:
        runner.main()
    assert done.value.code == 2
    assert capsys.readouterr().err == "error: --device gpu: JAX finds none here, only cpu\n"


@pytest.mark.parametrize(
    "counts, change, agrees",
    [
        (True, (2, 0), True),
        (True, (3, 0), False),
        (True, (0, 1), False),
        (True, (np.nan, 0), False),
        (False, (9e-3, 0), True),
        (False, (2e-2, 0), False),
        (False, (np.inf, 0), False),
    ],
)
def test_comparison(runner, counts, change, agrees):
    case = {"outputs": [["m", "c", counts]], "errors": 2, "share": 0.0, "relative": 1e-4}
    expected = np.full([2, 1, 2], 100.0)
    found = expected + np.array([[[0.0, 0.0]], [change]])
    assert runner.compare(found, expected, case)[0] is agrees


@pytest.mark.parametrize(
    "text, check, agrees",
    [
        ("RESOURCE_EXHAUSTED: Out of memory", "out of memory", None),
        ("INTERNAL: no such kernel", "stopped by an error", False),
    ],
)
def test_an_error_ends_its_case_only(runner, monkeypatch, text, check, agrees):
    def failing(row, *rest):
        if row["batch_size"] == 2:
            raise runner.jax.errors.JaxRuntimeError(text)
        row["check"] = "finite"

    monkeypatch.setattr(runner, "run_units", failing)
    batches = [{"batch_size": size, "check": None} for size in (1, 2, 3)]
    options = runner.argparse.Namespace(quick=False)
    rows = runner.run_case("n", {"kind": "units", "title": "t", "batches": batches}, options)
    assert [(r["batch_size"], r["check"], r["agrees"]) for r in rows] == [
        (1, "finite", None), (2, check, agrees),
    ]  # fmt: skip


@pytest.mark.parametrize("agrees, code", [(True, 0), (None, 0), (False, 1)])
def test_exit_code(runner, monkeypatch, tmp_path, agrees, code):
    (tmp_path / "manifest.json").write_text('{"versions": {}, "cases": {"n": {}}}')
    report = tmp_path / "report.json"
    monkeypatch.setattr(runner, "HERE", tmp_path)
    monkeypatch.setattr(runner, "run_case", lambda *args: [{"case": "n", "agrees": agrees}])
    monkeypatch.setattr(sys, "argv", ["run.py", "--json", str(report)])
    with pytest.raises(SystemExit) as done:
        runner.main()
    assert done.value.code == code
    assert json.loads(report.read_text())["rows"] == [{"case": "n", "agrees": agrees}]


@pytest.mark.slow
def test_every_case_agrees(tmp_path):
    """All cases at the size of the check: 6 minutes on two cores."""
    pytest.importorskip("jax")
    export.export(tmp_path / "all", largest=1)
    code, out, err = run(tmp_path / "all", "--device", "cpu", "--seconds", "1")
    assert code == 0, out + err
    assert f"{len(CASES)} of {len(CASES)} checks agree" in out
