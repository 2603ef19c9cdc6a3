from __future__ import annotations

import ast
from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.architectures.base import HyperparameterError, TrainingJobError
from aiida_edl.architectures.bindings import DEVICE
from aiida_edl.architectures.mace_polar import MacePolar, MacePolarHyperparameters
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.testing import example_job
from aiida_edl.science.formats.extended_xyz import KeyMapping, read_extended_xyz


@pytest.fixture
def job():
    return example_job(MacePolar())


def options(job) -> dict[str, str]:
    (command,) = MacePolar().commands(job)
    return dict(argument.removeprefix('--').split('=', 1) for argument in command.arguments if '=' in argument)


def test_electrostatics_are_told(job):
    chosen = MacePolarHyperparameters(n_recursions=2, multipole_smearing_width=2.5, field_widths=(2.0, 4.0))
    given = options(replace(job, hyperparameters=chosen))
    assert given['model'] == 'PolarMACE'
    assert given['num_recursion_steps'] == '2'
    assert given['atomic_multipoles_smearing_width'] == '2.5'
    assert ast.literal_eval(given['field_feature_widths']) == [2.0, 4.0]


def test_interaction_is_the_one_with_which_a_model_can_be_a_parent(job):
    given = options(job)
    assert given['interaction'] == given['interaction_first'] == 'RealAgnosticResidualNonLinearInteractionBlock'


def read_training_set(job, tmp_path, **keys):
    (tmp_path / 'a.xyz').write_bytes(MacePolar().training_files(job)['training.xyz'])
    return read_extended_xyz(tmp_path / 'a.xyz', KeyMapping(energy='REF_energy', forces='REF_forces', **keys))


def test_film_is_trained_as_a_periodic_one(job, tmp_path):
    assert not job.training_set.pbc.all()
    assert read_training_set(job, tmp_path).pbc.all()


def test_film_is_run_as_it_was_trained():
    recipe = MacePolar().bindings['ase'].recipe('mace_polar.model', DEVICE, Precision.DOUBLE)
    assert recipe['is_fully_periodic'] is True
    assert recipe['keyword_arguments']['model_type'] == 'PolarMACE'


def test_film_without_enough_vacuum_is_refused(job):
    chosen = MacePolarHyperparameters(cutoff_radius=18.0)
    with pytest.raises(TrainingJobError, match=r'^frame 0 has 16\.\d\d Å of vacuum along its open cell vector 2, less'):
        MacePolar().training_files(replace(job, hyperparameters=chosen))


def test_total_charge_is_told_only_if_asked_for(job, tmp_path):
    charged = replace(job, training_set=job.training_set.with_columns(charge=-2.0))
    assert b'total_charge' not in MacePolar().training_files(charged)['training.xyz']
    charged = replace(
        charged,
        validation_set=job.validation_set.with_columns(charge=-2.0),
        hyperparameters=MacePolarHyperparameters(charge_column='charge'),
    )
    read = read_training_set(charged, tmp_path, columns={'total_charge': 'told'})
    np.testing.assert_array_equal(read.columns['told'], np.full(len(job.training_set), -2.0))


def test_total_charge_that_the_frames_lack_is_refused(job):
    chosen = MacePolarHyperparameters(charge_column='total_charge')
    message = "the frames lack the column 'total_charge' of the total charge; they have: charge_state"
    with pytest.raises(TrainingJobError, match=f'^{message}$'):
        MacePolar().training_files(replace(job, hyperparameters=chosen))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (
            {'multipole_smearing_width': 0.0},
            "hyperparameter 'multipole_smearing_width' of mace_polar is 0.0, it must be positive",
        ),
        ({'n_recursions': -1}, "hyperparameter 'n_recursions' of mace_polar is -1, it must not be negative"),
        ({'field_widths': ()}, "hyperparameter 'field_widths' of mace_polar is (), it must be positive"),
        ({'multipole_max_l': 2}, "hyperparameter 'multipole_max_l' of mace_polar is 2, it must be 0 or 1"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(HyperparameterError) as caught:
        MacePolarHyperparameters(**values)
    assert str(caught.value) == message
