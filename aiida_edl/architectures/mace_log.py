"""What the trainer of mace-torch counts and writes: epochs, checkpoints, its log of errors and of atomic energies."""

from __future__ import annotations

import ast
import json
import math
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from aiida_edl.architectures.base import LearningCurve
from aiida_edl.architectures.training_data import steps_with_evaluations

HEAD = 'Default'
"""Name the trainer gives to the output that learns the new frames."""
REPLAY_HEAD = 'pt_head'
"""Name of the output that learns replayed frames."""
ATOMIC_ENERGIES = re.compile(rf'Atomic Energies used \(z: eV\) for head {HEAD}: (\{{[^}}]*\}})')
"""Where the trainer says which atomic energies the model got."""


@dataclass(frozen=True)
class EpochPlan:
    """Epochs that come to the asked number of gradient updates."""

    updates_per_epoch: int
    """Gradient updates of one epoch: whole batches only."""
    n_epochs: int
    """Epochs, the last of which is evaluated."""
    evaluation_interval: int
    """Epochs between two evaluations."""


def plan_epochs(n_training: int, batch_size: int, gradient_updates: int, n_evaluations: int) -> EpochPlan:
    """Return the smallest number of epochs that reaches the target and ends with an evaluation.

    The trainer evaluates, and writes a checkpoint, after the epochs 0, k, 2k ...; the last epoch must be among them.

    :param n_training: frames of the training set.
    :param batch_size: frames per gradient update.
    :param gradient_updates: target.
    :param n_evaluations: wished number of evaluations.

    >>> plan_epochs(n_training=100, batch_size=1, gradient_updates=800, n_evaluations=8)
    EpochPlan(updates_per_epoch=100, n_epochs=8, evaluation_interval=1)
    >>> plan_epochs(n_training=100, batch_size=4, gradient_updates=5000, n_evaluations=20)
    EpochPlan(updates_per_epoch=25, n_epochs=201, evaluation_interval=10)
    """
    updates_per_epoch = n_training // batch_size
    n_epochs = math.ceil(gradient_updates / updates_per_epoch)
    steps, interval = steps_with_evaluations(n_epochs - 1, n_evaluations)
    return EpochPlan(updates_per_epoch, steps + 1, interval)


def newest_whole_checkpoint(folder: Path, pattern: str) -> Path | None:
    """Return the checkpoint of the latest epoch that is not cut short, None without one.

    A job that is killed leaves all checkpoints, the last of them perhaps half-written; the trainer would go on from the
    last one whatever its state.

    :param folder: folder with the retrieved files.
    :param pattern: glob of the checkpoints.
    """
    whole = [path for path in folder.glob(pattern) if zipfile.is_zipfile(path)]
    return max(whole, key=lambda path: (_epoch(path), path.name), default=None)


def _epoch(path: Path) -> int:
    """Return the epoch in the name of a checkpoint, -1 without one."""
    found = re.search(r'_epoch-(\d+)', path.name)
    return int(found.group(1)) if found else -1


def read_results(path: Path) -> tuple[LearningCurve | None, int]:
    """Return the learning curve of the new frames and the gradient updates of the log, all restarts together.

    A restart goes on from a checkpoint: what was logged after it is dropped. The trainer begins by repeating the epoch
    of the checkpoint, and these updates are counted too.

    :param path: log of the trainer; a truncated last line is left out.
    """
    updates, updates_after_epoch = 0, dict[int, int]()
    points: list[tuple[int, float, float, float]] = []
    losses: list[float] = []
    is_restarting = False
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # only the last line can be cut, and it is not a point yet
        if entry['mode'] == 'opt':
            epoch = int(entry['epoch'])
            if is_restarting:
                updates = updates_after_epoch.get(epoch, updates)
                points = [point for point in points if point[0] <= updates]
                losses, is_restarting = [], False
            updates += 1
            updates_after_epoch[epoch] = updates
            losses.append(float(entry['loss']))
        elif entry.get('head', HEAD) != HEAD:
            continue  # of the frames that are replayed
        elif entry['epoch'] is None and updates:
            is_restarting = True
        else:
            loss = float(np.mean(losses)) if losses else math.nan
            points.append((updates, float(entry['rmse_e_per_atom']), float(entry['rmse_f']), loss))
            losses = []
    if not points:
        return None, updates
    columns = [np.array(column) for column in zip(*points)]
    return LearningCurve(columns[0].astype(np.int64), *columns[1:]), updates


def read_atomic_energies(path: Path) -> dict[str, float] | None:
    """Return the atomic energies by element that the trainer says it used [eV], None if it does not say.

    :param path: output of the trainer.
    """
    if not path.is_file():
        return None
    found = ATOMIC_ENERGIES.search(path.read_text(encoding='utf-8', errors='replace'))
    if found is None:
        return None
    return {chemical_symbols[number]: float(energy) for number, energy in ast.literal_eval(found.group(1)).items()}
