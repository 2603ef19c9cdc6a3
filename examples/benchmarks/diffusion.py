"""Time diffusion coefficients of several replicas, and compare them with MDAnalysis and kinisi.

    python examples/benchmarks/diffusion.py --frames 10000 --replicas 10

Walkers hop on a lattice from a seed, 108 of them among 109 atoms at rest, wrapped into their cell. Ours is the whole
analysis: unwrapping, drift, mean square displacements of atoms and charge with errors, window, coefficients. MDAnalysis
(`EinsteinMSD` with its Fourier transform) is given unwrapped paths and does the mean square displacement alone; kinisi
does it and a coefficient at 50 lags. Both run on one replica, in a process and an environment of their own
(``install.sh crosscheck``, kinisi beside it), and are multiplied by the number of replicas; with ``--python ''`` only
our own time is given. Processor time of one thread counts. The program ends with status 1 if a mean square displacement
deviates, if D is off by more than ``--tolerance``, or if ours takes longer than ``--limit``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CROSSCHECK = Path(__file__).resolve().parents[2] / '.environments' / 'crosscheck' / 'bin' / 'python'
"""Where ``install.sh crosscheck`` puts MDAnalysis."""
INTERVAL = 100.0
"""Time between frames [fs]."""
N_MOBILE, N_FIXED = 108, 109
N_LAGS = 50


def ours(n_frames: int, n_replicas: int, seed: int, folder: Path) -> dict[str, float]:
    """Return time, deviation of D, and write one replica for the others."""
    # Imported here, because the environment of the others needs not hold this package.
    from aiida_edl.science.analysis.diffusion import DiffusionSettings, diffusion  # noqa: PLC0415
    from aiida_edl.science.frames import FrameSet  # noqa: PLC0415
    from aiida_edl.science.walkers import Walkers  # noqa: PLC0415

    walkers = Walkers(n_walkers=N_MOBILE, n_frames=n_frames, n_replicas=n_replicas, vibration=0.2, seed=seed)
    paths = walkers.paths()
    np.savez(folder / 'source.npz', paths=paths[0])
    edge = 12 * walkers.lattice_constant
    total = n_frames * n_replicas
    positions = np.empty((total, N_MOBILE + N_FIXED, 3))
    positions[:, :N_MOBILE] = paths.reshape(total, N_MOBILE, 3) % edge
    positions[:, N_MOBILE:] = edge * np.random.default_rng(seed).random((N_FIXED, 3))
    frames = FrameSet(
        numbers=np.tile(np.repeat([3, 9], [N_MOBILE, N_FIXED]).astype(np.uint8), total),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(total + 1, dtype=np.int64) * (N_MOBILE + N_FIXED),
        cells=np.tile(edge * np.eye(3), (total, 1, 1)),
        pbc=np.ones((total, 3), dtype=bool),
        columns={
            'time': np.tile(INTERVAL * np.arange(n_frames), n_replicas),
            'replica': np.repeat(np.arange(n_replicas), n_frames),
        },
    )
    begin = time.process_time()
    result = diffusion(frames, DiffusionSettings(hop_length=walkers.lattice_constant))
    seconds = time.process_time() - begin
    single = diffusion(frames.select(np.arange(n_frames)), DiffusionSettings(hop_length=walkers.lattice_constant))
    np.savez(folder / 'ours.npz', lags=np.rint(single.lag_time / INTERVAL).astype(np.int64), msd=single.msd)
    return {
        'seconds': seconds,
        'relative_error_of_d': result.tracer_diffusion / walkers.tracer_diffusion - 1.0,
        'stated_relative_error_of_d': result.tracer_diffusion_error / walkers.tracer_diffusion,
    }


def worker(folder: Path) -> None:
    """Time MDAnalysis and kinisi, as far as they are installed, on one replica."""
    with np.load(folder / 'source.npz') as archive:
        paths = archive['paths']
    found: dict[str, object] = {}
    if all(importlib.util.find_spec(name) for name in ('MDAnalysis', 'tidynamics')):
        found |= by_mdanalysis(paths)
    if importlib.util.find_spec('kinisi'):
        found |= by_kinisi(paths)
    np.savez(folder / 'theirs.npz', **found)


def by_mdanalysis(paths: np.ndarray) -> dict[str, object]:
    """Return the mean square displacement by lag and the time."""
    import MDAnalysis  # noqa: PLC0415
    from MDAnalysis.analysis.msd import EinsteinMSD  # noqa: PLC0415

    universe = MDAnalysis.Universe.empty(paths.shape[1], trajectory=True)
    universe.load_new(paths, order='fac')
    begin = time.process_time()
    found = EinsteinMSD(universe, select='all', msd_type='xyz', fft=True).run()
    return {'mdanalysis_seconds': time.process_time() - begin, 'mdanalysis_msd': found.results.timeseries}


def by_kinisi(paths: np.ndarray) -> dict[str, object]:
    """Return the time of a coefficient."""
    import scipp  # noqa: PLC0415
    from ase import Atoms  # noqa: PLC0415
    from kinisi.analyze import DiffusionAnalyzer  # noqa: PLC0415

    edge = 36.0
    numbers = np.repeat([3, 9], [paths.shape[1], 1])
    fixed = np.zeros((1, 3))
    frames = [
        Atoms(numbers, positions=np.concatenate([item % edge, fixed]), cell=[edge] * 3, pbc=True) for item in paths
    ]
    steps = np.unique(np.geomspace(10, len(paths) // 5, N_LAGS).round())
    begin = time.process_time()
    analyzer = DiffusionAnalyzer.from_ase(
        frames,
        specie='Li',
        time_step=scipp.scalar(INTERVAL, unit='fs'),
        step_skip=scipp.scalar(1, unit='dimensionless'),
        dt=scipp.array(dims=['time interval'], values=steps * INTERVAL, unit='fs'),
        progress=False,
    )
    analyzer.diffusion(scipp.scalar(10 * INTERVAL, unit='fs'), progress=False)
    return {'kinisi_seconds': time.process_time() - begin}


def compare(arguments: argparse.Namespace) -> dict[str, float]:
    """Return times, ratios and deviations; those of the others only if an interpreter for them is given."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = ours(arguments.frames, arguments.replicas, arguments.seed, folder)
        if not arguments.python:
            return report
        environment = os.environ | {'OMP_NUM_THREADS': '1'}
        command = [arguments.python, str(Path(__file__).resolve()), '--worker', str(folder)]
        subprocess.run(command, check=True, env=environment, cwd=folder, stderr=subprocess.DEVNULL)
        with np.load(folder / 'ours.npz') as first, np.load(folder / 'theirs.npz') as second:
            lags, msd, theirs = first['lags'], first['msd'], dict(second)
    if 'mdanalysis_msd' in theirs:
        # MDAnalysis removes no drift: the atoms at rest of ours have none.
        report['largest_deviation'] = float(np.abs(msd / theirs['mdanalysis_msd'][lags] - 1.0).max())
    for code in ('mdanalysis', 'kinisi'):
        if f'{code}_seconds' in theirs:
            whole = float(theirs[f'{code}_seconds']) * arguments.replicas
            report[f'{code}_seconds'] = whole
            report[f'{code}_over_ours'] = whole / report['seconds']
    return report


def main() -> int:
    """Run the benchmark; return 1 if numbers deviate or ours is too slow."""
    parser = argparse.ArgumentParser(
        description='time diffusion coefficients and compare them with MDAnalysis and kinisi'
    )
    parser.add_argument('--frames', type=int, default=10_000)
    parser.add_argument('--replicas', type=int, default=10)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--python', default=str(CROSSCHECK), help='interpreter that has MDAnalysis or kinisi')
    parser.add_argument('--tolerance', type=float, default=0.02)
    parser.add_argument('--limit', type=float, default=0.0, help='processor time [s] that ours may take; 0 for any')
    parser.add_argument('--worker', metavar='FOLDER', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(Path(arguments.worker))
        return 0
    report = compare(arguments)
    report = {'n_frames': arguments.frames, 'n_replicas': arguments.replicas, **report}
    sys.stdout.write(json.dumps(report, indent=2) + '\n')
    deviates = abs(report['relative_error_of_d']) > arguments.tolerance or report.get('largest_deviation', 0.0) > 1e-3
    return int(deviates or 0.0 < arguments.limit < report['seconds'])


if __name__ == '__main__':
    sys.exit(main())
