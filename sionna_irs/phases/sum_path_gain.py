"""Phases of several surfaces in turn, and the design that maximises the channel's gain."""

import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import Input, LinkLayer, require_integer
from ..linalg.scale import divide, unit_scale
from ..surface.design import Design
from ..surface.operators import BlockOperator, cast_response, expand, times
from .policies import RandomPhases
from .surface_factors import end_to_end, surface_factors, surface_order
from .unit_links import unit_links
from .unit_modulus import ElementWise, PowerIteration, iterate, round_phasor

__all__ = ["AlternatingDesign", "SumPathGain"]


class AlternatingDesign(LinkLayer):
    r"""Base of the designs that improve one surface after the other, the others held fixed.

    Of several starts, the one that ends with the highest ``value`` is kept for every example.
    Derive from it and write ``improve(links, theta, name)`` and ``value(h)``.

    Parameters
    ----------
    num_iter : int
        Rounds over all surfaces.
    start : callable or tuple of callables
        Policies that give the first phases.
    num_bits : int or None
        The start is rounded to b-bit phases; None leaves it.
    surfaces : dict or None
        Name -> :class:`Surface`: designs are responses of these, of any kind. None takes ideal
        phases.

    Input
    -----
    links : Links
        Hops without circles: one surface, parallel, double, with or without a direct path.
    trace : bool
        Also return the channel before the first round and after every one.

    Output
    ------
    design : Design, surface -> [batch_size, N], real [radian], or responses of the surfaces
        No gradient passes: the design is a decision.
    h : tf.Tensor, [num_iter + 1, batch_size, rx, tx], complex
        Only with `trace`.

    Raises
    ------
    ValueError
        For other links, starts that do not fit them, and numbers out of range.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> class Best(irs.AlternatingDesign):
    ...     def improve(self, links, theta, name):
    ...         return theta[name]
    ...     def value(self, h):
    ...         return tf.reduce_sum(tf.abs(h), [-2, -1])
    >>> links = irs.CascadedChannel(num_rx_ant=4, num_elements=8).draw(3)
    >>> Best(1, (irs.RandomPhases(),) * 5)(links)["s1"].shape
    TensorShape([3, 8])
    """

    inputs = {"links": Input("links")}

    # Whether axes between the batch and the matrix, such as users, may share the surfaces.
    shared_axes = False

    def __init__(
        self,
        num_iter: int,
        start,
        num_bits: int | None = None,
        surfaces: dict | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if surfaces is not None and num_bits is not None:
            raise ValueError(f"num_bits = {num_bits}; None is needed with surfaces, which round")
        self.surfaces = None if surfaces is None else dict(surfaces)
        require_integer("num_iter", num_iter)
        require_integer("num_bits", num_bits, high=16, optional=True)
        starts = start if isinstance(start, (tuple, list)) else (start,)
        if not starts or not all(map(callable, starts)):
            raise ValueError(f"start = {start!r}; policies (links -> phases) are needed")
        self.num_iter, self.start, self.num_bits = num_iter, tuple(starts), num_bits

    def improve(self, links, theta, name):
        """theta [batch_size, N] (or an operator) of the surface, no worse than theta[name]."""
        raise TypeError(f"{type(self).__name__} must define improve(links, theta, name)")

    def value(self, h):
        """What is maximised, [batch_size], of h [batch_size, ..., rx, tx]."""
        raise TypeError(f"{type(self).__name__} must define value(h)")

    def call(self, links, trace=False):
        links = {name: tf.stop_gradient(hop) for name, hop in links.items()}
        order = surface_order(links)
        rank = max(hop.shape.rank for hop in links.values())
        if rank != 3 and not (self.shared_axes and rank > 3):
            raise ValueError(
                f"links have {rank} axes; {type(self).__name__} is for [batch_size, rx, tx]"
            )
        starts = [self._first(policy, links, order) for policy in self.start]
        count = len(starts)
        # All starts side by side in the batch: as many steps as for one.
        many = {name: tf.concat([hop] * count, 0) for name, hop in links.items()}
        first = _mapped(lambda *parts: tf.concat(parts, 0), *starts)

        def step(theta):
            for name in order:
                theta = {**theta, name: self.improve(many, theta, name)}
            return theta

        def channel(theta):
            return end_to_end(many, theta)

        theta, record = iterate(step, first, self.num_iter, channel if trace else None)
        rows = self._best(channel(theta), count)

        def best(x, axis=0):
            return x if count == 1 else tf.gather(x, rows, axis=axis)

        theta = _mapped(best, {name: theta[name] for name in order})
        if self.surfaces is None:
            theta = {name: tf.math.angle(x) for name, x in theta.items()}
        design = Design(theta)
        if not trace:
            return design
        return design, best(tf.concat([channel(first)[None], record], 0), axis=1)

    def _first(self, policy, links, order):
        """theta of the start."""
        phases = {name: self.real(p) for name, p in policy(links).items()}
        sizes = {name.split(">")[1]: hop.shape[-2] for name, hop in links.items()}
        for name in order:
            if name not in phases:
                raise ValueError(f"start gives phases for {sorted(phases)}; {name!r} is missing")
            shape, wanted = phases[name].shape, sizes[name]
            if shape.rank != 2 or shape[-1] != wanted:
                raise ValueError(
                    f"start gives phases {shape} for {name!r}; [batch_size, {wanted}] is needed"
                )
        if self.surfaces is not None:
            return {name: self._own(self.surfaces[name].respond(phases[name])) for name in order}
        theta = {name: unit_phasor(tf.stop_gradient(phases[name])) for name in order}
        if self.num_bits is None:
            return theta
        return {name: round_phasor(z, self.num_bits) for name, z in theta.items()}

    def _own(self, theta):
        """A response of a surface, which may have another precision."""
        return cast_response(self, theta, "theta")

    def _best(self, h, count):
        """Rows [batch_size] of the best of ``count`` starts."""
        value = tf.reshape(self.value(h), [count, -1])
        batch_size = tf.shape(value, tf.int64)[1]
        return tf.argmax(value, 0) * batch_size + tf.range(batch_size)


def _mapped(function, *nests):
    """A function of the tensors of responses, those of operators, too."""
    return tf.nest.map_structure(function, *nests, expand_composites=True)


class SumPathGain(AlternatingDesign):
    r"""Phases that maximise the gain :math:`\|H\|_F^2` over all surfaces, one after the other.

    With the channel as :math:`F_0+E\,\mathrm{diag}(\phi)J` in the phasors of one surface,

    .. math:: \|H\|_F^2=\phi^HT\phi+2\,\mathrm{Re}\,\phi^Hc+\|F_0\|_F^2,\qquad
              T=(E^HE)\odot(JJ^H)^T,\qquad c_n=[E^HF_0J^H]_{nn}

    With `surfaces`, of any kind, each takes the response furthest along the slope
    :math:`E^H(F_0+E\Theta J)J^H`, because the gain is convex in :math:`\Theta`.

    The gain never falls. With users or subcarriers (axes after the batch) it is their sum.

    Source: arXiv 2309.04178 (P3); corrected: the second factor of T is transposed, and the
    largest gain is not the largest capacity (see :class:`CapacityAscent`).

    Parameters
    ----------
    solver : UnitModulusSolver or None
        For the phasors of one surface; None is ``PowerIteration()``, with `num_bits`
        ``ElementWise(num_bits=num_bits)``.
    num_iter : int
        Rounds over all surfaces.
    start : callable, tuple of callables, or None
        Policies that give the first phases; None is ``RandomPhases()``.
    num_bits : int or None
        b-bit phases; None is continuous. A solver that is given brings its own.
    surfaces : dict or None
        Name -> :class:`Surface`, such as the channel's; None takes ideal phases.

    Input
    -----
    links, trace
        As :class:`AlternatingDesign`.

    Output
    ------
    design : Design, surface -> [batch_size, N], real [radian], or responses of the surfaces
    h : tf.Tensor, [num_iter + 1, batch_size, rx, tx], complex
        Only with `trace`.

    Raises
    ------
    ValueError
        For other links, starts that do not fit them, and numbers out of range.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> links = irs.CascadedChannel(num_rx_ant=4, num_elements=8).draw(3)
    >>> controls, h = irs.SumPathGain()(links, trace=True)
    >>> gain = tf.reduce_sum(tf.square(tf.abs(h)), [-2, -1])
    >>> controls["s1"].shape, gain.shape
    (TensorShape([3, 8]), TensorShape([6, 3]))
    """

    shared_axes = True

    @property
    def compiled(self):
        """What policies of the user's read may change from call to call."""
        return all(isinstance(part, LinkLayer) for part in (self.solver, *self.start))

    def __init__(
        self,
        solver=None,
        num_iter: int = 5,
        start=None,
        num_bits: int | None = None,
        surfaces: dict | None = None,
        **kwargs,
    ):
        if solver is not None and surfaces is not None:
            raise ValueError(f"solver = {solver!r}; None is needed with surfaces")
        if solver is not None and num_bits is not None:
            raise ValueError(
                f"num_bits = {num_bits!r}; None is needed with a solver, which has its own"
            )
        precision = kwargs.get("precision")
        start = RandomPhases(precision=precision) if start is None else start
        num_bits = getattr(solver, "num_bits", num_bits)
        super().__init__(num_iter, start, num_bits, surfaces, **kwargs)
        if solver is None:
            solver = (
                PowerIteration(precision=precision)
                if num_bits is None
                else ElementWise(num_bits=num_bits, precision=precision)
            )
        if not callable(solver):
            raise ValueError(f"solver = {solver!r}; None or a UnitModulusSolver is needed")
        self.solver = solver

    def improve(self, links, theta, name):
        factors = surface_factors(unit_links(links)[0], theta, name)
        if self.surfaces is not None:
            slope = gain_slope(*factors, theta[name])
            return self._own(self.surfaces[name].support(slope, theta[name]))
        t, c = gain_quadratic(*factors)
        return self.solver(t, c, theta[name])

    def value(self, h):
        """The root of the gain."""
        h, scale = unit_scale(h, range(1, h.shape.rank))
        power = tf.reduce_sum(tf.square(tf.abs(h)), range(1, h.shape.rank))
        return tf.sqrt(power) * tf.reshape(scale, [-1])


def gain_slope(e, j, f0, theta):
    r""":math:`E^H(F_0+E\Theta J)J^H` up to a factor, for every element or group of a response."""
    (e, left), (j, right) = (unit_scale(x, range(1, x.shape.rank)) for x in (e, j))
    f0 = divide(divide(f0, left), right)
    h = f0 + tf.linalg.matmul(e, times(expand(theta, e.shape.rank - 2), j))
    back = tf.linalg.matmul(h, j, adjoint_b=True)  # [batch_size, ..., rx, N]
    shared = range(1, e.shape.rank - 2)
    if not isinstance(theta, BlockOperator):
        slope = tf.reduce_sum(tf.math.conj(e) * back, -2)
        return tf.reduce_sum(slope, shared)
    groups = theta.blocks.shape[-3:-1]
    e, back = (tf.reshape(x, tf.concat([tf.shape(x)[:-1], groups], 0)) for x in (e, back))
    blocks = tf.einsum("...rgi,...rgj->...gij", tf.math.conj(e), back)
    return BlockOperator(tf.reduce_sum(blocks, shared))


def gain_quadratic(e, j, f0):
    """T [batch_size, N, N] and c [batch_size, N] of the class's formula, up to a common factor."""
    # Products of path gains leave the range of single precision when squared.
    (e, left), (j, right) = (unit_scale(x, range(1, x.shape.rank)) for x in (e, j))
    f0 = divide(divide(f0, left), right)
    t = tf.linalg.matmul(e, e, adjoint_a=True) * tf.math.conj(
        tf.linalg.matmul(j, j, adjoint_b=True)
    )
    c = tf.reduce_sum(tf.linalg.matmul(e, f0, adjoint_a=True) * tf.math.conj(j), -1)
    shared = range(1, t.shape.rank - 2)
    return tf.reduce_sum(t, shared), tf.reduce_sum(c, shared)
