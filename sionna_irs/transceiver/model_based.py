"""Error rates of square QAM over the strongest modes of a known channel, exactly."""

import tensorflow as tf

from ..layer import as_real
from ..linalg import dominant_singular_vectors, svd
from ..linalg.scale import unit_scale
from ..qam import QAM

__all__ = ["svd_symbol_error_rate"]


def svd_symbol_error_rate(h, power, num_messages: int = 16, num_streams: int = 1):
    r"""Symbol error rate of transmission over the strongest singular pairs, minimum distance.

    One stream of M-QAM sees :math:`\gamma=P\lambda_1^2`, and

    .. math:: P_s=1-(1-p)^2,\quad
              p=2\Big(1-\tfrac1{\sqrt M}\Big)\,Q\Big(\sqrt{\tfrac{3\gamma}{M-1}}\Big)

    Several streams carry :math:`M^{1/N_s}`-QAM each, at the powers that give all the same
    :math:`\gamma=P/\sum_i\lambda_i^{-2}` (water filling could leave a stream without power); a
    message is wrong when any of them is. Exact for this channel: average it over channels, no
    symbol is simulated.

    Source: the double-surface paper, Sec. V, (3) and Fig. 9, with equal-SNR powers in place of
    water filling; Proakis, eq. (4.3-30).

    Parameters
    ----------
    h : tf.Tensor, [..., rx, tx], complex
        For unit noise variance.
    power : float or tf.Tensor that broadcasts to [...], real
        P, transmit power [W].
    num_messages : int
        M of a message of all streams.
    num_streams : int
        At most the smaller number of antennas.

    Returns
    -------
    tf.Tensor, [...], real

    Raises
    ------
    ValueError
        When no square QAM has :math:`M^{1/N_s}` points, and for more streams than modes.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> from sionna_irs.transceiver.model_based import svd_symbol_error_rate
    >>> h = tf.linalg.diag(tf.constant([3.0, 1.0], tf.complex64))
    >>> [round(float(svd_symbol_error_rate(h, 1.0, 16, n)), 4) for n in (1, 2)]
    [0.2514, 0.5286]
    """
    permitted = min(h.shape[-2:])
    if not (isinstance(num_streams, int) and 1 <= num_streams <= permitted):
        raise ValueError(f"num_streams = {num_streams!r}; an integer in 1..{permitted} is needed")
    bits = num_messages.bit_length() - 1
    per_stream = bits // num_streams
    if 2**bits != num_messages or bits % num_streams or per_stream not in (2, 4, 6, 8, 10):
        raise ValueError(
            f"num_messages = {num_messages} with num_streams = {num_streams}; "
            "4, 16, 64, 256 or 1024 for every stream are needed"
        )
    h, scale = unit_scale(tf.convert_to_tensor(h))
    scale = scale[..., 0, 0]
    if num_streams == 1:
        gain = tf.square(dominant_singular_vectors(h)[0])
    else:
        modes = svd(h)[0][..., :num_streams]
        there = modes > 0
        share = 1 / tf.square(tf.where(there, modes, 1))
        gain = 1 / tf.reduce_sum(share, -1)
        gain = tf.where(tf.reduce_all(there, -1), gain, 0)  # else some stream gets nothing
    with tf.init_scope():  # its tables are constants
        qam = QAM(per_stream)
    power = as_real("power", power, gain.dtype, 0.0, gain.shape, "h")
    # Beyond the largest one no error is left; its square is in range.
    wrong = qam.ser_awgn(tf.minimum(power * gain * scale * scale, 1e30))
    return -tf.math.expm1(num_streams * tf.math.log1p(-wrong))
