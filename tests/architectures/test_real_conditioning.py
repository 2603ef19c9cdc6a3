"""Conditioned models learn from charge stencils of the classical reference what plain ones cannot; trained for real."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from architectures.test_real_training import predictions
from electrode_cases import MODEL, run_lammps
from toy.training import ELEMENTS, train
from toy.training_cases import training_case

from aiida_edl.architectures.base import TrainingJob, TrainingOutcome
from aiida_edl.md_engines.base import MDJob, MDSettings
from aiida_edl.md_engines.electrode import ElectrodeEngine
from aiida_edl.md_engines.electrode_labels import ARGUMENTS, label_files, plan_labels, read_labels
from aiida_edl.registry import ARCHITECTURES, load_member
from aiida_edl.science.analysis.charge_response_errors import compared_responses, response_rows
from aiida_edl.science.charge_stencil import StencilSettings, charge_stencil
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.structures.metal_water_interface import InterfaceSettings, build_interface

pytestmark = pytest.mark.slow

OFFSETS = (-0.5, 0.0, 0.5)
CELL = InterfaceSettings(repeat=(2, 2, 3), n_water=3, n_ions=1, ion_window=(3.0, 5.0), seed=5)
"""A monolayer: every atom sees the metal within the cutoff radius, which tells a local model where the field points."""
DYNAMICS = MDSettings(
    steps=800, equilibration_steps=800, sampling_interval=400, seed=3, fixed_elements=('Au',), wall_height=7.0
)
ZERO = dict.fromkeys(ELEMENTS, 0.0)
CASES = {
    'deep_potential': {
        'gradient_updates': 450,
        'hyperparameters': {
            'batch_size': 1,
            'cutoff_radius': 6.0,
            'embedding_network': [8, 16],
            'n_axis_neurons': 4,
            'fitting_network': [32, 32],
            'learning_rate': 0.01,
            'learning_rate_ratio': 0.02,
            'final_force_prefactor': 100.0,
            'n_evaluations': 3,
        },
    },
    'mace': {
        'gradient_updates': 900,
        'hyperparameters': {
            'batch_size': 1,
            'cutoff_radius': 6.0,
            'n_channels': 8,
            'max_l': 0,
            'max_ell': 2,
            'correlation': 2,
            'n_interactions': 1,
            'radial_network': [16],
            'learning_rate': 0.03,
            'ema_decay': 0.9,
            'energy_weight': 1000.0,
            'n_evaluations': 2,
        },
    },
}


@dataclass(frozen=True)
class Errors:
    """Errors on the frames of the training."""

    energy_rmse: float
    """Root mean square error of the energy per atom, the mean error taken off [eV/atom]."""
    force_rmse: float
    """Root mean square error of force components [eV/Å]."""
    effective_charge_rmse: float
    """Root mean square error of Z* [e]."""


@pytest.fixture(scope='module')
def stencils(tmp_path_factory) -> FrameSet:
    """Return stencils of three frames of short dynamics with one ion, labelled by LAMMPS."""
    engine, folder = ElectrodeEngine(), tmp_path_factory.mktemp('reference')
    job = MDJob(build_interface(CELL).frame, DYNAMICS, MODEL.to_dict(), {})
    run_lammps(folder / 'md', engine.files(job), engine.commands(job)[0].arguments)
    trajectory = engine.read(folder / 'md', job.frame, DYNAMICS).trajectory
    assert trajectory is not None
    frames = charge_stencil(trajectory, StencilSettings(offsets=OFFSETS))
    plan = plan_labels(frames)
    run_lammps(folder / 'labels', label_files(frames, MODEL, plan), ARGUMENTS)
    labels = read_labels(folder / 'labels', frames, plan)
    assert labels.is_converged.all(), labels.failures
    return replace(frames, energies=labels.energies, forces=labels.forces)


def trained(name: str, charge_column: str, stencils: FrameSet, folder: Path) -> Errors:
    """Train a model on the stencils and return its errors on the same frames."""
    case, architecture = training_case(name), load_member(ARCHITECTURES, name)
    told = {'charge_column': charge_column} if charge_column else {}
    job = TrainingJob(
        training_set=stencils,
        validation_set=stencils.select(range(3)),
        elements=ELEMENTS,
        hyperparameters=architecture.make_hyperparameters({**CASES[name]['hyperparameters'], **told}),
        atomic_energies=ZERO,
        gradient_updates=CASES[name]['gradient_updates'],
        seed=11,
    )
    folder.mkdir()
    result = train(architecture, job, folder, str(case.python), timeout=1200.0)
    assert result.outcome is TrainingOutcome.FINISHED, result.message
    energies, forces = predictions(case, architecture, folder, result.model_path, stencils, job=job)
    if not architecture.embeds_atomic_energies:
        energies = energies - energies_added(stencils)
    return errors_of(stencils, energies, forces)


def errors_of(stencils: FrameSet, energies: np.ndarray, forces: np.ndarray) -> Errors:
    """Return the errors of predictions."""
    rows = {(row.quantity, row.element): row for row in response_rows(*compared_responses(stencils, energies, forces))}
    n_atoms = np.diff(stencils.offsets)
    return Errors(
        energy_rmse=float(np.std((energies - stencils.energies) / n_atoms)),
        force_rmse=float(np.sqrt(np.mean((forces - stencils.forces) ** 2))),
        effective_charge_rmse=rows['effective_charge', 'all'].rmse,
    )


def best_of_a_blind_model(stencils: FrameSet) -> Errors:
    """Return the errors of the mean over the charges of each geometry: no model that is told nothing is better."""
    n_charges = len(OFFSETS)
    forces = stencils.forces.reshape(-1, n_charges, stencils.offsets[1], 3).mean(axis=1)
    energies = stencils.energies.reshape(-1, n_charges).mean(axis=1)
    return errors_of(stencils, np.repeat(energies, n_charges), np.repeat(forces, n_charges, axis=0).reshape(-1, 3))


def energies_added(frames: FrameSet) -> np.ndarray:
    """Return the atomic energies that the evaluation of the tests adds [eV]."""
    from toy.training import ATOMIC_ENERGIES

    by_number = np.zeros(256)
    by_number[[1, 8, 11, 79]] = [ATOMIC_ENERGIES[symbol] for symbol in ELEMENTS]
    return np.add.reduceat(by_number[frames.numbers], frames.offsets[:-1])


@pytest.mark.parametrize('name', sorted(CASES))
def test_conditioned_model_fits_what_a_plain_one_cannot(name, stencils, tmp_path):
    if (reason := training_case(name).missing) is not None:
        pytest.skip(reason)
    plain = trained(name, '', stencils, tmp_path / 'plain')
    conditioned = trained(name, 'metal_charge', stencils, tmp_path / 'conditioned')
    floor = best_of_a_blind_model(stencils)
    found = f'floor {floor}, plain {plain}, conditioned {conditioned}'
    assert plain.force_rmse > 0.999 * floor.force_rmse, found
    assert plain.effective_charge_rmse == pytest.approx(floor.effective_charge_rmse, rel=1e-4), found
    assert conditioned.force_rmse < 0.8 * floor.force_rmse, found
    assert conditioned.energy_rmse < 0.5 * floor.energy_rmse, found
    assert conditioned.effective_charge_rmse < 0.8 * floor.effective_charge_rmse, found
