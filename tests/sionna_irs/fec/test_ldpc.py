"""The layered decoder: its numbers, its words one by one, its arguments."""

import ldpc_twin
import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

import sionna_irs as irs


def noisy(shape, mean, seed=2026, step=16):
    """Logits of the zero word: multiples of 1/16, of which all sums are exact."""
    rng = np.random.default_rng(seed)
    logits = -rng.normal(mean, np.sqrt(2 * mean), shape)
    return np.round(logits * step) / step if step else logits


# k, n, bits per symbol, graph, mean; Z, rows, edges; ones after 1 and 5 iterations; sums of soft
# code words after 5 and 20; iterations. From a prototype and a twin apart from this code.
TABLE = [
    (
        (512, 1024, 4, None, 3.4), (64, 10, 67), [71, 72, 69, 71], [1, 2, 1, 0],
        [-16169.0, -12169.375, -9262.5625, -17722.875],
        [-20385.0625, -20410.5625, -20389.25, -20418.0], [6, 6, 6, 5],
    ),
    (
        (40, 100, None, None, 2.4), (7, 11, 72), [2, 7, 4, 2], [0, 1, 0, 0],
        [-1988.125, -801.5, -1988.8125, -551.3125],
        [-1988.125, -1984.375, -1988.8125, -1989.875], [3, 6, 3, 5],
    ),
    (
        (4224, 6336, 6, None, 4.6), (192, 13, 144), [309, 361, 334, 325], [25, 25, 34, 4],
        [-69367.9375, -72661.375, -78237.1875, -96297.6875],
        [-126488.375, -126528.0625, -126492.0, -126518.625], [7, 7, 7, 7],
    ),
    (
        (3000, 9000, None, "bg1", 1.9), (144, 44, 307), [463, 437, 405, 425], [12, 2, 6, 7],
        [-108217.5625, -126848.625, -112178.9375, -134120.6875],
        [-178455.25, -178453.0625, -178474.375, -178492.5], [7, 6, 7, 7],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [*TABLE[:3], pytest.param(TABLE[3], marks=pytest.mark.slow)],
    ids=lambda row: "-".join(map(str, row[0])),
)
def test_reference_values_to_the_bit(row):
    (k, n, m, graph, mean), sizes, once, five, soft_five, soft_twenty, after = row
    encoder = LDPC5GEncoder(k, n, num_bits_per_symbol=m, bg=graph)
    llr = noisy((4, n), mean)
    hard = irs.LDPC5GDecoder(encoder, early_stop=False)
    code = hard.code
    assert (code.z, len(code.rows), code.num_edges) == sizes
    for num_iter, ones in ((1, once), (5, five)):
        assert hard(llr, num_iter=num_iter).numpy().sum(1).tolist() == ones
    soft = irs.LDPC5GDecoder(encoder, early_stop=False, hard_out=False, return_infobits=False)
    for num_iter, sums in ((5, soft_five), (20, soft_twenty)):
        assert soft(llr, num_iter=num_iter).numpy().astype(float).sum(1).tolist() == sums
    bits, iterations = irs.LDPC5GDecoder(encoder, return_iterations=True)(llr)
    assert iterations.numpy().tolist() == after
    assert not bits.numpy().any()


CODES = [
    (12, 40, None, None),
    (40, 100, 4, None),
    (100, 110, None, None),
    (60, 130, 2, None),
    (304, 608, None, None),
    (44, 66, 2, "bg1"),
    (100, 180, None, "bg1"),
    (500, 550, 2, None),
]  # fmt: skip


@pytest.mark.parametrize("code", CODES, ids=lambda c: "-".join(map(str, c)))
def test_same_as_sionnas_layered_schedule(code):
    k, n, m, graph = code
    encoder = LDPC5GEncoder(k, n, num_bits_per_symbol=m, bg=graph)
    bits = np.random.default_rng(k).integers(0, 2, (6, k)).astype(np.float32)
    sent = 1 - 2 * encoder(tf.constant(bits)).numpy()
    llr = (noisy((6, n), 4 * k / n) * sent).astype(np.float32)
    for hard, information in ((True, True), (False, False)):
        arguments = {"hard_out": hard, "return_infobits": information, "num_iter": 2}
        theirs = LDPC5GDecoder(
            encoder, cn_update="offset-minsum", cn_schedule="layered", **arguments
        )(tf.constant(llr))
        ours = irs.LDPC5GDecoder(encoder, early_stop=False, **arguments)(llr)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("code", [(40, 100, 4, None, 1.8), (44, 66, None, "bg1", 4.5)])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_twin(code, precision):
    k, n, m, graph, mean = code
    encoder = LDPC5GEncoder(k, n, num_bits_per_symbol=m, bg=graph)
    llr = noisy((20, n), mean, step=None)
    history = ldpc_twin.decode(encoder, llr, 12)
    arguments = {"hard_out": False, "precision": precision}
    every = irs.LDPC5GDecoder(encoder, early_stop=False, return_infobits=False, **arguments)
    tolerance = 2e-5 if precision == "single" else 1e-12
    np.testing.assert_allclose(every(llr, num_iter=3), history[2][0], atol=tolerance)
    # Exact sums: no rounding to amplify, and a word stays as it first satisfied its checks.
    llr = noisy((20, n), mean)
    history = ldpc_twin.decode(encoder, llr, 12)
    np.testing.assert_array_equal(every(llr, num_iter=12), history[11][0])
    decoder = irs.LDPC5GDecoder(encoder, num_iter=12, return_iterations=True, **arguments)
    soft, iterations = decoder(llr)
    good = np.array([h[2] for h in history])
    wanted = np.where(good.any(0), good.argmax(0) + 1, 13)
    assert len(set(wanted.tolist())) > 3
    np.testing.assert_array_equal(iterations, wanted)
    for word, after in enumerate(wanted):
        np.testing.assert_array_equal(soft[word], history[min(after, 12) - 1][1][word])


def test_without_an_offset():
    encoder = LDPC5GEncoder(12, 40)
    llr = noisy((8, 40), 2.0)
    decoder = irs.LDPC5GDecoder(
        encoder, "minsum", hard_out=False, num_iter=5, llr_max=9.0, early_stop=False
    )
    twin = ldpc_twin.decode(encoder, llr, 5, offset=0.0, clip=9.0)[-1]
    np.testing.assert_array_equal(decoder(llr), twin[1])


@pytest.mark.parametrize(("hard_out", "early_stop"), [(True, True), (False, True), (False, False)])
def test_a_word_does_not_depend_on_its_batch(early_stop, hard_out):
    encoder = LDPC5GEncoder(40, 60, num_bits_per_symbol=4)
    llr = noisy((150, 60), 3.0, step=None)

    def decode(llr, tile=None):
        arguments = {"hard_out": hard_out, "early_stop": early_stop, "num_iter": 9}
        return irs.LDPC5GDecoder(encoder, tile=tile, **arguments)(llr).numpy()

    whole = decode(llr)
    assert len(np.unique(whole)) > 1
    order = np.random.default_rng(1).permutation(150)
    np.testing.assert_array_equal(decode(llr[order], 32), whole[order])
    for count in (1, 31, 33):
        np.testing.assert_array_equal(decode(llr[:count], 32), whole[:count])
    leading = decode(np.reshape(llr, [2, 3, 25, 60]), 64)
    np.testing.assert_array_equal(leading, whole.reshape(2, 3, 25, 40))


def test_an_early_end_changes_no_decision():
    encoder = LDPC5GEncoder(64, 128)
    llr = noisy((200, 128), 3.2)
    bits, iterations = irs.LDPC5GDecoder(encoder, return_iterations=True)(llr)
    every = irs.LDPC5GDecoder(encoder, early_stop=False)(llr)
    done = iterations.numpy() <= 20
    assert 0.5 < done.mean() < 1
    np.testing.assert_array_equal(bits.numpy()[done], every.numpy()[done])
    assert not bits.numpy()[done].all(1).any()


@pytest.mark.parametrize("hard_out", [True, False])
def test_modes_agree_and_one_trace_serves_all_iterations(hard_out):
    encoder = LDPC5GEncoder(20, 32, num_bits_per_symbol=2)
    llr = tf.constant(noisy((70, 32), 3.0), tf.float32)
    decoder = irs.LDPC5GDecoder(encoder, hard_out=hard_out, tile=32)
    traces = []

    def decode(llr, num_iter):
        traces.append(1)
        return decoder(llr, num_iter=num_iter)

    xla = tf.function(decode, jit_compile=True, autograph=False)
    graph = tf.function(
        decode, [tf.TensorSpec([None, 32]), tf.TensorSpec([], tf.int32)], autograph=False
    )
    for num_iter in (0, 1, 6):
        eager = decoder(llr, num_iter=num_iter)
        np.testing.assert_array_equal(graph(llr, num_iter), eager)
        np.testing.assert_array_equal(xla(llr, tf.constant(num_iter)), eager)
    assert len(traces) == 2
    # Without an iteration: what the channel says, and ones where it says nothing.
    none = decoder(llr, num_iter=0).numpy()
    place = np.arange(20 - 2 * encoder.z)
    seen = np.asarray(llr)[:, np.asarray(encoder.out_int_inv)[place]]
    if hard_out:
        np.testing.assert_array_equal(none[:, 2 * encoder.z :], seen >= 0)
        assert none[:, : 2 * encoder.z].all()
    else:
        np.testing.assert_array_equal(none[:, 2 * encoder.z :], np.clip(seen, -20, 20))
        assert not none[:, : 2 * encoder.z].any()


def test_decodes_what_sionna_encodes():
    encoder = LDPC5GEncoder(44, 132, bg="bg1")  # every row is needed
    source = np.random.default_rng(5).integers(0, 2, (100, 44)).astype(np.float32)
    sent = encoder(tf.constant(source))
    noise = np.random.default_rng(6).normal(0, 0.5, sent.shape)
    llr = 8 * (2 * sent - 1 + tf.cast(noise, tf.float32))
    words = irs.LDPC5GDecoder(encoder, return_infobits=False)(llr)
    np.testing.assert_array_equal(words, sent)
    bits = irs.LDPC5GDecoder(encoder, precision="double")(llr)
    assert bits.dtype == tf.float64
    np.testing.assert_array_equal(bits, source)


@pytest.mark.parametrize("early_stop", [True, False])
def test_gradient(early_stop):
    encoder = LDPC5GEncoder(40, 100)
    arguments = {"hard_out": False, "early_stop": early_stop, "num_iter": 3}
    decoder = irs.LDPC5GDecoder(encoder, precision="double", **arguments)
    rng = np.random.default_rng(3)
    llr = tf.constant(noisy((3, 100), 1.5, step=None))
    weights, direction = rng.standard_normal((3, 40)), rng.standard_normal((3, 100))

    def loss(llr):
        return tf.reduce_sum(weights * decoder(llr))

    with tf.GradientTape() as tape:
        tape.watch(llr)
        value = loss(llr)
    gradient = tape.gradient(value, llr)
    measured = (loss(llr + 1e-6 * direction) - loss(llr - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose(np.sum(gradient * direction), measured, rtol=1e-6)


def test_gradient_in_xla():
    decoder = irs.LDPC5GDecoder(LDPC5GEncoder(12, 16), hard_out=False, num_iter=3, tile=32)
    llr = tf.constant(noisy((40, 16), 1.5), tf.float32)  # two tiles

    def slope(llr):
        with tf.GradientTape() as tape:
            tape.watch(llr)
            value = tf.reduce_sum(tf.square(decoder(llr)))
        return tape.gradient(value, llr)

    plain = slope(llr)
    assert np.count_nonzero(plain) > 100
    np.testing.assert_allclose(tf.function(slope, jit_compile=True)(llr), plain, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"encoder": None}, TypeError, "encoder is of type NoneType; .*LDPC5GEncoder is needed"),
        ({"cn_update": "boxplus-phi"}, ValueError, "cn_update = 'boxplus-phi'; .*LDPC5GDecoder"),
        ({"cn_schedule": "flooding"}, ValueError, "cn_schedule = 'flooding'; 'layered' is needed"),
        ({"vn_update": "identity"}, ValueError, "vn_update = 'identity'; 'sum' is needed"),
        ({"return_state": True}, ValueError, "return_state = True; False is needed"),
        ({"prune_pcm": False}, ValueError, "prune_pcm = False; True is needed"),
        ({"c2v_callbacks": [print]}, ValueError, "c2v_callbacks = .*; None is needed"),
        ({"hard_out": 1}, TypeError, "hard_out = 1; True or False is needed"),
        ({"num_iter": -1}, ValueError, "num_iter = -1; an integer of at least 0 is needed"),
        ({"num_iter": 2.0}, ValueError, "num_iter = 2.0; an integer of at least 0 is needed"),
        ({"llr_max": 0}, ValueError, "llr_max = 0; a real number above 0 is needed"),
        ({"tile": 48}, ValueError, "tile = 48; None or a multiple of 32 is needed"),
        ({"tile": 0}, ValueError, "tile = 0; None or an integer of at least 32 is needed"),
        (
            {"early_stop": False, "return_iterations": True}, ValueError,
            "return_iterations = True with early_stop = False; True is needed",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        irs.LDPC5GDecoder(**{"encoder": LDPC5GEncoder(12, 40), **arguments})


@pytest.mark.parametrize(
    ("llr", "num_iter", "error", "text"),
    [
        (np.zeros([3, 41]), None, ValueError, "llr_ch has shape .*: dimension -1 is 41, must be n"),
        (np.zeros([3, 40], complex), None, TypeError, "llr_ch has dtype complex64; a real"),
        (np.full([3, 40], np.nan), None, ValueError, "llr_ch holds nan"),
        (np.zeros([3, 40]), -1, ValueError, "num_iter = -1; an integer of at least 0 is needed"),
        (np.zeros([3, 40]), 1.0, TypeError, "num_iter = 1.0; an integer of at least 0 is needed"),
    ],
)
def test_wrong_calls(llr, num_iter, error, text):
    decoder = irs.LDPC5GDecoder(LDPC5GEncoder(12, 40))
    with pytest.raises(error, match=text):
        decoder(llr, num_iter=num_iter)


@pytest.mark.slow
def test_fewer_block_errors_than_sionnas_default():
    encoder = LDPC5GEncoder(512, 1024)
    variance = 10**-0.15  # BPSK at 1.5 dB and rate 1/2
    rng = np.random.default_rng(7)
    source = rng.integers(0, 2, (4096, 512)).astype(np.float32)
    sent = 2 * encoder(tf.constant(source)).numpy() - 1
    llr = tf.constant(
        2 / variance * (sent + rng.normal(0, np.sqrt(variance), sent.shape)), "float32"
    )
    failed = [
        np.any(tf.function(decoder, jit_compile=True)(llr).numpy() != source, 1).mean()
        for decoder in (irs.LDPC5GDecoder(encoder), LDPC5GDecoder(encoder))
    ]
    assert 0.035 < failed[0] < 0.058
    assert failed[0] < failed[1]
