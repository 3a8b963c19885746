"""Downlink precoders straight from uplink pilots."""

import tensorflow as tf

from ..layer import Input, LinkLayer
from ..linalg.scale import unit_noise
from ..networks.row_network import RowNet
from .linear import ZFPrecoder

__all__ = ["ImplicitCSIPrecoder"]


class ImplicitCSIPrecoder(LinkLayer):
    r"""From the pilots of the uplink to the precoder of the downlink, learned as one.

    An estimator of the uplink channels, a network that maps each user's row to the downlink (and
    calibrates it for the precoder at the same time), and a precoder of what comes out:
    :math:`V=g_{ZF}\big([\phi(\hat h_1),\dots,\phi(\hat h_K)]^T\big)`. Both bands share the paths,
    so that the position behind an uplink row determines the downlink row.

    Source: neural calibration, Fig. 5; (22) with its misprints corrected.

    Parameters
    ----------
    estimator : LinkLayer
        Of :class:`UserPilots`, fixed or learned: :class:`UserLSEstimator` or
        ``Calibrated(UserLSEstimator(pilots), RowNet(L), axis="antenna")``.
    mapping : RowNet
        Of M inputs; usually without `residual`.
    basis : LinkLayer or None
        Precoder; None is ``ZFPrecoder()``.

    Input
    -----
    y : tf.Tensor, [..., M, L], complex
        Received pilots; or with `sounding` the uplink channels [..., M, K] that are to be sounded.
    no : float or tf.Tensor, [...], real
        Noise variance of the uplink over the power of a pilot symbol.
    training, sounding : bool

    Output
    ------
    v : tf.Tensor, [..., M, K], complex
        Total power 1.
    rows : tf.Tensor, [..., K, M], complex
        The mapped rows, only with `sounding`: what a training may compare with the downlink.

    Raises
    ------
    TypeError
        For a mapping that is no :class:`RowNet`.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> pilots = irs.UserPilots(2, 2)
    >>> system = irs.ImplicitCSIPrecoder(
    ...     irs.UserLSEstimator(pilots), irs.RowNet(16, [32], residual=False))
    >>> h = irs.random.complex_normal([3, 16, 2])
    >>> system(pilots(h, 0.1), 0.1).shape
    TensorShape([3, 16, 2])
    """

    inputs = {
        "y": Input("complex", "num_ant", "columns"),
        "no": Input("real", minimum=1e-30, like="y"),
    }

    def __init__(self, estimator, mapping, basis=None, **kwargs):
        kwargs.setdefault("precision", estimator.precision)
        super().__init__(**kwargs)
        if not isinstance(mapping, RowNet):
            raise TypeError(f"mapping = {mapping!r}; a RowNet is needed")
        self.estimator, self.mapping = estimator, mapping
        self.basis = ZFPrecoder(precision=self.precision) if basis is None else basis
        self.num_ant = mapping.num_inputs

    @property
    def pilots(self):
        """The estimator's :class:`UserPilots`."""
        return getattr(self.estimator, "basis", self.estimator).pilots

    def call(self, y, no, training=False, sounding=False):
        # Every part keeps its precision, whatever that of the chain.
        pilots, estimator, mapping, basis = (
            self.pilots, self.estimator, self.mapping, self.basis,
        )  # fmt: skip
        if sounding:
            y = pilots(tf.cast(y, pilots.cdtype), tf.cast(no, pilots.rdtype))
        arguments = {"training": training} if hasattr(estimator, "row_net") else {}
        h_hat, _ = estimator(
            tf.cast(y, estimator.cdtype), tf.cast(no, estimator.rdtype), **arguments
        )
        rows = tf.cast(tf.linalg.matrix_transpose(h_hat), self.cdtype)
        rows, _ = unit_noise(rows, no)
        rows = tf.cast(mapping(tf.cast(rows, mapping.cdtype), training=training), self.cdtype)
        v = tf.cast(basis(tf.cast(rows, basis.cdtype), 1.0), self.cdtype)
        return (v, rows) if sounding else v
