"""Batch normalisation whose second derivatives are right."""

import tensorflow as tf

from ..layer import Input, LinkLayer

__all__ = ["BatchNorm"]


class BatchNorm(LinkLayer):
    r"""Normalise every channel over the batch: :math:`\gamma(x-\mu)/\sqrt{v+\epsilon}+\beta`.

    Keras' own layer takes its moments from ``tf.nn.moments``, which stops the gradient of the
    mean inside the variance: first derivatives are right, second ones are not. A hypergradient
    needs both, so mean and variance are written out here.

    Parameters
    ----------
    num_channels : int
    momentum : float
        Of the moving mean and variance, which stand in for those of the batch unless `training`.
    epsilon : float

    Input
    -----
    x : tf.Tensor, [..., num_channels], real
    training : bool
        Whether to use the moments of the batch, and to move the averages.

    Output
    ------
    tf.Tensor, [..., num_channels], real

    Raises
    ------
    ValueError
        For a momentum outside [0, 1).

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> y = irs.BatchNorm(2)(tf.constant([[1.0, 4.0], [3.0, 0.0]]), training=True)
    >>> y.numpy().round(3).tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    """

    inputs = {"x": Input("real", "num_channels")}

    def __init__(self, num_channels: int, momentum: float = 0.95, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum = {momentum}; a number in [0, 1) is needed")
        self.num_channels, self.momentum, self.epsilon = num_channels, momentum, epsilon
        shape = (num_channels,)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.moving_mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="moving_variance"
        )

    def call(self, x, training=False):
        if training:
            axes = list(range(x.shape.rank - 1))
            mean = tf.reduce_mean(x, axes)
            centred = x - mean
            variance = tf.reduce_mean(centred * centred, axes)
            for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign(
                    self.momentum * average.value + (1 - self.momentum) * tf.stop_gradient(value)
                )
        else:
            centred = x - self.moving_mean.value
            variance = self.moving_variance.value
        scale = self.gamma.value * tf.math.rsqrt(variance + self.epsilon)
        return centred * scale + self.beta.value
