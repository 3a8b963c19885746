"""Composition of impulse responses against drawing the hops, and large panels in far-field form."""

import math

from ...runs.timing import milliseconds


def _cdl_channel(num_rows=8, static=None):
    """CDL-A into a panel and CDL-D out of it to four antennas."""
    from sionna.phy.channel.tr38901 import CDL, PanelArray

    import sionna_irs as irs

    carrier = 3.5e9

    def elements(rows, cols):
        return PanelArray(rows, cols, "single", "V", "omni", carrier)

    user, panel, base = elements(1, 1), elements(num_rows, num_rows), elements(1, 4)
    hops = {
        "tx>s1": CDL("A", 30e-9, carrier, user, panel, "uplink"),
        "s1>rx": CDL("D", 30e-9, carrier, panel, base, "uplink"),
    }
    return irs.SurfaceCIR(
        {name: irs.CIRHop(model, static=static) for name, model in hops.items()},
        {"s1": irs.IdealPhases(irs.UPA(num_rows, num_rows))},
    )


def composition(batch_size=32):
    """Time of composing over that of drawing 3GPP hops, both compiled by XLA."""
    import tensorflow as tf

    import sionna_irs as irs

    irs.random.install()
    results = {}
    for steps, static in ((1, True), (14, False)):
        cir = _cdl_channel(static=static)
        draw = tf.function(
            lambda cir=cir, steps=steps: {k: v[:2] for k, v in cir.draw(batch_size, steps).items()},
            jit_compile=True, autograph=False,
        )  # fmt: skip
        cirs = cir.draw(batch_size, steps)
        theta = cir.reflect()
        compose = tf.function(
            lambda cirs, cir=cir, theta=theta: cir.compose(cirs, theta),
            jit_compile=True, autograph=False,
        )  # fmt: skip
        drawing, composing = milliseconds(draw), milliseconds(lambda f=compose, c=cirs: f(c))
        text = f"64 elements, {steps} time steps, batch {batch_size}"
        results[f"drawing CDL hops, {text}"] = (drawing, "ms")
        results[f"composing them, {text}"] = (composing, "ms")
        results[f"composition over drawing, {text}"] = (composing / drawing, "ratio")
    return results


def far_field(batch_size=32, num_paths=10):
    """Time of composing hops with known directions, 64 to 10,000 elements, compiled by XLA."""
    import tensorflow as tf

    import sionna_irs as irs

    irs.random.install()

    def hop(end):
        shape = [batch_size, 1, 1, num_paths]
        wave = irs.random.normal([*shape, 3])
        wave /= tf.norm(wave, axis=-1, keepdims=True)
        a = irs.random.complex_normal([batch_size, 1, 1, 1, 1, num_paths, 1])
        return irs.CIR(a, 1e-7 * irs.random.uniform(shape), **{f"{end}_wave": wave})

    results = {}
    for num_rows in (8, 32, 100):
        panel = irs.UPA(num_rows, num_rows)
        table = irs.CIRTable({"tx>s1": hop("rx"), "s1>rx": hop("tx")})
        cir = irs.SurfaceCIR(table, {"s1": irs.IdealPhases(panel)})
        cirs = {"tx>s1": hop("rx"), "s1>rx": hop("tx")}
        theta = tf.exp(tf.complex(0.0, 2 * math.pi * irs.random.uniform([panel.num_ant])))
        compose = tf.function(
            lambda cirs, cir=cir, theta=theta: cir.compose(cirs, {"s1": theta}),
            jit_compile=True, autograph=False,
        )  # fmt: skip
        elapsed = milliseconds(lambda f=compose, c=cirs: f(c))
        results[f"composing {num_paths} x {num_paths} plane waves, {panel.num_ant} elements"] = (
            elapsed, "ms",
        )  # fmt: skip
    return results
