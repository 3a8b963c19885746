"""Solved scenes of the tests are shared between them, and leave the user's cache alone."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def scene_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIONNA_IRS_CACHE", str(tmp_path_factory.mktemp("scenes")))
        yield
