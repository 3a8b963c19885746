"""Fixtures of the runner's tests."""

import pathlib
import sys

import pytest


@pytest.fixture(autouse=True)
def precision():
    """A run sets Sionna's precision for its process: the next test has its own again."""
    yield
    if "sionna.phy" in sys.modules:
        sys.modules["sionna.phy"].config.precision = "single"


@pytest.fixture
def tiny():
    from link_sims.registry import find

    return find(f"{pathlib.Path(__file__).parent / 'tiny.py'}:tiny")
