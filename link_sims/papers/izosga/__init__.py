"""Zeroth-order two-timescale beamforming with inexact WMMSE oracles (iZoSGA)."""
