"""Wide-band links through a surface: 3GPP clustered delay line hops and OFDM."""
