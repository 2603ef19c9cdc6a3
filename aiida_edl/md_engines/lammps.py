"""Molecular dynamics of trained potentials with LAMMPS: any architecture that has a :class:`LammpsBinding` runs here.

Forces in the trajectory are those of the model alone: they are stored before wall and thermostat act. Fixed atoms are
left out of the integration. Without them the centre of mass is put at rest, and every thermostat but Langevin's keeps
it so: 3 N - 3 degrees of freedom, else 3 N of the mobile atoms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.md_engines.base import MDEngine, MDJob, MDResult, MDSettings, MDSettingsError, lost_charge
from aiida_edl.md_engines.lammps_files import VERSION
from aiida_edl.md_engines.lammps_output import (
    CARRIED_HEAT,
    CHECKPOINT,
    CHECKPOINT_HEAT,
    DUMP,
    ENERGY_SHIFT,
    LOG,
    Dialect,
    Schedule,
    read_run,
)
from aiida_edl.md_engines.lammps_recipe import checked_recipe, potential_lines
from aiida_edl.md_engines.lammps_script import (
    LARGEST_SEED,
    STORE_MODEL_FORCES,
    explosion_lines,
    heat_lines,
    lammps_seed,
    production_lines,
    walltime_lines,
)
from aiida_edl.md_engines.lammps_single_points import LammpsSinglePoints
from aiida_edl.md_engines.lammps_system import VELOCITY, Box, box_of, data_file, index_ranges, types_of
from aiida_edl.md_engines.long_range import mesh_lines, with_point_charges
from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.frames import Floats, Frame

INPUT = 'in.lammps'
DATA = 'initial.data'
START_LOG = 'start.lammps'
"""Log before the input script names another. It tells where plug-ins of the executable lie, so that it is not kept."""
STDOUT = 'lammps.out'
DEEPMD_VERSION = re.compile(r'^  source: +v?(\S+)$', re.MULTILINE)
"""How the pair style of DeePMD-kit says which version it is."""
CHECKPOINT_STEPS = 1000
"""Steps between two checkpoints, rounded up to a multiple of the sampling interval; a killed run loses no more."""
CLOCK_STEPS = 10
"""Steps between two looks at the clock; potentials are slow enough for it to cost nothing."""
THERMO = ('step', 'temp', 'pe', 'ke', 'econserve')
"""What is printed at every sampling interval."""
PICOSECOND = 1e-3
"""One fs in ps, the unit of time of LAMMPS in units ``metal``."""


class LammpsEngine(LammpsSinglePoints, MDEngine):
    """Runs ``lmp`` with the pair style of a trained potential, or with one that ``model_parameters`` describe."""

    name = 'lammps'
    packages = ('lammps',)
    install_command = 'aiida-edl environment create deepmd_lammps'
    binding_kind = 'lammps'
    code_kind = 'lammps'

    def refuse(self, settings: MDSettings) -> str | None:
        """Refuse a barostat with fixed atoms, and a wall without: its height counts from the topmost of them."""
        has_fixed = bool(settings.fixed_elements or settings.fixed_atoms)
        if settings.ensemble == 'npt' and has_fixed:
            return "engine lammps cannot change the cell of fixed atoms by 'npt'; use 'nvt' or let all atoms move"
        if settings.wall_height > 0 and not has_fixed:
            return (
                f'engine lammps counts wall_height {settings.wall_height} Å from the topmost fixed atom, but '
                'fixed_elements is empty; name the elements that do not move or set wall_height to 0'
            )
        return None

    def files(self, job: MDJob) -> Mapping[str, bytes]:
        """Return the input script and the data file.

        :raises MDSettingsError: if the engine refuses the settings, or the frame does not go with them.
        """
        if refusal := self.refuse(job.settings) or _refuse_frame(job):
            raise MDSettingsError(refusal)
        run = _Run.of(job)
        # The data file is written for a restart too: it is small, and checks the frame.
        return {
            INPUT: ('\n'.join(_script(run)) + '\n').encode(),
            DATA: data_file(_charged(run), run.box, run.types, run.recipe['atom_style']).encode(),
        }

    def commands(self, job: MDJob) -> Sequence[Command]:
        """Return the arguments of ``lmp``."""
        recipe = checked_recipe(job.model_recipe)
        arguments = ('-in', INPUT, '-log', START_LOG, '-screen', 'none', *recipe['arguments'])
        return (Command(arguments=arguments, stdout=STDOUT, environment=dict(recipe['environment'])),)

    def retrieve(self, job: MDJob) -> Retrieval:
        """Keep log and checkpoint; the trajectory becomes a node of its own."""
        return Retrieval(
            keep=(LOG, STDOUT, *(name.format('*') for name in (CHECKPOINT, CHECKPOINT_HEAT))),
            parse_only=(START_LOG, DUMP),
        )

    def level_of_theory(self, model_recipe: Mapping[str, Any]) -> str:
        """Return what the pair style is, in the words of whoever gave its recipe."""
        return str(checked_recipe(model_recipe)['level_of_theory'] or f'pair_style {model_recipe["pair_style"]}')

    def read(self, folder: Path, frame: Frame, settings: MDSettings) -> MDResult:
        """Read log, dump and checkpoint; a run that stopped early is read up to its checkpoint."""
        box = box_of(frame)
        dialect = Dialect(
            energy=1.0,
            velocity=VELOCITY,
            columns=_frame_columns,
            rotation=box.rotation if box.is_turned else None,
            is_cell_variable=settings.ensemble == 'npt',
        )
        result = read_run(folder, frame, settings, dialect)
        if not result.cost:
            return result
        return replace(result, cost={**result.cost, 'versions': _versions(folder)})


def _versions(folder: Path) -> dict[str, str]:
    """Return the versions that LAMMPS and the pair style of DeePMD-kit print."""
    start, log = (
        (path.read_text(errors='replace') if path.is_file() else '') for path in (folder / START_LOG, folder / LOG)
    )
    found = {'lammps': VERSION.search(start), 'deepmd-kit': DEEPMD_VERSION.search(log)}
    return {name: match.group(1) for name, match in found.items() if match is not None}


@dataclass(frozen=True)
class _Run:
    """A job with what follows from its frame."""

    job: MDJob
    recipe: Mapping[str, Any]
    """How the model is loaded."""
    box: Box
    types: tuple[int, ...]
    """Atomic number of each type of atoms."""
    fixed: NDArray[np.bool_]
    """Atoms that do not move, shape ``(n_atoms,)``."""

    @classmethod
    def of(cls, job: MDJob) -> _Run:
        """Return what follows from a job."""
        return cls(
            job=job,
            recipe=checked_recipe(job.model_recipe),
            box=box_of(job.frame),
            types=types_of(job.frame),
            fixed=job.settings.fixed_mask(job.frame.numbers),
        )

    @property
    def is_centre_of_mass_at_rest(self) -> bool:
        """Whether the centre of mass is put at rest and stays there."""
        settings = self.job.settings
        return not self.fixed.any() and (settings.ensemble == 'nve' or settings.thermostat != 'langevin')

    @property
    def is_heat_carried(self) -> bool:
        """Whether the checkpoint does not tell what the thermostat has given: the other ones write it there."""
        return self.job.settings.ensemble != 'nve' and self.job.settings.thermostat == 'langevin'

    @property
    def energy_shift(self) -> float:
        """Energies of isolated atoms that the model leaves out [eV]."""
        shifts = self.job.atomic_energies
        return float(sum(shifts.get(chemical_symbols[number], 0.0) for number in self.job.frame.numbers))


def _frame_columns(frame: Frame, printed: Mapping[str, Floats]) -> Mapping[str, NDArray[Any]]:
    """Return the number of ions of each frame, shape ``(n_frames,)``."""
    n_ions = ions_per_frame(frame.numbers, np.array([0, len(frame.numbers)]))
    return {'charge_state': np.tile(n_ions, len(printed['Step']))}


def _refuse_frame(job: MDJob) -> str | None:
    """Return one sentence if the frame does not go with settings or model."""
    settings, frame = job.settings, job.frame
    message = None
    if job.total_charge is not None and (lost := lost_charge('lammps', job.model_recipe)):
        message = lost
    elif settings.fixed_mask(frame.numbers).all():
        message = 'all atoms are fixed, so that there is nothing to run; fix fewer'
    elif settings.ensemble == 'npt' and not frame.pbc.all():
        message = f"ensemble 'npt' needs a frame that is periodic in all directions, its pbc is {frame.pbc.tolist()}"
    elif settings.wall_height > 0 and frame.pbc[2]:
        message = (
            'engine lammps has no wall in a periodic direction, and the frame is periodic along z; open it along z'
        )
    return message


def _charged(run: _Run) -> Frame:
    """Return the frame with the charges of a long-range model, if there is one."""
    return with_point_charges(run.job.frame, run.recipe['long_range'])


def _script(run: _Run) -> list[str]:
    """Return the input script: system, potential, dynamics, equilibration, production, checkpoint."""
    job, schedule = run.job, Schedule.of(run.job.settings)
    lines = [
        *_system_lines(run),
        *potential_lines(run.recipe, run.types, job.total_charge or 0.0),
        *mesh_lines(job.frame, float(run.box.cell[2, 2]), run.recipe['long_range']),
        *_group_lines(run),
        f'print "{ENERGY_SHIFT} {run.energy_shift!r}"',
        *(heat_lines(job.is_restart) if run.is_heat_carried else []),
        *_thermo_lines(run),
        *walltime_lines(job.walltime_seconds, CLOCK_STEPS),
    ]
    if not job.is_restart:
        lines += _start_lines(run, schedule)
    lines += [*explosion_lines(job.settings), *_dynamics_lines(run)]
    if job.settings.equilibration_steps:
        lines.append(f'if "$(step) < {schedule.production}" then "run {schedule.production} upto"')
    production = production_lines(
        job.settings, schedule, CHECKPOINT_STEPS, has_charges=False, is_heat_carried=run.is_heat_carried
    )
    return [*lines, *production]


def _system_lines(run: _Run) -> list[str]:
    """Return the lines that define the atoms."""
    recipe = run.recipe
    lines = [f'log {LOG}', 'units metal', *recipe['commands']]
    if run.job.is_restart:
        return [*lines, f'read_restart {CHECKPOINT.format("*")}']
    lines += [f'boundary {" ".join(run.box.boundary)}', f'atom_style {recipe["atom_style"]}']
    if run.box.is_tilted:
        lines.append('box tilt large')
    return [*lines, f'read_data {DATA}']


def _group_lines(run: _Run) -> list[str]:
    """Return the groups of fixed and mobile atoms."""
    if not run.fixed.any():
        return ['group mobile union all']
    fixed = index_ranges(np.flatnonzero(run.fixed).tolist())
    return [f'group fixed id {fixed}', 'group mobile subtract all fixed']


def _thermo_lines(run: _Run) -> list[str]:
    """Return temperature, wall and what is printed.

    :raises MDSettingsError: if the wall lies outside the cell.
    """
    settings, wall = run.job.settings, _wall_lines(run)
    columns = (*THERMO, *(['f_wall'] if wall else []), *([CARRIED_HEAT] if run.is_heat_carried else []))
    return [
        'compute mobile_temperature mobile temp',
        f'compute_modify mobile_temperature extra/dof {3 if run.is_centre_of_mass_at_rest else 0}',
        STORE_MODEL_FORCES,
        *wall,
        f'timestep {settings.time_step * PICOSECOND:.10g}',
        f'thermo {settings.sampling_interval}',
        f'thermo_style custom {" ".join(columns)}',
        'thermo_modify temp mobile_temperature format float %.15g flush yes lost error',
    ]


def _wall_lines(run: _Run) -> list[str]:
    """Return the wall: LAMMPS counts from the upper end of the box and has an energy without the factor 1/2.

    :raises MDSettingsError: if the wall lies outside the cell, or the axes of LAMMPS have another z.
    """
    settings, frame = run.job.settings, run.job.frame
    if settings.wall_height <= 0:
        return []
    if not np.allclose(run.box.rotation[2], [0.0, 0.0, 1.0], atol=1e-12):
        raise MDSettingsError(
            'engine lammps has walls across z only, but the first two cell vectors do not lie in the plane of x and y; '
            'turn the frame or set wall_height to 0'
        )
    wall = float(frame.positions[run.fixed, 2].max()) + settings.wall_height
    height = float(frame.cell[2, 2])
    if 0 < height <= wall:
        raise MDSettingsError(
            f'wall_height {settings.wall_height} Å puts the wall {wall:.2f} Å above the bottom of the cell, whose '
            f'height is {height:.2f} Å: lower the wall or enlarge the cell'
        )
    distance = float(run.box.low[2] + run.box.cell[2, 2]) - wall
    strength = settings.wall_force_constant / 2
    return [f'fix wall mobile wall/harmonic zhi EDGE {strength:.10g} 1.0 {distance:.10g} units box']


def _start_lines(run: _Run, schedule: Schedule) -> list[str]:
    """Return the lines of a fresh start: the step at which it begins, and velocities."""
    settings, lines = run.job.settings, [f'reset_timestep {schedule.begin}']
    at_rest = run.is_centre_of_mass_at_rest
    if run.job.frame.velocities is None:
        lines.append(
            f'velocity mobile create {settings.temperature:.10g} {lammps_seed(settings.seed)} '
            f'mom {"yes" if at_rest else "no"} rot no dist gaussian temp mobile_temperature'
        )
    if at_rest:
        lines.append('velocity mobile zero linear')
    return [*lines, *(['velocity fixed set 0 0 0'] if run.fixed.any() else [])]


def _dynamics_lines(run: _Run) -> list[str]:
    """Return integrator, thermostat and barostat, the same for equilibration and production."""
    settings = run.job.settings
    if settings.ensemble == 'nve':
        return ['fix motion mobile nve']
    span = f'{settings.temperature:.10g} {settings.temperature:.10g} {settings.relaxation_time * PICOSECOND:.10g}'
    barostat = ''
    if settings.ensemble == 'npt':
        pressure_time = settings.pressure_relaxation_time * PICOSECOND
        barostat = f'iso {settings.pressure_bar:.10g} {settings.pressure_bar:.10g} {pressure_time:.10g}'
    if settings.thermostat == 'nose_hoover':
        motion = f'npt temp {span} {barostat}' if barostat else f'nvt temp {span}'
        return [f'fix motion mobile {motion}', 'fix_modify motion temp mobile_temperature']
    lines = [f'fix motion mobile nph {barostat}', 'fix_modify motion temp mobile_temperature']
    if not barostat:
        lines = ['fix motion mobile nve']
    if settings.thermostat == 'csvr':
        return [
            *lines,
            f'fix heat mobile temp/csvr {span} {lammps_seed(settings.seed)}',
            'fix_modify heat temp mobile_temperature',
        ]
    # The step is part of the seed: random numbers are not in a checkpoint, and a restart must not repeat them.
    seed = f'$((step+{settings.seed % LARGEST_SEED})%{LARGEST_SEED}+1)'
    return [*lines, f'fix heat mobile langevin {span} {seed} tally yes']
