"""Coded error rates of a downlink over random and tuned surfaces."""

from typing import Annotated, Literal

from pydantic import Field

import link_sims

from . import common

BITS_PER_SYMBOL = 2
SURFACES, PRECODERS = ("tuned", "random"), ("WMMSE, I=20", "RZF")


class Config(common.ScenarioConfig):
    """Tuning at ``tx_power_dbm``; then blocks, one channel each, at several powers."""

    surface: Literal["circle"] = "circle"
    num_steps: link_sims.PositiveInt = 2500
    num_iter: link_sims.PositiveInt = 20
    link_power_dbm: link_sims.Grid = [2, 5, 8, 11, 14, 17, 20]
    num_info_bits: Annotated[int, Field(ge=12, le=8448)] = 128
    num_coded_bits: Annotated[int, Field(ge=20, le=25_344)] = 256
    batch_size: Annotated[int, Field(ge=2, le=10_000)] = 60
    max_units: Annotated[int, Field(ge=2, le=10**6)] = 40

    def check(self):
        """A block for every replica; a code that exists."""
        if self.batch_size != self.num_replicas:
            raise ValueError(
                f"batch_size = {self.batch_size}: num_replicas = {self.num_replicas} is needed"
            )
        rate = self.num_info_bits / self.num_coded_bits
        if not 0.2 <= rate <= 0.948 or self.num_coded_bits % BITS_PER_SYMBOL:
            raise ValueError(
                f"num_coded_bits = {self.num_coded_bits}: an even number with a code rate in "
                f"[0.2, 0.948] is needed, not {rate:.3g}"
            )


coded = link_sims.Experiment(
    "izosga/coded-bler",
    title="QPSK with a code of rate 1/2 to 4 users, random and tuned surface",
    config=Config,
    profiles={
        "smoke": {"num_replicas": 4, "batch_size": 4, "num_steps": 10, "num_iter": 2,
                  "link_power_dbm": [10], "max_units": 2},
        "cpu": {},
        "paper": {"num_steps": 40_000, "max_units": 1000},
    },
    # Users of one channel fail together: units, not blocks, are independent.
    metrics={
        "bler": link_sims.Metric(
            "block error rate", scale="log", interval="ratio", range=(0.0, 1.0), errors=True
        )
    },
    x_label="transmit power [dBm]",
    execution_cpu="xla",
)  # fmt: skip


@coded.recursion("tuning", length="num_steps", record_every=250)
def tuning(cfg, seed):
    """The tuned surface, and the random one that stays."""
    curves = {
        name: common.fixed(cfg.num_iter, ("s1",) if name == "tuned" else ()) for name in SURFACES
    }
    return common.tune(cfg, *common.scenario(cfg), curves)


@coded.sweep(x="link_power_dbm")
def curves(cfg, trained):
    """Bit and block errors of all users, the same channels, bits and noise for every curve."""
    import tensorflow as tf
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
    from sionna.phy.mapping import BinarySource, Demapper, Mapper

    import sionna_irs as irs

    channel, _ = common.scenario(cfg)
    controls = {name: trained["tuning"][0]["s1"][i] for i, name in enumerate(SURFACES)}
    source, mapper = BinarySource(), Mapper("qam", BITS_PER_SYMBOL)
    demapper = Demapper("app", "qam", BITS_PER_SYMBOL)
    encoder = LDPC5GEncoder(cfg.num_info_bits, cfg.num_coded_bits)
    # Sionna's min-sum decoder works in single precision only.
    decoder = LDPC5GDecoder(
        encoder, num_iter=20, hard_out=True, cn_update="offset-minsum", precision="single"
    )
    precoders = dict(zip(PRECODERS, (irs.WMMSE(20), irs.RZFPrecoder()), strict=True))

    def step(batch_size, power_dbm):
        no = irs.snr_db_to_no(power_dbm - cfg.tx_power_dbm)
        links = channel.draw(batch_size)
        bits = source([batch_size, cfg.num_users, cfg.num_info_bits])
        x = mapper(encoder(bits))
        noise = irs.random.complex_normal(tf.shape(x), x.dtype, no)
        sums = {}
        for surface in SURFACES:
            h = channel.compose(links, channel.reflect({"s1": controls[surface]}))
            for name, precoder in precoders.items():
                v = precoder(h, no)
                field = tf.linalg.matmul(h, v)
                gain = tf.linalg.diag_part(field)[..., None]
                # A user without power hears noise alone; its blocks count.
                size = tf.maximum(tf.square(tf.abs(gain)), 1e-12)
                received = tf.linalg.matmul(field, x) + noise
                x_hat = received * tf.math.conj(gain) / tf.cast(size, x.dtype)
                no_eff = 1 / tf.maximum(irs.metrics.sinr(h, v, no), 1e-12)
                llr = demapper(x_hat, tf.broadcast_to(no_eff[..., None], x.shape))
                wrong = tf.not_equal(bits, tf.cast(decoder(tf.cast(llr, tf.float32)), bits.dtype))
                curve = f"{surface}, {name}"
                blocks = tf.reduce_any(wrong, -1)
                sums["bler", curve] = (_count(blocks), blocks.shape.num_elements())
                sums["ber", curve] = (_count(wrong), wrong.shape.num_elements())
        return sums

    return step


def _count(mask):
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(mask, tf.float32))


@coded.figure
def draw(results, figure):
    """Bit and block error rates."""
    from ...plotting import panel

    figure.set_size_inches(7.2, 3.8)
    for axes, metric in zip(figure.subplots(1, 2), ("ber", "bler"), strict=True):
        panel(axes, results, metric)
    figure.suptitle(results.experiment.title, fontsize=8)


for _name in PRECODERS:
    coded.claim(
        f"the tuned surface has fewer block errors at 11 dBm, {_name}",
        source="this package; intervals over draws, given these 60 replicas",
        expect="holds",
        check=lambda r, n=_name: r.paired("bler", f"tuned, {n}", f"random, {n}", x=11).less(),
    )
