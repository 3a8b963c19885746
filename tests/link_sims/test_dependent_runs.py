"""Runs whose blocks depend on each other: command line, simulate, results.json."""

import json

import pytest
from test_cli import call

import link_sims
from link_sims.errors import UserError
from link_sims.runs import runner

THREE_CHANNELS = """
import link_sims

class Config(link_sims.Config):
    x: link_sims.Grid = [1]
    max_units: link_sims.PositiveInt = 3

e = link_sims.Experiment("tests/three", config=Config)

@e.sweep(x="x")
def curves(cfg, trained):
    import tensorflow as tf
    import sionna_irs as irs

    def step(batch_size, x):
        lost = irs.random.uniform([], x.dtype) < 1 / 3  # one channel for all blocks
        return {("bler", "c"): (tf.where(lost, batch_size, 0), batch_size)}

    return step
"""


def test_three_channels_by_the_command_line(capsys, monkeypatch, tmp_path):
    """One of three channels is lost: the interval holds the truth, and says why."""
    file = tmp_path / "three.py"
    file.write_text(THREE_CHANNELS)
    out = tmp_path / "runs"
    arguments = ("run", file, "--out", out, "--seed", "6", "--execution", "eager")
    code, text, err = call(capsys, monkeypatch, *arguments)
    (path,) = out.glob("tests/three/*/results.json")
    summary = json.loads(path.read_text())
    (row,), (trials,) = summary["results"], summary["trials"]
    assert code == 0 and (row["numerator"], row["denominator"]) == (100, 300)
    assert row["ci_low"] == pytest.approx(1.847e-12, rel=1e-3) and row["ci_low"] < 1 / 3
    assert row["ci_high"] == pytest.approx(0.9999986, rel=1e-6)
    said = "blocks of a unit are dependent (rho 1.00): 3 units count as 0.4 trials"
    assert err.count(said) == 1 and [said] == [note[: len(said)] for note in summary["notes"]]
    assert (trials["metric"], trials["curve"], trials["x"], trials["n"]) == ("bler", "c", 1, 300)
    expected = 0.4150052, 150, 1
    assert (trials["n_eff"], trials["phi"], trials["rho"]) == pytest.approx(expected, rel=1e-6)
    assert "0.3333 [1.85e-12, 1]" in text


def test_simulate_of_models_that_share_a_channel(tmp_path):
    import tensorflow as tf

    import sionna_irs as irs

    class Model:
        shares_channel = False

        def __call__(self, batch_size, ebno_db):
            lost = irs.random.uniform([], ebno_db.dtype) < 0.0
            b = tf.ones([batch_size, 4])
            return b, tf.where(lost, -b, b)

    def bound(name, model, **arguments):
        results = link_sims.simulate(
            model, [0.0], batch_size=20, max_units=10, quiet=True, execution="eager",
            out=tmp_path / name, **arguments,
        )  # fmt: skip
        return results.trials("bler", "link", 0.0).n_eff

    class Layer(irs.Link):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = irs.IdealPhases(irs.ULA(4))
            self.inner.shares_channel = True

        def call(self, batch_size, ebno_db):
            return Model()(batch_size, ebno_db)

    assert bound("a", Model()) == 200
    assert bound("b", Model(), independent="units") == 10
    sharing = Model()
    sharing.shares_channel = True
    assert bound("c", sharing) == 10 and bound("d", sharing, independent="blocks") == 200
    assert bound("e", Layer()) == 10
    with pytest.raises(UserError, match="independent = 'unit': one of auto, blocks, units"):
        bound("f", Model(), independent="unit")


def test_results_json_lists_trials_of_shares_only(tiny, tmp_path):
    config = tiny.resolve("smoke")
    _, path = runner.run(tiny, config, folder=tmp_path / "run", quiet=True, figure=False)
    trials = json.loads((path / "results.json").read_text())["trials"]
    assert [(t["metric"], t["curve"], t["x"]) for t in trials] == [
        ("ser", "counted", x) for x in (1.0, 2.0, 3.0)
    ]
    assert all(t["n"] == 250 == t["n_eff"] and t["phi"] > 0 for t in trials)
