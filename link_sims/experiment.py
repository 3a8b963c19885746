"""What an experiment is: a declaration that imports no TensorFlow, plus builders that do."""

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from .errors import UserError, shortened
from .fields import check_code, check_range, check_size, plain, range_of

__all__ = ["Claim", "Config", "Experiment", "Metric", "row"]


EXPECTATIONS = ("holds", "does-not-hold", "open")
KINDS = ("published", "theory", "ours")

# Refused keys that an error names.
_MAX_ITEMS = 3


class Config(pydantic.BaseModel):
    """Base of every configuration: strict (unknown keys and wrong types are refused), frozen.

    A unit of work is one keyed batch of ``batch_size``; a point of a sweep stops, in unit order,
    at the first number of units (at least ``min_units``, 10 or all of ``max_units`` unless named)
    at which every error-counting curve has ``target_errors`` errors or every curve has a relative
    half width of at most ``rel_precision``, and at ``max_units`` at the latest.
    """

    model_config = pydantic.ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    precision: Literal["single", "double"] = "single"
    batch_size: Annotated[int, Field(ge=1, le=10**7)] = 100
    # Two or three units in which all blocks fail together look like certainty.
    min_units: Annotated[int, Field(ge=2, le=10**6)] = 10
    max_units: Annotated[int, Field(ge=2, le=10**6)] = 100
    target_errors: Annotated[int, Field(ge=1, le=10**12)] | None = None
    rel_precision: Annotated[float, Field(gt=0, lt=1)] | None = None

    @pydantic.field_validator("*", mode="before")
    def _plain(cls, value):
        return plain(value)

    @pydantic.field_validator("*")
    def _in_range(cls, value, info):
        check_range(info.field_name, value)
        return value

    @pydantic.model_validator(mode="after")
    def _check(self):
        if "min_units" not in self.model_fields_set and self.min_units > self.max_units:
            self.__dict__["min_units"] = self.max_units  # frozen for everyone else
        if self.min_units > self.max_units:
            raise ValueError(
                f"min_units = {self.min_units}: at most max_units = {self.max_units} is permitted"
            )
        check_size(self)
        self.check()
        if hasattr(self, "num_info_bits") and hasattr(self, "num_coded_bits"):
            check_code(self.num_info_bits, self.num_coded_bits)
        return self

    def check(self):
        """Override to refuse combinations: raise ValueError with a sentence."""

    @property
    def rdtype(self):
        """Name of the real dtype of `precision`."""
        return "float64" if self.precision == "double" else "float32"

    @property
    def cdtype(self):
        """Name of the complex dtype of `precision`."""
        return "complex128" if self.precision == "double" else "complex64"


@dataclasses.dataclass(frozen=True)
class Metric:
    """How a metric is drawn, and what its interval rests on.

    Parameters
    ----------
    label : str
        Axis label.
    scale : "log" or "linear"
    db : bool
        Whether figures and printed tables show 10 log10 of the value.
    interval : "binomial" or "ratio"
        "binomial": a share of trials, errors over trials (Clopper-Pearson; trials that depend on
        each other count as fewer, see `independent`). "ratio": the units are the independent
        observations (delta method, Student's t).
    range : (float, float) or None
        Ends to which intervals are clipped; None does not clip.
    errors : bool
        Whether the numerator counts errors, for ``target_errors``.
    trials : str or None
        Where too few units hold an error to tell: the metric whose denominator counts trials that
        are independent (block errors for bit errors); None takes the number of units.
    independent : "auto", "blocks" or "units"
        For "binomial": what is independent. "blocks": every trial. "units": units alone, such as
        batches that share a channel. "auto": every trial, unless the units of a curve are more
        dispersed than independent trials are (chi-square test at 5 %).
    listed : bool
        Whether printed tables and the usual figures show it; a map has too many numbers.
    """

    label: str
    scale: Literal["log", "linear"] = "linear"
    db: bool = False
    interval: Literal["binomial", "ratio"] = "ratio"
    range: tuple[float, float] | None = None
    errors: bool = False
    trials: str | None = None
    independent: Literal["auto", "blocks", "units"] = "auto"
    listed: bool = True

    def __post_init__(self):
        choices = {"interval": ("binomial", "ratio"), "independent": ("auto", "blocks", "units")}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} = {value!r}; one of {', '.join(known)} is needed")


_RATE = {"scale": "log", "range": (0.0, 1.0), "errors": True}
METRICS = {
    # The bits of a block are never independent.
    "ber": Metric(
        "bit error rate", interval="binomial", independent="units", trials="bler", **_RATE
    ),
    "bler": Metric("block error rate", interval="binomial", **_RATE),
    "ser": Metric("symbol error rate", interval="binomial", **_RATE),
    "nmse": Metric("NMSE [dB]", db=True, range=(0.0, math.inf)),
    "rate": Metric("rate [bit/s/Hz]", range=(0.0, math.inf)),
}


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a reader can check, where it stands, and the check that judges it."""

    text: str
    source: str
    expect: Literal["holds", "does-not-hold", "open"]
    check: Callable
    kind: Literal["published", "theory", "ours"]

    def declared(self):
        """All but the check."""
        return {name: getattr(self, name) for name in ("text", "kind", "source", "expect")}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Independent keyed units along one axis of the configuration."""

    builder: Callable
    x: str
    static: bool


@dataclasses.dataclass(frozen=True)
class Recursion:
    """A state carried forward."""

    builder: Callable
    name: str
    length: str
    seeds: int
    record_every: int
    after: str | None


def row(metric, curve, x, value):
    """A row of a table: the exact ``value`` of ``curve`` at ``x`` (a number or None)."""
    return {"metric": metric, "curve": curve, "x": x, "value": float(value)}


class Experiment:
    """A declaration: name, configuration, profiles, claims, and up to three kinds of run.

    Parameters
    ----------
    name : str
        ``group/what-vs-what``.
    config : type
        A :class:`Config`.
    profiles : dict or None
        "smoke" (seconds), "cpu" (minutes on two cores), "paper" (the published size and number
        of steps) and, where two cores reach the published size with fewer steps, "published":
        changes of the configuration's defaults.
    title : str
        Heading of the figure.
    answers : list of str
        Published figures and tables that it answers.
    metrics : dict or None
        Name -> :class:`Metric`, beyond or instead of the usual ones.
    x_label : str or None
        Axis label; default the swept field's name.
    x_scale : "linear" or "log"
    execution_cpu : "graph" or "xla"
        What was measured faster on a CPU.

    Raises
    ------
    ValueError
        When a profile is missing or does not fit the configuration.
    """

    def __init__(
        self,
        name: str,
        *,
        config=Config,
        profiles: dict | None = None,
        title: str = "",
        answers=(),
        metrics: dict | None = None,
        x_label: str | None = None,
        x_scale: Literal["linear", "log"] = "linear",
        execution_cpu: Literal["graph", "xla"] = "graph",
    ):
        self.name, self.config, self.title = name, config, title or name
        self.profiles = {"smoke": {}, "cpu": {}, "paper": {}} if profiles is None else profiles
        missing = {"smoke", "cpu", "paper"} - set(self.profiles)
        if missing:
            raise ValueError(f"experiment {name!r}: profiles lack {sorted(missing)}")
        self.answers = list(answers)
        self.metrics = {**METRICS, **(metrics or {})}
        self.x_label, self.x_scale = x_label, x_scale
        self.execution_cpu = execution_cpu
        self.claims = []
        self.recursions = {}
        self.shipped = {}
        self.sweep_run = self.table_run = self.draw = None
        self.source = None  # file.py:object of an experiment outside the package
        self.module = None  # name of the module of an experiment of the package
        self.version = None  # what the author of a live model says of its state

    def metric(self, name):
        """The :class:`Metric` of that name; an unknown one is a plain ratio."""
        return self.metrics.get(name, Metric(name))

    def resolve(self, profile="cpu", changes=None):
        """The validated configuration of a profile with changes.

        Raises
        ------
        UserError
            One line for each key that is refused: key, value, what is permitted.
        """
        if profile not in self.profiles:
            raise UserError(f"profile = {profile}: one of {', '.join(self.profiles)} is needed")
        try:
            return self.config(**{**self.profiles[profile], **(changes or {})})
        except pydantic.ValidationError as error:
            raise UserError(_explain(error, self.config)) from None

    def sweep(self, x, static=False):
        """Decorate ``builder(cfg, trained) -> step``, ``step(batch_size, x) -> sums``.

        The sums are ``{(metric, curve): (numerator, denominator)}`` over the batch.
        ``x`` names a field that lists the points; the step gets a scalar tensor. With ``static``
        the builder is called for every point as ``builder(cfg, trained, x)`` with a Python
        number: for axes that change shapes.
        """
        if x not in self.config.model_fields:
            raise ValueError(f"experiment {self.name!r}: x = {x!r} is no field of its config")

        def decorate(builder):
            self.sweep_run = Sweep(builder, x, static)
            return builder

        return decorate

    def recursion(self, name, length, seeds=1, record_every=1, after=None):
        """Decorate ``builder(cfg, seed) -> (start, advance)``: a state carried forward.

        ``start() -> state`` (a nest of tensors), ``advance(state, t) -> (state, {(metric, curve):
        (num, den)})``, numbers or tensors [replicas]: independent copies carried side by side,
        which are the units of the intervals. ``length`` names the field, or property, with the
        number of steps; ``record_every`` steps are summed into one row. The final states of all
        seeds reach the sweep's builder as ``trained[name]``. ``after`` names an earlier recursion
        of at least as many seeds: its final state of the same seed is the builder's third argument.
        """
        derived = isinstance(getattr(self.config, length, None), property)
        if length not in self.config.model_fields and not derived:
            raise ValueError(f"experiment {self.name!r}: length = {length!r} is no field")
        if after is not None and self.recursions[after].seeds < seeds:
            raise ValueError(f"experiment {self.name!r}: {after!r} has fewer seeds than {name!r}")

        def decorate(builder):
            self.recursions[name] = Recursion(builder, name, length, seeds, record_every, after)
            return builder

        return decorate

    def ship(self, name):
        """Decorate ``builder(cfg, trained) -> layer``: weights that the package brings along.

        Where the configuration has ``retrain`` set, a run ends with ``weights/NAME.safetensors``
        and its card in the run folder; both are shipped from ``sionna_irs/weights``.
        """

        def decorate(builder):
            self.shipped[name] = builder
            return builder

        return decorate

    def table(self, builder):
        """Decorate ``builder(cfg) -> rows`` (see :func:`row`): deterministic results."""
        self.table_run = builder
        return builder

    def figure(self, draw):
        """Decorate ``draw(results, figure)``: a drawing of your own instead of the usual curves."""
        self.draw = draw
        return draw

    def published(self, source, checks, expect="holds"):
        """Claims of a paper, with its figure or table: {text: check}, see :meth:`claim`."""
        self._claims("published", source, checks, expect)

    def theory(self, source, checks, expect="holds"):
        """Claims that a closed form makes, with its source: {text: check}, see :meth:`claim`."""
        self._claims("theory", source, checks, expect)

    def ours(self, source, checks, expect="holds"):
        """Claims that this software stands for: {text: check}, see :meth:`claim`."""
        self._claims("ours", source, checks, expect)

    def _claims(self, kind, source, checks, expect):
        for text, check in checks.items():
            self.claim(text, source=source, expect=expect, check=check, kind=kind)

    def claim(self, text, *, source, check, expect="holds", kind="ours"):
        """Add a claim.

        Parameters
        ----------
        text : str
            What is claimed.
        source : str
            Where a reader finds it.
        check : callable
            ``check(results)`` returns a verdict, such as
            ``link_sims.measured.paired("nmse", "CENAS", "Bayes", x=0).within_db(0.15)``.
        expect : "holds", "does-not-hold" or "open"
        kind : "published", "theory" or "ours"
            A paper's number or ordering; a closed form; what this software stands for.

        Raises
        ------
        ValueError
            When a word is none of these, the source is empty or the check is no verdict.
        """
        words = {"expect": (expect, EXPECTATIONS), "kind": (kind, KINDS)}
        for name, (word, known) in words.items():
            if word not in known:
                raise ValueError(f"{name} = {word!r}; one of {', '.join(known)} is needed")
        if not source:
            raise ValueError(f"claim {text!r}: a source that a reader can open is needed")
        if not getattr(check, "is_verdict", True):
            raise ValueError(f"claim {text!r}: its check ends in no verdict, such as .less(1)")
        self.claims.append(Claim(text, source, expect, check, kind))


def _explain(error, config):
    """One line for the keys that are refused; that of unknown ones tells which there are."""
    items = error.errors()
    unknown = [item for item in items if item["type"] == "extra_forbidden"]
    lines = [_line(item, config) for item in items if item["type"] != "extra_forbidden"]
    if unknown:
        given = ", ".join(_given(item) for item in unknown[:_MAX_ITEMS])
        lines.insert(0, f"{given}: no such key; the keys are {', '.join(config.model_fields)}")
    lines, left = lines[:_MAX_ITEMS], len(lines) - _MAX_ITEMS
    return "; ".join([*lines, f"and {left} more"] if left > 0 else lines)


def _line(item, config):
    """Key, value and what is permitted."""
    message = item["msg"].removeprefix("Value error, ")
    if not item["loc"]:  # a check of several keys names them itself
        return message
    if item["type"].startswith(("int", "float", "finite", "greater", "less")):
        message += _span(item["loc"][0], config)
    return f"{_given(item)}: {message}"


def _given(item):
    """Key and value, with the place in a list."""
    parts = [part for part in map(str, item["loc"]) if not part.startswith(("constr", "function"))]
    return f"{shortened('.'.join(parts), 60)} = {shortened(repr(item['input']), 80)}"


def _span(name, config):
    """The range of a field's numbers: what its type and its name have in common."""
    schema = config.model_json_schema()["properties"][name]
    for part in (schema, *schema.get("anyOf", [])):
        part = part.get("items", part)
        if part.get("type") in ("integer", "number"):
            low, high = range_of(name, part["type"] == "integer")
            low = max(low, part.get("minimum", part.get("exclusiveMinimum", low)))
            high = min(high, part.get("maximum", part.get("exclusiveMaximum", high)))
            return f"; {low:.15g} to {high:.15g} is permitted"
    return ""
