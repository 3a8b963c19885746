"""Files that appear whole or not at all, and never where a link points to."""

import contextlib
import os
import pathlib
import secrets

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(path):
    """A new binary file that takes the place of ``path`` when the block ends well.

    Until then it has a name that nobody can know and that must not exist, so that no link that
    lies there is followed; a link at ``path`` itself is replaced, not followed.

    Parameters
    ----------
    path : str or path

    Yields
    ------
    file object
        Open for writing; it is on the disk before it is renamed.

    Raises
    ------
    OSError
        What the file system refuses; ``path`` is then as it was.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sionna_irs.files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "results.csv")
    ...     with replacing(path) as file:
    ...         size = file.write(b"whole")
    ...     path.read_bytes()
    b'whole'
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
