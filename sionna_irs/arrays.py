"""Antenna arrays and surface panels: geometry and far-field responses."""

import keras
import numpy as np
import tensorflow as tf

from .layer import to_dtype
from .serial import deserialize_arguments, recorded_arguments, serialize_arguments

__all__ = ["DualPolarized", "ULA", "UPA", "sionna_order"]


def unit_phasor(phase):
    """exp(j phase), complex, of phases, real."""
    return tf.complex(tf.cos(phase), tf.sin(phase))


def _positive_int(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} = {value!r}; an integer of at least 1 is needed")
    return int(value)


def _positive(name, value):
    if not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} = {value!r}; a positive number is needed")
    return float(value)


def require_array(name, value):
    """``value``; TypeError unless it is an array of antennas or elements.

    Examples
    --------
    >>> from sionna_irs.arrays import require_array
    >>> require_array("panel", 16)
    Traceback (most recent call last):
    ...
    TypeError: panel = 16; an array such as ULA(16) or UPA(4, 4) is needed
    """
    if not hasattr(value, "num_ant"):
        raise TypeError(f"{name} = {value!r}; an array such as ULA(16) or UPA(4, 4) is needed")
    return value


def _turn(cycles):
    """exp(j 2 pi x)"""
    # Whole turns, exact to drop, would cost digits of the rest.
    phase = 2 * np.pi * (cycles - tf.round(cycles))
    return unit_phasor(phase)


def sionna_order(array):
    """Where Sionna's panels keep our elements: ours = Sionna's [..., order].

    Sionna (the 3GPP models and the ray tracer) counts a panel column by column from the top left;
    our index is row-major with rows upwards. Linear arrays are the same in both.

    Parameters
    ----------
    array : ULA, UPA or DualPolarized

    Returns
    -------
    np.ndarray, [num_ant], int

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.sionna_order(irs.UPA(3, 4)).tolist()
    [2, 5, 8, 11, 1, 4, 7, 10, 0, 3, 6, 9]
    """
    if isinstance(array, DualPolarized):
        order = sionna_order(array.array)
        return np.concatenate([order, order + array.array.num_ant])
    rows, cols = require_array("array", array).shape
    return (np.arange(rows)[::-1, None] + rows * np.arange(cols)).ravel()


class _Array:
    """Elements at fixed positions in the y-z plane; the boresight is +x."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable("sionna_irs")(cls)

    def __new__(cls, *args, **kwargs):
        array = super().__new__(cls)
        try:
            array._arguments = recorded_arguments(cls, args, kwargs)
        except TypeError:
            array._arguments = None  # __init__ is about to say what is wrong
        return array

    @property
    def num_ant(self):
        """Number of elements, int."""
        return len(self.positions)

    def response(self, azimuth, zenith=np.pi / 2, dtype=tf.complex64):
        r"""Response to a plane wave, :math:`a_n=e^{j2\pi\,\hat r\cdot(p_n-p_0)}`.

        :math:`\hat r=(\sin\vartheta\cos\varphi,\sin\vartheta\sin\varphi,\cos\vartheta)` points
        away from the array, on the transmit and on the receive side alike, so that a hop is
        :math:`a_{rx}a_{tx}^T` without a conjugate. Every entry has modulus one; the first is 1.

        Parameters
        ----------
        azimuth, zenith : float, array or tensor, [...], real
            Angles [radian].
        dtype : tf.complex64 or tf.complex128

        Returns
        -------
        tf.Tensor, [..., num_ant], `dtype`

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.ULA(2).response(0.0).numpy().round(6)
        array([1.+0.j, 1.+0.j], dtype=complex64)
        """
        real = tf.as_dtype(dtype).real_dtype
        azimuth, zenith = to_dtype(azimuth, real), to_dtype(zenith, real)
        y = tf.sin(zenith) * tf.sin(azimuth)
        z = tf.cos(zenith) + tf.zeros_like(y)
        offsets = tf.constant(self.positions - self.positions[0], real)
        phase = 2 * np.pi * (y[..., None] * offsets[:, 1] + z[..., None] * offsets[:, 2])
        return unit_phasor(phase)

    def wave_response(self, wave, dtype=tf.complex64):
        r"""Response, relative to the array's centre, to plane or spherical waves.

        With the source at distance L in direction :math:`\hat r`, and the element at p from the
        centre: :math:`\frac L\ell e^{-j2\pi(\ell-L)}`, :math:`\ell=\|L\hat r-p\|` (all in
        wavelengths). A plane wave is the limit :math:`e^{j2\pi\,\hat r\cdot p}`. The image of a
        source in plane reflectors is a source, so L is the length of the whole path.

        Parameters
        ----------
        wave : tf.Tensor, [..., 3] or [..., 4], real
            Unit vector away from the array, in its own axes; the fourth entry is 1/L
            [1/wavelength], 0 for a plane wave.
        dtype : tf.complex64 or tf.complex128

        Returns
        -------
        tf.Tensor, [..., num_ant], `dtype`

        Examples
        --------
        >>> import sionna_irs as irs
        >>> irs.UPA(2, 2).wave_response([[1.0, 0.0, 0.0]]).numpy().real
        array([[1., 1., 1., 1.]], dtype=float32)
        """
        wave = to_dtype(wave, tf.as_dtype(dtype).real_dtype)
        offsets = self.positions - self.positions.mean(0)
        if wave.shape[-1] == 3 and self.shape is not None:
            # Rows and columns separate: sqrt(N) exponentials instead of N.
            rows, cols = self.shape
            vertical = _turn(wave[..., 2:] * to_dtype(offsets[::cols, 2], wave.dtype))
            horizontal = _turn(wave[..., 1:2] * to_dtype(offsets[:cols, 1], wave.dtype))
            grid = vertical[..., :, None] * horizontal[..., None, :]
            return tf.reshape(grid, tf.concat([tf.shape(grid)[:-2], [rows * cols]], 0))
        offsets = to_dtype(offsets, wave.dtype)
        along = tf.linalg.matmul(wave[..., :3], offsets, transpose_b=True)
        if wave.shape[-1] == 3:
            return _turn(along)
        near = wave[..., 3:]
        # l - L without the difference of two large numbers.
        squared = tf.reduce_sum(tf.square(offsets), -1)
        ratio = tf.sqrt(1 - 2 * near * along + tf.square(near) * squared)
        excess = (near * squared - 2 * along) / (1 + ratio)
        return _turn(-excess) / tf.cast(ratio, dtype)

    def get_config(self):
        """The constructor's arguments."""
        return serialize_arguments(self._arguments)

    @classmethod
    def from_config(cls, config):
        """The array again."""
        return cls(**deserialize_arguments(config))

    def __eq__(self, other):
        return type(self) is type(other) and np.array_equal(self.positions, other.positions)

    def __hash__(self):
        return hash((type(self), self.positions.tobytes()))

    def __repr__(self):
        arguments = ", ".join(f"{k}={v}" for k, v in self._arguments.items())
        return f"{type(self).__name__}({arguments})"


class ULA(_Array):
    """Uniform linear array along +y.

    Parameters
    ----------
    num_ant : int
        Number of elements.
    spacing : float
        Distance of neighbours [wavelengths].

    Raises
    ------
    ValueError
        Unless `num_ant` is an integer of at least 1 and `spacing` is positive.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.ULA(4).num_ant
    4
    """

    def __init__(self, num_ant: int, spacing: float = 0.5):
        num_ant, spacing = _positive_int("num_ant", num_ant), _positive("spacing", spacing)
        self.positions = np.zeros([num_ant, 3])
        self.positions[:, 1] = spacing * np.arange(num_ant)
        self.shape = (1, num_ant)


class UPA(_Array):
    """Uniform planar array, rows upwards (+z), columns along +y.

    The flat index is row-major (vertical, horizontal): the response is the Kronecker product of
    the vertical and the horizontal one, in this order.

    Parameters
    ----------
    num_rows, num_cols : int
        Elements along the vertical and along the horizontal.
    spacing_v, spacing_h : float
        Distance of neighbours [wavelengths].

    Raises
    ------
    ValueError
        Unless the numbers are integers of at least 1 and the spacings positive.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.UPA(8, 8).num_ant
    64
    """

    def __init__(
        self, num_rows: int, num_cols: int, spacing_v: float = 0.5, spacing_h: float = 0.5
    ):
        num_rows, num_cols = (
            _positive_int("num_rows", num_rows),
            _positive_int("num_cols", num_cols),
        )
        rows, cols = np.divmod(np.arange(num_rows * num_cols), num_cols)
        self.positions = np.zeros([num_rows * num_cols, 3])
        self.positions[:, 1] = _positive("spacing_h", spacing_h) * cols
        self.positions[:, 2] = _positive("spacing_v", spacing_v) * rows
        self.shape = (num_rows, num_cols)


class DualPolarized(_Array):
    """Two elements of orthogonal polarisations at every position: twice the elements.

    Sionna's order: all elements of the first polarisation, then all of the second. A surface on
    it has independent coefficients for both; conversion from one to the other is not modelled.

    Parameters
    ----------
    array : ULA or UPA

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.DualPolarized(irs.UPA(2, 2)).num_ant
    8
    """

    def __init__(self, array):
        if not isinstance(array, (ULA, UPA)):
            raise ValueError(f"array = {array!r}; a ULA or a UPA is needed")
        self.array = array
        self.positions = np.concatenate([array.positions, array.positions])
        self.shape = None
