"""The parity gate: a wrong conversion is caught, and nothing runs that did not pass."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import calcfunction, run_get_node
from aiida.orm import Bool, Dict, Int, Str, load_node
from aiida.tools import delete_nodes
from aiida.tools.archive import create_archive, import_archive
from calculation_cases import (
    dataset,
    evaluation_inputs,
    labelled_frames,
    md_inputs,
    potential,
    refusal,
    replica_inputs,
    verdict,
)
from toy.least_squares import LeastSquares

from aiida_edl.calculations.functions.select_parity_frames import select_parity_frames
from aiida_edl.calculations.parity import is_reference, route_of, validate_parity
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.parity import ParityWorkChain, validate_routes
from aiida_edl.workflows.replica_dynamics import ReplicaDynamicsWorkChain

REMEDY = 'run edl.parity for it, or set skip_parity_check to true, which is recorded'


@pytest.fixture
def converted(monkeypatch, toy_architecture):
    """Return a function that gives the toy potential in another format, with an energy error [eV] per frame."""
    binding = replace(LeastSquares.bindings['ase'], formats=('native', 'table'))
    monkeypatch.setattr(LeastSquares, 'bindings', {**LeastSquares.bindings, 'ase': binding})

    def convert(error: float) -> PotentialData:
        original = potential()
        (name,) = original.model_files
        source = original.base.repository.get_object_content(name)
        wrong = source.replace('@ self.coefficients) + repulsion\n', f'@ self.coefficients) + repulsion + {error}\n')
        if error:
            assert wrong != source
        node = potential(model_format='table')
        node.base.repository.put_object_from_bytes(wrong.encode(), name)
        node.base.attributes.set(PotentialData.KEY_SHA256, f'checksum of the table that is off by {error}')
        return node.store()

    return convert


def route(node: PotentialData | None = None, **changes: str) -> dict[str, str]:
    return {**route_of(node or potential(), 'ase'), **changes}


@calcfunction
def copied(node):
    return Dict(node.get_dict())


def verdict_of(passed: bool, frames: FrameSet | None = None, **changes: str) -> Dict:
    return verdict(route(**changes), frames, failure='' if passed else 'its force is off by 1 eV/Å')


def test_frames_of_every_charge_state_are_chosen(aiida_profile):
    chosen = select_parity_frames(dataset(), Int(2))
    frames = chosen.frames()
    assert frames.columns['source_index'].tolist() == [0, 9, 2, 7]
    assert (frames.energies, frames.forces) == (None, None)


def test_wrong_conversion_is_caught_and_the_right_one_passes(converted, python_code):
    routes = {
        'right': {'engine': Str('ase'), 'code': python_code, 'potential': converted(0.0)},
        'wrong': {'engine': Str('ase'), 'code': python_code, 'potential': converted(0.4)},
    }
    outputs, node = run_get_node(
        ParityWorkChain, dataset=dataset(), potential=potential(), code=python_code, routes=routes, n_frames=Int(1)
    )
    assert node.exit_status == 453
    reason = r'its energy is off by 0\.05 eV/atom in frame [01], allowed are 1e-06'
    assert re.fullmatch(f'The potential is not the same by every route: wrong: {reason}', node.exit_message), (
        node.exit_message
    )
    judged = outputs['verdict'].get_dict()
    assert judged['passed'] is False
    assert judged['charge_states'] == ['0', '2Na']
    assert (judged['routes']['right']['passed'], judged['routes']['wrong']['passed']) == (True, False)
    right, wrong = (routes[name]['potential'] for name in ('right', 'wrong'))
    assert validate_parity(outputs['verdict'], route(right)) is None
    assert re.fullmatch(
        f"the ase engine with the format 'table' in float64 failed the parity gate: {reason}; "
        'use another route, or set skip_parity_check to true, which is recorded',
        validate_parity(outputs['verdict'], route(wrong)),
    )


def test_route_whose_program_fails_does_not_pass(converted, python_code):
    broken = converted(0.0).clone()
    (name,) = broken.model_files
    broken.base.repository.put_object_from_bytes(b'raise SystemExit(3)\n', name)
    outputs, node = run_get_node(
        ParityWorkChain,
        dataset=dataset(),
        potential=potential(),
        code=python_code,
        routes={'broken': {'engine': Str('ase'), 'code': python_code, 'potential': broken.store()}},
        n_frames=Int(1),
    )
    assert node.exit_status == 453
    judged = outputs['verdict'].get_dict()['routes']['broken']
    assert (judged['passed'], judged['max_energy_difference'], judged['is_reference']) == (False, None, False)
    assert judged['reasons'][0].startswith('EvaluationCalculation failed with exit status 312: ')


def test_route_that_is_refused_does_not_keep_the_others_from_passing(converted, python_code):
    routes = {
        'right': {'engine': Str('ase'), 'code': python_code, 'potential': converted(0.0)},
        'refused': {'engine': Str('lammps'), 'code': python_code},
    }
    outputs, node = run_get_node(
        ParityWorkChain, dataset=dataset(), potential=potential(), code=python_code, routes=routes, n_frames=Int(1)
    )
    assert node.exit_status == 453
    judged = outputs['verdict'].get_dict()['routes']
    assert judged['right']['passed']
    (reason,) = judged['refused']['reasons']
    assert reason.startswith(
        "there is no binding 'lammps' of architecture 'least_squares'; pairs that exist: ase with "
    )


def test_reference_that_is_refused_is_an_exit_code(converted, python_code):
    routes = {'right': {'engine': Str('ase'), 'code': python_code, 'potential': converted(0.0)}}
    unknown = potential(('H', 'O', 'Au')).store()
    _, node = run_get_node(
        ParityWorkChain, dataset=dataset(), potential=unknown, code=python_code, routes=routes, n_frames=Int(1)
    )
    assert node.exit_status == 211
    assert node.exit_message == (
        'The reference of the comparison cannot be computed: the frames hold Na, the potential knows H, O, Au; use a '
        'potential trained for all elements'
    )


def test_reference_passes_if_its_results_are_finite(toy_architecture):
    judged = verdict(route()).get_dict()
    assert judged['passed']
    assert judged['routes']['md']['is_reference']
    assert (judged['charge_states'], judged['total_charges']) == (['0', '2Na'], {})


def test_way_of_the_trainer_is_the_reference(toy_architecture, converted):
    assert is_reference(potential(), 'ase')
    assert not is_reference(potential(), 'lammps')
    assert not is_reference(potential(), 'ase', Str('float32'))
    assert not is_reference(converted(0.0), 'ase')


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'engine': 'lammps'}, "the ase engine with the format 'native' in float64"),
        ({'precision': 'float32'}, "the ase engine with the format 'native' in float64"),
        ({'potential_sha256': 'of another'}, "the ase engine with the format 'native' in float64"),
    ],
)
def test_verdict_on_something_else_does_not_count(toy_architecture, changes, said):
    message = validate_parity(verdict_of(True, **changes), route())
    assert message == f'the parity verdict says nothing about {said} and this potential; {REMEDY}'


def test_production_without_a_verdict_is_refused(python_code):
    inputs = {'md': md_inputs(python_code)}
    way = "the ase engine with the format 'native' in float64"
    assert MolecularDynamicsWorkChain.validate_gate(inputs, None) == f'no parity verdict is given for {way}; {REMEDY}'
    assert MolecularDynamicsWorkChain.validate_gate({**inputs, 'parity': verdict_of(True)}, None) is None


def test_production_against_the_verdict_is_refused_unless_it_is_overridden(python_code):
    inputs = {'md': md_inputs(python_code), 'parity': verdict_of(False)}
    assert MolecularDynamicsWorkChain.validate_gate(inputs, None) == (
        "the ase engine with the format 'native' in float64 failed the parity gate: its force is off by 1 eV/Å; "
        'use another route, or set skip_parity_check to true, which is recorded'
    )
    assert MolecularDynamicsWorkChain.validate_gate({**inputs, 'skip_parity_check': Bool(False)}, None) is not None
    assert MolecularDynamicsWorkChain.validate_gate({**inputs, 'skip_parity_check': Bool(True)}, None) is None


def gate_of(code, frames: FrameSet | None = None, **changes) -> str | None:
    """Return what the gate says of a run from a frame with two sodium ions."""
    inputs = {'md': md_inputs(code, **{'frame_index': 3, **changes}), 'parity': verdict_of(True, frames)}
    return MolecularDynamicsWorkChain.validate_gate(inputs, None)


def test_charge_state_that_was_not_compared_is_refused(python_code):
    neutral = labelled_frames().select(np.array([0, 1, 4]))
    assert gate_of(python_code, neutral) == (
        'the parity verdict compared frames of the charge states 0, but one of 2Na shall be run; '
        'run edl.parity with such a frame, or set skip_parity_check to true, which is recorded'
    )
    assert gate_of(python_code, neutral, frame_index=1) is None
    assert gate_of(python_code) is None


@pytest.mark.parametrize('compared', [[0.0], [-2.0, 0.0]])
def test_total_charge_that_was_not_compared_is_refused(python_code, compared):
    """The composition does not tell how many electrons a frame has more or less than it should."""
    charged = potential(total_charge_column='excess')
    frames = labelled_frames(2)
    made = verdict(route(charged), frames.select(np.arange(len(compared))).with_columns(excess=compared), charged)
    known = f'from {min(compared):g} to {max(compared):g} e'
    for charge, is_known in ((1.0, False), (0.0, True), (-1.0, len(compared) == 2)):
        structure = dataset(frames.with_columns(excess=charge))
        inputs = {'md': md_inputs(python_code, potential=charged, structure=structure, frame_index=0), 'parity': made}
        message = MolecularDynamicsWorkChain.validate_gate(inputs, None)
        assert message == (
            None
            if is_known
            else f'the parity verdict compared frames of the charge state 0 with total charges {known}, but one with '
            f'{charge:g} e shall be run; run edl.parity with such a frame, or set skip_parity_check to true, which is '
            'recorded'
        )


def test_frames_with_the_smallest_and_the_largest_total_charge_are_chosen(aiida_profile):
    charged = dataset(labelled_frames().with_columns(excess=np.array([0, 3, 1, 1, -2, 0, 1, 1, 1, 1.0])))
    frames = select_parity_frames(charged, Int(1), potential(total_charge_column='excess')).frames()
    assert frames.columns['source_index'].tolist() == [4, 1, 2]


def test_frames_that_will_be_run_are_chosen_if_their_state_is_missing(aiida_profile):
    neutral = dataset(labelled_frames().select(np.array([0, 1, 4])).with_columns(other=1.0))
    frames = select_parity_frames(neutral, Int(1), structure_a=dataset(), structure_b=dataset()).frames()
    assert frames.columns['source'].tolist() == ['dataset', 'structure_a']
    assert frames.columns['source_index'].tolist() == [0, 2]
    assert set(frames.columns) == {'source', 'source_index'}


def replica_gate_of(code, engine: str, **changes) -> str | None:
    """Return what the gate says of three replicas: two neutral ones, and one with two sodium ions."""
    structures = {'small': dataset(labelled_frames(2)), 'mixed': dataset()}
    replicas = {
        'a': {'structure': 'small', 'seed': 1},
        'b': {'structure': 'mixed', 'seed': 2, 'frame_index': 0},
        'c': {'structure': 'mixed', 'seed': 3, 'frame_index': 3},
    }
    inputs = replica_inputs(
        code, structures=structures, replicas=replicas, engine=engine, potential=potential(), model_parameters=None
    )
    return ReplicaDynamicsWorkChain.validate_gate({'md': inputs, **changes}, None)


def test_replicas_of_a_trained_potential_need_a_verdict(python_code):
    way = "the torch_sim engine with the format 'native' in float64"
    assert replica_gate_of(python_code, 'torch_sim') == f'no parity verdict is given for {way}; {REMEDY}'
    assert replica_gate_of(python_code, 'torch_sim', skip_parity_check=Bool(True)) is None
    assert replica_gate_of(python_code, 'torch_sim', parity=verdict_of(True, engine='torch_sim')) is None


def test_verdict_must_know_the_charge_states_of_all_replicas(python_code):
    neutral = labelled_frames().select(np.array([0, 1]))
    assert replica_gate_of(python_code, 'torch_sim', parity=verdict_of(True, neutral, engine='torch_sim')) == (
        'the parity verdict compared frames of the charge states 0, but one of 2Na shall be run; '
        'run edl.parity with such a frame, or set skip_parity_check to true, which is recorded'
    )


def test_verdict_and_override_are_inputs_of_replicas():
    inputs = ReplicaDynamicsWorkChain.spec().inputs
    assert {'parity', 'skip_parity_check'} <= set(inputs)
    assert inputs.validator == ReplicaDynamicsWorkChain.validate_gate


@pytest.mark.parametrize('values', [{'routes': {}}, {}, {'passed': True, 'routes': {'md': {}}, 'charge_states': ['0']}])
def test_verdict_made_by_hand_is_refused(python_code, values):
    inputs = {'md': md_inputs(python_code), 'parity': Dict(values).store()}
    assert MolecularDynamicsWorkChain.validate_gate(inputs, None) == (
        'parity is a Dict that has no creator; give the output verdict of edl.parity, or set skip_parity_check to '
        'true, which is recorded'
    )


def test_result_of_another_function_is_refused(python_code):
    inputs = {'md': md_inputs(python_code), 'parity': copied(Dict(verdict_of(True).get_dict()))}
    assert MolecularDynamicsWorkChain.validate_gate(inputs, None) == (
        'parity is a Dict that was made by copied; give the output verdict of edl.parity, or set '
        'skip_parity_check to true, which is recorded'
    )


def test_verdict_of_an_imported_archive_is_accepted(python_code, tmp_path, aiida_profile):
    inputs = {'md': md_inputs(python_code)}
    made = verdict_of(True)
    uuid = made.uuid
    create_archive([made], filename=tmp_path / 'verdict.aiida')
    delete_nodes([made.creator.pk], dry_run=False)
    import_archive(tmp_path / 'verdict.aiida')
    assert MolecularDynamicsWorkChain.validate_gate({**inputs, 'parity': load_node(uuid)}, None) is None


def test_reference_models_need_no_verdict(python_code):
    run = {**md_inputs(python_code), 'model_parameters': Dict({})}
    run.pop('potential')
    assert MolecularDynamicsWorkChain.validate_gate({'md': run}, None) is None


@pytest.mark.parametrize(
    ('routes', 'message'),
    [
        ({}, 'no route is given; name at least one way to run the potential'),
        ({'md': {'engine': 'ase'}}, "route 'md' lacks code"),
        (
            {'md': {'engine': 'ase', 'code': 1, 'potentials': 2}},
            "unknown input of route 'md' 'potentials': did you mean 'potential'? "
            'Known: code, engine, options, potential, precision.',
        ),
        (
            {'reference': {}},
            "a route is called 'reference', which stands for the trainer's own calculator; rename it",
        ),
    ],
)
def test_incomplete_route_is_refused(routes, message):
    assert validate_routes(routes, None) == message


def test_engine_that_cannot_compute_given_frames_is_refused(python_code):
    message = refusal('edl.evaluation', evaluation_inputs(python_code, engine='electrode'))
    assert message.startswith("engine 'electrode' cannot compute given frames; engines that can: ase")
