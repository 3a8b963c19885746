"""Optimal decisions on the signals of a learned link."""

import tensorflow as tf

from ..layer import as_real
from .symbol_networks import squared_modulus

__all__ = ["ml_decisions"]


def ml_decisions(autoencoder, links, y, power, h=None):
    r"""Optimal decisions on the signals of an autoencoder, given all links.

    .. math:: \hat m=\arg\min_m\|y-\sqrt P\,H(\theta(m))\,x(m)\|^2

    Phases that depend on the message are computed anew for every hypothesis; else all hypotheses
    share the channel that carried the signal. All messages are equally likely, so no decoder that
    uses the received signal alone makes fewer errors.

    Parameters
    ----------
    autoencoder : SurfaceAutoencoder
    links : Links
        ``{"tx>s1": [batch, L, N, tx], ...}``
    y : tf.Tensor, [batch, L, rx], complex
        Received, as by :meth:`SurfaceAutoencoder.transmit`.
    power : float or tf.Tensor that broadcasts to [batch, L], real
        As it was sent with [W].
    h : tf.Tensor, [batch, L, rx, tx], complex, or None
        The channel that carried the signal, from :meth:`SurfaceAutoencoder.transmit`; without a
        policy None computes it again. Not used where phases depend on the message.

    Returns
    -------
    messages : tf.Tensor, [batch, L], int32

    Raises
    ------
    ValueError
        Without a codebook; with "received_noisy", whose phases no receiver can compute; and
        without `h` where a policy sets the phases, which it may draw.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.transceiver.autoencoder import SurfaceAutoencoder
    >>> from sionna_irs.transceiver.ml_detection import ml_decisions
    >>> channel = irs.DoubleSurfaceChannel(num_elements=4)
    >>> link = SurfaceAutoencoder(channel, num_messages=4, num_filters=8)
    >>> links = irs.Links({k: v[None] for k, v in channel.draw(100).items()})
    >>> messages = tf.ones([1, 100], tf.int32)
    >>> y, h = link.transmit(links, messages, 1e5)
    >>> bool(tf.reduce_all(ml_decisions(link, links, y, 1e5, h) == messages))
    True
    """
    if autoencoder.surface_input == "received_noisy":
        raise ValueError("surface_input = 'received_noisy'; phases without noise are needed")
    if autoencoder.policy is not None and h is None:
        raise ValueError(
            "h = None with surface_input = 'policy'; the channel that carried the signal, as "
            "transmit returns it, is needed"
        )
    codebook = autoencoder.codebook()
    power = as_real("power", power, autoencoder.rdtype, 0.0, y.shape[:-1], "y")
    amplitude = autoencoder.cplx(tf.sqrt(power))[..., None]
    distances = []
    for message in range(autoencoder.num_messages):
        x = tf.broadcast_to(codebook[message], [*tf.unstack(tf.shape(y)[:2]), codebook.shape[-1]])
        if h is None or autoencoder.message_dependent:
            h = autoencoder.propagate(links, x, power)
        misfit = y - amplitude * tf.linalg.matvec(h, x)
        distances.append(tf.reduce_sum(squared_modulus(misfit), -1))
    return tf.argmin(tf.stack(distances, -1), -1, tf.int32)
