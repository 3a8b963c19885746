"""The base layer: casting, checks, serialisation, calls; and the contract suite itself."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from sionna_irs import frozen, testing
from sionna_irs.layer import Input, LinkLayer


class Gain(LinkLayer):
    """y = a x + no, with a trainable gain per antenna."""

    inputs = {"x": Input("complex", "num_ant"), "no": Input("real", minimum=0, like="x")}

    def __init__(self, num_ant, offsets=(1, 2), **kwargs):
        super().__init__(**kwargs)
        self.num_ant = num_ant
        self.a = self.add_weight(shape=[num_ant], initializer="ones", name="a")

    def call(self, x, no=0.5):
        return tf.cast(self.a, self.cdtype) * x + self.cplx(no)


class Pair(LinkLayer):
    """A product whose free dimension must agree between two arguments."""

    inputs = {"a": Input("complex", "m", "n"), "b": Input("complex", "n")}

    def call(self, a, b):
        return tf.linalg.matvec(a, b)


CASE = testing.LayerCase(
    Gain,
    {"num_ant": 3},
    {"x": np.arange(6).reshape(2, 3) * (1 + 0.5j), "no": np.array(0.3)},
    gradient=("x", "no"),
    awkward={"zero": {"x": np.zeros([2, 3], complex)}},
)


@pytest.mark.parametrize("check", testing.CHECKS)
def test_a_sound_layer_passes(check):
    testing.CHECKS[check](CASE)


def test_a_tensor_captured_by_a_function_is_checked():
    layer, x, no = Gain(3), tf.ones([2, 3], tf.complex64), tf.constant(0.1)
    assert tf.function(lambda x: layer(x, no), autograph=False)(x).shape == (2, 3)


def test_positional_numbers_pass():
    class Channel(LinkLayer):
        def call(self, batch_size, num_time_steps, sampling_frequency=None):
            return tf.zeros([batch_size, num_time_steps]) + sampling_frequency

    assert Channel()(2, 3, 30e3).shape == (2, 3)


def test_casting():
    x = np.ones([2, 3], complex)
    assert Gain(3)(x).dtype == tf.complex64
    assert Gain(3, precision="double")(tf.constant(x, tf.complex64)).dtype == tf.complex128
    with pytest.raises(TypeError, match="x is complex128 but .* precision='double'"):
        Gain(3)(tf.constant(x))
    assert Gain(3)(x, 1).dtype == tf.complex64  # an integer where a real number is meant
    assert Gain(3)(x, tf.constant(1.0, tf.float64)).dtype == tf.complex64


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda g, x: g(x.real), TypeError, "x has dtype float32; complex64"),
        (lambda g, x: g(x[:, :2]), ValueError, r"\(2, 2\): dimension -1 is 2, must be num_ant"),
        (lambda g, x: g(x[:0]), ValueError, r"x has shape \(0, 3\): empty"),
        (lambda g, x: g(x * np.nan), ValueError, r"x holds .*nan.* at index \[0, 0\]"),
        (
            lambda g, x: g(x, -1.0),
            ValueError,
            "no = -1.0; a real number of at least 0, or a tensor that broadcasts to the batch",
        ),
        (lambda g, x: g(x, 1j), TypeError, "no = 1j; a real number"),
        (lambda g, x: g(np.ones([], complex)), ValueError, "rank at least 1"),
        (lambda g, x: g(x, no="loud"), TypeError, "no = 'loud'"),
        (lambda g, x: Gain(3, precision="half"), ValueError, "'single' or 'double'"),
        (lambda g, x: Pair()(np.ones([2, 3], complex), x[:, :2]), ValueError, "must be n = 3"),
    ],
)
def test_bad_input_gives_one_clear_error(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make(Gain(3), np.ones([2, 3], complex))
    assert "\n" not in str(caught.value)


class Whole(LinkLayer):
    """A layer that refuses in its call, as policies and designs do."""

    def call(self, x):
        try:
            {}["start"]
        except KeyError as error:
            raise ValueError(f"x has shape {tuple(x.shape)}; [5] is needed") from error


class Around(LinkLayer):
    """A layer of a user's around another one."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def test_errors_within_calls_are_our_own_sentence():
    """Keras tells the call and its arguments around it; the layer's name is a note."""
    x, sentence = tf.ones([2]), "x has shape (2,); [5] is needed"
    inner = Whole(name="inner")
    around = Around(Around(inner))
    for call in (inner, around, tf.function(around, autograph=False)):
        with pytest.raises(ValueError) as caught:
            call(x)
        assert str(caught.value) == sentence
        # Keras drops the cause on the way out of a layer around.
        assert call is not inner or isinstance(caught.value.__cause__, KeyError)
        assert caught.value.__notes__[-1] == "raised by Whole.call() of the layer 'inner'"
    with pytest.raises(ValueError, match="x has shape"):
        tf.function(around)(x)
    # What another layer checks before its own call
    with pytest.raises(TypeError) as caught:
        Around(Gain(2))(x)
    assert str(caught.value).startswith("x has dtype float32; complex64 is needed")


def test_stateless_calls_check_and_cast_too():
    layer = Gain(3, precision="double")
    layer.build()
    y, _ = layer.stateless_call([layer.a.value], [], tf.ones([2, 3], tf.complex64), 0.25)
    assert y.dtype == tf.complex128 and np.all(y.numpy() == 1.25)
    with pytest.raises(ValueError, match="^x has"):
        layer.stateless_call([layer.a.value], [], tf.ones([2, 2], tf.complex64))


def test_errors_of_layers_of_keras_keep_their_words():
    class Theirs(keras.layers.Layer):
        def call(self, x):
            raise ValueError("odd")

    with pytest.raises(ValueError, match="^Exception encountered when calling Theirs.call"):
        Around(Theirs())(tf.ones([2]))


def test_round_trip_through_json():
    text = json.dumps(keras.saving.serialize_keras_object(Gain(3, offsets=[1, (2, 3)])))
    layer = keras.saving.deserialize_keras_object(json.loads(text))
    assert isinstance(layer, Gain) and layer.num_ant == 3
    assert layer.get_config()["precision"] == "single"


def broken(name, **members):
    """Gain with one fault."""
    return type(name, (Gain,), members)


def wrong_gradient(x):
    @tf.custom_gradient
    def twice(x):
        return 2 * x, lambda dy: dy

    return twice(x)


@pytest.mark.parametrize(
    "check, members",
    [
        ("dtype", {"call": lambda self, x, no=0.5: tf.cast(x, tf.complex64)}),
        ("modes", {"call": lambda self, x, no=0.5: x * (2.0 if tf.executing_eagerly() else 1.0)}),
        ("gradient", {"call": lambda self, x, no=0.5: wrong_gradient(x) * self.cplx(self.a)}),
        ("bad input", {"_admit": lambda self, name, value, symbols: self.cast(value)}),
        ("awkward", {"call": lambda self, x, no=0.5: x / tf.cast(tf.abs(x), self.cdtype)}),
    ],
)
def test_the_suite_finds_a_fault(check, members):
    case = testing.LayerCase(
        broken("Broken", **members), CASE.arguments, CASE.inputs, ("x",), awkward=CASE.awkward
    )
    with pytest.raises((testing.ContractError, ValueError)):
        testing.CHECKS[check](case)


def test_a_skip_needs_a_known_check_and_a_reason():
    for skip in ({"speed": "slow"}, {"modes": ""}):
        with pytest.raises(ValueError, match="a reason"):
            testing.check_layer(testing.LayerCase(Gain, {"num_ant": 3}, skip=skip))


def test_frozen_weights_are_constants():
    layer = Gain(3)
    layer.a.assign([1.0, 2.0, 3.0])
    x = tf.constant(np.array([[1, 1j, -1]], "complex64"))
    expected = layer(x)
    deployed = frozen(layer)
    concrete = tf.function(lambda x: deployed(x), jit_compile=True).get_concrete_function(x)
    layer.a.assign([0.0, 0.0, 0.0])
    np.testing.assert_allclose(concrete(x), expected, rtol=1e-6)
    assert not concrete.captured_inputs
