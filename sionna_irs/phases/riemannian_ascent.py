"""Gradient ascent over unit-modulus vectors."""

import tensorflow as tf

from .unit_modulus import UnitModulusSolver, inner, quadratic, unit

__all__ = ["RiemannianAscent"]


class RiemannianAscent(UnitModulusSolver):
    r"""Gradient ascent on the torus, with steps halved until they gain enough (Armijo).

    The gradient is :math:`\xi=2\big(z-\mathrm{Re}(z\odot\phi^*)\odot\phi\big)`,
    :math:`z=T\phi+c`; a step is :math:`\phi\leftarrow e^{j\arg(\phi+\alpha\xi)}`, and is taken if
    the objective gains :math:`10^{-4}\alpha\|\xi\|^2`. It stops where the power iteration does.

    Parameters
    ----------
    num_iter : int
        Iterations.

    Input
    -----
    t, c, phi, trace, return_state
        As :class:`UnitModulusSolver`.

    Output
    ------
    phi : tf.Tensor, [..., N], complex
    objective, state
        As :class:`UnitModulusSolver`.

    Raises
    ------
    ValueError
        For numbers out of range.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> t = tf.ones([4, 4], tf.complex64)
    >>> irs.RiemannianAscent()(t, 1j * t[0], tf.ones([4], t.dtype)).numpy().imag.round(2)
    array([1., 1., 1., 1.], dtype=float32)
    """

    compiled = True
    _HALVINGS = 20

    def __init__(self, num_iter: int = 60, **kwargs):
        super().__init__(num_iter, **kwargs)

    def begin(self, t, c, phi):
        # The step size is remembered: every iteration first tries twice the last one.
        return (t, c), (phi, tf.ones_like(tf.math.real(phi[..., 0])))

    def step(self, problem, state):
        t, c = problem
        phi, size = state
        z = tf.linalg.matvec(t, phi) + c
        slope = 2 * (z - tf.cast(tf.math.real(z * tf.math.conj(phi)), z.dtype) * phi)
        value, gain = inner(phi, z + c), self.real(1e-4) * inner(slope, slope)

        def move(size):
            moved = phi + tf.cast(size, phi.dtype)[..., None] * slope
            moved = unit(moved, phi)
            return moved, quadratic(t, c, moved) >= value + size * gain

        def halve(size, _, enough):
            size = tf.where(enough, size, size / 2)
            return size, *move(size)

        size *= 2
        size, moved, enough = tf.while_loop(
            lambda _, __, enough: tf.logical_not(tf.reduce_all(enough)),
            halve,
            (size, *move(size)),
            maximum_iterations=self._HALVINGS,
        )
        return tf.where(enough[..., None], moved, phi), size

    def phasors(self, state):
        return state[0]
