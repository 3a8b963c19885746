"""What hybrid beamforming costs: signalling bits and multiplications, by formula."""

__all__ = [
    "black_box_complexity",
    "rls_complexity",
    "sca_complexity",
    "signalling_bits",
]


def signalling_bits(
    num_tx_ant,
    num_tx_chains,
    num_rx_ant,
    num_rx_chains,
    num_symbols,
    bits_per_number,
    num_slots,
    num_frames,
    num_samples,
):
    r"""Signalling of a superframe: of one timescale, and of two with phases made off or on line.

    With :math:`Q_f=q(N_rm+N_tn+nL)` bits for a full channel sample and :math:`Q_{eq}=qnL` for an
    equivalent one,

    .. math:: Q_{single}=T_fT_sQ_f,\quad Q_{off}=T_fT_sQ_{eq}+N_{sample}Q_f,\quad
              Q_{on}=T_f(T_sQ_{eq}+Q_f)

    "off line" costs more than "single" exactly for
    :math:`N_{sample}>T_fT_s(1-Q_{eq}/Q_f)`.

    Source: mixed-timescale deep unfolding, (47)-(51).

    Parameters
    ----------
    num_tx_ant, num_tx_chains, num_rx_ant, num_rx_chains : int
        :math:`N_t`, n, :math:`N_r`, m.
    num_symbols : int
        L, pilots.
    bits_per_number : int
        q.
    num_slots, num_frames : int
        :math:`T_s` slots in each of :math:`T_f` frames.
    num_samples : int
        :math:`N_{sample}`, full samples of a superframe that train the phases off line.

    Returns
    -------
    dict
        "full", "equivalent", "single", "offline", "online": int

    Examples
    --------
    >>> from link_sims.papers.hybrid.cost import signalling_bits
    >>> bits = signalling_bits(64, 16, 32, 4, num_symbols=16, bits_per_number=8, num_slots=20,
    ...     num_frames=16, num_samples=50)
    >>> list(bits.values())
    [11264, 2048, 3604480, 1218560, 835584]
    """
    equivalent = bits_per_number * num_tx_chains * num_symbols
    phases = num_rx_ant * num_rx_chains + num_tx_ant * num_tx_chains
    full = bits_per_number * phases + equivalent
    return {
        "full": full,
        "equivalent": equivalent,
        "single": num_frames * num_slots * full,
        "offline": num_frames * num_slots * equivalent + num_samples * full,
        "online": num_frames * (num_slots * equivalent + full),
    }


def rls_complexity(num_symbols, num_users, num_chains):
    r"""Multiplications of RLS, :math:`LKn^2`; of unfolded RLS with a layer for each pilot, too.

    Source: mixed-timescale deep unfolding, (34) and (36).

    Examples
    --------
    >>> from link_sims.papers.hybrid.cost import rls_complexity
    >>> rls_complexity(80, 4, 16)
    81920
    """
    return num_symbols * num_users * num_chains**2


def sca_complexity(num_iter, num_users, num_streams, num_rx_chains, num_chains, exponent=3):
    r"""Multiplications of SCA, :math:`I(KN_sn^3+K^2N_s^2n^2m+KN_sn^2m)`.

    The second term dominates. The first counts an inverse for each stream, where one
    factorisation an iteration does for all: the gain of unfolding is that of fewer layers than
    iterations.

    Source: mixed-timescale deep unfolding, (35) and (37).

    Parameters
    ----------
    num_iter, num_users, num_streams, num_rx_chains, num_chains : int
        I iterations, or layers of unfolded SCA; K, :math:`N_s`, m, n.
    exponent : float
        Of n in the first term. The paper counts unfolded SCA with 2.37, of fast matrix
        multiplication, which nobody runs at these sizes.

    Returns
    -------
    int or float

    Examples
    --------
    >>> from link_sims.papers.hybrid.cost import sca_complexity
    >>> sca_complexity(50, 4, 4, 4, 16), round(sca_complexity(5, 4, 4, 4, 16, exponent=2.37))
    (17203200, 1449769)
    """
    streams = num_users * num_streams
    products = num_rx_chains * num_chains**2
    return num_iter * streams * (num_chains**exponent + (streams + 1) * products)


def black_box_complexity(num_users, widths):
    r"""Multiplications of dense networks, :math:`K\sum_lF_lF_{l+1}`.

    Source: mixed-timescale deep unfolding, (38).

    Parameters
    ----------
    num_users : int
        K, of networks that every user has; 1 for one network of all users
        (:class:`BlackBoxHybrid`).
    widths : list of list of int
        Of the layers of each network, input and output included.

    Returns
    -------
    int

    Examples
    --------
    >>> from link_sims.papers.hybrid.cost import black_box_complexity
    >>> black_box_complexity(2, [[8, 4, 2], [2, 4]])
    96
    """
    return num_users * sum(a * b for w in widths for a, b in zip(w[:-1], w[1:], strict=True))
