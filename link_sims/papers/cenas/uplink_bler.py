"""Coded errors of an uplink over the cascade, by the estimate of it.

Users send QPSK with the 5G LDPC code over one coherence block. The base station estimates every
user's cascade, sets one pattern of the surface and receives by LMMSE with the variance of its
estimates' errors as further noise. Pilots come first: for every pattern each user in turn sends
`pilot_len` symbols with the power of its data, so that the SNR is that of pilots and data alike:
one user's transmit power over the noise of one antenna. The schemes see the same channels, bits
and noise.

Two experiments, because the line of sight between surface and base station parts two cases.
Several users must be told apart, but their channels, sums of columns, have the line of sight in
common; they differ in what is scattered, 1/11 of the power at a Rician factor of 10, whose
estimates are far worse than the NMSE of the whole. Here every improvement of the estimate shows,
behind a random pattern, the same for all schemes; one aligned to the users' total power adds to
the common part and changes little. A single user is served best along the line of sight, by a
pattern aligned to the estimates: the gain of 64 elements takes it down to -20 dB, where LMMSE is
within 0.01 dB of the optimum. There LMMSE gains over least squares, in the design and in the
reception, and nothing is left beyond it.
"""

from typing import Literal

import link_sims
import sionna_irs as irs
from link_sims import measured, tf
from link_sims.fields import check_order

from ..cascade import CascadeConfig, scene
from ..coded_downlink import check_symbols
from .common import LEARNED, all_estimators
from .links import ALIGNED, ONES, PERFECT, RANDOM, design_of, knowledge


class Config(CascadeConfig):
    """The cascade, its users and pilots, the pattern and the code."""

    snr_db: link_sims.Grid
    num_users: link_sims.PositiveInt
    phases: Literal[RANDOM, ONES, ALIGNED]
    pilot_len: link_sims.PositiveInt = 1
    num_bits_per_symbol: link_sims.EvenBits = 2
    num_info_bits: link_sims.PositiveInt = 256
    num_coded_bits: link_sims.PositiveInt = 512
    min_units: link_sims.PositiveInt = 10
    max_units: link_sims.PositiveInt = 50

    def check(self):
        """Users that can be told apart, and whole symbols."""
        super().check()
        check_order(self, "num_users", "num_rx_ant")
        check_symbols(self.num_coded_bits, self.num_bits_per_symbol)


def link_of(cfg):
    """``send(h, h_hat, no, error, batch_size)``: which bits are wrong, [S, B, K, k].

    The same bits and noise for S schemes: ``h`` and ``h_hat`` are [S B, K, M], ``error`` [S B, K].
    """
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.mapping import BinarySource, Demapper, Mapper

    source, mapper = BinarySource(), Mapper("qam", cfg.num_bits_per_symbol)
    demapper = Demapper("app", "qam", cfg.num_bits_per_symbol)
    encoder = LDPC5GEncoder(cfg.num_info_bits, cfg.num_coded_bits)
    # Sionna's min-sum decoder works in single precision only.
    decoder = LDPC5GDecoder(encoder, num_iter=20, cn_update="offset-minsum", precision="single")
    receiver = irs.LMMSEReceiver()

    def send(h, h_hat, no, error, batch_size):
        num_schemes = h.shape[0] // batch_size
        b = source([batch_size, cfg.num_users, cfg.num_info_bits])
        x = tf.linalg.matrix_transpose(mapper(encoder(b)))
        noise = irs.random.complex_normal([batch_size, x.shape[1], cfg.num_rx_ant], x.dtype, no)
        x, noise = (tf.tile(v, [num_schemes, 1, 1]) for v in (x, noise))
        y = tf.linalg.matmul(x, h) + noise
        # What is not known of any user's channel disturbs all of them.
        no = no + tf.reduce_sum(error, -1)
        x_hat, no_eff = receiver(y, tf.linalg.matrix_transpose(h_hat)[:, None], no[:, None])
        x_hat, no_eff = (tf.linalg.matrix_transpose(v) for v in (x_hat, no_eff))
        b_hat = decoder(demapper(x_hat, no_eff))
        return tf.not_equal(b > 0.5, tf.reshape(b_hat, [num_schemes, *b.shape]) > 0.5)

    return send


# The users of a draw share a hop: draws, not code words, are independent.
DRAWS = "draws with an error"
_RATE = {
    "scale": "log", "interval": "binomial", "independent": "units", "trials": DRAWS,
    "range": (0.0, 1.0), "errors": True,
}  # fmt: skip


def experiment_of(name, title, base, smoke):
    """An experiment on one case; ``base`` completes its configuration."""
    experiment = link_sims.Experiment(
        name,
        title=title,
        config=Config,
        profiles={
            "smoke": {**base, **smoke, "max_units": 10},
            "cpu": base,
            "paper": {**base, "max_units": 2000},
        },
        metrics={
            "bler": link_sims.Metric("block error rate", **_RATE),
            "ber": link_sims.Metric("bit error rate", **_RATE),
            DRAWS: link_sims.Metric(
                "share of draws with an error", interval="binomial", listed=False
            ),
        },
        x_label="SNR of pilots and data [dB]",
    )  # fmt: skip

    @experiment.sweep(x="snr_db")
    def curves(cfg, trained):
        """Bit and block errors of every scheme on the same draws."""
        channel, _ = scene(cfg, num_users=cfg.num_users)
        pilots = irs.SurfacePilots(cfg.num_elements, cfg.num_patterns, cfg.pilot_len)
        estimators = all_estimators(pilots, channel.statistics)
        design, send = design_of(channel, cfg.phases), link_of(cfg)

        def step(batch_size, snr_db):
            no = irs.snr_db_to_no(snr_db)
            u = channel.draw(batch_size).cascaded()
            names, u_hat, error = knowledge(estimators, u, pilots(u, no), no)
            wrong = send(*design(u, u_hat), no, error, batch_size)
            counts = {}
            for name, bits in zip(names, tf.unstack(wrong), strict=True):
                blocks = tf.reduce_any(bits, -1)
                counts["bler", name] = tf.math.count_nonzero(blocks), tf.size(blocks)
                counts["ber", name] = tf.math.count_nonzero(bits), tf.size(bits)
                failed = tf.reduce_any(blocks, -1)
                counts[DRAWS, name] = tf.math.count_nonzero(failed), batch_size
            return counts

        return step

    return experiment


users = experiment_of(
    "cenas/uplink-bler",
    "Coded uplink of four users, QPSK, random pattern, by the estimate of the cascade",
    {"snr_db": [-8, -6, -4, -2, 0, 2, 4, 6, 8, 10], "num_users": 4, "phases": RANDOM,
     "batch_size": 20},
    {"snr_db": [4], "batch_size": 5},
)  # fmt: skip
aligned = experiment_of(
    "cenas/uplink-bler-aligned",
    "Coded uplink of one user, QPSK, aligned pattern, by the estimate of the cascade",
    {"snr_db": list(range(-32, -10, 2)), "num_users": 1, "phases": ALIGNED, "batch_size": 50},
    {"snr_db": [-18], "batch_size": 10},
)  # fmt: skip


users.ours(
    "this package: mean squared errors at 5 dB, LS -8.0, LMMSE -11.9, Bayes -12.5 dB, 2026-11",
    {
        f"at BLER 0.1 {first} needs less SNR than {second}": (
            measured.shift("bler", first, second, 0.1).less(0.0)
        )
        for first, second in (("LMMSE", "LS"), ("Bayes", "LMMSE"), (LEARNED, "LMMSE"))
    },
)
users.ours(
    "this package: its NMSE is within 0.05 dB of the bound, 2026-11",
    {
        "at BLER 0.1 the network is within 0.2 dB of Bayes": (
            measured.shift("bler", LEARNED, "Bayes", 0.1).within(0.0, 0.2)
        )
    },
)
users.ours(
    "this package: QPSK does not see the factor between them, only the reliabilities do, 2026-11",
    {
        "at BLER 0.1 scalar LMMSE and LS are within 0.3 dB": (
            measured.shift("bler", "scalar LMMSE", "LS", 0.1).within(0.0, 0.3)
        )
    },
    expect="open",
)
users.ours(
    "this package: what tells users apart is estimated worse than the whole, 2026-11",
    {
        "from LMMSE to Bayes more is gained in SNR at BLER 0.1 than the 0.66 dB of NMSE": (
            measured.shift("bler", "LMMSE", "Bayes", 0.1).greater(0.66)
        )
    },
    expect="open",
)
users.ours(
    "this package; open, 2026-11",
    {
        "at BLER 0.1 perfect knowledge is more than 5 dB ahead of Bayes": (
            measured.shift("bler", "Bayes", PERFECT, 0.1).greater(5.0)
        ),
    },
    expect="open",
)
aligned.ours(
    "this package: mean squared errors at -15 dB, LS 12.0, LMMSE -2.5 dB, 2026-11",
    {
        "at BLER 0.1 LMMSE needs less SNR than LS": (
            measured.shift("bler", "LMMSE", "LS", 0.1).less(0.0)
        )
    },
)
aligned.ours(
    "this package: the bound of NMSE is 0.002 dB below LMMSE at -15 dB, 2026-11",
    {
        "at BLER 0.1 Bayes and LMMSE are within 0.1 dB": (
            measured.shift("bler", "Bayes", "LMMSE", 0.1).within(0.0, 0.1)
        )
    },
)
aligned.ours(
    "this package: the network was trained from -15 dB on, 2026-11",
    {
        "at BLER 0.1 the network is within 0.3 dB of LMMSE": (
            measured.shift("bler", LEARNED, "LMMSE", 0.1).within(0.0, 0.3)
        )
    },
    expect="open",
)
aligned.ours(
    "this package; open, 2026-11",
    {
        "at BLER 0.1 LMMSE gains more than 4 dB over LS": (
            measured.shift("bler", "LS", "LMMSE", 0.1).greater(4.0)
        )
    },
    expect="open",
)
aligned.ours(
    "this package: the pattern is the same; where it follows noise the gain is overestimated, "
    "2026-11",
    {
        "at BLER 0.1 scalar LMMSE is no better than LS": (
            measured.shift("bler", "scalar LMMSE", "LS", 0.1).greater(0.0)
        )
    },
    expect="open",
)
