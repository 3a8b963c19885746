"""Rates of precoders with perfect knowledge: over antennas, users and transmit power."""

import math
from typing import Annotated, Literal

from pydantic import Field

import link_sims
import sionna_irs as irs
from link_sims.results.plotting import draw_lines
from link_sims.training import training as trainer

from ..double.common import gap_over_x
from . import common, structured
from .baselines import CALIBRATED, GRAM_CNN, UNFOLDED, precoder_of

STRUCTURED = "structured"
LEARNED = (CALIBRATED, UNFOLDED, GRAM_CNN)
Sizes = Annotated[list[link_sims.PositiveInt], Field(min_length=1, max_length=20)]


class Config(common.PrecodingConfig):
    """One of the three lists is the axis; the learned precoders are trained for some of it.

    All see the same number of groups, the competitors of the calibration in smaller batches. In
    double precision: plain zero forcing above 0 dBm has too few digits in single.
    """

    precision: Literal["single", "double"] = "double"
    num_ant: Sizes
    num_users: Sizes
    power_dbm: link_sims.Grid
    hidden: Sizes = [256, 512, 512]
    num_layers: link_sims.PositiveInt = 4
    num_steps: link_sims.PositiveInt = 100
    training_batch: link_sims.PositiveInt = 128
    competitor_batch: link_sims.PositiveInt = 32
    peak_rate: link_sims.LearningRate = 1e-3
    unfolded_rate: link_sims.LearningRate = 3e-4

    @property
    def competitor_steps(self):
        """Steps of a competitor."""
        return self.num_steps * self.training_batch // self.competitor_batch

    def check(self):
        """Zero forcing needs an antenna for every user."""
        if max(self.num_users) > min(self.num_ant):
            raise ValueError(f"num_users = {self.num_users}: at most {min(self.num_ant)} is needed")


def at_power(name, power_dbm):
    """Name of a curve at one transmit power."""
    return f"{name}, {power_dbm:g} dBm"


def trained_at(curve, value):
    """Name of a training, and of its curve at other points of the axis."""
    return f"{curve}, trained at {value:g}"


def places(cfg, axis, value):
    """(M, K, powers [dBm]) at one point of the axis."""
    fixed = cfg.model_copy(update={axis: [value]})
    return int(fixed.num_ant[0]), int(fixed.num_users[0]), fixed.power_dbm


def fits(curve, axis):
    """Whether weights of one point of the axis can be used at another."""
    return axis == "power_dbm" or (axis, curve) == ("num_users", CALIBRATED)


def training_of(cfg, axis, curve, value):
    """(start, advance): a learned precoder for one point of the axis, at the first power."""
    num_ant, num_users, powers = places(cfg, axis, value)
    precoder = precoder_of(cfg, curve, num_ant, num_users)
    if curve != CALIBRATED:
        changes = {"num_steps": cfg.competitor_steps, "training_batch": cfg.competitor_batch}
        cfg = cfg.model_copy(update=changes)
    if curve == UNFOLDED:
        cfg = cfg.model_copy(update={"peak_rate": cfg.unfolded_rate})
    draw = common.groups(cfg, num_ant, num_users, "train")
    draws = [lambda: draw(cfg.training_batch, powers[0])]
    return common.rate_training(cfg, precoder, draws, trained_at(curve, value))


def learned(cfg, trained, axis, value, trainings):
    """Precoders by curve: trained for this point, and for the first one where they fit."""
    num_ant, num_users, _ = places(cfg, axis, value)
    precoders = {}
    for curve, points in trainings.items():
        chosen = {curve: value} if value in points else {}
        if fits(curve, axis):
            chosen[trained_at(curve, points[0])] = points[0]
        for name, point in chosen.items():
            fresh = precoder_of(cfg, curve, num_ant, num_users)
            precoders[name] = trainer.assign(fresh, trained[trained_at(curve, point)][0])
    return precoders


def comparison(cfg, axis, value, precoders):
    """``step``: all precoders on the same groups, at positions that no training saw."""
    num_ant, num_users, powers = places(cfg, axis, value)
    draw = common.groups(cfg, num_ant, num_users)
    precoders = {
        **common.classical(cfg),
        STRUCTURED: irs.StructuredPrecoder.from_pretrained(
            structured.WEIGHTS, precision=cfg.precision
        ),
        **precoders,
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
    names = [c for _, c in results.curves(common.SHARE) if not c.startswith(common.REFERENCE)]
    endings = dict.fromkeys(c.rpartition(", ")[2] if c.endswith("dBm") else "" for c in names)
    figure.set_size_inches(3.4 * len(endings) + 0.6, 4.2)
    panels = figure.subplots(1, len(endings), sharey=True, squeeze=False)[0]
    for axes, ending in zip(panels, endings, strict=True):
        shown = [c for c in names if c.endswith(ending)]
        for is_learned, style in ((False, "-"), (True, "--")):
            chosen = [c for c in shown if c.startswith(LEARNED) == is_learned]
            labels = {c: c.removesuffix(f", {ending}") for c in chosen}
            draw_lines(axes, results, common.SHARE, labels, style)
        axes.set(title=ending, xlabel=results.experiment.x_label, ylim=(0.6, 1.02))
    panels[0].set_ylabel(results.experiment.metric(common.SHARE).label)
    lines, texts = panels[0].get_legend_handles_labels()
    figure.legend(lines, texts, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(results.experiment.title, fontsize=8)


def make(
    name, title, answers, axis, label, trainings, smoke, execution_cpu="graph", **changes
):  # fmt: skip
    """One figure; curves carry the power where the axis does not."""
    experiment = link_sims.Experiment(
        name,
        title=title,
        answers=answers,
        config=Config,
        profiles={
            "smoke": {**changes, **smoke, "stride": 10, "batch_size": 4, "max_units": 2,
                      "hidden": [4], "num_steps": 2, "training_batch": 4, "competitor_batch": 4},
            "cpu": changes,
            "paper": {**changes, "hidden": [512, 2048, 2048], "num_layers": 20,
                      "num_steps": 40_000, "training_batch": 1024, "competitor_batch": 1024,
                      "max_units": 10},
        },
        metrics={**common.METRICS, **common.TRAINING_METRICS},
        x_label=label,
        execution_cpu=execution_cpu,
    )  # fmt: skip

    for curve, points in trainings.items():
        for value in points:
            length = "num_steps" if curve == CALIBRATED else "competitor_steps"
            experiment.recursion(trained_at(curve, value), length=length, record_every=20)(
                lambda cfg, seed, curve=curve, value=value: training_of(cfg, axis, curve, value)
            )

    @experiment.sweep(x=axis, static=True)
    def curves(cfg, trained, value):
        return comparison(cfg, axis, value, learned(cfg, trained, axis, value, trainings))

    experiment.figure(draw_shares)
    return experiment


antennas = make(
    "precoding/rate-vs-antennas",
    "8 users: rates over the number of antennas",
    ["Calibration Fig. 6a, 6b"],
    axis="num_ant",
    label="antennas M",
    trainings={CALIBRATED: (16, 64, 128), UNFOLDED: (16, 64), GRAM_CNN: (16, 64, 128)},
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
    trainings=dict.fromkeys(LEARNED, (8, 4, 12, 16)),
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
    trainings={CALIBRATED: (4, 8, 16)},
    smoke={"num_users": [8]},
    execution_cpu="xla",
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
    trainings={CALIBRATED: (-10, 10), GRAM_CNN: (-10,)},
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


# Ratios of specification 12.1, and the standard deviation of a group's ratio over its 200 groups.
TABLE = (
    (antennas, "MRT, -10 dBm", 32, 0.39310, 0.0657),
    (antennas, "ZF, -10 dBm", 32, 0.94334, 0.0271),
    (antennas, "RZF, -10 dBm", 32, 0.94480, 0.0260),
    (antennas, "ZF-WF, -10 dBm", 32, 0.99961, 0.0007),
    (antennas, "WMMSE-20, -10 dBm", 32, 0.96799, 0.0200),
    (antennas, "ZF, -10 dBm", 64, 0.96267, 0.0189),
    (antennas, "WMMSE-100, -10 dBm", 64, 0.98195, 0.0135),
    (users, "ZF, -10 dBm", 12, 0.91109, 0.0465),
    (users, "ZF-WF, -10 dBm", 12, 0.99683, 0.0078),
    (users, "WMMSE-20, -10 dBm", 12, 0.96619, 0.0161),
    (users, "ZF, -20 dBm", 12, 0.81670, 0.0928),
    (users, "RZF, -20 dBm", 12, 0.88428, 0.0429),
    (users, "ZF-WF, -20 dBm", 12, 0.96219, 0.0328),
    (users, "WMMSE-20, -20 dBm", 12, 0.99296, 0.0061),
)
# Four deviations of the difference between means of 200 and 400 groups, and the half width of an
# interval from four units of 100 groups (3.18: Student's t).
TOLERANCE = 4 * math.sqrt(1 / 200 + 1 / 400) + 3.18 / math.sqrt(400)
for _experiment, _curve, _x, _ratio, _deviation in TABLE:
    _half = round(TOLERANCE * _deviation, 5)
    share(
        _experiment, _curve, _x, round(_ratio - _half, 5), round(_ratio + _half, 5),
        f"specification 12.1: {_ratio}; tolerance {TOLERANCE:.3f} x {_deviation}, a group's "
        "deviation: 200 groups there, 400 here",
    )  # fmt: skip
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
# In loaded cells the network that sees all users is above the one that sees one.
_LOADED = {(antennas, 16): "does-not-hold", (users, 12): "open", (users, 16): "does-not-hold"}
for _experiment, _points in ((antennas, (16, 64)), (users, (4, 8, 12, 16))):
    for _x in _points:
        for _curve in (UNFOLDED, GRAM_CNN):
            ordered(
                _experiment, at_power(CALIBRATED, -10), at_power(_curve, -10), _x,
                "calibration is the best that learns, after equally many groups",
                f"{PAPER}, Fig. 6",
                _LOADED.get((_experiment, _x), "holds") if _curve == GRAM_CNN else "holds",
            )  # fmt: skip
antennas.claim(
    "the share of the CNN of the Gram matrix falls from 16 to 128 antennas, at -10 dBm",
    source=f"{PAPER}, Fig. 6a: the CNN degrades with M",
    expect="does-not-hold",
    check=lambda r: gap_over_x(r, common.SHARE, at_power(GRAM_CNN, -10), 128, 16).less(0),
)
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
        expect="holds",
        check=lambda r, x=_x: r.paired(
            common.RATE, at_power(trained_at(CALIBRATED, 4), 5), at_power(CALIBRATED, 5), x=x
        ).ratio_between(0.9324, 1.1),
    )
for _x in (-20, 0, 10):
    ordered(
        power, trained_at(CALIBRATED, -10), "ZF", _x, "mismatched stays above", f"{PAPER}, Fig. 8"
    )
for _x in (-20, 10):
    ordered(
        power, "ZF", trained_at(GRAM_CNN, -10), _x, "data-driven falls below", f"{PAPER}, Fig. 8",
        "does-not-hold",
    )  # fmt: skip
for _x in (-20, -10, 0, 10):
    share(power, STRUCTURED, _x, 0.99, 1.01, "aim of this package: one set of weights")
