"""How the trainer of mace-torch is told to start from a parent model.

======================  ===============================================================================================
mode                    what the trainer does
======================  ===============================================================================================
``naive``               all weights go on from those of the parent
``lora``                matrices of low rank are added to the weights and learnt, then merged into them
``multihead_replay``    a second readout is learnt on the new frames, while the first goes on learning frames of the
                        parent's training; the second alone is exported; its loss is a Huber loss, not a squared one
======================  ===============================================================================================

The shape of the model is that of the parent: of the hyperparameters only cutoff radius and layers are compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

from aiida_edl.architectures.base import Command, TrainingJob, TrainingJobError
from aiida_edl.architectures.fine_tuning import AtomicEnergyPolicy, FineTuningMode
from aiida_edl.architectures.mace_log import HEAD, REPLAY_HEAD
from aiida_edl.science.frames import FrameSet

PROGRAM = 'train_mace.py'
"""Driver that starts the trainer so that the stated atomic energies hold."""
REPLAY_FILE = 'replay.xyz'
HEADS_FOLDER = 'heads'
"""Folder of the model with all heads, from which one is exported."""
SELECT_HEAD = 'from mace.cli.select_head import main; main()'
"""The program of mace-torch that takes out one head; it does nothing when it is run as a module."""
ENERGY_POLICY = {AtomicEnergyPolicy.PARENT: 'foundation', AtomicEnergyPolicy.ESTIMATED: 'estimated'}
"""What the trainer calls the policies; those that are given are stated as numbers."""


def is_replaying(job: TrainingJob) -> bool:
    """Return whether frames of the parent's training are learnt again."""
    return job.fine_tuning is not None and job.fine_tuning.mode is FineTuningMode.MULTIHEAD_REPLAY


def check_start(job: TrainingJob, cutoff_radius: float, n_layers: int) -> None:
    """Check that the model has the shape of its parent, and that atomic energies cover what is replayed.

    :param job: the training; without a parent there is nothing to check.
    :param cutoff_radius: cutoff radius of one layer that the hyperparameters state [Å].
    :param n_layers: layers that they state.
    :raises TrainingJobError: with the thing, the value and the remedy.
    """
    if job.parent is None:
        return
    stated = {
        'cutoff_radius': (cutoff_radius, job.parent.cutoff_radius),
        'n_interactions': (n_layers, job.parent.n_layers),
    }
    for name, (own, of_parent) in stated.items():
        if abs(own - of_parent) > 1e-9:
            raise TrainingJobError(f'{name} is {own}, that of the parent is {of_parent}; state that of the parent')
    if not is_replaying(job):
        return
    if job.replay_set is None:
        raise TrainingJobError('multihead_replay needs frames to be learnt again; give a replay_dataset')
    if job.replay_set.energies is None or job.replay_set.forces is None:
        raise TrainingJobError(f'the replay set lacks energies or forces; label its {len(job.replay_set)} frames first')
    elements = sorted({*job.replay_set.elements, *job.training_set.elements})
    if missing := [element for element in elements if element not in job.atomic_energies]:
        raise TrainingJobError(
            f'no atomic energy is given for {missing}, which the replay set holds; both heads need one for each element'
        )
    if missing := [element for element in elements if element not in job.elements]:
        raise TrainingJobError(f'the replay set holds {missing}, the model knows {list(job.elements)}; add them')


def fine_tuning_options(job: TrainingJob) -> dict[str, Any]:
    """Return the options of the trainer that say how it starts from the parent; empty without one.

    :param job: the training.
    """
    if job.parent is None or job.fine_tuning is None:
        return {}
    settings = job.fine_tuning
    options: dict[str, Any] = {'foundation_model': job.parent.path, 'multiheads_finetuning': is_replaying(job)}
    if settings.atomic_energies in ENERGY_POLICY:
        options['E0s'] = ENERGY_POLICY[settings.atomic_energies]
    if settings.mode is FineTuningMode.LORA:
        options |= {'lora': True, 'lora_rank': settings.lora_rank}
    if is_replaying(job):
        options |= {
            'pt_train_file': REPLAY_FILE,
            # The error on replayed frames is for the log alone, so those that are learnt will do.
            'pt_valid_file': REPLAY_FILE,
            # The trainer would otherwise set rate and averaging by itself,
            'force_mh_ft_lr': True,
            # and repeat new frames if they are few, so that an epoch had more updates than planned.
            'real_pt_data_ratio_threshold': 0.0,
            'stress_weight': 0.0,
            'model_dir': HEADS_FOLDER,
            'skip_evaluate_heads': f'{HEAD},{REPLAY_HEAD}',
        }
    return options


def replayed_frames(frames: FrameSet, job: TrainingJob) -> FrameSet:
    """Return frames with the weights that the loss of the trainer reads.

    Its loss for two heads does not know the weight of a frame, only those of its energy and of its forces, and applies
    them to the error: the loss is weighted so where the error exceeds 0.01 eV/atom or eV/Å, by the square below that.

    :param frames: frames that are learnt again.
    :param job: the training.
    """
    weight = 1.0 if job.fine_tuning is None else float(job.fine_tuning.replay_weight)
    return frames.with_columns(config_energy_weight=weight, config_forces_weight=weight)


def program_files(job: TrainingJob) -> Mapping[str, bytes]:
    """Return the program that starts the trainer from a parent; empty without one.

    :param job: the training.
    """
    if job.parent is None:
        return {}
    return {PROGRAM: (resources.files('aiida_edl') / 'drivers' / PROGRAM).read_bytes()}


def export_command(job: TrainingJob, model: str, stdout: str) -> tuple[Command, ...]:
    """Return the command that takes the head of the new frames out of a model with two; none for a model with one.

    :param job: the training.
    :param model: file of the exported model.
    :param stdout: file that takes the output.
    """
    if not is_replaying(job):
        return ()
    source = f'{HEADS_FOLDER}/{model}'
    arguments = ('-c', SELECT_HEAD, '--head_name', HEAD, '--output_file', model, source)
    return (Command(arguments, stdout, is_export=True),)
