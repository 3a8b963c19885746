"""A unit or a step that does not fit into memory: one clear error with a size that does."""

import pytest

import link_sims
from link_sims.errors import UserError
from link_sims.runs.runner import run


def demanding(name, memory=2.0**60, limit=10):
    """An experiment whose batches beyond `limit` need too much memory in one array."""

    class Config(link_sims.Config):
        x: link_sims.Grid = [1.0]
        num_steps: link_sims.PositiveInt = 1

    experiment = link_sims.Experiment(name, config=Config)

    def array(batch_size, x):
        import tensorflow as tf

        # The size depends on x, or the whole sum would be computed before the call.
        large = memory if batch_size > limit else 1.0
        return tf.reduce_sum(tf.fill([tf.cast(large * x, tf.int64)], 1.0))

    return experiment, array


# TensorFlow waits ten seconds for memory each time: few halvings.
@pytest.mark.parametrize(
    ("size", "limit", "hint"),
    [
        (13, 4, "batch_size = 3 does"),
        pytest.param(2, 0, "nor does batch_size = 1", marks=pytest.mark.slow),
    ],
)
def test_a_unit_that_does_not_fit_names_the_size_that_does(tmp_path, size, limit, hint):
    experiment, array = demanding("tests/memory", limit=limit)

    @experiment.sweep(x="x")
    def sweep(cfg, trained):
        return lambda batch_size, x: {("sum", "ones"): (array(batch_size, x), batch_size)}

    config = experiment.resolve("cpu", {"batch_size": size, "max_units": 2})
    with pytest.raises(UserError, match=f"batch_size = {size}: a unit does not fit.*{hint}"):
        run(experiment, config, out=tmp_path, quiet=True)


def test_a_step_that_does_not_fit_is_the_users_error(tmp_path):
    experiment, array = demanding("tests/memory-step")

    @experiment.recursion("walk", length="num_steps")
    def walk(cfg, seed):
        import tensorflow as tf

        def advance(state, t):
            value = array(cfg.batch_size, state + 1.0)
            return state, {("sum", "walk"): (value, 1.0)}

        return lambda: tf.zeros([]), advance

    config = experiment.resolve("cpu", {"batch_size": 50})
    with pytest.raises(UserError, match="walk: a step does not fit into memory"):
        run(experiment, config, out=tmp_path, quiet=True)
