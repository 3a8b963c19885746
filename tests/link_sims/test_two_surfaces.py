"""Experiments on two surfaces: smoke runs, and what they must agree on."""

import math

import pytest

from link_sims.errors import UserError
from link_sims.papers.double import (
    coded,
    convergence,
    elements,
    link_table,
    power,
    scaling,
    scatterers,
)
from link_sims.runs import runner

EXPERIMENTS = [
    link_table.links, scaling.scaling, convergence.admm, convergence.alternating,
    power.power, coded.coded,
    *(pytest.param(e, marks=pytest.mark.slow) for e in (elements.short, scatterers.scatterers)),
]  # fmt: skip


def run(experiment, out, **changes):
    config = experiment.resolve("smoke", changes)
    return runner.run(experiment, config, "smoke", out, execution="graph", quiet=True)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name.split("/")[1])
def test_smoke_profile_runs_and_draws(experiment, tmp_path):
    results, folder = run(experiment, tmp_path)
    assert (folder / "figure.png").stat().st_size > 1000
    for metric, curve in results.curves():
        for x in results.points(metric, curve):
            assert math.isfinite(results.value(metric, curve, x)), (metric, curve, x)
    for claim in experiment.claims:  # none of them may fail on what was not simulated
        assert runner.judge(claim, results).holds in (True, False, None)


def test_designs_are_ordered(tmp_path):
    """On the same draws: ascent over gain, two surfaces over one, any design over none."""
    results, _ = run(elements.normal, tmp_path, k_factors=[1.0], num_elements=[16])

    def value(name):
        return results.value("capacity", f"{name}, K=1", 16)

    assert value(elements.ASCENT) >= value(elements.DOUBLE) * (1 - 1e-6)
    assert value(elements.DOUBLE) > value(elements.ONCE) > value(elements.RANDOM)
    assert value(elements.STATISTICAL) > value(elements.RANDOM)


def test_gain_never_falls_over_rounds(tmp_path):
    results, _ = run(convergence.alternating, tmp_path, num_rounds=3)
    gains = [results.value("gain", convergence.GAIN, x) for x in (1, 2, 3)]
    assert gains[0] < gains[1] <= gains[2] * (1 + 1e-5)
    assert abs(gains[2] - 1) < 1e-4  # the same rounds that made the last value


@pytest.mark.parametrize(
    "experiment, changes",
    [
        (scaling.scaling, {"distance_m": 0.5}),
        (elements.normal, {"k_factors": [-1.0]}),
        (elements.normal, {"angular_spread": 7.0}),
        (coded.coded, {"code_rate": 0.99}),
        (convergence.admm, {"num_replicas": 1}),
    ],
)
def test_wrong_values_are_refused(experiment, changes):
    with pytest.raises(UserError, match=next(iter(changes))):
        experiment.resolve("smoke", changes)
