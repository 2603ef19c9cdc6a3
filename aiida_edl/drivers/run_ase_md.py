"""Molecular dynamics with any ASE calculator: ``python run_ase_md.py md.json``.

Runs on the compute node in the environment of the calculator; besides it needs numpy and ASE alone. The input holds

- ``recipe``: ``module``, ``attribute``, ``keyword_arguments``, ``environment`` and ``info`` of the calculator, and
  ``is_fully_periodic`` if it must see partly periodic frames as periodic along all cell vectors, with the
  ``cutoff_radius`` [Å] from which a run keeps the atoms from their images along open ones, and ``pbc_info``, the
  entry of ``atoms.info`` that tells the periodicity of the frame, if it wants to know that too;
- ``initial``: an ``.npz`` file with one frame, with or without ``velocities`` [Å/fs] and ``column_total_charge`` [e];
- ``settings``: the molecular-dynamics settings, all of them;
- ``units``: ``boltzmann`` [eV/K] and ``atomic_mass`` [eV fs²/Å² per u];
- ``energy_shifts``: energy to add for each atom of an element [eV];
- ``walltime_seconds``: time after which the program stops by itself [s], or null;
- ``flush_interval_seconds``: time between two checkpoints [s];
- ``is_restart``: whether ``checkpoint.npz`` of an earlier run must be there.

Integration is velocity Verlet (W. C. Swope et al., J. Chem. Phys. 76, 637 (1982)). In the NVT ensemble it is followed
by stochastic velocity rescaling (G. Bussi, D. Donadio and M. Parrinello, J. Chem. Phys. 126, 014101 (2007), equation
A7), or it becomes the splitting BAOAB of Langevin dynamics (B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102
(2013)) with friction ``1 / relaxation_time``. The conserved energy is the total energy, that of the wall included,
minus all heat that the thermostat has given. The potential energy that is stored leaves the wall out: it is the energy
of the model for those positions.

Without fixed atoms the centre of mass is put at rest, and every ensemble but Langevin's keeps it so: 3 N - 3 degrees of
freedom, else 3 N of the mobile atoms.

Frames go to ``trajectory_00001.npz``, ``trajectory_00002.npz`` and so on; after each of them ``checkpoint.npz`` is
replaced in one step. Frames beyond the step of the checkpoint, left by a kill between the two, are computed again by
the restart: bit for bit, if the calculator gives the same for the same positions whatever it computed before
(neighbour lists with a skin do not). ``md_summary.json`` is written at the end only.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import NDArray

START = time.perf_counter()
received_signals: list[int] = []
"""Signals by which the scheduler told this program to stop."""
TOTAL_CHARGE = '{total_charge}'
"""Stands in ``info`` of a recipe for the total charge of the frame [e]."""
WHOLE_TOTAL_CHARGE = '{whole_total_charge}'
"""The same for calculators that take an ``int`` alone; a charge that is none is left for them to refuse."""
CHECKPOINT = 'checkpoint.npz'
SUMMARY = 'md_summary.json'
CHUNK = 'trajectory_{:05d}.npz'
FRAMES_PER_CHUNK = 500
"""Frames held in memory at most."""
SERIES = ('step', 'time', 'temperature', 'potential_energy', 'kinetic_energy', 'conserved_energy')

Floats = NDArray[np.float64]


def remember_signal(number: int, _: FrameType | None) -> None:
    """Take note that this program shall stop: it does so like at its walltime."""
    received_signals.append(number)


def should_stop(walltime_seconds: float | None) -> bool:
    """Return whether the walltime has passed or the scheduler has told this program to stop."""
    return bool(received_signals) or (walltime_seconds is not None and time.perf_counter() - START > walltime_seconds)


def make_object(recipe: dict[str, Any]) -> Any:
    """Return what the call of a recipe returns; an argument that is a recipe itself is made first."""
    os.environ.update(recipe.get('environment') or {})
    is_call = {'module', 'attribute', 'keyword_arguments'}.issubset
    arguments = {
        name: make_object(value) if isinstance(value, dict) and is_call(value) else value
        for name, value in recipe['keyword_arguments'].items()
    }
    return getattr(importlib.import_module(recipe['module']), recipe['attribute'])(**arguments)


def filled_info(info: dict[str, Any], total_charge: float) -> dict[str, Any]:
    """Return entries for ``atoms.info``: the total charge [e] in place of its name, lists as numpy arrays."""

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(item) for item in value]
        if value == WHOLE_TOTAL_CHARGE and total_charge.is_integer():
            return int(total_charge)
        return total_charge if value in {TOTAL_CHARGE, WHOLE_TOTAL_CHARGE} else value

    filled = {key: fill(value) for key, value in info.items()}
    return {key: np.array(value) if isinstance(value, list) else value for key, value in filled.items()}


def periodicity(recipe: dict[str, Any], pbc: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return along which cell vectors the model sees a frame as periodic: all if its recipe says so and any is."""
    return np.full(3, True) if recipe.get('is_fully_periodic') and np.any(pbc) else np.asarray(pbc)


@dataclass(frozen=True)
class Wall:
    """Harmonic wall that turns mobile atoms back: energy k/2 (z - z_wall)² for z above z_wall."""

    height: float
    """Position z_wall [Å]."""
    force_constant: float
    """Force constant k [eV/Å²]; 0 for no wall."""
    mobile: NDArray[np.bool_]
    """Atoms it acts on, shape ``(n_atoms,)``."""

    def energy_and_forces(self, positions: Floats) -> tuple[float, Floats]:
        """Return the energy [eV] and the z components of the forces [eV/Å], shape ``(n_atoms,)``."""
        depth = np.where(self.mobile, np.maximum(positions[:, 2] - self.height, 0.0), 0.0)
        return 0.5 * self.force_constant * float(depth @ depth), -self.force_constant * depth


@dataclass(frozen=True)
class Vacuum:
    """What must stay empty along open cell vectors if the calculator takes them for periodic ones."""

    least: float
    """Distance within which atoms act on each other [Å]."""
    normals: Floats
    """Unit vectors across the gaps, shape ``(n_open, 3)``."""
    lengths: Floats
    """Distances of the periodic images along them [Å], shape ``(n_open,)``."""

    @classmethod
    def of(cls, recipe: dict[str, Any], cell: Floats, pbc: NDArray[np.bool_]) -> Vacuum | None:
        """Return the vacuum of a film; None if the calculator keeps it open, or there are no images."""
        if not recipe.get('is_fully_periodic') or pbc.all() or not pbc.any():
            return None
        normals = np.cross(np.roll(cell, -1, axis=0), np.roll(cell, -2, axis=0))[~pbc]
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        return cls(float(recipe['cutoff_radius']), normals, np.abs(np.sum(cell[~pbc] * normals, axis=1)))

    def width(self, positions: Floats) -> float:
        """Return the thinnest gap between the atoms and their images [Å]."""
        return float(np.min(self.lengths - np.ptp(positions @ self.normals.T, axis=0)))


class Model:
    """Energy and forces of the calculator, with atomic energies and the wall."""

    def __init__(self, calculator: Any, atoms: Atoms, energy_shift: float, wall: Wall | None) -> None:
        self.atoms = atoms
        self.atoms.calc = calculator
        self.energy_shift = energy_shift
        self.wall = wall

    def compute(self, positions: Floats) -> tuple[float, float, Floats]:
        """Return energy of the model [eV], energy of the wall [eV], all forces [eV/Å]."""
        self.atoms.positions[:] = positions
        forces = np.array(self.atoms.get_forces(), dtype=np.float64)
        results = self.atoms.calc.results
        energy = results['free_energy'] if 'free_energy' in results else self.atoms.get_potential_energy()
        wall_energy = 0.0
        if self.wall is not None:
            wall_energy, wall_forces = self.wall.energy_and_forces(positions)
            forces[:, 2] += wall_forces
        return float(energy) + self.energy_shift, wall_energy, forces


@dataclass
class State:
    """All that the next step depends on."""

    numbers: NDArray[np.int64]
    """Atomic numbers, to recognise the checkpoint of another system."""
    positions: Floats
    """Positions, never wrapped back into the cell [Å]."""
    velocities: Floats
    """Velocities [Å/fs]."""
    forces: Floats
    """Forces, those of the wall included [eV/Å]."""
    potential_energy: float
    """Energy of the model [eV]."""
    wall_energy: float
    """Energy of the wall [eV]."""
    heat: float
    """Heat given by the thermostat so far [eV]."""
    step: int
    """Steps of production done; negative during equilibration."""
    n_chunks: int
    """Trajectory files written."""
    generator: np.random.Generator
    """Source of random numbers."""

    def save(self) -> None:
        """Replace the checkpoint in one step."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name != 'generator'}
        save(CHECKPOINT, arrays | {'generator_state': np.array(json.dumps(self.generator.bit_generator.state))})

    @classmethod
    def load(cls) -> State:
        """Return the state of the checkpoint."""
        generator = np.random.default_rng()
        with np.load(CHECKPOINT) as archive:
            generator.bit_generator.state = json.loads(str(archive['generator_state']))
            arrays = {f.name: archive[f.name] for f in fields(cls) if f.name != 'generator'}
        scalars = {name: value.item() for name, value in arrays.items() if value.ndim == 0}
        return cls(generator=generator, **(arrays | scalars))


def save(path: str, arrays: dict[str, Any]) -> None:
    """Write an ``.npz`` file in one step: whoever kills the program leaves the old file or the new one."""
    temporary = Path(f'{path}.tmp')
    with temporary.open('wb') as handle:
        np.savez(handle, **arrays)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


@dataclass
class Samples:
    """Frames and series that are not written yet."""

    positions: list[Floats] = field(default_factory=list)
    series: list[tuple[float, ...]] = field(default_factory=list)

    def write(self, number: int) -> None:
        """Write one trajectory file."""
        columns = np.array(self.series, dtype=np.float64).T
        save(CHUNK.format(number), {'positions': np.array(self.positions), **dict(zip(SERIES, columns))})


class Dynamics:
    """The integrator, its thermostat and its bookkeeping."""

    vacuum: Vacuum | None = None
    """What must stay empty; None if nothing must."""

    def __init__(self, settings: dict[str, Any], units: dict[str, float], model: Model, mobile: NDArray[np.bool_]):
        self.settings = settings
        self.model = model
        self.mobile = mobile
        numbers = model.atoms.numbers
        self.masses: Floats = (atomic_masses[numbers] * units['atomic_mass'])[:, None]
        self.inverse_masses: Floats = np.where(mobile[:, None], 1.0 / self.masses, 0.0)
        self.half_kick: Floats = 0.5 * settings['time_step'] * self.inverse_masses
        self.boltzmann = units['boltzmann']
        self.is_langevin = settings['ensemble'] == 'nvt' and settings['thermostat'] == 'langevin'
        self.is_csvr = settings['ensemble'] == 'nvt' and settings['thermostat'] == 'csvr'
        self.is_centre_of_mass_at_rest = bool(mobile.all()) and not self.is_langevin
        self.degrees_of_freedom = 3 * int(mobile.sum()) - 3 * self.is_centre_of_mass_at_rest
        self.decay = float(np.exp(-settings['time_step'] / settings['relaxation_time']))
        self.target = 0.5 * self.degrees_of_freedom * self.boltzmann * settings['temperature']

    def kinetic_energy(self, velocities: Floats) -> float:
        """Return the kinetic energy [eV]; fixed atoms have none."""
        return 0.5 * float(np.sum(self.masses * velocities**2))

    def temperature(self, kinetic_energy: float) -> float:
        """Return the instantaneous temperature of the mobile atoms [K]."""
        return 2.0 * kinetic_energy / (self.degrees_of_freedom * self.boltzmann)

    def initial_state(self, positions: Floats, velocities: Floats | None) -> State:
        """Return the state before the first step; velocities that are not given follow Maxwell's distribution."""
        generator = np.random.default_rng(self.settings['seed'])
        spread = np.sqrt(self.boltzmann * self.settings['temperature'] * self.inverse_masses)
        given = spread * generator.standard_normal(positions.shape) if velocities is None else velocities.copy()
        given[~self.mobile] = 0.0
        if self.is_centre_of_mass_at_rest:
            given -= np.sum(self.masses * given, axis=0) / np.sum(self.masses)
        energy, wall_energy, forces = self.model.compute(positions)
        return State(
            numbers=self.model.atoms.numbers.astype(np.int64),
            positions=positions.copy(),
            velocities=given,
            forces=forces,
            potential_energy=energy,
            wall_energy=wall_energy,
            heat=0.0,
            step=-self.settings['equilibration_steps'],
            n_chunks=0,
            generator=generator,
        )

    def advance(self, state: State) -> float:
        """Make one step and return the kinetic energy [eV] at its end."""
        time_step = self.settings['time_step']
        state.velocities += self.half_kick * state.forces
        if self.is_langevin:
            state.positions += 0.5 * time_step * state.velocities
            self.ornstein_uhlenbeck(state)
            state.positions += 0.5 * time_step * state.velocities
        else:
            state.positions += time_step * state.velocities
        state.potential_energy, state.wall_energy, state.forces = self.model.compute(state.positions)
        state.velocities += self.half_kick * state.forces
        kinetic_energy = self.kinetic_energy(state.velocities)
        if self.is_csvr and np.isfinite(kinetic_energy) and kinetic_energy > 0:
            kinetic_energy = self.rescale(state, kinetic_energy)
        state.step += 1
        return kinetic_energy

    def ornstein_uhlenbeck(self, state: State) -> None:
        """Friction and noise of Langevin dynamics over one time step, exactly."""
        before = self.kinetic_energy(state.velocities)
        spread = np.sqrt((1.0 - self.decay**2) * self.boltzmann * self.settings['temperature'] * self.inverse_masses)
        state.velocities *= self.decay
        state.velocities += spread * state.generator.standard_normal(state.velocities.shape)
        state.heat += self.kinetic_energy(state.velocities) - before

    def rescale(self, state: State, kinetic_energy: float) -> float:
        """Draw a new kinetic energy from Bussi's equation A7, rescale to it, and return it [eV].

        K' = K + (1 - c) (K_target / N (R² + S) - K) + 2 R sqrt(c (1 - c) K K_target / N), with c = exp(-time step /
        relaxation time), R normal, S the sum of N - 1 squared normals, N the degrees of freedom.
        """
        share = self.target / self.degrees_of_freedom
        normal = float(state.generator.standard_normal())
        squares = float(state.generator.chisquare(self.degrees_of_freedom - 1)) if self.degrees_of_freedom > 1 else 0.0
        new = (
            kinetic_energy
            + (1.0 - self.decay) * (share * (normal**2 + squares) - kinetic_energy)
            + 2.0 * normal * np.sqrt(self.decay * (1.0 - self.decay) * kinetic_energy * share)
        )
        state.velocities *= np.sqrt(new / kinetic_energy)
        state.heat += new - kinetic_energy
        return float(new)


def sample(dynamics: Dynamics, state: State, samples: Samples, kinetic_energy: float) -> None:
    """Keep the present frame and the values of the series."""
    conserved = state.potential_energy + state.wall_energy + kinetic_energy - state.heat
    samples.positions.append(state.positions.copy())
    samples.series.append(
        (
            state.step,
            state.step * dynamics.settings['time_step'],
            dynamics.temperature(kinetic_energy),
            state.potential_energy,
            kinetic_energy,
            conserved,
        )
    )


def explosion(dynamics: Dynamics, state: State, kinetic_energy: float) -> str | None:
    """Return one sentence if the run has exploded, else None."""
    temperature, limit = dynamics.temperature(kinetic_energy), dynamics.settings['maximum_temperature']
    if not np.isfinite(temperature) or not np.isfinite(state.potential_energy):
        return f'energy or velocities are not finite at step {state.step}'
    if temperature > limit:
        return f'the temperature is {temperature:.0f} K at step {state.step}, the maximum is {limit:.0f} K'
    vacuum = dynamics.vacuum
    if vacuum is not None and (width := vacuum.width(state.positions)) < vacuum.least:
        return (
            f'atoms have flown away along an open direction at step {state.step}: {width:.2f} Å are left before their '
            f'periodic images, which this model sees within {vacuum.least:g} Å'
        )
    return None


def flush(state: State, samples: Samples) -> Samples:
    """Write the frames held in memory, then the checkpoint; return an empty store."""
    if samples.series:
        state.n_chunks += 1
        samples.write(state.n_chunks)
    state.save()
    return Samples()


def run(
    dynamics: Dynamics, state: State, walltime_seconds: float | None, flush_interval_seconds: float
) -> tuple[str, str]:
    """Make the steps that remain; return outcome and message."""
    interval, target = dynamics.settings['sampling_interval'], dynamics.settings['steps']
    samples, flushed = Samples(), time.perf_counter()
    while state.step < target:
        now = time.perf_counter()
        if should_stop(walltime_seconds):
            flush(state, samples)
            return 'out_of_walltime', f'{max(state.step, 0)} of {target} steps are done after {now - START:.0f} s'
        if now - flushed > flush_interval_seconds or len(samples.series) >= FRAMES_PER_CHUNK:
            samples, flushed = flush(state, samples), now
        kinetic_energy = dynamics.advance(state)
        if message := explosion(dynamics, state, kinetic_energy):
            if samples.series:
                samples.write(state.n_chunks + 1)
            return 'exploded', message
        if state.step > 0 and state.step % interval == 0:
            sample(dynamics, state, samples, kinetic_energy)
    flush(state, samples)
    return 'finished', f'{target} of {target} steps are done'


def prepare(document: dict[str, Any]) -> tuple[Dynamics, State]:
    """Return the dynamics and the state from which it goes on.

    :raises SystemExit: if there is no mobile atom, or the checkpoint is missing or that of another system.
    """
    settings = document['settings']
    with np.load(document['initial']) as archive:
        initial = {name: archive[name] for name in archive.files}
    numbers = initial['numbers'].astype(int)
    mobile = ~np.isin(numbers, [atomic_numbers[symbol] for symbol in settings['fixed_elements']])
    mobile[settings.get('fixed_atoms', [])] = False
    if not mobile.any():
        sys.exit(f'no atom is mobile: all are of the fixed elements {settings["fixed_elements"]}')
    wall = None
    if settings['wall_height'] > 0:
        if mobile.all():
            sys.exit(f'wall_height is {settings["wall_height"]} Å above the topmost fixed atom, but no atom is fixed')
        top = float(initial['positions'][~mobile, 2].max())
        wall = Wall(top + settings['wall_height'], settings['wall_force_constant'], mobile)
    pbc = periodicity(document['recipe'], initial['pbc'][0])
    atoms = Atoms(numbers=numbers, positions=initial['positions'], cell=initial['cells'][0], pbc=pbc)
    charge = initial.get('column_total_charge', np.zeros(1))
    atoms.info.update(filled_info(document['recipe'].get('info') or {}, float(charge[0])))
    if 'pbc_info' in document['recipe']:
        atoms.info[document['recipe']['pbc_info']] = initial['pbc'][0]
    shift = sum(document['energy_shifts'].get(symbol, 0.0) for symbol in atoms.get_chemical_symbols())
    model = Model(make_object(document['recipe']), atoms, float(shift), wall)
    dynamics = Dynamics(settings, document['units'], model, mobile)
    dynamics.vacuum = Vacuum.of(document['recipe'], initial['cells'][0], initial['pbc'][0])
    if not Path(CHECKPOINT).is_file():
        if document['is_restart']:
            sys.exit(f'the run is a restart, but {CHECKPOINT} is missing')
        return dynamics, dynamics.initial_state(initial['positions'].astype(np.float64), initial.get('velocities'))
    state = State.load()
    if not np.array_equal(state.numbers, numbers):
        sys.exit(f'{CHECKPOINT} is of another system: its {len(state.numbers)} atoms are not the {len(numbers)} given')
    return dynamics, state


def main(arguments: list[str]) -> int:
    """Read the input file, run, write; return the exit status of the program."""
    document = json.loads(Path(arguments[0]).read_text())
    dynamics, state = prepare(document)
    first = state.step
    begin = time.perf_counter()
    with np.errstate(over='ignore', invalid='ignore'):  # an explosion is an outcome, not a warning
        outcome, message = run(dynamics, state, document['walltime_seconds'], document['flush_interval_seconds'])
    summary = {
        'outcome': outcome,
        'message': message,
        'steps': dynamics.settings['steps'],
        'first_step': max(first, 0),
        'steps_done': max(state.step, 0),
        'degrees_of_freedom': dynamics.degrees_of_freedom,
        'wall_seconds': time.perf_counter() - START,
        'seconds_per_step': (time.perf_counter() - begin) / max(state.step - first, 1),
    }
    temporary = Path(f'{SUMMARY}.tmp')
    temporary.write_text(json.dumps(summary, indent=2, sort_keys=True) + '\n')
    temporary.replace(SUMMARY)
    return 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, remember_signal)
    sys.exit(main(sys.argv[1:]))
