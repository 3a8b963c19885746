"""Stored hops of a surface channel, and what it refuses."""

import cir_twins as twins
import numpy as np
import pytest
import tensorflow as tf
from sionna.phy.channel import RayleighBlockFading
from sionna.phy.channel.tr38901 import CDL, PanelArray, UMi

import sionna_irs as irs
from sionna_irs import random

RNG = np.random.default_rng(4)
DOUBLE = {"precision": "double"}
PANEL = irs.UPA(2, 3)
CARRIER = 3.5e9


@pytest.fixture(autouse=True)
def portable():
    random.install()
    random.reset(random.stream_key(22))


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def stored(*shape):
    b, rx, _, tx, _, paths, _ = shape
    return cplx(*shape), RNG.uniform(0, 1e-6, [b, rx, tx, paths])


def ideal():
    return {"s1": irs.IdealPhases(PANEL, initial=np.arange(6.0), **DOUBLE)}


def one(hops, **kwargs):
    """A channel with the surface s1 in double precision."""
    return irs.SurfaceCIR(hops, ideal(), **DOUBLE, **kwargs)


def pairs(number=20, users=1):
    """A table whose samples are numbered: both hops of sample s have the gain s + 1."""
    count = np.arange(1.0, number + 1).reshape(-1, 1, 1, 1, 1, 1, 1) + 0j
    tau = np.arange(1.0, number + 1).reshape(-1, 1, 1, 1) * 1e-9
    hops = {"tx>s1": (count * np.ones([1, 1, 6, 1, 1, 1, 1]), tau), "tx>rx": (count, tau)}
    hops["s1>rx"] = (np.ones([1, 1, 1, 1, 6, 1, 1]) + 0j, np.zeros([1, 1, 1, 1]))
    return irs.CIRTable(hops, num_users=users, users="tx")


def test_samples_of_a_table_stay_together():
    cir = one(pairs())
    cirs = cir.draw(500)
    samples = cirs["tx>rx"].a.numpy().ravel().real
    assert set(samples) == set(range(1, 21))
    np.testing.assert_array_equal(cirs["tx>s1"].a[:, 0, 0, 0, 0, 0, 0].numpy().real, samples)
    np.testing.assert_allclose(cirs["tx>s1"].tau.numpy().ravel(), samples * 1e-9)
    assert len(cirs["s1>rx"].a) == 1
    index = np.array([[3], [0], [19]])
    chosen = cir.draw(3, index=index)["tx>rx"].a.numpy().ravel()
    np.testing.assert_array_equal(chosen, index.ravel() + 1)
    test = one(pairs().select([4, 6]))
    assert set(test.draw(100)["tx>rx"].a.numpy().ravel()) == {5, 7}


def test_users_of_a_table_are_different_and_share_the_other_hop():
    cir = one(pairs(number=5, users=3))
    a, tau = cir(400, 2, 1e6)
    assert a.shape == (400, 1, 1, 3, 1, 2, 2) and tau.shape == (400, 1, 3, 2)
    users = cir.draw(400)["tx>rx"].a.numpy()[:, 0, 0, :, 0, 0, 0].real
    assert all(len(set(row)) == 3 for row in users)
    # Ordered triples out of five: all 60 occur, and no sample is preferred (5.5 sigma).
    assert (
        len(
            {
                tuple(row)
                for row in cir.draw(3000)["tx>rx"].a.numpy()[..., 0, 0, 0].real.reshape(3000, 3)
            }
        )
        == 60
    )  # noqa: E501  fmt: skip
    counts = np.array([(users == s).sum() for s in range(1, 6)])
    assert np.abs(counts - 240).max() < 5.5 * np.sqrt(400 * 0.6 * 0.4)
    links = cir.links(cir.draw(4))
    assert links["tx>s1"].shape == (4, 3, 6, 1) and links["s1>rx"].shape == (4, 1, 6)


def test_receivers_of_a_table_are_its_users():
    hops = {"tx>s1": stored(1, 1, 6, 1, 2, 3, 1), "s1>rx": stored(7, 1, 2, 1, 6, 4, 1)}
    cir = one(irs.CIRTable(hops, num_users=3))
    index = np.array([[6, 0, 2], [1, 5, 3]])
    cirs = cir.draw(2, index=index)
    expected_a, expected_tau = hops["s1>rx"][0][index], hops["s1>rx"][1][index]
    np.testing.assert_array_equal(cirs["s1>rx"].a, expected_a[:, :, 0])
    np.testing.assert_array_equal(cirs["s1>rx"].tau, expected_tau[:, :, 0])
    h = cir.compose(cirs, cir.reflect())[0].numpy()
    for b, k in np.ndindex(2, 3):
        out = tuple(x[index[b, k]][None] for x in hops["s1>rx"])
        expected, _ = twins.through(np.exp(1j * np.arange(6.0)), hops["tx>s1"], out)
        np.testing.assert_allclose(h[b, k], expected[0, 0], atol=1e-11)


def test_stored_data_is_not_written_into_the_graph():
    cir = one({"tx>s1": stored(5000, 1, 6, 1, 1, 3, 1), "s1>rx": stored(1, 1, 3, 1, 6, 2, 1)})
    function = tf.function(lambda: cir(4, 2, 1e6), autograph=False)
    graph = function.get_concrete_function().graph.as_graph_def()
    data = cir.hops["tx>s1"].table.cirs["tx>s1"].a.nbytes
    assert data > 1e6 and graph.ByteSize() < 0.1 * data
    assert function()[0].shape == (4, 1, 3, 1, 1, 6, 2)


def test_picks_of_a_table_are_portable():
    cir = one(pairs(users=2))
    picks = []
    for jit in (None, False, True):
        draw = lambda: cir.draw(50)["tx>rx"].a  # noqa: E731
        call = draw if jit is None else tf.function(draw, jit_compile=jit, autograph=False)
        random.reset(random.stream_key(8))
        picks.append(call().numpy())
    np.testing.assert_array_equal(picks[0], picks[1])
    np.testing.assert_array_equal(picks[0], picks[2])


def wave(*shape, size=3):
    return np.ones([*shape, size])


A, TAU = stored(5, 1, 1, 1, 6, 2, 1)
IN, OUT = stored(1, 1, 6, 1, 2, 3, 1), stored(1, 1, 3, 1, 6, 2, 1)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: irs.CIRTable({"tx>rx": (A[0], TAU)}), r"a has shape \(1, 1, 1, 6, 2, 1\)"),
        (lambda: irs.CIRTable({"tx>rx": (A.real, TAU)}), "dtype float64; complex"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU[..., :1])}), r"\(5, 1, 1, 2\) is needed"),
        (lambda: irs.CIRTable({"tx>rx": (A,)}), "has 1 parts"),
        (lambda: irs.CIRTable({"tx>rx": (A[:, :, :, :, :0], TAU)}), "a has shape"),
        (lambda: irs.CIRTable({"tx>rx": (A * np.nan, TAU)}), "not finite"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU * np.inf)}), "not finite"),
        (lambda: irs.CIRTable({"s1>rx": (A, TAU, wave(5, 1, 1, 2, size=2))}), "rx_wave has shape"),
        (lambda: irs.CIRTable({"s1>s2": (A, TAU, None, wave(5, 1, 1, 2))}), "not 6"),
        (lambda: irs.CIRTable({"s1>rx": (A, TAU, wave(5, 1, 1, 2))}), "arrays lacks 'rx'"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU), "tx>s1": (A[:3], TAU[:3])}), "samples = "),
        (
            lambda: irs.CIRTable({"tx>rx": (A, TAU)}, num_users=6),
            "num_users = 6; an integer in 1..5",
        ),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU)}, num_users=0), "num_users = 0"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU)}, users="s1"), "users = 's1'"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU)}, order="rows"), "order = 'rows'"),
        (lambda: irs.CIRTable({"tx>s1": (A, TAU)}, num_users=2), "does not touch 'rx'"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU)}).select([5]), "index in 5..5; 0..4"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU)}).select([]), "at least one integer"),
        (lambda: irs.CIRTable({"tx>rx": (A, TAU)}).select([0.5]), "at least one integer"),
    ],
)
def test_wrong_tables(make, text):
    with pytest.raises(ValueError, match=text) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "index, text",
    [
        ([0, 1, 2], r"index has shape \(3,\)"),
        ([[0, 1], [1, 2], [3, 4]], r"integers \[3, 1\] are needed"),
        ([[0], [1]], r"integers \[3, 1\] are needed"),
        ([[0.0], [1.0], [2.0]], "dtype float32; integers"),
        ([[0], [1], [20]], r"index in 0..20; 0..19"),
        ([[0], [1], [-1]], r"index in -1..1; 0..19"),
    ],
)
def test_wrong_picks(index, text):
    with pytest.raises(ValueError, match=text):
        one(pairs()).draw(3, index=index)


def test_a_pick_without_a_table():
    with pytest.raises(ValueError, match="no hop has several samples"):
        one({"tx>s1": IN, "s1>rx": OUT}).draw(3, index=[[0], [0], [0]])


GOOD = {"tx>s1": IN, "s1>rx": OUT}


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: one({"tx-s1": IN}), "'from>to'"),
        (lambda: one({"tx>s2": IN}), "must lead from"),
        (lambda: one({"tx>s1": IN}), "no path leads"),
        (lambda: one({**GOOD, "tx>rx": np.ones(3)}), r"shape \(3,\); a channel model"),
        (lambda: one({"tx>s1": irs.RayleighHop(irs.ULA(1), irs.ULA(5)), "s1>rx": OUT}), "5 ant"),
        (lambda: one({**GOOD, "tx>rx": ("a", "b")}), "a has shape"),
        (lambda: one(GOOD, num_paths=3, max_energy_loss=0.1), "give one of them"),
        (lambda: one(GOOD, num_paths=0), "num_paths = 0"),
        (lambda: one(GOOD, max_energy_loss=1.0), "max_energy_loss = 1"),
        (lambda: one(GOOD, memory_limit=0), "memory_limit = 0"),
        (lambda: one(GOOD, frequencies=1e6), r"frequencies has shape \(\)"),
        (lambda: one(GOOD, frequencies=[]), r"frequencies has shape \(0,\)"),
        (lambda: one({"tx>s1": stored(4, *IN[0].shape[1:]), "s1>rx": stored(4, *OUT[0].shape[1:])}),
         "2 tables of several samples"),
        (lambda: irs.UPA(0, 4), "num_rows = 0"),
        (lambda: irs.DualPolarized(irs.DualPolarized(PANEL)), "a ULA or a UPA"),
        (lambda: irs.CIRHop(RayleighBlockFading(1, 1, 1, 1), path_gain=0), "path_gain = 0"),
        (lambda: irs.CIRHop(RayleighBlockFading(1, 1, 1, 1), excess_delay=-1e-9), "excess_delay"),
        (lambda: irs.CIRHop(RayleighBlockFading(1, 1, 1, 1), order="rows"), "order = 'rows'"),
    ],
)  # fmt: skip
def test_wrong_channels(make, text):
    with pytest.raises(ValueError, match=text) as error:
        make()
    assert "\n" not in str(error.value)


FAR = irs.CIR(*stored(1, 1, 1, 1, 2, 3, 1), wave(1, 1, 1, 3) / np.sqrt(3))


@pytest.mark.parametrize(
    "hops, text",
    [
        ({"tx>s1": stored(1, 1, 5, 1, 2, 3, 1)}, "5 antennas at surface 's1' of 6 elements"),
        ({"s1>rx": stored(1, 1, 3, 1, 7, 2, 1)}, "7 antennas at surface 's1' of 6 elements"),
        ({"s1>rx": stored(1, 1, 3, 1, 12, 2, 1)}, "12 antennas at 's1', but .* has 1 of 6"),
        ({"s1>rx": stored(1, 1, 3, 1, 12, 2, 1), "tx>s1": FAR}, "12 antennas at 's1', but"),
        ({"tx>s1": stored(1, 2, 6, 1, 2, 3, 1)}, "2 receivers at surface 's1'; 1 is needed"),
        ({"s1>rx": stored(1, 1, 3, 2, 6, 2, 1)}, "2 transmitters at surface 's1'; 1 is needed"),
        ({"tx>rx": stored(1, 1, 3, 1, 1, 2, 1)}, "1 antennas at 'tx', but hop 'tx>s1' has 1 of 2"),
        ({"tx>rx": stored(1, 2, 3, 1, 2, 2, 1)}, "2 receivers of 3 antennas at 'rx', but"),
        ({"tx>s1": stored(1, 1, 6, 1, 2, 3, 2), "s1>rx": stored(1, 1, 3, 1, 6, 2, 3)},
         "time steps of the hops = "),
        ({"tx>s1": stored(1, 1, 6, 1, 2, 3, 2)}, "num_time_steps = 4, but the hops give 2"),
    ],
)  # fmt: skip
def test_hops_that_do_not_fit(hops, text):
    cir = one({**GOOD, **hops})
    with pytest.raises(ValueError, match=text):
        cir(5, 4, 1e6)


def test_waves_have_one_polarisation():
    panel = {"s1": irs.IdealPhases(irs.DualPolarized(PANEL), **DOUBLE)}
    cir = irs.SurfaceCIR({"tx>s1": FAR, "s1>rx": stored(1, 1, 3, 1, 12, 2, 1)}, panel, **DOUBLE)
    with pytest.raises(ValueError, match="waves at surface 's1': they carry one polarisation"):
        cir(1, 1, 1e6)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda cir: cir(0, 4, 1e6), "batch_size = 0"),
        (lambda cir: cir(5, 0, 1e6), "num_time_steps = 0"),
        (lambda cir: cir.reflect({"s2": np.zeros(6)}), r"the surfaces are \['s1'\]"),
        (lambda cir: cir.reflect({"s1": np.zeros(5)}), "num_controls = 6"),
        (lambda cir: cir.compose({"tx>s1": cir.draw(1)["tx>s1"]}, cir.reflect()), "lacks"),
        (lambda cir: cir.compose(cir.draw(1), {}), r"theta lacks \['s1'\]"),
        (lambda cir: cir.response({}, [0.0]), "lacks"),
        (lambda cir: cir.response(cir.draw(1), [0.0], {"s2": np.zeros(6)}), "the surfaces are"),
        (lambda cir: cir.response(cir.draw(1), 0.0), r"frequencies has shape \(\)"),
        (lambda cir: cir.links(cir.draw(1), []), r"frequencies has shape \(0,\)"),
    ],
)
def test_wrong_calls(call, text):
    with pytest.raises(ValueError, match=text):
        call(one(GOOD))


@pytest.mark.parametrize("shape", [[5, 7, 6], [5, 3, 6], [5, 2, 4, 6]])
def test_one_design_for_all_users_and_subcarriers(shape):
    """As many users as time steps: an axis of users must not pass for the time."""
    hops = {"tx>s1": irs.RayleighHop(irs.ULA(1), PANEL, num_users=3), "s1>rx": np.ones([1, 6])}
    own = {"s1": irs.IdealPhases(PANEL)}
    cir = irs.SurfaceCIR(hops, own, policy=lambda links: {"s1": np.zeros(shape)})
    with pytest.raises(ValueError, match="one design for all subcarriers and users"):
        cir(5, 3, 1e6)


def panel(rows, cols):
    return PanelArray(rows, cols, "single", "V", "omni", CARRIER)


def test_too_much_memory_is_refused_before_a_tensor_is_made():
    cdl = CDL("A", 30e-9, CARRIER, panel(1, 1), panel(64, 64), "uplink", min_speed=3.0)
    large = irs.UPA(64, 64)
    hops = {"tx>s1": cdl, "s1>rx": np.ones([1, 4096])}
    cir = irs.SurfaceCIR(hops, {"s1": irs.IdealPhases(large)})
    # 8 byte x 1000 examples x 14 time steps x 23 clusters x 20 rays x 4096 elements.
    with pytest.raises(ValueError, match=r"drawing hop 'tx>s1' needs a tensor of 211 GB"):
        cir(1000, 14, 30e3)
    still = CDL("A", 30e-9, CARRIER, panel(1, 1), panel(64, 64), "uplink")
    cir = irs.SurfaceCIR({**hops, "tx>s1": still}, {"s1": irs.IdealPhases(large)})
    with pytest.raises(ValueError, match=r"needs a tensor of 15.1 GB"):
        cir(1000, 14, 30e3)
    umi = UMi(CARRIER, "low", panel(1, 1), panel(64, 64), "uplink", enable_pathloss=False)
    place = np.zeros([100, 1, 3], np.float32)
    user, base = place + np.float32([50, 0, 1.5]), place + np.float32([0, 0, 10])
    umi.set_topology(user, base, place, place, place, np.zeros([100, 1], bool))
    cir = irs.SurfaceCIR({**hops, "tx>s1": umi}, {"s1": irs.IdealPhases(large)})
    with pytest.raises(ValueError, match="drawing hop 'tx>s1' needs a tensor of"):
        cir(100, 14, 30e3)


def test_too_large_a_composition_is_refused():
    small = {"tx>s1": stored(1, 1, 6, 1, 4, 300, 1), "s1>rx": stored(1, 1, 4, 1, 6, 300, 1)}
    # 16 byte x 4 x 4 antennas x 300 x 300 paths
    with pytest.raises(ValueError, match=r"at surface 's1' needs a tensor of 0.023 GB, more than"):
        one(small, memory_limit=0.02e9)(1, 1, 1e6)
    cir = one(small, memory_limit=0.1e9)
    theta = {"s1": tf.ones([10, 1, 6], tf.complex128)}  # as many designs as examples
    with pytest.raises(ValueError, match=r"needs a tensor of 0.23 GB"):
        cir.compose(cir.draw(10), theta)
