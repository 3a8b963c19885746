"""Learned estimation of the cascaded channel."""

import tensorflow as tf

from .. import weights
from .ls import PilotEstimator
from .pilots import SurfacePilots

__all__ = ["LearnedEstimator"]


class LearnedEstimator(PilotEstimator):
    r"""A denoiser behind least squares, for any number of antennas, elements and patterns.

    Parameters
    ----------
    pilots : SurfacePilots
    denoiser : Denoiser

    Input
    -----
    y : tf.Tensor, [..., M, P], complex
    no : float or tf.Tensor, [...], real

    Output
    ------
    u_hat : tf.Tensor, [..., M, N+1], complex
    err_var : tf.Tensor, [..., 1, 1], real
        See :meth:`Denoiser.error_variance`.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.CascadedChannel(num_rx_ant=4, num_elements=8)
    >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
    >>> estimator = irs.LearnedEstimator(pilots, irs.Denoiser(irs.CDRN(1, 1, 4)))
    >>> estimator(pilots(channel.draw(3), 0.1), 0.1)[0].shape
    TensorShape([3, 4, 9])
    """

    def __init__(self, pilots, denoiser, **kwargs):
        kwargs.setdefault("precision", denoiser.precision)
        super().__init__(pilots, **kwargs)
        self.denoiser = denoiser

    @classmethod
    def from_pretrained(cls, name="cenas-all-snr", pilots=None, entry_power=None, **changes):
        """The estimator with shipped weights.

        They serve channels like those of their training, at any power: those of
        :class:`CascadedChannel` with K = 10. Where no line of sight makes the columns alike, the
        estimate is worse than least squares at high SNR.

        Parameters
        ----------
        name : str
            One of :func:`sionna_irs.weights.names`.
        pilots : SurfacePilots, optional
            Default: 64 elements, 65 patterns.
        entry_power : float, "trained" or None
            Mean power of a channel entry. None measures it on every observation, which costs up
            to 0.4 dB at low SNR. "trained" is that of the channels which the network was trained
            on; on channels of another power the estimate may be worse than least squares.
        **changes
            Other arguments of :class:`Denoiser`, such as ``precision``.

        Raises
        ------
        ValueError
            For an unknown name, and a power that is not positive.

        Examples
        --------
        >>> import sionna_irs as irs
        >>> pilots = irs.SurfacePilots(num_elements=8, num_patterns=9)
        >>> estimator = irs.LearnedEstimator.from_pretrained("cenas-all-snr", pilots)
        >>> u = irs.CascadedChannel(num_rx_ant=4, num_elements=8).draw(3)
        >>> estimator(pilots(u, 0.1), 0.1)[0].shape
        TensorShape([3, 4, 9])
        """
        if isinstance(entry_power, str) and entry_power != "trained":
            raise ValueError(
                f"entry_power = {entry_power!r}; a positive number, 'trained' or None is needed"
            )
        if entry_power != "trained":
            changes["entry_power"] = entry_power
        return cls(pilots or SurfacePilots(64, 65), weights.load(name, **changes))

    def refine(self, u_ls, variance):
        """The denoised estimate and its error."""
        u_ls = tf.cast(u_ls, self.denoiser.cdtype)
        variance = tf.cast(variance[..., 0, 0], self.denoiser.rdtype)
        u_hat = self.denoiser(u_ls, variance)
        return self.cplx(u_hat), self.real(self.denoiser.error_variance(u_ls, variance))
