"""Molecular dynamics of many replicas at once with a model of torch-sim: ``python run_torch_sim_md.py md.json``.

Runs on the compute node in the environment of the model, with ``torch_sim_batch.py`` beside it; besides it needs
torch-sim, torch, numpy and ASE. The input holds

- ``recipe``: ``module``, ``attribute``, ``keyword_arguments`` and ``environment`` of the model; its arguments
  ``device`` and ``dtype`` are names of what torch calls so;
- ``initial``: ``.npz`` files with one frame each, with or without ``velocities`` [Å/fs], one for each replica;
- ``seeds``: seed of velocities and thermostat of each replica;
- ``settings``: the molecular-dynamics settings that all replicas share;
- ``units``: ``boltzmann`` [eV/K] and ``atomic_mass`` [eV fs²/Å² per u];
- ``energy_shifts``: energy to add for each atom of an element [eV];
- ``walltime_seconds``: time after which the program stops by itself [s], or null;
- ``flush_interval_seconds``: time between two checkpoints [s];
- ``is_restart``: whether ``checkpoint.npz`` of an earlier run must be there.

Replicas may differ in number and kind of atoms. Each has a source of random numbers of its own, and one that explodes
leaves the batch while the others go on. Positions and velocities are in double precision whatever that of the model.

Models of torch-sim are periodic in all directions or in none. An open direction gets a lattice vector so long that no
atom comes near an image: the forces of a model with a finite cutoff radius are the same. An atom that leaves that
room counts as an explosion.

Frames of all replicas go to ``trajectory_00001.npz``, ``trajectory_00002.npz`` and so on, where the names of arrays
begin with the number of the replica, ``0000_``; after each of them ``checkpoint.npz`` is replaced in one step.
``md_summary.json`` is written at the end only.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers
from numpy.typing import NDArray
from torch_sim_batch import REPLICA_VARIABLES, Batch, Replica, periodic_cell

START = time.perf_counter()
received_signals: list[int] = []
"""Signals by which the scheduler told this program to stop."""
CHECKPOINT = 'checkpoint.npz'
SUMMARY = 'md_summary.json'
CHUNK = 'trajectory_{:05d}.npz'
SAMPLES_PER_CHUNK = 500
"""Samples of each replica held in memory at most."""
SERIES = ('step', 'time', 'temperature', 'potential_energy', 'kinetic_energy', 'conserved_energy')
RUNAWAY = 10.0
"""Multiple of the maximum temperature above which forces are not even computed: the neighbour list might not end."""

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


def save(path: str, arrays: dict[str, Any]) -> None:
    """Write an ``.npz`` file in one step: whoever kills the program leaves the old file or the new one."""
    temporary = Path(f'{path}.tmp')
    with temporary.open('wb') as handle:
        np.savez(handle, **arrays)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


def peak_device_memory(device: torch.device) -> float | None:
    """Return the largest memory that tensors have taken on an accelerator [MB]; None on a processor."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == 'cuda' else None


def make_model(recipe: dict[str, Any]) -> Any:
    """Return the model of a recipe, whose arguments ``device`` and ``dtype`` are names."""
    arguments = dict(recipe['keyword_arguments'])
    if 'device' in arguments:
        arguments['device'] = torch.device(arguments['device'])
    if 'dtype' in arguments:
        arguments['dtype'] = getattr(torch, arguments['dtype'])
    return make_object({**recipe, 'keyword_arguments': arguments})


def read_replica(number: int, document: dict[str, Any]) -> Replica:
    """Return a replica before its first step; the program ends if none of its atoms can move."""
    settings = document['settings']
    with np.load(document['initial'][number]) as archive:
        initial = {name: archive[name] for name in archive.files}
    numbers, positions = initial['numbers'].astype(np.int64), initial['positions'].astype(np.float64)
    velocities = initial['velocities'].astype(np.float64) if 'velocities' in initial else None
    mobile = ~np.isin(numbers, [atomic_numbers[symbol] for symbol in settings['fixed_elements']])
    mobile[settings['fixed_atoms']] = False
    if not mobile.any():
        sys.exit(f'no atom of replica {number} is mobile: all are of the fixed elements {settings["fixed_elements"]}')
    wall_height = np.inf
    if settings['wall_height'] > 0:
        if mobile.all():
            sys.exit(f'wall_height is {settings["wall_height"]} Å above the topmost fixed atom, but no atom is fixed')
        wall_height = float(positions[~mobile, 2].max()) + settings['wall_height']
    shifts = {atomic_numbers[symbol]: energy for symbol, energy in document['energy_shifts'].items()}
    cell, directions = periodic_cell(initial['cells'][0], initial['pbc'][0].astype(bool), positions)
    return Replica(
        number=number,
        numbers=numbers,
        mobile=mobile,
        cell=cell,
        open_directions=directions,
        wall_height=wall_height,
        energy_shift=float(sum(shifts.get(int(number), 0.0) for number in numbers)),
        generator=np.random.default_rng(document['seeds'][number]),
        variables={'positions': positions, 'velocities': velocities},
    )


class Run:
    """A batch on its way to the target: what has exploded, samples, files."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.settings = document['settings']
        self.model = make_model(document['recipe'])
        self.replicas = [read_replica(number, document) for number in range(len(document['initial']))]
        self.step, self.n_chunks = -self.settings['equilibration_steps'], 0
        is_new = not Path(CHECKPOINT).is_file()
        if is_new and document['is_restart']:
            sys.exit(f'the run is a restart, but {CHECKPOINT} is missing')
        if not is_new:
            self.restore()
        self.first_step = self.step
        self.first_steps = [replica.steps_done if replica.outcome else max(self.step, 0) for replica in self.replicas]
        self.make_batch()
        if is_new:
            self.batch.start()

    def restore(self) -> None:
        """Take the state of the checkpoint; the program ends if that is of other systems."""
        with np.load(CHECKPOINT) as archive:
            self.step, self.n_chunks = int(archive['step']), int(archive['n_chunks'])
            if int(archive['n_replicas']) != len(self.replicas):
                sys.exit(f'{CHECKPOINT} is of {archive["n_replicas"]} replicas, but {len(self.replicas)} are given')
            for replica in self.replicas:
                stored = archive[f'{replica.number:04d}_numbers']
                if not np.array_equal(stored, replica.numbers):
                    sys.exit(
                        f'{CHECKPOINT} is of another system: the {len(stored)} atoms of replica {replica.number} '
                        f'are not the {len(replica.numbers)} given'
                    )
                replica.restore(archive)

    @property
    def running(self) -> list[Replica]:
        """Replicas that have not ended."""
        return [replica for replica in self.replicas if not replica.outcome]

    def make_batch(self) -> None:
        """Put the replicas that have not ended into a batch."""
        if self.running:
            self.batch = Batch(self.running, self.settings, self.document['units'], self.model)

    def advance(self) -> None:
        """Make one step with all replicas; those that explode in it end there."""
        self.step += 1
        self.batch.move()
        limit = RUNAWAY * self.settings['maximum_temperature']
        self.end_exploded(self.explosions(self.batch.temperatures(self.batch.kinetic_energies()), limit))
        if not self.running:
            return
        kinetic_energies = self.batch.finish_step()
        temperatures = self.batch.temperatures(kinetic_energies)
        exploded = self.explosions(temperatures, self.settings['maximum_temperature'])
        self.end_exploded(exploded)
        if self.running and self.step > 0 and self.step % self.settings['sampling_interval'] == 0:
            kept = np.setdiff1d(np.arange(len(temperatures)), list(exploded))
            self.sample(kinetic_energies[kept], temperatures[kept])

    def explosions(self, temperatures: Floats, limit: float) -> dict[int, str]:
        """Return one sentence for each replica that has exploded, by its place in the batch.

        :param temperatures: instantaneous temperatures [K].
        :param limit: temperature above which a replica has exploded [K].
        """
        found = {}
        energies, escaped = self.batch.potential_energy.cpu().numpy(), self.batch.escaped()
        for index, temperature in enumerate(temperatures):
            if not np.isfinite(temperature) or not np.isfinite(energies[index]):
                found[index] = f'energy or velocities are not finite at step {self.step}'
            elif temperature > limit:
                maximum = self.settings['maximum_temperature']
                found[index] = (
                    f'the temperature is {temperature:.0f} K at step {self.step}, the maximum is {maximum:.0f} K'
                )
            elif escaped[index]:
                found[index] = f'atoms have flown away along an open direction at step {self.step}'
        return found

    def end_exploded(self, exploded: dict[int, str]) -> None:
        """End replicas that have exploded; the others go on in a smaller batch."""
        if not exploded:
            return
        self.batch.unpack()
        for index, message in exploded.items():
            replica = self.batch.replicas[index]
            replica.outcome, replica.message, replica.steps_done = 'exploded', message, max(self.step, 0)
        self.make_batch()

    def sample(self, kinetic_energies: Floats, temperatures: Floats) -> None:
        """Keep the present frames and the values of the series."""
        batch = self.batch
        batch.unpack()
        for index, replica in enumerate(batch.replicas):
            potential, wall, heat = (float(replica.variables[name]) for name in REPLICA_VARIABLES)
            kinetic = float(kinetic_energies[index])
            time_passed = self.step * self.settings['time_step']
            conserved = potential + wall + kinetic - heat
            values = (self.step, time_passed, float(temperatures[index]), potential, kinetic, conserved)
            replica.samples.append((replica.variables['positions'], values))

    def flush(self) -> None:
        """Write the samples held in memory, then the checkpoint."""
        arrays: dict[str, Any] = {}
        for replica in (replica for replica in self.replicas if replica.samples):
            columns = np.array([values for _, values in replica.samples], dtype=np.float64).T
            named = {
                'positions': np.array([positions for positions, _ in replica.samples]),
                **dict(zip(SERIES, columns)),
            }
            arrays |= {f'{replica.number:04d}_{name}': values for name, values in named.items()}
            replica.samples.clear()
        if arrays:
            self.n_chunks += 1
            save(CHUNK.format(self.n_chunks), arrays)
        if self.running:
            self.batch.unpack()
        state = {'step': self.step, 'n_chunks': self.n_chunks, 'n_replicas': len(self.replicas)}
        arrays = {name: np.asarray(value) for name, value in state.items()}
        for replica in self.replicas:
            arrays |= replica.arrays()
        save(CHECKPOINT, arrays)

    def is_chunk_full(self) -> bool:
        """Return whether as many samples are held in memory as may be."""
        return any(len(replica.samples) >= SAMPLES_PER_CHUNK for replica in self.replicas)

    def run(self, walltime_seconds: float | None, flush_interval_seconds: float) -> None:
        """Make the steps that remain, and say of each replica how it ended."""
        target, flushed = self.settings['steps'], time.perf_counter()
        while self.step < target and self.running and not should_stop(walltime_seconds):
            if time.perf_counter() - flushed > flush_interval_seconds or self.is_chunk_full():
                self.flush()
                flushed = time.perf_counter()
            self.advance()
        self.flush()
        done = f'{max(self.step, 0)} of {target} steps are done'
        is_finished = self.step >= target
        for replica in self.running:
            replica.outcome = 'finished' if is_finished else 'out_of_walltime'
            replica.message = done if is_finished else f'{done} after {time.perf_counter() - START:.0f} s'
            replica.steps_done = max(self.step, 0)

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return how all replicas ended.

        :param seconds: time of the loop over the steps [s].
        """
        replicas = [
            {
                'outcome': replica.outcome,
                'message': replica.message,
                'first_step': first_step,
                'steps_done': replica.steps_done,
            }
            for replica, first_step in zip(self.replicas, self.first_steps)
        ]
        return {
            'replicas': replicas,
            'steps': self.settings['steps'],
            'wall_seconds': time.perf_counter() - START,
            'seconds_per_step': seconds / max(self.step - self.first_step, 1),
            'peak_device_memory_megabyte': peak_device_memory(self.model.device),
        }


def main(arguments: list[str]) -> int:
    """Read the input file, run, write; return the exit status of the program."""
    document = json.loads(Path(arguments[0]).read_text())
    run = Run(document)
    begin = time.perf_counter()
    with np.errstate(over='ignore', invalid='ignore'):  # an explosion is an outcome, not a warning
        run.run(document['walltime_seconds'], document['flush_interval_seconds'])
    temporary = Path(f'{SUMMARY}.tmp')
    temporary.write_text(json.dumps(run.summary(time.perf_counter() - begin), indent=2, sort_keys=True) + '\n')
    temporary.replace(SUMMARY)
    return 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, remember_signal)
    sys.exit(main(sys.argv[1:]))
