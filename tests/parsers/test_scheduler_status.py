"""No parser replaces what the scheduler has said: out of memory 110, out of walltime 120, node failure 140."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from aiida.orm import Dict, Str
from aiida.plugins.entry_point import get_entry_point_names
from calculation_cases import (
    INPUTS,
    dataset,
    finished_node,
    md_inputs,
    parse,
    potential,
    replica_inputs,
    single_point_inputs,
)
from cp2k_cases import INSULATOR, RECORDED, water
from prediction_files import files as evaluation_files

from aiida_edl.data.dataset import DatasetData
from aiida_edl.md_engines.testing import recorded_inputs
from aiida_edl.science.frames import FrameSet

FIXTURES = Path(__file__).parents[1] / 'fixtures'
ELECTRODE = 'edl.single_point.electrode'
CP2K = 'edl.single_point.cp2k'
WRAPPED = {'edl.single_point.vasp'}
"""Parsers of other packages on our files: that of aiida-vasp says 700 for a run that did not finish, which its own work
chain handles."""


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


def conversion_inputs(code):
    """Return inputs of the conversion of a Deep Potential."""
    deep_potential = potential(architecture='deep_potential')
    return {'code': code, 'potential': deep_potential.store(), 'target_format': Str('dp')}


def replica_files(is_complete):
    """Return the files of a recorded run of several replicas, without its summary if it is incomplete."""
    folder = FIXTURES / 'md' / 'torch_sim_replicas' / 'one_exploded'
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return files if is_complete else {name: files[name] for name in files if name != 'md_summary.json'}


def conversion_files(is_complete):
    """Return the files of a conversion, without the model if it is incomplete."""
    report = {'arguments': [], 'stdout': 'convert.out', 'is_export': True, 'returncode': 0, 'wall_seconds': 1.0}
    outcome = 'finished' if is_complete else 'running'
    document = {
        'commands': [{**report, 'outcome': outcome, 'cpu_seconds': 1.0, 'peak_memory_megabyte': 1.0}],
        'versions': {},
        'python': '3.11',
        'platform': 'x86_64',
        'threads': 1,
    }
    files = {'run_commands.json': json.dumps(document).encode(), 'convert.out': b'converting'}
    return files | ({'model.dp': b'weights'} if is_complete else {})


def validation_inputs(code):
    """Return inputs of a validation of summation methods."""
    return {'code': code, 'settings': Dict({'cases': ['water', 'film']})}


def validation_files(is_complete):
    """Return the rows of a validation, of one of its two cases if it is incomplete."""
    done = ['water', 'film'] if is_complete else ['water']
    document = {'rows': [], 'lattices': [], 'cases_done': done, 'drifts': [] if is_complete else None}
    return {'validation.json': json.dumps(document).encode()}


def cp2k_inputs(code):
    """Return inputs of the recorded single point of CP2K."""
    frames = FrameSet.from_frames([water()])
    return {'code': code, 'dataset': DatasetData.from_frames(frames), 'model_parameters': Dict(INSULATOR)}


def cp2k_files(is_complete):
    """Return the output of CP2K for one frame, cut in the middle if it is incomplete."""
    content = gzip.decompress((RECORDED / 'water.out.gz').read_bytes())
    return {'frame_00000.out': content if is_complete else content[: len(content) // 2]}


CASES = {
    'edl.training': (INPUTS['edl.training'], FIXTURES / 'training' / 'least_squares', 'log_incomplete'),
    'edl.evaluation': (INPUTS['edl.evaluation'], None, None),
    'edl.molecular_dynamics': (recorded_md_inputs, FIXTURES / 'md' / 'ase', 'output_incomplete'),
    'edl.single_point.ase_calculator': (two_frames, None, None),
    'edl.conversion': (conversion_inputs, None, None),
    'edl.replica_dynamics': (replica_inputs, None, None),
    'edl.long_range_validation': (validation_inputs, None, None),
    ELECTRODE: (electrode_inputs, FIXTURES / 'single_point' / 'electrode', 'log_incomplete'),
    CP2K: (cp2k_inputs, None, None),
}
"""Inputs, folder with recorded outputs and the folder of an incomplete one; without a folder the files are made."""
MADE = {
    'edl.conversion': conversion_files,
    'edl.replica_dynamics': replica_files,
    'edl.long_range_validation': validation_files,
    CP2K: cp2k_files,
}
"""What makes the files of a case without a folder, where they are not those of an evaluation."""
SUCCESS = {
    'edl.conversion': 'potential',
    'edl.replica_dynamics': 'trajectories.bulk',
    'edl.long_range_validation': 'validation',
    'edl.training': 'potential',
    'edl.evaluation': 'predictions',
    'edl.molecular_dynamics': 'trajectory',
    'edl.single_point.ase_calculator': 'labels',
    ELECTRODE: 'labels',
    CP2K: 'labels',
}


def given_files(entry_point, is_complete):
    """Return the retrieved files of a case."""
    _, folder, incomplete = CASES[entry_point]
    if folder is not None:
        return folder / ('finished' if is_complete else incomplete)
    if entry_point in MADE:
        return MADE[entry_point](is_complete)
    return evaluation_files() if is_complete else evaluation_files(predictions__npz=None, evaluation__json=None)


def parsed(code, entry_point, files, status):
    """Return outputs and exit code of a node with a status of the scheduler."""
    return parse(entry_point, finished_node(entry_point, CASES[entry_point][0](code), files, status))


def test_every_parser_is_tested():
    ours = {name for name in get_entry_point_names('aiida.parsers') if name.startswith('edl.')}
    assert set(CASES) | WRAPPED == ours


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


@pytest.mark.parametrize(('outcome', 'status'), [('device_missing', 210), ('device_lost', 411)])
@pytest.mark.parametrize('entry_point', sorted(set(CASES) - {'edl.conversion', ELECTRODE, CP2K}))
def test_gpu_that_is_not_there_has_a_code_of_its_own(python_code, entry_point, outcome, status):
    stdout = {
        'edl.molecular_dynamics': 'md.out',
        'edl.replica_dynamics': 'md.out',
        'edl.training': 'training.out',
        'edl.long_range_validation': 'validate.out',
    }
    name = stdout.get(entry_point, 'evaluate.out')
    command = {'arguments': [], 'stdout': name, 'is_export': False, 'returncode': None, 'wall_seconds': None}
    report = {
        'commands': [{**command, 'outcome': outcome, 'cpu_seconds': None, 'peak_memory_megabyte': None}],
        'versions': {},
        'python': '3.11',
        'platform': 'x86_64',
        'threads': 1,
    }
    files = {'run_commands.json': json.dumps(report).encode(), name: b"device is 'cuda'; there is none\n"}
    _, exit_code = parsed(python_code, entry_point, files, None)
    assert exit_code.status == status
    assert "device is 'cuda'; there is none" in exit_code.message
