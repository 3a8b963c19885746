"""What is wanted of surfaces, and what they are set to: dictionaries that cannot be confused."""

__all__ = ["Controls", "Design"]


class Design(dict):
    """What is wanted of every surface: policies return it, channels realise it.

    A name maps to phases, real [..., N] [radian], or to coefficients, complex [..., N]. A surface
    comes as close as its elements can (:meth:`Surface.realize`). ``{**design}`` and comprehensions
    give plain dictionaries: wrap them again.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> user, panel = irs.ULA(1), irs.ULA(2)
    >>> hops = {"tx>s1": irs.RayleighHop(user, panel), "s1>rx": irs.RayleighHop(panel, user)}
    >>> channel = irs.SurfaceChannel(hops, {"s1": irs.Varactor(panel)})
    >>> channel.realize(irs.Design(s1=[0.0, 1.0]))["s1"].numpy().round(3)
    array([0.253, 0.225], dtype=float32)
    """


class Controls(dict):
    """What the hardware of every surface is set to, real [..., num_controls] in its unit.

    Channels take plain dictionaries as controls, too; a policy that gives other controls than
    phases says so with this class.

    Examples
    --------
    >>> import sionna_irs as irs
    >>> irs.Controls(s1=[0.25, 0.3])
    {'s1': [0.25, 0.3]}
    """
