"""eSEN: equivariant message passing with smooth energies, trained by the programs of the package fairchem-core.

fairchem takes one YAML file that says everything; the data, the order of batches, evaluations and checkpoints are
classes of ``drivers/train_fairchem.py``, which lies among the files of a training.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import yaml
from ase.data import atomic_numbers

from aiida_edl.architectures.base import (
    Architecture,
    Command,
    Reference,
    Retrieval,
    TrainingJob,
    TrainingJobError,
    TrainingResult,
)
from aiida_edl.architectures.bindings import DEVICE, MODEL_PATH, PRECISION, WHOLE_TOTAL_CHARGE, AseBinding
from aiida_edl.architectures.esen_configuration import (
    MODULE,
    N_ELEMENTS,
    NAME,
    TRAINING_FILE,
    VALIDATION_FILE,
    EsenHyperparameters,
    configuration,
)
from aiida_edl.architectures.fine_tuning import AtomicEnergyPolicy, FineTuningMode
from aiida_edl.architectures.json_log import read_training
from aiida_edl.architectures.training_data import (
    check_fine_tuning,
    check_training_job,
    energies_and_forces_only,
    total_charges,
)
from aiida_edl.science.frames import FrameSet

CONFIG = 'esen.yaml'
MODEL = 'esen.pt'
PROGRAM = f'{MODULE}.py'
CHECKPOINT = 'checkpoint.pt'
LOG = 'log.jsonl'
STDOUT = 'train.out'
EXPORT_STDOUT = 'export.out'
LARGEST_CHARGE = 100
"""Largest size of a total charge that the embedding of fairchem knows [e]."""


class Esen(Architecture):
    """Equivariant smooth energy network: message passing, forces as the gradient of the energy (X. Fu et al., 2025)."""

    name = NAME
    references = (
        Reference(
            title='Learning Smooth and Expressive Interatomic Potentials for Physical Property Prediction',
            authors='X. Fu, B. M. Wood, L. Barroso-Luque, D. S. Levine, M. Gao, M. Dzamba, C. L. Zitnick',
            year=2025,
            doi='10.48550/arXiv.2502.12147',
        ),
    )
    hyperparameters_class = EsenHyperparameters
    # A model that was trained on one dataset needs no name of a task. Nothing is compiled, which would take half a
    # minute at each start and a C++ compiler.
    bindings: ClassVar[Mapping[str, AseBinding]] = {
        'ase': AseBinding(
            module='fairchem.core',
            attribute='FAIRChemCalculator',
            keyword_arguments={
                'predict_unit': {
                    'module': 'fairchem.core.units.mlip_unit',
                    'attribute': 'load_predict_unit',
                    'keyword_arguments': {
                        'path': MODEL_PATH,
                        'device': DEVICE,
                        'inference_settings': {
                            'module': 'fairchem.core.units.mlip_unit.api.inference',
                            'attribute': 'InferenceSettings',
                            'keyword_arguments': {
                                'activation_checkpointing': False,
                                'base_precision_dtype': PRECISION,
                            },
                        },
                    },
                }
            },
            environment={'FAIRCHEM_CACHE_DIR': 'fairchem_cache'},
            info={'charge': WHOLE_TOTAL_CHARGE},
        )
    }
    model_file_name = MODEL
    packages = ('fairchem-core', 'torch', 'e3nn', 'ase', 'numpy')
    install_command = 'aiida-edl environment create fairchem'
    environment = 'fairchem'
    embeds_atomic_energies = True
    fine_tuning_modes = (FineTuningMode.NAIVE,)

    def cutoff_radius(self, hyperparameters: EsenHyperparameters) -> float:
        """Return the cutoff radius of one layer [Å]."""
        return float(hyperparameters.cutoff_radius)

    def n_layers(self, hyperparameters: EsenHyperparameters) -> int:
        """Return the number of layers that gather from neighbours: the embedding of an atom is one of them."""
        return hyperparameters.n_interactions + 1

    def total_charge_column(self, hyperparameters: EsenHyperparameters) -> str | None:
        """Return the column of the frames that the model takes as total charge [e]; None if it knows no charge."""
        return hyperparameters.charge_column or None

    def training_files(self, job: TrainingJob) -> Mapping[str, bytes]:
        """Return the configuration, the frames and the program that runs fairchem.

        :raises TrainingJobError: if the job cannot be done.
        """
        check_training_job(job, job.hyperparameters.batch_size)
        check_fine_tuning(self, job)
        check_policy_and_elements(job)
        column = self.total_charge_column(job.hyperparameters)
        program = importlib.resources.files('aiida_edl.drivers').joinpath(PROGRAM).read_bytes()
        return {
            CONFIG: yaml.safe_dump(configuration(job), sort_keys=False).encode(),
            PROGRAM: program,
            TRAINING_FILE: labelled_frames(job.training_set, column).to_npz_bytes(),
            VALIDATION_FILE: labelled_frames(job.validation_set, column).to_npz_bytes(),
        }

    def commands(self, job: TrainingJob) -> Sequence[Command]:
        """Return two commands: train, then write the averaged weights as a model."""
        parent: tuple[str, ...] = ()
        if job.parent is not None and job.fine_tuning is not None:
            references = job.fine_tuning.atomic_energies.value
            parent = ('--parent', job.parent.path, '--references', references)
        environment = {'FAIRCHEM_CACHE_DIR': 'fairchem_cache'}
        return (
            Command((PROGRAM, 'train', CONFIG, *parent), STDOUT, environment, timeout_seconds=job.walltime_seconds),
            Command((PROGRAM, 'export', CHECKPOINT, MODEL), EXPORT_STDOUT, environment, is_export=True),
        )

    def retrieve(self, job: TrainingJob) -> Retrieval:
        """Keep the model, the checkpoint and the logs."""
        return Retrieval(keep=(MODEL, CHECKPOINT, LOG, STDOUT, EXPORT_STDOUT))

    def read_training(self, folder: Path) -> TrainingResult:
        """Read the log, one JSON object a line, and judge how the training ended."""
        return read_training(folder, MODEL, CHECKPOINT, LOG, STDOUT)


def check_policy_and_elements(job: TrainingJob) -> None:
    """Check what fairchem in particular cannot do.

    :raises TrainingJobError: with the thing, the value and the remedy.
    """
    if heavy := [element for element in job.elements if atomic_numbers[element] >= N_ELEMENTS]:
        raise TrainingJobError(f'the elements {heavy} are beyond Es, the last that esen knows; leave them out')
    if job.fine_tuning is not None and job.fine_tuning.atomic_energies is AtomicEnergyPolicy.ESTIMATED:
        raise TrainingJobError(
            "atomic_energies of fine_tuning is 'estimated', esen does not shift energies; use 'given' or 'parent'"
        )


def labelled_frames(frames: FrameSet, charge_column: str | None) -> FrameSet:
    """Return frames with energies, forces and, for a model that knows it, the total charge as ``total_charge``.

    :param frames: labelled frames.
    :param charge_column: column with the total charge [e]; None to leave it out.
    :raises TrainingJobError: if a charge is no whole number or too large for the embedding.
    """
    plain = energies_and_forces_only(frames)
    if charge_column is None:
        return plain
    charges = total_charges(frames, charge_column)
    wrong = (charges != np.round(charges)) | (np.abs(charges) > LARGEST_CHARGE)
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise TrainingJobError(
            f'the total charge of frame {index} is {charges[index]:g} e, esen takes whole numbers '
            f'from -{LARGEST_CHARGE} to {LARGEST_CHARGE}; choose another architecture or another charge_column'
        )
    return plain.with_columns(total_charge=charges)
