"""Identities that hold for any sizes and values, tried on generated ones."""

import math

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import sionna_irs as irs
from link_sims.results import intervals
from sionna_irs import linalg

SIZES = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)
CHEAP = settings(max_examples=25, deadline=None, derandomize=True)


def cplx(seed, *shape):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@CHEAP
@given(SEEDS, SIZES, SIZES, st.floats(-10, 10))
def test_a_common_turn_of_all_elements_turns_the_cascade(seed, num_rx, num_elements, turn):
    panel = irs.ULA(num_elements)
    hops = {"tx>s1": cplx(seed, num_elements, 1), "s1>rx": cplx(seed + 1, num_rx, num_elements)}
    channel = irs.SurfaceChannel(
        hops, {"s1": irs.IdealPhases(panel, precision="double")}, precision="double"
    )
    links = channel.draw(1)
    phases = np.random.default_rng(seed).uniform(0, 6, num_elements)
    plain, turned = (
        channel.compose(links, channel.reflect({"s1": tf.constant(p)}))
        for p in (phases, phases + turn)
    )
    np.testing.assert_allclose(turned, plain * np.exp(1j * turn), atol=1e-9)


@CHEAP
@given(SEEDS, SIZES, SIZES)
def test_decomposition_survives_unitary_factors(seed, m, n):
    h = cplx(seed, m, n)
    q, _ = np.linalg.qr(cplx(seed + 1, m, m))
    s, turned = linalg.svd(tf.constant(h))[0], linalg.svd(tf.constant(q @ h))[0]
    np.testing.assert_allclose(turned, s, rtol=1e-8, atol=1e-12)
    gram = tf.constant(h @ h.conj().T)
    np.testing.assert_allclose(
        linalg.hermitian_eig(gram)[0][: min(m, n)], tf.square(s), rtol=1e-7, atol=1e-9
    )


@CHEAP
@given(SEEDS, st.sampled_from([2, 4, 6, 8]), st.floats(0, 0.45))
def test_noise_within_half_a_cell_makes_no_error(seed, bits, share):
    qam = irs.QAM(bits)
    labels = tf.constant(np.random.default_rng(seed).integers(0, 2**bits, 50), tf.int32)
    half_cell = math.sqrt(6 / (2**bits - 1))
    x = qam.modulate(labels, tf.complex128) + share * half_cell * np.exp(1j * seed)
    assert [int(n) for n in qam.count_errors(labels, qam.decide(x))] == [0, 0]


@CHEAP
@given(st.integers(1, 10**9), st.data())
def test_binomial_interval_holds_the_estimate(trials, data):
    errors = data.draw(st.integers(0, trials))
    low, high = intervals.binomial(errors, trials)
    assert 0 <= low <= errors / trials <= high <= 1
    wider = intervals.binomial(errors, trials, 0.999)
    assert wider[0] <= low and high <= wider[1]


@CHEAP
@given(SEEDS, st.floats(0.1, 10))
def test_scaling_both_sums_changes_no_ratio(seed, scale):
    units = np.random.default_rng(seed).gamma(3, 1, [12, 2])
    np.testing.assert_allclose(intervals.ratio(scale * units), intervals.ratio(units), rtol=1e-9)
