"""What fairchem-core is told to train an eSEN potential: hyperparameters, and the configuration made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from aiida_edl.architectures.base import HyperparameterError, TrainingJob, TrainingJobError, check_below, check_positive
from aiida_edl.science.frames import FrameSet

NAME = 'esen'
MODULE = 'train_fairchem'
"""Program among the files of a training, whose classes the configuration names."""
TRAINING_FILE = 'training.npz'
VALIDATION_FILE = 'validation.npz'
MLIP_UNIT = 'fairchem.core.units.mlip_unit.mlip_unit'
N_ELEMENTS = 100
"""Rows of the tables of elements in fairchem: atomic numbers from 0 to 99."""


@dataclass(frozen=True)
class EsenHyperparameters:
    """Hyperparameters of an eSEN potential and of its training."""

    cutoff_radius: float = 6.0
    """Cutoff radius of one layer [Å]."""
    n_channels: int = 64
    """Channels of each feature of an atom; even; dimensionless."""
    max_l: int = 2
    """Highest angular momentum of the features; dimensionless."""
    max_m: int = 2
    """Highest order of the features of a pair in its own frame, at most ``max_l``; dimensionless."""
    n_interactions: int = 2
    """Message-passing layers after the embedding, which itself gathers from neighbours; dimensionless."""
    hidden_channels: int = 64
    """Channels inside a layer and in the network that gives the energy; dimensionless."""
    edge_channels: int = 64
    """Channels of what is known of a pair: distance and both elements; dimensionless."""
    n_radial_functions: int = 64
    """Gaussians of the interatomic distance; dimensionless."""
    maximum_neighbours: int = 300
    """Neighbours of an atom that are taken at most; fewer than there are break smoothness; dimensionless."""
    batch_size: int = 2
    """Frames per gradient update; dimensionless."""
    learning_rate: float = 8e-4
    """Step size of the optimiser (AdamW) after warming up; dimensionless."""
    learning_rate_ratio: float = 0.01
    """Step size at the end over the largest, lowered as a cosine; dimensionless."""
    warmup_ratio: float = 0.01
    """Part of all gradient updates in which the step size rises; dimensionless."""
    weight_decay: float = 1e-3
    """Decay of the weights, per update and in units of the step size; dimensionless."""
    energy_weight: float = 20.0
    """Weight of the mean absolute energy error per atom in the loss, in units of the RMS force; dimensionless."""
    force_weight: float = 10.0
    """Weight of the mean length of force errors in the loss, in units of the RMS force; dimensionless."""
    ema_decay: float = 0.999
    """Decay per update of the exponential moving average of the weights, which is what is validated; dimensionless."""
    gradient_clip: float = 100.0
    """Largest norm of the gradient of the loss; dimensionless."""
    n_evaluations: int = 20
    """About how many times the validation error is taken and a checkpoint written; dimensionless."""
    charge_column: str = ''
    """Column of the frames with the total charge [e], a whole number, ``metal_charge`` follows from the atoms; empty if
    the model shall know no charge."""
    task_name: str = NAME
    """Dataset of the parent that fine-tuning goes on with, where it knows several, e.g. ``oc25``; dimensionless."""

    def __post_init__(self) -> None:
        """Check ranges.

        :raises HyperparameterError: with the name, the value and the remedy.
        """
        check_positive(self, NAME, may_vanish=('warmup_ratio', 'weight_decay', 'energy_weight', 'ema_decay', 'max_m'))
        check_below(self, NAME, 'ema_decay', 1)
        check_below(self, NAME, 'max_m', 'max_l', may_equal=True)
        if self.n_channels % 2:
            raise HyperparameterError(f"hyperparameter 'n_channels' of esen is {self.n_channels}, it must be even")
        if not self.task_name:
            raise HyperparameterError("hyperparameter 'task_name' of esen is empty, it must name a dataset")


def force_scale(frames: FrameSet) -> float:
    """Return the root mean square of the force components [eV/Å].

    fairchem learns energies and forces in this unit, energies in the unit times 1 Å.

    :param frames: labelled frames.
    """
    if frames.forces is None:
        raise TrainingJobError(f'the training set lacks forces; label its {len(frames)} frames first')
    return float(np.sqrt(np.mean(np.square(frames.forces))))


def configuration(job: TrainingJob) -> dict[str, Any]:
    """Return the configuration of fairchem: ``job`` says where and how, ``runner`` what."""
    chosen: EsenHyperparameters = job.hyperparameters
    interval = max(1, math.ceil(job.gradient_updates / chosen.n_evaluations))
    return {
        'job': {
            'device_type': job.device.upper(),
            'scheduler': {'mode': 'LOCAL', 'ranks_per_node': 1, 'distributed_init_method': 'FILE'},
            'debug': True,
            'run_dir': 'fairchem',
            'run_name': NAME,
            'timestamp_id': NAME,
            'seed': job.seed,
        },
        'runner': {
            '_target_': 'fairchem.core.components.train.train_runner.TrainEvalRunner',
            'train_dataloader': _loader(job, TRAINING_FILE, {'n_batches': job.gradient_updates, 'seed': job.seed}),
            'eval_dataloader': _loader(job, VALIDATION_FILE, {}),
            'train_eval_unit': {
                '_target_': f'{MLIP_UNIT}.MLIPTrainEvalUnit',
                'job_config': '${job}',
                'model': {
                    '_target_': f'{MODULE}.in_precision',
                    'precision': job.precision.value,
                    'model': _model(chosen),
                },
                'optimizer_fn': {
                    '_target_': 'torch.optim.AdamW',
                    '_partial_': True,
                    'lr': float(chosen.learning_rate),
                    'weight_decay': float(chosen.weight_decay),
                },
                'cosine_lr_scheduler_fn': {
                    '_target_': f'{MLIP_UNIT}._get_consine_lr_scheduler',
                    '_partial_': True,
                    'warmup_factor': 0.2,
                    # In steps, as there is one epoch of all steps.
                    'warmup_epochs': float(chosen.warmup_ratio),
                    'lr_min_factor': float(chosen.learning_rate_ratio),
                    'steps': job.gradient_updates,
                },
                'tasks': _tasks(job),
                'print_every': interval,
                'clip_grad_norm': float(chosen.gradient_clip),
                'ema_decay': float(chosen.ema_decay),
                'save_inference_ckpt': False,
            },
            'callbacks': [
                {
                    '_target_': f'{MODULE}.Progress',
                    'energy': 'energy',
                    'forces': 'forces',
                    'interval': interval,
                    'n_updates': job.gradient_updates,
                    'is_restart': job.is_restart,
                }
            ],
            'max_epochs': 1,
        },
    }


def _loader(job: TrainingJob, path: str, order: Mapping[str, int]) -> dict[str, Any]:
    """Return how batches are made of a set."""
    chosen: EsenHyperparameters = job.hyperparameters
    return {
        '_target_': 'fairchem.core.components.common.dataloader_builder.get_dataloader',
        'dataset': {
            '_target_': f'{MODULE}.Frames',
            'path': path,
            'dataset': chosen.task_name,
            'precision': job.precision.value,
        },
        'batch_sampler_fn': {
            '_target_': f'{MODULE}.Batches',
            '_partial_': True,
            'batch_size': chosen.batch_size,
            **order,
        },
        'num_workers': 0,
        'collate_fn': {'_target_': f'{MODULE}.collate', '_partial_': True},
    }


def _model(chosen: EsenHyperparameters) -> dict[str, Any]:
    """Return the network: a backbone and a head that gives the energy and its gradient."""
    return {
        '_target_': 'fairchem.core.models.base.HydraModel',
        'backbone': {
            'model': 'fairchem.core.models.uma.escn_md.eSCNMDBackbone',
            'max_num_elements': N_ELEMENTS,
            'sphere_channels': chosen.n_channels,
            'lmax': chosen.max_l,
            'mmax': chosen.max_m,
            'otf_graph': True,
            'max_neighbors': chosen.maximum_neighbours,
            # As in the calculator: a film that is open along z has no images along z.
            'always_use_pbc': False,
            'cutoff': float(chosen.cutoff_radius),
            'edge_channels': chosen.edge_channels,
            'distance_function': 'gaussian',
            'num_distance_basis': chosen.n_radial_functions,
            'direct_forces': False,
            'regress_forces': True,
            'regress_stress': False,
            'num_layers': chosen.n_interactions,
            'hidden_channels': chosen.hidden_channels,
            'norm_type': 'rms_norm_sh',
            # Both without a grid on the sphere, so that the energy is as smooth as the publication wants it.
            'act_type': 'gate',
            'ff_type': 'spectral',
            'chg_spin_emb_type': 'rand_emb',
            'cs_emb_grad': bool(chosen.charge_column),
            'use_dataset_embedding': False,
        },
        'heads': {'efs_head': {'module': 'fairchem.core.models.uma.escn_md.MLP_EFS_Head'}},
        'pass_through_head_outputs': True,
        'otf_graph': True,
    }


def _tasks(job: TrainingJob) -> list[dict[str, Any]]:
    """Return what is learnt: energies less the atomic energies, and forces."""
    chosen: EsenHyperparameters = job.hyperparameters
    references = [0.0] * N_ELEMENTS
    for element in job.elements:
        references[atomic_numbers[element]] = float(job.atomic_energies[element])
    # Forces are the gradient of the energy, so both have one unit.
    normalizer = {
        '_target_': 'fairchem.core.modules.normalization.normalizer.Normalizer',
        'mean': 0.0,
        'rmsd': force_scale(job.training_set),
    }

    def task(*, kind: str, level: str, dimension: int, loss: str, weight: float, metric: str) -> dict[str, Any]:
        return {
            '_target_': f'{MLIP_UNIT}.Task',
            'name': kind,
            'level': level,
            'property': kind,
            'loss_fn': {
                '_target_': 'fairchem.core.modules.loss.DDPMTLoss',
                'loss_fn': {'_target_': f'fairchem.core.modules.loss.{loss}'},
                'coefficient': float(weight),
            },
            'out_spec': {'dim': [dimension], 'dtype': job.precision.value},
            'normalizer': normalizer,
            'datasets': [chosen.task_name],
            'metrics': [metric],
        }

    energy = task(
        kind='energy',
        level='system',
        dimension=1,
        loss='PerAtomMAELoss',
        weight=chosen.energy_weight,
        metric='per_atom_mse',
    )
    energy['element_references'] = {
        '_target_': 'fairchem.core.modules.normalization.element_references.ElementReferences',
        'element_references': {'_target_': 'torch.DoubleTensor', '_args_': [references]},
    }
    forces = task(kind='forces', level='atom', dimension=3, loss='L2NormLoss', weight=chosen.force_weight, metric='mse')
    return [energy, forces]
