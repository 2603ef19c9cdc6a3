"""Time how hops are found in a crystal, and compare sites and time with site-analysis.

    examples/demo/install.sh crosscheck
    python examples/benchmarks/hopping.py --frames 100000

LiF of 216 atoms with one interstitial Li that hops to a neighbouring hole every half picosecond on average; every
coordinate vibrates by 0.15 Å, from a seed. Ours is the whole analysis ``edl.hopping``: sites, hysteresis, jumps and
events at nine pairs of radius and window, and the check of the framework. site-analysis (MIT) assigns Voronoi sites at
the ideal places to fewer frames, in a process and an environment of its own; with ``--site-analysis-python ''`` only
our time is taken. Both use one thread, and processor time counts. The program ends with status 1 if the mean number of
interstitial Li differs by more than its error.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CROSSCHECK = Path(__file__).parents[2] / '.environments' / 'crosscheck' / 'bin' / 'python'
"""Where ``install.sh crosscheck`` puts site-analysis."""
N_CELLS, LATTICE, VIBRATION, INTERVAL, HOP = 3, 4.12, 0.15, 10.0, 0.02
FRAMES_AT_ONCE = 1000


def rocksalt() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places of Li, tetrahedra and F in units of a quarter of the lattice constant."""
    grid = np.array(list(itertools.product(range(4 * N_CELLS), repeat=3)))
    is_even, is_odd = np.all(grid % 2 == 0, axis=1), np.all(grid % 2 == 1, axis=1)
    halves = grid.sum(axis=1) // 2
    return grid[is_even & (halves % 2 == 0)], grid[is_odd], grid[is_even & (halves % 2 == 1)]


def synthetic_crystal(n_frames: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions [Å] ``(n_frames, 217, 3)`` in single precision, atomic numbers and cell."""
    random = np.random.default_rng(seed)
    cations, tetrahedra, anions = rocksalt()
    base = np.concatenate([cations, tetrahedra[:1], anions]).astype(np.float64)
    walker = len(cations)
    positions = np.empty((n_frames, len(base), 3), dtype=np.float32)
    for start in range(0, n_frames, FRAMES_AT_ONCE):
        count = min(FRAMES_AT_ONCE, n_frames - start)
        steps = np.zeros((count, 3))
        hops = np.flatnonzero(random.random(count) < HOP)
        steps[hops, random.integers(0, 3, len(hops))] = random.choice([-2.0, 2.0], len(hops))
        path = base[walker] + np.cumsum(steps, axis=0)
        part = np.repeat(base[np.newaxis], count, axis=0)
        part[:, walker] = path
        base[walker] = path[-1]
        positions[start : start + count] = part * LATTICE / 4 + VIBRATION * random.normal(size=part.shape)
    numbers = np.repeat([3, 9], [walker + 1, len(anions)]).astype(np.uint8)
    return positions, numbers, N_CELLS * LATTICE * np.eye(3)


def ours(positions: np.ndarray, numbers: np.ndarray, cell: np.ndarray) -> tuple[dict[str, float], float]:
    """Return interstitial Li with their error, the events, and the processor time taken [s]."""
    # Imported here, because the environment of site-analysis needs not hold this package.
    from aiida_edl.science.analysis.hopping import hopping  # noqa: PLC0415
    from aiida_edl.science.analysis.hopping_settings import HoppingSettings  # noqa: PLC0415
    from aiida_edl.science.frames import FrameSet  # noqa: PLC0415

    n_frames, n_atoms = positions.shape[:2]
    frames = FrameSet(
        numbers=np.tile(numbers, n_frames),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(n_frames + 1) * n_atoms,
        cells=np.repeat(cell[np.newaxis], n_frames, axis=0),
        pbc=np.ones((n_frames, 3), dtype=bool),
        columns={'time': INTERVAL * np.arange(n_frames)},
    )
    begin = time.process_time()
    # A radius beyond all distances and no residence assign to the nearest site, as site-analysis does.
    settings = HoppingSettings(commit_radius=10.0, minimum_residence=0.0)
    found = hopping(frames, settings)
    seconds = time.process_time() - begin
    values = {'interstitials': float(found.population[1]), 'error': float(found.population_error[1])}
    return values | {'n_jumps': found.n_jumps, 'n_events': found.n_events}, seconds


def site_analysis_worker(source: str, target: str) -> None:
    """Write the mean number of interstitial Li by site-analysis, and its time [s]; runs in its environment."""
    from pymatgen.core import Lattice, Structure  # noqa: PLC0415
    from site_analysis.builders import TrajectoryBuilder  # noqa: PLC0415

    with np.load(source) as archive:
        positions, numbers, cell = archive['positions'], archive['numbers'], archive['cell']
    cations, tetrahedra, _ = rocksalt()
    centres = (np.concatenate([cations, tetrahedra]) / (4 * N_CELLS)).tolist()
    labels = ['octahedral'] * len(cations) + ['tetrahedral'] * len(tetrahedra)
    symbols = ['Li' if number == 3 else 'F' for number in numbers]
    structures = [
        Structure(Lattice(cell), symbols, frame.astype(float), coords_are_cartesian=True) for frame in positions
    ]
    builder = TrajectoryBuilder().with_structure(structures[0]).with_mobile_species('Li')
    trajectory = builder.with_voronoi_sites(centres=centres, labels=labels).build()
    trajectory.trajectory_from_structures(structures[:2], progress=False)  # compiles
    trajectory.reset()
    begin = time.process_time()
    trajectory.trajectory_from_structures(structures, progress=False)
    seconds = time.process_time() - begin
    label_of = {site.index: label for site, label in zip(trajectory.sites, labels, strict=True)}
    counts = [sum(label_of[site] == 'tetrahedral' for site in row) for row in trajectory.atoms_trajectory]
    Path(target).write_text(json.dumps({'seconds': seconds, 'interstitials': float(np.mean(counts))}))


def main() -> int:
    """Run the benchmark; return 1 if occupations differ."""
    parser = argparse.ArgumentParser(description='time how hops are found, and compare with site-analysis')
    parser.add_argument('--frames', type=int, default=100_000)
    parser.add_argument('--their-frames', type=int, default=200, help='frames that site-analysis takes')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--site-analysis-python', default=str(CROSSCHECK), help='interpreter that has site-analysis')
    parser.add_argument('--worker', nargs=2, metavar=('SOURCE', 'TARGET'), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        site_analysis_worker(*arguments.worker)
        return 0
    positions, numbers, cell = synthetic_crystal(arguments.frames, arguments.seed)
    ours(positions[:100], numbers, cell)  # compiles
    found, seconds = ours(positions, numbers, cell)
    report: dict[str, object] = {
        'n_frames': arguments.frames,
        'n_atoms': len(numbers),
        'seconds': seconds,
        'milliseconds_per_frame': 1e3 * seconds / arguments.frames,
        **found,
        'peak_memory_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        'trajectory_mb': positions.nbytes / 2**20,
    }
    deviates = False
    if arguments.site_analysis_python:
        few = positions[: arguments.their_frames]
        with tempfile.TemporaryDirectory() as folder:
            source, target = str(Path(folder, 'trajectory.npz')), str(Path(folder, 'sites.json'))
            np.savez(source, positions=few, numbers=numbers, cell=cell)
            command = [arguments.site_analysis_python, str(Path(__file__).resolve()), '--worker', source, target]
            subprocess.run(command, check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
            theirs = json.loads(Path(target).read_text())
        same, _ = ours(few, numbers, cell)
        error = same['error']
        deviates = abs(theirs['interstitials'] - same['interstitials']) > (error if np.isfinite(error) else 0.0)
        per_frame = 1e3 * theirs['seconds'] / len(few)
        report |= {
            'site_analysis_milliseconds_per_frame': per_frame,
            'site_analysis_over_ours': per_frame / (1e3 * seconds / arguments.frames),
            'interstitials_of_few_frames': same['interstitials'],
            'error_of_few_frames': error if np.isfinite(error) else None,
            'interstitials_by_site_analysis': theirs['interstitials'],
        }
    sys.stdout.write(json.dumps(report, indent=2) + '\n')
    return int(deviates)


if __name__ == '__main__':
    sys.exit(main())
