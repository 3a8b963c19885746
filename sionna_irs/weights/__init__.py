"""Shipped weights: small files, each with a card that says how they were trained."""

import concurrent.futures
import hashlib
import json
import pathlib

import numpy as np

from ..files import replacing

__all__ = ["card", "load", "names", "save", "text"]

_FOLDER = pathlib.Path(__file__).parent
# Counts beyond it, and beyond the numbers in the file, are no sizes of a layer.
_MOST = 10**6


def names():
    """Names of the shipped weights.

    Examples
    --------
    >>> from sionna_irs import weights
    >>> "cenas-all-snr" in weights.names()
    True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def card(name, folder=None):
    """The card of shipped weights: layer, training, result.

    Parameters
    ----------
    name : str
    folder : path-like, optional
        Where the files lie; default: the shipped ones.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        When there are no such weights, or their card is damaged.

    Examples
    --------
    >>> from sionna_irs import weights
    >>> weights.card("cenas-all-snr")["experiment"]
    'cenas/nmse-vs-snr'
    """
    here = pathlib.Path(folder or _FOLDER)
    # A name with a path in it would leave the folder.
    if pathlib.PurePath(name).name != name or not (here / f"{name}.safetensors").is_file():
        known = ", ".join(names()) if folder is None else f"a file of {folder}"
        raise ValueError(f"name = {name!r}; one of {known} is needed")
    try:
        entry = json.loads((here / f"{name}.json").read_text())
        sound = isinstance(entry["sha256"], str) and isinstance(entry["layer"]["config"], dict)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise ValueError(f"name = {name!r}: the card is missing, damaged or of no layer")
    return entry


def text(name):
    """The text of another shipped file: a genotype, the log of a search.

    Examples
    --------
    >>> import json
    >>> from sionna_irs import weights
    >>> json.loads(weights.text("cenas-all-snr.json"))["num_weights"]
    21426
    """
    known = sorted(path.name for path in _FOLDER.glob("*.json"))
    if name not in known:
        raise ValueError(f"name = {name!r}; one of {', '.join(known)} is needed")
    return (_FOLDER / name).read_text()


def save(layer, folder, name, card, half=False):
    """Write ``name.safetensors`` and ``name.json``.

    Parameters
    ----------
    layer : LinkLayer
    folder : path-like
    name : str
    card : dict
        What is worth knowing, as JSON; the layer's configuration and the digest are added.
    half : bool
        Store real numbers in 16 bits, rounded to 11 binary digits; loading widens them. The
        card says so ("stored").

    Raises
    ------
    ValueError
        When a weight is beyond the range of 16 bits.

    Examples
    --------
    >>> import tempfile, sionna_irs as irs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     irs.weights.save(irs.BatchNorm(2), folder, "norm", {"seed": 1})
    ...     irs.weights.load("norm", folder).num_channels
    2
    """
    import keras
    from safetensors.numpy import save as dump

    values = {f"{i:05d}": np.asarray(v.numpy()) for i, v in enumerate(layer.weights)}
    if half:
        values = {key: _halved(key, value) for key, value in values.items()}
        card = {**card, "stored": "float16"}
    data = dump(values)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{name}.safetensors") as file:
        file.write(data)
    entry = {
        "name": name,
        "num_weights": int(sum(np.prod(v.shape) for v in layer.trainable_weights)),
        "sha256": hashlib.sha256(data).hexdigest(),
        **card,
        "layer": keras.saving.serialize_keras_object(layer),
    }
    with replacing(folder / f"{name}.json") as file:
        file.write((json.dumps(entry, indent=1) + "\n").encode())


def _halved(key, value):
    if value.dtype.kind != "f":
        return value
    if np.abs(value).max(initial=0) > np.finfo(np.float16).max:
        raise ValueError(f"array {key}: {np.abs(value).max():.4g} is beyond the range of 16 bits")
    return value.astype(np.float16)


def load(name, folder=None, **changes):
    """The layer with its weights; digest, names, shapes, dtypes and finiteness are checked first.

    Only classes of Keras and registered ones are made, and nothing of a size that the file does
    not have.

    Parameters
    ----------
    name : str
    folder : path-like, optional
        Where the files lie; default: the shipped ones.
    **changes
        Constructor arguments of the layer to be replaced; ``precision`` is that of the layers
        within it, too.

    Returns
    -------
    LinkLayer

    Raises
    ------
    ValueError
        When there are no such weights, and when the file is damaged or does not fit.

    Examples
    --------
    >>> from sionna_irs import weights
    >>> weights.load("cenas-all-snr").count_params() < 26_000
    True
    """
    import sionna_irs

    entry = card(name, folder)
    arrays = _arrays(name, pathlib.Path(folder or _FOLDER), entry)
    for public in sionna_irs.__all__:  # registers every class of the package
        getattr(sionna_irs, public)
    described = _renewed(entry["layer"], changes)
    _refuse(name, described, max(_MOST, sum(value.size for value in arrays)))
    # What Keras remembers of variables without values ends with the thread that made them.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        wanted = thread.submit(_variables, name, described).result()
    if len(arrays) != len(wanted):
        raise ValueError(f"name = {name!r}: {len(arrays)} arrays for {len(wanted)} weights")
    for index, (value, (shape, dtype, path)) in enumerate(zip(arrays, wanted, strict=True)):
        if not np.can_cast(value.dtype, dtype) or value.shape != shape:
            raise ValueError(f"name = {name!r}: array {index} does not fit {path}")
    layer = _make(name, described)
    for weight, value in zip(layer.weights, arrays, strict=True):
        weight.assign(value)
    return layer


def _renewed(described, changes):
    """The description of a layer with other arguments."""

    def within(value):
        if isinstance(value, dict):
            return {k: precision if k == "precision" else within(v) for k, v in value.items()}
        return [within(v) for v in value] if isinstance(value, list) else value

    config, precision = {**described["config"], **changes}, changes.get("precision")
    return {**described, "config": config if precision is None else within(config)}


def _arrays(name, folder, entry):
    """The arrays of a file in the order of the layer's weights."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    data = (folder / f"{name}.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ValueError(f"name = {name!r}: the file of the weights is damaged")
    try:
        found = parse(data)
    except (SafetensorError, KeyError) as error:  # KeyError: a dtype that NumPy lacks
        raise ValueError(f"name = {name!r}: no file of weights ({error})") from None
    order = [f"{index:05d}" for index in range(len(found))]
    if sorted(found) != order:
        odd = next(iter(sorted(set(found) - set(order))), "none")
        raise ValueError(
            f"name = {name!r}: an array is called {odd[:40]!r}, where 00000 to "
            f"{len(found) - 1:05d} in the order of the layer's weights are needed"
        )
    for key in order:
        if found[key].dtype.kind not in "iufb" or not np.isfinite(found[key]).all():
            raise ValueError(f"name = {name!r}: array {key} does not consist of finite numbers")
    return [found[key] for key in order]


def _refuse(name, part, most):
    """Refuse descriptions of classes that nobody registered, and of counts beyond ``most``."""
    import keras

    if isinstance(part, list):
        for item in part:
            _refuse(name, item, most)
    if not isinstance(part, dict):
        return
    if "class_name" in part:
        known = keras.saving.get_registered_object(str(part.get("registered_name")))
        if known is None and str(part.get("module")).partition(".")[0] != "keras":
            raise ValueError(
                f"name = {name!r}: the card asks for {str(part['class_name'])[:80]}, which is not "
                "registered; import the module that defines it"
            )
    for key, value in part.items():
        if str(key).startswith("num_") and isinstance(value, int) and value > most:
            raise ValueError(
                f"name = {name!r}: the card asks for {key} = {value}; at most {most} is permitted"
            )
        _refuse(name, value, most)


def _make(name, described):
    """The layer of a description."""
    import keras

    try:
        return keras.saving.deserialize_keras_object(described)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(f"name = {name!r}: the card's layer cannot be made: {reason}") from None


def _variables(name, described):
    """(shape, dtype, path) of the weights of a layer, without the memory that they take."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        layer = _make(name, described)
    return [(tuple(weight.shape), weight.dtype, weight.path) for weight in layer.weights]
