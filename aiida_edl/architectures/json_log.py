"""Read the log of the trainers that are programs of this package: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aiida_edl.architectures.base import LearningCurve, TrainingResult
from aiida_edl.architectures.run_report import TrainingLog, judge_training, last_line


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the log.

    :param path: log of a trainer; a truncated last line is left out.
    """
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines() if path.is_file() else []
    entries = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # only the last line can be cut, and it is not a point yet
    return entries


def updates_done(path: Path) -> int:
    """Return the gradient updates that the checkpoint stands for: those of the last point, or at which it was stopped.

    :param path: log of a trainer.
    """
    known = [entry.get('stopped', entry.get('gradient_updates')) for entry in read_entries(path)]
    return max((int(updates) for updates in known if updates is not None), default=0)


def read_log(path: Path) -> tuple[LearningCurve | None, bool]:
    """Return the learning curve of all restarts together, None without a point, and whether the target was reached.

    :param path: log of a trainer; a truncated last line is left out.
    """
    entries = read_entries(path)
    points = [entry for entry in entries if 'gradient_updates' in entry]
    is_complete = bool(entries) and entries[-1].get('complete') is True
    if not points:
        return None, is_complete
    columns = [
        np.array([float(point[name]) for point in points]) for name in ('energy_rmse', 'force_rmse', 'training_loss')
    ]
    return LearningCurve(np.array([int(point['gradient_updates']) for point in points]), *columns), is_complete


def read_training(folder: Path, model: str, checkpoint: str, log: str, stdout: str) -> TrainingResult:
    """Read what such a trainer wrote, and judge how the training ended.

    :param folder: retrieved folder.
    :param model: name of the model.
    :param checkpoint: name of the checkpoint; the log belongs to it, as a restart appends to the log.
    :param log: name of the log.
    :param stdout: name of the printed output.
    """
    curve, is_complete = read_log(folder / log)
    has_checkpoint = (folder / checkpoint).is_file()
    found = TrainingLog(
        learning_curve=curve,
        gradient_updates_done=updates_done(folder / log),
        is_complete=is_complete,
        model_path=model,
        checkpoint_files=(checkpoint, log) if has_checkpoint and curve is not None else (),
        last_line=last_line(folder / stdout),
    )
    return judge_training(folder, found)
