"""The portable generator: same numbers in every mode, right moments, keyed streams."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from sionna.phy import config
from sionna.phy.mapping import BinarySource, Mapper

from sionna_irs import random

FIRST_OF_PERMUTATION = [854, 762, 748, 454]


def in_every_mode(draw):
    """The same draw, from one key, in eager, graph and XLA."""
    results = []
    for wrap in (
        lambda f: f,
        lambda f: tf.function(f, autograph=False),
        lambda f: tf.function(f, jit_compile=True, autograph=False),
    ):
        function = wrap(draw)
        random.reset(random.stream_key(3, 1))
        results.append(tf.nest.map_structure(np.asarray, function()))
    return results


@pytest.fixture(autouse=True)
def portable():
    random.install()


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
@pytest.mark.parametrize("draw", [random.uniform, random.normal])
def test_floats_agree_in_every_mode(draw, dtype):
    eager, graph, xla = in_every_mode(lambda: draw([5, 7], dtype))
    tolerance = 1e-6 if dtype == tf.float32 else 1e-14
    np.testing.assert_allclose(graph, eager, atol=tolerance)
    np.testing.assert_allclose(xla, eager, atol=tolerance)


@pytest.mark.parametrize("high", [1, 2, 16, 10])
def test_integers_agree_bit_for_bit_and_fill_the_range(high):
    eager, graph, xla = in_every_mode(lambda: random.integers([2000], high))
    np.testing.assert_array_equal(graph, eager)
    np.testing.assert_array_equal(xla, eager)
    assert eager.min() == 0 and eager.max() == high - 1
    counts = np.bincount(eager, minlength=high)
    assert scipy.stats.chisquare(counts).pvalue > 1e-6 or high == 1


def test_sionna_blocks_agree_in_every_mode():
    source, mapper = BinarySource(), Mapper("qam", 4)

    def draw():
        b = source([4, 16])
        return b, mapper(b), config.tf_rng.normal([9]), config.tf_rng.uniform([9], -1.0, 2.0)

    eager, graph, xla = in_every_mode(draw)
    for other in (graph, xla):
        np.testing.assert_array_equal(other[0], eager[0])
        for a, b in zip(other[1:], eager[1:], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert (eager[3] >= -1).all() and (eager[3] < 2).all()


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_distributions(dtype):
    random.reset(random.stream_key(11))
    z = random.normal([200_001], dtype).numpy()
    assert scipy.stats.kstest(z, "norm").pvalue > 1e-6
    # Both Box-Muller outputs are used: the two halves must be uncorrelated.
    half = len(z) // 2
    assert abs(np.corrcoef(z[:half], z[half : 2 * half])[0, 1]) < 5 / np.sqrt(half)
    u = random.uniform([200_001], dtype, -1.0, 3.0).numpy()
    assert scipy.stats.kstest(u, "uniform", (-1, 4)).pvalue > 1e-6


def test_complex_normal_is_circular_with_the_given_variance():
    random.reset(random.stream_key(12))
    z = random.complex_normal([100_000], tf.complex128, variance=3.0).numpy()
    # |z|^2 is exponential with mean 3 and standard deviation 3.
    assert abs(np.mean(np.abs(z) ** 2) - 3) < 5 * 3 / np.sqrt(z.size)
    assert abs(np.mean(z**2)) < 5 * 3 / np.sqrt(z.size)
    assert random.complex_normal([2, 3]).dtype == tf.complex64


def test_keys_are_distinct_and_equal_in_every_mode():
    keys = np.array([[int(random.stream_key(5, p, u)) for u in range(10)] for p in range(5)])
    assert np.unique(keys).size == keys.size
    compiled = tf.function(random.stream_key, jit_compile=True, autograph=False)
    words = [tf.constant(w, tf.int64) for w in (5, -3000, 2)]
    assert int(compiled(*words)) == int(random.stream_key(5, -3000, 2))


def test_seed_is_honoured():
    config.seed = 42
    first = random.normal([3]).numpy()
    config.seed = 42
    np.testing.assert_array_equal(random.normal([3]).numpy(), first)


def test_install_warns_when_a_block_holds_the_old_generator():
    portable = config._tf_rng
    try:
        config._tf_rng = tf.random.Generator.from_seed(1)
        source = BinarySource()
        with pytest.warns(UserWarning, match="Build blocks after install"):
            new = random.install()
        assert isinstance(new, random.PortableGenerator) and source is not None
        config._tf_rng = tf.random.Generator.from_seed(1)
        assert isinstance(random.install(), random.PortableGenerator)
    finally:
        config._tf_rng = portable


def test_dynamic_shapes():
    f = tf.function(lambda n: (random.normal([n, 3]), random.uniform([n])), autograph=False)
    z, u = f(tf.constant(5))
    assert z.shape == (5, 3) and u.shape == (5,)


def test_permutation_is_fixed_and_leaves_the_generator_alone():
    random.install()
    random.reset(random.stream_key(3))
    expected = random.normal([3]).numpy()
    random.reset(random.stream_key(3))
    order = random.permutation(1000)
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    assert order[:4].tolist() == FIRST_OF_PERMUTATION
    assert (random.permutation(1000, seed=1) != order).mean() > 0.9
    np.testing.assert_array_equal(random.normal([3]), expected)


def test_distinct_draws_are_uniform_without_replacement():
    random.install()
    random.reset(random.stream_key(5))
    picks = random.distinct(6000, 3, 4).numpy()
    assert all(len(set(row)) == 3 for row in picks)
    # Each of the 24 ordered triples: 250 expected, standard deviation 15.5.
    counts = np.unique(picks @ [16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24 and np.abs(counts - 250).max() < 5.5 * 15.5
