"""What provenance costs a cheap label: time per frame of the labelling over that of the bare calculator.

Frames of copper are labelled by effective-medium theory, in a loop of ASE and by the work chain, with few and many
frames in a job. One process for each frame is what most plugins offer; packs are why this one does better. The
profile is made in memory, and jobs run on this machine one after the other::

    python examples/benchmarks/labelling.py [--frames 1000] [--single-frames 4]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from aiida import load_profile
from aiida.engine import run_get_node
from aiida.orm import Bool, Computer, Dict, InstalledCode, Int, Str
from aiida.storage.sqlite_temp import SqliteTempBackend
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.labelling import LabellingWorkChain

LIMIT = 0.2
"""What the package promises: seconds per frame beside the calculator."""
CELLS = (3, 3, 3)
RECIPE = {'module': 'ase.calculators.emt', 'attribute': 'EMT', 'keyword_arguments': {}}


def make_frames(n_frames: int) -> FrameSet:
    """Return rattled copper of 108 atoms."""
    perfect = bulk('Cu', cubic=True).repeat(CELLS)
    generator = np.random.default_rng(1)
    positions = perfect.positions + generator.normal(0.0, 0.1, (n_frames, len(perfect), 3))
    numbers, cell, pbc = perfect.numbers.astype(np.uint8), np.array(perfect.cell), perfect.pbc
    return FrameSet.from_frames([Frame(numbers, moved, cell, pbc) for moved in positions])


def time_bare(frames: FrameSet) -> float:
    """Return how long a loop over the frames takes [s]."""
    start = time.perf_counter()
    for frame in frames:
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=EMT())
        atoms.get_potential_energy()
        atoms.get_forces()
        atoms.get_stress()
    return time.perf_counter() - start


def time_labelling(code: InstalledCode, frames: FrameSet, frames_per_job: int) -> float:
    """Return how long the work chain takes [s], nodes and jobs included."""
    dataset = DatasetData.from_frames(frames, origin='rattled by hand').store()
    start = time.perf_counter()
    _, node = run_get_node(
        LabellingWorkChain,
        dataset=dataset,
        engine=Str('ase_calculator'),
        code=code,
        model_parameters=Dict({'recipe': RECIPE, 'level_of_theory': 'effective-medium theory'}),
        frames_per_job=Int(frames_per_job),
        check_gradients=Bool(False),
    )
    if not node.is_finished_ok:
        raise SystemExit(f'exit status {node.exit_status}: {node.exit_message}')
    return time.perf_counter() - start


def make_code(folder: str) -> InstalledCode:
    """Return this interpreter as a code on this machine."""
    computer = Computer('here', 'localhost', 'labels', 'core.local', 'core.direct', workdir=folder).store()
    computer.set_minimum_job_poll_interval(0.1)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return InstalledCode(computer, sys.executable, label='python').store()


def main() -> int:
    """Measure and print; return 1 if the overhead of packs is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('--frames', type=int, default=1000, help='frames in one job (default 1000)')
    parser.add_argument('--single-frames', type=int, default=4, help='frames in jobs of their own (default 4)')
    arguments = parser.parse_args()
    load_profile(SqliteTempBackend.create_profile('labelling', options={'runner.poll.interval': 1}))
    with tempfile.TemporaryDirectory() as folder:
        code = make_code(str(Path(folder)))
        rows = []
        for n_frames, frames_per_job in ((arguments.frames, arguments.frames), (arguments.single_frames, 1)):
            frames = make_frames(n_frames)
            bare, whole = time_bare(frames), time_labelling(code, frames, frames_per_job)
            rows.append((n_frames, frames_per_job, bare / n_frames, whole / n_frames, (whole - bare) / n_frames))
    print(f'{"frames":>7} {"in a job":>8} {"bare, s/frame":>14} {"labelled, s/frame":>18} {"overhead, s/frame":>18}')
    for n_frames, per_job, bare, whole, overhead in rows:
        print(f'{n_frames:7d} {per_job:8d} {bare:14.4f} {whole:18.4f} {overhead:18.4f}')
    is_cheap = rows[0][-1] <= LIMIT
    print(
        f'overhead of packs: {rows[0][-1]:.4f} s per frame, {"within" if is_cheap else "ABOVE"} the limit of {LIMIT} s'
    )
    return 0 if is_cheap else 1


if __name__ == '__main__':
    sys.exit(main())
