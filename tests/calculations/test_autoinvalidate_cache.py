"""A calculation that did not end for a reason in its inputs is never taken from the cache."""

from __future__ import annotations

import pytest
from aiida.plugins import CalculationFactory
from aiida.plugins.entry_point import get_entry_point_names

from aiida_edl.calculations.exit_codes import FIRST_STATUS_KEPT_IN_CACHE

CALCULATIONS = [name for name in get_entry_point_names('aiida.calculations') if name.startswith('edl.')]


def calculation_jobs():
    """Return all registered jobs of this package; the other entry points are functions."""
    processes = {name: CalculationFactory(name) for name in CALCULATIONS}
    return {name: process for name, process in processes.items() if hasattr(process, 'prepare_for_submission')}


@pytest.mark.parametrize('name', sorted(CALCULATIONS))
def test_every_entry_point_can_be_loaded(name):
    assert CalculationFactory(name)


def test_jobs_are_found():
    assert 'edl.training' in calculation_jobs()


@pytest.mark.parametrize('name', sorted(calculation_jobs()))
def test_exit_codes_that_say_nothing_about_the_inputs_invalidate_the_cache(name):
    for code in calculation_jobs()[name].spec().exit_codes.values():
        if 100 <= code.status < FIRST_STATUS_KEPT_IN_CACHE:
            assert code.invalidates_cache, code.label
        elif code.status >= FIRST_STATUS_KEPT_IN_CACHE:
            assert not code.invalidates_cache, code.label


@pytest.mark.parametrize('name', sorted(calculation_jobs()))
def test_jobs_carry_a_cache_version(name):
    assert calculation_jobs()[name].CACHE_VERSION >= 1
