"""Windows of steps and checkpoints, by themselves: step numbers, keys, shapes, forms of files."""

import json

import numpy as np
import pytest

from link_sims.runs import recursion

MODES = pytest.mark.parametrize("mode", ["eager", "graph", "xla"])


class Folder:
    """As much of a run folder as a checkpoint needs."""

    def __init__(self, path):
        self.path = path

    def write(self, name, data):
        (self.path / name).write_bytes(data)


@MODES
def test_a_window_counts_its_steps(mode):
    import tensorflow as tf

    def advance(state, t):
        t = tf.cast(t, tf.float32)
        return state + t, {("loss", "a"): (t, 1), ("loss", "b"): (t * [1.0, 2.0], [1.0, 3.0])}

    state, sums = recursion.Advance(advance, "walk", 1, tf.constant(0.5), mode)(
        tf.constant(0.5), 5, 3
    )
    assert float(state) == 0.5 + 5 + 6 + 7
    # Of every curve its numerator and denominator; what has no axis counts for every entry.
    np.testing.assert_array_equal(sums, [[[18, 18], [3, 3]], [[18, 36], [3, 9]]])


@MODES
def test_draws_belong_to_the_step_and_not_to_the_window(mode):
    import tensorflow as tf

    from sionna_irs import random

    def advance(state, t):
        return state + random.normal([2]), {("loss", "a"): (t, 1)}

    start = tf.zeros([2])
    window = recursion.Advance(advance, "walk", 1, start, mode)
    whole = window(start, 0, 5)[0]
    state = window(start, 0, 2)[0]
    np.testing.assert_array_equal(window(state, 2, 3)[0], whole)
    for other in (("walk", 2), ("run", 1)):
        assert np.all(recursion.Advance(advance, *other, start, mode)(start, 0, 5)[0] != whole)


STATE = {"w": np.float32([[1, 2]]), "z": np.complex64(1 + 2j), "n": np.int32(3)}


@pytest.mark.parametrize("t", [0, 7])
def test_a_checkpoint_brings_its_state_back(t, tmp_path):
    folder, notices = Folder(tmp_path), []
    recursion._save(folder, "c", STATE, t)
    state, step = recursion._load(folder, "c", STATE, [0, 7], notices.append)
    assert step == t and notices == []
    for name, value in STATE.items():
        assert state[name].numpy().dtype == value.dtype
        np.testing.assert_array_equal(state[name], value)


@pytest.mark.parametrize(
    "change",
    [
        {"w": np.float32([[1], [2]])},  # another shape
        {"w": np.float64([[1, 2]])},  # another dtype
        {"n": np.int32([3])},
    ],
)
def test_a_checkpoint_of_another_state_is_not_believed(change, tmp_path):
    folder, notices = Folder(tmp_path), []
    recursion._save(folder, "c", {**STATE, **change}, 7)
    assert recursion._load(folder, "c", STATE, [0, 7], notices.append) is None
    assert len(notices) == 1 and "is damaged; the recursion starts again" in notices[0]


@pytest.mark.parametrize("t", [-1, 7.0, True, "7", 2.5])
def test_a_step_is_a_whole_number(t, tmp_path):
    folder, notices = Folder(tmp_path), []
    recursion._save(folder, "c", STATE, 7)
    head, data = (tmp_path / "c").read_bytes().split(b"\n", 1)
    folder.write("c", json.dumps({**json.loads(head), "t": t}).encode() + b"\n" + data)
    assert recursion._load(folder, "c", STATE, [-1, 0, 7, True, 2.5], notices.append) is None
    assert "damaged" in notices[0]


def test_no_checkpoint_and_one_that_the_log_does_not_reach(tmp_path):
    folder, notices = Folder(tmp_path), []
    assert recursion._load(folder, "c", STATE, [0], notices.append) is None and not notices
    recursion._save(folder, "c", STATE, 7)
    assert recursion._load(folder, "c", STATE, [0, 3], notices.append) is None
    assert "is at step 7" in notices[0] and "it ends at step 3" in notices[0]
