"""Links that use estimates of the cascade: spectral efficiency and coded uplink."""

import numpy as np
import pytest
import tensorflow as tf

import link_sims
import sionna_irs as irs
from link_sims.papers.cascade import CascadeConfig, scene
from link_sims.papers.cenas import spectral_efficiency, uplink_bler
from link_sims.papers.cenas.common import all_estimators
from link_sims.runs.runner import judge

EXPERIMENTS = {
    "spectral efficiency": spectral_efficiency.efficiency,
    "users": uplink_bler.users,
    "aligned": uplink_bler.aligned,
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_smoke_profile_runs_and_nothing_contradicts(name, tmp_path):
    experiment = EXPERIMENTS[name]
    results, folder = link_sims.run(experiment, profile="smoke", out=tmp_path, quiet=True)
    assert (folder / "figure.png").stat().st_size > 5_000
    for claim in experiment.claims:
        assert not judge(claim, results).contradicts(claim.expect), claim.text


def test_estimates_follow_a_turn_of_a_column_so_random_phases_equal_ones():
    channel, pilots = scene(CascadeConfig(num_rx_ant=4, num_elements=6, num_patterns=7))
    irs.random.reset(irs.random.stream_key(2))
    u = channel.draw(3).cascaded()
    turns = tf.exp(tf.complex(0.0, 2 * np.pi * irs.random.uniform([7])))
    noise = irs.random.complex_normal([3, 4, 7])

    def observed(u):
        return tf.linalg.matmul(u, pilots.patterns) + noise

    # The noise of the least-squares estimate is turned along, which leaves its distribution.
    y = observed(u)
    u_ls, _ = irs.LSEstimator(pilots)(y, 1.0)
    turned = tf.linalg.matmul(turns * u_ls, pilots.patterns)
    for name, estimator in all_estimators(pilots, channel.statistics).items():
        if name == "CENAS":
            continue  # a network has learned that it does so, not exactly
        expected = turns * estimator(y, 1.0)[0]
        np.testing.assert_allclose(estimator(turned, 1.0)[0], expected, atol=2e-6)


def test_perfect_knowledge_of_one_user_gives_the_capacity_of_its_channel():
    cfg = spectral_efficiency.efficiency.resolve(
        "smoke", {"num_users": 1, "phases": ["random"], "snr_db": [5]}
    )
    step = spectral_efficiency.efficiency.sweep_run.builder(cfg, {})
    irs.random.reset(irs.random.stream_key(4))
    total, count = step(6, tf.constant(5.0))["one user, random phases", "perfect"]
    irs.random.reset(irs.random.stream_key(4))
    channel, pilots = scene(cfg, num_users=1)
    u = channel.draw(6).cascaded()
    pilots(u, irs.snr_db_to_no(5))
    for _ in range(2):  # the first pattern is for all users at once
        control = irs.RandomPhases()(irs.Links.from_cascaded(u))["s1"]
    theta = tf.concat([tf.exp(tf.complex(0.0, control)), tf.ones([6, 1], tf.complex64)], -1)
    h = tf.linalg.matvec(u[:, 0], theta)
    rate = np.log2(1 + np.sum(np.abs(h) ** 2, -1) * 10**0.5)
    assert count == 6 and float(total) == pytest.approx(rate.sum(), rel=1e-4)


def test_rates_with_least_squares_follow_their_definition():
    """Beams in the published form, h^H w with w along the estimate, in float64."""
    changes = {"num_rx_ant": 4, "num_elements": 6, "num_patterns": 7, "num_users": 3}
    cfg = spectral_efficiency.efficiency.resolve("smoke", {**changes, "phases": ["random"]})
    step = spectral_efficiency.efficiency.sweep_run.builder(cfg, {})
    irs.random.reset(irs.random.stream_key(5))
    sums = step(4, tf.constant(5.0))
    irs.random.reset(irs.random.stream_key(5))
    channel, pilots = scene(cfg, num_users=3)
    u, no = channel.draw(4).cascaded(), 10**-0.5
    y = pilots(u, irs.snr_db_to_no(5.0)).numpy().astype(complex)
    control = irs.RandomPhases()(irs.Links.from_cascaded(u))["s1"].numpy()
    pattern = np.exp(1j * np.concatenate([control, np.zeros([4, 1])], -1))
    u_ls = y @ pilots.patterns.numpy().conj().T / 7
    h, h_hat = (np.einsum("bkmn,bn->bmk", v, pattern) for v in (u.numpy(), u_ls))

    def sum_rate(w):
        w = w / np.linalg.norm(w, axis=-2, keepdims=True) / np.sqrt(3)
        power = np.abs(np.swapaxes(h, -1, -2).conj() @ w) ** 2
        signal = np.diagonal(power, axis1=-2, axis2=-1)
        return np.log2(1 + signal / (power.sum(-1) - signal + no)).sum()

    gram = np.swapaxes(h_hat, -1, -2).conj() @ h_hat
    variance = 7 * no / 7  # of seven columns, each no / 7
    for use, ridge in (("ZF", 0.0), ("RZF", 3 * (no + variance))):
        rate = sum_rate(h_hat @ np.linalg.inv(gram + ridge * np.eye(3)))
        assert float(sums[f"{use}, random phases", "LS"][0]) == pytest.approx(rate, rel=1e-3)
    rate = sum_rate(h_hat)
    assert float(sums["MRT, random phases", "LS"][0]) == pytest.approx(rate, rel=1e-4)


def test_uplink_counts_bits_blocks_and_draws_of_the_same_errors():
    changes = {"num_rx_ant": 4, "num_elements": 6, "num_patterns": 7, "num_users": 2}
    cfg = uplink_bler.users.resolve("smoke", changes)
    step = uplink_bler.users.sweep_run.builder(cfg, {})
    irs.random.reset(irs.random.stream_key(6))
    for name in ("perfect", "LS"):
        assert float(step(5, tf.constant(60.0))["ber", name][0]) == 0
    sums = {key: (int(a), int(b)) for key, (a, b) in step(5, tf.constant(-10.0)).items()}
    bits, blocks, draws = (sums[m, "LS"] for m in ("ber", "bler", uplink_bler.DRAWS))
    assert (bits[1], blocks[1], draws[1]) == (5 * 2 * 256, 5 * 2, 5)
    assert 0 < draws[0] <= blocks[0] <= 2 * draws[0] and blocks[0] <= bits[0]


def test_more_users_than_antennas_are_refused():
    with pytest.raises(link_sims.UserError, match="num_users = 17"):
        spectral_efficiency.efficiency.resolve("cpu", {"num_users": 17})
    with pytest.raises(link_sims.UserError, match="num_users = 17"):
        uplink_bler.users.resolve("cpu", {"num_users": 17})
    with pytest.raises(link_sims.UserError, match="num_info_bits = 500"):
        uplink_bler.users.resolve("cpu", {"num_info_bits": 500})
    with pytest.raises(link_sims.UserError, match="num_coded_bits = 511"):
        uplink_bler.users.resolve("cpu", {"num_coded_bits": 511})
