"""Evaluation: what is refused, what is staged, and a whole run with the toy potential."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import FolderData
from aiida.plugins import CalculationFactory
from calculation_cases import (
    ATOMIC_ENERGIES,
    dataset,
    evaluation_inputs,
    labelled_frames,
    potential,
    refusal,
    split,
    stage,
)
from toy.least_squares import LeastSquares

from aiida_edl.calculations.models import LONG_RANGE_MODULES, model_of_potential, with_long_range
from aiida_edl.science.frames import FrameSet

ENTRY_POINT = 'edl.evaluation'


def test_element_that_the_potential_does_not_know_is_refused(python_code):
    inputs = evaluation_inputs(python_code, potential=potential(('H', 'O', 'Au')))
    assert refusal(ENTRY_POINT, inputs) == (
        'the frames hold Na, the potential knows H, O, Au; use a potential trained for all elements'
    )


def test_energies_of_atoms_are_refused_of_an_engine_that_has_none(lammps_code):
    model = potential(architecture='deep_potential', model_format='savedmodeltf')
    inputs = evaluation_inputs(lammps_code, engine='lammps', potential=model, atomic_energies=True)
    assert refusal(ENTRY_POINT, inputs) == (
        "energies of atoms are asked for, which engine 'lammps' does not give; leave atomic_energies out or use "
        "engine 'ase'"
    )


@pytest.mark.parametrize('wanted', [None, False, True])
def test_job_is_the_same_unless_energies_of_atoms_are_asked_for(python_code, monkeypatch, tmp_path, wanted):
    binding = replace(LeastSquares.bindings['ase'], atomic_energies='ase')
    monkeypatch.setattr(LeastSquares, 'bindings', {**LeastSquares.bindings, 'ase': binding})
    stage(ENTRY_POINT, tmp_path, evaluation_inputs(python_code, atomic_energies=wanted))
    document = json.loads((tmp_path / 'evaluate.json').read_text())
    known = {'recipe', 'frames', 'predictions', 'energy_shifts', 'walltime_seconds'}
    assert set(document) == known | ({'atomic_energies'} if wanted else set())


def test_modules_that_a_binding_names_travel_with_the_job(python_code, monkeypatch, tmp_path):
    name = 'aiida_edl.science.electrostatics.slab_correction'
    binding = replace(LeastSquares.bindings['ase'], modules=(name,))
    monkeypatch.setattr(LeastSquares, 'bindings', {**LeastSquares.bindings, 'ase': binding})
    stage(ENTRY_POINT, tmp_path, evaluation_inputs(python_code))
    shipped = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / 'aiida_edl').rglob('*.py')}
    assert {'aiida_edl/__init__.py', f'{name.replace(".", "/")}.py'} <= shipped


def test_modules_of_a_binding_and_of_electrostatics_are_both_there(monkeypatch):
    name = 'aiida_edl.science.reference_model'
    binding = replace(LeastSquares.bindings['ase'], modules=(name,))
    monkeypatch.setattr(LeastSquares, 'bindings', {**LeastSquares.bindings, 'ase': binding})
    model = model_of_potential(potential(), 'ase', 'cpu')
    values = {'charges': {'O': -0.8}, 'balanced_by': 'Au', 'summation': {'method': 'direct'}}
    both = with_long_range(model, 'ase', values).files
    assert f'{name.replace(".", "/")}.py' in both
    assert f'{LONG_RANGE_MODULES[0].replace(".", "/")}.py' in both


def test_unknown_subset_is_refused(python_code):
    message = refusal(ENTRY_POINT, evaluation_inputs(python_code, subset='tests'))
    assert message == "unknown subset 'tests': did you mean 'test'? Known: test, training, validation."


def test_empty_subset_is_refused(python_code):
    message = refusal(ENTRY_POINT, evaluation_inputs(python_code, split=split(test=[])))
    assert message == "the subset 'test' of the split is empty, there is nothing to evaluate"


def test_split_of_another_dataset_is_refused(python_code):
    message = refusal(ENTRY_POINT, evaluation_inputs(python_code, split=split(test=[40])))
    assert message == "the array 'test' of the split holds indices 40 to 40, the dataset has 10 frames"


def test_potential_of_an_architecture_that_is_not_installed_is_refused(python_code):
    inputs = evaluation_inputs(python_code, potential=potential(architecture='mice'))
    assert refusal(ENTRY_POINT, inputs).startswith("unknown architecture 'mice': did you mean 'mace'? Known: ")


def test_precision_in_which_the_model_cannot_be_run_is_refused(python_code):
    inputs = evaluation_inputs(python_code, potential=potential(architecture='deep_potential'), precision='float32')
    assert refusal(ENTRY_POINT, inputs) == (
        "precision is 'float32', but ase runs deep_potential in the precision of its training, 'float64'; "
        'leave precision out or train anew'
    )


def test_format_that_the_engine_does_not_load_is_refused(python_code):
    inputs = evaluation_inputs(python_code, potential=potential(architecture='deep_potential', model_format='dp'))
    assert refusal(ENTRY_POINT, inputs) == (
        "the potential is in the format 'dp', ase loads deep_potential in native, savedmodeltf; convert it first"
    )


def test_code_of_another_kind_is_refused(lammps_code):
    assert refusal(ENTRY_POINT, evaluation_inputs(lammps_code)) == (
        "code 'lammps@localhost' runs 'lmp', but architecture 'least_squares' needs the Python interpreter of an "
        'environment; install it with: pip install ase'
    )


def test_charge_that_the_binding_has_no_place_for_is_refused(python_code):
    charged = dataset(labelled_frames().with_columns(total_charge=np.ones(10)))
    inputs = evaluation_inputs(python_code, dataset=charged, potential=potential(total_charge_column='total_charge'))
    assert refusal(ENTRY_POINT, inputs) == (
        'the potential takes the total charge of a frame, which engine ase cannot pass on to it; add it to the info of '
        "its binding 'ase'"
    )


def test_frame_that_an_engine_cannot_take_is_refused_before_submission(lammps_code):
    frames = labelled_frames()
    left_handed = replace(frames, cells=frames.cells[:, [1, 0, 2]])
    model = potential(architecture='deep_potential', model_format='savedmodeltf')
    inputs = evaluation_inputs(lammps_code, dataset=dataset(left_handed), engine='lammps', potential=model)
    assert refusal(ENTRY_POINT, inputs) == (
        'the volume of the cell is -1134 Å³, engine lammps needs a right-handed cell: exchange two cell vectors, or '
        'give the missing ones'
    )


def test_device_is_checked(python_code):
    message = refusal(ENTRY_POINT, evaluation_inputs(python_code, device='tpu'))
    assert message == "device is 'tpu', it must be one of cpu, cuda"


def test_frames_of_the_subset_are_staged_without_labels(python_code, tmp_path):
    inputs = evaluation_inputs(python_code)
    calc_info = stage(ENTRY_POINT, tmp_path, inputs)
    staged = FrameSet.from_npz(tmp_path / 'frames.npz')
    np.testing.assert_array_equal(staged.positions, labelled_frames().select([5, 9]).positions)
    assert (staged.energies, staged.forces, dict(staged.columns)) == (None, None, {})
    assert calc_info.provenance_exclude_list == ['frames.npz']
    assert calc_info.local_copy_list == [
        (inputs['potential'].uuid, 'least_squares_calculator.py', 'least_squares_calculator.py')
    ]
    document = json.loads((tmp_path / 'evaluate.json').read_text())
    assert document['energy_shifts'] == ATOMIC_ENERGIES
    assert document['recipe']['module'] == 'least_squares_calculator'
    assert document['walltime_seconds'] is None


def test_all_frames_are_staged_without_a_split(python_code, tmp_path):
    stage(ENTRY_POINT, tmp_path, evaluation_inputs(python_code, split=None))
    assert len(FrameSet.from_npz(tmp_path / 'frames.npz')) == 10


def test_atomic_energies_are_not_added_twice(python_code, tmp_path):
    stage(ENTRY_POINT, tmp_path, evaluation_inputs(python_code, potential=potential(embeds_atomic_energies=True)))
    assert json.loads((tmp_path / 'evaluate.json').read_text())['energy_shifts'] == {}


def test_checkpoint_is_copied_beside_the_model(python_code, tmp_path):
    checkpoint = FolderData()
    for name in ('predictions_partial.npz', 'failures.json'):
        checkpoint.base.repository.put_object_from_filelike(io.BytesIO(b'content'), name)
    calc_info = stage(ENTRY_POINT, tmp_path, evaluation_inputs(python_code, checkpoint=checkpoint))
    assert [target for _, _, target in calc_info.local_copy_list] == [
        'least_squares_calculator.py',
        'failures.json',
        'predictions_partial.npz',
    ]


def test_toy_potential_is_evaluated_on_the_test_frames(python_code):
    inputs = evaluation_inputs(python_code)
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.is_finished_ok, node.exit_message
    predictions, summary = results['predictions'], results['evaluation_summary'].get_dict()
    assert predictions.get_array('frame_indices').tolist() == [5, 9]
    assert predictions.get_array('offsets').tolist() == [0, 8, 16]
    assert predictions.get_array('forces').shape == (16, 3)
    assert predictions.get_array('converged').all()
    # the toy model gives a small correction to the atomic energies
    frames = dataset().frames().select([5, 9])
    assert np.abs(predictions.get_array('energies') - frames.energies).max() < 5.0
    assert (summary['n_frames'], summary['n_converged'], summary['failures']) == (2, 2, {})
    assert summary['level_of_theory'] == 'least_squares potential trained on charge states 0, 2Na of Lennard-Jones'
    assert 'frames.npz' not in node.base.repository.list_object_names()
    assert 'evaluate_model.py' in node.base.repository.list_object_names()


@pytest.mark.parametrize('walltime', [None, 600])
def test_walltime_of_the_job_is_told_to_the_driver(python_code, tmp_path, walltime):
    options = {} if walltime is None else {'max_wallclock_seconds': walltime}
    stage(ENTRY_POINT, tmp_path, evaluation_inputs(python_code, metadata={'options': options}))
    written = json.loads((tmp_path / 'evaluate.json').read_text())['walltime_seconds']
    assert written == (None if walltime is None else 540.0)
