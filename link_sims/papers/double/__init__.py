"""Double-surface MIMO over Rician double-scattering channels."""
