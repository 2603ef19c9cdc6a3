"""Read what the drivers of molecular dynamics leave: trajectory files, a checkpoint and a summary."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.architectures.run_report import last_line, read_run_report
from aiida_edl.md_engines.base import MDOutcome, MDResult
from aiida_edl.science.charge_state import ions_per_frame
from aiida_edl.science.frames import Frame, FrameSet

CHECKPOINT = 'checkpoint.npz'
SUMMARY = 'md_summary.json'
STDOUT = 'md.out'
CHUNKS = 'trajectory_*.npz'
SERIES = ('step', 'time', 'temperature', 'potential_energy', 'kinetic_energy', 'conserved_energy')
Chunk = dict[str, NDArray[np.float64]]
"""Arrays of one trajectory file: ``positions`` [Å] and :data:`SERIES`."""


@dataclass(frozen=True)
class RunEnd:
    """How a run ended."""

    outcome: MDOutcome
    """Member of the closed set."""
    message: str
    """One sentence."""
    steps_done: int
    """Production steps done, all restarts together."""
    first_step: int | None
    """Step from which it went on; None if the run did not come to saying so."""
    last_step: int
    """Last step of which a frame counts."""


def read_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary that a driver writes at its end; None if it is absent or truncated."""
    try:
        summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding='utf-8'))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return summary


def read_run_end(folder: Path, checkpoint_step: int | None) -> RunEnd:
    """Return how a run ended, from its summary or, if it was killed, from what else is there.

    :param folder: folder of the run.
    :param checkpoint_step: step of the checkpoint, None without one.
    """
    summary = read_summary(folder)
    return killed_run_end(folder, checkpoint_step) if summary is None else summarised_run_end(summary)


def killed_run_end(folder: Path, checkpoint_step: int | None) -> RunEnd:
    """Return how a run ended that left no summary.

    :param folder: folder of the run.
    :param checkpoint_step: step of the checkpoint, None without one.
    """
    last_step = -1 if checkpoint_step is None else checkpoint_step
    seen = last_line(folder / STDOUT)
    outcomes = {command.outcome for command in read_run_report(folder) or ()}
    told = (MDOutcome.DEVICE_MISSING, MDOutcome.OUT_OF_MEMORY, MDOutcome.DEVICE_LOST)
    outcome = next((member for member in told if member.value in outcomes), MDOutcome.OUTPUT_INCOMPLETE)
    return RunEnd(outcome, f'{SUMMARY} is missing or truncated, and {seen}', max(last_step, 0), None, last_step)


def summarised_run_end(summary: Mapping[str, Any]) -> RunEnd:
    """Return how a run ended by its summary.

    :param summary: ``outcome``, ``message``, ``first_step`` and ``steps_done``.
    """
    outcome, steps_done = MDOutcome(summary['outcome']), int(summary['steps_done'])
    # The frame of the very step in which a run explodes is not stored.
    last_step = steps_done - 1 if outcome is MDOutcome.EXPLODED else steps_done
    return RunEnd(outcome, str(summary['message']), steps_done, int(summary['first_step']), last_step)


def read_run(
    frame: Frame, chunks: Sequence[Chunk], end: RunEnd, sampling_interval: int, checkpoint_step: int | None
) -> MDResult:
    """Return the result of one run; a gap in its frames ends it there.

    :param frame: initial frame.
    :param chunks: trajectory files in their order.
    :param end: how the run ended.
    :param sampling_interval: steps between two frames.
    :param checkpoint_step: step of the checkpoint, None without a readable one.
    """
    series, positions = _join(chunks, end.last_step)
    gap = _first_gap(series['step'], end, sampling_interval)
    if gap is not None:
        series, positions = _join(chunks, gap - 1)
        message = f'the frame of step {gap} is missing, which should be in one of {CHUNKS}'
        end = replace(end, outcome=MDOutcome.OUTPUT_INCOMPLETE, steps_done=gap - sampling_interval, message=message)
    has_checkpoint = checkpoint_step is not None and gap is None  # a restart would leave the gap
    return MDResult(
        outcome=end.outcome,
        trajectory=_trajectory(frame, positions, series) if len(positions) else None,
        series=series if len(positions) else None,
        checkpoint_files=(CHECKPOINT,) if has_checkpoint else (),
        checkpoint_steps=max(checkpoint_step or 0, 0) if has_checkpoint else 0,
        steps_done=end.steps_done,
        message=end.message,
    )


def _first_gap(steps: NDArray[np.float64], end: RunEnd, sampling_interval: int) -> int | None:
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


def read_npz(path: Path) -> Chunk | None:
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
