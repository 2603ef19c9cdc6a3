"""The table of exit codes and how calculations register it."""

from __future__ import annotations

import re

import pytest
from aiida.plugins import CalculationFactory

from aiida_edl.calculations.exit_codes import EXIT_CODES, ExitCodeDefinition

CALCULATIONS = (
    'edl.training',
    'edl.evaluation',
    'edl.conversion',
    'edl.molecular_dynamics',
    'edl.replica_dynamics',
    'edl.single_point.ase_calculator',
    'edl.single_point.electrode',
)
RESERVED = (301, 302, 401, 402)


def test_numbers_and_labels_are_unique():
    assert len({definition.status for definition in EXIT_CODES}) == len(EXIT_CODES)
    assert len({definition.label for definition in EXIT_CODES}) == len(EXIT_CODES)


def test_table_is_ordered_by_status():
    assert [definition.status for definition in EXIT_CODES] == sorted(definition.status for definition in EXIT_CODES)


def test_numbers_of_the_restart_base_are_left_alone():
    assert not {definition.status for definition in EXIT_CODES} & set(RESERVED)


@pytest.mark.parametrize('definition', EXIT_CODES, ids=lambda definition: definition.label)
def test_each_code_says_what_when_and_with_which_values(definition):
    assert re.fullmatch(r'ERROR(_[A-Z]+)+', definition.label)
    assert definition.message.endswith(': {detail}')
    assert definition.when.endswith('.')
    assert 200 <= definition.status < 500


@pytest.mark.parametrize(('status', 'expected'), [(310, True), (449, True), (450, False), (499, False)])
def test_failures_that_follow_from_the_inputs_stay_in_the_cache(status, expected):
    assert ExitCodeDefinition(status, 'ERROR_X', 'x: {detail}', 'When.').invalidates_cache is expected


@pytest.mark.parametrize('name', CALCULATIONS)
def test_calculations_register_from_the_table_only(name):
    process = CalculationFactory(name)
    table = {definition.status: definition for definition in EXIT_CODES}
    own = {status: code for code in process.spec().exit_codes.values() if (status := code.status) >= 200}
    assert set(own) == {definition.status for definition in process.EXIT_CODES}
    for status, code in own.items():
        assert code.message == table[status].message
