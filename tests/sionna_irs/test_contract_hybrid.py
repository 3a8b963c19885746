"""The layers of hybrid beamforming under the contract suite."""

import pytest
from hybrid_cases import HYBRID

from sionna_irs import testing


@pytest.mark.parametrize("name", HYBRID)
def test_contract(name):
    skipped = testing.check_layer(HYBRID[name])
    assert all(skipped.values())


def test_fresh_process():
    testing.check_fresh_process(HYBRID)
