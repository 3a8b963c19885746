"""Hybrid beamforming with unfolded algorithms over two timescales."""
