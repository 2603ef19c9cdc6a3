"""Training of a potential of any architecture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import ArrayData, Dict, FolderData, Int, List, Str
from ase.data import atomic_numbers

from aiida_edl.architectures.base import Architecture, HyperparameterError, TrainingJob, TrainingJobError
from aiida_edl.architectures.bindings import NATIVE
from aiida_edl.architectures.fine_tuning import FineTuning, FineTuningError, ParentModel
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.training_data import check_fine_tuning
from aiida_edl.calculations import exit_codes
from aiida_edl.calculations.base import EdlCalculation, validate_device, validate_precision
from aiida_edl.calculations.jobs import JobFiles, NodeFile, folder_files, large_files
from aiida_edl.calculations.models import model_path, validate_architecture, validate_architecture_code
from aiida_edl.calculations.replay_checks import replay_leak, validate_replay
from aiida_edl.calculations.training_checkpoint import UPDATES_DONE, trainer_version, validate_checkpoint
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.registry import ARCHITECTURES, load_member

PARENT_FOLDER = 'parent'
"""Folder of the working directory with the model from which a training starts."""
SUBSETS = ('training', 'validation', 'test')
"""Arrays of a split, each with indices of frames in the dataset."""


def validate_gradient_updates(value: Int, _: Any) -> str | None:
    """Return one sentence if there is nothing to do."""
    if value is not None and value.value < 1:
        return f'gradient_updates is {value.value}, it must be at least 1'
    return None


def validate_seed(value: Int, _: Any) -> str | None:
    """Return one sentence if the seed is negative."""
    if value is not None and value.value < 0:
        return f'seed is {value.value}, it must not be negative'
    return None


def validate_elements(value: List, _: Any) -> str | None:
    """Return one sentence if the elements are none, or not ordered chemical symbols."""
    if value is None:
        return None
    symbols = value.get_list()
    if unknown := [symbol for symbol in symbols if symbol not in atomic_numbers]:
        return f'elements holds {unknown}, which are no chemical symbols'
    ordered = sorted(set(symbols), key=lambda symbol: atomic_numbers[symbol])
    if not symbols or symbols != ordered:
        return f'elements is {symbols}, it must list each element once, ordered by atomic number: {ordered}'
    return None


def validate_split(split: ArrayData, n_frames: int, filled: Sequence[str] = SUBSETS[:2]) -> str | None:
    """Return one sentence if a split does not fit a dataset: arrays missing, indices out of range or used twice.

    :param split: arrays of frame indices, see :data:`SUBSETS`.
    :param n_frames: frames of the dataset.
    :param filled: arrays that must not be empty.
    """
    if missing := [name for name in SUBSETS if name not in split.get_arraynames()]:
        return f'the split lacks the arrays {", ".join(missing)}; it needs {", ".join(SUBSETS)}'
    parts = {name: split.get_array(name) for name in SUBSETS}
    for name, indices in parts.items():
        if not np.issubdtype(indices.dtype, np.integer):
            return f"the array '{name}' of the split is of type {indices.dtype}, it must hold integers"
        if len(indices) and (indices.min() < 0 or indices.max() >= n_frames):
            return (
                f"the array '{name}' of the split holds indices {indices.min()} to {indices.max()}, "
                f'the dataset has {n_frames} frames'
            )
    for name in filled:
        if not len(parts[name]):
            return f"the array '{name}' of the split is empty, it needs at least one frame"
    joined = np.concatenate(list(parts.values()))
    if n_double := len(joined) - len(np.unique(joined)):
        return f'the split uses {n_double} frames more than once; each frame may be in one subset only'
    return None


class TrainingCalculation(EdlCalculation):
    """Train one potential of any architecture to a target number of gradient updates, and export it."""

    PARSER_NAME = 'edl.training'
    EXIT_CODES = (
        exit_codes.DEVICE_MISSING,
        exit_codes.VERSION_DIFFERS,
        exit_codes.OUTPUT_MISSING,
        exit_codes.OUTPUT_UNREADABLE,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.EXPORT_FAILED,
        exit_codes.OUT_OF_WALLTIME,
        exit_codes.OUT_OF_MEMORY,
        exit_codes.DEVICE_LOST,
        exit_codes.LOSS_DIVERGED,
    )

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define ports."""
        super().define(spec)
        spec.input('dataset', valid_type=DatasetData, help='Labelled frames: energies [eV] and forces [eV/Å].')
        spec.input(
            'split', valid_type=ArrayData, help='Frame indices in `training`, `validation` and `test`; no frame twice.'
        )
        spec.input(
            'architecture',
            valid_type=Str,
            validator=lambda value, _: validate_architecture(value.value) if value is not None else None,
            help='Entry-point name of the architecture.',
        )
        spec.input(
            'hyperparameters', valid_type=Dict, default=lambda: Dict({}), help='Those that differ from the defaults.'
        )
        spec.input('seed', valid_type=Int, validator=validate_seed, help='Seed of initial weights and batches.')
        spec.input(
            'precision',
            valid_type=Str,
            default=lambda: Str(Precision.DOUBLE.value),
            validator=validate_precision,
            help='`float32` or `float64`.',
        )
        spec.input(
            'elements',
            valid_type=List,
            validator=validate_elements,
            help='Chemical symbols the potential must know, ordered by atomic number; may exceed those of the dataset.',
        )
        spec.input('atomic_energies', valid_type=Dict, help='Reference energy of each element [eV], by symbol.')
        spec.input(
            'gradient_updates',
            valid_type=Int,
            validator=validate_gradient_updates,
            help='Target number of optimiser steps, counted from the very first start.',
        )
        spec.input(
            'device',
            valid_type=Str,
            default=lambda: Str('cpu'),
            validator=validate_device,
            help='`cpu` or `cuda`.',
        )
        spec.input(
            'checkpoint',
            valid_type=FolderData,
            required=False,
            help='Checkpoint of an interrupted training with the same inputs, which goes on to the same target.',
        )
        spec.input(
            'parent_potential',
            valid_type=PotentialData,
            required=False,
            help='Trained potential of the same architecture from whose weights the training starts.',
        )
        spec.input(
            'fine_tuning',
            valid_type=Dict,
            required=False,
            validator=validate_fine_tuning,
            help='How it starts from them: fields of `FineTuning`; the rest is default.',
        )
        spec.input(
            'replay_dataset',
            valid_type=DatasetData,
            required=False,
            help='Labelled frames of the training of the parent, or like them and labelled by it, learnt again so that '
            'they are not forgotten.',
        )
        spec.input(
            'remedies',
            valid_type=List,
            required=False,
            help='What earlier attempts ran into and what was changed for this one; listed in its summary.',
        )
        spec.output('potential', valid_type=PotentialData, help='The trained potential.')
        spec.output(
            'learning_curve',
            valid_type=ArrayData,
            help='gradient_updates, validation_energy_rmse [eV/atom], validation_force_rmse [eV/Å], training_loss.',
        )
        spec.output('training_summary', valid_type=Dict, help='How the training ended, its cost, versions.')
        spec.output('checkpoint', valid_type=FolderData, required=False, help='Files from which it can go on.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if dataset, split, elements, hyperparameters or code do not fit together."""
        architecture: Architecture = load_member(ARCHITECTURES, inputs['architecture'].value)
        try:
            architecture.make_hyperparameters(inputs['hyperparameters'].get_dict())
        except HyperparameterError as error:
            return str(error)
        message = validate_architecture_code(inputs['code'], architecture.name)
        message = message or validate_labels(inputs) or validate_split(inputs['split'], inputs['dataset'].n_frames)
        message = message or validate_parent(inputs) or validate_replay(inputs) or validate_checkpoint(inputs)
        if message:
            return message
        return _refusal(architecture, inputs)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write what the architecture asks for."""
        architecture: Architecture = load_member(ARCHITECTURES, self.inputs.architecture.value)
        job = training_job(self.inputs, self.program_walltime_seconds)
        files = architecture.training_files(job)
        node_files: list[NodeFile] = folder_files(self.inputs.checkpoint) if job.is_restart else []
        if job.parent is not None:
            node_files += folder_files(self.inputs.parent_potential, PARENT_FOLDER)
        staged = JobFiles(
            files=files,
            node_files=node_files,
            derived=large_files(files),
            retrieval=architecture.retrieve(job),
            needed_versions=trainer_version(self.inputs.get('checkpoint')),
        )
        return self.stage_python(folder, staged, architecture.commands(job), architecture.packages)


def validate_labels(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if the dataset lacks labels, or elements or atomic energies do not cover it."""
    dataset: DatasetData = inputs['dataset']
    labels = dataset.base.attributes.get(dataset.KEY_LABELS)
    if lacking := [name for name in ('energies', 'forces') if name not in labels]:
        return f'the dataset lacks {" and ".join(lacking)}; label its {dataset.n_frames} frames first'
    elements = inputs['elements'].get_list()
    if missing := [symbol for symbol in dataset.elements if symbol not in elements]:
        return f'the dataset holds {", ".join(missing)}, elements lists {", ".join(elements)}; add what is missing'
    energies = inputs['atomic_energies'].get_dict()
    if missing := [symbol for symbol in elements if symbol not in energies]:
        return f'atomic_energies lacks {", ".join(missing)}, given are {", ".join(sorted(energies)) or "none"}'
    return None


def validate_fine_tuning(value: Dict | None, _: Any) -> str | None:
    """Return one sentence if a setting of fine-tuning is unknown or out of range."""
    try:
        FineTuning.from_dict({} if value is None else value.get_dict())
    except FineTuningError as error:
        return str(error)
    return None


def validate_parent(inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if settings of fine-tuning come without a parent, or the parent is in another format."""
    parent = inputs.get('parent_potential')
    if parent is None:
        given = [name for name in ('fine_tuning', 'replay_dataset') if inputs.get(name) is not None]
        return f'{" and ".join(given)} without a parent_potential; give one or leave them out' if given else None
    if parent.format != NATIVE:
        return f"the parent is in the format '{parent.format}', a training starts from '{NATIVE}'; give the original"
    return None


_refusals: dict[str, str | None] = {}
"""What architectures said of the trainings that were validated, by checksum of the inputs."""


def _refusal(architecture: Architecture, inputs: Mapping[str, Any]) -> str | None:
    """Return one sentence if the architecture cannot write its files, e.g. for too large a batch or too thin a vacuum,
    or if test frames are replayed.

    Each work chain around a calculation validates its inputs again, and writing the files takes seconds for a large
    dataset: the answer is remembered.
    """
    dataset, split = inputs['dataset'], inputs['split']
    scalars = [inputs[name].value for name in ('architecture', 'seed', 'precision', 'gradient_updates', 'device')]
    values = [inputs[name].get_dict() for name in ('hyperparameters', 'atomic_energies')]
    nodes = [
        inputs[name].uuid
        for name in ('parent_potential', 'replay_dataset', 'checkpoint')
        if inputs.get(name) is not None
    ]
    fine_tuning = None if inputs.get('fine_tuning') is None else inputs['fine_tuning'].get_dict()
    identity = [dataset.base.attributes.get(dataset.KEY_SHA256), inputs['elements'].get_list(), *scalars, *values]
    identity += [*nodes, fine_tuning]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for name in SUBSETS:
        digest.update(name.encode() + split.get_array(name).tobytes())
    key = digest.hexdigest()
    if key not in _refusals:
        try:
            job = training_job(inputs, None)
            check_fine_tuning(architecture, job)
            architecture.training_files(job)
        except TrainingJobError as error:
            _refusals[key] = str(error)
        else:
            _refusals[key] = replay_leak(inputs)
    return _refusals[key]


def training_job(inputs: Any, walltime_seconds: float | None) -> TrainingJob:
    """Return the job that the inputs describe.

    :param inputs: validated inputs of :class:`TrainingCalculation`.
    :param walltime_seconds: time after which the training should stop by itself [s].
    """
    architecture: Architecture = load_member(ARCHITECTURES, inputs['architecture'].value)
    frames = inputs['dataset'].frames()
    checkpoint, replay = inputs.get('checkpoint'), inputs.get('replay_dataset')
    parent = parent_model(inputs)
    settings = {} if inputs.get('fine_tuning') is None else inputs['fine_tuning'].get_dict()
    return TrainingJob(
        training_set=frames.select(inputs['split'].get_array('training')),
        validation_set=frames.select(inputs['split'].get_array('validation')),
        elements=tuple(inputs['elements'].get_list()),
        hyperparameters=architecture.make_hyperparameters(inputs['hyperparameters'].get_dict()),
        atomic_energies={symbol: float(energy) for symbol, energy in inputs['atomic_energies'].get_dict().items()},
        gradient_updates=inputs['gradient_updates'].value,
        seed=inputs['seed'].value,
        precision=Precision(inputs['precision'].value),
        device=inputs['device'].value,
        walltime_seconds=walltime_seconds,
        is_restart=checkpoint is not None,
        gradient_updates_done=0 if checkpoint is None else int(checkpoint.base.attributes.get(UPDATES_DONE, 0)),
        checkpoint_files=() if checkpoint is None else tuple(entry.target for entry in folder_files(checkpoint)),
        parent=parent,
        fine_tuning=None if parent is None else FineTuning.from_dict(settings),
        replay_set=None if replay is None else replay.frames(),
    )


def parent_model(inputs: Any) -> ParentModel | None:
    """Return the model from which a training starts, None if it starts from random weights.

    :param inputs: validated inputs of :class:`TrainingCalculation`.
    """
    potential: PotentialData | None = inputs.get('parent_potential')
    if potential is None:
        return None
    return ParentModel(
        architecture=potential.architecture,
        path=f'{PARENT_FOLDER}/{model_path(potential)}',
        elements=potential.elements,
        cutoff_radius=potential.cutoff_radius,
        n_layers=potential.n_layers,
        precision=Precision(potential.precision),
        atomic_energies=potential.atomic_energies,
        total_charge_column=potential.total_charge_column,
    )
