"""Does a learned link read its messages where no receiver could? The bound that tells."""

import dataclasses

__all__ = ["LeakReport", "leak_guard"]


@dataclasses.dataclass(frozen=True)
class LeakReport:
    """Error rates with their intervals, and the verdict; made by :func:`leak_guard`.

    Attributes
    ----------
    leaks : bool
    reason : str
        The verdict in words.
    ser, bound, ablation : (float, float, float) or None
        Value, lower and upper end: of the link, of its ML bound, of the link without reception.

    Examples
    --------
    >>> from sionna_irs.transceiver.leak_guard import leak_guard
    >>> leak_guard(1, 416, 1000, num_messages=16).symbol_error_rate
    Traceback (most recent call last):
    ...
    ValueError: a leaking link has no symbol error rate: 0.001 [5e-07, 0.00995] ...
    """

    leaks: bool
    reason: str
    ser: tuple
    bound: tuple
    ablation: tuple | None

    @property
    def symbol_error_rate(self):
        """The link's symbol error rate; ValueError when the link leaks."""
        if self.leaks:
            raise ValueError(f"a leaking link has no symbol error rate: {self.reason}")
        return self.ser[0]


def leak_guard(
    errors: int,
    bound_errors: int,
    trials: int,
    num_messages: int,
    ablation_errors: int | None = None,
    confidence: float = 0.999,
):
    r"""Judge counted errors of a learned link of any kind.

    A link leaks when its error rate lies below that of the optimal decisions on its own signals
    (:func:`ml_decisions`), or when a decoder without the received signal does better than
    guessing, :math:`1-1/M`; both beyond the ends of exact binomial intervals.

    Parameters
    ----------
    errors, bound_errors : int
        Symbol errors of the link and of its ML bound.
    trials : int
        Symbols of each.
    num_messages : int
        M, equally likely.
    ablation_errors : int or None
        Symbol errors of the link trained and run without the received signal.
    confidence : float
        Of every interval.

    Returns
    -------
    LeakReport

    Raises
    ------
    ValueError
        For counts outside 0..trials and a confidence outside (0, 1).

    Examples
    --------
    >>> from sionna_irs.transceiver.leak_guard import leak_guard
    >>> leak_guard(305, 300, 1000, num_messages=16).symbol_error_rate
    0.305
    >>> print(leak_guard(1, 416, 1000, num_messages=16).reason)
    0.001 [5e-07, 0.00995] lies below the ML bound 0.416 [0.365, 0.468]
    """
    for name, value, low in (("trials", trials, 1), ("num_messages", num_messages, 2)):
        if not value >= low:
            raise ValueError(f"{name} = {value!r}; a number of at least {low} is needed")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence}; a number in (0, 1) is needed")
    counts = {"errors": errors, "bound_errors": bound_errors, "ablation_errors": ablation_errors}
    ser, bound, ablation = (
        _rate(name, count, trials, confidence) for name, count in counts.items()
    )
    guessing = 1 - 1 / num_messages
    reasons = []
    if ser[2] < bound[1]:
        reasons.append(f"{_text(ser)} lies below the ML bound {_text(bound)}")
    if ablation is not None and ablation[2] < guessing:
        reasons.append(f"without the received signal {_text(ablation)}, guessing {guessing:.3g}")
    reason = "; ".join(reasons) or f"{_text(ser)} is compatible with the ML bound {_text(bound)}"
    return LeakReport(bool(reasons), reason, ser, bound, ablation)


def _rate(name, count, trials, confidence):
    """(value, low, high) of a share of independent trials, Clopper-Pearson."""
    if count is None:
        return None
    if not 0 <= count <= trials:
        raise ValueError(f"{name} = {count!r}; a number in 0..{trials} is needed")
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, trials - count + 1, tail))
    high = 1.0 if count == trials else float(betaincinv(count + 1, trials - count, 1 - tail))
    return count / trials, low, high


def _text(rate):
    value, low, high = rate
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"
