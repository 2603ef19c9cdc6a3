"""Builders of crystals: what they store, and that equal settings are not computed twice."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import Dict
from aiida.plugins import CalculationFactory

from aiida_edl.science.structures.interphase import InterphaseError
from aiida_edl.science.structures.lithium_fluoride_settings import LithiumFluorideError

pytestmark = pytest.mark.usefixtures('aiida_profile')
CASES = {
    'edl.build_lithium_fluoride': ({'defect': 'vacancy', 'repeat': [2, 2, 2]}, {'seed': 3}),
    'edl.build_silica': ({'charge': 1}, {'seed': 3}),
    'edl.build_interphase': ({'kind': 'lithium_carbonate'}, {'repeat': [1, 1, 1]}),
}


@pytest.mark.parametrize('name', CASES)
def test_equal_settings_come_from_the_cache_and_others_do_not(name):
    function, (values, other) = CalculationFactory(name), CASES[name]
    with enable_caching():
        nodes = [run_get_node(function, settings=Dict(given))[1] for given in (values, values, values | other)]
    assert nodes[1].base.caching.get_cache_source() == nodes[0].uuid
    assert not nodes[2].base.caching.is_created_from_cache


def test_report_and_columns_of_a_defect_are_stored():
    settings = {'defect': 'interstitial', 'repeat': [1, 2, 2], 'charge_convention': 'ionic', 'n_frames': 2}
    node = CalculationFactory('edl.build_lithium_fluoride')(Dict(settings))
    report = node.base.attributes.get('report')
    assert (node.n_frames, report['n_atoms'], report['total_charge'], len(report['warnings'])) == (2, 33, 1, 2)
    assert sorted(node.columns()) == ['defect', 'n_defects', 'total_charge']


def test_report_and_columns_of_a_vacancy_in_quartz_are_stored():
    node = CalculationFactory('edl.build_silica')(Dict({'charge': 2, 'n_frames': 3}))
    report = node.base.attributes.get('report')
    assert (node.n_frames, report['n_atoms'], report['total_charge'], len(report['warnings'])) == (3, 71, 2, 1)
    assert sorted(node.columns()) == ['defect', 'n_defects', 'total_charge']


def test_report_of_an_interphase_is_stored():
    report = CalculationFactory('edl.build_interphase')(Dict({})).base.attributes.get('report')
    assert (report['n_atoms'], report['n_interfaces']) == (256, 2)


@pytest.mark.parametrize(
    ('name', 'settings', 'error', 'message'),
    [
        (
            'edl.build_lithium_fluoride',
            {'defect': 'vacancy', 'repeat': 3},
            LithiumFluorideError,
            "^setting of lithium fluoride 'repeat' is 3, expected list of 3 int$",
        ),
        (
            'edl.build_interphase',
            {'gap': -1.0},
            InterphaseError,
            r"^interphase setting 'gap' is -1\.0, it must be positive$",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(name, settings, error, message):
    with pytest.raises(error, match=message):
        CalculationFactory(name)(Dict(settings))
