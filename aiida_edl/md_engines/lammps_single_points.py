"""Energies and forces of given frames by LAMMPS: one input script, in which every frame has a box of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.md_engines.base import MDSettingsError, lost_charge
from aiida_edl.md_engines.lammps_files import read_dump, read_log
from aiida_edl.md_engines.lammps_recipe import checked_recipe, potential_lines
from aiida_edl.md_engines.lammps_system import box_of, data_file, types_of
from aiida_edl.md_engines.long_range import mesh_lines, with_point_charges
from aiida_edl.md_engines.single_points import SinglePointEngine, SinglePointJob, SinglePoints
from aiida_edl.science.frames import Frame, FrameSet

INPUT = 'in.lammps'
LOG = 'log.lammps'
START_LOG = 'start.lammps'
"""Log before the input script names another. It tells where plug-ins of the executable lie, so that it is not kept."""
STDOUT = 'lammps.out'
DATA = 'frame_{:04d}.data'
FORCES = 'forces_{:04d}.dump'
MARK = 'single_point'
"""Word before the number of a frame and its energy [eV] in the log."""
DIGITS = '%.17g'
"""All digits of a number of double precision."""


class LammpsSinglePoints(SinglePointEngine):
    """What the engine ``lammps`` does to compute given frames."""

    def single_point_files(self, job: SinglePointJob) -> Mapping[str, bytes]:
        """Return the input script and a data file for each frame.

        :raises MDSettingsError: for a model that takes a total charge, if its pair style has no place for it.
        """
        if job.total_charges is not None and (lost := lost_charge('lammps', job.model_recipe)):
            raise MDSettingsError(lost)
        lines = [f'log {LOG}']
        files: dict[str, bytes] = {}
        recipe = checked_recipe(job.model_recipe)
        for number, frame in enumerate(job.frames):
            box, types = box_of(frame), types_of(frame)
            charged = with_point_charges(frame, recipe['long_range'])
            charge = 0.0 if job.total_charges is None else float(job.total_charges[number])
            files[DATA.format(number)] = data_file(charged, box, types, recipe['atom_style']).encode()
            lines += [
                'clear',
                'units metal',
                *recipe['commands'],
                f'boundary {" ".join(box.boundary)}',
                f'atom_style {recipe["atom_style"]}',
                *(['box tilt large'] if box.is_tilted else []),
                f'read_data {DATA.format(number)}',
                *potential_lines(recipe, types, charge),
                *mesh_lines(frame, float(box.cell[2, 2]), recipe['long_range']),
                'run 0',
                f'write_dump all custom {FORCES.format(number)} id fx fy fz modify sort id format float {DIGITS}',
                f'print "{MARK} {number} $(pe:{DIGITS})"',
            ]
        return {**files, INPUT: ('\n'.join(lines) + '\n').encode()}

    def single_point_commands(self, job: SinglePointJob) -> Sequence[Command]:
        """Return the arguments of ``lmp``."""
        recipe = checked_recipe(job.model_recipe)
        arguments = ('-in', INPUT, '-log', START_LOG, '-screen', 'none', *recipe['arguments'])
        return (Command(arguments=arguments, stdout=STDOUT, environment=dict(recipe['environment'])),)

    def single_point_retrieve(self, job: SinglePointJob) -> Retrieval:
        """Keep the log; energies and forces become a node."""
        return Retrieval(keep=(LOG, STDOUT), parse_only=(FORCES.replace('{:04d}', '*'),))

    def read_single_points(
        self, folder: Path, frames: FrameSet, energy_shifts: Mapping[str, float]
    ) -> SinglePoints | None:
        """Read log and dumps; frames after the first that failed are missing, with the error of LAMMPS as reason."""
        if not (folder / LOG).is_file():
            return None
        log = read_log(folder / LOG)
        printed = [line.split() for line in log.text.splitlines() if line.startswith(f'{MARK} ')]
        energy_of = {int(words[1]): float(words[2]) for words in printed if len(words) == 3}
        energies, forces = np.full(len(frames), np.nan), np.full(frames.positions.shape, np.nan)
        failures = {}
        for number, frame in enumerate(frames):
            path = folder / FORCES.format(number)
            snapshot = next(read_dump(path), None) if path.is_file() else None
            if number not in energy_of or snapshot is None:
                failures[number] = log.error or 'LAMMPS stopped before this frame, its log does not say why'
                continue
            energies[number] = energy_of[number] + _energy_shift(frame, energy_shifts)
            atoms = slice(int(frames.offsets[number]), int(frames.offsets[number + 1]))
            forces[atoms] = snapshot.values('fx', 'fy', 'fz') @ box_of(frame).rotation
        return SinglePoints(energies, forces, failures)


def _energy_shift(frame: Frame, energy_shifts: Mapping[str, float]) -> float:
    """Return the energies of isolated atoms that the model leaves out [eV]."""
    return float(sum(energy_shifts.get(chemical_symbols[number], 0.0) for number in frame.numbers))
