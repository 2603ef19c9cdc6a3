"""How a frame becomes a data file of LAMMPS in units ``metal``: box, axes, types of atoms.

LAMMPS wants the first cell vector along x and the second in the plane of x and y. A frame with other axes is turned,
and what is read back is turned again. Along an open axis the box is as long as the cell, and longer by
:data:`OPEN_MARGIN` on both sides; an atom that leaves it there counts as lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from aiida_edl.md_engines.base import MDSettingsError
from aiida_edl.science.frames import Floats, Frame

OPEN_MARGIN = 10.0
"""Room that a box has along an open axis beyond the cell, or beyond the atoms if they lie outside [Å]."""
TILT_TOLERANCE = 1e-10
"""Components of cell vectors below this count as zero [Å]."""
VELOCITY = 1e-3
"""Å/ps, the unit of velocity of LAMMPS in units ``metal`` [Å/fs]."""


@dataclass(frozen=True)
class Box:
    """The box of a frame in the axes of LAMMPS."""

    cell: Floats
    """Cell vectors as rows, lower triangular [Å], shape ``(3, 3)``; along open axes longer than those of the frame."""
    low: Floats
    """Corner from which they begin [Å], shape ``(3,)``."""
    rotation: Floats
    """Orthogonal matrix: a row vector of LAMMPS times it is that of the frame, shape ``(3, 3)``."""
    boundary: tuple[str, ...]
    """``'p'`` or ``'f'`` for each axis."""

    @property
    def is_turned(self) -> bool:
        """Whether the axes of LAMMPS are not those of the frame."""
        return not np.array_equal(self.rotation, np.eye(3))

    @property
    def is_tilted(self) -> bool:
        """Whether the box is not orthogonal."""
        return bool(np.any(self.cell != np.diag(np.diag(self.cell))))

    def turned(self, vectors: Floats) -> Floats:
        """Return vectors of the frame in the axes of LAMMPS, shape ``(n, 3)``."""
        return vectors @ self.rotation.T if self.is_turned else vectors


def box_of(frame: Frame) -> Box:
    """Return the box of a frame.

    :param frame: the frame; a cell vector along an open axis may vanish.
    :raises MDSettingsError: if the cell is left-handed, or is open along an axis on which another one leans.
    """
    cell, is_open = _with_open_vectors(frame), ~frame.pbc
    if np.linalg.det(cell) <= TILT_TOLERANCE:
        raise MDSettingsError(
            f'the volume of the cell is {np.linalg.det(cell):.6g} Å³, engine lammps needs a right-handed cell: '
            'exchange two cell vectors, or give the missing ones'
        )
    lower, rotation = _lower_triangular(cell)
    if is_open[2]:
        lower[2, :2] = 0.0  # along an open z axis only the height of the cell has a meaning
    tilts = {'y': lower[1, 0], 'z': np.abs(lower[2, :2]).max()}
    for axis, index in (('x', 0), ('y', 1)):
        if is_open[index] and any(abs(tilts[other]) > 0 for other in ('y', 'z')):
            raise MDSettingsError(
                f'the cell is open along {axis} and not orthogonal, which engine lammps cannot run: make it '
                'orthogonal, or let the open axis be z'
            )
    positions = frame.positions @ rotation.T
    low = np.zeros(3)
    for k in np.flatnonzero(is_open):
        bottom = min(0.0, float(positions[:, k].min())) - OPEN_MARGIN
        top = max(float(lower[k, k]), float(positions[:, k].max())) + OPEN_MARGIN
        low[k], lower[k, k] = bottom, top - bottom
    return Box(lower, low, rotation, tuple('f' if value else 'p' for value in is_open))


def _with_open_vectors(frame: Frame) -> Floats:
    """Return the cell with unit vectors in place of those that vanish along open axes, shape ``(3, 3)``."""
    cell = np.array(frame.cell, dtype=np.float64)
    for axis in np.flatnonzero(~frame.pbc & ~cell.any(axis=1)):
        others = cell[[(axis + 1) % 3, (axis + 2) % 3]]
        normal = np.cross(*others)
        cell[axis] = normal / np.linalg.norm(normal) if normal.any() else np.eye(3)[axis]
    return cell


def _lower_triangular(cell: Floats) -> tuple[Floats, Floats]:
    """Return the lower triangular form of a right-handed cell, and the rotation by which it becomes the cell."""
    if not np.any(np.abs(np.triu(cell, 1)) > TILT_TOLERANCE) and np.all(np.diag(cell) > 0):
        return np.where(np.abs(np.tril(cell)) > TILT_TOLERANCE, np.tril(cell), 0.0), np.eye(3)
    orthogonal, upper = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(upper))
    lower = (upper * signs[:, None]).T
    return np.where(np.abs(lower) > TILT_TOLERANCE, lower, 0.0), (orthogonal * signs).T


def types_of(frame: Frame) -> tuple[int, ...]:
    """Return the atomic numbers of the types of atoms in their order: the elements of the frame, lightest first."""
    return tuple(sorted({int(number) for number in frame.numbers}))


def symbols(types: Sequence[int]) -> str:
    """Return the chemical symbols of types of atoms, as ``pair_coeff`` lists them.

    >>> symbols((1, 8, 79))
    'H O Au'
    """
    return ' '.join(chemical_symbols[number] for number in types)


def index_ranges(indices: Sequence[int]) -> str:
    """Return atoms as LAMMPS numbers them, from 1, with runs of neighbours joined.

    >>> index_ranges([0, 1, 2, 5])
    '1:3 6'

    :param indices: sorted indices from 0.
    """
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return ' '.join(f'{a + 1}:{b + 1}' if b > a else f'{a + 1}' for a, b in ranges)


def data_file(frame: Frame, box: Box, types: Sequence[int], atom_style: str) -> str:
    """Return the data file of a frame.

    :param frame: the frame.
    :param box: its box.
    :param types: atomic number of each type of atoms.
    :param atom_style: ``'atomic'`` or ``'charge'``.
    :raises MDSettingsError: if charges are asked for that the frame does not have.
    """
    if atom_style == 'charge' and frame.charges is None:
        raise MDSettingsError('the pair style reads charges, but the frame has none; give a frame with charges')
    number_of_type = {number: index for index, number in enumerate(types, start=1)}
    sizes = np.diag(box.cell)
    lines = ['Initial frame in units metal', '', f'{len(frame.numbers)} atoms', f'{len(types)} atom types', '']
    lines += [f'{low:.16g} {low + size:.16g} {x}lo {x}hi' for low, size, x in zip(box.low, sizes, 'xyz')]
    if box.is_tilted:
        lines.append(f'{box.cell[1, 0]:.16g} {box.cell[2, 0]:.16g} {box.cell[2, 1]:.16g} xy xz yz')
    lines += ['', 'Masses', '']
    lines += [f'{number_of_type[n]} {atomic_masses[n]:.10g}  # {chemical_symbols[n]}' for n in types]
    lines += ['', f'Atoms  # {atom_style}', '']
    charges = [''] * len(frame.numbers)
    if atom_style == 'charge' and frame.charges is not None:
        charges = [f' {charge:.16g}' for charge in frame.charges]
    rows = zip(frame.numbers, charges, box.turned(frame.positions))
    lines += [f'{i} {number_of_type[int(n)]}{q} {_numbers(x)}' for i, (n, q, x) in enumerate(rows, start=1)]
    if frame.velocities is not None:
        velocities = box.turned(frame.velocities) / VELOCITY
        lines += ['', 'Velocities', '', *(f'{i} {_numbers(v)}' for i, v in enumerate(velocities, start=1))]
    return '\n'.join(lines) + '\n'


def _numbers(vector: Floats) -> str:
    """Return the components of a vector as text with all their digits."""
    return ' '.join(f'{value:.16g}' for value in vector)
