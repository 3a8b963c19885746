"""Composition of hops: users beside shared paths, and exact changes, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

import sionna_irs as irs

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
