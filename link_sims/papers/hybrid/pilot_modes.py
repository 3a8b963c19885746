"""Three ways to sound the equivalent channels, over the number of slots."""

import link_sims
import sionna_irs as irs
from link_sims import measured, tf

from . import common
from .common import ERROR, RATE

COMMON, UPLINK, CONTAMINATED = "downlink, shared", "uplink", "downlink, one for each user"
MODES = {COMMON: "common", UPLINK: "uplink", CONTAMINATED: "contaminated"}


class Config(common.HybridConfig):
    """The pilots are 10 dB above the data, so that what pilots of others leave behind shows."""

    slots: link_sims.IntGrid = [2, 4, 6, 8, 12, 16]
    snr_db: float = 10.0
    pilot_gain_db: float = 10.0
    max_units: link_sims.PositiveInt = 16


pilot_modes = link_sims.Experiment(
    "hybrid/pilot-modes",
    title="Pilots of 8 and 2 chains, 2 users, RLS and SCA behind random phases",
    config=Config,
    profiles={
        "smoke": {**common.SMOKE, "slots": [2, 4]},
        "cpu": {},
        "paper": {**common.FULL, "slots": [4, 8, 16, 32, 64]},
    },
    metrics=common.METRICS,
    x_label="pilot slots L",
)


@pilot_modes.sweep(x="slots", static=True)
def curves(cfg, trained, slots):
    """The same estimator, which knows the mean power, with each kind of pilots."""
    irs.random.reset(irs.random.stream_key(cfg.seed))  # one front end for all numbers of slots
    same = {"precision": cfg.precision}
    front, precoder = common.new_front(cfg), irs.SCA(cfg.num_streams, cfg.num_iter, **same)
    channel = common.new_channel(cfg)
    systems = {}
    for curve, mode in MODES.items():
        sizes = {"num_users": cfg.num_users, "num_rx_chains": cfg.num_rx_chains}
        pilots = common.new_pilots(cfg, slots, mode=mode, **sizes)
        estimator = irs.RLSEstimator(pilots, loading=common.PRIOR, **same)
        systems[curve] = irs.HybridSystem(front, precoder, estimator)

    def step(batch_size, _):
        return common.measure(cfg, systems, channel(batch_size), tf.constant(cfg.snr_db))

    return step


pilot_modes.ours(
    "this package: n unknowns of the base station, K m of all users, 2026-11",
    {
        "with K m = 4 slots the uplink has less than half the error": (
            measured.paired(ERROR, UPLINK, COMMON, x=4).ratio_between(0.0, 0.5)
        ),
        "with 16 slots shared pilots have less than half the error": (
            measured.paired(ERROR, COMMON, CONTAMINATED, x=16).ratio_between(0.0, 0.5)
        ),
    },
)
pilot_modes.ours(
    "this package: the paper's pilots collide in the downlink, which is corrected here, 2026-11",
    {
        "shared pilots have a higher rate than pilots for each user with 16 slots": (
            measured.paired(RATE, COMMON, CONTAMINATED, x=16).greater()
        )
    },
)
