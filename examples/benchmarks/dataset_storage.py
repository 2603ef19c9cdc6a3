"""Time and size of a large data set in AiiDA: store it, open it, read one frame, read all.

Run with the interpreter of the AiiDA environment; a profile of its own is made in a temporary folder and removed:

    python examples/benchmarks/dataset_storage.py [--frames 10000] [--atoms 240]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from aiida_edl.science.frames import FrameSet

LIMITS = {
    'store': 20.0,
    'open and read one frame': 0.1,
    'open and read another frame': 0.1,
    'size over raw arrays': 1.05,
}
"""What the package promises for 10,000 frames of 240 atoms: seconds, seconds, ratio."""


@contextmanager
def temporary_profile(folder: Path) -> Iterator[None]:
    """Load a profile that lives in ``folder`` only.

    :param folder: an empty folder.
    """
    (folder / '.aiida').mkdir()
    os.environ['AIIDA_PATH'] = str(folder)
    from aiida.manage.configuration import create_profile, get_config, profile_context, reset_config  # noqa: PLC0415
    from aiida.manage.configuration.settings import AiiDAConfigDir  # noqa: PLC0415

    reset_config()
    AiiDAConfigDir.set(folder / '.aiida')
    config = get_config(create=True)
    storage = {'filepath': str(folder / 'storage')}
    create_profile(
        config, name='benchmark', email='benchmark@localhost', storage_backend='core.sqlite_dos', storage_config=storage
    )
    with profile_context('benchmark', allow_switch=True):
        yield


def random_frames(n_frames: int, n_atoms: int, seed: int = 1) -> FrameSet:
    """Return labelled frames of random numbers: the hardest case for storage, as nothing can be compressed.

    :param n_frames: number of frames.
    :param n_atoms: atoms per frame.
    :param seed: seed of the numbers.
    """
    generator = np.random.default_rng(seed)
    n_total = n_frames * n_atoms
    numbers = np.tile(generator.choice([1, 8, 11, 79], size=n_atoms).astype(np.uint8), n_frames)
    return FrameSet(
        numbers=numbers,
        positions=generator.random((n_total, 3)),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
        cells=np.tile(np.diag([10.0, 9.0, 35.0]), (n_frames, 1, 1)),
        pbc=np.ones((n_frames, 3), dtype=bool),
        energies=generator.random(n_frames),
        forces=generator.random((n_total, 3)),
    )


def measure(n_frames: int, n_atoms: int, folder: Path) -> list[tuple[str, float, str]]:
    """Return what was measured: name, value, unit.

    :param n_frames: number of frames.
    :param n_atoms: atoms per frame.
    :param folder: an empty folder for the profile.
    """
    from aiida.orm import load_node  # noqa: PLC0415

    from aiida_edl.data.dataset import DatasetData  # noqa: PLC0415

    frames = random_frames(n_frames, n_atoms)
    labelled = (frames.positions, frames.forces, frames.energies, frames.cells)
    raw_bytes = sum(array.nbytes for array in labelled if array is not None)
    start = time.perf_counter()
    node = DatasetData.from_frames(frames, level_of_theory='random numbers').store()
    stored = time.perf_counter() - start
    identifier = node.uuid
    del node
    start = time.perf_counter()
    one = load_node(identifier).frame(n_frames // 2)
    opened = time.perf_counter() - start
    if not np.array_equal(one.positions, frames.frame(n_frames // 2).positions):
        raise AssertionError(f'frame {n_frames // 2} was read back with other positions than were stored')
    start = time.perf_counter()
    load_node(identifier).frame(0)
    opened_again = time.perf_counter() - start
    start = time.perf_counter()
    load_node(identifier).frames()
    read_all = time.perf_counter() - start
    disk_bytes = sum(path.stat().st_size for path in (folder / 'storage').rglob('*') if path.is_file())
    return [
        ('raw float64 arrays', raw_bytes / 1e6, 'MB'),
        ('store', stored, 's'),
        ('open and read one frame', opened, 's'),
        ('open and read another frame', opened_again, 's'),
        ('read all frames', read_all, 's'),
        ('size on disk, database included', disk_bytes / 1e6, 'MB'),
        ('size over raw arrays', disk_bytes / raw_bytes, ''),
    ]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('--frames', type=int, default=10_000, help='number of frames')
    parser.add_argument('--atoms', type=int, default=240, help='atoms per frame')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, temporary_profile(Path(name)):
        rows = measure(arguments.frames, arguments.atoms, Path(name))
    print(f'{arguments.frames} frames of {arguments.atoms} atoms')
    for label, value, unit in rows:
        limit = f'(limit {LIMITS[label]:g})' if label in LIMITS else ''
        print(f'{label:<34} {value:>10.3f} {unit:<3} {limit}'.rstrip())


if __name__ == '__main__':
    main()
