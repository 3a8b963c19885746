"""A trained layer ready for use: its weights are constants of whatever compiles it."""

import keras
import tensorflow as tf

from .saving import layers_without_weights

__all__ = ["frozen"]


def frozen(layer):
    """The layer as a function of tensors, with the weights of this moment as constants.

    A compiled function takes every variable as an argument at every call, and a network of many
    small weights spends most of a call in a batch of one on that. Constants are also folded: what
    depends on the weights alone is computed when the function is compiled.

    Parameters
    ----------
    layer : keras.layers.Layer
        Weights that change afterwards do not reach the function.

    Returns
    -------
    callable
        Same arguments and results as the layer.

    Raises
    ------
    ValueError
        When a layer within has no weights before its first call, and was not called.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> import tensorflow as tf
    >>> estimator = irs.UnfoldedRLS(irs.ChainPilots(4, 6, trainable=True), num_rx_chains=2)
    >>> deployed = irs.frozen(estimator)
    >>> infer = tf.function(lambda y: deployed(y, 0.1), jit_compile=True)
    >>> infer(irs.random.complex_normal([1, 3, 2, 6])).shape
    TensorShape([1, 3, 2, 4])
    """
    if not layer.built:
        layer.build()
    without = layers_without_weights(layer)
    if without:
        raise ValueError(
            f"{without[0].name} of {layer.name} gets its weights at the first call; call "
            f"{layer.name} once before it is frozen"
        )
    values = [(variable, variable.numpy()) for variable in layer.variables]

    def call(*args, **kwargs):
        # Made here: constants of the graph that is traced, not tensors that it captures.
        constants = [(variable, tf.constant(value)) for variable, value in values]
        with keras.StatelessScope(state_mapping=constants):
            return layer(*args, **kwargs)

    return call
