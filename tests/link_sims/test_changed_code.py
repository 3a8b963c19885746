"""Runs that go on with edited code, and tables that are not finite: refused by name."""

import pytest

import link_sims
from link_sims.errors import UserError
from link_sims.results.results import gather_units
from link_sims.runs import runner, store

QUIET = {"quiet": True, "figure": False}


class Config(link_sims.Config):
    """One point of four units."""

    x: link_sims.Grid = [1.0]
    max_units: link_sims.PositiveInt = 4


def experiment_with(curves):
    """A sweep whose curve of index n in {name: n} has the value n."""
    experiment = link_sims.Experiment("tests/edited", config=Config)

    @experiment.sweep(x="x")
    def builder(cfg, trained):
        return lambda batch_size, x: {("power", c): (v * x, 1) for c, v in curves.items()}

    return experiment


@pytest.mark.parametrize(
    "edited",
    [{"B": 100.0, "A": 1.0}, {"A": 1.0, "B": 100.0, "C": 3.0}, {"A": 1.0}, {"A": 1, "D": 2}],
)
def test_edited_curves_are_refused_and_the_log_is_kept(tmp_path, edited):
    first = experiment_with({"A": 1.0, "B": 100.0})
    whole, path = runner.run(first, folder=tmp_path / "run", **QUIET)
    assert whole.value("power", "A", 1.0) == 1.0
    log = path / "log.jsonl"
    log.write_bytes(log.read_bytes().splitlines(True)[0])  # as after a crash in the second group
    before = log.read_bytes()
    with pytest.raises(UserError, match="power/A, power/B.*code has changed") as caught:
        runner.run(experiment_with(edited), folder=path, **QUIET)
    assert "\n" not in str(caught.value) and log.read_bytes() == before
    resumed, _ = runner.run(first, folder=path, **QUIET)
    assert resumed.csv() == whole.csv()


def test_a_log_that_mixes_curves_is_refused():
    records = [
        {"kind": "units", "x": 1.0, "first": i, "curves": [["power", c] for c in names],
         "values": [[[1.0, 1.0], [2.0, 1.0]]]}
        for i, names in enumerate(("AB", "BA"))
    ]  # fmt: skip
    with pytest.raises(UserError, match="power/A, power/B.*power/B, power/A"):
        gather_units(records)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_table_that_is_not_finite_is_refused_by_name(tmp_path, value):
    experiment = link_sims.Experiment("tests/nantable")
    experiment.table(lambda cfg: [link_sims.row("ser", "exact", 2.0, value)])
    with pytest.raises(UserError, match=r"ser/exact at x = 2\.0 is (nan|inf)"):
        runner.run(experiment, folder=tmp_path / "run", **QUIET)
    assert store.read_log(tmp_path / "run" / "log.jsonl") == []
