"""Coulomb sums of LAMMPS, timed: ``pair_style coul/long`` with ``kspace_style pppm`` or ``ewald``, on one core."""

from __future__ import annotations

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
    LEAST_EVALUATIONS,
    NotMeasuredError,
    Settings,
    TimePlan,
    largest_that_meets,
    pairs_within,
)

from aiida_edl.md_engines.lammps_system import Box, box_of
from aiida_edl.science.electrostatics.charged_system import ChargedSystem
from aiida_edl.science.electrostatics.converged_sum import root_mean_square
from aiida_edl.science.frames import Floats, Frame

FORCE_UNIT = 14.399645
"""Force between two charges of 1 e at 1 Å [eV/Å], to which an accuracy of LAMMPS is relative."""
CUTOFFS = {'pppm': (5.0, 6.0, 8.0, 10.0, 12.0), 'ewald': (6.0, 8.0, 10.0, 12.0, 15.0)}
"""Cutoffs that are tried [Å]."""
MOST_EWALD_ATOMS = 20000
"""Atoms up to which Ewald's sum is measured."""
BEST_CUTOFFS = 2
"""Cutoffs of the fastest candidates at which differentiation on the mesh is tried as well."""
TRIAL_RUNS = 3
"""Runs by the fastest of which candidates are compared."""
BYTES_OF_PAIR, BYTES_OF_ATOM, BYTES_OF_POINT = 5.0, 1500.0, 120.0
"""Peak of memory for a pair, an atom with its images, and a mesh point."""
LEAST_MEGABYTES = 60.0
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
{differentiation}neighbor 0.0 bin
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

    def tune(self, case: ChargeCase, target: float, reference: Floats) -> Settings:
        """Return the fastest of several cutoffs, each with the loosest accuracy whose measured error meets the target.

        With PPPM, forces are differentiated in reciprocal space, as is the default, and at the best cutoffs on the
        mesh as well.
        """
        choices = [(cutoff, 'ik') for cutoff in CUTOFFS[self.style]]
        found: list[tuple[float, Settings]] = []
        reason = f'no accuracy of kspace_style {self.style} met the target'
        while choices:
            cutoff, differentiation = choices.pop(0)
            try:
                best = self._candidate(case, cutoff, differentiation, target, reference)
            except NotMeasuredError as error:
                reason = str(error)
                continue
            found += [best] if best is not None else []
            if not choices and differentiation == 'ik' and self.style == 'pppm':
                fastest = sorted(found, key=lambda pair: pair[0])[:BEST_CUTOFFS]
                choices = [(settings['cutoff'], 'ad') for _, settings in fastest]
        if not found:
            raise NotMeasuredError(reason)
        return min(found, key=lambda pair: pair[0])[1]

    def _candidate(
        self, case: ChargeCase, cutoff: float, differentiation: str, target: float, reference: Floats
    ) -> tuple[float, Settings] | None:
        """Return the loosest accuracy at a cutoff and the time of a step [s], if any meets the target."""
        seconds: dict[float, float] = {}
        with tempfile.TemporaryDirectory() as name:
            folder, system = Path(name), case.system()
            box = write_data(folder, system)

            def settings_of(accuracy: float) -> Settings:
                return {'cutoff': cutoff, 'accuracy': accuracy, 'differentiation': differentiation}

            def judge(accuracy: float) -> float:
                log = self._run(folder, box, settings_of(accuracy), FORCES + f'run {LEAST_EVALUATIONS}\n' * TRIAL_RUNS)
                seconds[accuracy] = min(step_times(log)[1])
                return root_mean_square(read_forces(folder, box) - reference)

            best = largest_that_meets(judge, target / FORCE_UNIT, target, 1.0)
        return None if best is None else (seconds[best[0]], settings_of(best[0]))

    def scaled(self, settings: Settings, factor: int) -> Settings:
        """Return the settings: LAMMPS chooses a mesh for the cell."""
        return settings

    def tighter(self, settings: Settings, ratio: float) -> Settings:
        """Return settings with a smaller accuracy."""
        return {**settings, 'accuracy': ratio * settings['accuracy']}

    def forces(self, case: ChargeCase, settings: Settings) -> Floats:
        """Return forces [eV/Å]."""
        return self.energy_and_forces(case.system(), settings)[1]

    def energy_and_forces(self, system: ChargedSystem, settings: Settings) -> tuple[float, Floats]:
        """Return the energy [eV] and forces [eV/Å] of a system."""
        with tempfile.TemporaryDirectory() as name:
            box = write_data(Path(name), system)
            log = self._run(Path(name), box, settings, FORCES)
            forces = read_forces(Path(name), box)
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
            box = write_data(Path(name), case.system())
            trial = step_times(self._run(Path(name), box, settings, f'thermo 1\nrun {LEAST_EVALUATIONS}\n'))[1][0]
            repeats, steps = plan.repeats_of(trial)
            log = self._run(Path(name), box, settings, timing_script(repeats, steps))
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

    def _run(self, folder: Path, box: Box, settings: Settings, commands: str) -> str:
        """Run commands on a system and return the log.

        :raises NotMeasuredError: with the message of LAMMPS.
        """
        differentiation = f'kspace_modify diff {settings["differentiation"]}\n' if self.style == 'pppm' else ''
        script = SYSTEM.format(
            tilt='box tilt large\n' if box.is_tilted else '',
            cutoff=settings['cutoff'],
            style=self.style,
            accuracy=settings['accuracy'],
            differentiation=differentiation,
        )
        (folder / 'in.txt').write_text(script + commands)
        command = [self.program, '-in', 'in.txt', '-log', 'log.txt', '-screen', 'none']
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


def read_forces(folder: Path, box: Box) -> Floats:
    """Return the forces of a dump in the axes of the system [eV/Å], shape ``(n_atoms, 3)``."""
    forces = np.loadtxt(folder / 'forces.txt', skiprows=9, usecols=(1, 2, 3), ndmin=2)
    return forces @ box.rotation if box.is_turned else forces
