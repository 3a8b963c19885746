"""Stored impulse responses: several hops of the same samples, kept together."""

import functools
from typing import Literal

import numpy as np
import tensorflow as tf

from ... import random
from ...layer import as_size
from .paths import CIR, sizes

__all__ = ["CIRTable", "TableHop", "common_pick"]


class CIRTable(dict):
    r"""Stored impulse responses of several hops, kept together: sample s of one goes with s of all.

    ``CIRTable(...)`` is the ``hops`` argument of a :class:`SurfaceCIR`. Every example of a batch
    takes one sample at random (uniform, portable), or those that ``draw(..., index=...)`` names.
    Ray-traced hops, measured ones and fixed ones (a single sample) are tables.

    Parameters
    ----------
    hops : dict
        ``{"tx>s1": CIR, ...}`` or pairs (a, tau), shapes as :class:`CIR` with the samples in place
        of the batch. A hop of one sample belongs to all.
    arrays : dict or None
        Node ("tx", "rx") -> ULA or UPA, where the hops have waves at that end.
    num_users : int
        Samples per example, all different: the users that share the hops of one sample.
    users : "rx" or "tx"
        Which end the samples differ by.
    order : "sionna" or "panel"
        How the stored antennas count a panel's elements: see :func:`sionna_order`.

    Raises
    ------
    ValueError
        When sample numbers differ, shapes disagree, values are not finite, or there are fewer
        samples than users.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> a = np.ones([50, 1, 1, 1, 4, 2, 1], complex)
    >>> table = irs.CIRTable({"tx>rx": (a, np.zeros([50, 1, 1, 2]))})
    >>> table.num_samples, table.select(range(10)).num_samples
    (50, 10)
    """

    def __init__(
        self,
        hops: dict,
        arrays: dict | None = None,
        num_users: int = 1,
        users: Literal["rx", "tx"] = "rx",
        order: Literal["sionna", "panel"] = "panel",
    ):
        if users not in ("rx", "tx"):
            raise ValueError(f"users = {users!r}; 'rx' or 'tx' is needed")
        if order not in ("sionna", "panel"):
            raise ValueError(f"order = {order!r}; 'sionna' or 'panel' is needed")
        self.cirs = {name: _checked(name, cir) for name, cir in hops.items()}
        self.arrays, self.users, self.order = dict(arrays or {}), users, order
        counts = {name: len(cir.a) for name, cir in self.cirs.items()}
        several = {n for n in counts.values() if n > 1}
        if len(several) > 1:
            raise ValueError(f"numbers of samples = {counts}; 1 or the same number is needed")
        self.num_samples = several.pop() if several else 1
        if not isinstance(num_users, int) or not 1 <= num_users <= self.num_samples:
            raise ValueError(
                f"num_users = {num_users!r}; an integer in 1..{self.num_samples} (the number of "
                "samples) is needed"
            )
        for name, cir in self.cirs.items():
            if name.count(">") != 1:
                raise ValueError(f"hop {name!r}: 'from>to' is needed, such as 'tx>s1'")
            for node, wave in zip(name.split(">"), (cir.tx_wave, cir.rx_wave), strict=True):
                if node in ("tx", "rx") and wave is not None and node not in self.arrays:
                    raise ValueError(f"arrays lacks {node!r}, where hops[{name!r}] has waves")
        end = -1 if users == "rx" else 0
        for name, count in counts.items():
            if num_users > 1 and count > 1 and name.split(">")[end] != users:
                raise ValueError(
                    f"hops[{name!r}] has {count} samples but does not touch {users!r}: with "
                    f"num_users = {num_users} it must have 1"
                )
        self.num_users = num_users
        super().__init__({name: TableHop(self, name) for name in self.cirs})

    def select(self, index):
        """The table of the samples ``index`` alone, an integer array (training, test, ...)."""
        index = np.asarray(index)
        if index.ndim != 1 or not index.size or index.dtype.kind not in "iu":
            raise ValueError(f"index = {index}; a vector of at least one integer is needed")
        if index.min() < 0 or index.max() >= self.num_samples:
            raise ValueError(
                f"index in {index.min()}..{index.max()}; 0..{self.num_samples - 1} is needed"
            )
        cirs = {
            name: cir if len(cir.a) == 1 else CIR(*(x if x is None else x[index] for x in cir))
            for name, cir in self.cirs.items()
        }
        return CIRTable(cirs, self.arrays, self.num_users, self.users, self.order)

    def pick(self, batch_size, index=None):
        """Samples [batch_size, num_users], integer: ``index``, or random ones.

        Random users are different in every example.
        """
        batch_size = as_size("batch_size", batch_size)
        if index is None:
            return random.distinct(batch_size, self.num_users, self.num_samples)
        index = tf.convert_to_tensor(index)
        wanted = [batch_size if isinstance(batch_size, int) else None, self.num_users]
        if not index.dtype.is_integer or not index.shape.is_compatible_with(wanted):
            raise ValueError(
                f"index has shape {index.shape}, dtype {index.dtype.name}; integers "
                f"{['batch_size' if n is None else n for n in wanted]} are needed"
            )
        known = tf.get_static_value(index)
        if known is not None and (known.min() < 0 or known.max() >= self.num_samples):
            raise ValueError(
                f"index in {known.min()}..{known.max()}; 0..{self.num_samples - 1} is needed"
            )
        return index


def _checked(name, cir):
    """A stored CIR as arrays of the right shapes, finite."""
    if not 2 <= len(cir) <= 4:
        raise ValueError(f"hops[{name!r}] has {len(cir)} parts; (a, tau) or a CIR is needed")
    cir = CIR(*(None if x is None else np.asarray(x) for x in cir))
    if cir.a.ndim != 7 or cir.a.dtype.kind != "c" or not cir.a.size:
        raise ValueError(
            f"hops[{name!r}]: a has shape {cir.a.shape}, dtype {cir.a.dtype}; complex [samples, "
            "num_rx, num_rx_ant, num_tx, num_tx_ant, num_paths, num_time_steps] is needed"
        )
    links = (*cir.a.shape[:2], cir.a.shape[3], cir.a.shape[5])
    if cir.tau.shape != links:
        raise ValueError(f"hops[{name!r}]: tau has shape {cir.tau.shape}; {links} is needed")
    for end, wave, ants in (("rx", cir.rx_wave, 2), ("tx", cir.tx_wave, 4)):
        if wave is not None and (wave.shape[:-1] != links or wave.shape[-1] not in (3, 4)):
            raise ValueError(
                f"hops[{name!r}]: {end}_wave has shape {wave.shape}; {(*links, 3)} or "
                f"{(*links, 4)} is needed"
            )
        if wave is not None and cir.a.shape[ants] != 1:
            raise ValueError(
                f"hops[{name!r}]: with {end}_wave, a must have 1 antenna there, not "
                f"{cir.a.shape[ants]}"
            )
    if not all(np.isfinite(x).all() for x in cir if x is not None):
        raise ValueError(f"hops[{name!r}] holds values that are not finite")
    return cir


class TableHop:
    """One hop of a table."""

    def __init__(self, table, name):
        self.table, self.name, self.order = table, name, table.order

    @functools.cached_property
    def _tensors(self):
        # Captured by graphs, not written into them: a table may hold megabytes.
        with tf.init_scope():
            return [None if x is None else tf.constant(x) for x in self.table.cirs[self.name]]

    def draw(self, index):
        """The samples ``index`` [B, num_users]; those of a hop that all share, once [1, ...]."""
        if len(self.table.cirs[self.name].a) == 1:
            return CIR(*self._tensors)
        picked = [None if x is None else tf.gather(x, index) for x in self._tensors]
        return CIR(*(None if x is None else self._users(x, i == 0) for i, x in enumerate(picked)))

    def _users(self, x, is_gain):
        """[B, K, R, ...] -> [B, K R, ...], or the same with the transmitters."""
        at = 1
        if self.table.users == "tx":
            at = 3 if is_gain else 2
            x = tf.transpose(x, [0, *range(2, at + 1), 1, *range(at + 1, x.shape.rank)])
        shape = sizes(x)
        return tf.reshape(x, [*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :]])


def common_pick(hops):
    """:meth:`CIRTable.pick` of the table with several samples among ``hops``, or None."""
    tables = {id(h.table): h.table for h in hops if isinstance(h, TableHop)}
    several = [t for t in tables.values() if t.num_samples > 1]
    if len(several) > 1:
        raise ValueError(
            f"hops hold {len(several)} tables of several samples; one table is needed, whose "
            "samples belong together"
        )
    return several[0].pick if several else None
