"""Coulomb sums of LAMMPS, timed: ``pair_style coul/long`` with ``kspace_style pppm`` or ``ewald``, on one core.

Splitting parameter and mesh of PPPM are given, because those that LAMMPS chooses for an accuracy go in steps of up to a
factor of two in the measured error, which would compare unlike errors.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from parts.charge_cases import ChargeCase
from parts.timed_sums import (
    AIM,
    LEAST_EVALUATIONS,
    MOST_TUNED_ATOMS,
    NotMeasuredError,
    Settings,
    TimePlan,
    largest_that_meets,
    neglect_ratio,
    pairs_within,
)

from aiida_edl.md_engines.lammps_system import Box, box_of
from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.converged_sum import root_mean_square
from aiida_edl.science.frames import Floats, Frame

FORCE_UNIT = 14.399645
"""Force between two charges of 1 e at 1 Å [eV/Å], to which an accuracy of LAMMPS is relative."""
CUTOFFS = {'pppm': (5.0, 6.0, 7.0, 8.0, 10.0, 12.0), 'ewald': (6.0, 8.0, 10.0, 12.0, 15.0)}
"""Cutoffs that are tried [Å]."""
MOST_EWALD_ATOMS = 20000
"""Atoms up to which Ewald's sum is measured."""
ORDER = 5
"""Order of the splines of PPPM, the default."""
REAL_SHARE = 0.7
"""Share of the target that the neglect of pairs may take."""
TRIAL_RUNS = 3
"""Runs by the fastest of which candidates are compared."""
BYTES_OF_PAIR, BYTES_OF_ATOM, BYTES_OF_POINT = 5.0, 1500.0, 120.0
"""Peak of memory for a pair, an atom with its images, and a mesh point."""
LEAST_MEGABYTES = 60.0
"""Memory of the program alone."""
SHORTEST_STEP = 1e-7
"""No step takes less [s]."""
LOOP = re.compile(r'^Loop time of (\S+) on 1 procs for (\d+) steps', re.MULTILINE)
PROCESSOR = re.compile(r'^(\S+)% CPU use', re.MULTILINE)
MEMORY = re.compile(r'Maximum resident set size: (\S+) Mbyte')
SYSTEM = """\
units metal
atom_style charge
{tilt}read_data data.txt
mass * 1.0
pair_style coul/long {cutoff:.10g}
pair_coeff * *
kspace_style {style} {accuracy:.10g}
{modified}neighbor 0.0 bin
neigh_modify delay 0 every 1000000000 check no one 20000 page 400000
timestep 1e-9
fix motion all nve
thermo_style custom step pe
thermo_modify format float %.14g lost warn
"""
FORCES = """\
dump forces all custom 1 forces.txt id fx fy fz
dump_modify forces sort id format float %.12g
run 0
undump forces
print "ENERGY $(pe:%.14g)"
"""


@dataclass(frozen=True)
class LammpsSum:
    """One k-space style of LAMMPS."""

    style: str
    """``'pppm'`` or ``'ewald'``."""
    program: str
    """The program ``lmp``."""

    most_tuned_atoms = MOST_TUNED_ATOMS

    def tune(self, case: ChargeCase, target: float, reference: Floats) -> Settings:
        """Return the fastest settings of several cutoffs, each as loose as the measured error allows.

        Forces of PPPM are differentiated in reciprocal space, as is the default, and on the mesh.
        """
        found: list[tuple[float, Settings]] = []
        reason = f'no settings of kspace_style {self.style} met the target'
        kinds = ('ik', 'ad') if self.style == 'pppm' else ('ik',)
        with tempfile.TemporaryDirectory() as name:
            files = _Files(Path(name), case.system())
            for cutoff in CUTOFFS[self.style]:
                for kind in kinds:
                    try:
                        settings = self._loosest(files, cutoff, kind, target, reference)
                        if settings is not None:
                            log = self._run(files, settings, f'run {LEAST_EVALUATIONS}\n' * TRIAL_RUNS)
                            found.append((min(step_times(log)[1]), settings))
                    except NotMeasuredError as error:
                        reason = str(error)
        if not found:
            raise NotMeasuredError(reason)
        return min(found, key=lambda pair: pair[0])[1]

    def _loosest(self, files: _Files, cutoff: float, kind: str, target: float, reference: Floats) -> Settings | None:
        """Return the largest accuracy of Ewald, or the coarsest mesh of PPPM, that meets the target at a cutoff."""
        settings: Settings = {'cutoff': cutoff, 'accuracy': target / FORCE_UNIT, 'differentiation': kind}
        if self.style == 'pppm':
            ratio = neglect_ratio(files.system, cutoff, AIM * REAL_SHARE * target)
            settings['alpha'] = ratio / (math.sqrt(2.0) * cutoff)

        def settings_of(number: float) -> Settings:
            return {**settings, **({'accuracy': number} if self.style == 'ewald' else _mesh(files.system, number))}

        def judge(number: float) -> float:
            self._run(files, settings_of(number), FORCES)
            return root_mean_square(files.forces() - reference)

        is_mesh = self.style == 'pppm'
        start = 0.5 / settings['alpha'] if is_mesh else target / FORCE_UNIT
        best = largest_that_meets(judge, start, target, 5.0 if is_mesh else 1.0)
        return None if best is None else settings_of(best[0])

    def scaled(self, settings: Settings, factor: int) -> Settings:
        """Return settings with a mesh that is larger by a factor along each cell vector."""
        mesh = settings.get('mesh')
        return settings if mesh is None else {**settings, 'mesh': [factor * count for count in mesh]}

    def tighter(self, settings: Settings, ratio: float) -> Settings:
        """Return settings with a smaller accuracy, or a longer cutoff and a finer mesh."""
        if self.style == 'ewald':
            return {**settings, 'accuracy': ratio * settings['accuracy']}
        mesh = [fast_count(count + 1) for count in settings['mesh']]
        return {**settings, 'cutoff': (1.0 - 0.1 * math.log(ratio)) * settings['cutoff'], 'mesh': mesh}

    def forces(self, case: ChargeCase, settings: Settings) -> Floats:
        """Return forces [eV/Å]."""
        return self.energy_and_forces(case.system(), settings)[1]

    def energy_and_forces(self, system: ChargedSystem, settings: Settings) -> tuple[float, Floats]:
        """Return the energy [eV] and forces [eV/Å] of a system."""
        with tempfile.TemporaryDirectory() as name:
            files = _Files(Path(name), system)
            log = self._run(files, settings, FORCES)
            forces = files.forces()
        found = re.search(r'^ENERGY (\S+)$', log, re.MULTILINE)
        if found is None:
            raise NotMeasuredError('the log of LAMMPS has no energy')
        return float(found.group(1)), forces

    def needed_megabytes(self, case: ChargeCase, settings: Settings) -> float:
        """Return the memory that an evaluation needs, about."""
        volume = case.system().volume
        n_pairs = pairs_within(case, volume, settings['cutoff'])
        n_points = volume if self.style == 'pppm' else 0.0  # spacings are about 1 Å
        needed = BYTES_OF_PAIR * n_pairs + BYTES_OF_ATOM * case.n_atoms + BYTES_OF_POINT * n_points
        return LEAST_MEGABYTES + needed / 1e6

    def measure(self, case: ChargeCase, settings: Settings, plan: TimePlan) -> dict[str, Any]:
        """Return times and peak of memory: with pairs listed once, with stress as well, and with a search each step."""
        with tempfile.TemporaryDirectory() as name:
            files = _Files(Path(name), case.system())
            trial = self._run(files, settings, f'thermo 1\nrun {LEAST_EVALUATIONS}\n')
            repeats, steps = plan.repeats_of(trial_seconds(trial))
            log = self._run(files, settings, timing_script(repeats, steps))
        wall, processor = (times[1:] for times in step_times(log))
        if len(wall) != 3 * repeats:
            raise NotMeasuredError(f'the log of LAMMPS has {len(wall)} runs instead of {3 * repeats}')
        plain, stress, searched = (slice(i * repeats, (i + 1) * repeats) for i in range(3))
        memory = MEMORY.search(log)
        return {
            'evaluations': steps,
            'processor_seconds': processor[plain],
            'wall_seconds': wall[plain],
            'with_stress_processor_seconds': float(np.median(processor[stress])),
            'search_processor_seconds': float(np.median(processor[searched]) - np.median(processor[plain])),
            'search_wall_seconds': float(np.median(wall[searched]) - np.median(wall[plain])),
            'peak_megabytes': float(memory.group(1)) if memory else None,
            'chosen': chosen_numbers(log),
        }

    def _run(self, files: _Files, settings: Settings, commands: str) -> str:
        """Run commands on a system and return the log.

        :raises NotMeasuredError: with the message of LAMMPS.
        """
        folder = files.folder
        script = SYSTEM.format(
            tilt='box tilt large\n' if files.box.is_tilted else '',
            cutoff=settings['cutoff'],
            style=self.style,
            accuracy=settings['accuracy'],
            modified=modified(settings) if self.style == 'pppm' else '',
        )
        (folder / 'in.txt').write_text(script + commands)
        # Through a shell, or the peak of memory of this process would count as that of LAMMPS.
        command = [
            'sh',
            '-c',
            '"$@"; exit $?',
            'sh',
            self.program,
            '-in',
            'in.txt',
            '-log',
            'log.txt',
            '-screen',
            'none',
        ]
        environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
        done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
        log = (folder / 'log.txt').read_text() if (folder / 'log.txt').is_file() else ''
        errors = [line for line in log.splitlines() if line.startswith('ERROR')]
        if done.returncode or errors:
            raise NotMeasuredError(f'LAMMPS stopped: {errors[0] if errors else done.stderr.strip()[-200:]}')
        return log


def timing_script(repeats: int, steps: int) -> str:
    """Return the commands of a measurement: a run for warming up, then three kinds of repeats."""
    runs = f'run {steps}\n' * repeats
    return (
        f'thermo 1\nrun {LEAST_EVALUATIONS}\n{runs}'
        f'thermo_style custom step pe press\nthermo_modify format float %.14g\n{runs}'
        f'thermo_style custom step pe\nthermo_modify format float %.14g\nneigh_modify every 1\n{runs}'
        'info out log memory\n'
    )


def trial_seconds(log: str) -> float:
    """Return the wall time of a step of a trial [s]; of one so short LAMMPS may say that no processor was used."""
    return max(step_times(log)[0][0], SHORTEST_STEP)


def step_times(log: str) -> tuple[list[float], list[float]]:
    """Return the wall times and the processor times of a step in each run of a log [s]."""
    loops = [(float(seconds), int(steps)) for seconds, steps in LOOP.findall(log) if int(steps) > 0]
    shares = [float(share) / 100.0 for share in PROCESSOR.findall(log)][-len(loops) :]
    wall = [seconds / steps for seconds, steps in loops]
    return wall, [seconds * share for seconds, share in zip(wall, shares)]


def chosen_numbers(log: str) -> dict[str, Any]:
    """Return the mesh and the splitting parameter that LAMMPS chose."""
    mesh = re.search(r'^  grid = (\d+) (\d+) (\d+)', log, re.MULTILINE)
    splitting = re.search(r'^  G vector \(1/distance\) = (\S+)', log, re.MULTILINE)
    return {
        'mesh': [int(word) for word in mesh.groups()] if mesh else None,
        'alpha': float(splitting.group(1)) if splitting else None,
    }


def modified(settings: Settings) -> str:
    """Return the command that gives PPPM its numbers."""
    words = f'kspace_modify diff {settings["differentiation"]} order {ORDER}'
    if 'mesh' in settings:
        words += f' gewald {settings["alpha"]:.10g} mesh {" ".join(str(count) for count in settings["mesh"])}'
    return f'{words}\n'


def fast_count(least: int) -> int:
    """Return the next number of mesh points that LAMMPS takes: a product of twos, threes and fives.

    >>> fast_count(49)
    50
    """
    count = least
    while _rest(count) > 1:
        count += 1
    return count


def _rest(count: int) -> int:
    """Return what is left of a number without its factors two, three and five."""
    for prime in (2, 3, 5):
        while count % prime == 0:
            count //= prime
    return count


def _mesh(system: ChargedSystem, spacing: float) -> Settings:
    """Return the mesh whose points are at most a spacing apart [Å]."""
    lengths = np.linalg.norm(system.cell, axis=1)
    return {'mesh': [fast_count(max(math.ceil(length / spacing), ORDER)) for length in lengths]}


class _Files:
    """The data file of a system in a folder, and the forces that LAMMPS writes beside it."""

    def __init__(self, folder: Path, system: ChargedSystem) -> None:
        self.folder, self.system = folder, system
        self.box = write_data(folder, system)

    def forces(self) -> Floats:
        """Return the forces of the dump in the axes of the system [eV/Å], shape ``(n_atoms, 3)``."""
        forces = np.loadtxt(self.folder / 'forces.txt', skiprows=9, usecols=(1, 2, 3), ndmin=2)
        return forces @ self.box.rotation if self.box.is_turned else forces


def write_data(folder: Path, system: ChargedSystem) -> Box:
    """Write the data file of a system, and return its box in the axes of LAMMPS."""
    numbers = np.ones(len(system.charges), dtype=np.uint8)
    box = box_of(Frame(numbers=numbers, positions=system.positions, cell=system.cell, pbc=system.pbc))
    positions = box.turned(system.positions)
    lines = ['charges', '', f'{len(numbers)} atoms', '1 atom types', '']
    lines += [f'0.0 {box.cell[i, i]:.15g} {axis}lo {axis}hi' for i, axis in enumerate('xyz')]
    if box.is_tilted:
        lines.append(f'{box.cell[1, 0]:.15g} {box.cell[2, 0]:.15g} {box.cell[2, 1]:.15g} xy xz yz')
    rows = np.column_stack([np.arange(1, len(numbers) + 1), numbers, system.charges, positions])
    with (folder / 'data.txt').open('w') as file:
        file.write('\n'.join([*lines, '', 'Atoms # charge', '', '']))
        np.savetxt(file, rows, fmt='%d %d %.10g %.15g %.15g %.15g')
    return box
