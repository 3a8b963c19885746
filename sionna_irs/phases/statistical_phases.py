"""Phases of two surfaces from second-order statistics alone."""

import math

import tensorflow as tf

from ..arrays import unit_phasor
from ..channel.double_statistics import DoubleSurfaceStatistics
from ..layer import Input, LinkLayer, require_integer
from ..surface.design import Design
from .unit_modulus import PowerIteration

__all__ = ["StatisticalPhases"]


class StatisticalPhases(LinkLayer):
    r"""Phases that maximise the mean gain :math:`\mathrm E\|H\|_F^2`: no instantaneous CSI.

    The mean gain is a quadratic form in the phasors of each surface
    (:meth:`DoubleSurfaceStatistics.quadratic`); the surfaces take turns, from `num_starts` chirps
    :math:`e^{j\pi sn^2/N}`, of which the best end is kept. Designed once, at construction.

    Parameters
    ----------
    channel : DoubleSurfaceChannel
        Whose statistics count.
    solver : UnitModulusSolver or None
        None is ``PowerIteration()``.
    num_iter : int
        Rounds over both surfaces.
    num_starts : int

    Input
    -----
    links : Links
        Its batch size counts.

    Output
    ------
    design : Design, {"s1", "s2"} -> [batch_size, N], real [radian]

    Raises
    ------
    ValueError
        For other channels and numbers out of range.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> channel = irs.DoubleSurfaceChannel(num_elements=16)
    >>> irs.StatisticalPhases(channel)(channel.draw(3))["s2"].shape
    TensorShape([3, 16])
    """

    inputs = {"links": Input("links")}

    def __init__(self, channel, solver=None, num_iter: int = 10, num_starts: int = 4, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_iter", num_iter)
        require_integer("num_starts", num_starts)
        solver = PowerIteration(precision=self.precision) if solver is None else solver
        with tf.init_scope():
            self.phases = self._design(
                DoubleSurfaceStatistics(channel), solver, num_iter, num_starts
            )

    def _design(self, statistics, solver, num_iter, num_starts):
        """{"s1", "s2"} -> phases [N]."""
        theta = {}
        for name in ("s1", "s2"):
            size = statistics.counts[name]
            n, s = tf.range(size, dtype=self.rdtype), tf.range(num_starts, dtype=self.rdtype)
            theta[name] = unit_phasor(math.pi / size * s[:, None] * n**2)
        for _ in range(num_iter):
            for name in ("s1", "s2"):
                t, c = statistics.quadratic(theta, name)
                theta[name] = solver(self.cast(t, "t"), self.cast(c, "c"), theta[name])
        best = tf.argmax(statistics.gain(theta))
        return {name: tf.math.angle(x[best]) for name, x in theta.items()}

    def call(self, links):
        batch_size = tf.shape(next(iter(links.values())))[0]
        return Design({n: tf.repeat(x[None], batch_size, 0) for n, x in self.phases.items()})
