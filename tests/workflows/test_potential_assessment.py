"""An assessment with the toy architecture: what it runs has passed the parity gate in its own charge state."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, Int, Str
from calculation_cases import dataset, labelled_frames, split, stored_once, training_inputs

from aiida_edl.workflows.potential_assessment import PotentialAssessmentWorkChain

MD = {'steps': 4, 'sampling_interval': 2, 'temperature': 100.0, 'fixed_elements': ['Au']}


@pytest.fixture
def assess(python_code):
    """Return a function that assesses the toy potential, run from a neutral frame and from one with sodium ions."""

    def run(**training):
        metals = {'neutral': [0, 1], 'charged': [2, 3]}
        structures = {
            label: stored_once(f'{label} films', lambda indices=indices: dataset(labelled_frames().select(indices)))
            for label, indices in metals.items()
        }
        return run_get_node(
            PotentialAssessmentWorkChain,
            training={**training_inputs(python_code), **training},
            structures=structures,
            engine=Str('ase'),
            md_settings=Dict(MD),
            max_iterations=Int(1),
        )[1]

    return run


def test_charge_state_without_test_frames_is_compared_before_it_is_run(assess):
    node = assess(split=split(training=[0, 1, 2, 3, 6], validation=[4], test=[5, 9]))
    assert node.exit_status == 0, node.exit_message
    assert 'ParityWorkChain' in [child.process_label for child in node.called]
    assert node.outputs.parity.get_dict()['charge_states'] == ['0', '2Na']
    assert sorted(node.outputs.trajectories) == ['charged', 'neutral']


def test_charge_state_that_only_the_runs_have_is_compared(assess):
    neutral = dataset(labelled_frames().select([0, 1, 4, 5, 8, 9]))
    node = assess(dataset=neutral, split=split(training=[0, 1, 2], validation=[3], test=[4, 5]))
    assert node.exit_status == 0, node.exit_message
    assert node.outputs.parity.get_dict()['charge_states'] == ['0', '2Na']
    assert sorted(node.outputs.trajectories) == ['charged', 'neutral']


def test_evaluation_stands_for_the_comparison_if_it_has_all_charge_states(assess):
    node = assess(split=split(training=[0, 1, 2, 3], validation=[4], test=[5, 6]))
    assert node.exit_status == 0, node.exit_message
    assert 'ParityWorkChain' not in [child.process_label for child in node.called]
    assert node.outputs.parity.get_dict()['routes']['md']['is_reference'] is True
    assert sorted(node.outputs.trajectories) == ['charged', 'neutral']
