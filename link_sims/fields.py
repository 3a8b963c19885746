"""What the fields of a configuration may hold: types, and the ranges that their names stand for."""

import math
from typing import Annotated, Literal

import pydantic
from pydantic import Field

__all__ = [
    "Distance",
    "EvenBits",
    "Grid",
    "IntGrid",
    "LearningRate",
    "PhaseBits",
    "PositiveFloat",
    "PositiveInt",
    "check_code",
    "check_order",
    "check_range",
    "check_shipped",
    "check_size",
    "plain",
    "range_of",
]


def _distinct(values):
    # Thousandths are the words of the keys: closer points would share their random numbers.
    if len({round(1000 * v) for v in values}) < len(values):
        raise ValueError("values must differ from each other by at least 0.001")
    return values


_Points = Field(min_length=1, max_length=1000), pydantic.AfterValidator(_distinct)
PositiveInt = Annotated[int, Field(ge=1, le=10**7)]
# Squares of the ends are finite and not zero in single precision.
PositiveFloat = Annotated[float, Field(ge=1e-15, le=1e15)]
Distance = Annotated[float, Field(ge=1e-3, le=1e6)]
LearningRate = Annotated[float, Field(ge=1e-15, le=10)]
Grid = Annotated[list[Annotated[float, Field(ge=-1e6, le=1e6)]], *_Points]
IntGrid = Annotated[list[Annotated[int, Field(ge=1, le=10**6)]], *_Points]
EvenBits = Literal[2, 4, 6, 8, 10]
PhaseBits = Annotated[int, Field(ge=1, le=16)]

# Whatever type an experiment declares: numbers of these names, or endings, lie in these ranges.
_RANGES = {
    "batch_size": (1, 10**7),
    "min_units": (2, 10**6),
    "max_units": (2, 10**6),
    "bandwidth_hz": (1, 1e12),
    "carrier_frequency_hz": (1e6, 1e12),
    "k_factor": (0, 1e4),
    "k_factors": (0, 1e4),
}
_ENDINGS = {
    "db": (-150, 150),
    "dbm": (-200, 200),
    "deg": (-360, 360),
    "rad": (-2 * math.pi, 2 * math.pi),
    "m": (-1e6, 1e6),
    "hz": (-1e15, 1e15),
}
_INTEGER, _REAL = (-(10**12), 10**12), (-1e15, 1e15)
_MAX_LENGTH = 1000
# Numbers in the largest channel of a unit: beyond, no machine has the memory.
_MAX_SIZE = 10**11


def plain(value):
    """Numbers and sequences of Python, NumPy and TensorFlow as the numbers and lists of JSON."""
    if hasattr(value, "numpy"):
        value = value.numpy()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple, range)):
        return [plain(item) for item in value]
    return value


def range_of(name, integer):
    """(low, high) of the numbers in a field of that name."""
    usual = _INTEGER if integer else _REAL
    return _RANGES.get(name) or _ENDINGS.get(name.rpartition("_")[2], usual)


def check_range(name, value):
    """ValueError where a number or a list is out of the range that the name of its field has."""
    if isinstance(value, list):
        if not 1 <= len(value) <= _MAX_LENGTH:
            raise ValueError(f"a list of 1 to {_MAX_LENGTH} values is needed")
        for item in value:
            check_range(name, item)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = range_of(name, isinstance(value, int))
        if not low <= value <= high:
            raise ValueError(
                f"{value:.15g} is out of range; {low:.15g} to {high:.15g} is permitted"
            )


def check_code(num_info_bits, num_coded_bits):
    """ValueError unless there is a 5G LDPC code of these lengths, without repetition of bits."""
    # The larger base graph begins at a rate of 1/3, and longer words need it.
    least = 1 / 5 if num_info_bits <= 3824 else 1 / 3
    low, high = math.ceil(num_info_bits * 1024 / 948), math.floor(num_info_bits / least + 1e-9)
    if not 12 <= num_info_bits <= 8448:
        raise ValueError(f"num_info_bits = {num_info_bits}: 12 to 8448 is permitted")
    if not low <= num_coded_bits <= high:
        raise ValueError(
            f"num_coded_bits = {num_coded_bits}: {low} to {high} is permitted with num_info_bits "
            f"= {num_info_bits}"
        )


def check_order(config, few, many):
    """ValueError where the first field holds more than the second."""
    if getattr(config, few) > getattr(config, many):
        raise ValueError(
            f"{few} = {getattr(config, few)}: at most {many} = {getattr(config, many)} is permitted"
        )


def check_shipped(config, **sizes):
    """ValueError where a configuration takes shipped weights, but not at their sizes."""
    for name, size in sizes.items():
        if not config.retrain and getattr(config, name) != size:
            raise ValueError(
                f"{name} = {getattr(config, name)}: the shipped weights are for {size}; another "
                "one needs retrain = true"
            )


def check_size(config, most=_MAX_SIZE, where="any machine"):
    """ValueError where the channels of a unit have more than `most` numbers."""

    def largest(*names):
        values = [getattr(config, name, 1) for name in names]
        return max(max(v) if isinstance(v, list) else v for v in values)

    antennas = largest("num_ant", "num_rx_ant", "num_tx_ant")
    elements = max(
        largest("num_elements"),
        largest("num_rows") * largest("num_cols"),
        math.prod(getattr(config, "panel", [1])),
    )
    size = config.batch_size * antennas * elements
    if size > most:
        raise ValueError(
            f"batch_size = {config.batch_size}: a channel of {size:.2g} numbers, with {antennas} "
            f"antennas and {elements} elements; {where} has memory for at most {most:.2g}"
        )
