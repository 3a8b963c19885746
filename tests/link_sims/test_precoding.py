"""Precoding experiments: smoke runs, the specification's table, the plain baseline."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from link_sims.papers.precoding import common, framework, rates, run_times, structured
from link_sims.papers.precoding.wmmse_numpy import wmmse
from link_sims.runs import runner
from sionna_irs.channel.scene.room import RoomChannel

EXPERIMENTS = [
    (structured.structured, {"retrain": True}),
    (run_times.run_times, {}),
    *(
        pytest.param(experiment, {}, marks=pytest.mark.slow)  # many trainings, or the ray tracer
        for experiment in (rates.power, rates.antennas, framework.framework, structured.transfer)
    ),
]


@pytest.mark.parametrize("experiment, changes", EXPERIMENTS, ids=lambda e: getattr(e, "name", ""))
def test_smoke_profile_runs_and_draws(experiment, changes, tmp_path):
    config = experiment.resolve("smoke", changes)
    results, folder = runner.run(
        experiment, config, "smoke", tmp_path, execution="graph", quiet=True
    )
    assert (folder / "figure.png").stat().st_size > 1000
    if changes:
        layer = irs.weights.load(structured.WEIGHTS, folder / "weights")
        assert sum(np.prod(w.shape) for w in layer.trainable_weights) == 50_018
    for metric, curve in results.curves():
        for x in results.points(metric, curve):
            assert math.isfinite(results.value(metric, curve, x)), (metric, curve, x)
    for claim in experiment.claims:  # none of them may fail on what was not simulated
        assert runner.judge(claim, results).holds in (True, False, None)


def test_more_users_than_antennas_are_refused():
    with pytest.raises(Exception, match="num_users = .*at most 16"):
        rates.antennas.resolve("cpu", {"num_users": [20]})


@pytest.mark.parametrize("curve", rates.LEARNED)
def test_one_step_of_a_learned_precoder(curve):
    cfg = rates.antennas.resolve("smoke")
    start, advance = rates.training_of(cfg, "num_ant", curve, 16)
    state, sums = advance(start(), 0)
    assert all(np.isfinite(v).all() for v in tf.nest.flatten((state["weights"], sums)))


@pytest.mark.parametrize("name", framework.PROBLEMS)
def test_untrained_uplink_networks_leave_their_bases(name):
    cfg = framework.framework.resolve("smoke", {"stride": 20})
    problem, draw = framework.PROBLEMS[name](cfg), framework.channels(cfg, "test")
    h_ul, h_dl, no = draw(5, -30.0)
    strength = np.linalg.norm(h_dl, axis=-1)
    assert np.all(np.diff(strength) <= 0)
    x, wanted = problem.observe(h_ul, h_dl, no)
    for curve, basis in problem.bases.items():
        with_network = framework.with_network(cfg, problem, curve)
        found, expected = with_network(x, no), basis(x, no)
        assert np.isfinite(problem.loss(found, wanted))
        if problem.axis == "antenna":
            np.testing.assert_allclose(found[0], expected[0], rtol=2e-3, atol=2e-3)


@functools.cache
def room(num_ant):
    return RoomChannel(num_users=2, num_ant=num_ant, split="all", precision="double")


# Specification 12.1: 200 groups of NumPy's default_rng(0), mean rates of MRT, ZF, RZF, ZF-eq,
# ZF-WF; of WMMSE after 20 and 100 iterations, and WMMSE*.
TABLE = {
    (16, 2, -10): ([12.185920, 18.637431, 18.640401, 19.052686, 19.052687], None),
    (32, 8, -10): ([26.397204, 63.346126, 63.444539, 67.124487, 67.124585],
                   [65.0016, 66.2704, 67.150994]),
    (32, 12, -20): ([26.061535, 42.764582, 46.303022, 50.294501, 50.382714],
                    [51.9937, 52.2858, 52.362542]),
    (64, 8, 5): ([37.563948, 114.864968, 114.865726, 117.769809, 117.769809], None),
}  # fmt: skip


@pytest.mark.parametrize(
    "place",
    # 100 iterations for 12 users take longest.
    [p if p[1] < 12 else pytest.param(p, marks=pytest.mark.slow) for p in TABLE],
    ids=str,
)
def test_classical_precoders_on_the_groups_of_the_specification(place):
    num_ant, num_users, power_dbm = place
    r = np.random.default_rng(0)
    rows = np.stack([r.choice(200901, num_users, replace=False) for _ in range(200)])
    cfg = rates.antennas.resolve("cpu")
    h = common.at_power(cfg, room(num_ant).compose(rows)[1], power_dbm)
    linear, iterative = TABLE[place]
    precoders = common.classical(cfg)
    names = ("MRT", "ZF", "RZF", "ZF-eq", "ZF-WF")

    @tf.function(autograph=False)
    def measure():
        found = [common.rates(h, precoders[name]) for name in names]
        if iterative is not None:
            found += [common.rates(h, precoders[name]) for name in ("WMMSE-20", "WMMSE-100")]
            found.append(common.reference(cfg, h))
        return tf.reduce_mean(found, 1)

    means = measure().numpy()
    np.testing.assert_allclose(means[:5], linear, atol=1e-5)
    if iterative is not None:
        np.testing.assert_allclose(means[5:7], iterative[:2], atol=1e-4)
        np.testing.assert_allclose(means[7], iterative[2], atol=1e-5)


def test_plain_baseline_is_the_same_algorithm():
    r = np.random.default_rng(3)
    h = r.normal(size=(4, 3, 6)) + 1j * r.normal(size=(4, 3, 6))
    ours = irs.WMMSE(15, "bisection", start="mrt", precision="double")(h, 1.0)
    plain = np.stack([wmmse(x, 15) for x in h])
    np.testing.assert_allclose(ours.numpy(), plain, atol=1e-6)
