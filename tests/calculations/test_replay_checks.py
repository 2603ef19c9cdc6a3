"""Replayed frames that are not what the parent knows, or on which the model is tested, are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiida.common import LinkType
from aiida.orm import CalcJobNode, List
from aiida.plugins import CalculationFactory
from calculation_cases import ATOMIC_ENERGIES, ELEMENTS, labelled_frames, refusal, training_inputs

from aiida_edl.calculations.functions.subtract_electrostatics import LESS_ELECTROSTATICS
from aiida_edl.calculations.replay_checks import ReplayKind, replay_kind
from aiida_edl.calculations.training import TrainingCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.ensemble_training import validate_ensemble
from aiida_edl.workflows.training import TrainingWorkChain

ENTRY_POINT = 'edl.training'
MODEL = {'cutoff_radius': 4.0, 'n_interactions': 1, 'n_channels': 4, 'max_l': 0, 'batch_size': 2}
PARENT_LEVEL = 'PBE and PBE+U as in MPtrj'
TEACHER = f'mace potential trained on {PARENT_LEVEL}'

pytestmark = pytest.mark.usefixtures('aiida_profile')


def parent(**changes) -> PotentialData:
    """Return a potential of mace with the shape of :data:`MODEL`, trained elsewhere."""
    values = {
        'architecture': 'mace',
        'elements': ELEMENTS,
        'cutoff_radius': 4.0,
        'n_layers': 1,
        'level_of_theory': PARENT_LEVEL,
        'atomic_energies': {},
        'embeds_atomic_energies': True,
        'precision': 'float64',
        **changes,
    }
    return PotentialData.from_model({'mace.model': values.pop('content', b'weights')}, **values)


def replayed(level_of_theory: str = PARENT_LEVEL, seed: int = 9) -> DatasetData:
    return DatasetData.from_frames(labelled_frames(10, seed), level_of_theory=level_of_theory)


def fine_tuning_inputs(code, **changes):
    """Return inputs of a fine-tuning with replay; those of the mode that differ are in ``settings``."""
    settings = {'mode': 'multihead_replay', **changes.pop('settings', {})}
    values = {
        'architecture': 'mace',
        'hyperparameters': MODEL,
        'parent_potential': parent(),
        'fine_tuning': settings,
        'replay_dataset': replayed(),
        'atomic_energies': ATOMIC_ENERGIES,
        **changes,
    }
    return training_inputs(code, **values)


def test_labels_of_the_level_of_the_parent_are_accepted(python_code):
    assert refusal_of(fine_tuning_inputs(python_code)) is None


def test_labels_that_the_parent_made_are_accepted(python_code):
    assert refusal_of(fine_tuning_inputs(python_code, replay_dataset=replayed(TEACHER))) is None


def refusal_of(inputs) -> str | None:
    """Return what validation says, None if it says nothing."""
    complete = CalculationFactory(ENTRY_POINT).spec().inputs.pre_process(inputs)
    return TrainingCalculation.validate(complete)


def other_labels_message(level: str) -> str:
    return (
        f"the labels of replay_dataset are '{level}', neither those of the parent, '{PARENT_LEVEL}', nor made by it; "
        'give such ones, or state replay_labels: other in fine_tuning'
    )


def test_labels_of_another_level_are_refused_unless_stated(python_code):
    inputs = {'replay_dataset': replayed('r2SCAN')}
    assert refusal(ENTRY_POINT, fine_tuning_inputs(python_code, **inputs)) == other_labels_message('r2SCAN')
    stated = fine_tuning_inputs(python_code, **inputs, settings={'replay_labels': 'other'})
    assert refusal_of(stated) is None


def test_labels_of_the_parent_that_are_stated_as_others_are_refused(python_code):
    inputs = fine_tuning_inputs(python_code, settings={'replay_labels': 'other'})
    assert refusal(ENTRY_POINT, inputs) == (
        'the labels of replay_dataset are true labels, fine_tuning states replay_labels: other; leave that out'
    )


def test_unknown_kind_of_labels_is_refused(python_code):
    inputs = fine_tuning_inputs(python_code, settings={'replay_labels': 'others'})
    assert refusal(ENTRY_POINT, inputs) == (
        "unknown replay_labels of fine_tuning 'others': did you mean 'other'? Known: other, parent."
    )


def test_work_chain_refuses_the_same(python_code):
    inputs = {'training': fine_tuning_inputs(python_code, replay_dataset=replayed('r2SCAN'))}
    spec = TrainingWorkChain.spec().inputs
    error = spec.validate(spec.pre_process(inputs))
    assert error is not None
    assert error.message == other_labels_message('r2SCAN')


def made_by(teacher: PotentialData, frames: DatasetData) -> DatasetData:
    """Return stored frames that a calculation with this teacher made, as the graph of a labelling has it."""
    job = CalcJobNode(computer=None, process_type='aiida.calculations:edl.single_point.ase_calculator')
    job.base.links.add_incoming(teacher.store(), LinkType.INPUT_CALC, 'potential')
    job.store()
    frames.base.links.add_incoming(job, LinkType.CREATE, 'dataset')
    return frames.store()


def test_pseudo_labels_of_another_potential_are_told_apart_by_the_graph():
    own, other = parent(content=b'own'), parent(content=b'other')
    assert replay_kind(made_by(own, replayed(TEACHER)), own) is ReplayKind.PSEUDO
    assert replay_kind(made_by(other, replayed(TEACHER)), own) is ReplayKind.OTHER
    assert replay_kind(replayed(TEACHER), own) is ReplayKind.PSEUDO
    assert replay_kind(replayed(), own) is ReplayKind.TRUE


def test_each_parent_of_an_ensemble_is_asked(python_code):
    """The parents have one level of theory, but the first alone made the pseudo-labels."""
    first, second = parent(content=b'first'), parent(content=b'second')
    replay = made_by(first, replayed(TEACHER))
    training = (
        CalculationFactory(ENTRY_POINT)
        .spec()
        .inputs.pre_process(fine_tuning_inputs(python_code, replay_dataset=replay))
    )
    inputs = {'training': training, 'seeds': List([1, 2])}
    assert validate_ensemble({**inputs, 'parent_potentials': {'seed_01': first, 'seed_02': first}}, None) is None
    message = validate_ensemble({**inputs, 'parent_potentials': {'seed_01': first, 'seed_02': second}}, None)
    assert message == f'the parent of seed_02 is refused: {other_labels_message(TEACHER)}'


def test_labels_less_their_electrostatics_are_those_of_the_whole():
    assert replay_kind(replayed(f'{PARENT_LEVEL}{LESS_ELECTROSTATICS}'), parent()) is ReplayKind.TRUE
    assert replay_kind(replayed(f'r2SCAN{LESS_ELECTROSTATICS}'), parent()) is ReplayKind.OTHER


def test_test_frames_that_are_replayed_are_refused(python_code):
    """The split tests frames 5 and 9; the replayed set holds frame 9 of the dataset as its third."""
    frames = labelled_frames()
    own = replayed().frames()
    pieces = [own.select([0, 1]), replace(frames.select([9]), energies=frames.energies[[9]] + 3.0)]
    leaking = DatasetData.from_frames(type(own).concatenate(pieces), level_of_theory=PARENT_LEVEL)
    assert refusal(ENTRY_POINT, fine_tuning_inputs(python_code, replay_dataset=leaking)) == (
        '1 of 2 test frames are replayed, the first is frame 9 of the dataset and frame 2 of replay_dataset; take them '
        'out of replay_dataset, as errors on what was learnt are no test'
    )


def test_training_frames_may_be_replayed(python_code):
    frames = labelled_frames().select([0, 1, 2])
    replay = DatasetData.from_frames(frames, level_of_theory=PARENT_LEVEL)
    assert refusal_of(fine_tuning_inputs(python_code, replay_dataset=replay)) is None


@pytest.mark.parametrize(
    ('elements', 'known'),
    [
        (('H', 'O', 'Au'), "['H', 'O', 'Au']"),
        (('H', 'He', 'Li', 'Be', 'B', 'C', 'N', 'O', 'F', 'Ne', 'Mg', 'Al', 'Au'), '13 elements'),
    ],
    ids=['few', 'many'],
)
@pytest.mark.parametrize('in_work_chain', [False, True], ids=['calculation', 'work chain'])
def test_parent_that_lacks_an_element_of_the_data_is_refused(python_code, elements, known, in_work_chain):
    inputs = training_inputs(
        python_code, architecture='mace', hyperparameters=MODEL, parent_potential=parent(elements=elements)
    )
    message = f"the parent knows {known} and not ['Na']; use one that does"
    if in_work_chain:
        spec = TrainingWorkChain.spec().inputs
        assert spec.validate(spec.pre_process({'training': inputs})).message == message
    else:
        assert refusal(ENTRY_POINT, inputs) == message
