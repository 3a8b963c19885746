"""What a reader of intervals should know: trials that depend on each other, or may."""

import numpy as np

from . import shares

__all__ = ["notes"]


def notes(results):
    """Sentences about what the shares of a run rest on, for its end; one of a kind and metric.

    Parameters
    ----------
    results : Results

    Returns
    -------
    list of str
    """
    found = []
    for metric in results.metrics():
        curves = [c for _, c in results.curves(metric) if results.is_share(metric, c)]
        # Of shares within another one (bits of blocks) the outer one speaks.
        if results.experiment.metric(metric).trials is None:
            found += [*_dependent(results, metric, curves), *_unseen(results, metric, curves)]
    return found


def _word(metric):
    return "blocks" if metric == "bler" else "trials"


def _of_curves(count, curves):
    return "" if len(curves) == 1 else f"; {count} of {len(curves)} curves"


def _dependent(results, metric, curves):
    """Where the units are more dispersed than independent trials."""
    seen = [c for c in curves if results.depends(metric, c)]
    if not seen:
        return []
    points = {(c, x): results.trials(metric, c, x) for c in seen for x in results.units[metric, c]}
    # Points without an error, or with nothing else, tell less.
    mixed = [key for key in points if 0 < results.value(metric, *key) < 1]
    curve, x = min(mixed or points, key=lambda key: points[key].n_eff)
    trials, units = points[curve, x], len(results.units[metric, curve][x])
    number = f"{trials.n_eff:.1f}" if trials.n_eff < 10 else f"{trials.n_eff:.0f}"
    return [
        f"{_word(metric)} of a unit are dependent (rho {trials.rho:.2f}): {units} units count as "
        f"{number} trials ({metric}/{curve} at x = {x:g}{_of_curves(len(seen), curves)})"
    ]


def _unseen(results, metric, curves):
    """Where every unit is all or nothing, so that dependence could not be told from certainty."""
    unsure = [c for c in curves if not results.depends(metric, c)]
    seen = [c for c in unsure if _all_or_nothing(results.units[metric, c])]
    if results.experiment.metric(metric).independent != "auto" or not seen:
        return []
    curve = seen[0]
    x, units = next(iter(results.units[metric, curve].items()))
    few = shares.effective(units, shares.dispersion([]))
    ends = [
        f"[{low:.3g}, {high:.3g}]"
        for low, high in (
            shares.interval(units, few),
            results.interval(metric, curve, x),
        )
    ]
    return [
        f"every unit of {metric}/{curve} is all or nothing{_of_curves(len(seen), curves)}: nothing "
        f'shows whether its {_word(metric)} are independent; independent="units" gives {ends[0]} '
        f"at x = {x:g} in place of {ends[1]}"
    ]


def _all_or_nothing(points):
    """Whether every unit of every point has no error or nothing else, of several trials."""
    errors, sizes = np.concatenate([np.asarray(units, float) for units in points.values()]).T
    certain = ((errors == 0) | (errors == sizes)).all()
    return bool(certain and (sizes > 1).any())
