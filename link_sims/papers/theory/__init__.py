"""Closed forms that the simulation chain must meet: the yardsticks of everything else."""
