"""Shipped weights: small files, each with a card that says how they were trained."""

import hashlib
import json
import pathlib

import numpy as np

__all__ = ["card", "load", "names", "save", "text"]

_FOLDER = pathlib.Path(__file__).parent


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
        When there are no such weights.

    Examples
    --------
    >>> from sionna_irs import weights
    >>> weights.card("cenas-all-snr")["experiment"]
    'cenas/nmse-vs-snr'
    """
    path = pathlib.Path(folder or _FOLDER) / f"{name}.json"
    if not path.with_suffix(".safetensors").is_file():
        known = ", ".join(names()) if folder is None else f"a file of {folder}"
        raise ValueError(f"name = {name!r}; one of {known} is needed")
    return json.loads(path.read_text())


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


def save(layer, folder, name, card):
    """Write ``name.safetensors`` and ``name.json``.

    Parameters
    ----------
    layer : LinkLayer
    folder : path-like
    name : str
    card : dict
        What is worth knowing, as JSON; the layer's configuration and the digest are added.

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
    data = dump(values)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.safetensors").write_bytes(data)
    entry = {
        "name": name,
        "num_weights": int(sum(np.prod(v.shape) for v in layer.trainable_weights)),
        "sha256": hashlib.sha256(data).hexdigest(),
        **card,
        "layer": keras.saving.serialize_keras_object(layer),
    }
    (folder / f"{name}.json").write_text(json.dumps(entry, indent=1) + "\n")


def load(name, folder=None, **changes):
    """The layer with its weights; digest, shapes, dtypes and finiteness are checked first.

    Parameters
    ----------
    name : str
    folder : path-like, optional
        Where the files lie; default: the shipped ones.
    **changes
        Constructor arguments of the layer to be replaced.

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
    import keras
    from safetensors.numpy import load as parse

    import sionna_irs

    entry = card(name, folder)
    data = (pathlib.Path(folder or _FOLDER) / f"{name}.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ValueError(f"name = {name!r}: the file of the weights is damaged")
    for public in sionna_irs.__all__:  # registers every class of the package
        getattr(sionna_irs, public)
    described = entry["layer"]
    layer = keras.saving.deserialize_keras_object(
        {**described, "config": {**described["config"], **changes}}
    )
    values = [value for _, value in sorted(parse(data).items())]
    if len(values) != len(layer.weights):
        raise ValueError(f"name = {name!r}: {len(values)} arrays for {len(layer.weights)} weights")
    for index, (weight, value) in enumerate(zip(layer.weights, values, strict=True)):
        widens = np.can_cast(value.dtype, weight.dtype)
        if not widens or value.shape != tuple(weight.shape) or not np.isfinite(value).all():
            raise ValueError(f"name = {name!r}: array {index} does not fit {weight.path}")
    for weight, value in zip(layer.weights, values, strict=True):
        weight.assign(value)
    return layer
