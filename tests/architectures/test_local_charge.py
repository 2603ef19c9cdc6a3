"""The adapter of the local-charge model: what its trainer is told, and what is refused."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.architectures.base import HyperparameterError, TrainingJobError
from aiida_edl.architectures.fine_tuning import FineTuning, ParentModel
from aiida_edl.architectures.local_charge import OF_MODEL, LocalCharge, LocalChargeHyperparameters
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.protocols import hyperparameter_protocol
from aiida_edl.architectures.testing import example_frames, example_job
from aiida_edl.science.electrostatics.charge_models.model_settings import LocalChargeSettings
from aiida_edl.science.frames import FrameSet

ARCHITECTURE = LocalCharge()


def job_of(pbc=(True, True, False), columns=None, **chosen):
    """Return a job with frames of a periodicity and with columns."""
    sets = {
        name: replace(frames, pbc=np.tile(pbc, (len(frames), 1)), columns={}).with_columns(**(columns or {}))
        for name, frames in (('training_set', example_frames(8, 1)), ('validation_set', example_frames(2, 2)))
    }
    return example_job(ARCHITECTURE, **sets, hyperparameters=ARCHITECTURE.make_hyperparameters(chosen))


def told(job) -> dict:
    return json.loads(ARCHITECTURE.training_files(job)['local_charge.json'])


def refusal(job) -> str:
    with pytest.raises(TrainingJobError) as caught:
        ARCHITECTURE.training_files(job)
    return str(caught.value)


def test_each_hyperparameter_reaches_the_trainer():
    document = told(job_of())
    fields = set(LocalChargeHyperparameters.__dataclass_fields__) - {'charge_column'}
    assert fields <= {*document['model'], *document['training']}
    assert set(OF_MODEL) | {'atomic_numbers', 'atomic_energies', 'energy_scale'} == set(document['model'])


def test_model_is_told_elements_energies_and_scale():
    job = job_of()
    model = LocalChargeSettings.from_dict(told(job)['model'])
    assert dict(zip(model.atomic_numbers, model.atomic_energies)) == {1: -1.5, 8: -2.5, 11: -0.5, 79: -3.5}
    assert model.energy_scale == pytest.approx(np.sqrt(np.mean(job.training_set.forces**2)), rel=1e-12)


def test_modules_of_the_model_travel_with_the_job():
    files = ARCHITECTURE.training_files(job_of())
    assert 'aiida_edl/science/electrostatics/charge_models/local_charges.py' in files
    assert 'aiida_edl/science/electrostatics/torch_summation.py' in files
    assert b'import aiida\n' not in b''.join(files.values())
    binding = ARCHITECTURE.bindings['ase']
    assert binding.modules == (binding.module,)


def test_total_charge_is_handed_over():
    job = job_of(columns={'net': 2.0}, charge_column='net')
    frames = FrameSet.from_npz(io.BytesIO(ARCHITECTURE.training_files(job)['training.npz']))
    assert set(frames.columns['total_charge']) == {2.0}
    assert ARCHITECTURE.total_charge_column(job.hyperparameters) == 'net'
    assert ARCHITECTURE.total_charge_column(LocalChargeHyperparameters()) is None


def test_wire_is_refused_unless_there_are_no_charges():
    message = (
        'frame 0 of the training set is periodic along one cell vector, whose sum local_charge does not know; make it '
        "periodic along all, or set 'charges' to 'none'"
    )
    assert refusal(job_of((True, False, False))) == message
    assert ARCHITECTURE.training_files(job_of((True, False, False), charges='none'))


def test_film_with_another_exponent_is_refused():
    assert refusal(job_of(exponents=[1, 6])) == (
        'frame 0 of the training set is a film, for which local_charge knows the exponent 1 alone, and not [1, 6]; '
        "make it periodic along all cell vectors, or set 'exponents' to [1]"
    )


@pytest.mark.parametrize(
    'changes',
    [{'neutrality': 'none'}, {'columns': {'net': 1.0}, 'charge_column': 'net'}],
    ids=['free charges', 'charged cell'],
)
def test_third_power_needs_neutral_cells(changes):
    assert refusal(job_of((True, True, True), exponents=[1, 3], **changes)) == (
        'frame 0 of the training set is periodic and its charges need not sum to zero, but the sum of 1/r³ over images '
        "exists for neutral frames alone; leave the exponent 3 out, or set 'neutrality' to 'shift' and take neutral or "
        'open frames'
    )
    assert ARCHITECTURE.training_files(job_of((False, False, False), exponents=[1, 3], **changes))


def test_third_power_takes_neutral_cells():
    assert ARCHITECTURE.training_files(job_of((True, True, True), exponents=[1, 3]))


def test_first_charges_are_one_for_each_element():
    assert told(job_of(first_charges=[0.3, -0.6, 1.0, 0.0]))['model']['first_charges'] == [0.3, -0.6, 1.0, 0.0]
    assert refusal(job_of(first_charges=[0.3])) == (
        "hyperparameter 'first_charges' of local_charge has 1 charges for the elements ['H', 'O', 'Na', 'Au']; give "
        'one for each, or none'
    )


def test_a_parent_is_refused():
    parent = ParentModel('local_charge', 'p.pt', ('H', 'O', 'Na', 'Au'), 3.0, 1, Precision.DOUBLE, {})
    job = replace(job_of(), parent=parent, fine_tuning=FineTuning())
    assert refusal(job) == "local_charge has no fine-tuning mode 'naive'; it has: none"


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'charges': 'specie'}, "unknown charges 'specie': did you mean 'species'"),
        ({'exponents': [7]}, r'exponents is \[7\], it must list whole numbers from 1 to 6, each once'),
        ({'cutoff_width': 3.5}, "'cutoff_width' of local_charge is 3.5, it must not exceed cutoff_radius, 3.0"),
        ({'smearing': 0.0}, "'smearing' of local_charge is 0.0, it must be positive"),
        ({'schedule': 'cosine'}, "'schedule' of local_charge is 'cosine', it must be one_cycle or constant"),
        ({'charge_weight': 1.0}, "'charge_weight' of local_charge are 'shift' and 1.0; a positive weight goes with"),
        ({'neutrality': 'loss'}, "'charge_weight' of local_charge are 'loss' and 0.0; a positive weight goes with"),
        ({'charges': 'none', 'charge_column': 'net'}, "is 'net', but the model has no charges; leave it out, or set"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(changes, message):
    with pytest.raises(HyperparameterError, match=message):
        ARCHITECTURE.make_hyperparameters(changes)


def test_paper_has_three_powers_and_excludes_neighbours():
    chosen = ARCHITECTURE.make_hyperparameters(hyperparameter_protocol('local_charge', 'paper_c'))
    assert chosen.exponents == (1, 3, 6)
    assert (chosen.cutoff_radius, chosen.cutoff_width, chosen.smearing) == (3.0, 0.5, 1.0)
    assert chosen.excludes_neighbours
    assert chosen.hidden_layers == (256, 256, 256)
