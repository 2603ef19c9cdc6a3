"""The calcfunctions on crystals store what the analyses return."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.orm import Dict
from ase.build import bulk

from aiida_edl.calculations.functions.hopping import hopping
from aiida_edl.calculations.functions.lattice_order import lattice_order
from aiida_edl.calculations.stored_results import stored_result
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.analysis.hopping import Hopping
from aiida_edl.science.analysis.lattice_order import LatticeOrder
from aiida_edl.science.frames import FrameSet

pytestmark = pytest.mark.usefixtures('aiida_profile')

N_FRAMES = 60


def one_direct_hop() -> DatasetData:
    """Return LiF with an interstitial Li that hops once, 20 fs between frames."""
    atoms = bulk('LiF', 'rocksalt', a=4.0, cubic=True) * (2, 2, 2)
    positions = np.repeat(np.append(atoms.positions, [[1.0, 1.0, 1.0]], axis=0)[np.newaxis], N_FRAMES, axis=0)
    positions += 0.02 * np.random.default_rng(1).normal(size=positions.shape)
    positions[30:, -1, 0] += 2.0
    frames = FrameSet(
        numbers=np.tile(np.append(atoms.numbers, 3), N_FRAMES).astype(np.uint8),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(N_FRAMES + 1) * positions.shape[1],
        cells=np.repeat(atoms.cell.array[np.newaxis], N_FRAMES, axis=0),
        pbc=np.ones((N_FRAMES, 3), dtype=bool),
        columns={'time': 20.0 * np.arange(N_FRAMES)},
    )
    return DatasetData.from_frames(frames, in_single_precision=True)


def test_hops_become_arrays_and_scalars_attributes():
    node = hopping(one_direct_hop(), Dict({'window': 200.0}))
    found = stored_result(Hopping, node)
    assert found.settings.window == 200.0
    assert found.event_count[found.event_row('direct')] == 1
    assert found.event_time.tolist() == [600.0]
    assert node.base.attributes.get('knock_off_ratio') == 0.0


def test_order_becomes_arrays_and_scalars_attributes():
    found = stored_result(LatticeOrder, lattice_order(one_direct_hop(), Dict({'n_blocks': 5})))
    assert found.is_crystalline
    assert len(found.block_time) == 5
