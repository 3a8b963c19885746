"""Configurations: refused in one line before anything is built, or they compute."""

import collections
import json
import math
import pathlib
import random
import subprocess
import sys

import fuzz_configs
import numpy as np
import pytest
from matplotlib.figure import Figure
from test_cli import call

import link_sims
import sionna_irs as irs
from link_sims import cli
from link_sims.errors import UserError, explained, shortened
from link_sims.fields import check_code, check_range
from link_sims.papers.cascade import bayes_or_none, closed_forms
from link_sims.registry import all_experiments, find
from link_sims.results.plotting import render
from link_sims.results.results import Results
from link_sims.runs import backend

GAIN, CODED = "theory/surface-gain", "quickstart"
REFUSED = [
    (CODED, {"tx_power_dbm": [4000]}, "tx_power_dbm = [4000]", "-200 to 200"),
    (CODED, {"tx_power_dbm": [0, -1e5]}, "-100000 is out of range", "-200 to 200"),
    (CODED, {"k_factor_db": 1e5}, "k_factor_db = 100000.0", "-150 to 150"),
    ("double/capacity-vs-elements", {"tx_power_dbm": 1e5}, "tx_power_dbm = ", "-200 to 200"),
    ("ofdm/bler-vs-snr", {"snr_db": [4000]}, "snr_db = [4000]", "-150 to 150"),
    ("izosga/rician-factor", {"noise_power_dbm": -1e3}, "noise_power_dbm = ", "-200 to 200"),
    (CODED, {"num_info_bits": 3}, "num_info_bits = 3", "12 to 8448"),
    (CODED, {"num_info_bits": 8449}, "num_info_bits = 8449", "12 to 8448"),
    (CODED, {"num_info_bits": 512, "num_coded_bits": 552}, "num_coded_bits = 552", "554 to 2560"),
    (CODED, {"num_info_bits": 4000, "num_coded_bits": 12_004}, "= 12004", "4321 to 12000"),
    ("cenas/uplink-bler", {"num_info_bits": 3}, "num_info_bits = 3", "12 to 8448"),
    ("hybrid/coded-bler", {"num_info_bits": 3}, "num_info_bits = 3", "12 to 8448"),
    ("precoding/coded-bler", {"num_info_bits": 3}, "num_info_bits = 3", "12 to 8448"),
    ("izosga/coded-bler", {"num_info_bits": 3}, "num_info_bits = 3", "12 to 8448"),
    ("ofdm/bler-vs-snr", {"num_subcarriers": 1, "num_ofdm_symbols": 1}, "num_subcarriers", "12"),
    ("scene/street-canyon", {"num_info_bits": 3}, "num_info_bits = 3", "12 to 8448"),
    (CODED, {"num_coded_bits": 1023}, "num_coded_bits = 1023", "multiple of 4"),
    (CODED, {"tx_power_dbm": []}, "tx_power_dbm = []", "at least 1"),
    (GAIN, {"num_bits": []}, "num_bits = []", "1 to 1000 values"),
    ("precoding/run-times", {"batches": []}, "batches = []", "1 to 1000 values"),
    ("hybrid/cdl", {"models": []}, "models = []", "1 to 1000 values"),
    ("hybrid/feedback", {"feedback_bits": []}, "feedback_bits = []", "1 to 1000 values"),
    (CODED, {"batch_size": 1e30}, "batch_size = 1e+30", "1 to 10000000"),
    (CODED, {"batch_size": 10**30}, "batch_size = 1000", "1 to 10000000"),
    (CODED, {"batch_size": 10**7, "num_rows": 1000}, "a channel of 3.2e+11", "at most 1e+11"),
    (CODED, {"num_rows": 10**6, "num_cols": 10**6}, "1000000000000 elements", "at most 1e+11"),
    ("izosga/large", {"panel": [10**6, 10**6]}, "1000000000000 elements", "at most 1e+11"),
    (GAIN, {"num_elements": [1.5]}, "num_elements.0 = 1.5", "1 to 1000000"),
    (GAIN, {"num_elements": [16.0]}, "num_elements.0 = 16.0", "integer"),
    ("cenas/nmse-vs-elements", {"sizes": [8.5]}, "sizes.0 = 8.5", "integer"),
    ("hybrid/rate-vs-chains", {"chain_grid": [4.5]}, "chain_grid.0 = 4.5", "integer"),
    (CODED, {"num_rows": 8.0}, "num_rows = 8.0", "1 to 10000000"),
    ("hybrid/schemes", {"peak_rate": 1e15}, "peak_rate = 1", "to 10 is permitted"),
    ("cenas/nmse-vs-snr", {"k_factor": 1e15}, "k_factor = 1", "0 to 10000"),
    (CODED, {"carrier_frequency_hz": 3e-5}, "carrier_frequency_hz = 3e-05", "1000000 to"),
    (CODED, {"bandwidth_hz": 1e-9}, "bandwidth_hz = 1e-09", "1 to 1000000000000"),
    (CODED, {"surface_base_m": 2e-15}, "surface_base_m = 2e-15", "0.001 to 1000000"),
    ("cenas/networks", {"points": [1e6]}, "points.0 = 1000000.0", "-150 to 150"),
    ("hybrid/samples", {"num_rx_chains": 12}, "num_rx_chains = 12", "num_tx_chains = 8"),
    ("hybrid/full-size", {"num_tx_ant": 65}, "num_tx_ant = 65", "weights are for 64"),
    ("hybrid/rate-vs-snr", {"num_layers": 3}, "num_layers = 3", "weights are for 4"),
    (CODED, {"min_units": 1}, "min_units = 1", "2 to 1000000"),
    ("cenas/nmse-vs-snr", {"min_units": 1}, "min_units = 1", "2 to 1000000"),
    (CODED, {"min_units": 1, "max_units": 1}, "max_units = 1", "2 to 1000000"),
]


@pytest.mark.parametrize(("name", "changes", "named", "permitted"), REFUSED)
def test_refused_with_key_value_and_range(name, changes, named, permitted):
    with pytest.raises(UserError) as error:
        find(name).resolve("cpu", changes)
    line = str(error.value)
    assert named in line and permitted in line and "\n" not in line and len(line) <= 493


def test_nothing_is_built_for_what_is_refused():
    script = (
        "import json, sys\n"
        "from link_sims.errors import UserError\n"
        "from link_sims.registry import find\n"
        "for name, changes in json.load(sys.stdin):\n"
        "    try: find(name).resolve('cpu', changes)\n"
        "    except UserError: continue\n"
        "    sys.exit(f'{name} {changes}')\n"
        "sys.exit('tensorflow' if 'tensorflow' in sys.modules else 0)\n"
    )
    text = json.dumps([[name, changes] for name, changes, *_ in REFUSED])
    done = subprocess.run(
        [sys.executable, "-c", script], input=text, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_channels_larger_than_the_memory_are_refused_before_they_are_built():
    changes = {"batch_size": 99_000, "num_rows": 500, "num_cols": 500, "precision": "double"}
    config = find(CODED).resolve("cpu", changes)  # 1.6 TB, which some machine may have
    with pytest.raises(UserError, match="batch_size = 99000: a channel of 9.9e.10 numbers"):
        backend.start(config)


def test_names_bound_the_fields_of_every_configuration():
    """Also those of a user, who wrote plain types."""

    class Mine(link_sims.Config):
        gain_db: float = 0.0
        powers_dbm: list[float] = [0.0]
        sizes: list[int] = [1]
        min_units: int = 2
        offset: float = 0.0

    experiment = link_sims.Experiment("tests/mine", config=Mine)
    for changes in (
        {"gain_db": 151}, {"powers_dbm": [0, 201]}, {"sizes": []}, {"min_units": 1},
        {"sizes": [10**13]}, {"offset": 1e16}, {"sizes": list(range(1001))},
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"{next(iter(changes))} = "):
            experiment.resolve("cpu", changes)
    assert experiment.resolve("cpu", {"gain_db": 150, "powers_dbm": [-200]}).gain_db == 150


@pytest.mark.parametrize("name", ["snr_db", "noise_power_dbm"])
def test_powers_of_permitted_decibels_are_finite_in_single_precision(name):
    for value in (-150, 150) if name == "snr_db" else (-200, 200):
        check_range(name, value)
        linear = np.float32(10 ** (value / 10))
        assert 0 < linear < np.inf
        with pytest.raises(ValueError, match="is permitted"):
            check_range(name, value + math.copysign(1, value))


def test_numbers_lists_and_ranges_of_numpy_are_welcome():
    experiment = find(CODED)
    plain = experiment.resolve("cpu", {"tx_power_dbm": [0, 1, 2], "num_rows": 4, "wall_loss_db": 3})
    for points in (range(3), (0, 1, 2), np.arange(3), np.float32([0, 1, 2]), [np.int8(0), 1, 2.0]):
        changes = {"tx_power_dbm": points, "num_rows": np.int64(4), "wall_loss_db": np.float32(3)}
        config = experiment.resolve("cpu", changes)
        assert config == plain and json.dumps(config.model_dump())
    with pytest.raises(UserError, match="num_rows = 4.0: Input should be a valid integer"):
        experiment.resolve("cpu", {"num_rows": np.float64(4)})
    with pytest.raises(UserError, match="retrain"):
        find("cenas/nmse-vs-snr").resolve("cpu", {"retrain": np.int64(1)})


def test_lines_have_at_most_500_characters():
    experiment = find(CODED)
    for changes in (
        {f"key{i}": 1 for i in range(100)}, {"x" * 3000: 1}, {"tx_power_dbm": ["a"] * 900},
        {"tx_power_dbm": list(range(2000))}, {"precision": "y" * 5000}, {"num_rows": [[1] * 999]},
    ):  # fmt: skip
        with pytest.raises(UserError) as error:
            experiment.resolve("cpu", changes)
        assert len(f"error: {error.value}") <= 500
    line = str(UserError("start " + 1000 * "\n-" + " end"))
    assert len(f"error: {line}") <= 500 and "\n" not in line
    assert line.startswith("start") and line.endswith("end") and " ... " in line
    assert shortened("a  b\nc") == "a b c"


@pytest.mark.slow
def test_codes_of_permitted_lengths_exist():
    """Encoder and decoder of the ends of every range, and no shorter or longer word."""
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    for k in (12, 13, 40, 292, 293, 640, 3824, 3825, 3840, 3841, 8448):
        ends = [math.ceil(k * 1024 / 948), math.floor(k * (5 if k <= 3824 else 3))]
        for n in ends:
            check_code(k, n)
            LDPC5GDecoder(LDPC5GEncoder(k, n))
        for n in (ends[0] - 1, ends[1] + 1):
            with pytest.raises(ValueError, match=f"num_coded_bits = {n}"):
                check_code(k, n)


FAULTY = """
import link_sims

class Config(link_sims.Config):
    x: link_sims.Grid = [1]
    fault: int = 0

e = link_sims.Experiment("tests/faulty", config=Config)

@e.sweep(x="x")
def sweep(cfg, trained):
    import numpy as np
    import tensorflow as tf
    if cfg.fault == 0:
        from sionna.phy.fec.ldpc import LDPC5GEncoder
        LDPC5GEncoder(3, 6)
    if cfg.fault == 1:
        from sionna.phy.mapping import Constellation
        Constellation("qam", 3)
    if cfg.fault == 2:
        np.zeros([10**9, 10**9])
    if cfg.fault == 3:
        return lambda n, x: {("a", "b"): (tf.gather([1.0], tf.cast(x, tf.int32) + 5), n)}
    if cfg.fault == 4:
        return lambda n, x: {("a", "b"): (tf.reduce_sum(tf.ones([2]) + tf.ones([3])), n)}
    if cfg.fault == 5:
        return 1 / 0
    raise RuntimeError("a fault of ours")
"""


def test_what_only_others_can_refuse_is_one_line_too(capsys, monkeypatch, tmp_path):
    file = tmp_path / "faulty.py"
    file.write_text(FAULTY)
    arguments = ("run", file, "--out", tmp_path / "runs", "--quiet", "--set")
    for fault, text in enumerate(
        ["k too small", "multiple of 2", "not enough memory", "indices", "dimensions must be equal"]
    ):
        code, _, err = call(capsys, monkeypatch, *arguments, f"fault={fault}")
        line = err.strip()
        assert code == 2 and text.lower() in line.lower(), err
        assert len(line.splitlines()) == 1 and len(line) <= 500 and "LINK_SIMS_DEBUG=1" in line
    # A fault of ours, or of the user's file, can be found; everything can on demand.
    for fault, kind in ((5, ZeroDivisionError), (6, RuntimeError)):
        monkeypatch.setattr(sys, "argv", ["link-sims", *map(str, arguments), f"fault={fault}"])
        with pytest.raises(kind):
            cli.main()
    monkeypatch.setenv("LINK_SIMS_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["link-sims", *map(str, arguments), "fault=0"])
    with pytest.raises(ValueError, match="k too small"):
        cli.main()


def test_files_that_cannot_be_used_are_the_users():
    with pytest.raises(OSError) as error:
        pathlib.Path("/proc/nowhere").mkdir()
    assert explained(error.value) == "/proc/nowhere: No such file or directory"
    assert explained(KeyError("ours")) is None


def test_shipped_weights_take_the_precision_of_the_configuration_at_all_depths():
    system = irs.weights.load("hybrid-known", precision="double")
    assert {layer.precision for layer in (system, system.front, system.precoder)} == {"double"}
    single = irs.weights.load("hybrid-known")
    for weight, wide in zip(single.weights, system.weights, strict=True):
        assert weight.dtype == "float32" and wide.dtype == "float64"
        np.testing.assert_array_equal(weight.numpy(), wide.numpy())


@pytest.mark.slow
def test_exact_bayes_errors_at_high_snr_take_a_finer_grid():
    statistics = irs.CascadedChannel(16, 64, 10.0).statistics
    for snr_db in (30, 45):
        variance = 10 ** (-snr_db / 10) / 65
        best = bayes_or_none(statistics, variance)
        assert 0 < best < irs.lmmse_nmse(statistics, variance)
    assert bayes_or_none(statistics, 1e-17) is None
    rows = closed_forms([(0, statistics, 1e-17)])
    assert [row["curve"] for row in rows] == ["LS, exact", "scalar LMMSE, exact", "LMMSE, exact"]


def test_figures_of_runs_without_results_are_drawn_or_one_line(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)
    lines = 0
    for name, experiment in all_experiments().items():
        if "scene" in name or name == "cenas/cells":  # they solve scenes, or load a log
            continue
        try:
            render(Results(experiment, experiment.resolve("smoke"), []))
        except UserError as error:
            lines += 1
            assert len(f"error: {error}") <= 500
    assert lines > 10


QUICK = ("theory/qam-rayleigh", "theory/surface-gain", "theory/zero-forcing", "cenas/cdrn",
         "double/link-table", "cenas/nmse-vs-patterns", "theory/rician-moments")  # fmt: skip


def test_generated_configurations_compute():
    """A seeded part of ``fuzz_configs.py``: resolved over all experiments, a few computed."""
    counts = collections.Counter()
    for number, experiment, changes in fuzz_configs.configurations(250, seed=1):
        try:
            experiment.resolve("smoke", changes)
        except UserError as error:
            counts["refused"] += 1
            assert len(f"error: {error}") <= 500
        else:
            counts["accepted"] += 1
            if experiment.name in QUICK and counts["ran"] < 6:
                found = fuzz_configs.attempt(experiment, changes, random.Random(number))
                assert found["outcome"] == "ran", (experiment.name, changes, found)
                counts["ran"] += 1
    assert counts["refused"] > 50 and counts["accepted"] > 100 and counts["ran"] == 6


@pytest.mark.slow
def test_a_thousand_generated_configurations_compute(tmp_path):
    """Hours on two cores; `fuzz_configs.py` goes on where its log ends."""
    counts = fuzz_configs.main(2000, tmp_path / "log.jsonl")
    assert counts["ran"] >= 1000 and not counts["traceback"], counts


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "cenas/operation-weights" else pytest.mark.slow)
        for name in all_experiments()
    ],
)
def test_every_experiment_computes_in_double_precision(name):
    experiment = find(name)
    changes = {**fuzz_configs.base_changes(experiment), "precision": "double"}
    found = fuzz_configs.attempt(experiment, changes, random.Random(3), drawn=False)
    assert found["outcome"] == "ran", found


@pytest.mark.parametrize("ebno_db", [5.0, "5", [], [[1.0]], [1e4], None])
def test_points_of_the_users_own_model_are_refused_in_one_line(tmp_path, ebno_db):
    with pytest.raises(UserError, match="ebno_db"):
        link_sims.simulate(lambda **_: None, ebno_db, out=tmp_path, precision="single")
