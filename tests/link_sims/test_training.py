"""Trainings that start from others and leave a part of the layer alone."""

import numpy as np
import tensorflow as tf

from link_sims.training import training as trainer
from sionna_irs.networks.dense import Dense


def run(layer, steps, **options):
    def loss(call, t):
        value = tf.reduce_mean(tf.square(call(tf.ones([4, 2])) - 1))
        return value, {("loss", "c"): (value, 1)}

    start, advance = trainer.training(layer, trainer.cosine_adam(0.1, steps, 1), loss, **options)
    state = start()
    for t in range(steps):
        state, sums = advance(state, tf.constant(t, tf.int64))
    return state, float(sums["loss", "c"][0])


def test_chosen_variables_move_and_a_training_goes_on():
    layer = Dense(2, 3)
    kernel, bias = (v.numpy() for v in (layer.kernel, layer.bias))
    state, first = run(layer, 20, variables=[layer.bias])
    np.testing.assert_array_equal(state["weights"][0], kernel)
    assert np.all(state["weights"][1].numpy() != bias)
    after, last = run(layer, 20, variables=[layer.kernel], initial=state)
    np.testing.assert_array_equal(after["weights"][1], state["weights"][1])
    assert last < first
    trainer.assign(layer, after)
    np.testing.assert_array_equal(layer.kernel.numpy(), after["weights"][0])
