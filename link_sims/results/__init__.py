"""Curves, intervals, verdicts and figures from the log of a run."""
