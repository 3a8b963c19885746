"""The double-surface channel as impulse responses."""

from ..double import LINKS
from .cir_hop import CIRHop
from .hop_model import HopModel
from .surface_cir import SurfaceCIR

__all__ = ["DoubleSurfaceCIR"]


class DoubleSurfaceCIR(SurfaceCIR):
    r"""A :class:`DoubleSurfaceChannel` in a Sionna link: 3 paths, or 16.

    The ways over surface 1, surface 2 and both are paths with the delays of their lengths; with
    an excess delay every hop has two paths, its line of sight and, later, its scattered part. The
    paths sum to the narrow-band channel, which OFDM sees at the carrier. The phases of a surface
    are the same on all subcarriers.

    Parameters
    ----------
    channel : DoubleSurfaceChannel
        With a `carrier_frequency`, without `reverse`.
    mean_excess_delay : float or None
        Of the scattered part of every hop [s]; None: 3 paths.
    max_doppler : float
        Of the scattered parts [Hz]; 0 is block fading.
    policy, frequencies, subtract_delay
        As :class:`SurfaceCIR`.

    Input
    -----
    batch_size, num_time_steps : int
    sampling_frequency : float
        [Hz]

    Output
    ------
    a : tf.Tensor, [batch, 1, rx, 1, tx, 3 or 16, num_time_steps], complex
    tau : tf.Tensor, [batch, 1, 1, 3 or 16], real
        [s]

    Raises
    ------
    ValueError
        For a channel without a carrier frequency or with the reverse reflection.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.DoubleSurfaceChannel(num_elements=16, carrier_frequency=3.5e9)
    >>> a, tau = irs.DoubleSurfaceCIR(channel, policy=irs.RandomPhases())(8, 1, 15e3)
    >>> (1e9 * tau[0, 0, 0].numpy()).round(1)
    array([184.6, 187.1, 202.9], dtype=float32)
    """

    def __init__(
        self, channel, mean_excess_delay: float | None = None, max_doppler: float = 0.0, **kwargs
    ):
        if channel.carrier_frequency is None:
            raise ValueError("channel has carrier_frequency = None; a frequency [Hz] is needed")
        if set(channel.hops) != set(LINKS):
            raise ValueError(
                f"channel has the hops {sorted(channel.hops)}; {sorted(LINKS)} are needed"
            )
        kwargs.setdefault("precision", channel.precision)
        hops = {}
        for name in LINKS:
            model = HopModel(
                channel.hops[name],
                channel.geometry.length(name) / 299792458.0,
                mean_excess_delay,
                max_doppler,
                precision=channel.precision,
            )
            hops[name] = CIRHop(model, order="panel")
        super().__init__(hops, channel.surfaces, **kwargs)
