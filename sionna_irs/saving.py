"""Saved links and models: everything comes back when they are loaded, or an error says what not."""

import contextlib
import io
import json
import os
import tempfile
import warnings
import zipfile

import h5py
import keras

from . import random
from .layer import LinkLayer

__all__ = ["layers_without_weights", "load_model", "one_line", "require_same_variables"]


def load_model(path, custom_objects: dict | None = None):
    """Load a link or model saved with ``model.save("name.keras")``.

    Every weight and the state of the optimiser are those of the saved model, and in a
    :class:`sionna_irs.Link` the seeds of Keras' random layers (``Dropout``), too: it goes on
    training as if nothing had happened. The random generator of Sionna is not part of the file,
    and loading leaves it as it is. So within one process ten steps, save, load and ten steps are
    twenty steps, bit for bit on one device. In another process the second part draws what the
    uninterrupted run draws if a stream is started there and here before it, by
    ``irs.random.reset(irs.random.stream_key(1))``.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file.
    custom_objects : dict, optional
        Your own classes by name, when their module has not been imported.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        When there is no such file; when it holds a class of a module that has not been imported;
        when a variable of the file, weight or state of the optimiser, finds no place in the
        model, or a weight of the model is not in the file.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.load_model("nowhere.keras")
    Traceback (most recent call last):
    ...
    ValueError: path = nowhere.keras: no such file
    """
    import sionna_irs

    if not os.path.isfile(path):
        raise ValueError(f"path = {path}: no such file")
    for name in sionna_irs.__all__:  # registers every class of the package
        getattr(sionna_irs, name)
    known = _known_objects(path, custom_objects or {})
    with random.kept_stream(), _without_warnings("Skipping (variable|nested)"):
        try:
            model = keras.saving.load_model(path, custom_objects=known)
        except Exception as error:  # whatever a constructor of the user's raises
            raise ValueError(f"path = {path} cannot be loaded: {one_line(error)}") from error
        _build_optimizer(model, path)
    require_same_variables(model, path)
    return model


def one_line(error):
    """What Keras says in many lines, and about weights in a misleading way, in one."""
    text = " ".join(str(error).split())
    head, _, layers = text.partition("List of objects that could not be loaded: ")
    reason = f"its weights do not fit the shapes of {layers}" if layers else head
    return reason if len(reason) <= 300 else reason[:300] + " ..."


def layers_without_weights(layer):
    """Inner layers of Keras that get their weights at their first call, and had none so far."""
    never = (keras.layers.Layer.build, LinkLayer.build)  # these make no weights
    return [
        inner
        for inner in layer._flatten_layers()
        if not inner.built and type(inner).build not in never
    ]


def require_same_variables(model, path, only_weights=False):
    """ValueError unless ``model`` holds the variables of the file, each with its value.

    What Keras would write now is compared with the file: where a layer was not built when its
    weights were read, Keras has passed over them.
    """
    stored, found = _variables(path), _variables_of(model, only_weights)
    if only_weights:
        stored, found = _weights(stored), _weights(found)
    lost = [k for k, v in stored.items() if k not in found or v.tobytes() != found[k].tobytes()]
    # An optimiser that had not been used when it was saved has fewer variables in the file.
    absent = [name for name in _weights(found) if name not in stored]
    if lost or absent:
        first = (lost or absent)[0].replace("/vars/", " ")
        if not _weights(dict.fromkeys(lost)) and not absent:
            raise ValueError(
                f"path = {path}: the state of its optimizer fits other weights than those that are "
                "trained; call compile again after setting trainable, and save once more"
            )
        raise ValueError(
            f"path = {path}: {len(lost)} of its {len(stored)} variables found no place in "
            f"{model.name}, and {len(absent)} weights of {model.name} are not in the file (first: "
            f"{first}). If its layers get their weights at the first call, make the model, call "
            "it once, and use its load_weights"
        )


def _known_objects(path, given):
    """``given`` under the names of the file; ValueError for a class that nobody defined."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"path = {path}: not a .keras file")
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    known = dict(given)
    for registered, module in _registered_names(config):
        package, _, name = registered.partition(">")
        if keras.saving.get_registered_object(registered, known) is None:
            if name not in given:
                raise ValueError(
                    f"path = {path} holds a {name} of {module or package}, which is not defined "
                    f"here: import its module first, or pass custom_objects={{'{name}': {name}}}"
                )
            known[registered] = given[name]
    return known


def _registered_names(config):
    """(package>name, module or None) of all registered classes and functions in ``config``."""
    if isinstance(config, dict):
        registered = config.get("registered_name")
        if isinstance(registered, str) and ">" in registered:
            yield registered, (config.get("build_config") or {}).get("module")
    children = config.values() if isinstance(config, dict) else config
    for child in children:
        if isinstance(child, (dict, list)):
            yield from _registered_names(child)


def _build_optimizer(model, path):
    """Restore an optimiser that Keras passed over: files of earlier versions say too little."""
    optimizer = getattr(model, "optimizer", None)
    start = "optimizer/vars/"
    state = {k.removeprefix(start): v for k, v in _variables(path).items() if k.startswith(start)}
    if optimizer is not None and len(state) > len(optimizer.variables):
        optimizer.build(model.trainable_variables)
        optimizer.load_own_variables(state)


def _variables(path):
    """Every variable in a file of Keras, by its place there."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            path = io.BytesIO(archive.read("model.weights.h5"))
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found


def _variables_of(model, only_weights):
    """The same of what Keras would write now."""
    with tempfile.TemporaryDirectory() as folder, _without_warnings(""):
        path = os.path.join(folder, "again.weights.h5" if only_weights else "again.keras")
        (model.save_weights if only_weights else model.save)(path)
        return _variables(path)


def _weights(variables):
    return {k: v for k, v in variables.items() if not k.startswith("optimizer/")}


@contextlib.contextmanager
def _without_warnings(start):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=start)
        yield
