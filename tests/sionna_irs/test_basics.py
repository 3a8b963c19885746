"""Arrays, budget, metrics and QAM against independent formulas."""

import json
import math

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf
from sionna.phy.mapping import Constellation, Demapper, Mapper

import sionna_irs as irs
from sionna_irs import metrics, random

RNG = np.random.default_rng(1)


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def round_trip(value):
    text = json.dumps(keras.saving.serialize_keras_object(value))
    return keras.saving.deserialize_keras_object(json.loads(text))


def surfaces():
    """Every public surface, with what its constructor needs beside the panel."""
    found = [getattr(irs, name) for name in irs.__all__]
    found = [c for c in found if isinstance(c, type) and issubclass(c, irs.Surface)]
    assert len(found) >= 5
    needed = {irs.DiscretePhases: {"num_bits": 1}, irs.GroupConnected: {"group_size": 1}}
    return [(c, needed.get(c, {})) for c in found]


def test_a_number_in_place_of_an_array_is_named():
    ula = irs.ULA(2)
    hop = irs.RayleighHop(ula, ula)
    calls = [("panel", lambda c=c, a=a: c(16, **a)) for c, a in surfaces()]
    calls += [
        ("tx_array", lambda: irs.RicianHop(16, ula, 1.0)),
        ("rx_array", lambda: irs.RayleighHop(ula, 16)),
        ("tx_array", lambda: irs.DoubleScatteringHop(16, ula, 1.0)),
        ("rx_array", lambda: irs.DoubleScatteringHop(ula, 16, 1.0)),
        ("tx_array", lambda: irs.ClusteredChannel(16, ula, 1)),
        ("rx_array", lambda: irs.ClusteredChannel(ula, 16, 1)),
        ("rx_array", lambda: irs.los_matrix(ula, 16, (0, 1), (0, 1))),
        ("array", lambda: irs.exponential_correlation(16, 0.5)),
        ("array", lambda: irs.plane_wave_factors(16, 4, 1.0)),
        ("array", lambda: irs.sionna_order(16)),
        ("hops", lambda: irs.SurfaceChannel(16, {})),
        ("surfaces", lambda: irs.SurfaceChannel({"tx>rx": hop}, 16)),
        (r"surfaces\['s1'\]", lambda: irs.SurfaceChannel({"tx>s1": hop, "s1>rx": hop}, {"s1": 16})),
    ]
    for name, call in calls:
        with pytest.raises(TypeError, match=f"^{name} = 16; .* is needed") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_planar_response_is_the_kronecker_product_and_row_major():
    azimuth, zenith, panel = 0.4, 1.1, irs.UPA(3, 4, spacing_v=0.6)
    vertical = np.exp(2j * np.pi * 0.6 * np.arange(3) * np.cos(zenith))
    horizontal = np.exp(2j * np.pi * 0.5 * np.arange(4) * np.sin(zenith) * np.sin(azimuth))
    response = panel.response(azimuth, zenith, tf.complex128)
    np.testing.assert_allclose(response, np.kron(vertical, horizontal), atol=1e-12)
    np.testing.assert_allclose(np.abs(response), 1, atol=1e-12)
    line = irs.ULA(4).response([azimuth, 0.0], zenith, tf.complex128)
    np.testing.assert_allclose(line[0], horizontal, atol=1e-12)
    assert line.shape == (2, 4) and round_trip(panel) == panel and panel != irs.UPA(4, 3)
    assert repr(panel) == "UPA(num_rows=3, num_cols=4, spacing_v=0.6)"


@pytest.mark.parametrize(
    "make",
    [lambda: irs.ULA(0), lambda: irs.ULA(2.0), lambda: irs.UPA(2, -1), lambda: irs.ULA(2, 0.0),
     lambda: irs.UPA(2, 2, spacing_v=float("nan")), lambda: irs.ULA(True)],
)  # fmt: skip
def test_wrong_arrays(make):
    with pytest.raises(ValueError, match="needed"):
        make()


def test_link_budget():
    budget = irs.LinkBudget(20.0, bandwidth_hz=20e6, noise_figure_db=7.0)
    noise = 10 * math.log10(1.380649e-23 * 290 * 20e6 * 1e3) + 7
    assert budget.noise_power_dbm == pytest.approx(noise)
    gain = irs.free_space_path_gain(100.0, 3.5e9)
    friis = 20 * math.log10(299792458 / 3.5e9 / (4 * math.pi * 100))
    assert irs.linear_to_db(gain) == pytest.approx(friis)
    assert budget.snr_db(gain) == pytest.approx(20 + friis - noise)
    normalized = budget.normalize(gain)
    assert budget.received_power_dbm(normalized) == pytest.approx(20 + friis)
    # -200 dB of path loss leaves numbers that single precision holds.
    tiny = np.float32(budget.normalize(1e-20))
    assert tiny > 0 and np.float32(tiny**2) > 0
    assert round_trip(budget) == budget
    assert irs.watt_to_dbm(irs.dbm_to_watt(17.0)) == pytest.approx(17.0)


def test_the_cenas_path_losses():
    gains = [irs.log_distance_path_gain(d, e, -15.0, 10.0) for d, e in
             ((90, 2.3), (16, 2.0), (100, 3.6))]  # fmt: skip
    expected = (-36.95, -19.08, -51.0)
    assert [irs.linear_to_db(g) for g in gains] == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    "call",
    [lambda: irs.LinkBudget(float("nan"), 1e6), lambda: irs.LinkBudget(0.0, 0.0),
     lambda: irs.LinkBudget(0.0, 1e6, temperature=-1.0), lambda: irs.linear_to_db(0.0),
     lambda: irs.free_space_path_gain(-1.0, 1e9), lambda: irs.ebno_db_to_no(0.0, 2, 1.5),
     lambda: irs.db_to_linear("x"), lambda: irs.LinkBudget(0.0, 1e6).normalize(0.0)],
)  # fmt: skip
def test_wrong_budgets(call):
    with pytest.raises((ValueError, TypeError), match="needed"):
        call()


def test_rates_and_errors_against_numpy():
    h, v, no = cplx(4, 2, 3), cplx(4, 3, 2), np.array([0.1, 0.2, 0.3, 0.4])
    seen = h @ v
    for k in range(2):
        signal = np.abs(seen[:, k, k]) ** 2
        interference = np.abs(seen[:, k, 1 - k]) ** 2
        np.testing.assert_allclose(
            metrics.sinr(h, v, tf.constant(no))[:, k], signal / (interference + no), rtol=1e-10
        )
    both = np.log2(1 + metrics.sinr(h, v, tf.constant(no)).numpy()).sum(-1)
    np.testing.assert_allclose(metrics.sum_rate(h, v, tf.constant(no)), both, rtol=1e-10)
    for shape in ((3, 2), (2, 3)):
        g = cplx(5, *shape)
        full = np.eye(shape[0]) + g @ g.conj().swapaxes(-1, -2) / (shape[1] * 0.3)
        np.testing.assert_allclose(
            metrics.equal_power_rate(tf.constant(g), tf.constant(0.3, tf.float64)),
            np.linalg.slogdet(full)[1] / math.log(2),
            rtol=1e-10,
        )
        # Two dimensions of the batch, none, and a noise of each example.
        two = metrics.equal_power_rate(tf.constant(g[:, None]), 0.3)
        np.testing.assert_allclose(two[:, 0], np.linalg.slogdet(full)[1] / math.log(2), rtol=1e-10)
        one = metrics.equal_power_rate(tf.constant(g[1]), 0.3)
        np.testing.assert_allclose(one, two[1, 0], rtol=1e-12)
        each = metrics.equal_power_rate(tf.constant(g), np.array([0.3, 1, 1, 1, 2]))
        np.testing.assert_allclose(each[0], two[0, 0], rtol=1e-12)
        with pytest.raises(ValueError, match="^no has shape"):
            metrics.equal_power_rate(tf.constant(g), np.ones(4))
    nested = metrics.sinr(np.stack([h] * 3, 1), np.stack([v] * 3, 1), no[:, None] + np.zeros(3))
    np.testing.assert_allclose(nested[:, 2], metrics.sinr(h, v, tf.constant(no)), rtol=1e-12)
    error, power = metrics.nmse(tf.constant(h + 0.1), tf.constant(h))
    assert float(error) == pytest.approx(0.01 * h.size) and float(power) == pytest.approx(
        (np.abs(h) ** 2).sum()
    )
    total, count = metrics.nmse_per_sample(tf.constant(h + 0.1), tf.constant(h))
    each = 0.01 * 6 / (np.abs(h) ** 2).sum((1, 2))
    assert float(total / count) == pytest.approx(each.mean())
    with pytest.raises(ValueError, match="must be equal"):
        metrics.nmse(tf.ones([2, 3]), tf.ones([3, 2]))


def test_receive_sinr_against_numpy():
    w, h = cplx(4, 2, 3), cplx(4, 3, 2)
    seen = np.abs(w @ h) ** 2
    for k in range(2):
        noise = 0.2 * (np.abs(w[:, k]) ** 2).sum(-1)
        expected = seen[:, k, k] / (seen[:, k, 1 - k] + noise)
        found = metrics.receive_sinr(w, h, tf.constant(0.2, tf.float64))[:, k]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_stream_sinr_against_numpy():
    """Two users of two streams behind coloured noise: every stream disturbs every other one."""
    h, f, w = cplx(5, 2, 2, 3), cplx(5, 2, 3, 2), cplx(5, 2, 2, 2)
    a = cplx(5, 2, 2, 2)
    r_w = a @ a.conj().swapaxes(-1, -2)
    found = metrics.stream_sinr(*map(tf.constant, (h, f, w)), 0.3, tf.constant(r_w)).numpy()
    for k, stream in np.ndindex(2, 2):
        row = w[:, k, :, stream].conj()[:, None]
        seen = np.abs(row[:, None] @ h[:, k, None] @ f) ** 2  # [5, user, 1, stream]
        noise = 0.3 * (row @ r_w[:, k] @ row.conj().swapaxes(-1, -2)).real[:, 0, 0]
        own = seen[:, k, 0, stream]
        np.testing.assert_allclose(
            found[:, k, stream], own / (seen.sum((1, 2, 3)) - own + noise), rtol=1e-9
        )


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_qam_is_sionnas(bits):
    qam = irs.QAM(bits)
    labels = tf.range(2**bits)
    points = Constellation("qam", bits)()
    np.testing.assert_allclose(qam.modulate(labels), points, atol=1e-6)
    binary = (np.arange(2**bits)[:, None] >> np.arange(bits)[::-1]) & 1
    mapped = Mapper("qam", bits)(tf.constant(binary, tf.float32))[:, 0]
    np.testing.assert_allclose(qam.modulate(labels), mapped, atol=1e-6)
    random.install()
    x = qam.modulate(qam.draw([500])) + random.complex_normal([500], variance=0.05)
    hard = Demapper("maxlog", "qam", bits, hard_out=True)(x, 0.05).numpy().reshape(500, bits)
    np.testing.assert_array_equal(qam.decide(x), hard @ (1 << np.arange(bits)[::-1]))
    wrong = tf.bitwise.bitwise_xor(labels, 1)
    assert [int(n) for n in qam.count_errors(labels, wrong)] == [2**bits, 2**bits]
    assert round_trip(qam).num_bits_per_symbol == bits
    assert int(qam.decide(tf.constant([100 + 100j], tf.complex64))[0]) == int(
        qam.decide(tf.constant([1.2 + 1.2j], tf.complex64))[0]
    )


def test_qpsk_and_16qam_closed_forms():
    snr = np.array([0.5, 2.0, 10.0])
    q = scipy.stats.norm.sf
    np.testing.assert_allclose(irs.QAM(2).ber_awgn(snr), q(np.sqrt(snr)), rtol=1e-12)
    d = np.sqrt(snr / 5)
    expected = (3 * q(d) + 2 * q(3 * d) - q(5 * d)) / 4  # Cho and Yoon 2002
    np.testing.assert_allclose(irs.QAM(4).ber_awgn(snr), expected, rtol=1e-12)
    tensor = irs.QAM(6).ser_awgn(tf.constant(snr))
    np.testing.assert_allclose(tensor, irs.QAM(6).ser_awgn(snr), rtol=1e-10)


@pytest.mark.parametrize("bits, diversity", [(2, 1), (4, 1), (4, 3), (6, 4)])
def test_rayleigh_error_rate_by_brute_force_integration(bits, diversity):
    qam = irs.QAM(bits)
    for mean in (1.0, 30.0):
        expected = scipy.integrate.quad(
            lambda g, mean=mean: qam.ser_awgn(g * mean) * scipy.stats.gamma.pdf(g, diversity),
            0, np.inf, epsabs=1e-13, epsrel=1e-11, limit=200,
        )[0]  # fmt: skip
        assert qam.ser_rayleigh(mean, diversity) == pytest.approx(expected, rel=1e-8)


def test_wrong_qam():
    for bits in (0, 1, 3, 12, 2.5, "4"):
        with pytest.raises(ValueError, match="num_bits_per_symbol"):
            irs.QAM(bits)


def test_snr_takes_whole_numbers_and_tensors():
    assert float(irs.snr_db_to_no(10)) == pytest.approx(0.1)
    assert irs.snr_db_to_no(tf.constant([0.0, -10.0])).numpy() == pytest.approx([1, 10])


def test_nmse_of_channels_that_are_not_there():
    """0 where nothing is estimated as nothing, infinity where anything else is."""
    h = tf.zeros([2, 3], tf.complex64)
    assert float(metrics.nmse_per_sample(h, h)[0]) == 0
    assert float(metrics.nmse_per_sample(h + 1e-3, h)[0]) == np.inf


@pytest.mark.parametrize("coloured", [False, True])
def test_streams_against_their_definition(coloured):
    """Stream by stream from the received powers, scaled combiners, noise of any colour."""
    batch, users, m, n, streams, no, base = 2, 3, 4, 5, 2, 0.3, 3.0
    h, f, w = cplx(batch, users, m, n), cplx(batch, users, n, streams), cplx(batch, users, m, 2)
    root = cplx(batch, users, m, m) if coloured else np.eye(m) * np.ones([batch, users, 1, 1])
    r_w = root @ root.conj().swapaxes(-1, -2)
    sinr = np.zeros([batch, users, streams])
    for b, k, s in np.ndindex(*sinr.shape):
        row = w[b, k, :, s].conj() @ h[b, k]
        powers = np.abs(np.einsum("n,vnj->vj", row, f[b])) ** 2
        noise = no * (w[b, k, :, s].conj() @ r_w[b, k] @ w[b, k, :, s]).real
        sinr[b, k, s] = powers[k, s] / (powers.sum() - powers[k, s] + noise)
    arguments = [tf.constant(x) for x in (h, f, w)]
    settings = {"r_w": tf.constant(r_w)} if coloured else {}
    found = metrics.stream_sinr(*arguments, no, **settings)
    np.testing.assert_allclose(found, sinr, rtol=1e-12)
    rate = metrics.stream_rate(*arguments, no, base=base, **settings)
    np.testing.assert_allclose(rate, np.log1p(sinr).sum((1, 2)) / np.log(base), rtol=1e-12)
    for wrong in (1.0, 0.5, math.inf):
        with pytest.raises(ValueError, match="a finite number above 1 is needed"):
            metrics.stream_rate(*arguments, no, base=wrong)
