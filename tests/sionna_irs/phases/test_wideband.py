"""Wide-band phase designs against float64 twins, the check value, and each other."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs.phases.wideband import (
    RateAscent,
    StrongestTap,
    _rate_and_slope,
    delay_taps,
)

RNG = np.random.default_rng(4)
DOUBLE = {"precision": "double"}


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def frequency_selective(batch, num_subcarriers, num_rx_ant, columns, num_paths=3):
    """Responses [B, F, M, columns] of paths with delays between the samples."""
    gains = cplx(batch, 1, num_rx_ant, columns, num_paths)
    delays = RNG.uniform(0, 4, (batch, 1, 1, columns, num_paths))
    f = (np.arange(num_subcarriers) - num_subcarriers // 2)[:, None, None, None]
    return (gains * np.exp(-2j * np.pi * f * delays / num_subcarriers)).sum(-1)


def links_of(u, direct=True, dtype=None):
    return irs.Links.from_cascaded(tf.constant(u, dtype), direct)


def powers(u, phases):
    """Power on every subcarrier [B, F] with phases [B, N]."""
    n = phases.shape[-1]
    theta = np.exp(1j * np.asarray(phases))
    field = np.einsum("bfmn,bn->bfm", u[..., :n], theta) + u[..., n:].sum(-1)
    return np.sum(np.abs(field) ** 2, -1)


def rates(u, phases, snr):
    return np.log2(1 + snr * powers(u, phases)).sum(-1)


def test_taps_are_delays():
    """A delay of l samples is in tap l, for even and odd numbers of subcarriers."""
    for num in (8, 7):
        f = np.arange(num) - num // 2
        for delay in (0, 1, 3, -1):
            response = np.exp(-2j * np.pi * f * delay / num)[None, :, None, None]
            taps = delay_taps(tf.constant(response)).numpy()[0, :, 0, 0]
            np.testing.assert_allclose(taps, np.eye(num)[delay % num], atol=1e-12)


def strongest_tap_twin(u, n):
    """One example [F, M, N or N+1], by the definition; singular vectors from NumPy."""
    num = len(u)
    f = np.arange(num) - num // 2
    best = -1.0
    for tap in range(num):
        c = np.einsum("fmn,f->mn", u, np.exp(2j * np.pi * f * tap / num)) / num
        w = np.linalg.svd(c[:, :n])[0][:, 0].conj()
        seen = w * np.exp(-1j * np.angle(w[0])) @ c
        if np.abs(seen[:n]).sum() > best:
            best = np.abs(seen[:n]).sum()
            phases = -np.angle(seen[:n]) + (np.angle(seen[n]) if len(seen) > n else 0)
    return phases


@pytest.mark.parametrize("num_rx_ant", [1, 3])
@pytest.mark.parametrize("direct", [True, False])
def test_strongest_tap_against_numpy(num_rx_ant, direct):
    u = frequency_selective(6, 8, num_rx_ant, 5 + direct)
    phases = StrongestTap(num_iter=300, **DOUBLE)(links_of(u, direct))["s1"].numpy()
    expected = np.array([strongest_tap_twin(example, 5) for example in u])
    np.testing.assert_allclose(np.exp(1j * phases), np.exp(1j * expected), atol=1e-8)


def test_strongest_tap_of_one_antenna_is_the_formula():
    u = frequency_selective(4, 6, 1, 4)
    taps = np.fft.ifft(np.fft.ifftshift(u[:, :, 0], 1), axis=1)
    best = np.abs(taps[..., :3]).sum(-1).argmax(1)
    taps = taps[np.arange(4), best]
    expected = np.angle(taps[:, 3:]) - np.angle(taps[:, :3])
    phases = StrongestTap(**DOUBLE)(links_of(u))["s1"].numpy()
    np.testing.assert_allclose(np.exp(1j * phases), np.exp(1j * expected), atol=1e-10)


def test_strongest_tap_of_one_subcarrier_is_the_aligned_design():
    u = cplx(5, 1, 3, 7)
    phases = StrongestTap(**DOUBLE)(links_of(u))["s1"].numpy()
    aligned = irs.AlignedPhases(**DOUBLE)(links_of(u[:, 0]))["s1"].numpy()
    np.testing.assert_allclose(np.exp(1j * (phases - aligned)), 1, atol=1e-10)


def test_direct_path_that_is_zero():
    """Nothing to align with: as without a direct path, whatever the sign of zero."""
    u = frequency_selective(3, 8, 2, 4)
    for zero in (0.0, -0.0):
        u[..., -1] = complex(zero, 0.0)
        phases = StrongestTap(**DOUBLE)(links_of(u))["s1"].numpy()
        without = StrongestTap(**DOUBLE)(links_of(u[..., :-1], direct=False))["s1"].numpy()
        np.testing.assert_allclose(np.exp(1j * (phases - without)), 1, atol=1e-12)


@pytest.mark.parametrize("num_bits", [1, 3])
def test_strongest_tap_rounds(num_bits):
    links = links_of(frequency_selective(5, 8, 2, 5))
    step = 2 * np.pi / 2**num_bits
    phases = StrongestTap(num_bits, **DOUBLE)(links)["s1"].numpy()
    plain = StrongestTap(**DOUBLE)(links)["s1"].numpy()
    np.testing.assert_allclose(phases / step, np.round(phases / step), atol=1e-12)
    assert np.abs(phases - plain).max() <= step / 2 + 1e-12


def test_mean_power_check_values():
    """Element-wise ascent of the mean power, a wide-band cascade of one antenna."""
    n, f = np.arange(4), np.arange(3)[:, None]
    u = ((1 + n) * np.exp(0.8j * n * f))[None, :, None]
    links = links_of(u, direct=False)
    assert powers(u, np.zeros([1, 4])).mean() == pytest.approx(52.9654183559, abs=1e-9)
    expected = {1: 64.7666862622, 2: 67.4175935677, 5: 67.5511525932, 20: 67.5511527726}
    for num_iter, value in expected.items():
        phases = irs.CoordinateAscent(num_iter=num_iter, **DOUBLE)(links)["s1"].numpy()
        assert powers(u, phases).mean() == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("direct", [True, False])
def test_slope_against_differences(direct):
    v, phases = 0.5 * cplx(3, 4, 2, 5 + direct), RNG.uniform(0, 6, (3, 5))
    rate, slope = _rate_and_slope(tf.constant(v), tf.constant(phases))
    np.testing.assert_allclose(rate, rates(v, phases, 1.0) * np.log(2), rtol=1e-12)
    for n in range(5):
        step = 1e-6 * np.eye(5)[n]
        up, down = (rates(v, phases + sign * step, 1.0) * np.log(2) for sign in (1, -1))
        np.testing.assert_allclose(slope[:, n], (up - down) / 2e-6, rtol=1e-6, atol=1e-7)


def rate_ascent_twin(u, snr, num_iter, learning_rate, phases):
    """Adam on all examples, the gradient as a sum over subcarriers."""
    n = phases.shape[-1]
    v = u * np.sqrt(snr)
    first = second = np.zeros_like(phases)
    best, top = phases, rates(u, phases, snr)
    p = powers(v, phases)
    unit = (p / (1 + p)).sum(-1, keepdims=True)
    for step in range(1, num_iter + 1):
        theta = np.exp(1j * phases)
        slope = 0
        for f in range(v.shape[1]):
            field = np.einsum("bmn,bn->bm", v[:, f, :, :n], theta) + v[:, f, :, n:].sum(-1)
            weight = 2 / (1 + np.sum(np.abs(field) ** 2, -1, keepdims=True))
            inner = np.einsum("bm,bmn->bn", field.conj(), v[:, f, :, :n])
            slope = slope + weight * np.real(1j * inner * theta)
        slope = slope / unit
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        mean, square = first / (1 - 0.9**step), second / (1 - 0.999**step)
        phases = phases + learning_rate * mean / (np.sqrt(square) + 1e-8)
        now = rates(u, phases, snr)
        best = np.where((now > top)[:, None], phases, best)
        top = np.maximum(now, top)
    return best


@pytest.mark.parametrize("direct", [True, False])
def test_rate_ascent_against_numpy(direct):
    u = frequency_selective(4, 8, 2, 5 + direct)
    start = StrongestTap(num_bits=1, **DOUBLE)
    links = links_of(u, direct)
    phases = RateAscent(0.3, 30, 0.05, start, **DOUBLE)(links)["s1"].numpy()
    expected = rate_ascent_twin(u, 0.3, 30, 0.05, start(links)["s1"].numpy())
    np.testing.assert_allclose(phases, expected, atol=1e-8)


def test_rate_ascent_never_ends_below_its_start():
    """Not even with steps that are far too large, and more steps are never worse."""
    u = frequency_selective(20, 8, 2, 7)
    for start in (None, StrongestTap(**DOUBLE), irs.RandomPhases(**DOUBLE)):
        if isinstance(start, irs.RandomPhases):
            drawn = start(links_of(u))

            def start(links, drawn=drawn):
                return drawn

        first = (irs.CoordinateAscent(**DOUBLE) if start is None else start)(links_of(u))
        last = rates(u, first["s1"].numpy(), 0.2)
        for num_iter in (1, 5, 40):
            design = RateAscent(0.2, num_iter, learning_rate=1.0, start=start, **DOUBLE)
            now = rates(u, design(links_of(u))["s1"].numpy(), 0.2)
            assert np.all(now >= last * (1 - 1e-12))
            last = now


def test_rate_ascent_reaches_the_optimum_of_one_subcarrier():
    """One subcarrier and antenna: all paths in phase, from any start, at any scale."""
    u = cplx(10, 1, 1, 6)
    optimum = np.abs(u).sum((1, 2, 3)) ** 2

    def start(links):
        return {"s1": tf.zeros([10, 5], tf.float64)}

    for snr in (1e-9, 1.0, 1e6):
        # A start of one's own has a layer run eagerly; as one function it is much faster.
        design = tf.function(RateAscent(snr, num_iter=800, start=start, **DOUBLE), autograph=False)
        phases = design(links_of(u))["s1"].numpy()
        np.testing.assert_allclose(powers(u, phases)[:, 0], optimum, rtol=1e-3)


def test_rate_ascent_beats_the_other_designs_in_rate():
    u = frequency_selective(50, 16, 1, 17)
    snr, links = 0.05, links_of(u, direct=False)
    rate = {
        name: rates(u, policy(links)["s1"].numpy(), snr).mean()
        for name, policy in {
            "random": irs.RandomPhases(**DOUBLE),
            "tap": StrongestTap(**DOUBLE),
            "power": irs.CoordinateAscent(**DOUBLE),
            "rate": RateAscent(snr, **DOUBLE),
        }.items()
    }
    assert rate["rate"] > max(rate["tap"], rate["power"]) > min(rate["tap"], rate["power"])
    assert min(rate["tap"], rate["power"]) > 1.5 * rate["random"]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_designs_in_a_graph(jit_compile):
    """With an open batch in plain graphs, and an odd number of subcarriers."""
    u = frequency_selective(3, 7, 2, 6)
    for precision, dtype, atol in (("single", tf.complex64, 1e-3), ("double", tf.complex128, 1e-8)):
        layers = (
            StrongestTap(precision=precision),
            StrongestTap(num_bits=2, precision=precision),
            RateAscent(0.3, num_iter=20, precision=precision),
        )
        for layer in layers:
            batch = 3 if jit_compile else None
            call = tf.function(
                lambda x, layer=layer: layer(irs.Links.from_cascaded(x))["s1"],
                input_signature=[tf.TensorSpec([batch, 7, 2, 6], dtype)],
                jit_compile=jit_compile,
                autograph=False,
            )
            eager = layer(links_of(u, dtype=dtype))["s1"]
            assert eager.dtype == layer.rdtype
            turned = np.exp(1j * (call(tf.constant(u, dtype)).numpy() - eager.numpy()))
            np.testing.assert_allclose(turned, 1, atol=atol)


def test_tiny_path_gains_in_single_precision():
    """A product of paths of -200 dB: as good as the design in double without the scale."""
    u = frequency_selective(4, 8, 2, 6)
    tiny = links_of((u * 1e-10).astype(np.complex64))
    tap = StrongestTap()(tiny)["s1"].numpy()
    expected = StrongestTap(**DOUBLE)(links_of(u))["s1"].numpy()
    np.testing.assert_allclose(np.exp(1j * (tap - expected)), 1, atol=1e-3)
    found = rates(u, RateAscent(0.1 * 1e20)(tiny)["s1"].numpy(), 0.1)
    expected = rates(u, RateAscent(0.1, **DOUBLE)(links_of(u))["s1"].numpy(), 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-2)


def test_no_channel_gives_finite_phases():
    zero = links_of(np.zeros([2, 4, 2, 4], complex))
    for layer in (StrongestTap(**DOUBLE), RateAscent(1.0, num_iter=3, **DOUBLE)):
        assert np.isfinite(layer(zero)["s1"].numpy()).all()


def test_no_gradient_passes():
    u = tf.constant(frequency_selective(2, 4, 1, 4))
    for layer in (StrongestTap(**DOUBLE), RateAscent(1.0, num_iter=2, **DOUBLE)):
        with tf.GradientTape() as tape:
            tape.watch(u)
            phases = layer(irs.Links.from_cascaded(u))["s1"]
        assert tape.gradient(phases, u) is None


def test_bad_arguments():
    for bits in (0, 17, 1.5):
        with pytest.raises(ValueError, match=f"num_bits = {bits}; None or an integer in 1..16"):
            StrongestTap(num_bits=bits)
    with pytest.raises(ValueError, match="num_iter = 0; an integer of at least 1"):
        StrongestTap(num_iter=0)
    with pytest.raises(ValueError, match="num_iter = 0; an integer of at least 1"):
        RateAscent(1.0, num_iter=0)
    for snr in (0, -1.0, float("inf"), float("nan"), "a"):
        with pytest.raises(ValueError, match="snr = .*; a positive finite number"):
            RateAscent(snr)
    with pytest.raises(ValueError, match="learning_rate = 0; a positive finite number"):
        RateAscent(1.0, learning_rate=0)
    with pytest.raises(ValueError, match="start = 3; None or a policy"):
        RateAscent(1.0, start=3)
    for layer in (StrongestTap(**DOUBLE), RateAscent(1.0, **DOUBLE)):
        with pytest.raises(ValueError, match="subcarriers after the batch"):
            layer(links_of(cplx(3, 2, 5)))
    with pytest.raises(ValueError, match=r"start gives phases \(3, 2, 4\); \[batch_size, 4\]"):
        RateAscent(1.0, start=irs.AlignedPhases(**DOUBLE), **DOUBLE)(links_of(cplx(3, 2, 2, 5)))
