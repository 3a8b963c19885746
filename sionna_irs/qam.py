"""Square QAM: fast hard decisions, exact logits of bits, and exact error probabilities.

The semi-analytic error rate of a link is the exact conditional error probability, given the
channel, averaged over channels: no bit is ever counted, and small rates need few channels.
"""

import functools
import math

import keras
import numpy as np
import tensorflow as tf
from sionna.phy.mapping import Constellation

from . import random

__all__ = ["QAM"]


@keras.saving.register_keras_serializable("sionna_irs")
class QAM:
    r"""Gray-labelled square QAM of unit energy, Sionna's ``Constellation("qam", m)``.

    Decisions are the nearest points (symbol-wise maximum likelihood), found by quantising the two
    axes; labels are integers, and bit errors are counted in their exclusive or.

    Parameters
    ----------
    num_bits_per_symbol : int
        m in {2, 4, 6, 8, 10}.

    Raises
    ------
    ValueError
        For another m.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> qam = irs.QAM(4)
    >>> labels = qam.draw([100])
    >>> [int(n) for n in qam.count_errors(labels, qam.decide(qam.modulate(labels)))]
    [0, 0]
    """

    def __init__(self, num_bits_per_symbol: int):
        if num_bits_per_symbol not in (2, 4, 6, 8, 10):
            raise ValueError(
                f"num_bits_per_symbol = {num_bits_per_symbol!r}; 2, 4, 6, 8 or 10 is needed"
            )
        self.num_bits_per_symbol = num_bits_per_symbol
        self.num_points = 2**num_bits_per_symbol
        points = Constellation("qam", num_bits_per_symbol, precision="double")().numpy()
        self._points = points
        self._side = side = 2 ** (num_bits_per_symbol // 2)
        self._spacing = math.sqrt(6 / (self.num_points - 1))
        # Label of every cell, counted along the real axis (slow) and the imaginary axis (fast).
        cells = self._cell(points.real) * side + self._cell(points.imag)
        self._labels = np.empty(self.num_points, np.int32)
        self._labels[cells] = np.arange(self.num_points)
        self._ber_terms = self._bit_error_terms()
        self._axes = [self._axis(points.real), self._axis(points.imag)]

    def get_config(self):
        """The constructor's argument."""
        return {"num_bits_per_symbol": self.num_bits_per_symbol}

    @classmethod
    def from_config(cls, config):
        """The constellation again."""
        return cls(**config)

    def _cell(self, coordinate):
        return np.rint(coordinate / self._spacing + (self._side - 1) / 2).astype(int)

    def _axis(self, coordinates):
        """(coordinates of one axis, {bit: its values there}) for the bits that it decides."""
        places = np.unique(np.round(coordinates, 9))
        labels = np.arange(self.num_points)
        at = [labels[np.abs(coordinates - place) < 1e-6] for place in places]
        bits = {}
        for bit in range(self.num_bits_per_symbol):
            values = [set((found >> (self.num_bits_per_symbol - 1 - bit)) & 1) for found in at]
            if all(len(value) == 1 for value in values):
                bits[bit] = [int(*value) for value in values]
        return [float(coordinates[found[0]]) for found in at], bits

    def draw(self, shape):
        """Uniform labels, int32, `shape`."""
        return random.integers(shape, self.num_points)

    def modulate(self, labels, dtype=tf.complex64):
        """Constellation points of labels (int, [...]), `dtype`, mean energy 1."""
        return tf.gather(tf.constant(self._points, dtype), labels)

    def decide(self, x_hat):
        """Labels (int32, [...]) of the nearest points to x_hat (complex, [...])."""
        side = self._side

        def cell(coordinate):
            index = tf.round(coordinate * (1 / self._spacing) + (side - 1) / 2)
            return tf.cast(tf.clip_by_value(index, 0, side - 1), tf.int32)

        cells = cell(tf.math.real(x_hat)) * side + cell(tf.math.imag(x_hat))
        return tf.gather(tf.constant(self._labels), cells)

    def llr(self, x_hat, no, prior=None, maxlog=False):
        r"""Logits of the bits, exact, from one axis at a time.

        A bit of the label decides about one coordinate x only, so that of the
        :math:`2^m` points the :math:`2^{m/2}` coordinates a of that axis remain:

        .. math::
            \ell=\ln\frac{\sum_{a:b=1}p_a\,e^{-(x-a)^2/N_0}}{\sum_{a:b=0}p_a\,e^{-(x-a)^2/N_0}}.

        Parameters
        ----------
        x_hat : tf.Tensor, [...], complex
            Coordinates beyond 1e4 are taken as that.
        no : float or tf.Tensor, broadcasts to [...], real
            Noise variance of the complex symbol; 1e-30 at least is taken.
        prior : tf.Tensor, broadcasts to [..., m], real, optional
            Logits of the bits before: they make :math:`p_a`, and are part of the result.
        maxlog : bool
            The largest term in place of each sum.

        Returns
        -------
        tf.Tensor, [..., m], real
            :math:`\ln p(1)/p(0)`.
        """
        dtype = x_hat.dtype.real_dtype
        scale = -1 / tf.maximum(tf.cast(no, dtype), 1e-30)  # products are finite
        logits = [None] * self.num_bits_per_symbol
        parts = tf.math.real(x_hat), tf.math.imag(x_hat)
        for x, (places, bits) in zip(parts, self._axes, strict=True):
            x = tf.clip_by_value(x, -1e4, 1e4)
            terms = [tf.square(x - place) * scale for place in places]
            for bit, values in bits.items() if prior is not None else ():
                one, zero = (tf.math.log_sigmoid(sign * prior[..., bit]) for sign in (1, -1))
                terms = [t + (one if v else zero) for t, v in zip(terms, values, strict=True)]
            for bit, values in bits.items():
                one, zero = (
                    _log_sum([t for t, v in zip(terms, values, strict=True) if v == b], maxlog)
                    for b in (1, 0)
                )
                logits[bit] = one - zero
        return tf.stack(logits, -1)

    def count_errors(self, labels, labels_hat):
        """(bit errors, symbol errors), int32, of two tensors of labels."""
        wrong = tf.bitwise.bitwise_xor(labels, labels_hat)
        ones = tf.constant([bin(i).count("1") for i in range(self.num_points)], tf.int32)
        bits = tf.reduce_sum(tf.gather(ones, wrong))
        return bits, tf.math.count_nonzero(wrong, dtype=tf.int32)

    def ser_awgn(self, snr):
        r"""Exact symbol error rate, :math:`1-(1-q)^2`, q the error rate of one axis.

        :math:`q=2(1-1/\sqrt M)\,Q(\sqrt{3\gamma/(M-1)})`. Source: Proakis, eq. (4.3-30).

        Parameters
        ----------
        snr : float, array or tensor, [...], real
            Symbol energy over noise variance, linear.

        Returns
        -------
        Same kind and shape as `snr`.
        """
        backend = _Backend(snr)
        q = backend.q(backend.sqrt(3 * snr / (self.num_points - 1)))
        q = 2 * (1 - 1 / self._side) * q
        return 2 * q - q * q

    def ber_awgn(self, snr):
        """Exact bit error rate, mean over the label's bits (arguments as :meth:`ser_awgn`)."""
        backend = _Backend(snr)
        unit = backend.sqrt(3 * snr / (self.num_points - 1))
        return sum(weight * backend.q(k * unit) for k, weight in self._ber_terms.items())

    def _bit_error_terms(self):
        """{k: weight}: the bit error rate is sum of weight Q(k d), d half the spacing over sigma.

        From the labels themselves: for each pair of cells of one axis, the number of differing
        bits times the probability of that cell, a difference of two Q functions.
        """
        side, half = self._side, self.num_bits_per_symbol // 2
        axis_labels = self._labels.reshape(side, side)[:, 0]
        terms = {}
        for sent in range(side):
            for cell in range(side):
                differing = bin(axis_labels[sent] ^ axis_labels[cell]).count("1")
                if not differing:
                    continue
                near = 2 * abs(cell - sent) - 1
                weight = differing / (side * half)
                terms[near] = terms.get(near, 0) + weight
                if 0 < cell < side - 1:
                    terms[near + 2] = terms.get(near + 2, 0) - weight
        return {k: w for k, w in sorted(terms.items()) if abs(w) > 1e-15}

    def ser_rayleigh(self, mean_snr, diversity=1):
        r"""Exact symbol error rate after combining L independent Rayleigh branches.

        The Craig form of Q makes it two finite integrals of
        :math:`(1+g\bar\gamma/\sin^2\phi)^{-L}`, :math:`g=3/(2(M-1))`, over
        :math:`[0,\pi/2]` and :math:`[0,\pi/4]`, here by Gauss-Legendre quadrature (relative error
        below 1e-10). Source: Simon and Alouini, eq. (8.106) with (5.3).

        Parameters
        ----------
        mean_snr : float or array, [...], real
            Mean SNR of one branch, linear.
        diversity : int
            L, number of branches.

        Returns
        -------
        float or np.ndarray, [...]
        """
        g = 1.5 / (self.num_points - 1)
        share = 1 - 1 / self._side
        mean_snr = np.asarray(mean_snr, float)
        nodes, weights = np.polynomial.legendre.leggauss(200)

        def integral(end):
            phi, w = (nodes + 1) * end / 2, weights * end / 2
            sin2 = np.sin(phi) ** 2
            return (w * (sin2 / (sin2 + g * mean_snr[..., None])) ** diversity).sum(-1) / math.pi

        value = 4 * share * integral(math.pi / 2) - 4 * share**2 * integral(math.pi / 4)
        return float(value) if value.ndim == 0 else value


def _log_sum(terms, largest):
    """ln of the sum of e^term over a list of tensors of one shape, or the largest term."""
    top = functools.reduce(tf.maximum, terms)
    if largest or len(terms) == 1:
        return top
    # What is taken out cancels in the gradient.
    top = tf.stop_gradient(top)
    return top + tf.math.log(tf.add_n([tf.exp(term - top) for term in terms]))


class _Backend:
    """sqrt and Q of floats and arrays by NumPy and SciPy, of tensors by TensorFlow."""

    def __init__(self, example):
        if tf.is_tensor(example):
            # A root of 0 has no gradient.
            self.sqrt = lambda x: tf.sqrt(tf.maximum(x, 1e-30))
            self.q = lambda x: 0.5 * tf.math.erfc(x / math.sqrt(2))
        else:
            from scipy.special import erfc

            self.sqrt = np.sqrt
            self.q = lambda x: 0.5 * erfc(x / math.sqrt(2))
