"""Train a local-charge model and export it.

``python train_local_charge.py train local_charge.json`` and ``python train_local_charge.py export local_charge.json
MODEL`` run on the compute node in an environment with torch, torch-pme and numba; the modules of the model lie beside
this file. The input holds ``model``, the fields of
:class:`~aiida_edl.science.electrostatics.charge_models.model_settings.LocalChargeSettings`, and ``training``, those of
:class:`TrainingSettings`. ``training.npz`` and ``validation.npz`` hold the frames.

- ``log.jsonl`` has one line for each evaluation on the validation set: ``gradient_updates``, ``energy_rmse``
  [eV/atom], ``force_rmse`` [eV/Å] and ``training_loss``, the mean since the line before; the last line of a training
  that reached its target is ``{"complete": true}``, that of one that was told to stop ``{"stopped": <updates>}``;
- ``checkpoint.pt``, replaced in one step, holds weights and the state of the optimiser;
- SIGTERM leads to a checkpoint after the update under way, and to the end of the program;
- an error that is not a finite number ends the program; the checkpoint is then the last good one.
"""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from aiida_edl.science.electrostatics.charge_models.ase_calculator import save_model
from aiida_edl.science.electrostatics.charge_models.atomic_system import AtomicSystem, atomic_system
from aiida_edl.science.electrostatics.charge_models.local_charges import (
    LocalChargeModel,
    energies_and_forces,
    own_energies,
)
from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings
from aiida_edl.science.frames import Frame, FrameSet

LOG = Path('log.jsonl')
CHECKPOINT = Path('checkpoint.pt')
TRAINING_SET, VALIDATION_SET = 'training.npz', 'validation.npz'
STOPPED = 3
"""Exit status after SIGTERM."""
DIVERGED = 4
"""Exit status after an error that is not a finite number."""
RISING = 0.3
"""Share of the updates in which the step size rises, as in OneCycleLR of PyTorch."""
FIRST_RATIO, LAST_RATIO = 1.0 / 25.0, 1.0 / 250000.0
"""Step sizes at the beginning and the end over the largest, as in OneCycleLR of PyTorch."""
MOST_FRAMES_OF_SIGN = 100
"""Frames of the training set, evenly spaced, from which the sign of the charges is told."""
received_signals: list[int] = []
"""Signals by which this program was told to stop."""


def remember_signal(number: int, _: FrameType | None) -> None:
    """Take note that this program shall stop after the update under way."""
    received_signals.append(number)


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained."""

    gradient_updates: int
    """Target, counted from the very first start."""
    seed: int
    """Seed of the first weights and of the order of the frames."""
    precision: str
    """``'float32'`` or ``'float64'``."""
    device: str
    """``'cpu'`` or ``'cuda'``."""
    batch_size: int
    """Frames per gradient update."""
    learning_rate: float
    """Largest step size of AdamW."""
    schedule: str
    """``'one_cycle'`` or ``'constant'``."""
    weight_decay: float
    """Decay of the weights per update, in units of the step size."""
    energy_weight: float
    """Weight of the squared error of the energy per atom [1/eV²]."""
    force_weight: float
    """Weight of the squared error of force components [Å²/eV²]."""
    charge_weight: float
    """Weight of the squared error of the total charge [1/e²]."""
    gradient_clip: float
    """Largest norm of the gradient of the loss."""
    n_evaluations: int
    """About how many times the errors are taken."""
    is_restart: bool
    """Whether to go on from the checkpoint."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers."""
        return torch.float64 if self.precision == 'float64' else torch.float32

    @property
    def interval(self) -> int:
        """Gradient updates between two evaluations."""
        return max(1, math.ceil(self.gradient_updates / self.n_evaluations))

    def rate(self, update: int) -> float:
        """Return the step size of an update, counted from 0.

        One cycle (L. N. Smith and N. Topin, arXiv:1708.07120) rises to the largest along a cosine, then falls.
        """
        if self.schedule == 'constant':
            return self.learning_rate
        rising = RISING * self.gradient_updates
        start, end, share = FIRST_RATIO, 1.0, update / rising
        if update > rising:
            start, end, share = 1.0, LAST_RATIO, (update - rising) / max(self.gradient_updates - rising, 1.0)
        return self.learning_rate * (end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0))))


@dataclass(frozen=True)
class LabelledSystem:
    """A frame with its labels, as tensors."""

    system: AtomicSystem
    energy: float
    """Energy less the atomic energies, per atom [eV]."""
    forces: torch.Tensor
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""


def labelled_system(frame: Frame, model: LocalChargeSettings, training: TrainingSettings) -> LabelledSystem:
    """Return a frame with its labels, as tensors."""
    assert frame.energy is not None  # the job was checked
    system = atomic_system(
        frame.numbers,
        frame.positions,
        frame.cell,
        frame.pbc,
        model,
        dtype=training.dtype,
        device=training.device,
        total_charge=float(frame.columns.get('total_charge', 0.0)),
    )
    energy = (frame.energy - float(own_energies(model, frame.numbers).sum())) / len(frame.numbers)
    return LabelledSystem(system, energy, torch.as_tensor(frame.forces, dtype=training.dtype, device=training.device))


def batch_of(n_frames: int, training: TrainingSettings, update: int) -> list[int]:
    """Return the frames of one update: each pass through the set has an order of its own.

    :param n_frames: frames of the training set.
    :param training: settings.
    :param update: number of the update, from 0.
    """
    per_pass = n_frames // training.batch_size
    order = np.random.default_rng((training.seed, update // per_pass)).permutation(n_frames)
    start = update % per_pass * training.batch_size
    return [int(index) for index in order[start : start + training.batch_size]]


@dataclass
class Errors:
    """Differences of a model and labels."""

    energies: torch.Tensor
    """Per atom [eV], shape ``(n_frames,)``."""
    forces: torch.Tensor
    """Of components [eV/Å], shape ``(n_atoms, 3)``."""
    charges: torch.Tensor
    """Of total charges [e], shape ``(n_frames,)``."""


def errors_of(model: LocalChargeModel, frames: Sequence[LabelledSystem], is_followed: bool) -> Errors:
    """Return the errors of a model.

    :param model: the model.
    :param frames: the frames.
    :param is_followed: whether derivatives of the errors will be taken.
    """
    predictions, forces = energies_and_forces(model, [frame.system for frame in frames], is_followed)
    counts = predictions.energies.new_tensor([float(len(frame.system.species)) for frame in frames])
    energies = predictions.energies.new_tensor([frame.energy for frame in frames])
    totals = predictions.energies.new_tensor([frame.system.total_charge for frame in frames])
    labels = torch.cat([frame.forces for frame in frames])
    return Errors(predictions.energies / counts - energies, forces - labels, predictions.net_charges - totals)


def loss_of(errors: Errors, training: TrainingSettings, pulls_charges: bool) -> torch.Tensor:
    """Return the loss, a scalar without unit."""
    loss = training.energy_weight * torch.mean(errors.energies**2)
    loss = loss + training.force_weight * torch.mean(errors.forces**2)
    return loss + training.charge_weight * torch.mean(errors.charges**2) if pulls_charges else loss


def append(entry: dict[str, Any]) -> None:
    """Append a line to the log."""
    with LOG.open('a', encoding='utf-8') as handle:
        handle.write(json.dumps(entry) + '\n')


class Training:
    """A model under training.

    :param model_settings: those of the model.
    :param training: settings.
    """

    def __init__(self, model_settings: LocalChargeSettings, training: TrainingSettings) -> None:
        torch.manual_seed(training.seed)
        self.settings = training
        self.model = LocalChargeModel(model_settings).to(dtype=training.dtype, device=training.device)
        self.pulls_charges = model_settings.has_charges and model_settings.neutrality == 'loss'
        self.optimiser = torch.optim.AdamW(
            [parameter for parameter in self.model.parameters() if parameter.requires_grad],
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
        )
        self.frames = [
            [labelled_system(frame, model_settings, training) for frame in FrameSet.from_npz(name)]
            for name in (TRAINING_SET, VALIDATION_SET)
        ]
        self.updates = 0
        self.losses: list[float] = []

    def run(self) -> int:
        """Train until the target, or until told to stop; return the exit status."""
        if self.settings.is_restart:
            self.restore()
        else:
            LOG.unlink(missing_ok=True)
        if last_logged_update() < self.updates and self.is_due() and not self.evaluate():
            return DIVERGED
        while self.updates < self.settings.gradient_updates:
            self.update()
            if received_signals:
                self.save()
                append({'stopped': self.updates})
                return STOPPED
            if self.is_due() and not self.evaluate():
                return DIVERGED
        append({'complete': True})
        return 0

    def is_due(self) -> bool:
        """Return whether the errors are to be taken now."""
        return self.updates % self.settings.interval == 0 or self.updates >= self.settings.gradient_updates

    def update(self) -> None:
        """Take one step of the optimiser."""
        training_set = self.frames[0]
        chosen = [training_set[index] for index in batch_of(len(training_set), self.settings, self.updates)]
        for group in self.optimiser.param_groups:
            group['lr'] = self.settings.rate(self.updates)
        loss = loss_of(errors_of(self.model, chosen, is_followed=True), self.settings, self.pulls_charges)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        self.optimiser.step()
        self.losses.append(float(loss.detach()))
        self.updates += 1

    def evaluate(self) -> bool:
        """Take the errors on the validation set, and write a checkpoint; return whether they are finite."""
        each = [errors_of(self.model, [frame], is_followed=False) for frame in self.frames[1]]
        energies = torch.cat([errors.energies.detach() for errors in each]).double()
        forces = torch.cat([errors.forces.detach() for errors in each]).double()
        point = {
            'gradient_updates': self.updates,
            'energy_rmse': float(torch.sqrt(torch.mean(energies**2))),
            'force_rmse': float(torch.sqrt(torch.mean(forces**2))),
            'training_loss': sum(self.losses) / len(self.losses) if self.losses else math.nan,
        }
        is_finite = math.isfinite(point['energy_rmse']) and math.isfinite(point['force_rmse'])
        if is_finite:
            self.save()
        append(point)
        self.losses = []
        return is_finite

    def save(self) -> None:
        """Write the state in one step: whoever kills the program leaves the old file or the new one."""
        content = {
            'gradient_updates': self.updates,
            'losses': self.losses,
            'model': self.model.state_dict(),
            'optimiser': self.optimiser.state_dict(),
        }
        temporary = CHECKPOINT.with_suffix('.tmp')
        torch.save(content, temporary)
        temporary.replace(CHECKPOINT)

    def restore(self) -> None:
        """Go on from the checkpoint; lines of the log after it are dropped."""
        content = torch.load(CHECKPOINT, map_location=self.settings.device, weights_only=True)
        self.model.load_state_dict(content['model'])
        self.optimiser.load_state_dict(content['optimiser'])
        self.updates = int(content['gradient_updates'])
        lines = LOG.read_text(encoding='utf-8').splitlines() if LOG.is_file() else []
        kept = [
            line
            for line in lines
            if line.endswith('}') and json.loads(line).get('gradient_updates', math.inf) <= self.updates
        ]
        LOG.write_text(''.join(line + '\n' for line in kept), encoding='utf-8')
        self.losses = [] if last_logged_update() == self.updates else list(content['losses'])


def last_logged_update() -> int:
    """Return the gradient update of the last point in the log, -1 without one."""
    lines = LOG.read_text(encoding='utf-8').splitlines() if LOG.is_file() else []
    return int(json.loads(lines[-1])['gradient_updates']) if lines else -1


def fix_sign(model: LocalChargeModel, frames: FrameSet, training: TrainingSettings) -> None:
    """Make the first element positive on the average, where the sign of the charges is a convention.

    Of the elements of the frames it is the one with the least atomic number. With a total charge in any frame the sign
    is a result, and stays as it is.

    :param model: the model.
    :param frames: training set.
    :param training: settings.
    """
    charges = frames.columns.get('total_charge', np.zeros(len(frames)))
    if not model.settings.has_charges or np.any(charges != 0.0):
        return
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES_OF_SIGN)).round().astype(int))
    first, total = int(frames.numbers.min()), 0.0
    with torch.no_grad():
        for index in chosen.tolist():
            frame = frames.frame(index)
            found = model([labelled_system(frame, model.settings, training).system]).charges
            total += float(found.cpu()[torch.as_tensor(frame.numbers == first)].sum())
    if total < 0.0:
        model.reverse_charges()


def export(model_settings: LocalChargeSettings, training: TrainingSettings, path: str) -> None:
    """Write the model of the checkpoint.

    :param model_settings: those of the model.
    :param training: settings.
    :param path: the file.
    """
    model = LocalChargeModel(model_settings).to(dtype=training.dtype, device=training.device)
    content = torch.load(CHECKPOINT, map_location=training.device, weights_only=True)
    model.load_state_dict(content['model'])
    fix_sign(model, FrameSet.from_npz(TRAINING_SET), training)
    save_model(model.cpu(), Path(path))


def main(arguments: list[str]) -> int:
    """Train or export; return the exit status."""
    command, source, *others = arguments
    document = json.loads(Path(source).read_text(encoding='utf-8'))
    model = LocalChargeSettings.from_dict(document['model'])
    training = TrainingSettings(**document['training'])
    if command == 'export':
        export(model, training, others[0])
        return 0
    signal.signal(signal.SIGTERM, remember_signal)
    return Training(model, training).run()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
