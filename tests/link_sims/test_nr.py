"""PUSCH through a surface: the statistical design, the channel of the schemes, the runner."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from link_sims.errors import UserError
from link_sims.papers.nr import pusch as module
from link_sims.papers.nr.pusch import LS, PERFECT, RANDOM, STATISTICAL, pusch
from link_sims.runs import runner

SMALL = {"num_rows": 3, "num_cols": 4, "num_resource_blocks": 4, "num_design_draws": 30}


def covariances(num, size, rng):
    """Positive definite matrices with well separated eigenvalues, and their first vectors."""
    shape = (num, size, size)
    basis, _ = np.linalg.qr(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    values = 0.5 ** np.arange(size)
    return basis * values @ basis.conj().transpose(0, 2, 1), basis[..., 0]


def test_phases_of_the_dominant_eigenvector():
    r, first = covariances(5, 6, np.random.default_rng(1))
    twin = np.exp(-1j * np.angle(first)) * np.exp(1j * np.angle(first[:, :1]))
    assert np.allclose(np.linalg.eigvalsh(r)[:, -1], 1)
    phases = irs.dominant_phases(r)
    assert phases.dtype == tf.float64 and phases.shape == (5, 6)
    np.testing.assert_allclose(np.exp(1j * phases.numpy()), twin, atol=1e-10)
    # Path gains of -100 dB, single precision, graph and XLA.
    small = tf.constant(1e-20 * r, tf.complex64)
    for jit_compile in (False, True):
        found = tf.function(irs.dominant_phases, autograph=False, jit_compile=jit_compile)(small)
        np.testing.assert_allclose(np.exp(1j * found.numpy()), twin, atol=1e-4)


def test_phases_reach_the_bound_of_one_path_pair_and_are_finite_without_any():
    c = np.exp(1j * np.random.default_rng(2).uniform(0, 6, 8))
    theta = np.exp(1j * irs.dominant_phases(np.outer(c, c.conj())).numpy())
    assert abs(theta @ c) == pytest.approx(8, abs=1e-10)
    assert np.isfinite(irs.dominant_phases(np.zeros([4, 4], complex))).all()


def test_no_gradient_passes():
    r = tf.constant(covariances(1, 3, np.random.default_rng(3))[0])
    with tf.GradientTape() as tape:
        tape.watch(r)
        phases = irs.dominant_phases(r)
    assert tape.gradient(phases, r) is None


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"covariance has shape \(3, 4\); a square matrix"):
        irs.dominant_phases(np.ones([3, 4]))
    for num_iter in (0, 1.5):
        with pytest.raises(ValueError, match=f"num_iter = {num_iter}; an integer of at least 1"):
            irs.dominant_phases(np.eye(3), num_iter)


def test_predicted_gain_is_the_one_of_the_path_pairs():
    """Against all products of paths, one by one, and against the mean power of other draws."""
    cfg = pusch.resolve("smoke", SMALL)
    channel = module.build_channel(cfg)
    phases, gain = module.design(cfg, channel)
    assert phases[0] == 0 and np.array_equal(phases, module.design(cfg, channel)[0])
    irs.random.reset(irs.random.stream_key(cfg.seed, 0))
    cirs = {name: cir.a.numpy().astype(complex) for name, cir in channel.draw(30).items()}
    arriving = np.moveaxis(cirs["tx>s1"][:, 0, :, 0, 0, :, 0], 1, 2).reshape(-1, 12)
    leaving = np.moveaxis(cirs["s1>rx"][:, 0, :, 0, :, :, 0], 2, 3).reshape(-1, 12)
    theta = np.exp(1j * phases)
    designed = np.sum(np.abs((leaving * theta) @ arriving.T) ** 2)
    random = np.sum(np.abs(leaving) ** 2 @ np.abs(arriving.T) ** 2)
    assert designed / random == pytest.approx(gain, rel=1e-6)
    # 400 blocks, whose power varies by less than its mean: 5 standard deviations are 0.25.
    h = channel.response(channel.draw(400), [0.0], {"s1": channel.real(phases)})
    power = np.mean(np.abs(h.numpy()) ** 2) / 12
    assert power == pytest.approx(gain, rel=0.25)


def test_the_response_is_the_channel_of_sionnas_block():
    from sionna.phy.channel import GenerateOFDMChannel, subcarrier_frequencies

    cfg = pusch.resolve("smoke", SMALL)
    channel = module.build_channel(cfg)
    transmitter, receivers = module.build_link(cfg)
    grid = transmitter.resource_grid
    key = irs.random.stream_key(7)
    irs.random.reset(key)
    h = GenerateOFDMChannel(channel, grid, normalize_channel=False)(3)
    irs.random.reset(key)
    frequencies = subcarrier_frequencies(grid.fft_size, grid.subcarrier_spacing)
    response = channel.response(channel.draw(3), frequencies)
    assert response.shape == (3, 1, 4, 1, 1, 1, 48) and h.shape[-2] == 14
    np.testing.assert_allclose(h, np.repeat(response, 14, -2), atol=1e-4)


def test_the_slot_is_the_standards():
    transmitter, _ = module.build_link(pusch.resolve("cpu"))
    grid = transmitter.resource_grid
    x, b = transmitter(2)
    assert x.shape == (2, 1, 1, 14, 192) and b.shape == (2, 1, 3104)
    assert int(grid.num_pilot_symbols) == 384 and grid.cyclic_prefix_length == 17


def test_smoke_run(tmp_path):
    config = pusch.resolve("smoke", {"snr_db": [-36, -16], "num_design_draws": 60, "max_units": 2})
    found, path = runner.run(pusch, config, folder=tmp_path / "run", quiet=True, execution="graph")
    assert (path / "figure.png").stat().st_size > 1000
    gain_db = 10 * np.log10(found.value("gain", STATISTICAL, None))
    assert gain_db == pytest.approx(13.5, abs=0.5)
    for csi in (PERFECT, LS):
        for x in (-36, -16):
            random, statistical = (
                found.value("bler", f"{n}, {csi}", x) for n in (RANDOM, STATISTICAL)
            )
            assert random > statistical
    assert all(status == "limit" for status in found.status.values())
    for claim in pusch.claims[1:3]:
        assert not claim.check(found).contradicts(claim.expect)


def test_config_refuses(tmp_path):
    for changes, words in (
        ({"delay_spread_s": 200e-9}, "cyclic prefix of 2.34e-06 s"),
        ({"delay_spread_s": 0.0}, "greater than or equal to"),
        ({"num_resource_blocks": 0}, "greater than or equal to 1"),
        ({"num_resource_blocks": 276}, "less than or equal to 275"),
        ({"mcs_index": 29}, "less than or equal to 28"),
        ({"num_rx_ant": 0}, "1 to 10000000"),
        ({"num_antennas": 4}, "no such key"),
    ):
        with pytest.raises(UserError, match=words):
            pusch.resolve("cpu", changes)
