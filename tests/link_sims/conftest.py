"""Fixtures of the runner's tests."""

import pathlib

import pytest


@pytest.fixture
def tiny():
    from link_sims.registry import find

    return find(f"{pathlib.Path(__file__).parent / 'tiny.py'}:tiny")
