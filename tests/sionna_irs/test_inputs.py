"""The contract of arguments: noise variances, counts, Python numbers in full precision."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs import metrics
from sionna_irs.inputs import common_batch
from sionna_irs.layer import Input, LinkLayer, as_number, as_real, as_size, to_dtype

H = np.ones([2, 3, 4], "complex64")
END = "a real number of at least 0, or a tensor that broadcasts to the batch (2,) of h, is needed"
# What no noise variance is -> (error, how the sentence begins).
WRONG = {
    "none": (None, TypeError, "no = None; "),
    "bool": (True, TypeError, "no = True; "),
    "list of bool": ([True, 0.5], TypeError, "no = [True, 0.5]; "),
    "bool of NumPy": (np.bool_(True), TypeError, "no has dtype bool; "),
    "text": ("loud", TypeError, "no = 'loud'; "),
    "complex": (0.1j, TypeError, "no = 0.1j; "),
    "ragged": ([0.1, [1, 2]], TypeError, "no = [0.1, [1, 2]]; "),
    "dictionary": ({"no": 1.0}, TypeError, "no = {'no': 1.0}; "),
    "batch, 1": ([[0.1], [0.2]], ValueError, "no has shape (2, 1); "),
    "another length": (np.ones(3), ValueError, "no has shape (3,); "),
    "an axis more": (np.ones([1, 2]), ValueError, "no has shape (1, 2); "),
    "empty": ([], ValueError, "no has shape (0,); "),
    "negative": (-0.5, ValueError, "no = -0.5; "),
    "negative in a list": ([0.1, -1.0], ValueError, "no = -1.0; "),
    "nan": (float("nan"), ValueError, "no = nan; "),
    "beyond single precision": (1e300, ValueError, "no = 1e+300; "),
}


class Noisy(LinkLayer):
    """Gives back the noise variance that it got."""

    inputs = {"h": Input("complex", "k", "m"), "no": Input("real", minimum=0, like="h")}

    def call(self, h, no):
        return no


class Divides(Noisy):
    """The same, where a layer divides by it."""

    inputs = {**Noisy.inputs, "no": Input("real", minimum=1e-30, like="h")}


@pytest.mark.parametrize("kind", WRONG)
def test_one_sentence(kind):
    value, error, begin = WRONG[kind]
    with pytest.raises(error) as caught:
        Noisy()(H, value)
    assert str(caught.value) == begin + END


def test_one_sentence_in_functions():
    v = np.ones([2, 4, 3], "complex64")
    for call, name in (
        (lambda no: irs.apply(H, v[:, :, 0], no), "h x"),
        (lambda no: metrics.sinr(H, v, no), "h v"),
        (lambda no: metrics.sum_rate(H, v, no), "h v"),
        (lambda no: metrics.receive_sinr(H, v, no), "w h"),
    ):
        for value, error, begin in WRONG.values():
            with pytest.raises(error) as caught:
                call(value)
            assert str(caught.value) == begin + END.replace("of h,", f"of {name},")


def test_what_fits():
    for value, shape in (
        (0.1, ()), (1, ()), (np.float32(0.1), ()), ([0.1, 0.2], (2,)), ((0.1,), (1,)),
        (tf.constant(0.1, tf.float64), ()), (tf.Variable([0.1, 0.2]), (2,)), (np.array(3), ()),
        ([tf.constant(0.1), 0.2], (2,)),
    ):  # fmt: skip
        no = Noisy()(H, value)
        assert no.shape == shape and no.dtype == tf.float32
    assert Noisy()(no=0.1, h=H[0]).shape == ()  # any order; a number where there is no batch
    with pytest.raises(ValueError, match=r"no has shape \(1,\); a real number of at least 0 is"):
        Noisy()(H[0], [0.1])


def test_the_same_by_shapes_in_a_graph():
    def trace(h, no):
        function = tf.function(lambda h, no: Noisy()(h, no), autograph=False)
        return function.get_concrete_function(
            tf.TensorSpec(h, tf.complex64), tf.TensorSpec(no, tf.float32)
        ).output_shapes

    for h, no in (([2, 3, 4], [2]), ([2, 3, 4], []), ([None, 3, 4], [7]), ([2, 3, 4], [None])):
        assert trace(h, no).as_list() == no
    for no in ([2, 1], [3], [1, 2], [None, 1]):
        with pytest.raises(ValueError) as caught:
            trace([2, 3, 4], no)
        assert str(caught.value) == f"no has shape {tuple(no)}; {END}"


def test_values_in_a_graph():
    """What eager calls refuse is raised to the minimum, or not a number where it means nothing."""
    function = tf.function(lambda no: Divides()(H, no), autograph=False)
    least = np.float32(1e-30)
    np.testing.assert_equal(
        function(tf.constant([0.0, 0.5])).numpy(), np.array([least, 0.5], "float32")
    )
    assert np.isnan(function(tf.constant(-1.0)))
    with pytest.raises(ValueError, match="no = 0.0; a real number above 0, or a tensor"):
        Divides()(H, 0.0)


def test_several_arguments_share_a_batch():
    class Both(LinkLayer):
        inputs = {
            "y": Input("complex", "m"),
            "h": Input("complex", "m", "k"),
            "no": Input("real", 1, minimum=0, like=("y", "h")),
        }

        def call(self, y, h, no):
            return no

    y, h = np.ones([5, 1, 3], "complex64"), np.ones([4, 3, 2], "complex64")
    assert Both()(y, h, np.ones([5, 4, 1])).shape == (5, 4, 1)
    with pytest.raises(ValueError, match=r"to the batch \(5, 4, 1\) of y and h, is needed"):
        Both()(y, h, np.ones([5, 4]))
    assert common_batch([5, 1], tf.TensorShape([None, 4])) == (5, 4)
    assert common_batch([5], tf.TensorShape(None)) is None


@pytest.mark.parametrize(
    "value, error, begin",
    [
        (0, ValueError, "batch_size = 0"),
        (-1, ValueError, "batch_size = -1"),
        (np.int32(0), ValueError, "batch_size = 0"),
        (tf.constant(0), ValueError, "batch_size = 0"),
        ([2], TypeError, "batch_size = [2]"),
        (np.array([2]), ValueError, "batch_size has shape (1,)"),
        (2.0, TypeError, "batch_size = 2.0"),
        (True, TypeError, "batch_size = True"),
        (None, TypeError, "batch_size = None"),
        ("2", TypeError, "batch_size = '2'"),
        (tf.constant(2.0), TypeError, "batch_size = 2.0"),
    ],
)
def test_batch_size(value, error, begin):
    cascade = irs.CascadedChannel(2, 3)
    panel, user = irs.ULA(3), irs.ULA(1)
    hop = irs.RayleighHop(user, panel)
    scattering = irs.DoubleScatteringHop(user, panel, 1.0, num_scatterers=2)
    cir = irs.SurfaceCIR({"tx>s1": hop, "s1>rx": irs.RayleighHop(panel, user)},
                         {"s1": irs.IdealPhases(panel)})  # fmt: skip
    room = irs.RoomChannel(num_users=2, num_ant=3, stride=40)
    for call in (
        lambda n: as_size("batch_size", n),
        cascade, cascade.draw, hop, scattering, room,
        lambda n: scattering.sequence(n, np.eye(2)),
        cir.draw,
        lambda n: cir(n, 1, 1e3),
        lambda n: irs.HopModel(scattering)(n, 1, 1e3),
        Empty(),
    ):  # fmt: skip
        with pytest.raises(error) as caught:
            call(value)
        assert str(caught.value) == begin + "; an integer of at least 1 is needed"


class Empty(irs.Link):
    """A link that gives back its batch size."""

    def call(self, batch_size, ebno_db=0.0):
        return batch_size


def test_integer_tensors_are_batch_sizes():
    channel = irs.CascadedChannel(2, 3)
    for size in (2, np.int64(2), tf.constant(2), tf.constant(2, tf.int64)):
        assert channel(size).shape == (2, 2, 1)
        assert Empty()(size) == 2
    function = tf.function(lambda n: channel(n), autograph=False)
    assert function(tf.constant(2)).shape == (2, 2, 1)


def test_numbers():
    assert as_number("x", np.float64(0.1)) == 0.1 and as_number("x", tf.constant(2)) == 2.0
    for value, error in (
        (None, TypeError), (True, TypeError), ("a", TypeError), (1j, TypeError),
        (float("inf"), ValueError), (-1, ValueError), (np.ones(2), ValueError),
    ):  # fmt: skip
        with pytest.raises(error, match="x .*a real number of at least 0 is needed"):
            as_number("x", value, minimum=0)
    for form in (irs.ls_nmse, irs.lmmse_nmse, irs.scalar_lmmse_nmse, irs.bayes_nmse):
        with pytest.raises(TypeError, match="variance = None; a real number"):
            form(irs.CascadedChannel(2, 3).statistics, None)


def test_numbers_keep_their_digits():
    """0.1 is the nearest double, not the nearest single."""
    for value in (0.1, np.float64(0.1), np.array(0.1), [0.1]):
        assert float(np.ravel(as_real("no", value, tf.float64))[0]) == 0.1
        assert float(np.ravel(to_dtype(value, tf.float64))[0]) == 0.1
        assert float(np.ravel(Noisy(precision="double")(H, value))[0]) == 0.1
