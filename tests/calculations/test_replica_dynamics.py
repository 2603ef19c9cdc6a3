"""Replica dynamics: what is refused and what is staged; it is run for real with the work chain."""

from __future__ import annotations

import json

import numpy as np
import pytest
from aiida.orm import FolderData
from calculation_cases import dataset, labelled_frames, potential, refusal, replica_inputs, stage

from aiida_edl.science.frames import FrameSet

ENTRY_POINT = 'edl.replica_dynamics'
ONE = {'structure': 'bulk', 'seed': 1}


def changed(code, **changes):
    """Return inputs with some entries of ``replicas`` or ``settings`` changed; None leaves one out."""
    inputs = replica_inputs(code)
    for name, entries in changes.items():
        merged = {**inputs[name].get_dict(), **entries}
        inputs[name] = type(inputs[name])({key: value for key, value in merged.items() if value is not None})
    return inputs


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'replicas': {'bulk': {**ONE, 'structure': 'bulc'}}},
            "replica 'bulk' begins from the structure 'bulc'; structures given: bulk, displaced, film",
        ),
        (
            {'replicas': {'bulk': {**ONE, 'frame_index': 1}}},
            "frame_index is 1, structure 'bulk' of replica 'bulk' has 1 frames",
        ),
        ({'replicas': {'bulk': {'structure': 'bulk'}}}, "replica 'bulk' lacks seed"),
        ({'replicas': {'bulk': {**ONE, 'seed': -1}}}, "seed of replica 'bulk' is -1, it must be a whole number from 0"),
        (
            {'replicas': {'bulk': {**ONE, 'frame_index': 0.5}}},
            "frame_index of replica 'bulk' is 0.5, it must be a whole number",
        ),
        (
            {'replicas': {'bulk': {**ONE, 'sed': 1}}},
            "unknown key of replica 'bulk' 'sed': did you mean 'seed'? Known: frame_index, seed, structure.",
        ),
        (
            {'replicas': {'seed-1': ONE}},
            "replica 'seed-1' becomes the label of an output: use letters, digits and single underscores",
        ),
        ({'replicas': {'bulk': 1}}, "replica 'bulk' is 1, it must be a mapping with structure, frame_index, seed"),
        ({'replicas': {'film': None}}, 'no replica begins from the structure film; leave it out or add a replica'),
        (
            {'settings': {'seed': 1}},
            'settings holds a seed, but each replica has a seed of its own; leave it out',
        ),
        (
            {'settings': {'thermostat': 'nose_hoover'}},
            "engine torch_sim has no thermostat 'nose_hoover'; use 'csvr' or 'langevin'",
        ),
        (
            {'settings': {'fixed_elements': ['Pt']}},
            "fixed_elements names Pt, structure 'bulk' of replica 'bulk' holds Au",
        ),
        ({'settings': {'fixed_atoms': [31]}}, 'fixed_atoms holds 31, the frame has 31 atoms'),
    ],
)
def test_wrong_entry_is_refused_in_one_sentence(python_code, changes, message):
    assert refusal(ENTRY_POINT, changed(python_code, **changes)) == message


def test_empty_replicas_are_refused(python_code):
    assert refusal(ENTRY_POINT, replica_inputs(python_code, replicas={})) == (
        'replicas is empty; name at least one, e.g. {"seed_1": {"structure": "uncharged", "seed": 1}}'
    )


def test_engine_that_runs_one_replica_at_a_time_is_refused(python_code):
    assert refusal(ENTRY_POINT, replica_inputs(python_code, engine='ase')) == (
        'engine ase runs one replica at a time; engines that run batches: torch_sim'
    )


def test_potential_without_binding_is_refused(python_code):
    structures = {'a': dataset(labelled_frames(2))}
    replicas = {'a': {'structure': 'a', 'seed': 1}}
    inputs = replica_inputs(
        python_code, structures=structures, replicas=replicas, potential=potential(), model_parameters=None
    )
    assert refusal(ENTRY_POINT, inputs).startswith(
        "there is no binding 'torch_sim' of architecture 'least_squares'; pairs that exist: ase with "
    )


def test_charge_that_the_engine_cannot_pass_on_is_refused(python_code, monkeypatch):
    monkeypatch.setattr('aiida_edl.calculations.replica_dynamics.loadable_model', charged_model)
    frames = labelled_frames(1)
    charged = FrameSet.from_frames([frames.frame(0)])
    structures = {'a': dataset(charged.with_columns(total_charge=np.array([1.0])))}
    inputs = replica_inputs(python_code, structures=structures, replicas={'a': {'structure': 'a', 'seed': 1}})
    assert refusal(ENTRY_POINT, inputs) == (
        'the potential takes the total charge of a frame, which engine torch_sim cannot pass on to it; use engine ase'
    )


def charged_model(inputs, engine):
    """Return a model that takes the total charge of a frame."""
    from aiida_edl.calculations.models import LoadableModel

    recipe = inputs['model_parameters']['recipe']
    return LoadableModel(recipe, 'charged', (), {}, total_charge_column='total_charge')


def test_what_is_staged(python_code, tmp_path):
    calc_info = stage(ENTRY_POINT, tmp_path, replica_inputs(python_code))
    assert {path.name for path in tmp_path.iterdir()} == {
        'commands.json',
        'initial_0000.npz',
        'initial_0001.npz',
        'initial_0002.npz',
        'md.json',
        'run_commands.py',
        'run_torch_sim_md.py',
        'torch_sim_batch.py',
    }
    document = json.loads((tmp_path / 'md.json').read_text())
    assert document['seeds'] == [1, 2, 3]
    assert 'seed' not in document['settings']
    numbers = [len(FrameSet.from_npz(tmp_path / name).frame(0).numbers) for name in document['initial']]
    assert numbers == [32, 31, 32]
    assert ('trajectory_*.npz', '.', 1) in calc_info.retrieve_temporary_list


def test_checkpoint_makes_a_restart(python_code, tmp_path):
    checkpoint = FolderData()
    checkpoint.base.repository.put_object_from_bytes(b'state', 'checkpoint.npz')
    calc_info = stage(ENTRY_POINT, tmp_path, replica_inputs(python_code, checkpoint=checkpoint.store()))
    assert json.loads((tmp_path / 'md.json').read_text())['is_restart'] is True
    assert [entry[2] for entry in calc_info.local_copy_list] == ['checkpoint.npz']
