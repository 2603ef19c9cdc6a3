"""Potentials that are given to a benchmark are refused before anything is submitted if they cannot be used."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from aiida.common.links import LinkType
from aiida.orm import Dict, WorkChainNode

from aiida_edl.science.analysis.training_sets import TrainingKind, training_kind
from aiida_edl.workflows.benchmark_codes import validate_codes
from aiida_edl.workflows.benchmark_given import codes_of_given, given_model, validate_given
from aiida_edl.workflows.benchmark_settings import BenchmarkSettings
from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain
from aiida_edl.workflows.extension import potentials_of_study
from aiida_edl.workflows.launch import benchmark_settings, known_benchmark

ELEMENTS = ('H', 'O', 'Na', 'Au')


def given(**changes: Any) -> Any:
    """Return what is asked of a potential."""
    values = {'architecture': 'mace', 'format': 'native', 'elements': ELEMENTS, 'cutoff_radius': 5.0, **changes}
    return SimpleNamespace(**values)


def refusal(name: str = 'foundation', overrides: Any = None, **changes: Any) -> str | None:
    settings = BenchmarkSettings.from_dict(benchmark_settings('fast', overrides))
    return validate_given({name: given(**changes)}, settings)


def test_potential_that_can_be_used_is_accepted():
    assert refusal() is None


def test_potential_need_not_know_an_ion_that_no_state_holds():
    neutral = {'charge_states': [0], 'training_sets': {'single': True}}
    assert refusal(overrides=neutral, elements=('H', 'O', 'Au')) is None


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'elements': ('H', 'O')},
            "given potential 'foundation' knows H, O, the interfaces hold Au, Na, too; give one for all elements",
        ),
        (
            {'format': 'mliap'},
            "given potential 'foundation' is in the format 'mliap'; give it as its trainer exports it, it is converted "
            'where the engine loads another format',
        ),
        (
            {'name': 'mace'},
            "given potential 'mace' has the name of an architecture of the benchmark; give it another",
        ),
        (
            {'name': 'of-others'},
            "'of-others' cannot name an architecture or a training set; use letters, digits and single underscores",
        ),
        (
            {'architecture': 'mase'},
            "unknown architecture 'mase': did you mean 'mace'? Known: ",
        ),
        (
            {'architecture': 'mace_polar', 'cutoff_radius': 14.0},
            'structure.vacuum is 12.0 Å, but ase computes films by foundation as periodic along all cell vectors, with '
            'a cutoff radius of 14.0 Å; give a vacuum of at least 13.0 Å',
        ),
    ],
)
def test_potential_that_cannot_be_used_is_refused(changes, message):
    assert str(refusal(**changes)).startswith(message)


def test_code_of_a_given_potential_is_asked_for(aiida_profile):
    inputs = {
        'settings': Dict(benchmark_settings('fast')),
        'codes': dict.fromkeys(('reference', 'mace', 'deep_potential')),
        'given_potentials': {'foundation': given()},
    }
    message = validate_codes(inputs, None)
    assert message is not None
    assert re.match('no code is given for foundation; install with foundation: ', message)
    inputs['codes'] |= {'foundation': None, 'foundation_md': None}
    assert validate_codes(inputs, None) is None


def test_engine_that_is_no_python_needs_a_code_for_the_runs():
    settings = BenchmarkSettings.from_dict(benchmark_settings('fast'))
    assert set(codes_of_given({'foundation': given()}, settings)[1]) == {'foundation_md'}


def test_given_potential_is_compared_with_none():
    assert training_kind(given_model('foundation').training_set) is TrainingKind.OTHER


def test_study_with_another_given_potential_is_another_study(python_code):
    from calculation_cases import potential

    node = WorkChainNode(process_type=ChargedInterfaceBenchmarkWorkChain.build_process_type())
    node.base.links.add_incoming(Dict({'any': 'given'}).store(), LinkType.INPUT_WORK, 'settings')
    node.base.links.add_incoming(python_code, LinkType.INPUT_WORK, 'codes__reference')
    node.base.links.add_incoming(potential(), LinkType.INPUT_WORK, 'given_potentials__foundation')
    node.store()
    node.set_process_state('finished')
    node.set_exit_status(0)
    codes = {'reference': python_code.uuid}
    assert known_benchmark({'any': 'given'}, codes) is None
    assert known_benchmark({'any': 'given'}, codes, {'foundation': potential()}).pk == node.pk
    assert potentials_of_study(node)['foundation'].uuid == potential().uuid
