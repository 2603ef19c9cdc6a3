"""One pass over a trajectory that fills the sums of any of the analyses along the normal.

Compiled where numba is installed; without it each chunk of frames is handed to the analyses in turn.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.science.analysis import surface_planes
from aiida_edl.science.analysis.angular_sums import AngularSums
from aiida_edl.science.analysis.atom_groups import complete_cells
from aiida_edl.science.analysis.charge_sums import ATOMS_AT_ONCE, ChargeSums, charges_of_frames, frame_chunks
from aiida_edl.science.analysis.fixed_charges import charges_of_atoms
from aiida_edl.science.analysis.kernels import compiled_pass, writable
from aiida_edl.science.analysis.pass_arrays import Angles, Atoms, Cells, Charges, Profiles
from aiida_edl.science.analysis.potential_settings import PotentialSettings
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.profile_sums import ProfileSums
from aiida_edl.science.analysis.surface_planes import Surface
from aiida_edl.science.analysis.trajectory_parts import AnalysedTrajectory, TrajectoryPart
from aiida_edl.science.frames import Floats, FrameSet

ATOMS_AT_ONCE_COMPILED = 4_000_000
"""Atoms of one chunk of frames that is compiled, which copies hardly anything: what Python does for each costs less."""


@dataclass(frozen=True)
class WantedSums:
    """What one pass shall fill; None for what is not asked for."""

    profiles: tuple[ProfileSums, ProfileSettings] | None = None
    angles: AngularSums | None = None
    charges: tuple[ChargeSums, PotentialSettings] | None = None
    """Its surfaces must be all wet surfaces."""

    def add(self, trajectory: AnalysedTrajectory) -> None:
        """Add a trajectory to the sums in place.

        :param trajectory: the trajectory, with all surfaces of which any analysis needs one.
        :raises NotAnalysableError: if charges are missing or a frame is not neutral.
        """
        kernels = compiled_pass()
        for part in trajectory.parts:
            fixed = self._fixed_charges(trajectory.frames, part)
            arrays = None if kernels is None else self._targets(trajectory, part, fixed)
            at_once = ATOMS_AT_ONCE if kernels is None else ATOMS_AT_ONCE_COMPILED
            for span in frame_chunks(trajectory.frames, part, at_once):
                if kernels is None or arrays is None:
                    self._add_by_numpy(trajectory, part, span, fixed)
                else:
                    self._add_compiled(kernels, trajectory, part, span, arrays)

    def _fixed_charges(self, frames: FrameSet, part: TrajectoryPart) -> Floats | None:
        """Return the fixed charge of each atom [e], shape ``(n_atoms,)``; None for those of the frames."""
        if self.charges is None or not self.charges[1].are_fixed(frames):
            return None
        return charges_of_atoms(frames.frame(part.start).numbers, self.charges[1].charges)

    def _targets(
        self, trajectory: AnalysedTrajectory, part: TrajectoryPart, fixed: Floats | None
    ) -> tuple[Atoms, Profiles, Angles, Charges]:
        """Return what the compiled pass takes for one part of the trajectory."""
        rows = slice(part.first_row, part.first_row + part.stop - part.start)
        profiles = _NO_PROFILES if self.profiles is None else self.profiles[0].target(part, rows, self.profiles[1])
        angles = _NO_ANGLES if self.angles is None else self.angles.target(part.surfaces)
        charges = _NO_CHARGES if self.charges is None else self.charges[0].target(fixed)
        return _atoms(part), profiles, angles, charges

    def _add_compiled(
        self,
        kernels: Any,
        trajectory: AnalysedTrajectory,
        part: TrajectoryPart,
        span: tuple[int, int],
        arrays: tuple[Atoms, Profiles, Angles, Charges],
    ) -> None:
        """Add the frames ``span[0]:span[1]`` by compiled code."""
        (start, stop), frames = span, trajectory.frames
        rows = slice(part.first_row + start - part.start, part.first_row + stop - part.start)
        positions = frames.positions[int(frames.offsets[start]) : int(frames.offsets[stop])]
        cells, areas = _cells(frames, span)
        for sums in (self.profiles, self.charges):
            if sums is not None:
                sums[0].area[rows] = areas
        atoms, profiles, angles, charges = arrays
        if self.charges is not None and not charges.is_fixed:
            charges = charges._replace(values=writable(charges_of_frames(frames, span), 'C'))
        blocks = writable(trajectory.blocks.block_of_frame[rows], 'C')
        places = _readable(positions).reshape(stop - start, -1, 3)
        kernels.add_frames(places, blocks, rows.start, cells, atoms, profiles, angles, charges)

    def _add_by_numpy(
        self, trajectory: AnalysedTrajectory, part: TrajectoryPart, span: tuple[int, int], fixed: Floats | None
    ) -> None:
        """Add the frames ``span[0]:span[1]`` without compiled code."""
        frames, blocks = trajectory.frames, trajectory.blocks
        if self.profiles is not None:
            sums, settings = self.profiles
            sums.add(frames, _restricted(part, settings.surfaces), span, blocks, settings)
        if self.angles is not None:
            self.angles.add(frames, _restricted(part, self.angles.settings.surfaces), span)
        if self.charges is not None:
            self.charges[0].add(frames, part, span, blocks, fixed)


def _restricted(part: TrajectoryPart, surfaces: str) -> TrajectoryPart:
    """Return a part with the chosen surfaces alone."""
    chosen = tuple(surface for surface in part.surfaces if surfaces in ('average', surface.name))
    return dataclasses.replace(part, surfaces=chosen)


def _readable(positions: NDArray[Any]) -> NDArray[Any]:
    """Return positions in single or double precision as the compiled pass takes them, copied only if they must be."""
    given = np.asarray(positions)
    plain = np.ascontiguousarray(given, dtype=np.float32 if given.dtype == np.float32 else np.float64)
    # Arrays mapped from files are read-only, and the type of all shall be the same.
    view = plain.view()
    view.flags.writeable = False
    return view


def _cells(frames: FrameSet, span: tuple[int, int]) -> tuple[Cells, Floats]:
    """Return the cells of some frames, one if all are equal, and their lateral areas [Å²], shape ``(n,)``."""
    vectors, pbc = frames.cells[slice(*span)], frames.pbc[slice(*span)]
    if np.all(vectors == vectors[0]) and np.all(pbc == pbc[0]):
        vectors, pbc = vectors[:1], pbc[:1]
    vectors = complete_cells(vectors)
    normals = surface_planes.surface_normals(vectors)
    periods, areas = surface_planes.periods_along(vectors, normals), surface_planes.areas(vectors)
    arrays = (vectors, np.linalg.inv(vectors), pbc, normals, periods, areas)
    return Cells(*(writable(array, 'C') for array in arrays)), areas


def _atoms(part: TrajectoryPart) -> Atoms:
    """Return the indices that the compiled pass needs."""
    groups, surfaces = part.groups, part.surfaces
    starts = np.cumsum([0, *(surface.layer.size for surface in surfaces)])
    arrays = (groups.oxygen, groups.hydrogen, part.ions, groups.metal, _layers(surfaces), starts)
    signs = np.array([surface.sign for surface in surfaces])
    return Atoms(*(writable(np.asarray(array, dtype=np.int64), 'C') for array in (*arrays, signs)))


def _layers(surfaces: tuple[Surface, ...]) -> NDArray[np.int64]:
    """Return the members of all outermost layers, one after the other."""
    return np.concatenate([surface.layer for surface in surfaces])


_BOOLS, _INTEGERS = np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)
_NO_PROFILES = Profiles(
    surfaces=_BOOLS,
    share=0.0,
    width=1.0,
    maximum=1.0,
    bound=1.0,
    angle_width=1.0,
    table=np.zeros(0, dtype=np.int16),
    fine=np.zeros((7, 0, 0)),
    angles=np.zeros((0, 0)),
    layers=np.zeros((2, 0)),
    irregular=_INTEGERS,
)
_NO_ANGLES = Angles(
    surfaces=_BOOLS,
    bounds=np.zeros(0),
    width=1.0,
    table=np.zeros(0, dtype=np.int16),
    angles=np.zeros((2, 0, 0, 0)),
    cosines=np.zeros((2, 0, 0)),
    irregular=_INTEGERS,
)
_NO_CHARGES = Charges(
    values=np.zeros((1, 0)),
    is_fixed=True,
    width=1.0,
    below=_INTEGERS,
    bins=_INTEGERS,
    lengths=np.zeros(0),
    margin=-1.0,
    charge=np.zeros((0, 0, 0)),
    moment=np.zeros((0, 0, 0)),
    surface_charge=np.zeros((0, 0)),
    at_cut=_INTEGERS,
)
