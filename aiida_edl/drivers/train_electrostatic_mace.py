"""Train a MACE model with electrostatics and export it.

``python train_electrostatic_mace.py train SETTINGS`` and ``python train_electrostatic_mace.py export SETTINGS MODEL``
run on the compute node in an environment with torch, mace-torch and numba; the modules of the model lie beside this
file. The input holds ``model``, the fields of
:class:`~aiida_edl.science.electrostatics.charge_models.electrostatic_settings.ElectrostaticSettings`, and ``training``,
those of :class:`TrainingSettings`. ``training.npz`` and ``validation.npz`` hold the frames.

Log, checkpoint and signals are those of :mod:`aiida_edl.science.electrostatics.charge_models.training_loop`; lines of
the log have ``charge_rmse`` [e], ``dipole_rmse`` [e Å per atom] and ``potential_rmse`` [V] too, where these are labels:
charges of atoms, columns ``dipole_x`` and so on, and the column ``potential``.
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

from aiida_edl.science.electrostatics.charge_models.electrostatic_calculator import save_model
from aiida_edl.science.electrostatics.charge_models.electrostatic_frame import (
    ElectrostaticFrame,
    Surroundings,
    electrostatic_frame,
)
from aiida_edl.science.electrostatics.charge_models.electrostatic_mace import ElectrostaticMace, Predictions
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import ElectrostaticSettings
from aiida_edl.science.electrostatics.charge_models.training_loop import LoopSettings, TrainingLoop, remember_signal
from aiida_edl.science.frames import Frame, FrameSet

TRAINING_SET, VALIDATION_SET = 'training.npz', 'validation.npz'
MOST_FRAMES_OF_OFFSETS = 50
"""Frames of the training set, evenly spaced, to which the energies of the elements are fitted before the training."""


@dataclass(frozen=True)
class TrainingSettings(LoopSettings):
    """How a model is trained."""

    energy_weight: float
    """Weight of the squared error of the energy per atom [1/eV²]."""
    force_weight: float
    """Weight of the squared error of force components [Å²/eV²]."""
    charge_weight: float
    """Weight of the squared error of the charges of atoms [1/e²]."""
    dipole_weight: float
    """Weight of the squared error of the dipole of a frame per atom [1/(e Å)²]."""
    dipole_axes: str
    """Components of the dipole that count, e.g. ``'z'``."""
    potential_weight: float
    """Weight of the squared error of the potential of the electrode [1/V²]."""
    ema_decay: float
    """Decay per update of the moving average of the weights, which is what is validated and exported."""


@dataclass(frozen=True)
class LabelledFrame:
    """A frame with its labels, as tensors."""

    frame: ElectrostaticFrame
    energy: float
    """Energy less the atomic energies [eV]."""
    forces: torch.Tensor
    """Forces [eV/Å], shape ``(n_atoms, 3)``."""
    charges: torch.Tensor | None
    """Charges [e], shape ``(n_atoms,)``, if they are labels."""
    dipole: torch.Tensor | None
    """Components of the dipole that count [e Å], if they are labels."""
    potential: float | None
    """Potential of the electrode, dE/dQ [V], if it is a label."""


def labelled_frame(frame: Frame, model: ElectrostaticSettings, training: TrainingSettings) -> LabelledFrame:
    """Return a frame with its labels, as tensors."""
    assert frame.energy is not None  # the job was checked
    own = dict(zip(model.atomic_numbers, model.atomic_energies))
    kind = {'dtype': training.dtype, 'device': training.device}
    seen = electrostatic_frame(
        frame.numbers,
        frame.positions,
        frame.cell,
        frame.pbc,
        model,
        outside=Surroundings(total_charge=float(frame.columns.get('total_charge', 0.0))),
        dtype=training.dtype,
        device=training.device,
    )
    return LabelledFrame(
        seen,
        frame.energy - sum(own[int(number)] for number in frame.numbers),
        torch.tensor(np.asarray(frame.forces), **kind),
        torch.tensor(np.asarray(frame.charges), **kind) if training.charge_weight else None,
        torch.tensor([float(frame.columns[f'dipole_{axis}']) for axis in training.dipole_axes], **kind)
        if training.dipole_weight
        else None,
        float(frame.columns['potential']) if training.potential_weight else None,
    )


@dataclass
class Errors:
    """Differences of a model and labels."""

    energies: torch.Tensor
    """Per atom [eV], shape ``(n_frames,)``."""
    forces: torch.Tensor
    """Of components [eV/Å], shape ``(n_atoms, 3)``."""
    charges: torch.Tensor | None
    """Of charges of atoms [e], shape ``(n_atoms,)``, if they are labels."""
    dipoles: torch.Tensor | None
    """Of components of the dipole per atom [e Å], shape ``(n_frames * n_components,)``, if they are labels."""
    potentials: torch.Tensor | None
    """Of potentials of the electrode [V], shape ``(n_frames,)``, if they are labels."""

    @classmethod
    def of(cls, found: Predictions, frames: Sequence[LabelledFrame], axes: str) -> Errors:
        """Return the errors of predictions.

        :param found: what the model says of the frames.
        :param frames: the frames.
        :param axes: components of the dipole that count.
        """
        dipoles, potentials = [], []
        chosen = ['xyz'.index(axis) for axis in axes]
        for labelled, predicted in zip(frames, found.frames):
            if labelled.dipole is not None:
                moment = dipole_of(labelled.frame.positions, predicted.charges.multipoles)
                dipoles.append((moment[chosen] - labelled.dipole) / len(labelled.forces))
            if labelled.potential is not None and predicted.charges.potential is not None:
                potentials.append(predicted.charges.potential - labelled.potential)
        counts = found.energies.new_tensor([float(len(frame.forces)) for frame in frames])
        labels = [frame.charges for frame in frames if frame.charges is not None]
        return cls(
            (found.energies - found.energies.new_tensor([frame.energy for frame in frames])) / counts,
            found.forces - torch.cat([frame.forces for frame in frames]),
            found.multipoles[:, 0] - torch.cat(labels) if labels else None,
            torch.cat(dipoles) if dipoles else None,
            torch.stack(potentials) if potentials else None,
        )

    def as_numbers(self) -> Errors:
        """Return the errors without what they were computed from, which would be kept for every frame."""
        return Errors(*(None if part is None else part.detach() for part in vars(self).values()))


def loss_of(errors: Errors, training: TrainingSettings) -> torch.Tensor:
    """Return the loss, a scalar without unit."""
    loss = training.energy_weight * torch.mean(errors.energies**2)
    loss = loss + training.force_weight * torch.mean(errors.forces**2)
    for weight, part in (
        (training.charge_weight, errors.charges),
        (training.dipole_weight, errors.dipoles),
        (training.potential_weight, errors.potentials),
    ):
        if part is not None:
            loss = loss + weight * torch.mean(part**2)
    return loss


class Training(TrainingLoop):
    """A model under training.

    :param model_settings: those of the model.
    :param training: settings.
    """

    def __init__(self, model_settings: ElectrostaticSettings, training: TrainingSettings) -> None:
        torch.manual_seed(training.seed)
        model = ElectrostaticMace(model_settings).to(dtype=training.dtype, device=training.device)
        self.frames = [
            [labelled_frame(frame, model_settings, training) for frame in FrameSet.from_npz(name)]
            for name in (TRAINING_SET, VALIDATION_SET)
        ]
        if not training.is_restart:
            fit_offsets(model, self.frames[0])
        super().__init__(model, training, len(self.frames[0]), training.ema_decay)
        self.training = training

    def differentiate(self, frames: list[int]) -> float:
        """Add the derivatives of the loss to the gradients of the weights, and return the loss."""
        chosen = [self.frames[0][index] for index in frames]
        found = self.model([labelled.frame for labelled in chosen], is_followed=True)
        loss = loss_of(Errors.of(found, chosen, self.training.dipole_axes), self.training)
        found.backward(loss)
        return float(loss.detach())

    def errors(self) -> dict[str, float]:
        """Return the errors on the validation set."""
        axes = self.training.dipole_axes
        each = [Errors.of(self.model([seen.frame]), [seen], axes).as_numbers() for seen in self.frames[1]]
        parts = {
            'energy_rmse': [errors.energies for errors in each],
            'force_rmse': [errors.forces for errors in each],
            'charge_rmse': [errors.charges for errors in each if errors.charges is not None],
            'dipole_rmse': [errors.dipoles for errors in each if errors.dipoles is not None],
            'potential_rmse': [errors.potentials for errors in each if errors.potentials is not None],
        }
        return {name: _rmse(found) for name, found in parts.items() if found}


def dipole_of(positions: torch.Tensor, multipoles: torch.Tensor) -> torch.Tensor:
    """Return the dipole of a frame [e Å], shape ``(3,)``.

    :param positions: Cartesian positions [Å], shape ``(n_atoms, 3)``.
    :param multipoles: charges [e] and dipoles [e Å], shape ``(n_atoms, 1)`` or ``(n_atoms, 4)``.
    """
    moment = multipoles[:, 0] @ positions
    return moment if multipoles.shape[1] == 1 else moment + multipoles[:, 1:].sum(dim=0)


def _rmse(errors: Sequence[torch.Tensor]) -> float:
    """Return the root mean square of all errors."""
    return float(torch.sqrt(torch.mean(torch.cat(list(errors)).double() ** 2)))


def fit_offsets(model: ElectrostaticMace, frames: Sequence[LabelledFrame]) -> None:
    """Give each element the energy that makes the first energies right on the average.

    :param model: the model before its training.
    :param frames: the training set.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES_OF_OFFSETS)).round().astype(int))
    counts, missing = [], []
    for index in chosen.tolist():
        labelled = frames[index]
        counts.append(torch.bincount(labelled.frame.species, minlength=len(model.offsets)).cpu().numpy())
        missing.append(labelled.energy - float(model([labelled.frame]).energies.detach().sum()))
    found = np.linalg.lstsq(np.array(counts, dtype=float), np.array(missing), rcond=None)[0]
    with torch.no_grad():
        model.offsets += torch.as_tensor(found, dtype=model.offsets.dtype, device=model.offsets.device)


def export(model_settings: ElectrostaticSettings, training: TrainingSettings, path: str) -> None:
    """Write the model of the checkpoint, with the average of its weights.

    :param model_settings: those of the model.
    :param training: settings, as of a restart.
    :param path: the file.
    """
    loop = Training(model_settings, training)
    loop.load()
    with loop.averaged():
        save_model(loop.model.cpu(), Path(path))


def main(arguments: list[str]) -> int:
    """Train or export; return the exit status."""
    command, source, *others = arguments
    document = json.loads(Path(source).read_text(encoding='utf-8'))
    model = ElectrostaticSettings.from_dict(document['model'])
    if command == 'export':
        export(model, TrainingSettings(**{**document['training'], 'is_restart': True}), others[0])
        return 0
    signal.signal(signal.SIGTERM, remember_signal)  # before frames are read
    return Training(model, TrainingSettings(**document['training'])).run()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
