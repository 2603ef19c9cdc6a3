"""Active learning for real: MACE explores a charged film, the classical reference in LAMMPS labels it."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Dict, InstalledCode, Str
from computer_cases import local_computer
from electrode_cases import MODEL, find_lammps, small_cell
from toy.training_cases import training_case

from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.active_learning import ActiveLearningWorkChain
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain

CASE = training_case('mace')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CASE.missing is not None, reason=str(CASE.missing))]

OPTIONS = {'environment_variables': {'OMP_NUM_THREADS': '1'}}
IONS = (0, 2)
N_FRAMES = 40
"""Reference frames of each charge state."""
MD = {'fixed_elements': ['Au'], 'wall_height': 13.0, 'time_step': 0.5, 'relaxation_time': 100.0, 'temperature': 330.0}
REFERENCE_MD = {**MD, 'equilibration_steps': 4000, 'steps': 4000, 'sampling_interval': 100, 'seed': 3}
OVERRIDES = {
    'training': {'gradient_updates': 300},
    'md': {'settings': {**MD, 'steps': 300, 'sampling_interval': 10}},
    'settings': {
        'window': {'lower': 0.2, 'upper': 5.0},
        'selection': {'n_selected': 16},
        'retraining': {'start_from': 'previous'},
        'stop': {'accurate_rounds': 1},
        'maximum_rounds': 2,
    },
}


@pytest.fixture(scope='module')
def codes(aiida_profile, tmp_path_factory):
    """Return LAMMPS and the interpreter of the trainer."""
    computer = local_computer('active-learning-real', tmp_path_factory.mktemp('work'))
    paths = {'labelling': find_lammps(), 'training': str(CASE.python.absolute())}
    return {
        name: InstalledCode(computer, path, label=f'active-learning-{name}').store() for name, path in paths.items()
    }


@pytest.fixture(scope='module')
def reference(codes):
    """Return trajectories of the classical reference at each charge state."""
    found = {}
    for n_ions in IONS:
        start = DatasetData.from_frames(FrameSet.from_frames([small_cell(n_ions)]), origin='built')
        _, node = run_get_node(
            MolecularDynamicsWorkChain,
            md={
                'structure': start,
                'engine': Str('electrode'),
                'settings': Dict(REFERENCE_MD),
                'model_parameters': Dict({}),
                'code': codes['labelling'],
                'metadata': {'options': OPTIONS},
            },
        )
        assert node.is_finished_ok, node.exit_message
        found[f'ions_{n_ions}'] = node.outputs.trajectory
    return found


@pytest.fixture(scope='module')
def dataset(codes, reference):
    """Return labelled frames of both charge states, one after the other."""
    parts = {}
    for label, trajectory in reference.items():
        frames = select_frames(
            trajectory,
            Dict({'method': 'evenly_spaced', 'n_frames': N_FRAMES, 'seed': 1, 'columns': {'group': label}}),
        )
        _, node = run_get_node(
            LabellingWorkChain,
            dataset=frames,
            engine=Str('electrode'),
            code=codes['labelling'],
            model_parameters=Dict({}),
            options=Dict(OPTIONS),
        )
        assert node.is_finished_ok, node.exit_message
        parts[label] = node.outputs.dataset
    return join_datasets(**parts)


@pytest.fixture(scope='module')
def learnt(codes, reference, dataset):
    """Return active learning that begins with eight neighbouring frames of each charge state."""
    parts = {'training': range(8), 'validation': range(10, 12), 'test': range(20, N_FRAMES, 2)}
    split = ArrayData({name: np.array([*part, *(N_FRAMES + np.array(part))]) for name, part in parts.items()})
    builder = ActiveLearningWorkChain.get_builder_from_protocol(
        codes,
        dataset=dataset,
        split=split,
        structures=reference,
        architecture='mace',
        engine='electrode',
        model_parameters={},
        overrides=OVERRIDES,
        options=dict.fromkeys(('training', 'labelling'), OPTIONS),
    )
    return run_get_node(builder)[1]


def test_it_ends_by_its_rule_or_after_its_rounds(learnt):
    assert learnt.exit_status in (0, 700, 701), learnt.exit_message
    assert len(learnt.outputs.report['rounds']) in (1, 2, 3)


def test_members_learn_on_from_those_of_the_round_before(learnt):
    """The error falls with the new frames and with the further updates alike; 300 of them alone leave it at random."""
    first, last = (learnt.outputs.report['rounds'][index] for index in (0, -1))
    assert last['n_training'] > first['n_training']
    assert last['test_force_rmse_ev_per_angstrom'] < 0.9 * first['test_force_rmse_ev_per_angstrom']
    training = learnt.outputs.potentials['seed_01'].creator
    assert training.inputs.parent_potential.creator.inputs.seed.value == 1


def test_every_frame_is_accounted_for(learnt):
    for row in learnt.outputs.report['rounds'][:-1]:
        assert row['accurate'] + row['candidate'] + row['failed'] == row['n_frames'] <= row['n_planned'] == 60
        assert row['n_labelled'] + row['n_rejected'] == row['n_selected'] == 16


def test_new_labels_are_of_both_charge_states(learnt):
    frames = learnt.outputs.dataset.frames()
    new = frames.select(np.flatnonzero(frames.columns['round'] > 0))
    assert learnt.outputs.dataset.level_of_theory == MODEL.level_of_theory
    assert sorted({int(np.count_nonzero(frame.numbers == 11)) for frame in new}) == list(IONS)


def test_test_frames_are_far_from_what_is_trained_on(learnt):
    distances = [row['nearest_test_distance'] for row in learnt.outputs.report['rounds'] if 'n_labelled' in row]
    assert min(distances) > 0.02
