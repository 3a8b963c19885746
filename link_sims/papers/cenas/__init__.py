"""Channel estimators found by architecture search, next to the exact bound."""
