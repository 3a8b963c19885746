"""Tables on the terminal."""

__all__ = ["print_results", "print_table"]


def print_table(title, columns, rows):
    """A table on standard output; text columns are `name` and `curve`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title))
    for column in columns:
        table.add_column(escape(column), justify="left" if column in ("name", "curve") else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console()
    # A pipe has no width; wide tables must not be cut there.
    (console if console.is_terminal else Console(width=140)).print(table)


def print_results(results):
    """One table for each metric: a row for each x, a column for each curve."""
    from .plotting import shown_value

    for metric in results.metrics():
        kind = results.experiment.metric(metric)
        if not kind.listed:
            continue
        curves = [c for _, c in results.curves(metric)]
        points = sorted(
            {x for c in curves for x in results.points(metric, c)},
            key=lambda x: -1e300 if x is None else x,
        )
        rows = []
        for x in points:
            cells = ["" if x is None else f"{x:g}"]
            for curve in curves:
                if x not in results.points(metric, curve):
                    cells.append("")
                    continue
                value = results.value(metric, curve, x)
                low, high = results.interval(metric, curve, x)
                text = f"{shown_value(kind, value) if kind.db else value:.4g}"
                if low != high:
                    ends = (shown_value(kind, v) if kind.db else v for v in (low, high))
                    text += " [" + ", ".join(f"{v:.3g}" for v in ends) + "]"
                cells.append(text)
            rows.append(cells)
        label = results.experiment.x_label or "x"
        print_table(f"{results.experiment.title}: {kind.label}", [label, *curves], rows)
