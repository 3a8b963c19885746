"""What follows where code has changed since the units of a run folder were computed."""

from ..errors import UserError
from . import digests

__all__ = ["admit", "made_by_other_code"]


def admit(store, settled, keep, note, option):
    """Whether a run may go on in its folder.

    Parameters
    ----------
    store : RunFolder
        Open; its ``digests`` are those of the code at work.
    settled : bool
        Whether the log leaves nothing to be computed: then nothing is refused.
    keep : bool
        Whether units of other code are wanted beside those that are there.
    note : callable
        Told in one sentence what has changed.
    option : str
        How the user gives an option, such as ``--{}``.

    Returns
    -------
    bool
        Whether the code is that of all records.

    Raises
    ------
    UserError
        When the experiment's own code, or the release of sionna-irs, is another one.
    """
    new = store.digests
    if not store.records:
        if store.made_by != new:
            store.begin()
        return True
    old = store.codes()[-1]
    if old is None:
        kind = None
        note(f"{store.path} is of an earlier version: whether its code was the same is not known")
    else:
        kind, what = digests.difference(old, new)
    if kind is not None and settled:
        made = "warning: made by other code" if kind == "source" else "note"
        note(f"{store.path}: {made}: {what} since its {_units(store)} computed")
    elif kind in ("source", "release") and not keep:
        raise UserError(
            f"{store.path}: {what} since its {_units(store)} computed; "
            f"{option.format('fresh')} starts anew (keeps the old as {store.path.name}~1), "
            f"{option.format('keep')} adds to them"
        )
    elif kind is not None:
        note(f"warning: {store.path}: {what} since its {_units(store)} computed; it goes on")
    if (kind is not None or old is None) and not settled:
        store.append({"kind": "code", "digests": new})
    return kind is None


def _units(store):
    """How much of a run is there: "8 units were"."""
    sizes = {"units": lambda record: len(record["values"]), "code": lambda record: 0}
    count = sum(sizes.get(r["kind"], lambda record: 1)(r) for r in store.records)
    return "1 unit was" if count == 1 else f"{count} units were"


def made_by_other_code(experiment, codes):
    """Whether records of a folder are of other code than the experiment has now."""
    now = digests.digests(experiment)["source"]
    return any(code is not None and code["source"] != now for code in codes)
