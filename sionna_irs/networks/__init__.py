"""Bricks that learned estimators and beamformers share."""
