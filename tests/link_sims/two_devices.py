"""What test_distribute.py runs in processes of their own: two virtual CPUs stand for two GPUs."""

import contextlib
import os
import pathlib
import sys

import numpy as np
import pytest

import link_sims

tiny = link_sims.Experiment(
    "tests/replicas",
    config=type("Config", (link_sims.Config,), {
        "__annotations__": {"num_steps": link_sims.PositiveInt}, "num_steps": 9,
    }),
    profiles={"smoke": {}, "cpu": {}, "paper": {}},
)  # fmt: skip


@tiny.recursion("training", length="num_steps", record_every=3)
def training(cfg, seed):
    from link_sims.training.training import cosine_adam

    return normalised(cosine_adam(0.1, cfg.num_steps, 2), cfg.precision)


def normalised(optimizer, precision):
    """Training of a layer with averages, on fresh draws; a held-out curve, recorded alone."""
    import tensorflow as tf

    import sionna_irs as irs
    from link_sims.training.training import training

    class Normalised(irs.LinkLayer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.norm = irs.BatchNorm(4, precision=self.precision)
            self.kernel = self.add_weight(shape=(4, 4), initializer="ones", name="kernel")
            self.scale = self.add_weight(
                shape=(), initializer=lambda *_, **__: 1 / 3, trainable=False, name="scale"
            )

        def call(self, x, training=False):
            return tf.sin(self.norm(x @ self.kernel.value, training=training)) * self.scale.value

    layer = Normalised(precision=precision)
    fixed = irs.BatchNorm(4, precision=precision)  # a layer of the loss alone

    def loss(call, t):
        x = irs.random.normal([16, 4], layer.rdtype)
        value = tf.reduce_mean(tf.square(call(x) - fixed(x)))
        return value, {("loss", "training"): (value, 1), ("input", "training"): (x[0, 0], 16)}

    def evaluate(call):
        irs.random.reset(irs.random.stream_key(99))
        x = irs.random.normal([16, 4], layer.rdtype)
        return {("loss", "held out"): (tf.reduce_mean(tf.square(call(x) - x)), 1)}

    return training(layer, optimizer, loss, [("loss", "held out")], evaluate, 3)


class Steepest:
    """Moves by the gradients themselves."""

    def start(self, values):
        return {}

    def step(self, values, gradients, slots):
        return [v - g for v, g in zip(values, gradients, strict=True)], slots


def start_two():
    """A strategy over two virtual CPUs."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    one = tf.config.LogicalDeviceConfiguration()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [one, one])
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def assert_close(found, expected, tolerance):
    """Equal to a tolerance relative to the largest value of each array."""
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.abs(a - b).max() <= tolerance * max(1.0, np.abs(b).max()), (a, b)


def of_every_replica(strategy, link):
    """The weights of the first replica, once those of the others equal them."""
    weights = []
    for weight in link.weights:
        first, *others = (v.numpy() for v in strategy.experimental_local_results(weight.value))
        for other in others:
            np.testing.assert_array_equal(first, other)
        weights.append(first)
    return weights


def check_streams(strategy):
    """Replicas draw different numbers, after a seed the same ones; other draws see none of it."""
    import tensorflow as tf
    from sionna.phy import config

    from sionna_irs import random

    alone = []
    for _ in range(2):
        config.seed = 5
        alone.append(random.normal([4]).numpy())
        with strategy.scope():
            random.install()
        draw = tf.function(lambda: strategy.run(lambda: random.normal([4])))
        config.seed = 5
        found = [v.numpy() for v in strategy.experimental_local_results(draw())]
        assert not np.any(found[0] == found[1])
        np.testing.assert_array_equal(random.normal([4]), alone[0])
        alone.append(found[1])
    np.testing.assert_array_equal(alone[0], alone[2])
    np.testing.assert_array_equal(alone[1], alone[3])


def make_link():
    """An OFDM link whose likelihood ratios are normalised by a layer with averages."""
    import link_models

    import sionna_irs as irs

    class Normalised(link_models.OFDMLink):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.norm = irs.BatchNorm(32)

        def call(self, batch_size, ebno_db, training=False):
            b, llr = super().call(batch_size, ebno_db)
            return b, self.norm(llr, training=training)

    return Normalised()


def check_fit(strategy):
    """``fit`` lowers the loss, can be repeated, and leaves all replicas with the same weights."""
    from sionna.phy import config

    import sionna_irs as irs

    runs = []
    for compiled in (False, False, True):
        config.seed = 3
        with strategy.scope():
            link = make_link()
            link.compile("adam", jit_compile=compiled)
        link.optimizer.learning_rate = 0.1
        history = link.fit(
            irs.uniform_ebno(0, 5), batch_size=32, steps_per_epoch=8, epochs=2, verbose=0
        ).history["loss"]
        assert history[1] < history[0] < 1
        runs.append((history, of_every_replica(strategy, link)))
    assert runs[0][0] == runs[1][0]
    assert_close(runs[0][1], runs[1][1], 0)
    assert_close([runs[0][0]], [runs[2][0]], 1e-3)
    assert np.isfinite(link.evaluate(irs.uniform_ebno(0, 5), batch_size=8, steps=2, verbose=0))
    outside = make_link()
    outside.compile("adam")
    for what, batch_size, text in ((link, 7, "batch_size = 7"), (outside, 8, "compiled outside")):
        with strategy.scope(), pytest.raises(ValueError, match=text):
            what.fit(irs.uniform_ebno(0, 5), batch_size=batch_size, steps_per_epoch=1)


def check_fit_step(strategy):
    """A step at constant Eb/N0 goes along the mean of the gradients of both replicas."""
    import keras
    import tensorflow as tf
    from sionna.phy import config

    from sionna_irs import random

    config.precision = "double"
    with strategy.scope():
        link = make_link()
        link.compile(keras.optimizers.SGD(1.0), metrics=["mae"])
    twin = make_link()
    twin.set_weights(link.get_weights())
    before = [w.numpy() for w in twin.trainable_weights]
    ebno_db = np.full(16, 2.0)
    random.reset(random.stream_key(4))
    history = link.fit(ebno_db, batch_size=16, verbose=0).history
    random.reset(random.stream_key(4))
    key, found = random.draw_key(), []
    averages = [w.numpy() for w in twin.non_trainable_weights]
    for replica in range(2):
        for weight, value in zip(twin.non_trainable_weights, averages, strict=True):
            weight.assign(value)
        random.reset(random.stream_key(key, replica))
        with tf.GradientTape() as tape:
            b, llr = twin(8, tf.constant(ebno_db[:8]), training=True)
            loss = twin.compute_loss(None, b, llr)
        gradients = tape.gradient(loss, twin.trainable_weights)
        moved = [w.numpy() for w in twin.non_trainable_weights]
        found.append([loss, *(w - g for w, g in zip(before, gradients, strict=True)), *moved])
    expected = [(np.asarray(a) + np.asarray(b)) / 2 for a, b in zip(*found, strict=True)]
    of_every_replica(strategy, link)
    weights = [w.numpy() for w in (*link.trainable_weights, *link.non_trainable_weights)]
    assert_close(weights, expected[1:], 1e-12)
    assert_close(history["loss"], expected[:1], 1e-6)  # Keras keeps metrics in single precision
    assert np.isfinite(history["mae"][0])
    config.precision = "single"


def check_loop(strategy):
    """A step of two replicas is the mean of two steps with their keys; sums are added."""
    import tensorflow as tf

    from link_sims.runs.recursion import Advance, _word
    from sionna_irs import random

    random.install()
    for precision, mode, tolerance in (
        ("double", "graph", 1e-12), ("double", "xla", 1e-12), ("double", "eager", 1e-12),
        ("single", "graph", 1e-6), ("single", "xla", 1e-6),
    ):  # fmt: skip
        with strategy.scope():
            start, advance = normalised(Steepest(), precision)
            state = tf.nest.map_structure(tf.convert_to_tensor, start())
            stepper = Advance(advance, "name", 7, state, mode)
            found, sums = stepper(state, 2, 1)
            again, _ = stepper(state, 2, 1)
        assert_close(tf.nest.flatten(found), tf.nest.flatten(again), 0)
        _, advance = normalised(Steepest(), precision)
        t = tf.constant(2, tf.int64)
        random.reset(random.stream_key(7, _word("name"), t))
        key, single = random.draw_key(), []
        for replica in range(2):
            random.reset(random.stream_key(key, replica))
            single.append(advance(state, t))
        mean = [(a + b) / 2 for a, b in zip(*(tf.nest.flatten(s) for s, _ in single), strict=True)]
        assert_close(tf.nest.flatten(found), mean, tolerance)
        assert not np.array_equal(*(s["weights"][0] for s, _ in single))
        scales = [[v for v in s["averages"] if v.shape.rank == 0] for s in (found, state)]
        assert_close(*scales, 0)  # what nothing moves stays as it is
        drawn = [
            [sum(float(s[curve][i]) for _, s in single) for i in (0, 1)]
            for curve in (("loss", "training"), ("input", "training"))
        ]
        assert_close(sums[:2], drawn, 10 * tolerance)  # cancels
        assert float(sums[2, 1]) == 1  # measured once


def check_resume(strategy, out):
    """A run that stops after its second record ends as one that does not."""
    from link_sims.runs import recursion, runner, store

    recursion._SECONDS_PER_CHECKPOINT = 0.0
    texts, append = [], store.RunFolder.append
    for name, stop in (("whole", None), ("split", 2), ("split", None)):
        written = []

        def stopping(self, record, written=written, stop=stop):
            append(self, record)
            written.append(record)
            if len(written) == stop:
                raise KeyboardInterrupt

        store.RunFolder.append = stopping
        folder = pathlib.Path(out, name)
        options = {"folder": folder, "execution": "graph", "quiet": True, "figure": False}
        with contextlib.nullcontext() if stop is None else pytest.raises(KeyboardInterrupt):
            runner.run(tiny, tiny.resolve("smoke"), "smoke", replicas=2, **options)
        texts.append((folder / "results.csv").read_text())
    assert texts[0] == texts[2] != texts[1]
    with pytest.raises(link_sims.UserError, match="replicas is 2 there"):
        runner.run(tiny, tiny.resolve("smoke"), "smoke", folder=folder, quiet=True)


if __name__ == "__main__":
    strategy = start_two()
    if sys.argv[1] == "link-sims":
        from link_sims.cli import main

        sys.argv[:2] = ["link-sims"]
        main()
    elif sys.argv[1] == "check_resume":
        check_resume(strategy, sys.argv[2])
    else:
        for check in sys.argv[1:]:
            globals()[check](strategy)
