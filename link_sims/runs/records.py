"""What a record of the log must be: a checksum tells that it is whole, not what it means."""

import sys

import numpy as np

from ..errors import UserError

__all__ = ["are_digests", "check"]


def check(records, path):
    """Refuse the first record that no run can have written.

    Raises
    ------
    UserError
        The text names file and line, what is wrong, and what is needed.
    """
    for number, record in enumerate(records, 1):
        problem = _problem(record)
        if problem:
            raise UserError(
                f"{path}: line {number} is no record of a run: {problem}; delete the folder or cut "
                "the file before that line"
            )


def _problem(record):
    """What is wrong with a record, in words, or None."""
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        return "an object with a kind is needed"
    fields = _KINDS.get(record["kind"])
    if fields is None:
        return f"kind = {_short(record['kind'])}, one of {', '.join(_KINDS)} is needed"
    for key, (sound, needed) in fields.items():
        if not sound(record.get(key)):
            return f"{key} = {_short(record.get(key))}, {needed} is needed"
    return _mismatch(record)


def _mismatch(record):
    """What does not fit together in a record whose parts are sound."""
    if record["kind"] == "steps" and record["last"] <= record["first"]:
        return f"last = {record['last']}, more than first = {record['first']} is needed"
    if "curves" not in record:
        return None
    shape, count = np.shape(record["values"]), len(record["curves"])
    units = record["kind"] == "units"
    fits = shape[1:] == (count, 2) if units else shape[:2] == (count, 2) and len(shape) <= 3
    needed = f"[units, {count}, 2]" if units else f"[{count}, 2] or [{count}, 2, replicas]"
    return None if fits else f"values of shape {list(shape)}, {needed} is needed"


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _number(value):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max  # integers can be beyond all floats


def _index(value):
    return type(value) is int and value >= 0


def _text(value):
    return isinstance(value, str)


def _curves(value):
    if not isinstance(value, list) or not value:
        return False
    pairs = [c for c in value if isinstance(c, list) and len(c) == 2 and all(map(_text, c))]
    return len(pairs) == len(value) == len({tuple(pair) for pair in pairs})


def _values(value):
    try:
        values = np.asarray(value)
    except ValueError:  # ragged
        return False
    return isinstance(value, list) and values.dtype.kind in "if" and values.size > 0


def are_digests(value):
    """Whether a value is what :func:`link_sims.runs.digests.digests` returns."""
    return (
        isinstance(value, dict)
        and all(_text(value.get(key)) for key in ("source", "library"))
        and all(isinstance(value.get(key), dict) for key in ("functions", "versions"))
        and all(isinstance(names, dict) for names in value["functions"].values())
        and {"file", "version"} <= set(value)
    )


def _rows(value):
    return isinstance(value, list) and all(
        isinstance(row, dict)
        and _text(row.get("metric"))
        and _text(row.get("curve"))
        and _number(row.get("value"))
        and "x" in row
        and (row["x"] is None or _number(row["x"]))
        for row in value
    )


_NUMBER = (_number, "a finite number")
_INDEX = (_index, "an integer of at least 0")
_TEXT = (_text, "a text")
_CURVES = (_curves, "a list of different [metric, curve]")
_VALUES = (_values, "an array of finite numbers")
_KINDS = {
    "units": {"x": _NUMBER, "first": _INDEX, "curves": _CURVES, "values": _VALUES},
    "failed": {"x": _NUMBER, "unit": _INDEX, "what": _TEXT},
    "steps": {
        "name": _TEXT, "seed": _INDEX, "first": _INDEX, "last": _INDEX, "curves": _CURVES,
        "values": _VALUES,
    },
    "table": {"rows": (_rows, "a list of rows with metric, curve, x and a finite value")},
    "code": {"digests": (are_digests, "the digests of a code")},
}  # fmt: skip
