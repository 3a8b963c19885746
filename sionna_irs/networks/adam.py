"""Adam on tensors: Keras' optimisers cannot step without variables in TensorFlow."""

import math

import tensorflow as tf

__all__ = ["Adam", "warm_cosine"]


def warm_cosine(peak, num_steps, warmup_steps=0, final=0.0):
    """Rate as a function of the step: linear warm-up to `peak`, then half a cosine to `final`.

    Examples
    --------
    >>> from sionna_irs.networks.adam import warm_cosine
    >>> rate = warm_cosine(0.1, 20, warmup_steps=10)
    >>> [round(float(rate(t)), 3) for t in (0, 10, 15, 20)]
    [0.01, 0.1, 0.05, 0.0]
    """

    def rate(t):
        t = tf.cast(t, tf.float32)
        share = (t - warmup_steps) / max(1, num_steps - warmup_steps)
        share = tf.clip_by_value(share, 0.0, 1.0)
        falling = final + (peak - final) * 0.5 * (1 + tf.cos(math.pi * share))
        return tf.minimum(falling, peak * (t + 1) / max(1, warmup_steps))

    return rate


class Adam:
    r"""Steps :math:`w\leftarrow w-\gamma\,\hat m/(\sqrt{\hat v}+\epsilon)` on lists of tensors.

    Parameters
    ----------
    rate : float or callable
        gamma, or gamma of the number of steps taken.
    beta_1, beta_2, epsilon : float
    clip : float or None
        Largest norm of all gradients together.
    decay : float
        Added to the gradients: `decay` times the values (L2 penalty).

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.networks.adam import Adam
    >>> adam = Adam(0.1)
    >>> values = [tf.constant([1.0])]
    >>> values, slots = adam.step(values, [2 * values[0]], adam.start(values))
    >>> round(float(values[0][0]), 3)
    0.9
    """

    def __init__(self, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, clip=None, decay=0.0):
        self.rate = rate if callable(rate) else lambda t: rate
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.clip, self.decay = clip, decay

    def start(self, values):
        """Slots of the first step."""
        return {
            "steps": tf.zeros([], tf.int64),
            "first": [tf.zeros_like(v) for v in values],
            "second": [tf.zeros_like(v) for v in values],
        }

    def step(self, values, gradients, slots):
        """(values, slots) after one step."""
        if self.clip is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip)
        steps = slots["steps"] + 1
        dtype = values[0].dtype
        count = tf.cast(steps, dtype)
        rate = tf.cast(self.rate(slots["steps"]), dtype)
        rate *= tf.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)
        outcome, firsts, seconds = [], [], []
        for value, g, m, v in zip(values, gradients, slots["first"], slots["second"], strict=True):
            g = g + self.decay * value
            m = self.beta_1 * m + (1 - self.beta_1) * g
            v = self.beta_2 * v + (1 - self.beta_2) * g * g
            outcome.append(value - rate * m / (tf.sqrt(v) + self.epsilon))
            firsts.append(m)
            seconds.append(v)
        return outcome, {"steps": steps, "first": firsts, "second": seconds}
