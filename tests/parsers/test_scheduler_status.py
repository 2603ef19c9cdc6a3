"""No parser replaces what the scheduler has said: out of memory 110, out of walltime 120, node failure 140."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida.plugins.entry_point import get_entry_point_names
from calculation_cases import INPUTS, dataset, finished_node, md_inputs, parse, single_point_inputs
from prediction_files import files as evaluation_files

from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines.testing import recorded_inputs
from aiida_edl.science.frames import FrameSet

FIXTURES = Path(__file__).parents[1] / 'fixtures'
ELECTRODE = 'edl.single_point.electrode'


def electrode_inputs(code):
    """Return inputs of the recorded single points of the classical reference."""
    frames = FrameSet.from_npz(FIXTURES / 'single_point' / 'electrode' / 'finished' / 'frames.npz').without_labels()
    return {'code': code, 'dataset': DatasetData.from_frames(frames, origin='made by hand')}


def recorded_md_inputs(code):
    """Return inputs of the recorded run of molecular dynamics."""
    frame, settings = recorded_inputs(FIXTURES / 'md' / 'ase' / 'finished')
    structure = DatasetData.from_frames(FrameSet.from_frames([frame]), origin='made by hand')
    parameters = {'recipe': {'module': 'x', 'attribute': 'y', 'keyword_arguments': {}}, 'level_of_theory': 'Morse'}
    return md_inputs(
        code, structure=structure, settings=settings.to_dict(), potential=None, model_parameters=parameters
    )


def two_frames(code):
    """Return inputs of single points of two frames, as in the files of the evaluation."""
    return single_point_inputs(code, dataset=dataset(dataset().frames().select([0, 1]).without_labels()))


CASES = {
    'edl.training': (INPUTS['edl.training'], FIXTURES / 'training' / 'least_squares', 'log_incomplete'),
    'edl.evaluation': (INPUTS['edl.evaluation'], None, None),
    'edl.molecular_dynamics': (recorded_md_inputs, FIXTURES / 'md' / 'ase', 'output_incomplete'),
    'edl.single_point.ase_calculator': (two_frames, None, None),
    ELECTRODE: (electrode_inputs, FIXTURES / 'single_point' / 'electrode', 'log_incomplete'),
}
"""Inputs, folder with recorded outputs and the folder of an incomplete one; without a folder the files are made."""
SUCCESS = {
    'edl.training': 'potential',
    'edl.evaluation': 'predictions',
    'edl.molecular_dynamics': 'trajectory',
    'edl.single_point.ase_calculator': 'labels',
    ELECTRODE: 'labels',
}


def given_files(entry_point, is_complete):
    """Return the retrieved files of a case."""
    _, folder, incomplete = CASES[entry_point]
    if folder is not None:
        return folder / ('finished' if is_complete else incomplete)
    return evaluation_files() if is_complete else evaluation_files(predictions__npz=None, evaluation__json=None)


def parsed(code, entry_point, files, status):
    """Return outputs and exit code of a node with a status of the scheduler."""
    return parse(entry_point, finished_node(entry_point, CASES[entry_point][0](code), files, status))


def test_every_parser_is_tested():
    assert set(CASES) == {name for name in get_entry_point_names('aiida.parsers') if name.startswith('edl.')}


@pytest.mark.parametrize('status', [110, 120, 140])
@pytest.mark.parametrize('entry_point', sorted(CASES))
def test_status_is_kept_with_incomplete_output(python_code, entry_point, status):
    _, exit_code = parsed(python_code, entry_point, given_files(entry_point, is_complete=False), status)
    assert exit_code is None


@pytest.mark.parametrize('entry_point', sorted(CASES))
def test_status_is_kept_with_complete_output_and_the_output_is_attached(python_code, entry_point):
    outputs, exit_code = parsed(python_code, entry_point, given_files(entry_point, is_complete=True), 120)
    assert exit_code is None
    assert SUCCESS[entry_point] in outputs


@pytest.mark.parametrize('entry_point', sorted(CASES))
def test_status_is_kept_without_any_output(python_code, entry_point):
    _, exit_code = parsed(python_code, entry_point, {}, 120)
    assert exit_code is None


@pytest.mark.parametrize('entry_point', sorted(CASES))
def test_without_a_status_incomplete_output_is_a_failure(python_code, entry_point):
    _, exit_code = parsed(python_code, entry_point, given_files(entry_point, is_complete=False), None)
    assert 300 <= exit_code.status < 400
