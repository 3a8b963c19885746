"""Element patterns: power gain of one cell against the direction."""

import dataclasses
import math

import keras
import numpy as np

__all__ = ["CosinePattern", "IsotropicPattern"]


@keras.saving.register_keras_serializable("sionna_irs")
@dataclasses.dataclass(frozen=True)
class CosinePattern:
    r"""A cell of a panel: :math:`g(\vartheta)=g_0\cos^q\vartheta` in front, 0 behind.

    The default :math:`\pi\cos\vartheta` (4.97 dBi at broadside) is the aperture of a cell of half a
    wavelength: its area :math:`A=\lambda^2/4` collects :math:`A\cos\vartheta=g\lambda^2/4\pi`.
    With it the product of two Friis hops equals the physical-optics formula
    :math:`|h|=NA\sqrt{\cos\vartheta_i\cos\vartheta_o}/(4\pi d_1d_2)`.

    Parameters
    ----------
    gain : float
        g_0, linear power gain at broadside.
    exponent : float
        q, at least 0.

    Raises
    ------
    ValueError
        For a gain that is not positive or a negative exponent.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.CosinePattern()([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]).round(4).tolist()
    [3.1416, 0.0]
    """

    gain: float = math.pi
    exponent: float = 1.0

    def __post_init__(self):
        if not (math.isfinite(self.gain) and self.gain > 0):
            raise ValueError(f"gain = {self.gain}; a positive number is needed")
        if not (math.isfinite(self.exponent) and self.exponent >= 0):
            raise ValueError(f"exponent = {self.exponent}; a number of at least 0 is needed")

    def __call__(self, direction):
        """Power gain [...], real, for unit vectors [..., 3] in the panel's axes (+x in front)."""
        cosine = np.asarray(direction, float)[..., 0]
        return np.where(cosine > 0, self.gain * np.maximum(cosine, 0.0) ** self.exponent, 0.0)

    def get_config(self):
        """The constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        """The pattern again."""
        return cls(**config)


@keras.saving.register_keras_serializable("sionna_irs")
@dataclasses.dataclass(frozen=True)
class IsotropicPattern:
    """Gain 1 in every direction, behind the panel too: for comparison with closed forms.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.IsotropicPattern()([[-1.0, 0.0, 0.0]]).tolist()
    [1.0]
    """

    def __call__(self, direction):
        """Power gain [...], real, for unit vectors [..., 3]."""
        return np.ones(np.shape(direction)[:-1])

    def get_config(self):
        """Nothing to configure."""
        return {}

    @classmethod
    def from_config(cls, config):
        """The pattern again."""
        return cls(**config)
