"""Time the interface profiles on a synthetic trajectory, and compare them with MAICoS bin by bin.

    examples/demo/install.sh crosscheck
    python examples/benchmarks/profiles.py --frames 10000
    python examples/benchmarks/profiles.py --stream --frames 100000

The trajectory is made from a seed: 366 atoms, of which 64 form an Au(111) slab, 100 rigid waters that rotate at random,
and 2 Na+. MAICoS (GPL-3) runs in a process and an environment of its own; with ``--maicos-python ''`` only our own time
is taken. Each trajectory is in memory before a clock starts, and each code uses one thread. The program ends with
status 1 if a profile deviates by more than ``--tolerance``.

With ``--stream`` a trajectory of 400 atoms lies on disk in single precision, and one pass for all observables along the
normal is compared with what plain numpy needs to read the same mapped file and to histogram the heights of oxygen,
hydrogen and sodium; runs of both alternate, each in a process of its own, whose peak memory is given too. With
``--minimum-ratio 0.5`` the program ends with status 1 if the median of the ratios is less.

So that both codes see the same numbers, heights are multiples of 0.01 Å plus half of that: no atom lies on the edge of
a bin, where single precision, in which MAICoS holds positions, would decide.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from aiida_edl.science.frames import FrameSet

CROSSCHECK = Path(__file__).parents[2] / '.environments' / 'crosscheck' / 'bin' / 'python'
"""Where ``install.sh crosscheck`` puts MAICoS."""
LATTICE_CONSTANT = 4.08
"""fcc Au [Å]."""
PERIOD = 44.0
"""Height of the cell [Å], a whole number of bins."""
SLAB_TOP, SLAB_BOTTOM = 8.0, 0.9
"""Heights of the outermost metal layers [Å]."""
BIN_WIDTH = 0.1
"""Width of the bins [Å]."""
Z_MAX = 15.0
"""Compared height above each surface [Å]."""
OXYGEN_HYDROGEN, HALF_ANGLE = 1.0, np.radians(109.47 / 2)
"""Geometry of SPC/E water [Å, radian]."""


def synthetic_trajectory(
    n_frames: int, seed: int, n_waters: int = 100, n_ions: int = 2, n_levels: int = 12
) -> dict[str, np.ndarray]:
    """Return numbers ``(n_atoms,)``, positions [Å] ``(n_frames, n_atoms, 3)`` and cell [Å] ``(3, 3)``."""
    n_sites = n_waters + n_ions
    random = np.random.default_rng(seed)
    nearest = LATTICE_CONSTANT / np.sqrt(2)
    cell = np.diag([4 * nearest, 2 * np.sqrt(3) * nearest, PERIOD])
    columns = [((i + 0.5 * (j % 2)) * nearest, j * np.sqrt(3) / 2 * nearest) for i in range(4) for j in range(4)]
    heights = np.linspace(SLAB_BOTTOM, SLAB_TOP, 4)
    metal = np.array([(x, y, z) for z in heights for x, y in columns])
    # Lattice of 3 x 3 sites on each level with a gap of 2.6 Å to either face; some of its sites stay empty.
    low, high = SLAB_TOP + 2.6, SLAB_BOTTOM + PERIOD - 2.6
    axes = [np.arange(n) / n * length for n, length in ((3, cell[0, 0]), (3, cell[1, 1]))]
    sites = np.array([(x, y, z) for z in np.linspace(low, high, n_levels) for x in axes[0] for y in axes[1]])
    sites = sites[random.permutation(len(sites))[:n_sites]]
    centres = sites + random.uniform(-0.05, 0.05, (n_frames, n_sites, 3))
    water, ions = centres[:, n_ions:], centres[:, :n_ions]
    axis = random.normal(size=(n_frames, n_waters, 3)) + np.array([0, 0, 0.5])
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    side = np.cross(axis, random.normal(size=axis.shape))
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    along, across = OXYGEN_HYDROGEN * np.cos(HALF_ANGLE) * axis, OXYGEN_HYDROGEN * np.sin(HALF_ANGLE) * side
    molecules = np.stack([water, water + along + across, water + along - across], axis=2).reshape(
        n_frames, 3 * n_waters, 3
    )
    fluid = np.concatenate([molecules, ions], axis=1)
    fluid[..., 2] = (np.floor(fluid[..., 2] * 100) + 0.5) / 100
    fluid = fluid.astype(np.float32).astype(np.float64)
    positions = np.concatenate([np.broadcast_to(metal, (n_frames, 64, 3)), fluid], axis=1)
    numbers = np.array([79] * 64 + [8, 1, 1] * n_waters + [11] * n_ions, dtype=np.uint8)
    return {'numbers': numbers, 'positions': positions, 'cell': cell}


def charges_of(numbers: np.ndarray) -> np.ndarray:
    """Return the charges of SPC/E water [e], and none of ions and metal, so that each frame is neutral."""
    return np.select([numbers == 8, numbers == 1], [-0.8476, 0.4238], 0.0)


def our_profiles(trajectory: dict[str, np.ndarray], repeats: int) -> tuple[dict[str, np.ndarray], list[float]]:
    """Return the profiles above both surfaces and the times of all observables with errors, both surfaces [s]."""
    # Imported here, because the environment of MAICoS needs not hold this package.
    from aiida_edl.science.analysis.interface_profiles import interface_profiles  # noqa: PLC0415
    from aiida_edl.science.analysis.potential_profile import PotentialSettings, potential_profile  # noqa: PLC0415
    from aiida_edl.science.analysis.profile_settings import ProfileSettings  # noqa: PLC0415
    from aiida_edl.science.frames import FrameSet  # noqa: PLC0415

    n_frames, n_atoms = trajectory['positions'].shape[:2]
    frames = FrameSet(
        numbers=np.tile(trajectory['numbers'], n_frames),
        positions=np.ascontiguousarray(trajectory['positions']).reshape(-1, 3),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
        cells=np.tile(trajectory['cell'], (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
    )
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        interface_profiles(frames, ProfileSettings(bin_width=BIN_WIDTH, z_max=Z_MAX))
        seconds.append(time.perf_counter() - start)
    profiles = {}
    for name in ('lower', 'upper'):
        result = interface_profiles(frames, ProfileSettings(bin_width=BIN_WIDTH, z_max=Z_MAX, surfaces=name))
        for field in ('oxygen_number_density', 'hydrogen_number_density', 'ion_number_density', 'mean_cosine'):
            profiles[f'{name}_{field}'] = getattr(result, field)
        charged = dataclasses.replace(frames, charges=np.tile(charges_of(trajectory['numbers']), n_frames))
        settings = PotentialSettings(bin_width=BIN_WIDTH, z_max=Z_MAX, surfaces=name)
        density = potential_profile(charged, settings).charge_density
        profiles[f'{name}_charge_density'] = density[-round(Z_MAX / BIN_WIDTH) :]
    return profiles, seconds


def maicos_profiles(trajectory: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """Return the same profiles by MAICoS, and its time [s]; runs in the environment of MAICoS."""
    import maicos  # noqa: PLC0415
    import MDAnalysis  # noqa: PLC0415
    from MDAnalysis.coordinates.memory import MemoryReader  # noqa: PLC0415

    numbers, n_frames = trajectory['numbers'], len(trajectory['positions'])
    residues = np.concatenate([np.arange(64), 64 + np.repeat(np.arange(100), 3), [164, 165]])
    universe = MDAnalysis.Universe.empty(
        366, n_residues=166, atom_resindex=residues, residue_segindex=[0] * 166, trajectory=True
    )
    universe.add_TopologyAttr('names', [{79: 'Au', 8: 'O', 1: 'H', 11: 'Na'}[number] for number in numbers])
    # Without mass on hydrogen the centre of mass is the oxygen, where our definition locates a water.
    universe.add_TopologyAttr('masses', np.where(numbers == 1, 0.0, 1.0))
    universe.add_TopologyAttr('charges', charges_of(numbers))
    box = np.concatenate([np.diag(trajectory['cell']), [90.0] * 3]).astype(np.float32)
    positions = trajectory['positions'].astype(np.float32)
    universe.load_new(positions, format=MemoryReader, dimensions=np.tile(box, (n_frames, 1)), dt=1.0)
    common = {'bin_width': BIN_WIDTH, 'unwrap': False, 'pack': False}
    whole = {}
    start = time.perf_counter()
    for field, name in (('oxygen', 'O'), ('hydrogen', 'H'), ('ion', 'Na')):
        atoms = universe.select_atoms(f'name {name}')
        whole[f'{field}_number_density'] = maicos.DensityPlanar(atoms, dens='number', **common).run()
    water = universe.select_atoms('name O H')
    whole['mean_cosine'] = maicos.DiporderPlanar(water, order_parameter='cos_theta', **common).run()
    seconds = time.perf_counter() - start
    whole['charge_density'] = maicos.DensityPlanar(water, dens='charge', **common).run()
    profiles, n_bins = {}, round(Z_MAX / BIN_WIDTH)
    for field, analysis in whole.items():
        values = np.asarray(analysis.results.profile)
        first, last = round(SLAB_TOP / BIN_WIDTH), round(SLAB_BOTTOM / BIN_WIDTH)
        sign = -1.0 if field == 'mean_cosine' else 1.0
        profiles[f'lower_{field}'] = values[first : first + n_bins]
        profiles[f'upper_{field}'] = sign * np.roll(values, -last)[::-1][:n_bins]
    return profiles, seconds


def deviations(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the largest absolute deviation of each profile, in its own unit; empty bins must coincide."""
    result = {}
    for name, mine in ours.items():
        other = np.asarray(theirs[name], dtype=np.float64)
        empty = np.isnan(mine)
        # MAICoS gives 0 or NaN for a mean over nothing.
        if not np.all(np.isnan(other[empty]) | (other[empty] == 0)):
            result[name] = float('inf')
        else:
            result[name] = float(np.max(np.abs(mine - other)[~empty]))
    return result


def compare(n_frames: int, seed: int, maicos_python: str, repeats: int) -> dict[str, object]:
    """Return times, ratio and deviations; those of MAICoS only if an interpreter for it is given."""
    trajectory = synthetic_trajectory(n_frames, seed)
    ours, seconds = our_profiles(trajectory, repeats)
    report: dict[str, object] = {
        'n_frames': n_frames,
        'n_atoms': len(trajectory['numbers']),
        'ours_seconds_median': float(np.median(seconds)),
        'ours_seconds_spread': float(max(seconds) - min(seconds)),
    }
    if maicos_python:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, 'trajectory.npz'), Path(folder, 'maicos.npz')
            np.savez(source, **trajectory)
            environment = os.environ | {'OMP_NUM_THREADS': '1'}
            command = [maicos_python, str(Path(__file__).resolve()), '--maicos-worker', str(source), str(target)]
            subprocess.run(command, check=True, env=environment, cwd=folder, stderr=subprocess.DEVNULL)
            with np.load(target) as archive:
                theirs = {name: archive[name] for name in archive.files}
        largest = deviations(ours, theirs)
        report['maicos_seconds'] = float(theirs['seconds'])
        report['maicos_over_ours'] = float(theirs['seconds']) / float(np.median(seconds))
        report['largest_deviation'] = max(largest.values())
        report['deviations'] = largest
    return report


STREAMED = {'n_waters': 111, 'n_ions': 3, 'n_levels': 13}
"""Contents of the cell that is streamed, 400 atoms in all."""


def write_trajectory(folder: Path, n_frames: int, seed: int) -> None:
    """Write ``positions.npy`` in single precision, piece by piece, and what is equal in all frames."""
    first = synthetic_trajectory(2, seed, **STREAMED)
    n_atoms = len(first['numbers'])
    np.savez(folder / 'rest.npz', numbers=first['numbers'], cell=first['cell'], n_frames=n_frames)
    shape = (n_frames * n_atoms, 3)
    positions = np.lib.format.open_memmap(folder / 'positions.npy', mode='w+', dtype=np.float32, shape=shape)
    for start in range(0, n_frames, 2000):
        stop = min(start + 2000, n_frames)
        piece = synthetic_trajectory(stop - start, seed, **STREAMED)['positions']
        positions[start * n_atoms : stop * n_atoms] = piece.reshape(-1, 3)
    positions.flush()


def numpy_histograms(folder: Path) -> None:
    """Read the mapped file in pieces and histogram the heights of each element: the least that a profile needs."""
    with np.load(folder / 'rest.npz') as rest:
        numbers, n_frames = rest['numbers'], int(rest['n_frames'])
    positions = np.load(folder / 'positions.npy', mmap_mode='r').reshape(n_frames, len(numbers), 3)
    members = [np.flatnonzero(numbers == number) for number in (8, 1, 11)]
    n_bins = round(PERIOD / BIN_WIDTH)
    totals = [np.zeros(n_bins, dtype=np.int64) for _ in members]
    for start in range(0, n_frames, 250):
        heights = positions[start : start + 250, :, 2]
        for index, atoms in enumerate(members):
            totals[index] += np.histogram(heights[:, atoms], bins=n_bins, range=(0.0, PERIOD))[0]


def our_observables(folder: Path) -> dict[str, float]:
    """Compute all observables along the normal in one pass over the mapped file; return its seconds."""
    from aiida_edl.science.analysis.z_observables import z_observables  # noqa: PLC0415
    from aiida_edl.science.frames import FrameSet  # noqa: PLC0415

    with np.load(folder / 'rest.npz') as rest:
        numbers, cell, n_frames = rest['numbers'], rest['cell'], int(rest['n_frames'])
    frames = FrameSet(
        numbers=np.tile(numbers, n_frames),
        positions=np.load(folder / 'positions.npy', mmap_mode='r'),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * len(numbers),
        cells=np.tile(cell, (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
    )
    # Whether kernels are compiled, or loaded from the cache of numba, is no matter of the trajectory.
    z_observables(first_frames(frames, 8))
    start = time.process_time()
    z_observables(frames)
    return {'z_observables': time.process_time() - start}


def first_frames(frames: FrameSet, n_frames: int) -> FrameSet:
    """Return the first frames without a copy, so that they have the precision of the file."""
    stop = int(frames.offsets[n_frames])
    return dataclasses.replace(
        frames,
        numbers=frames.numbers[:stop],
        positions=frames.positions[:stop],
        offsets=frames.offsets[: n_frames + 1],
        cells=frames.cells[:n_frames],
        pbc=frames.pbc[:n_frames],
    )


def stream_worker(kind: str, folder: Path) -> None:
    """Print the processor time of one kind of run [s] and the peak of memory of this process [MB]."""
    import resource  # noqa: PLC0415

    start = time.process_time()
    if kind == 'numpy':
        numpy_histograms(folder)
        seconds = {'numpy': time.process_time() - start}
    else:
        seconds = our_observables(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({'seconds': seconds, 'peak_megabytes': peak}))


def stream(n_frames: int, seed: int, repeats: int) -> dict[str, object]:
    """Return medians over alternating runs, and the speed of all observables together relative to plain numpy."""
    runs: dict[str, list[dict[str, dict[str, float]]]] = {'numpy': [], 'ours': []}
    with tempfile.TemporaryDirectory() as name:
        write_trajectory(Path(name), n_frames, seed)
        environment = os.environ | dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'), '1')
        for _ in range(repeats):
            for kind, results in runs.items():
                command = [sys.executable, str(Path(__file__).resolve()), '--stream-worker', kind, name]
                done = subprocess.run(command, check=True, env=environment, capture_output=True)
                results.append(json.loads(done.stdout))
    median = {
        part: float(np.median([run['seconds'][part] for run in results]))
        for results in runs.values()
        for part in results[0]['seconds']
    }
    ratios = [
        plain['seconds']['numpy'] / sum(ours['seconds'].values())
        for plain, ours in zip(runs['numpy'], runs['ours'], strict=True)
    ]
    return {
        'n_frames': n_frames,
        'n_atoms': 400,
        'processor_seconds_median': median,
        'speed_over_numpy_all': float(np.median(ratios)),
        'speed_over_numpy_all_range': [min(ratios), max(ratios)],
        'peak_megabytes': max(run['peak_megabytes'] for run in runs['ours']),
    }


def main() -> int:
    """Run the benchmark; return 1 if profiles deviate, or if the pass is slower than asked for."""
    parser = argparse.ArgumentParser(description='time interface profiles and compare them with MAICoS')
    parser.add_argument('--frames', type=int, default=10_000)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--repeats', type=int, default=3, help='runs of our own code, of which the median is taken')
    parser.add_argument('--maicos-python', default=str(CROSSCHECK), help='interpreter that has MAICoS')
    parser.add_argument('--tolerance', type=float, default=1e-6)
    parser.add_argument('--maicos-worker', nargs=2, metavar=('SOURCE', 'TARGET'), help=argparse.SUPPRESS)
    parser.add_argument('--stream', action='store_true', help='compare with plain numpy on a mapped file instead')
    parser.add_argument(
        '--minimum-ratio', type=float, default=0.0, help='least speed over plain numpy of --stream; below it, status 1'
    )
    parser.add_argument('--stream-worker', nargs=2, metavar=('KIND', 'FOLDER'), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stream_worker:
        stream_worker(arguments.stream_worker[0], Path(arguments.stream_worker[1]))
        return 0
    if arguments.stream:
        report = stream(arguments.frames, arguments.seed, arguments.repeats)
        sys.stdout.write(json.dumps(report, indent=2) + '\n')
        return int(float(str(report['speed_over_numpy_all'])) < arguments.minimum_ratio)
    if arguments.maicos_worker:
        source, target = arguments.maicos_worker
        with np.load(source) as archive:
            profiles, seconds = maicos_profiles({name: archive[name] for name in archive.files})
        np.savez(target, seconds=seconds, **profiles)
        return 0
    report = compare(arguments.frames, arguments.seed, arguments.maicos_python, arguments.repeats)
    sys.stdout.write(json.dumps(report, indent=2) + '\n')
    return int(float(report.get('largest_deviation', 0.0)) > arguments.tolerance)


if __name__ == '__main__':
    sys.exit(main())
