"""A network in front of a linear precoder or estimator."""

from typing import Literal

import tensorflow as tf

from ..layer import Input, LinkLayer
from ..linalg.scale import unit_noise
from ..networks.row_network import RowNet

__all__ = ["Calibrated"]

_AXES = ("user", "antenna")


class Calibrated(LinkLayer):
    r"""A basis g on rows that a network has changed: :math:`g([\phi(x_1),\dots,\phi(x_R)]^T,N_0)`.

    One network for all rows keeps what the basis has: permuted users (antennas) give permuted
    outputs, and their number is free. The network sees rows in units of the noise. Where it
    normalises (``RowNet(normalize=True)``), :math:`\phi` is multiplied by

    * "user": the root mean square of all rows' lengths, so that an untrained network leaves a
      zero-forcing basis that acts on directions, :math:`h_k/\|h_k\|`: weak users no longer take
      most of the power;
    * "antenna": the length of its own row, so that an untrained network leaves the basis.

    A user's network cannot know the other users. All it can add to the directions of zero forcing
    is a power allocation, of which the start has most.

    Source: neural calibration, eq. (13), with another form of the network (see :class:`RowNet`).

    Parameters
    ----------
    basis : LinkLayer
        A precoder ``(h, no) -> v`` or an estimator ``(y, no) -> (h_hat, err_var)``.
    row_net : RowNet
        Of as many inputs as a row of `x` has entries.
    axis : "user" or "antenna"
        What a row of `x` is.
    learned_loading : bool
        Whether the basis is given :math:`e^\ell N_0` with a trainable :math:`\ell`, at first 0:
        the loading of a regularised basis.

    Input
    -----
    x : tf.Tensor, [..., rows, columns], complex
        Channel h of a precoder, observation y of an estimator.
    no : float or tf.Tensor, [...], real
        As of the basis, above 0.
    training : bool

    Output
    ------
    As of the basis; an error variance is that of the basis without its network.

    Raises
    ------
    ValueError
        For another axis, and rows that do not fit the network.
    TypeError
        For anything but a :class:`RowNet`.

    Examples
    --------
    >>> import tensorflow as tf
    >>> import sionna_irs as irs
    >>> from sionna_irs.precoding.calibrated import Calibrated
    >>> from sionna_irs.networks.row_network import RowNet
    >>> precoder = Calibrated(irs.ZFPrecoder(), RowNet(4, [8]))
    >>> precoder(tf.eye(2, 4, dtype=tf.complex64), 0.1).shape
    TensorShape([4, 2])
    """

    inputs = {
        "x": Input("complex", "num_rows", "num_inputs"),
        "no": Input("real", minimum=1e-30, like="x"),
    }

    def __init__(
        self,
        basis,
        row_net,
        axis: Literal["user", "antenna"] = "user",
        learned_loading: bool = False,
        **kwargs,
    ):
        kwargs.setdefault("precision", basis.precision)
        super().__init__(**kwargs)
        if axis not in _AXES:
            raise ValueError(f"axis = {axis!r}; 'user' or 'antenna' is needed")
        if not isinstance(row_net, RowNet):
            raise TypeError(f"row_net = {row_net!r}; a RowNet is needed")
        self.basis, self.row_net, self.axis = basis, row_net, axis
        self.num_inputs = row_net.num_inputs
        self.loading = None
        if learned_loading:
            self.loading = self.add_weight(shape=(), initializer="zeros", name="loading")

    def call(self, x, no, training=False):
        no = self.real(no)
        rows, back = unit_noise(x, no)
        # Every part keeps its precision, whatever that of the link.
        y = self.row_net(tf.cast(rows, self.row_net.cdtype), training=training)
        y = self.cplx(y) * self.cplx(self._lengths(rows) * back)
        # Without a row there is nothing to calibrate.
        y = tf.where(tf.reduce_any(x != 0, -1, keepdims=True), y, tf.zeros_like(y))
        if self.loading is not None:
            no = no * tf.exp(self.loading.value)
        outcome = self.basis(tf.cast(y, self.basis.cdtype), tf.cast(no, self.basis.rdtype))
        return tf.nest.map_structure(
            lambda v: tf.cast(v, self.cdtype if v.dtype.is_complex else self.rdtype), outcome
        )

    def _lengths(self, rows):
        """What normalised rows are multiplied by, [..., 1 or rows, 1]."""
        if not self.row_net.normalize:
            return self.real(1.0)
        power = tf.square(tf.math.real(rows)) + tf.square(tf.math.imag(rows))
        power = tf.reduce_sum(power, -1, keepdims=True)
        if self.axis == "user":
            power = tf.reduce_mean(power, -2, keepdims=True)
        return tf.sqrt(tf.maximum(power, 1e-30))  # a root of 0 has no gradient
