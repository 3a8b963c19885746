"""Elements that are connected in groups: scattering beyond the diagonal."""

import numpy as np
import tensorflow as tf

from ..arrays import require_array, unit_phasor
from ..layer import require_integer
from ..linalg import hpd_inverse, svd
from .operators import BlockOperator
from .surface import Surface

__all__ = ["GroupConnected"]

# A reflection of -1 to 2e-8; beyond, squares would leave the range of single precision.
_LARGEST = 1e8
# Share of the present response in a slope: enough to decide what the slope leaves open.
_OPEN = 1e-9


class GroupConnected(Surface):
    r"""Elements connected in groups by lossless circuits ("beyond diagonal").

    .. math:: \Theta=\mathrm{blkdiag}(\Theta_1..\Theta_G),\qquad
              \Theta_g=(I+jB_g)^{-1}(I-jB_g)

    with real symmetric susceptances :math:`B_g`, over the reference admittance: every
    :math:`\Theta_g` is unitary and symmetric by construction. Groups of one element are
    :class:`IdealPhases` with :math:`\varphi=-2\arctan b`; one group of all is fully connected.
    Designs do not pass through B, which has no limit at a reflection of -1.

    Source: Shen, Clerckx and Murch 2022, "Modeling and architecture design of reconfigurable
    intelligent surfaces using scattering parameter network analysis".

    Parameters
    ----------
    panel, trainable
        As :class:`Surface`.
    group_size : int
        n, a divisor of N; groups are consecutive elements.
    reciprocal : bool
        False: circuits with a direction, Hermitian :math:`B_g`, any unitary :math:`\Theta_g`.
    initial : "zeros", "random" or array, [C]
        Start of the own control; "random" is uniform in [-1, 1].

    Input
    -----
    control : tf.Tensor, [..., C], real, or None
        The upper triangles of all :math:`B_g`, row by row, C = G n (n + 1) / 2; not reciprocal,
        then those of the imaginary parts without the diagonal, C = G n^2.

    Output
    ------
    theta : BlockOperator, blocks [..., G, n, n], complex

    Raises
    ------
    ValueError
        When the groups do not divide the panel.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> surface = irs.GroupConnected(irs.UPA(2, 2), group_size=2)
    >>> surface(tf.zeros([5, surface.num_controls])).blocks.shape
    TensorShape([5, 2, 2, 2])
    """

    control_unit = "susceptance"
    diagonal = False

    def __init__(self, panel, group_size: int, reciprocal: bool = True, **kwargs):
        require_array("panel", panel)
        require_integer("group_size", group_size)
        if panel.num_ant % group_size:
            raise ValueError(
                f"group_size = {group_size}; a divisor of the {panel.num_ant} elements is needed"
            )
        self.group_size, self.reciprocal = group_size, bool(reciprocal)
        self.num_groups = panel.num_ant // group_size
        rows, columns = np.triu_indices(group_size)
        self._real = np.zeros([group_size, group_size], int)
        self._real[rows, columns] = self._real[columns, rows] = np.arange(len(rows))
        inner = rows != columns
        # Of the imaginary part, where 0 is the zero of the diagonal.
        self._imag = np.zeros([group_size, group_size], int)
        self._imag[rows[inner], columns[inner]] = np.arange(1, inner.sum() + 1)
        self._imag += self._imag.T
        self._sign = np.sign(np.arange(group_size)[None] - np.arange(group_size)[:, None])
        self._count = len(rows) if self.reciprocal else group_size**2
        super().__init__(panel, **kwargs)

    @property
    def num_controls(self):
        """C, int."""
        return self.num_groups * self._count

    def starts(self):
        """Open ports, and uniform in [-1, 1], as :meth:`Surface.starts`."""
        return {"zeros": (0.0, 0.0), "random": (-1.0, 1.0)}

    def susceptances(self, control):
        """B_g [..., G, n, n], real, or complex where not reciprocal, of a control [..., C]."""
        lead, control = tf.shape(control)[:-1], tf.clip_by_value(control, -_LARGEST, _LARGEST)
        control = tf.reshape(control, tf.concat([lead, [self.num_groups, self._count]], 0))
        symmetric = tf.gather(control, self._real, axis=-1)
        if self.reciprocal:
            return symmetric
        first = self._real.max() + 1
        rest = tf.concat([tf.zeros_like(control[..., :1]), control[..., first:]], -1)
        return tf.complex(symmetric, tf.gather(rest, self._imag, axis=-1) * self.real(self._sign))

    def _kernel(self, b):
        """K = (I + jB)^-1 = (I - jB)(I + B^2)^-1, by one Cholesky factorisation."""
        eye = tf.eye(self.group_size, dtype=b.dtype)
        inverse = hpd_inverse(eye + tf.linalg.matmul(b, b), at_least=1.0)
        if b.dtype.is_complex:
            return inverse - self.cplx(1j) * tf.linalg.matmul(b, inverse)
        return tf.complex(inverse, -tf.linalg.matmul(b, inverse))

    def reflection(self, control):
        """2 K - I for every group."""
        k = self._kernel(self.susceptances(control))
        return BlockOperator(2 * k - tf.eye(self.group_size, dtype=k.dtype))

    def difference(self, plus, minus):
        r""":math:`-2jK_+(B_+-B_-)K_-`: without the subtraction of nearly equal numbers."""
        b_plus, b_minus = (
            self.susceptances(self._passed(name, c))
            for name, c in [("plus", plus), ("minus", minus)]
        )
        return self._step(self._kernel(b_plus), b_plus - b_minus, self._kernel(b_minus))

    def tangent(self, control, direction):
        r""":math:`-2jK\,dB\,K`, blocks [..., G, n, n]."""
        k = self._kernel(self.susceptances(self._passed("control", control)))
        change = self.susceptances(self._admit("direction", direction, {}))
        return self._step(k, change, k)

    def _step(self, left, change, right):
        change = tf.linalg.matmul(left, tf.linalg.matmul(tf.cast(change, left.dtype), right))
        return BlockOperator(self.cplx(-2j) * change)

    def support(self, slope, theta=None):
        r"""The response with the largest :math:`\mathrm{Re}\,\mathrm{tr}\,S^H\Theta`.

        The polar factor of S, symmetric where reciprocal, in double precision. S has the rank of
        its antennas: what it leaves open is that of the present response.

        Parameters
        ----------
        slope : BlockOperator
            S, of the same groups.
        theta : BlockOperator or None
            The present response; None is the identity.

        Returns
        -------
        BlockOperator
        """
        s = tf.cast(slope.blocks, tf.complex128)
        if self.reciprocal:
            s = (s + tf.linalg.matrix_transpose(s)) / 2
        eye = tf.eye(self.group_size, dtype=s.dtype)
        now = eye if theta is None else tf.cast(theta.blocks, s.dtype)
        size = tf.sqrt(tf.reduce_sum(tf.square(tf.abs(s)), [-2, -1], keepdims=True))
        size = tf.where(size > 0, size, tf.ones_like(size))
        _, u, v = svd(s / tf.cast(size, s.dtype) + _OPEN * now)
        return BlockOperator(self.cplx(tf.linalg.matmul(u, v, adjoint_b=True)))

    def respond(self, wanted):
        """The response closest to a design; phases and coefficients are diagonal, which it can be.

        Parameters
        ----------
        wanted : tf.Tensor, [..., N], or BlockOperator
            Phases [radian], coefficients (their phases count), or a response.

        Returns
        -------
        BlockOperator
        """
        if isinstance(wanted, BlockOperator):
            return self.support(wanted, wanted)
        phase = self._phases(wanted)
        phase = tf.reshape(
            phase, tf.concat([tf.shape(phase)[:-1], [self.num_groups, self.group_size]], 0)
        )
        return BlockOperator(tf.linalg.diag(unit_phasor(phase)))

    def realize(self, wanted):
        r"""The susceptances of a design, :math:`B=-j(I-\Theta)(I+\Theta)^{-1}`, [..., C].

        They grow without limit towards a reflection of -1: rounding bounds them there.
        """
        theta = self.respond(wanted).blocks
        eye = tf.eye(self.group_size, dtype=theta.dtype)
        gram = 2 * eye + theta + tf.linalg.adjoint(theta)  # (I + Theta)^H (I + Theta)
        least = 1e-12 if theta.dtype == tf.complex128 else 1e-5
        inverse = hpd_inverse(gram + least * eye, at_least=least)
        b = tf.linalg.matmul(eye - theta, tf.linalg.adjoint(eye + theta))
        b = self.cplx(-1j) * tf.linalg.matmul(b, inverse)
        rows, columns = np.triu_indices(self.group_size)
        flat = tf.reshape(b, tf.concat([tf.shape(b)[:-2], [self.group_size**2]], 0))
        upper = rows * self.group_size + columns
        found = tf.math.real(tf.gather(flat, upper, axis=-1))
        if not self.reciprocal:
            inner = upper[rows != columns]
            found = tf.concat([found, tf.math.imag(tf.gather(flat, inner, axis=-1))], -1)
        return tf.reshape(found, tf.concat([tf.shape(b)[:-3], [self.num_controls]], 0))

    def _phases(self, wanted):
        wanted = tf.convert_to_tensor(wanted)
        if wanted.shape.rank == 0 or wanted.shape[-1] != self.num_elements:
            raise ValueError(
                f"the design has shape {wanted.shape}; [..., {self.num_elements}] is needed"
            )
        return tf.math.angle(self.cplx(wanted)) if wanted.dtype.is_complex else self.real(wanted)
