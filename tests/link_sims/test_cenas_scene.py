"""Estimation off the model: the ray-traced set, and wrong parameters."""

import math

import numpy as np
import pytest

import sionna_irs as irs
from link_sims.papers.cenas import mismatch, scene
from link_sims.registry import find
from link_sims.runs import runner
from link_sims.runs.runner import judge
from sionna_irs.estimation.rank_one import RankOneEstimator

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def traced_config(out, monkeypatch):
    monkeypatch.setenv("SIONNA_IRS_CACHE", str(out / "scene-cache"))
    return find("cenas/scene-nmse").resolve("smoke", {"precision": "double"})


def smoke(name, out):
    experiment = find(name)
    results, folder = runner.run(
        experiment, experiment.resolve("smoke"), "smoke", out, execution="graph", quiet=True
    )
    assert (folder / "figure.png").stat().st_size > 10_000
    for claim in experiment.claims:
        assert not judge(claim, results).contradicts(claim.expect), claim.text
    return results


@pytest.mark.slow  # with wrong parameters it runs by default
def test_run_on_the_ray_traced_set(out, monkeypatch):
    monkeypatch.setenv("SIONNA_IRS_CACHE", str(out / "scene-cache"))
    results = smoke("cenas/scene-nmse", out)
    values = {curve: results.value("nmse", curve, 2) for _, curve in results.curves("nmse")}
    assert set(scene.DRAWN) <= set(values)
    # 8 patterns at 2 dB, entries of about the usual power at test positions.
    assert values["LS"] == pytest.approx(10**-0.2 / 8 / 0.0309, rel=0.5)
    assert values[scene.LMMSE] < values[scene.SCALAR] < values["LS"]
    users = [results.value(scene.SETTING, f"{part} positions", None) for part in scene.PARTS]
    assert sum(users) == sum(len(results.points(scene.PLACES[0], part)) for part in scene.PARTS)
    assert users[0] > users[1] > 0 and users[2] > 0
    assert results.points("held-out NMSE", scene.LEARNED) == [50]


def test_every_cascade_of_the_set_is_one_plane_wave(traced_config):
    """The far field of both linear arrays is exact: rank one with linear phases."""
    pilots = irs.SurfacePilots(8, 8, direct=False, precision="double")
    for part in scene.PARTS:
        u = irs.SceneCascade(part, 4, 8, spacing=5.0, precision="double").samples
        u_hat, _ = RankOneEstimator(pilots, num_steps=10)(pilots(u, 0.0), 0.0)
        np.testing.assert_allclose(u_hat, u, atol=1e-9)
        # The arrays face each other: no phase between the antennas of the access point.
        np.testing.assert_allclose(u, np.broadcast_to(u[:, :1], u.shape), atol=1e-12)


def test_covariances_of_single_columns_say_nothing_more(traced_config):
    pilots = irs.SurfacePilots(8, 8, direct=False, precision="double")
    u = irs.SceneCascade("train", 4, 8, spacing=5.0, precision="double").samples
    y = pilots(u[:20], 0.3)
    pooled, single = (
        irs.SampleLMMSEEstimator.from_samples(pilots, u, per_column)(y, 0.3)[0]
        for per_column in (False, True)
    )
    np.testing.assert_allclose(pooled, single, atol=1e-10)


def test_joint_lmmse_against_the_covariance_of_the_whole_cascade():
    g = RNG.normal(size=3) + 1j * RNG.normal(size=3)
    h = (RNG.normal(size=[50, 4]) + 1j * RNG.normal(size=[50, 4])) * [1, 2, 0.5, 3]
    samples = g[:, None] * h[:, None, :]
    pilots = irs.SurfacePilots(4, 5, direct=False, precision="double")
    y = pilots(samples, 0.7)
    u = irs.LSEstimator(pilots)(y, 0.7)[0].numpy().reshape(50, 12)
    flat = samples.reshape(50, 12)
    covariance = flat.T @ flat.conj() / 50
    expected = u @ (covariance @ np.linalg.inv(covariance + 0.7 / 5 * np.eye(12))).T
    found = scene.joint_lmmse(pilots, samples)(y, 0.7)[0]
    np.testing.assert_allclose(found, expected.reshape(50, 3, 4), atol=1e-10)


def test_run_with_wrong_parameters(out):
    results = smoke("cenas/mismatch", out)
    matched = "K = 10, as assumed"
    assert results.value(matched, mismatch.BAYES, 2) == pytest.approx(
        results.value(matched, mismatch.TRUE_BAYES, 2), rel=1e-5
    )
    side = "line of sight from the side"
    assert results.value(side, mismatch.BAYES, 2) > 1.2 * results.value(
        side, mismatch.TRUE_BAYES, 2
    )
    assert mismatch.reference(results, "correlated scattering") == mismatch.TRUE_LINEAR


def config(**changes):
    small = {"num_rx_ant": 4, "num_elements": 3, "num_patterns": 4}
    return find("cenas/mismatch").resolve("cpu", {**small, **changes})


@pytest.mark.parametrize("case", list(mismatch.CASES))
def test_the_truth_has_the_stated_covariances(case):
    cfg = config()
    truth = mismatch.truth_of(cfg, **mismatch.CASES[case])
    irs.random.reset(irs.random.stream_key(5))
    u = truth.channel.draw(20_000).cascaded().numpy()
    covariance = np.einsum("smn,skn->nmk", u, u.conj()) / len(u)
    k = mismatch.CASES[case].get("k_factor", 10.0)
    rho = 0.18**-2 / 31.6**2 * 10 ** (mismatch.CASES[case].get("gain_db", 0) / 10)
    lags = np.arange(4) - np.arange(4)[:, None]
    direction = np.exp(-1j * np.pi * math.sin(0.3) * lags) if "side" in case else np.ones([4, 4])
    colour = 0.7 ** np.abs(lags) if "correlated" in case else np.eye(4)
    expected = rho * (k * direction + colour) / (k + 1)
    # A product of two Gaussians has heavier tails than one: a wide multiple of 1/sqrt(20 000).
    assert np.abs(covariance[:3] - expected).max() < 0.06 * rho
    assert np.abs(covariance[3] - np.eye(4) / 33).max() < 0.05 / 33
    if truth.covariances is not None:
        np.testing.assert_allclose(truth.covariances[0], expected, atol=1e-12)


def test_turned_back_it_is_the_filter_of_the_turned_covariance():
    cfg = config()
    truth = mismatch.truth_of(cfg, turned=True)
    pilots = irs.SurfacePilots(3, 4, precision="double")
    y = RNG.normal(size=[6, 4, 4]) + 1j * RNG.normal(size=[6, 4, 4])
    s = truth.statistics
    turned = np.outer(truth.turns, truth.turns.conj())
    exact = irs.SampleLMMSEEstimator(
        pilots, [s.rho_h * (s.a**2 * turned + s.s**2 * np.eye(4)), s.rho_d * np.eye(4)]
    )
    found = mismatch.turned_back(irs.LMMSEEstimator(pilots, s), truth.turns)(y, 0.2)[0]
    np.testing.assert_allclose(found, exact(y, 0.2)[0], atol=1e-10)


def test_scaled_estimators_follow_the_power():
    """The same observation, louder: the same estimate, louder."""
    statistics = irs.CascadedChannel(4, 3).statistics
    pilots = irs.SurfacePilots(3, 4, precision="double")
    found = mismatch.uninformed(pilots, statistics)
    y = RNG.normal(size=[6, 4, 4]) + 1j * RNG.normal(size=[6, 4, 4])
    for curve in (mismatch.SCALED_BAYES, mismatch.SCALED):
        quiet, loud = (found[curve](gain * y, gain**2 * 0.1)[0] for gain in (1.0, 3.0))
        np.testing.assert_allclose(loud, 3 * quiet, atol=2e-6)
    assumed = [found[mismatch.BAYES](gain * y, gain**2 * 0.1)[0] for gain in (1.0, 3.0)]
    assert np.abs(assumed[1] - 3 * assumed[0]).max() > 1e-3


def test_wrong_configurations():
    from link_sims.errors import UserError

    with pytest.raises(UserError, match="num_patterns = 7: at least num_elements = 8"):
        find("cenas/scene-nmse").resolve("smoke", {"num_patterns": 7})
    with pytest.raises(UserError, match="cases"):
        config(cases=["K = 2"])
    with pytest.raises(UserError, match="angle_rad = 2.0"):
        config(angle_rad=2.0)
