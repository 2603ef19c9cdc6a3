"""Dimers just inside and just outside the criterion, and where their bonds are counted."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.hydrogen_bonds import HydrogenBondCounts, HydrogenBondSums, hydrogen_bonds
from aiida_edl.science.analysis.structure_settings import StructureSettings

from . import structure_cases

CELL = np.eye(3) * 16.0


def dimer(distance: float = 2.9, angle: float = 0.0, shift: tuple[float, ...] = (8.0, 8.0, 3.0)) -> np.ndarray:
    """One frame of two waters along z; the first donates with its O-H tilted by ``angle`` [degree] from O...O."""
    tilt = np.radians(angle)
    bond = 0.98 * np.array([np.sin(tilt), 0.0, np.cos(tilt)])
    other = 0.98 * np.array([0.0, 0.97, -np.sqrt(1 - 0.97**2)])
    acceptor = np.array([[0.0, 0.0, 0.0], [0.76, 0.0, 0.59], [-0.76, 0.0, 0.59]]) + np.array([0.0, 0.0, distance])
    return np.concatenate([[[0.0] * 3, bond, other], acceptor])[None] + np.array(shift)


def bonds(positions: np.ndarray, settings: StructureSettings | None = None) -> list[tuple[int, ...]]:
    """Frame, donor, hydrogen and acceptor of each bond."""
    chunk = structure_cases.chunk([8, 1, 1] * (positions.shape[1] // 3), positions, CELL)
    found = hydrogen_bonds(chunk, settings or StructureSettings())
    return sorted(
        zip(*(getattr(found, name).tolist() for name in ('frame', 'donor', 'hydrogen', 'acceptor')), strict=True)
    )


@pytest.mark.parametrize(('distance', 'expected'), [(3.4999, [(0, 0, 0, 1)]), (3.5001, [])])
def test_distance_decides(distance, expected):
    assert bonds(dimer(distance)) == expected


@pytest.mark.parametrize(('angle', 'expected'), [(29.99, [(0, 0, 0, 1)]), (30.01, []), (-29.99, [(0, 0, 0, 1)])])
def test_angle_at_the_oxygen_decides(angle, expected):
    assert bonds(dimer(angle=angle)) == expected


@pytest.mark.parametrize('offset', [0.01, -0.01])
def test_angle_at_the_hydrogen_decides_if_chosen(offset):
    # O-H of 0.98 Å tilted by t from O...O of 2.9 Å: H...O leaves the line of O-H by t + asin(0.98 sin t / |H...O|).
    tilts = np.linspace(0.0, 40.0, 400_001)
    along = np.hypot(2.9 - 0.98 * np.cos(np.radians(tilts)), 0.98 * np.sin(np.radians(tilts)))
    deviation = tilts + np.degrees(np.arcsin(0.98 * np.sin(np.radians(tilts)) / along))
    tilt = np.interp(30.0, deviation, tilts)
    found = bonds(dimer(angle=tilt + offset), StructureSettings(hydrogen_bond_vertex='hydrogen'))
    assert found == ([] if offset > 0 else [(0, 0, 0, 1)])


def test_bond_across_the_boundary():
    wrapped = dimer(shift=(15.9, 0.1, 14.5)) % 16.0
    assert bonds(wrapped) == [(0, 0, 0, 1)]


def test_order_of_the_atoms_does_not_matter():
    positions = dimer()[:, [3, 4, 5, 0, 2, 1]]
    assert bonds(positions) == [(0, 1, 3, 0)]


def test_what_is_no_water_neither_donates_nor_accepts():
    positions = dimer()
    positions[0, 4] = positions[0, 0] + [0.0, -0.9, 0.3]  # H3O+ beside OH-
    assert bonds(positions) == []


def counts(positions: np.ndarray, settings: StructureSettings) -> HydrogenBondCounts:
    chunk = structure_cases.chunk([8, 1, 1] * (positions.shape[1] // 3), positions, CELL)
    sums = HydrogenBondSums.empty(len(positions), settings)
    sums.add(chunk, settings)
    return sums.counts(structure_cases.blocks(len(positions)), settings)


def test_donor_and_acceptor_count_in_their_own_layers():
    # Donor at 3.0 Å, acceptor at 5.9 Å; a third water without bonds at 3 Å.
    lonely = dimer(shift=(2.0, 2.0, 3.0))[:, :3]
    found = counts(np.repeat(np.concatenate([dimer(), lonely], axis=1), 4, axis=0), StructureSettings())
    assert found.donated[:2].tolist() == [0.5, 0.0]
    assert found.accepted[:2].tolist() == [0.0, 1.0]
    assert found.waters.tolist() == [2.0, 1.0, 0.0]
    assert np.isnan(found.donated[2])
    assert found.per_water == pytest.approx(1 / 3)
    assert np.isnan(found.per_water_error)


def test_error_of_frames_that_differ():
    frames = np.concatenate([dimer(), dimer(3.6)] * 50)
    frames = frames[np.random.default_rng(0).permutation(100)]
    found = counts(frames, StructureSettings())
    assert found.donated[0] == pytest.approx(0.5)
    assert found.donated_error[0] == pytest.approx(0.5 / np.sqrt(100), rel=0.2)
