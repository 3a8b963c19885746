"""Every argument of every public layer in every kind that goes wrong: right, or one clear line."""

import pytest
from hybrid_cases import HYBRID
from test_contract import CASES

from sionna_irs import testing

ALL = {**CASES, **HYBRID}
# Kinds that are refused before anything is computed, by their shape or dtype or value.
CHEAP = ("none", "bool", "text", "wrong shape", "nan", "empty")
# (argument, kind) of a layer -> why it may be wrong.
NO_NOISE = "noise of a covariance of zeros: no combiner has an SINR, and no inverse exists"
PRODUCT = "a channel over a surface is a product of two hops, beyond single precision"
RANGE = "out of the range of the control: NaN in graphs, where values are not known"
EXCUSED = {
    "Varactor": {("control", kind): RANGE for kind in ("zero", "1e-30", "1e30")},
    "AdjustableAmplitude": {("control", "1e30"): RANGE},
    "SurfaceAutoencoder": {("links", "1e30"): PRODUCT},
    "SCA": {(argument, "zero"): NO_NOISE for argument in ("r_w", "gram")},
    "BlockDiagonalization": {
        (argument, kind): NO_NOISE for argument in ("r_w", "gram") for kind in ("zero", "1e-30")
    },
}


@pytest.mark.parametrize("name", [name for name in ALL if name != "SceneCascade"])  # seconds
def test_refused(name):
    num_cases, num_excused = testing.check_arguments(ALL[name], EXCUSED.get(name), kinds=CHEAP)
    assert num_cases >= 5 and not num_excused


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_matrix(name):
    num_cases, num_excused = testing.check_arguments(ALL[name], EXCUSED.get(name))
    assert num_cases >= 5 and bool(num_excused) == (name in EXCUSED)


def test_every_excuse_has_a_reason():
    assert all(reason for excuses in EXCUSED.values() for reason in excuses.values())
