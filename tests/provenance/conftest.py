"""A stored benchmark for all tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope='module')
def benchmark(aiida_profile, tmp_path_factory):
    """Return the nodes of a finished benchmark in an otherwise empty profile."""
    from stored_benchmark import load_benchmark, stored_benchmark

    archive = stored_benchmark(aiida_profile, tmp_path_factory)
    aiida_profile.reset_storage()
    yield load_benchmark(*archive)
    aiida_profile.reset_storage()
