"""Layers of hybrid beamforming at their smallest, for the contract suite."""

import numpy as np

import sionna_irs as irs
from sionna_irs.testing import LayerCase

RNG = np.random.default_rng(3)
USERS, RX, TX, SYMBOLS = 2, 2, 4, 3
NO = np.array(0.3)
DRAWS = {"gradient": "draws random numbers; it has no differentiable input"}
DECIDES = {"gradient": "a design is a decision; no gradient passes, by intention"}
ROUNDS = {"gradient": "its gradient is the straight-through one, not the derivative"}


def cplx(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def gram(*shape):
    """Hermitian positive definite matrices with a unit diagonal."""
    a = cplx(*shape[:-1], 2 * shape[-1])
    a /= np.linalg.norm(a, axis=-1, keepdims=True)
    return a @ a.conj().swapaxes(-1, -2)


H_EQ, R_W, GRAM = cplx(2, USERS, RX, TX), gram(USERS, RX, RX), gram(TX, TX)
COVARIANCE = gram(USERS, TX, TX)
SEEN = {"h_eq": H_EQ, "r_w": R_W, "gram": GRAM, "no": NO}
HEARD = {"y": cplx(2, USERS, RX, SYMBOLS), "no": NO}
CHANNEL = irs.ClusteredChannel(irs.ULA(5), irs.ULA(3), USERS, 1, 2, precision="double")
FRONT = irs.HybridFrontEnd(5, TX, 3, RX, USERS, precision="double")
PILOTS = irs.ChainPilots(TX, SYMBOLS, trainable=True, precision="double")


def swap(inputs):
    """The users in reverse order."""
    names = {"h_eq": 1, "r_w": 0, "y": 1}
    return {k: np.flip(v, names[k]).copy() if k in names else v for k, v in inputs.items()}


def back(outputs):
    return [x[:, ::-1] for x in outputs]


def design(cls, skip=DECIDES, gradient=(), **arguments):
    """Precoders and combiners from equivalent channels."""
    return LayerCase(
        cls, {"num_streams": 1, **arguments}, SEEN, gradient, skip=skip,
        invariances={"users": (swap, back)},
    )  # fmt: skip


def estimator(cls, pilots=PILOTS, **arguments):
    return LayerCase(
        cls, {"pilots": pilots, **arguments}, HEARD, ("y",),
        awkward={"zero": {"y": np.zeros_like(HEARD["y"])}},
        invariances={"users": (swap, lambda h: h[:, ::-1])},
    )  # fmt: skip


HYBRID = {
    "ClusteredChannel": LayerCase(
        irs.ClusteredChannel,
        {"tx_array": irs.ULA(5), "rx_array": irs.ULA(3), "num_users": USERS, "num_rays": 1},
        {"batch_size": 2}, skip=DRAWS,
    ),
    "HybridFrontEnd": LayerCase(
        irs.HybridFrontEnd,
        {"num_tx_ant": 5, "num_tx_chains": TX, "num_rx_ant": 3, "num_rx_chains": RX,
         "num_users": USERS},
        {"h": cplx(2, USERS, 3, 5)}, ("h",),
    ),
    "ChainPilots": LayerCase(
        irs.ChainPilots, {"num_chains": TX, "num_symbols": SYMBOLS, "trainable": True}, SEEN,
        skip=DRAWS,
    ),
    "RLSEstimator": estimator(irs.RLSEstimator),
    "UnfoldedRLS": estimator(irs.UnfoldedRLS, num_rx_chains=RX, offsets=True),
    "EquivalentLMMSEEstimator": LayerCase(
        irs.EquivalentLMMSEEstimator, {"pilots": PILOTS},
        {**HEARD, "covariance": COVARIANCE, "r_w": R_W}, ("y",),
    ),
    "TransformFeedback": LayerCase(
        irs.TransformFeedback, {"covariance": gram(RX * TX, RX * TX), "num_bits": 12},
        {"h_eq": H_EQ}, skip=ROUNDS,
    ),
    "PathFeedback": LayerCase(
        irs.PathFeedback, {"channel": CHANNEL, "angle_bits": 3, "gain_bits": 2},
        {"angles": RNG.uniform(-1, 1, [2, USERS, 2, 2]), "gains": cplx(2, USERS, 2)},
        skip=ROUNDS,
    ),
    "FeedbackAutoencoder": LayerCase(
        irs.FeedbackAutoencoder, {"num_rx_chains": RX, "num_chains": TX, "num_bits": 4},
        {"h_eq": H_EQ}, skip=ROUNDS,
    ),
    "SCA": design(irs.SCA, num_iter=3),
    "HybridZF": design(irs.HybridZF, {}, ("h_eq",)),
    "BlockDiagonalization": design(
        irs.BlockDiagonalization, {"gradient": "singular vectors have a free phase"}
    ),
    "UnfoldedSCA": design(
        irs.UnfoldedSCA, {}, ("h_eq",), num_layers=1, num_chains=TX, num_rx_chains=RX
    ),
    "BlackBoxHybrid": LayerCase(
        irs.BlackBoxHybrid,
        {"pilots": irs.ChainPilots(TX, SYMBOLS, precision="double"), "num_users": USERS,
         "num_rx_chains": RX, "num_streams": 1,
         "width": 24},
        {**HEARD, "gram": GRAM}, ("y",),
    ),
    "HybridSystem": LayerCase(
        irs.HybridSystem,
        {"front": FRONT, "precoder": irs.HybridZF(1, precision="double")},
        {"h": cplx(2, USERS, 3, 5), "no": NO}, skip={"gradient": "its output is a dict"},
    ),
}  # fmt: skip
