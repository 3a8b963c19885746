"""5G NR links through a surface: Sionna's standard transmitters and receivers."""
