"""Pilots and estimators: (y, no) -> (u_hat, err_var)."""
