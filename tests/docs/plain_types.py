"""What docstrings say of plain arguments, as annotations."""

import inspect
import re

__all__ = ["annotation", "parameters"]

_PLAIN = {"int", "float", "bool", "str", "dict", "complex"}


def parameters(doc):
    """(name, type in words) of the parameters of a docstring."""
    lines = inspect.cleandoc(doc or "").splitlines()
    if "Parameters" not in lines:
        return
    for line in lines[lines.index("Parameters") + 2 :]:
        if re.fullmatch("-+", line):
            return
        if found := re.fullmatch(r"(\w+(?:, \w+)*) : (.*)", line):
            for name in found[1].split(", "):
                yield name, found[2]


def annotation(words):
    """The annotation of a plain argument; None for arrays, layers and callables.

    `int or None` is `int | None`, `"a" or "b"` is `Literal["a", "b"]`.
    """
    words = re.sub(r" \([^)]*\)(?=,| or|$)", "", words)  # remarks
    optional = re.search(r"(,? or None|, optional)$", words)
    words = words[: optional.start()] if optional else words
    parts = re.split(r", or |, | or ", words)
    if words in _PLAIN:
        found = words
    elif all(re.fullmatch(r'"[\w-]+"', part) for part in parts):
        found = f"Literal[{', '.join(parts)}]"
    elif re.fullmatch(r"\((float|int)(, (float|int))+\)", words):
        found = f"tuple[{words[1:-1]}]"
    else:
        return None
    return f"{found} | None" if optional else found
