"""Lithium fluoride in miniature with real engines: a small MACE that knows the crystal, labels by GFN1-xTB."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, Int, List, Str
from ase import Atoms
from ase.build import bulk
from toy.training_cases import training_case

from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb
from aiida_edl.workflows.training import TrainingWorkChain

CASE = training_case('mace')
OPTIONS = {'environment_variables': {'OMP_NUM_THREADS': '1'}}
LATTICE_CONSTANT = 4.03
"""Of LiF [Å]."""
HYPERPARAMETERS = {**CASE.training['hyperparameters'], 'n_evaluations': 2}
GRADIENT_UPDATES = CASE.training['gradient_updates']


def cells(n_frames: int, has_interstitial: bool, spread: float, seed: int) -> DatasetData:
    """Return cells of eight atoms, rattled by Gaussian displacements [Å], with one further Li or without."""
    crystal = bulk('LiF', 'rocksalt', a=LATTICE_CONSTANT, cubic=True)
    if has_interstitial:
        crystal += Atoms('Li', positions=[[0.25 * LATTICE_CONSTANT] * 3])
    generator = np.random.default_rng(seed)
    positions = [crystal.positions + generator.normal(0, spread, crystal.positions.shape) for _ in range(n_frames)]
    frames = [
        Frame(crystal.numbers.astype(np.uint8), place, np.array(crystal.cell), np.array(crystal.pbc))
        for place in positions
    ]
    return DatasetData.from_frames(FrameSet.from_frames(frames), origin='built').store()


def labelled(frames: DatasetData, code: Any) -> DatasetData:
    """Return frames labelled by GFN1-xTB.

    :param frames: the frames.
    :param code: interpreter that has tblite.
    """
    _, node = run_get_node(
        LabellingWorkChain,
        dataset=frames,
        engine=Str('ase_calculator'),
        code=code,
        model_parameters=Dict(gfn1_xtb()),
        options=Dict(OPTIONS),
    )
    assert 'dataset' in node.outputs, node.exit_message
    return node.outputs.dataset


def trained(dataset: DatasetData, n_training: int, code: Any) -> PotentialData:
    """Return a potential that has seen the first frames of a set; the rest is its validation.

    :param dataset: labelled frames.
    :param n_training: training frames.
    :param code: interpreter of the trainer.
    """
    parts = {
        'training': np.arange(n_training),
        'validation': np.arange(n_training, dataset.n_frames),
        'test': np.zeros(0, dtype=int),
    }
    split = ArrayData(parts).store()
    _, node = run_get_node(
        TrainingWorkChain,
        training={
            'dataset': dataset,
            'split': split,
            'architecture': Str('mace'),
            'hyperparameters': Dict(HYPERPARAMETERS),
            'seed': Int(1),
            'elements': List(['Li', 'F']),
            'atomic_energies': fit_atomic_energies(dataset, split=split),
            'gradient_updates': Int(GRADIENT_UPDATES),
            'code': code,
            'metadata': {'options': OPTIONS},
        },
    )
    assert node.exit_status == 0, node.exit_message
    return node.outputs.potential
