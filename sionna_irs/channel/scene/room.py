"""A room with five paths per user; uplink and downlink share their delays and directions."""

import functools
from typing import Literal

import numpy as np
import tensorflow as tf

from ... import random
from ...arrays import unit_phasor
from ...layer import Input, LinkLayer, require_integer
from .room_images import CARRIERS, image_paths
from .room_traced import traced_paths

__all__ = ["RoomChannel", "room_positions", "room_split"]

_GRID = (501, 401)
_HELD_OUT = 20_000


def room_positions():
    """The grid of users: 501 x 401 points at a height of 1 m.

    Returns
    -------
    np.ndarray, [200901, 3], float64
        [m], flat index 401 i_x + i_y; x from -3.5 to 4.5, y from -4 to 4.

    Examples
    --------
    >>> from sionna_irs.channel.scene.room import room_positions
    >>> room_positions()[401].round(3).tolist()
    [-3.484, -4.0, 1.0]
    """
    x, y = np.linspace(-3.5, 4.5, _GRID[0]), np.linspace(-4.0, 4.0, _GRID[1])
    return np.stack(np.meshgrid(x, y, 1.0, indexing="ij"), -1).reshape(-1, 3)


def room_split(split="train", stride: int = 1):
    """Which positions of the grid are for training, validation and test: disjoint sets.

    A fixed :func:`~sionna_irs.random.permutation` of the 200,901 positions holds those for testing
    in its first 20,000 places, those for validation in the next 20,000, those for training in the
    rest. A subgrid keeps the index and the part of every position.

    Parameters
    ----------
    split : "train", "validation", "test", "all", or array of int
        An array holds flat indices of your own choice.
    stride : int
        Keep every so many points along x and along y.

    Returns
    -------
    np.ndarray, int32
        Flat indices, ascending.

    Raises
    ------
    ValueError
        For another split, indices outside the grid, or when no position is left.

    Examples
    --------
    >>> from sionna_irs.channel.scene.room import room_split
    >>> len(room_split("train")), len(room_split("test"))
    (160901, 20000)
    """
    size = _GRID[0] * _GRID[1]
    if not isinstance(stride, (int, np.integer)) or isinstance(stride, bool) or stride < 1:
        raise ValueError(f"stride = {stride!r}; an integer of at least 1 is needed")
    if isinstance(split, str):
        order = random.permutation(size)
        parts = {
            "train": order[2 * _HELD_OUT :],
            "validation": order[_HELD_OUT : 2 * _HELD_OUT],
            "test": order[:_HELD_OUT],
            "all": order,
        }
        if split not in parts:
            raise ValueError(f"split = {split!r}; {', '.join(parts)} or indices are needed")
        chosen = parts[split]
    else:
        chosen = np.asarray(split)
        if chosen.dtype.kind not in "iu" or chosen.ndim != 1 or not chosen.size:
            raise ValueError(
                f"split has shape {chosen.shape}, dtype {chosen.dtype}; a name or a list of "
                "integers is needed"
            )
        outside = chosen[(chosen < 0) | (chosen >= size)]
        if outside.size:
            raise ValueError(f"split holds {outside[0]}; integers in 0..{size - 1} are needed")
    i_x, i_y = np.divmod(np.unique(chosen), _GRID[1])
    kept = (i_x % stride == 0) & (i_y % stride == 0)
    if not kept.any():
        raise ValueError(f"stride = {stride} leaves no position of the split")
    return (_GRID[1] * i_x + i_y)[kept].astype(np.int32)


@functools.lru_cache(maxsize=4)
def _stored(source, carriers, precision, indices):
    """Paths of grid positions (bytes of their int32 indices), solved once per process."""
    solve = {"images": image_paths, "ray_traced": traced_paths}[source]
    return solve(room_positions()[np.frombuffer(indices, np.int32)], carriers, precision=precision)


class RoomChannel(LinkLayer):
    r"""Uplink and downlink channels of users drawn from the positions of a room.

    .. math:: h_{i,k,m}=\sum_{\ell=1}^5\alpha_{i,\ell,k}e^{-j2\pi f_i\tau_{\ell,k}}
              e^{j2\pi\frac{df_i}{c}mu_{\ell,k}},\quad d=\frac{c}{2f_{DL}},\; m=0..M-1

    Rows are the :math:`h_k^T`, in both bands: ``y = H x`` in the downlink; the uplink is the
    transpose. Gains are those of the physical room, about -53 dB.

    Parameters
    ----------
    num_users : int
        K users in an example, at different positions.
    num_ant : int
        M antennas, half a downlink wavelength apart along y.
    split : "train", "validation", "test", "all", or array of int
        Where users may be; see :func:`room_split`.
    source : "images" or "ray_traced"
        See :func:`image_paths` and :func:`traced_paths`.
    stride : int
        Keep every so many points of the grid along x and along y.
    carriers : (float, float)
        Uplink and downlink [Hz].

    Input
    -----
    batch_size : int

    Output
    ------
    h_ul, h_dl : tf.Tensor, [batch_size, K, M], complex
    user_index : tf.Tensor, [batch_size, K], int32
        Flat index in the grid :func:`room_positions`.

    Attributes: ``indices`` (flat indices of the positions) and ``paths`` (:class:`RoomPaths`).

    Raises
    ------
    ValueError
        For an unknown split or source, and numbers out of range.

    Examples
    --------
    >>> from sionna_irs.channel.scene.room import RoomChannel
    >>> h_ul, h_dl, user_index = RoomChannel(num_users=4, num_ant=16, stride=20)(8)
    >>> h_dl.shape
    TensorShape([8, 4, 16])
    """

    inputs = {"batch_size": Input("size")}

    def __init__(
        self,
        num_users: int,
        num_ant: int,
        split="train",
        source: Literal["images", "ray_traced"] = "images",
        stride: int = 1,
        carriers: tuple[float, float] = CARRIERS,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.indices = room_split(split, stride)
        if not isinstance(num_users, int) or not 1 <= num_users <= len(self.indices):
            raise ValueError(
                f"num_users = {num_users!r}; an integer in 1..{len(self.indices)} (the number of "
                "positions) is needed"
            )
        require_integer("num_ant", num_ant)
        if source not in ("images", "ray_traced"):
            raise ValueError(f"source = {source!r}; 'images' or 'ray_traced' is needed")
        self.num_users, self.num_ant = num_users, num_ant
        self.carriers = tuple(np.ravel(carriers).tolist())
        self.paths = _stored(source, self.carriers, self.precision, self.indices.tobytes())
        # Made outside of any graph: graphs share the table instead of copying it.
        with tf.init_scope():
            self._index = tf.constant(self.indices)
            self._direction = tf.constant(self.paths.direction)
            self._gains = [tf.constant(x) for x in (self.paths.gain_ul, self.paths.gain_dl)]

    def compose(self, rows):
        """Channels of chosen users.

        Parameters
        ----------
        rows : array or tensor, [..., K], int
            Places in `indices`; with ``split="all"`` these are the flat indices of the grid.

        Returns
        -------
        h_ul, h_dl : tf.Tensor, [..., K, M], complex
        """
        direction = tf.gather(self._direction, rows)[..., None]
        channels = []
        for gain, carrier in zip(self._gains, self.carriers, strict=True):
            spacing = carrier / (2 * self.carriers[1])  # [wavelengths]
            turns = direction * self.real(spacing * np.arange(self.num_ant))
            # Whole turns go first: single precision keeps the rest.
            phase = 2 * np.pi * (turns - tf.round(turns))
            wave = unit_phasor(phase)
            channels.append(tf.reduce_sum(tf.gather(gain, rows)[..., None] * wave, -2))
        return tuple(channels)

    def call(self, batch_size):
        rows = random.distinct(batch_size, self.num_users, len(self.indices))
        return *self.compose(rows), tf.gather(self._index, rows)
