"""The adapter of MACE with electrostatics: what its trainer is told, and what is refused."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.architectures.base import HyperparameterError, TrainingJobError
from aiida_edl.architectures.electrostatic_mace import (
    ELSEWHERE,
    OF_MODEL,
    ElectrostaticMace,
    ElectrostaticMaceHyperparameters,
)
from aiida_edl.architectures.testing import example_frames, example_job
from aiida_edl.science.electrostatics.charge_models.electrostatic_settings import RUNGS, ElectrostaticSettings
from aiida_edl.science.frames import FrameSet

ARCHITECTURE = ElectrostaticMace()


def job_of(pbc=(True, True, False), columns=None, has_charges=False, **chosen):
    """Return a job with frames of a periodicity, with columns and perhaps with charges."""
    sets = {}
    for name, count, seed in (('training_set', 8, 1), ('validation_set', 2, 2)):
        frames = example_frames(count, seed)
        charges = np.linspace(-1.0, 1.0, len(frames.numbers)) if has_charges else None
        frames = replace(frames, pbc=np.tile(pbc, (count, 1)), columns={}, charges=charges)
        sets[name] = frames.with_columns(**(columns or {}))
    return example_job(ARCHITECTURE, **sets, hyperparameters=ARCHITECTURE.make_hyperparameters(chosen))


def told(job) -> dict:
    return json.loads(ARCHITECTURE.training_files(job)['electrostatic_mace.json'])


def refusal(job) -> str:
    with pytest.raises(TrainingJobError) as caught:
        ARCHITECTURE.training_files(job)
    return str(caught.value)


def test_each_hyperparameter_reaches_the_trainer():
    document = told(job_of())
    fields = set(ElectrostaticMaceHyperparameters.__dataclass_fields__) - set(ELSEWHERE)
    assert fields <= {*document['model'], *document['training']}
    of_data = {
        'atomic_numbers',
        'atomic_energies',
        'energy_scale',
        'average_neighbours',
        'formal_charges',
        'balanced_by',
    }
    assert set(OF_MODEL) | of_data == set(document['model'])


@pytest.mark.parametrize('rung', RUNGS)
def test_every_rung_can_be_asked_for(rung):
    job = job_of(electrostatics=rung, formal_charges=[0.4, -0.8, 1.0, 0.0], balanced_by='Au')
    model = ElectrostaticSettings.from_dict(told(job)['model'])
    assert (model.electrostatics, model.formal_charges, model.balanced_by) == (rung, (0.4, -0.8, 1.0, 0.0), 79)
    assert ARCHITECTURE.has_electrostatics(job.hyperparameters) == (rung != 'none')


def test_model_is_told_elements_energies_scale_and_neighbours():
    job = job_of()
    model = ElectrostaticSettings.from_dict(told(job)['model'])
    assert dict(zip(model.atomic_numbers, model.atomic_energies)) == {1: -1.5, 8: -2.5, 11: -0.5, 79: -3.5}
    assert model.energy_scale == pytest.approx(np.sqrt(np.mean(job.training_set.forces**2)), rel=1e-12)
    assert 1.0 < model.average_neighbours < 100.0


def test_modules_of_the_model_travel_with_the_job():
    files = ARCHITECTURE.training_files(job_of())
    for name in ('rungs/scf.py', 'mace_backbone.py', 'training_loop.py', 'charge_equilibration.py'):
        assert f'aiida_edl/science/electrostatics/charge_models/{name}' in files
    assert b'import aiida\n' not in b''.join(files.values())
    binding = ARCHITECTURE.bindings['ase']
    assert binding.modules == (binding.module,)


def test_total_charge_is_handed_over():
    job = job_of(columns={'net': 2.0}, charge_column='net', electrostatics='qeq')
    frames = FrameSet.from_npz(io.BytesIO(ARCHITECTURE.training_files(job)['training.npz']))
    assert set(frames.columns['total_charge']) == {2.0}
    assert ARCHITECTURE.total_charge_column(job.hyperparameters) == 'net'
    assert ARCHITECTURE.total_charge_column(ElectrostaticMaceHyperparameters()) is None


def test_charges_are_handed_over_only_if_they_are_learnt():
    for weight in (0.0, 1.0):
        job = job_of(has_charges=True, charge_weight=weight)
        frames = FrameSet.from_npz(io.BytesIO(ARCHITECTURE.training_files(job)['training.npz']))
        assert (frames.charges is not None) == bool(weight)


def test_missing_charges_are_refused():
    assert refusal(job_of(charge_weight=1.0)) == (
        "hyperparameter 'charge_weight' of electrostatic_mace is 1.0, but the training set has no charges of atoms; "
        'label them, or leave it out'
    )


def test_dipoles_and_potentials_are_handed_over():
    columns = {'dipole_z': 0.5, 'electrode': -1.0, 'dipole_x': 9.0}
    weights = {'dipole_weight': 1.0, 'potential_weight': 2.0, 'potential_column': 'electrode'}
    job = job_of(columns=columns, electrostatics='qeq', **weights)
    frames = FrameSet.from_npz(io.BytesIO(ARCHITECTURE.training_files(job)['training.npz']))
    assert {name: set(values) for name, values in frames.columns.items()} == {'dipole_z': {0.5}, 'potential': {-1.0}}


def test_missing_column_is_refused():
    assert refusal(job_of(electrostatics='qeq', dipole_weight=1.0)) == (
        "the training set has no column 'dipole_z', or it is not finite in every frame; electrostatic_mace is to learn "
        'from it: label it, or leave its weight out'
    )


def test_wire_is_refused_unless_there_are_no_charges():
    message = (
        'frame 0 of the training set is periodic along one cell vector, whose sum electrostatic_mace does not know; '
        "make it periodic along all, or set 'electrostatics' to 'none'"
    )
    assert refusal(job_of((True, False, False))) == message
    assert ARCHITECTURE.training_files(job_of((True, False, False), electrostatics='none'))


def test_charged_frames_are_not_taken_as_neutral():
    assert refusal(job_of(columns={'total_charge': 1.0}, electrostatics='qeq')) == (
        'frame 0 of the training set has a total_charge, but electrostatic_mace is told none and would take it as '
        "neutral; set 'charge_column' to 'total_charge'"
    )


def test_formal_charges_are_one_for_each_element():
    assert refusal(job_of(formal_charges=[0.3])) == (
        "hyperparameter 'formal_charges' of electrostatic_mace has 1 charges for the elements ['H', 'O', 'Na', 'Au']; "
        'give one for each, or none'
    )


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'electrostatics': 'locl'}, "unknown electrostatics 'locl': did you mean 'local'"),
        ({'electrostatics': 'fixed'}, "electrostatics is 'fixed' and no element has a formal charge"),
        ({'electrostatics': 'qeq', 'has_dipoles': True}, "has_dipoles is given with electrostatics 'qeq'"),
        ({'has_dipoles': True, 'max_l': 0}, 'has_dipoles needs features that are vectors, max_l is 0'),
        ({'charge_width': 0.0}, "'charge_width' of electrostatic_mace is 0.0, it must be positive"),
        ({'mixing': 1.5}, "'mixing' of electrostatic_mace is 1.5, it must not exceed 1"),
        ({'schedule': 'cosine'}, "'schedule' of electrostatic_mace is 'cosine', it must be one_cycle or constant"),
        ({'balanced_by': 'Gd2'}, "'balanced_by' of electrostatic_mace is 'Gd2', which is no element"),
        ({'electrostatics': 'none', 'charge_weight': 1.0}, "is 1.0, but 'none' learns no charges"),
        ({'electrostatics': 'latent', 'charge_column': 'net'}, "nothing binds the charges of 'latent' to a total"),
        ({'electrostatics': 'fixed', 'formal_charges': [1.0], 'dipole_weight': 1.0}, "is 1.0, but 'fixed' learns no"),
        ({'potential_weight': 1.0}, "'local' has no potential of the electrode; leave it out, or take qeq or scf or"),
        ({'electrostatics': 'qeq', 'potential_weight': 1.0}, "are 1.0 and ''; give both or none"),
        (
            {'electrostatics': 'qeq', 'potential_weight': 1.0, 'potential_column': 'metal_potential'},
            'which LAMMPS reports without a term of its slab correction',
        ),
        ({'dipole_axes': 'zz'}, "'dipole_axes' of electrostatic_mace is 'zz', it must name components"),
        ({'charge_column': 'metal_charge'}, 'its atomic charges add up to that of the whole cell'),
    ],
)
def test_hyperparameters_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(HyperparameterError, match=message):
        ARCHITECTURE.make_hyperparameters(changes)
