r"""Rigid SPC/E water with charges summed by this package and by LAMMPS: density, structure and drift.

    .environments/engines/bin/python examples/05_rigid_water.py --render docs/source/topics/rigid_water

All runs start from one box of 216 molecules at 298.15 K and 1 atm. Those at constant pressure give density, potential
energy and the distances of oxygen atoms; those at constant energy give its drift. A run stands in ``runs.json`` as soon
as it has ended, and the same command goes on where it was stopped. It takes about three hours on one core, most of it
by PyTorch; with ``--quick`` a minute, which tests the program and not the water.

Needs what the environment ``engines`` has: LAMMPS with its Python module, numba and torch-pme.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the environment of the engines need not hold this package

from rigid_water.water_charges import implementation_of, tuned_for
from rigid_water.water_report import write_report
from rigid_water.water_run import CUTOFF, WaterRun, WaterState

from aiida_edl.science.analysis.energy_drift import energy_drift
from aiida_edl.science.electrostatics.validation_cases import water_box

PROGRAMS = ('lammps', 'compiled', 'torch')
TEMPERATURE = 298.15
PRESSURE = 1.01325
"""[bar]."""
SHORT_STEP, LONG_STEP = 0.001, 0.002
"""At constant energy, and at constant pressure [ps]."""
SETTLING = 5.0
"""Left out at the start of each run at constant pressure [ps]."""
EVERY = 50
"""Steps between two values that are kept."""
CHOSEN = ('molecules', 'target', 'picoseconds', 'drift', 'equilibration')
"""Settings that all runs in a folder share."""
BAROSTAT = f'fix move all npt temp {TEMPERATURE} {TEMPERATURE} 0.2 iso {PRESSURE} {PRESSURE} 2.0'
DISTANCES = (
    'compute distances all rdf 180 1 1',
    'fix distances all ave/time 50 {samples} {steps} c_distances[*] file {file} mode vector',
)


def equilibrated(folder: Path, molecules: int, picoseconds: float, target: float) -> WaterState:
    """Return the box from which all runs start; it is made once, by LAMMPS, and kept."""
    kept = folder / 'start.npz'
    if not kept.is_file():
        box = water_box(molecules)
        run = WaterRun(WaterState(box.positions, float(box.cell[0, 0])), target, None, folder / 'start')
        run.prepare(1, TEMPERATURE)
        heat = f'fix heat all langevin {TEMPERATURE} {TEMPERATURE} 0.1 1'
        settle = [heat, 'fix move all nve/limit 0.05', f'timestep {SHORT_STEP}']
        list(run.run(settle, _steps(0.25 * picoseconds, SHORT_STEP), EVERY))
        hold = ['unfix heat', 'unfix move', BAROSTAT, f'timestep {LONG_STEP}']
        list(run.run(hold, _steps(picoseconds, LONG_STEP), EVERY))
        state = run.state()
        run.close()
        np.savez(kept, positions=state.positions, side=state.side)
    stored = np.load(kept)
    return WaterState(stored['positions'], float(stored['side']))


def constant_pressure(run: WaterRun, seed: int, picoseconds: float) -> dict[str, Any]:
    """Return density, potential energy and distances of oxygen atoms of a run."""
    run.prepare(seed, TEMPERATURE)
    settling = _steps(min(SETTLING, 0.5 * picoseconds), LONG_STEP)
    list(run.run([f'timestep {LONG_STEP}', BAROSTAT], settling, EVERY))
    run.lammps.command('reset_timestep 0')  # distances are written at multiples of their number of steps
    steps = _steps(picoseconds, LONG_STEP)
    file = run.folder / f'distances_{seed}.txt'
    sample = [line.format(samples=steps // EVERY, steps=steps, file=file) for line in DISTANCES]
    start = time.process_time()
    values = list(run.run(sample, steps, EVERY))
    seconds = (time.process_time() - start) / steps
    run.lammps.command('unfix distances')  # closes the file
    table = np.loadtxt(file, skiprows=4)
    return {
        'density': [value['Density'] for value in values],
        'potential_energy': [value['PotEng'] for value in values],
        'radii': table[:, 1].tolist(),
        'radial_distribution': table[:, 2].tolist(),
        'seconds_per_step': seconds,
    }


def constant_energy(run: WaterRun, seed: int, picoseconds: float) -> dict[str, Any]:
    """Return the drift of the energy of a run."""
    run.prepare(seed, TEMPERATURE)
    values = list(run.run([f'timestep {SHORT_STEP}', 'fix move all nve'], _steps(picoseconds, SHORT_STEP), EVERY))
    energies = np.array([value['TotEng'] for value in values])
    times = 1000.0 * SHORT_STEP * EVERY * np.arange(1, len(values) + 1)
    drift = energy_drift(times, energies, run.lammps.get_natoms())
    return {'drift': drift.drift, 'drift_error': drift.error, 'fluctuation': drift.fluctuation}


def made_run(program: str, state: WaterState, arguments: argparse.Namespace) -> WaterRun:
    """Return LAMMPS with the sum of a program."""
    folder = arguments.output / program
    if program == 'lammps':
        return WaterRun(state, arguments.target, None, folder)
    kept = folder / 'numbers.json'
    tuned = tuned_for(program, state.system(), arguments.target, CUTOFF)
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({'settings': tuned.settings.to_dict(), 'error': tuned.error}, indent=1) + '\n')
    return WaterRun(state, arguments.target, implementation_of(program).make(tuned.settings), folder)


def refuse_other_settings(arguments: argparse.Namespace) -> None:
    """Stop if the folder holds runs with other settings; their number may differ."""
    stored = arguments.output / 'settings.json'
    chosen = {name: getattr(arguments, name) for name in CHOSEN}
    if stored.is_file() and (before := json.loads(stored.read_text())) != chosen:
        raise SystemExit(f'{arguments.output} holds runs with {before}, asked for are {chosen}: give another --output')
    stored.write_text(json.dumps(chosen) + '\n')


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Do all runs that are not there yet, and return all of them."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    refuse_other_settings(arguments)
    state = equilibrated(arguments.output, arguments.molecules, arguments.equilibration, arguments.target)
    stored = arguments.output / 'runs.json'
    runs: list[dict[str, Any]] = json.loads(stored.read_text()) if stored.is_file() else []
    done = {(run['program'], run['kind'], run['seed']) for run in runs}
    kinds = (
        ('forces', 1, lambda run, _: {'forces': run.forces()[0].tolist()}),
        ('drift', 1, lambda run, seed: constant_energy(run, seed, arguments.drift)),
        ('pressure', arguments.seeds, lambda run, seed: constant_pressure(run, seed, arguments.picoseconds)),
    )
    for kind, seeds, do in kinds:
        for seed in range(1, seeds + 1):
            for program in arguments.programs.split(','):
                if (program, kind, seed) in done:
                    continue
                run = made_run(program, state, arguments)
                found = do(run, seed)
                run.close()
                runs.append({'program': program, 'kind': kind, 'seed': seed, **found})
                stored.with_suffix('.unfinished').write_text(json.dumps(runs) + '\n')
                stored.with_suffix('.unfinished').rename(stored)
                print(f'{program}: {kind}, seed {seed}', flush=True)
    return runs


def _steps(picoseconds: float, time_step: float) -> int:
    """Return a number of steps that is a multiple of those between two values."""
    return max(4, round(picoseconds / time_step / EVERY)) * EVERY


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=Path, default=Path('results/rigid_water'), help='folder of all files')
    parser.add_argument('--programs', default=','.join(PROGRAMS), help='lammps and others (default all)')
    parser.add_argument('--molecules', type=int, default=216, help='molecules (default 216)')
    parser.add_argument('--target', type=float, default=1e-4, help='force error of the sums [eV/Å] (default 0.0001)')
    parser.add_argument('--seeds', type=int, default=4, help='runs at constant pressure of each program (default 4)')
    parser.add_argument('--picoseconds', type=float, default=50.0, help='length of each [ps] (default 50)')
    parser.add_argument('--drift', type=float, default=20.0, help='length of the run at constant energy [ps]')
    parser.add_argument('--equilibration', type=float, default=50.0, help='length of the run before [ps]')
    parser.add_argument('--render', type=Path, help='folder that takes tables and figure (default the output)')
    parser.add_argument('--quick', action='store_true', help='a fraction of a picosecond of each')
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.picoseconds, arguments.drift, arguments.equilibration = 2, 0.6, 0.4, 1.0
    runs, folder = measure(arguments), arguments.render or arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    for line in write_report(runs, arguments.molecules, folder):
        print(line)


if __name__ == '__main__':
    main()
