r"""Paths of mobile atoms through a crystal or liquid, unwrapped, in the frame of a reference that does not diffuse.

Positions may be wrapped or not: each step from frame to frame is taken as the shortest among its periodic images. That
is right as long as no atom moves by half a cell between frames; steps beyond :data:`MAXIMUM_STEP` are refused.

Where the cell changes, steps are those of scaled coordinates, laid into the mean cell of the replica: a cell that
breathes moves no atom. Images of Cartesian positions would be shifted by cell vectors that have changed since, an error
that grows with the way (S. von Bülow, J. T. Bullerjahn, G. Hummer, J. Chem. Phys. 153, 021101 (2020)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols
from ase.geometry import complete_cell
from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers, equal_compositions
from aiida_edl.science.analysis.not_analysable import NotAnalysableError
from aiida_edl.science.frames import Floats, FrameSet

MAXIMUM_STEP = 0.4
"""Step between frames, as a share of the cell along any cell vector, beyond which images cannot be told apart: at half
a cell either of two is as near."""
FRAMES_AT_ONCE = 250
"""Frames whose coordinates are scaled at once: what fits into the cache of a processor."""


@dataclass(frozen=True)
class MobileAtoms:
    """Which atoms diffuse, and which define the frame in which they do."""

    mobile: Integers
    """Indices of the mobile atoms, shape ``(n_mobile,)``."""
    reference: Integers
    """Indices of the atoms whose centre of mass is at rest; none if nothing is removed."""
    reference_masses: Floats
    """Their masses [u]."""
    reference_symbols: tuple[str, ...]
    """Their chemical symbols, ordered by atomic number."""


def mobile_atoms(frames: FrameSet, mobile: str, drift_reference: tuple[str, ...]) -> MobileAtoms:
    """Return the mobile atoms and the reference of a trajectory.

    :param frames: frames of one composition, atoms in one order.
    :param mobile: chemical symbol of what diffuses.
    :param drift_reference: chemical symbols of the reference; none for all other elements than the mobile one.
    :raises NotAnalysableError: if compositions differ, or one of the elements does not occur.
    """
    ranges = list(equal_compositions(frames))
    if len(ranges) > 1:
        raise NotAnalysableError(
            f'frame {ranges[1][0]} has other atoms than frame 0, or in another order: paths can be followed in frames '
            'of one composition and one order only'
        )
    numbers = frames.frame(0).numbers
    present = frames.elements
    for name in (mobile, *drift_reference):
        if name not in present:
            raise NotAnalysableError(f"the trajectory holds no '{name}', but {', '.join(present)}")
    chosen = [atomic_numbers[name] for name in drift_reference]
    is_mobile = numbers == atomic_numbers[mobile]
    reference = np.flatnonzero(np.isin(numbers, chosen) if chosen else ~is_mobile)
    return MobileAtoms(
        mobile=np.flatnonzero(is_mobile),
        reference=reference,
        reference_masses=np.asarray(atomic_masses[numbers[reference]], dtype=np.float64),
        reference_symbols=tuple(chemical_symbols[number] for number in np.unique(numbers[reference])),
    )


def unwrapped_paths(frames: FrameSet, start: int, stop: int, atoms: MobileAtoms) -> Floats:
    """Return the way of each mobile atom since the first frame of a replica, less that of the reference.

    :param frames: the trajectory.
    :param start: first frame of the replica.
    :param stop: frame after its last.
    :param atoms: result of :func:`mobile_atoms`.
    :return: displacements [Å], shape ``(stop - start, n_mobile, 3)``.
    :raises NotAnalysableError: if an atom moves by more than can be unwrapped between two frames.
    """
    n_atoms = int(frames.offsets[1])
    cells = frames.cells[start:stop]
    cell = np.asarray(complete_cell(cells.mean(axis=0)), dtype=np.float64)
    is_fixed = bool(np.all(cells == cells[0]))
    pbc = frames.pbc[start]
    weights = atoms.reference_masses / atoms.reference_masses.sum() if atoms.reference.size else None
    paths = np.zeros((stop - start, atoms.mobile.size, 3))
    before: Floats | None = None
    for first in range(start, stop, FRAMES_AT_ONCE):
        last = min(first + FRAMES_AT_ONCE, stop)
        positions = frames.positions[first * n_atoms : last * n_atoms].reshape(last - first, n_atoms, 3)
        inverse = np.linalg.inv(cell) if is_fixed else _inverses(frames.cells[first:last])
        scaled = np.asarray(positions @ inverse, dtype=np.float64)
        lead = scaled[:1] if before is None else before
        before = scaled[-1:].copy()
        steps = np.diff(np.concatenate([lead, scaled]), axis=0)
        if pbc.any():
            steps -= np.where(pbc, np.rint(steps), 0.0)
            _check_steps(steps, pbc, first, frames)
        moves = steps[:, atoms.mobile]
        if weights is not None:
            moves -= np.einsum('a,fax->fx', weights, steps[:, atoms.reference])[:, None, :]
        rows = paths[first - start : last - start]
        np.cumsum(moves, axis=0, out=rows)
        if first > start:
            rows += paths[first - start - 1]
    return np.asarray(paths @ cell, dtype=np.float64)


def _inverses(cells: Floats) -> Floats:
    """Return the inverse of each cell, open directions of no extent completed."""
    complete = np.stack([np.asarray(complete_cell(cell), dtype=np.float64) for cell in cells])
    return np.asarray(np.linalg.inv(complete), dtype=np.float64)


def _check_steps(steps: Floats, pbc: NDArray[np.bool_], first: int, frames: FrameSet) -> None:
    """Check that steps are short enough to be told from their images.

    :raises NotAnalysableError: with the frame, the atom and the step.
    """
    sizes = np.where(pbc, np.abs(steps), 0.0)
    if sizes.max() <= MAXIMUM_STEP:
        return
    frame, atom, axis = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
    number = frames.numbers[int(frames.offsets[0]) + int(atom)]
    raise NotAnalysableError(
        f'up to frame {first + int(frame)} atom {int(atom)} ({chemical_symbols[number]}) moves by '
        f'{sizes[frame, atom, axis]:.2f} of the cell along cell vector {int(axis)} since the frame before; beyond '
        f'{MAXIMUM_STEP:g} the way cannot be told from its images: store frames more often'
    )
