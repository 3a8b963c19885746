"""Learned precoders side by side: calibration in two forms, deep unfolding, black boxes.

All are trained for the same number of steps at one transmit power and tested at others.
"""

import link_sims
import sionna_irs as irs
from link_sims import measured
from link_sims.training import training as trainer

from . import calibrated, common

CALIBRATED, PUBLISHED = calibrated.CALIBRATED, "calibrated ZF, published form"
UNFOLDED, GRAM_CNN, CNN = "unfolded WMMSE", "CNN of the Gram matrix", "CNN"
CURVES = [CALIBRATED, PUBLISHED, UNFOLDED, GRAM_CNN, CNN]


class Config(calibrated.Config):
    """Trainings too short to be shipped."""

    num_ant: link_sims.PositiveInt = 32
    num_layers: link_sims.PositiveInt = 4
    cnn_width: link_sims.PositiveInt = 256
    num_steps: link_sims.PositiveInt = 1000
    training_batch: link_sims.PositiveInt = 64
    unfolded_rate: link_sims.LearningRate = 3e-4
    retrain: bool = True


baselines = link_sims.Experiment(
    "precoding/learned-baselines",
    title="Learned precoders, 32 antennas, 8 users, trained at -10 dBm",
    config=Config,
    profiles={
        "smoke": {"power_dbm": [-10], "stride": 10, "batch_size": 4, "max_units": 2,
                  "num_ant": 8, "num_users": 2, "hidden": [8], "cnn_width": 8,
                  "num_steps": 2, "training_batch": 4},
        "cpu": {},
        "paper": {"hidden": [512, 2048, 2048], "num_layers": 20, "cnn_width": 1024,
                  "num_steps": 40_000, "training_batch": 1024, "max_units": 10},
    },
    metrics={**common.METRICS, **common.TRAINING_METRICS},
    x_label="transmit power [dBm]",
)  # fmt: skip


def precoder_of(cfg, curve, num_ant, num_users):
    """A precoder with fresh weights."""
    same = {"precision": cfg.precision}
    if curve == UNFOLDED:
        return irs.UnfoldedWMMSE(cfg.num_layers, num_ant, num_users, **same)
    if curve == GRAM_CNN:
        return irs.GramCNNPrecoder(num_users, **same)
    if curve == CNN:
        return irs.CNNPrecoder(num_users, num_ant, width=cfg.cnn_width, **same)
    if curve == CALIBRATED:
        return common.new_calibrated(cfg, num_ant, cfg.hidden)
    published = irs.RowNet(num_ant, cfg.hidden, residual=False, normalize=False, **same)
    return irs.Calibrated(irs.ZFPrecoder(**same), published)


def declare(curve):
    """Training of one curve."""

    @baselines.recursion(curve, length="training_steps", record_every=50)
    def training(cfg, seed):
        if curve == UNFOLDED:
            cfg = cfg.model_copy(update={"peak_rate": cfg.unfolded_rate})
        draws = [calibrated.training_groups(cfg)]
        precoder = precoder_of(cfg, curve, cfg.num_ant, cfg.num_users)
        return common.rate_training(cfg, precoder, draws, curve)


for _curve in CURVES:
    declare(_curve)


@baselines.sweep(x="power_dbm")
def curves(cfg, trained):
    """Rate and share of WMMSE* at positions never trained on."""
    classical = common.classical(cfg)
    precoders = {name: classical[name] for name in ("MRT", "ZF", "ZF-WF", "WMMSE-20")}
    for curve in CURVES:
        fresh = precoder_of(cfg, curve, cfg.num_ant, cfg.num_users)
        precoders[curve] = trainer.assign(fresh, trained[curve][0])
    draw = common.groups(cfg, cfg.num_ant, cfg.num_users)

    def step(batch_size, power_dbm):
        return common.compare(cfg, draw(batch_size, power_dbm), precoders)

    return step


FIG_6, FIG_8 = f"{common.PAPER} Fig. 6", f"{common.PAPER} Fig. 8"
baselines.ours(
    common.OURS,
    {
        "four unfolded layers reach at least 94 % of WMMSE* at -10 dBm": (
            measured.at(common.SHARE, UNFOLDED, -10).greater(0.94)
        ),
    },
)
# (source, expectation) -> text -> the larger rate, the smaller one, transmit power [dBm].
ORDERS = {
    (FIG_6, "holds"): {"calibration beats unfolding, -10 dBm": (CALIBRATED, UNFOLDED, -10)},
    (FIG_6, "open"): {"calibration beats unfolding, -20 dBm": (CALIBRATED, UNFOLDED, -20)},
    (f"{FIG_6}, if this is its black box", "does-not-hold"): {
        "calibration beats a CNN that guesses the optimal structure from the Gram matrix, "
        "-10 dBm": (CALIBRATED, GRAM_CNN, -10),
    },
    (f"{FIG_6}, if this is its black box", "holds"): {
        "calibration beats a CNN that returns the precoder, -10 dBm": (CALIBRATED, CNN, -10),
    },
    (f"{FIG_6}: all learned precoders beat MRT, calibration ZF", "does-not-hold"): {
        "a CNN that returns the precoder beats MRT after so few steps, -10 dBm": (CNN, "MRT", -10),
        "the published form beats the zero forcing behind it after so few steps, -10 dBm": (
            PUBLISHED, "ZF", -10,
        ),
    },
    (f"{FIG_8}: data-driven falls below ZF", "holds"): {
        f"trained at -10 dBm, zero forcing beats it: {CNN}, 10 dBm": ("ZF", CNN, 10),
    },
    (f"{FIG_8}: data-driven falls below ZF", "does-not-hold"): {
        f"trained at -10 dBm, zero forcing beats it: {GRAM_CNN}, 10 dBm": ("ZF", GRAM_CNN, 10),
    },
}  # fmt: skip
for (_source, _expect), _orders in ORDERS.items():
    baselines.published(
        _source,
        {
            text: measured.paired(common.RATE, better, worse, x=x).greater()
            for text, (better, worse, x) in _orders.items()
        },
        _expect,
    )
