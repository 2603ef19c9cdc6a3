"""What does not fit into the memory is refused before it is allocated."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('numba')

from aiida_edl.science.electrostatics import memory_check
from aiida_edl.science.electrostatics.charged_system import ChargedSystem, ChargedSystemError
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.memory_check import available_bytes, check_memory
from aiida_edl.science.electrostatics.pairs import all_pairs, neighbour_pairs
from aiida_edl.science.electrostatics.summation_settings import SummationSettings


@pytest.fixture
def little_memory(tmp_path, monkeypatch):
    """Say that 300 MB are free."""
    path = tmp_path / 'meminfo'
    path.write_text('MemTotal:  8000000 kB\nMemAvailable:  292968 kB\n')
    monkeypatch.setattr(memory_check, 'MEMORY', path)


def atoms(n_atoms, side, is_periodic):
    positions = np.random.default_rng(1).uniform(0.0, side, (n_atoms, 3))
    return ChargedSystem(positions, np.eye(3) * side, np.zeros(n_atoms), np.full(3, is_periodic))


def test_free_memory_is_that_of_the_system(little_memory):
    assert available_bytes() == 292968 * 1024


def test_nothing_is_refused_where_memory_is_not_told(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_check, 'MEMORY', tmp_path / 'none')
    check_memory(1e15, 'a thing', 'a remedy')


def test_what_fits_is_not_refused(little_memory):
    check_memory(0.89 * 3e8, 'a thing', 'a remedy')


def test_all_pairs_of_a_large_cluster(little_memory):
    message = r'^all 49995000 pairs of 10000 atoms would take 2.8 GB of memory, 0.3 GB are free: give it a cell'
    with pytest.raises(ChargedSystemError, match=message):
        all_pairs(atoms(10_000, 60.0, is_periodic=False))


def test_pairs_within_a_long_cutoff(little_memory):
    with pytest.raises(ChargedSystemError, match=r'pairs within 20 Å would take .* take a shorter cutoff with a finer'):
        neighbour_pairs(atoms(10_000, 46.0, is_periodic=True), 20.0)


def test_a_fine_mesh(little_memory):
    settings = SummationSettings('p3m', 6.0, 1.0, mesh=(300, 300, 300), nodes=5)
    with pytest.raises(ChargedSystemError, match=r'^a mesh of 27000000 points would take 0.972 GB of memory, 0.3 GB'):
        CompiledSummation(settings)(atoms(10, 20.0, is_periodic=True))


def test_wave_vectors_by_pytorch(little_memory):
    pytest.importorskip('torchpme')
    from aiida_edl.science.electrostatics.torch_summation import TorchSummation

    settings = SummationSettings('ewald', 6.0, 1.0, k_cutoff=6.0)
    with pytest.raises(ChargedSystemError, match=r'wave vectors of 2000 atoms would take .*: take p3m or pme, or the'):
        TorchSummation(settings)(atoms(2000, 27.0, is_periodic=True))
