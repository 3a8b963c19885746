"""Hypergradients, derivation of cells, and the search as state and step."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import sionna_irs as irs
from sionna_irs.search.derive import derive_genotype, random_genotype
from sionna_irs.search.genotype import EXTENDED, PAPER
from sionna_irs.search.hypergradient import difference_product, hypergradient
from sionna_irs.search.search import METHODS, ArchitectureSearch


class Quadratic:
    """L = w'Hw/2 - w'(B a + c), F = (w - w*)'Q(w - w*)/2 + a'E a/2: everything in closed form."""

    def __init__(self, rng, size=6, num_alpha=3):
        def square(n, ridge):
            a = rng.standard_normal((n, n))
            return a @ a.T / n + ridge * np.eye(n)

        self.h = square(size, 0.5)
        self.b = rng.standard_normal((size, num_alpha))
        self.c = rng.standard_normal(size)
        self.q = square(size, 0.1)
        self.w_star = rng.standard_normal(size)
        self.e = square(num_alpha, 0.0)
        self.w = rng.standard_normal(size)
        self.a = rng.standard_normal(num_alpha)
        smallest, *_, largest = np.linalg.eigvalsh(self.h)
        self.rate = 0.9 / largest
        self.contraction = self.rate * smallest

    def train(self, w, a, t=0):
        target = tf.linalg.matvec(self.b, a) + self.c
        return tf.reduce_sum(w * (0.5 * tf.linalg.matvec(self.h, w) - target))

    def validation(self, w, a):
        gap = w - self.w_star
        return 0.5 * tf.reduce_sum(gap * tf.linalg.matvec(self.q, gap)) + 0.5 * tf.reduce_sum(
            a * tf.linalg.matvec(self.e, a)
        )

    def gradient(self, num_steps, truncation):
        return hypergradient(
            self.train, self.validation, tf.convert_to_tensor(self.w),
            tf.convert_to_tensor(self.a), self.rate, num_steps, truncation,
        )  # fmt: skip

    @classmethod
    def traced(cls, num_steps, truncation):
        """numbers of one -> its gradient, traced once for all of a size."""

        def gradient(numbers):
            quadratic = cls.__new__(cls)
            vars(quadratic).update(numbers)
            return quadratic.gradient(num_steps, truncation).gradient

        return tf.function(gradient, autograph=False)

    def twin(self, num_steps, truncation):
        """Gradient and final weights from powers of A = I - rate H."""
        step = np.eye(len(self.h)) - self.rate * self.h
        powers = [np.linalg.matrix_power(step, j) for j in range(num_steps + 1)]
        push = self.rate * (self.b @ self.a + self.c)
        w = powers[num_steps] @ self.w + sum((p @ push for p in powers[:num_steps]), 0 * self.w)
        total = sum(powers[:truncation], 0 * self.h)
        slope = self.q @ (w - self.w_star)
        return self.e @ self.a + self.rate * self.b.T @ total @ slope, w

    def bound(self, weights, truncation):
        """Lemma 1: how far the truncated gradient can be from the full one."""
        slope = np.linalg.norm(self.q @ (weights - self.w_star))
        spread = np.linalg.norm(self.rate * self.b, 2)
        return (1 - self.contraction) ** truncation / self.contraction * slope * spread


TABLE = {
    0: ([0.34734666, -1.99500268, -1.72707002], 39.4538, 63.2612),
    1: ([2.23838634, -10.9514403, -5.95400534], 29.4015, 51.0331),
    2: ([3.57775289, -17.9994985, -8.28987797], 21.8610, 41.1687),
    5: ([5.93137702, -30.3683153, -12.7012826], 8.5250, 21.6128),
    10: ([7.46951654, -38.1303820, -15.8730527], 0.0, 7.3839),
}


def test_quadratic_table():
    quadratic = Quadratic(np.random.default_rng(11))
    assert quadratic.rate == pytest.approx(0.3824511946, abs=1e-10)
    full = quadratic.gradient(10, 10).gradient
    for truncation, (printed, error, bound) in TABLE.items():
        found = quadratic.gradient(10, truncation)
        # Nine digits are printed.
        np.testing.assert_allclose(found.gradient, printed, rtol=5e-9, atol=6e-9)
        assert np.linalg.norm(found.gradient - full) == pytest.approx(error, abs=6e-5)
        assert quadratic.bound(found.weights.numpy(), truncation) == pytest.approx(bound, abs=6e-5)
        twin, weights = quadratic.twin(10, truncation)
        np.testing.assert_allclose(found.gradient, twin, rtol=1e-12)
        np.testing.assert_allclose(found.weights, weights, rtol=1e-12)
    limit = [9.06961374, -46.5971775, -19.4687041]
    np.testing.assert_allclose(quadratic.gradient(300, 300).gradient, limit, rtol=5e-9)


def test_lemma_1_on_100_random_quadratics():
    rng = np.random.default_rng(3)
    calls = {truncation: Quadratic.traced(6, truncation) for truncation in (0, 1, 3)}
    for _ in range(100):
        quadratic = Quadratic(rng, size=4, num_alpha=2)
        full, weights = quadratic.twin(6, 6)
        numbers = {name: tf.constant(value) for name, value in vars(quadratic).items()}
        for truncation, call in calls.items():
            gap = np.linalg.norm(call(numbers) - full)
            assert gap <= quadratic.bound(weights, truncation)


def smooth_train(w, a, t):
    """Not quadratic, other in every step; nests of tensors."""
    mixed = tf.nn.softmax(a["mixing"])
    x = tf.cast(tf.range(4), tf.float64) / 3 + 0.1 * tf.cast(t, tf.float64)
    y = mixed[0] * tf.tanh(w[0] * x) + mixed[1] * tf.sin(w[1]["scale"] * x)
    return tf.reduce_mean((y - x**2) ** 2) + a["decay"] * tf.reduce_sum(w[0] ** 2)


def smooth_validation(w, a):
    return tf.reduce_sum(tf.sin(w[0])) * w[1]["scale"] + tf.reduce_sum(a["mixing"] ** 2)


def smooth_start():
    double = lambda *v: tf.constant(v, tf.float64)  # noqa: E731
    weights = [double(0.4, -0.3, 0.2, 0.9), {"scale": tf.constant(0.7, tf.float64)}]
    return weights, {"mixing": double(0.3, -0.2), "decay": tf.constant(0.1, tf.float64)}


def falling_rate(t):
    return 0.5 / (1 + tf.cast(t, tf.float64))


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_recursion_equals_a_nested_tape_over_the_unrolled_steps(mode):
    def recursion(weights, alpha):
        found = hypergradient(
            smooth_train, smooth_validation, weights, alpha, falling_rate, num_steps=3
        )
        return found.gradient, found.weights

    run = {
        "eager": lambda f: f,
        "graph": lambda f: tf.function(f, autograph=False),
        "xla": lambda f: tf.function(f, jit_compile=True, autograph=False),
    }[mode](recursion)
    weights, alpha = smooth_start()
    gradient, final = run(weights, alpha)
    with tf.GradientTape() as outer:
        outer.watch(alpha)
        w = weights
        for t in range(3):
            with tf.GradientTape() as inner:
                inner.watch(w)
                loss = smooth_train(w, alpha, t)
            slope = inner.gradient(loss, w)
            w = tf.nest.map_structure(lambda v, s, t=t: v - falling_rate(t) * s, w, slope)
        loss = smooth_validation(w, alpha)
    expected = outer.gradient(loss, alpha)
    for found, wanted in zip(
        tf.nest.flatten((gradient, final)), tf.nest.flatten((expected, w)), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


def darts(weights, alpha, rate):
    """Written from the paper of DARTS: (7), with the exact product by a Jacobian."""
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        with tf.GradientTape() as inner:
            inner.watch(weights)
            loss = smooth_train(weights, alpha, 0)
        slope = inner.gradient(loss, weights)
    mixed = tape.jacobian(slope[0], alpha["mixing"])
    with tf.GradientTape() as tape:
        moved = [weights[0] - rate * slope[0], {"scale": weights[1]["scale"]}]
        tape.watch((moved, alpha))
        loss = smooth_validation(moved, alpha)
    costate, gradient = tape.gradient(loss, (moved[0], alpha["mixing"]))
    return gradient - rate * tf.linalg.matvec(mixed, costate, transpose_a=True)


def test_one_step_is_darts_and_none_its_first_order():
    weights, alpha = smooth_start()

    still = {"scale": tf.identity(weights[1]["scale"])}  # another tensor than the watched one

    def train(w, a, t):  # of the first weights alone
        return smooth_train([w[0], still], a, t)

    def gradient(**kwargs):
        found = hypergradient(train, smooth_validation, weights, alpha, 0.2, 1, **kwargs)
        return found.gradient["mixing"].numpy()

    expected = darts(weights, alpha, 0.2).numpy()
    np.testing.assert_allclose(gradient(), expected, rtol=1e-13)
    np.testing.assert_allclose(gradient(truncation=0), 2 * alpha["mixing"], rtol=1e-13)
    product = gradient(product=difference_product) - gradient(truncation=0)
    # A central difference of radius 0.01: right in the first four digits, not in all.
    exact = expected - gradient(truncation=0)
    np.testing.assert_allclose(product, exact, rtol=1e-3)
    assert np.max(np.abs(product / exact - 1)) > 1e-9


def test_bad_numbers_of_steps_are_refused():
    weights, alpha = smooth_start()
    for steps, truncation in ((2, 3), (2, -1), (-1, 0)):
        with pytest.raises(ValueError, match="num_steps|truncation"):
            hypergradient(smooth_train, smooth_validation, weights, alpha, 0.1, steps, truncation)


def tiny_search(norm=True, operations=PAPER, **kwargs):
    """A search in double precision, with a smooth activation, on given draws."""
    irs.random.reset(irs.random.stream_key(5))
    network = irs.CellNetwork(
        irs.Genotype.relaxed(1, 1, operations), num_filters=2, norm=norm, activation="silu",
        precision="double",
    )  # fmt: skip

    def draw(split, index):
        irs.random.reset(irs.random.stream_key(len(split), index))
        return irs.random.normal([2, 3, 4, 2], tf.float64)

    def loss(call, x):
        return tf.reduce_mean(tf.square(call(x) - tf.sin(x)))

    return ArchitectureSearch(network, draw, loss, num_steps=20, rate=0.1, **kwargs)


def test_supernet_with_batch_normalisation_against_central_differences():
    found = tiny_search()
    state = found.start()
    draws = [found.draw("training", t) for t in range(2)]
    shape = state["alpha"].shape

    def outputs(weights, alpha, x):
        return found.network.stateless_call(
            weights, state["averages"], x, mixing=tf.nn.softmax(alpha, -1), training=True
        )[0]

    def train(weights, alpha, t):
        x = tf.stack(draws)[t]
        return tf.reduce_mean(tf.square(outputs(weights, alpha, x) - tf.sin(x)))

    def validation(weights, alpha):
        x = found.draw("validation", 0)
        return tf.reduce_mean(tf.square(outputs(weights, alpha, x) - tf.sin(x)))

    @tf.function(autograph=False)
    def run(alpha):
        found = hypergradient(train, validation, state["weights"], alpha, 0.3, num_steps=2)
        return found.gradient, found.validation_loss

    gradient = run(state["alpha"])[0].numpy()
    differences = np.zeros(shape)
    for index in itertools.product(*(range(n) for n in shape)):
        # Richardson: the error of a central difference of width h falls with h^4.
        slopes = []
        for width in (1e-3, 2e-3):
            ends = []
            for side in (1, -1):
                moved = state["alpha"].numpy().copy()
                moved[index] += side * width
                ends.append(float(run(tf.constant(moved))[1]))
            slopes.append((ends[0] - ends[1]) / (2 * width))
        differences[index] = (4 * slopes[0] - slopes[1]) / 3
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(gradient, differences, atol=1e-8 * scale)
    assert scale > 1e-4


def test_steps_of_the_search_are_the_hypergradient_and_adam():
    found = tiny_search(operations=EXTENDED, decay=0.01, alpha_rate=0.05, alpha_decay=0.1)
    start = found.start()
    state, losses = found.advance(start, 3)

    def outcome(weights, alpha, split, index):
        x = found.draw(split, index)
        y, _ = found.network.stateless_call(
            weights, start["averages"], x, mixing=tf.nn.softmax(alpha, -1), training=True
        )
        return tf.reduce_mean(tf.square(y - tf.sin(x)))

    weights, rates = start["weights"], [float(found.search_rate(t)) for t in (6, 7)]
    with tf.GradientTape() as outer:
        outer.watch(start["alpha"])
        for t in range(2):
            with tf.GradientTape() as inner:
                inner.watch(weights)
                loss = outcome(weights, start["alpha"], "training", 6 + t)
                loss += 0.005 * sum(tf.reduce_sum(w**2) for w in weights)
            slopes = inner.gradient(loss, weights)
            weights = [w - rates[t] * s for w, s in zip(weights, slopes, strict=True)]
        loss = outcome(weights, start["alpha"], "validation", 3)
    gradient = outer.gradient(loss, start["alpha"]) + 0.1 * start["alpha"]
    for got, wanted in zip(state["weights"], weights, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)  # the rates are single
    assert float(losses["validation"]) == pytest.approx(float(loss), rel=1e-6)
    # The first step of Adam: its rate, against the sign.
    moved = state["alpha"] - start["alpha"]
    np.testing.assert_allclose(moved, -0.05 * np.sign(gradient), rtol=1e-3)


def test_averages_are_replayed_once_per_training_batch():
    found = tiny_search(inner_steps=3, truncation=2)
    state = found.start()
    after, _ = found.advance(state, 0)
    averages, weights = state["averages"], state["weights"]
    rate = float(found.search_rate(0))
    x = found.draw("training", 0)
    _, averages = found.network.stateless_call(
        weights, averages, x, mixing=tf.nn.softmax(state["alpha"], -1), training=True
    )
    assert rate == pytest.approx(0.1)
    # Of the first stem, whose input does not depend on weights: three batches, momentum 0.95.
    kernel_free = [tf.reduce_any(a != b) for a, b in zip(averages, after["averages"], strict=True)]
    assert all(bool(v) for v in kernel_free)
    moved_once = 1 - 0.95
    assert float(averages[1][0]) == pytest.approx(0.95 + moved_once * _variance(found, state, 0))


def _variance(found, state, index):
    x = found.network.stems[0]
    kernel = state["weights"][0]
    y = tf.nn.conv2d(found.draw("training", index), kernel, 1, "SAME")
    assert x.kernel.shape == kernel.shape
    return float(tf.math.reduce_variance(y[..., 0]))


def test_pretraining_trains_the_weights_alone_and_alike():
    found = tiny_search(num_pretraining=5, **METHODS["DARTS"])
    state = found.start()
    other = {
        **state,
        "alpha": state["alpha"] + 3 * tf.random.normal(state["alpha"].shape, 0, 1, tf.float64),
    }
    step = tf.function(found.advance, autograph=False)
    for start in (state, other):
        after, losses = step(start, tf.constant(4))
        assert bool(tf.reduce_all(after["alpha"] == start["alpha"]))
        assert float(losses["validation"]) == 0 and int(after["adam"]["steps"]) == 0
    weights = [step(s, tf.constant(4))[0]["weights"][0] for s in (state, other)]
    np.testing.assert_array_equal(*weights)
    after, losses = step(state, tf.constant(5))
    assert float(losses["validation"]) > 0 and bool(tf.reduce_any(after["alpha"] != state["alpha"]))


def test_searches_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="truncation = 3"):
        tiny_search(truncation=3)
    with pytest.raises(ValueError, match="num_pretraining = 21"):
        tiny_search(num_pretraining=21)
    with pytest.raises(ValueError, match="relaxed"):
        tiny_search(operations=("conv",))


alphas = st.integers(1, 3).flatmap(
    lambda nodes: st.lists(
        st.lists(
            st.lists(st.integers(-300, 300).map(lambda v: v / 10), min_size=6, max_size=6),
            min_size=2 * nodes + nodes * (nodes - 1) // 2,
            max_size=2 * nodes + nodes * (nodes - 1) // 2,
        ),
        min_size=1,
        max_size=2,
    )
)


def reached(nodes):
    """Which nodes hear of an input."""
    heard = [True, True]
    for node in nodes:
        heard.append(any(a and o != ("zero",) for a, o in zip(heard, node, strict=True)))
    return heard[2:]


@settings(max_examples=60, deadline=None)
@given(alpha=alphas, dead=st.booleans(), rule=st.sampled_from(["argmax", "top2"]))
def test_every_node_of_a_derived_cell_depends_on_an_input(alpha, dead, rule):
    alpha = np.array(alpha)
    if dead:
        alpha[..., EXTENDED.index("zero")] = 40.0  # removes every edge
    genotype = derive_genotype(alpha, EXTENDED, rule)
    for strengths, nodes in zip(alpha, genotype.cells, strict=True):
        assert all(reached(nodes))
        edges = [edge for node in nodes for edge in node]
        for strength, (name,) in zip(strengths, edges, strict=True):
            live = [s for s, o in zip(strength, EXTENDED, strict=True) if o != "zero"]
            if name != "zero":
                assert strength[EXTENDED.index(name)] == max(live)
            elif rule == "argmax":
                assert strength[EXTENDED.index("zero")] == max(strength)
        live_edges = [sum(e != ("zero",) for e in node) for node in nodes]
        if rule == "top2":
            assert live_edges == [2] * len(nodes)
        elif dead:
            assert live_edges == [1] * len(nodes)
    assert irs.Genotype.from_json(genotype.to_json()) == genotype


def test_derivation_by_hand():
    alpha = np.log([[[0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.6, 0.3],
                     [0.1, 0.75, 0.15]]])  # fmt: skip
    operations = ("skip", "zero", "conv")
    assert derive_genotype(alpha, operations).cells == (
        ((("skip",), ("zero",)), (("zero",), ("conv",), ("zero",))),
    )
    # skip and conv tie on the second edge; the first listed wins.
    assert derive_genotype(alpha, operations, "top2").cells == (
        ((("skip",), ("skip",)), (("skip",), ("conv",), ("zero",))),
    )
    with pytest.raises(ValueError, match="rule = 'best'"):
        derive_genotype(alpha, operations, "best")
    with pytest.raises(ValueError, match="alpha has shape"):
        derive_genotype(alpha, EXTENDED)
    with pytest.raises(ValueError, match="4 edges per cell"):
        derive_genotype(alpha[:, :4], operations)
    with pytest.raises(ValueError, match="other than 'zero'"):
        derive_genotype(alpha[..., :1], ("zero",))


def test_random_genotypes_are_uniform_keyed_and_leave_the_generator_alone():
    irs.random.reset(irs.random.stream_key(1))
    before = irs.random.normal([3])
    irs.random.reset(irs.random.stream_key(1))
    drawn = [random_genotype(2, 2, EXTENDED, seed) for seed in range(200)]
    np.testing.assert_array_equal(irs.random.normal([3]), before)
    assert drawn[3] == random_genotype(2, 2, EXTENDED, 3) != drawn[4]
    counts = np.array([sum(g.count(name) for g in drawn) for name in EXTENDED])
    assert counts.sum() == 2000
    # Five standard deviations of a binomial; the guard moves 1.5 % of the edges off "zero".
    np.testing.assert_allclose(counts, 2000 / 6, atol=5 * np.sqrt(2000 * 5 / 36) + 30)
