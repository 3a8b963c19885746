"""Layered min-sum decoding in float64, check by check, from the parity-check matrix alone."""

import numpy as np


def decode(encoder, logits, num_iter, offset=0.5, clip=20.0):
    """A-posteriori logits [W, n] after every iteration, information bits' [W, k], satisfied [W].

    One dictionary entry a check; no rows of circulants, no tables of the decoder's.
    """
    logits = np.asarray(logits, np.float64)
    k, n, z = encoder.k, encoder.n, encoder.z
    sent = n + 2 * z - k  # parity bits
    num_checks = max(4, -(-sent // z)) * z
    received = logits if encoder.num_bits_per_symbol is None else logits[:, encoder.out_int_inv]
    values = np.zeros([len(logits), encoder.n_ldpc])
    values[:, 2 * z : k] = -np.clip(received[:, : k - 2 * z], -clip, clip)
    values[:, k : encoder.k_ldpc] = clip
    parity = slice(encoder.k_ldpc, encoder.k_ldpc + sent)
    values[:, parity] = -np.clip(received[:, k - 2 * z :], -clip, clip)
    checks = [encoder.pcm[i].indices for i in range(num_checks)]
    messages = [np.zeros([len(logits), len(bits)]) for bits in checks]
    history = []
    for _ in range(num_iter):
        for i, bits in enumerate(checks):
            w = values[:, bits] - messages[i]
            v = np.clip(w, -clip, clip)
            for j in range(len(bits)):
                others = np.delete(v, j, 1)
                sign = np.prod(np.where(others < 0, -1, 1), 1)
                size = np.maximum(np.abs(others).min(1) - offset, 0)
                messages[i][:, j] = sign * size
            values[:, bits] = w + messages[i]
        hard = values <= 0
        good = np.all([hard[:, bits].sum(1) % 2 == 0 for bits in checks], 0)
        soft = -np.clip(values, -clip, clip)
        code_word = np.concatenate([soft[:, 2 * z : k], soft[:, parity]], 1)
        if encoder.num_bits_per_symbol is not None:
            code_word = code_word[:, encoder.out_int]
        history.append((code_word, soft[:, :k], good))
    return history
