"""Read what a training of any architecture left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from aiida.engine import ExitCode
from aiida.orm import ArrayData, Dict
from ase.data import chemical_symbols

from aiida_edl.architectures.base import Architecture, LearningCurve, TrainingOutcome, TrainingResult
from aiida_edl.architectures.fine_tuning import AtomicEnergyPolicy, FineTuning
from aiida_edl.architectures.run_report import is_there
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.replay_checks import replay_kind
from aiida_edl.calculations.training_checkpoint import TRAINER_VERSION, UPDATES_DONE, training_identity
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.parsers.base import EdlParser, cost_and_versions, folder_of_files
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.charge_state import charge_state_of_ions, count_ions

EXIT_CODE_OF_OUTCOME = {
    TrainingOutcome.OUT_OF_WALLTIME: exit_codes.OUT_OF_WALLTIME,
    TrainingOutcome.OUT_OF_MEMORY: exit_codes.OUT_OF_MEMORY,
    TrainingOutcome.DEVICE_MISSING: exit_codes.DEVICE_MISSING,
    TrainingOutcome.VERSION_DIFFERS: exit_codes.VERSION_DIFFERS,
    TrainingOutcome.DEVICE_LOST: exit_codes.DEVICE_LOST,
    TrainingOutcome.LOSS_DIVERGED: exit_codes.LOSS_DIVERGED,
    TrainingOutcome.LOG_INCOMPLETE: exit_codes.LOG_INCOMPLETE,
    TrainingOutcome.EXPORT_FAILED: exit_codes.EXPORT_FAILED,
}
"""Exit code of each outcome but the good one."""


class TrainingParser(EdlParser):
    """Turn files of a training into a potential, a learning curve, a checkpoint and a summary."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach what there is, then say how the training ended.

        :param kwargs: ``retrieved_temporary_folder``, if the architecture asks for files to be parsed only.
        """
        with self.retrieved_files(kwargs.get('retrieved_temporary_folder')) as folder:
            return self._parse_folder(folder)

    def _parse_folder(self, folder: Path) -> ExitCode | None:
        """Attach outputs from one folder with all files."""
        architecture: Architecture = load_member(ARCHITECTURES, self.node.inputs.architecture.value)
        result = architecture.read_training(folder)
        summary = self._summary(result, folder)
        if result.learning_curve is not None:
            self.out('learning_curve', learning_curve_array(result.learning_curve))
        if result.checkpoint_files:
            identity = {UPDATES_DONE: result.gradient_updates_done, **training_identity(self.node.inputs)}
            trainer = architecture.packages[0]
            if version := summary['versions'].get(trainer):
                identity[TRAINER_VERSION] = {trainer: version}
            self.out('checkpoint', folder_of_files(folder, result.checkpoint_files, identity))
        self.out('training_summary', Dict(summary))
        if (seen := self.seen_without_output(folder)) is not None:
            return self.fail(exit_codes.OUTPUT_MISSING, f'no file of the trainer came back, and {seen}')
        if result.outcome is not TrainingOutcome.FINISHED:
            return self.fail(EXIT_CODE_OF_OUTCOME[result.outcome], result.message)
        if result.model_path is None or not is_there(folder / result.model_path):
            return self.fail(exit_codes.EXPORT_FAILED, f'the model {result.model_path} is missing or empty')
        files = files_of_model(folder / result.model_path, architecture.model_file_name)
        self.out('potential', self._potential(architecture, result, files))
        return None

    def _summary(self, result: TrainingResult, folder: Path) -> dict[str, Any]:
        """Return how the training ended and what it cost."""
        return {
            'outcome': result.outcome.value,
            'message': result.message,
            'gradient_updates_done': result.gradient_updates_done,
            'gradient_updates': self.node.inputs.gradient_updates.value,
            'is_restart': 'checkpoint' in self.node.inputs,
            'remedies': self.node.inputs.remedies.get_list() if 'remedies' in self.node.inputs else [],
            **self._replay(),
            **cost_and_versions(folder),
        }

    def _replay(self) -> dict[str, Any]:
        """Return what the labels of replayed frames were to the parent; nothing if there were none."""
        inputs = self.node.inputs
        if 'replay_dataset' not in inputs or 'parent_potential' not in inputs:
            return {}
        kind = replay_kind(inputs.replay_dataset, inputs.parent_potential)
        return {'replay_labels': kind.value, 'n_replayed_frames': inputs.replay_dataset.n_frames}

    def _atomic_energies(self, result: TrainingResult) -> Mapping[str, float]:
        """Return the atomic energies the model has [eV]; none if it embeds them and the trainer does not say which."""
        inputs = self.node.inputs
        if 'parent_potential' not in inputs:
            return dict(inputs.atomic_energies.get_dict())
        settings = FineTuning.from_dict(inputs.fine_tuning.get_dict() if 'fine_tuning' in inputs else {})
        of_policy = {
            AtomicEnergyPolicy.GIVEN: inputs.atomic_energies.get_dict(),
            AtomicEnergyPolicy.PARENT: inputs.parent_potential.atomic_energies,
            AtomicEnergyPolicy.ESTIMATED: result.atomic_energies or {},
        }
        return of_policy[settings.atomic_energies]

    def _potential(
        self, architecture: Architecture, result: TrainingResult, files: Mapping[str, bytes]
    ) -> PotentialData:
        """Return the potential with what must be known to use it."""
        inputs = self.node.inputs
        hyperparameters = architecture.make_hyperparameters(inputs.hyperparameters.get_dict())
        parent = inputs.parent_potential if 'parent_potential' in inputs else None
        return PotentialData.from_model(
            files,
            architecture=architecture.name,
            elements=inputs.elements.get_list(),
            # The shape of the model is that of its parent, whatever the hyperparameters say.
            cutoff_radius=parent.cutoff_radius if parent else architecture.cutoff_radius(hyperparameters),
            n_layers=parent.n_layers if parent else architecture.n_layers(hyperparameters),
            total_charge_column=architecture.total_charge_column(hyperparameters),
            training_charge_labels=charge_labels(inputs.dataset, inputs.split.get_array('training')),
            level_of_theory=inputs.dataset.level_of_theory,
            atomic_energies=self._atomic_energies(result),
            embeds_atomic_energies=architecture.embeds_atomic_energies,
            precision=inputs.precision.value,
            seed=inputs.seed.value,
            gradient_updates=result.gradient_updates_done,
        )


def files_of_model(model: Path, name: str) -> dict[str, bytes]:
    """Return the content of the files of a model by the path they have in later jobs.

    :param model: file or folder that the training left.
    :param name: what it is called in later jobs.
    """
    if model.is_file():
        return {name: model.read_bytes()}
    files = sorted(path for path in model.rglob('*') if path.is_file())
    return {f'{name}/{path.relative_to(model).as_posix()}': path.read_bytes() for path in files}


def learning_curve_array(curve: LearningCurve) -> ArrayData:
    """Return a node with the arrays of a learning curve, under the names of its fields."""
    node = ArrayData()
    for entry in fields(curve):
        node.set_array(entry.name, getattr(curve, entry.name))
    return node


def charge_labels(dataset: DatasetData, indices: np.ndarray[Any, Any]) -> list[str]:
    """Return the sorted charge labels of some frames of a dataset, e.g. ``['0', '2Na']``.

    :param dataset: the dataset.
    :param indices: frames, shape ``(n,)``.
    """
    numbers, offsets = dataset.get_array('numbers'), dataset.get_array('offsets')
    compositions = {np.sort(numbers[offsets[index] : offsets[index + 1]]).tobytes() for index in indices}
    symbols = ([chemical_symbols[n] for n in np.frombuffer(key, dtype=numbers.dtype)] for key in compositions)
    return sorted({charge_state_of_ions(count_ions(names), area=1.0).label for names in symbols})
