"""Links that are learned from end to end, and what keeps them honest."""
