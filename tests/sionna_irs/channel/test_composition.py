"""Composition of hops: users beside shared paths, and exact changes, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs
from sionna_irs.channel.graph import push, transfer

RNG = np.random.default_rng(7)
B, K, N, TX, RX = 3, 2, 4, 2, 3
PANEL = irs.ULA(N)
PHASES, STEP = RNG.uniform(0, 6, [B, N]), RNG.standard_normal([B, N])


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def channel_of(hops, names=("s1",)):
    surfaces = {name: irs.IdealPhases(PANEL, precision="double") for name in names}
    return irs.SurfaceChannel(hops, surfaces, precision="double")


def compose(links, phases=PHASES):
    channel = channel_of({name: cplx(*value.shape[-2:]) for name, value in links.items()})
    theta = {"s1": np.exp(1j * phases)}
    return channel.compose({k: tf.constant(v) for k, v in links.items()}, theta).numpy()


@pytest.mark.parametrize("direct_first", [True, False])
@pytest.mark.parametrize(
    "direct, hop_in, hop_out",
    [
        ((B, RX, TX), (B, K, N, TX), (B, RX, N)),
        ((B, K, RX, TX), (B, N, TX), (B, RX, N)),
        ((B, RX, TX), (B, N, TX), (B, K, RX, N)),
        ((RX, TX), (B, N, TX), (RX, N)),
    ],
)
def test_what_users_share_is_added_to_what_they_do_not(direct, hop_in, hop_out, direct_first):
    direct, hop_in, hop_out = cplx(*direct), cplx(*hop_in), cplx(*hop_out)
    links = {"tx>s1": hop_in, "s1>rx": hop_out}
    links = {"tx>rx": direct, **links} if direct_first else {**links, "tx>rx": direct}

    def user(x, k):  # [B, ...] of one user, of what may be shared by users and examples
        x = x[:, k] if x.ndim == 4 else x
        return np.broadcast_to(x, [B, *x.shape[-2:]])

    users = max(x.ndim for x in links.values()) == 4
    found = compose(links)
    assert found.shape == ((B, K, RX, TX) if users else (B, RX, TX))
    for k in range(K if users else 1):
        through = np.einsum(
            "brn,bn,bnt->brt", user(hop_out, k), np.exp(1j * PHASES), user(hop_in, k)
        )
        expected = through + user(direct, k)
        np.testing.assert_allclose(found[:, k] if users else found, expected, atol=1e-12)


def test_phases_of_each_user_over_shared_hops():
    links = {"tx>s1": cplx(B, N, TX), "s1>rx": cplx(B, RX, N)}
    phases = RNG.uniform(0, 6, [B, K, N])
    expected = np.einsum("brn,bkn,bnt->bkrt", links["s1>rx"], np.exp(1j * phases), links["tx>s1"])
    np.testing.assert_allclose(compose(links, phases), expected, atol=1e-12)


@pytest.mark.parametrize("radius", [0.5, 1e-3, 0])
def test_change_is_the_exact_difference_quotient(radius):
    hops = {"tx>rx": cplx(RX, TX), "tx>s1": cplx(N, TX), "s1>rx": cplx(RX, N)}
    channel = channel_of(hops)
    found = channel.observation(channel.draw(B)).change({"s1": PHASES}, {"s1": STEP}, radius)
    # (e^{j(c+mu u)} - e^{j(c-mu u)}) / 2 mu = j e^{jc} sin(mu u) / mu.
    slope = np.sin(radius * STEP) / radius if radius else STEP
    change = 1j * np.exp(1j * PHASES) * slope
    expected = np.einsum("rn,bn,nt->brt", hops["s1>rx"], change, hops["tx>s1"])
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_change_through_two_surfaces_is_refused_and_beside_each_other_it_adds():
    hops = {"tx>s1": cplx(N, TX), "s1>rx": cplx(RX, N), "tx>s2": cplx(N, TX), "s2>rx": cplx(RX, N)}
    names = ("s1", "s2")
    channel = channel_of(hops, names)
    change = {name: cplx(B, N) for name in names}
    expected = sum(
        np.einsum("rn,bn,nt->brt", hops[f"{n}>rx"], change[n], hops[f"tx>{n}"]) for n in names
    )
    found = channel.compose_change(channel.draw(B), change)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    double = channel_of({**hops, "s1>s2": cplx(N, N)}, names)
    with pytest.raises(ValueError, match="'s1>s2' joins two surfaces"):
        double.compose_change(double.draw(B), change)


def test_no_field_where_no_hop_starts_or_ends():
    hop = tf.constant(cplx(N, TX))
    assert transfer({("tx", "s1"): hop}, {"s1": tf.ones(N)}, "tx", "rx") is None
    assert transfer({("s1", "rx"): hop}, {"s1": tf.ones(N)}, "tx", "rx") is None


def test_surfaces_that_see_each_other_reflect_once_on_every_path():
    """tx > a > b > rx beside tx > b > a > rx, and a third surface from which nothing leads on."""
    hops = {pair: cplx(N, N) for pair in [("tx", "a"), ("tx", "b"), ("a", "b"), ("b", "a")]}
    hops |= {("a", "rx"): cplx(N, N), ("b", "rx"): cplx(N, N), ("tx", "c"): cplx(N, N)}
    theta = {name: np.exp(1j * RNG.uniform(0, 6, N)) for name in "abc"}

    def path(*nodes):
        field = np.eye(N)
        for start, end in zip(nodes, nodes[1:], strict=False):
            field = hops[start, end] @ field
            field = theta[end][:, None] * field if end in theta else field
        return field

    paths = [("a",), ("b",), ("a", "b"), ("b", "a")]
    expected = sum(path("tx", *between, "rx") for between in paths)
    found = transfer(
        {k: tf.constant(v) for k, v in hops.items()},
        {k: tf.constant(v) for k, v in theta.items()}, "tx", "rx",
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_every_arrow_is_passed_once_where_there_are_no_circles():
    names = [f"s{i}" for i in range(8)]
    hops = {(a, b): 1 for i, a in enumerate(names) for b in names[i + 1 :]}
    hops |= {("tx", name): 1 for name in names} | {(name, "rx"): 1 for name in names}
    passed = []

    def times(arrow, hop, theta, field):
        passed.append(arrow)
        return hop * theta * field

    total = push(hops, dict.fromkeys(names, 1), "tx", "rx", times, lambda node, a, b: a + b)
    assert total == 2**8 - 1  # a path for every choice of surfaces but none
    assert sorted(passed) == sorted(arrow for arrow in hops if arrow[0] != "tx")


@pytest.mark.parametrize(
    "hops, surfaces, message",
    [
        (3, {}, "hops = 3; a dict is needed"),
        ({"tx>rx": cplx(RX, TX)}, [], r"surfaces = \[\]; a dict is needed"),
        ({"tx>rx": cplx(RX, TX)}, {"s1": 3}, "surfaces.'s1'. = 3; a Surface such as IdealPhases"),
    ],
)
def test_what_is_no_graph(hops, surfaces, message):
    with pytest.raises(TypeError, match=message):
        irs.SurfaceChannel(hops, surfaces)
