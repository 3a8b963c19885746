"""Double-surface channels: statistics against the published model, draws against statistics."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import j0

import sionna_irs as irs
from sionna_irs.channel.double import most_square_panel

NORMAL, SHORT = irs.DoubleGeometry(), irs.DoubleGeometry(10.0, 1.0, 1.0)
CLOSE = irs.DoubleGeometry(6.0, 1.0, 1.0)
LINKS = ("tx>s1", "tx>s2", "s1>s2", "s1>rx", "s2>rx")


def channel(num_elements=16, **kwargs):
    kwargs = {"noise_power_dbm": None, "precision": "double", **kwargs}
    return irs.DoubleSurfaceChannel(num_elements=num_elements, **kwargs)


def quadratic_phases():
    n = np.arange(16)
    m = np.arange(12)
    phases = {"s1": 0.7 * n + 0.05 * n**2, "s2": 1.1 * m - 0.03 * m**2}
    return {name: tf.constant(np.exp(1j * x)) for name, x in phases.items()}


@pytest.mark.parametrize(
    "geometry, gains",
    [
        (NORMAL, [-50.9773, -73.0249, -72.9773, -73.0419, -52.4463]),
        (SHORT, [-35.6, -57.6475, -57.6, -57.6946, -38.9113]),
    ],
)
def test_link_table(geometry, gains):
    rows = geometry.link_table()
    np.testing.assert_allclose([row["path_gain_db"] for row in rows], gains, atol=6e-5)
    assert [row["link"] for row in rows] == list(LINKS)
    # The directions at both ends are opposite: seen in world axes, each line is one line.
    ends = dict(tx=math.pi / 2, rx=math.pi / 2, s1=math.pi / 4, s2=3 * math.pi / 4)
    for row in rows:
        world = []
        for node, (azimuth, zenith) in zip(
            row["link"].split(">"), (row["departure"], row["arrival"]), strict=True
        ):
            turned = math.radians(azimuth) + ends[node] - math.pi / 2
            zenith = math.radians(zenith)
            world.append(
                [
                    math.sin(zenith) * math.cos(turned),
                    math.sin(zenith) * math.sin(turned),
                    math.cos(zenith),
                ]
            )
        np.testing.assert_allclose(world[0], -np.array(world[1]), atol=1e-12)


def test_correlation_of_plane_waves():
    found = irs.plane_wave_correlation(4, 5, math.pi / 3, 0.5)[0]
    np.testing.assert_allclose(found, [1, 0.4748987679, -0.222153337, -0.1053483931], atol=1e-9)
    found = irs.plane_wave_correlation(4, 10, math.pi / 2, 0.5)[0]
    np.testing.assert_allclose(found, [1, 0.2111830819, -0.2494029946, 0.1637771712], atol=1e-9)
    # Many waves: Bessel's function for the full circle, not the identity for a part of it.
    found = irs.plane_wave_correlation(4, 20001, 2 * math.pi, 0.5)[0]
    np.testing.assert_allclose(found, [1, -0.304177, 0.220316, -0.181152], atol=1e-6)
    np.testing.assert_allclose(found, j0(math.pi * np.arange(4)), atol=1e-4)
    found = irs.plane_wave_correlation(4, 20001, math.pi / 2, 0.5)[0]
    np.testing.assert_allclose(found, [1, 0.307617, -0.261547, 0.087308], atol=1e-6)
    np.testing.assert_array_equal(irs.plane_wave_correlation(3, 1, 1.0, 0.5), np.ones([3, 3]))
    assert np.linalg.matrix_rank(irs.plane_wave_correlation(8, 3, 1.0, 0.5)) == 3
    assert np.linalg.matrix_rank(irs.plane_wave_correlation(8, 2, math.pi, 0.5), 1e-9) == 1
    upa = irs.UPA(2, 3, spacing_v=0.7)
    vertical, horizontal = irs.plane_wave_factors(upa, 6, 1.0)
    np.testing.assert_array_equal(vertical, irs.plane_wave_correlation(2, 6, 1.0, 0.7))
    np.testing.assert_array_equal(horizontal, irs.plane_wave_correlation(3, 6, 1.0, 0.5))


@pytest.mark.parametrize(
    "arguments",
    [(0, 1, 1.0, 0.5), (2, 0, 1.0, 0.5), (2, 2, -1.0, 0.5), (2, 2, 7.0, 0.5), (2, 2, 1.0, 0.0)],
)
def test_correlation_refuses(arguments):
    with pytest.raises(ValueError, match="is needed"):
        irs.plane_wave_correlation(*arguments)


def test_lemma_1():
    ch = channel((16, 12), num_tx_ant=3)
    statistics, theta = irs.DoubleSurfaceStatistics(ch), quadratic_phases()
    r = statistics.covariance(theta).numpy()
    close = dict(rtol=1e-7)
    np.testing.assert_allclose(np.trace(r).real, 9.3900049213e-11, **close)
    np.testing.assert_allclose(float(statistics.gain(theta)), 9.3900049213e-11, **close)
    np.testing.assert_allclose(r[0, 0], 2.35463987e-11, **close)
    np.testing.assert_allclose(r[0, 1], 8.14431667e-12 - 2.77596609e-12j, **close)
    np.testing.assert_allclose(
        np.linalg.eigvalsh(r)[::-1],
        [4.5961825629e-11, 2.0038098505e-11, 1.8002321956e-11, 9.8978031e-12], **close,
    )  # fmt: skip
    traces = {name: np.trace(x.numpy()) for name, x in statistics.terms(theta).items()}
    expected = {
        "AA": 7.222374e-11, "BB": 2.179842e-11, "CC": 3.048411e-15,
        "AB": -4.475377e-14 - 2.013621e-13j, "AC": -1.422824e-14 + 1.925744e-14j,
        "BC": -3.599493e-15 - 3.85975e-15j,
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(traces[name], value, rtol=1e-6, atol=1e-20)
    bounds = statistics.bounds()
    np.testing.assert_allclose(bounds["sum"], 5.68434980e-10, **close)
    np.testing.assert_allclose(bounds["triangle"], 1.11246600e-09, **close)
    np.testing.assert_allclose(statistics.random_phase_gain, 1.16959729e-10, **close)
    assert "los" not in bounds


def aligned(ch):
    """Phases aligned to the line of sight of the double reflection: cross terms do not vanish."""
    h1, d, g2 = (np.asarray(ch.hops[n].line_of_sight) for n in ("tx>s1", "s1>s2", "s2>rx"))
    return {
        "s1": -np.angle(d[0] * h1[:, 0]),
        "s2": -np.angle(g2[0] * d[:, 0]),
    }


@pytest.mark.parametrize(
    "k_factor, scatterers, geometry",
    [(1.0, 10, NORMAL), (0.0, 4, NORMAL), (5.0, 1, NORMAL), (2.0, 10, CLOSE)],
)
def test_lemma_1_against_draws(k_factor, scatterers, geometry):
    ch = irs.DoubleSurfaceChannel(
        3, 4, (16, 12), k_factor, scatterers, geometry=geometry, unit_power=True
    )
    phases = aligned(ch) if k_factor else {"s1": np.zeros(16), "s2": np.zeros(12)}
    theta = ch.reflect({name: tf.constant(x, tf.float32) for name, x in phases.items()})
    expected = irs.DoubleSurfaceStatistics(ch).covariance(theta).numpy()
    draw = tf.function(lambda: ch.compose(ch.draw(5000), theta), autograph=False)
    irs.random.reset(irs.random.stream_key(3, scatterers))
    h = np.concatenate([draw().numpy() for _ in range(8)]).astype(complex)
    found = h @ h.conj().swapaxes(1, 2)
    error = np.linalg.norm(found.mean(0) - expected)
    spread = np.sqrt(np.sum(np.var(found, 0)) / len(found))
    assert error < 3.5 * spread  # the norm of 16 numbers of that spread
    if geometry is CLOSE:  # a lost cross term would be seen
        terms = irs.DoubleSurfaceStatistics(ch).terms(theta)
        for name in ("AB", "AC", "BC"):
            lost = terms[name].numpy()
            assert np.linalg.norm(lost + lost.conj().T) > 4 * spread, name


def test_random_phases_have_the_closed_form_gain():
    for kwargs in ({"k_factor": 10.0}, {"k_factor": 0.0, "num_scatterers": 2, "geometry": SHORT}):
        ch = irs.DoubleSurfaceChannel(num_elements=16, unit_power=True, **kwargs)
        assert abs(ch.random_phase_gain - 16) < 1e-9
        irs.random.reset(irs.random.stream_key(5))
        power = np.sum(np.abs(ch(6000, policy=irs.RandomPhases()).numpy()) ** 2, (1, 2))
        assert abs(power.mean() - 16) < 5 * power.std() / np.sqrt(power.size)


def test_limits_of_double_scattering():
    bs, ms = irs.ULA(3), irs.ULA(4)
    irs.random.reset(irs.random.stream_key(6))

    def moments(**kwargs):
        kwargs = {"angular_spread": None, "scatterer_spread": None, **kwargs}
        h = irs.DoubleScatteringHop(bs, ms, 0.0, **kwargs)(20_000).numpy()
        power = np.abs(h) ** 2
        # Entries of one draw are dependent: intervals from the means of draws.
        second, fourth = power.mean((1, 2)), (power**2).mean((1, 2))
        return h, second, fourth

    for scatterers in (1, 4, 64):
        h, second, fourth = moments(num_scatterers=scatterers)
        assert abs(second.mean() - 1) < 5 * second.std() / np.sqrt(second.size)
        expected = 2 * (1 + 1 / scatterers)
        assert abs(fourth.mean() - expected) < 5 * fourth.std() / np.sqrt(fourth.size)
        if scatterers == 1:
            assert np.linalg.svd(h[:50], compute_uv=False)[:, 1].max() < 1e-5 * np.abs(h).max()
    between = irs.plane_wave_correlation(4, 4, math.pi / 2, 10.0)
    _, second, fourth = moments(num_scatterers=4, scatterer_spread=math.pi / 2)
    expected = 2 * (1 + np.sum(between**2) / 16)
    assert abs(fourth.mean() - expected) < 5 * fourth.std() / np.sqrt(fourth.size)


@pytest.mark.parametrize(
    "geometry, size, los, total, triangle, equal, bound, random",
    [
        (NORMAL, 16, -85.31, -85.55, -82.39, -96.43, -95.49, -97.59),
        (NORMAL, 196, -62.37, -63.26, -58.83, -83.26, -79.28, -86.71),
        (SHORT, 64, -41.19, -42.10, -37.45, -59.77, -58.47, -61.49),
    ],
)
def test_bounds(geometry, size, los, total, triangle, equal, bound, random):
    pure = irs.DoubleSurfaceStatistics(channel(size, k_factor=float("inf"), geometry=geometry))
    found = {name: 10 * np.log10(x) for name, x in pure.bounds().items()}
    for name, value in (("los", los), ("sum", total), ("triangle", triangle)):
        assert abs(found[name] - value) < 0.006, name
    scattered = irs.DoubleSurfaceStatistics(channel(size, k_factor=0.0, geometry=geometry))
    ones = {name: tf.ones(size, tf.complex128) for name in ("s1", "s2")}
    assert abs(10 * np.log10(float(scattered.gain(ones))) - equal) < 0.006
    assert abs(10 * np.log10(scattered.bounds()["sum"]) - bound) < 0.006
    assert abs(10 * np.log10(scattered.random_phase_gain) - random) < 0.006


def test_quadratic_forms():
    statistics = irs.DoubleSurfaceStatistics(channel((16, 12), num_tx_ant=3))
    theta, rng = quadratic_phases(), np.random.default_rng(1)
    for name, size in (("s1", 16), ("s2", 12)):
        t, c = (x.numpy() for x in statistics.quadratic(theta, name))
        np.testing.assert_allclose(t, t.conj().T, atol=1e-12 * np.abs(t).max())
        values, forms = [], []
        for _ in range(3):
            x = np.exp(2j * np.pi * rng.random(size))
            values.append(float(statistics.gain({**theta, name: tf.constant(x)})))
            forms.append((x.conj() @ t @ x).real + 2 * (x.conj() @ c).real)
        np.testing.assert_allclose(np.diff(values), np.diff(forms), rtol=1e-9)


def test_phases_from_statistics():
    ch = channel(16, k_factor=10.0, unit_power=True)
    statistics, policy = (
        irs.DoubleSurfaceStatistics(ch),
        irs.StatisticalPhases(ch, precision="double"),
    )
    theta = {n: tf.complex(tf.cos(x), tf.sin(x)) for n, x in policy.phases.items()}
    gain = float(statistics.gain(theta))
    assert gain > 10 * statistics.random_phase_gain
    # A fixed point: no element gains by a turn.
    for name in theta:
        t, c = statistics.quadratic(theta, name)
        z = tf.linalg.matvec(t, theta[name]) + c
        slope = tf.math.imag(tf.math.conj(theta[name]) * z)
        assert np.abs(slope).max() < 1e-3 * np.abs(z).max()
    links = ch.draw(400)
    found = np.sum(np.abs(ch.compose(links, ch.reflect(policy(links))).numpy()) ** 2, (1, 2))
    assert abs(found.mean() - gain) < 5 * found.std() / 20


def test_the_published_composition():
    ch = channel((6, 4))
    links, rng = ch.draw(3), np.random.default_rng(2)
    theta = {"s1": np.exp(1j * rng.random([3, 6])), "s2": np.exp(1j * rng.random([3, 4]))}
    h1, h2, d, g1, g2 = (links[name].numpy() for name in LINKS)
    phi1, phi2 = (np.stack([np.diag(x) for x in theta[name]]) for name in ("s1", "s2"))
    expected = g1 @ phi1 @ h1 + g2 @ phi2 @ h2 + g2 @ phi2 @ d @ phi1 @ h1
    found = ch.compose(links, theta).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())
    both = channel((6, 4), reverse=True)
    links = both.draw(3)
    np.testing.assert_array_equal(links["s2>s1"], links["s1>s2"].numpy().swapaxes(1, 2))
    h1, h2, d, g1, g2 = (links[name].numpy() for name in LINKS)
    expected = g1 @ phi1 @ h1 + g2 @ phi2 @ h2 + g2 @ phi2 @ d @ phi1 @ h1
    expected += g1 @ phi1 @ d.swapaxes(1, 2) @ phi2 @ h2
    found = both.compose(links, theta).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


def test_impulse_responses_sum_to_the_channel():
    ch = irs.DoubleSurfaceChannel(num_elements=16, carrier_frequency=3.5e9, precision="double")
    for kwargs, paths in (({}, 3), ({"mean_excess_delay": 20e-9}, 16)):
        cir = irs.DoubleSurfaceCIR(ch, **kwargs)
        cirs = cir.draw(4, 2, 15e3)
        a, tau = cir.compose(cirs, cir.reflect())
        assert a.shape == (4, 1, 4, 1, 4, paths, 2) and tau.shape == (4, 1, 1, paths)
        links = {n: tf.reduce_sum(c.a, -2)[:, 0, :, 0, :, 0] for n, c in cirs.items()}
        expected = ch.compose(links, ch.reflect()).numpy()
        found = tf.reduce_sum(a, -2)[:, 0, :, 0, :, 1].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())
        assert paths == 16 or np.allclose(1e9 * tau[0, 0, 0], [184.59, 187.06, 202.91], atol=5e-3)


def test_fading_over_time_follows_clarke():
    hop = irs.DoubleScatteringHop(irs.ULA(2), irs.ULA(2), k_factor=0.0, num_scatterers=16)
    model = irs.HopModel(hop, max_doppler=1e3)
    irs.random.reset(irs.random.stream_key(8))
    a = model(4000, 5, 15e3)[0].numpy().reshape(4000, 4, 5)
    found = np.mean(a[..., :1].conj() * a, 1)
    lags = j0(2 * np.pi * 1e3 / 15e3 * np.arange(5)) ** 2  # both sets of scatterers move
    error = np.abs(found.mean(0) - lags)
    assert (error < 5 * found.std(0) / np.sqrt(len(found))).all()


def test_wrong_arguments():
    for build, match in (
        (lambda: irs.DoubleGeometry(offset=0.5), "tx>s1"),
        (lambda: irs.DoubleSurfaceChannel(k_factor={"tx>s1": 1.0}), "k_factor"),
        (lambda: irs.DoubleSurfaceChannel(num_scatterers=0), "num_scatterers"),
        (lambda: irs.DoubleSurfaceCIR(irs.DoubleSurfaceChannel(num_elements=4)), "carrier"),
        (lambda: irs.DoubleSurfaceStatistics(irs.CascadedChannel(2, 3)), "hops"),
        (lambda: irs.HopModel(irs.RayleighHop(irs.ULA(1), irs.ULA(2)), max_doppler=5.0), "still"),
        (lambda: irs.HopModel(irs.RayleighHop(irs.ULA(1), irs.ULA(2)), delay=-1.0), "delay"),
    ):
        with pytest.raises(ValueError, match=match):
            build()
    assert most_square_panel(7).shape == (1, 7)
