"""Reflection patterns that make every element of a surface visible to pilots."""

import math

import numpy as np
import tensorflow as tf

from .. import random
from ..channel.links import Links
from ..layer import Input, LinkLayer, as_real

__all__ = ["SurfacePilots"]


class SurfacePilots(LinkLayer):
    r"""DFT reflection patterns and the de-spread pilot observation :math:`Y=UR+Z`.

    :math:`R_{np}=e^{j2\pi(n+1)p/P}` for the elements n = 0..N-1 and all ones for the direct
    column, so that :math:`RR^H=PI` for every :math:`P\ge N+1`. Each pattern is held for `pilot_len`
    pilot symbols of unit power; correlating them leaves noise of variance
    :math:`N_0/\mathrm{pilot\_len}`.

    Source: Liu, Lei, Zhang 2020 and the CENAS paper, eqs. (4) to (8), corrected: the all-ones row
    belongs to the direct column, and the noise is divided by the pilot energy.

    Parameters
    ----------
    num_elements : int
        N
    num_patterns : int
        P, at least N + 1 (N without a direct path).
    pilot_len : int
        Pilot symbols per pattern.
    direct : bool
        Whether the last column of U is a direct path.

    Input
    -----
    u : Links, or tf.Tensor, [..., M, N+1], complex
        Links with one surface, or the cascaded channel.
    no : float or tf.Tensor that broadcasts to [...], real
        Noise variance over pilot power.

    Output
    ------
    y : tf.Tensor, [..., M, P], complex

    Raises
    ------
    ValueError
        For too few patterns, or a cascade of another size.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
    >>> pilots(channel.draw(3), 0.1).shape
    TensorShape([3, 4, 9])
    """

    inputs = {
        "u": Input("complex", "num_rx_ant", "num_columns"),
        "no": Input("real", minimum=0, like="u"),
    }

    def __init__(
        self,
        num_elements: int,
        num_patterns: int,
        pilot_len: int = 1,
        direct: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("num_elements", num_elements), ("pilot_len", pilot_len)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} = {value!r}; an integer of at least 1 is needed")
        self.num_columns = num_elements + bool(direct)
        if not isinstance(num_patterns, int) or num_patterns < self.num_columns:
            raise ValueError(
                f"num_patterns = {num_patterns!r}; an integer of at least {self.num_columns} "
                "(one for each unknown column) is needed"
            )
        self.num_elements, self.num_patterns = num_elements, num_patterns
        self.pilot_len, self.direct = pilot_len, direct
        q = np.arange(1, num_elements + 1)
        q = np.append(q, 0) if direct else q - 1
        turns = np.outer(q, np.arange(num_patterns)) % num_patterns / num_patterns
        self._patterns = np.exp(2j * math.pi * turns)

    @property
    def patterns(self):
        """R, [N+1, P], complex: column p is shown in sub-frame p."""
        return tf.constant(self._patterns, self.cdtype)

    def error_variance(self, no):
        """Variance of a least-squares entry, no / (P pilot_len), shape of ``no``, real."""
        no = as_real("no", no, self.rdtype, 0.0)
        return no / (self.num_patterns * self.pilot_len)

    def _admit(self, name, value, symbols):
        if name == "u" and isinstance(value, dict):
            value = Links(value).cascaded()
        return super()._admit(name, value, symbols)

    def call(self, u, no):
        y = tf.linalg.matmul(u, self.patterns)
        variance = no / self.pilot_len
        if variance.shape.rank:
            variance = variance[..., None, None]
        return y + random.complex_normal(tf.shape(y), self.cdtype, variance)
