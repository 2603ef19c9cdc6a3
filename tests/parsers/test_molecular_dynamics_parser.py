"""What the parser of molecular dynamics makes of recorded outputs, one folder for each outcome."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ase_cases import MORSE
from calculation_cases import finished_node, md_inputs, parse
from torch_sim_cases import LENNARD_JONES

from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines.testing import recorded_inputs
from aiida_edl.science.frames import FrameSet

ENTRY_POINT = 'edl.molecular_dynamics'
RECORDED = Path(__file__).parents[1] / 'fixtures' / 'md'
EXIT_STATUS = {
    ('ase', 'finished'): None,
    ('ase', 'out_of_walltime'): 400,
    ('ase', 'out_of_memory'): 410,
    ('ase', 'exploded'): 451,
    ('ase', 'output_incomplete'): 312,
    ('electrode', 'finished'): None,
    ('electrode', 'out_of_walltime'): 400,
    ('electrode', 'exploded'): 451,
    ('electrode', 'output_incomplete'): 312,
    ('torch_sim', 'finished'): None,
    ('torch_sim', 'out_of_walltime'): 400,
    ('torch_sim', 'out_of_memory'): 410,
    ('torch_sim', 'exploded'): 451,
    ('torch_sim', 'output_incomplete'): 312,
}
PARAMETERS = {
    'ase': {'recipe': {**MORSE, 'environment': {}}, 'level_of_theory': 'Morse potential'},
    'electrode': {},
    'torch_sim': {'recipe': dict(LENNARD_JONES), 'level_of_theory': 'pair potential'},
}


def parsed(code, engine, outcome, files=None, **changes):
    """Return outputs and exit code of a recorded run."""
    frame, settings = recorded_inputs(RECORDED / engine / outcome)
    inputs = md_inputs(
        code,
        structure=DatasetData.from_frames(FrameSet.from_frames([frame]), origin='made by hand'),
        engine=engine,
        settings=settings.to_dict(),
        potential=None,
        model_parameters=PARAMETERS[engine],
        **changes,
    )
    given = RECORDED / engine / outcome if files is None else files
    return parse(ENTRY_POINT, finished_node(ENTRY_POINT, inputs, given))


@pytest.mark.parametrize(('engine', 'outcome'), sorted(EXIT_STATUS))
def test_each_outcome_has_its_exit_code(python_code, engine, outcome):
    outputs, exit_code = parsed(python_code, engine, outcome)
    assert (None if exit_code is None else exit_code.status) == EXIT_STATUS[engine, outcome]
    summary = outputs['md_summary'].get_dict()
    assert summary['outcome'] == outcome
    if exit_code is not None:
        assert summary['message'] in exit_code.message


@pytest.mark.parametrize('engine', sorted(PARAMETERS))
def test_frames_of_an_interrupted_run_are_kept(python_code, engine):
    outputs, _ = parsed(python_code, engine, 'output_incomplete')
    assert set(outputs) == {'trajectory', 'series', 'checkpoint', 'md_summary'}
    n_frames = outputs['md_summary']['n_frames']
    assert outputs['trajectory'].n_frames == len(outputs['series'].get_array('step')) == n_frames > 0


@pytest.mark.parametrize('outcome', ['finished', 'out_of_walltime', 'output_incomplete'])
@pytest.mark.parametrize('engine', sorted(PARAMETERS))
def test_checkpoint_says_of_which_run_it_is(python_code, engine, outcome):
    outputs, _ = parsed(python_code, engine, outcome)
    frame, settings = recorded_inputs(RECORDED / engine / outcome)
    attributes = outputs['checkpoint'].base.attributes.all
    assert attributes['steps_done'] == outputs['md_summary']['steps_done']
    assert attributes['engine'] == engine
    assert attributes['model_parameters'] == PARAMETERS[engine]
    changeable = {'steps': settings.steps, 'maximum_temperature': settings.maximum_temperature}
    assert {**attributes['settings'], **changeable} == settings.to_dict()
    assert len(attributes['structure']) == 64
    assert len(frame.numbers)


def test_checkpoint_before_an_explosion_counts_its_own_steps(python_code):
    outputs, _ = parsed(python_code, 'torch_sim', 'exploded')
    assert outputs['checkpoint'].base.attributes.get('steps_done') <= outputs['md_summary']['steps_done']


def test_trajectory_of_a_recipe_bears_its_level_of_theory(python_code):
    outputs, _ = parsed(python_code, 'ase', 'finished')
    assert outputs['trajectory'].level_of_theory == 'Morse potential'


def test_trajectory_of_the_reference_bears_its_level_of_theory(python_code):
    outputs, _ = parsed(python_code, 'electrode', 'finished')
    assert outputs['trajectory'].level_of_theory.startswith('classical')


@pytest.mark.parametrize('engine', sorted(PARAMETERS))
def test_nothing_at_all_is_a_missing_output(python_code, engine):
    outputs, exit_code = parsed(python_code, engine, 'finished', files={})
    assert (exit_code.status, exit_code.message) == (
        310,
        'An output file is missing: no file of the engine came back, and _scheduler-stderr.txt is empty',
    )
    assert set(outputs) == {'md_summary'}


def test_program_that_was_not_found_is_a_missing_output(python_code):
    files = {'lammps.out': b'bash: lmp: command not found\n'}
    _, exit_code = parsed(python_code, 'electrode', 'finished', files=files)
    assert (exit_code.status, exit_code.message) == (
        310,
        'An output file is missing: no file of the engine came back, and the last line of lammps.out is '
        "'bash: lmp: command not found'",
    )


def spoilt_run(folder, step, column):
    """Return a copy of a finished run whose log holds no number in a column at a step of LAMMPS."""
    copy = shutil.copytree(RECORDED / 'electrode' / 'finished', folder / 'run')
    lines = (copy / 'log.lammps').read_text().splitlines(keepends=True)
    for index, line in enumerate(lines):
        fields = line.split()
        if len(fields) == 7 and fields[0] == str(step):
            fields[column] = 'nan'
            lines[index] = ' '.join(fields) + '\n'
    (copy / 'log.lammps').write_text(''.join(lines))
    return copy


@pytest.mark.parametrize('column', [1, 2, 4, 6], ids=['temperature', 'potential', 'conserved', 'potential of metal'])
def test_run_with_a_row_that_is_not_finite_is_an_explosion_with_the_frames_before(python_code, tmp_path, column):
    outputs, exit_code = parsed(python_code, 'electrode', 'finished', spoilt_run(tmp_path, 500, column))
    assert exit_code.status == 451
    assert exit_code.message.endswith('is not a finite number at step 300 of 400')
    assert outputs['series'].get_array('step').tolist() == [100, 200]
    assert outputs['trajectory'].get_array('column_step').tolist() == [100, 200]
    assert 'checkpoint' not in outputs


def test_forces_that_are_not_finite_are_an_explosion(python_code, tmp_path):
    folder = shutil.copytree(RECORDED / 'electrode' / 'finished', tmp_path / 'run')
    head, mark, last = (folder / 'trajectory.dump').read_text().rpartition('ITEM: TIMESTEP')
    lines = last.splitlines(keepends=True)
    fields = lines[-1].split()
    fields[7] = '-nan'
    (folder / 'trajectory.dump').write_text(head + mark + ''.join(lines[:-1]) + ' '.join(fields) + '\n')
    outputs, exit_code = parsed(python_code, 'electrode', 'finished', folder)
    assert (exit_code.status, exit_code.message) == (
        451,
        'The molecular dynamics exploded: a position, velocity or force is not a finite number at step 400',
    )
    assert outputs['series'].get_array('step').tolist() == [100, 200, 300]
    assert outputs['trajectory'].n_frames == 3


def test_stored_frames_are_each_of_so_many_of_the_sampled_ones(python_code):
    whole, _ = parsed(python_code, 'ase', 'finished')
    part, _ = parsed(python_code, 'ase', 'finished', stored_every=2)
    steps = whole['trajectory'].get_array('column_step')
    interval = 2 * whole['trajectory'].base.attributes.get('sampling_interval')
    assert part['trajectory'].get_array('column_step').tolist() == [step for step in steps if step % interval == 0]
    assert part['trajectory'].base.attributes.get('sampling_interval') == interval
    assert part['series'].get_array('step').tolist() == steps.tolist()


def test_trajectory_is_stored_in_single_precision_and_read_in_double(python_code):
    outputs, _ = parsed(python_code, 'ase', 'finished')
    trajectory = outputs['trajectory']
    assert trajectory.base.attributes.get('precision') == 'float32'
    assert trajectory.get_array('positions').dtype == 'float32'
    assert trajectory.get_array('energies').dtype == 'float64'
    assert trajectory.frames().positions.dtype == trajectory.frame(0).positions.dtype == 'float64'
