"""Precoders against NumPy, Sionna, reference rates, and what each promises."""

import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.mimo import cbf_precoding_matrix, rzf_precoding_matrix

import sionna_irs as irs
from sionna_irs import metrics

RNG = np.random.default_rng(1)
PRECODERS = [irs.MRTPrecoder, irs.ZFPrecoder, irs.RZFPrecoder]
POWERS = ["total", "per_user"]


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def twin(cls, h, no, power, regularization=None):
    """One matrix at a time, from the formulas."""
    k = len(h)
    if cls is irs.MRTPrecoder:
        alpha, v = None, h.conj().T
    else:
        alpha = {irs.ZFPrecoder: 0.0, irs.RZFPrecoder: k * no}[cls]
        alpha = alpha if regularization is None else regularization
        v = h.conj().T @ np.linalg.inv(h @ h.conj().T + alpha * np.eye(k))
    if power == "total":
        return v / np.linalg.norm(v)
    return v / np.linalg.norm(v, axis=0) / np.sqrt(k)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("cls", PRECODERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 3), (3, 5)])
def test_against_numpy(cls, power, shape):
    h, no = cplx(2, 4, *shape), RNG.uniform(0.1, 2, (2, 4))
    expected = [
        [twin(cls, a, b, power) for a, b in zip(x, y, strict=True)]
        for x, y in zip(h, no, strict=True)
    ]
    v = cls(power=power, precision="double")(h, no)
    np.testing.assert_allclose(v, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("cls", PRECODERS)
def test_power(cls, power):
    v = cls(power=power)(cplx(6, 3, 4) * 1e-8, 1e-16)  # path gains of a surface, in single
    columns = np.sum(np.abs(v) ** 2, -2)
    np.testing.assert_allclose(columns.sum(-1), 1, rtol=1e-5)
    if power == "per_user":
        np.testing.assert_allclose(columns, 1 / 3, rtol=1e-5)


def test_equal_columns_are_sionnas():
    h = tf.constant(cplx(5, 3, 4))
    args = {"power": "per_user", "precision": "double"}
    np.testing.assert_allclose(
        irs.MRTPrecoder(**args)(h, 0.1) * 3**0.5,
        cbf_precoding_matrix(h, precision="double"), atol=1e-12,
    )  # fmt: skip
    for cls, alpha in ((irs.ZFPrecoder, 0.0), (irs.RZFPrecoder, 0.375)):
        np.testing.assert_allclose(
            cls(**args)(h, 0.125) * 3**0.5,
            rzf_precoding_matrix(h, alpha, precision="double"), atol=1e-10,
        )  # fmt: skip


@pytest.mark.parametrize("power", POWERS)
def test_zero_forcing_nulls_interference(power):
    h = cplx(5, 3, 4)
    received = h @ irs.ZFPrecoder(power=power, precision="double")(h, 0.1).numpy()
    diagonal = np.einsum("bkk->bk", received).copy()
    np.einsum("bkk->bk", received)[:] = 0
    np.testing.assert_allclose(received, 0, atol=1e-12)
    assert np.all(diagonal.real > 0)
    if power == "total":  # all users receive the same amplitude
        np.testing.assert_allclose(diagonal, diagonal[:, :1].repeat(3, 1), rtol=1e-10)


@pytest.mark.parametrize("power", POWERS)
def test_regularization_runs_from_zero_forcing_to_mrt(power):
    h, args = cplx(5, 3, 4), {"power": power, "precision": "double"}
    for alpha, limit in ((1e-12, irs.ZFPrecoder), (0.0, irs.ZFPrecoder), (1e12, irs.MRTPrecoder)):
        v = irs.RZFPrecoder(regularization=alpha, **args)(h, 0.1)
        np.testing.assert_allclose(v, limit(**args)(h, 0.1), atol=1e-9)


def test_default_regularization_is_the_best_for_equal_users():
    """The sum of the mean squared errors with one common scale is smallest at alpha = K no."""
    h, no = cplx(4, 3, 3), 0.2

    def error(alpha):
        v = irs.RZFPrecoder(regularization=alpha, precision="double")(h, no).numpy()
        received = h @ v
        # x_hat = c (H V x + n); the best real c in closed form.
        signal = np.einsum("bkk->b", received).real
        power = np.sum(np.abs(received) ** 2, (-2, -1)) + 3 * no
        return 3 - signal**2 / power

    best = error(3 * no)
    assert all(np.all(error(3 * no * f) > best) for f in (0.5, 0.9, 1.1, 2.0))


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("cls", PRECODERS)
def test_users_commute(cls, power):
    h, order = cplx(5, 4, 6), [2, 0, 3, 1]
    layer = cls(power=power, precision="double")
    np.testing.assert_allclose(
        layer(h[:, order], 0.1), layer(h, 0.1).numpy()[..., order], atol=1e-12
    )


def test_reference_rates():
    """Rates computed apart from this package, for channels of NumPy's generator."""
    equal = {"power": "per_user"}
    for seed, k, rates in (
        (1, 4, (6.23852331, 10.93217493, 11.84159756, 11.94925508)),
        (2, 8, (10.03644927, 4.72035801, 16.26183941, 7.8869288)),
    ):
        rng = np.random.default_rng(seed)
        real, imag = rng.standard_normal((k, 8)), rng.standard_normal((k, 8))
        h, no = (real + 1j * imag) / np.sqrt(2), 0.1
        for (cls, args), rate in zip(
            [(c, {}) for c in PRECODERS] + [(irs.ZFPrecoder, equal)], rates, strict=True
        ):
            v = cls(precision="double", **args)(h, no)
            found = metrics.sum_rate(tf.constant(h), v, tf.constant(no, tf.float64))
            assert float(found) == pytest.approx(rate, abs=1e-6)


@pytest.mark.parametrize("power", POWERS)
def test_a_channel_of_zeros(power):
    """A blocked user gets nothing and spoils neither the others nor the gradient."""
    blocked = np.concatenate([cplx(2, 1, 4), np.zeros([2, 1, 4])], -2)
    for h in (blocked, np.zeros([2, 2, 4], complex)):
        h = tf.constant(h)
        for cls in (irs.MRTPrecoder, irs.RZFPrecoder):
            with tf.GradientTape() as tape:
                tape.watch(h)
                v = cls(power=power, precision="double")(h, 0.1)
                loss = tf.reduce_sum(tf.square(tf.abs(v - 1)))
            assert np.all(np.isfinite(tape.gradient(loss, h)))
            np.testing.assert_array_equal(v[..., 1], 0)


def test_own_precoder():
    class Selection(irs.Precoder):
        def directions(self, h, no):
            return tf.eye(4, 2, [h.shape[0]], self.cdtype)

    v = Selection()(cplx(3, 2, 4), 0.1)
    np.testing.assert_allclose(np.sum(np.abs(v) ** 2, (-2, -1)), 1, rtol=1e-6)
    with pytest.raises(TypeError, match="Precoder must define directions"):
        irs.Precoder()(cplx(3, 2, 4), 0.1)


def test_bad_arguments():
    with pytest.raises(ValueError, match="power = 'each'; 'total' or 'per_user'"):
        irs.MRTPrecoder(power="each")
    for alpha in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"regularization = {alpha}; .* at least 0"):
            irs.RZFPrecoder(regularization=alpha)
    with pytest.raises(ValueError, match=r"h has shape \(2, 5, 4\): zero forcing needs at most"):
        irs.ZFPrecoder()(cplx(2, 5, 4), 0.1)
    with pytest.raises(ValueError, match="no = -1.0; a real number of at least 0"):
        irs.RZFPrecoder()(cplx(2, 3, 4), -1.0)


def filled(costs):
    """Powers max(0, level - cost) of sum 1, by bisection of the level."""
    low, high = 0.0, costs.max() + 1
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if np.maximum(level - costs, 0).sum() < 1 else (low, level)
    return np.maximum(level - costs, 0)


def test_zero_forcing_with_water_filling():
    """Parallel channels of costs N0 |w_k|^2, filled; weak users and those without a channel: 0."""
    h = cplx(6, 3, 5) * np.array([1.0, 0.3, 0.05])[:, None]
    no = np.array([1e-3, 0.1, 1.0, 3.0, 0.1, 1.0])
    h[4, 1] = 0
    v = irs.ZFPrecoder("water_filling", precision="double")(h, no).numpy()
    shut = 0
    for channel, noise, found in zip(h, no, v, strict=True):
        heard = np.any(channel != 0, 1)
        w = np.linalg.pinv(channel[heard])
        size = np.sum(np.abs(w) ** 2, 0)
        expected = np.zeros_like(found)
        expected[:, heard] = w * np.sqrt(filled(noise * size) / size)
        np.testing.assert_allclose(found, expected, atol=1e-7)
        shut += np.sum(~np.any(found, 0))
    assert shut >= 3
    np.testing.assert_allclose(np.sum(np.abs(v) ** 2, (1, 2)), 1, rtol=1e-9)
