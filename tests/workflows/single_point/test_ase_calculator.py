"""Single points with an ASE calculator: what is refused, what is staged, whole runs, and GFN1-xTB as it is shipped."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import FolderData
from aiida.plugins import CalculationFactory
from ase import Atoms
from ase.calculators.emt import EMT
from ase_cases import frames
from calculation_cases import (
    ATOMIC_ENERGIES,
    EMT_PARAMETERS,
    finished_node,
    labelled_frames,
    parse,
    potential,
    refusal,
    register_toy,
    single_point_inputs,
    stage,
    stored_once,
)
from electrode_cases import ENVIRONMENT, small_cell
from prediction_files import files

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb
from aiida_edl.workflows.single_point.ase_calculator.workchain import AseCalculatorSinglePointWorkChain

ENTRY_POINT = 'edl.single_point.ase_calculator'
TESTS = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def toy_architecture(monkeypatch):
    """Register the toy architecture; let jobs import the toy calculators."""
    register_toy(monkeypatch)
    monkeypatch.setenv('PYTHONPATH', str(TESTS))


@pytest.fixture
def python_code(aiida_code_installed):
    """Return the interpreter of the tests as a code."""
    return aiida_code_installed(label='python', filepath_executable=sys.executable)


def water_dimer(distance: float) -> Frame:
    """Return two water molecules, their oxygen atoms apart by a distance [Å], in a cell of 8 Å."""
    molecule = np.array([[0.0, 0.0, 0.0], [0.757, 0.586, 0.0], [-0.757, 0.586, 0.0]])
    return Frame(
        numbers=np.array([8, 1, 1, 8, 1, 1], dtype=np.uint8),
        positions=np.concatenate([molecule, molecule + np.array([0.0, 0.0, distance])]) + 2.0,
        cell=np.diag([8.0, 8.0, 8.0]),
        pbc=np.array([True, True, False]),
    )


def with_parameters(**changes):
    """Return the parameters of effective-medium theory with changes; None removes a key."""
    return {name: value for name, value in {**EMT_PARAMETERS, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        (
            with_parameters(recipe=None),
            "model_parameters need a recipe with module, attribute, keyword_arguments, given were ['level_of_theory']",
        ),
        (with_parameters(level_of_theory=''), 'model_parameters need a level_of_theory in words, given was none'),
        (
            with_parameters(recipes={}),
            "unknown key of model_parameters 'recipes': did you mean 'recipe'? Known: energy_shifts, level_of_theory, "
            'packages, pbc, recipe.',
        ),
        (with_parameters(pbc=[True, True]), 'pbc is [True, True], it must be three booleans'),
    ],
    ids=['recipe', 'level of theory', 'key', 'pbc'],
)
def test_parameters_that_describe_no_calculator_are_refused(python_code, parameters, message):
    assert refusal(ENTRY_POINT, single_point_inputs(python_code, model_parameters=parameters)) == message


def test_exactly_one_model_is_needed(python_code):
    none = refusal(ENTRY_POINT, single_point_inputs(python_code, model_parameters=None))
    both = refusal(ENTRY_POINT, single_point_inputs(python_code, potential=potential()))
    assert none == 'give either a potential or model_parameters; given were neither'
    assert both == 'give either a potential or model_parameters; given were both'


def test_code_of_another_kind_is_refused(aiida_code_installed):
    code = aiida_code_installed(label='lammps', filepath_executable='/usr/bin/lmp')
    assert refusal(ENTRY_POINT, single_point_inputs(code)) == (
        "code 'lammps@localhost' runs 'lmp', but an ASE calculator needs the Python interpreter of an environment; "
        'install it with: pip install ase'
    )


def test_labels_are_not_shown_to_the_calculator(python_code, tmp_path):
    labelled = DatasetData.from_frames(labelled_frames(2), level_of_theory='Lennard-Jones')
    inputs = single_point_inputs(python_code, dataset=labelled, model_parameters=None, potential=potential())
    calc_info = stage(ENTRY_POINT, tmp_path, inputs)
    written = FrameSet.from_npz(tmp_path / 'frames.npz')
    assert (written.energies, written.forces) == (None, None)
    assert calc_info.provenance_exclude_list == ['frames.npz']
    assert json.loads((tmp_path / 'evaluate.json').read_text())['energy_shifts'] == ATOMIC_ENERGIES


def test_frames_are_given_the_periodicity_that_was_asked_for(python_code, tmp_path):
    dataset = DatasetData.from_frames(FrameSet.from_frames([water_dimer(3.0)]))
    stage(ENTRY_POINT, tmp_path, single_point_inputs(python_code, dataset=dataset, model_parameters=gfn1_xtb()))
    assert FrameSet.from_npz(tmp_path / 'frames.npz').pbc.tolist() == [[True, True, True]]
    assert json.loads((tmp_path / 'commands.json').read_text())['packages'] == ['tblite', 'ase', 'numpy']


def test_frames_that_fail_are_listed_and_the_others_labelled(python_code):
    recipe = {
        'module': 'toy.failing_calculator',
        'attribute': 'UnconvergedCalculator',
        'keyword_arguments': {},
        'environment': {},
    }
    inputs = single_point_inputs(python_code, model_parameters=with_parameters(recipe=recipe))
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.is_finished_ok, node.exit_message
    labels, summary = results['labels'], results['label_summary'].get_dict()
    assert labels.get_array('converged').tolist() == [True, False, True, False]
    reason = 'CalculationFailed: SCF not converged in 500 cycles'
    assert summary['failures'] == {'1': reason, '3': reason}
    assert (summary['n_frames'], summary['n_labelled']) == (4, 2)
    assert summary['level_of_theory'] == 'effective-medium theory'
    assert summary['versions']['numpy'] == np.__version__
    frame = frames().frame(2)
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=EMT())
    assert labels.get_array('energies')[2] == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    assert labels.get_array('offsets').tolist() == [0, 4, 8, 12, 16]


def test_potential_as_teacher_bears_its_level_of_theory(python_code):
    dataset = stored_once('two frames', lambda: DatasetData.from_frames(labelled_frames(2).without_labels()))
    inputs = single_point_inputs(python_code, dataset=dataset, model_parameters=None, potential=potential())
    outputs, exit_code = parse(ENTRY_POINT, finished_node(ENTRY_POINT, inputs, files()))
    assert exit_code is None
    assert outputs['label_summary']['level_of_theory'] == (
        'least_squares potential trained on charge states 0, 2Na of Lennard-Jones'
    )


def test_checkpoint_of_an_interrupted_run_is_staged(python_code, tmp_path):
    checkpoint = FolderData()
    checkpoint.base.repository.put_object_from_bytes(b'content', 'predictions_partial.npz')
    calc_info = stage(ENTRY_POINT, tmp_path, single_point_inputs(python_code, checkpoint=checkpoint))
    assert calc_info.local_copy_list == [(checkpoint.uuid, 'predictions_partial.npz', 'predictions_partial.npz')]


def test_interrupted_labelling_goes_on_from_the_frames_that_are_done(python_code):
    """Each process is told to stop after three of the four frames."""
    recipe = {
        'module': 'toy.failing_calculator',
        'attribute': 'InterruptedCalculator',
        'keyword_arguments': {'after': 3},
    }
    inputs = single_point_inputs(python_code, model_parameters=with_parameters(recipe=recipe))
    outputs, node = run_get_node(AseCalculatorSinglePointWorkChain, single_point=inputs)
    assert node.is_finished_ok, node.exit_message
    jobs = sorted(node.called_descendants, key=lambda job: job.pk)
    assert [job.exit_status for job in jobs] == [400, 0]
    assert outputs['labels'].get_array('converged').all()


def test_recipe_of_xtb_says_all_that_changes_its_labels():
    parameters = gfn1_xtb(charge=1.0, electronic_temperature=300.0)
    assert parameters['recipe']['keyword_arguments'] == {
        'method': 'GFN1-xTB',
        'charge': 1.0,
        'electronic_temperature': 300.0,
        'max_iterations': 500,
        'verbosity': 0,
    }
    assert parameters['level_of_theory'] == (
        'GFN1-xTB (tblite, its own D3 with Becke-Johnson damping), total charge 1 e, electronic temperature 300 K, '
        'fully periodic'
    )


@pytest.fixture
def engines_code(aiida_code_installed):
    """Return the interpreter of the environment that holds the programmes."""
    return aiida_code_installed(label='engines', filepath_executable=str(ENVIRONMENT / 'python'))


def test_xtb_labels_water_with_forces_that_are_the_gradient(python_code):
    step = 1e-3
    dataset = DatasetData.from_frames(FrameSet.from_frames([water_dimer(2.9 + d) for d in (0.0, -step, step)]))
    inputs = single_point_inputs(python_code, dataset=dataset, model_parameters=gfn1_xtb())
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.is_finished_ok, node.exit_message
    labels = results['labels']
    energies, forces = labels.get_array('energies'), labels.get_array('forces')
    # tblite converges its energy to 1e-6 Hartree, so that the slope over 2e-3 Å is good to about 0.01 eV/Å
    assert forces[3:6, 2].sum() == pytest.approx(-(energies[2] - energies[1]) / (2 * step), abs=0.02)
    assert labels.get_array('charges')[:6].sum() == pytest.approx(0.0, abs=1e-6)
    assert labels.get_array('charges')[0] < -0.3
    assert labels.get_array('stresses').shape == (3, 3, 3)
    assert results['label_summary']['versions']['tblite']


def test_xtb_finds_the_charge_of_sodium_on_the_metal(python_code):
    """A neutral cell with a sodium atom at the interface: the ion gives its electron away."""
    dataset = DatasetData.from_frames(FrameSet.from_frames([small_cell(1)]))
    inputs = single_point_inputs(python_code, dataset=dataset, model_parameters=gfn1_xtb())
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.is_finished_ok, node.exit_message
    charges, numbers = results['labels'].get_array('charges'), small_cell(1).numbers
    assert charges.sum() == pytest.approx(0.0, abs=1e-5)
    assert charges[numbers == 11].sum() > 0.3
    assert charges[numbers == 79].sum() < 0.0


@pytest.mark.slow
def test_xtb_frame_whose_scf_fails_is_recorded_with_its_reason(engines_code):
    parameters = gfn1_xtb()
    parameters['recipe']['keyword_arguments']['max_iterations'] = 8
    atoms = FrameSet.from_frames([water_dimer(2.9), replace(small_cell(1), columns={})])
    inputs = single_point_inputs(engines_code, dataset=DatasetData.from_frames(atoms), model_parameters=parameters)
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.is_finished_ok, node.exit_message
    assert results['labels'].get_array('converged').tolist() == [True, False]
    assert 'not converge' in results['label_summary']['failures']['1']
