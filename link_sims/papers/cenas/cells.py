"""The searched cells: counted, drawn as graphs, and shipped."""

import json
import pathlib
import time

import link_sims
import sionna_irs as irs
from link_sims import measured

from ...results.claims import Value
from ...results.plotting import COLORS
from .search import HELD_OUT, SKIPS, TRUNCATED, search

COUNT, RULES = "edges", ("argmax", "top2")
GENOTYPE, LOG = "cenas-genotype.json", "cenas-genotype-search.json"
_CURVES_KEPT = 50

cells = link_sims.Experiment(
    "cenas/cells",
    title="Cells of the shipped search: strongest operation of every edge, and two edges per node",
    answers=["CENAS Fig. 4"],
    metrics={COUNT: link_sims.Metric("edges with the operation")},
)


def searched():
    """{rule: genotype} from the shipped log of the search."""
    log = json.loads(irs.weights.text(LOG))
    return {rule: irs.derive_genotype(log["alpha"], log["operations"], rule) for rule in RULES}


@cells.table
def counts(cfg):
    """How many edges hold each operation."""
    from sionna_irs.search.genotype import EXTENDED

    return [
        link_sims.row(COUNT, f"{operation}, {rule}", None, genotype.count(operation))
        for rule, genotype in searched().items()
        for operation in EXTENDED
    ]


@cells.figure
def draw(results, figure):
    """A row for each rule, a panel for each cell."""
    from sionna_irs.search.genotype import EXTENDED

    genotypes = searched()
    num_cells = genotypes[RULES[0]].num_cells
    figure.set_size_inches(3.6 * num_cells, 4.8)
    panels = figure.subplots(len(RULES), num_cells, squeeze=False)
    for row, (rule, genotype) in zip(panels, genotypes.items(), strict=True):
        for number, (axes, nodes) in enumerate(zip(row, genotype.cells, strict=True)):
            _draw_cell(axes, nodes, dict(zip(EXTENDED, COLORS, strict=False)))
            axes.set_title(f"cell {number + 1}, {rule}")
    figure.suptitle(results.experiment.title, fontsize=8)


def _draw_cell(axes, nodes, colors):
    """Inputs on the left, nodes up and down, their concatenation on the right."""
    places = [(0.0, 1.0), (0.0, -1.0)]
    places += [(1.5 * (j + 1), 0.9 * (-1) ** j) for j in range(len(nodes))]
    end = (1.5 * (len(nodes) + 1), 0.0)
    for j, node in enumerate(nodes):
        for source, (operation,) in zip(places, node, strict=False):
            if operation != "zero":
                _arrow(axes, source, places[j + 2], colors[operation], operation)
        _arrow(axes, places[j + 2], end, "0.7", "")
    names = ["s0", "s1", *(str(j + 1) for j in range(len(nodes))), "out"]
    for name, place in zip(names, [*places, end], strict=True):
        box = {"boxstyle": "circle", "facecolor": "white", "edgecolor": "black"}
        axes.annotate(name, place, ha="center", va="center", bbox=box)
    axes.set_xlim(-0.5, end[0] + 0.5)
    axes.set_ylim(-1.6, 1.6)
    axes.axis("off")


def _arrow(axes, source, target, color, text):
    axes.annotate(
        "", target, source,
        arrowprops={"arrowstyle": "-|>", "color": color, "shrinkA": 9, "shrinkB": 9},
    )  # fmt: skip
    # Nearer to the source than to the target: there the arrows fan out.
    x, y = (0.6 * a + 0.4 * b for a, b in zip(source, target, strict=True))
    axes.annotate(
        text, (x, y), ha="center", va="center", fontsize=6.5, color=color,
        bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
    )  # fmt: skip


def skip_share(results) -> Value:
    """Of the edges by the strongest operation."""
    counts = {c: results.value(COUNT, c, None) for _, c in results.curves(COUNT) if "argmax" in c}
    return Value(*[counts["skip, argmax"] / sum(counts.values())] * 3)


cells.published(
    "CENAS Fig. 6b, Sec. IV-B: no skip collapse with truncated back-propagation",
    {
        "fewer than 60 % of the edges of the shipped cells are skip connections": measured.by(
            skip_share
        ).less(0.6)
    },
    expect="open",
)


def export(folder, target):
    """Write the genotype and the log of a finished search, to be shipped.

    The genotype is that of the first seed of truncated back-propagation, not of the best one.

    Parameters
    ----------
    folder : path-like
        Run folder of ``cenas/search``.
    target : path-like
        Folder of the two files; the shipped ones lie in ``sionna_irs/weights``.
    """
    from ...runs import backend, recursion, runner, store
    from ...runs.progress import Progress

    identity = store.read_identity(pathlib.Path(folder) / "config.json")
    identity.pop("digests", None)
    cfg = search.resolve(identity["profile"], identity["config"])
    backend.start(cfg)
    with store.RunFolder(folder, identity) as run:
        results = runner.Results(search, cfg, run.records)
        states = {
            name: recursion.run_recursion(cfg, run, "graph", found, {}, Progress(True))
            for name, found in search.recursions.items()
        }
        seconds = {
            name: [
                round(sum(r["seconds"] for r in run.records if _of(r, name, cfg.seed + i)), 1)
                for i in range(len(found))
            ]
            for name, found in states.items()
        }
    alphas = {n: [s["alpha"].numpy().tolist() for s in found] for n, found in states.items()}
    genotypes = {
        n: [irs.derive_genotype(a, cfg.operations) for a in found] for n, found in alphas.items()
    }
    log = {
        **identity,
        "command": f"link-sims run {search.name} --profile {identity['profile']}",
        "method": TRUNCATED,
        "date": time.strftime("%Y-%m-%d"),
        "search_s": seconds,
        "operations": cfg.operations,
        "alpha": alphas[TRUNCATED][0],
        "genotypes": {n: [g.get_config()["cells"] for g in f] for n, f in genotypes.items()},
        "curves": {
            f"{metric}, {name}": _thinned(results, metric, name)
            for name in states
            for metric in (HELD_OUT, SKIPS)
        },
    }
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    (target / GENOTYPE).write_text(genotypes[TRUNCATED][0].to_json() + "\n")
    (target / LOG).write_text(json.dumps(log) + "\n")


def _of(record, name, seed):
    return record["kind"] == "steps" and (record["name"], record["seed"]) == (name, seed)


def _thinned(results, metric, name):
    """[[x, value of each seed, ...], ...] at some 50 points."""
    units = results.units[metric, name]
    points = sorted(units)[:: max(1, len(units) // _CURVES_KEPT)]
    return [[x, *(round(num / den, 6) for num, den in units[x])] for x in points]
