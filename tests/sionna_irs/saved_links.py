"""Links around layers of Keras, trained, saved, and taken up again in another process."""

import keras
import numpy as np
import tensorflow as tf
from sionna.phy import Block
from sionna.phy.channel import AWGN
from sionna.phy.mapping import BinarySource, Mapper

import sionna_irs as irs


class Own(keras.layers.Layer):
    """A user's layer: its inner layers get their weights at the first call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.out = keras.layers.Dense(4, "relu"), keras.layers.Dense(2)

    def call(self, x):
        return self.out(self.hidden(x))


def sequential(*first):
    dense = keras.layers.Dense
    return keras.Sequential(
        [*first, dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.1), dense(2)]
    )


class Scale(irs.LinkLayer):
    """A layer of ours, its weight made in the constructor, around one of Keras, built there."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = self.add_weight(shape=[2], initializer="ones", name="scale")
        self.net = keras.layers.Dense(2, use_bias=False)
        self.net.build([None, 2])

    def call(self, x):
        return self.scale * self.net(x)


KINDS = {
    "scale": Scale,
    "dense": lambda: keras.layers.Dense(2),
    "own": Own,
    "sequential": sequential,
    "built": lambda: sequential(keras.Input([8, 2])),
}


class InBlock(Block):
    """A block of Sionna around a layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x, training=False):
        return self.layer(x, training=training) if training else self.layer(x)


class Held(keras.layers.Layer):
    """A user's layer around a block around a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block = InBlock(keras.layers.Dense(2))

    def call(self, x):
        return self.block(x)


class LateBlock(Block):
    """A block that makes its layer at its first call."""

    def build(self, *_, **__):
        self.layer = keras.layers.Dense(2)

    def call(self, x):
        return self.layer(x)


class NetLink(irs.Link):
    """QPSK over AWGN; a layer of Keras gives the log-likelihood ratios."""

    def __init__(self, kind="dense", in_block=False, **kwargs):
        super().__init__(**kwargs)
        self.source, self.mapper, self.awgn = BinarySource(), Mapper("qam", 2), AWGN()
        if kind == "late":
            self.net = LateBlock()
        elif kind == "held":
            self.net = Held()
        else:
            self.net = InBlock(KINDS[kind]()) if in_block else KINDS[kind]()

    def call(self, batch_size, ebno_db, training=False):
        no = tf.reshape(irs.ebno_db_to_no(ebno_db, num_bits_per_symbol=2), [-1, 1])
        b = self.source([batch_size, 8, 2])
        y = self.awgn(self.mapper(b)[..., 0], no)
        x = tf.stack([tf.math.real(y), tf.math.imag(y)], -1)
        return b, self.net(x, training=training) if self.learns(training) else self.net(x)

    def learns(self, training):
        """Whether the layer is told that it is being trained (it has a Dropout then)."""
        return training and isinstance(self.net, keras.Sequential | InBlock)


class DrawnLink(NetLink):
    """A link whose constructor draws."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.start = irs.random.normal([2])


def train(link, steps=10, stream=None):
    """Further steps, from the start of a stream if one is given."""
    if stream is not None:
        irs.random.reset(irs.random.stream_key(stream))
    link.fit(irs.uniform_ebno(0, 5), batch_size=4, steps_per_epoch=steps, verbose=0)


def state(link):
    """Every weight and the optimiser's variables, by order."""
    optimizer = link.optimizer.variables if link.compiled else []
    return [v.numpy() for v in [*link.variables, *optimizer]]


def resume(folder):
    """In a fresh process: load every link, write its state, train on, write it again."""
    for path in sorted(folder.glob("*.keras")):
        link = irs.load_model(path)
        np.savez(path.with_suffix(".loaded.npz"), *state(link))
        if link.compiled:
            train(link, stream=2)
            np.savez(path.with_suffix(".resumed.npz"), *state(link))
