"""Crystals, liquids and crystals that melt on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.science.analysis.lattice_order import LatticeOrder, lattice_order
from aiida_edl.science.analysis.lattice_order_settings import LatticeOrderSettings, LatticeOrderSettingsError
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import FrameSet

from .crystal_walkers import INTERVAL, LATTICE, Walker

N_FRAMES = 400


def molten_from(frame: int, seed: int = 1, **options: object) -> FrameSet:
    """Return a crystal whose anions diffuse from a frame on, by 0.2 Å per step and direction."""
    frames = Walker(seed).trajectory(N_FRAMES, **options)
    positions = frames.positions.reshape(N_FRAMES, -1, 3).copy()
    steps = np.random.default_rng(seed).normal(scale=0.2, size=(N_FRAMES - frame, 32, 3))
    positions[frame:, -32:] += np.cumsum(steps, axis=0)
    return replace(frames, positions=positions.reshape(-1, 3))


def test_lindemann_ratio_of_independent_vibrations():
    """√3 σ over the distance of anions, less the means of 40 frames and 32 atoms; 38,400 numbers tell it to 0.4 %."""
    found = lattice_order(Walker(1).trajectory(N_FRAMES, vibration=0.15))
    expected = np.sqrt(3.0 * (1 - 1 / 40) * (1 - 1 / 32)) * 0.15 / found.nearest_distance
    assert found.lindemann_ratio == pytest.approx(expected, rel=0.01)
    assert 0.0 < found.lindemann_ratio_error < 0.01 * expected
    assert found.is_crystalline
    assert found.reasons == ()
    assert np.isnan(found.melting_time).all()


def test_nearest_distance_of_a_still_crystal():
    found = lattice_order(Walker(1).trajectory(20, vibration=0.0))
    assert found.nearest_distance == pytest.approx(LATTICE / np.sqrt(2))
    assert found.lindemann_ratio == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('options', [{'drift': 0.01}, {'drift': 0.01, 'is_folded': True}, {'breath': 0.02}])
def test_drift_folding_and_a_breathing_cell_are_no_melting(options):
    first = lattice_order(Walker(1).trajectory(N_FRAMES))
    second = lattice_order(Walker(1).trajectory(N_FRAMES, **options))
    # A cell that breathes by 2 % changes vibrations by as much.
    assert second.lindemann_ratio == pytest.approx(first.lindemann_ratio, rel=0.02)
    assert second.is_crystalline


def test_a_liquid_is_no_crystal():
    found = lattice_order(molten_from(0))
    assert not found.is_crystalline
    assert found.n_melted == 1
    assert found.melting_time.tolist() == [0.0]


def test_the_first_molten_block_is_told():
    found = lattice_order(molten_from(200))
    assert found.melting_time.tolist() == [200 * INTERVAL]
    assert found.block_lindemann_ratio[:5].max() < 0.1
    assert found.reasons[0].startswith('the framework of replica 0 has melted in block 6 of 10: its Lindemann ratio')


def test_replicas_are_judged_one_by_one():
    both = FrameSet.concatenate([molten_from(100), Walker(2).trajectory(N_FRAMES)])
    found = lattice_order(both)
    assert found.replica_is_crystalline.tolist() == [False, True]
    assert (found.n_melted, len(found.reasons)) == (1, 1)


def test_mobile_atoms_may_diffuse():
    frames = molten_from(0)
    found = lattice_order(frames, LatticeOrderSettings(mobile='F'))
    assert found.is_crystalline


def test_a_non_periodic_cell_is_refused():
    frames = Walker(1).trajectory(20)
    with pytest.raises(NotAnalysableError, match=r'^a crystal needs a cell that is periodic in all three directions$'):
        lattice_order(replace(frames, pbc=np.zeros((20, 3), dtype=bool)))


def test_an_element_that_does_not_occur_is_refused():
    with pytest.raises(NotAnalysableError, match=r"element of the trajectory 'Na'"):
        lattice_order(Walker(1).trajectory(20), LatticeOrderSettings(mobile='Na'))


def test_a_short_replica_is_refused():
    message = '^a replica has 5 frames; the order of a lattice needs at least 8$'
    with pytest.raises(NotAnalysableError, match=message):
        lattice_order(Walker(1).trajectory(5))


def test_settings_of_a_wrong_range_are_refused():
    with pytest.raises(LatticeOrderSettingsError, match=r'^maximum_lindemann_ratio is 0.0, it must be positive$'):
        LatticeOrderSettings(maximum_lindemann_ratio=0.0)


def test_parts_rebuild_the_result():
    found = lattice_order(molten_from(100))
    again = LatticeOrder.from_parts(found.arrays(), found.scalars())
    assert (again.reasons, again.settings) == (found.reasons, found.settings)
