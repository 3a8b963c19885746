"""A graph network over the users of a downlink: what each should get, from their Gram matrix."""

import tensorflow as tf

from ..layer import Input, LinkLayer, require_integer
from ..linalg import hpd_inverse
from .dense import Dense

__all__ = ["UserGraph"]

_RIDGE = 1e-6  # of the unit-diagonal Gram matrix
_FLOOR = 1e-5  # of squared correlations before their logarithm
_SMALLEST = 1e-30  # of a user's gain: a channel of zeros is permitted
_SCALE = 5.0  # of logarithms
_NUM_NODE, _NUM_EDGE = 4, 3


class UserGraph(LinkLayer):
    r"""Numbers for every user of a group, from their Gram matrix; permuted users, permuted result.

    With the Gram matrix G in units of noise, R its version of unit diagonal (plus 1e-6 I) and
    :math:`z_k=1/[R^{-1}]_{kk}` the share of a channel that is left to zero forcing, the features
    are

    * of user k: :math:`\ln g_{kk}/5`, :math:`\ln z_k`, :math:`\ln(z_kg_{kk})/5`, and the first
      minus its mean over the users;
    * of a pair: :math:`|R_{ij}|^2` and, divided by 5, the logarithms of :math:`|R_{ij}|^2` and of
      :math:`|R^{-1}_{ij}|^2z_iz_j`.

    A layer sends a message (dense, ReLU, dense) of both users and their pair to every other user;
    mean and maximum of what arrives update the user's state (dense, ReLU, dense, layer
    normalisation) by addition. The last map starts at zero. Any number of users and antennas.

    Source: built for this package; equivariance over users as in graph networks for power control.

    Parameters
    ----------
    num_layers, width : int
        Layers and length of a user's state.
    num_outputs : int
        Numbers for every user.

    Input
    -----
    gram : tf.Tensor, [..., K, K], complex
        H H^H over the noise variance, for unit transmit power.

    Output
    ------
    tf.Tensor, [..., K, num_outputs], real
        Zeros before training.

    Raises
    ------
    ValueError
        For numbers below 1.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> network = irs.UserGraph()
    >>> network(tf.eye(4, dtype=tf.complex64)).shape, network.count_params()
    (TensorShape([4, 2]), 50018)
    """

    inputs = {"gram": Input("complex", "num_users", "num_users")}

    def __init__(self, num_layers: int = 3, width: int = 48, num_outputs: int = 2, **kwargs):
        super().__init__(**kwargs)
        for name, value in (
            ("num_layers", num_layers),
            ("width", width),
            ("num_outputs", num_outputs),
        ):
            require_integer(name, value)
        same = {"precision": self.precision}
        self.embedding = Dense(_NUM_NODE, width, **same)
        self.message, self.update, self.norm = [], [], []
        for _ in range(num_layers):
            for maps, num_inputs in (
                (self.message, 2 * width + _NUM_EDGE),
                (self.update, 3 * width),
            ):
                first = Dense(num_inputs, width, activation="relu", **same)
                maps.append([first, Dense(width, width, **same)])
            self.norm.append(
                [
                    self.add_weight(shape=(width,), initializer=start, name=name)
                    for start, name in (("ones", "gamma"), ("zeros", "beta"))
                ]
            )
        self.output_map = Dense(width, num_outputs, zeros=True, **same)

    def call(self, gram):
        nodes, edges = user_features(gram)
        nodes = self.embedding(nodes)
        for message, update, norm in zip(self.message, self.update, self.norm, strict=True):
            pooled = _pool(_messages(message, nodes, edges))
            change = tf.concat([nodes, *pooled], -1)
            for layer in update:
                change = layer(change)
            nodes += _normalize(norm, change)
        return self.output_map(nodes)


def user_features(gram):
    """Node features [..., K, 4] and edge features [..., K, K, 3] of :class:`UserGraph`."""
    gain = tf.maximum(tf.math.real(tf.linalg.diag_part(gram)), _SMALLEST)
    root = tf.cast(tf.math.rsqrt(gain), gram.dtype)
    r = gram * root[..., :, None] * root[..., None, :]
    r = tf.linalg.set_diag(r, tf.ones_like(root) * (1 + _RIDGE))
    inverse = hpd_inverse(r, at_least=_RIDGE)
    # In exact numbers the ends are never passed.
    left = 1 / tf.clip_by_value(tf.math.real(tf.linalg.diag_part(inverse)), 0.5, 1 / _RIDGE)
    log_gain, log_left = tf.math.log(gain) / _SCALE, tf.math.log(left)
    nodes = [
        log_gain,
        log_left,
        log_left / _SCALE + log_gain,
        log_gain - tf.reduce_mean(log_gain, -1, keepdims=True),
    ]
    direct = _squared(r)
    partial = _squared(inverse) * left[..., :, None] * left[..., None, :]
    edges = [direct, *(tf.math.log(x + _FLOOR) / _SCALE for x in (direct, partial))]
    return tf.stack(nodes, -1), tf.stack(edges, -1)


def _messages(dense, nodes, edges):
    """[..., K, K, width]: what user i (first) hears of user j."""
    first, second = dense
    width = nodes.shape[-1]
    # The first map is split by its inputs: those of single users are applied once per user.
    own, other, pair = tf.split(first.kernel.value, [width, width, edges.shape[-1]])
    own = tf.tensordot(nodes, own, 1) + first.bias.value
    other = tf.tensordot(nodes, other, 1)
    heard = own[..., :, None, :] + other[..., None, :, :] + tf.tensordot(edges, pair, 1)
    return second(tf.nn.relu(heard))


def _pool(messages):
    """Mean and maximum [..., K, width] over the other users; zeros where there are none."""
    num_users = messages.shape[-2]
    if num_users == 1:
        return [tf.zeros_like(messages[..., 0, :])] * 2
    self_edge = tf.eye(num_users, dtype=messages.dtype)[..., None]
    mean = tf.reduce_sum(messages * (1 - self_edge), -2) / (num_users - 1)
    return [mean, tf.reduce_max(messages - 1e9 * self_edge, -2)]


def _normalize(norm, x):
    """Layer normalisation over the last axis."""
    gamma, beta = norm
    x -= tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(x), -1, keepdims=True)
    return gamma.value * x * tf.math.rsqrt(variance + 1e-5) + beta.value


def _squared(x):
    return tf.square(tf.math.real(x)) + tf.square(tf.math.imag(x))
