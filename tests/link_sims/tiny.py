"""A tiny experiment for the tests: fast to compile, with a recursion, a table and a sweep."""

import link_sims


class Config(link_sims.Config):
    x: link_sims.Grid = [1, 2, 3]
    num_steps: link_sims.PositiveInt = 12
    batch_size: link_sims.PositiveInt = 50
    max_units: link_sims.PositiveInt = 30


tiny = link_sims.Experiment("tests/tiny", config=Config, profiles={
    "smoke": {"max_units": 5}, "cpu": {}, "paper": {},
})  # fmt: skip


@tiny.recursion("walk", length="num_steps", seeds=2, record_every=3)
def walk(cfg, seed):
    import tensorflow as tf

    import sionna_irs as irs

    def start():
        return {"position": irs.random.complex_normal([4]), "count": tf.zeros([], tf.int32)}

    def advance(state, t):
        position = 0.9 * state["position"] + irs.random.complex_normal([4])
        power = tf.reduce_sum(tf.square(tf.abs(position)))
        return {"position": position, "count": state["count"] + 1}, {("power", "walk"): (power, 4)}

    return start, advance


@tiny.table
def table(cfg):
    return [link_sims.row("ser", "exact", x, 0.5 / x) for x in cfg.x]


@tiny.sweep(x="x")
def sweep(cfg, trained):
    import tensorflow as tf

    import sionna_irs as irs

    def step(batch_size, x):
        wrong = irs.random.uniform([batch_size], x.dtype) < 0.5 / x
        z = irs.random.normal([batch_size], x.dtype)
        return {
            ("ser", "counted"): (tf.math.count_nonzero(wrong), batch_size),
            ("power", "z"): (tf.reduce_sum(z * z) * x, batch_size),
        }

    return step


tiny.claim(
    "the counted rate is 1/(2x)",
    source="by construction",
    expect="holds",
    check=lambda r: r.agrees("ser", "counted", "exact", rel=1.0),
)
