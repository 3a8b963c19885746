"""The OFDM experiments at small sizes: through the runner, against closed forms, bad settings."""

import math

import pytest

from link_sims.errors import UserError
from link_sims.papers.ofdm import bler, design
from link_sims.results.claims import Verdict
from link_sims.runs import runner

DESIGN = {"scenario": [1], "num_rows": 4, "num_cols": 4, "num_subcarriers": 32, "num_iter": 40,
          "batch_size": 20, "max_units": 6}  # fmt: skip
BLER = {"snr_db": [-26, -10], "num_rows": 4, "num_cols": 4, "num_subcarriers": 16, "num_iter": 5,
        "batch_size": 20, "max_units": 6, "num_rx_ant": 2}  # fmt: skip


def run(experiment, changes, folder):
    config = experiment.resolve("smoke", changes)
    results, path = runner.run(experiment, config, folder=folder, execution="graph", quiet=True)
    assert (path / "figure.png").stat().st_size > 10_000
    for claim in experiment.claims:
        try:
            assert isinstance(claim.check(results), Verdict)
        except UserError as error:  # points that this run does not have
            assert "no result for" in str(error)
    return results


@pytest.fixture(scope="module")
def designed(tmp_path_factory):
    return run(design.design, DESIGN, tmp_path_factory.mktemp("design") / "run")


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    return run(bler.bler, BLER, tmp_path_factory.mktemp("bler") / "run")


def test_order_of_the_designs(designed):
    """On the same channels: what one set of phases reaches, up to the bound of separate ones."""
    gain = {name: designed.value("gain", name, 1) for name in design.DESIGNS}
    rate = {name: designed.value("rate", name, 1) for name in design.DESIGNS}
    order = [design.RANDOM, design.CENTRE, design.TAP, design.POWER, design.BOUND]
    assert sorted(gain, key=gain.get)[0] == design.RANDOM
    assert [n for n in sorted(gain, key=gain.get) if n in order] == order
    assert rate[design.RATE] > max(rate[design.TAP], rate[design.POWER])
    assert rate[design.BOUND] > rate[design.RATE]
    for first, second in (("1 bit", "2 bit"), ("2 bit", "3 bit"), ("3 bit", design.POWER)):
        assert gain[first] < gain[second]
    for bits in (1, 2):
        assert gain[f"{bits} bit, rounded"] < gain[f"{bits} bit"]


def test_random_phases_give_the_power_of_all_elements(designed):
    low, high = designed.interval("gain", design.RANDOM, 1, level=1 - 1e-4)
    assert low < 16 < high


def test_errors_fall_and_the_surface_helps(received):
    for name in (bler.NONE, bler.RANDOM, bler.TAP, bler.TAP_LS, bler.TAP_LMMSE):
        for metric in ("bler", "ber"):
            low, high = (received.value(metric, name, x) for x in (-10, -26))
            assert 0 <= low < high <= 1
    assert received.paired("ber", bler.TAP, bler.RANDOM, -26).less().holds is True
    assert received.paired("ber", bler.RANDOM, bler.NONE, -10).less().holds is True


def test_gains_and_estimates(received):
    """The direct path has its level; without much noise estimated phases are as good as perfect."""
    for x in (-26, -10):
        low, high = received.interval("gain", bler.NONE, x, level=1 - 1e-4)
        assert low < 2 * 10 ** (bler.bler.resolve("smoke").direct_gain_db / 10) < high
        for name in (bler.LS, bler.LMMSE):
            low, high = received.interval("nmse", name, x, level=1 - 1e-4)
            assert low < received.value("nmse", f"{name}, exact", x) < high
    assert received.paired("gain", bler.TAP_LMMSE, bler.TAP, -10).within_db(0.2).holds is True
    assert received.paired("gain", bler.TAP_LMMSE, bler.TAP, -26).less().holds is True


@pytest.mark.parametrize(
    "experiment, changes, text",
    [
        (design.design, {"scenario": [3]}, r"scenario = \[3.0\]: indices in 0..2"),
        (design.design, {"scenario": [0.5]}, "indices in 0..2"),
        (design.design, {"num_rows": 0}, "num_rows = 0"),
        (design.design, {"snr_db": math.inf}, "snr_db"),
        (bler.bler, {"code_rate": 0.95}, "code_rate = 0.95: 0.2 to 0.92"),
        (bler.bler, {"code_rate": -0.5}, "code_rate = -0.5"),
        (bler.bler, {"num_subcarriers": 2, "num_ofdm_symbols": 1}, "2 information bits; at least"),
        (bler.bler, {"num_ofdm_symbols": 200}, "at most 8448"),
        (bler.bler, {"num_bits_per_symbol": 3}, "num_bits_per_symbol = 3"),
        (bler.bler, {"pilot_len": 0}, "pilot_len = 0"),
        (bler.bler, {"subcarriers": 76}, "no such key"),
    ],
)
def test_bad_settings(experiment, changes, text):
    with pytest.raises(UserError, match=text):
        experiment.resolve("cpu", changes)
