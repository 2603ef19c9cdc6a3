"""Compute energies and forces of many frames with one ASE calculator: ``python evaluate_model.py evaluate.json``.

Runs on the compute node in the environment of the calculator; besides it needs numpy and ASE alone. The input holds

- ``recipe``: ``module``, ``attribute``, ``keyword_arguments``, ``environment`` and ``info`` of the calculator, and
  ``is_fully_periodic`` if it must see partly periodic frames as periodic along all cell vectors, with ``pbc_info``,
  the entry of ``atoms.info`` that tells their own periodicity, if it wants to know that too;
- ``frames``: an ``.npz`` file with ``numbers``, ``positions`` [Å], ``offsets``, ``cells`` [Å], ``pbc`` and, if the
  model asks for it, ``column_total_charge`` [e];
- ``predictions``: the ``.npz`` file to write;
- ``energy_shifts``: energy to add for each atom of an element [eV];
- ``walltime_seconds``: time after which the program stops by itself [s], or null;
- ``atomic_energies``, if energies of single atoms are asked for: how the calculator gives them, see
  :data:`ATOMIC_ENERGY_SOURCES`.

It writes ``energies`` [eV] of shape ``(n,)``, ``forces`` [eV/Å] of shape ``(n_atoms_total, 3)``, ``offsets``,
``converged`` of shape ``(n,)`` and, where the calculator gives them for every frame, ``charges`` [e] and ``stresses``
[eV/Å³, positive in tension]; if asked for, ``atomic_energies`` [eV] of shape ``(n_atoms_total,)``. The energy is the
one whose negative gradient the forces are. A frame that fails is NaN, not converged, and named with its reason in
``failures.json``; the others go on. Results so far are in ``predictions_partial.npz``, from which a program that is
started again goes on.
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
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

START = time.perf_counter()
received_signals: list[int] = []
"""Signals by which the scheduler told this program to stop."""
TOTAL_CHARGE = '{total_charge}'
"""Stands in ``info`` of a recipe for the total charge of the frame [e]."""
WHOLE_TOTAL_CHARGE = '{whole_total_charge}'
"""The same for calculators that take an ``int`` alone; a charge that is none is left for them to refuse."""
PARTIAL = 'predictions_partial.npz'
FAILURES = 'failures.json'
SUMMARY = 'evaluation.json'
SAVE_INTERVAL_SECONDS = 30.0
"""Time between two saves of the results so far [s]."""
FRAME_ERRORS = (RuntimeError, ArithmeticError, np.linalg.LinAlgError)
"""What calculators raise for one frame, e.g. an SCF that does not converge; anything else ends the program."""

Arrays = dict[str, NDArray[Any]]


class FrameError(RuntimeError):
    """A frame whose result cannot be used."""


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


def property_energies(calculator: Any, atoms: Atoms) -> Any:
    """Return the property ``energies`` of ASE."""
    return calculator.get_property('energies', atoms)


def deepmd_energies(calculator: Any, atoms: Atoms) -> Any:
    """Return local energies by DeePMD-kit, whose calculator does not ask its model for them."""
    return calculator.dp.eval(
        coords=atoms.positions.reshape(1, -1),
        cells=atoms.cell.array.reshape(1, -1) if atoms.pbc.any() else None,
        atom_types=[calculator.type_dict[symbol] for symbol in atoms.get_chemical_symbols()],
        fparam=atoms.info.get('fparam'),
        atomic=True,
    )[3]


def tensorpotential_energies(calculator: Any, atoms: Atoms) -> Any:
    """Return local energies by tensorpotential, which keeps the whole output of its model, padded with atoms."""
    return calculator.outputs[0]['atomic_energy'].numpy().ravel()[: len(atoms)]


ATOMIC_ENERGY_SOURCES = {
    'ase': property_energies,
    'deepmd': deepmd_energies,
    'tensorpotential': tensorpotential_energies,
}
"""Ways in which calculators that have just computed a frame give the energies of its atoms."""


def periodicity(recipe: dict[str, Any], pbc: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return along which cell vectors the model sees a frame as periodic: all if its recipe says so and any is."""
    return np.full(3, True) if recipe.get('is_fully_periodic') and np.any(pbc) else np.asarray(pbc)


def shifts_by_number(energy_shifts: dict[str, float]) -> NDArray[np.float64]:
    """Return the energy to add per atom [eV], indexed by atomic number."""
    shifts = np.zeros(max(atomic_numbers.values()) + 1)
    for symbol, energy in energy_shifts.items():
        shifts[atomic_numbers[symbol]] = energy
    return shifts


def empty_results(offsets: NDArray[np.int64], with_atomic_energies: bool = False) -> Arrays:
    """Return arrays of NaN for every frame, with ``done`` and ``converged`` false."""
    n_frames, n_atoms = len(offsets) - 1, int(offsets[-1])
    atomic_energies = {'atomic_energies': np.full(n_atoms, np.nan)} if with_atomic_energies else {}
    return {
        'energies': np.full(n_frames, np.nan),
        'forces': np.full((n_atoms, 3), np.nan),
        'charges': np.full(n_atoms, np.nan),
        'stresses': np.full((n_frames, 3, 3), np.nan),
        'converged': np.zeros(n_frames, dtype=bool),
        'done': np.zeros(n_frames, dtype=bool),
        **atomic_energies,
    }


def compute_frame(calculator: Any, atoms: Atoms, atomic_energies: str | None = None) -> Arrays:
    """Return energy [eV], forces [eV/Å] and, where there are any, charges [e] and stress [eV/Å³] of one frame.

    :param atomic_energies: key of :data:`ATOMIC_ENERGY_SOURCES` if energies of atoms [eV] are asked for.
    :raises FrameError: if a value is not finite.
    """
    if atoms.info:
        # ASE compares atoms and not their info: a frame that differs in the charge alone would get earlier results.
        calculator.reset()
    atoms.calc = calculator
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    given = calculator.results
    found: Arrays = {'energy': np.array(float(given.get('free_energy', energy))), 'forces': np.array(forces)}
    if atomic_energies is not None:
        local = ATOMIC_ENERGY_SOURCES[atomic_energies](calculator, atoms)
        found['atomic_energies'] = np.array(local, dtype=float).reshape(len(atoms))
    for name, values in found.items():
        if not np.all(np.isfinite(values)):
            raise FrameError(f'{name} is not finite')
    if given.get('charges') is not None:
        found['charges'] = np.array(given['charges'], dtype=float).reshape(len(atoms))
    if given.get('stress') is not None and atoms.pbc.all():
        stress = np.array(given['stress'], dtype=float)
        voigt = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
        found['stress'] = stress[voigt] if stress.shape == (6,) else stress.reshape(3, 3)
    return found


def save(path: str, arrays: Arrays) -> None:
    """Write an ``.npz`` file in one step: whoever kills the program leaves the old file or the new one."""
    temporary = f'{path}.tmp'
    with Path(temporary).open('wb') as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, path)  # noqa: PTH105


def save_json(path: str, values: dict[str, Any]) -> None:
    """Write a JSON file in one step."""
    temporary = Path(f'{path}.tmp')
    temporary.write_text(json.dumps(values, indent=2, sort_keys=True) + '\n')
    temporary.replace(path)


def restore(offsets: NDArray[np.int64], with_atomic_energies: bool = False) -> tuple[Arrays, dict[str, str]]:
    """Return results and failures so far, empty at the first start."""
    if not Path(PARTIAL).is_file():
        return empty_results(offsets, with_atomic_energies), {}
    with np.load(PARTIAL) as archive:
        results = {name: archive[name] for name in archive.files}
    if with_atomic_energies and 'atomic_energies' not in results:
        return empty_results(offsets, with_atomic_energies), {}  # what is there was computed without them
    failures: dict[str, str] = json.loads(Path(FAILURES).read_text())
    return results, failures


def save_partial(results: Arrays, failures: dict[str, str]) -> None:
    """Write the results so far; failures first, as a frame counts as done only by the second file."""
    save_json(FAILURES, failures)
    save(PARTIAL, results)


def store_frame(results: Arrays, index: int, atoms_slice: slice, found: Arrays, shifts: NDArray[np.float64]) -> None:
    """Enter the result of one frame, with the energy to add for each of its atoms [eV]."""
    results['energies'][index] = float(found['energy']) + float(shifts.sum())
    results['forces'][atoms_slice] = found['forces']
    results['converged'][index] = True
    if 'atomic_energies' in found:
        results['atomic_energies'][atoms_slice] = found['atomic_energies'] + shifts
    if 'charges' in found:
        results['charges'][atoms_slice] = found['charges']
    if 'stress' in found:
        results['stresses'][index] = found['stress']


def predictions(results: Arrays, offsets: NDArray[np.int64]) -> Arrays:
    """Return what is written at the end: optional arrays only if every converged frame has them."""
    converged = results['converged']
    names = ('energies', 'forces', 'converged', 'atomic_energies')
    kept = {name: results[name] for name in names if name in results} | {'offsets': offsets}
    if converged.any():
        if np.isfinite(results['charges'][np.repeat(converged, np.diff(offsets))]).all():
            kept['charges'] = results['charges']
        if np.isfinite(results['stresses'][converged]).all():
            kept['stresses'] = results['stresses']
    return kept


def evaluate(
    recipe: dict[str, Any],
    frames: Arrays,
    shifts: NDArray[np.float64],
    walltime_seconds: float | None,
    atomic_energies: str | None = None,
) -> tuple[Arrays, dict[str, str]]:
    """Compute all frames that are not done yet, until the end or the walltime.

    :return: results with ``done`` true for each frame that was tried, and the failures by frame index.
    """
    offsets = frames['offsets']
    results, failures = restore(offsets, atomic_energies is not None)
    charges = frames.get('column_total_charge', np.zeros(len(offsets) - 1))
    calculator, saved = None, time.perf_counter()
    for index in np.flatnonzero(~results['done']):
        if should_stop(walltime_seconds):
            save_partial(results, failures)
            break
        atoms_slice = slice(int(offsets[index]), int(offsets[index + 1]))
        numbers = frames['numbers'][atoms_slice].astype(int)
        atoms = Atoms(
            numbers=numbers,
            positions=frames['positions'][atoms_slice],
            cell=frames['cells'][index],
            pbc=periodicity(recipe, frames['pbc'][index]),
        )
        atoms.info.update(filled_info(recipe.get('info') or {}, float(charges[index])))
        if 'pbc_info' in recipe:
            atoms.info[recipe['pbc_info']] = frames['pbc'][index]
        calculator = make_object(recipe) if calculator is None else calculator
        try:
            found = compute_frame(calculator, atoms, atomic_energies)
        except FRAME_ERRORS as error:
            if 'out of memory' in str(error).lower():
                raise
            failures[str(index)] = ' '.join(f'{type(error).__name__}: {error}'.split())
            calculator = None  # its state after a failure is not known
        else:
            store_frame(results, int(index), atoms_slice, found, shifts[numbers])
        results['done'][index] = True
        if time.perf_counter() - saved > SAVE_INTERVAL_SECONDS:
            save_partial(results, failures)
            saved = time.perf_counter()
    return results, failures


def main(arguments: list[str]) -> int:
    """Read the input file, compute, write; return the exit status of the program."""
    settings = json.loads(Path(arguments[0]).read_text())
    with np.load(settings['frames']) as archive:
        frames = {name: archive[name] for name in archive.files}
    shifts = shifts_by_number(settings['energy_shifts'])
    results, failures = evaluate(
        settings['recipe'], frames, shifts, settings['walltime_seconds'], settings.get('atomic_energies')
    )
    is_finished = bool(results['done'].all())
    if is_finished:
        save_json(FAILURES, failures)
        save(settings['predictions'], predictions(results, frames['offsets']))
    summary = {
        'outcome': 'finished' if is_finished else 'out_of_walltime',
        'frames': len(results['done']),
        'frames_done': int(results['done'].sum()),
        'frames_failed': len(failures),
        'wall_seconds': time.perf_counter() - START,
    }
    save_json(SUMMARY, summary)
    return 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, remember_signal)
    sys.exit(main(sys.argv[1:]))
