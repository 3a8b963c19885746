"""Antenna arrays and surface panels: geometry and far-field responses."""

import keras
import numpy as np
import tensorflow as tf

from .layer import deserialize_arguments, recorded_arguments, serialize_arguments, to_dtype

__all__ = ["ULA", "UPA"]


def _positive_int(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} = {value!r}; an integer of at least 1 is needed")
    return int(value)


def _positive(name, value):
    if not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} = {value!r}; a positive number is needed")
    return float(value)


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
        return tf.complex(tf.cos(phase), tf.sin(phase))

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

    def __init__(self, num_ant, spacing=0.5):
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

    def __init__(self, num_rows, num_cols, spacing_v=0.5, spacing_h=0.5):
        num_rows, num_cols = (
            _positive_int("num_rows", num_rows),
            _positive_int("num_cols", num_cols),
        )
        rows, cols = np.divmod(np.arange(num_rows * num_cols), num_cols)
        self.positions = np.zeros([num_rows * num_cols, 3])
        self.positions[:, 1] = _positive("spacing_h", spacing_h) * cols
        self.positions[:, 2] = _positive("spacing_v", spacing_v) * rows
        self.shape = (num_rows, num_cols)
