"""Layered min-sum decoding of one tile: code words side by side, the batch innermost."""

from typing import NamedTuple

import tensorflow as tf

__all__ = ["WORD", "Rules", "decode_tile"]

WORD = 32  # code words whose bits share one integer


class Rules(NamedTuple):
    """How a decoder works and what it returns."""

    clip: float  # largest magnitude of a message
    offset: float  # taken off every message
    hard: bool  # bits, else logits
    information: bool  # the k information bits, else the code word
    early_stop: bool


def decode_tile(code, logits, num_iter, rules):
    r"""Layered decoding of a tile of code words until all satisfy their checks.

    Rows follow one another; with L the a-posteriori values of the bits and R the message of
    every edge, the d edges of a row do

    .. math::
        w_j=L_{c_j}-R_j,\quad v=\mathrm{clip}(w,\pm c),\quad
        R_j\leftarrow\prod_{i\ne j}\mathrm{sgn}\,v_i\,
        \max(\min_{i\ne j}|v_i|-\beta,0),\quad L_{c_j}\leftarrow w_j+R_j.

    Parameters
    ----------
    code : LDPCCode
    logits : tf.Tensor, [B, n], real
        log p(1)/p(0); B is a multiple of 32.
    num_iter : int or tf.Tensor, [], int32
        Iterations at most.
    rules : Rules
        See :class:`~sionna_irs.LDPC5GDecoder`.

    Returns
    -------
    bits : tf.Tensor, [B, k or n], real
        Decisions (0, 1) or logits.
    iterations : tf.Tensor, [B], int32
        After how many iterations the word satisfied its checks; num_iter + 1 if never (or if
        nobody looked, without `early_stop`).
    """
    columns = _channel(code, logits, rules.clip)
    messages = [tf.zeros([len(row), code.z, *_batch(logits)], logits.dtype) for row, _ in code.rows]
    limit = num_iter if isinstance(num_iter, int) else None
    num_iter = tf.convert_to_tensor(num_iter, tf.int32)
    after = tf.fill(_batch(logits), num_iter + 1)
    if rules.early_stop:
        found, after = _until_satisfied(code, columns, messages, num_iter, after, limit, rules)
    else:
        _, columns, _ = tf.while_loop(
            lambda i, *_: i < num_iter,
            lambda i, *state: (i + 1, *_iterate(code, *state, rules)),
            (tf.constant(0), columns, messages),
            maximum_iterations=limit,
            parallel_iterations=1,
        )
        found = _outcome(code, columns, rules)
    found = tf.gather(found, code.information if rules.information else code.code_word)
    if rules.hard:
        return tf.transpose(tf.cast(unpack_signs(found), logits.dtype)), after
    return tf.transpose(-tf.clip_by_value(found, -rules.clip, rules.clip)), after


def _until_satisfied(code, columns, messages, num_iter, after, limit, rules):
    """Outcome of every word in the iteration that satisfied its checks, and which that was."""

    def running(i, after, *_):
        return (i < num_iter) & tf.reduce_any(after > i)

    def body(i, after, kept, columns, messages):
        columns, messages = _iterate(code, columns, messages, rules)
        signs = pack_signs(tf.concat(columns, 0))
        fresh = signs if rules.hard else _outcome(code, columns, rules)
        kept = _where_running(after > i, fresh, kept, rules.hard)
        good = (after > i) & satisfied(code, signs)
        return i + 1, tf.where(good, i + 1, after), kept, columns, messages

    _, after, kept, _, _ = tf.while_loop(
        running,
        body,
        (tf.constant(0), after, _outcome(code, columns, rules), columns, messages),
        maximum_iterations=limit,
        parallel_iterations=1,
    )
    return kept, after


def _outcome(code, columns, rules):
    """What the results are read from: packed signs of all columns, or values of those needed."""
    if rules.hard:
        return pack_signs(tf.concat(columns, 0))
    end = code.k_ldpc // code.z if rules.information else code.num_columns
    return tf.concat(columns[:end], 0)


def _batch(logits):
    """[B], a Python number where it is known."""
    return [logits.shape[0] if logits.shape[0] is not None else tf.shape(logits)[0]]


def _channel(code, logits, clip):
    """Values log p(0)/p(1) of all columns, [Z, B] each, as the code keeps them."""
    values = 0.0 - tf.clip_by_value(tf.transpose(logits), -clip, clip)
    unknown = tf.zeros_like(values[:1])
    values = tf.concat([values, unknown, unknown + clip], 0)
    return tf.split(tf.gather(values, code.source), code.num_columns)


def _iterate(code, columns, messages, rules):
    """All rows once."""
    columns, updated = list(columns), []
    for (row, turns), old in zip(code.rows, messages, strict=True):
        turned = [_turn(columns[c], turn) for c, turn in zip(row, turns, strict=True)]
        values = tf.stack(turned) - old
        new = _check_messages(values, rules)
        updated.append(new)
        for c, value in zip(row, tf.unstack(values + new), strict=True):
            columns[c] = value
    return columns, updated


def _turn(column, turn):
    return tf.concat([column[turn:], column[:turn]], 0) if turn else column


def _check_messages(values, rules):
    """Messages of one row's checks to its bits, [d, Z, B], from the values of the bits.

    One sum holds the parity of the signs and how many edges share the smallest magnitude: where
    it is more than one, each of them sees it among the others.
    """
    values = tf.clip_by_value(values, -rules.clip, rules.clip)
    size, negative = tf.abs(values), values < 0
    least = tf.reduce_min(size, 0)
    first = tf.equal(size, least)
    count = tf.reduce_sum(
        tf.where(negative, 1, 0) + tf.where(first, WORD, 0), 0
    )  # at most 19 edges
    second = tf.reduce_min(tf.where(first, tf.constant(rules.clip, size.dtype), size), 0)
    second = tf.where(count >= 2 * WORD, least, second)
    others = tf.where(first, second, least)
    if rules.offset:
        others = tf.nn.relu(others - rules.offset)
    return tf.where(tf.not_equal(negative, count % 2 == 1), -others, others)


def _where_running(running, fresh, snapshot, packed):
    """`fresh` for the words that run, the snapshot for the others."""
    if not packed:
        return tf.where(running, fresh, snapshot)
    mask = pack_signs(tf.where(running, -1, 1)[None])
    return (fresh & mask) | (snapshot & ~mask)


def pack_signs(values):
    """Bits (value <= 0) of 32 code words in one integer: [P, B] -> [P, B/32] int32."""
    flags = tf.reshape(values <= 0, [values.shape[0], -1, WORD])
    weights = tf.bitwise.left_shift(1, tf.range(WORD))
    return tf.reduce_sum(tf.where(flags, weights, 0), -1)


def unpack_signs(words):
    """Bits (bool) of the code words again: [P, B/32] -> [P, B]."""
    flags = tf.bitwise.right_shift(words[..., None], tf.range(WORD)) & 1
    return tf.reshape(flags, [words.shape[0], -1]) > 0


def satisfied(code, signs):
    """Which code words satisfy all checks: [num_columns Z, B/32] -> [B] bool."""
    failed = []
    for table in code.checks:
        bits = tf.unstack(tf.gather(signs, table))
        parity = bits[0]
        for other in bits[1:]:
            parity = tf.bitwise.bitwise_xor(parity, other)
        failed.append(parity)
    return ~tf.reduce_any(unpack_signs(tf.concat(failed, 0)), 0)
