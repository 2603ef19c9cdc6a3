"""Molecular dynamics with ASE calculators: any architecture that has an :class:`AseBinding` runs here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.architectures.run_report import last_line, read_run_report
from aiida_edl.md_engines.base import MDEngine, MDJob, MDOutcome, MDResult, MDSettings
from aiida_edl.science import units
from aiida_edl.science.charge_state import ions_per_frame
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
Chunk = dict[str, NDArray[np.float64]]


class AseEngine(MDEngine):
    """Runs ``drivers/run_ase_md.py`` in the environment of the architecture."""

    name = 'ase'
    packages = ('ase', 'numpy')
    install_command = 'pip install ase'
    binding_kind = 'ase'
    code_kind = 'python'

    def refuse(self, settings: MDSettings) -> str | None:
        """Refuse what the driver cannot do, and a wall without fixed atoms: its height counts from the topmost one."""
        if settings.ensemble == 'npt':
            return "engine ase cannot run the ensemble 'npt'; use 'nvt' or another engine"
        if settings.ensemble == 'nvt' and settings.thermostat == 'nose_hoover':
            return "engine ase has no thermostat 'nose_hoover'; use 'csvr' or 'langevin'"
        if settings.wall_height > 0 and not settings.fixed_elements and not settings.fixed_atoms:
            return (
                f'engine ase counts wall_height {settings.wall_height} Å from the topmost fixed atom, but '
                'fixed_elements is empty; name the elements that do not move or set wall_height to 0'
            )
        return None

    def files(self, job: MDJob) -> Mapping[str, bytes]:
        """Return the driver, its input and the initial frame."""
        columns = {} if job.total_charge is None else {'total_charge': job.total_charge}
        job.settings.fixed_mask(job.frame.numbers)
        initial = replace(job.frame, energy=None, forces=None, stress=None, charges=None, columns=columns)
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
        }

    def commands(self, job: MDJob) -> Sequence[Command]:
        """Return the one command: the driver."""
        return (Command(arguments=(DRIVER, INPUT), stdout=STDOUT),)

    def retrieve(self, job: MDJob) -> Retrieval:
        """Keep checkpoint, summary and output; the trajectory becomes a node of its own."""
        return Retrieval(keep=(CHECKPOINT, SUMMARY, STDOUT), parse_only=(CHUNKS,))

    def level_of_theory(self, model_recipe: Mapping[str, Any]) -> str:
        """Return what the calculator is, in the words of whoever gave its recipe.

        :param model_recipe: a recipe that is not that of a potential, with ``level_of_theory``.
        """
        return str(model_recipe['level_of_theory'])

    def read(self, folder: Path, frame: Frame, settings: MDSettings) -> MDResult:
        """Read trajectory files, checkpoint and summary.

        A run that was killed is read up to its checkpoint: the restart computes what lies beyond it again.
        """
        checkpoint = _read_npz(folder / CHECKPOINT)
        end = _read_end(folder, None if checkpoint is None else int(checkpoint['step']))
        chunks = [chunk for path in sorted(folder.glob(CHUNKS)) if (chunk := _read_npz(path)) is not None]
        series, positions = _join(chunks, end.last_step)
        gap = _first_gap(series['step'], end, settings.sampling_interval)
        if gap is not None:
            series, positions = _join(chunks, gap - 1)
            message = f'the frame of step {gap} is missing, which should be in one of {CHUNKS}'
            end = replace(
                end, outcome=MDOutcome.OUTPUT_INCOMPLETE, steps_done=gap - settings.sampling_interval, message=message
            )
        has_checkpoint = checkpoint is not None and gap is None  # a restart would leave the gap
        return MDResult(
            outcome=end.outcome,
            trajectory=_trajectory(frame, positions, series) if len(positions) else None,
            series=series if len(positions) else None,
            checkpoint_files=(CHECKPOINT,) if has_checkpoint else (),
            steps_done=end.steps_done,
            message=end.message,
        )


@dataclass(frozen=True)
class _End:
    """How a run ended."""

    outcome: MDOutcome
    message: str
    steps_done: int
    first_step: int | None
    """Step from which it went on; None if the run did not come to saying so."""
    last_step: int
    """Last step of which a frame counts."""


def _read_end(folder: Path, checkpoint_step: int | None) -> _End:
    """Return how a run ended, from its summary or, if it was killed, from what else is there.

    :param folder: folder of the run.
    :param checkpoint_step: step of the checkpoint, None without one.
    """
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding='utf-8'))
    except (FileNotFoundError, json.JSONDecodeError):
        last_step = -1 if checkpoint_step is None else checkpoint_step
        seen = last_line(folder / STDOUT)
        outcomes = {command.outcome for command in read_run_report(folder) or ()}
        outcome = MDOutcome.OUT_OF_MEMORY if 'out_of_memory' in outcomes else MDOutcome.OUTPUT_INCOMPLETE
        return _End(outcome, f'{SUMMARY} is missing or truncated, and {seen}', max(last_step, 0), None, last_step)
    outcome, steps_done = MDOutcome(summary['outcome']), int(summary['steps_done'])
    # The frame of the very step in which a run explodes is not stored.
    last_step = steps_done - 1 if outcome is MDOutcome.EXPLODED else steps_done
    return _End(outcome, str(summary['message']), steps_done, int(summary['first_step']), last_step)


def _first_gap(steps: NDArray[np.float64], end: _End, sampling_interval: int) -> int | None:
    """Return the first step of which a frame should be there but is not.

    :param steps: steps of the frames that are there.
    :param end: how the run ended.
    :param sampling_interval: steps between two frames.
    """
    begin = end.first_step
    if begin is None:
        begin = int(steps[0]) - 1 if len(steps) else max(end.last_step, 0)
    expected = sampling_interval * np.arange(begin // sampling_interval + 1, end.last_step // sampling_interval + 1)
    missing = np.setdiff1d(expected, steps)
    return int(missing[0]) if len(missing) else None


def _read_npz(path: Path) -> Chunk | None:
    """Return the arrays of a file, or None if it is absent or truncated; the driver replaces files in one step."""
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files if archive[name].dtype.kind != 'U'}
    except (FileNotFoundError, zipfile.BadZipFile, EOFError):
        return None


def _join(chunks: Sequence[Chunk], last_step: int) -> tuple[Chunk, NDArray[np.float64]]:
    """Return series and positions up to a step, shapes ``(n,)`` and ``(n, n_atoms, 3)``."""
    if not chunks:
        return {name: np.zeros(0) for name in SERIES}, np.zeros((0, 0, 3))
    kept = np.concatenate([chunk['step'] for chunk in chunks]) <= last_step
    series = {name: np.concatenate([chunk[name] for chunk in chunks])[kept] for name in SERIES}
    return series, np.concatenate([chunk['positions'] for chunk in chunks])[kept]


def _trajectory(frame: Frame, positions: NDArray[np.float64], series: Chunk) -> FrameSet:
    """Return the frames with energies and the columns ``step``, ``time`` [fs] and ``charge_state`` (ions)."""
    n_frames, n_atoms = positions.shape[:2]
    numbers, offsets = np.tile(frame.numbers, n_frames), np.arange(n_frames + 1, dtype=np.int64) * n_atoms
    return FrameSet(
        numbers=numbers,
        positions=positions.reshape(-1, 3),
        offsets=offsets,
        cells=np.tile(frame.cell, (n_frames, 1, 1)),
        pbc=np.tile(frame.pbc, (n_frames, 1)),
        energies=series['potential_energy'],
        columns={
            'step': series['step'].astype(np.int64),
            'time': series['time'],
            'charge_state': ions_per_frame(numbers, offsets),
        },
    )
