"""The command line: commands, exit codes, and every wrong argument as one clear line."""

import itertools
import json
import math
import pathlib
import re
import subprocess
import sys

import pytest

from link_sims import cli
from link_sims.registry import all_experiments, find

TINY = f"{pathlib.Path(__file__).parent / 'tiny.py'}:tiny"


def call(capsys, monkeypatch, *arguments):
    """(exit code, stdout, stderr) of the command line, in this process."""
    monkeypatch.setattr(sys, "argv", ["link-sims", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    out = capsys.readouterr()
    return done.value.code, out.out, out.err


def test_run_plot_show_verify(capsys, monkeypatch, tmp_path):
    arguments = (TINY, "--profile", "smoke", "--out", tmp_path)
    code, out, err = call(capsys, monkeypatch, "run", *arguments)
    folder = tmp_path / "tests/tiny/smoke"
    assert code == 0 and "symbol error rate" in out and str(folder / "figure.png") in out
    assert {p.name for p in folder.iterdir()} >= {
        "config.json", "log.jsonl", "results.csv", "results.json", "figure.png", "figure.pdf",
    }  # fmt: skip
    results = json.loads((folder / "results.json").read_text())
    assert results["config"]["max_units"] == 5 and results["versions"]["tensorflow"]
    (folder / "figure.png").unlink()
    assert call(capsys, monkeypatch, "plot", TINY, folder)[0] == 0
    assert (folder / "figure.png").stat().st_size > 1000
    code, out, _ = call(capsys, monkeypatch, "verify", TINY, *arguments[1:])
    assert code == 0 and "1/(2x)" in out
    code, out, _ = call(capsys, monkeypatch, "run", *arguments, "--json")
    assert code == 0 and json.loads(out)["experiment"] == "tests/tiny"
    assert call(capsys, monkeypatch, "run", *arguments, "--quiet")[1:] == ("", "")
    # Overrides get a folder of their own.
    assert call(capsys, monkeypatch, "run", *arguments, "--set", "x=[2]", "--quiet")[0] == 0
    assert len(list((tmp_path / "tests/tiny").iterdir())) == 2


def test_verify_exits_1_only_on_a_contradiction(capsys, monkeypatch, tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text(
        "import link_sims\n"
        "e = link_sims.Experiment('tests/wrong')\n"
        "@e.table\n"
        "def rows(cfg): return [link_sims.row('ser', 'a', 1.0, 0.5)]\n"
        "def claim(text, expect, bound):\n"
        "    e.claim(text, source='-', expect=expect,\n"
        "            check=lambda r: r.at('ser', 'a', 1.0).less(bound))\n"
        "claim('low', 'does-not-hold', 0.4)\n"
        "claim('open', 'open', 0.4)\n"
    )
    assert call(capsys, monkeypatch, "verify", file, "--out", tmp_path)[0] == 0
    file.write_text(file.read_text() + "claim('wrong', 'holds', 0.4)\n")
    code, out, _ = call(capsys, monkeypatch, "verify", file, "--out", tmp_path)
    assert code == 1 and "FAIL" in out and "does not hold" in out
    # A folder is judged as it is, however it is spelled: nothing runs.
    monkeypatch.chdir(tmp_path)
    folder = next(tmp_path.glob("tests/wrong/*"))
    assert call(capsys, monkeypatch, "verify", file, f"{folder}/")[0] == 1
    assert not (tmp_path / "runs").exists()


def test_list_and_show(capsys, monkeypatch):
    code, out, _ = call(capsys, monkeypatch, "list")
    assert code == 0 and "quickstart" in out and out.count("theory/") >= 7
    assert json.loads(call(capsys, monkeypatch, "list", "--json")[1])
    code, out, _ = call(capsys, monkeypatch, "show", "quickstart", "--set", "seed=5")
    assert code == 0 and "seed = 5" in out and "claims:" in out


def test_every_profile_of_every_experiment_is_valid():
    for experiment in all_experiments().values():
        for profile in ("smoke", "cpu", "paper"):
            assert experiment.resolve(profile)


def test_declarations_import_no_tensorflow():
    script = (
        "import sys\n"
        "from link_sims.registry import all_experiments\n"
        "found = all_experiments()\n"
        "heavy = {'tensorflow', 'keras', 'scipy', 'matplotlib', 'sionna'} & set(sys.modules)\n"
        "sys.exit(f'{heavy}' if heavy or len(found) < 8 else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


WRONG_VALUES = {
    "positive integer": [0, -1, -(10**12), 1.5, "8", "many", None, [], [1], {}, True, math.nan],
    "number": ["1", None, [], {}, math.nan, math.inf, -math.inf, True],
    "positive number": [0, -1.0, "1", None, [1.0], {}, math.nan, math.inf, False],
    "grid": [[], None, "1", 3, ["a"], [math.nan], [1, math.inf], [1, 1], [None], [[1]], [1e9], {}],
    "even bits": [0, 1, 3, 7, 12, -2, "4", None, 4.5, [4], math.nan, True],
}
# Field -> kind, for the declared experiments.
FIELDS = {
    "quickstart": {
        "tx_power_dbm": "grid", "num_rx_ant": "positive integer", "num_rows": "positive integer",
        "num_cols": "positive integer", "k_factor_db": "number", "bandwidth_hz": "positive number",
        "carrier_frequency_hz": "positive number", "noise_figure_db": "number",
        "user_surface_m": "positive number", "surface_base_m": "positive number",
        "user_base_m": "positive number", "wall_loss_db": "number",
        "pilot_len": "positive integer", "num_info_bits": "positive integer",
        "num_coded_bits": "positive integer", "batch_size": "positive integer",
        "max_units": "positive integer", "min_units": "positive integer",
    },
    "theory/estimation-bounds": {
        "snr_db": "grid", "num_rx_ant": "positive integer", "num_elements": "positive integer",
        "num_patterns": "positive integer", "k_factor": "positive number",
        "batch_size": "positive integer",
    },
    "theory/mrc-diversity": {"es_n0_db": "grid", "num_bits_per_symbol": "even bits"},
    "theory/surface-gain": {"num_elements": "grid", "rel_precision": "positive number"},
}  # fmt: skip


def wrong_configurations():
    """(experiment, key, value) of every kind of mistake."""
    for name, fields in FIELDS.items():
        for key, kind in fields.items():
            for value in WRONG_VALUES[kind]:
                if key == "rel_precision" and value is None:
                    continue  # None switches it off
                yield name, key, value
        for key in ("num_antenas", "snr", "", "seed ", "__class__", "batchsize"):
            yield name, key, 1
        for value in (-1, 2**31, 1.5, "1", None, [1]):
            yield name, "seed", value
        for value in ("half", 64, None, "Single"):
            yield name, "precision", value


def test_at_least_300_invalid_configurations_give_one_clear_line(capsys, monkeypatch):
    cases = list(wrong_configurations())
    assert len(cases) >= 300
    for name, key, value in cases:
        text = json.dumps(value)
        code, out, err = call(capsys, monkeypatch, "run", name, "--set", f"{key}={text}")
        line = err.strip()
        assert code == 2 and not out, (name, key, value, out)
        assert "\n" not in line and "Traceback" not in line, (name, key, value, err)
        assert line.startswith("error: ") and len(line) <= 500
        if key:
            assert key.strip() in line, (key, value, line)
            named = re.search(rf"{re.escape(key.strip())}(\.\d+)? = ", line)
            assert named or "at least" in line or "at most" in line, line


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["run", "quikstart"], "did you mean quickstart"),
        (["run", "nothing-like-it-at-all"], "see link-sims list"),
        (["run", "missing.py:x"], "missing.py: no such file"),
        (["run"], "Missing argument"),
        (["fly"], "No such command"),
        (["run", "quickstart", "--fast"], "No such option"),
        (["run", "quickstart", "--profile", "huge"], "one of smoke, cpu, paper"),
        (["run", "quickstart", "--set", "seed"], "key=value is needed"),
        (["run", "quickstart", "--set", "=3"], "key=value is needed"),
        (["run", "quickstart", "--execution", "fast"], "one of auto, graph, xla, eager"),
        (["run", "quickstart", "--config", "missing.json"], "--config missing.json"),
        (["run", "quickstart", "--seed", "-3"], "seed = -3"),
        (["run", "quickstart", "--seed", str(2**31)], "0 to 2147483647"),
        (["run", "quickstart", "--seed", "3", "--set", "seed=4"], "given twice"),
        (["run", "quickstart", "--set", "seed=1", "--set", "seed=2"], "seed: given twice"),
        (["run", "quickstart", "--set", 'tx_power_dbm={"a": 1, "a": 2}'], "tx_power_dbm = "),
        (["run", "quickstart", "--set", f"num_rows={'[' * 20000}"], "num_rows = "),
        (["run", "quickstart", "--set", f"num_rows={'9' * 9000}"], "num_rows = "),
        (["run", "quickstart", "--set", f"{'long' * 1000}=1"], "no such key"),
        (["run", "long" * 1000], "no such experiment"),
        (["run", "quickstart", "--workers", "0"], "workers = 0"),
        (["run", "quickstart", "--workers", "two"], "a valid integer"),
        (["run", "quickstart", "--executor", "fleet"], "executor = fleet"),
        (["run", "quickstart", "--replicas", "0"], "replicas = 0"),
        (["run", "quickstart", "--seed", "x"], "a valid integer"),
        (["run", "quickstart", "--retrain"], "ships no weights"),
        (["plot", "missing"], "no run folder"),
        (["verify", "missing"], "no such experiment"),
        (["bench", "missing"], "one of random"),
        (["show", "quickstart", "--set", "num_rows=0"], "num_rows = 0"),
        (["run", "theory/zero-forcing", "--set", "num_users=[9]"], "at most num_rx_ant = 6"),
        (["run", "theory/estimation-bounds", "--set", "num_patterns=3"], "= 65 is needed"),
        (["run", "quickstart", "--set", "min_units=9", "--set", "max_units=3"], "min_units = 9"),
    ],
)
def test_wrong_arguments_give_one_clear_line(capsys, monkeypatch, arguments, text):
    code, _, err = call(capsys, monkeypatch, *arguments)
    assert code == 2 and text in err, err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err and len(err) <= 501


def test_errors_in_the_users_file(capsys, monkeypatch, tmp_path):
    file = tmp_path / "mine.py"
    for body, text in (
        ("x = 1 / 0\n", "mine.py, line 1: ZeroDivisionError"),
        ("import nowhere\n", "No module named 'nowhere'"),
        ("def f(:\n", "SyntaxError"),
        ("x = 1\n", "the file has: none"),
    ):
        file.write_text(body)
        code, _, err = call(capsys, monkeypatch, "run", f"{file}:x")
        assert code == 2 and text in err and len(err.strip().splitlines()) == 1
    for data, text in (
        (b"[1, 2]", "an object"),
        (b'{"seed": 1, "seed": 2}', "seed: given twice"),
        (b"\xff\xfe\x00", "a JSON file is needed"),
        (b"[" * 100_000, "a JSON file is needed"),
        (b'{"seed": "1"}', "seed = '1'"),
        (b'{"tx_power_dbm": {"0": 1}}', "tx_power_dbm = "),
        (b'{"seed": NaN}', "seed = nan"),
    ):
        file.write_bytes(data)
        code, _, err = call(capsys, monkeypatch, "run", "quickstart", "--config", file)
        assert code == 2 and text in err and len(err.strip().splitlines()) == 1
    code, _, err = call(capsys, monkeypatch, "run", "quickstart", "--config", tmp_path)
    assert code == 2 and "a JSON file is needed" in err


def test_bad_input_builds_no_graph():
    script = (
        "import sys\n"
        "sys.argv = ['link-sims', 'run', 'quickstart', '--set', 'num_rows=-1']\n"
        "from link_sims.cli import main\n"
        "try: main()\n"
        "except SystemExit as done: sys.exit(9 if 'tensorflow' in sys.modules else done.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: num_rows = -1")


def test_a_profile_changes_only_known_fields():
    experiment = find("quickstart")
    for changes in itertools.chain(experiment.profiles.values()):
        assert set(changes) <= set(experiment.config.model_fields)
