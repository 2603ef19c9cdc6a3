"""Molecular dynamics: what is refused, what is staged, and whole runs with the toy potential."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory
from calculation_cases import dataset, labelled_frames, md_inputs, potential, refusal, stage
from electrode_cases import SETTINGS, small_cell

from aiida_edl.science.frames import FrameSet

ENTRY_POINT = 'edl.molecular_dynamics'
SHORT = {'steps': 20, 'sampling_interval': 5, 'temperature': 100.0, 'fixed_elements': ['Au']}


def electrode_inputs(code, **changes):
    """Return inputs of a run of the classical reference."""
    values = {
        'structure': dataset(FrameSet.from_frames([small_cell(1)])),
        'engine': 'electrode',
        'settings': SETTINGS.to_dict(),
        'potential': None,
        'model_parameters': {},
    }
    return md_inputs(code, **{**values, **changes})


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'engine': 'asse'}, "unknown MD engine 'asse': did you mean 'ase'? Known: ase, electrode, lammps, torch_sim."),
        ({'frame_index': 4}, 'frame_index is 4, the structure has 4 frames'),
        ({'frame_index': -5}, 'frame_index is -5, the structure has 4 frames'),
        ({'stored_every': 0}, 'stored_every is 0, it must be at least 1'),
        ({'stored_every': 5}, 'stored_every is 5, but 4 frames are sampled: none would be stored'),
        ({'settings': {'steps': 0}}, "MD setting 'steps' is 0, it must be positive"),
        ({'settings': {**SHORT, 'seed': 1.5}}, "MD setting 'seed' is 1.5, expected int"),
        (
            {'settings': {**SHORT, 'fixed_elements': ['Pt']}},
            'fixed_elements names Pt, the structure holds H, O, Na, Au',
        ),
        (
            {'settings': {**SHORT, 'fixed_elements': [], 'wall_height': 5.0}},
            'engine ase counts wall_height 5.0 Å from the topmost fixed atom, but fixed_elements is empty; name the '
            'elements that do not move or set wall_height to 0',
        ),
        (
            {'potential': None},
            'give either a potential or model_parameters to engine ase; given were neither',
        ),
        (
            {'model_parameters': {'recipe': {}}},
            'give either a potential or model_parameters to engine ase; given were both',
        ),
        (
            {'engine': 'electrode', 'settings': {**SHORT, 'thermostat': 'csvr'}},
            'engine electrode has a model of its own and loads no potential; give model_parameters instead',
        ),
    ],
    ids=[
        'engine',
        'frame above',
        'frame below',
        'no frames',
        'too few frames',
        'settings',
        'type of a setting',
        'fixed element',
        'wall',
        'no model',
        'two models',
        'pair',
    ],
)
def test_wrong_input_is_refused_in_one_sentence(python_code, changes, message):
    assert refusal(ENTRY_POINT, md_inputs(python_code, **changes)) == message


def test_unknown_setting_is_answered_with_the_nearest(python_code):
    message = refusal(ENTRY_POINT, md_inputs(python_code, settings={**SHORT, 'timestep': 0.5}))
    assert message.startswith("unknown MD setting 'timestep': did you mean 'time_step'? Known: ")


def test_element_that_the_potential_does_not_know_is_refused(python_code):
    assert refusal(ENTRY_POINT, md_inputs(python_code, potential=potential(('H', 'O', 'Au')))) == (
        'the frames hold Na, the potential knows H, O, Au; use a potential trained for all elements'
    )


def test_recipe_is_checked(python_code):
    parameters = {'recipe': {'module': 'ase.calculators.emt', 'attribute': 'EMT'}, 'level_of_theory': 'EMT'}
    message = refusal(ENTRY_POINT, md_inputs(python_code, potential=None, model_parameters=parameters))
    assert message == 'the recipe lacks keyword_arguments; it needs module, attribute, keyword_arguments'


def test_engine_with_an_executable_needs_its_code(python_code):
    assert refusal(ENTRY_POINT, electrode_inputs(python_code)).startswith(
        f"code 'python@localhost' runs '{python_code.filepath_executable.name}', but engine 'electrode' needs the "
        'LAMMPS executable; install it with: '
    )


def test_what_the_engine_says_of_this_very_frame_is_said_before_submission(lammps_code):
    settings = {**SETTINGS.to_dict(), 'wall_height': 50.0}
    assert refusal(ENTRY_POINT, electrode_inputs(lammps_code, settings=settings)) == (
        'wall_height 50.0 Å puts the wall 55.71 Å above the bottom of the cell, whose height is 28.61 Å: lower the '
        'wall or enlarge the cell'
    )


def test_executable_is_run_directly(lammps_code, tmp_path):
    calc_info = stage(ENTRY_POINT, tmp_path, electrode_inputs(lammps_code))
    assert {path.name for path in tmp_path.iterdir()} == {'in.lammps', 'initial.data'}
    code_info = calc_info.codes_info[0]
    assert code_info.cmdline_params == ['-in', 'in.lammps', '-log', 'log.lammps', '-screen', 'none']
    assert code_info.stdout_name == 'lammps.out'
    assert calc_info.prepend_text.splitlines() == [
        'export OMP_NUM_THREADS=1',
        'export DP_INTRA_OP_PARALLELISM_THREADS=1',
        'export DP_INTER_OP_PARALLELISM_THREADS=1',
        "export CUDA_VISIBLE_DEVICES=''",
    ]
    assert ('trajectory.dump', '.', 1) in calc_info.retrieve_temporary_list


def test_what_is_staged_for_a_potential(python_code, tmp_path):
    inputs = md_inputs(python_code, frame_index=1)
    calc_info = stage(ENTRY_POINT, tmp_path, inputs)
    assert {path.name for path in tmp_path.iterdir()} == {
        'run_commands.py',
        'commands.json',
        'run_ase_md.py',
        'md.json',
        'initial.npz',
    }
    initial = FrameSet.from_npz(tmp_path / 'initial.npz').frame(0)
    np.testing.assert_array_equal(initial.positions, labelled_frames(4).frame(1).positions)
    assert calc_info.local_copy_list[0][0] == inputs['potential'].uuid
    assert ('trajectory_*.npz', '.', 1) in calc_info.retrieve_temporary_list
    assert json.loads((tmp_path / 'commands.json').read_text())['packages'] == ['numpy', 'ase']


def test_run_goes_on_from_its_checkpoint_to_a_later_target(python_code):
    structure = dataset(labelled_frames(4).select([2, 3]))
    process, steps = CalculationFactory(ENTRY_POINT), []
    changes = {'structure': structure, 'settings': {**SHORT, 'steps': 10}}
    for is_restart in (False, True):
        results, node = run_get_node(process, **md_inputs(python_code, **changes))
        assert node.is_finished_ok, node.exit_message
        assert results['md_summary']['is_restart'] is is_restart
        assert results['md_summary']['versions']['numpy'] == np.__version__
        steps.append(results['series'].get_array('step').tolist())
        changes = {'structure': structure, 'checkpoint': results['checkpoint']}
    assert steps == [[5, 10], [15, 20]]
    attributes = results['trajectory'].base.attributes.all
    expected = {
        'charge_labels': ['2Na'],
        'engine': 'ase',
        'ensemble': 'nvt',
        'thermostat': 'csvr',
        'temperature': 100.0,
        'time_step': 0.5,
        'level_of_theory': 'least_squares potential trained on charge states 0, 2Na of Lennard-Jones',
        'origin': 'molecular dynamics with engine ase',
    }
    assert {name: attributes[name] for name in expected} == expected


def test_all_frames_can_be_stashed_while_few_are_stored(python_code, tmp_path):
    stash = {'source_list': ['trajectory_*.npz'], 'target_base': str(tmp_path / 'stash'), 'stash_mode': 'copy'}
    inputs = md_inputs(python_code, structure=dataset(labelled_frames(4)), settings=SHORT, stored_every=2)
    inputs['metadata'] = {'options': {'stash': stash}}
    results, node = run_get_node(CalculationFactory(ENTRY_POINT), **inputs)
    assert node.is_finished_ok, node.exit_message
    assert results['trajectory'].get_array('column_step').tolist() == [10, 20]
    (chunk,) = Path(node.outputs.remote_stash.target_basepath).glob('trajectory_*.npz')
    with np.load(chunk) as archive:
        assert archive['step'].tolist() == [5, 10, 15, 20]
