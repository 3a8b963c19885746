"""One run: recursions, table and sweep, the folder that survives, who computes."""
