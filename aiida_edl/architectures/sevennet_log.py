"""Read what the trainer of SevenNet leaves: checkpoints, one for some of the epochs, and a table for each start."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np

from aiida_edl.architectures.base import LearningCurve

EPOCHS = 'epochs.json'
"""What the table of the trainer lacks: gradient updates per epoch."""
CHECKPOINTS = 'checkpoint_[0-9]*.pth'
TABLES = 'lc*.csv'
"""The trainer writes ``lc.csv`` and, at each restart, ``lc0.csv``, ``lc1.csv``."""
COLUMNS = ('validset_Energy_RMSE', 'validset_Force_ComponentRMSE', 'trainset_TotalLoss')
"""Columns of the table, in eV/atom, eV/Å and the trainer's own unit. Its plain RMSE of forces is one of vectors."""


def newest_whole_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the latest epoch that is not cut short, None without one.

    :param folder: folder with the retrieved files.
    """
    return max((path for path in folder.glob(CHECKPOINTS) if zipfile.is_zipfile(path)), key=epoch_of, default=None)


def epoch_of(path: Path) -> int:
    """Return the epoch in the name of a checkpoint."""
    return int(path.stem.split('_')[1])


def tables(folder: Path) -> list[Path]:
    """Return the tables in the order of the starts."""
    return sorted(folder.glob(TABLES), key=lambda path: int(path.stem[2:] or -1))


def updates_per_epoch_of(folder: Path) -> int:
    """Return the gradient updates of one epoch, 0 if the job did not leave its settings."""
    try:
        return int(json.loads((folder / EPOCHS).read_text(encoding='utf-8'))['updates_per_epoch'])
    except (FileNotFoundError, json.JSONDecodeError):
        return 0


def read_tables(folder: Path, updates_per_epoch: int) -> LearningCurve | None:
    """Return the learning curve from the tables of all starts, None if they have no row.

    A restart goes on from a checkpoint: what was logged after it is dropped. The first row is taken after the first
    epoch.

    :param folder: folder with the retrieved files.
    :param updates_per_epoch: gradient updates of one epoch.
    """
    rows: list[tuple[int, float, float, float]] = []
    for path in tables(folder):
        added = _read_table(path)
        rows = [row for row in rows if not added or row[0] < added[0][0]] + added
    if not rows or not updates_per_epoch:
        return None
    epochs, energies, forces, losses = (np.array(column) for column in zip(*rows))
    return LearningCurve(epochs.astype(np.int64) * updates_per_epoch, energies, forces, losses)


def _read_table(path: Path) -> list[tuple[int, float, float, float]]:
    """Return epoch and the values of :data:`COLUMNS` of each row; a cut row is left out."""
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines(keepends=True)
    # The last line is whole only if it ends.
    table = csv.DictReader(line for line in lines if line.endswith('\n'))
    rows = []
    for row in table:
        energy, force, loss = (float(row[name]) for name in COLUMNS)
        rows.append((int(row['epoch']), energy, force, loss))
    return rows
