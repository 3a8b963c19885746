"""Surface tuning through the runner: replicas as units, schedules, what is refused."""

import json

import numpy as np
import pytest
import tensorflow as tf

from link_sims.errors import UserError
from link_sims.papers.izosga import (
    common,
    deploy,
    fixed_oracles,
    four_surfaces,
    noisy_pilots,
    schedules,
)
from link_sims.results.results import Results
from link_sims.runs import runner
from link_sims.runs.recursion import Advance

TINY = {"num_replicas": 3, "panel": [2, 3], "num_users": 2, "num_tx_ant": 3}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A tiny run, in graph mode: (results, folder)."""
    experiment = fixed_oracles.small
    config = experiment.resolve("smoke", {**TINY, "num_steps": 6, "num_iter": [1, 2]})
    out = tmp_path_factory.mktemp("runs")
    return runner.run(experiment, config, "smoke", out, execution="graph", quiet=True)


def test_replicas_are_the_units(tuned):
    results, folder = tuned
    units = results.units["rate", "tuned, I=1"][6]
    assert len(units) == 3 and all(den == 6 for _, den in units)
    low, high = results.interval("rate", "tuned, I=1", 6)
    values = [num / den for num, den in units]
    assert low < np.mean(values) < high
    assert (folder / "figure.png").stat().st_size > 1000
    gap = results.difference("rate", "random, I=2", "random, I=1", (0, 6))
    assert gap.low <= gap.value <= gap.high
    # The same surface and channels: one more iteration gains for every replica.
    assert all(
        b[0] > a[0]
        for a, b in zip(
            results.units["rate", "random, I=1"][6],
            results.units["rate", "random, I=2"][6],
            strict=True,
        )
    )


def test_a_scenario_is_that_of_the_formulas():
    """Mean powers of the links over draws and lines of sight, noise 1."""
    cfg = fixed_oracles.small.resolve("cpu", {"num_replicas": 400})
    channel, _ = common.scenario(cfg)
    links = {k: v.numpy() for k, v in channel.draw(400).items()}
    ((to_surface, to_user),), direct = common.path_gains(cfg)
    power = {k: np.mean(np.abs(v) ** 2, (0, -1)) for k, v in links.items()}
    # 400 examples of M = 6 or 40 entries, some of them one and the same: five standard errors.
    np.testing.assert_allclose(power["tx>s1"].mean(), to_surface, rtol=0.05)
    np.testing.assert_allclose(power["s1>rx"], to_user, rtol=0.35)
    np.testing.assert_allclose(power["tx>rx"], direct, rtol=0.2)
    # The last user's fading is the same at all elements.
    fading = links["s1>rx"][:, -1] - np.asarray(channel.hops["s1>rx"]._mean)[:, -1]
    np.testing.assert_allclose(fading, np.repeat(fading[:, :1], 40, 1), rtol=1e-6, atol=1e-9)


def test_windows_do_not_change_the_path():
    """A run in one window ends where one in many does: what resumption rests on."""
    cfg = fixed_oracles.small.resolve("smoke", TINY)
    channel, steps = common.scenario(cfg)
    start, advance = common.tune(cfg, channel, steps, {"tuned": common.fixed(1)})
    stepper = Advance(advance, "t", 1, start(), "graph")
    whole, _ = stepper(start(), 0, 4)
    half, _ = stepper(start(), 0, 2)
    half, _ = stepper(half, 2, 2)
    np.testing.assert_array_equal(whole["s1"], half["s1"])


def test_random_surfaces_stay_and_schedules_switch():
    cfg = deploy.small.resolve("smoke", TINY)
    channel, steps = common.scenario(cfg)
    curves = {
        "random": common.fixed(1, ()),
        "frozen from 1 on": common.Curve(lambda t: tf.constant(1), lambda t: t < 1),
    }
    start, advance = common.tune(cfg, channel, steps, curves)
    stepper = Advance(advance, "t", 1, start(), "graph")
    first = start()
    once, _ = stepper(first, 0, 1)
    twice, _ = stepper(once, 1, 1)
    np.testing.assert_array_equal(first["s1"][0], twice["s1"][0])
    assert np.any(first["s1"][1] != once["s1"][1])
    np.testing.assert_array_equal(once["s1"][1], twice["s1"][1])


def test_transmitters_side_by_side():
    """The joint channel's slope is the difference of two joint channels."""
    cfg = four_surfaces.four_surfaces.resolve("smoke", {"num_tx_ant": 2, "surface": "circle"})
    channel, _ = four_surfaces.joint_scenario(cfg)
    observe = channel.observation(channel.draw(cfg.num_replicas))
    controls = common.first_controls(cfg, channel)
    direction = {name: tf.ones_like(c) for name, c in controls.items()}
    assert observe(controls).shape == [2, 8, 4]
    ends = ({n: c + r * direction[n] for n, c in controls.items()} for r in (1e-2, -1e-2))
    plus, minus = (observe(c) for c in ends)
    change = observe.change(controls, direction, 0)
    scale = np.abs(change).max()
    # Curvature 1e-4 / 6, rounding 6e-8 of h over 1e-2.
    np.testing.assert_allclose((plus - minus) / 2e-2, change, rtol=0, atol=2e-4 * scale)


def test_noisy_observations_have_the_error_they_say():
    surfaces = {}
    observe = noisy_pilots.NoisyObservation(
        lambda _: tf.zeros([100, 10, 10], tf.complex64), surfaces, 0.1, 0.5
    )
    # 10,000 entries: the mean square deviates by 1 % (one standard error); five of them.
    assert np.mean(np.abs(observe({})) ** 2) == pytest.approx(0.01, rel=0.05)
    # Two errors over twice the radius.
    change = observe.change({}, {}, 0)
    assert np.mean(np.abs(change) ** 2) == pytest.approx(2 * 0.01, rel=0.05)


def test_a_curve_without_weight_has_no_point(tmp_path):
    config = deploy.small.resolve(
        "smoke", {**TINY, "num_training": 100, "num_test": 2, "trained_with": [1]}
    )
    record = {
        "kind": "steps", "name": "tuning", "seed": 1, "first": 0, "last": 100,
        "curves": [["rate", "trained 1, tested 1"]], "values": [[[0.0] * 3, [0.0] * 3]],
    }  # fmt: skip
    results = runner.Results(deploy.small, config, [json.loads(json.dumps(record))])
    assert results.points("rate", "trained 1, tested 1") == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"panel": [4]}, "panel"),
        ({"num_users": 1}, "num_users"),
        ({"correlation": 1.5}, "correlation"),
        ({"num_replicas": 1}, "num_replicas"),
        ({"surface": "mirror"}, "surface"),
        ({"multiplier": "secant"}, "multiplier"),
    ],
)
def test_refused(changes, text):
    with pytest.raises(UserError, match=text):
        fixed_oracles.small.resolve("cpu", changes)


def test_panels_on_a_circle_have_no_heights():
    with pytest.raises(UserError, match="surface_heights_m"):
        four_surfaces.four_surfaces.resolve("cpu", {"surface_heights_m": [1.0]})


def test_stages_are_whole():
    with pytest.raises(UserError, match="multiple of 5"):
        schedules.small.resolve("cpu", {"num_steps": 7})


def test_claims_on_iterations_that_were_not_recorded_are_undecided():
    config = schedules.small.resolve("smoke")
    curves = [("rate", name) for name in (schedules.FIXED, *schedules.SCHEDULES)]
    units = [[1.0] * config.num_replicas, [20.0] * config.num_replicas]
    record = {
        "kind": "steps", "name": "tuning", "seed": 1, "first": 0, "last": config.num_steps,
        "curves": curves, "values": [units] * len(curves),
    }  # fmt: skip
    results = Results(schedules.small, config, [record])
    verdicts = [runner.judge(claim, results) for claim in schedules.small.claims]
    assert any("no result for" in verdict.measured for verdict in verdicts)
