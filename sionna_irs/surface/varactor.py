"""Elements tuned by a varactor: capacitance to reflection coefficient through the circuit."""

import cmath
import math
from typing import Literal

import numpy as np
import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import require_integer
from .surface import Surface

__all__ = ["Varactor"]

_PERMEABILITY = 4e-7 * math.pi
_PERMITTIVITY = 8.85e-12  # the truncated value of the reference model
_IMPEDANCE = math.sqrt(_PERMEABILITY / _PERMITTIVITY)
_PICO = 1e-12


class _Cell:
    """Circuit of one cell in double precision: what the constructor of the surface says of it."""

    def __init__(self, angle, polarization, period, gap, thickness, permittivity, inductance):
        lengths = {"period": period, "gap": gap, "thickness": thickness, "inductance": inductance}
        for name, value in lengths.items():
            if not 0 < value < math.inf:
                raise ValueError(f"{name} = {value}; a positive number is needed")
        if not gap < period:
            raise ValueError(f"gap = {gap}; a number below the period {period} is needed")
        if not 0 <= angle < 90:
            raise ValueError(f"incidence_deg = {angle}; a number in [0, 90) is needed")
        if polarization not in ("TE", "TM"):
            raise ValueError(f"polarization = {polarization!r}; 'TE' or 'TM' is needed")
        permittivity = complex(permittivity)
        if not (permittivity.real >= 1 and permittivity.imag <= 0):
            raise ValueError(
                f"permittivity = {permittivity}; a real part of at least 1 and an imaginary part "
                "of at most 0 are needed"
            )
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        index = cmath.sqrt(permittivity - sine**2)  # k_z1 / k_0
        coupling = (permittivity + 1) / 2  # epsilon_e chi
        if polarization == "TE":
            self.z0, self.z1 = _IMPEDANCE / cosine, _IMPEDANCE / index
            coupling -= sine**2 / 2
        else:
            self.z0, self.z1 = _IMPEDANCE * cosine, _IMPEDANCE * index / permittivity
        edges = coupling * math.log(1 / math.sin(math.pi * gap / (2 * period)))
        edges -= math.log(1 - math.exp(-4 * math.pi * thickness / period))
        self.patch = 2 * period * _PERMITTIVITY / math.pi * edges  # C_p [farad]
        self.delay = math.sqrt(_PERMEABILITY * _PERMITTIVITY) * index * thickness  # k_z1 h / omega
        self.inductance = inductance

    def fraction(self, omega):
        r"""Constants of :math:`\Gamma=(a_0+a_1C)/(b_0+b_1C)` and s of its slope, C in pF.

        Multiplied by :math:`1-\omega^2L_vC`, both lines of the fraction are linear in C and finite
        at the varactor's own resonance; the slope is :math:`s/(b_0+b_1C)^2`.

        Parameters
        ----------
        omega : array or tf.Tensor, complex128
            [radian/s]

        Returns
        -------
        (a_0, a_1), (b_0, b_1), s
            Of the type and shape of `omega`.
        """
        tan = tf.math.tan if tf.is_tensor(omega) else np.tan
        fixed = self.z0 * (1j * omega * self.patch + 1 / (1j * self.z1 * tan(omega * self.delay)))
        branch = 1j * self.z0 * omega * _PICO
        rate = omega * omega * (self.inductance * _PICO)
        a = 1 - fixed, -branch - rate * (1 - fixed)
        b = 1 + fixed, branch - rate * (1 + fixed)
        return a, b, -2 * branch


class Varactor(Surface):
    r"""Patches joined by varactors over a grounded substrate; the control is C [pF].

    The sheet admittance of patches, varactor and substrate reflects the wave:

    .. math:: \Gamma=\frac{1-z_0Y}{1+z_0Y},\qquad
              Y(C)=j\omega C_p+\frac{j\omega C}{1-\omega^2L_vC}+\frac1{jz_1\tan(k_{z1}h)}

    .. math:: C_p=\frac{2D\varepsilon_0}{\pi}\Big[\varepsilon_e\chi\ln\frac1{\sin(\pi w/2D)}
              -\ln\big(1-e^{-4\pi h/D}\big)\Big],\qquad \varepsilon_e=\frac{\varepsilon_r+1}2

    with :math:`k_0=\omega/c`, :math:`k_{z0}=k_0\cos\vartheta`,
    :math:`k_{z1}=k_0\sqrt{\varepsilon_r-\sin^2\vartheta}` and, for TE,
    :math:`z_i=\omega\mu_0/k_{zi}`, :math:`\chi=1-\sin^2\vartheta/2\varepsilon_e`; for TM,
    :math:`z_i=k_{zi}/\omega\varepsilon_0\varepsilon_i`, :math:`\chi=1`. The resonance is steep:
    :math:`|d\Gamma/dC|` reaches 39 per pF at 6 GHz and normal incidence.

    :math:`\theta=\Gamma` multiplies the wave. The source has its conjugate in the channel: its
    channel matrices are the conjugates of ours.

    Source: the element of Hashmi et al. after Costa and Borgese; corrected: `incidence_deg` is in
    degrees (there radians are passed as degrees, so that all incidence is nearly normal).

    Precision: the constants are computed in double. With "single", at 6 GHz and normal incidence,
    theta differs from that in double by at most 7e-7 at the same C, about as much as rounding C
    to single does (1.5e-8 pF times the slope 39); at 88 degrees (slope 294) by at most 7e-6.

    Parameters
    ----------
    panel, trainable
        As :class:`Surface`. Optimisers of Keras keep the own control in its range.
    carrier_frequency : float
        [Hz]
    incidence_deg : float
        vartheta from the panel's normal in [0, 90) [degree].
    polarization : "TE" or "TM"
        Electric field across the plane of incidence, or in it.
    capacitance_range_pf : (float, float)
        Smallest and largest C [pF].
    num_bits : int or None
        b in 1..16: C is the nearest of 2^b equally spaced values over the range, with the gradient
        of the circuit at that value (straight-through). None: any C.
    period, gap, thickness : float
        Cell size D, gap w between patches, substrate height h [metre].
    permittivity : complex
        Relative permittivity of the substrate, imaginary part at most 0.
    inductance : float
        L_v in series with the varactor [henry].
    initial : "mid", "random" or array, [N]
        Start of the own control; "random" is uniform over the range, drawn at construction.

    Input
    -----
    control : tf.Tensor, [..., N], real, or None
        C [pF]; None takes the surface's own.

    Output
    ------
    theta : tf.Tensor, [..., N], complex
        In graphs, where values are not known, NaN for a capacitance out of its range.

    Raises
    ------
    ValueError
        For parameters out of range, and, in eager mode, for a capacitance out of its range.

    Examples
    --------
    >>> import numpy as np, sionna_irs as irs
    >>> surface = irs.Varactor(irs.ULA(3))
    >>> np.abs(surface([0.1, 0.3, 0.5])).round(3)
    array([0.992, 0.965, 0.998], dtype=float32)
    >>> surface.response([0.1, 0.3, 0.5], [-50e6, 0.0, 50e6]).shape
    TensorShape([3, 3])
    """

    frequency_selective = True
    control_unit = "pF"

    def __init__(
        self,
        panel,
        carrier_frequency: float = 6e9,
        incidence_deg: float = 0.0,
        polarization: Literal["TE", "TM"] = "TE",
        capacitance_range_pf: tuple[float, float] = (0.1, 0.5),
        num_bits: int | None = None,
        period: float = 5e-3,
        gap: float = 0.5e-3,
        thickness: float = 1.2e-3,
        permittivity: complex = 4.4 - 0.088j,
        inductance: float = 0.5e-9,
        initial="mid",
        **kwargs,
    ):
        if np.shape(capacitance_range_pf) != (2,) or not (
            0 < capacitance_range_pf[0] < capacitance_range_pf[1] < math.inf
        ):
            raise ValueError(
                f"capacitance_range_pf = {capacitance_range_pf}; 0 < smallest < largest is needed"
            )
        require_integer("num_bits", num_bits, high=16, optional=True)
        if not 0 < carrier_frequency < math.inf:
            raise ValueError(
                f"carrier_frequency = {carrier_frequency}; a positive number is needed"
            )
        self.capacitance_range_pf = tuple(capacitance_range_pf)
        self.num_bits, self.carrier_frequency = num_bits, carrier_frequency
        self._cell = _Cell(
            incidence_deg, polarization, period, gap, thickness, permittivity, inductance
        )
        self._at_carrier = self._cell.fraction(self._omega(np.zeros([])))
        super().__init__(panel, initial=initial, **kwargs)

    def starts(self):
        """The middle of the range and uniform over it, as :meth:`Surface.starts`."""
        low, high = self.capacitance_range_pf
        middle = (low + high) / 2
        return {"mid": (middle, middle), "random": (low, high)}

    def control_range(self):
        """The range of the capacitance [pF]."""
        return self.capacitance_range_pf

    def toward(self, slope):
        r"""The support point of the circuit's circle, :math:`\Gamma=m+re^{j\arg s}`, [..., N] [pF].

        Real C draw a circle of centre m and radius r: :math:`\Gamma(C)=(p+qC)/(1+\sigma C)`. The
        best C is :math:`\mathrm{Re}[(\Gamma-p)/(q-\sigma\Gamma)]`, out of the range the better end
        of it. With `num_bits`, the best of the neighbouring values and both ends.
        """
        slope = self.cplx(slope)
        return self._best(slope, lambda theta: tf.math.real(tf.math.conj(slope) * theta))

    def nearest(self, theta):
        """The capacitances whose coefficients are closest, [..., N] [pF]."""
        theta = self.cplx(theta)
        centre = self.cplx(self._circle()[0])
        return self._best(theta - centre, lambda found: -tf.square(tf.abs(found - theta)))

    def _circle(self):
        """(m, r, p, q, sigma) of the circuit at the carrier, in double precision."""
        (a0, a1), (b0, b1), _ = self._at_carrier
        p, q, pole = a0 / b0, a1 / b0, b1 / b0
        mirrored = np.conj(-1 / pole)  # of the pole: its image is the centre
        centre = (p + q * mirrored) / (1 + pole * mirrored)
        return centre, abs(p - centre), p, q, pole

    def _best(self, direction, value):
        """The C in the range with the largest ``value(theta)``, from the point in a direction."""
        centre, radius, p, q, pole = map(self.cplx, self._circle())
        turn = tf.math.angle(direction)
        z = centre + radius * unit_phasor(turn)
        c = tf.math.real((z - p) / (q - pole * z))
        low, high = (tf.fill(tf.shape(c), self.real(end)) for end in self.capacitance_range_pf)
        within = tf.clip_by_value(c, low, high)
        if self.num_bits is None:
            candidates = [within, low, high]
        else:
            step = (high - low) / (2**self.num_bits - 1)
            level = tf.floor((within - low) / step)
            below = low + step * level
            candidates = [below, tf.minimum(below + step, high), low, high]
        best, most = candidates[0], value(self.reflection(candidates[0]))
        for other in candidates[1:]:
            its = value(self.reflection(other))
            best, most = tf.where(its > most, other, best), tf.maximum(its, most)
        return best

    def reflection(self, control, frequencies=None):
        """Gamma [..., N], complex, of capacitances [..., N]; at `frequencies` [F], [..., F, N]."""
        c = self._rounded(control)
        if frequencies is None:
            a, b, _ = self._at_carrier
        else:
            c = c[..., None, :]
            a, b, _ = self._cell.fraction(self._omega(frequencies)[:, None])
        return self._linear(a, c) / self._linear(b, c)

    def derivative(self, control=None):
        r"""Slope of the circuit at the carrier, :math:`d\Gamma/dC`.

        .. math:: \frac{d\Gamma}{dC}=\frac{-2jz_0\omega}{(1+z_0Y)^2(1-\omega^2L_vC)^2}

        Parameters
        ----------
        control : tf.Tensor, [..., N], real, or None
            C [pF]; None takes the surface's own.

        Returns
        -------
        tf.Tensor, [..., N], complex
            [1/pF]

        Examples
        --------
        >>> import sionna_irs as irs
        >>> round(float(abs(irs.Varactor(irs.ULA(1)).derivative([0.253])[0])), 1)
        39.3
        """
        control = self._own() if control is None else self._passed("control", control)
        c = self._rounded(control)
        _, b, slope = self._at_carrier
        return self.cplx(slope) / tf.square(self._linear(b, c))

    def difference(self, plus, minus):
        r"""Change of theta between two controls at the carrier, without cancellation.

        .. math:: \Gamma(C_+)-\Gamma(C_-)=\frac{-2z_0(Y_+-Y_-)}{(1+z_0Y_+)(1+z_0Y_-)},\qquad
                  Y_+-Y_-=\frac{j\omega(C_+-C_-)}{(1-\omega^2L_vC_+)(1-\omega^2L_vC_-)}

        Parameters
        ----------
        plus, minus : tf.Tensor, [..., N], real
            [pF]

        Returns
        -------
        tf.Tensor, [..., N], complex

        Examples
        --------
        >>> import sionna_irs as irs
        >>> surface = irs.Varactor(irs.ULA(1), precision="double")
        >>> change = surface.difference([0.253 + 1e-9], [0.253 - 1e-9])
        >>> f"{float(abs(change[0])):.3e}"
        '7.852e-08'
        """
        plus, minus = (
            self._rounded(self._passed(name, c)) for name, c in (("plus", plus), ("minus", minus))
        )
        _, b, slope = self._at_carrier
        step = self.cplx(slope) * self.cplx(plus - minus)
        return step / (self._linear(b, plus) * self._linear(b, minus))

    def tangent(self, control, direction):
        """:meth:`derivative` times `direction`, halved at both ends of the range, [..., N]."""
        direction = self._admit("direction", direction, {})
        control = self._admit("control", control, {})
        return self.derivative(control) * self.cplx(direction * self.freedom(control))

    def _omega(self, frequencies):
        if tf.is_tensor(frequencies):
            frequencies = tf.cast(frequencies, tf.float64)
            return tf.cast(2 * math.pi * (self.carrier_frequency + frequencies), tf.complex128)
        if not np.all(frequencies > -self.carrier_frequency):
            raise ValueError(
                f"frequencies = {np.min(frequencies)}; numbers above -{self.carrier_frequency}, "
                "the carrier, are needed"
            )
        return 2 * math.pi * (self.carrier_frequency + frequencies).astype(complex)

    def _linear(self, coefficients, c):
        # tf.complex, because the gradient of a cast to complex warns of a lost imaginary part.
        c = tf.complex(c, tf.zeros_like(c))
        return self.cplx(coefficients[0]) + self.cplx(coefficients[1]) * c

    def _rounded(self, control):
        """What the varactors are set to [pF]: the nearest of `num_bits` values."""
        c = self.project(control)
        if self.num_bits is None:
            return c
        low, high = self.capacitance_range_pf
        step = (high - low) / (2**self.num_bits - 1)
        return c + tf.stop_gradient(low + step * tf.round((c - low) / step) - c)
