"""Molecular dynamics goes on from a checkpoint of the same run only, and not beyond its target."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from aiida.orm import FolderData
from aiida.plugins import CalculationFactory
from calculation_cases import (
    EMT_PARAMETERS,
    dataset,
    labelled_frames,
    md_inputs,
    potential,
    refusal,
    replica_inputs,
)

from aiida_edl.calculations.molecular_dynamics import run_identity
from aiida_edl.calculations.replica_dynamics import replica_identity

IDENTITIES = {'edl.molecular_dynamics': run_identity, 'edl.replica_dynamics': replica_identity}
MD, REPLICAS = IDENTITIES
SETTINGS = {'steps': 20, 'sampling_interval': 5, 'temperature': 100.0, 'fixed_elements': ['Au']}


def complete(entry_point, inputs):
    """Return inputs with the defaults of the ports."""
    return CalculationFactory(entry_point).spec().inputs.pre_process(dict(inputs))


def checkpoint(entry_point, inputs, **attributes):
    """Return the checkpoint of a run with these inputs, as it comes out of the database."""
    node = FolderData()
    node.base.repository.put_object_from_bytes(b'state', 'checkpoint.npz')
    identity = IDENTITIES[entry_point](complete(entry_point, inputs))
    node.base.attributes.set_many({'steps_done': 10, **identity, **attributes})
    return node.store()


def said(entry_point, inputs):
    """Return what a calculation says of valid inputs, checksums by three dots."""
    return re.sub(r'sha256 [0-9a-f]{12}\b', 'sha256 ...', refusal(entry_point, inputs))


def is_accepted(entry_point, inputs):
    return CalculationFactory(entry_point).validate(complete(entry_point, inputs)) is None


def moved(frames):
    return replace(frames, positions=frames.positions + 1e-9)


@pytest.mark.parametrize(
    ('changes', 'difference'),
    [
        ({'settings': {**SETTINGS, 'temperature': 101.0}}, 'setting temperature 100.0, this one has 101.0'),
        ({'settings': {**SETTINGS, 'time_step': 1.0}}, 'setting time_step 0.5, this one has 1.0'),
        ({'settings': {**SETTINGS, 'ensemble': 'nve'}}, 'setting ensemble nvt, this one has nve'),
        ({'settings': {**SETTINGS, 'seed': 2}}, 'setting seed 1, this one has 2'),
        ({'settings': {**SETTINGS, 'sampling_interval': 10}}, 'setting sampling_interval 5, this one has 10'),
        (
            {'settings': {**SETTINGS, 'fixed_elements': ['Au', 'O']}},
            "setting fixed_elements ['Au'], this one has ['Au', 'O']",
        ),
        ({'frame_index': 0}, 'structure sha256 ..., this one has sha256 ...'),
        (
            {'potential': None, 'model_parameters': dict(EMT_PARAMETERS)},
            'potential sha256 ..., this one has none',
        ),
    ],
    ids=['temperature', 'time step', 'ensemble', 'seed', 'sampling', 'fixed atoms', 'frame', 'model'],
)
def test_checkpoint_of_another_run_is_refused(python_code, changes, difference):
    of_another = checkpoint(MD, md_inputs(python_code))
    assert said(MD, md_inputs(python_code, checkpoint=of_another, **changes)) == (
        f'the checkpoint is of a run with {difference}; leave the checkpoint out to start anew'
    )


def test_checkpoint_of_another_potential_is_refused(python_code):
    other = potential(
        ('H', 'O', 'Na', 'Cu', 'Au'), atomic_energies={**dict.fromkeys(('H', 'O', 'Na', 'Cu', 'Au'), 0.0)}
    )
    inputs = md_inputs(python_code, checkpoint=checkpoint(MD, md_inputs(python_code)), potential=other)
    assert said(MD, inputs) == (
        'the checkpoint is of a run with potential sha256 ..., this one has sha256 ...; leave the checkpoint out to '
        'start anew'
    )


def test_checkpoint_of_another_recipe_is_refused(python_code):
    recipe = {'module': 'toy.failing_calculator', 'attribute': 'KillingCalculator'}
    first, second = (
        md_inputs(
            python_code,
            potential=None,
            model_parameters={
                'recipe': {**recipe, 'keyword_arguments': {'after': after}},
                'level_of_theory': 'Morse potential',
            },
        )
        for after in (1, 2)
    )
    assert said(MD, {**second, 'checkpoint': checkpoint(MD, first)}) == (
        'the checkpoint is of a run with model_parameters recipe keyword_arguments after 1, this one has 2; leave the '
        'checkpoint out to start anew'
    )


@pytest.mark.parametrize(
    ('attributes', 'difference'),
    [
        ({'engine': 'lammps'}, 'engine lammps, this one has ase'),
        ({'precision': 'float32'}, 'precision float32, this one has float64'),
        ({'atomic_energies': {'H': -13.5}}, 'atomic_energies Au none, this one has -900.0'),
    ],
    ids=['engine', 'precision', 'atomic energies'],
)
def test_what_the_checkpoint_says_is_compared(python_code, attributes, difference):
    inputs = md_inputs(python_code)
    assert said(MD, {**inputs, 'checkpoint': checkpoint(MD, inputs, **attributes)}) == (
        f'the checkpoint is of a run with {difference}; leave the checkpoint out to start anew'
    )


def test_target_below_the_checkpoint_is_refused(python_code):
    inputs = md_inputs(python_code)
    assert said(MD, {**inputs, 'checkpoint': checkpoint(MD, inputs, steps_done=21)}) == (
        'the checkpoint stands for 21 steps, the target is 20; raise steps or leave the checkpoint out'
    )
    assert is_accepted(MD, {**inputs, 'checkpoint': checkpoint(MD, inputs, steps_done=20)})


@pytest.mark.parametrize(
    'changes',
    [
        {'settings': {**SETTINGS, 'steps': 1000}},
        {'settings': {**SETTINGS, 'maximum_temperature': 5000.0}},
        {'stored_every': 2},
        {'precision': 'float64'},
        {'frame_index': 3},
    ],
    ids=['target', 'explosion', 'stored frames', 'same precision', 'same frame'],
)
def test_what_does_not_change_the_run_may_change(python_code, changes):
    of_same = checkpoint(MD, md_inputs(python_code))
    assert is_accepted(MD, md_inputs(python_code, checkpoint=of_same, **changes))


def test_copies_of_the_inputs_are_the_same_run(python_code):
    settings = {**SETTINGS, 'temperature': 100.0 * (0.1 + 0.2), 'fixed_atoms': [2]}  # more digits than AiiDA keeps
    of_same = checkpoint(MD, md_inputs(python_code, settings=settings))
    own = potential(seed=99)
    assert own.uuid != potential().uuid
    structure = dataset(labelled_frames(4))
    inputs = md_inputs(python_code, settings=settings, checkpoint=of_same, potential=own, structure=structure)
    assert is_accepted(MD, inputs)


def test_structure_that_differs_a_little_is_another(python_code):
    of_another = checkpoint(MD, md_inputs(python_code))
    inputs = md_inputs(python_code, checkpoint=of_another, structure=dataset(moved(labelled_frames(4))))
    assert said(MD, inputs).startswith('the checkpoint is of a run with structure sha256 ..., this one has sha256 ...')


def test_total_charge_is_part_of_the_start(python_code):
    frames = labelled_frames(4)
    charged = [dataset(frames.with_columns(total_charge=np.full(4, charge))) for charge in (0.0, 1.0)]
    model = potential(total_charge_column='total_charge')
    starts = [run_identity(complete(MD, md_inputs(python_code, structure=s, potential=model))) for s in charged]
    assert starts[0]['structure'] != starts[1]['structure']


def test_checkpoint_of_an_earlier_version_is_not_compared(python_code):
    plain = FolderData()
    plain.base.repository.put_object_from_bytes(b'state', 'checkpoint.npz')
    assert is_accepted(MD, md_inputs(python_code, checkpoint=plain.store()))


def reordered(inputs, **changes):
    """Return inputs of replicas some of which are described differently."""
    replicas = inputs['replicas'].get_dict()
    return {**inputs, 'replicas': type(inputs['replicas'])({**replicas, **changes})}


@pytest.mark.parametrize(
    ('changes', 'difference'),
    [
        ({'film': {'structure': 'film', 'seed': 9}}, 'replicas film seed 3, this one has 9'),
        (
            {'film': {'structure': 'bulk', 'seed': 3}, 'bulk': {'structure': 'film', 'seed': 1}},
            'replicas bulk structure sha256 ..., this one has sha256 ...',
        ),
    ],
    ids=['seed', 'structure'],
)
def test_checkpoint_of_other_replicas_is_refused(python_code, changes, difference):
    inputs = replica_inputs(python_code)
    of_another = checkpoint(REPLICAS, inputs)
    assert said(REPLICAS, {**reordered(inputs, **changes), 'checkpoint': of_another}) == (
        f'the checkpoint is of a run with {difference}; leave the checkpoint out to start anew'
    )


def test_checkpoint_of_other_settings_of_replicas_is_refused(python_code):
    of_another = checkpoint(REPLICAS, replica_inputs(python_code))
    settings = {**replica_inputs(python_code)['settings'].get_dict(), 'time_step': 1.0}
    assert said(REPLICAS, replica_inputs(python_code, settings=settings, checkpoint=of_another)) == (
        'the checkpoint is of a run with setting time_step 2.0, this one has 1.0; leave the checkpoint out to start '
        'anew'
    )


def test_target_of_replicas_below_the_checkpoint_is_refused(python_code):
    inputs = replica_inputs(python_code)
    assert said(REPLICAS, {**inputs, 'checkpoint': checkpoint(REPLICAS, inputs, steps_done=41)}) == (
        'the checkpoint stands for 41 steps, the target is 40; raise steps or leave the checkpoint out'
    )


def test_replicas_go_on_from_their_checkpoint(python_code):
    inputs = replica_inputs(python_code)
    assert is_accepted(REPLICAS, {**inputs, 'checkpoint': checkpoint(REPLICAS, inputs, steps_done=40)})
