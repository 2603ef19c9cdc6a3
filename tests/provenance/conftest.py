"""A stored benchmark for all tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture(scope='module')
def benchmark(aiida_profile):
    """Return the nodes of a finished benchmark in an otherwise empty profile."""
    from aiida.orm import Computer
    from stored_benchmark import store_benchmark

    aiida_profile.reset_storage()
    computer = Computer(
        label='cluster',
        hostname='login7.cluster.example',
        transport_type='core.local',
        scheduler_type='core.direct',
        workdir='/home/jane/aiida_run',
    ).store()
    yield store_benchmark(computer)
    aiida_profile.reset_storage()
