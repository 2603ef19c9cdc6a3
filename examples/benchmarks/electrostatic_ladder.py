"""Time energy and forces of every rung of the ladder of electrostatics, over the same backbone without charges.

    .environments/engines/bin/python examples/benchmarks/electrostatic_ladder.py

Films of water on gold of about 100, 400 and 1600 atoms; MACE of 64 scalars and vectors, two layers of 5 Å, random
weights, double precision, one thread. Rungs are timed in turn, round after round, and processor time counts; the ratio
is that of medians, with the smallest and largest over rounds. ``qeq`` is timed with both solvers. Self-consistent rungs
begin at each evaluation anew, as the first step of a run does. The program ends with status 1 if a rung is dearer than
is promised: 1.5 for charges that follow from the surroundings, 2.5 for ``qeq`` at 400 atoms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
from ase import Atoms
from ase.build import fcc111, molecule
from scipy.spatial.transform import Rotation

warnings.simplefilter('ignore')  # e3nn and mace-torch warn of each other

from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import electrostatic_frame  # noqa: E402
from aiida_edl.science.electrostatics.charge_models.electrostatic_mace import RUNGS, ElectrostaticMace  # noqa: E402
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings  # noqa: E402

FILMS = {100: (3, 4), 400: (6, 6), 1600: (12, 12)}
"""Gold atoms along both sides of the film by about how many atoms it has."""
WATER = 3.1
"""Distance of molecules [Å]."""
LAYERS = 4
"""Layers of molecules."""
PROMISED = {'fixed': 1.5, 'local': 1.5, 'latent': 1.5}
PROMISED_OF_QEQ, ATOMS_OF_QEQ = 2.5, 400
SHAPE = {
    'atomic_numbers': (1, 8, 79),
    'atomic_energies': (0.0, 0.0, 0.0),
    'average_neighbours': 40.0,
    'formal_charges': (0.4, -0.8, 0.0),
    'balanced_by': 79,
}


def film(sides: tuple[int, int]) -> Atoms:
    """Return gold with water on a grid above it, turned at random, open along z."""
    random = np.random.default_rng(1)
    atoms = fcc111('Au', (*sides, 3), a=4.08, orthogonal=True, vacuum=0.0)
    lengths = atoms.cell.lengths()
    counts = [max(1, int(length // WATER)) for length in lengths[:2]]
    top = atoms.positions[:, 2].max() + 3.0
    for index in np.ndindex(*counts, LAYERS):
        water = molecule('H2O')
        water.positions = Rotation.random(random_state=random).apply(water.positions - water.positions[0])
        water.positions += [*(lengths[:2] * (np.array(index[:2]) + 0.5) / counts), top + WATER * index[2]]
        atoms += water
    atoms.cell[2] = [0.0, 0.0, 2.0 * np.ptp(atoms.positions[:, 2]) + 10.0]
    atoms.positions[:, 2] += 2.0 - atoms.positions[:, 2].min()
    atoms.pbc = (True, True, False)
    return atoms


def variants() -> dict[str, dict[str, object]]:
    """Return the settings of what is timed by name."""
    found: dict[str, dict[str, object]] = {'none': {'electrostatics': 'none'}}
    for rung in RUNGS:
        if rung == 'qeq':
            for solver in ('direct', 'conjugate_gradient'):
                found[f'qeq ({solver})'] = {'electrostatics': rung, 'solver': solver}
        else:
            found[rung] = {'electrostatics': rung}
    return found


def timed(model: ElectrostaticMace, atoms: Atoms) -> float:
    """Return the processor time of one evaluation [s], the search for neighbours included."""
    start = time.process_time()
    frame = electrostatic_frame(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, model.settings)
    model([frame])
    return time.process_time() - start


def measure(size: int, channels: int, rounds: int) -> list[dict[str, object]]:
    """Return a row for each rung."""
    atoms = film(FILMS[size])
    models = {}
    for name, values in variants().items():
        torch.manual_seed(0)
        settings = ElectrostaticSettings(**{**SHAPE, 'n_channels': channels, **values})
        models[name] = ElectrostaticMace(settings).requires_grad_(False)
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, model in models.items():
            seconds = timed(model, atoms)
            if number:  # the first is for what is made once
                times[name].append(seconds)
    rows = []
    for name, seconds in times.items():
        ratios = [own / bare for own, bare in zip(seconds, times['none'])]
        middle = statistics.median(seconds) / statistics.median(times['none'])
        rows.append(
            {
                'n_atoms': len(atoms),
                'rung': name,
                'seconds': statistics.median(seconds),
                'ratio': middle,
                'least_ratio': min(ratios),
                'largest_ratio': max(ratios),
            }
        )
    return rows


def is_broken(row: dict[str, object], size: int) -> bool:
    """Return whether a rung costs more than is promised."""
    name, ratio = str(row['rung']), float(str(row['ratio']))
    if name == 'qeq (direct)' and size == ATOMS_OF_QEQ:
        return ratio > PROMISED_OF_QEQ
    return ratio > PROMISED.get(name, float('inf'))


def main() -> int:
    """Print a table; return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sizes', default='100,400,1600', help='films, of 100, 400 and 1600 atoms')
    parser.add_argument('--channels', type=int, default=64, help='of each feature of the backbone')
    parser.add_argument('--rounds', type=int, default=5, help='evaluations of each rung')
    parser.add_argument('--json', type=Path, help='file for all numbers')
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    rows, broken = [], []
    print(f'{"atoms":>6} {"rung":<26} {"s":>9} {"ratio":>7} {"least":>7} {"most":>7}')
    for size in [int(text) for text in options.sizes.split(',')]:
        for row in measure(size, options.channels, options.rounds):
            rows.append(row)
            print(
                f'{row["n_atoms"]:>6} {row["rung"]:<26} {row["seconds"]:>9.3f} {row["ratio"]:>7.2f} '
                f'{row["least_ratio"]:>7.2f} {row["largest_ratio"]:>7.2f}',
                flush=True,
            )
            if is_broken(row, size):
                broken.append(f'{row["rung"]} at {row["n_atoms"]} atoms: {row["ratio"]:.2f}')
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + '\n')
    for sentence in broken:
        print(f'dearer than promised: {sentence}')
    return int(bool(broken))


if __name__ == '__main__':
    sys.exit(main())
