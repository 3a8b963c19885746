"""What links over the cascade share: what is known of it, and the pattern made of that."""

import sionna_irs as irs
from link_sims import tf

__all__ = ["ALIGNED", "ONES", "PERFECT", "RANDOM", "design_of", "knowledge"]

RANDOM, ONES, ALIGNED = "random", "ones", "aligned"
PERFECT = "perfect"


def knowledge(estimators, u, y, no):
    """What every scheme knows of the cascades ``u`` [B, K, M, N+1]; one scheme knows them.

    The names of the S schemes; their estimates [S B, K, M, N+1], one scheme after the other; and
    the variances [S B, K] of what a pattern makes of them: the columns' errors add up, since
    every coefficient has modulus one.
    """
    known = {PERFECT: (u, tf.zeros_like(no)[None])}
    known.update({name: estimator(y, no) for name, estimator in estimators.items()})
    estimates, errors = zip(*known.values(), strict=True)
    error = tf.concat([tf.broadcast_to(variance, tf.shape(u)) for variance in errors], 0)
    error = tf.reduce_mean(tf.reduce_sum(error, -1), -1)
    return list(known), tf.concat(estimates, 0), error


def design_of(channel, phases):
    """``design(u, u_hat)``: channels [S B, K, M] through one pattern for the K users.

    ``u`` [B, K, M, N+1] and ``u_hat`` [S B, K, M, N+1] as in :func:`knowledge`; the true channels
    and what the schemes know of them.
    """
    random, ascent = irs.RandomPhases(), irs.CoordinateAscent(num_iter=8)

    def control_of(u, u_hat, num_schemes):
        if phases == ALIGNED:
            return ascent(irs.Links.from_cascaded(u_hat))["s1"]
        control = random(irs.Links.from_cascaded(u))["s1"]
        control = tf.zeros_like(control) if phases == ONES else control
        return tf.tile(control, [num_schemes, 1])

    def design(u, u_hat):
        num_schemes = u_hat.shape[0] // u.shape[0]
        theta = channel.reflect({"s1": control_of(u, u_hat, num_schemes)})
        u = tf.tile(u, [num_schemes, 1, 1, 1])
        return [channel.compose(irs.Links.from_cascaded(v), theta)[..., 0] for v in (u, u_hat)]

    return design
