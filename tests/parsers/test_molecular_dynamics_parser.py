"""What the parser of molecular dynamics makes of recorded outputs, one folder for each outcome."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase_cases import MORSE
from calculation_cases import finished_node, md_inputs, parse

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
}
PARAMETERS = {
    'ase': {'recipe': {**MORSE, 'environment': {}}, 'level_of_theory': 'Morse potential'},
    'electrode': {},
}


def parsed(code, engine, outcome, files=None):
    """Return outputs and exit code of a recorded run."""
    frame, settings = recorded_inputs(RECORDED / engine / outcome)
    inputs = md_inputs(
        code,
        structure=DatasetData.from_frames(FrameSet.from_frames([frame]), origin='made by hand'),
        engine=engine,
        settings=settings.to_dict(),
        potential=None,
        model_parameters=PARAMETERS[engine],
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
        'An output file is missing: no file of the engine came back',
    )
    assert set(outputs) == {'md_summary'}
