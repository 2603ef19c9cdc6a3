"""MACE started from a parent: what the trainer is told, and what is refused."""

from __future__ import annotations

import ast
from dataclasses import replace

import numpy as np
import pytest

from aiida_edl.architectures.base import TrainingJobError
from aiida_edl.architectures.fine_tuning import FineTuning, ParentModel
from aiida_edl.architectures.mace import Mace
from aiida_edl.architectures.mace_log import read_atomic_energies, read_results
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.testing import example_frames, example_job
from aiida_edl.architectures.training_data import check_fine_tuning
from aiida_edl.science.formats.extended_xyz import KeyMapping, read_extended_xyz
from aiida_edl.science.frames import FrameSet

PARENT = ParentModel(
    architecture='mace',
    path='parent/mace.model',
    elements=('H', 'O', 'Na', 'Au'),
    cutoff_radius=5.0,
    n_layers=2,
    precision=Precision.DOUBLE,
    atomic_energies={'H': -1.0, 'O': -2.0, 'Na': -3.0, 'Au': -4.0},
)


def job(replay_set=None, parent=PARENT, **settings):
    """Return a training from the parent."""
    return example_job(Mace(), parent=parent, fine_tuning=FineTuning.from_dict(settings), replay_set=replay_set)


def replay_job(**settings):
    return job(example_frames(8, seed=3), mode='multihead_replay', **settings)


def options(training) -> dict[str, str]:
    command = Mace().commands(training)[0]
    return dict(argument.removeprefix('--').split('=', 1) for argument in command.arguments if '=' in argument)


def prepare(training) -> None:
    """Do what a calculation does before it is submitted."""
    check_fine_tuning(Mace(), training)
    Mace().training_files(training)


def refusal(training) -> str:
    with pytest.raises(TrainingJobError) as caught:
        prepare(training)
    return str(caught.value)


def test_training_from_scratch_knows_nothing_of_it():
    scratch = example_job(Mace())
    (command,) = Mace().commands(scratch)
    assert command.arguments[:2] == ('-m', 'mace.cli.run_train')
    assert 'foundation_model' not in options(scratch)
    assert set(Mace().training_files(scratch)) == {'training.xyz', 'validation.xyz'}


def test_naive_starts_from_the_parent_with_one_head():
    given = options(job(mode='naive'))
    assert given['foundation_model'] == 'parent/mace.model'
    assert given['multiheads_finetuning'] == 'False'
    assert 'lora' not in given
    assert 'pt_train_file' not in given


def test_lora_states_its_rank():
    given = options(job(mode='lora', lora_rank=7))
    assert (given['lora'], given['lora_rank'], given['multiheads_finetuning']) == ('True', '7', 'False')


def test_replay_keeps_the_stated_rate_and_the_stated_number_of_frames():
    given = options(replay_job())
    assert given['multiheads_finetuning'] == 'True'
    assert given['pt_train_file'] == 'replay.xyz'
    assert given['force_mh_ft_lr'] == 'True'
    assert given['real_pt_data_ratio_threshold'] == '0.0'


def test_epochs_of_replay_count_both_sets():
    # Eight new and eight replayed frames in batches of four: four updates per epoch, 20 of them asked.
    assert options(replay_job())['max_num_epochs'] == '5'
    assert options(job(mode='naive'))['max_num_epochs'] == '10'


@pytest.mark.parametrize('mode', ['naive', 'lora', 'multihead_replay'])
@pytest.mark.parametrize(('policy', 'expected'), [('parent', 'foundation'), ('estimated', 'estimated')])
def test_atomic_energies_are_those_of_the_policy(mode, policy, expected):
    frames = example_frames(8, seed=3) if mode == 'multihead_replay' else None
    assert options(job(frames, mode=mode, atomic_energies=policy))['E0s'] == expected
    stated = options(job(frames, mode=mode, atomic_energies='given'))['E0s']
    assert ast.literal_eval(stated) == {1: -1.5, 8: -2.5, 11: -0.5, 79: -3.5}


def test_trainer_is_started_by_the_program_that_keeps_stated_atomic_energies():
    training = job(mode='naive')
    assert Mace().commands(training)[0].arguments[0] == 'train_mace.py'
    assert b'def keeping_atomic_energies' in Mace().training_files(training)['train_mace.py']


def test_new_head_alone_is_exported():
    train, export = Mace().commands(replay_job())
    assert 'model_dir=heads' in [argument.removeprefix('--') for argument in train.arguments]
    assert export.is_export
    assert export.arguments[2:] == ('--head_name', 'Default', '--output_file', 'mace.model', 'heads/mace.model')


def test_model_with_one_head_needs_no_export():
    assert len(Mace().commands(job(mode='lora'))) == 1


@pytest.mark.parametrize('mode', ['naive', 'lora', 'multihead_replay'])
def test_restart_of_each_mode_differs_by_the_flag_alone(mode):
    training = replay_job() if mode == 'multihead_replay' else job(mode=mode)
    restart = replace(training, is_restart=True)
    assert options(restart) == options(training)
    assert '--restart_latest' in Mace().commands(restart)[0].arguments


def test_replayed_frames_carry_their_weight(tmp_path):
    files = Mace().training_files(replay_job(replay_weight=0.25))
    (tmp_path / 'replay.xyz').write_bytes(files['replay.xyz'])
    keys = KeyMapping(
        energy='REF_energy',
        forces='REF_forces',
        columns={'config_energy_weight': 'energy', 'config_forces_weight': 'forces'},
    )
    frames = read_extended_xyz(tmp_path / 'replay.xyz', keys)
    np.testing.assert_array_equal(frames.columns['energy'], np.full(8, 0.25))
    np.testing.assert_array_equal(frames.columns['forces'], np.full(8, 0.25))
    assert b'config_energy_weight' not in files['training.xyz']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'architecture': 'deep_potential'},
            'the parent is a potential of deep_potential, mace is to be trained; give a parent of the same '
            'architecture',
        ),
        (
            {'elements': ('H', 'O', 'Au')},
            "the parent knows ['H', 'O', 'Au'] and not ['Na']; use one that does",
        ),
        (
            {'precision': Precision.SINGLE},
            'precision is float64, the parent was saved in float32; use the same',
        ),
        ({'cutoff_radius': 4.5}, 'cutoff_radius is 5.0, that of the parent is 4.5; state that of the parent'),
        ({'n_layers': 3}, 'n_interactions is 2, that of the parent is 3; state that of the parent'),
        (
            {'total_charge_column': 'charge_state'},
            'the parent takes the column charge_state as total charge, the training None; use the same',
        ),
    ],
    ids=lambda value: '' if isinstance(value, str) else next(iter(value)),
)
def test_parent_that_does_not_fit_is_refused(changes, message):
    assert refusal(job(parent=replace(PARENT, **changes))) == message


def test_replay_without_frames_is_refused():
    expected = 'multihead_replay needs frames to be learnt again; give a replay_dataset'
    assert refusal(job(mode='multihead_replay')) == expected


def test_replay_of_frames_without_labels_is_refused():
    blank = job(example_frames(8, seed=3).without_labels(), mode='multihead_replay')
    assert refusal(blank) == 'the replay set lacks energies or forces; label its 8 frames first'


def with_sodium(frames: FrameSet) -> FrameSet:
    numbers = frames.numbers.copy()
    numbers[-1] = 11
    return replace(frames, numbers=numbers)


def test_replayed_element_without_atomic_energy_is_refused_by_name():
    training = replay_job()
    energies = {'H': -1.5, 'O': -2.5, 'Au': -3.5}
    training = replace(
        training,
        replay_set=with_sodium(training.replay_set),
        elements=('H', 'O', 'Au'),
        atomic_energies=energies,
    )
    assert refusal(training) == (
        "no atomic energy is given for ['Na'], which the replay set holds; both heads need one for each element"
    )


def test_replayed_element_that_the_model_shall_not_know_is_refused():
    training = replay_job()
    training = replace(training, replay_set=with_sodium(training.replay_set), elements=('H', 'O', 'Au'))
    assert refusal(training) == "the replay set holds ['Na'], the model knows ['H', 'O', 'Au']; add them"


def atom_in(cell_length: float, pbc: bool) -> FrameSet:
    frame = example_frames(1, seed=1).frame(0)
    single = replace(
        frame,
        numbers=np.array([79], dtype=np.uint8),
        positions=np.zeros((1, 3)),
        forces=np.zeros((1, 3)),
        cell=np.eye(3) * cell_length,
        pbc=np.array([pbc] * 3),
    )
    return FrameSet.from_frames([single])


@pytest.mark.parametrize(('cell_length', 'pbc'), [(20.0, True), (3.0, False)])
def test_isolated_atoms_that_would_override_atomic_energies_are_refused(cell_length, pbc):
    training = example_job(Mace())
    mixed = FrameSet.concatenate([training.training_set, atom_in(cell_length, pbc)])
    assert refusal(replace(training, training_set=mixed)) == (
        "the training set holds 1 frames of one isolated atom of ['Au'], which would compete with the stated atomic "
        'energies; take them out, and state their energies as atomic_energies if they are meant'
    )


def test_crystal_with_one_atom_per_cell_is_no_isolated_atom():
    training = example_job(Mace())
    mixed = FrameSet.concatenate([training.training_set, atom_in(2.9, True)])
    assert 'training.xyz' in Mace().training_files(replace(training, training_set=mixed))


def test_learning_curve_is_that_of_the_new_head(tmp_path):
    lines = [
        '{"rmse_e_per_atom": 9.0, "rmse_f": 9.0, "mode": "eval", "epoch": null, "head": "pt_head"}',
        '{"rmse_e_per_atom": 0.5, "rmse_f": 5.0, "mode": "eval", "epoch": null, "head": "Default"}',
        '{"loss": 1.0, "mode": "opt", "epoch": 0}',
        '{"rmse_e_per_atom": 8.0, "rmse_f": 8.0, "mode": "eval", "epoch": 0, "head": "pt_head"}',
        '{"rmse_e_per_atom": 0.4, "rmse_f": 4.0, "mode": "eval", "epoch": 0, "head": "Default"}',
    ]
    (tmp_path / 'log').write_text('\n'.join(lines))
    curve, updates = read_results(tmp_path / 'log')
    assert curve.validation_force_rmse.tolist() == [5.0, 4.0]
    assert curve.training_loss.tolist()[1:] == [1.0]
    assert updates == 1


def test_atomic_energies_are_read_from_what_the_trainer_says(tmp_path):
    (tmp_path / 'out').write_text(
        'INFO: Atomic Energies used (z: eV) for head pt_head: {1: 7.0}\n'
        'INFO: Atomic Energies used (z: eV) for head Default: {1: -1.25, 79: -3.0}\n'
    )
    assert read_atomic_energies(tmp_path / 'out') == {'H': -1.25, 'Au': -3.0}


def test_atomic_energies_that_the_trainer_does_not_say_are_not_known(tmp_path):
    (tmp_path / 'out').write_text('INFO: Atomic Energies used (z: eV) for head Default: {1: -1.')
    assert read_atomic_energies(tmp_path / 'out') is None
    assert read_atomic_energies(tmp_path / 'nothing') is None
