"""The demapper by axes against the sums over all points, and against Sionna's."""

import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.mapping import Constellation, Demapper

import sionna_irs as irs


def twin(y, no, m, prior=None, largest=False):
    """Logits [..., m] from all 2^m points in float64."""
    points = Constellation("qam", m, precision="double")().numpy()
    bits = np.arange(2**m)[:, None] >> np.arange(m)[::-1] & 1
    terms = -(np.abs(y[..., None] - points) ** 2) / no[..., None]
    if prior is not None:
        signs = 2 * bits - 1
        terms = terms - np.logaddexp(0, -signs * prior[..., None, :]).sum(-1)
    merge = np.maximum.reduce if largest else np.logaddexp.reduce
    one = np.stack([merge(terms[..., bits[:, i] == 1], -1) for i in range(m)], -1)
    return one - np.stack([merge(terms[..., bits[:, i] == 0], -1) for i in range(m)], -1)


@pytest.mark.parametrize("m", [2, 4, 6, 8])
@pytest.mark.parametrize("method", ["app", "maxlog"])
def test_exact(m, method):
    rng = np.random.default_rng(m)
    y = rng.normal(0, 1, (3, 20)) + 1j * rng.normal(0, 1, (3, 20))
    no = 10 ** rng.uniform(-3, 1, (3, 20))
    prior = rng.normal(0, 2, (3, 20, m))
    double = irs.Demapper(method, "qam", m, precision="double")
    for given in (None, prior):
        wanted = twin(y, no, m, given, method == "maxlog").reshape(3, 20 * m)
        np.testing.assert_allclose(double(y, no, given), wanted, rtol=1e-10, atol=1e-10)
        hard = irs.Demapper(method, "qam", m, hard_out=True)(y, no, given)
        np.testing.assert_array_equal(hard, wanted > 0)
    y, no = tf.constant(y, tf.complex64), tf.constant(no, tf.float32)
    single, theirs = irs.Demapper(method, "qam", m), Demapper(method, "qam", m)
    np.testing.assert_allclose(single(y, no), theirs(y, no), rtol=2e-5, atol=2e-4)
    xla = tf.function(single, jit_compile=True)
    np.testing.assert_allclose(xla(y, no), single(y, no), rtol=2e-5, atol=2e-4)
    assert np.isfinite(single(1e3 * y, 1e-6)).all()
    assert np.isfinite(single(y, 0.0)).all()


def test_qam_decides_as_its_logits():
    qam = irs.QAM(4)
    labels = tf.range(16)
    llr = qam.llr(qam.modulate(labels), 0.1)
    assert llr.shape == (16, 4)
    weights = tf.constant([8, 4, 2, 1])
    np.testing.assert_array_equal(tf.reduce_sum(tf.where(llr > 0, weights, 0), -1), labels)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"demapping_method": "mmse"}, "demapping_method = 'mmse'; 'app' or 'maxlog' is needed"),
        ({"constellation_type": "pam"}, "constellation_type = 'pam'; 'qam' is needed"),
        ({"constellation": Constellation("qam", 4)}, "constellation = .*; None is needed"),
        ({"num_bits_per_symbol": 3}, "num_bits_per_symbol = 3; 2, 4, 6, 8 or 10 is needed"),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        irs.Demapper(**{"num_bits_per_symbol": 4, **arguments})


def test_noise_is_not_negative():
    with pytest.raises(ValueError, match="no = -1"):
        irs.Demapper("app", "qam", 2)(tf.zeros([3, 5], tf.complex64), -1.0)
