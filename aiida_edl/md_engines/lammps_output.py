"""What a run of LAMMPS leaves: log, dump and checkpoint as a result in the words of all engines."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiida_edl.md_engines.base import MDOutcome, MDResult, MDSettings
from aiida_edl.md_engines.lammps_files import Log, Snapshot, read_dump, read_log
from aiida_edl.science.frames import Floats, Frame, FrameSet

LOG = 'log.lammps'
DUMP = 'trajectory.dump'
CHECKPOINT = 'checkpoint.{}.restart'
"""The step is part of the name, which LAMMPS finds again by ``*``."""
PRODUCTION_MARK = 'production begins at step'
END_MARK = 'run stopped at step'
"""Lines of the log, each followed by a step."""
EXPLOSION_MARKS = ('Lost atoms', 'Out of range atoms', 'Bond atom', 'Angle atom', 'Non-numeric')
"""What LAMMPS says in an error when atoms are no longer where they can be, e.g. ``Bond atoms 5 6 missing on proc 0``;
``missing`` alone would take the missing argument of a command for an explosion."""
OUT_OF_MEMORY_MARKS = ('Failed to allocate', 'Failed to reallocate', 'bad_alloc')
"""What LAMMPS says when memory is exhausted."""
CHECKPOINT_HEAT = 'checkpoint.{}.heat'
"""What a thermostat had given by the step of the checkpoint, if the checkpoint itself does not tell [eV]."""
CARRIED_HEAT = 'v_carried_heat'
"""Column of the log with the part of it that ``Econserve`` lacks: LAMMPS counts from the last command ``run``."""
ENERGY_SHIFT = 'atomic energies [eV] to be added:'
"""Mark of the line of the log with the energies of isolated atoms that the model leaves out."""
MODEL_FORCES = tuple(f'f_model_force[{k}]' for k in (1, 2, 3))
"""Columns of the dump with the forces before walls and thermostats act."""


@dataclass(frozen=True)
class Schedule:
    """Steps as LAMMPS counts them; production begins at a multiple of the sampling interval."""

    begin: int
    """First step."""
    production: int
    """Step at which the equilibration ends."""
    end: int
    """Last step."""

    @classmethod
    def of(cls, settings: MDSettings) -> Schedule:
        """Return the schedule of a run."""
        begin = -settings.equilibration_steps % settings.sampling_interval
        production = begin + settings.equilibration_steps
        return cls(begin=begin, production=production, end=production + settings.steps)


@dataclass(frozen=True)
class Dialect:
    """What the runs of one engine print, and in which units."""

    energy: float
    """One unit of energy [eV]."""
    velocity: float
    """One unit of velocity [Å/fs]."""
    columns: Callable[[Frame, Mapping[str, Floats]], Mapping[str, NDArray[Any]]]
    """Returns further columns of the trajectory from the initial frame and the columns of the log at its steps."""
    has_charges: bool = False
    """Whether the dump holds charges."""
    rotation: Floats | None = None
    """Matrix that turns vectors of the run to the axes of the frame, shape ``(3, 3)``; None if they are the same."""
    is_cell_variable: bool = False
    """Whether the cell of each frame is that of its snapshot."""


def read_run(folder: Path, frame: Frame, settings: MDSettings, dialect: Dialect) -> MDResult:
    """Read log, dump and checkpoint; a run that stopped early is read up to its checkpoint.

    :param folder: folder with the retrieved files.
    :param frame: initial frame.
    :param settings: what was to be run.
    :param dialect: what the engine prints.
    """
    schedule = Schedule.of(settings)
    checkpoint_step, files = _find_checkpoint(folder)
    if not (folder / LOG).is_file():
        return MDResult(
            MDOutcome.OUTPUT_INCOMPLETE,
            checkpoint_files=files,
            checkpoint_steps=max(checkpoint_step - schedule.production, 0),
            message=f'{LOG} is missing',
        )
    log = read_log(folder / LOG)
    outcome, message = _outcome(log, settings)
    has_whole_log = outcome in (MDOutcome.FINISHED, MDOutcome.EXPLODED)
    last_step = schedule.end if has_whole_log else checkpoint_step
    rows = _read_rows(log, settings, last_step, dialect)
    series = rows.series
    trajectory = None
    if len(series['step']) and (folder / DUMP).is_file():
        trajectory = _trajectory(read_dump(folder / DUMP), frame, settings, rows, dialect)
    n_frames = 0 if trajectory is None else len(trajectory)
    steps_done = checkpoint_steps = max(checkpoint_step - schedule.production, 0)
    n_before, n_expected = _expected_frames(log, settings, last_step)
    if trajectory is not None and (n_finite := _n_finite(trajectory)) < n_frames:
        outcome = MDOutcome.EXPLODED
        message = f'a position, velocity or force is not a finite number at step {series["step"][n_finite]:.0f}'
        trajectory, n_frames = trajectory.select(range(n_finite)) if n_finite else None, n_finite
    elif n_frames < n_expected and outcome is not MDOutcome.EXPLODED:
        # A restart from the checkpoint, which is beyond the lost frames, would not bring them back.
        outcome, files = MDOutcome.OUTPUT_INCOMPLETE, ()
        message = f'{n_frames} of {n_expected} frames up to the checkpoint are in both {DUMP} and {LOG}'
        steps_done = (n_before + n_frames) * settings.sampling_interval
    series = {name: values[:n_frames] for name, values in series.items()}
    return MDResult(
        outcome=outcome,
        trajectory=trajectory,
        series=series if n_frames else None,
        checkpoint_files=() if outcome is MDOutcome.EXPLODED else files,
        checkpoint_steps=checkpoint_steps,
        steps_done=steps_done,
        message=message,
        # One thread that only computes: its CPU time is its wall time.
        cost={
            'wall_seconds': log.wall_seconds if math.isfinite(log.wall_seconds) else None,
            'cpu_seconds': log.wall_seconds if math.isfinite(log.wall_seconds) else None,
            'versions': {'lammps': log.version},
        },
    )


def _find_checkpoint(folder: Path) -> tuple[int, tuple[str, ...]]:
    """Return step and files of the newest checkpoint; -1 and no files if there is none."""
    step = max((int(path.name.split('.')[1]) for path in folder.glob(CHECKPOINT.format('*'))), default=-1)
    names = (name.format(step) for name in (CHECKPOINT, CHECKPOINT_HEAT))
    return step, tuple(name for name in names if (folder / name).is_file())


def _marked_step(log: Log, mark: str) -> int | None:
    """Return the step that follows a mark in the log, or None; lines that echo the input hold no number there."""
    found = re.search(rf'^{mark} (\d+)$', log.text, re.MULTILINE)
    return int(found.group(1)) if found else None


def _position(step: int, settings: MDSettings) -> str:
    """Return a step, as LAMMPS counts, in words: of production, or of the equilibration before it."""
    schedule = Schedule.of(settings)
    if step < schedule.production:
        return f'step {step - schedule.begin} of {settings.equilibration_steps} of the equilibration'
    return f'step {step - schedule.production} of {settings.steps}'


def _finite_rows(log: Log) -> NDArray[np.bool_]:
    """Return whether each row of the log holds finite numbers only, shape ``(n_rows,)``."""
    return np.isfinite(np.array(list(log.columns.values()))).all(axis=0) if log.columns else np.ones(0, dtype=bool)


def _n_finite(frames: FrameSet) -> int:
    """Return how many frames come before the first one with a number that is not finite."""
    arrays = (frames.positions, frames.velocities, frames.forces, frames.charges)
    is_bad = np.any([~np.isfinite(x).reshape(len(frames), -1).all(axis=1) for x in arrays if x is not None], axis=0)
    return int(np.argmax(is_bad)) if is_bad.any() else len(frames)


def _outcome(log: Log, settings: MDSettings) -> tuple[MDOutcome, str]:
    """Return how the run ended, and what was seen."""
    schedule = Schedule.of(settings)
    steps = log.columns.get('Step', np.zeros(0))
    where = _position(int(steps[-1]) if len(steps) else schedule.begin, settings)
    if 'Fix halt condition' in log.text:
        return MDOutcome.EXPLODED, f'the temperature passed {settings.maximum_temperature:g} K before {where}'
    is_finite = _finite_rows(log)
    if not is_finite.all():
        first = int(np.argmin(is_finite))
        name = next(name for name, values in log.columns.items() if not np.isfinite(values[first]))
        return MDOutcome.EXPLODED, f'{name} is not a finite number at {_position(int(steps[first]), settings)}'
    if log.error:
        marks = {MDOutcome.OUT_OF_MEMORY: OUT_OF_MEMORY_MARKS, MDOutcome.EXPLODED: EXPLOSION_MARKS}
        found = [outcome for outcome, texts in marks.items() if any(text in log.error for text in texts)]
        return (found[0] if found else MDOutcome.OUTPUT_INCOMPLETE), f'{log.error} ({where})'
    end = _marked_step(log, END_MARK)
    if end is None:
        return MDOutcome.OUTPUT_INCOMPLETE, f'{LOG} ends at {where}'
    if end < schedule.end:
        return MDOutcome.OUT_OF_WALLTIME, f'the time limit was reached at {where}'
    return MDOutcome.FINISHED, ''


def _energy_shift(log: Log) -> float:
    """Return the energies of isolated atoms that the model leaves out [eV]; 0 if the log names none."""
    found = re.search(rf'^{re.escape(ENERGY_SHIFT)} (\S+)$', log.text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


@dataclass(frozen=True)
class _Rows:
    """Rows of the log at the sampling interval."""

    series: dict[str, Floats]
    """Series in house units, each of shape ``(n_rows,)``."""
    printed: dict[str, Floats]
    """All columns of the log as they are printed, each of shape ``(n_rows,)``."""


def _read_rows(log: Log, settings: MDSettings, last_step: int, dialect: Dialect) -> _Rows:
    """Return the rows of production.

    The step at which a run begins belongs to the run before it. Nothing is kept from the first row on that holds a
    number that is not finite.

    :param log: the log.
    :param settings: give time step, sampling interval and the steps that came before production.
    :param last_step: last step that is kept, as LAMMPS counts.
    :param dialect: gives the units.
    """
    first, production = _marked_step(log, PRODUCTION_MARK), Schedule.of(settings).production
    if first is None or not log.columns:
        return _Rows({'step': np.zeros(0)}, {})
    steps = log.columns['Step'].astype(np.int64)
    kept = (steps > max(first, production)) & (steps <= last_step) & (steps % settings.sampling_interval == 0)
    kept &= np.logical_and.accumulate(_finite_rows(log))
    production_steps = (steps[kept] - production).astype(np.float64)
    columns = {name: values[kept] for name, values in log.columns.items()}
    outside, shift = columns.get('f_wall', 0.0) + columns.get(CARRIED_HEAT, 0.0), _energy_shift(log)
    series = {
        'step': production_steps,
        'time': production_steps * settings.time_step,
        'temperature': columns['Temp'],
        'potential_energy': columns['PotEng'] * dialect.energy + shift,
        'kinetic_energy': columns['KinEng'] * dialect.energy,
        'conserved_energy': (columns['Econserve'] + outside) * dialect.energy + shift,
    }
    return _Rows(series, columns)


def _expected_frames(log: Log, settings: MDSettings, last_step: int) -> tuple[int, int]:
    """Return how many frames of production earlier runs have stored, and how many this run should have.

    :param log: the log.
    :param settings: give the sampling interval and the steps that came before production.
    :param last_step: last step whose frame should be there, as LAMMPS counts.
    """
    first, production = _marked_step(log, PRODUCTION_MARK), Schedule.of(settings).production
    if first is None:
        return 0, 0
    n_before = max(first - production, 0) // settings.sampling_interval
    return n_before, max((last_step - production) // settings.sampling_interval - n_before, 0)


def _trajectory(
    snapshots: Iterable[Snapshot],
    frame: Frame,
    settings: MDSettings,
    rows: _Rows,
    dialect: Dialect,
) -> FrameSet | None:
    """Return the snapshots of the first rows of the series as frames, up to a row that has none; None without any."""
    production = Schedule.of(settings).production
    series, row_of = rows.series, {int(step): row for row, step in enumerate(rows.series['step'])}
    by_row = {row_of[step]: item for item in snapshots if (step := item.step - production) in row_of}
    n_rows, n_atoms = len(row_of), len(frame.numbers)
    n_frames = next((row for row in range(n_rows) if row not in by_row), n_rows)
    if not n_frames:
        return None
    found = [by_row[row] for row in range(n_frames)]

    def gather(*names: str) -> Floats:
        return np.concatenate([item.values(*names) for item in found])

    def turned(vectors: Floats) -> Floats:
        return vectors if dialect.rotation is None else vectors @ dialect.rotation

    positions, cells = gather('xu', 'yu', 'zu'), np.tile(frame.cell, (n_frames, 1, 1))
    if dialect.is_cell_variable:
        boxes = [item.box() for item in found]
        positions = positions - np.repeat([origin for _, origin in boxes], n_atoms, axis=0)
        cells = turned(np.array([cell for cell, _ in boxes]))
    kept = {name: values[:n_frames] for name, values in rows.printed.items()}
    return FrameSet(
        numbers=np.tile(frame.numbers, n_frames),
        positions=turned(positions),
        offsets=np.arange(n_frames + 1, dtype=np.int64) * n_atoms,
        cells=cells,
        pbc=np.tile(frame.pbc, (n_frames, 1)),
        energies=series['potential_energy'][:n_frames],
        forces=turned(gather(*MODEL_FORCES)) * dialect.energy,
        charges=gather('q')[:, 0] if dialect.has_charges else None,
        velocities=turned(gather('vx', 'vy', 'vz')) * dialect.velocity,
        columns={
            'step': series['step'][:n_frames].astype(np.int64),
            'time': series['time'][:n_frames],
            **dialect.columns(frame, kept),
        },
    )
