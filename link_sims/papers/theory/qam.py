"""QAM error rates in additive noise, flat fading, with diversity, and after zero forcing.

The noise of a receiver with L independent Rayleigh branches, or of zero forcing with M antennas
and K users (L = M - K + 1), leaves a gamma-distributed SNR, for which the symbol error rate is
known exactly. Each experiment counts errors and, next to it, averages the exact conditional
error probability over the channels (semi-analytic).
"""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf


class AWGNConfig(link_sims.Config):
    """Constellations in additive noise."""

    es_n0_db: link_sims.Grid = list(range(0, 22, 2))
    num_bits_per_symbol: list[link_sims.EvenBits] = [2, 4, 6]
    batch_size: link_sims.PositiveInt = 100_000
    min_units: link_sims.PositiveInt = 2
    max_units: link_sims.PositiveInt = 40
    target_errors: link_sims.PositiveInt | None = 1000


AWGN_PROFILES = {
    "smoke": {"max_units": 3, "batch_size": 20_000},
    "cpu": {},
    "paper": {"max_units": 2000},
}

awgn = link_sims.Experiment(
    "theory/qam-awgn",
    title="QAM in additive white Gaussian noise",
    config=AWGNConfig,
    profiles=AWGN_PROFILES,
    # Bits without a code: those of a Gray-labelled symbol spread no more than independent ones.
    metrics={
        "ber": link_sims.Metric(
            "bit error rate", scale="log", interval="binomial", range=(0.0, 1.0), errors=True
        )
    },
    x_label="Es/N0 [dB]",
)


def _linear(db):
    return 10 ** (db / 10)


@awgn.sweep(x="es_n0_db")
def awgn_errors(cfg, trained):
    """Count symbol and bit errors of every constellation."""

    qams = {f"{2**m}-QAM": irs.QAM(m) for m in cfg.num_bits_per_symbol}

    def step(batch_size, es_n0_db):
        no = irs.snr_db_to_no(es_n0_db)
        counts = {}
        for name, qam in qams.items():
            labels = qam.draw([batch_size])
            x = qam.modulate(labels)
            y = x + irs.random.complex_normal([batch_size], x.dtype, no)
            bits, symbols = qam.count_errors(labels, qam.decide(y))
            counts["ser", name] = symbols, batch_size
            counts["ber", name] = bits, batch_size * qam.num_bits_per_symbol
        return counts

    return step


@awgn.table
def awgn_theory(cfg):
    """Exact symbol and bit error rates."""
    rows = []
    for m in cfg.num_bits_per_symbol:
        qam = irs.QAM(m)
        for x in cfg.es_n0_db:
            for metric, rate in (("ser", qam.ser_awgn), ("ber", qam.ber_awgn)):
                rows.append(link_sims.row(metric, f"{2**m}-QAM, exact", x, rate(_linear(x))))
    return rows


awgn.theory(
    "Proakis, Digital Communications, 5th ed., eq. (4.3-30); Cho and Yoon 2002",
    {
        f"the {metric} of {2**m}-QAM follows its closed form (to 25 % down to 1e-4)": (
            measured.agrees(metric, f"{2**m}-QAM", f"{2**m}-QAM, exact", floor=1e-4)
        )
        for m in (2, 4, 6)
        for metric in ("ser", "ber")
    },
)


class FadingConfig(link_sims.Config):
    """16-QAM with maximum-ratio combining over Rayleigh branches."""

    es_n0_db: link_sims.Grid = [0, 5, 10, 15, 20]
    num_rx_ant: list[link_sims.PositiveInt] = [1]
    num_bits_per_symbol: link_sims.EvenBits = 4
    batch_size: link_sims.PositiveInt = 50_000
    min_units: link_sims.PositiveInt = 2
    max_units: link_sims.PositiveInt = 40
    target_errors: link_sims.PositiveInt | None = 1000


FADING_PROFILES = {
    "smoke": {"max_units": 3, "batch_size": 10_000},
    "cpu": {},
    "paper": {"max_units": 2000},
}


def _mrc_step(cfg):
    """Errors of maximum-ratio combining over independent Rayleigh branches."""
    qam = irs.QAM(cfg.num_bits_per_symbol)
    receiver = irs.MRCReceiver()

    def step(batch_size, es_n0_db):
        no = irs.snr_db_to_no(es_n0_db)
        labels = qam.draw([batch_size])
        x = qam.modulate(labels)[:, None]
        counts = {}
        for num_rx_ant in cfg.num_rx_ant:
            h = irs.random.complex_normal([batch_size, num_rx_ant, 1], x.dtype)
            x_hat, no_eff = receiver(irs.apply(h, x, no), h, no)
            _, symbols = qam.count_errors(labels, qam.decide(x_hat[:, 0]))
            exact = tf.reduce_sum(qam.ser_awgn(1 / no_eff[:, 0]))
            counts["ser", f"{num_rx_ant} antennas, counted"] = symbols, batch_size
            counts["ser", f"{num_rx_ant} antennas, semi-analytic"] = exact, batch_size
        return counts

    return step


def _mrc_theory(cfg):
    qam = irs.QAM(cfg.num_bits_per_symbol)
    return [
        link_sims.row("ser", f"{n} antennas, exact", x, qam.ser_rayleigh(_linear(x), diversity=n))
        for n in cfg.num_rx_ant
        for x in cfg.es_n0_db
    ]


def _claim_mrc(experiment, antennas):
    experiment.theory(
        "Simon and Alouini, Digital Communication over Fading Channels, ch. 9",
        {
            f"the symbol error rate with {n} antennas ({kind}) follows its closed form": (
                measured.agrees("ser", f"{n} antennas, {kind}", f"{n} antennas, exact")
            )
            for n in antennas
            for kind in ("counted", "semi-analytic")
        },
    )


# The semi-analytic rate is an average of probabilities, not a share of independent trials.
SER = {"ser": link_sims.Metric("symbol error rate", scale="log", interval="ratio")}

rayleigh = link_sims.Experiment(
    "theory/qam-rayleigh",
    title="16-QAM in flat Rayleigh fading",
    config=FadingConfig,
    profiles=FADING_PROFILES,
    metrics=SER,
    x_label="mean Es/N0 [dB]",
    execution_cpu="xla",
)
rayleigh.sweep(x="es_n0_db")(lambda cfg, trained: _mrc_step(cfg))
rayleigh.table(_mrc_theory)
_claim_mrc(rayleigh, [1])


class DiversityConfig(FadingConfig):
    """The same with more antennas."""

    es_n0_db: link_sims.Grid = list(range(0, 14, 2))
    num_rx_ant: list[link_sims.PositiveInt] = [1, 2, 4]


mrc = link_sims.Experiment(
    "theory/mrc-diversity",
    title="Diversity of maximum-ratio combining, 16-QAM",
    config=DiversityConfig,
    profiles=FADING_PROFILES,
    metrics=SER,
    x_label="mean Es/N0 per antenna [dB]",
    execution_cpu="xla",
)
mrc.sweep(x="es_n0_db")(lambda cfg, trained: _mrc_step(cfg))
mrc.table(_mrc_theory)
_claim_mrc(mrc, [1, 2, 4])


class ZFConfig(link_sims.Config):
    """Several users, zero forcing at the receiver."""

    es_n0_db: link_sims.Grid = [0, 5, 10, 15]
    num_rx_ant: link_sims.PositiveInt = 6
    num_users: list[link_sims.PositiveInt] = [2, 4]
    num_bits_per_symbol: link_sims.EvenBits = 4
    batch_size: link_sims.PositiveInt = 10_000
    min_units: link_sims.PositiveInt = 2
    max_units: link_sims.PositiveInt = 40
    target_errors: link_sims.PositiveInt | None = 1000

    def check(self):
        """A user more than antennas leaves nothing to invert."""
        if max(self.num_users) > self.num_rx_ant:
            raise ValueError(
                f"num_users = {self.num_users}: at most num_rx_ant = {self.num_rx_ant}"
            )


zf = link_sims.Experiment(
    "theory/zero-forcing",
    title="Zero forcing in Rayleigh fading, 16-QAM, 6 antennas",
    config=ZFConfig,
    profiles={**FADING_PROFILES, "smoke": {"max_units": 3, "batch_size": 2_000}},
    metrics=SER,
    x_label="mean Es/N0 per antenna [dB]",
)


@zf.sweep(x="es_n0_db")
def zf_errors(cfg, trained):
    """Errors of all users after zero forcing."""
    qam, receiver = irs.QAM(cfg.num_bits_per_symbol), irs.ZFReceiver()

    def step(batch_size, es_n0_db):
        no = irs.snr_db_to_no(es_n0_db)
        counts = {}
        for users in cfg.num_users:
            labels = qam.draw([batch_size, users])
            x = qam.modulate(labels)
            h = irs.random.complex_normal([batch_size, cfg.num_rx_ant, users], x.dtype)
            x_hat, no_eff = receiver(irs.apply(h, x, no), h, no)
            _, symbols = qam.count_errors(labels, qam.decide(x_hat))
            exact = tf.reduce_sum(qam.ser_awgn(1 / no_eff))
            counts["ser", f"{users} users, counted"] = symbols, batch_size * users
            counts["ser", f"{users} users, semi-analytic"] = exact, batch_size * users
        return counts

    return step


@zf.table
def zf_theory(cfg):
    """Diversity M - K + 1."""
    qam = irs.QAM(cfg.num_bits_per_symbol)
    return [
        link_sims.row(
            "ser",
            f"{k} users, exact",
            x,
            qam.ser_rayleigh(_linear(x), diversity=cfg.num_rx_ant - k + 1),
        )
        for k in cfg.num_users
        for x in cfg.es_n0_db
    ]


zf.theory(
    "Winters, Salz and Gitlin 1994: zero forcing leaves M - K + 1 branches",
    {
        f"{k} users, {kind}: the rate of diversity order {6 - k + 1}": measured.agrees(
            "ser", f"{k} users, {kind}", f"{k} users, exact"
        )
        for k in (2, 4)
        for kind in ("counted", "semi-analytic")
    },
)
