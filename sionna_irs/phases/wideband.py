"""Phase designs for many subcarriers: one set of phases that no subcarrier has alone."""

import math

import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import Input, LinkLayer, require_integer
from ..linalg import dominant_singular_vectors
from ..linalg.scale import power_of_two, scaled_noise
from ..surface.design import Design
from ..surface.discrete import quantize_phase
from .policies import CoordinateAscent, unit_cascade

__all__ = ["RateAscent", "StrongestTap", "delay_taps"]


def wideband_cascade(links):
    """U [B, F, M, N+1] as given numbers of order one, N, and k: 2^k U is that of the links."""
    u, k = unit_cascade(links)
    if u.shape.rank != 4:
        raise ValueError(
            f"the cascade has shape {u.shape}; [batch_size, F, M, N+1], subcarriers after the "
            "batch, is needed"
        )
    return u, links["tx>s1"].shape[-2], k


def snr_root(snr, k, dtype):
    """Root [B, 1, 1, 1] of the SNR in the unit of :func:`wideband_cascade`."""
    scale = power_of_two(tf.reshape(k, [-1, 1, 1, 1]), dtype.real_dtype)
    return tf.cast(tf.math.rsqrt(scaled_noise(1 / snr, scale)), dtype)


def delay_taps(u):
    r"""Delay taps of a frequency response, :math:`c_l=\frac1F\sum_fu_fe^{j2\pi(f-F/2)l/F}`.

    The subcarriers ascend, with the centre frequency at F // 2, as in Sionna's resource grids:
    a path with a delay of l samples is in tap l.

    Parameters
    ----------
    u : tf.Tensor, [batch_size, F, M, N], complex

    Returns
    -------
    tf.Tensor, [batch_size, F, M, N], complex
        Delay zero first, negative delays at the end.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from sionna_irs.phases.wideband import delay_taps
    >>> late = tf.exp(-2j * 3.141592653589793 * tf.constant([-2, -1, 0, 1], tf.complex128) / 4)
    >>> abs(delay_taps(late[None, :, None, None])[0, :, 0, 0].numpy()).round(6)
    array([0., 1., 0., 0.])
    """
    centred = tf.signal.ifftshift(tf.convert_to_tensor(u), axes=[1])
    return tf.transpose(tf.signal.ifft(tf.transpose(centred, [0, 2, 3, 1])), [0, 3, 1, 2])


class StrongestTap(LinkLayer):
    r"""Phases that align the strongest delay tap of the surface, in closed form.

    With c[n, l] the inverse DFT of the cascade over the subcarriers and d[l] that of the direct
    path: :math:`l^*=\arg\max_l\sum_n|c[n,l]|`, :math:`\varphi_n=\arg d[l^*]-\arg c[n,l^*]`
    (without a direct path, or where it has nothing in that tap, only the second term). With M
    antennas every tap is seen along its strongest direction, as in :class:`AlignedPhases`: c and
    d become :math:`w_l^Hc[n,l]` and :math:`w_l^Hd[l]`, w_l the dominant left singular vector of
    :math:`[c[1,l]..c[N,l]]`; with one antenna w is 1.

    Parameters
    ----------
    num_bits : int or None
        None is continuous; else the phases are rounded to the nearest of the 2^b.
    num_iter : int
        Power iterations for w.

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
    >>> from sionna_irs.phases.wideband import StrongestTap
    >>> links = irs.Links.from_cascaded(tf.ones([3, 16, 2, 9], tf.complex64))
    >>> StrongestTap(num_bits=2)(links)["s1"].shape
    TensorShape([3, 8])
    """

    inputs = {"links": Input("links")}

    def __init__(self, num_bits: int | None = None, num_iter: int = 10, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_bits", num_bits, high=16, optional=True)
        require_integer("num_iter", num_iter)
        self.num_bits, self.num_iter = num_bits, num_iter

    def call(self, links):
        u, n, _ = wideband_cascade(links)
        # The scale is that of path gains, far below the smallest squares of single precision.
        scale = tf.reduce_max(tf.abs(u[..., :n]), [1, 2, 3], keepdims=True)
        scale = tf.where(scale > 0, scale, tf.ones_like(scale))
        taps = delay_taps(u / tf.cast(scale, u.dtype))
        _, w, _ = dominant_singular_vectors(taps[..., :n], self.num_iter)
        # The common phase of w is free; a real first entry makes the design a plain formula.
        w *= unit_phasor(-tf.math.angle(w[..., :1]))
        seen = tf.linalg.matvec(taps, w, adjoint_a=True)  # conj(w^H u_n), [B, F, N+1]
        best = tf.argmax(tf.reduce_sum(tf.abs(seen[..., :n]), -1), -1)
        seen = tf.gather(seen, best, axis=1, batch_dims=1)
        phase = tf.math.angle(seen[..., :n])
        if seen.shape[-1] > n:
            direct = seen[..., n:]
            # The angle of a negative zero is pi.
            phase -= tf.where(
                tf.abs(direct) > 0, tf.math.angle(direct), tf.zeros_like(phase[:, :1])
            )
        if self.num_bits is not None:
            phase = quantize_phase(phase, self.num_bits)
        return Design(s1=phase)


def _field(v, phases):
    """Reflections r = [exp(j phases), 1] [B, N+1] and V_f r [B, F, M]."""
    reflection = unit_phasor(phases)
    if v.shape[-1] > phases.shape[-1]:
        reflection = tf.concat([reflection, tf.ones_like(reflection[:, :1])], -1)
    return reflection, tf.einsum("bfmn,bn->bfm", v, reflection)


def _rate_and_slope(v, phases):
    r"""Rate [B] [nat], :math:`\sum_f\ln(1+p_f)`, and its gradient in the phases [B, N].

    With :math:`g_f=V_f\bar r`, :math:`p_f=\|g_f\|^2` and v_n the columns of V_f, the gradient is
    :math:`-2\,\mathrm{Im}\sum_fg_f^Hv_ne^{j\varphi_n}/(1+p_f)`.
    """
    reflection, field = _field(v, phases)
    power = tf.reduce_sum(tf.square(tf.abs(field)), -1)
    weighted = tf.math.conj(field) / tf.cast(1 + power, field.dtype)[..., None]
    slope = tf.einsum("bfmn,bfm->bn", v, weighted) * reflection
    rate = tf.reduce_sum(tf.math.log1p(power), -1)
    return rate, -2 * tf.math.imag(slope[:, : phases.shape[-1]])


class RateAscent(LinkLayer):
    r"""Phases by gradient ascent of the rate :math:`\sum_f\log_2(1+\rho\|U_f\bar r\|^2)`.

    Adam on the phases with the gradient in closed form. Of all steps the best is kept, the start
    included, so that no example ends below its start.

    Parameters
    ----------
    snr : float
        rho: transmit power of a subcarrier over the noise variance of an antenna, positive.
    num_iter : int
        Steps.
    learning_rate : float
        Of Adam, positive [radian].
    start : callable or None
        Policy that gives the first phases; None is ``CoordinateAscent()``, the design for the
        mean power.

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
    >>> from sionna_irs.phases.wideband import RateAscent
    >>> links = irs.Links.from_cascaded(tf.ones([3, 16, 2, 9], tf.complex64))
    >>> RateAscent(snr=0.1, num_iter=5)(links)["s1"].shape
    TensorShape([3, 8])
    """

    inputs = {"links": Input("links")}

    @property
    def compiled(self):
        """What a policy of the user's reads may change from call to call."""
        return all(isinstance(part, LinkLayer) for part in (self.start,))

    def __init__(
        self, snr: float, num_iter: int = 200, learning_rate: float = 0.1, start=None, **kwargs
    ):
        super().__init__(**kwargs)
        for name, value in (("snr", snr), ("learning_rate", learning_rate)):
            if not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise ValueError(f"{name} = {value!r}; a positive finite number is needed")
        require_integer("num_iter", num_iter)
        if start is not None and not callable(start):
            raise ValueError(f"start = {start!r}; None or a policy (links -> phases) is needed")
        self.snr, self.num_iter, self.learning_rate = snr, num_iter, learning_rate
        self.start = CoordinateAscent(precision=self.precision) if start is None else start

    def call(self, links):
        u, n, k = wideband_cascade(links)
        v = u * snr_root(self.snr, k, u.dtype)
        phases = tf.stop_gradient(self.real(self.start(links)["s1"]))
        if phases.shape.rank != 2 or phases.shape[-1] != n:
            raise ValueError(f"start gives phases {phases.shape}; [batch_size, {n}] is needed")
        # Steps do not depend on the unit of the slope, but for a small constant against 0 / 0:
        # a slope relative to the power keeps that constant small at every SNR.
        power = tf.reduce_sum(tf.square(tf.abs(_field(v, phases)[1])), -1)
        unit = tf.reduce_sum(power / (1 + power), -1, keepdims=True)
        unit = tf.where(unit > 0, unit, tf.ones_like(unit))

        def body(step, phases, first, second, best, top):
            rate, slope = _rate_and_slope(v, phases)
            best, top = _better(rate, phases, best, top)
            change, first, second = self._adam(step, slope / unit, first, second)
            return step + 1, phases + change, first, second, best, top

        zeros = tf.zeros_like(phases)
        _, phases, _, _, best, top = tf.while_loop(
            lambda step, *_: step < self.num_iter,
            body,
            (tf.constant(0), phases, zeros, zeros, phases, _lowest(phases)),
            maximum_iterations=self.num_iter,
        )
        return Design(s1=_better(_rate_and_slope(v, phases)[0], phases, best, top)[0])

    def _adam(self, step, slope, first, second):
        """One step of Adam: (change, first moment, second moment)."""
        decay_first, decay_second, small = (self.real(x) for x in (0.9, 0.999, 1e-8))
        first = decay_first * first + (1 - decay_first) * slope
        second = decay_second * second + (1 - decay_second) * tf.square(slope)
        # Both moments start at zero; these are the shares that they have seen.
        count = tf.cast(step + 1, self.rdtype)
        mean = first / (1 - tf.pow(decay_first, count))
        spread = tf.sqrt(second / (1 - tf.pow(decay_second, count)))
        return self.real(self.learning_rate) * mean / (spread + small), first, second


def _lowest(phases):
    """[B] of minus infinity."""
    return tf.zeros_like(phases[:, 0]) - math.inf


def _better(rate, phases, best, top):
    """Per example the better of (phases, rate) and (best, top)."""
    return tf.where((rate > top)[:, None], phases, best), tf.maximum(rate, top)
