"""Hybrid experiments over sizes: smoke runs, fixed sets, stages of other sizes, the baseline."""

import math

import numpy as np
import pytest

import sionna_irs as irs
from link_sims.papers.hybrid import (
    chains,
    common,
    depth,
    pilot_modes,
    run_times,
    samples,
    users,
)
from link_sims.papers.hybrid import hybrid_numpy as plain
from link_sims.runs import runner

EXPERIMENTS = [
    pilot_modes.pilot_modes,
    depth.depth,
    pytest.param(run_times.run_times, marks=pytest.mark.slow),  # compiles every layer twice
    pytest.param(samples.samples, marks=pytest.mark.slow),
    pytest.param(chains.chains, marks=pytest.mark.slow),
    pytest.param(users.users, marks=pytest.mark.slow),  # weights of the published size
]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_smoke_profile_runs_and_draws(experiment, tmp_path):
    config = experiment.resolve("smoke")
    results, folder = runner.run(
        experiment, config, "smoke", tmp_path, execution="eager", quiet=True
    )
    assert (folder / "figure.png").stat().st_size > 1000
    for metric, curve in results.curves():
        for x in results.points(metric, curve):
            assert math.isfinite(results.value(metric, curve, x)), (metric, curve, x)
    for claim in experiment.claims:  # none of them may fail on what was not simulated
        assert runner.judge(claim, results).holds in (True, False, None)


def one_step(recursion, cfg, initial):
    start, advance = recursion.builder(cfg, 1, *initial)
    state, sums = advance(start(), 0)
    assert all(np.isfinite(v).all() for v in state["weights"])
    return state


@pytest.mark.parametrize(
    "experiment, first, second",
    [
        (chains.chains, "analog, 4", "separate, 4"),
        (samples.samples, "analog, 200 channels", "joint, 200 channels"),
        (depth.depth, "4 layers", "6 slots"),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_stages_of_a_size_go_on_from_each_other(experiment, first, second):
    cfg = experiment.resolve("smoke")
    state = one_step(experiment.recursions[first], cfg, [])
    recursion = experiment.recursions[second]
    assert recursion.after == first
    later = one_step(recursion, cfg, [state])
    # The phases are those of the first stage, and stay.
    front = [v for v in state["weights"] if tuple(v.shape)[0] == 16]
    kept = [v for v in later["weights"] if tuple(v.shape) == tuple(front[0].shape)]
    np.testing.assert_array_equal(kept[0], front[0])


def test_equal_steps_for_all_schemes_of_a_size():
    cfg = users.users.resolve("cpu")
    assert cfg.stage_steps + cfg.later_steps == cfg.total_steps


def test_first_users_keep_their_phases():
    cfg = users.users.resolve("smoke")
    four, two = (users.at(cfg, "num_users", k) for k in (4, 2))
    system = common.new_system(four)
    few = users.first_users(two, system)
    h = common.new_channel(four)(3)
    np.testing.assert_allclose(few.front(h[:, :2])[0], system.front(h)[0][:, :2], atol=1e-6)
    assert few(h[:, :2], 0.1)["rate"].shape == (3,)


def test_batches_come_from_the_set():
    cfg = samples.samples.resolve("smoke")
    irs.random.reset(irs.random.stream_key(1, 2))
    pool = common.new_channel(cfg)(5).numpy()
    irs.random.reset(irs.random.stream_key(1, 2))
    batch = samples.drawn_from(cfg, 5)().numpy()
    assert batch.shape == (cfg.training_batch, *pool.shape[1:])
    assert all(any(np.array_equal(h, x) for x in pool) for h in batch)


def test_plain_baseline_is_the_same_algorithm():
    cfg = run_times.run_times.resolve("smoke", {"precision": "double", "num_rx_chains": 3})
    front, no = common.new_front(cfg), 0.1
    h_eq, r_w, gram = front(common.new_channel(cfg)(1))
    pilots = common.new_pilots(cfg, 12)
    y = pilots(h_eq, r_w, gram, no)
    wanted = irs.RLSEstimator(pilots, loading=0.01)(y, no).numpy()[0]
    h = np.stack([plain.rls(pilots.matrix.numpy(), user, no, 0.01) for user in y.numpy()[0]])
    np.testing.assert_allclose(h, wanted, atol=1e-10)
    f, w = irs.SCA(2, 6, precision="double")(h[None], r_w, gram, no)
    ours = irs.metrics.stream_rate(h[None], f, w, no, r_w).numpy()[0]
    f, w = plain.sca(h, r_w.numpy(), gram.numpy(), no, 2, 6)
    theirs = irs.metrics.stream_rate(h[None], f[None], w[None], no, r_w).numpy()[0]
    assert theirs == pytest.approx(ours, rel=1e-6)
