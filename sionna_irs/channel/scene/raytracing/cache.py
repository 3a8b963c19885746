"""A content-addressed disk cache of arrays: one question, one file.

The key is a hash of everything that decides the answer, so a file never becomes stale.
"""

import hashlib
import json
import os
import pathlib
import re
import warnings

import numpy as np

from ....files import replacing

__all__ = ["default_folder", "fetch", "key_of", "scene_hash"]

FORMAT = 1


def default_folder():
    """Where solutions are kept unless told: SIONNA_IRS_CACHE, else the user's cache folder.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> from sionna_irs.channel.scene.raytracing.cache import default_folder
    >>> default_folder().is_absolute()
    True
    """
    chosen = os.environ.get("SIONNA_IRS_CACHE")
    if chosen:
        return pathlib.Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    # By the XDG rules a relative folder does not count.
    if not base or not os.path.isabs(base):
        base = pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "sionna-irs"


def scene_hash(scene_file):
    """SHA-256 of a scene: the .xml file and every file that it names (meshes, textures).

    Parameters
    ----------
    scene_file : str, path or None
        None is the empty scene.

    Returns
    -------
    str

    Examples
    --------
    >>> from sionna_irs.channel.scene.raytracing.cache import scene_hash
    >>> scene_hash(None)
    'empty'
    """
    if scene_file is None:
        return "empty"
    scene_file = pathlib.Path(scene_file)
    content = scene_file.read_bytes()
    digest = hashlib.sha256(content)
    for name in re.findall(rb"""value\s*=\s*["']([^"']+)["']""", content):
        try:
            extra = (scene_file.parent / os.fsdecode(name)).read_bytes()
        except (OSError, ValueError):
            continue  # a number or a word, not a file
        digest.update(name + b"\0" + hashlib.sha256(extra).digest())
    return digest.hexdigest()


def key_of(question):
    """SHA-256 of canonical JSON: sorted names, no spaces, shortest floats.

    Parameters
    ----------
    question : dict
        Numbers, strings, lists, dicts and None.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    ValueError
        For numbers that are not finite.

    Examples
    --------
    >>> from sionna_irs.channel.scene.raytracing.cache import key_of
    >>> key_of({"a": 1, "b": 2.5}) == key_of({"b": 2.5, "a": 1})
    True
    """
    text = json.dumps(
        {"format": FORMAT, **question}, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def fetch(question, compute, folder=None, sound=lambda arrays: True):
    """The answer to a question: from its file, else computed and kept.

    A file that cannot be read, or is no answer, is computed again; a folder that cannot be written
    to costs the file, not the answer.

    Parameters
    ----------
    question : dict
        As in :func:`key_of`.
    compute : callable
        Takes nothing, returns a dict of arrays.
    folder : str, path or None
        None: :func:`default_folder`.
    sound : callable, optional
        Whether a dict of arrays is an answer: the name of a file says what was asked, not what
        lies in it.

    Returns
    -------
    dict of np.ndarray

    Warns
    -----
    UserWarning
        When a file cannot be read, or not be written.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from sionna_irs.channel.scene.raytracing.cache import fetch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = fetch({"n": 3}, lambda: {"x": np.arange(3)}, folder)
    ...     again = fetch({"n": 3}, lambda: 1 / 0, folder)
    >>> again["x"].tolist()
    [0, 1, 2]
    """
    folder = default_folder() if folder is None else pathlib.Path(folder).expanduser()
    path = folder / f"{key_of(question)}.npz"
    try:
        arrays = read(path)
        if sound(arrays):
            return arrays
        raise ValueError("it holds other arrays than were asked for")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except Exception as error:  # damage shows as anything from BadZipFile to MemoryError
        warnings.warn(f"{path} cannot be read ({error}); it is computed again", stacklevel=4)
    arrays = compute()
    try:
        _write(path, arrays)
    except OSError as error:
        warnings.warn(f"the result is not cached: {error}", stacklevel=4)
    return arrays


def read(path):
    """All arrays of an .npz file; pickled objects are refused.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    dict of np.ndarray

    Raises
    ------
    FileNotFoundError
        When there is no such file. A damaged one raises other errors: every array has a checksum.
    """
    with np.load(path, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("not an .npz file")
        return {name: file[name] for name in file.files}


def _write(path, arrays):
    """Whole or not at all: an interrupted write leaves nothing that looks like an answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, **arrays)
