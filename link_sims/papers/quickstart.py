"""Quickstart: a coded uplink through a 64-element surface, under a physical link budget.

A user behind a wall sends 16-QAM with the 5G LDPC code over one coherence block to a base station
with four antennas. The surface sees both. Every scheme is judged on the same channels, noise and
bits: no surface, random phases, and phases aligned with perfect, LS and LMMSE channel knowledge.
Next to the simulated block error rates stand the outage probabilities: below them no code of
this rate can be reliable, however long.
"""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from .coded_downlink import check_symbols

BITS_PER_SYMBOL = 4


class Config(link_sims.Config):
    """The scene and the code."""

    tx_power_dbm: link_sims.Grid = list(range(9, 27))
    num_rx_ant: link_sims.PositiveInt = 4
    num_rows: link_sims.PositiveInt = 8
    num_cols: link_sims.PositiveInt = 8
    k_factor_db: float = 10.0
    carrier_frequency_hz: link_sims.PositiveFloat = 3.5e9
    bandwidth_hz: link_sims.PositiveFloat = 5e6
    noise_figure_db: float = 5.0
    user_surface_m: link_sims.Distance = 20.0
    surface_base_m: link_sims.Distance = 50.0
    user_base_m: link_sims.Distance = 60.0
    wall_loss_db: float = 20.0
    pilot_len: link_sims.PositiveInt = 4
    num_info_bits: link_sims.PositiveInt = 512
    num_coded_bits: link_sims.PositiveInt = 1024
    batch_size: link_sims.PositiveInt = 250
    min_units: link_sims.PositiveInt = 4
    max_units: link_sims.PositiveInt = 12
    target_errors: link_sims.PositiveInt | None = 200

    def check(self):
        """Whole symbols."""
        check_symbols(self.num_coded_bits, BITS_PER_SYMBOL)


quickstart = link_sims.Experiment(
    "quickstart",
    title="Coded 16-QAM uplink through a 64-element surface",
    config=Config,
    profiles={
        "smoke": {"tx_power_dbm": [8, 16], "batch_size": 50, "max_units": 4},
        "cpu": {},
        "paper": {"max_units": 2000, "target_errors": 1000},
    },
    execution_cpu="xla",
    x_label="transmit power [dBm]",
)

NO_SURFACE, RANDOM = "no surface", "random phases"
PERFECT, LS, LMMSE = "aligned, perfect CSI", "aligned, LS", "aligned, LMMSE"


def code_rate(cfg):
    """Information bits per symbol."""
    return BITS_PER_SYMBOL * cfg.num_info_bits / cfg.num_coded_bits


def budget_of(cfg):
    """Path gains and noise of the scene: the physics in one place."""
    free_space_1m = irs.free_space_path_gain(1.0, cfg.carrier_frequency_hz)

    def gain(distance_m, exponent):
        return free_space_1m * distance_m**-exponent

    budget = irs.LinkBudget(
        tx_power_dbm=0.0, bandwidth_hz=cfg.bandwidth_hz, noise_figure_db=cfg.noise_figure_db
    )
    gains = {
        "tx>s1": gain(cfg.user_surface_m, 2.2),
        "s1>rx": gain(cfg.surface_base_m, 2.0),
        "tx>rx": gain(cfg.user_base_m, 3.5) * 10 ** (-cfg.wall_loss_db / 10),
    }
    return budget, gains


def build_channel(cfg):
    """The surface channel at 0 dBm, normalised to unit noise, and its statistics."""
    budget, gains = budget_of(cfg)
    user, base = irs.ULA(1), irs.ULA(cfg.num_rx_ant)
    panel = irs.UPA(cfg.num_rows, cfg.num_cols)
    k_factor = 10 ** (cfg.k_factor_db / 10)
    # Signal and noise scale together at the receiver: its hops carry the factor P/N.
    incoming, outgoing, direct = (
        gains["tx>s1"],
        budget.normalize(gains["s1>rx"]),
        budget.normalize(gains["tx>rx"]),
    )
    channel = irs.SurfaceChannel(
        hops={
            "tx>s1": irs.RayleighHop(user, panel, path_gain=incoming),
            "s1>rx": irs.RicianHop(panel, base, k_factor=k_factor, path_gain=outgoing),
            "tx>rx": irs.RayleighHop(user, base, path_gain=direct),
        },
        surfaces={"s1": irs.IdealPhases(panel)},
    )
    statistics = irs.CascadeStatistics(
        rho_h=incoming,
        rho_g=outgoing,
        rho_d=direct,
        k_factor=k_factor,
        num_rx_ant=cfg.num_rx_ant,
        num_elements=panel.num_ant,
    )
    return channel, statistics


def schemes_of(channel, pilots, estimators, links, no):
    """Scheme -> (true channel [B, M, 1], the receiver's knowledge of it, variance of its error).

    Without a surface and with random phases the receiver knows its channel: what is compared is
    the use of the surface. LS and LMMSE serve both the design and the reception.
    """
    align = irs.AlignedPhases()

    def through(true_links, controls):
        return channel.compose(true_links, channel.reflect(controls))

    schemes = {
        NO_SURFACE: links["tx>rx"],
        RANDOM: through(links, irs.RandomPhases()(links)),
        PERFECT: through(links, align(links)),
    }
    schemes = {name: (h, h, tf.zeros_like(no)) for name, h in schemes.items()}
    y = pilots(links, no)
    for name, estimator in estimators.items():
        u_hat, err_var = estimator(y, no)
        estimated = irs.Links.from_cascaded(u_hat)
        controls = align(estimated)
        # The columns' errors add up, since every coefficient has modulus one.
        error = tf.reduce_sum(tf.broadcast_to(err_var, tf.shape(u_hat)), -1)
        schemes[name] = (
            through(links, controls), through(estimated, controls), tf.reduce_mean(error),
        )  # fmt: skip
    return schemes


@quickstart.sweep(x="tx_power_dbm")
def curves(cfg, trained):
    """Bit and block errors of every scheme on the same draws, and the outage bounds."""
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.mapping import BinarySource, Demapper, Mapper

    channel, statistics = build_channel(cfg)
    num_elements = cfg.num_rows * cfg.num_cols
    pilots = irs.SurfacePilots(num_elements, num_elements + 1, pilot_len=cfg.pilot_len)
    estimators = {LS: irs.LSEstimator(pilots), LMMSE: irs.LMMSEEstimator(pilots, statistics)}
    source, mapper = BinarySource(), Mapper("qam", BITS_PER_SYMBOL)
    demapper = Demapper("app", "qam", BITS_PER_SYMBOL)
    encoder = LDPC5GEncoder(cfg.num_info_bits, cfg.num_coded_bits)
    # Sionna's min-sum decoder works in single precision only.
    decoder = LDPC5GDecoder(
        encoder, num_iter=20, hard_out=True, cn_update="offset-minsum", precision="single"
    )
    receiver = irs.LMMSEReceiver()

    def receive(x, noise, h, h_hat, error, no):
        """Symbol estimates [B, T] and their noise variance, one block per example."""
        y = x[:, :, None] * h[:, None, :, 0] + noise
        x_hat, no_eff = receiver(y, h_hat[:, None], no + error)
        return x_hat[..., 0], no_eff[..., 0]

    def step(batch_size, tx_power_dbm):
        no = irs.snr_db_to_no(tx_power_dbm)
        links = channel.draw(batch_size)
        schemes = schemes_of(channel, pilots, estimators, links, no)
        b = source([batch_size, cfg.num_info_bits])
        x = mapper(encoder(b))
        noise = irs.random.complex_normal([batch_size, x.shape[-1], cfg.num_rx_ant], x.dtype, no)
        received = [receive(x, noise, *scheme, no) for scheme in schemes.values()]
        x_hat, no_eff = (tf.concat(parts, 0) for parts in zip(*received, strict=True))
        b_hat = tf.split(decoder(demapper(x_hat, no_eff)), len(schemes))
        counts = {}
        for name, decided in zip(schemes, b_hat, strict=True):
            wrong = tf.not_equal(b > 0.5, decided > 0.5)
            counts["ber", name] = tf.math.count_nonzero(wrong), tf.size(wrong)
            failed = tf.reduce_any(wrong, -1)
            counts["bler", name] = tf.math.count_nonzero(failed), batch_size
        for name in (RANDOM, PERFECT):
            h, _, _ = schemes[name]
            rate = irs.metrics.equal_power_rate(h, no)
            outage = tf.math.count_nonzero(rate < code_rate(cfg))
            counts["bler", f"{name}: outage"] = outage, batch_size
        return counts

    return step


@quickstart.table
def outage(cfg):
    """Without the surface the SNR is gamma-distributed: the outage in closed form."""
    from scipy.special import gammainc

    budget, gains = budget_of(cfg)
    threshold = 2 ** code_rate(cfg) - 1
    snr_0dbm = budget.normalize(gains["tx>rx"])
    return [
        link_sims.row(
            "bler",
            f"{NO_SURFACE}: outage, exact",
            x,
            float(gammainc(cfg.num_rx_ant, threshold / (snr_0dbm * 10 ** (x / 10)))),
        )
        for x in cfg.tx_power_dbm
    ]


quickstart.ours(
    "this package; orderings set from the cpu profile, 2026-11",
    {
        "aligning the surface lowers the block error rate at 16 dBm": (
            measured.paired("bler", PERFECT, NO_SURFACE, x=16).less()
        ),
        "LMMSE estimates serve better than LS estimates at 16 dBm": (
            measured.paired("bler", LMMSE, LS, x=16).less()
        ),
    },
)
