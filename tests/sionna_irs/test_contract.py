"""Every public layer under the contract suite; a layer without a case fails."""

import gc

import numpy as np
import pytest
from hybrid_cases import HYBRID
from sionna.phy.fec.ldpc import LDPC5GEncoder

import sionna_irs as irs
from sionna_irs import testing
from sionna_irs.layer import LinkLayer
from sionna_irs.link import Link

RNG = np.random.default_rng(1)


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def real(*shape):
    return RNG.standard_normal(shape)


PANEL, USER, BASE = irs.ULA(3), irs.ULA(1), irs.ULA(2)
STATISTICS = irs.CascadedChannel(2, 3).statistics
PILOTS = irs.SurfacePilots(3, 4)
NO = np.array(0.3)
LINKS = {"tx>s1": cplx(2, 3, 1), "s1>rx": cplx(2, 2, 3), "tx>rx": cplx(2, 2, 1)}
WIDE_LINKS = {"tx>s1": cplx(2, 4, 3, 1), "s1>rx": cplx(2, 4, 2, 3), "tx>rx": cplx(2, 4, 2, 1)}
DELAY = irs.exponential_delay_covariance(3e-7, [0.0, 1e6, 2e6])

# Reasons that several layers share.
DRAWS = {"gradient": "draws random numbers; it has no differentiable input"}
DECIDES = "a design is a decision; no gradient passes, by intention"
NUMBER = "its argument is a number, not a tensor"
ROUNDS = "its gradient is the straight-through one, not the derivative"
LINK_INPUT = "its input is a nest of links, which a saved file cannot carry"


def swap_users(inputs):
    return {**inputs, "h": inputs["h"][:, ::-1]}


def case(cls, arguments, inputs, gradient=(), **kwargs):
    return testing.LayerCase(cls, arguments, inputs, gradient, **kwargs)


def estimator(cls, **arguments):
    modelled = cls not in (irs.LSEstimator, irs.RankOneEstimator)
    if modelled and "covariances" not in arguments:
        arguments["statistics"] = STATISTICS
    return case(
        cls, {"pilots": PILOTS, **arguments}, {"y": cplx(2, 2, 4), "no": NO}, ("y",),
        awkward={"zero observation": {"y": np.zeros([2, 2, 4], complex)}},
        # A turn of all observations turns the estimate and leaves the error variance.
        invariances={
            "phase": (
                lambda i: {**i, "y": 1j * i["y"]}, lambda o: [1j * o[0], o[1]],
            )
        },
    )  # fmt: skip


def precoder(cls, **arguments):
    return case(
        cls, arguments, {"h": cplx(2, 2, 3), "no": NO}, ("h",),
        invariances={"users": (swap_users, lambda v: v[..., ::-1])},
    )  # fmt: skip


def receiver(cls):
    return case(
        cls, {}, {"y": cplx(4, 3), "h": cplx(4, 3, 2), "no": NO}, ("y", "h"),
        invariances={
            "streams": (
                lambda i: {**i, "h": i["h"][..., ::-1]}, lambda o: [x[..., ::-1] for x in o],
            )
        },
    )  # fmt: skip


def surface(cls, **kwargs):
    arguments = {"panel": PANEL, "trainable": True, **kwargs.pop("arguments", {})}
    gradient = kwargs.pop("gradient", ("control",))
    return case(
        cls, arguments, {"control": real(2, 3)}, gradient,
        awkward={"zero": {"control": np.zeros([2, 3])}}, **kwargs,
    )  # fmt: skip


def policy(cls, links=LINKS, **arguments):
    return case(
        cls, arguments, {"links": links},
        skip={"gradient": DECIDES, "fresh process": LINK_INPUT},
    )  # fmt: skip


GRAM = cplx(2, 3, 4)
GRAM = GRAM @ GRAM.conj().swapaxes(-1, -2)
ROOM = irs.RoomChannel(2, 16, stride=50, precision="double")
USER_PILOTS = irs.UserPilots(2, 3, precision="double")


def user_estimator(cls, **arguments):
    return case(
        cls, {"pilots": USER_PILOTS, **arguments}, {"y": cplx(2, 4, 3), "no": NO}, ("y",),
        invariances={
            "antennas": (
                lambda i: {**i, "y": i["y"][:, ::-1]}, lambda o: [o[0][:, ::-1], o[1]],
            )
        },
    )  # fmt: skip


def unit_modulus(cls, **arguments):
    root = cplx(2, 3, 2)
    inputs = {
        "t": root @ root.conj().swapaxes(-1, -2),
        "c": cplx(2, 3),
        "phi": np.exp(1j * real(2, 3)),
    }
    return case(
        cls, arguments, inputs,
        awkward={"zero": {"t": np.zeros([2, 3, 3], complex), "c": np.zeros([2, 3], complex)}},
        skip={"gradient": DECIDES},
    )  # fmt: skip


def maps(cls, **arguments):
    return case(cls, arguments, {"x": real(2, 3, 4, 2)}, ("x",))


# A round of each: more would amplify what rounding differs between eager, graph and XLA.
START = irs.AlignedPhases(precision="double")
DOUBLE = irs.DoubleSurfaceChannel(2, 2, [2, 4], num_scatterers=2)
DOUBLE_LINKS = {
    "tx>s1": cplx(2, 2, 2), "tx>s2": cplx(2, 4, 2), "s1>s2": cplx(2, 4, 2),
    "s1>rx": cplx(2, 2, 2), "s2>rx": cplx(2, 2, 4),
}  # fmt: skip
NETWORK = irs.CellNetwork(
    irs.Genotype([[["skip", "conv"]]]), 2, num_channels=3, norm=False, precision="double"
)
HOPS = {"tx>s1": cplx(3, 1), "s1>rx": cplx(2, 3), "tx>rx": cplx(2, 1)}
SURFACES = {"s1": irs.IdealPhases(PANEL)}
SYMBOL_CHANNEL = irs.SurfaceChannel(
    {"tx>s1": irs.RayleighHop(BASE, PANEL), "s1>rx": irs.RayleighHop(PANEL, BASE)},
    {"s1": irs.IdealPhases(PANEL, precision="double")}, precision="double",
)  # fmt: skip
NOT_A_TENSOR = {"one trace": NUMBER, "keras model": NUMBER, **DRAWS}
UNUSED = "the own control takes no part when a control is given"

CASES = {
    "IdealPhases": surface(irs.IdealPhases, skip={"gradient": UNUSED}),
    "DiscretePhases": surface(
        irs.DiscretePhases, arguments={"num_bits": 2}, skip={"gradient": ROUNDS}
    ),
    "CoupledAmplitude": surface(irs.CoupledAmplitude, skip={"gradient": UNUSED}),
    "Varactor": case(
        irs.Varactor, {"panel": PANEL},
        {"control": np.array([[0.42, 0.45, 0.47], [0.43, 0.44, 0.48]])}, ("control",),
        awkward={"ends": {"control": np.array([[0.1, 0.253, 0.5]])}},
    ),
    "AdjustableAmplitude": case(
        irs.AdjustableAmplitude, {"panel": PANEL},
        {"control": np.array([[0.1, -2.0, 3.0, 0.9, 0.5, 0.2], [4.0, 0.3, 1.0, 0.1, 0.8, 0.6]])},
        ("control",),
        awkward={"zero": {"control": np.zeros([2, 6])}},
    ),
    "GroupConnected": case(
        irs.GroupConnected, {"panel": irs.ULA(4), "group_size": 2, "trainable": True},
        {"control": real(2, 6)}, awkward={"zero": {"control": np.zeros([2, 6])}},
        skip={"gradient": UNUSED, "keras model": "Keras' symbols cannot be operators"},
    ),
    "RicianHop": case(
        irs.RicianHop, {"tx_array": USER, "rx_array": PANEL, "k_factor": 2.0}, {"batch_size": 2},
        skip=NOT_A_TENSOR,
    ),
    "RayleighHop": case(
        irs.RayleighHop,
        {"tx_array": USER, "rx_array": PANEL, "num_users": 2,
         "rx_correlation": irs.exponential_correlation(PANEL, 0.5j)},
        {"batch_size": 2}, skip=NOT_A_TENSOR,
    ),
    "SurfaceChannel": case(
        irs.SurfaceChannel, {"hops": HOPS, "surfaces": SURFACES}, {"batch_size": 2},
        skip=NOT_A_TENSOR,
    ),
    "SurfaceCIR": case(
        irs.SurfaceCIR,
        {"hops": {**HOPS, "tx>rx": (cplx(1, 1, 2, 1, 1, 3, 1), np.abs(real(1, 1, 1, 3)))},
         "surfaces": SURFACES, "num_paths": 1},
        {"batch_size": 2, "num_time_steps": 3, "sampling_frequency": 1e6}, skip=NOT_A_TENSOR,
    ),
    "CascadedChannel": case(
        irs.CascadedChannel, {"num_rx_ant": 2, "num_elements": 3}, {"batch_size": 2},
        skip=NOT_A_TENSOR,
    ),
    "DoubleScatteringHop": case(
        irs.DoubleScatteringHop,
        {"tx_array": USER, "rx_array": PANEL, "k_factor": 2.0, "num_scatterers": 2},
        {"batch_size": 2}, skip=NOT_A_TENSOR,
    ),
    "DoubleSurfaceChannel": case(
        irs.DoubleSurfaceChannel,
        {"num_tx_ant": 2, "num_rx_ant": 2, "num_elements": [2, 4], "unit_power": True,
         "geometry": irs.DoubleGeometry(10.0, 1.0, 1.0), "num_scatterers": 2, "reverse": True},
        {"batch_size": 2}, skip=NOT_A_TENSOR,
    ),
    "HopModel": case(
        irs.HopModel,
        {"hop": irs.DoubleScatteringHop(USER, PANEL, 1.0, num_scatterers=2),
         "mean_excess_delay": 1e-8, "max_doppler": 10.0},
        {"batch_size": 2, "num_time_steps": 3, "sampling_frequency": 1e4}, skip=NOT_A_TENSOR,
    ),
    "DoubleSurfaceCIR": case(
        irs.DoubleSurfaceCIR,
        {"channel": irs.DoubleSurfaceChannel(
            2, 2, 2, num_scatterers=2, carrier_frequency=3e9, unit_power=True)},
        {"batch_size": 2, "num_time_steps": 1, "sampling_frequency": 1e4}, skip=NOT_A_TENSOR,
    ),
    "RoomChannel": case(
        irs.RoomChannel, {"num_users": 2, "num_ant": 3, "split": "test", "stride": 40},
        {"batch_size": 2}, skip=NOT_A_TENSOR,
    ),
    "SceneCascade": case(
        irs.SceneCascade, {"num_rx_ant": 2, "num_elements": 3, "spacing": 20.0},
        {"batch_size": 2}, skip=NOT_A_TENSOR,
    ),
    "BatchNorm": maps(irs.BatchNorm, num_channels=2),
    "Convolution": maps(irs.Convolution, kind="dil", num_inputs=2, num_filters=3),
    "AntennaContext": maps(irs.AntennaContext, num_channels=2),
    "CDRN": maps(irs.CDRN, num_blocks=1, num_layers=1, num_filters=2),
    "CellNetwork": maps(
        irs.CellNetwork, genotype=irs.Genotype([[["sep", "ctx"]]]), num_filters=2, norm=False,
        context=True,
    ),
    "Denoiser": case(
        irs.Denoiser, {"network": NETWORK}, {"u": cplx(2, 3, 4), "variance": NO}, ("u",),
        awkward={"zero estimate": {"u": np.zeros([2, 3, 4], complex)}},
    ),
    "LearnedEstimator": case(
        irs.LearnedEstimator, {"pilots": PILOTS, "denoiser": irs.Denoiser(NETWORK)},
        {"y": cplx(2, 2, 4), "no": NO}, ("y",),
        awkward={"zero observation": {"y": np.zeros([2, 2, 4], complex)}},
    ),
    "SurfacePilots": case(
        irs.SurfacePilots, {"num_elements": 3, "num_patterns": 4},
        {"u": cplx(2, 2, 4), "no": NO}, ("u",),
    ),
    "LSEstimator": estimator(irs.LSEstimator),
    "ScalarLMMSEEstimator": estimator(irs.ScalarLMMSEEstimator),
    "LMMSEEstimator": estimator(irs.LMMSEEstimator),
    "SampleLMMSEEstimator": estimator(
        irs.SampleLMMSEEstimator, covariances=np.stack([np.eye(2), [[2, 0.5j], [-0.5j, 1]]])
    ),
    "BayesEstimator": estimator(irs.BayesEstimator),
    "RankOneEstimator": estimator(irs.RankOneEstimator),
    "OFDMLMMSEEstimator": case(
        irs.OFDMLMMSEEstimator,
        {"pilots": PILOTS, "frequency_covariance": (DELAY, DELAY), "pilot_subcarriers": [0, 2]},
        {"y": cplx(2, 2, 2, 4), "no": NO}, ("y",),
        awkward={"zero observation": {"y": np.zeros([2, 2, 2, 4], complex)}},
        invariances={
            "phase": (lambda i: {**i, "y": 1j * i["y"]}, lambda o: [1j * o[0], o[1]])
        },
    ),
    "MRTPrecoder": precoder(irs.MRTPrecoder, power="per_user"),
    "ZFPrecoder": precoder(irs.ZFPrecoder),
    "RZFPrecoder": precoder(irs.RZFPrecoder),
    "WMMSE": case(
        irs.WMMSE, {"num_iter": 3, "num_steps": 6}, {"h": cplx(2, 2, 3), "no": NO},
        invariances={"users": (swap_users, lambda v: v[..., ::-1])},
        awkward={"a user without a channel": {"h": cplx(2, 2, 3) * [[1], [0]], "no": NO}},
        skip={"gradient": DECIDES},
    ),
    "MRCReceiver": receiver(irs.MRCReceiver),
    "ZFReceiver": receiver(irs.ZFReceiver),
    "LMMSEReceiver": receiver(irs.LMMSEReceiver),
    "RandomPhases": policy(irs.RandomPhases),
    "PowerIteration": unit_modulus(irs.PowerIteration, num_iter=5),
    "ElementWise": unit_modulus(irs.ElementWise, num_iter=2),
    "ADMM": unit_modulus(irs.ADMM, num_iter=5),
    "RiemannianAscent": unit_modulus(irs.RiemannianAscent, num_iter=3),
    "SumPathGain": policy(irs.SumPathGain, num_iter=1, start=START),
    "CapacityAscent": policy(irs.CapacityAscent, snr=1.0, num_iter=1, starts=START),
    "DominantMode": policy(irs.DominantMode, num_iter=1, start=START),
    "StatisticalPhases": policy(
        irs.StatisticalPhases, DOUBLE_LINKS, channel=DOUBLE, num_iter=1, num_starts=2
    ),
    "UserPilots": case(
        irs.UserPilots, {"num_users": 2, "num_symbols": 3, "trainable": True},
        {"h": cplx(2, 4, 2), "no": NO}, skip=DRAWS,
    ),
    "UserLSEstimator": user_estimator(irs.UserLSEstimator),
    "UserScaledLSEstimator": user_estimator(irs.UserScaledLSEstimator, powers=[1.0, 2.0]),
    "UserLMMSEEstimator": user_estimator(irs.UserLMMSEEstimator, powers=[1.0, 2.0]),
    # Rows of a room, well loaded: paths of nearly one direction leave few digits of their gains.
    "FingerprintMapping": case(
        irs.FingerprintMapping,
        {"room": ROOM, "num_refine": 0, "ridge": 0.1},
        {"h_ul": 1e3 * ROOM.compose([[3, 40], [25, 11]])[0].numpy()},
        skip={"gradient": "the nearest position is a decision"},
    ),
    "ImplicitCSIPrecoder": case(
        irs.ImplicitCSIPrecoder,
        {"estimator": irs.UserLSEstimator(USER_PILOTS),
         "mapping": irs.RowNet(4, [8], residual=False, precision="double")},
        {"y": cplx(2, 4, 3), "no": NO}, ("y",),
    ),
    "RowNet": case(
        irs.RowNet, {"num_inputs": 3, "hidden": [4]}, {"x": cplx(2, 2, 3)}, ("x",),
        awkward={"zero": {"x": np.zeros([2, 2, 3], complex)}},
        invariances={"rows": (lambda i: {"x": i["x"][:, ::-1]}, lambda y: y[:, ::-1])},
    ),
    "Calibrated": case(
        irs.Calibrated,
        {"basis": irs.RZFPrecoder(precision="double"),
         "row_net": irs.RowNet(3, [4], precision="double"), "learned_loading": True},
        {"x": cplx(2, 2, 3), "no": NO}, ("x",),
        invariances={
            "users": (lambda i: {**i, "x": i["x"][:, ::-1]}, lambda v: v[..., ::-1]),
        },
    ),
    "UnfoldedWMMSE": precoder(irs.UnfoldedWMMSE, num_layers=2, num_ant=3),
    "GramCNNPrecoder": case(
        irs.GramCNNPrecoder, {"num_users": 2, "num_filters": 3},
        {"h": cplx(2, 2, 3), "no": NO}, ("h",),
    ),
    "CNNPrecoder": case(
        irs.CNNPrecoder, {"num_users": 2, "num_ant": 3, "filters": [3], "width": 4},
        {"h": cplx(2, 2, 3), "no": NO}, ("h",),
    ),
    "PilotCNNPrecoder": case(
        irs.PilotCNNPrecoder,
        {"pilots": irs.UserPilots(2, 2, precision="double"), "num_ant": 3,
         "filters": [24], "width": 24},
        {"y": cplx(2, 3, 2), "no": NO}, ("y",),
    ),
    "UserGraph": case(
        irs.UserGraph, {"num_layers": 1, "width": 4}, {"gram": GRAM},
        skip={"gradient": "the last map starts at zero: its output is constant"},
    ),
    "StructuredPrecoder": precoder(irs.StructuredPrecoder),
    # Filters enough that not all of a layer are off: the next one would sit on its kink.
    "SymbolNetwork": case(
        irs.SymbolNetwork,
        {"num_inputs": 2, "num_filters": 24, "num_outputs": 2, "kernel_size": 3},
        {"x": real(2, 4, 2)}, ("x",),
    ),
    "SurfaceAutoencoder": case(
        irs.SurfaceAutoencoder,
        {"channel": SYMBOL_CHANNEL, "num_messages": 4, "num_filters": 24,
         "num_surface_filters": 24},
        {"links": {"tx>s1": cplx(2, 2, 3, 2), "s1>rx": cplx(2, 2, 2, 3)},
         "messages": np.array([[0, 1], [2, 3]], np.int32), "power": np.array(0.5)}, ("power",),
        skip={"fresh process": LINK_INPUT},
    ),
    "AlignedPhases": policy(irs.AlignedPhases),
    "AlignedResponse": case(
        irs.AlignedResponse, {"surface": irs.GroupConnected(PANEL, 3)}, {"links": LINKS},
        skip={
            "gradient": DECIDES, "fresh process": LINK_INPUT,
            "keras model": "Keras' symbols cannot be operators",
            "nesting": "rounding decides what the directions leave open; |h| is tested in XLA",
        },
    ),
    "CoordinateAscent": policy(irs.CoordinateAscent, num_bits=2, num_iter=2),
    "StrongestTap": policy(irs.StrongestTap, links=WIDE_LINKS, num_bits=2),
    "RateCoordinateAscent": policy(
        irs.RateCoordinateAscent, links=WIDE_LINKS, snr=0.5, num_iter=2
    ),
    "RateAscent": policy(irs.RateAscent, links=WIDE_LINKS, snr=0.5, num_iter=2),
    "LDPC5GDecoder": case(
        irs.LDPC5GDecoder,
        {"encoder": LDPC5GEncoder(12, 16), "hard_out": False, "num_iter": 2},
        {"llr_ch": 3 * real(3, 16)}, ("llr_ch",),
        awkward={"nothing received": {"llr_ch": np.zeros([3, 16])}},
        invariances={"words": (lambda i: {"llr_ch": i["llr_ch"][::-1]}, lambda b: b[::-1])},
    ),
    "Demapper": case(
        irs.Demapper, {"num_bits_per_symbol": 4}, {"y": cplx(2, 3), "no": NO}, ("y",),
        awkward={"zero": {"y": np.zeros([2, 3], complex), "no": np.array(0.0)}},
    ),
}  # fmt: skip

ABSTRACT = {
    "AlternatingDesign", "Link", "LinkLayer", "PilotEstimator", "Precoder", "Receiver", "Surface",
    "UnitModulusSolver",
}  # fmt: skip


def test_every_public_layer_has_a_case():
    public = {
        name
        for name in irs.__all__
        if isinstance(value := getattr(irs, name), type) and issubclass(value, LinkLayer)
    }
    assert public - ABSTRACT == {*CASES, *HYBRID}
    assert issubclass(irs.Link, Link)


LAYERS = {**CASES, **HYBRID}


@pytest.fixture(scope="module", autouse=True)
def forgotten():
    """The graphs of all layers go when the last test has used them: they are large."""
    yield
    for layer_case in LAYERS.values():
        layer_case.forget()
    gc.collect()


@pytest.mark.parametrize("name", LAYERS)
def test_contract(name):
    skipped = testing.check_layer(LAYERS[name])
    assert all(skipped.values())


def test_fresh_process():
    """One process for all: to start it costs as much as all that it does."""
    testing.check_fresh_process({k: c for k, c in LAYERS.items() if "fresh process" not in c.skip})
