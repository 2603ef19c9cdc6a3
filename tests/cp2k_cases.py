"""Frames and settings that CP2K labels in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from ase.build import bulk, molecule

from aiida_edl.science.frames import Frame, FrameSet

RECORDED = Path(__file__).parent / 'fixtures' / 'single_point' / 'cp2k'
CP2K = shutil.which('cp2k.psmp') or shutil.which('cp2k')
"""The program, if it is installed: ``apt-get install cp2k cp2k-data libopenblas0-pthread``."""
MISSING = None if CP2K else 'CP2K is not installed: apt-get install cp2k cp2k-data libopenblas0-pthread'

COARSE = {'basis_set': 'SZV-MOLOPT-SR-GTH', 'cutoff': 120.0, 'relative_cutoff': 30.0}
"""A small basis and a coarse grid: labels that test programs, not physics."""
INSULATOR = {
    **COARSE,
    'solver': 'orbital_transformation',
    'electronic_temperature': None,
    'maximum_scf_steps': 40,
}
METAL = {**COARSE, 'cutoff': 150.0, 'scf_threshold': 1e-5, 'n_added_orbitals': 40, 'maximum_scf_steps': 60}
CRYSTAL = {**COARSE, 'cutoff': 150.0, 'n_added_orbitals': 8, 'k_points': [2, 2, 2], 'electronic_temperature': 1000.0}


def frame_of(atoms, **columns) -> Frame:
    """Return a frame from atoms of ASE."""
    return Frame(
        atoms.numbers.astype(np.uint8), atoms.positions.copy(), np.array(atoms.cell), atoms.pbc.copy(), columns=columns
    )


def water(stretch: float = 0.0, **columns) -> Frame:
    """Return a molecule of water in a box, its first bond longer by ``stretch`` [Å]."""
    atoms = molecule('H2O', cell=[6.0, 6.5, 7.0], pbc=True)
    atoms.center()
    atoms.positions[1, 1] += stretch
    return frame_of(atoms, **columns)


def lithium_fluoride(lattice_constant: float = 4.03) -> Frame:
    """Return the cubic cell of LiF."""
    return frame_of(bulk('LiF', 'rocksalt', a=lattice_constant, cubic=True))


def charged_film() -> Frame:
    """Return 12 Au, 8 H2O and one Na under vacuum, from dynamics of the classical reference."""
    return FrameSet.from_npz(RECORDED / 'charged_film.npz').frame(0)
