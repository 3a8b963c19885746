"""Element-wise ascent of the rate over many subcarriers, in closed form."""

import math

import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import Input, LinkLayer, require_integer
from ..surface.design import Design
from ..surface.discrete import quantize_phase
from .policies import CoordinateAscent
from .wideband import snr_root, wideband_cascade

__all__ = ["RateCoordinateAscent"]


class RateCoordinateAscent(LinkLayer):
    r"""Phases by element-wise ascent of :math:`R=\sum_f\log_2(1+\rho\|U_f\bar r\|^2)`.

    With :math:`b_f=\sqrt\rho\,u_{fn}`, :math:`a_f` the field without element n,
    :math:`g_f=a_f+b_fe^{j\varphi_n}` and :math:`p_f=\|g_f\|^2`, two phases are tried for every
    element, and the one of higher rate is taken:

    .. math:: \varphi_n=-\arg\sum_f\frac{a_f^Hb_f}{1+p_f},\qquad
              \varphi_n=-\arg\sum_f\Big(g_f-\frac{p_f}{1+p_f}a_f\Big)^Hb_f

    The first solves the condition for a maximum with the weights as they are, and is fast. The
    second maximises :math:`\ln(1+p_f)-p_f+2\,\mathrm{Re}\,g_f^Hg-\frac{p_f}{1+p_f}(1+\|g\|^2)`,
    which lies below :math:`\ln(1+\|g\|^2)` and touches it at :math:`g_f`: it never lowers the
    rate. With b bits all 2^b phases are tried.

    Parameters
    ----------
    snr : float
        rho: transmit power of a subcarrier over the noise variance of an antenna, positive.
    num_bits : int or None
        None is continuous.
    num_iter : int
        Sweeps over the elements.
    start : callable or None
        Policy that gives the first phases; None is ``CoordinateAscent(num_bits)``, the design for
        the mean power.

    Input
    -----
    links : Links
        One surface, one transmit antenna, subcarriers after the batch: {"tx>s1":
        [batch_size, F, N, 1], "s1>rx": [batch_size, F, M, N], "tx>rx": [batch_size, F, M, 1]}.

    Output
    ------
    design : Design, {"s1": [batch_size, N]}, real [radian]

    No gradient passes: the design is a decision.

    Raises
    ------
    ValueError
        For other links and numbers out of range.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> links = irs.Links.from_cascaded(tf.ones([3, 16, 2, 9], tf.complex64))
    >>> irs.RateCoordinateAscent(snr=0.1, num_bits=2, num_iter=2)(links)["s1"].shape
    TensorShape([3, 8])
    """

    inputs = {"links": Input("links")}

    @property
    def compiled(self):
        """What a policy of the user's reads may change from call to call."""
        return all(isinstance(part, LinkLayer) for part in (self.start,))

    def __init__(
        self, snr: float, num_bits: int | None = None, num_iter: int = 8, start=None, **kwargs
    ):
        super().__init__(**kwargs)
        if not isinstance(snr, (int, float)) or not 0 < snr < math.inf:
            raise ValueError(f"snr = {snr!r}; a positive finite number is needed")
        require_integer("num_bits", num_bits, high=8, optional=True)
        require_integer("num_iter", num_iter)
        if start is not None and not callable(start):
            raise ValueError(f"start = {start!r}; None or a policy (links -> phases) is needed")
        self.snr, self.num_bits, self.num_iter = snr, num_bits, num_iter
        self.start = start or CoordinateAscent(num_bits, precision=self.precision)

    def call(self, links):
        u, n, k = wideband_cascade(links)
        columns = tf.transpose(u * snr_root(self.snr, k, u.dtype), [3, 0, 1, 2])  # [N+1, B, F, M]
        phases = tf.transpose(tf.stop_gradient(self.real(self.start(links)["s1"])))
        if phases.shape.rank != 2 or phases.shape[0] != n:
            raise ValueError(f"start gives {phases.shape[0]} phases; {n} are needed")
        if self.num_bits is not None:
            phases = quantize_phase(phases, self.num_bits)
        elements = columns[:n]
        field = tf.reduce_sum(elements * unit_phasor(phases)[:, :, None, None], 0)
        field += tf.reduce_sum(columns[n:], 0)

        def body(step, field, phases):
            index = step % n
            element, old = tf.gather(elements, index), tf.gather(phases, index)
            rest = field - element * unit_phasor(old)[:, None, None]
            best = self._best(element, rest, field)
            phases = tf.tensor_scatter_nd_update(phases, [[index]], best[None])
            return step + 1, rest + element * unit_phasor(best)[:, None, None], phases

        steps = self.num_iter * n
        _, _, phases = tf.while_loop(
            lambda step, *_: step < steps,
            body,
            (tf.constant(0), field, phases),
            maximum_iterations=steps,
        )
        return Design(s1=tf.transpose(phases))

    def _best(self, element, rest, field):
        """The next phase [B] of an element [B, F, M], given the field without it and with it."""
        if self.num_bits is None:
            tried = self._stationary(element, rest, field)
        else:
            tried = 2 * math.pi / 2**self.num_bits * tf.range(2.0**self.num_bits)
            tried = tf.cast(tried, self.rdtype)[None]
        # ||a + b e^{j phi}||^2 for every phase, from two numbers of a subcarrier.
        fixed = tf.reduce_sum(tf.square(tf.abs(rest)) + tf.square(tf.abs(element)), -1)
        cross = tf.reduce_sum(tf.math.conj(rest) * element, -1)
        swing = 2 * tf.math.real(cross[..., None] * unit_phasor(tried)[:, None])  # [B, F, tried]
        rate = tf.reduce_sum(tf.math.log1p(tf.maximum(fixed[..., None] + swing, 0)), 1)
        tried = tf.broadcast_to(tried, tf.shape(rate))
        return tf.gather(tried, tf.argmax(rate, -1), axis=1, batch_dims=1)

    @staticmethod
    def _stationary(element, rest, field):
        """The two phases of the class's formula, [B, 2]."""
        power = tf.reduce_sum(tf.square(tf.abs(field)), -1, keepdims=True)
        weighted = rest / tf.cast(1 + power, rest.dtype)
        bound = field - tf.cast(power / (1 + power), rest.dtype) * rest
        sums = [tf.reduce_sum(tf.math.conj(x) * element, [1, 2]) for x in (weighted, bound)]
        return -tf.math.angle(tf.stack(sums, -1))
