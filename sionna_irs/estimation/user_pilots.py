"""Pilots of several users, fixed or learned, and the linear estimators of their channels."""

import numpy as np
import tensorflow as tf

from .. import random
from ..layer import Input, LinkLayer, require_integer
from ..linalg import hpd_solve
from .wiener import wiener

__all__ = ["UserLMMSEEstimator", "UserLSEstimator", "UserPilots", "UserScaledLSEstimator"]

_LARGEST = 1e18  # of a noise variance over a power


class UserPilots(LinkLayer):
    r"""Uplink pilots :math:`Y=HP+N`; the power of every user's symbols is 1 on average.

    Source: neural calibration, (7), with equality of the power, which is the best choice.

    Parameters
    ----------
    num_users, num_symbols : int
        K and L.
    trainable : bool
        Whether the rows of P, scaled to power L in every call, are learned.
    initial : array, [K, L], complex, or None
        Start; None are rows of the DFT matrix, orthogonal for L >= K.

    Input
    -----
    h : tf.Tensor, [..., M, K], complex
    no : float or tf.Tensor, [...], real
        Noise variance over the power of a pilot symbol.

    Output
    ------
    y : tf.Tensor, [..., M, L], complex

    Raises
    ------
    ValueError
        For another shape of `initial`, or a row of zeros.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> irs.UserPilots(4, 4)(tf.ones([3, 8, 4], tf.complex64), 0.1).shape
    TensorShape([3, 8, 4])
    """

    inputs = {
        "h": Input("complex", "num_rx_ant", "num_users"),
        "no": Input("real", minimum=0, like="h"),
    }

    def __init__(
        self, num_users: int, num_symbols: int, trainable: bool = False, initial=None, **kwargs
    ):
        super().__init__(**kwargs)
        require_integer("num_users", num_users)
        require_integer("num_symbols", num_symbols)
        self.num_users, self.num_symbols = num_users, num_symbols
        if initial is None:
            turns = np.outer(np.arange(num_users), np.arange(num_symbols)) / num_symbols
            initial = np.exp(-2j * np.pi * turns)
        initial = np.asarray(initial, complex)
        if initial.shape != (num_users, num_symbols) or not np.all(np.any(initial, -1)):
            raise ValueError(
                f"initial has shape {initial.shape}; [{num_users}, {num_symbols}] without a row "
                "of zeros is needed"
            )
        parts = np.stack([initial.real, initial.imag])
        self.parts = self.add_weight(
            shape=parts.shape, initializer="zeros", trainable=trainable, name="parts"
        )
        self.parts.assign(tf.cast(parts, self.rdtype))

    @property
    def matrix(self):
        """P [K, L], complex; the rows have power L."""
        parts = tf.convert_to_tensor(self.parts)
        power = tf.reduce_mean(tf.reduce_sum(tf.square(parts), 0), -1, keepdims=True)
        return tf.complex(*tf.unstack(parts * tf.math.rsqrt(power)))

    def call(self, h, no):
        y = tf.linalg.matmul(h, self.matrix)
        return y + random.complex_normal(tf.shape(y), self.cdtype, no[..., None, None])


class UserLSEstimator(LinkLayer):
    r"""Least squares, :math:`\hat H=YP^H(PP^H)^{-1}`; it needs L >= K.

    Source: neural calibration, Table I.

    Parameters
    ----------
    pilots : UserPilots

    Input
    -----
    y : tf.Tensor, [..., M, L], complex
    no : float or tf.Tensor, [...], real
        As of the pilots.

    Output
    ------
    h_hat : tf.Tensor, [..., M, K], complex
    err_var : tf.Tensor, [..., 1, K], real
        Of every entry.

    Raises
    ------
    ValueError
        For fewer pilot symbols than users.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> pilots = irs.UserPilots(2, 4)
    >>> y = pilots(tf.ones([3, 8, 2], tf.complex64), 1e-9)
    >>> irs.UserLSEstimator(pilots)(y, 1e-9)[0][0, 0].numpy().real.round(3)
    array([1., 1.], dtype=float32)
    """

    inputs = {
        "y": Input("complex", "num_rx_ant", "num_symbols"),
        "no": Input("real", minimum=0, like="y"),
    }

    def __init__(self, pilots, **kwargs):
        kwargs.setdefault("precision", pilots.precision)
        super().__init__(**kwargs)
        if pilots.num_symbols < pilots.num_users:
            raise ValueError(
                f"pilots have {pilots.num_symbols} symbols for {pilots.num_users} users; least "
                "squares needs as many symbols as users"
            )
        self.pilots, self.num_symbols = pilots, pilots.num_symbols

    def call(self, y, no):
        h_hat, errors = self._least_squares(y)
        return h_hat, no[..., None, None] * errors

    def _least_squares(self, y):
        """Estimate, and its error variance [K] for unit noise."""
        p = tf.cast(self.pilots.matrix, self.cdtype)
        gram = tf.linalg.matmul(p, p, adjoint_b=True)
        filters = hpd_solve(gram, p)  # (P P^H)^-1 P, the adjoint of what follows Y
        errors = tf.reduce_sum(tf.square(tf.abs(filters)), -1)
        return tf.linalg.matmul(y, filters, adjoint_b=True), errors


class UserScaledLSEstimator(UserLSEstimator):
    r"""Least squares, shrunk: :math:`\gamma\hat H`, :math:`\gamma=\mathrm{tr}R/(\mathrm{tr}R+J)`.

    J is the squared error of least squares, :math:`\sigma^2M\,\mathrm{tr}(PP^H)^{-1}`, and
    :math:`R=\mathrm E[H^HH]`.

    Source: neural calibration, Table I.

    Parameters
    ----------
    pilots : UserPilots
    powers : array, [K]
        Mean power of an entry of every user's channel; R has M times these on its diagonal.

    Input
    -----
    y, no
        As :class:`UserLSEstimator`.

    Output
    ------
    h_hat, err_var
        As :class:`UserLSEstimator`.

    Raises
    ------
    ValueError
        For fewer symbols than users, and powers that are not [K] positive numbers.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> pilots = irs.UserPilots(2, 2)
    >>> estimator = irs.UserScaledLSEstimator(pilots, [1.0, 1.0])
    >>> estimator(pilots(tf.ones([3, 8, 2], tf.complex64), 0.1), 0.1)[1].shape
    TensorShape([1, 2])
    """

    def __init__(self, pilots, powers, **kwargs):
        super().__init__(pilots, **kwargs)
        self._powers = user_powers(powers, pilots.num_users)

    def call(self, y, no):
        h_hat, errors = self._least_squares(y)
        errors = no[..., None, None] * errors
        total = tf.reduce_sum(errors, -1, keepdims=True)
        powers = self._powers.sum()
        gain, rest = wiener(self.real(np.sqrt(powers)), total)
        # What is lost by shrinking, (1 - gain)^2 of the powers.
        lost = rest * gain * total * self.real(self._powers / powers)
        return self.cplx(gain) * h_hat, tf.square(gain) * errors + lost


class UserLMMSEEstimator(LinkLayer):
    r"""LMMSE over the users: :math:`\hat H=Y(P^HRP+\sigma^2MI)^{-1}P^HR`, any L.

    Source: neural calibration, Table I.

    Parameters
    ----------
    pilots : UserPilots
    powers : array, [K]
        Mean power of an entry of every user's channel: R is M times their diagonal.

    Input
    -----
    y : tf.Tensor, [..., M, L], complex
    no : float or tf.Tensor, [...], real
        Above 0.

    Output
    ------
    h_hat : tf.Tensor, [..., M, K], complex
    err_var : tf.Tensor, [..., 1, K], real

    Raises
    ------
    ValueError
        For powers that are not [K] positive numbers.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> pilots = irs.UserPilots(4, 2)
    >>> estimator = irs.UserLMMSEEstimator(pilots, [1.0, 1.0, 0.5, 0.5])
    >>> estimator(pilots(tf.ones([3, 8, 4], tf.complex64), 0.1), 0.1)[0].shape
    TensorShape([3, 8, 4])
    """

    inputs = {
        "y": Input("complex", "num_rx_ant", "num_symbols"),
        "no": Input("real", minimum=0, like="y"),
    }

    def __init__(self, pilots, powers, **kwargs):
        kwargs.setdefault("precision", pilots.precision)
        super().__init__(**kwargs)
        self.pilots, self.num_symbols = pilots, pilots.num_symbols
        self._powers = user_powers(powers, pilots.num_users)

    def call(self, y, no):
        p, root = tf.cast(self.pilots.matrix, self.cdtype), self.real(np.sqrt(self._powers))
        if self.pilots.num_users <= self.num_symbols:
            filters, errors = self._of_users(p, root, no)
        else:
            filters, errors = self._of_symbols(p, root, no)
        return tf.linalg.matmul(y, filters), errors[..., None, :]

    def _of_users(self, p, root, no):
        r"""Filters :math:`P^H(PP^H+\sigma^2R^{-1})^{-1}` and errors, also without noise."""
        load = tf.minimum(no[..., None] / root / root, _LARGEST)
        gram = tf.linalg.matmul(p, p, adjoint_b=True) + self.cplx(tf.linalg.diag(load))
        eye = tf.broadcast_to(tf.eye(gram.shape[-1], dtype=gram.dtype), tf.shape(gram))
        inverse = hpd_solve(gram, eye)
        errors = root * load * root * tf.math.real(tf.linalg.diag_part(inverse))
        return tf.linalg.matmul(p, inverse, adjoint_a=True), errors

    def _of_symbols(self, p, root, no):
        """The smaller system where pilots are fewer than users, in units of the largest power."""
        unit = tf.reduce_max(root)
        powers = tf.square(root / unit)
        weighted = self.cplx(powers)[:, None] * p  # R P / M
        received = tf.linalg.matmul(p, weighted, adjoint_a=True)
        load = tf.minimum(no / unit / unit, _LARGEST)
        received += self.cplx(load)[..., None, None] * tf.eye(self.num_symbols, dtype=self.cdtype)
        right = tf.linalg.adjoint(weighted)
        right = tf.broadcast_to(right, tf.concat([tf.shape(received)[:-2], tf.shape(right)], 0))
        filters = hpd_solve(received, right)
        kept = tf.math.real(tf.linalg.diag_part(tf.linalg.matmul(weighted, filters)))
        return filters, (powers - kept) * unit * unit


def user_powers(powers, num_users):
    """Powers [K] as an array, or ValueError."""
    powers = np.asarray(powers, float)
    if powers.shape != (num_users,) or not np.all((powers > 0) & np.isfinite(powers)):
        raise ValueError(f"powers = {powers.tolist()}; {num_users} positive numbers are needed")
    return powers
