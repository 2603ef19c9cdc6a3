"""Energies and forces of many given frames by the classical reference model: one run of LAMMPS for all of them.

Frames of one composition, one cell and one numbering of molecules form a group; LAMMPS reads each group once and walks
through its frames with ``rerun``. The time step of a frame in all files is its index in the set, so that labels find
their way back whatever the order of the groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.md_engines.lammps_files import read_dump, read_log, write_dump_snapshot
from aiida_edl.science import units
from aiida_edl.science.counter_sheet import CounterSheet, CounterSheetError, counter_sheet, potential_over_sheet
from aiida_edl.science.frames import Floats, Frame, FrameSet
from aiida_edl.science.reference_model import (
    ATOM_TYPES,
    METAL,
    SHEET_TYPE,
    ReferenceModel,
    ReferenceModelError,
    check_frame,
    data_file,
    electrode_lines,
    find_waters,
    force_field_lines,
    symbols_of,
)

INPUT = 'in.lammps'
LOG = 'log.lammps'
LABELS = 'labels.dump'
ARGUMENTS = ('-in', INPUT, '-log', LOG, '-screen', 'none')
"""Arguments of ``lmp``."""
END_MARK = 'all groups are labelled'
"""Last line of the log of a complete run."""


@dataclass(frozen=True)
class LabelGroup:
    """Frames that LAMMPS labels one after the other without reading the system anew."""

    frames: tuple[int, ...]
    """Indices of the frames in the set, ascending."""
    is_metal_static: bool
    """Whether the metal atoms have the same positions in all of them."""
    has_sheet: bool = False
    """Whether the metal of all of them carries a charge for which there is a sheet of counter charge, the same for
    all."""


@dataclass(frozen=True)
class LabelPlan:
    """Which frames are computed, and which cannot be."""

    groups: tuple[LabelGroup, ...]
    """Groups in the order of their first frame."""
    refused: Mapping[int, str]
    """Frames that the model cannot describe: index and reason."""


@dataclass(frozen=True)
class Labels:
    """Labels of all frames of a set; rows of frames that have none hold NaN."""

    energies: Floats
    """Potential energies of the model without any wall [eV], shape ``(n_frames,)``."""
    forces: Floats
    """Forces on all atoms, those of the metal among them [eV/Å], shape ``(n_atoms_total, 3)``."""
    charges: Floats
    """Fixed charges of water and ions, induced charges of the metal [e], shape ``(n_atoms_total,)``."""
    metal_potential: Floats
    """Electric potential of the metal as LAMMPS reports it [V], shape ``(n_frames,)``."""
    is_converged: NDArray[np.bool_]
    """Whether a frame has labels, shape ``(n_frames,)``."""
    failures: Mapping[int, str]
    """Reason for each frame without labels."""
    is_complete: bool
    """Whether the program came to its end."""
    stop_reason: str
    """Error of the program, or that its log ends early; ``''`` if it came to its end."""
    version: str
    """Version of LAMMPS."""
    wall_seconds: float
    """Wall time of the run [s]; NaN if it did not come to its end."""
    electrode_potential: Floats | None = None
    """Potential of the metal over that of the sheet of counter charge, or of the vacuum above a frame without one [V],
    which is the slope of the energy by the charge of the metal; shape ``(n_frames,)``. None if no frame has a sheet."""


def plan_labels(frames: FrameSet) -> LabelPlan:
    """Sort frames into groups, and refuse those that the model cannot describe.

    :param frames: the frames, of one or several compositions and cells.
    """
    groups: dict[bytes, list[int]] = {}
    refused: dict[int, str] = {}
    for index, frame in enumerate(frames):
        try:
            check_frame(frame)
            waters = find_waters(frame)
            sheet = counter_sheet(frame)
        except (ReferenceModelError, CounterSheetError) as error:
            refused[index] = str(error)
            continue
        charge = b'' if sheet is None else np.float64(sheet.charge).tobytes()
        groups.setdefault(frame.numbers.tobytes() + frame.cell.tobytes() + waters.tobytes() + charge, []).append(index)
    return LabelPlan(
        groups=tuple(
            LabelGroup(
                tuple(members), _is_metal_static(frames, members), counter_sheet(frames.frame(members[0])) is not None
            )
            for members in groups.values()
        ),
        refused=refused,
    )


def _is_metal_static(frames: FrameSet, members: list[int]) -> bool:
    """Return whether the metal has the same positions in all frames of a group."""

    def metal(index: int) -> Floats:
        frame = frames.frame(index)
        positions: Floats = frame.positions[frame.numbers == atomic_numbers[METAL]]
        return positions

    first = metal(members[0])
    return all(np.array_equal(metal(index), first) for index in members[1:])


def label_files(frames: FrameSet, model: ReferenceModel, plan: LabelPlan) -> dict[str, bytes]:
    """Return the input script, and a data file and a dump for each group.

    :param frames: the frames.
    :param model: the parameters.
    :param plan: result of :func:`plan_labels`.
    """
    lines: list[str] = []
    files: dict[str, bytes] = {}
    for number, group in enumerate(plan.groups):
        first = frames.frame(group.frames[0])
        lines += _group_lines(number, group, first, model)
        sheet = counter_sheet(first)
        files[_data_name(number)] = data_file(first, model, sheet).encode()
        snapshots = [_snapshot(index, frames.frame(index), sheet) for index in group.frames]
        files[_dump_name(number)] = ''.join(snapshots).encode()
    lines.append(f'print "{END_MARK}"')
    return {INPUT: ('\n'.join(lines) + '\n').encode(), **files}


def derived_files(plan: LabelPlan) -> tuple[str, ...]:
    """Return the files of :func:`label_files` that hold nothing but frames.

    :param plan: result of :func:`plan_labels`.
    """
    return tuple(name for number in range(len(plan.groups)) for name in (_data_name(number), _dump_name(number)))


def _data_name(number: int) -> str:
    return f'group_{number:04d}.data'


def _dump_name(number: int) -> str:
    return f'group_{number:04d}.dump'


def _snapshot(index: int, frame: Frame, sheet: CounterSheet | None) -> str:
    """Return one frame as LAMMPS reads it: atoms brought into the cell along the periodic directions."""
    lengths = np.diag(frame.cell)
    positions = frame.positions - np.where(frame.pbc, lengths * np.floor(frame.positions / lengths), 0.0)
    types = np.array([ATOM_TYPES[symbol] for symbol in symbols_of(frame)])
    if sheet is not None:
        positions = np.concatenate([positions, sheet.positions])
        types = np.concatenate([types, np.full(len(sheet.positions), SHEET_TYPE)])
    return write_dump_snapshot(index, lengths, types, positions)


def _group_lines(number: int, group: LabelGroup, first: Frame, model: ReferenceModel) -> list[str]:
    """Return the lines that label one group."""
    return [
        'clear',
        'units real',
        'boundary p p f',
        'atom_style full',
        'atom_modify map array',
        'bond_style harmonic',
        'angle_style harmonic',
        f'read_data {_data_name(number)}',
        *force_field_lines(model),
        *([f'pair_coeff {SHEET_TYPE} {SHEET_TYPE} 0.0 1.0'] if group.has_sheet else []),
        *electrode_lines(first, model, group.is_metal_static),
        'thermo 1',
        'thermo_style custom step pe f_electrode[1]',
        'thermo_modify format float %.15g lost error',
        f'dump labels all custom 1 {LABELS} id fx fy fz q',
        'dump_modify labels sort id format float %.15g append yes',
        f'rerun {_dump_name(number)} dump x y z box no',
    ]


def read_labels(folder: Path, frames: FrameSet, plan: LabelPlan, slab_factor: float | None = None) -> Labels:
    """Read what a run left behind; a truncated run gives the labels it has.

    :param folder: holds log and labels.
    :param frames: the frames that were given to :func:`label_files`.
    :param plan: the plan that was given to :func:`label_files`.
    :param slab_factor: that of the model if not its default.
    :raises FileNotFoundError: if there is no log.
    """
    log = read_log(folder / LOG)
    n_frames, n_atoms = len(frames), int(frames.offsets[-1])
    energies, potential = np.full(n_frames, np.nan), np.full(n_frames, np.nan)
    forces, charges = np.full((n_atoms, 3), np.nan), np.full(n_atoms, np.nan)
    if log.columns:
        rows = log.columns['Step'].astype(np.int64)
        energies[rows] = log.columns['PotEng'] * units.KILOCALORIE_PER_MOL
        potential[rows] = log.columns['f_electrode[1]']
    for snapshot in read_dump(folder / LABELS) if (folder / LABELS).is_file() else ():
        atoms = slice(int(frames.offsets[snapshot.step]), int(frames.offsets[snapshot.step + 1]))
        n_own = atoms.stop - atoms.start  # the points of a sheet follow
        forces[atoms] = snapshot.values('fx', 'fy', 'fz')[:n_own] * units.KILOCALORIE_PER_MOL
        charges[atoms] = snapshot.values('q')[:n_own, 0]
    is_finite = np.isfinite(energies) & np.isfinite(np.add.reduceat(forces.sum(axis=1), frames.offsets[:-1]))
    is_complete = re.search(f'^{END_MARK}$', log.text, re.MULTILINE) is not None
    stop_reason = '' if is_complete else log.error or f'{LOG} ends early'
    reason = stop_reason or 'energy or forces are not finite numbers'
    energies[~is_finite] = potential[~is_finite] = np.nan
    forces[~np.repeat(is_finite, np.diff(frames.offsets))] = np.nan
    electrode_potential = None
    if any(group.has_sheet for group in plan.groups):
        energies -= _grid_energies(frames, plan)
        factor = ReferenceModel().slab_factor if slab_factor is None else slab_factor
        electrode_potential = _electrode_potentials(potential, frames, charges, factor)
    return Labels(
        energies=energies,
        forces=forces,
        charges=charges,
        metal_potential=potential,
        is_converged=is_finite,
        failures={int(index): plan.refused.get(int(index), reason) for index in np.flatnonzero(~is_finite)},
        is_complete=is_complete,
        stop_reason=stop_reason,
        version=log.version,
        wall_seconds=log.wall_seconds,
        electrode_potential=electrode_potential,
    )


def _grid_energies(frames: FrameSet, plan: LabelPlan) -> Floats:
    """Return the energy that a sheet of points has over a uniform one [eV], shape ``(n_frames,)``; 0 without."""
    energies = np.zeros(len(frames))
    for group in plan.groups:
        sheet = counter_sheet(frames.frame(group.frames[0]))
        energies[list(group.frames)] = 0.0 if sheet is None else sheet.grid_energy
    return energies


def _electrode_potentials(reported: Floats, frames: FrameSet, charges: Floats, slab_factor: float) -> Floats:
    """Return the potential of the metal over that of sheet or vacuum [V], shape ``(n_frames,)``; NaN unlabelled."""
    potentials = np.full(len(frames), np.nan)
    for index in np.flatnonzero(np.isfinite(reported)).tolist():
        frame = frames.frame(index)
        own = charges[int(frames.offsets[index]) : int(frames.offsets[index + 1])]
        potentials[index] = potential_over_sheet(reported[index], frame, own, counter_sheet(frame), slab_factor)
    return potentials
