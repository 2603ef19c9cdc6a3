"""The series behind the observables of an interface, one number a frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science import units
from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.atom_groups import assign_hydrogens, complete_cells
from aiida_edl.science.analysis.trajectory_parts import TrajectoryPart
from aiida_edl.science.analysis.water_orientation import dipole_cosines, in_first_layer, layer_sums
from aiida_edl.science.charge_state import FORMAL_CHARGES
from aiida_edl.science.frames import Floats, FrameSet

ATOMS_AT_ONCE = 100_000
"""Atoms of one chunk of frames; bounds the memory and keeps the work within the processor's cache."""


class SeriesSettings(Protocol):
    """What the series depend on."""

    @property
    def first_layer_bound(self) -> float:
        """Height at which the first layer ends [Å]."""

    @property
    def hydrogen_charge(self) -> float:
        """Charge of H [e]."""


def interface_series(frames: FrameSet, part: TrajectoryPart, settings: SeriesSettings) -> dict[str, Floats]:
    r"""Return the series of one part of a trajectory, each of shape ``(n_frames,)``.

    ``first_layer_count`` and ``first_layer_cosine_sum``, per surface; ``ion_height`` [Å], mean over all ions of the
    height above the nearest surface; ``solvent_dipole`` [e Å] along +z; and, of a film with one wet surface,
    ``potential_step`` [V], the step of the potential from the surface plane to the vacuum that fixed charges make,

    .. math:: \Delta\varphi = \frac{1}{\epsilon_0 A} \sum_i q_i h_i

    with heights h above the plane and the charge of the metal in it. Series that make no sense are absent.

    :param frames: the trajectory.
    :param part: frames with the same atoms.
    :param settings: first layer and charges.
    """
    n_atoms = int(frames.offsets[part.start + 1] - frames.offsets[part.start])
    size = max(1, ATOMS_AT_ONCE // n_atoms)
    found = [
        _chunk(frames, part, (start, min(start + size, part.stop)), settings)
        for start in range(part.start, part.stop, size)
    ]
    return {name: np.concatenate([item[name] for item in found]) for name in found[0]}


def _chunk(
    frames: FrameSet, part: TrajectoryPart, span: tuple[int, int], settings: SeriesSettings
) -> Mapping[str, Floats]:
    """Return the series of the frames ``span[0]:span[1]``."""
    (start, stop), groups = span, part.groups
    positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
    positions = positions.reshape(stop - start, -1, 3).astype(np.float64)
    cells, pbc = complete_cells(frames.cells[start:stop]), frames.pbc[start:stop]
    hydrogen = assign_hydrogens(positions[:, groups.oxygen], positions[:, groups.hydrogen], cells, pbc)
    directions, normals = hydrogen.dipole_directions, surface_planes.surface_normals(cells)
    periods = surface_planes.periods_along(cells, normals)
    along = np.einsum('fax,fx->fa', positions, normals)
    count, cosine = np.zeros(stop - start), np.zeros(stop - start)
    ion_heights = np.full((stop - start, groups.ions.size), np.inf)
    dipole = settings.hydrogen_charge * np.einsum('fox,fx->f', directions, normals)
    for surface in part.surfaces:
        planes = surface_planes.plane_heights(along, surface, periods, pbc[:, 2])
        above = surface_planes.heights_above(along, planes, surface, periods, pbc[:, 2])
        cosines = dipole_cosines(directions, normals, surface.sign)
        inside = in_first_layer(above[:, groups.oxygen], cosines, hydrogen.is_water, settings.first_layer_bound)
        in_layer, of_layer = layer_sums(cosines, inside)
        count += in_layer / len(part.surfaces)
        cosine += of_layer / len(part.surfaces)
        ion_heights = np.minimum(ion_heights, above[:, groups.ions])
    series = {'first_layer_count': count, 'first_layer_cosine_sum': cosine, 'solvent_dipole': dipole}
    if groups.ions.size:
        series['ion_height'] = ion_heights.mean(axis=1)
    if len(part.surfaces) == 1 and not groups.others.size:
        numbers = frames.frame(start).numbers
        charges = _formal_charges(numbers[groups.ions])
        # Waters are neutral: their part is the dipole, whatever the height; the metal lies in the plane.
        moment = part.surfaces[0].sign * dipole + ion_heights @ charges
        series['potential_step'] = moment / (units.VACUUM_PERMITTIVITY * surface_planes.areas(cells))
    return series


def _formal_charges(numbers: NDArray[np.uint8]) -> Floats:
    """Return the formal charges of ions [e], shape ``(n_ions,)``."""
    return np.array([FORMAL_CHARGES[chemical_symbols[number]] for number in numbers], dtype=np.float64)
