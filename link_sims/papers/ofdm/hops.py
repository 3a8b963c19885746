"""What both experiments share: the hops and the subcarriers."""

import numpy as np


def cdl(model, delay_spread_s, carrier_frequency_hz, start, end):
    """Sionna's CDL between arrays of (rows, columns), uplink, standing still.

    Elements are omnidirectional, so that the mean power of every pair is one: an element's
    pattern belongs to the link budget.
    """
    from sionna.phy.channel.tr38901 import CDL, PanelArray

    arrays = [
        PanelArray(rows, cols, "single", "V", "omni", carrier_frequency_hz)
        for rows, cols in (start, end)
    ]
    return CDL(model, delay_spread_s, carrier_frequency_hz, *arrays, direction="uplink")


def subcarriers(cfg):
    """Frequencies [num_subcarriers] relative to the carrier [Hz], evenly over the band."""
    index = np.arange(cfg.num_subcarriers) - cfg.num_subcarriers // 2
    return cfg.bandwidth_hz / cfg.num_subcarriers * index
