"""Sounding, estimation, feedback and hybrid beamforming behind one front end."""

from typing import Literal

import tensorflow as tf

from .. import metrics
from ..layer import Input, LinkLayer
from .streams import mmse_combiner

__all__ = ["HybridSystem"]


class HybridSystem(LinkLayer):
    r"""From channels to beams: front end, pilots, estimator and digital precoder as one layer.

    The front end turns :math:`H_k` into :math:`W_{RF,k}^HH_kF_{RF}`, the estimator sees it in the
    noise of its pilots, the precoder takes the estimate for the truth, and the rate is that of the
    true channel. Every part may be trained, alone or through the others.

    Source: mixed-timescale deep unfolding, Fig. 2 and its extension to FDD.

    Parameters
    ----------
    front : HybridFrontEnd
    precoder : LinkLayer
        ``(h_eq, r_w, gram, no) -> (f, w)``: :class:`UnfoldedSCA`, :class:`SCA`,
        :class:`HybridZF`; or :class:`BlackBoxHybrid`, which starts from the received pilots.
    estimator : LinkLayer or None
        ``(y, no) -> h_hat`` from its ``pilots``: :class:`RLSEstimator`, :class:`UnfoldedRLS`;
        or :class:`EquivalentLMMSEEstimator`, which needs `channel`. None: the equivalent channel
        is known.
    feedback : LinkLayer or None
        ``h_hat -> h_hat``: what reaches the base station of the users' estimates.
    channel : ClusteredChannel or None
        Whose statistics the LMMSE estimator knows.
    error_aware : bool
        Whether the precoder is told the covariance of the LMMSE estimation error.
    receiver : "bs" or "user"
        Combiners from the base station's estimate, or MMSE combiners of users who know their own
        equivalent channel.

    Input
    -----
    h : tf.Tensor, [..., K, Nr, Nt], complex
    no : float or tf.Tensor, [...], real
        Noise variance over the transmit power of a stream, above 0.
    pilot_no : float or tf.Tensor, [...], real, or None
        Noise variance over the power of a pilot slot; None: `no`.
    known : bool
        Whether the precoder sees the true equivalent channel in this call.
    tx_phases, rx_phases : tf.Tensor or None
        As of the front end.
    training : bool
        Passed on to parts with batch normalisation.

    Output
    ------
    dict
        "rate" [...], real [bit/s/Hz]; "f" [..., K, n, Ns], "w" [..., K, m, Ns], "h_eq" and "h_hat"
        [..., K, m, n], complex, without "h_hat" where nothing estimates; "r_w" and "gram".

    Raises
    ------
    ValueError
        For an unknown receiver, an error-aware precoder without statistics, and phases in the call
        where statistics belong to those of the front end.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> front = irs.HybridFrontEnd(16, 8, 8, 2, num_users=2)
    >>> estimator = irs.RLSEstimator(irs.ChainPilots(8, 8))
    >>> system = irs.HybridSystem(front, irs.SCA(num_streams=2, num_iter=5), estimator)
    >>> system(irs.random.complex_normal([3, 2, 8, 16]), 0.1)["rate"].shape
    TensorShape([3])
    """

    inputs = {
        "h": Input("complex", "num_users", "num_rx_ant", "num_tx_ant"),
        "no": Input("real", minimum=1e-30, like="h"),
        "pilot_no": Input("real", minimum=1e-30, like="h"),
    }

    def __init__(
        self, front, precoder, estimator=None, feedback=None, channel=None, error_aware: bool=False,
        receiver: Literal["bs", "user"]="bs", **kwargs,
    ):  # fmt: skip
        kwargs.setdefault("precision", front.precision)
        super().__init__(**kwargs)
        if receiver not in ("bs", "user"):
            raise ValueError(f"receiver = {receiver!r}; 'bs' or 'user' is needed")
        if error_aware and channel is None:
            raise ValueError("error_aware = True; the statistics of a channel are needed")
        self.front, self.precoder, self.estimator = front, precoder, estimator
        self.feedback, self.channel = feedback, channel
        self.error_aware, self.receiver = error_aware, receiver

    def call(
        self, h, no, pilot_no=None, known=False, tx_phases=None, rx_phases=None, training=False
    ):
        if self.channel is not None and (tx_phases, rx_phases) != (None, None):
            raise ValueError(
                "tx_phases, rx_phases: the statistics are those of the front end's own"
            )
        pilot_no = no if pilot_no is None else pilot_no
        # The parts keep their precision, whatever that of the chain.
        h = tf.cast(h, self.front.cdtype)
        no, pilot_no = (tf.cast(x, self.front.rdtype) for x in (no, pilot_no))
        h_eq, r_w, gram = self.front(h, tx_phases, rx_phases)
        found = {"h_eq": h_eq, "r_w": r_w, "gram": gram}
        if hasattr(self.precoder, "pilots"):
            y = self.precoder.pilots(h_eq, r_w, gram, pilot_no)
            f, w = self.precoder(y, pilot_no, gram, training=training)
        else:
            h_hat, known_error = h_eq, {}
            if self.estimator is not None and not known:
                h_hat, known_error = self._estimate(h_eq, r_w, gram, pilot_no, training)
                found["h_hat"] = h_hat
            f, w = self.precoder(h_hat, r_w, gram, no, training=training, **known_error)
        if self.receiver == "user":
            w = mmse_combiner(h_eq, f, r_w, no)
        found |= {"f": f, "w": w, "rate": metrics.stream_rate(h_eq, f, w, no, r_w)}
        return {k: self.cplx(x) if x.dtype.is_complex else self.real(x) for k, x in found.items()}

    def _estimate(self, h_eq, r_w, gram, pilot_no, training):
        """(estimate at the base station, {"error": covariance} if the precoder is to know it)."""
        y = self.estimator.pilots(h_eq, r_w, gram, pilot_no)
        if self.channel is None:
            h_hat, error = self.estimator(y, pilot_no), {}
        else:
            covariance = self.channel.equivalent_covariance(self.front.f_rf, self.front.w_rf)
            h_hat, error = self.estimator(y, pilot_no, covariance, r_w)
            error = {"error": error} if self.error_aware else {}
        if self.feedback is not None:
            h_hat = self.feedback(h_hat, training=training)
        return h_hat, error
