"""A strictly local potential of molten salt with its electrostatics: trained, compared and run in ASE and LAMMPS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, Int, List, Str
from electrostatics_cases import salt
from lammps_cases import SAVED_MODEL, environment, missing

from aiida_edl.calculations.functions.tune_long_range import tune_long_range
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.converged_sum import converged_settings
from aiida_edl.science.electrostatics.pairs import neighbour_pairs
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.conversion import ConversionWorkChain
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.parity import ParityWorkChain
from aiida_edl.workflows.training import TrainingWorkChain

ABSENT = missing('engines', 'deepmd_lammps')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(ABSENT is not None, reason=str(ABSENT))]

ELEMENTS = ['Na', 'Cl']
CHARGES = {'Na': 1.0, 'Cl': -1.0}
STRENGTH = {(11, 11): 424.0, (11, 17): 1256.0, (17, 17): 3488.0}
"""b c exp((σ+σ')/ρ) of M. P. Tosi and F. G. Fumi, J. Phys. Chem. Solids 25, 45 (1964) [eV]."""
DECAY = 0.317
"""Its ρ [Å]."""
CUTOFF = 4.5
"""Cutoff radius of the potential, which pairs of charges share in LAMMPS [Å]."""


def labelled(seed, amplitude):
    """Return displaced NaCl with energy and forces of Born-Mayer repulsion and electrostatics."""
    perfect = salt(amplitude=0.0)
    noise = np.random.default_rng(seed).normal(scale=amplitude, size=perfect.positions.shape)
    system = replace(perfect, positions=perfect.positions + noise)
    electrostatics = CompiledSummation(converged_settings(system, 1e-9))(system)
    numbers = np.where(system.charges > 0.0, 11, 17)
    listed = neighbour_pairs(system, 8.0)
    first, second = listed.pairs.T
    vectors = system.positions[second] + listed.shifts @ system.cell - system.positions[first]
    distances = np.linalg.norm(vectors, axis=1)
    strengths = np.array([STRENGTH[tuple(sorted((numbers[i], numbers[j])))] for i, j in zip(first, second)])
    energies = strengths * np.exp(-distances / DECAY)
    pulls = -(energies / DECAY / distances)[:, None] * vectors
    forces = electrostatics.forces.copy()
    np.add.at(forces, first, pulls)
    np.add.at(forces, second, -pulls)
    return Frame(
        numbers.astype(np.uint8),
        system.positions,
        system.cell,
        system.pbc,
        energy=electrostatics.energy + float(energies.sum()),
        forces=forces,
    )


def test_labels_of_the_teacher_are_its_gradient():
    frame = labelled(1, 0.1)
    assert np.abs(frame.forces.sum(axis=0)).max() < 1e-8
    assert frame.energy / len(frame.numbers) == pytest.approx(-3.9, abs=0.2)  # lattice energy of NaCl: -3.97 eV


def test_trained_compared_and_run(aiida_code_installed):
    codes = {
        name: aiida_code_installed(label=name, filepath_executable=str(environment(name) / 'python'))
        for name in ('deepmd', 'deepmd_lammps')
    }
    lammps = aiida_code_installed(label='lmp', filepath_executable=str(environment('deepmd_lammps') / 'lmp'))
    frames = FrameSet.from_frames([labelled(seed, 0.05 + 0.005 * seed) for seed in range(40)])
    dataset = DatasetData.from_frames(frames, level_of_theory='Born-Mayer and point charges', origin='made by hand')
    asked = {'charges': CHARGES, 'force_error': 2e-6, 'cutoff_radius': CUTOFF}
    long_range = tune_long_range(dataset.store(), Dict(asked))['long_range']

    split = ArrayData({'training': np.arange(30), 'validation': np.arange(30, 34), 'test': np.arange(34, 40)})
    training = {
        'code': codes['deepmd'],
        'dataset': dataset,
        'split': split,
        'architecture': Str('deep_potential'),
        'hyperparameters': Dict(TrainingWorkChain.get_protocol_hyperparameters('deep_potential', 'fast', {})),
        'seed': Int(1),
        'gradient_updates': Int(1500),
        'elements': List(ELEMENTS),
        'atomic_energies': Dict({'Na': 0.0, 'Cl': 0.0}),
        'precision': Str('float64'),
    }
    _, trained = run_get_node(TrainingWorkChain, training=training, long_range=long_range)
    assert trained.is_finished_ok, trained.exit_message
    potential = trained.outputs.potential
    _, conversion = run_get_node(ConversionWorkChain, potential=potential, target_format=Str(SAVED_MODEL), codes=codes)
    assert conversion.is_finished_ok, conversion.exit_message
    converted = conversion.outputs.potential
    assert converted.long_range == potential.long_range

    predictions, errors = {}, None
    for name, given in {
        'ase': {'potential': potential, 'code': codes['deepmd']},
        'lammps': {'potential': converted, 'code': lammps, 'engine': Str('lammps')},
    }.items():
        inputs = {'dataset': dataset, 'split': split, **given}
        _, evaluation = run_get_node(EvaluationWorkChain, evaluation=inputs)
        assert evaluation.is_finished_ok, evaluation.exit_message
        predictions[name] = evaluation.outputs.predictions
        errors = evaluation.outputs.errors.get_dict()
    np.testing.assert_allclose(
        predictions['lammps'].get_array('forces'), predictions['ase'].get_array('forces'), atol=1e-5
    )

    structure = DatasetData.from_frames(
        FrameSet.from_frames([labelled(0, 0.05)]).without_labels(), origin='made by hand'
    )
    common = {'structure': structure, 'settings': Dict({'steps': 500, 'sampling_interval': 50, 'temperature': 300.0})}
    _, gate = run_get_node(
        ParityWorkChain,
        dataset=structure,
        potential=potential,
        code=codes['deepmd'],
        routes={
            'ase': {'engine': Str('ase'), 'code': codes['deepmd'], 'potential': potential},
            'lammps': {'engine': Str('lammps'), 'code': lammps, 'potential': converted},
        },
    )
    assert gate.is_finished_ok, gate.exit_message
    for engine, potential_to_run, code in (('ase', potential, codes['deepmd']), ('lammps', converted, lammps)):
        inputs = {**common, 'engine': Str(engine), 'potential': potential_to_run, 'code': code}
        _, run = run_get_node(MolecularDynamicsWorkChain, md=inputs, parity=gate.outputs.verdict)
        assert run.is_finished_ok, (engine, run.exit_message)
        energies = run.outputs.series.get_array('conserved_energy')
        assert np.ptp(energies) / len(structure.frame(0).numbers) < 1e-3
    assert errors['summary']['n_frames'] == 6
