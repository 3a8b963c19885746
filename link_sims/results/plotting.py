"""One figure style: journal width, markers with intervals, theory as lines."""

import io
import math

from ..errors import UserError

__all__ = ["COLORS", "MARKERS", "draw_lines", "error_bar", "panel", "render", "shown_value"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MARKERS = "osD^vP*X"
_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 6.5,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}


def render(results):
    """{"png": bytes, "pdf": bytes} of the figure of a run.

    Raises
    ------
    UserError
        When it shows what an unfinished run, or a point that stopped, does not have.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        try:
            figure = draw(results, Figure)
        except (LookupError, ArithmeticError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            raise UserError(f"no figure: it shows what was not simulated ({what})") from error
        files = {}
        for suffix in ("png", "pdf"):
            buffer = io.BytesIO()
            # Fixed metadata: the same results give the same file.
            stamp = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
            figure.savefig(buffer, format=suffix, metadata=stamp, bbox_inches="tight")
            files[suffix] = buffer.getvalue()
    return files


def draw(results, figure_class):
    """The figure of a run: one panel for each metric, or the experiment's own drawing."""
    experiment = results.experiment
    metrics = [m for m in results.metrics() if experiment.metric(m).listed]
    figure = figure_class(figsize=(3.5 * max(1, len(metrics)), 3.6), layout="constrained")
    if experiment.draw is not None:
        experiment.draw(results, figure)
        return figure
    if not metrics:
        axes = figure.add_subplot()
        axes.set_title(experiment.title)
        return figure
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        panel(axes, results, metric)
    figure.suptitle(experiment.title, fontsize=8)
    return figure


def shown_value(kind, value):
    """A value as the axis shows it: in dB, or NaN where a logarithmic axis has no place."""
    if kind.db:
        return 10 * math.log10(value) if value > 0 else math.nan
    return value if kind.scale != "log" or value > 0 else math.nan


def _stem(curve):
    """`16-QAM, exact` belongs to `16-QAM`: same colour."""
    for separator in (", exact", ": outage", ", counted", ", semi-analytic"):
        curve = curve.replace(separator, "")
    return curve


def panel(axes, results, metric):
    """All curves of a metric: markers with intervals where simulated, lines where exact."""
    experiment, kind = results.experiment, results.experiment.metric(metric)
    names = [curve for _, curve in results.curves(metric)]
    stems = list(dict.fromkeys(_stem(c) for c in names))
    used = {}
    for curve in names:
        index = stems.index(_stem(curve))
        color = COLORS[index % len(COLORS)]
        points = [x for x in results.points(metric, curve) if x is not None]
        values = [results.value(metric, curve, x) for x in points]
        shown = [shown_value(kind, v) for v in values]
        if (metric, curve) in results.exact or ": outage" in curve:
            dashed = "--" if ": outage" in curve else "-"
            axes.plot(points, shown, dashed, color=color, linewidth=0.9, label=curve)
            continue
        ends = [results.interval(metric, curve, x) for x in points]
        below = [error_bar(kind, v, low) for v, (low, _) in zip(values, ends, strict=True)]
        above = [error_bar(kind, v, high) for v, (_, high) in zip(values, ends, strict=True)]
        has_theory = f"{curve}, exact" in names or f"{_stem(curve)}, exact" in names
        style = "none" if has_theory else "-"
        used[index] = used.get(index, -1) + 1
        marker = MARKERS[(index + 4 * used[index]) % len(MARKERS)]
        axes.errorbar(
            points, shown, yerr=[below, above], color=color, marker=marker, linestyle=style,
            markerfacecolor="none", capsize=2, elinewidth=0.7, label=curve,
        )  # fmt: skip
        _upper_bounds(axes, kind, points, values, ends, color)
    axes.set_xlabel(experiment.x_label or (experiment.sweep_run and experiment.sweep_run.x) or "")
    axes.set_ylabel(kind.label)
    axes.set_xscale(experiment.x_scale)
    if kind.scale == "log" and not kind.db:
        axes.set_yscale("log")
        simulated = [c for c in names if (metric, c) in results.units] or names
        positive = [
            v
            for c in simulated
            for x in results.points(metric, c)
            if (v := results.value(metric, c, x)) > 0
        ]
        if positive:  # neither theory nor intervals that reach 0 stretch the axis
            axes.set_ylim(bottom=min(positive) / 5)
    # Below the axes: curves fall in every corner of a panel.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)


def error_bar(kind, value, end):
    """Length of an error bar on the axis."""
    gap = abs(shown_value(kind, value) - shown_value(kind, end))
    if math.isfinite(gap):
        return gap
    # An interval that reaches 0 reaches the bottom of a logarithmic axis.
    return value * 0.999 if kind.scale == "log" and value > 0 and end <= 0 else 0.0


def _upper_bounds(axes, kind, points, values, ends, color):
    """Where no error was counted, an arrow down from the upper bound."""
    if kind.scale != "log":
        return
    bounds = [(x, end[1]) for x, v, end in zip(points, values, ends, strict=True) if v == 0]
    if bounds:
        axes.plot(*zip(*bounds, strict=True), linestyle="none", marker=r"$\downarrow$", color=color)


def draw_lines(axes, results, metric, labels, style="-", first=0):
    """Curves with intervals: {curve: label}."""
    for index, (curve, label) in enumerate(labels.items(), first):
        points = results.points(metric, curve)
        values = [results.value(metric, curve, x) for x in points]
        ends = [results.interval(metric, curve, x) for x in points]
        error = [[v - e[0] for v, e in zip(values, ends, strict=True)],
                 [e[1] - v for v, e in zip(values, ends, strict=True)]]  # fmt: skip
        axes.errorbar(
            points, values, yerr=error, linestyle=style, color=COLORS[index % len(COLORS)],
            marker=MARKERS[index % len(MARKERS)], markerfacecolor="none", capsize=2,
            elinewidth=0.7, label=label,
        )  # fmt: skip
