"""Train a local-charge model and export it.

``python train_local_charge.py train local_charge.json`` and ``python train_local_charge.py export local_charge.json
MODEL`` run on the compute node in an environment with torch, torch-pme and numba; the modules of the model lie beside
this file. The input holds ``model``, the fields of
:class:`~aiida_edl.science.electrostatics.charge_models.model_settings.LocalChargeSettings`, and ``training``, those of
:class:`TrainingSettings`. ``training.npz`` and ``validation.npz`` hold the frames.

Log, checkpoint and signals are those of :mod:`aiida_edl.science.electrostatics.charge_models.training_loop`.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from aiida_edl.science.electrostatics.charge_models.training_loop import (
    CHECKPOINT,
    LoopSettings,
    TrainingLoop,
    remember_signal,
)
from aiida_edl.science.frames import Frame, FrameSet

TRAINING_SET, VALIDATION_SET = 'training.npz', 'validation.npz'
MOST_FRAMES_OF_SIGN = 100
"""Frames of the training set, evenly spaced, from which the sign of the charges is told."""


@dataclass(frozen=True)
class TrainingSettings(LoopSettings):
    """How a model is trained."""

    energy_weight: float
    """Weight of the squared error of the energy per atom [1/eV²]."""
    force_weight: float
    """Weight of the squared error of force components [Å²/eV²]."""
    charge_weight: float
    """Weight of the squared error of the total charge [1/e²]."""


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


class Training(TrainingLoop):
    """A model under training.

    :param model_settings: those of the model.
    :param training: settings.
    """

    def __init__(self, model_settings: LocalChargeSettings, training: TrainingSettings) -> None:
        torch.manual_seed(training.seed)
        model = LocalChargeModel(model_settings).to(dtype=training.dtype, device=training.device)
        self.frames = [
            [labelled_system(frame, model_settings, training) for frame in FrameSet.from_npz(name)]
            for name in (TRAINING_SET, VALIDATION_SET)
        ]
        super().__init__(model, training, len(self.frames[0]))
        self.training = training
        self.pulls_charges = model_settings.has_charges and model_settings.neutrality == 'loss'

    def differentiate(self, frames: list[int]) -> float:
        """Add the derivatives of the loss to the gradients of the weights, and return the loss."""
        errors = errors_of(self.model, [self.frames[0][index] for index in frames], is_followed=True)
        loss = loss_of(errors, self.training, self.pulls_charges)
        loss.backward()
        return float(loss.detach())

    def errors(self) -> dict[str, float]:
        """Return the errors on the validation set."""
        each = [errors_of(self.model, [frame], is_followed=False) for frame in self.frames[1]]
        energies = torch.cat([errors.energies.detach() for errors in each]).double()
        forces = torch.cat([errors.forces.detach() for errors in each]).double()
        return {
            'energy_rmse': float(torch.sqrt(torch.mean(energies**2))),
            'force_rmse': float(torch.sqrt(torch.mean(forces**2))),
        }


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
    signal.signal(signal.SIGTERM, remember_signal)  # before frames are read
    return Training(model, training).run()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
