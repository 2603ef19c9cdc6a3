"""A stored benchmark for all tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope='session')
def benchmark_archive(aiida_profile, tmp_path_factory):
    """Return an archive with a finished benchmark, and the UUIDs of its nodes."""
    from stored_benchmark import store_benchmark

    aiida_profile.reset_storage()
    return store_benchmark(tmp_path_factory.mktemp('benchmark'))


@pytest.fixture(scope='module')
def benchmark(aiida_profile, benchmark_archive):
    """Return the nodes of a finished benchmark in an otherwise empty profile."""
    from stored_benchmark import load_benchmark

    aiida_profile.reset_storage()
    yield load_benchmark(*benchmark_archive)
    aiida_profile.reset_storage()
