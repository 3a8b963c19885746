"""The layered decoder of 5G LDPC codes, in place of Sionna's."""

from typing import Literal

import tensorflow as tf
from sionna.phy.fec.ldpc import LDPC5GEncoder

from ..arguments import as_number, as_size, require_integer
from ..layer import Input, LinkLayer
from ..serial import deserialize_arguments
from .code import LDPCCode
from .layered import WORD, Rules, decode_tile

__all__ = ["LDPC5GDecoder"]

# What this decoder does; whoever wants anything else wants Sionna's.
_FIXED = {
    "vn_update": "sum",
    "cn_schedule": "layered",
    "v2c_callbacks": None,
    "c2v_callbacks": None,
    "prune_pcm": True,
    "return_state": False,
}
_OFFSETS = {"offset-minsum": 0.5, "minsum": 0.0}


class _Iterations(Input):
    """A number of iterations: one graph serves all of them."""

    def __init__(self):
        super().__init__("size")

    def admit(self, layer, name, value, symbols):
        return tf.convert_to_tensor(as_size(name, value, low=0), tf.int32)


class LDPC5GDecoder(LinkLayer):
    r"""Layered min-sum decoder of 5G LDPC codes, with the call of Sionna's class of this name.

    The rows of the base matrix follow one another, each using what those before have found. With
    the a-posteriori values L of the bits and the message R of every edge, the edges j of a row do

    .. math::
        w_j=L_{c_j}-R_j,\quad v=\mathrm{clip}(w,\pm L_{\max}),\quad
        R_j\leftarrow\prod_{i\ne j}\mathrm{sgn}\,v_i\,
        \max(\min_{i\ne j}|v_i|-\beta,0),\quad L_{c_j}\leftarrow w_j+R_j,

    :math:`\mathrm{sgn}\,0=+1`: the same numbers as Sionna's decoder with
    ``cn_update="offset-minsum", cn_schedule="layered"``, many times faster. Ten iterations are
    worth about twenty of a flooding schedule. A word is finished, and its result kept, after the
    first iteration that satisfies all its checks: a result depends on the word's own logits
    alone, whatever the batch.

    Parameters
    ----------
    encoder : sionna.phy.fec.ldpc.LDPC5GEncoder
        Of the code: (k, n), base graph, rate matching and interleaver.
    cn_update : "offset-minsum" or "minsum"
        With the offset :math:`\beta=1/2`, or 0.
    vn_update, cn_schedule, v2c_callbacks, c2v_callbacks, prune_pcm, return_state
        As Sionna's class has them; only the values shown are possible.
    hard_out : bool
        Bits, else logits.
    return_infobits : bool
        The k information bits, else the n bits of the code word as they were sent.
    num_iter : int
        Iterations at most.
    llr_max : float
        :math:`L_{\max}`, which also bounds the input and the soft output.
    early_stop : bool
        False: always `num_iter` iterations; soft outputs are then those of Sionna's decoder.
    return_iterations : bool
        Also return after how many iterations the checks were satisfied; needs `early_stop`.
    tile : int or None
        Code words decoded together, a multiple of 32, for speed alone. None: 64; 32 for codes of
        more than 20 000 edges; on GPUs 4096.
    precision, **kwargs
        As :class:`LinkLayer`.

    Input
    -----
    llr_ch : tf.Tensor, [..., n], real
        Logits :math:`\ln p(1)/p(0)` of the received bits.
    num_iter : int or tf.Tensor, [], integer, optional
        In place of the constructor's, at least 0. Gradients in XLA need the constructor's.

    Output
    ------
    bits : tf.Tensor, [..., k] or [..., n], real
        0 or 1 (where undecided, 1), or logits.
    iterations : tf.Tensor, [...], int32
        With `return_iterations`: `num_iter` + 1 for words that never satisfied their checks. A
        word that does may still be a wrong one.

    Raises
    ------
    TypeError
        For another encoder than Sionna's, and an argument of another kind.
    ValueError
        For what only Sionna's decoder can do; for a tile that is no multiple of 32.

    Notes
    -----
    Soft outputs are differentiable in the logits. Source: Hocevar, A reduced complexity decoder
    architecture via layered decoding of LDPC codes, 2004; Chen et al., Reduced-complexity
    decoding of LDPC codes, 2005 (the offset); 3GPP TS 38.212, 5.3.2 and 5.4.2.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna.phy.fec.ldpc import LDPC5GEncoder
    >>> encoder = LDPC5GEncoder(12, 40)
    >>> decoder = irs.LDPC5GDecoder(encoder, num_iter=10)
    >>> bits = tf.reshape(tf.cast(tf.range(24) % 3 == 0, tf.float32), [2, 12])
    >>> logits = 4 * (2 * encoder(bits) - 1)
    >>> bool(tf.reduce_all(decoder(logits) == bits))
    True
    """

    inputs = {"llr_ch": Input("real", "n"), "num_iter": _Iterations()}
    compiled = True

    def __init__(
        self,
        encoder,
        cn_update: Literal["offset-minsum", "minsum"] = "offset-minsum",
        vn_update="sum",
        cn_schedule="layered",
        hard_out: bool = True,
        return_infobits: bool = True,
        num_iter: int = 20,
        llr_max: float = 20.0,
        v2c_callbacks=None,
        c2v_callbacks=None,
        prune_pcm=True,
        return_state=False,
        *,
        early_stop: bool = True,
        return_iterations: bool = False,
        tile: int | None = None,
        **kwargs,
    ):
        given = {name: value for name, value in locals().items() if name in _FIXED}
        super().__init__(**kwargs)
        self.code = LDPCCode(encoder)
        _check(cn_update, given)
        flags = {
            "hard_out": hard_out,
            "return_infobits": return_infobits,
            "early_stop": early_stop,
            "return_iterations": return_iterations,
        }
        for name, flag in flags.items():
            if not isinstance(flag, bool):
                raise TypeError(f"{name} = {flag!r}; True or False is needed")
        if return_iterations and not early_stop:
            raise ValueError("return_iterations = True with early_stop = False; True is needed")
        require_integer("num_iter", num_iter, low=0)
        require_integer("tile", tile, low=WORD, optional=True)
        if tile is not None and tile % WORD:
            raise ValueError(f"tile = {tile}; None or a multiple of {WORD} is needed")
        clip = as_number("llr_max", llr_max, minimum=1e-30)
        self.encoder = encoder
        # Saved by what makes it again.
        self._arguments["encoder"] = {
            "k": self.code.k,
            "n": self.code.n,
            "num_bits_per_symbol": encoder.num_bits_per_symbol,
            "bg": self.code.graph,
        }
        self.n, self.k = self.code.n, self.code.k
        self.num_iter, self.tile, self.return_iterations = num_iter, tile, return_iterations
        self.rules = Rules(clip, _OFFSETS[cn_update], hard_out, return_infobits, early_stop)

    def call(self, llr_ch, num_iter=None):
        num_iter = self.num_iter if num_iter is None else num_iter
        batch = llr_ch.shape[:-1]
        num_words = batch.num_elements() if batch.is_fully_defined() else None
        words = tf.reshape(llr_ch, [-1 if num_words is None else num_words, self.n])
        size = self._tile(num_words)
        missing = (-num_words if num_words is not None else -tf.shape(words)[0]) % size
        # The code word of zeros, beyond doubt: finished after the first iteration.
        words = tf.pad(words, [[0, missing], [0, 0]], constant_values=-self.rules.clip)

        def decode(words):
            return decode_tile(self.code, words, num_iter, self.rules)

        if num_words is not None and num_words + missing == size:
            outputs = decode(words)
        else:
            kinds = tf.TensorSpec(None, words.dtype), tf.TensorSpec(None, tf.int32)
            outputs = tf.map_fn(
                decode,
                tf.reshape(words, [-1, size, self.n]),
                parallel_iterations=1,
                fn_output_signature=kinds,
            )
        bits, iterations = (
            self._unpadded(x, llr_ch, d) for x, d in zip(outputs, (1, 0), strict=True)
        )
        return (bits, iterations) if self.return_iterations else bits

    def _tile(self, num_words):
        """How many words are decoded together."""
        if self.tile is not None:
            size = self.tile
        elif tf.config.list_physical_devices("GPU"):
            size = 4096
        else:
            size = 64 if self.code.num_edges * self.code.z <= 20_000 else 32
        if num_words is None:
            return size
        return min(size, -(-num_words // WORD) * WORD)

    def _unpadded(self, output, llr_ch, rank):
        """An output without the words added, in the axes of the batch."""
        length = [self.k if self.rules.information else self.n] * rank
        batch = llr_ch.shape[:-1]
        output = tf.reshape(output, [-1, *length])
        if batch.is_fully_defined():
            return tf.reshape(output[: batch.num_elements()], [*batch, *length])
        sizes = tf.shape(llr_ch)[:-1]
        output = tf.reshape(output[: tf.reduce_prod(sizes)], tf.concat([sizes, length], 0))
        output.set_shape([*batch, *length])
        return output

    @classmethod
    def from_config(cls, config):
        """The layer again, from :meth:`get_config`, with an encoder of its own."""
        arguments = deserialize_arguments(config)
        return cls(**{**arguments, "encoder": LDPC5GEncoder(**arguments["encoder"])})


def _check(cn_update, given):
    """ValueError for what only Sionna's decoder can do."""
    theirs = "sionna.phy.fec.ldpc.LDPC5GDecoder has others"
    if cn_update not in _OFFSETS:
        names = " or ".join(map(repr, _OFFSETS))
        raise ValueError(f"cn_update = {cn_update!r}; {names} is needed ({theirs})")
    for name, value in given.items():
        if value != _FIXED[name]:
            raise ValueError(f"{name} = {value!r}; {_FIXED[name]!r} is needed ({theirs})")
