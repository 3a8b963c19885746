"""Rates of precoders with perfect knowledge: over antennas, users and transmit power."""

from typing import Annotated, Literal

from pydantic import Field

import link_sims

from . import common, structured

STRUCTURED, CALIBRATED = "structured", "calibrated ZF"
Sizes = Annotated[list[link_sims.PositiveInt], Field(min_length=1, max_length=20)]


class Config(common.PrecodingConfig):
    """One of the three lists is the axis; the calibrated precoder is trained for some of it.

    In double precision: plain zero forcing above 0 dBm has too few digits in single.
    """

    precision: Literal["single", "double"] = "double"
    num_ant: Sizes
    num_users: Sizes
    power_dbm: link_sims.Grid
    hidden: Sizes = [256, 512, 512]
    num_steps: link_sims.PositiveInt = 60
    training_batch: link_sims.PositiveInt = 128
    peak_rate: link_sims.PositiveFloat = 1e-3

    def check(self):
        """Zero forcing needs an antenna for every user."""
        if max(self.num_users) > min(self.num_ant):
            raise ValueError(f"num_users = {self.num_users}: at most {min(self.num_ant)} is needed")


def at_power(name, power_dbm):
    """Name of a curve at one transmit power."""
    return f"{name}, {power_dbm:g} dBm"


def mismatched(value):
    """Name of the curve of a calibration for another point of the axis."""
    return f"{CALIBRATED}, trained at {value:g}"


def places(cfg, axis, value):
    """(M, K, powers [dBm]) at one point of the axis."""
    fixed = cfg.model_copy(update={axis: [value]})
    return int(fixed.num_ant[0]), int(fixed.num_users[0]), fixed.power_dbm


def calibration(cfg, axis, value):
    """(start, advance): calibrated zero forcing for one point of the axis, at the first power."""
    num_ant, num_users, powers = places(cfg, axis, value)
    draw = common.groups(cfg, num_ant, num_users, "train")
    return common.rate_training(
        cfg,
        common.new_calibrated(cfg, num_ant, cfg.hidden),
        [lambda: draw(cfg.training_batch, powers[0])],
        f"{value:g}",
    )


def calibrated(cfg, trained, axis, value, trained_at):
    """Precoders by curve: trained for this point, and for the first one where they fit."""
    from link_sims import training as trainer

    num_ant = places(cfg, axis, value)[0]
    chosen = {CALIBRATED: value} if value in trained_at else {}
    if axis != "num_ant":
        chosen[mismatched(trained_at[0])] = trained_at[0]
    return {
        curve: trainer.assign(
            common.new_calibrated(cfg, num_ant, cfg.hidden), trained[f"{point:g}"][0]
        )
        for curve, point in chosen.items()
    }


def comparison(cfg, axis, value, learned):
    """``step``: all precoders on the same groups, at positions that no training saw."""
    import sionna_irs as irs

    num_ant, num_users, powers = places(cfg, axis, value)
    draw = common.groups(cfg, num_ant, num_users)
    precoders = {
        **common.classical(cfg),
        STRUCTURED: irs.StructuredPrecoder.from_pretrained(
            structured.WEIGHTS, precision=cfg.precision
        ),
        **learned,
    }

    def step(batch_size, _):
        sums = {}
        for power_dbm in powers:
            found = common.compare(cfg, draw(batch_size, power_dbm), precoders)
            for (metric, curve), pair in found.items():
                known = curve if axis == "power_dbm" else at_power(curve, power_dbm)
                sums[metric, known] = pair
        return sums

    return step


def draw_shares(results, figure):
    """Shares of WMMSE*, a panel for every power; MRT is mostly below the frame."""
    from ..double.common import draw_lines

    names = [c for _, c in results.curves(common.SHARE) if not c.startswith(common.REFERENCE)]
    endings = dict.fromkeys(c.rpartition(", ")[2] if c.endswith("dBm") else "" for c in names)
    figure.set_size_inches(3.4 * len(endings) + 0.6, 4.2)
    panels = figure.subplots(1, len(endings), sharey=True, squeeze=False)[0]
    for axes, ending in zip(panels, endings, strict=True):
        shown = [c for c in names if c.endswith(ending)]
        for learned, style in ((False, "-"), (True, "--")):
            chosen = [c for c in shown if c.startswith(CALIBRATED) == learned]
            labels = {c: c.removesuffix(f", {ending}") for c in chosen}
            draw_lines(axes, results, common.SHARE, labels, style)
        axes.set(title=ending, xlabel=results.experiment.x_label, ylim=(0.6, 1.02))
    panels[0].set_ylabel(results.experiment.metric(common.SHARE).label)
    lines, texts = panels[0].get_legend_handles_labels()
    figure.legend(lines, texts, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


def make(name, title, answers, axis, label, trained_at, smoke, **changes):
    """One figure; curves carry the power where the axis does not."""
    experiment = link_sims.Experiment(
        name,
        title=title,
        answers=answers,
        config=Config,
        profiles={
            "smoke": {**changes, **smoke, "stride": 10, "batch_size": 4, "max_units": 2,
                      "hidden": [4], "num_steps": 2, "training_batch": 4},
            "cpu": changes,
            "paper": {**changes, "hidden": [512, 2048, 2048], "num_steps": 40_000,
                      "training_batch": 1024, "max_units": 10},
        },
        metrics={**common.METRICS, **common.TRAINING_METRICS},
        x_label=label,
    )  # fmt: skip

    for value in trained_at:
        experiment.recursion(f"{value:g}", length="num_steps", record_every=20)(
            lambda cfg, seed, value=value: calibration(cfg, axis, value)
        )

    @experiment.sweep(x=axis, static=True)
    def curves(cfg, trained, value):
        return comparison(cfg, axis, value, calibrated(cfg, trained, axis, value, trained_at))

    experiment.figure(draw_shares)
    return experiment


antennas = make(
    "precoding/rate-vs-antennas",
    "8 users: rates over the number of antennas",
    ["Calibration Fig. 6a, 6b"],
    axis="num_ant",
    label="antennas M",
    trained_at=(16, 64, 128),
    smoke={"num_ant": [16], "power_dbm": [-10]},
    num_ant=[16, 32, 64, 96, 128],
    num_users=[8],
    power_dbm=[-10, -20],
)
users = make(
    "precoding/rate-vs-users",
    "32 antennas: rates over the number of users",
    [],
    axis="num_users",
    label="users K",
    trained_at=(8, 4, 12, 16),
    smoke={"num_users": [4], "power_dbm": [-10]},
    num_ant=[32],
    num_users=[2, 4, 8, 12, 16],
    power_dbm=[-10, -20],
)
mismatch = make(
    "precoding/mismatched-users",
    "64 antennas, 5 dBm: calibrated for other numbers of users",
    ["Calibration Fig. 7"],
    axis="num_users",
    label="users K",
    trained_at=(4, 8, 16),
    smoke={"num_users": [8]},
    num_ant=[64],
    num_users=[2, 4, 8, 12, 16],
    power_dbm=[5],
    num_steps=300,
)
power = make(
    "precoding/rate-vs-power",
    "32 antennas, 10 users: rates over transmit power",
    ["Calibration Fig. 8"],
    axis="power_dbm",
    label="transmit power [dBm]",
    trained_at=(-10, 10),
    smoke={"power_dbm": [-10]},
    num_ant=[32],
    num_users=[10],
    power_dbm=[-20, -15, -10, -5, 0, 5, 10],
)

PAPER = "calibration paper"


def ordered(experiment, better, worse, x, text, source, expect="holds"):
    """A claim on two curves, on the same groups."""
    experiment.claim(
        f"{text}: {better} above {worse} at {x}",
        source=source,
        expect=expect,
        check=lambda r: r.paired(common.RATE, better, worse, x=x).greater(),
    )


def share(experiment, curve, x, low, high, source, expect="holds"):
    """A claim on the share of WMMSE*."""
    experiment.claim(
        f"{curve} reaches {100 * low:g} to {100 * high:g} % of WMMSE* at {x}",
        source=source,
        expect=expect,
        check=lambda r: r.paired(common.RATE, curve, reference_of(curve), x=x).ratio_between(
            low, high
        ),
    )


def reference_of(curve):
    """WMMSE* at the power of a curve."""
    ending = curve.rpartition(", ")[2]
    return f"{common.REFERENCE}, {ending}" if ending.endswith("dBm") else common.REFERENCE


# Ratios of specification 12.1, which are those of 200 other groups.
TABLE = "specification 12.1, 200 groups"
for _curve, _x, _ratio in (
    ("MRT, -10 dBm", 32, 0.3931), ("ZF, -10 dBm", 32, 0.9433), ("RZF, -10 dBm", 32, 0.9448),
    ("ZF-WF, -10 dBm", 32, 0.9996), ("WMMSE-20, -10 dBm", 32, 0.9680),
    ("ZF, -10 dBm", 64, 0.9627), ("ZF-WF, -10 dBm", 64, 0.9999),
    ("WMMSE-100, -10 dBm", 64, 0.9820),
):  # fmt: skip
    share(antennas, _curve, _x, _ratio - 0.04, _ratio + 0.04, TABLE)
for _curve, _ratio in (
    ("ZF, -10 dBm", 0.9111), ("ZF-WF, -10 dBm", 0.9968), ("WMMSE-20, -10 dBm", 0.9662),
    ("ZF, -20 dBm", 0.8167), ("RZF, -20 dBm", 0.8843), ("ZF-WF, -20 dBm", 0.9622),
    ("WMMSE-20, -20 dBm", 0.9930),
):  # fmt: skip
    share(users, _curve, 12, _ratio - 0.04, _ratio + 0.04, TABLE)
share(
    antennas, at_power(CALIBRATED, -10), 64, 0.976, 1.01,
    f"{PAPER}, Fig. 6a: 97.6 % of WMMSE at (64, 8); its power is not stated",
)  # fmt: skip
antennas.claim(
    "plain zero forcing at (64, 8) is 97.6 % of WMMSE* or more at -10 dBm",
    source=f"{PAPER}, Fig. 6a: that calibration is what makes 97.6 %",
    expect="does-not-hold",
    check=lambda r: r.paired(
        common.RATE, "ZF, -10 dBm", "WMMSE*, -10 dBm", x=64
    ).ratio_between(0.976, 1.01),
)  # fmt: skip
for _x in (16, 64):
    ordered(antennas, "ZF, -10 dBm", "MRT, -10 dBm", _x, "MRT far below", f"{PAPER}, Fig. 6a")
    ordered(
        antennas, at_power(CALIBRATED, -10), "ZF, -10 dBm", _x, "calibration gains",
        f"{PAPER}, Fig. 6a",
    )  # fmt: skip
    ordered(
        antennas, at_power(CALIBRATED, -10), "ZF-eq, -10 dBm", _x,
        "a network is worth more than equal powers", f"what {PAPER}'s Fig. 6a leaves out",
        "does-not-hold",
    )  # fmt: skip
    share(antennas, at_power(STRUCTURED, -10), _x, 0.99, 1.01, "aim of this package")
for _x in (12, 16):
    ordered(
        users, at_power(STRUCTURED, -20), "ZF-WF, -20 dBm", _x, "loaded cells at low power",
        "aim of this package",
    )  # fmt: skip
    ordered(
        users, at_power(STRUCTURED, -10), "WMMSE-100, -10 dBm", _x, "one pass instead of 100",
        "aim of this package",
    )  # fmt: skip
for _x in (8, 16):
    mismatch.claim(
        f"calibrated for 4 users: at least 93.24 % of calibrated for K = {_x}, at 64 antennas",
        source=f"{PAPER}, Fig. 7",
        expect="holds" if _x == 8 else "open",
        check=lambda r, x=_x: r.paired(
            common.RATE, at_power(mismatched(4), 5), at_power(CALIBRATED, 5), x=x
        ).ratio_between(0.9324, 1.1),
    )
for _x in (-20, 0, 10):
    ordered(power, mismatched(-10), "ZF", _x, "mismatched stays above", f"{PAPER}, Fig. 8")
for _x in (-20, -10, 0, 10):
    share(power, STRUCTURED, _x, 0.99, 1.01, "aim of this package: one set of weights")
