r"""Quadratic problems over unit-modulus vectors: maximise :math:`\phi^HT\phi+2\Re\phi^Hc`."""

import math

import tensorflow as tf

from ..arrays import unit_phasor
from ..layer import Input, LinkLayer, require_integer
from ..linalg import dominant_singular_vectors, hermitian_eig, hpd_inverse
from ..linalg.scale import divide
from ..surface.discrete import quantize_phase

__all__ = ["ADMM", "ElementWise", "PowerIteration", "UnitModulusSolver"]


def unit(z, old):
    """z / |z|, and ``old`` where z vanishes."""
    size = tf.abs(z)
    nonzero = size > 0
    return tf.where(nonzero, z / tf.cast(tf.where(nonzero, size, 1), z.dtype), old)


def round_phasor(z, num_bits):
    """The phasor whose phase is the nearest of the 2^b to that of z."""
    return unit_phasor(quantize_phase(tf.math.angle(z), num_bits))


def quadratic(t, c, phi):
    r""":math:`\phi^HT\phi+2\,\mathrm{Re}\,\phi^Hc`, [...]."""
    return inner(phi, tf.linalg.matvec(t, phi) + 2 * c)


def inner(a, b):
    """Re a^H b."""
    return tf.reduce_sum(tf.math.real(tf.math.conj(a) * b), -1)


def iterate(step, state, num_iter, observe=None):
    """``num_iter`` times ``step``: (state, values of ``observe`` after every step, or None)."""
    if observe is None:
        loop = tf.while_loop(
            lambda *_: True, lambda state: (step(state),), (state,), maximum_iterations=num_iter
        )
        return loop[0], None
    first = observe(state)
    record = first[None] + tf.zeros([num_iter] + [1] * first.shape.rank, first.dtype)

    def body(k, state, record):
        state = step(state)
        return k + 1, state, tf.tensor_scatter_nd_update(record, [[k]], observe(state)[None])

    _, state, record = tf.while_loop(
        lambda k, *_: k < num_iter,
        body,
        (tf.constant(0), state, record),
        maximum_iterations=num_iter,
    )
    return state, record


class UnitModulusSolver(LinkLayer):
    r"""Base of the solvers of quadratic problems over unit-modulus vectors.

    .. math:: \max_\phi\ \phi^HT\phi+2\,\mathrm{Re}\,\phi^Hc,\qquad|\phi_n|=1

    T is Hermitian and positive semi-definite. T and c are divided by tr(T)/N first, so that the
    problem may have any scale. Derive from it and write ``step(problem, state)``; where the state
    is more than :math:`\phi`, also ``begin`` and ``phasors``.

    Parameters
    ----------
    num_iter : int
    tolerance : float or None
        Of the residual, positive; None is 1e-4 in single and 1e-8 in double precision.

    Input
    -----
    t : tf.Tensor, [..., N, N], complex
    c : tf.Tensor, [..., N], complex
    phi : tf.Tensor, [..., N], complex
        The start, of unit modulus.
    trace : bool
        Also return the objective after every iteration.
    return_state : bool
        Also return whether the iterations have converged.

    Output
    ------
    phi : tf.Tensor, [..., N], complex
        Local maximum. No gradient passes: the design is a decision.
    objective : tf.Tensor, [num_iter, ...], real
        Only with `trace`.
    state : dict
        Only with `return_state`: "residual" [...], real, the largest change of a phasor by one
        more iteration, and "converged" [...], bool, whether it is at most `tolerance`.

    Raises
    ------
    ValueError
        For numbers out of range.

    Examples
    --------
    >>> import tensorflow as tf, sionna_irs as irs
    >>> class Lazy(irs.UnitModulusSolver):
    ...     def step(self, problem, state):
    ...         return state
    >>> Lazy(1)(tf.eye(2, dtype=tf.complex64), [0j, 0j], [1 + 0j, 1j]).numpy()
    array([1.+0.j, 0.+1.j], dtype=complex64)
    """

    inputs = {
        "t": Input("complex", "n", "n"),
        "c": Input("complex", "n"),
        "phi": Input("complex", "n"),
    }
    num_bits = None

    def __init__(self, num_iter: int, tolerance: float | None = None, **kwargs):
        super().__init__(**kwargs)
        require_integer("num_iter", num_iter)
        if tolerance is None:
            tolerance = 1e-4 if self.precision == "single" else 1e-8
        if not isinstance(tolerance, (int, float)) or not 0 < tolerance < math.inf:
            raise ValueError(f"tolerance = {tolerance!r}; a positive finite number is needed")
        self.num_iter, self.tolerance = num_iter, tolerance

    def call(self, t, c, phi, trace=False, return_state=False):
        t, c, phi = (tf.stop_gradient(x) for x in (t, c, phi))
        scale = tf.math.real(tf.linalg.trace(t)) / t.shape[-1]
        scale = tf.where(scale > 0, scale, tf.reduce_max(tf.abs(c), -1))
        scale = tf.where(scale > 0, scale, 1)
        t, c = divide(t, scale[..., None, None]), divide(c, scale[..., None])
        problem, state = self.begin(t, c, phi)

        def objective(state):
            return scale * quadratic(t, c, self.phasors(state))

        state, record = iterate(
            lambda state: self.step(problem, state),
            state,
            self.num_iter,
            objective if trace else None,
        )
        result = [self.finish(t, c, phi, self.phasors(state))]
        if trace:
            result.append(record)
        if return_state:
            residual = self.residual(problem, state)
            result.append({"residual": residual, "converged": residual <= self.tolerance})
        return tuple(result) if len(result) > 1 else result[0]

    def begin(self, t, c, phi):
        """(what all steps need, the first state)."""
        return (t, c), phi

    def step(self, problem, state):
        """The next state."""
        raise TypeError(f"{type(self).__name__} must define step(problem, state)")

    def phasors(self, state):
        """phi [..., N] of a state."""
        return state

    def residual(self, problem, state):
        """How far a state is from its end, [...]."""
        change = self.phasors(self.step(problem, state)) - self.phasors(state)
        return tf.reduce_max(tf.abs(change), -1)

    def finish(self, t, c, first, last):
        """What is returned, of the first and the last phi."""
        return last


class PowerIteration(UnitModulusSolver):
    r"""Minorise and maximise: :math:`\phi\leftarrow e^{j\arg(T\phi+c)}`.

    The objective is convex, so its tangent at :math:`\phi` lies below it, and no iteration lowers
    it. One product of matrix and vector an iteration: the fastest of the solvers.

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
    >>> t, c = tf.ones([4, 4], tf.complex64), tf.fill([4], 1j)
    >>> irs.PowerIteration()(t, tf.cast(c, t.dtype), tf.ones([4], t.dtype)).numpy().imag.round(4)
    array([1., 1., 1., 1.], dtype=float32)
    """

    compiled = True

    def __init__(self, num_iter: int = 60, **kwargs):
        super().__init__(num_iter, **kwargs)

    def step(self, problem, state):
        t, c = problem
        return unit(tf.linalg.matvec(t, state) + c, state)


class ElementWise(UnitModulusSolver):
    r"""Exact ascent element by element: :math:`\phi_n\leftarrow e^{j\arg z_n}`.

    Here :math:`z_n=c_n+\sum_{m\ne n}T_{nm}\phi_m`. With b bits the phase is rounded to the nearest
    of the 2^b, which is the best of them: no step lowers the objective.

    Parameters
    ----------
    num_iter : int
        Sweeps over the elements.
    num_bits : int or None
        None is continuous. With bits the start is rounded first.

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
    >>> irs.ElementWise(num_bits=1)(t, 1j * t[0], tf.constant([1, -1, 1, 1], t.dtype)).numpy().real
    array([1., 1., 1., 1.], dtype=float32)
    """

    compiled = True

    def __init__(self, num_iter: int = 5, num_bits: int | None = None, **kwargs):
        super().__init__(num_iter, **kwargs)
        require_integer("num_bits", num_bits, high=16, optional=True)
        self.num_bits = num_bits

    def begin(self, t, c, phi):
        if self.num_bits is not None:
            phi = round_phasor(phi, self.num_bits)
        columns = tf.transpose(t, [t.shape.rank - 1, *range(t.shape.rank - 1)])
        return columns, (phi, tf.linalg.matvec(t, phi) + c)

    def step(self, problem, state):
        columns, n = problem, problem.shape[0]

        def body(k, phi, field):
            column = tf.gather(columns, k)
            old, own, z = (tf.gather(x, k, axis=-1) for x in (phi, column, field))
            new = unit(z - own * old, old)
            if self.num_bits is not None:
                new = round_phasor(new, self.num_bits)
            field += (new - old)[..., None] * column
            return k + 1, tf.where(tf.range(n) == k, new[..., None], phi), field

        return tf.while_loop(
            lambda k, *_: k < n, body, (tf.constant(0), *state), maximum_iterations=n
        )[1:]

    def phasors(self, state):
        return state[0]


class ADMM(UnitModulusSolver):
    r"""Alternating direction method of multipliers on the shifted, convex problem.

    With :math:`Q=\begin{bmatrix}T&c\\c^H&0\end{bmatrix}` and
    :math:`\Upsilon=\lambda_{\max}(Q)I-Q`, an iteration is

    .. math:: u\leftarrow e^{j\arg(\rho x-\nu)},\qquad
              x\leftarrow(\Upsilon+\rho I)^{-1}(\nu+\rho u),\qquad \nu\leftarrow\nu+\rho(u-x)

    and :math:`\phi_n=u_nu_{N+1}^*`. The augmented Lagrangian descends for
    :math:`\rho>\sqrt2\,\lambda_{\max}(\Upsilon)`. The objective may fall before it has converged;
    the better of start and end is returned. The residual of the state is the largest
    :math:`|u_n-x_n|`.

    Source: the solver of arXiv 2309.04178; corrected: a penalty that scales with the problem.

    Parameters
    ----------
    num_iter : int
        Iterations.
    penalty : float
        :math:`\rho` over :math:`\sqrt2\,\lambda_{\max}(\Upsilon)`, positive; descent is certain
        above 1.
    exact : bool
        Eigenvalues from a decomposition, for N up to about 64; else from power iterations, and
        the first one times 1.1, as the shifted problem must be convex.

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
    >>> irs.ADMM()(t, 1j * t[0], tf.ones([4], t.dtype)).numpy().imag.round(2)
    array([1., 1., 1., 1.], dtype=float32)
    """

    compiled = True

    def __init__(self, num_iter: int = 100, penalty: float = 1.05, exact: bool = False, **kwargs):
        super().__init__(num_iter, **kwargs)
        if not isinstance(penalty, (int, float)) or not 0 < penalty < math.inf:
            raise ValueError(f"penalty = {penalty!r}; a positive finite number is needed")
        self.penalty, self.exact = penalty, exact

    def begin(self, t, c, phi):
        q = tf.concat([t, c[..., None]], -1)
        last = tf.concat([tf.math.conj(c), tf.zeros_like(c[..., :1])], -1)
        q = tf.concat([q, last[..., None, :]], -2)
        eye = tf.eye(q.shape[-1], dtype=q.dtype)
        largest, spread = self._eigenvalues(q, eye)
        shifted = largest * eye - q
        # Any penalty will do where there is nothing to gain.
        rho = tf.where(
            spread == 0, tf.ones_like(spread), self.cplx(math.sqrt(2) * self.penalty) * spread
        )
        x = tf.concat([phi, tf.ones_like(phi[..., :1])], -1)
        problem = (hpd_inverse(shifted + rho * eye), rho[..., 0])
        return problem, (x, x, tf.linalg.matvec(shifted, x))

    def _eigenvalues(self, q, eye):
        """Largest eigenvalue of Q and of the shifted matrix, [..., 1, 1]."""
        if self.exact:
            w, _ = hermitian_eig(q)
            largest, spread = w[..., 0], w[..., 0] - w[..., -1]
        else:
            # No eigenvalue of Q exceeds the largest one in modulus, as T is positive.
            largest = self.real(1.1) * dominant_singular_vectors(q, 15)[0]
            shifted = tf.cast(largest, q.dtype)[..., None, None] * eye - q
            spread = dominant_singular_vectors(shifted, 15)[0]
        return (tf.cast(w, q.dtype)[..., None, None] for w in (largest, spread))

    def step(self, problem, state):
        inverse, rho = problem
        u, x, nu = state
        u = unit(rho * x - nu, u)
        x = tf.linalg.matvec(inverse, nu + rho * u)
        return u, x, nu + rho * (u - x)

    def phasors(self, state):
        u = state[0]
        return u[..., :-1] * tf.math.conj(u[..., -1:])

    def residual(self, problem, state):
        u, x, _ = state
        return tf.reduce_max(tf.abs(u - x), -1)

    def finish(self, t, c, first, last):
        better = quadratic(t, c, last) >= quadratic(t, c, first)
        return tf.where(better[..., None], last, first)
