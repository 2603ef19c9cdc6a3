"""What the trainer of metatrain leaves: tables of errors and checkpoints, in a folder for each start."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import numpy as np

from aiida_edl.architectures.base import LearningCurve

EPOCHS = 'epochs.json'
"""What the table of the trainer lacks: gradient updates per epoch."""
CHECKPOINTS = 'outputs/*/*/[bm]*.ckpt'
"""``model_<epoch>.ckpt`` and ``best.ckpt``; the trainer makes a folder named for date and time at each start, which
also holds checkpoints of its scale of energies."""
TABLES = 'outputs/*/*/train.csv'
COLUMNS = {
    'energy': ('validation energy RMSE (per atom)', {'meV': 1e-3, 'eV': 1.0}),
    'forces': ('validation forces RMSE', {'meV/A': 1e-3, 'eV/A': 1.0}),
}
"""Column of the table for each error, and the factor from each unit it may have to the house unit."""


def newest_whole_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the latest start and epoch that is not cut short, None without one.

    :param folder: folder with the retrieved files.
    """
    whole = [path for path in folder.glob(CHECKPOINTS) if zipfile.is_zipfile(path)]
    return max(whole, key=_age, default=None)


def _age(path: Path) -> tuple[str, float]:
    """Return what orders checkpoints in time: start and epoch; that of the end of a training has no number."""
    found = re.fullmatch(r'model_(\d+)', path.stem)
    return path.parent.as_posix(), float(found.group(1)) if found else np.inf


def read_tables(folder: Path) -> LearningCurve | None:
    """Return the learning curve from the tables of all starts, None if they have no row.

    A restart goes on from a checkpoint: what was logged after it is dropped. The first row is taken after the first
    epoch. ``training_loss`` is the mean loss of the batches of an epoch.

    :param folder: folder with the retrieved files.
    """
    try:
        updates_per_epoch = int(json.loads((folder / EPOCHS).read_text(encoding='utf-8'))['updates_per_epoch'])
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    rows: list[tuple[int, float, float, float]] = []
    for path in sorted(folder.glob(TABLES)):
        added = _read_table(path)
        rows = [row for row in rows if not added or row[0] < added[0][0]] + added
    if not rows:
        return None
    epochs, energies, forces, losses = (np.array(column) for column in zip(*rows))
    return LearningCurve(
        gradient_updates=(epochs.astype(np.int64) + 1) * updates_per_epoch,
        validation_energy_rmse=energies,
        validation_force_rmse=forces,
        training_loss=losses / updates_per_epoch,
    )


def _read_table(path: Path) -> list[tuple[int, float, float, float]]:
    """Return epoch, energy error [eV/atom], force error [eV/Å] and summed loss of each row; a cut row is left out."""
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines(keepends=True)
    # The last line is whole only if it ends.
    table = list(csv.reader(line for line in lines if line.endswith('\n')))
    if len(table) < 3:
        return []
    names, units = table[0], dict(zip(table[0], table[1]))
    factors = {name: known[units[name]] for name, known in COLUMNS.values()}
    rows = []
    for values in table[2:]:
        row = dict(zip(names, values))
        errors = [float(row[name]) * factors[name] for name, _ in COLUMNS.values()]
        rows.append((int(row['Epoch']), errors[0], errors[1], float(row['training loss'])))
    return rows
