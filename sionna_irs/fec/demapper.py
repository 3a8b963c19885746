"""The demapper of square QAM, one axis at a time, in place of Sionna's."""

from typing import Literal

import tensorflow as tf

from ..layer import Input, LinkLayer
from ..qam import QAM

__all__ = ["Demapper"]


class Demapper(LinkLayer):
    r"""Logits of the bits of square QAM, exact, with the call of Sionna's class of this name.

    Each bit decides about one coordinate of the symbol, so that :math:`2^{m/2}` points of one
    axis do instead of :math:`2^m`; see :meth:`QAM.llr`. The results are those of Sionna's
    demapper, ten to ninety times faster.

    Parameters
    ----------
    demapping_method : "app" or "maxlog"
        Exact, or with the largest term in place of each sum.
    constellation_type : "qam"
    num_bits_per_symbol : int
        m in {2, 4, 6, 8, 10}.
    constellation : None
        Sionna's demapper has other constellations.
    hard_out : bool
        Bits, else logits.

    Input
    -----
    y : tf.Tensor, [..., n], complex
        Symbols of unit energy with noise.
    no : float or tf.Tensor, broadcasts to [..., n], real
        Noise variance.
    prior : tf.Tensor, [m] or broadcasts to [..., n, m], real, optional
        Logits of the bits before; part of the result.

    Output
    ------
    llr : tf.Tensor, [..., n m], real
        :math:`\ln p(1)/p(0)` of the bits, or 0 and 1.

    Raises
    ------
    ValueError
        For another method, constellation or m.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna.phy.mapping import Mapper
    >>> bits = tf.constant([[0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]])
    >>> llr = irs.Demapper("app", "qam", 4)(Mapper("qam", 4)(bits), 0.1)
    >>> tf.cast(llr > 0, tf.int32).numpy()
    array([[0, 1, 1, 0, 1, 1, 0, 0]], dtype=int32)
    """

    inputs = {
        "y": Input("complex", "num_symbols"),
        "no": Input("real", "num_symbols", minimum=0, like="y"),
        "prior": Input("real", "num_bits_per_symbol"),
    }

    def __init__(
        self,
        demapping_method: Literal["app", "maxlog"] = "app",
        constellation_type: Literal["qam"] = "qam",
        num_bits_per_symbol: int = None,
        constellation=None,
        hard_out: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        theirs = "sionna.phy.mapping.Demapper has others"
        if demapping_method not in ("app", "maxlog"):
            raise ValueError(
                f"demapping_method = {demapping_method!r}; 'app' or 'maxlog' is needed"
            )
        if constellation_type != "qam":
            raise ValueError(
                f"constellation_type = {constellation_type!r}; 'qam' is needed ({theirs})"
            )
        if constellation is not None:
            raise ValueError(f"constellation = {constellation!r}; None is needed ({theirs})")
        if not isinstance(hard_out, bool):
            raise TypeError(f"hard_out = {hard_out!r}; True or False is needed")
        self.qam = QAM(num_bits_per_symbol)
        self.num_bits_per_symbol = num_bits_per_symbol
        self.demapping_method, self.hard_out = demapping_method, hard_out

    def call(self, y, no, prior=None):
        logits = self.qam.llr(y, no, prior, maxlog=self.demapping_method == "maxlog")
        length = y.shape[-1] if y.shape[-1] is not None else tf.shape(y)[-1]
        bits = tf.reshape(
            logits, tf.concat([tf.shape(y)[:-1], [length * self.num_bits_per_symbol]], 0)
        )
        if y.shape[-1] is not None:
            bits.set_shape([*y.shape[:-1], length * self.num_bits_per_symbol])
        return tf.cast(bits > 0, self.rdtype) if self.hard_out else bits
