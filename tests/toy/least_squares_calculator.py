"""Pair potential linear in its coefficients: trained by damped least-squares updates, run as an ASE calculator.

Needs numpy and ASE alone. Staged twice: as the program that trains (``train``, ``export``), and, with the coefficients
written into the line of :data:`MODEL`, as the model file, which is the module the calculator is imported from.

Energy of a frame: sum over pairs of ``c_k(ab) phi_k(r)``, with Gaussians ``phi_k`` led to zero at the cutoff radius and
coefficients for each pair of elements ``ab``, and a fixed repulsion that keeps atoms apart where there are no data.
"""

from __future__ import annotations

import ast
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list

MODEL = None
"""Elements, hyperparameters and coefficients; set in an exported file."""

REPULSION_ENERGY, REPULSION_LENGTH = 1000.0, 0.2
"""Fixed repulsion ``A exp(-r / b)`` [eV] and [Å]."""
RIDGE = 1e-6
"""Diagonal added to the normal equations, relative to their mean diagonal."""
CHECKPOINT, LOG, EXPORTED = 'checkpoint.npz', 'log.jsonl', 'least_squares_calculator.py'


class Features:
    """Derivatives of energies and forces with respect to the coefficients."""

    def __init__(self, elements: list[str], cutoff_radius: float, n_radial_functions: int) -> None:
        self.cutoff_radius = cutoff_radius
        self.centres = np.linspace(0.6, cutoff_radius, n_radial_functions)
        self.width = 1.2 * (self.centres[1] - self.centres[0])
        pairs = itertools.combinations_with_replacement([atomic_numbers[e] for e in elements], 2)
        self.pair_index = np.full((256, 256), -1)
        for index, (a, b) in enumerate(pairs):
            self.pair_index[a, b] = self.pair_index[b, a] = index
        self.n_coefficients = (int(self.pair_index.max()) + 1) * n_radial_functions

    def radial(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the radial functions and their derivatives, shapes ``(n_pairs, n_radial_functions)``."""
        x = (r[:, None] - self.centres) / self.width
        gaussian = np.exp(-(x**2))
        cut = 0.5 * (1 + np.cos(np.pi * r / self.cutoff_radius))[:, None]
        slope = -0.5 * np.pi / self.cutoff_radius * np.sin(np.pi * r / self.cutoff_radius)[:, None]
        return gaussian * cut, gaussian * (slope - 2 * x / self.width * cut)

    def frame(self, atoms: Atoms) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
        """Return energy features, force features and the energy and forces of the repulsion."""
        first, second, r, vectors = neighbor_list('ijdD', atoms, self.cutoff_radius)
        values, slopes = self.radial(r)
        n_radial = len(self.centres)
        blocks = self.pair_index[atoms.numbers[first], atoms.numbers[second]]
        energy = np.zeros((self.n_coefficients // n_radial, n_radial))
        np.add.at(energy, blocks, 0.5 * values)
        direction = vectors / r[:, None]
        forces = np.zeros((len(atoms), 3, self.n_coefficients // n_radial, n_radial))
        # Each pair is listed from both ends: the force on the first atom is the full derivative of the pair energy.
        np.add.at(forces, (first, slice(None), blocks), direction[:, :, None] * slopes[:, None, :])
        repulsion = REPULSION_ENERGY * (np.exp(-r / REPULSION_LENGTH) - np.exp(-self.cutoff_radius / REPULSION_LENGTH))
        fixed = np.zeros((len(atoms), 3))
        slope = -REPULSION_ENERGY / REPULSION_LENGTH * np.exp(-r / REPULSION_LENGTH)
        np.add.at(fixed, first, direction * slope[:, None])
        return energy.ravel(), forces.reshape(-1, self.n_coefficients), 0.5 * float(repulsion.sum()), fixed


class LeastSquaresCalculator(Calculator):
    """ASE calculator of an exported model."""

    implemented_properties = ('energy', 'free_energy', 'forces')

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.features = Features(MODEL['elements'], MODEL['cutoff_radius'], MODEL['n_radial_functions'])
        self.coefficients = np.array(MODEL['coefficients'])

    def calculate(self, atoms: Atoms | None = None, properties: Any = ('energy',), system_changes: Any = None) -> None:
        """Compute energy [eV], without atomic energies, and forces [eV/Å]."""
        super().calculate(atoms, properties, system_changes or all_changes)
        energy, forces, repulsion, fixed = self.features.frame(self.atoms)
        total = float(energy @ self.coefficients) + repulsion
        self.results = {
            'energy': total,
            'free_energy': total,
            'forces': (forces @ self.coefficients).reshape(-1, 3) + fixed,
        }


def read_frames(path: str) -> list[tuple[Atoms, float, np.ndarray]]:
    """Return atoms, energy and forces of each frame."""
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    frames = []
    for index, (start, stop) in enumerate(itertools.pairwise(arrays['offsets'])):
        atoms = Atoms(
            arrays['numbers'][start:stop],
            arrays['positions'][start:stop],
            cell=arrays['cells'][index],
            pbc=arrays['pbc'][index],
        )
        frames.append((atoms, float(arrays['energies'][index]), arrays['forces'][start:stop]))
    return frames


class LinearProblem:
    """Weighted normal equations of a set of frames; errors follow from them without the frames."""

    def __init__(self, features: Features, path: str, batch_size: int, energy_weight: float) -> None:
        n = features.n_coefficients
        frames = read_frames(path)
        self.energy_matrix, self.energy_vector, self.energy_square = np.zeros((n, n)), np.zeros(n), 0.0
        self.force_matrix, self.force_vector, self.force_square = np.zeros((n, n)), np.zeros(n), 0.0
        n_components = 0
        for begin in range(0, len(frames), batch_size):
            rows = []
            for atoms, energy, forces in frames[begin : begin + batch_size]:
                energy_row, force_rows, repulsion, fixed = features.frame(atoms)
                rows.append((energy_row / len(atoms), (energy - repulsion) / len(atoms), force_rows, forces - fixed))
            energy_rows, energies = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
            force_rows, forces = np.concatenate([row[2] for row in rows]), np.concatenate([row[3] for row in rows])
            self.energy_matrix += energy_rows.T @ energy_rows
            self.energy_vector += energy_rows.T @ energies
            self.energy_square += float(energies @ energies)
            self.force_matrix += force_rows.T @ force_rows
            self.force_vector += force_rows.T @ forces.ravel()
            self.force_square += float(np.sum(forces**2))
            n_components += forces.size
        for name in ('energy_matrix', 'energy_vector', 'energy_square'):
            setattr(self, name, getattr(self, name) / len(frames))
        for name in ('force_matrix', 'force_vector', 'force_square'):
            setattr(self, name, getattr(self, name) / n_components)
        self.matrix = energy_weight * self.energy_matrix + self.force_matrix
        self.vector = energy_weight * self.energy_vector + self.force_vector
        self.energy_weight = energy_weight

    def squared_errors(self, coefficients: np.ndarray) -> tuple[float, float]:
        """Return the mean squared errors of energies per atom and of force components."""
        energy = coefficients @ self.energy_matrix @ coefficients - 2 * self.energy_vector @ coefficients
        force = coefficients @ self.force_matrix @ coefficients - 2 * self.force_vector @ coefficients
        # Differences of large numbers: rounding may leave a tiny negative value.
        return float(np.maximum(energy + self.energy_square, 0)), float(np.maximum(force + self.force_square, 0))


def parent_coefficients(path: Path, settings: dict[str, Any]) -> np.ndarray:
    """Return the coefficients of an exported model of the same shape."""
    (line,) = [line for line in path.read_text(encoding='utf-8').splitlines() if line.startswith('MODEL = ')]
    model = ast.literal_eval(line.removeprefix('MODEL = '))
    shape = ('elements', 'cutoff_radius', 'n_radial_functions')
    if any(model[name] != settings[name] for name in shape):
        raise SystemExit(f'the parent has {[model[name] for name in shape]}')
    return np.array(model['coefficients'])


def train(settings: dict[str, Any]) -> None:
    """Do damped updates ``c += rate A⁻¹ (b - A c)`` until the target: they converge for rates below 2."""
    features = Features(settings['elements'], settings['cutoff_radius'], settings['n_radial_functions'])
    sets = [
        LinearProblem(features, f'{name}.npz', settings['batch_size'], settings['energy_weight'])
        for name in ('training', 'validation')
    ]
    training, validation = sets
    updates = 0
    coefficients = 1e-2 * np.random.default_rng(settings['seed']).normal(size=features.n_coefficients)
    if 'parent' in settings:
        coefficients = parent_coefficients(Path(settings['parent']), settings)
    if settings['is_restart']:
        with np.load(CHECKPOINT) as stored:
            updates, coefficients = int(stored['updates']), stored['coefficients']
    ridge = RIDGE * np.trace(training.matrix) / len(training.matrix) * np.eye(len(training.matrix))
    with Path(LOG).open('a') as log:
        while True:
            energy_error, force_error = training.squared_errors(coefficients)
            errors = np.sqrt(validation.squared_errors(coefficients))
            loss = settings['energy_weight'] * energy_error + force_error
            row = {'updates': updates, 'energy_rmse': errors[0], 'force_rmse': errors[1], 'loss': loss}
            log.write(json.dumps(row) + '\n')
            log.flush()
            if not np.isfinite(loss):
                raise SystemExit(f'the loss is {loss} after {updates} updates')
            with Path(CHECKPOINT + '.tmp').open('wb') as handle:
                np.savez(handle, updates=updates, coefficients=coefficients)
            Path(CHECKPOINT + '.tmp').replace(CHECKPOINT)
            if updates >= settings['gradient_updates']:
                break
            residual = training.vector - training.matrix @ coefficients
            coefficients = coefficients + settings['learning_rate'] * np.linalg.solve(training.matrix + ridge, residual)
            updates += 1
            time.sleep(settings['pause_seconds'])
    sys.stdout.write(f'training complete after {updates} updates\n')


def export(settings: dict[str, Any]) -> None:
    """Write this file with the coefficients in it."""
    with np.load(CHECKPOINT) as stored:
        coefficients = stored['coefficients'].astype(settings['precision']).tolist()
    kept = {key: settings[key] for key in ('elements', 'cutoff_radius', 'n_radial_functions')}
    source = Path(__file__).read_text(encoding='utf-8')
    exported = source.replace('\nMODEL = None\n', f'\nMODEL = {kept | {"coefficients": coefficients}!r}\n', 1)
    Path(EXPORTED).write_text(exported, encoding='utf-8')


if __name__ == '__main__':
    {'train': train, 'export': export}[sys.argv[1]](json.loads(Path('training.json').read_text(encoding='utf-8')))
