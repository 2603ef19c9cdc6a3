"""Molecular dynamics with ASE calculators: any architecture that has an :class:`AseBinding` runs here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.md_engines.base import MDEngine, MDJob, MDOutcome, MDResult, MDSettings
from aiida_edl.science import units
from aiida_edl.science.frames import Frame, FrameSet

DRIVER = 'run_ase_md.py'
INPUT = 'md.json'
INITIAL = 'initial.npz'
CHECKPOINT = 'checkpoint.npz'
SUMMARY = 'md_summary.json'
STDOUT = 'md.out'
CHUNKS = 'trajectory_*.npz'
FLUSH_INTERVAL_SECONDS = 60.0
"""Time between two checkpoints [s]; a killed run loses no more than this."""
SERIES = ('step', 'time', 'temperature', 'potential_energy', 'kinetic_energy', 'conserved_energy')
OUT_OF_MEMORY_MARKS = ('out of memory', 'MemoryError', 'bad_alloc')
"""What programs print when memory of the host or the accelerator is exhausted."""

Chunk = dict[str, NDArray[np.float64]]


class AseEngine(MDEngine):
    """Runs ``drivers/run_ase_md.py`` in the environment of the architecture."""

    name = 'ase'
    packages = ('ase', 'numpy')
    install_command = 'pip install ase'
    code_kind = 'python'

    def refuse(self, settings: MDSettings) -> str | None:
        """Refuse a wall without fixed atoms: its height counts from the topmost of them."""
        if settings.wall_height > 0 and not settings.fixed_elements:
            return (
                f'engine ase counts wall_height {settings.wall_height} Å from the topmost fixed atom, but '
                'fixed_elements is empty; name the elements that do not move or set wall_height to 0'
            )
        return None

    def files(self, job: MDJob) -> Mapping[str, bytes]:
        """Return the driver, its input, the initial frame and the model files."""
        initial = replace(job.frame, energy=None, forces=None, stress=None, charges=None, columns={})
        document = {
            'recipe': dict(job.model_recipe),
            'initial': INITIAL,
            'settings': job.settings.to_dict(),
            'units': {'boltzmann': units.BOLTZMANN, 'atomic_mass': units.ATOMIC_MASS},
            'energy_shifts': dict(job.atomic_energies),
            'walltime_seconds': job.walltime_seconds,
            'flush_interval_seconds': FLUSH_INTERVAL_SECONDS,
            'is_restart': job.is_restart,
        }
        return {
            DRIVER: package_files('aiida_edl.drivers').joinpath(DRIVER).read_bytes(),
            INPUT: (json.dumps(document, indent=2, sort_keys=True) + '\n').encode(),
            INITIAL: FrameSet.from_frames([initial]).to_npz_bytes(),
            **job.model_files,
        }

    def commands(self, job: MDJob) -> Sequence[Command]:
        """Return the one command: the driver."""
        return (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)

    def retrieve(self, job: MDJob) -> Retrieval:
        """Keep checkpoint, summary and output; the trajectory becomes a node of its own."""
        return Retrieval(keep=(CHECKPOINT, SUMMARY, STDOUT), parse_only=(CHUNKS,))

    def read(self, folder: Path, frame: Frame, settings: MDSettings) -> MDResult:
        """Read trajectory files, checkpoint and summary."""
        checkpoint = _read_npz(folder / CHECKPOINT)
        checkpoint_step = None if checkpoint is None else int(checkpoint['step'])
        summary = _read_summary(folder / SUMMARY)
        chunks = [chunk for path in sorted(folder.glob(CHUNKS)) if (chunk := _read_npz(path)) is not None]
        if summary is None:
            outcome, message = _outcome_of_killed_run(folder / STDOUT)
            # Frames beyond the checkpoint are computed again by the restart.
            last_step = -1 if checkpoint_step is None else checkpoint_step
            steps_done = max(last_step, 0)
        else:
            outcome, message = MDOutcome(summary['outcome']), str(summary['message'])
            steps_done = int(summary['steps_done'])
            last_step = steps_done
        series, positions = _join(chunks, last_step)
        return MDResult(
            outcome=outcome,
            trajectory=None if positions is None else _trajectory(frame, positions, series),
            series=None if positions is None else series,
            checkpoint_files=() if checkpoint is None else (CHECKPOINT,),
            steps_done=steps_done,
            message=message,
        )


def _read_npz(path: Path) -> Chunk | None:
    """Return the arrays of a file, or None if it is absent or truncated; the driver replaces files in one step."""
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files if archive[name].dtype.kind != 'U'}
    except (FileNotFoundError, zipfile.BadZipFile, EOFError):
        return None


def _read_summary(path: Path) -> dict[str, Any] | None:
    """Return the summary, or None if the run did not come to writing it."""
    try:
        summary: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return summary


def _outcome_of_killed_run(stdout: Path) -> tuple[MDOutcome, str]:
    """Return what the output says about a run that wrote no summary."""
    text = stdout.read_text(errors='replace') if stdout.is_file() else ''
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = f"the last line of {STDOUT} is '{lines[-1]}'" if lines else f'{STDOUT} is empty'
    if any(mark in text for mark in OUT_OF_MEMORY_MARKS):
        return MDOutcome.OUT_OF_MEMORY, last
    return MDOutcome.OUTPUT_INCOMPLETE, f'{SUMMARY} is missing and {last}'


def _join(chunks: Sequence[Chunk], last_step: int) -> tuple[Chunk, NDArray[np.float64] | None]:
    """Return series and positions up to a step, shapes ``(n,)`` and ``(n, n_atoms, 3)``; None if there are none."""
    if not chunks:
        return {}, None
    steps = np.concatenate([chunk['step'] for chunk in chunks])
    kept = steps <= last_step
    if not kept.any():
        return {}, None
    series = {name: np.concatenate([chunk[name] for chunk in chunks])[kept] for name in SERIES}
    return series, np.concatenate([chunk['positions'] for chunk in chunks])[kept]


def _trajectory(frame: Frame, positions: NDArray[np.float64], series: Chunk) -> FrameSet:
    """Return the frames with energies and the columns ``step`` and ``time`` [fs]."""
    n_frames, n_atoms = positions.shape[:2]
    return FrameSet(
        numbers=np.tile(frame.numbers, n_frames),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
        cells=np.tile(frame.cell, (n_frames, 1, 1)),
        pbc=np.tile(frame.pbc, (n_frames, 1)),
        energies=series['potential_energy'],
        columns={'step': series['step'].astype(np.int64), 'time': series['time']},
    )
